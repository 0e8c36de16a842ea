"""The contracts: columns, types, units and grain of the four tables.

Every cleaned table keeps one of these; every analysis may rely on it.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import and_

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from cxlib._checks import ColumnError, DataError, ParameterError, check_columns


@dataclass(frozen=True)
class Column:
    """One required column of a table."""

    name: str
    kind: str
    meaning: str


@dataclass(frozen=True)
class Contract:
    """What a cleaned table promises: its grain and its required columns.

    ``when`` names the time stamp, ``who`` the customer or user; ``key``, where there
    is one, is unique.
    """

    name: str
    grain: str
    columns: tuple[Column, ...]
    when: str
    who: str
    key: str | None = None

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the required columns."""
        return tuple(column.name for column in self.columns)


ORDERS = Contract(
    name="orders",
    grain="one row per order, after netting refunds",
    columns=(
        Column("order_id", "text", "the shop's own number of the order"),
        Column("customer_id", "text", "who ordered; guests have none and are counted as a loss"),
        Column("ordered_at", "time", "when the order was placed, in the shop's own clock"),
        Column("net_revenue", "number", "what the customer paid less refunds, in the one currency"),
    ),
    when="ordered_at",
    who="customer_id",
    key="order_id",
)
EVENTS = Contract(
    name="events",
    grain="one row per event",
    columns=(
        Column("user_id", "text", "who did it"),
        Column("event", "text", "what was done: view, cart, checkout, purchase, …"),
        Column("occurred_at", "time", "when, in the shop's own clock"),
    ),
    when="occurred_at",
    who="user_id",
)
EXPOSURES = Contract(
    name="exposures",
    grain="one row per exposure of a user to a variant (raw, may repeat)",
    columns=(
        Column("user_id", "text", "who saw the variant"),
        Column("variant", "text", "which variant was shown"),
        Column("exposed_at", "time", "when, in the shop's own clock"),
    ),
    when="exposed_at",
    who="user_id",
)
RESPONSES = Contract(
    name="responses",
    grain="one row per survey answer",
    columns=(
        Column("customer_id", "text", "who answered"),
        Column("responded_at", "time", "when, in the shop's own clock"),
        Column("kind", "text", "nps (0 to 10), csat (1 to 5) or ces (1 to 7)"),
        Column("score", "number", "the answer, on the scale of its kind"),
    ),
    when="responded_at",
    who="customer_id",
)
CONTRACTS = {contract.name: contract for contract in (ORDERS, EVENTS, EXPOSURES, RESPONSES)}

_KINDS = {
    "text": ("text", dt.String),
    "time": ("a time stamp", (dt.Timestamp, dt.Date)),
    "number": ("a number", (dt.Floating, dt.Integer, dt.Decimal)),
}
_CASTS = {"text": "string", "time": "timestamp", "number": "float64"}


def with_typed_nulls(table: ir.Table) -> ir.Table:
    """Return ``table`` with columns that hold nothing, not even a type, as text."""
    untyped = [name for name, dtype in table.schema().items() if dtype.is_null()]
    if not untyped:
        return table
    return table.mutate(**{name: table[name].cast("string") for name in untyped})


def check_types(table: ir.Table, contract: Contract) -> ir.Table:
    """Return ``table`` if its schema keeps the contract; rows are not read.

    Ids that are whole numbers are turned into text, dates into time stamps, and numbers
    into floats. Null-typed columns (an empty frame) take the contract's type.

    Raises
    ------
    ColumnError
        A required column is missing, has another type, or its times carry a zone.
    """
    check_columns(contract.name, table.columns, contract.required)
    casts: dict[str, ir.Value] = {}
    for column in contract.columns:
        value, dtype = table[column.name], table.schema()[column.name]
        word, types = _KINDS[column.kind]
        if column.kind == "time" and dtype.is_timestamp() and dtype.timezone is not None:
            raise ColumnError(
                f"{contract.name}: {column.name!r} carries the time zone {dtype.timezone}; clean the "
                f"table with cx.clean_{contract.name}(..., timezone='your shop’s zone') first"
            )
        is_whole_id = column.kind == "text" and dtype.is_integer()
        if not (isinstance(dtype, types) or is_whole_id or dtype.is_null()):
            raise ColumnError(
                f"{contract.name}: {column.name!r} is {dtype}, but must be {word}; "
                f"clean the table with cx.clean_{contract.name} first"
            )
        is_fit = dtype.is_string() or dtype.is_float64()
        if not (is_fit or isinstance(dtype, dt.Timestamp) and dtype.scale in (None, 6)):
            casts[column.name] = value.cast(_CASTS[column.kind])  # times: to microseconds
    return with_typed_nulls(table.mutate(**casts) if casts else table)


