"""Raw order exports become one row per order, refunds netted, every loss counted."""

from __future__ import annotations

import re

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib._checks import (
    ColumnError,
    DataError,
    check_choice,
    check_number,
    listed,
)
from cxlib.clean.lines import with_money, with_rules
from cxlib.clean.losses import Cleaned, settle
from cxlib.clean.parse import Clock, check_clock, check_readable, is_odd, number, text, when
from cxlib.clean.prepared import recalled
from cxlib.sources import Raw, Rules, Source, check_needed, read, reading
from cxlib.tables import ORDERS

MONEY = ("net_revenue", "amount", "refunded", "quantity", "unit_price")
MARKS = ("cancelled_at", "status", "tags", "is_test", "item_id")
INNER = (*MONEY, *MARKS, "item_name")
TRUE = ("true", "t", "yes", "y", "1")
NOTHING = 1e-6
"""Money below this is what float sums leave over, not revenue."""


def clean_orders(
    raw: Source,
    *,
    timezone: str,
    currency: str | None = None,
    max_loss: float = 0.3,
    date_format: str | None = None,
    naive: str | None = None,
    decimal: str | None = None,
) -> Cleaned:
    """Clean an orders export: one row per order, refunds netted, every loss counted.

    Parameters
    ----------
    raw : Raw or any source that `read` takes
        Must have ``order_id``, ``customer_id``, ``ordered_at`` and the money in one of three forms:

        - ``net_revenue``: what an order brought in; one row per order;
        - ``amount``, with or without ``refunded``: an order's total, on one of its rows;
        - ``quantity`` and ``unit_price`` of each line.

        ``currency``, ``cancelled_at``, ``status``, ``tags``, ``is_test`` and ``payment_method``
        are used where there.
    timezone : str
        The shop's own clock, an IANA name. Stamps with an offset are converted to it once.
    currency : str, optional
        The one to keep, where the export mixes several.
    max_loss : float, default 0.3
        Share of the raw rows, or of their revenue, beyond which the loss is an error. Revenue
        counts by its size: refunds lost do not make up for orders lost.
    date_format : str, optional
        strptime format of dates that are not ISO 8601, such as ``"%d/%m/%Y %H:%M"``.
    naive : {"local", "utc"}, optional
        What a stamp without offset means; the preset's word, or else the shop's clock.
    decimal : {".", ","}, optional
        The decimal sign of numbers in text; the preset's word, or else a point.

    Returns
    -------
    Cleaned
        ``.table`` has ``order_id``, ``customer_id``, ``ordered_at`` (shop's clock),
        ``net_revenue`` (what the customer paid less refunds, in the export's currency) and the
        export's other order-level columns (with a preset: those that it names); ``.losses``
        counts raw rows and revenue by rule. Raw rows = kept rows + the sum of losses.

    Raises
    ------
    ColumnError
        A needed column is missing or of a wrong type.
    DataError
        Dates or numbers cannot be read, currencies are mixed, offsets are mixed, or more
        than ``max_loss`` would be lost.

    See Also
    --------
    cxlib.plot.losses

    Notes
    -----
    Exact duplicate rows go first, then lines that are no product. Several totals of one order
    are states of it that were exported at different times, never a sum: the one refunded most
    is kept, the others are lost as ``duplicate_order``. Then refunds are netted: a negative row
    counts for the order whose number it bears or, where the preset names a prefix of cancelling
    invoices, for the latest earlier order of the same customer that holds the same item. What
    is left is grouped to orders. An attribute that differs within an order takes its largest
    value.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> raw = pd.DataFrame({"order_id": ["1", "2", "2"], "customer_id": ["ann", "bob", "bob"],
    ...                     "ordered_at": ["2024-05-01", "2024-05-02", "2024-05-02"],
    ...                     "net_revenue": [20.0, 35.0, 35.0]})
    >>> orders = cx.clean_orders(raw, timezone="UTC", max_loss=0.5)
    >>> orders
    Cleaned(raw rows 3, kept 2, lost 1)
    >>> orders.losses[["rule", "rows", "revenue"]]
                rule  rows  revenue
    0  duplicate_row     1     35.0
    """
    check_number("max_loss", max_loss, 0, 1)
    raw = read(raw)
    given = {"timezone": timezone, "currency": currency, "date_format": date_format}
    given |= {"naive": naive, "decimal": decimal}
    kept = recalled(raw, ORDERS, given, max_loss)
    if kept is not None:
        return kept
    _check_columns(raw, currency)
    clock = check_clock(raw, timezone, naive, date_format)
    rules = raw.preset.rules if raw.preset else Rules()
    decimal = check_choice("decimal", decimal or rules.decimal, [".", ","])
    with reading(raw.name):
        typed = _typed(raw, rules, clock, decimal).cache()
    lines = with_rules(with_money(typed, rules), rules).cache()
    orders = _orders(lines)
    orders = orders.mutate(
        _rule=ibis.cases(*_order_cases(orders, rules), else_=ibis.null("string"))
    ).cache()
    return _account(lines, _one_currency(orders, currency), max_loss).of(raw)


