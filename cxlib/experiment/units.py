"""One row per unit: its variant, and each metric's columns, from exposures and logs or a table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import ibis
import ibis.expr.types as ir

from cxlib._checks import (
    DataError,
    ParameterError,
    check_columns,
    check_duration,
)
from cxlib.experiment.metrics import Metric, Quantile, window
from cxlib.experiment.quantities import Quantity, column_value
from cxlib.tables import Contract

Log = tuple[ir.Table, Contract]
"""A table of dated rows, and the contract that names its columns."""

UNKNOWN = "unknown"


class Layout(NamedTuple):
    """How many columns a metric has: a value and perhaps its denominator, then those before."""

    after: int
    before: int = 0


@dataclass(frozen=True, eq=False)
class Units:
    """Units as a lazy table.

    Attributes
    ----------
    table : ibis table
        One row per unit: ``variant``; each metric's columns ``m0_0``, ``m0_1``, … by its place,
        all null where the unit does not count; ``stratum`` and ``by0``, ``by1``, … if asked for;
        and where units were folded from rows, ``last_variant`` (another one where the unit saw
        several), ``rows`` and, of exposures, ``late`` (rows after the last day).
    layouts : list of Layout
        One for each metric.
    by : tuple of str
        The source's name of each segment column.
    stratify : str or None
        The source's name of the strata.
    """

    table: ir.Table
    layouts: list[Layout]
    by: tuple[str, ...] = ()
    stratify: str | None = None

    def names(self, place: int) -> list[str]:
        """Return the columns of the metric in that place."""
        return [f"m{place}_{k}" for k in range(sum(self.layouts[place]))]

    @property
    def folded(self) -> bool:
        """Whether each unit was made of rows."""
        return "last_variant" in self.table.columns


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
    end = ibis.literal(dt.datetime.combine(as_of + dt.timedelta(days=1), dt.time()))
    parts = {place: _parts(place, metric, logs) for place, metric in enumerate(metrics)}
    users = _users(exposures, end, _attributes("exposures", exposures, by, stratify))
    units = users
    for source, log in logs.items():
        read = [part for own in parts.values() for part in own if part.source == source]
        if read:
            did = _did(users, log, read, end)
            units = units.left_join(did, units["user_id"] == did["_user"]).drop("_user")
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


def _attributes(
    name: str, table: ir.Table, by: Sequence[str], stratify: str | None
) -> dict[str, ir.Value]:
    """Return strata and segments as text under the names that `Units` gives them."""
    wanted = {f"by{place}": column for place, column in enumerate(by)}
    if stratify is not None:
        wanted["stratum"] = stratify
    check_columns(name, table.columns, wanted.values())
    return {
        ours: table[column].cast("string").fill_null(UNKNOWN) for ours, column in wanted.items()
    }


def _users(exposures: ir.Table, end: ir.Value, attributes: Mapping[str, ir.Value]) -> ir.Table:
    """Return one row per user: variants, first exposure, and what was true of them then."""
    rows = exposures
    if attributes:
        first = rows["exposed_at"].min().over(group_by="user_id")
        rows = rows.mutate(**attributes, _first=first)
    return rows.group_by("user_id").aggregate(
        variant=rows["variant"].min(),
        last_variant=rows["variant"].max(),
        exposed_at=rows["exposed_at"].min(),
        rows=rows.count(),
        late=(rows["exposed_at"] >= end).cast("int64").sum(),
        **{name: rows[name].min(where=rows["exposed_at"] == rows["_first"]) for name in attributes},
    )


def _did(users: ir.Table, log: Log, parts: Sequence[_Part], end: ir.Value) -> ir.Table:
    """Return one row per user who did anything that counts, up to ``end``."""
    rows, contract = log
    rows = rows.select(
        _user=rows[contract.who],
        _at=rows[contract.when],
        **{part.name: part.quantity.row_value(rows, contract.name, part.label) for part in parts},
    )
    rows = rows.filter(rows["_at"] < end, ibis.or_(*[rows[part.name].notnull() for part in parts]))
    first = users.select("user_id", "exposed_at")
    rows = rows.inner_join(first, rows["_user"] == first["user_id"])
    longest = max((part.before for part in parts if part.before), default=dt.timedelta(0))
    opens = rows["exposed_at"] - _interval(longest) if longest else rows["exposed_at"]
    rows = rows.filter(rows["_at"] >= opens)
    folded = {}
    for part in parts:
        value = ibis.ifelse(_counts(rows, part), rows[part.name], ibis.null("float64"))
        folded[part.name] = value.max() if part.quantity.fold == "max" else value.sum()
    return rows.group_by("_user").aggregate(**folded)


def _counts(rows: ir.Table, part: _Part) -> ir.Value:
    """Return whether a row lies in the window of ``part``: half open, so that windows abut."""
    at, exposed_at = rows["_at"], rows["exposed_at"]
    if part.before:
        return (at < exposed_at) & (at >= exposed_at - _interval(part.before))
    if part.within:
        return (at >= exposed_at) & (at < exposed_at + _interval(part.within))
    return at >= exposed_at


def _interval(length: dt.timedelta) -> ir.Value:
    return ibis.interval(seconds=int(length.total_seconds()))


def _when_over(
    units: ir.Table, within: dt.timedelta | None, value: ir.Value, end: ir.Value
) -> ir.Value:
    if within is None:
        return value
    over = units["exposed_at"] + _interval(within) <= end
    return ibis.ifelse(over, value, ibis.null("float64"))


def units_of_table(
    table: ir.Table,
    variant: str,
    metrics: Sequence[Metric],
    unit: str | None = None,
    by: Sequence[str] = (),
    stratify: str | None = None,
) -> Units:
    """Return a table that carries variant and metrics in the shape of `Units`.

    Its rows are units or, with ``unit``, finer: then every mean becomes a ratio, the unit's sum
    over the number of its rows.
    """
    check_columns("units", table.columns, [variant] if unit is None else [variant, unit])
    attributes = _attributes("units", table, by, stratify)
    arm = table[variant].cast("string")
    values = [_values(table, metric) for metric in metrics]
    if unit is None:
        columns = {
            f"m{place}_{k}": value
            for place, (after, before) in enumerate(values)
            for k, value in enumerate([*after, *before])
        }
        layouts = [Layout(len(after), len(before)) for after, before in values]
        return Units(
            table.select(variant=arm, **attributes, **columns), layouts, tuple(by), stratify
        )
    for metric in metrics:
        if isinstance(metric, Quantile):
            raise ParameterError(
                f"metric {metric.label!r}: a quantile needs one row per unit; fold the rows of each "
                f"{unit} first, and leave unit= away"
            )
    pairs = [(_sums(after), _sums(before)) for after, before in values]
    folded = table.group_by(_unit=table[unit]).aggregate(
        variant=arm.min(),
        last_variant=arm.max(),
        rows=table.count(),
        **{name: value.min() for name, value in attributes.items()},
        **{
            f"m{place}_{k}": value
            for place, (after, before) in enumerate(pairs)
            for k, value in enumerate([*after, *before])
        },
    )
    layouts = [Layout(len(after), len(before)) for after, before in pairs]
    return Units(folded, layouts, tuple(by), stratify)


def _values(table: ir.Table, metric: Metric) -> tuple[list[ir.Value], list[ir.Value]]:
    """Return the columns of a metric, and of its covariate."""
    after = [quantity.unit_value(table, metric.label) for quantity in metric.quantities]
    before = metric.covariate
    if isinstance(before, dt.timedelta):
        raise ParameterError(
            f"metric {metric.label!r}: before={before!r} needs exposures, orders or events with their "
            "times; on one row per unit name the column that holds the covariate"
        )
    names = () if before is None else (before,) if isinstance(before, str) else before
    return after, [column_value(table, name, metric.label, accept_boolean=True) for name in names]


def _sums(columns: list[ir.Value]) -> list[ir.Value]:
    """Return the sums of a unit's rows that carry all columns; of one column also their number."""
    if len(columns) == 1:
        return [columns[0].sum(), columns[0].count().cast("float64")]
    known = ibis.and_(*[column.notnull() for column in columns]) if columns else None
    return [column.sum(where=known) for column in columns]


