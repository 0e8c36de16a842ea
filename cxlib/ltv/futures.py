"""What the base may really bring: its futures, drawn customer by customer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cxlib._bgnbd import spend_line
from cxlib.ltv.ahead import Ahead
from cxlib.ltv.base import Base, Numbers
from cxlib.ltv.replicates import Replicates

MOST_CUSTOMERS = 20_000
MOST_DRAWS = 1_000
MOST_DRAWN = 3_000_000


def realised(
    ahead: Ahead, base: Base, replicates: Replicates, totals: Numbers, seed: int
) -> Numbers:
    """Return futures of the base, some for each refit: a row of its orders and of its value.

    Value is before margin and discounted, orders are not.

    Orders are drawn as the model says, and spend as Gamma-Gamma does, around a level that is
    drawn from what the customer's past says of it. Of a base above ``MOST_CUSTOMERS`` so many
    are drawn: what they bring more or less than expected, blown up by the root of how many they
    stand for, is added to the base's expectation, of which ``totals`` holds a row for each refit.
    """
    rng = np.random.default_rng([seed, 1])
    n_customers = int(base.n.sum())
    n_drawn = min(n_customers, MOST_CUSTOMERS)
    times = MOST_DRAWN // (n_drawn * len(totals))
    times = max(1, min(times, MOST_DRAWS // len(totals)))
    everybody = np.arange(len(base.n)).repeat(base.n.astype(int))
    futures = []
    for (values, spend), total in zip(replicates.pairs(), totals, strict=True):
        for _ in range(times):
            if n_drawn == n_customers:
                futures.append(_drawn(ahead, base, everybody, values, spend, rng).sum(axis=1))
                continue
            rows = everybody[rng.integers(n_customers, size=n_drawn)]
            chance = _drawn(ahead, base, rows, values, spend, rng).sum(axis=1)
            chance -= _expected(ahead, base, rows, values, spend).sum(axis=1)
            futures.append(total + chance * np.sqrt(n_customers / n_drawn))
    return np.array(futures)


def _expected(
    ahead: Ahead,
    base: Base,
    rows: np.ndarray,
    values: dict[str, float],
    spend: dict[str, float],
) -> Numbers:
    """Return how often each customer of ``rows`` is expected to buy, and to spend, discounted."""
    part = replace(ahead, histories=base.histories[:, base.history[rows]])
    level, slope = spend_line(spend, base.frequency[rows])
    orders, discounted = part.p_alive(values) * part.if_alive(values)
    return np.array([orders, (level + slope * base.spend[rows]) * discounted])


def _drawn(
    ahead: Ahead,
    base: Base,
    rows: np.ndarray,
    values: dict[str, float],
    spend: dict[str, float],
    rng: np.random.Generator,
) -> Numbers:
    """Return how often each customer of ``rows`` buys in one future, and spends, discounted.

    The sum of a customer's discounted gammas is drawn as the one gamma with its mean and
    variance, which it is where nothing is discounted.
    """
    p, q, v = (spend[name] for name in "pqv")
    own, daily = base.spend[rows], ahead.discounts[1]
    frequency, recency, age = base.histories[:, base.history[rows]]
    plain, orders, squared = ahead.model.draw_future(
        values, frequency, recency, age, ahead.horizon_days, rng, discounts=(0.0, daily, 2 * daily)
    )
    bought = np.flatnonzero(orders)
    rate = rng.gamma(p * frequency[bought] + q) / (v + (frequency * own)[bought])
    money = np.zeros(len(rows))
    ratio = orders[bought] / squared[bought]
    money[bought] = rng.gamma(p * orders[bought] * ratio) / (rate * ratio)
    return np.array([plain, money])
