"""When each customer first ordered: in the rows at hand, or as it is known from before them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import ibis
import ibis.expr.types as ir

from cxlib._checks import ColumnError, DataError, ParameterError, check_columns, check_number
from cxlib.sources import Source, as_table, load
from cxlib.tables import NO_GROUP, ORDERS, group_label, observed

KNOWN = ("customer_id", "first_ordered_at")
ALL_OLD = (
    "orders: all customers are old by first_orders or burn_in_days; give a longer stretch of orders"
)


def check_burn_in(first_orders: Source | None, burn_in_days: float | None) -> ir.Table | None:
    """Return the known first orders as a table; hold both ways to say them against their rules."""
    if first_orders is not None and burn_in_days is not None:
        raise ParameterError(
            "first_orders and burn_in_days both say who is old; give the one that you trust more"
        )
    if burn_in_days is not None:
        check_number("burn_in_days", burn_in_days, 0, open_low=True)
    if first_orders is None:
        return None
    table = as_table(first_orders)
    check_columns("first_orders", table.columns, KNOWN)
    when = table.schema()["first_ordered_at"]
    if not (when.is_date() or when.is_timestamp()) or getattr(when, "timezone", None):
        raise ColumnError(
            f"first_orders: 'first_ordered_at' is {when}, but must be a date or a time stamp on "
            "the shop's own clock, without a zone"
        )
    table = table.select(
        customer_id=table["customer_id"].cast("string"),
        first_ordered_at=table["first_ordered_at"].cast("timestamp"),
    )
    empty = int(
        (table["customer_id"].isnull() | table["first_ordered_at"].isnull()).sum().execute() or 0
    )
    if empty:
        raise DataError(f"first_orders: empty values in {empty:,} rows; leave those rows out")
    return table


def first_orders_of(
    rows: ir.Table,
    known: ir.Table | None = None,
    burn_in_days: float | None = None,
    visits: ir.Table | None = None,
) -> ir.Table:
    """Return one row per customer: ``first_at`` and, where rows have labels, ``label``.

    ``visits``, where there are any, are the rows reduced: fewer, with the same earliest times.

    With ``known`` or ``burn_in_days`` there is also ``is_old``: the customer's first order lies
    before the rows begin, or in their first days.
    """
    fewest = rows if visits is None else visits
    firsts = fewest.group_by("customer_id").aggregate(first_at=fewest["ordered_at"].min())
    if "label" in rows.columns:
        firsts = _with_labels(rows, firsts)
    if known is None and burn_in_days is None:
        return firsts
    begin = rows["ordered_at"].min().execute()
    if known is not None:
        earliest = known.group_by("customer_id").aggregate(known=known["first_ordered_at"].min())
        firsts = firsts.left_join(earliest, "customer_id").drop("customer_id_right")
        earlier = ibis.least(firsts["first_at"], firsts["known"].fill_null(firsts["first_at"]))
        firsts = firsts.mutate(first_at=earlier).drop("known")
    else:
        begin = (begin + dt.timedelta(days=float(burn_in_days or 0))).to_pydatetime()
    return firsts.mutate(is_old=firsts["first_at"] < ibis.timestamp(str(begin)))


def _with_labels(rows: ir.Table, firsts: ir.Table) -> ir.Table:
    """Give each customer the label of the first order: of several at once, the lowest number's."""
    theirs = rows.inner_join(
        firsts,
        [rows["customer_id"] == firsts["customer_id"], rows["ordered_at"] == firsts["first_at"]],
    ).select(rows["customer_id"], firsts["first_at"], rows["order_id"], rows["label"])
    return theirs.group_by("customer_id").aggregate(
        first_at=theirs["first_at"].min(),
        label=theirs["label"].fill_null(NO_GROUP).argmin(theirs["order_id"]),
    )


def observed_orders(
    orders: Source, last_day: dt.date, by: str | None, answer: Sequence[str]
) -> ir.Table:
    """Return the orders up to the last day, with the label that groups them."""
    table = load(orders, ORDERS)
    label = None if by is None else group_label(table, by, ORDERS, answer)
    table = table.select(*ORDERS.required, **({} if label is None else {"label": label}))
    return observed(table, ORDERS, last_day)


def new_customers(firsts: ir.Table) -> ir.Table:
    """Return the customers who are not old."""
    if "is_old" not in firsts.columns:
        return firsts
    return firsts.filter(~firsts["is_old"]).drop("is_old")
