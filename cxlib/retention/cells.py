"""The cohort table: who of each cohort ordered at each age, and what it brought."""

from __future__ import annotations

import datetime as dt
import itertools
import numbers
from collections.abc import Sequence
from typing import Literal, get_args

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib._calendar import Unit, Weekday
from cxlib._checks import DataError, ParameterError, check_choice, check_date, check_number
from cxlib._intervals import wilson
from cxlib.retention.firsts import ALL_OLD, check_burn_in, observed_orders
from cxlib.retention.periods import Periods, check_periods
from cxlib.retention.reduce import Span, active_at, activity_of, members_of, visits_of
from cxlib.sources import Source

Kind = Literal["on", "on_or_after"]
Cohorts = Literal["first", "recurring"]
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
    period: Unit | str = "month",
    as_of: str | dt.date,
    kind: Kind = "on",
    brackets: Sequence[int] | None = None,
    cohorts: Cohorts = "first",
    by: str | None = None,
    first_orders: Source | None = None,
    burn_in_days: float | None = None,
    week_start: Weekday = "monday",
    cohort_by: Unit | None = None,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Return the cohort table: who of each cohort ordered again, and what it brought.

    Parameters
    ----------
    orders : Cleaned, or any table that holds orders
        ``order_id``, ``customer_id``, ``ordered_at``, ``net_revenue``; one row per order.
    period : {"month", "week", "day", "quarter", "year"} or a length, default "month"
        A calendar period in the shop's own clock; or an exact length, ``"24 hours"`` or
        ``"30 days"``, counted from each customer's own first order on the same clock: from noon to
        noon is 24 hours, also in the night in which its hands move.
    as_of : date or "YYYY-MM-DD"
        The last observed day, included; later orders are ignored.
    kind : {"on", "on_or_after"}, default "on"
        Active at an age is who ordered in it ("N-day", bounded), or in it or later ("rolling",
        unbounded).
    brackets : list of int, optional
        The last age of each bracket: ``[1, 3, 7, 30]`` counts who ordered at age 1, at ages 2–3,
        4–7 and 8–30, beside age 0.
    cohorts : {"first", "recurring"}, default "first"
        A customer belongs to the period of the first order ever, or to that of every order.
    by : str, optional
        A column of ``orders``; each customer belongs to its value at their first order
        (the lowest ``order_id`` where several share that moment). Customers without a value
        form the group ``(none)``.
    first_orders : table, optional
        ``customer_id``, ``first_ordered_at`` (the shop's own clock): first orders known from
        before the rows at hand. Whoever ordered before the first row is old, and in no cohort.
    burn_in_days : float, optional
        Where nothing is known: whoever shows up in so many days from the first row is taken as old.
    week_start : {"monday", …, "sunday"}, default "monday"
        First day of the week.
    cohort_by : {"month", "week", "day", "quarter", "year"}, optional
        With an exact ``period``: which customers share a row. The unit of the nearest length
        otherwise.
    alpha : float, default 0.05
        One minus the confidence of the intervals.

    Returns
    -------
    pandas.DataFrame
        Grain: one row per cohort and age (and group), every cohort from age 0 to the last age
        that has begun by ``as_of``; a period without new customers has no rows.

        - ``by`` (text; its own name, first column), where asked for
        - ``cohort`` (datetime64): first day of the period of the first order
        - ``age`` (int): periods since that period, or whole lengths since the first order; of a
          bracket, its first. With ``brackets`` also ``ages`` (text), such as ``2–3``
        - ``n`` (int): customers of the cohort, so far
        - ``n_active`` (Int64): those with an order at that age (or later: ``kind``)
        - ``retention_rate``, ``ci_low``, ``ci_high`` (fractions): ``n_active / n`` and its interval
        - ``net_revenue`` (float): of the cohort at that age alone, whatever the kind
        - ``is_complete`` (bool): the age is over at ``as_of``, for whoever joined last. Where it
          is not, ``n_active``, the rate, its interval and ``net_revenue`` are null, never zero
        - ``n_old`` (int, the same on each row of a group), with ``first_orders`` or
          ``burn_in_days``: customers left out because they are old

    Raises
    ------
    ColumnError
        A required column or ``by`` is missing.
    DataError
        There are no orders by ``as_of``, or all customers are old.
    ParameterError
        An argument cannot be used, or two do not go together.

    See Also
    --------
    cxlib.plot.retention

    Notes
    -----
    Bounded retention may rise again with age; rolling retention never does, but it is not
    final: who comes back later raises all ages before. Neither is churn: who orders without a
    contract never cancels, and P(alive) of `fit_ltv` answers who is gone. Intervals are
    Wilson's (1927, JASA 22, 209-212). Age 0 of an exact period is its first length, so that
    the first order itself makes it 1; the same holds for calendar periods, unless a first
    order is known that the rows do not hold. In recurring cohorts of an exact period ages
    count from the customer's first order in the cohort's period.

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
    periods = check_periods(period, week_start, cohort_by)
    last_day = check_date("as_of", as_of)
    check_choice("kind", kind, get_args(Kind))
    check_choice("cohorts", cohorts, get_args(Cohorts))
    spans = None if brackets is None else _check_brackets(brackets, kind)
    check_number("alpha", alpha, 0, 1, open_low=True)
    known = check_burn_in(first_orders, burn_in_days)
    if cohorts == "recurring" and (known is not None or burn_in_days is not None):
        raise ParameterError(
            "recurring cohorts hold old customers as well; leave out first_orders and burn_in_days"
        )
    rows = observed_orders(orders, last_day, by, (*CELLS, "ages", "n_old"))
    visits = visits_of(rows, periods)
    members = members_of(rows, visits, periods, cohorts, known, burn_in_days)
    tall = activity_of(rows, visits, members, periods)
    key = [name for name in ("label", "cohort") if name in members.columns]
    activity = tall.group_by([*key, "age"]).aggregate(
        n_active=tall.count(), net_revenue=tall["net_revenue"].sum()
    )
    activity = activity.execute()
    sizes = _sizes(members, activity, key)
    cells = _grid(sizes, periods, last_day, spans)
    cells = _filled(cells, activity, active_at(tall, activity, key, kind, spans), key, kind, spans)
    cells["retention_rate"], cells["ci_low"], cells["ci_high"] = wilson(
        cells["n_active"].to_numpy(float, na_value=float("nan")), cells["n"], alpha
    )
    cells["cohort"] = periods.calendar.start(cells["cohort"]).astype("datetime64[us]")
    columns = [name for name in ("label", *CELLS, "n_old") if name in cells]
    if spans:
        columns.insert(columns.index("age") + 1, "ages")
    return cells[columns].rename(columns={"label": by})


def _check_brackets(brackets: Sequence[int], kind: str) -> list[Span]:
    """Return the ages of each cell: 0, and what each bracket adds."""
    if kind != "on":
        raise ParameterError(f"brackets go with kind='on', not with kind={kind!r}")
    ends = [0] if isinstance(brackets, str) else [0, *brackets]
    whole = all(isinstance(end, numbers.Integral) and not isinstance(end, bool) for end in ends)
    if len(ends) < 2 or not whole or any(b <= a for a, b in itertools.pairwise(ends)):
        raise ParameterError(
            f"brackets={brackets!r} must be whole numbers that rise from 1 or more, each the last "
            "age of its bracket: [1, 3, 7, 30] for 1, 2–3, 4–7 and 8–30"
        )
    return [Span(0, 0), *(Span(int(a) + 1, int(b)) for a, b in itertools.pairwise(ends))]


def _sizes(members: ir.Table, activity: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Return how many customers each cohort has; where some are old, also how many are."""
    if "is_old" not in members.columns:
        sizes = activity.loc[activity["age"] == 0, [*key, "n_active"]]
        return sizes.rename(columns={"n_active": "n"})
    counted = members.group_by([*key, "is_old"]).aggregate(n=members.count()).execute()
    sizes, old = counted[~counted["is_old"]], counted[counted["is_old"]]
    if sizes.empty:
        raise DataError(ALL_OLD)
    if "label" not in key:
        return sizes.assign(n_old=old["n"].sum())
    per_group = old.groupby("label")["n"].sum()
    return sizes.assign(n_old=sizes["label"].map(per_group).fillna(0).astype("int64"))


def _grid(
    sizes: pd.DataFrame, periods: Periods, last_day: dt.date, spans: list[Span] | None
) -> pd.DataFrame:
    """Return a row for each cohort and each age, or bracket, that has begun by the last day."""
    sizes = sizes.sort_values([name for name in ("label", "cohort") if name in sizes])
    sizes = sizes.astype({"n": "int64"})
    begun = periods.begun(sizes["cohort"].to_numpy(), last_day)
    if spans is None:
        cells = sizes.loc[sizes.index.repeat(begun)]
        cells = cells.assign(age=cells.groupby(level=0).cumcount())
        last = cells["age"]
    else:
        cells = sizes.assign(_begun=begun).merge(pd.DataFrame(spans), how="cross")
        cells = cells.rename(columns={"first": "age"})[cells["first"] < cells["_begun"]]
        last = cells["last"]
        cells["ages"] = [Span(*ends).text for ends in zip(cells["age"], last, strict=True)]
    is_over = periods.is_over(cells["cohort"].to_numpy(), last.to_numpy(), last_day)
    return cells.assign(is_complete=is_over).reset_index(drop=True)


def _filled(
    cells: pd.DataFrame,
    activity: pd.DataFrame,
    active: pd.DataFrame,
    key: list[str],
    kind: str,
    spans: list[Span] | None,
) -> pd.DataFrame:
    """Put counts and revenue into the cells: zero where nothing was, null where it is not over."""
    revenue = activity.drop(columns="n_active")
    if spans is not None:
        revenue = revenue[revenue["age"] <= spans[-1].last]
        place = np.searchsorted([span.last for span in spans], revenue["age"])
        revenue = revenue.assign(age=np.array([span.first for span in spans])[place])
        revenue = revenue.groupby([*key, "age"], as_index=False)[["net_revenue"]].sum()
    for part in (active, revenue):
        cells = cells.merge(part, how="left", on=[*key, "age"])
    filled = cells[["n_active", "net_revenue"]].fillna(0)
    if kind == "on_or_after":
        latest_first = cells[key].assign(n_active=filled["n_active"]).iloc[::-1]
        filled["n_active"] = latest_first.groupby(key)["n_active"].cumsum()
    over = cells["is_complete"]
    return cells.assign(
        n_active=filled["n_active"].astype("Int64").where(over),
        net_revenue=filled["net_revenue"].where(over),
    )
