"""Raw order exports become one row per order, refunds netted, every loss counted."""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib._checks import (
    DataError,
    check_choice,
    check_columns,
    check_number,
    check_timezone,
    listed,
)
from cxlib.clean.losses import Cleaned, settle
from cxlib.clean.parse import check_readable, number, text, when
from cxlib.sources import Raw, Source, read
from cxlib.tables import ORDERS

MONEY = ("net_revenue", "amount", "refunded", "quantity", "unit_price")
INNER = ("cancelled_at", "status", "tags", "item_id", "item_name", "is_test", *MONEY)
TRUE = ("true", "t", "yes", "y", "1")


def clean_orders(
    raw: Source,
    *,
    timezone: str,
    currency: str | None = None,
    max_loss: float = 0.3,
    date_format: str | None = None,
    naive: str | None = None,
    decimal: str = ".",
) -> Cleaned:
    """Clean an orders export: one row per order, refunds netted, every loss counted.

    Parameters
    ----------
    raw : Raw or any source that `read` takes
        Must have ``order_id``, ``customer_id``, ``ordered_at`` and the money in one of three
        forms: ``net_revenue``; ``amount`` (an order's total, standing on one of its rows) with
        or without ``refunded``; or ``quantity`` and ``unit_price`` of each line. ``currency``,
        ``cancelled_at``, ``status``, ``tags``, ``is_test`` and ``payment_method`` are used where there.
    timezone : str
        The shop's own clock, an IANA name. Stamps with an offset are converted to it once.
    currency : str, optional
        The one to keep, where the export mixes several.
    max_loss : float, default 0.3
        Share of the raw rows, or of their revenue, beyond which the loss is an error.
    date_format : str, optional
        strptime format of dates that are not ISO 8601, such as ``"%d/%m/%Y %H:%M"``.
    naive : {"local", "utc"}, optional
        What a stamp without offset means; the preset's word, or else the shop's clock.
    decimal : {".", ","}, default "."
        The decimal sign of numbers in text.

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

    Notes
    -----
    Exact duplicate rows go first, then lines that are no product, then refunds are netted: a
    refund line (negative quantity on a cancelling invoice) belongs to the latest earlier order
    of the same customer that holds the same item. What is left is grouped to orders.

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
    check_timezone("timezone", timezone)
    check_number("max_loss", max_loss, 0, 1)
    check_choice("decimal", decimal, [".", ","])
    raw = raw if isinstance(raw, Raw) else read(raw)
    rules = dict(raw.preset.rules) if raw.preset else {}
    naive = check_choice(
        "naive", naive or ("utc" if rules.get("timestamps") == "utc" else "local"), ["local", "utc"]
    )
    lines = _typed_lines(raw, rules, timezone, date_format, naive, decimal).cache()
    lines = _with_line_rules(lines, rules).cache()
    orders = _orders(lines, rules, currency).cache()
    return _account(lines, orders, max_loss)


def _typed_lines(
    raw: Raw,
    rules: dict[str, Any],
    timezone: str,
    date_format: str | None,
    naive: str,
    decimal: str,
) -> ir.Table:
    """Return distinct raw rows with typed columns, ``revenue``, and ``copies`` of each."""
    table = raw.table
    check_columns("orders", table.columns, ["order_id", "customer_id", "ordered_at"])
    if not {"net_revenue", "amount"} & set(table.columns):
        check_columns("orders", table.columns, ["quantity", "unit_price"])
    times = {
        name: when(table[name], timezone, naive=naive, date_format=date_format)
        for name in ("ordered_at",)
    }
    numbers = {name: number(table[name], decimal) for name in MONEY if name in table.columns}
    check_readable(table, "orders", times, numbers)

    who = text(table["customer_id"])
    passed = [name for name in _passed_through(raw) if name in table.columns]
    ids = {
        "order_id": text(table["order_id"]),
        "customer_id": who.lower() if rules.get("customer_is_email") else who,
    }
    other = {
        name: text(table[name]) if table[name].type().is_string() else table[name]
        for name in [*passed, "cancelled_at", "status", "tags", "item_id", "is_test"]
        if name in table.columns
    }
    typed = table.mutate(**times, **numbers, **ids, **other)
    typed = typed.group_by(typed.columns).aggregate(copies=lambda rows: rows.count())
    return typed.mutate(revenue=_revenue(typed)).select(
        *ids, *times, *other, *numbers, "revenue", "copies"
    )


def _passed_through(raw: Raw) -> list[str]:
    """Return the order-level columns that keep their names to the end, for ``by=``."""
    names = raw.preset.keep if raw.preset else raw.table.columns
    return [name for name in names if name not in INNER and name not in ORDERS.required]


def _revenue(lines: ir.Table) -> ir.Value:
    if "net_revenue" in lines.columns:
        return lines["net_revenue"].fill_null(0.0)
    if "amount" in lines.columns:
        refunded = lines["refunded"].fill_null(0.0) if "refunded" in lines.columns else 0.0
        return lines["amount"].fill_null(0.0) - refunded
    return (lines["quantity"] * lines["unit_price"]).fill_null(0.0)


def _with_line_rules(lines: ir.Table, rules: dict[str, Any]) -> ir.Table:
    """Add ``rule`` (null where kept) and ``belongs_to``, the order that a line counts for."""
    cases: list[tuple[ir.Value, str]] = [(lines["order_id"].isnull(), "no_order_id")]
    if "adjustment_prefix" in rules:
        cases.append((lines["order_id"].startswith(rules["adjustment_prefix"]), "adjustment"))
    if "non_products" in rules:
        exact = [code for code in rules["non_products"] if not code.endswith("*")]
        starts = [code[:-1] for code in rules["non_products"] if code.endswith("*")]
        odd = lines["item_id"].isin(exact)
        for start in starts:
            odd = odd | lines["item_id"].startswith(start)
        cases.append((odd.fill_null(False), "not_a_product"))
    lines = lines.mutate(
        rule=ibis.cases(*cases, else_=ibis.null("string")), belongs_to=lines["order_id"]
    )
    return (
        _match_refunds(lines, rules["cancellation_prefix"])
        if "cancellation_prefix" in rules
        else lines
    )


def _match_refunds(lines: ir.Table, prefix: str) -> ir.Table:
    """Let each cancelling line count for the latest earlier order of the same customer and item.

    A running maximum of "time, then order number" over purchases finds that order in one
    pass, on any engine.
    """
    is_refund = lines["order_id"].startswith(prefix).fill_null(False)
    bought = ~is_refund & (lines["quantity"] > 0) & lines["rule"].isnull()
    mark = lines["ordered_at"].strftime("%Y%m%d%H%M%S") + lines["order_id"]
    lines = lines.mutate(is_refund=is_refund, _bought=bought.ifelse(mark, ibis.null("string")))
    so_far = ibis.window(
        group_by=["customer_id", "item_id"],
        order_by=["ordered_at", "is_refund"],
        preceding=None,
        following=0,
    )
    lines = lines.mutate(_latest=lines["_bought"].max().over(so_far))
    target = ibis.ifelse(
        lines["customer_id"].notnull(), lines["_latest"].substr(14), ibis.null("string")
    )
    unmatched = (
        lines["is_refund"]
        & lines["rule"].isnull()
        & target.isnull()
        & lines["customer_id"].notnull()
    )
    return lines.mutate(
        belongs_to=ibis.ifelse(
            lines["is_refund"], target.fill_null(lines["order_id"]), lines["order_id"]
        ),
        rule=ibis.ifelse(unmatched, "refund_unmatched", lines["rule"]),
    ).drop("_bought", "_latest")


def _orders(lines: ir.Table, rules: dict[str, Any], currency: str | None) -> ir.Table:
    """Return one row per order with its rule (null where kept), its raw rows and its revenue."""
    kept = lines.filter(lines["rule"].isnull())
    own = kept["belongs_to"] == kept["order_id"]
    attributes = [
        name
        for name in kept.columns
        if name
        not in (
            "order_id",
            "belongs_to",
            "rule",
            "copies",
            "revenue",
            "is_refund",
            "item_id",
            "quantity",
            "unit_price",
        )
    ]
    first = {name: kept[name].max(where=own) for name in attributes if name != "ordered_at"}
    refunds = kept["revenue"].sum(where=~own).fill_null(0.0)
    if "refunded" in kept.columns:
        refunds = refunds - kept["refunded"].sum().fill_null(0.0)
    orders = (
        kept.group_by("belongs_to")
        .aggregate(
            **first,
            ordered_at=kept["ordered_at"].min(where=own),
            net=kept["revenue"].sum(),
            refunds=refunds,
            raw_rows=kept.count(),
            heads=kept["revenue"].count(where=kept["amount"].notnull())
            if "amount" in kept.columns
            else ibis.literal(1),
        )
        .rename(order_id="belongs_to")
    )
    _check_currency(orders, currency)
    return orders.mutate(
        rule=ibis.cases(*_order_cases(orders, rules, currency), else_=ibis.null("string"))
    )


def _order_cases(
    orders: ir.Table, rules: dict[str, Any], currency: str | None
) -> list[tuple[ir.Value, str]]:
    cases = [(orders["ordered_at"].isnull(), "no_time")]
    test = ibis.literal(False)
    if "is_test" in orders.columns:
        test = test | orders["is_test"].cast("string").lower().isin(TRUE)
    if "tags" in orders.columns and "test_tags" in rules:
        words = "|".join(rules["test_tags"])
        test = test | orders["tags"].lower().re_search(rf"(^|[,\s])({words})($|[,\s])")
    if "payment_method" in orders.columns and "test_payments" in rules:
        test = test | orders["payment_method"].lower().isin(rules["test_payments"])
    cases.append((test.fill_null(False), "test_order"))
    if "cancelled_at" in orders.columns:
        cases.append((orders["cancelled_at"].notnull(), "cancelled"))
    if "status" in orders.columns and "unpaid" in rules:
        cases.append((orders["status"].lower().isin(rules["unpaid"]).fill_null(False), "unpaid"))
    cases.append((orders["customer_id"].isnull(), "no_customer"))
    if currency is not None and "currency" in orders.columns:
        cases.append((orders["currency"] != currency, "other_currency"))
    cases.append(((orders["refunds"] < 0) & (orders["net"] <= 1e-9), "refunded_in_full"))
    cases.append((orders["net"] < 0, "negative_total"))
    return cases


def _check_currency(orders: ir.Table, currency: str | None) -> None:
    if "currency" not in orders.columns:
        return
    found = orders["currency"].value_counts(name="n").order_by(ibis.desc("n")).execute()
    counts = {row.currency: row.n for row in found.itertuples() if isinstance(row.currency, str)}
    if currency is not None:
        check_choice("currency", currency, counts)
    elif len(counts) > 1:
        shown = listed(f"{name} {n:,}" for name, n in counts.items())
        raise DataError(
            f"orders: 'currency' mixes {shown}; choose one with currency='{next(iter(counts))}'"
        )


def _account(lines: ir.Table, orders: ir.Table, max_loss: float) -> Cleaned:
    again = lines["copies"] - 1
    whole = (
        lines.aggregate(
            rows=lines["copies"].sum(),
            revenue=(lines["revenue"] * lines["copies"]).sum(),
            again=again.sum(),
            again_revenue=(lines["revenue"] * again).sum(),
        )
        .execute()
        .iloc[0]
        .fillna(0)
    )
    duplicates = pd.DataFrame(
        {"rule": ["duplicate_row"], "rows": [whole["again"]], "revenue": [whole["again_revenue"]]}
    )
    by_line = (
        lines.group_by("rule")
        .aggregate(rows=lines.count(), revenue=lines["revenue"].sum())
        .execute()
    )
    by_order = (
        orders.group_by("rule")
        .aggregate(rows=orders["raw_rows"].sum(), revenue=orders["net"].sum())
        .execute()
    )
    lost = pd.concat(
        [duplicates, by_line[by_line["rule"].notna()], by_order[by_order["rule"].notna()]],
        ignore_index=True,
    )
    kept = by_order[by_order["rule"].isna()]
    table = orders.filter(orders["rule"].isnull())
    table = table.mutate(net_revenue=table["net"])
    table = table.select(
        *ORDERS.required,
        *[
            name
            for name in table.columns
            if name not in (*ORDERS.required, *INNER, "net", "refunds", "raw_rows", "heads", "rule")
        ],
    )
    return settle(
        table,
        lost,
        ORDERS,
        raw=(int(whole["rows"]), float(whole["revenue"])),
        kept=(int(kept["rows"].sum()), float(kept["revenue"].sum())),
        max_loss=max_loss,
    )
