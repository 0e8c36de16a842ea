"""What an experiment measures: each metric is declared once, and says what it needs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import ibis
import ibis.expr.types as ir

from cxlib._checks import (
    ColumnError,
    ParameterError,
    check_duration,
    listed,
    suggest,
)


@dataclass(frozen=True)
class Conversion:
    """The share of units that did something at least once.

    Parameters
    ----------
    event : str
        Name of an event in ``events``; ``"order"`` means a row of ``orders`` (where orders are
        given). On a table with one row per unit: a column of 0 and 1, or of true and false.
    within : str or timedelta, optional
        How long after first exposure it counts, such as ``"7 days"``: from the exposure on, up
        to but without the end. Through ``as_of`` if not given.
    name : str, optional
        What the result calls it; ``event`` if not given.

    Examples
    --------
    >>> import cxlib as cx
    >>> cx.Conversion("purchase", within="7 days").label
    'purchase'
    """

    event: str
    within: str | dt.timedelta | None = field(default=None, kw_only=True)
    name: str | None = field(default=None, kw_only=True)

    kind = "proportion"
    fold = "max"
    odd_means = "other than 0 and 1; a conversion is one or the other (for amounts use cx.Mean)"

    def __post_init__(self) -> None:
        _check_names(self, self.event)

    @property
    def label(self) -> str:
        """What the result calls the metric."""
        return self.name or self.event

    def source(self, given: Collection[str]) -> str:
        """Return the table that the metric reads, of those ``given``."""
        source = "orders" if self.event == "order" and "orders" in given else "events"
        return _check_given(self.label, source, given)

    def row_value(self, rows: ir.Table, source: str) -> ir.Value:
        """Return what each row of ``source`` adds: 1, or null where it is another event."""
        if source == "orders":
            return ibis.literal(1.0)
        return ibis.ifelse(rows["event"] == self.event, 1.0, ibis.null("float64"))

    def unit_value(self, units: ir.Table) -> ir.Value:
        """Return the metric's own column of a table with one row per unit."""
        return _number(units, self.event, self.label, accept_boolean=True)

    def odd(self, value: ir.Value) -> ir.Value:
        """Return which values no conversion can have."""
        return value.notin([0.0, 1.0])


@dataclass(frozen=True)
class Mean:
    """The mean of a quantity over all units, those without any counting as 0.

    Parameters
    ----------
    column : str
        A numeric column of ``orders``, summed for each unit, or ``"n_orders"`` for their number. On a
        table with one row per unit: one of its numeric columns.
    within, name
        As in `Conversion`.

    Examples
    --------
    >>> import cxlib as cx
    >>> cx.Mean("net_revenue", within="14 days", name="two-week revenue").label
    'two-week revenue'
    """

    column: str
    within: str | dt.timedelta | None = field(default=None, kw_only=True)
    name: str | None = field(default=None, kw_only=True)

    kind = "mean"
    fold = "sum"
    odd_means = "not finite numbers; mend them, or leave them empty"

    def __post_init__(self) -> None:
        _check_names(self, self.column)

    @property
    def label(self) -> str:
        """What the result calls the metric."""
        return self.name or self.column

    def source(self, given: Collection[str]) -> str:
        """Return the table that the metric reads, of those ``given``."""
        return _check_given(self.label, "orders", given)

    def row_value(self, rows: ir.Table, source: str) -> ir.Value:
        """Return what each row of ``source`` adds: its amount, or 1 where orders are counted."""
        if self.column == "n_orders":
            return ibis.literal(1.0)
        return _number(rows, self.column, self.label)

    def unit_value(self, units: ir.Table) -> ir.Value:
        """Return the metric's own column of a table with one row per unit."""
        return _number(units, self.column, self.label)

    def odd(self, value: ir.Value) -> ir.Value:
        """Return which values no mean can take."""
        return value.isnan() | value.isinf()


Metric = Conversion | Mean


def window(metric: Metric) -> dt.timedelta | None:
    """Return how long after exposure the metric counts; None through ``as_of``."""
    return None if metric.within is None else check_duration("within", metric.within)


def check_metrics(metrics: Sequence[Metric]) -> list[Metric]:
    """Return the metrics as a list if there are any, all are metrics and no two share a name."""
    if isinstance(metrics, (Conversion, Mean, str)) or not len(metrics):
        raise ParameterError(
            f"metrics={metrics!r}: give a list of at least one, such as [cx.Conversion('purchase')]"
        )
    for metric in metrics:
        if not isinstance(metric, Metric):
            raise ParameterError(
                f"metrics: {metric!r} is no metric; declare it with cx.Conversion or cx.Mean"
            )
    labels = [metric.label for metric in metrics]
    twice = {label for label in labels if labels.count(label) > 1}
    if twice:
        raise ParameterError(
            f"metrics: more than one is called {listed(sorted(map(repr, twice)))}; give one of them name="
        )
    return list(metrics)


def _check_names(metric: Metric, what: str) -> None:
    if not isinstance(what, str) or not what:
        raise ParameterError(
            f"cx.{type(metric).__name__}({what!r}): give the name of an event or a column"
        )
    window(metric)


def _check_given(label: str, source: str, given: Collection[str]) -> str:
    if source not in given:
        raise ParameterError(f"metric {label!r} reads {source}; give {source}=")
    return source


def _number(table: ir.Table, column: str, label: str, *, accept_boolean: bool = False) -> ir.Value:
    if column not in table.columns:
        raise ColumnError(
            f"metric {label!r}: no column {column!r}; there are {listed(table.columns)}."
            f"{suggest(column, table.columns)}"
        )
    dtype = table.schema()[column]
    if not (dtype.is_numeric() or dtype.is_null() or (accept_boolean and dtype.is_boolean())):
        raise ColumnError(
            f"metric {label!r}: column {column!r} is {dtype}, not numbers"
            + ("; for true and false use cx.Conversion" if dtype.is_boolean() else "")
        )
    return table[column].cast("float64")
