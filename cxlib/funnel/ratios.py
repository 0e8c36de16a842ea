"""Ratios of two sums over users, who may bring several carts each, with their intervals."""

from __future__ import annotations

import math
from typing import NamedTuple

from cxlib._intervals import wilson


class Sums(NamedTuple):
    """What ``n`` users come down to: sums of x (``top``) and y (``bottom``), of squares and products."""

    n: float
    top: float
    bottom: float
    top_squares: float
    bottom_squares: float
    products: float

    @property
    def ratio(self) -> float:
        """Sum of x over sum of y; null where there is no y."""
        return self.top / self.bottom if self.bottom else math.nan

    @property
    def squared_error(self) -> float:
        """Squared standard error of the ratio, by the delta method; null for fewer than two users.

        Cochran, W. G. (1977), Sampling Techniques, 3rd ed., section 6.4.
        """
        if not self.bottom or self.n < 2:
            return math.nan
        ratio = self.ratio
        away = self.top_squares - 2 * ratio * self.products + ratio**2 * self.bottom_squares
        return self.n / (self.n - 1) * max(away, 0.0) / self.bottom**2


def ratio_interval(sums: Sums, alpha: float) -> tuple[float, float]:
    """Return Student's interval of the ratio."""
    from scipy.stats import t

    if math.isnan(sums.squared_error):
        return math.nan, math.nan
    half = float(t.isf(alpha / 2, sums.n - 1)) * math.sqrt(sums.squared_error)
    return sums.ratio - half, sums.ratio + half


def share_interval(sums: Sums, alpha: float) -> tuple[float, float]:
    """Return Wilson's interval of a share, of carts or of money, of which users bring several parts.

    Its n is the effective one, at which independent parts would err as much as the delta method
    says; the number of users where all or nothing is of the kind. Korn, E. L. and Graubard, B. I.
    (1998), Survey Methodology 24, 193-201; Franco, C. et al. (2019), Journal of Survey Statistics
    and Methodology 7, 334-364.
    """
    if not sums.bottom:
        return math.nan, math.nan
    share, error = min(sums.ratio, 1.0), sums.squared_error
    size = share * (1 - share) / error if share < 1 and error > 0 else sums.n
    _, low, high = wilson(share * size, size, alpha)
    return float(low), float(high)
