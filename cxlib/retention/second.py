"""How long customers take to their second order: the Kaplan-Meier curve."""

from __future__ import annotations

import datetime as dt

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib._checks import DataError, check_date, check_number
from cxlib._survival import kaplan_meier
from cxlib.retention.firsts import (
    ALL_OLD,
    check_burn_in,
    first_orders_of,
    new_customers,
    observed_orders,
)
from cxlib.retention.periods import DAY, midnight, milliseconds
from cxlib.sources import Source

SECOND = ("days", "n_at_risk", "n_second_orders", "repeat_rate", "ci_low", "ci_high")


def time_to_second_order(
    orders: Source,
    *,
    as_of: str | dt.date,
    by: str | None = None,
    first_orders: Source | None = None,
    burn_in_days: float | None = None,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Return the share of customers who have ordered again so many days after their first order.

    Parameters
    ----------
    orders : Cleaned, or any table that holds orders
        ``order_id``, ``customer_id``, ``ordered_at``, ``net_revenue``; one row per order.
    as_of : date or "YYYY-MM-DD"
        The last observed day, included; later orders are ignored.
    by : str, optional
        A column of ``orders``, as in `retention`.
    first_orders, burn_in_days
        Who is old and left out, as in `retention`.
    alpha : float, default 0.05
        One minus the confidence of the pointwise intervals.

    Returns
    -------
    pandas.DataFrame
        Grain: one row per day on which a second order fell (and group).

        - the ``by`` column (text), where asked for
        - ``days`` (int): whole days after the first order, rounded up; 0 only for a second
          order at the same moment
        - ``n_at_risk`` (int): customers observed to that day who had not ordered again before
        - ``n_second_orders`` (int): second orders on that day
        - ``repeat_rate``, ``ci_low``, ``ci_high`` (fractions): who has ordered again by then,
          ``1 - S(days)``; the interval is null where all at risk have

    Raises
    ------
    ColumnError
        A required column or ``by`` is missing.
    DataError
        There are no orders by ``as_of``, or all customers are old.
    ParameterError
        An argument cannot be used.

    See Also
    --------
    cxlib.plot.time_to_second_order

    Notes
    -----
    Kaplan and Meier (1958, JASA 53, 457-481) as statsmodels computes it, on counts of customers
    per day: whoever has not come back yet counts for as long as they were observed, in whole
    days, so that young customers neither hide the late orders nor drag the curve down. The
    interval is Greenwood's on the log(-log) scale (Kalbfleisch and Prentice 1980, 1.3). The curve
    says how fast, not how many in the end: where it stops rising, nobody was watched longer.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> orders = pd.DataFrame({"order_id": ["1", "2", "3"], "customer_id": ["ann", "ann", "bob"],
    ...     "ordered_at": pd.to_datetime(["2024-01-05", "2024-02-07", "2024-01-20"]),
    ...     "net_revenue": [20.0, 35.0, 10.0]})
    >>> table = cx.time_to_second_order(orders, as_of="2024-03-31")
    >>> table[["days", "n_at_risk", "n_second_orders", "repeat_rate"]]
       days  n_at_risk  n_second_orders  repeat_rate
    0    33          2                1          0.5
    """
    last_day = check_date("as_of", as_of)
    check_number("alpha", alpha, 0, 1, open_low=True)
    known = check_burn_in(first_orders, burn_in_days)
    rows = observed_orders(orders, last_day, by, SECOND)
    firsts = new_customers(first_orders_of(rows, known, burn_in_days))
    counts = _day_counts(rows, firsts, midnight(last_day))
    if counts.empty:
        raise DataError(ALL_OLD)
    if by is None:
        return _curve(counts, alpha)
    parts = [_curve(part, alpha).assign(label=label) for label, part in counts.groupby("label")]
    return pd.concat(parts, ignore_index=True)[["label", *SECOND]].rename(columns={"label": by})


def _day_counts(rows: ir.Table, firsts: ir.Table, end: int) -> pd.DataFrame:
    """Return how many customers were followed for how many days, and whether they came back.

    A second order later than the last whole day that was observed is not seen: days are whole
    for those who came back and for those who did not.
    """
    label = [name for name in ("label",) if name in firsts.columns]
    both = rows.select("customer_id", "ordered_at").inner_join(firsts, "customer_id")
    start = milliseconds(both["first_at"])
    both = both.mutate(since=milliseconds(both["ordered_at"]) - start, seen=end - start)
    each = both.group_by(["customer_id", *label]).aggregate(
        at_once=(both["since"] == 0).sum(),
        later=both["since"].min(where=both["since"] > 0),
        observed_days=both["seen"].max() // DAY,
    )
    wait = ibis.ifelse(each["at_once"] > 1, 0, (each["later"] + (DAY - 1)) // DAY)
    back = (wait <= each["observed_days"]).fill_null(False)
    each = each.mutate(is_back=back, days=ibis.ifelse(back, wait, each["observed_days"]))
    counts: pd.DataFrame = (
        each.group_by([*label, "days", "is_back"]).aggregate(n=each.count()).execute()
    )
    return counts


def _curve(counts: pd.DataFrame, alpha: float) -> pd.DataFrame:
    """Return the curve of one group from its table of days."""
    curve = kaplan_meier(counts["days"], counts["is_back"], counts["n"], alpha)
    curve.columns = list(SECOND)
    return curve.astype({"days": "int64"})
