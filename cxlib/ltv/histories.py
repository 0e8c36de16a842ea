"""Orders become purchase days, and those become purchase histories, in the engine."""

from __future__ import annotations

import datetime as dt
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt

from cxlib._checks import DataError, check_date, listed
from cxlib.sources import Loaded, Source, fetched, load, load_columns
from cxlib.tables import NO_GROUP, ORDERS, group_label, midnight_after

HISTORY = ["frequency", "recency", "T"]
BITS = 22
"""As many as hold the days from the year 1 to 9999, so those of any history."""
ANSWER = {
    *("customer_id", "n_orders", "days_since_last", "expected_spend", "n_customers"),
    *("ltv_p10", "ltv_median", "ltv_p90"),
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
    loaded, _ = load_orders(orders, day)
    rows = seen_orders(loaded.check(), day)
    if rows.limit(1).count().execute() == 0:
        raise nobody(orders, day)
    customers, key = _by_customer(purchase_days(rows))
    customers = customers.filter(customers["n"] > 0)
    return customers.select(*key, **_words(customers, day))


def load_orders(orders: Source, as_of: dt.date) -> tuple[Loaded, str | None]:
    """Return the orders, and the one currency of those by ``as_of``, if they say it.

    Their rows are looked at where what is made of them is held.
    """
    loaded = load_columns(orders, ORDERS)
    return loaded, _one_currency(loaded.table, as_of)


def seen_orders(table: ir.Table, as_of: dt.date, by: str | None = None) -> ir.Table:
    """Return the orders by the end of ``as_of``.

    With ``by`` each carries its customer's ``segment``: the value at the first order.
    """
    label = None if by is None else group_label(table, by, ORDERS, ANSWER)
    seen = table.filter(table["ordered_at"] < midnight_after(as_of))
    if label is None:  # a column of that name is another's
        return seen.drop(*{"segment"} & set(seen.columns))
    rows = seen.select(*ORDERS.required, segment=label.fill_null(NO_GROUP))
    first_order = ibis.window(
        group_by="customer_id", order_by=[rows["ordered_at"], rows["order_id"]]
    )
    return rows.mutate(segment=rows["segment"].first().over(first_order))


def _one_currency(orders: ir.Table, as_of: dt.date) -> str | None:
    if "currency" not in orders.columns:
        return None
    table = seen_orders(orders, as_of)
    currency = table["currency"].cast("string")
    n, name = table.aggregate(n=currency.nunique(), name=currency.max()).to_pandas().iloc[0]
    if n > 1:
        names = table["currency"].topk(4).to_pandas().iloc[:, 0]
        raise DataError(
            f"orders: 'currency' holds {n} currencies ({listed(names)}), and their "
            "sums mean nothing; keep one: cx.clean_orders(..., currency=...)"
        )
    return str(name) if n else None


def nobody(orders: Source, as_of: dt.date) -> DataError:
    """Return the error to raise where no customer has a purchase by ``as_of``.

    If it is the rows that break the contract, that is raised.
    """
    first = load(orders, ORDERS)[ORDERS.when].min().execute().date()
    if first > as_of:
        return DataError(
            f"orders: as_of={as_of} is before the first order ({first}); as_of is the last observed day"
        )
    return DataError(
        f"orders: no customer has a day with positive net spend by as_of={as_of}; "
        "give a later as_of, or check the signs of 'net_revenue'"
    )


def purchase_days(rows: ir.Table) -> ir.Table:
    """Return customer_id, (segment,) day, spend, and whether the customer bought, of each day.

    A customer bought on a day with positive net spend.
    """
    key = [name for name in ("customer_id", "segment") if name in rows.columns]
    days = rows.group_by(*key, day=rows["ordered_at"].date()).aggregate(
        spend=rows["net_revenue"].sum(), largest=rows["net_revenue"].cast("float32").max()
    )
    # what a full refund leaves of a float is no purchase
    bought = days["spend"] > 1e-9 * days["largest"]
    return days.select(*key, "day", "spend", bought=bought)


def seen_histories(orders: ir.Table, as_of: dt.date, by: str | None) -> ir.Table:
    """Return the `histories` of `seen_orders`."""
    return histories(purchase_days(seen_orders(orders, as_of, by)), as_of)


def histories(days: ir.Table, as_of: dt.date) -> ir.Table:
    """Return customer_id, (segment,) history and monetary_value of `purchase_days`.

    A history is one number, which engines group and join by at least cost: see `in_words`. Those
    who never bought stand there too, with a history of -1.
    """
    customers, key = _by_customer(days)
    words = _words(customers, as_of)
    packed = (words["frequency"] * 2**BITS + words["recency"]) * 2**BITS + words["T"]
    return customers.select(
        *key, history=packed.fill_null(-1), monetary_value=words["monetary_value"]
    )


def in_words(history: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return frequency, recency and T, a row each, of histories told in one number."""
    days = 2**BITS - 1
    return np.stack([history >> 2 * BITS, history >> BITS & days, history & days])


def _by_customer(days: ir.Table) -> tuple[ir.Table, list[str]]:
    """Return what the purchases of each customer come to, and the names that tell customers."""
    key = [name for name in ("customer_id", "segment") if name in days.columns]
    only_bought = {  # nulls cost an engine less than a condition of each sum
        name: days["bought"].ifelse(days[name], ibis.null(days[name].type()))
        for name in ("day", "spend")
    }
    bought = days.select(*key, **only_bought)
    day, spend = bought["day"], bought["spend"]
    return bought.group_by(key).aggregate(
        n=day.count(),
        first=day.min(),
        last=day.max(),
        spend=spend.sum(),
        first_spend=spend.argmin(day),
        least=spend.min(),
    ), key


def _words(customers: ir.Table, as_of: dt.date) -> dict[str, ir.Value]:
    """Return a customer's history in the words of lifetimes."""
    frequency = customers["n"] - 1
    mean = (customers["spend"] - customers["first_spend"]) / frequency
    return {
        "frequency": frequency,
        "recency": customers["last"].delta(customers["first"], unit="day"),
        "T": ibis.date(str(as_of)).delta(customers["first"], unit="day"),
        # the difference keeps sixteen digits of the sum, and may lose all of a much smaller mean
        "monetary_value": (frequency > 0).ifelse(ibis.greatest(mean, customers["least"]), 0.0),
    }


def counted(table: ir.Table, *columns: str) -> dict[str, npt.NDArray[Any]]:
    """Return the unique values of ``columns`` with the number of rows of each, ``n``."""
    return fetched(_counted, table, *columns)


def _counted(table: ir.Table, *columns: str) -> ir.Table:
    return table.group_by(columns).aggregate(n=table.count()).order_by(columns)
