"""Who ordered again within a fixed time, and what that time brought."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib._calendar import UNITS, Calendar
from cxlib._checks import (
    DataError,
    ParameterError,
    check_choice,
    check_date,
    check_duration,
    check_number,
)
from cxlib._intervals import Moments, mean_interval, wilson
from cxlib.retention.firsts import (
    ALL_OLD,
    check_burn_in,
    first_orders_of,
    new_customers,
    observed_orders,
)
from cxlib.retention.periods import midnight, milliseconds
from cxlib.sources import Source

REPEAT = (
    "within",
    "n",
    "n_repeat",
    "repeat_rate",
    "ci_low",
    "ci_high",
    "net_revenue_per_customer",
    "net_revenue_low",
    "net_revenue_high",
    "n_open",
)


def repeat_rate(
    orders: Source,
    *,
    within: str | dt.timedelta | Sequence[str | dt.timedelta],
    as_of: str | dt.date,
    by: str | None = None,
    cohort_by: str | None = None,
    first_orders: Source | None = None,
    burn_in_days: float | None = None,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Return the share of customers who ordered again within a fixed time, and what they brought.

    Parameters
    ----------
    orders : Cleaned, or any table that holds orders
        ``order_id``, ``customer_id``, ``ordered_at``, ``net_revenue``; one row per order.
    within : str or timedelta, or a list of them
        Longest time from the first order, included: ``"90 days"``, ``["30 days", "365 days"]``.
    as_of : date or "YYYY-MM-DD"
        The last observed day, included; later orders are ignored.
    by : str, optional
        A column of ``orders``, as in `retention`.
    cohort_by : {"month", "week", "day", "quarter", "year"}, optional
        Also one row per cohort of first orders, to see the trend.
    first_orders, burn_in_days
        Who is old and left out, as in `retention`.
    alpha : float, default 0.05
        One minus the confidence of the intervals.

    Returns
    -------
    pandas.DataFrame
        Grain: one row per length (and group, and cohort).

        - ``by`` (text; its own name, first), ``cohort`` (datetime64), where asked for
        - ``within`` (text): the length, as it was given
        - ``n`` (int): customers whose time is over at the end of ``as_of``
        - ``n_repeat`` (int), ``repeat_rate``, ``ci_low``, ``ci_high`` (fractions): of those, who
          made a second order in time
        - ``net_revenue_per_customer``, ``net_revenue_low``, ``net_revenue_high`` (float): of all
          their orders in that time, the first included, and its interval
        - ``n_open`` (int): customers left out because their time is not over

    Raises
    ------
    ColumnError
        A required column or ``by`` is missing.
    DataError
        There are no orders by ``as_of``, or all customers are old.
    ParameterError
        An argument cannot be used.

    Notes
    -----
    Everybody counted has had the same time, so young and old cohorts compare fairly; those who
    came back early but whose time is not over stay out, since to keep them alone would flatter
    the rate. The intervals are Wilson's (1927, JASA 22, 209-212) and Student's on the mean;
    revenue is skewed, so below some hundred customers the latter is rough.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> orders = pd.DataFrame({"order_id": ["1", "2", "3"], "customer_id": ["ann", "ann", "bob"],
    ...     "ordered_at": pd.to_datetime(["2024-01-05", "2024-02-07", "2024-03-20"]),
    ...     "net_revenue": [20.0, 35.0, 10.0]})
    >>> table = cx.repeat_rate(orders, within=["30 days", "60 days"], as_of="2024-03-31")
    >>> table[["within", "n", "n_repeat", "repeat_rate", "net_revenue_per_customer", "n_open"]]
        within  n  n_repeat  repeat_rate  net_revenue_per_customer  n_open
    0  30 days  1         0          0.0                      20.0       1
    1  60 days  1         1          1.0                      55.0       1
    """
    listed = [within] if isinstance(within, (str, dt.timedelta)) else list(within)
    lengths = {str(each): check_duration("within", each) for each in listed}
    if not lengths:
        raise ParameterError("within=[] names no length; write '90 days'")
    last_day = check_date("as_of", as_of)
    if cohort_by is not None:
        check_choice("cohort_by", cohort_by, UNITS)
    check_number("alpha", alpha, 0, 1, open_low=True)
    known = check_burn_in(first_orders, burn_in_days)
    rows = observed_orders(orders, last_day, by, (*REPEAT, "cohort"))
    firsts = new_customers(first_orders_of(rows, known, burn_in_days))
    if cohort_by is not None:
        firsts = firsts.mutate(cohort=Calendar(cohort_by).number(firsts["first_at"]))
    key = [name for name in ("label", "cohort") if name in firsts.columns]
    sums = _window_sums(rows, firsts, key, list(lengths.values()), midnight(last_day))
    if sums.empty or sums["n_0"].isna().all():
        raise DataError(ALL_OLD)
    answer = _rates(sums, key, list(lengths), alpha)
    if cohort_by is not None:
        answer["cohort"] = Calendar(cohort_by).start(answer["cohort"]).astype("datetime64[us]")
    return answer.rename(columns={"label": by})


