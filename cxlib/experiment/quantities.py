"""One quantity of a unit: the table that it lies in, and the column of ibis that it becomes."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import ibis
import ibis.expr.types as ir

from cxlib._checks import ColumnError, ParameterError, listed, suggest

_COUNTED = "event:"


class Quantity(NamedTuple):
    """What is measured of a unit: ``of`` names it, ``fold`` (max or sum) makes one of many rows."""

    of: str
    fold: str

    @property
    def is_count(self) -> bool:
        """Whether rows are counted."""
        return self.of == "n_orders" or self.of.startswith(_COUNTED)

    def source(self, label: str, given: Collection[str]) -> str:
        """Return the table that the quantity lies in, of those ``given``."""
        if self.fold == "max":
            source = "orders" if self.of == "order" and "orders" in given else "events"
        else:
            source = "events" if self.of.startswith(_COUNTED) else "orders"
        if source not in given:
            hint = suggest(self.of, ["order"]) if self.fold == "max" else ""
            raise ParameterError(f"metric {label!r} reads {source}; give {source}=.{hint}")
        return source

    @property
    def event(self) -> str:
        """Return the name of the event that is looked for."""
        return self.of.removeprefix(_COUNTED) if self.fold == "sum" else self.of

    def row_value(self, rows: ir.Table, source: str, label: str) -> ir.Value:
        """Return what each row of ``source`` adds, null where it is another event."""
        if source == "events":
            return ibis.ifelse(rows["event"] == self.event, 1.0, ibis.null("float64"))
        if self.fold == "max" or self.is_count:
            return ibis.literal(1.0, "float64")
        return column_value(rows, self.of, label)

    def unit_value(self, units: ir.Table, label: str) -> ir.Value:
        """Return the quantity's own column of a table that carries it."""
        return column_value(units, self.of, label, accept_boolean=self.fold == "max")


def column_value(
    table: ir.Table, column: str, label: str, *, accept_boolean: bool = False
) -> ir.Value:
    """Return a numeric column of ``table`` as floats."""
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
