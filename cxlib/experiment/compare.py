"""The model's part: each arm's moments become estimates, intervals and p values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from cxlib._intervals import (
    Moments,
    fieller,
    holm,
    log_ratio,
    mean_interval,
    rates_difference,
    rates_p_value,
    rates_ratio,
    welch,
    wilson,
)
from cxlib.experiment.estimate import NOTHING, estimate, observed
from cxlib.experiment.metrics import Metric
from cxlib.experiment.samples import Reduced

_NAN = math.nan


class Effect(NamedTuple):
    """One treatment against control: an unknown number is null, and ``note`` says why."""

    ci_low: float = _NAN
    ci_high: float = _NAN
    lift: float = _NAN
    lift_low: float = _NAN
    lift_high: float = _NAN
    p_value: float = _NAN
    note: str = ""


def compare(
    reduced: Reduced, metrics: Sequence[Metric], control: str, variants: Sequence[str], alpha: float
) -> pd.DataFrame:
    """Return one row per metric and treatment, Holm-adjusted over all rows."""
    rows: list[dict[str, Any]] = []
    for place, metric in enumerate(metrics):
        found = estimate(reduced, metric, place)
        base = found.arms.get(control, NOTHING)
        for variant in variants:
            if variant == control:
                continue
            arm = found.arms.get(variant, NOTHING)
            counts = counts_of(reduced, metric, place)
            row = {
                "metric": metric.label,
                "kind": metric.kind,
                "role": metric.role,
                "variant": variant,
                "n": int(arm.n),
                "n_control": int(base.n),
                "value": arm.mean,
                "value_control": base.mean,
                "difference": arm.mean - base.mean,
            }
            row |= _effect(arm, base, counts, alpha)._asdict()
            rows.append(row | {"method": "score" if counts else found.method})
    table = pd.DataFrame(rows)
    table["p_adjusted"] = holm(table["p_value"])
    return table[[*table.columns.drop(["method", "note"]), "method", "note"]]


def counts_of(reduced: Reduced, metric: Metric, place: int) -> bool:
    """Whether the metric is a plain share of units, which score tests and intervals suit."""
    plain_share = metric.kind == "proportion" and sum(reduced.layouts[place]) == 1
    return plain_share and reduced.stratify is None


def arms(
    reduced: Reduced, metrics: Sequence[Metric], variants: Sequence[str], alpha: float
) -> pd.DataFrame:
    """Return one row per metric and variant, control included, as observed: nothing is adjusted."""
    rows = []
    for place, metric in enumerate(metrics):
        for variant in variants:
            arm = observed(reduced, metric, place, variant)
            if metric.kind == "proportion" and reduced.layouts[place].after == 1:
                _, low, high = wilson(_count(arm) if arm.n else _NAN, arm.n, alpha)
                interval = float(low), float(high)
            else:
                interval = mean_interval(arm, alpha)
            left_out = reduced.units.get(variant, 0) - int(arm.n)
            row = (metric.label, metric.kind, variant, int(arm.n), left_out, arm.mean, *interval)
            rows.append(row)
    columns = ["metric", "kind", "variant", "n", "n_left_out", "value", "ci_low", "ci_high"]
    return pd.DataFrame(rows, columns=columns)


def _effect(arm: Moments, base: Moments, counts: bool, alpha: float) -> Effect:
    if not (arm.n and base.n):
        return Effect(note="an arm has no units yet")
    return _rates(arm, base, alpha) if counts else _means(arm, base, alpha)


def _count(arm: Moments) -> int:
    return round(arm.mean * arm.n)


def _rates(arm: Moments, base: Moments, alpha: float) -> Effect:
    counts = (_count(arm), arm.n, _count(base), base.n)
    low, high = rates_difference(*counts, alpha)
    lift_low, lift_high = (limit - 1 for limit in rates_ratio(*counts, alpha))
    effect = Effect(low, high, p_value=rates_p_value(*counts))
    if _count(base):
        return effect._replace(
            lift=arm.mean / base.mean - 1, lift_low=lift_low, lift_high=lift_high
        )
    if _count(arm):
        note = "no conversions in control: the lift has a lower limit only"
        return effect._replace(lift_low=lift_low, note=note)
    return effect._replace(note="no conversions at all: the lift is undefined")


def _means(arm: Moments, base: Moments, alpha: float) -> Effect:
    lift = (arm.mean - base.mean) / abs(base.mean) if base.mean else _NAN
    if min(arm.n, base.n) < 2:
        return Effect(lift=lift, note="an arm has one unit: no variance, no interval")
    if arm.variance == base.variance == 0:
        return Effect(lift=lift, note="no variance in either arm: no interval")
    low, high, p_value, _ = welch(arm, base, alpha)
    lift_low, lift_high, note = _lift_of_means(arm, base, alpha)
    return Effect(low, high, lift, lift_low, lift_high, p_value, note)


def _lift_of_means(arm: Moments, base: Moments, alpha: float) -> tuple[float, float, str]:
    """Return Fieller's limits; where it has none the log ratio's; where neither holds null."""
    if arm.mean == arm.variance == 0:
        return _NAN, _NAN, "every unit of the variant is at zero: no interval of the lift"
    low, high = fieller(arm, base, alpha)
    if math.isfinite(low):
        return (low, high, "") if base.mean > 0 else (-high, -low, "")
    if arm.mean > 0 and base.mean > 0:
        why = "control is not told from zero: the lift's interval is by log ratio"
        return *log_ratio(arm, base, alpha), why
    return _NAN, _NAN, "control is not told from zero: no interval of the lift"
