"""What units did before and after exposure, and whether that can be trusted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import ibis.expr.types as ir

from cxlib._checks import listed, suggest
from cxlib._intervals import heterogeneity
from cxlib.experiment.exposed import Log
from cxlib.experiment.metrics import Metric
from cxlib.experiment.samples import Reduced

CHANCE = 0.001  # strict, for checks run on every experiment
MOST_SILENT, EXPECTED = 3, 7.0  # days, and rows that they would hold: none has a chance of 0.001
LEAST_SEEN = 7  # days: a shorter log does not tell how often rows come


class Check(NamedTuple):
    """One check: what it looked at, how it came out, and why."""

    check: str
    passed: bool
    p_value: float
    detail: str


def earlier(reduced: Reduced, planned: Mapping[str, float]) -> list[Check]:
    """Compare how many units had orders or events before exposure: no variant can have made them."""
    counts = {name: (reduced.earlier.get(name, 0), reduced.units.get(name, 0)) for name in planned}
    before, seen = (sum(numbers) for numbers in zip(*counts.values(), strict=True))
    if not reduced.earlier or not seen:
        return []
    detail = (
        f"{before:,} of {seen:,} users did something before first exposure, which does not count"
    )
    p_value = 1.0
    if 0 < before < seen and all(n for _, n in counts.values()):
        p_value, shares = _against_chance(counts)
        detail += f": {shares} (p = {p_value:.2g})"
    return [Check("outcomes before exposure", p_value >= CHANCE, p_value, detail)]


def _against_chance(counts: Mapping[str, tuple[float, float]]) -> tuple[float, str]:
    """Return Pearson's p value that all arms have one share, and each arm's share, in words.

    ``counts`` holds so many, of how many, by variant: neither none nor all of them everywhere.
    """
    from scipy.stats import chi2_contingency

    table = [[own, n - own] for own, n in counts.values()]
    words = ", ".join(f"{name} {own / n:.1%}" for name, (own, n) in counts.items())
    return float(chi2_contingency(table, correction=False).pvalue), words


def alike_before(
    reduced: Reduced, metrics: Sequence[Metric], planned: Mapping[str, float]
) -> list[Check]:
    """Compare the arms' covariates: before exposure nothing can have made a difference."""
    checks = []
    for place, metric in enumerate(metrics):
        after, before = reduced.layouts[place]
        arms = [reduced.sample(place, variant) for variant in planned]
        if not before or min(arm.n for arm in arms) < 2:
            continue
        means = [float(arm.mean[after]) for arm in arms]
        squared = [float(arm.covariance[after, after]) / arm.n for arm in arms]
        if not min(squared) > 0:
            continue
        p_value = heterogeneity(means, squared)
        shown = ", ".join(f"{name} {mean:.4g}" for name, mean in zip(planned, means, strict=True))
        detail = f"{metric.label} before exposure: {shown} (p = {p_value:.2g})"
        checks.append(Check("alike before", p_value >= CHANCE, p_value, detail))
    return checks


def events_found(
    reduced: Reduced,
    metrics: Sequence[Metric],
    planned: Mapping[str, float],
    logs: Mapping[str, Log],
) -> list[Check]:
    """Look for a misspelt event wherever nobody did it; else no further query runs."""
    unseen = {
        quantity.event: None
        for place, metric in enumerate(metrics)
        for k, quantity in enumerate(metric.quantities)
        if quantity.source(metric.label, logs) == "events"
        and not any(reduced.sample(place, variant).mean[k] > 0 for variant in planned)
    }
    return [check for event in unseen for check in _event_found(logs["events"][0], event)]


def _event_found(events: ir.Table, event: str) -> list[Check]:
    names = sorted(events.select("event").distinct().limit(1000).execute()["event"])
    if event in names:
        return []
    detail = f"events hold no {event!r}; they hold {listed(names)}.{suggest(event, names)}"
    return [Check("event is known", False, float("nan"), detail)]


def values_in_all_arms(
    reduced: Reduced, metrics: Sequence[Metric], planned: Mapping[str, float]
) -> list[Check]:
    """Compare the shares of units without a value: a metric may not lack more of them in one arm."""
    checks = []
    for place, metric in enumerate(metrics):
        units = {name: reduced.units.get(name, 0) for name in planned}
        lacking = {name: (n - reduced.sample(place, name).n, n) for name, n in units.items()}
        some = 0 < sum(own for own, _ in lacking.values()) < sum(units.values())
        if not some or not all(units.values()):
            continue
        p_value, shares = _against_chance(lacking)
        if p_value < CHANCE:
            detail = f"{metric.label} has no value for {shares} of the units (p = {p_value:.2g})"
            checks.append(Check("values in all arms", False, p_value, detail))
    return checks


def outcomes_found(
    reduced: Reduced, metrics: Sequence[Metric], planned: Mapping[str, float]
) -> list[Check]:
    """Fail where no exposed user did anything at all: ids are written in two ways."""
    did = any(reduced.earlier.values()) or any(
        (reduced.sample(place, name).mean > 0).any()
        for place in range(len(metrics))
        for name in planned
    )
    if did or not sum(reduced.units.values()):
        return []
    detail = (
        "no order or event belongs to an exposed user: is customer_id (of events user_id) written as "
        "user_id of the exposures is?"
    )
    return [Check("outcomes found", False, float("nan"), detail)]


def logs_reach(logs: Mapping[str, Log], as_of: dt.date | None) -> list[Check]:
    """Fail where a log ends long before ``as_of``: what came after it is not zero, but unknown."""
    checks = []
    for name, (rows, contract) in logs.items():
        at = rows[contract.when]
        facts = rows.aggregate(n=rows.count(), first=at.min(), last=at.max())
        n, first, last = facts.to_pandas().iloc[0]
        if as_of is None or not n:
            continue
        silent, seen = (as_of - last.date()).days, (last - first).days
        if silent > MOST_SILENT and seen >= LEAST_SEEN and silent * n / seen > EXPECTED:
            detail = f"{name} end on {last.date()}, {silent} days before as_of={as_of}"
            checks.append(Check("logs reach as_of", False, float("nan"), detail))
    return checks
