"""Interval and test arithmetic that several analyses share: pure functions of small numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]


class Moments(NamedTuple):
    """What a sample of units comes down to: how many, their mean and sample variance."""

    n: float
    mean: float
    variance: float

    @property
    def squared_error(self) -> float:
        """Squared standard error of the mean."""
        return self.variance / self.n


class Welch(NamedTuple):
    """Welch's comparison of two means: null where neither arm varies or one has one unit."""

    low: float
    high: float
    p_value: float
    df: float


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


def rates_p_value(count: float, n: float, count_control: float, n_control: float) -> float:
    """Return the two-sided p value of Pearson's chi-square, pooled and without correction.

    It is the score test, of which `rates_difference` and `rates_ratio` are the inversions:
    either interval leaves out "no effect" exactly where p < alpha.
    """
    from scipy.stats import norm

    pooled = (count + count_control) / (n + n_control)
    if pooled in (0, 1):
        return 1.0
    error = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / n_control))
    return float(2 * norm.sf(abs(count / n - count_control / n_control) / error))


def rates_difference(
    count: float, n: float, count_control: float, n_control: float, alpha: float = 0.05
) -> tuple[float, float]:
    """Return the asymptotic score interval of ``count / n - count_control / n_control``.

    Mee, R. W. (1984), Biometrics 40, 1175-1176: all differences that the score test does not
    reject. Finite and of positive width in every corner.
    """

    def chi_square(difference: float) -> float:
        slope, up, down = 1 - abs(difference), max(0.0, difference), max(0.0, -difference)
        return _score_chi_square(
            [(count, n, slope, up, down), (count_control, n_control, slope, down, up)]
        )

    observed, edge = count / n - count_control / n_control, 1 - 1e-12
    inside = min(max(observed, -edge), edge)
    low = -1.0 if observed == -1 else _crossing(chi_square, -edge, inside, alpha)
    high = 1.0 if observed == 1 else _crossing(chi_square, inside, edge, alpha)
    return low, high


def rates_ratio(
    count: float, n: float, count_control: float, n_control: float, alpha: float = 0.05
) -> tuple[float, float]:
    """Return the asymptotic score interval of ``(count / n) / (count_control / n_control)``.

    Koopman, P. A. R. (1984), Biometrics 40, 513-517. The lower limit is 0 where ``count`` is,
    the upper one infinite where ``count_control`` is 0: no data can bound the ratio then.
    """

    def chi_square(log_ratio: float) -> float:
        slope, slope_control = min(1.0, math.exp(log_ratio)), min(1.0, math.exp(-log_ratio))
        return _score_chi_square(
            [
                (count, n, slope, 0.0, 1 - slope),
                (count_control, n_control, slope_control, 0.0, 1 - slope_control),
            ]
        )

    if count == count_control == 0:
        return 0.0, math.inf
    edge = 50.0  # e^50: beyond any ratio that counts can show
    observed = -edge if count == 0 else edge
    if count and count_control:
        observed = math.log(count / n) - math.log(count_control / n_control)
    low = 0.0 if count == 0 else math.exp(_crossing(chi_square, -edge, observed, alpha))
    high = math.inf
    if count_control:
        high = math.exp(_crossing(chi_square, observed, edge, alpha))
    return low, high


def _crossing(chi_square: Callable[[float], float], low: float, high: float, alpha: float) -> float:
    """Return where the chi-square passes the critical value between ``low`` and ``high``."""
    from scipy.optimize import brentq
    from scipy.stats import norm

    critical = norm.isf(alpha / 2) ** 2

    def excess(at: float) -> float:
        value = chi_square(at)
        return value / (value + critical) - 0.5

    return float(brentq(excess, low, high, xtol=1e-15))


def _score_chi_square(arms: Sequence[tuple[float, float, float, float, float]]) -> float:
    """Return Pearson's chi-square of two counts at the likeliest rates that keep an effect.

    Each arm is (count, n, slope, least, least_rest): the effect ties the rates together as
    ``least + slope * t`` for one t in (0, 1), and ``least_rest + slope * (1 - t)`` is 1 - rate.
    The likeliest t is found by halving where the likelihood's slope changes sign. Both t and
    1 - t are carried, so that rates next to 0 and next to 1 lose no digits.
    """
    (x, n, slope, least, least_rest), (x2, n2, slope2, least2, least_rest2) = arms
    (t_low, r_low), (t_high, r_high) = (0.0, 1.0), (1.0, 0.0)
    for _ in range(60):
        t, r = (t_low + t_high) / 2, (r_low + r_high) / 2
        uphill = slope * (x / (least + slope * t) - (n - x) / (least_rest + slope * r))
        uphill += slope2 * (x2 / (least2 + slope2 * t) - (n2 - x2) / (least_rest2 + slope2 * r))
        if uphill > 0:
            t_low, r_low = t, r
        else:
            t_high, r_high = t, r
    total = 0.0
    for x, n, slope, least, least_rest in arms:
        rate, rest = least + slope * t, least_rest + slope * r
        total += (x - n * rate) ** 2 / (n * rate * rest)
    return total


def mean_interval(sample: Moments, alpha: float = 0.05) -> tuple[float, float]:
    """Return Student's interval of a mean; null for fewer than two units."""
    from scipy.stats import t

    if sample.n < 2:
        return math.nan, math.nan
    half = t.isf(alpha / 2, sample.n - 1) * math.sqrt(sample.squared_error)
    return sample.mean - half, sample.mean + half