def with_caps(units: Units, metrics: Sequence[Metric]) -> Units:
    """Return the units with capped values, by one query for the quantiles of all units."""
    table, caps = units.table, {}
    for place, metric in enumerate(metrics):
        if metric.ceiling is not None:
            layout = units.layouts[place]
            for k in (0, layout.after) if layout.before else (0,):
                caps[f"m{place}_{k}"] = (metric, metric.ceiling)
    if not caps:
        return units
    pooled = table.filter(table["variant"] == table["last_variant"]) if units.folded else table
    asked = {f"cap_{name}": pooled[name].quantile(level) for name, (_, level) in caps.items()}
    tops = {f"top_{name}": pooled[name].max() for name in caps}
    found = pooled.aggregate(**asked, **tops).to_pyarrow().to_pylist()[0]
    capped = {}
    for name, (metric, _) in caps.items():
        cap, top = found[f"cap_{name}"], found[f"top_{name}"]
        if cap is None:
            continue
        if not abs(top) < float("inf"):
            raise DataError(not_finite(table, metric, [name]))
        limit = ibis.literal(cap, "float64")
        capped[name] = ibis.ifelse(table[name] > limit, limit, table[name])
    return replace(units, table=table.mutate(**capped))


def not_finite(table: ir.Table, metric: Metric, names: Sequence[str]) -> str:
    """Return the message about values that are not finite numbers, counted."""
    odd = [(table[name].isnan() | table[name].isinf()).cast("int64").sum() for name in names]
    found = table.aggregate(**dict(zip(names, odd, strict=True))).to_pyarrow().to_pylist()[0]
    count = sum(value or 0 for value in found.values())
    if not count:
        return f"metric {metric.label!r}: values are too large to be squared; use a larger unit"
    return (
        f"metric {metric.label!r}: {count:,} values are not finite numbers; mend them, or leave "
        "them empty"
    )
