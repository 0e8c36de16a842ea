"""Orders of customers who buy, pause and leave as BG/NBD says, and spend as Gamma-Gamma says."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from cxlib._checks import check_number
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

BUSIEST_DAY, BUSIEST_HOUR = 335, 16  # the first of December; four in the afternoon


def orders(
    n_customers: int,
    *,
    start: str | dt.date,
    as_of: str | dt.date,
    seed: int,
    r: float = 0.243,
    alpha: float = 30.898,
    a: float = 0.793,
    b: float = 2.426,
    p: float = 6.25,
    q: float = 3.74,
    v: float = 15.44,
    acquisition_days: int | None = None,
    yearly_wave: float = 0.0,
    daily_wave: float = 0.0,
) -> pd.DataFrame:
    """Simulate the orders of customers with known BG/NBD and Gamma-Gamma truth.

    Parameters
    ----------
    n_customers : int
        Customers; each places at least one order.
    start, as_of : str or date
        First and last observed day, both included.
    seed : int
        The same seed makes the same orders.
    r, alpha : float, default 0.243, 30.898
        While active, a customer buys at random at a rate per day drawn from
        Gamma(shape r, rate alpha): r / alpha purchases a day in the mean. alpha is in days
        (its default is CDNOW's 4.414 weeks).
    a, b : float, default 0.793, 2.426
        After each repeat purchase a customer leaves for good with a probability drawn
        from Beta(a, b).
    p, q, v : float, default 6.25, 3.74, 15.44
        Each order is worth Gamma(shape p, rate nu) with nu from Gamma(shape q, rate v), v in
        the table's currency: p * v / (q - 1) in the mean over customers, for q above 1.
    acquisition_days : int, optional
        First purchases spread evenly over this many days from ``start``; over the whole
        period if not given.
    yearly_wave, daily_wave : float in [0, 1), default 0
        How far the pace of all purchases, first ones included, swings above and below its
        mean over the year (busiest 1 December) and over the day (busiest 16:00). Zero keeps
        the models' truth exact in calendar time.

    Returns
    -------
    pandas.DataFrame
        One row per order, in order of time: ``order_id``, ``customer_id`` (text),
        ``ordered_at`` (shop's clock, to the second), ``net_revenue`` (rounded to 0.01, at
        least 0.01).

    Raises
    ------
    ParameterError
        A number is out of range, or ``as_of`` lies before ``start``.

    Notes
    -----
    BG/NBD is of Fader, Hardie and Lee (2005), Marketing Science 24(2), 275-284: the first
    purchase starts the clock and carries no coin; the number of repeat purchases that a
    customer can still make is therefore geometric. Gamma-Gamma is of Fader and Hardie (2013),
    "The Gamma-Gamma model of monetary value".

    Examples
    --------
    >>> import cxlib as cx
    >>> frame = cx.simulate.orders(100, start="2024-01-01", as_of="2024-12-31", seed=1)
    >>> frame.columns.tolist(), frame["customer_id"].nunique()
    (['order_id', 'customer_id', 'ordered_at', 'net_revenue'], 100)
    """
    n = check_count("n_customers", n_customers)
    period = Period.check(start, as_of)
    check_positive(r=r, alpha=alpha, a=a, b=b, p=p, q=q, v=v)
    for name, wave in {"yearly_wave": yearly_wave, "daily_wave": daily_wave}.items():
        check_number(name, wave, 0, 0.999)
    first_days = period.days if acquisition_days is None else acquisition_days
    check_number("acquisition_days", check_count("acquisition_days", first_days), 1, period.days)

    rng = generator(seed)
    joined = rng.random(n) * first_days
    rate = np.maximum(rng.standard_gamma(r, n) / alpha, 1e-12)
    leaves = np.maximum(rng.beta(a, b, n), 1e-12)
    customer, day = _purchases(rng, joined, rate, leaves, period.days)
    spend = _spend(rng, customer, n, p, q, v)

    seconds = np.floor(_warp(day, period, yearly_wave, daily_wave) * DAY_SECONDS)
    order = np.lexsort((customer, seconds))
    return pd.DataFrame(
        {
            "order_id": labels("o", len(order)),
            "customer_id": labels("c", n).take(customer[order]).array,
            "ordered_at": period.stamps(seconds[order]),
            "net_revenue": spend[order],
        }
    )


def _purchases(
    rng: np.random.Generator, joined: Floats, rate: Floats, leaves: Floats, days: int
) -> tuple[Ints, Floats]:
    """Return customer and day of every purchase: one round for each repeat, over who is left."""
    last = rng.geometric(leaves)
    active, day = np.arange(len(joined), dtype=np.int64), joined
    customers, all_days = [active], [day]
    repeat = 0
    while len(active):
        repeat += 1
        day = day + rng.standard_exponential(len(active)) / rate[active]
        seen = day < days
        active, day = active[seen], day[seen]
        customers.append(active)
        all_days.append(day)
        stays = last[active] > repeat
        active, day = active[stays], day[stays]
    return np.concatenate(customers), np.concatenate(all_days)


def _spend(
    rng: np.random.Generator, customer: Ints, n: int, p: float, q: float, v: float
) -> Floats:
    scale = v / np.maximum(rng.standard_gamma(q, n), 1e-12)
    spend = rng.standard_gamma(p, len(customer)) * scale[customer]
    return np.maximum(spend.round(2), 0.01)


def _warp(day: Floats, period: Period, yearly_wave: float, daily_wave: float) -> Floats:
    """Return calendar days of the model's even days: more of them fall where the pace is high."""
    if not (yearly_wave or daily_wave):
        return day
    grid = np.arange(period.days * 24 + 1) / 24
    middle = (grid[:-1] + grid[1:]) / 2
    first = period.start.timetuple().tm_yday - 1
    pace = 1 + yearly_wave * np.cos(2 * np.pi * (first + middle - BUSIEST_DAY + 1) / 365.25)
    pace *= 1 + daily_wave * np.cos(2 * np.pi * (middle - BUSIEST_HOUR / 24))
    elapsed = np.concatenate([[0.0], np.cumsum(pace)])
    return np.interp(day, elapsed * (period.days / elapsed[-1]), grid)
