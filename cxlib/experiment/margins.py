"""Tests against something other than no effect: margins, equivalence, a known rate or split."""

from __future__ import annotations

import math

from cxlib._checks import ParameterError, check_choice, check_number
from cxlib._intervals import Moments, welch


def one_sided(p_value: float, effect: float, alternative: str = "greater") -> float:
    """Return the one-sided p value of a symmetric two-sided test.

    Parameters
    ----------
    p_value : float
        The two-sided p value.
    effect : float
        The effect that it is of; its sign counts.
    alternative : {"greater", "less"}
        The direction that the test is to find.

    Returns
    -------
    float
        Half of ``p_value`` where the effect points that way, else 1 less that half.

    Examples
    --------
    >>> one_sided(0.04, 1.5), one_sided(0.04, 1.5, "less")
    (0.02, 0.98)
    """
    check_choice("alternative", alternative, ("greater", "less"))
    towards = effect if alternative == "greater" else -effect
    return p_value / 2 if towards > 0 else 1 - p_value / 2


def margin_test(treatment: Moments, control: Moments, margin: float) -> tuple[float, float, float]:
    """Return z, two-sided p value and degrees of freedom for a lift of exactly ``margin``.

    Parameters
    ----------
    treatment, control : Moments
        Units, mean and variance of each arm.
    margin : float
        A relative lift, ``difference / abs(control)``: -0.02 is two per cent less than control.

    Returns
    -------
    tuple of float
        The statistic (above 0 where the lift is above the margin), Student's two-sided p value
        and Welch's degrees of freedom; null where neither arm varies or one has one unit.

    Notes
    -----
    Fieller's pivot ``(m - r * m0) / sqrt(v + r**2 * v0)``, r = 1 + margin (1 - margin where
    control is below 0), v the squared errors. At margin 0 it is Welch's test.

    Examples
    --------
    >>> z, p_value, df = margin_test(Moments(500, 9.9, 4.0), Moments(500, 10.0, 4.0), -0.02)
    >>> round(z, 3), round(p_value, 3)
    (0.799, 0.425)
    """
    ratio = 1 + math.copysign(margin, margin * control.mean)
    scaled = Moments(control.n, ratio * control.mean, ratio**2 * control.variance)
    found = welch(treatment, scaled)
    error = math.sqrt(treatment.squared_error + scaled.squared_error)
    z = (treatment.mean - scaled.mean) / error if found.df > 0 else math.nan
    return z, found.p_value, found.df


def rates_margin_test(
    count: float, n: float, count_control: float, n_control: float, margin: float
) -> tuple[float, float]:
    """Return z and the two-sided p value of the score test for a lift of exactly ``margin``.

    Parameters
    ----------
    count, n, count_control, n_control : float
        Conversions and units of each arm.
    margin : float
        A relative lift above -1.

    Returns
    -------
    tuple of float
        The statistic (above 0 where the lift is above the margin) and its two-sided p value. The
        interval of `rates_ratio` leaves out ``1 + margin`` exactly where p < alpha.

    Notes
    -----
    Farrington, C. P. & Manning, G. (1990), Statistics in Medicine 9, 1447-1454; the statistic
    that Koopman (1984) inverts. The likeliest rates that keep the ratio solve a quadratic.

    Raises
    ------
    ParameterError
        A margin of -1 or less.

    Examples
    --------
    >>> z, p_value = rates_margin_test(950, 10_000, 1000, 10_000, -0.1)
    >>> round(z, 2), round(p_value, 3)
    (1.26, 0.209)
    """
    from scipy.stats import norm

    if margin <= -1:
        raise ParameterError(f"margin={margin!r}: a rate cannot fall by that; give one above -1")
    ratio = 1 + margin
    a = (n + n_control) * ratio
    b = n * ratio + count + n_control + count_control * ratio
    c = count + count_control
    if c == 0:
        return 0.0, 1.0
    rate_control = 2 * c / (b + math.sqrt(max(b * b - 4 * a * c, 0.0)))
    rate = min(ratio * rate_control, 1.0)
    noise = rate * (1 - rate) / n
    noise += ratio**2 * rate_control * max(1 - rate_control, 0.0) / n_control
    distance = count / n - ratio * count_control / n_control
    z = distance / math.sqrt(noise) if noise > 0 else 0.0
    return z, float(2 * norm.sf(abs(z)))


