"""The account of an orders export: every raw row, its money, what was noted, and examples."""

from __future__ import annotations

from collections.abc import Callable

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
    kept, whole = found[found["rule"].isna()], found[["rows", "revenue"]].sum()
    twice, days = pd.DataFrame(), list[str]()
    if again["again"]:
        twice, days = days_exported_twice(lines)
    net = ibis.ifelse(orders["_net"].abs() < NOTHING, 0.0, orders["_net"])
    table = orders.filter(orders["_rule"].isnull()).mutate(net_revenue=net)
    cleaned = Cleaned(
        table.select(*ORDERS.required, *_attributes(orders)),
        lost,
        int(whole["rows"] + again["again"]),
        int(kept["rows"].sum()),
        float(whole["revenue"] + again["again_revenue"]),
        float(kept["revenue"].sum()),
        ORDERS,
        examples={**_examples(orders, lost), **({"overlap_suspected": days} if days else {})},
        dropped=_dropped(orders),
    )
    return settle(cleaned, lost, pd.concat([_notes(orders, odd), twice]), max_loss=max_loss)


def _attributes(orders: ir.Table) -> list[str]:
    return [name for name in orders.columns if name not in HIDDEN and not name.startswith("_")]


def _notes(orders: ir.Table, odd: OddHour) -> pd.DataFrame:
    """Return rows and revenue of each note, among the orders that were kept."""
    kept = orders.filter(orders["_rule"].isnull())
    sums = {
        "refund_netted": (
            kept["_n_refunds"].sum(),
            kept["_refunds"].sum(where=kept["_n_refunds"] > 0),
        )
    }
    for name in kept.columns:
        note = name.removeprefix("_rows of ")
        if note != name:
            sums[note] = (kept[name].sum(), kept[f"_revenue of {note}"].sum())
    for note, gap in (("clock_gap", True), ("clock_fold", False)):
        is_odd = odd(kept["ordered_at"], gap=gap)
        sums[note] = (kept["_raw_rows"].sum(where=is_odd), kept["_net"].sum(where=is_odd))
    asked = {
        f"{note} {what}": value.fill_null(0)
        for note, pair in sums.items()
        for what, value in zip(("rows", "revenue"), pair, strict=True)
    }
    found = kept.aggregate(**asked).execute().iloc[0]
    return pd.DataFrame(
        [
            {"note": note, "rows": found[f"{note} rows"], "revenue": found[f"{note} revenue"]}
            for note in sums
        ]
    )


def _examples(orders: ir.Table, lost: pd.DataFrame) -> dict[str, list[str]]:
    """Return a few order numbers for each rule, those with most money at stake first."""
    size = ibis.greatest(orders["_net"].abs(), orders["_refunds"].abs())
    parts = []
    for rule in lost.loc[lost["rows"] > 0, "rule"]:
        of_rule = orders["_again"] > 0 if rule == "duplicate_row" else orders["_rule"] == rule
        few = orders.filter(of_rule, orders["order_id"].notnull())
        few = few.order_by(ibis.desc(size), "order_id").limit(N_EXAMPLES)
        parts.append(few.select("order_id").mutate(rule=ibis.literal(rule)))
    if not parts:
        return {}
    found = ibis.union(*parts).execute() if len(parts) > 1 else parts[0].execute()
    return {str(rule): sorted(rows["order_id"]) for rule, rows in found.groupby("rule")}


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