def _check_columns(raw: Raw, currency: str | None) -> None:
    table = raw.table
    needed = ["order_id", "customer_id", "ordered_at"]
    if not {"net_revenue", "amount"} & set(table.columns):
        needed += ["quantity", "unit_price"]
    if currency is not None:
        needed += ["currency"]
    check_needed(table, "orders", needed, raw.preset)
    if "cancelled_at" in table.columns:
        dtype = table["cancelled_at"].type()
        if dtype.is_boolean() or dtype.is_integer():
            raise ColumnError(
                f"orders: 'cancelled_at' is {dtype}, but must be the time of cancelling, null where "
                "there was none; map another column"
            )


def _typed(raw: Raw, rules: Rules, clock: Clock, decimal: str) -> ir.Table:
    """Return the distinct raw rows with typed columns, and ``_copies`` of each."""
    table = raw.table
    times = {"ordered_at": when(table["ordered_at"], clock)}
    numbers = {name: number(table[name], decimal) for name in MONEY if name in table.columns}
    check_readable(table, "orders", clock, times, numbers)

    texts = {"order_id": text(table["order_id"]), "customer_id": text(table["customer_id"])}
    who = texts["customer_id"]
    is_email = True if rules.customer_is_email else who.contains("@")
    texts["customer_id"] = ibis.ifelse(is_email, who.lower(), who)
    for name in [*_passed_through(raw), *MARKS]:
        if name in table.columns:
            is_text = table[name].type().is_string() or name in MARKS
            texts[name] = text(table[name]) if is_text else table[name]
    if "is_test" in texts:
        texts["is_test"] = texts["is_test"].lower().isin(TRUE).fill_null(False)
    if "currency" in texts:
        texts["currency"] = texts["currency"].upper()
    named = {**times, **numbers, **texts}
    rest = {name: table[name] for name in table.columns if name not in named}
    # columns that nothing uses only tell one line of an order from another
    others = {"_others": ibis.struct(rest).hash()} if rest else {}
    rows = table.select(**named, **others)
    return rows.group_by(rows.columns).aggregate(_copies=rows.count()).drop(*others)


def _passed_through(raw: Raw) -> list[str]:
    """Return the order-level columns that keep their names to the end, for ``by=``."""
    names = raw.preset.keep if raw.preset else raw.table.columns
    return [name for name in names if name not in INNER and name not in ORDERS.required]


def _orders(lines: ir.Table) -> ir.Table:
    """Return one row per order: attributes, ``_net``, ``_refunds``, ``_n_totals``, ``_raw_rows``."""
    kept = lines.filter(lines["_rule"].isnull())
    placed = ~kept["_is_refund"]
    not_attributes = {"order_id", "customer_id", "ordered_at", "item_id", *MONEY}
    not_attributes |= {"_belongs_to", "_rule", "_copies", "_revenue", "_is_refund"}
    attributes = {
        name: kept[name].max(where=placed) for name in kept.columns if name not in not_attributes
    }
    refunds = kept["_revenue"].sum(where=~placed).fill_null(0.0)
    if "refunded" in kept.columns:
        refunds = refunds - kept["refunded"].abs().sum().fill_null(0.0)
    orders = kept.group_by("_belongs_to").aggregate(
        # who gave the money back, in some exports, is not who bought
        customer_id=ibis.coalesce(kept["customer_id"].max(where=placed), kept["customer_id"].max()),
        ordered_at=kept["ordered_at"].min(where=placed),
        **attributes,
        _net=kept["_revenue"].sum(),
        _refunds=refunds,
        _n_totals=kept["_revenue"].count(where=placed),
        _raw_rows=kept.count(),
    )
    return orders.rename(order_id="_belongs_to")


