"""An experiment whose effects on conversion and on revenue are known."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cxlib._checks import ParameterError, check_number
from cxlib.simulate._draws import (
    DAY_SECONDS,
    Floats,
    Ints,
    Period,
    check_count,
    check_positive,
    generator,
    labels,
)

VARIANTS = ("control", "treatment")
SPEND_SHAPE = 4.0  # orders vary by half their mean


@dataclass(frozen=True, eq=False)
class SimulatedExperiment:
    """What `experiment` makes.

    Attributes
    ----------
    exposures : pandas.DataFrame
        One row per exposure, repeats included: ``user_id``, ``variant``, ``exposed_at``.
    orders : pandas.DataFrame
        One row per order: ``order_id``, ``customer_id`` (the exposures' ``user_id``), ``ordered_at``,
        ``net_revenue``.
    truth : pandas.DataFrame
        One row per variant: ``variant``, ``users_share``, ``conversion_rate`` and
        ``revenue_per_user`` within the window, all as the simulation was told.
    """

    exposures: pd.DataFrame
    orders: pd.DataFrame
    truth: pd.DataFrame


def experiment(
    n_users: int,
    *,
    start: str | dt.date,
    as_of: str | dt.date,
    seed: int,
    baseline: float = 0.10,
    lift: float = 0.10,
    order_value: float = 40.0,
    order_value_lift: float = 0.0,
    treated_share: float = 0.5,
    window_days: int = 14,
    repeats_per_user: float = 0.5,
    prior_share: float = 0.1,
) -> SimulatedExperiment:
    """Simulate an experiment of two variants, control and treatment.

    Parameters
    ----------
    n_users : int
        Users exposed.
    start, as_of : str or date
        First and last observed day, both included; the first exposures end ``window_days``
        before the end, so that every outcome is complete.
    seed : int
        The same seed makes the same experiment.
    baseline : float in [0, 1], default 0.10
        Share of the control users who order within the window.
    lift : float, default 0.10
        Relative effect on that share: the treated convert at baseline * (1 + lift).
    order_value : float, default 40
        Mean of one order in the control, in the table's currency.
    order_value_lift : float, default 0
        Relative effect on that mean.
    treated_share : float in [0, 1], default 0.5
        Probability that a user is in the treatment.
    window_days : int, default 14
        Days after the first exposure in which orders come.
    repeats_per_user : float, default 0.5
        Mean number of later exposures of the same user to the same variant (Poisson).
    prior_share : float in [0, 1], default 0.1
        Share of users with an order between ``start`` and their first exposure, alike in
        both variants, which no metric may count.

    Returns
    -------
    SimulatedExperiment
        ``.exposures``, ``.orders`` and ``.truth``.

    Raises
    ------
    ParameterError
        A number is out of range, or the period is no longer than the window.

    Examples
    --------
    >>> import cxlib as cx
    >>> made = cx.simulate.experiment(1000, start="2024-11-01", as_of="2024-12-14", seed=1, lift=0.5)
    >>> made.truth
         variant  users_share  conversion_rate  revenue_per_user
    0    control          0.5             0.10               4.0
    1  treatment          0.5             0.15               6.0
    """
    n = check_count("n_users", n_users)
    period = Period.check(start, as_of)
    check_number("baseline", baseline, 0, 1)
    check_number("baseline * (1 + lift)", baseline * (1 + check_number("lift", lift)), 0, 1)
    check_positive(order_value=order_value)
    check_number("order_value_lift", order_value_lift, -1, open_low=True)
    for name, share in {"treated_share": treated_share, "prior_share": prior_share}.items():
        check_number(name, share, 0, 1)
    check_number("repeats_per_user", repeats_per_user, 0)
    free_days = period.days - check_count("window_days", window_days)
    if free_days < 1:
        raise ParameterError(
            f"window_days={window_days} leaves no day for exposures in a period of {period.days} days"
        )
    rates = np.array([baseline, baseline * (1 + lift)])
    values = np.array([order_value, order_value * (1 + order_value_lift)])

    rng = generator(seed)
    variant = (rng.random(n) < treated_share).astype(np.int64)
    exposed = np.floor(1 + rng.random(n) * (free_days * DAY_SECONDS - 1))
    users = labels("u", n)
    return SimulatedExperiment(
        exposures=_exposures(rng, users, variant, exposed, period, repeats_per_user),
        orders=_outcomes(
            rng, users, variant, exposed, period, rates, values, window_days, prior_share
        ),
        truth=pd.DataFrame(
            {
                "variant": VARIANTS,
                "users_share": [1 - treated_share, treated_share],
                "conversion_rate": rates,
                "revenue_per_user": rates * values,
            }
        ),
    )


def _exposures(
    rng: np.random.Generator,
    users: pd.Series,
    variant: Ints,
    exposed: Floats,
    period: Period,
    repeats_per_user: float,
) -> pd.DataFrame:
    """Return first exposures and later ones, in order of time."""
    n = len(users)
    again = np.repeat(np.arange(n), rng.poisson(repeats_per_user, n))
    later = exposed[again] + rng.random(len(again)) * (period.seconds - exposed[again])
    user = np.concatenate([np.arange(n), again])
    seconds = np.concatenate([exposed, np.floor(later)])
    order = np.lexsort((user, seconds))
    return pd.DataFrame(
        {
            "user_id": users.take(user[order]).array,
            "variant": pd.Series(VARIANTS, dtype="str").take(variant[user[order]]).array,
            "exposed_at": period.stamps(seconds[order]),
        }
    )


def _outcomes(
    rng: np.random.Generator,
    users: pd.Series,
    variant: Ints,
    exposed: Floats,
    period: Period,
    rates: Floats,
    values: Floats,
    window_days: int,
    prior_share: float,
) -> pd.DataFrame:
    """Return one order of each user who converts, and orders that came before exposure."""
    n = len(users)
    buyers = np.flatnonzero(rng.random(n) < rates[variant])
    earlier = np.flatnonzero(rng.random(n) < prior_share)
    after = exposed[buyers] + rng.random(len(buyers)) * window_days * DAY_SECONDS
    before = exposed[earlier] * rng.random(len(earlier))
    user = np.concatenate([buyers, earlier])
    mean = np.concatenate([values[variant[buyers]], np.full(len(earlier), values[0])])
    spend = rng.standard_gamma(SPEND_SHAPE, len(user)) / SPEND_SHAPE * mean
    seconds = np.floor(np.concatenate([after, before]))
    order = np.lexsort((user, seconds))
    return pd.DataFrame(
        {
            "order_id": labels("x", len(order)),
            "customer_id": users.take(user[order]).array,
            "ordered_at": period.stamps(seconds[order]),
            "net_revenue": np.maximum(spend[order].round(2), 0.01),
        }
    )
