"""What control does today: from a number, from moments, or from history."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple, cast

from cxlib._checks import DataError, ParameterError, check_number, listed, suggest
from cxlib.experiment.estimate import estimate, plain
from cxlib.experiment.history import EVERYONE, read_history
from cxlib.experiment.metrics import Metric
from cxlib.experiment.power import Baseline
from cxlib.experiment.question import reduce
from cxlib.sources import Source

FEWEST_UNITS = 30

Given = float | Mapping[str, Any] | Source
"""A number, moments in a dict, or a table of history."""


class Known(NamedTuple):
    """The baseline, and the traffic where history shows it."""

    base: Baseline
    units_per_day: float | None = None
    note: str = ""


def known_baseline(
    metric: Metric, given: Given, correlation: float | None, history: Mapping[str, Any]
) -> Known:
    """Return what control does, per unit; ``correlation`` is CUPED's, if it is given."""
    if not isinstance(given, (numbers.Real, Mapping)):
        return _of_history(metric, given, correlation, history)
    if unused := [name for name, value in history.items() if value is not None]:
        raise ParameterError(
            f"{listed(f'{name}=' for name in unused)}: for a baseline read from a table only"
        )
    known = Known(_of_numbers(metric, cast("float | Mapping[str, Any]", given)))
    if correlation is None and metric.covariate is not None:
        return known._replace(note="no correlation is known: planned without CUPED's saving")
    return known._replace(base=_with_saving(known.base, correlation))


def _with_saving(base: Baseline, correlation: float | None) -> Baseline:
    if correlation is None:
        return base
    saving = check_number("correlation", correlation, -1, 1) ** 2
    if saving == 1:
        raise ParameterError("correlation: of 1 leaves no variance to plan for; give less")
    return replace(base, saving=saving)


def _of_history(
    metric: Metric, data: Source, correlation: float | None, history: Mapping[str, Any]
) -> Known:
    """Return what history shows: one reduction of the metric with CUPED and without."""
    if correlation is not None and metric.covariate is not None:
        raise ParameterError(
            f"correlation={correlation!r}: history shows it, for {metric.label} has before=; leave one "
            "of them away"
        )
    past = read_history(data, [metric], **history)
    reduced = reduce(past.units, [metric], past.as_of)
    layout, found = reduced.layouts[0], estimate(reduced, metric, 0).arms[EVERYONE]
    whole = found
    if layout.before:
        whole = plain(reduced.sample(0, EVERYONE), layout)
    n_units = sum(reduced.units.values())
    if found.n < FEWEST_UNITS:
        raise DataError(
            f"baseline: {found.n:,.0f} of {n_units:,} units of history have a value of {metric.label}; "
            f"at least {FEWEST_UNITS} are needed (a window that is not over has none)"
        )
    if not whole.variance > 0:
        raise DataError(
            f"baseline: {metric.label} is {whole.mean:g} for every unit of history; nothing varies, "
            "so there is nothing to plan"
        )
    is_rate = metric.kind == "proportion" and layout.after == 1
    variance = whole.mean * (1 - whole.mean) if is_rate else whole.variance
    base = Baseline(is_rate, whole.mean, variance, max(1 - found.variance / whole.variance, 0.0))
    traffic = n_units / past.n_days if past.n_days else None
    note = f"of {found.n:,.0f} units of history"
    return Known(_with_saving(base, correlation), traffic, note)


def _of_numbers(metric: Metric, given: float | Mapping[str, Any]) -> Baseline:
    if metric.kind == "proportion":
        return _rate(_the_rate(given))
    if not isinstance(given, Mapping):
        raise ParameterError(
            f"baseline={given!r} says nothing of how {metric.label} varies between units; give "
            "{'mean': …, 'sd': …}, or a table of history"
        )
    if metric.kind == "ratio" and "numerator" in given:
        return _ratio(given)
    _check_keys(given, ("mean", "sd"))
    mean = check_number("baseline: mean", given["mean"])
    sd = check_number("baseline: sd", given["sd"], 0, open_low=True)
    return Baseline(False, mean, sd**2)


def _rate(rate: float) -> Baseline:
    """Return the baseline of a proportion, which must lie between 0 and 1."""
    if not 0 < check_number("baseline", rate) < 1:
        raise ParameterError(
            f"baseline={rate!r}: a rate to plan from lies between 0 and 1; at 0 or 1 no unit differs "
            "from another (rates are fractions: 0.05 for five per cent)"
        )
    return Baseline(True, rate, rate * (1 - rate))


def _the_rate(given: float | Mapping[str, Any]) -> float:
    if not isinstance(given, Mapping):
        return float(given)
    _check_keys(given, ("mean",))
    return float(check_number("baseline: mean", given["mean"]))


def _ratio(given: Mapping[str, Any]) -> Baseline:
    """Return a ratio of means with its variance per unit by the delta method.

    ``(var x - 2 R cov(x, y) + R^2 var y) / mean(y)^2`` (Deng, Knoblich & Lu 2018, KDD).
    """
    _check_keys(given, ("numerator", "denominator", "correlation"))
    (top, top_sd), (bottom, bottom_sd) = (
        _pair(name, given[name]) for name in ("numerator", "denominator")
    )
    if bottom == 0:
        raise ParameterError("baseline: denominator's mean is 0; the ratio is undefined")
    covariance = check_number("baseline: correlation", given["correlation"], -1, 1)
    covariance *= top_sd * bottom_sd
    ratio = top / bottom
    variance = (top_sd**2 - 2 * ratio * covariance + ratio**2 * bottom_sd**2) / bottom**2
    if variance <= 0:
        raise ParameterError("baseline: the ratio is the same in every unit; nothing varies")
    return Baseline(False, ratio, variance)


def _pair(name: str, pair: Any) -> tuple[float, float]:
    try:
        mean, sd = pair
    except (TypeError, ValueError):
        raise ParameterError(f"baseline: {name}={pair!r} must be (mean, sd) per unit") from None
    check_number(f"baseline: {name}'s mean", mean)
    return mean, check_number(f"baseline: {name}'s sd", sd, 0)


def _check_keys(given: Mapping[str, Any], names: tuple[str, ...]) -> None:
    wanted = ", ".join(f"{name!r}: …" for name in names)
    missing = [name for name in names if name not in given]
    unknown = [name for name in given if name not in names]
    if missing or unknown:
        hint = suggest(unknown[0], names) if unknown else ""
        raise ParameterError(
            f"baseline has {listed(map(repr, given))}; give {{{wanted}}} and nothing else.{hint}"
        )
