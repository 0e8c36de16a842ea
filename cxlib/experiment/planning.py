"""How long an experiment must run, and what it can show: asked before it starts."""

from __future__ import annotations

import datetime as dt
import math
import numbers
from collections.abc import Mapping, Sequence
from typing import cast

from cxlib._checks import ParameterError, check_choice, check_number
from cxlib.experiment.baseline import Given, known_baseline
from cxlib.experiment.metrics import Metric, check_metrics
from cxlib.experiment.plan import ExperimentPlan, make_plan
from cxlib.experiment.power import (
    NULLS,
    Baseline,
    Design,
    detectable,
    fewest_units,
    power_of,
    units_needed,
)
from cxlib.sources import Source

__all__ = ["ExperimentPlan", "plan_experiment"]

USUAL_POWER = 0.8


def plan_experiment(
    metric: Metric,
    baseline: Given,
    *,
    mde: float | None = None,
    mde_absolute: float | None = None,
    power: float | None = None,
    n_units: float | None = None,
    days: float | None = None,
    alpha: float = 0.05,
    variants: int = 2,
    share: float | Sequence[float] | Mapping[str, float] | None = None,
    n_metrics: int = 1,
    adjust: str | None = "holm",
    units_per_day: float | None = None,
    correlation: float | None = None,
    null: str = "pooled",
    orders: Source | None = None,
    events: Source | None = None,
    start: str | dt.date | None = None,
    as_of: str | dt.date | None = None,
) -> ExperimentPlan:
    """Plan an experiment: of effect, units (or days) and power give two, and get the third.

    Parameters
    ----------
    metric : Conversion, Mean, Ratio or Quantile
        What the decision hangs on. Its ``within`` and ``before`` (CUPED) count where the baseline
        is read from a table.
    baseline : number, dict or table
        What control does today. A conversion's rate; ``{"mean": 40, "sd": 95}`` of a mean (or of
        any other metric: the sd per unit, such that sd / sqrt(n) is the standard error);
        ``{"numerator": (mean, sd), "denominator": (mean, sd), "correlation": r}`` per unit, of a
        ratio. Or history, from which all this and the traffic are taken: orders (units are
        customers), events or exposures (units are users), or one row per unit with the metric's
        columns.
    mde : float, optional
        Least lift to be detected, relative: 0.05 is five per cent up, -0.05 down.
    mde_absolute : float, optional
        The same as a difference in the metric's own unit; give one of the two.
    power : float, optional
        Chance to find an effect of that size. 0.8 where only one of effect and units is given.
    n_units : float, optional
        Units of all variants together.
    days : float, optional
        The same as days at ``units_per_day``; give one of the two.
    alpha : float, default 0.05
        Two-sided chance of a false alarm, of all comparisons together.
    variants : int, default 2
        Number of variants, control included, in equal shares.
    share : float, list or dict, optional
        Unequal shares: the treatment's fraction of all units, or each variant's, control first.
    n_metrics : int, default 1
        Number of metrics whose p values are adjusted together.
    adjust : "holm", "bh" or None, default "holm"
        How `cxlib.experiment` will adjust. The plan holds every comparison to the strictest
        step of Holm and of Benjamini–Hochberg, alpha / (treatments * ``n_metrics``), so it is
        kept also where one treatment alone works. None: each comparison at alpha.
    units_per_day : float, optional
        New units a day that enter. Read from history, if not given.
    correlation : float, optional
        Of the metric with itself before the experiment: CUPED saves its square of the variance.
        Measured on history where the metric has ``before=``.
    null : "pooled", "control" or "unpooled", default "pooled"
        Error of a proportion under "no effect"; see Notes.
    orders, events : table, optional
        What the units of history did, as in `cxlib.experiment`; history itself, where it is
        orders or events.
    start : str or date, optional
        The first day on which units of history enter; what they did before it is for ``before=``.
        By default as soon as the ``before`` of the metric is full.
    as_of : str or date, optional
        The last observed day of history, included. Needed unless history has one row per unit.

    Returns
    -------
    ExperimentPlan
        ``.table``, one row: ``metric``, ``kind``, ``baseline``, ``variance`` (per unit, before
        CUPED), ``saving`` (fraction of it that CUPED takes), ``lift``, ``difference``,
        ``target`` (baseline + difference), ``power`` (for the smallest treatment), ``alpha``,
        ``alpha_each`` (of one comparison), ``n_units``, ``n_control``, ``n_treatment`` (the
        smallest), ``units_per_day``, ``days`` (of entering), ``days_after`` (until the window of
        who entered last is over), ``note``. Numbers are not rounded, so that each answer leads
        back to what was given; the sentence rounds units up.
        ``.arms``, one row per variant: ``variant``, ``share``, ``n_units``.
        ``.curve``, one row per ``n_units`` (half of the plan's, the plan's, double) and ``lift``
        (from 0 to double the plan's): ``difference``, ``power``, ``is_plan``.
        ``.verdict``, one sentence.

    Raises
    ------
    ParameterError
        Effect, units and power are all given, or neither effect nor units; a rate of 0 or 1, an
        effect of 0, a power at or below alpha, an effect beyond a rate's 0 and 1; shares that do
        not sum to 1; days without traffic; a baseline that lacks its sd.
    ColumnError
        The table lacks the metric's column, or it is not numeric.
    DataError
        History in which nobody converts, everybody does, or nothing varies.

    See Also
    --------
    cxlib.plot.power_curve

    Notes
    -----
    Proportions: the power of the score test that `cxlib.experiment` runs on them, with the
    pooled error under "no effect" and the unpooled one under the effect (Fleiss, Levin & Paik
    2003, ch. 4), as R's ``power.prop.test`` and Stata's ``power twoproportions`` have it. Evan
    Miller's calculator takes the control's rate on both sides under "no effect"
    (``null="control"``) and asks for fewer units where rates below a half rise. Everything
    else, proportions with CUPED too: Welch's test, by the non-central t (Cohen 1988, ch. 2),
    both arms with the variance of the baseline (a proportion's with its own rate); ratios by
    the delta method. CUPED leaves 1 - correlation^2 of the variance (Deng et al. 2013, WSDM).
    Fewer than two units in an arm are never planned.

    Traffic is the number of units that history met from ``start`` through ``as_of``, over its
    days. Where many of them return, a longer experiment meets fewer new ones a day: take a
    history about as long as the experiment.

    Examples
    --------
    >>> import cxlib as cx
    >>> plan = cx.plan_experiment(cx.Conversion("purchase"), 0.05, mde_absolute=0.01,
    ...                           units_per_day=1200)
    >>> print(plan.verdict)
    16,316 units (8,158 in each variant) detect a lift of +20% in purchase, from 5% to 6%,
    with 80% power at alpha 0.05: 14 days at 1,200 units a day.
    >>> same = cx.plan_experiment(cx.Conversion("purchase"), 0.05, n_units=16316, power=0.8)
    >>> round(float(same.table["difference"].iloc[0]), 6)
    0.01
    """
    (metric,) = check_metrics([metric])
    check_number("alpha", alpha, 0, 0.5, open_low=True)
    shares = _shares(variants, share)
    each = alpha / ((len(shares) - 1) * _whole("n_metrics", n_metrics, 1) if adjust else 1)
    check_choice("adjust", adjust, ["holm", "bh", None])
    control, *treatments = shares.values()
    design = Design(min(treatments), control, each, check_choice("null", null, NULLS))
    history = {"orders": orders, "events": events, "start": start, "as_of": as_of}
    known = known_baseline(metric, baseline, correlation, history)
    traffic = known.units_per_day
    if units_per_day is not None:
        traffic = check_number("units_per_day", units_per_day, 0, open_low=True)
    difference = _difference(known.base, mde, mde_absolute)
    size = _size(n_units, days, traffic, design)
    solved = _solve(known.base, difference, size, power, design)
    return make_plan(metric, known, traffic, alpha, shares, design, *solved)


