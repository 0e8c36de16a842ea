"""Survey answers whose shares and means are known."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
import pandas as pd

from cxlib._checks import check_number
from cxlib.simulate._draws import Ints, Period, check_count, check_positive, generator, labels, pick

KINDS = ("nps", "csat", "ces")


def responses(
    n_customers: int,
    *,
    start: str | dt.date,
    as_of: str | dt.date,
    seed: int,
    response_rate: float = 0.3,
    nps_shares: Sequence[float] = (0.5, 0.3, 0.2),
    csat_satisfied: float = 0.8,
    ces_mean: float = 5.2,
) -> pd.DataFrame:
    """Simulate survey answers with known shares and means.

    Parameters
    ----------
    n_customers : int
        Customers asked, each once for each kind of survey.
    start, as_of : str or date
        First and last observed day, both included; answers spread evenly.
    seed : int
        The same seed makes the same answers.
    response_rate : float in [0, 1], default 0.3
        Probability that a customer answers a survey.
    nps_shares : three floats, default 0.5, 0.3, 0.2
        Shares of promoters (9, 10), passives (7, 8) and detractors (0 to 6); the score is
        the first less the last.
    csat_satisfied : float in [0, 1], default 0.8
        Share of 4 and 5 on the scale from 1 to 5.
    ces_mean : float in [1, 7], default 5.2
        Mean on the scale from 1 to 7 (binomial around it).

    Returns
    -------
    pandas.DataFrame
        One row per answer, in order of time: ``customer_id``, ``responded_at`` (shop's clock, to
        the second), ``kind`` (nps, csat, ces), ``score``.

    Raises
    ------
    ParameterError
        A number is out of range, or ``as_of`` lies before ``start``.

    Examples
    --------
    >>> import cxlib as cx
    >>> frame = cx.simulate.responses(200, start="2024-01-01", as_of="2024-12-31", seed=1)
    >>> sorted(frame["kind"].unique())
    ['ces', 'csat', 'nps']
    """
    n = check_count("n_customers", n_customers)
    period = Period.check(start, as_of)
    check_number("response_rate", response_rate, 0, 1)
    check_number("csat_satisfied", csat_satisfied, 0, 1)
    check_number("ces_mean", ces_mean, 1, 7)
    check_number("len(nps_shares)", len(nps_shares), 3, 3)
    for name, share in zip(("promoters", "passives", "detractors"), nps_shares, strict=True):
        check_number(f"nps_shares ({name})", share, 0)
    check_positive(**{"sum(nps_shares)": float(sum(nps_shares))})

    rng = generator(seed)
    kind, customer = np.nonzero(rng.random((len(KINDS), n)) < response_rate)
    seconds = np.floor(rng.random(len(kind)) * period.seconds)
    score = np.concatenate(
        [
            _nps(rng, int((kind == 0).sum()), nps_shares),
            _csat(rng, int((kind == 1).sum()), csat_satisfied),
            1 + rng.binomial(6, (ces_mean - 1) / 6, int((kind == 2).sum())),
        ]
    )
    order = np.lexsort((customer, seconds))
    return pd.DataFrame(
        {
            "customer_id": labels("c", n).take(customer[order]).array,
            "responded_at": period.stamps(seconds[order]),
            "kind": pd.Series(KINDS, dtype="str").take(kind[order]).array,
            "score": score[order].astype(float),
        }
    )


def _nps(rng: np.random.Generator, n: int, shares: Sequence[float]) -> Ints:
    group = pick(rng, shares, n)
    low, high = np.array([9, 7, 0]), np.array([11, 9, 7])
    return rng.integers(low[group], high[group])


def _csat(rng: np.random.Generator, n: int, satisfied: float) -> Ints:
    happy = (rng.random(n) < satisfied).astype(np.int64)
    return rng.integers(np.array([1, 4])[happy], np.array([4, 6])[happy])