def _window_sums(
    rows: ir.Table, firsts: ir.Table, key: list[str], lengths: list[dt.timedelta], end: int
) -> pd.DataFrame:
    """Return, for each group and length k, counts of customers and sums of their revenue."""
    both = rows.select("customer_id", "ordered_at", "net_revenue").inner_join(firsts, "customer_id")
    start = milliseconds(both["first_at"])
    both = both.mutate(since=milliseconds(both["ordered_at"]) - start, seen=end - start)
    sizes = [length // dt.timedelta(milliseconds=1) for length in lengths]
    each = both.group_by(["customer_id", *key]).aggregate(
        seen=both["seen"].max(),
        **{f"orders_{k}": (both["since"] <= size).sum() for k, size in enumerate(sizes)},
        **{
            f"spent_{k}": both["net_revenue"].sum(where=both["since"] <= size)
            for k, size in enumerate(sizes)
        },
    )
    sums: dict[str, ir.Value] = {}
    for k, size in enumerate(sizes):
        over, spent = each["seen"] > size, each[f"spent_{k}"].fill_null(0.0)
        sums[f"n_{k}"] = over.sum()
        sums[f"open_{k}"] = (~over).sum()
        sums[f"repeat_{k}"] = (over & (each[f"orders_{k}"] > 1)).sum()
        sums[f"mean_{k}"] = spent.mean(where=over)
        sums[f"variance_{k}"] = spent.var(where=over, how="sample")
    table: pd.DataFrame = each.aggregate(by=key, **sums).execute()
    return table.sort_values(key, ignore_index=True) if key else table


def _rates(sums: pd.DataFrame, key: list[str], lengths: list[str], alpha: float) -> pd.DataFrame:
    """Lay the sums out with one row per group and length, and add rates and intervals."""
    parts = []
    for k, length in enumerate(lengths):
        part = sums[[*key, f"n_{k}", f"open_{k}", f"repeat_{k}", f"mean_{k}", f"variance_{k}"]]
        part.columns = [*key, "n", "n_open", "n_repeat", "net_revenue_per_customer", "variance"]
        parts.append(part.assign(within=length, _place=k))
    table = pd.concat(parts).sort_values([*key, "_place"], ignore_index=True)
    table = table.astype({"n": "int64", "n_open": "int64", "n_repeat": "int64"})
    rate, low, high = wilson(table["n_repeat"], table["n"], alpha)
    samples = zip(table["n"], table["net_revenue_per_customer"], table["variance"], strict=True)
    ends = np.array([mean_interval(Moments(*sample), alpha) for sample in samples])
    table = table.assign(
        repeat_rate=rate,
        ci_low=low,
        ci_high=high,
        net_revenue_low=ends[:, 0],
        net_revenue_high=ends[:, 1],
    )
    return table[[*key, *REPEAT]]
