"""Interval and test arithmetic that several analyses share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]


def wilson(
    count: npt.ArrayLike, n: npt.ArrayLike, alpha: float = 0.05
) -> tuple[Numbers, Numbers, Numbers]:
    """Return rate, low and high of the Wilson score interval; null where ``n`` is 0 or null.

    Wilson, E. B. (1927), JASA 22, 209-212, as statsmodels computes it.
    """
    from statsmodels.stats.proportion import proportion_confint

    count, n = np.asarray(count, float), np.asarray(n, float)
    known = n > 0
    rate, low, high = (np.full(np.broadcast(count, n).shape, np.nan) for _ in range(3))
    if known.any():
        rate[known] = count[known] / n[known]
        low[known], high[known] = proportion_confint(
            count[known], n[known], alpha=alpha, method="wilson"
        )
    return rate, np.clip(low, 0, 1), np.clip(high, 0, 1)
