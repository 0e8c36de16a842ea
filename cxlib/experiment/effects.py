"""One treatment against control: differences, lifts, their intervals, tests and margins."""

from __future__ import annotations

import math
from typing import NamedTuple

from cxlib._intervals import (
    Moments,
    fieller,
    log_ratio,
    rates_difference,
    rates_p_value,
    rates_ratio,
    welch,
)
from cxlib.experiment.margins import (
    equivalence_p_value,
    margin_p_value,
    margin_test,
    rates_margin_test,
)
from cxlib.experiment.posteriors import Posterior, beta_posterior, normal_posterior
from cxlib.experiment.sequential import AlwaysValid, GroupSequential

Look = GroupSequential | AlwaysValid
_NAN = math.nan


class Pair(NamedTuple):
    """A treatment and control, and how they are compared.

    ``counts`` says that both are plain shares of units, which score tests suit; ``look`` is the
    sequential test's current look, None where one looks once.
    """

    arm: Moments
    base: Moments
    counts: bool
    look: Look | None = None

    @property
    def by_score(self) -> bool:
        """Whether score tests and intervals are used."""
        return self.counts and self.look is None


class Effect(NamedTuple):
    """One treatment against control: an unknown number is null, and ``note`` says why."""

    ci_low: float = _NAN
    ci_high: float = _NAN
    lift: float = _NAN
    lift_low: float = _NAN
    lift_high: float = _NAN
    p_value: float = _NAN
    note: str = ""


def effect(pair: Pair, level: float) -> Effect:
    """Return the effect with intervals at ``level``."""
    if not (pair.arm.n and pair.base.n):
        return Effect(note="an arm has no units yet")
    return _rates(pair, level) if pair.by_score else _means(pair, level)


def p_value(pair: Pair) -> float:
    """Return the p value of a single look, without the intervals, which take longer."""
    return rates_p_value(*_counts(pair)) if pair.by_score else welch(pair.arm, pair.base).p_value


def count(arm: Moments) -> int:
    """Return how many units of a share did it."""
    return round(arm.mean * arm.n)


def _counts(pair: Pair) -> tuple[float, float, float, float]:
    return count(pair.arm), pair.arm.n, count(pair.base), pair.base.n


def _rates(pair: Pair, level: float) -> Effect:
    counts = _counts(pair)
    low, high = rates_difference(*counts, level)
    lift_low, lift_high = (limit - 1 for limit in rates_ratio(*counts, level))
    found = Effect(low, high, p_value=rates_p_value(*counts))
    if count(pair.base):
        lift = pair.arm.mean / pair.base.mean - 1
        return found._replace(lift=lift, lift_low=lift_low, lift_high=lift_high)
    if count(pair.arm):
        note = "no conversions in control: the lift has a lower limit only"
        return found._replace(lift_low=lift_low, note=note)
    return found._replace(note="no conversions at all: the lift is undefined")


def _means(pair: Pair, level: float) -> Effect:
    arm, base = pair.arm, pair.base
    lift = (arm.mean - base.mean) / abs(base.mean) if base.mean else _NAN
    if math.isnan(arm.mean - base.mean):
        return Effect(note="a ratio over nothing: its denominator is 0")
    if math.isnan(arm.variance + base.variance):
        return Effect(lift=lift, note="too few units for an interval of this quantile")
    if min(arm.n, base.n) < 2:
        return Effect(lift=lift, note="an arm has one unit: no variance, no interval")
    if arm.variance == base.variance == 0:
        return Effect(lift=lift, note="no variance in either arm: no interval")
    critical = None
    low, high, p_value, _ = welch(arm, base, level)
    if pair.look is not None:
        critical = pair.look.critical(level)
        difference, error = arm.mean - base.mean, math.sqrt(arm.squared_error + base.squared_error)
        low, high = difference - critical * error, difference + critical * error
        p_value = pair.look.p_value(difference / error)
    if critical is not None and math.isinf(critical):
        return Effect(low, high, lift, p_value=p_value, note="earlier looks spent all of the error")
    lift_low, lift_high, note = _lift(arm, base, level, critical)
    return Effect(low, high, lift, lift_low, lift_high, p_value, note)


def _lift(
    arm: Moments, base: Moments, level: float, critical: float | None
) -> tuple[float, float, str]:
    """Return Fieller's limits; where it has none the log ratio's; where neither holds null."""
    if arm.mean == arm.variance == 0:
        return _NAN, _NAN, "every unit of the variant is at zero: no interval of the lift"
    low, high = fieller(arm, base, level, critical)
    if math.isfinite(low):
        return (low, high, "") if base.mean > 0 else (-high, -low, "")
    if arm.mean > 0 and base.mean > 0:
        low, high = log_ratio(arm, base, level, critical)
        if math.isfinite(high):
            return low, high, "control is not told from zero: the lift's interval is by log ratio"
    return _NAN, _NAN, "control is not told from zero: no interval of the lift"


def keeps_margin(pair: Pair, margin: float | None) -> float:
    """Return the one-sided p value that the lift keeps a margin; null without one."""
    return _NAN if margin is None else margin_p_value(*_at(pair, margin), margin)


def is_equivalent(pair: Pair, width: float | None) -> float:
    """Return the p value that the lift lies within plus and minus ``width``; null without one."""
    if width is None:
        return _NAN
    return equivalence_p_value(_at(pair, -width), _at(pair, width))


def _at(pair: Pair, lift: float) -> tuple[float, float]:
    """Return z and the two-sided p value of the test that the lift is exactly that."""
    if not (pair.arm.n and pair.base.n):
        return _NAN, _NAN
    if pair.by_score:
        return rates_margin_test(*_counts(pair), lift)
    if pair.base.mean == 0:
        return _NAN, _NAN
    z, p_value, _ = margin_test(pair.arm, pair.base, lift)
    return z, p_value if pair.look is None else pair.look.p_value(z)


def posterior(arm: Moments, counts: bool, lower_is_better: bool) -> Posterior | None:
    """Return what is known of an arm, the better the greater; None if nothing is.

    Shares of units have Jeffreys' prior Beta(1/2, 1/2), all else a flat one; where less is better
    it is that of the share, or of the mean, turned round.
    """
    if counts and arm.n:
        own = count(arm)
        return beta_posterior(arm.n - own if lower_is_better else own, arm.n)
    if not (arm.n > 1 and arm.variance > 0):
        return None
    return normal_posterior(
        -arm.mean if lower_is_better else arm.mean, math.sqrt(arm.squared_error)
    )
