"""What each row of an orders export is: a kept line, a refund of which order, or a named loss."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

import ibis
import ibis.expr.types as ir

from cxlib._checks import check_columns
from cxlib.clean.overlap import one_file_each
from cxlib.clean.rules import LOSSES
from cxlib.sources import SOURCE_FILE, Rules


def with_money(lines: ir.Table, rules: Rules) -> ir.Table:
    """Add ``_revenue`` (null where a row holds none) and ``_is_refund``."""
    names = lines.columns
    if "net_revenue" in names:
        revenue = lines["net_revenue"]
        is_refund = revenue < 0
    elif "amount" in names:
        revenue, is_refund = lines["amount"], lines["amount"] < 0
        if "refunded" in names:
            given_back = lines["refunded"].abs()
            revenue = ibis.coalesce(revenue - given_back.fill_null(0.0), -given_back.nullif(0.0))
            is_refund = is_refund.fill_null(given_back > 0)
    else:
        revenue, is_refund = lines["quantity"] * lines["unit_price"], lines["quantity"] < 0
    if rules.cancellation_prefix:
        is_refund = is_refund | lines["order_id"].startswith(rules.cancellation_prefix)
    return lines.mutate(_revenue=revenue, _is_refund=is_refund.fill_null(False))


def with_guests(lines: ir.Table, skipped: Collection[str] = ()) -> ir.Table:
    """Name guests by their e-mail: by the id that it has elsewhere, or else by itself.

    Adds ``_by_email``. Without a column ``email``, or if that rule is skipped, they stay unknown.
    """
    if "email" not in lines.columns or "guest_by_email" in skipped:
        return lines.mutate(_by_email=ibis.literal(False))
    named = lines.filter(lines["customer_id"].notnull(), lines["email"].notnull())
    known = named.group_by("email").aggregate(_known=named["customer_id"].min())
    lines = lines.left_join(known, "email").drop("email_right")
    return lines.mutate(
        customer_id=ibis.coalesce(lines["customer_id"], lines["_known"], lines["email"]),
        _by_email=lines["customer_id"].isnull() & lines["email"].notnull(),
    ).drop("_known")


def with_rules(
    lines: ir.Table, rules: Rules, skipped: Collection[str] = (), currency: str | None = None
) -> ir.Table:
    """Add ``_rule`` (null where kept) and ``_belongs_to``, the order that a row counts for.

    Rules that are ``skipped`` drop nothing.
    """
    cases: list[tuple[ir.Value, str]] = [(lines["order_id"].isnull(), "no_order_id")]
    if currency is not None:
        cases.append((lines["currency"] != currency, "other_currency"))
    if rules.adjustment_prefix:
        cases.append((lines["order_id"].startswith(rules.adjustment_prefix), "adjustment"))
    if rules.non_products:
        check_columns("orders", lines.columns, ["item_id"])
        cases.append((_is_no_product(lines["item_id"], rules.non_products), "not_a_product"))
    by_order = bool({"net_revenue", "amount"} & set(lines.columns))
    if "amount" not in lines.columns or "net_revenue" in lines.columns:
        cases.append((lines["_revenue"].isnull(), "no_amount"))
    lines = lines.mutate(_rule=first_rule(cases, skipped), _belongs_to=lines["order_id"])
    if SOURCE_FILE in lines.columns and "overlapping_file" not in skipped:
        lines = one_file_each(lines, by_line=not by_order)
    if by_order and "duplicate_order" not in skipped:
        lines = _one_state(lines, rules)
    return _match_refunds(lines, skipped) if rules.cancellation_prefix else lines


def first_rule(cases: list[tuple[ir.Value, str]], skipped: Collection[str] = ()) -> ir.Value:
    """Return the first rule that holds and is not skipped, in the order of `LOSSES`, else null."""
    order = list(LOSSES)
    counted = [case for case in cases if case[1] not in skipped]
    counted.sort(key=lambda case: order.index(case[1]))
    return ibis.cases(*counted, else_=ibis.null("string"))


def _is_no_product(item: ir.Value, codes: list[str]) -> ir.Value:
    found = item.isin([code for code in codes if not code.endswith("*")])
    for code in codes:
        if code.endswith("*"):
            found = found | item.startswith(code.removesuffix("*"))
    return found.fill_null(False)


def _one_state(lines: ir.Table, rules: Rules) -> ir.Table:
    """Give all totals of an order but one the rule ``duplicate_order``.

    The latest state is kept, as far as the rows tell: the one refunded most, then cancelled
    before not, paid before unpaid, placed last; then the smaller total, so that the order of
    rows never matters.
    """
    lines = lines.mutate(
        _is_total=lines["_rule"].isnull() & lines["_revenue"].notnull() & ~lines["_is_refund"]
    )
    totals = lines.filter(lines["_is_total"])
    repeated = totals.group_by("order_id").having(totals.count() > 1).aggregate()
    single, lines = lines.anti_join(repeated, "order_id"), lines.semi_join(repeated, "order_id")
    is_total = lines["_is_total"]
    refunded = lines["refunded"].abs() if "refunded" in lines.columns else -lines["_revenue"]
    latest: list[ir.Value] = [ibis.desc(refunded.fill_null(0.0))]
    if "cancelled_at" in lines.columns:
        latest.append(lines["cancelled_at"].isnull())
    if "status" in lines.columns:
        latest.append(lines["status"].lower().isin(rules.unpaid).fill_null(False))
    latest += [ibis.desc("ordered_at"), lines["_revenue"]]
    rest = [lines[name] for name in lines.columns if name not in ("ordered_at", "_revenue")]
    place = ibis.row_number().over(
        ibis.window(group_by=[lines["order_id"], is_total], order_by=[*latest, *rest])
    )
    states = lines.mutate(
        _rule=ibis.ifelse(is_total & (place > 0), "duplicate_order", lines["_rule"])
    )
    return states.union(single).drop("_is_total")


def _match_refunds(lines: ir.Table, skipped: Collection[str]) -> ir.Table:
    """Let each refund count for the latest earlier order of the same customer and item.

    A running maximum of (time, order) over what was bought finds it in one pass. Refunds of
    guests keep their own number: nobody knows whose order they undo.
    """
    check_columns("orders", lines.columns, ["item_id"])
    who = ["customer_id", "item_id"]
    refunds = lines.filter(lines["_is_refund"], lines["_rule"].isnull()).select(who).distinct()
    rest, lines = lines.anti_join(refunds, who), lines.semi_join(refunds, who)
    order = ibis.struct({"at": lines["ordered_at"], "order_id": lines["order_id"]})
    bought = ~lines["_is_refund"] & lines["_rule"].isnull()
    lines = lines.mutate(_bought=bought.ifelse(order, ibis.null(order.type())))
    so_far = ibis.window(
        group_by=who,
        order_by=["ordered_at", "_is_refund"],
        preceding=None,
        following=0,
    )
    lines = lines.mutate(_latest=lines["_bought"].max().over(so_far)["order_id"])
    moves = lines["_is_refund"] & lines["_rule"].isnull() & lines["customer_id"].notnull()
    known = lines["ordered_at"].notnull() & lines["_latest"].notnull()
    unmatched = ibis.literal("refund_unmatched" not in skipped) & moves & ~known
    matched = lines.mutate(
        _belongs_to=ibis.ifelse(moves & known, lines["_latest"], lines["_belongs_to"]),
        _rule=ibis.ifelse(unmatched, "refund_unmatched", lines["_rule"]),
    )
    return matched.drop("_bought", "_latest").union(rest)


def is_like(value: ir.Value, patterns: Iterable[str]) -> ir.Value:
    """Say which ids are one of the patterns, in any case; ``*`` stands for any letters."""
    words = ["^" + ".*".join(map(re.escape, one.lower().split("*"))) + "$" for one in patterns]
    return value.lower().re_search("|".join(words)).fill_null(False)
