"""Whether the numbers can be trusted at all: looked at before any effect is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib._checks import DataError, ParameterError, check_number, listed, suggest
from cxlib._intervals import sample_ratio
from cxlib.experiment.exposed import Log
from cxlib.experiment.metrics import Metric
from cxlib.experiment.rule import Rule
from cxlib.experiment.samples import Reduced
from cxlib.experiment.sequential import sequential_sample_ratio

SAMPLE_RATIO_P = 0.001
MOST_MIXED = 0.01
FEWEST_UNITS = 30


class Check(NamedTuple):
    """One check: what it looked at, how it came out, and why."""

    check: str
    passed: bool
    p_value: float
    detail: str


def check_variants(
    observed: Sequence[str], control: str, shares: Mapping[str, float] | None
) -> dict[str, float]:
    """Return every variant's planned share, control first.

    A variant that was planned but that nobody saw stays in, as an empty arm.
    """
    if control not in observed:
        raise ParameterError(
            f"control={control!r} is not among the variants {listed(observed)}."
            f"{suggest(control, observed)}"
        )
    if shares is None:
        shares = {variant: 1 / len(observed) for variant in observed}
    planned = {
        str(variant): check_number("shares", share, 0, 1, open_low=True)
        for variant, share in shares.items()
    }
    if unplanned := [variant for variant in observed if variant not in planned]:
        raise ParameterError(
            f"shares: no share for {listed(map(repr, unplanned))}; give one for each variant that was "
            f"seen ({listed(observed)}).{suggest(unplanned[0], planned)}"
        )
    if len(planned) < 2:
        raise DataError(
            f"exposures: one variant only ({observed[0]!r}); there is nothing to compare"
        )
    if abs((total := sum(planned.values())) - 1) > 1e-6:
        raise ParameterError(f"shares: they sum to {total:g}, not to 1; give the planned fractions")
    treatments = sorted(variant for variant in planned if variant != control)
    return {variant: planned[variant] for variant in (control, *treatments)}


def run_checks(
    reduced: Reduced,
    metrics: Sequence[Metric],
    planned: Mapping[str, float],
    logs: Mapping[str, Log] | None,
    rule: Rule,
    as_of: dt.date | None,
) -> pd.DataFrame:
    """Return one row per check, failed ones first; ``logs`` is None on a table of units."""
    checks = [_sample_ratio(reduced, planned, rule), _enough_units(reduced, metrics, planned)]
    checks += _looking_early(reduced, rule, as_of)
    checks += [*_earlier(reduced, planned), *_alike_before(reduced, metrics, planned)]
    if logs is not None:
        checks += [_one_variant_each(reduced), _repeats(reduced)]
        checks += _windows(reduced, metrics, planned)
        checks += _events_found(reduced, metrics, planned, logs)
    elif reduced.folded:
        checks += [_one_variant_each(reduced, "units"), _unit_of_analysis(reduced)]
    checks.sort(key=lambda check: check.passed)
    return pd.DataFrame(checks, columns=Check._fields)


def _sample_ratio(reduced: Reduced, planned: Mapping[str, float], rule: Rule) -> Check:
    """Test the split once; or, where one looks again and again, by a test that allows for it."""
    counts = [reduced.units.get(variant, 0) for variant in planned]
    test = sample_ratio if rule.sequential is None else sequential_sample_ratio
    p_value = test(counts, list(planned.values())) if sum(counts) else float("nan")
    seen = ", ".join(f"{variant} {count:,}" for variant, count in zip(planned, counts, strict=True))
    shares = " : ".join(f"{share:.1%}" for share in planned.values())
    detail = f"{seen} against the planned {shares} (p = {p_value:.2g})"
    return Check("sample ratio", p_value >= SAMPLE_RATIO_P, p_value, detail)


def _enough_units(
    reduced: Reduced, metrics: Sequence[Metric], planned: Mapping[str, float]
) -> Check:
    sizes = {
        (reduced.sample(place, variant).n, variant, metric.label)
        for place, metric in enumerate(metrics)
        for variant in planned
    }
    n, variant, label = min(sizes)
    detail = (
        f"the fewest are {n:,.0f}, in {variant} for {label}; at least {FEWEST_UNITS} are needed"
    )
    return Check("units in each arm", n >= FEWEST_UNITS, float("nan"), detail)


def _looking_early(reduced: Reduced, rule: Rule, as_of: dt.date | None) -> list[Check]:
    """Fail a single look that comes before its planned end."""
    if rule.planned_units is None and rule.planned_end is None:
        return []
    n_units = sum(reduced.units.values())
    early = rule.is_early(n_units, as_of)
    seen = [
        *(
            [f"{n_units:,} of {rule.planned_units:,.0f} planned units"]
            if rule.planned_units
            else []
        ),
        *([f"day {as_of} of a plan up to {rule.planned_end}"] if rule.planned_end else []),
    ]
    detail = f"{', '.join(seen)}; "
    if rule.sequential is not None:
        detail += "the sequential intervals and p values allow for looking early"
    elif early:
        detail += (
            "looking before the planned end, and stopping at a good moment, inflates the error far "
            "past alpha: wait, or ask with sequential='group' or 'always'"
        )
    else:
        detail += "the planned end is reached"
    return [Check("planned end", not early or rule.sequential is not None, float("nan"), detail)]


def _earlier(reduced: Reduced, planned: Mapping[str, float]) -> list[Check]:
    """Compare how many units had orders or events before exposure: no variant can have made them."""
    from scipy.stats import chi2_contingency

    counts = {name: (reduced.earlier.get(name, 0), reduced.units.get(name, 0)) for name in planned}
    before, seen = (sum(numbers) for numbers in zip(*counts.values(), strict=True))
    if not reduced.earlier or not seen:
        return []
    detail = (
        f"{before:,} of {seen:,} users did something before first exposure, which does not count"
    )
    p_value = 1.0
    if 0 < before < seen and all(n for _, n in counts.values()):
        table = [[own, n - own] for own, n in counts.values()]
        p_value = float(chi2_contingency(table, correction=False).pvalue)
        shares = ", ".join(f"{name} {own / n:.1%}" for name, (own, n) in counts.items())
        detail += f": {shares} (p = {p_value:.2g})"
    return [Check("outcomes before exposure", p_value >= SAMPLE_RATIO_P, p_value, detail)]


def _alike_before(
    reduced: Reduced, metrics: Sequence[Metric], planned: Mapping[str, float]
) -> list[Check]:
    """Compare the arms' covariates: before exposure nothing can have made a difference.

    A weighted sum of squared distances from the common mean, chi-square with as many degrees of
    freedom as there are treatments.
    """
    from scipy.stats import chi2

    checks = []
    for place, metric in enumerate(metrics):
        after, before = reduced.layouts[place]
        arms = [reduced.sample(place, variant) for variant in planned]
        if not before or min(arm.n for arm in arms) < 2:
            continue
        means = np.array([arm.mean[after] for arm in arms])
        squared = np.array([arm.covariance[after, after] / arm.n for arm in arms])
        if not (squared > 0).all():
            continue
        away = means - np.average(means, weights=1 / squared)
        p_value = float(chi2.sf(np.sum(away**2 / squared), len(arms) - 1))
        shown = ", ".join(f"{name} {mean:.4g}" for name, mean in zip(planned, means, strict=True))
        detail = f"{metric.label} before exposure: {shown} (p = {p_value:.2g})"
        checks.append(Check("alike before", p_value >= SAMPLE_RATIO_P, p_value, detail))
    return checks


def _one_variant_each(reduced: Reduced, what: str = "users") -> Check:
    users = sum(reduced.units.values()) + reduced.mixed
    share = reduced.mixed / users
    detail = (
        f"{reduced.mixed:,} of {users:,} {what} ({share:.2%}) saw several variants and are left out"
    )
    return Check(f"one variant for each {what[:-1]}", share <= MOST_MIXED, float("nan"), detail)


def _unit_of_analysis(reduced: Reduced) -> Check:
    users = sum(reduced.units.values()) + reduced.mixed
    detail = (
        f"{reduced.rows:,} rows of {users:,} randomised units: a mean of rows is computed as the ratio "
        "of the units' sums to their numbers of rows, its error by the delta method over units"
    )
    return Check("unit of analysis", True, float("nan"), detail)


def _repeats(reduced: Reduced) -> Check:
    repeats = reduced.rows - sum(reduced.units.values()) - reduced.mixed
    detail = f"{repeats:,} of {reduced.rows:,} exposures repeat a user's; the first one counts"
    return Check("repeated exposures", True, float("nan"), detail)


def _windows(
    reduced: Reduced, metrics: Sequence[Metric], planned: Mapping[str, float]
) -> list[Check]:
    users = sum(reduced.units.values())
    alike: dict[tuple[str, float], list[str]] = {}
    for place, metric in enumerate(metrics):
        if metric.within is not None:
            over = sum(reduced.sample(place, variant).n for variant in planned)
            alike.setdefault((str(metric.within), over), []).append(metric.label)
    return [
        Check(
            "windows over",
            over > 0,
            float("nan"),
            f"{users - over:,.0f} of {users:,} users are left out of {listed(labels)}: "
            f"their {within} are not over",
        )
        for (within, over), labels in alike.items()
    ]


def _events_found(
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
