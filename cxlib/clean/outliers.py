"""Orders far from the others, kept or undone: reported by a stated rule, never dropped."""

from __future__ import annotations

import datetime as dt

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib._checks import check_number
from cxlib._published import of_single_persons
from cxlib.clean.freshness import up_to
from cxlib.clean.losses import Cleaned
from cxlib.sources import Source, load
from cxlib.tables import ORDERS

NORMAL = 0.6745
"""The median absolute deviation of a standard normal."""
COLUMNS = ["order_id", "customer_id", "ordered_at", "gross_revenue", "net_revenue"]


def outliers(data: Source, *, z: float = 3.5, as_of: str | dt.date | None = None) -> pd.DataFrame:
    """Report orders whose size is far from that of the others, those undone by a refund too.

    Parameters
    ----------
    data : Cleaned or any orders source
        One row per order. What `clean_orders` made also tells of orders that were refunded to
        nothing, which no longer stand in its table.
    z : float, default 3.5
        The robust z score from which an order is an outlier.
    as_of : date or str, optional
        The last observed day, included; later orders are left out.

    Returns
    -------
    pandas.DataFrame
        One row per outlier, the largest first: ``order_id``, ``customer_id``, ``ordered_at``,
        ``gross_revenue`` (before refunds, where known), ``net_revenue``, ``robust_z``,
        ``revenue_share`` (its net revenue, of the kept), ``fate`` (``kept``, or the rule that
        dropped it), ``hours_to_refund`` (null without a refund that has a time).

    Raises
    ------
    ColumnError, DataError
        ``data`` does not keep the contract of orders.
    ParameterError
        ``z`` is not above 0.

    Notes
    -----
    robust z = 0.6745 (x − median) / MAD, with x the logarithm of the gross revenue of orders
    above zero, MAD the median absolute deviation; 3.5 is the bound of Iglewicz and Hoaglin, How
    to Detect and Handle Outliers, 1993. Order values are skewed, so logarithms are taken first.
    Median and MAD are those of the kept orders. Nothing is dropped: leave an order out with
    ``exclude=`` in cleaning, or hold the answer with and without it.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> orders = pd.DataFrame({"order_id": list("abcdef"), "customer_id": "ann",
    ...     "ordered_at": pd.Timestamp("2024-05-01"), "net_revenue": [9.0, 10, 10, 11, 12, 9000]})
    >>> cx.outliers(orders)[["order_id", "fate"]].values.tolist()
    [['f', 'kept']]
    """
    check_number("z", z, 0, open_low=True)
    kept = up_to(load(data, ORDERS), as_of)
    dropped = data.dropped if isinstance(data, Cleaned) else None
    orders = _sized(kept, None if dropped is None else up_to(dropped, as_of)).cache()
    of_kept = orders.filter(orders["fate"] == "kept")
    middle = of_kept["size"].median().execute()
    spread = (of_kept["size"] - float(middle)).abs().median().execute() if pd.notna(middle) else 0
    total = kept["net_revenue"].sum().execute()
    if not spread or pd.isna(spread):
        far = orders.filter(ibis.literal(False)).mutate(robust_z=ibis.literal(0.0))
    else:
        score = (orders["size"] - float(middle)) * (NORMAL / float(spread))
        far = orders.mutate(robust_z=score)
        far = far.filter(far["robust_z"].abs() >= z)
    found = far.order_by(ibis.desc("gross_revenue"), "order_id").execute()
    lag = pd.to_datetime(found["refunded_at"]) - pd.to_datetime(found["ordered_at"])
    found["revenue_share"] = np.where(
        found["fate"] == "kept", found["net_revenue"] / total if total else 0.0, 0.0
    )
    found["hours_to_refund"] = (lag / pd.Timedelta(hours=1)).astype(float)
    names = [*COLUMNS, "robust_z", "revenue_share", "fate", "hours_to_refund"]
    return of_single_persons(found[names])


def _sized(kept: ir.Table, dropped: ir.Table | None) -> ir.Table:
    """Return the orders above zero, kept ones and those refunded in full, with their ``size``."""
    orders = kept.select(
        *ORDERS.required,
        gross_revenue=kept["net_revenue"],
        refunded_at=ibis.null("timestamp"),
        fate=ibis.literal("kept"),
    )
    orders = orders.mutate(ordered_at=orders["ordered_at"].cast("timestamp"))
    if dropped is not None:
        undone = dropped.filter(dropped["rule"] == "refunded_in_full")
        undone = undone.select(
            *ORDERS.required,
            "refunded_at",
            gross_revenue=undone["net_revenue"] - undone["refunds"],
            fate="rule",
        )
        undone = undone.mutate(
            ordered_at=undone["ordered_at"].cast("timestamp"),
            refunded_at=undone["refunded_at"].cast("timestamp"),
        )
        orders = orders.union(undone.select(orders.columns))
    orders = orders.filter(orders["gross_revenue"] > 0)
    return orders.mutate(size=orders["gross_revenue"].ln())
