"""The model's part: each arm's moments become estimates, intervals and p values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from cxlib._intervals import Moments, mean_interval, wilson
from cxlib.experiment.adjust import adjusted, adjusted_levels
from cxlib.experiment.bayes import chance_best, chance_to_beat, expected_loss
from cxlib.experiment.effects import (
    Pair,
    count,
    effect,
    is_equivalent,
    keeps_margin,
    posterior,
)
from cxlib.experiment.estimate import NOTHING, estimate, observed
from cxlib.experiment.metrics import Metric
from cxlib.experiment.rule import Rule
from cxlib.experiment.samples import Reduced, Segment

_NAN = math.nan
INTERVALS = {
    "ci_low": "adjusted_low",
    "ci_high": "adjusted_high",
    "lift_low": "lift_adjusted_low",
    "lift_high": "lift_adjusted_high",
}
ORDER = [
    *("metric", "kind", "role", "better", "variant", "n", "n_control", "value", "value_control"),
    *("difference", "ci_low", "ci_high", "lift", "lift_low", "lift_high", "p_value"),
    *("p_adjusted", *INTERVALS.values(), "margin", "p_margin", "p_equivalence"),
    *("chance_to_beat", "expected_loss", "chance_best", "method", "note"),
]


def compare(
    reduced: Reduced,
    metrics: Sequence[Metric],
    control: str,
    variants: Sequence[str],
    rule: Rule,
    segment: Segment | None = None,
) -> pd.DataFrame:
    """Return one row per metric and treatment; see `cxlib.experiment` for the columns.

    P values are adjusted over all rows but those of guardrails that have a margin.
    """
    rows: list[dict[str, Any]] = []
    pairs: list[Pair] = []
    for place, metric in enumerate(metrics):
        for row, pair in _of_metric(reduced, metric, place, control, variants, rule, segment):
            rows.append(row)
            pairs.append(pair)
    alone = [row["role"] == "guardrail" and row["margin"] == row["margin"] for row in rows]
    family = [math.nan if own else row["p_value"] for own, row in zip(alone, rows, strict=True)]
    in_family = adjusted(family, rule.adjust)
    levels = adjusted_levels(family, in_family, rule.alpha)
    for at, (row, pair) in enumerate(zip(rows, pairs, strict=True)):
        row["p_adjusted"] = row["p_value"] if alone[at] else float(in_family[at])
        same = not 0 < levels[at] < rule.alpha
        wide = row if same else effect(pair, float(levels[at]))._asdict()
        row |= {as_adjusted: wide[name] for name, as_adjusted in INTERVALS.items()}
        if wide["note"] and not row["note"]:
            row["note"] = f"adjusted for many metrics: {wide['note']}"
    return pd.DataFrame(rows, columns=ORDER)


def _of_metric(
    reduced: Reduced,
    metric: Metric,
    place: int,
    control: str,
    variants: Sequence[str],
    rule: Rule,
    segment: Segment | None,
) -> list[tuple[dict[str, Any], Pair]]:
    found = estimate(reduced, metric, place, segment)
    arms = {variant: found.arms.get(variant, NOTHING) for variant in variants}
    counts = counts_of(reduced, metric, place)
    best = _chances(arms, counts, metric.lower_is_better)
    everyone = sum(arm.n for arm in arms.values())
    base, rows = arms[control], []
    for variant in variants:
        if variant == control:
            continue
        arm = arms[variant]
        pair = Pair(arm, base, counts, rule.look(arm.n + base.n, everyone))
        row = {
            "metric": metric.label,
            "kind": metric.kind,
            "role": metric.role,
            "better": "lower" if metric.lower_is_better else "higher",
            "variant": variant,
            "n": int(arm.n),
            "n_control": int(base.n),
            "value": arm.mean,
            "value_control": base.mean,
            "difference": arm.mean - base.mean,
            **effect(pair, rule.alpha)._asdict(),
            "margin": _NAN if metric.margin is None else metric.margin,
            "p_margin": keeps_margin(pair, metric.margin),
            "p_equivalence": is_equivalent(pair, metric.equivalence),
            **_bayes(pair, metric.lower_is_better, best.get(variant) if len(arms) == 2 else None),
            "chance_best": best.get(variant, _NAN),
            "method": _method(pair, found.method, rule),
        }
        rows.append((row, pair))
    return rows


def _method(pair: Pair, method: str, rule: Rule) -> str:
    words = "score" if pair.by_score else "normal" if pair.counts else method
    names = {"group": f"group-sequential, {rule.spending}", "always": "always valid"}
    return words if rule.sequential is None else f"{words}; {names[rule.sequential]}"


def _bayes(pair: Pair, lower_is_better: bool, best_of_two: float | None) -> dict[str, float]:
    own, other = (posterior(arm, pair.counts, lower_is_better) for arm in (pair.arm, pair.base))
    if own is None or other is None:
        return {"chance_to_beat": _NAN, "expected_loss": _NAN}
    beats = chance_to_beat(own, other) if best_of_two is None else best_of_two
    return {
        "chance_to_beat": beats,
        "expected_loss": expected_loss(own, other),
    }


def _chances(arms: Mapping[str, Moments], counts: bool, lower_is_better: bool) -> dict[str, float]:
    """Return each variant's chance to be the best; empty where one of them is not known."""
    known = {name: posterior(arm, counts, lower_is_better) for name, arm in arms.items()}
    posteriors = [one for one in known.values() if one is not None]
    if len(posteriors) < len(known):
        return {}
    return dict(zip(known, chance_best(posteriors).tolist(), strict=True))


def split(reduced: Reduced, planned: Mapping[str, float], alpha: float) -> pd.DataFrame:
    """Return one row per variant: its units, their share with Wilson's interval, and the planned one."""
    n_units = [reduced.units.get(variant, 0) for variant in planned]
    share, low, high = wilson(n_units, sum(n_units), alpha)
    columns = {"n_units": n_units, "share": share, "ci_low": low, "ci_high": high}
    return pd.DataFrame(
        {"variant": list(planned), **columns, "planned_share": list(planned.values())}
    )


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
                _, low, high = wilson(count(arm) if arm.n else _NAN, arm.n, alpha)
                interval = float(low), float(high)
            else:
                interval = mean_interval(arm, alpha)
            left_out = reduced.units.get(variant, 0) - int(arm.n)
            row = (metric.label, metric.kind, variant, int(arm.n), left_out, arm.mean, *interval)
            rows.append(row)
    columns = ["metric", "kind", "variant", "n", "n_left_out", "value", "ci_low", "ci_high"]
    return pd.DataFrame(rows, columns=columns)