def check_rows(table: ir.Table, contract: Contract) -> None:
    """Hold the rows of ``table`` against the contract, in its engine.

    Raises
    ------
    DataError
        The table is empty, a required column holds nulls, NaN or empty text, or the key repeats.
    """
    import pandera.ibis as pandera

    schema = pandera.DataFrameSchema(checks=pandera.Check(lambda data: keeps(data.table, contract)))
    try:
        schema.validate(table)
    except pandera.errors.SchemaError:
        raise DataError(f"{contract.name}: {_fault(table, contract)}") from None


def keeps(table: ir.Table, contract: Contract) -> ir.BooleanScalar:
    """Say in one look at the rows whether they keep the contract."""
    filled = reduce(and_, (_is_filled(table[name]) for name in contract.required))
    n_sound = table.count(where=filled)
    if contract.key is not None:
        n_sound = table[contract.key].nunique(where=filled)
    return n_sound == ibis.greatest(table.count(), 1)


def _is_filled(column: ir.Column) -> ir.BooleanColumn:
    """Say where a column is not `is_empty`; null counts as no."""
    if column.type().is_floating():
        return ~column.isnan()
    return column != "" if column.type().is_string() else column.notnull()


def is_empty(column: ir.Column) -> ir.BooleanColumn:
    """Say where a column is null, NaN or text of no length."""
    return ~_is_filled(column).fill_null(False)


def _fault(table: ir.Table, contract: Contract) -> str:
    """Say what is wrong with rows that do not keep the contract, and what to do."""
    counts = table.aggregate(
        rows=table.count(), **{name: is_empty(table[name]).sum() for name in contract.required}
    )
    rows, *empty = counts.execute().iloc[0]
    if rows == 0:
        return "no rows; there is nothing to analyse"
    if any(empty):
        said = (
            f"{name!r} in {n:,} rows" for name, n in zip(contract.required, empty, strict=True) if n
        )
        return (
            f"empty values in required columns: {', '.join(said)}; "
            f"cx.clean_{contract.name} drops and counts them"
        )
    assert contract.key is not None  # nothing else is left to be wrong
    repeated = table.group_by(contract.key).having(table.count() > 1).aggregate(n=table.count())
    first = repeated.order_by(contract.key).limit(1).execute()
    return (
        f"{repeated.count().execute():,} values of {contract.key!r} stand in more than one row "
        f"(first: {first[contract.key][0]!r}); the grain is {contract.grain}: "
        f"clean with cx.clean_{contract.name}"
    )


def observed(table: ir.Table, contract: Contract, as_of: datetime.date) -> ir.Table:
    """Return the rows up to the end of ``as_of``, the last observed day.

    Raises
    ------
    DataError
        There is no row by then.
    """
    first = table[contract.when].min().execute()
    if first.date() > as_of:
        raise DataError(
            f"{contract.name}: as_of={as_of} is before the first {contract.when!r} ({first.date()}); "
            "as_of is the last observed day"
        )
    return table.filter(table[contract.when] < midnight_after(as_of))


def midnight_after(day: datetime.date) -> ir.Value:
    """Return the moment at which ``day`` is over, as an engine's literal."""
    return ibis.timestamp(str(day + datetime.timedelta(days=1)))


NO_GROUP = "(none)"
"""The word that ``by=`` groups show for rows without a value."""


def group_label(
    table: ir.Table, by: str, contract: Contract, answer: Iterable[str] = (), argument: str = "by"
) -> ir.Value:
    """Return the column ``by`` as text, for a group's name; null where a row has no value.

    ``argument`` is what the analysis calls it.

    Raises
    ------
    ColumnError
        The table has no such column.
    ParameterError
        The column has the name of one of the columns of the ``answer``.
    """
    if not isinstance(by, str):
        raise ParameterError(f"{argument}={by!r} is not the name of one column; give one text")
    check_columns(contract.name, table.columns, [by], optional=argument)
    if by in answer:
        raise ParameterError(
            f"{argument}={by!r} is also a column of the answer; rename it with columns= in cx.read"
        )
    return table[by].cast("string")