def _whole(name: str, value: int, low: int) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < low:
        raise ParameterError(f"{name}={value!r} is not a whole number from {low} on")
    return int(value)


def _shares(
    variants: int, share: float | Sequence[float] | Mapping[str, float] | None
) -> dict[str, float]:
    """Return the share of every variant, control first."""
    number = _whole("variants", variants, 2)
    if share is None:
        share = [1 / number] * number
    if isinstance(share, numbers.Real):
        if number != 2:
            raise ParameterError(
                f"share={share!r} is for one treatment; for {number} variants give a list of shares, "
                "control first"
            )
        treatment = check_number("share", float(share), 0, 1, open_low=True)
        share = [1 - treatment, treatment]
    if not isinstance(share, Mapping):
        parts = list(cast(Sequence[float], share))
        treatments = [f"treatment {place}" for place in range(1, len(parts))]
        names = ["control", *(treatments if len(treatments) > 1 else ["treatment"])]
        share = dict(zip(names, parts, strict=False))
    if number not in (2, len(share)) or len(share) < 2:
        raise ParameterError(f"share: {len(share)} shares for {number} variants; give one for each")
    shares = {
        str(name): check_number("share", part, 0, 1, open_low=True) for name, part in share.items()
    }
    if abs((total := sum(shares.values())) - 1) > 1e-6:
        raise ParameterError(f"share: they sum to {total:g}, not to 1; give the planned fractions")
    return shares


