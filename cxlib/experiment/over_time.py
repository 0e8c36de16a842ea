"""The effect as it came about: by the day one looks, and by the day since exposure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from cxlib._checks import DataError, ParameterError, check_number
from cxlib._watched import progress
from cxlib.experiment.compare import compare
from cxlib.experiment.exposed import Log
from cxlib.experiment.metrics import Metric, Quantile, window
from cxlib.experiment.question import Question
from cxlib.experiment.rule import Rule
from cxlib.experiment.sums import reduce_units
from cxlib.tables import midnight_after

SHOWN = ["n", "n_control", "difference", "ci_low", "ci_high", "lift", "lift_low", "lift_high"]


def over_time(question: Question, variants: Sequence[str], n_dates: int) -> pd.DataFrame:
    """Return `ExperimentResult.over_time`: the experiment asked again as of each date."""
    n_dates = int(check_number("n_dates", n_dates, 1, 366))
    logs, last = _logs(question, "over_time()")
    at = question.rows["exposed_at"]
    first = at.min().execute().date()
    shortest = min(window(metric) or dt.timedelta(0) for metric in question.metrics)
    start = min(first + dt.timedelta(days=shortest.days), last)
    days = pd.date_range(start, last)
    step = max(1, -(-len(days) // n_dates))
    rule = _band(question.rule)
    parts = []
    for day in progress([stamp.date() for stamp in days[::-1][::step][::-1]], "days"):
        rows = question.rows.filter(at < midnight_after(day))
        asked = replace(question, rows=rows, logs=logs, as_of=day, by=(), rule=rule)
        try:
            reduced = asked.reduced()
        except DataError:  # the first days may hold no user of one variant only
            continue
        table = compare(reduced, question.metrics, question.control, variants, rule)
        parts.append(table.assign(date=pd.Timestamp(day)))
    table = pd.concat(parts, ignore_index=True)[["metric", "variant", "date", *SHOWN]]
    return _in_order(table[table["ci_low"].notna()], question, "date")


def _band(rule: Rule) -> Rule:
    """Return the rule by which all dates' intervals hold together, if the plan's size is known."""
    if rule.planned_units is None:
        return replace(rule, adjust=None, sequential=None)
    return replace(rule, adjust=None, sequential="always", looks=())


def novelty(question: Question, variants: Sequence[str], n_days: int) -> pd.DataFrame:
    """Return `ExperimentResult.novelty`: what units did on each day since exposure, one query."""
    n_days = int(check_number("n_days", n_days, 1, 90))
    logs, last = _logs(question, "novelty()")
    declared = [metric for metric in question.metrics if not isinstance(metric, Quantile)]
    daily = [_up_to(metric, day) for metric in declared for day in range(1, n_days + 1)]
    if not daily:
        raise ParameterError("novelty() needs a metric that adds up; a quantile does not")
    asked = replace(question, metrics=daily, by=(), logs=logs)
    units = asked.units()
    table, differences = units.table, {}
    for place in range(len(daily)):
        for name in units.names(place) if place % n_days else ():
            before = name.replace(f"m{place}_", f"m{place - 1}_")
            differences[name] = table[name] - table[before]
    units = replace(units, table=table.mutate(**differences))
    reduced = reduce_units(units, daily, last)
    rule = replace(question.rule, adjust=None, sequential=None)
    found = compare(reduced, daily, question.control, variants, rule)
    parts = found["metric"].str.rsplit("@", n=1, expand=True)
    found = found.assign(metric=parts[0], day=parts[1].astype(int) - 1)
    return _in_order(found[["metric", "variant", "day", *SHOWN]], question, "day")


def _up_to(metric: Metric, day: int) -> Metric:
    """Return the metric within so many days of exposure, nothing adjusted."""
    options: dict[str, Any] = {name: None for name in ("before", "cap") if hasattr(metric, name)}
    name, within = f"{metric.label}@{day}", dt.timedelta(days=day)
    return replace(metric, name=name, within=within, margin=None, equivalence=None, **options)


def _logs(question: Question, what: str) -> tuple[Mapping[str, Log], dt.date]:
    if question.logs is None or question.as_of is None:
        raise ParameterError(
            f"{what} needs times; give exposures with orders or events, not rows that carry metrics"
        )
    return question.logs, question.as_of


def _in_order(table: pd.DataFrame, question: Question, when: str) -> pd.DataFrame:
    places = {metric.label: place for place, metric in enumerate(question.metrics)}
    order = table["metric"].map(places)
    table = table.assign(_place=order).sort_values(["_place", "variant", when], ignore_index=True)
    return table.drop(columns="_place")
