"""From rows to one row per customer, cohort and age, in the engine that holds them."""

from __future__ import annotations

from typing import NamedTuple

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.retention.firsts import first_orders_of, new_customers
from cxlib.retention.periods import Periods, milliseconds


class Span(NamedTuple):
    """Ages that one cell holds, both included."""

    first: int
    last: int

    @property
    def text(self) -> str:
        """The ages as people read them."""
        return str(self.first) if self.first == self.last else f"{self.first}–{self.last}"


def visits_of(rows: ir.Table, periods: Periods) -> ir.Table:
    """Return one row per customer and calendar period with orders: ``ordered_at`` is the first."""
    number = periods.calendar.number(rows["ordered_at"])
    return rows.group_by("customer_id", number=number).aggregate(
        ordered_at=rows["ordered_at"].min(), net_revenue=rows["net_revenue"].sum()
    )


def members_of(
    rows: ir.Table,
    visits: ir.Table,
    periods: Periods,
    cohorts: str,
    known: ir.Table | None,
    burn_in_days: float | None,
) -> ir.Table:
    """Return one row per customer and cohort: its number, and the moment from which ages count."""
    if cohorts == "first":
        firsts = first_orders_of(rows, known, burn_in_days, visits)
        return firsts.mutate(cohort=periods.calendar.number(firsts["first_at"]))
    each = visits.select("customer_id", cohort="number", first_at="ordered_at")
    if "label" not in rows.columns:
        return each
    return each.inner_join(first_orders_of(rows, visits=visits).drop("first_at"), "customer_id")


def activity_of(rows: ir.Table, visits: ir.Table, members: ir.Table, periods: Periods) -> ir.Table:
    """Return one row per customer, cohort and age with orders, and their revenue."""
    members = new_customers(members)
    key = [name for name in members.columns if name != "first_at"]
    if periods.length is None:
        both = visits.drop("ordered_at").inner_join(members.drop("first_at"), "customer_id")
        both = both.mutate(age=both["number"] - both["cohort"])
        return both.filter(both["age"] >= 0).select(*key, "age", "net_revenue")
    both = rows.select("customer_id", "ordered_at", "net_revenue").inner_join(
        members, "customer_id"
    )
    both = both.filter(both["ordered_at"] >= both["first_at"])
    since = milliseconds(both["ordered_at"]) - milliseconds(both["first_at"])
    return both.group_by([*key, (since // periods.milliseconds).name("age")]).aggregate(
        net_revenue=both["net_revenue"].sum()
    )


def active_at(
    tall: ir.Table, activity: pd.DataFrame, key: list[str], kind: str, spans: list[Span] | None
) -> pd.DataFrame:
    """Return customers by the age of the cell that counts them: for "on or after", their last."""
    if kind == "on" and spans is None:
        return activity.drop(columns="net_revenue")
    if spans is None:
        age = tall["age"].max()
        each = tall.group_by(["customer_id", *key]).aggregate(age=age)
    else:
        inside = tall.filter(tall["age"] <= spans[-1].last)
        within = [(inside["age"] <= span.last, ibis.literal(span.first)) for span in spans]
        inside = inside.mutate(age=ibis.cases(*within).cast("int64"))
        each = inside.select("customer_id", *key, "age").distinct()
    counted: pd.DataFrame = each.group_by([*key, "age"]).aggregate(n_active=each.count()).execute()
    return counted
