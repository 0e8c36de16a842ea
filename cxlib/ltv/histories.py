"""Orders become purchase histories, in the engine."""

from __future__ import annotations

import datetime as dt

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib._checks import check_date
from cxlib.sources import Source, load
from cxlib.tables import ORDERS

HISTORY = ["frequency", "recency", "T"]


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

    Examples
    --------
    >>> import pandas as pd
    >>> from cxlib.ltv import ltv_summary
    >>> orders = pd.DataFrame({"order_id": ["1", "2", "3"], "customer_id": ["ann"] * 3,
    ...     "ordered_at": pd.to_datetime(["2024-01-01 12:00", "2024-01-11 09:00", "2024-01-11 17:00"]),
    ...     "net_revenue": [50.0, 10.0, 15.0]})
    >>> ltv_summary(orders, as_of="2024-01-31").to_pandas()
      customer_id  frequency  recency   T  monetary_value
    0         ann          1       10  30            25.0
    """
    return reduced(load(orders, ORDERS), check_date("as_of", as_of))


def reduced(rows: ir.Table, as_of: dt.date) -> ir.Table:
    """Return `ltv_summary` of a table that keeps the contract."""
    end = dt.datetime.combine(as_of + dt.timedelta(days=1), dt.time.min)
    rows = rows.filter(rows["ordered_at"] < ibis.literal(end))
    rows = rows.mutate(day=rows["ordered_at"].date())
    days = rows.group_by(["customer_id", "day"]).aggregate(
        spend=rows["net_revenue"].sum(), moved=rows["net_revenue"].abs().sum()
    )
    # what a full refund leaves of a float is no purchase
    days = days.filter(days["spend"] > 1e-9 * days["moved"])
    days = days.mutate(first=days["day"].min().over(ibis.window(group_by="customer_id")))
    customers = days.group_by("customer_id").aggregate(
        n_days=days.count(),
        first=days["day"].min(),
        last=days["day"].max(),
        spend=days["spend"].mean(where=days["day"] > days["first"]),
    )
    return customers.select(
        "customer_id",
        frequency=customers["n_days"] - 1,
        recency=customers["last"].delta(customers["first"], unit="day"),
        T=ibis.literal(as_of).delta(customers["first"], unit="day"),
        monetary_value=customers["spend"].fill_null(0.0),
    )


def counted(table: ir.Table, columns: list[str]) -> pd.DataFrame:
    """Return the unique values of ``columns`` with the number of rows of each, ``n``."""
    return table.group_by(columns).aggregate(n=table.count()).order_by(columns).to_pandas()
