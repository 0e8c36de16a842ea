"""How many units show how small an effect: the power of the tests that `cxlib.experiment` runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from cxlib._checks import ParameterError

NULLS = ("pooled", "control", "unpooled")
MOST_UNITS = 1e15


@dataclass(frozen=True)
class Baseline:
    """What is known of a unit of control: its mean, its variance, and what CUPED saves of it.

    ``variance`` is the variance per unit, such that variance / n is the squared error; a
    proportion's is mean * (1 - mean). ``saving`` is the fraction of it that CUPED takes away.
    """

    is_proportion: bool
    mean: float
    variance: float
    saving: float = 0.0

    def variance_at(self, mean: float) -> float:
        """Return the variance left per unit of an arm with this mean."""
        variance = mean * (1 - mean) if self.is_proportion else self.variance
        return max(variance, 0.0) * (1 - self.saving)


@dataclass(frozen=True)
class Design:
    """How units are split, and which p value is small enough for one comparison."""

    share: float
    share_control: float
    alpha: float
    null: str = "pooled"


def rates_power(
    rate: float, rate_control: float, n: float, n_control: float, alpha: float, null: str = "pooled"
) -> float:
    """Return the power of the two-sided z test of two proportions, by the normal approximation.

    ``P(|Z| > z)``, where the test's error is taken under "no effect" and the estimate's under
    the effect: ``Phi((|d| - z e0) / e1) + Phi((-|d| - z e0) / e1)`` with ``e1`` the unpooled
    error. ``null`` says what ``e0`` is made of: ``"pooled"`` the rate of both arms together
    (Fleiss, Levin & Paik 2003, "Statistical Methods for Rates and Proportions", ch. 4; the test
    of R's ``power.prop.test``, Stata's ``power twoproportions`` and `rates_p_value`),
    ``"control"`` the control's rate in both arms (Evan Miller's calculator), ``"unpooled"``
    ``e1`` itself (Wald's test).
    """
    from scipy.stats import norm

    pooled = (n * rate + n_control * rate_control) / (n + n_control)
    error = math.sqrt(rate * (1 - rate) / n + rate_control * (1 - rate_control) / n_control)
    same = {"pooled": pooled, "control": rate_control}.get(null)
    limit = error if same is None else math.sqrt(same * (1 - same) * (1 / n + 1 / n_control))
    limit, difference = norm.isf(alpha / 2) * limit, abs(rate - rate_control)
    return float(norm.sf((limit - difference) / error) + norm.sf((limit + difference) / error))


def means_power(
    difference: float,
    variance: float,
    variance_control: float,
    n: float,
    n_control: float,
    alpha: float,
) -> float:
    """Return the power of Welch's two-sided t test, by the non-central t distribution.

    Exact for normal values of equal variance in arms of equal size (Cohen 1988, "Statistical
    Power Analysis", ch. 2); else Satterthwaite's degrees of freedom approximate it. The normal
    in its place would ask about ``z^2 / 4`` units fewer in each arm: one, at alpha 0.05.
    """
    from scipy.stats import nct, t

    squared, squared_control = variance / n, variance_control / n_control
    total = squared + squared_control
    df = total**2 / (squared**2 / (n - 1) + squared_control**2 / (n_control - 1))
    limit, shift = t.isf(alpha / 2, df), abs(difference) / math.sqrt(total)
    other_side = float(nct.cdf(-limit, df, shift))  # scipy has no number where it is next to none
    return float(nct.sf(limit, df, shift)) + (0.0 if math.isnan(other_side) else other_side)


def power_of(base: Baseline, difference: float, n_units: float, design: Design) -> float:
    """Return the chance to tell a treatment that differs by ``difference`` from control."""
    mean = base.mean + difference
    n, n_control = n_units * design.share, n_units * design.share_control
    if base.is_proportion and not base.saving:
        return rates_power(mean, base.mean, n, n_control, design.alpha, design.null)
    variances = base.variance_at(mean), base.variance_at(base.mean)
    return means_power(difference, *variances, n, n_control, design.alpha)


def fewest_units(design: Design) -> float:
    """Return the units that put two in the smaller arm, without which nothing varies."""
    return 2 / min(design.share, design.share_control)


def units_needed(base: Baseline, difference: float, power: float, design: Design) -> float:
    """Return the units of all arms together at which `power_of` reaches ``power``."""
    low = high = math.log(fewest_units(design))

    def excess(log_units: float) -> float:
        return power_of(base, difference, math.exp(log_units), design) - power

    while excess(high) < 0:
        low, high = high, high + math.log(16)
        if high > math.log(MOST_UNITS):
            raise ParameterError(
                f"a difference of {difference:.3g} on {base.mean:.3g} would take more than "
                f"{MOST_UNITS:.0e} units; give a larger mde"
            )
    return math.exp(_root(excess, low, high))


def detectable(base: Baseline, n_units: float, power: float, design: Design) -> float:
    """Return the smallest rise that ``n_units`` detect with ``power``: `units_needed` turned round."""
    variance = base.variance_at(base.mean)
    error = math.sqrt(variance / n_units * (1 / design.share + 1 / design.share_control))
    most = (1 - base.mean) / error if base.is_proportion else math.inf
    low, high = 0.0, min(1.0, most)

    def excess(errors: float) -> float:
        return power_of(base, min(errors, most) * error, n_units, design) - power

    while excess(high) < 0:
        if high == most:
            raise ParameterError(
                f"{n_units:,.0f} units are too few: even a rise of the rate from {base.mean:.3g} to 1 "
                f"is detected with a power of {excess(high) + power:.2f} only; give more units"
            )
        low, high = high, min(2 * high, most)
    return _root(excess, low, high) * error


def _root(excess: Callable[[float], float], low: float, high: float) -> float:
    from scipy.optimize import brentq

    return low if low == high else float(brentq(excess, low, high, xtol=1e-14))
