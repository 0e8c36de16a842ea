"""Who comes back: cohorts of customers by their first order, followed through the periods after it."""

from __future__ import annotations

import datetime as dt

import ibis
import ibis.expr.types as ir
import numpy.typing as npt
import pandas as pd

from cxlib._checks import check_choice, check_columns, check_date, check_number
from cxlib._intervals import wilson
from cxlib.sources import Source, load
from cxlib.tables import NO_GROUP, ORDERS, group_label, observed

PERIODS = {"month": ("M", "M"), "week": ("W", "W-SUN"), "day": ("D", "D")}
"""The engine's unit and the pandas frequency; weeks start on Monday."""

CELLS = (
    "cohort",
    "age",
    "n",
    "n_active",
    "retention_rate",
    "ci_low",
    "ci_high",
    "net_revenue",
    "is_complete",
)


def retention(
    orders: Source,
    *,
    period: str = "month",
    as_of: str | dt.date,
    by: str | None = None,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Return the cohort table: who of each cohort ordered again, and what it brought.

    Parameters
    ----------
    orders : Cleaned, or any table that holds orders
        ``order_id``, ``customer_id``, ``ordered_at``, ``net_revenue``; one row per order.
    period : {"month", "week", "day"}, default "month"
        Calendar periods in the shop's own clock; weeks start on Monday.
    as_of : date or "YYYY-MM-DD"
        The last observed day, included; later orders are ignored.
    by : str, optional
        A column of ``orders``; each customer belongs to its value at their first order
        (the lowest ``order_id`` where several share that moment). Customers without a value
        form the group ``(none)``.
    alpha : float, default 0.05
        One minus the confidence of the intervals.

    Returns
    -------
    pandas.DataFrame
        Grain: one row per cohort and age (and group), every cohort from age 0 to the last age
        that has begun by ``as_of``; a period without new customers has no rows.

        - ``by`` (text; its own name, first column), where asked for
        - ``cohort`` (datetime64): first day of the period of the first order
        - ``age`` (int): periods since that period
        - ``n`` (int): customers of the cohort, so far
        - ``n_active`` (Int64): those with an order in the period
        - ``retention_rate``, ``ci_low``, ``ci_high`` (fractions): ``n_active / n`` and its interval
        - ``net_revenue`` (float): of the cohort in the period
        - ``is_complete`` (bool): the period is over at ``as_of``. Where it is not, ``n_active``,
          the rate, its interval and ``net_revenue`` are null, never zero.

    Raises
    ------
    ColumnError
        A required column or ``by`` is missing.
    DataError
        There are no orders by ``as_of``.
    ParameterError
        ``period``, ``as_of`` or ``alpha`` cannot be used.

    Notes
    -----
    A customer is active at age *a* who orders in the *a*-th calendar period after that of the
    first order: "on" (N-day) retention, so rates may rise again. Intervals are Wilson's (1927,
    JASA 22, 209-212). Customers whose first order lies before the first row of the table are
    taken as new at their first row.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> orders = pd.DataFrame({"order_id": ["1", "2", "3"], "customer_id": ["ann", "ann", "bob"],
    ...     "ordered_at": pd.to_datetime(["2024-01-05", "2024-02-07", "2024-01-20"]),
    ...     "net_revenue": [20.0, 35.0, 10.0]})
    >>> table = cx.retention(orders, period="month", as_of="2024-03-15")
    >>> table[["age", "n", "n_active", "retention_rate", "net_revenue", "is_complete"]]
       age  n  n_active  retention_rate  net_revenue  is_complete
    0    0  2         2             1.0         30.0         True
    1    1  2         1             0.5         35.0         True
    2    2  2      <NA>             NaN          NaN        False
    """
    check_choice("period", period, PERIODS)
    last_day = check_date("as_of", as_of)
    check_number("alpha", alpha, 0, 1, open_low=True)
    table = load(orders, ORDERS)
    label = None if by is None else group_label(table, by, ORDERS, CELLS)
    table = table.select(*ORDERS.required, **({} if label is None else {"label": label}))
    activity = _activity(observed(table, ORDERS, last_day), PERIODS[period][0])
    cells = _cells(activity, PERIODS[period][1], last_day)
    cells["retention_rate"], cells["ci_low"], cells["ci_high"] = wilson(
        cells["n_active"].to_numpy(float, na_value=float("nan")), cells["n"], alpha
    )
    if by is None:
        return cells[list(CELLS)]
    return cells[["label", *CELLS]].rename(columns={"label": by})


def _activity(table: ir.Table, unit: str) -> pd.DataFrame:
    """Return active customers and revenue of each (label,) cohort and period with orders."""
    labels = ["label"] if "label" in table.columns else []
    if labels:
        first_order = ibis.window(
            group_by="customer_id", order_by=[table["ordered_at"], table["order_id"]]
        )
        table = table.mutate(label=table["label"].fill_null(NO_GROUP).first().over(first_order))
    table = table.mutate(period=table["ordered_at"].truncate(unit))
    per_customer = table.group_by(["customer_id", *labels, "period"]).aggregate(
        net_revenue=table["net_revenue"].sum()
    )
    per_customer = per_customer.mutate(
        cohort=per_customer["period"].min().over(ibis.window(group_by="customer_id"))
    )
    activity: pd.DataFrame = (
        per_customer.group_by([*labels, "cohort", "period"])
        .aggregate(n_active=per_customer.count(), net_revenue=per_customer["net_revenue"].sum())
        .execute()
    )
    return activity


def _cells(activity: pd.DataFrame, freq: str, last_day: dt.date) -> pd.DataFrame:
    """Lay the activity out on every (label,) cohort and age that has begun by the last day."""
    key = [name for name in ("label", "cohort") if name in activity]
    activity = activity.assign(
        age=_numbers(activity["period"], freq) - _numbers(activity["cohort"], freq),
        n_active=activity["n_active"].astype("Int64"),
    ).drop(columns="period")
    sizes = activity.loc[activity["age"] == 0, [*key, "n_active"]].sort_values(key)
    sizes = sizes.rename(columns={"n_active": "n"}).astype({"n": "int64"})
    begun = pd.Period(last_day, freq).ordinal - _numbers(sizes["cohort"], freq) + 1
    cells = sizes.loc[sizes.index.repeat(begun)]
    cells = cells.assign(age=cells.groupby(level=0).cumcount()).merge(
        activity, how="left", on=[*key, "age"]
    )
    first_open = pd.Period(last_day + dt.timedelta(days=1), freq).ordinal
    complete = _numbers(cells["cohort"], freq) + cells["age"] < first_open
    cells["is_complete"] = complete
    for name in ("n_active", "net_revenue"):
        cells[name] = cells[name].fillna(0).where(complete)
    return cells


def _numbers(stamps: pd.Series, freq: str) -> npt.NDArray:
    """Return the running number of each stamp's period."""
    return pd.PeriodIndex(stamps, freq=freq).asi8