def _order_cases(orders: ir.Table, rules: Rules) -> list[tuple[ir.Value, str]]:
    """Return why an order is lost; the first reason that holds is counted."""
    names = orders.columns
    lower = {name: orders[name].lower() for name in ("tags", "status") if name in names}
    cases: list[tuple[ir.Value, str]] = []
    if "is_test" in names:
        cases.append((orders["is_test"], "test_order"))
    if "tags" in names and rules.test_tags:
        words = "|".join(re.escape(tag.lower()) for tag in rules.test_tags)
        cases.append((lower["tags"].re_search(rf"(^|,)\s*({words})\s*(,|$)"), "test_order"))
    if "payment_method" in names and rules.test_payments:
        cases.append((orders["payment_method"].lower().isin(rules.test_payments), "test_order"))
    if "cancelled_at" in names:
        cases.append((orders["cancelled_at"].notnull(), "cancelled"))
    if "status" in names and rules.unpaid:
        cases.append((lower["status"].isin(rules.unpaid), "unpaid"))
    has_total, is_negative = orders["_n_totals"] > 0, orders["_net"] < -NOTHING
    refunded = (orders["_refunds"] < 0) & (orders["_net"] < NOTHING)
    return [
        *cases,
        (orders["customer_id"].isnull(), "no_customer"),
        (~has_total & (orders["_refunds"] < 0), "refund_unmatched"),
        (~has_total, "no_amount"),
        (orders["ordered_at"].isnull(), "no_time"),
        (is_odd(orders["ordered_at"]), "odd_time"),
        (refunded, "refunded_in_full"),
        (is_negative, "negative_total"),
    ]


def _one_currency(orders: ir.Table, currency: str | None) -> ir.Table:
    """Lose the orders in other currencies than the chosen one; without a choice refuse a mix."""
    if "currency" not in orders.columns:
        return orders
    kept = orders.filter(orders["_rule"].isnull() & orders["currency"].notnull())
    found = kept["currency"].value_counts(name="n").order_by(ibis.desc("n"), "currency").execute()
    counts = dict(zip(found["currency"], found["n"], strict=True))
    if currency is None and len(counts) > 1:
        shown = listed(f"{name} {n:,}" for name, n in counts.items())
        raise DataError(
            f"orders: 'currency' mixes {shown}; choose one with currency={next(iter(counts))!r}"
        )
    if currency is None or not counts:
        return orders
    check_choice("currency", currency, counts)
    is_other = (orders["currency"] != currency).fill_null(True) & orders["_rule"].isnull()
    return orders.mutate(_rule=ibis.ifelse(is_other, "other_currency", orders["_rule"]))


def _account(lines: ir.Table, orders: ir.Table, max_loss: float) -> Cleaned:
    by_line = lines.group_by(rule=lines["_rule"]).aggregate(
        rows=lines.count(),
        revenue=lines["_revenue"].sum().fill_null(0.0),
        again=(lines["_copies"] - 1).sum(),
        again_revenue=(lines["_revenue"] * (lines["_copies"] - 1)).sum().fill_null(0.0),
    )
    by_order = orders.group_by(rule=orders["_rule"]).aggregate(
        rows=orders["_raw_rows"].sum(), revenue=orders["_net"].sum().fill_null(0.0)
    )
    line_sums, order_sums = by_line.execute(), by_order.execute()
    again = line_sums[["again", "again_revenue"]].sum()
    duplicates = {
        "rule": "duplicate_row",
        "rows": again["again"],
        "revenue": again["again_revenue"],
    }
    lost = pd.concat(
        [
            pd.DataFrame([duplicates]),
            line_sums.loc[line_sums["rule"].notna(), ["rule", "rows", "revenue"]],
            order_sums[order_sums["rule"].notna()],
        ]
    )
    kept = order_sums.loc[order_sums["rule"].isna(), ["rows", "revenue"]].sum()
    whole = line_sums[["rows", "revenue"]].sum()
    net = ibis.ifelse(orders["_net"].abs() < NOTHING, 0.0, orders["_net"])
    hidden = (*ORDERS.required, *INNER, "_net", "_refunds", "_n_totals", "_raw_rows", "_rule")
    table = orders.filter(orders["_rule"].isnull()).mutate(net_revenue=net)
    return settle(
        table.select(*ORDERS.required, *[name for name in orders.columns if name not in hidden]),
        lost,
        ORDERS,
        raw=(int(whole["rows"] + again["again"]), float(whole["revenue"] + again["again_revenue"])),
        kept=(int(kept["rows"]), float(kept["revenue"])),
        max_loss=max_loss,
    )
