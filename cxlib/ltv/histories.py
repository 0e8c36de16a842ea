"""Orders become purchase days, and those become purchase histories, in the engine."""

from __future__ import annotations

import datetime as dt

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib._checks import DataError, check_date, listed
from cxlib.sources import Source, load
from cxlib.tables import NO_GROUP, ORDERS, group_label, midnight_after

HISTORY = ["frequency", "recency", "T"]
ANSWER = {
    *("customer_id", "n_orders", "days_since_last", "expected_spend", "n_customers"),
    *(
        f"{name}{end}"
        for name in ("p_alive", "expected_alive", "expected_orders", "ltv", "ltv_per_customer")
        for end in ("", "_low", "_high")
    ),
}
"""Columns of answers, whose names `by` must not have."""


def ltv_summary(orders: Source, *, as_of: str | dt.date) -> ir.Table:
    """Reduce orders to each customer's purchase history, in the words of lifetimes.

    Parameters
    ----------
    orders : Cleaned, or anything that holds orders
    as_of : str or date
        The last observed day, included.

    Returns
    -------
    ibis table
        One row per customer with a purchase by ``as_of``: ``customer_id``; ``frequency``
        (purchase days after the first); ``recency`` (days from first to last); ``T`` (days
        from first to ``as_of``); ``monetary_value`` (mean net revenue of a repeat purchase
        day; 0 where there is none). It is what
        ``lifetimes.utils.summary_data_from_transaction_data`` gives where no day nets to zero
        or less.

    Raises
    ------
    ColumnError, DataError
        A column is missing; there is no order by ``as_of``, or they mix currencies.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> orders = pd.DataFrame({"order_id": ["1", "2", "3"], "customer_id": ["ann"] * 3,
    ...     "ordered_at": pd.to_datetime(["2024-01-01 12:00", "2024-01-11 09:00", "2024-01-11 17:00"]),
    ...     "net_revenue": [50.0, 10.0, 15.0]})
    >>> cx.ltv_summary(orders, as_of="2024-01-31").to_pandas()
      customer_id  frequency  recency   T  monetary_value
    0         ann          1       10  30            25.0
    """
    day = check_date("as_of", as_of)
    return histories(purchase_days(load_orders(orders, day)[0]), day)


def load_orders(orders: Source, as_of: dt.date, by: str | None = None) -> tuple[ir.Table, int]:
    """Return the orders by the end of ``as_of`` in one currency, and how many customers there are.

    With ``by`` each order carries its customer's ``segment``: the value at the first order.
    """
    table = load(orders, ORDERS)
    label = None if by is None else group_label(table, by, ORDERS, ANSWER)
    seen = table["ordered_at"] < midnight_after(as_of)
    facts = {"first": table["ordered_at"].min(), "n": table["customer_id"].nunique()}
    if "currency" in table.columns:
        facts["currencies"] = table["currency"].nunique(where=seen)
    found = table.aggregate(**facts).to_pandas().iloc[0]
    if found["first"].date() > as_of:
        raise DataError(
            f"orders: as_of={as_of} is before the first order ({found['first'].date()}); "
            "as_of is the last observed day"
        )
    if found.get("currencies", 1) > 1:
        names = table.filter(seen)["currency"].topk(4).to_pandas().iloc[:, 0]
        raise DataError(
            f"orders: 'currency' holds {found['currencies']} currencies ({listed(names)}), and their "
            "sums mean nothing; keep one: cx.clean_orders(..., currency=...)"
        )
    columns = {name: table[name] for name in ORDERS.required}
    if label is not None:
        columns["segment"] = label.fill_null(NO_GROUP)
    table = table.filter(seen).select(**columns)
    if label is not None:
        first_order = ibis.window(
            group_by="customer_id", order_by=[table["ordered_at"], table["order_id"]]
        )
        table = table.mutate(segment=table["segment"].first().over(first_order))
    return table, int(found["n"])


def purchase_days(rows: ir.Table) -> ir.Table:
    """Return customer_id, (segment,) day, spend and first, of each day with positive net spend."""
    key = [name for name in ("customer_id", "segment") if name in rows.columns]
    rows = rows.mutate(day=rows["ordered_at"].date())
    days = rows.group_by([*key, "day"]).aggregate(
        spend=rows["net_revenue"].sum(), moved=rows["net_revenue"].abs().sum()
    )
    # what a full refund leaves of a float is no purchase
    days = days.filter(days["spend"] > 1e-9 * days["moved"]).drop("moved")
    return days.mutate(first=days["day"].min().over(ibis.window(group_by="customer_id")))


def histories(days: ir.Table, as_of: dt.date) -> ir.Table:
    """Return `ltv_summary` (with ``segment``, if there is one) of purchase days up to ``as_of``."""
    days = days.filter(days["day"] <= ibis.date(str(as_of)))
    key = [name for name in ("customer_id", "segment") if name in days.columns]
    customers = days.group_by(key).aggregate(
        n_days=days.count(),
        first=days["first"].min(),
        last=days["day"].max(),
        spend=days["spend"].mean(where=days["day"] > days["first"]),
    )
    return customers.select(
        *key,
        frequency=customers["n_days"] - 1,
        recency=customers["last"].delta(customers["first"], unit="day"),
        T=ibis.date(str(as_of)).delta(customers["first"], unit="day"),
        monetary_value=customers["spend"].fill_null(0.0),
    )


def counted(table: ir.Table, columns: list[str]) -> pd.DataFrame:
    """Return the unique values of ``columns`` with the number of rows of each, ``n``."""
    return table.group_by(columns).aggregate(n=table.count()).order_by(columns).to_pandas()