def margin_p_value(z: float, p_value: float, margin: float) -> float:
    """Return the one-sided p value that a lift keeps a guardrail's margin.

    Parameters
    ----------
    z, p_value : float
        Of `margin_test` or `rates_margin_test`, or a sequential p value of the same z.
    margin : float
        Below 0, the lift may not be under it; above 0, it may not be over it.

    Returns
    -------
    float
        Small where the margin is kept. Below ``alpha / 2`` exactly where the interval of the lift
        at ``alpha`` lies within the margin; null where p_value is.

    Examples
    --------
    >>> margin_p_value(2.1, 0.036, -0.02), margin_p_value(2.1, 0.036, 0.02)
    (0.018, 0.982)
    """
    return one_sided(p_value, z, "greater" if margin < 0 else "less")


def equivalence_p_value(below: tuple[float, float], above: tuple[float, float]) -> float:
    """Return the p value of equivalence: of two one-sided tests, the larger.

    Parameters
    ----------
    below, above : (z, p_value)
        Of `margin_test` or `rates_margin_test` at the lower margin (-0.02) and at the upper one
        (0.02); p values two-sided.

    Returns
    -------
    float
        Below ``alpha`` exactly where the interval of the lift at ``2 * alpha`` lies within both.

    Notes
    -----
    Schuirmann, D. J. (1987), Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680 (TOST).

    Examples
    --------
    >>> equivalence_p_value((3.1, 0.002), (-2.4, 0.016))
    0.008
    """
    lower, upper = one_sided(below[1], below[0]), one_sided(above[1], above[0], "less")
    return math.nan if math.isnan(lower + upper) else max(lower, upper)


def rate_test(count: float, n: float, rate: float) -> tuple[float, float]:
    """Return chi-square and p value of one rate against a known one.

    Parameters
    ----------
    count, n : float
        Conversions and units.
    rate : float
        The rate to test, between 0 and 1: such as a guardrail's agreed level.

    Returns
    -------
    tuple of float
        Pearson's chi-square without correction, on one degree of freedom, and its p value. The
        Wilson interval leaves out ``rate`` exactly where p < alpha.

    Raises
    ------
    ParameterError
        A rate outside of (0, 1), or a count outside of 0 to ``n``.

    Examples
    --------
    >>> [round(x, 4) for x in rate_test(73, 86, 0.9)]
    [2.5013, 0.1138]
    """
    from scipy.stats import chi2

    check_number("n", n, 0, open_low=True)
    check_number("count", count, 0, n)
    check_number("rate", rate, 1e-300, 1 - 1e-16)
    chi_square = (count - n * rate) ** 2 / (n * rate * (1 - rate))
    return chi_square, float(chi2.sf(chi_square, 1))


def corrected_sample_ratio(count: float, count_control: float, ratio: float = 1.0) -> float:
    """Return the two-sided p value that ``count / count_control`` is a planned ratio.

    Parameters
    ----------
    count, count_control : float
        Units in the variant and in control.
    ratio : float, default 1
        Planned units of the variant for each of control.

    Returns
    -------
    float
        The normal approximation with the correction for continuity, which a handful of units
        needs: it goes over into `sample_ratio` as they grow.

    Notes
    -----
    Yates, F. (1934), Supplement to JRSS 1, 217-235, as tea-tasting has it.

    Examples
    --------
    >>> round(corrected_sample_ratio(1977, 2023), 3)
    0.477
    """
    from scipy.stats import norm

    check_number("ratio", ratio, 0, open_low=True)
    n, share = count + count_control, ratio / (1 + ratio)
    distance = max(abs(count - n * share) - 0.5, 0.0)
    return float(2 * norm.sf(distance / math.sqrt(n * share * (1 - share))))
