"""Which customers are best, new, or slipping away: recency, frequency and monetary value."""

from __future__ import annotations

import datetime as dt

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib._checks import check_choice, check_columns, check_date
from cxlib.sources import Source, as_table, load
from cxlib.tables import ORDERS, observed

SEGMENTS = {
    "champions": ((5,), (4, 5)),
    "loyal": ((3, 4), (4, 5)),
    "potential loyalists": ((4, 5), (2, 3)),
    "new": ((5,), (1,)),
    "promising": ((4,), (1,)),
    "need attention": ((3,), (3,)),
    "about to sleep": ((3,), (1, 2)),
    "cannot lose": ((1, 2), (5,)),
    "at risk": ((1, 2), (3, 4)),
    "hibernating": ((1, 2), (1, 2)),
}
"""Name of each segment: its fifths of recency, and of frequency. Every pair has one name."""


def rfm(orders: Source, *, as_of: str | dt.date, n_bins: int = 5) -> ir.Table:
    """Score each customer by recency, frequency and monetary value, and name the segment.

    Parameters
    ----------
    orders : Cleaned, or any table that holds orders
        ``order_id``, ``customer_id``, ``ordered_at``, ``net_revenue``; one row per order.
    as_of : date or "YYYY-MM-DD"
        The last observed day, included; later orders are ignored.
    n_bins : int, default 5
        Scores run from 1 to this, the best.

    Returns
    -------
    ibis table
        Grain: one row per customer with an order by ``as_of``: ``customer_id``,
        ``days_since_last`` (whole days from the last order's day to ``as_of``), ``n_orders``,
        ``net_revenue``, ``recency_score``, ``frequency_score``, ``monetary_score`` (1 to
        ``n_bins``), ``segment``.

    Raises
    ------
    ColumnError
        A required column is missing.
    DataError
        There are no orders by ``as_of``.
    ParameterError
        ``n_bins`` is no whole number from 2 to 10.

    Notes
    -----
    A score is ``1 + floor(n_bins * worse / n)``, where ``worse`` of the ``n`` customers are
    strictly worse: equal customers score alike, whatever the order of rows. Where most customers
    ordered once, all of them score 1 and no one scores 2.

    Scoring by fifths is that of Hughes (1994, *Strategic Database Marketing*). The names are by
    fifths of recency and frequency, whatever ``n_bins``, on the grid that public RFM notebooks
    share (their ``seg_map``):

    ===================  =======  =========
    segment              recency  frequency
    ===================  =======  =========
    champions            5        4-5
    loyal                3-4      4-5
    potential loyalists  4-5      2-3
    new                  5        1
    promising            4        1
    need attention       3        3
    about to sleep       3        1-2
    cannot lose          1-2      5
    at risk              1-2      3-4
    hibernating          1-2      1-2
    ===================  =======  =========

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> orders = pd.DataFrame({"order_id": ["1", "2", "3"], "customer_id": ["ann", "ann", "bob"],
    ...     "ordered_at": pd.to_datetime(["2024-01-05", "2024-02-07", "2024-01-20"]),
    ...     "net_revenue": [20.0, 35.0, 10.0]})
    >>> scored = cx.rfm(orders, as_of="2024-02-29").order_by("customer_id").execute()
    >>> scored[["customer_id", "days_since_last", "n_orders", "recency_score", "segment"]]
      customer_id  days_since_last  n_orders  recency_score      segment
    0         ann               22         2              3  need attention
    1         bob               40         1              1     hibernating
    """
    last_day = check_date("as_of", as_of)
    check_choice("n_bins", n_bins, range(2, 11))
    table = observed(load(orders, ORDERS), ORDERS, last_day)
    customers = table.group_by("customer_id").aggregate(
        days_since_last=ibis.date(str(last_day)).delta(
            table["ordered_at"].max().date(), unit="day"
        ),
        n_orders=table.count(),
        net_revenue=table["net_revenue"].sum(),
    )
    better_later = {
        "recency": customers["days_since_last"].desc(),
        "frequency": customers["n_orders"].asc(),
        "monetary": customers["net_revenue"].asc(),
    }
    worse = {
        f"_{name}": ibis.rank().over(ibis.window(order_by=order))
        for name, order in better_later.items()
    }
    ranked = customers.mutate(**worse, _n=ibis._.count().over(ibis.window()))

    def score(name: str, bins: int) -> ir.Value:
        return (ranked[f"_{name}"] * bins // ranked["_n"] + 1).cast("int64")

    recency, frequency = score("recency", 5), score("frequency", 5)
    named = [
        (recency.isin(r) & frequency.isin(f), ibis.literal(segment))
        for segment, (r, f) in SEGMENTS.items()
    ]
    return ranked.select(
        "customer_id",
        "days_since_last",
        "n_orders",
        "net_revenue",
        **{f"{name}_score": score(name, n_bins) for name in better_later},
        segment=ibis.cases(*named),
    )


def segment_sizes(scored: Source) -> pd.DataFrame:
    """Return how many customers each segment has, and what they have brought.

    Parameters
    ----------
    scored : ibis table
        What `rfm` returned.

    Returns
    -------
    pandas.DataFrame
        Grain: one row per segment that has customers, best first: ``segment`` (text), ``n``
        (int, customers), ``share`` (of all customers), ``net_revenue`` (float),
        ``revenue_share`` (of all their revenue; null where that is zero).

    Raises
    ------
    ColumnError
        The table lacks a column that `rfm` gives.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> orders = pd.DataFrame({"order_id": ["1", "2", "3"], "customer_id": ["ann", "ann", "bob"],
    ...     "ordered_at": pd.to_datetime(["2024-01-05", "2024-02-07", "2024-01-20"]),
    ...     "net_revenue": [20.0, 35.0, 45.0]})
    >>> cx.segment_sizes(cx.rfm(orders, as_of="2024-02-29"))
              segment  n  share  net_revenue  revenue_share
    0  need attention  1    0.5         55.0           0.55
    1     hibernating  1    0.5         45.0           0.45
    """
    table = as_table(scored)
    check_columns("rfm table", table.columns, ["segment", "net_revenue"])
    sizes: pd.DataFrame = (
        table.group_by("segment")
        .aggregate(n=table.count(), net_revenue=table["net_revenue"].sum())
        .execute()
    )
    best_first = {segment: place for place, segment in enumerate(SEGMENTS)}
    sizes = sizes.sort_values("segment", key=lambda names: names.map(best_first), ignore_index=True)
    total = sizes["net_revenue"].sum()
    return pd.DataFrame(
        {
            "segment": sizes["segment"],
            "n": sizes["n"],
            "share": sizes["n"] / sizes["n"].sum(),
            "net_revenue": sizes["net_revenue"],
            "revenue_share": sizes["net_revenue"] / (total if total else float("nan")),
        }
    )
