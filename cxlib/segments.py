"""Which customers are best, new, or slipping away: recency, frequency and monetary value."""

from __future__ import annotations

import datetime as dt

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib._checks import (
    DataError,
    ParameterError,
    check_choice,
    check_columns,
    check_date,
    check_number,
)
from cxlib._intervals import Moments, mean_interval, wilson
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
MEASURES = {"recency": "days_since_last", "frequency": "n_orders", "monetary": "net_revenue"}
NOT_YET = "(not yet a customer)"
SIZES = (
    "segment",
    "recency",
    "frequency",
    "n",
    "share",
    "net_revenue",
    "revenue_share",
    "net_revenue_per_customer",
    "net_revenue_low",
    "net_revenue_high",
    "average_order_value",
)


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
        # engines add up in any order: without it, equal customers would differ in the last digit
        net_revenue=table["net_revenue"].sum().round(6),
    )
    ranked = customers.cross_join(customers.aggregate(_n=customers.count()))
    for name, column in MEASURES.items():
        ranked = _with_worse(ranked, column, name)

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
        **{f"{name}_score": score(name, n_bins) for name in MEASURES},
        segment=ibis.cases(*named),
    )


def _with_worse(customers: ir.Table, column: str, name: str) -> ir.Table:
    """Add how many customers are strictly worse by a column: only its distinct values are sorted."""
    values = customers.group_by(column).aggregate(size=customers.count())
    order = ibis.desc(column) if name == "recency" else ibis.asc(column)
    before = ibis.window(order_by=order, preceding=(None, 1))
    worse = values["size"].sum().over(before).fill_null(0)
    values = values.select(column, **{f"_{name}": worse})
    return customers.inner_join(values, column)


def segment_sizes(scored: Source, *, alpha: float = 0.05) -> pd.DataFrame:
    """Return how many customers each segment has, and what they have brought.

    Parameters
    ----------
    scored : ibis table
        What `rfm` returned.
    alpha : float, default 0.05
        One minus the confidence of the intervals.

    Returns
    -------
    pandas.DataFrame
        Grain: one row per segment that has customers, best first.

        - ``segment`` (text); ``recency`` and ``frequency`` (text): the fifths it covers, ``3-4``
        - ``n`` (int, customers), ``share`` (of all customers)
        - ``net_revenue`` (float), ``revenue_share`` (of all their revenue; null where that is
          zero)
        - ``net_revenue_per_customer``, ``net_revenue_low``, ``net_revenue_high`` (float): so far,
          with Student's interval of the mean (null for one customer)
        - ``average_order_value`` (float): revenue per order

    Raises
    ------
    ColumnError
        The table lacks a column that `rfm` gives.
    DataError
        The table has no rows.

    See Also
    --------
    cxlib.plot.segment_sizes

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> orders = pd.DataFrame({"order_id": ["1", "2", "3"], "customer_id": ["ann", "ann", "bob"],
    ...     "ordered_at": pd.to_datetime(["2024-01-05", "2024-02-07", "2024-01-20"]),
    ...     "net_revenue": [20.0, 35.0, 45.0]})
    >>> sizes = cx.segment_sizes(cx.rfm(orders, as_of="2024-02-29"))
    >>> sizes[["segment", "n", "share", "net_revenue", "revenue_share", "average_order_value"]]
              segment  n  share  net_revenue  revenue_share  average_order_value
    0  need attention  1    0.5         55.0           0.55                 27.5
    1     hibernating  1    0.5         45.0           0.45                 45.0
    """
    table = as_table(scored)
    check_columns("rfm table", table.columns, ["segment", "n_orders", "net_revenue"])
    check_number("alpha", alpha, 0, 1, open_low=True)
    spent = table["net_revenue"]
    sizes: pd.DataFrame = (
        table.group_by("segment")
        .aggregate(
            n=table.count(),
            orders=table["n_orders"].sum(),
            net_revenue=spent.sum(),
            mean=spent.mean(),
            variance=spent.var(how="sample"),
        )
        .execute()
    )
    if sizes.empty:
        raise DataError("rfm table: no rows; there is nobody to count")
    best_first = {segment: place for place, segment in enumerate(SEGMENTS)}
    sizes = sizes.sort_values("segment", key=lambda names: names.map(best_first), ignore_index=True)
    samples = zip(sizes["n"], sizes["mean"], sizes["variance"], strict=True)
    ends = [mean_interval(Moments(*sample), alpha) for sample in samples]
    total = sizes["net_revenue"].sum()
    fifths = [[_fifths(part) for part in SEGMENTS[name]] for name in sizes["segment"]]
    return sizes.assign(
        recency=[recency for recency, _ in fifths],
        frequency=[frequency for _, frequency in fifths],
        share=sizes["n"] / sizes["n"].sum(),
        revenue_share=sizes["net_revenue"] / (total if total else float("nan")),
        net_revenue_per_customer=sizes["mean"],
        net_revenue_low=[low for low, _ in ends],
        net_revenue_high=[high for _, high in ends],
        average_order_value=sizes["net_revenue"] / sizes["orders"],
    )[list(SIZES)]