def _difference(base: Baseline, mde: float | None, mde_absolute: float | None) -> float | None:
    if mde is None and mde_absolute is None:
        return None
    if mde is not None and mde_absolute is not None:
        raise ParameterError("mde= and mde_absolute= say the same thing; give one of them")
    if mde is not None and not base.mean:
        raise ParameterError("mde= is relative, and the baseline is 0: give mde_absolute=")
    if mde_absolute is not None:
        name, difference = "mde_absolute", check_number("mde_absolute", mde_absolute)
    else:
        assert mde is not None
        name, difference = "mde", check_number("mde", mde) * abs(base.mean)
    if difference == 0:
        raise ParameterError(f"{name}=0: no number of units tells nothing from nothing; give more")
    if base.is_proportion and not 0 <= (target := base.mean + difference) <= 1:
        given = mde if mde is not None else mde_absolute
        raise ParameterError(
            f"{name}={given!r} would take the rate from {base.mean:g} to {target:g}, out of 0 to 1; "
            "mde= is relative (0.05 is five per cent up), mde_absolute= in the metric's unit"
        )
    return difference


def _size(
    n_units: float | None, days: float | None, traffic: float | None, design: Design
) -> float | None:
    if n_units is not None and days is not None:
        raise ParameterError("n_units= and days= say the same thing; give one of them")
    if days is not None:
        if traffic is None:
            raise ParameterError("days= needs units_per_day=, or a baseline read from dated rows")
        n_units = check_number("days", days, 0, open_low=True) * traffic
    if n_units is None:
        return None
    check_number("n_units", n_units, 0, open_low=True)
    if n_units < (fewest := fewest_units(design)):
        raise ParameterError(
            f"{n_units:,.4g} units leave fewer than two in an arm; give at least {math.ceil(fewest)}"
        )
    return n_units


def _solve(
    base: Baseline,
    difference: float | None,
    n_units: float | None,
    power: float | None,
    design: Design,
) -> tuple[float, float, float]:
    """Return difference, units and power, of which one was missing."""
    if power is not None and not design.alpha < check_number("power", power) < 1:
        raise ParameterError(
            f"power={power!r} must lie above alpha ({design.alpha:g}, which chance alone "
            "reaches) and below 1; 0.8 and 0.9 are usual"
        )
    if difference is None and n_units is None:
        raise ParameterError(
            "nothing to plan from: give mde= (the least lift worth finding), or n_units= or days="
        )
    if difference is not None and n_units is not None:
        if power is not None:
            raise ParameterError(
                "mde, units and power are all given, and two of them fix the third; leave one away"
            )
        return difference, n_units, power_of(base, difference, n_units, design)
    power = USUAL_POWER if power is None else power
    if difference is not None:
        return difference, units_needed(base, difference, power, design), power
    assert n_units is not None
    return detectable(base, n_units, power, design), n_units, power
