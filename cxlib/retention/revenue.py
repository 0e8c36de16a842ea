"""What the customers of one period spend in a later one."""

from __future__ import annotations

import datetime as dt
import math

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib._calendar import UNITS, WEEKDAYS, Calendar
from cxlib._checks import (
    DataError,
    ParameterError,
    check_choice,
    check_date,
    check_number,
)
from cxlib._intervals import wilson
from cxlib.sources import Source, load
from cxlib.tables import ORDERS, observed

KEPT = (
    "period",
    "n",
    "n_active",
    "retention_rate",
    "ci_low",
    "ci_high",
    "base_revenue",
    "net_revenue",
    "gross_revenue_retention",
    "net_revenue_retention",
    "net_revenue_retention_low",
    "net_revenue_retention_high",
)


def net_revenue_retention(
    orders: Source,
    *,
    period: str = "month",
    lag: int = 1,
    as_of: str | dt.date,
    week_start: str = "monday",
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Return what the customers of each period spent some periods later, as a share.

    Parameters
    ----------
    orders : Cleaned, or any table that holds orders
        ``order_id``, ``customer_id``, ``ordered_at``, ``net_revenue``; one row per order.
    period : {"month", "week", "day", "quarter", "year"}, default "month"
        Calendar periods in the shop's own clock.
    lag : int, default 1
        How many periods lie between: 12 with months is the same month a year before, as
        subscription businesses report it.
    as_of : date or "YYYY-MM-DD"
        The last observed day, included; later orders are ignored.
    week_start : {"monday", …, "sunday"}, default "monday"
        First day of the week.
    alpha : float, default 0.05
        One minus the confidence of the intervals.

    Returns
    -------
    pandas.DataFrame
        Grain: one row per period that is over at ``as_of``, from the first that can have
        customers ``lag`` periods before; periods whose base had no customer are left out.

        - ``period`` (datetime64): first day of the later period
        - ``n`` (int): customers who ordered ``lag`` periods before, new or not: the base
        - ``n_active`` (int), ``retention_rate``, ``ci_low``, ``ci_high`` (fractions): of those,
          who ordered in the period (Wilson's interval)
        - ``base_revenue``, ``net_revenue`` (float): of the base, then and now
        - ``gross_revenue_retention`` (fraction): without what anybody spends more than then
        - ``net_revenue_retention`` and its ends ``_low``, ``_high`` (fractions, may pass 1)

    Raises
    ------
    ColumnError
        A required column is missing.
    DataError
        There are no orders by ``as_of``, or no two completed periods ``lag`` apart.
    ParameterError
        An argument cannot be used.

    Notes
    -----
    ``net_revenue_retention = sum(y) / sum(x)`` over the base, *x* a customer's revenue then and
    *y* now; gross: ``sum(min(x, y)) / sum(x)``. New customers of the later period are in neither.
    Null where the base brought nothing. The interval is that of a ratio of means (Cochran 1977,
    *Sampling Techniques*, 6.4), with Student's factor: ``s² = sum((y - r x)²) / (n - 1)``, error
    ``sqrt(n) s / sum(x)``. For a shop without subscriptions a month's figure is far below 1;
    compare it with the same shop's, not with a software company's.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> orders = pd.DataFrame({"order_id": ["1", "2", "3"], "customer_id": ["ann", "ann", "bob"],
    ...     "ordered_at": pd.to_datetime(["2024-01-05", "2024-02-07", "2024-01-20"]),
    ...     "net_revenue": [20.0, 24.0, 10.0]})
    >>> table = cx.net_revenue_retention(orders, as_of="2024-02-29")
    >>> table[["n", "n_active", "base_revenue", "net_revenue", "net_revenue_retention"]]
       n  n_active  base_revenue  net_revenue  net_revenue_retention
    0  2         1          30.0         24.0                    0.8
    """
    check_choice("period", period, UNITS)
    check_choice("week_start", week_start, WEEKDAYS)
    last_day = check_date("as_of", as_of)
    if lag != int(check_number("lag", lag, 1)):
        raise ParameterError(f"lag={lag!r} is no whole number of periods")
    check_number("alpha", alpha, 0, 1, open_low=True)
    calendar = Calendar(period, week_start)
    rows = observed(load(orders, ORDERS), ORDERS, last_day)
    first_open = calendar.number_of(last_day + dt.timedelta(days=1))
    sums = _sums(rows, calendar, int(lag), first_open)
    if sums.empty:
        raise DataError(
            f"orders: no {period} that is over at as_of={last_day} lies {lag} after one with "
            "customers; give a later as_of or a smaller lag"
        )
    return _shares(sums, calendar, alpha)


def _sums(rows: ir.Table, calendar: Calendar, lag: int, first_open: int) -> pd.DataFrame:
    """Return counts and sums of the base of each period: x is revenue then, y now."""
    spent = rows.group_by("customer_id", number=calendar.number(rows["ordered_at"])).aggregate(
        x=rows["net_revenue"].sum()
    )
    now = spent.select("customer_id", number=spent["number"] - lag, y=spent["x"])
    pairs = spent.left_join(now, ["customer_id", "number"])
    pairs = pairs.select("x", "y", number=pairs["number"] + lag, is_active=pairs["y"].notnull())
    pairs = pairs.filter(pairs["number"] < first_open).mutate(y=pairs["y"].fill_null(0.0))
    x, y = pairs["x"], pairs["y"]
    sums: pd.DataFrame = (
        pairs.group_by("number")
        .aggregate(
            n=pairs.count(),
            n_active=pairs["is_active"].sum(),
            base_revenue=x.sum(),
            net_revenue=y.sum(),
            kept=ibis.least(x, y).sum(),
            xx=(x * x).sum(),
            xy=(x * y).sum(),
            yy=(y * y).sum(),
        )
        .execute()
    )
    return sums.sort_values("number", ignore_index=True)


def _shares(sums: pd.DataFrame, calendar: Calendar, alpha: float) -> pd.DataFrame:
    from scipy.stats import t

    base = sums["base_revenue"].where(sums["base_revenue"] > 0)
    ratio, freedom = sums["net_revenue"] / base, (sums["n"] - 1).where(sums["n"] > 1)
    residual = (sums["yy"] - 2 * ratio * sums["xy"] + ratio**2 * sums["xx"]).clip(lower=0)
    half = t.isf(alpha / 2, freedom) * (sums["n"] * residual / freedom).map(math.sqrt) / base
    rate, low, high = wilson(sums["n_active"], sums["n"], alpha)
    answer = sums.assign(
        period=calendar.start(sums["number"]).astype("datetime64[us]"),
        retention_rate=rate,
        ci_low=low,
        ci_high=high,
        gross_revenue_retention=sums["kept"] / base,
        net_revenue_retention=ratio,
        net_revenue_retention_low=ratio - half,
        net_revenue_retention_high=ratio + half,
    )
    return answer.astype({"n": "int64", "n_active": "int64"})[list(KEPT)]