def welch(treatment: Moments, control: Moments, alpha: float = 0.05) -> Welch:
    """Return Welch's interval and p value of ``treatment.mean - control.mean``.

    Welch, B. L. (1947), Biometrika 34, 28-35.
    """
    from scipy.stats import t

    if min(treatment.n, control.n) < 2 or treatment.variance == control.variance == 0:
        return Welch(math.nan, math.nan, math.nan, math.nan)
    df = _satterthwaite((treatment.squared_error, treatment.n), (control.squared_error, control.n))
    error = math.sqrt(treatment.squared_error + control.squared_error)
    difference, half = treatment.mean - control.mean, float(t.isf(alpha / 2, df)) * error
    p_value = float(2 * t.sf(abs(difference) / error, df))
    return Welch(difference - half, difference + half, p_value, df)


def _satterthwaite(*terms: tuple[float, float]) -> float:
    """Return the degrees of freedom of a sum of (squared error, n)."""
    total = sum(squared for squared, _ in terms)
    return 1 / sum((squared / total) ** 2 / (n - 1) for squared, n in terms)


def fieller(
    treatment: Moments, control: Moments, alpha: float = 0.05, critical: float | None = None
) -> tuple[float, float]:
    """Return Fieller's interval of ``treatment.mean / control.mean - 1``; null if unbounded.

    Fieller, E. C. (1954), JRSS B 16, 175-185, with Welch's degrees of freedom: it leaves out 0
    exactly where Welch's p < alpha. It has no bounds where the control's mean itself is not
    told from zero at ``alpha``. ``critical``, where given, is the factor on standard errors.
    """
    from scipy.stats import t

    df = welch(treatment, control, alpha).df
    if math.isnan(df):
        return math.nan, math.nan
    factor = (float(t.isf(alpha / 2, df)) if critical is None else critical) ** 2
    noise, noise_control = factor * treatment.squared_error, factor * control.squared_error
    scale = control.mean**2 - noise_control
    if scale <= 0:
        return math.nan, math.nan
    middle = control.mean * (treatment.mean - control.mean) + noise_control
    spread = math.sqrt(noise * scale + treatment.mean**2 * noise_control)
    return (middle - spread) / scale, (middle + spread) / scale


_LARGEST_LOG = math.log(1e300)


def log_ratio(
    treatment: Moments, control: Moments, alpha: float = 0.05, critical: float | None = None
) -> tuple[float, float]:
    """Return the delta-method interval of ``treatment.mean / control.mean - 1`` on the log scale.

    Both means must be above zero. ``var(log mean) = squared_error / mean^2``, with
    Satterthwaite's degrees of freedom on that scale, as tea-tasting has it. ``critical``, where
    given, is the factor on the standard error. Null where the upper end is past all numbers.
    """
    from scipy.stats import t

    terms = [(arm.squared_error / arm.mean**2, arm.n) for arm in (treatment, control)]
    if critical is None:
        critical = float(t.isf(alpha / 2, _satterthwaite(*terms)))
    half = critical * math.sqrt(sum(squared for squared, _ in terms))
    centre = math.log(treatment.mean / control.mean)
    if centre + half > _LARGEST_LOG:
        return math.nan, math.nan
    return math.expm1(centre - half), math.expm1(centre + half)


def heterogeneity(estimates: npt.ArrayLike, squared_errors: npt.ArrayLike) -> float:
    """Return the p value that independent estimates are all of one thing.

    Cochran, W. G. (1954), Biometrics 10, 101-129: squared distances from the mean weighted by one
    over the squared errors, over these, are chi-square with one degree of freedom less.
    """
    from scipy.stats import chi2

    found, weight = np.asarray(estimates, float), 1 / np.asarray(squared_errors, float)
    away = found - np.average(found, weights=weight)
    return float(chi2.sf(weight @ away**2, len(found) - 1))


def sample_ratio(counts: Sequence[float], shares: Sequence[float]) -> float:
    """Return the p value of the chi-square test that units were split by ``shares``."""
    from scipy.stats import chisquare

    expected = np.asarray(shares, float) / np.sum(shares) * np.sum(counts)
    return float(chisquare(np.asarray(counts, float), expected).pvalue)


def holm(p_values: npt.ArrayLike) -> Numbers:
    """Return Holm's adjusted p values; nulls stay null and do not count.

    Holm, S. (1979), Scandinavian Journal of Statistics 6, 65-70: the smallest of m times m, the
    next times m - 1, …, none below the one before it. Written here because statsmodels'
    ``multipletests`` collects all garbage on each call, a tenth of a second.
    """
    adjusted = np.array(p_values, float)
    order = np.argsort(adjusted)[: np.count_nonzero(~np.isnan(adjusted))]  # nulls sort last
    steps = adjusted[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def rates_compared(counts: Numbers, alpha: float = 0.05) -> dict[str, Numbers]:
    """Return difference, score interval, p value and Holm's adjusted one of pairs of rates.

    Each row of ``counts`` is ``count, n, count_control, n_control``; null where an n is 0.
    """
    known = (counts[:, 1] > 0) & (counts[:, 3] > 0)
    found = np.full((4, len(counts)), np.nan)
    for place in np.flatnonzero(known):
        count, n, count_control, n_control = counts[place].tolist()
        found[:, place] = (
            count / n - count_control / n_control,
            *rates_difference(count, n, count_control, n_control, alpha),
            rates_p_value(count, n, count_control, n_control),
        )
    names = ("difference", "ci_low", "ci_high", "p_value")
    return dict(zip(names, found, strict=True)) | {"p_adjusted": holm(found[3])}
