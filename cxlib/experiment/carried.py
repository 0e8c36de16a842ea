"""Units from a table that carries variant and metrics: a row each, or many rows to fold."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import ibis
import ibis.expr.types as ir

from cxlib._checks import DataError, ParameterError, check_columns
from cxlib.experiment.metrics import Conversion, Metric, Quantile
from cxlib.experiment.odd import not_rate
from cxlib.experiment.quantities import column_value
from cxlib.experiment.units import Layout, Units, attributes


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
    for metric in metrics:
        if metric.within is not None:
            raise ParameterError(
                f"metric {metric.label!r}: within= needs exposures, orders or events with their times; "
                "on one row per unit the column holds what counts already"
            )
    check_columns(
        "units", table.columns, [variant] if unit is None else [variant, unit], optional=""
    )
    if unit is not None:
        return _folded(table, variant, metrics, unit, by, stratify)
    values = [_values(table, metric) for metric in metrics]
    columns = {
        f"m{place}_{k}": value
        for place, (after, before) in enumerate(values)
        for k, value in enumerate([*after, *before])
    }
    unsure = _unsure(table, metrics)
    for place, what in unsure.items():
        if what == "integer":
            columns[f"bits{place}"] = table[metrics[place].quantities[0].of]
    layouts = [Layout(len(after), len(before)) for after, before in values]
    units = table.select(
        variant=table[variant].cast("string"),
        **attributes("units", table, by, stratify),
        **columns,
    )
    return Units(units, layouts, tuple(by), stratify, unsure)


def _unsure(table: ir.Table, metrics: Sequence[Metric]) -> dict[int, str]:
    found = {}
    for place, metric in enumerate(metrics):
        if isinstance(metric, Conversion) and not table[metric.event].type().is_boolean():
            found[place] = "integer" if table[metric.event].type().is_integer() else "number"
    return found


def _check_rows(table: ir.Table, metrics: Sequence[Metric], unit: str) -> None:
    """Refuse what rows finer than units cannot be folded for."""
    unnamed = int(table[unit].isnull().sum().to_pyarrow().as_py() or 0)
    if unnamed:
        raise DataError(f"units: {unnamed:,} rows name no {unit}; fill them in, or leave them out")
    for place in _unsure(table, metrics):
        metric = metrics[place]
        if told := not_rate(table, metric, metric.quantities[0].unit_value(table, metric.label)):
            raise DataError(told)
    for metric in metrics:
        if isinstance(metric, Quantile):
            raise ParameterError(
                f"metric {metric.label!r}: a quantile needs one row per unit; fold the rows of each "
                f"{unit} first, and leave unit= away"
            )


def _folded(
    table: ir.Table,
    variant: str,
    metrics: Sequence[Metric],
    unit: str,
    by: Sequence[str],
    stratify: str | None,
) -> Units:
    """Return one row per unit; where a unit's rows differ in an attribute, the least is its own."""
    _check_rows(table, metrics, unit)
    pairs = [
        (_sums(after), _sums(before))
        for after, before in (_values(table, metric) for metric in metrics)
    ]
    arm = table[variant].cast("string")
    folded = table.group_by(_unit=table[unit]).aggregate(
        variant=arm.min(),
        last_variant=arm.max(),
        rows=table.count(),
        **{name: value.min() for name, value in attributes("units", table, by, stratify).items()},
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