def _fifths(part: tuple[int, ...]) -> str:
    return str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}"


def rfm_movement(
    orders: Source,
    *,
    from_date: str | dt.date,
    to_date: str | dt.date,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Return who moved from which segment to which between two days, and what they spent.

    Parameters
    ----------
    orders : Cleaned, or any table that holds orders
        ``order_id``, ``customer_id``, ``ordered_at``, ``net_revenue``; one row per order.
    from_date, to_date : date or "YYYY-MM-DD"
        Two observed days, both included: customers are scored as of either.
    alpha : float, default 0.05
        One minus the confidence of the intervals.

    Returns
    -------
    pandas.DataFrame
        Grain: one row per pair of segments between which anybody moved or stayed, best first.

        - ``from_segment`` (text): as of ``from_date``; ``(not yet a customer)`` for those whose
          first order came later
        - ``to_segment`` (text): as of ``to_date``
        - ``n`` (int): customers
        - ``share``, ``ci_low``, ``ci_high`` (fractions): of all in ``from_segment``
        - ``net_revenue`` (float): what they spent after ``from_date``, up to ``to_date``

    Raises
    ------
    ColumnError
        A required column is missing.
    DataError
        There are no orders by ``from_date``.
    ParameterError
        ``to_date`` is not after ``from_date``, or either is no date.

    See Also
    --------
    cxlib.plot.rfm_movement

    Notes
    -----
    Scores are by rank among the customers of their day: who ordered nothing may still move,
    because others did. Intervals are Wilson's (1927, JASA 22, 209-212).

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> orders = pd.DataFrame({"order_id": ["1", "2", "3"], "customer_id": ["ann", "bob", "bob"],
    ...     "ordered_at": pd.to_datetime(["2024-01-05", "2024-01-20", "2024-02-07"]),
    ...     "net_revenue": [20.0, 35.0, 45.0]})
    >>> moved = cx.rfm_movement(orders, from_date="2024-01-31", to_date="2024-02-29")
    >>> moved[["from_segment", "to_segment", "n", "share", "net_revenue"]]
         from_segment      to_segment  n  share  net_revenue
    0  about to sleep  need attention  1    1.0         45.0
    1     hibernating     hibernating  1    1.0          0.0
    """
    first, last = check_date("from_date", from_date), check_date("to_date", to_date)
    if last <= first:
        raise ParameterError(f"to_date={last} must be after from_date={first}")
    check_number("alpha", alpha, 0, 1, open_low=True)
    before = rfm(orders, as_of=first).select(
        "customer_id", from_segment="segment", spent="net_revenue"
    )
    after = rfm(orders, as_of=last).select("customer_id", "net_revenue", to_segment="segment")
    pairs = after.left_join(before, "customer_id")
    pairs = pairs.select(
        "to_segment",
        from_segment=pairs["from_segment"].fill_null(NOT_YET),
        spent=pairs["net_revenue"] - pairs["spent"].fill_null(0.0),
    )
    moved: pd.DataFrame = (
        pairs.group_by(["from_segment", "to_segment"])
        .aggregate(n=pairs.count(), net_revenue=pairs["spent"].sum())
        .execute()
    )
    order = {segment: place for place, segment in enumerate([*SEGMENTS, NOT_YET])}
    pair = ["from_segment", "to_segment"]
    moved = moved.sort_values(pair, key=lambda names: names.map(order), ignore_index=True)
    base = moved.groupby("from_segment")["n"].transform("sum")
    share, low, high = wilson(moved["n"], base, alpha)
    moved = moved.assign(share=share, ci_low=low, ci_high=high)
    return moved[[*pair, "n", "share", "ci_low", "ci_high", "net_revenue"]]