def retention_curve(table: pd.DataFrame, *, alpha: float = 0.05) -> pd.DataFrame:
    """Return the average retention at each age, over the cohorts whose period is over.

    Parameters
    ----------
    table : pandas.DataFrame
        What `retention` returned.
    alpha : float, default 0.05
        One minus the confidence of the intervals.

    Returns
    -------
    pandas.DataFrame
        Grain: one row per age (and group) that at least one cohort has completed.

        - the ``by`` column, where the table has one
        - ``age`` (int): periods since the period of the first order
        - ``n``, ``n_active`` (int): customers of those cohorts, and those active
        - ``retention_rate``, ``ci_low``, ``ci_high`` (fractions): ``n_active / n``, so larger
          cohorts weigh more
        - ``n_cohorts`` (int): cohorts behind the row
        - ``net_revenue_per_customer`` (float): of that age alone
        - ``cumulative_net_revenue_per_customer`` (float): from age 0 to this age, over the same
          cohorts; it may fall where a better cohort is too young for the next age

    Raises
    ------
    ColumnError
        The table lacks a column that `retention` gives.

    Notes
    -----
    The interval is Wilson's on the pooled counts: it takes customers as independent and the
    cohorts as alike, so it is too narrow where cohorts differ much.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> orders = pd.DataFrame({"order_id": ["1", "2", "3"], "customer_id": ["ann", "ann", "bob"],
    ...     "ordered_at": pd.to_datetime(["2024-01-05", "2024-02-07", "2024-02-20"]),
    ...     "net_revenue": [20.0, 35.0, 10.0]})
    >>> table = cx.retention(orders, period="month", as_of="2024-03-15")
    >>> cx.retention_curve(table)[["age", "n", "n_active", "n_cohorts"]]
       age  n  n_active  n_cohorts
    0    0  2         2          2
    1    1  1         1          1
    """
    check_columns("retention table", list(table.columns), CELLS)
    check_number("alpha", alpha, 0, 1, open_low=True)
    by = [] if table.columns[0] == "cohort" else [table.columns[0]]
    cells = table.sort_values([*by, "cohort", "age"])
    cells = cells.assign(so_far=cells.groupby([*by, "cohort"])["net_revenue"].cumsum())
    curve = (
        cells[cells["is_complete"]]
        .groupby([*by, "age"], as_index=False)
        .agg(
            n=("n", "sum"),
            n_active=("n_active", "sum"),
            n_cohorts=("cohort", "size"),
            net_revenue=("net_revenue", "sum"),
            so_far=("so_far", "sum"),
        )
        .astype({"n_active": "int64"})
    )
    rate, low, high = wilson(curve["n_active"], curve["n"], alpha)
    return curve[[*by, "age", "n", "n_active"]].assign(
        retention_rate=rate,
        ci_low=low,
        ci_high=high,
        n_cohorts=curve["n_cohorts"],
        net_revenue_per_customer=curve["net_revenue"] / curve["n"],
        cumulative_net_revenue_per_customer=curve["so_far"] / curve["n"],
    )
