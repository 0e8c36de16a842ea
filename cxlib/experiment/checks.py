"""Whether the numbers can be trusted at all: looked at before any effect is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import pandas as pd

from cxlib._checks import DataError, ParameterError, check_number, listed, suggest
from cxlib._intervals import sample_ratio
from cxlib.experiment.exposed import Log
from cxlib.experiment.metrics import Metric
from cxlib.experiment.outcomes import (
    CHANCE,
    Check,
    alike_before,
    earlier,
    events_found,
    logs_reach,
    outcomes_found,
    values_in_all_arms,
)
from cxlib.experiment.rule import Rule
from cxlib.experiment.samples import Reduced
from cxlib.experiment.sequential import sequential_sample_ratio

MOST_MIXED = 0.01
FEWEST_UNITS = 30


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
    checks += [
        *_looking_early(reduced, metrics, rule, as_of),
        *earlier(reduced, planned),
        *alike_before(reduced, metrics, planned),
        *values_in_all_arms(reduced, metrics, planned),
    ]
    if logs is not None:
        checks += [_one_variant_each(reduced), _repeats(reduced)]
        checks += _windows(reduced, metrics, planned)
        unknown = events_found(reduced, metrics, planned, logs)
        checks += unknown or outcomes_found(reduced, metrics, planned)
        checks += logs_reach(logs, as_of)
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
    return Check("sample ratio", p_value >= CHANCE, p_value, detail)


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


def n_finished(reduced: Reduced, metrics: Sequence[Metric]) -> int:
    """Return the units whose windows are over, for the primary metric that has fewest."""
    return min(
        int(sum(sample.n for sample in reduced.samples(place).values()))
        for place, metric in enumerate(metrics)
        if metric.role == "primary"
    )


def _looking_early(
    reduced: Reduced, metrics: Sequence[Metric], rule: Rule, as_of: dt.date | None
) -> list[Check]:
    """Fail a single look that comes before its planned end."""
    if not rule.is_planned:
        return []
    n_units = n_finished(reduced, metrics)
    early = rule.is_early(n_units, as_of)
    seen = [
        *(
            [f"{n_units:,} of {rule.planned_units:,.0f} planned units"]
            if rule.planned_units
            else []
        ),
        *([f"{as_of or 'no day'} of a plan up to {rule.planned_end}"] if rule.planned_end else []),
    ]
    detail = f"{', '.join(seen)}; "
    if rule.sequential is not None and early:
        detail += "the sequential intervals and p values allow for looking early"
    elif early:
        detail += (
            "looking before the planned end, and stopping at a good moment, inflates the error far "
            "past alpha: wait, or ask with sequential='group' or 'always'"
        )
    else:
        detail += "the planned end is reached"
    return [Check("planned end", not early or rule.sequential is not None, float("nan"), detail)]


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
