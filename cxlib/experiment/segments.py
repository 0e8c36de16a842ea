"""Is the effect the same everywhere? Each segment's own, and a test that they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from cxlib._intervals import heterogeneity
from cxlib.experiment.adjust import adjusted
from cxlib.experiment.compare import compare
from cxlib.experiment.estimate import NOTHING, estimate
from cxlib.experiment.metrics import Metric
from cxlib.experiment.rule import Rule
from cxlib.experiment.samples import Reduced

SHOWN = [
    *("metric", "role", "variant", "column", "segment", "n", "n_control", "value", "value_control"),
    *("difference", "ci_low", "ci_high", "lift", "lift_low", "lift_high", "p_value"),
    *("p_interaction", "p_interaction_adjusted", "note"),
]


def by_segment(
    reduced: Reduced, metrics: Sequence[Metric], control: str, variants: Sequence[str], rule: Rule
) -> pd.DataFrame | None:
    """Return one row per metric, treatment and segment of each column of ``by``; None without.

    Looks once, at ``rule.alpha`` for each row; the interaction's p values are adjusted over all
    metrics, treatments and columns.
    """
    if not reduced.by:
        return None
    plain = replace(rule, adjust=None, sequential=None)
    parts = [
        compare(reduced, metrics, control, variants, plain, segment).assign(
            column=column, segment=segment[1]
        )
        for column in reduced.by
        for segment in reduced.segments(column)
    ]
    table = pd.concat(parts, ignore_index=True)
    tests = [
        (
            metric.label,
            variant,
            column,
            interaction(reduced, metric, place, control, variant, column),
        )
        for place, metric in enumerate(metrics)
        for variant in variants
        if variant != control
        for column in reduced.by
    ]
    key = ["metric", "variant", "column"]
    found = pd.DataFrame(tests, columns=[*key, "p_interaction"])
    found["p_interaction_adjusted"] = adjusted(found["p_interaction"], rule.adjust)
    places = {metric.label: place for place, metric in enumerate(metrics)}
    table = table.merge(found, on=key).assign(_place=lambda rows: rows["metric"].map(places))
    order = ["_place", "variant", "column", "segment"]
    return table.sort_values(order, kind="stable", ignore_index=True)[SHOWN]


def interaction(
    reduced: Reduced, metric: Metric, place: int, control: str, variant: str, column: str
) -> float:
    """Return the p value that the difference is the same in all segments; null below two."""
    found = []
    for segment in reduced.segments(column):
        arms = estimate(reduced, metric, place, segment).arms
        one, base = arms.get(variant, NOTHING), arms.get(control, NOTHING)
        if min(one.n, base.n) > 1 and (squared := one.squared_error + base.squared_error) > 0:
            found.append((one.mean - base.mean, squared))
    return heterogeneity(*zip(*found, strict=True)) if len(found) > 1 else float("nan")
