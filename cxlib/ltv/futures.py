"""What the base may really bring: its futures, drawn customer by customer."""

from __future__ import annotations

import numpy as np

from cxlib.ltv.ahead import Ahead, spend_line
from cxlib.ltv.base import Base, Numbers
from cxlib.ltv.replicates import Replicates

MOST_CUSTOMERS = 20_000
MOST_DRAWS = 1_000
MOST_DRAWN = 3_000_000


def realised(
    ahead: Ahead, base: Base, replicates: Replicates, totals: Numbers, seed: int
) -> Numbers:
    """Return futures of the base's value, before margin, some for each refit.

    ``totals`` is what each refit expects of the base. To it comes the chance of individual
    futures: orders as the model draws them, and spend as Gamma-Gamma does, around a level that
    is drawn from what the customer's past says of it. Of a base above ``MOST_CUSTOMERS`` so
    many are drawn, and their chance is blown up by the root of what they stand for.
    """
    rng = np.random.default_rng([seed, 1])
    n_customers = int(base.n.sum())
    n_drawn = min(n_customers, MOST_CUSTOMERS)
    times = MOST_DRAWN // (n_drawn * len(totals))
    times = max(1, min(times, MOST_DRAWS // len(totals)))
    everybody = np.arange(len(base.n)).repeat(base.n.astype(int))
    rows, futures = everybody, []
    for (values, spend), total in zip(replicates.pairs(), totals, strict=True):
        level, slope = spend_line(spend, base.frequency)
        orders = ahead.p_alive(values) * ahead.if_alive_nearly(values)[1, ahead.pair]
        expected = (level + slope * base.spend) * orders[base.history]
        for _ in range(times):
            if n_drawn < n_customers:
                rows = everybody[rng.integers(n_customers, size=n_drawn)]
            chance = (_drawn(ahead, base, rows, values, spend, rng) - expected[rows]).sum()
            futures.append(total + chance * np.sqrt(n_customers / n_drawn))
    return np.array(futures)


def _drawn(
    ahead: Ahead,
    base: Base,
    rows: np.ndarray,
    values: dict[str, float],
    spend: dict[str, float],
    rng: np.random.Generator,
) -> Numbers:
    """Return what each customer of ``rows`` spends in one future, discounted.

    The sum of a customer's discounted gammas is drawn as the one gamma with its mean and
    variance, which it is where nothing is discounted.
    """
    p, q, v = (spend[name] for name in "pqv")
    own, daily = base.spend[rows], ahead.discounts[1]
    frequency, recency, age = base.histories[:, base.history[rows]]
    orders, squared = ahead.model.draw_future(
        values, frequency, recency, age, ahead.horizon_days, rng, discounts=(daily, 2 * daily)
    )
    bought = np.flatnonzero(orders)
    rate = rng.gamma(p * frequency[bought] + q) / (v + (frequency * own)[bought])
    money = np.zeros(len(rows))
    ratio = orders[bought] / squared[bought]
    money[bought] = rng.gamma(p * orders[bought] * ratio) / (rate * ratio)
    return money
