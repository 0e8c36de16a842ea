"""The account of an orders export: every raw row, its money, what was noted, and examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.clean.losses import Cleaned, settle
from cxlib.clean.overlap import days_exported_twice
from cxlib.tables import ORDERS

OddHour = Callable[..., ir.BooleanValue]
"""Says which stamps lie in a gap or in a fold of the shop's clock."""
NOTHING = 1e-6
"""Money below this is what float sums leave over, not revenue."""
N_EXAMPLES = 5
ROWS_OF, REVENUE_OF = "_rows of ", "_revenue of "
"""What the columns of orders begin with that count raw rows, and their revenue, for a note."""
MONEY_OF_LINES = ("net_revenue", "amount", "refunded", "quantity", "unit_price")
HIDDEN = {
    *ORDERS.required, *MONEY_OF_LINES, "cancelled_at", "status", "tags", "is_test", "item_id",
    "item_name",
}  # fmt: skip


def account(lines: ir.Table, orders: ir.Table, odd: OddHour, max_loss: float) -> Cleaned:
    """Return the kept of ``orders`` (one row per order and rule), and where all rows went."""
    sums = orders.group_by(rule=orders["_rule"]).aggregate(
        rows=orders["_raw_rows"].sum(),
        revenue=orders["_net"].sum(),
        again=orders["_again"].sum(),
        again_revenue=orders["_again_revenue"].sum(),
        moved=orders["_net"].abs().sum().fill_null(0.0)
        + orders["_again_revenue"].abs().sum().fill_null(0.0),
    )
    found = sums.execute()
    again = found[["again", "again_revenue"]].sum()
    copies = {"rule": "duplicate_row", "rows": again["again"], "revenue": again["again_revenue"]}
    lost = pd.concat(
        [
            pd.DataFrame([copies]),
            found.loc[found["rule"].notna(), ["rule", "rows", "revenue"]],
        ]
    )
    whole, net = found[["rows", "revenue"]].sum(), orders["_net"]
    kept = orders.filter(orders["_rule"].isnull())
    table = kept.mutate(net_revenue=ibis.ifelse(net.abs() < NOTHING, 0.0, net))
    notes, examples = _told(orders, kept, lost, odd)
    if again["again"]:
        twice, days = days_exported_twice(lines)
        notes, examples = pd.concat([notes, twice]), {**examples, **days}
    of_kept = found[found["rule"].isna()]
    cleaned = Cleaned(
        table.select(*ORDERS.required, *_attributes(orders)),
        lost,
        int(whole["rows"] + again["again"]),
        int(of_kept["rows"].sum()),
        float(whole["revenue"] + again["again_revenue"]),
        float(of_kept["revenue"].sum()),
        ORDERS,
        examples=examples,
        dropped=_dropped(orders),
    )
    return settle(cleaned, lost, notes, max_loss=max_loss, moved=float(found["moved"].sum()))


def _told(
    orders: ir.Table, kept: ir.Table, lost: pd.DataFrame, odd: OddHour
) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Return the notes on ``kept``, and a few orders of each rule and of each note."""
    noted = _noted(kept, odd)
    notes = _notes(kept, noted)
    asked = {rule: (orders, _lost_by(orders, rule)) for rule in lost.loc[lost["rows"] > 0, "rule"]}
    asked |= {note: (kept, noted[note].orders) for note in notes.loc[notes["rows"] > 0, "note"]}
    return notes, _examples(asked)


def _attributes(orders: ir.Table) -> list[str]:
    return [name for name in orders.columns if name not in HIDDEN and not name.startswith("_")]


def _lost_by(orders: ir.Table, rule: str) -> ir.BooleanValue:
    return orders["_again"] > 0 if rule == "duplicate_row" else orders["_rule"] == rule


class Noted(NamedTuple):
    """A note: the kept orders that it is about, and the raw rows and revenue of each."""

    orders: ir.BooleanValue
    rows: ir.IntegerValue
    revenue: ir.FloatingValue


def _noted(kept: ir.Table, odd: OddHour) -> dict[str, Noted]:
    """Return what is to be said of the orders that were kept."""
    has_refund = kept["_n_refunds"] > 0
    noted = {"refund_netted": Noted(has_refund, kept["_n_refunds"], kept["_refunds"])}
    for name in kept.columns:
        note = name.removeprefix(ROWS_OF)
        if note != name:
            noted[note] = Noted(kept[name] > 0, kept[name], kept[f"{REVENUE_OF}{note}"])
    for note, gap in (("clock_gap", True), ("clock_fold", False)):
        is_odd = odd(kept["ordered_at"], gap=gap)
        noted[note] = Noted(is_odd, kept["_raw_rows"], kept["_net"])
    return noted


def _notes(kept: ir.Table, noted: Mapping[str, Noted]) -> pd.DataFrame:
    """Return rows and revenue of each note, from one look at the kept orders."""
    asked = {}
    for note, one in noted.items():
        asked[f"{note} rows"] = one.rows.sum(where=one.orders).fill_null(0)
        asked[f"{note} revenue"] = one.revenue.sum(where=one.orders).fill_null(0.0)
    found = kept.aggregate(**asked).execute().iloc[0]
    return pd.DataFrame(
        [
            {"note": note, "rows": found[f"{note} rows"], "revenue": found[f"{note} revenue"]}
            for note in noted
        ]
    )


def _examples(asked: Mapping[str, tuple[ir.Table, ir.BooleanValue]]) -> dict[str, list[str]]:
    """Return a few order numbers of each kind, those with most money at stake first."""
    parts = []
    for name, (orders, chosen) in asked.items():
        size = ibis.greatest(orders["_net"].abs(), orders["_refunds"].abs())
        few = orders.filter(chosen, orders["order_id"].notnull())
        few = few.order_by(ibis.desc(size), "order_id").limit(N_EXAMPLES)
        parts.append(few.select("order_id").mutate(name=ibis.literal(name)))
    if not parts:
        return {}
    found = ibis.union(*parts).execute() if len(parts) > 1 else parts[0].execute()
    return {str(name): sorted(rows["order_id"]) for name, rows in found.groupby("name")}


def _dropped(orders: ir.Table) -> ir.Table:
    """Return the orders that were lost as a whole, with what they would have brought in."""
    lost = orders.filter(orders["_rule"].notnull(), orders["order_id"].notnull())
    return lost.select(
        "order_id",
        "customer_id",
        "ordered_at",
        net_revenue=lost["_net"],
        refunds=lost["_refunds"],
        refunded_at=lost["_refunded_at"],
        rule=lost["_rule"],
    )
