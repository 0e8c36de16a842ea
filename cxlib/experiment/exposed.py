"""Units from exposures and logs: what each user did before and since first exposure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import ibis
import ibis.expr.types as ir

from cxlib._calendar import interval
from cxlib._checks import ParameterError, check_duration
from cxlib.experiment.metrics import Metric, window
from cxlib.experiment.quantities import Quantity
from cxlib.experiment.units import Layout, Units, attributes
from cxlib.sources import Source, load
from cxlib.tables import EVENTS, ORDERS, Contract, midnight_after

Log = tuple[ir.Table, Contract]
"""A table of dated rows, and the contract that names its columns."""


def logs_of(orders: Source | None, events: Source | None) -> dict[str, Log]:
    """Return the logs that were given, checked, by their name."""
    return {
        contract.name: (load(data, contract), contract)
        for data, contract in ((orders, ORDERS), (events, EVENTS))
        if data is not None
    }


class _Part(NamedTuple):
    """One column of a metric: a quantity, within its window or so long before exposure."""

    name: str
    label: str
    quantity: Quantity
    source: str
    within: dt.timedelta | None
    before: dt.timedelta | None = None


def units_of_exposures(
    exposures: ir.Table,
    logs: Mapping[str, Log],
    metrics: Sequence[Metric],
    as_of: dt.date,
    by: Sequence[str] = (),
    stratify: str | None = None,
) -> Units:
    """Return one row per exposed user.

    A metric is null where its window is not over by the end of ``as_of``, else what the user
    did from first exposure on; users who did nothing have 0.
    """
    end = midnight_after(as_of)
    parts = {place: _parts(place, metric, logs) for place, metric in enumerate(metrics)}
    users = _users(exposures, end, attributes("exposures", exposures, by, stratify))
    units = users.mutate(earlier=ibis.literal(0, "int64"))
    for source, log in logs.items():
        read = [part for own in parts.values() for part in own if part.source == source]
        if read:
            did = _did(users, log, read, end)
            units = units.left_join(did, units["user_id"] == did["_user"]).drop("_user")
            units = units.mutate(
                earlier=ibis.greatest(units["earlier"], units["_earlier"].fill_null(0))
            ).drop("_earlier")
    units = units.mutate(
        **{
            part.name: _when_over(units, part.within, units[part.name].fill_null(0.0), end)
            for own in parts.values()
            for part in own
        }
    )
    layouts = [
        Layout(len(metric.quantities), len(parts[place]) - len(metric.quantities))
        for place, metric in enumerate(metrics)
    ]
    return Units(units, layouts, tuple(by), stratify)


def _parts(place: int, metric: Metric, given: Mapping[str, Log]) -> list[_Part]:
    parts = [
        _Part("", metric.label, quantity, quantity.source(metric.label, given), window(metric))
        for quantity in metric.quantities
    ]
    if metric.covariate is not None:
        if isinstance(metric.covariate, tuple):
            raise ParameterError(
                f"metric {metric.label!r}: before={metric.covariate!r} names columns; with exposures "
                "give how long before first exposure, such as '28 days'"
            )
        length = check_duration("before", metric.covariate)
        parts += [part._replace(before=length) for part in parts]
    return [part._replace(name=f"m{place}_{k}") for k, part in enumerate(parts)]


def _users(exposures: ir.Table, end: ir.Value, own: Mapping[str, ir.Value]) -> ir.Table:
    """Return one row per user: variants, first exposure, and what was true of them then."""
    rows = exposures
    if own:
        first = rows["exposed_at"].min().over(group_by="user_id")
        rows = rows.mutate(**own, _first=first)
    return rows.group_by("user_id").aggregate(
        variant=rows["variant"].min(),
        last_variant=rows["variant"].max(),
        exposed_at=rows["exposed_at"].min(),
        last_at=rows["exposed_at"].max(),
        rows=rows.count(),
        late=(rows["exposed_at"] >= end).cast("int64").sum(),
        **{name: rows[name].min(where=rows["exposed_at"] == rows["_first"]) for name in own},
    )


def _did(users: ir.Table, log: Log, parts: Sequence[_Part], end: ir.Value) -> ir.Table:
    """Return one row per user who did anything, up to ``end``; ``_earlier`` is 1 for those who
    did something before first exposure.
    """
    rows, contract = log
    rows = rows.select(
        _user=rows[contract.who],
        _at=rows[contract.when],
        **{part.name: part.quantity.row_value(rows, contract.name, part.label) for part in parts},
    )
    rows = rows.filter(rows["_at"] < end, ibis.or_(*[rows[part.name].notnull() for part in parts]))
    first = users.select("user_id", "exposed_at")
    rows = rows.inner_join(first, rows["_user"] == first["user_id"])
    folded = {"_earlier": (rows["_at"] < rows["exposed_at"]).cast("int64").max()}
    for part in parts:
        value = ibis.ifelse(_counts(rows, part), rows[part.name], ibis.null("float64"))
        folded[part.name] = value.max() if part.quantity.fold == "max" else value.sum()
    return rows.group_by("_user").aggregate(**folded)


def _counts(rows: ir.Table, part: _Part) -> ir.Value:
    """Return whether a row lies in the window of ``part``: half open, so that windows abut."""
    at, exposed_at = rows["_at"], rows["exposed_at"]
    if part.before:
        return (at < exposed_at) & (at >= exposed_at - interval(part.before))
    if part.within:
        return (at >= exposed_at) & (at < exposed_at + interval(part.within))
    return at >= exposed_at


def _when_over(
    units: ir.Table, within: dt.timedelta | None, value: ir.Value, end: ir.Value
) -> ir.Value:
    if within is None:
        return value
    over = units["exposed_at"] + interval(within) <= end
    return ibis.ifelse(over, value, ibis.null("float64"))
