"""The account of losses balances to the row and the cent, for any messy export.

The oracle is the same rules written once more, row by row in plain Python, without an engine.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd
import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

import cxlib as cx
from cxlib.tables import ORDERS, check_rows

Row = dict[str, Any]
Account = dict[str, tuple[int, float]]
DAYS = ["2024-05-01", "2024-05-02 09:00:00", "2024-05-02 09:00:01", "2024-05-03"]
UNPAID = ("pending", "authorized", "voided", "expired")


# ---- the oracle


def accounted(rows: Iterable[tuple[Row, str | None]], again: list[Row]) -> Account:
    """Rows and revenue by rule; the rule None is what was kept."""
    sums: dict[Any, list[float]] = defaultdict(lambda: [0, 0.0])
    for row, rule in [*rows, *((row, "duplicate_row") for row in again)]:
        sums[rule][0] += 1
        sums[rule][1] += row["revenue"] or 0.0
    return {rule: (int(n), round(revenue, 6)) for rule, (n, revenue) in sums.items()}


def distinct(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    counted = Counter(tuple(row.items()) for row in rows)
    again = [dict(key) for key, n in counted.items() for _ in range(n - 1)]
    return [dict(key) for key in counted], again


def judged(orders: dict[str, list[Row]], reasons: Callable[[list[Row]], str | None]) -> Any:
    """Each row with the rule of its order, and the net revenue of the kept orders."""
    ruled, net = [], {}
    for order, rows in orders.items():
        placed = [row for row in rows if not row["is_refund"]]
        revenue = sum(row["revenue"] or 0.0 for row in rows)
        refunds = sum(row["revenue"] for row in rows if row["is_refund"])
        refunds -= sum(row.get("refunded") or 0.0 for row in placed)
        has_total = any(row["revenue"] is not None for row in placed)
        rule = reasons(placed)
        if rule is None and all(row["who"] is None for row in rows):
            rule = "no_customer"
        if rule is None and not has_total:
            rule = "refund_unmatched" if refunds < 0 else "no_amount"
        if rule is None and all(row["at"] is None for row in placed):
            rule = "no_time"
        if rule is None and refunds < 0 and revenue < 1e-6:
            rule = "refunded_in_full"
        if rule is None and revenue < 0:
            rule = "negative_total"
        if rule is None:
            net[order] = round(revenue, 6)
        ruled += [(row, rule) for row in rows]
    return ruled, net


def oracle_of_lines(raw: list[Row]) -> tuple[Account, dict[str, float]]:
    rows, again = distinct(raw)
    for row in [*rows, *again]:
        known = row["quantity"] is not None and row["price"] is not None
        row["revenue"] = row["quantity"] * row["price"] if known else None
        row["is_refund"] = row["order"].startswith("C") or (row["quantity"] or 0) < 0
    ruled: list[tuple[Row, str | None]] = []
    good = []
    for row in rows:
        rule = None
        if row["order"].startswith("A"):
            rule = "adjustment"
        elif row["item"] == "POST" or row["item"].startswith("gift_"):
            rule = "not_a_product"
        elif row["revenue"] is None:
            rule = "no_amount"
        (good.append(row) if rule is None else ruled.append((row, rule)))
    orders = defaultdict(list)
    for row in good:
        order = row["order"]
        if row["is_refund"] and row["who"] is not None:
            earlier = [
                (other["at"], other["order"])
                for other in good
                if not other["is_refund"]
                and (other["who"], other["item"]) == (row["who"], row["item"])
                and None not in (other["at"], row["at"])
                and pd.Timestamp(other["at"]) <= pd.Timestamp(row["at"])
            ]
            if not earlier:
                ruled.append((row, "refund_unmatched"))
                continue
            order = max(earlier, key=lambda pair: (pd.Timestamp(pair[0]), pair[1]))[1]
        orders[order].append(row)
    by_order, net = judged(orders, lambda placed: None)
    return accounted([*ruled, *by_order], again), net


def oracle_of_totals(raw: list[Row]) -> tuple[Account, dict[str, float]]:
    rows, again = distinct(raw)
    for row in [*rows, *again]:
        amount, refunded = row["amount"], row["refunded"]
        row["is_refund"] = amount < 0 if amount is not None else bool(refunded)
        row["revenue"] = (
            None if amount is None and not refunded else (amount or 0) - (refunded or 0)
        )
    ruled: list[tuple[Row, str | None]] = [
        (row, "no_order_id") for row in rows if row["order"] is None
    ]
    orders = defaultdict(list)
    for row in rows:
        if row["order"] is not None:
            orders[row["order"]].append(row)
    for order, members in orders.items():
        states = [row for row in members if row["amount"] is not None and not row["is_refund"]]

        def latest(row: Row) -> tuple[Any, ...]:
            at = pd.Timestamp(row["at"] or 0).value
            return (
                -(row["refunded"] or 0), row["cancelled"] is None, row["status"] in UNPAID,
                row["at"] is None, -at, row["revenue"],
            )  # fmt: skip

        older = sorted(states, key=latest)[1:]
        ruled += [(row, "duplicate_order") for row in older]
        orders[order] = [row for row in members if not any(row is other for other in older)]

    def reasons(placed: list[Row]) -> str | None:
        if any(row["tags"] == "test" for row in placed):
            return "test_order"
        if any(row["cancelled"] for row in placed):
            return "cancelled"
        return "unpaid" if any(row["status"] in UNPAID for row in placed) else None

    by_order, net = judged(orders, reasons)
    return accounted([*ruled, *by_order], again), net


# ---- messy exports

LINES = st.fixed_dictionaries(
    {
        "order": st.sampled_from(["1", "2", "3", "C4", "C5", "C6", "A7"]),
        "item": st.sampled_from(["mug", "mug", "cup", "POST", "gift_1"]),
        "quantity": st.sampled_from([1, 2, 5, 5, -1, -2, None]),
        "price": st.sampled_from([2.5, 2.5, 0.1, 0.0, -1.0, None]),
        "who": st.sampled_from([17850.0, 17850.0, 2.0, None]),
        "at": st.sampled_from([*DAYS, *DAYS, None]),
    }
)


def line_export(rows: list[Row]) -> cx.Cleaned:
    names = {"order": "InvoiceNo", "item": "StockCode", "quantity": "Quantity",
             "price": "UnitPrice", "who": "CustomerID", "at": "InvoiceDate"}  # fmt: skip
    frame = pd.DataFrame(rows).rename(columns=names).astype({"Quantity": float, "UnitPrice": float})
    return cleaned_of(frame, "online_retail")


@st.composite
def total_rows(draw: st.DrawFn) -> Row:
    """A row of an order: its total in some state, one of its lines, or a refund on a row of its own."""
    order = draw(st.sampled_from(["#1", "#2", "#3", "#4", "#5 ", "#6", None]))
    row: Row = dict.fromkeys(("amount", "refunded", "cancelled", "status", "tags", "at"))
    row |= {"order": order and order.strip(), "line": draw(st.sampled_from(["mug", "cup"]))}
    row["who"] = {"#4": None, None: "x@y.z"}.get(order, f"ann{order and order[1]}@y.z")
    kind = draw(st.sampled_from(["total", "total", "total", "line", "refund", "refunded"]))
    if kind == "total":
        row["amount"] = draw(st.sampled_from([10.0, 10.0, 20.55, 0.0]))
        row["refunded"] = draw(st.sampled_from([None, 0.0, 0.0, 4.2, 10.0]))
        row["cancelled"] = draw(st.sampled_from([None, None, None, DAYS[0], DAYS[3]]))
        row["status"] = draw(st.sampled_from(["paid", "paid", None, "pending", "voided"]))
        row["tags"] = "test" if order == "#6" else "contest, vip"
        row["at"] = draw(st.sampled_from([*DAYS, None]))
    elif kind == "refund":
        row["amount"] = draw(st.sampled_from([-3.3, -10.0]))
        row["at"] = draw(st.sampled_from([*DAYS, None]))
    elif kind == "refunded":
        row["refunded"] = draw(st.sampled_from([0.0, 2.0]))
    return row


def total_export(rows: list[Row]) -> cx.Cleaned:
    names = {"order": "Name", "who": "Email", "at": "Created at", "amount": "Total",
             "refunded": "Refunded Amount", "cancelled": "Cancelled at", "tags": "Tags",
             "status": "Financial Status", "line": "Lineitem name"}  # fmt: skip
    frame = pd.DataFrame(rows).rename(columns=names).astype("str").astype(object)
    return cleaned_of(frame.where(pd.DataFrame(rows).notna().to_numpy(), None), "shopify")


def cleaned_of(frame: pd.DataFrame, preset: str) -> cx.Cleaned:
    return cx.clean_orders(cx.read(frame, preset=preset), timezone="UTC", max_loss=1.0)


# ---- what must hold

# without shrinking, for each example is a dozen queries
QUICK = settings(max_examples=10, phases=[Phase.generate])
FEW = settings(QUICK, max_examples=2)


def check_account(cleaned: cx.Cleaned, account: Account, net: dict[str, float]) -> None:
    table, losses = cleaned.table.execute(), cleaned.losses
    lost = {
        row.rule: (row.rows, pytest.approx(row.revenue, abs=1e-6)) for row in losses.itertuples()
    }
    assert account == {**lost, None: (cleaned.kept_rows, pytest.approx(cleaned.kept_revenue))}
    assert dict(zip(table["order_id"], table["net_revenue"], strict=True)) == pytest.approx(net)
    assert cleaned.raw_rows == cleaned.kept_rows + losses["rows"].sum()
    assert cleaned.raw_revenue == pytest.approx(
        cleaned.kept_revenue + losses["revenue"].sum(), rel=1e-6, abs=1e-6
    )
    assert table["net_revenue"].sum() == pytest.approx(cleaned.kept_revenue, rel=1e-6, abs=1e-5)
    check_rows(cleaned.table, ORDERS)


EXPORTS = {
    "lines": (LINES, line_export, oracle_of_lines),
    "totals": (total_rows(), total_export, oracle_of_totals),
}


@pytest.mark.parametrize("form", EXPORTS)
@given(data=st.data())
@QUICK
def test_the_account_is_that_of_the_oracle(form: str, data: st.DataObject) -> None:
    strategy, export, oracle = EXPORTS[form]
    rows = data.draw(st.lists(strategy, min_size=15, max_size=60))
    account, net = oracle(rows)
    if None not in account:
        with pytest.raises(cx.DataError, match="nothing is left to analyse"):
            export(rows)
        return
    check_account(export(rows), account, net)


@pytest.mark.parametrize("form", EXPORTS)
@given(data=st.data())
@FEW
def test_the_order_of_rows_never_matters_and_cleaning_again_loses_nothing(
    form: str, data: st.DataObject
) -> None:
    strategy, export, oracle = EXPORTS[form]
    rows = data.draw(st.lists(strategy, min_size=30, max_size=45))
    assume(None in oracle(rows)[0])
    once = export(rows)
    shuffled = export(data.draw(st.permutations(rows)))
    again = cx.clean_orders(once, timezone="Asia/Tokyo", max_loss=0.0)
    assert len(again.losses) == 0
    assert again.kept_rows == again.raw_rows == len(once.table.execute())
    tables = [
        cleaned.table.execute().sort_values("order_id", ignore_index=True)
        for cleaned in (once, shuffled, again)
    ]
    for other in tables[1:]:
        pd.testing.assert_frame_equal(tables[0], other)
    pd.testing.assert_frame_equal(once.losses, shuffled.losses)
