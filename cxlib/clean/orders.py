"""Raw order exports become one row per order, refunds netted, every loss counted."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial

import ibis
import ibis.expr.types as ir

from cxlib._checks import (
    ColumnError,
    DataError,
    check_choice,
    check_number,
    listed,
)
from cxlib.clean.account import NOTHING, REVENUE_OF, ROWS_OF, account
from cxlib.clean.clock import is_odd_hour
from cxlib.clean.facts import Bits, bits_of, check_read, copies_counted, on_the_clock
from cxlib.clean.lines import first_rule, is_like, with_guests, with_money, with_rules
from cxlib.clean.losses import Cleaned
from cxlib.clean.parse import (
    Clock,
    check_clock,
    email,
    identifier,
    is_odd,
    number,
    person,
    text,
    when,
)
from cxlib.clean.prepared import recalled
from cxlib.clean.rules import check_skipped
from cxlib.sources import SOURCE_FILE, Raw, Rules, Source, check_needed, guessed, read, reading
from cxlib.tables import ORDERS

MONEY = ("net_revenue", "amount", "refunded", "quantity", "unit_price")
MARKS = ("cancelled_at", "status", "tags", "is_test", "item_id", "email", SOURCE_FILE)
INNER = {*MONEY, *MARKS, "item_name"} - {"email"}
TRUE = ("true", "t", "yes", "y", "1")
INNER_OF_LINES = {
    "_belongs_to", "_rule", "_copies", "_bits", "_revenue", "_is_refund", "_by_email",
}  # fmt: skip


def clean_orders(
    raw: Source,
    *,
    timezone: str,
    currency: str | None = None,
    max_loss: float = 0.3,
    date_format: str | None = None,
    naive: str | None = None,
    decimal: str | None = None,
    exclude: Iterable[str] = (),
    skip_rules: Iterable[str] = (),
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
        are used where there; ``email`` names guests, who have no ``customer_id``; ``source_file``
        tells the files that a row came from apart.
    timezone : str
        The shop's own clock, an IANA name. Stamps with an offset are converted to it once.
    currency : str, optional
        The one to keep, where the export mixes several; the preset's word, or else none. All
        else is lost as ``other_currency``, before any other rule of an order, and its money is in
        no sum.
    max_loss : float, default 0.3
        Share of the raw rows, or of their revenue, beyond which the loss is an error. Revenue
        counts by its size: refunds lost do not make up for orders lost. What ``currency`` and
        ``exclude`` leave out is neither lost nor part of the whole.
    date_format : str, optional
        strptime format of dates that are not ISO 8601, such as ``"%d/%m/%Y %H:%M"``.
    naive : {"local", "utc"}, optional
        What a stamp without offset means; the preset's word, or else the shop's clock.
    decimal : {".", ","}, optional
        The decimal sign of numbers in text; the preset's word, or else a point. Where every
        point is followed by three digits (``1.234``) it must be said.
    exclude : list of str, optional
        Customers to leave out: staff, resellers, bots (see `busiest`). ``*`` stands for any
        letters: ``["*@ourshop.com", "17850"]``. Counted as ``excluded``.
    skip_rules : list of str, optional
        Rules to switch off: their rows stay. ``["unpaid", "refund_unmatched"]`` counts orders
        that were never paid, and takes unmatched refunds off the revenue as orders below zero;
        ``["hidden_marks", "float_ids", "guest_by_email"]`` leaves ids as they are written.
        ``docs/cleaning.md`` tells every rule.

    Returns
    -------
    Cleaned
        ``.table`` has ``order_id``, ``customer_id``, ``ordered_at`` (shop's clock),
        ``net_revenue`` (what the customer paid less refunds, in the export's currency) and the
        export's other order-level columns (with a preset: those that it names); ``.losses``
        counts raw rows and revenue by rule, ``.notes`` what was put right or is odd, and
        ``.examples`` holds a few order numbers of each. Raw rows = kept rows + the sum of losses.

    Raises
    ------
    ColumnError
        A needed column is missing or of a wrong type.
    DataError
        Dates or numbers cannot be read, or can be read in two ways; currencies are mixed,
        offsets are mixed, ids have lost digits, or more than ``max_loss`` would be lost.
    ParameterError
        An argument is of no use, or ``skip_rules`` names what is no rule or must hold.

    See Also
    --------
    cxlib.plot.losses

    Notes
    -----
    Exact duplicate rows go first, then rows that another file holds too, then lines that are no
    product. Several totals of one order are states of it that were exported at different times,
    never a sum: the one refunded most is kept, the others are lost as ``duplicate_order``. Then
    refunds are netted: a negative row counts for the order whose number it bears or, where the
    preset names a prefix of cancelling invoices, for the latest earlier order of the same
    customer that holds the same item. What is left is grouped to orders. An attribute that
    differs within an order takes its largest value.

    A stamp without offset in the hour that clocks skip in spring is kept as written, and one in
    the hour that they show twice is taken for either; both are counted in the notes. Outliers
    are never dropped: see `outliers`.

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
    given: dict[str, object] = {
        "timezone": timezone,
        "currency": currency,
        "date_format": date_format,
    }
    given |= {"naive": naive, "decimal": decimal, "exclude": list(exclude)}
    given |= {"skip_rules": list(skip_rules)}
    kept = recalled(raw, ORDERS, given, max_loss)
    if kept is not None:
        return kept
    rules = raw.preset.rules if raw.preset else Rules()
    currency = currency or rules.currency
    _check_columns(raw, currency)
    clock = check_clock(raw, timezone, naive, date_format)
    skipped = check_skipped(skip_rules, rules)
    said = decimal or (rules.decimal if "decimal" in rules.model_fields_set else None)
    check_choice("decimal", said or ".", [".", ","])
    with reading(raw.name):
        typed, bits = _typed(raw, rules, clock, said or ".", skipped)
        facts = check_read(typed, raw.table, "orders", clock, bits, said, "ordered_at")
    typed = on_the_clock(typed, clock, bits, facts, ["ordered_at"])
    lines = with_guests(with_money(typed, rules), skipped)
    lines = with_rules(lines, rules, skipped, currency)
    orders = _orders(lines, {**facts.notes(lines, bits), "guest_by_email": lines["_by_email"]})
    cases = _order_cases(orders, rules, list(exclude))
    rule = ibis.coalesce(orders["_rule"], first_rule(cases, skipped))
    orders = _one_currency(orders.mutate(_rule=rule).cache(), currency)
    odd = partial(is_odd_hour, zone=clock.timezone, years=facts.years)
    if currency is not None:
        typed = typed.filter((typed["currency"] == currency).fill_null(True))
    return account(with_money(typed, rules), orders, odd, max_loss).of(raw)


def _check_columns(raw: Raw, currency: str | None) -> None:
    table = raw.table
    money, either = _money_form(table.columns)
    needed = [*ORDERS.required[:3], *money, *(["currency"] if currency is not None else [])]
    check_needed(table, "orders", needed, raw.preset, either=either)
    if "cancelled_at" in table.columns:
        dtype = table["cancelled_at"].type()
        if dtype.is_boolean() or dtype.is_integer():
            raise ColumnError(
                f"orders: 'cancelled_at' is {dtype}, but must be the time of cancelling, null where "
                "there was none; map another column"
            )


def _money_form(columns: Sequence[str]) -> tuple[list[str], str]:
    """Return the columns of money that cleaning needs, and what would do in their place."""
    of_orders, of_lines = ["net_revenue", "amount"], ["quantity", "unit_price"]
    if set(of_orders) & set(columns):
        return [], ""
    if set(of_lines) & set(columns) or len(guessed(of_lines, columns)) == 2:
        other = "net_revenue (or amount and refunded) of each order"
        return of_lines, f" In place of quantity and unit_price of each line: {other}."
    other = "amount and refunded, or quantity and unit_price of each line"
    return ["net_revenue"], f" In place of net_revenue: {other}."


def _typed(
    raw: Raw, rules: Rules, clock: Clock, decimal: str, skipped: Collection[str]
) -> tuple[ir.Table, Bits]:
    """Return the raw rows with typed columns, ``_copies`` of each and its ``_bits``.

    Rows are distinct, unless ``repeats`` are to stay.
    """
    table = raw.table
    times = {"ordered_at": when(table["ordered_at"], clock)}
    numbers = {name: number(table[name], decimal) for name in MONEY if name in table.columns}
    texts = _texts(raw, rules, skipped)
    ids = ["order_id", "customer_id"]
    names = [name for name in (*_passed_through(raw), "item_id") if name in texts]
    bits = bits_of(table, clock, times, numbers, ids, [n for n in names if n not in ids], skipped)
    stamps = {name: stamp.value for name, stamp in times.items()}
    named = {**stamps, **numbers, **texts}
    rest = {name: table[name] for name in table.columns if name not in named}
    # columns that nothing uses only tell one line of an order from another
    others = {"_others": ibis.struct(rest).hash()} if rest else {}
    rows = table.select(**named, **others, _bits=bits.packed())
    rows = copies_counted(rows, repeats="duplicate_row" in skipped).drop(*others)
    return rows.cache(), bits


def _texts(raw: Raw, rules: Rules, skipped: Collection[str]) -> dict[str, ir.Value]:
    """Return the columns that are text, or that pass through as they are, by their name."""
    table = raw.table
    who = person(table["customer_id"], skipped, rules.customer_is_email)
    if rules.guest_ids:
        who = ibis.ifelse(who.isin(rules.guest_ids), ibis.null("string"), who)
    texts = {"order_id": identifier(table["order_id"], skipped), "customer_id": who}
    for name in [*_passed_through(raw), *MARKS]:
        if name in table.columns:
            is_text = table[name].type().is_string() or name in MARKS
            texts[name] = text(table[name], skipped) if is_text else table[name]
    if "email" in texts:
        texts["email"] = email(table["email"], skipped)
    if "is_test" in texts:
        texts["is_test"] = texts["is_test"].lower().isin(TRUE).fill_null(False)
    if "currency" in texts:
        texts["currency"] = texts["currency"].upper()
    return texts


def _passed_through(raw: Raw) -> list[str]:
    """Return the order-level columns that keep their names to the end, for ``by=``."""
    names = raw.preset.keep if raw.preset else raw.table.columns
    return [name for name in names if name not in INNER and name not in ORDERS.required]


def _orders(lines: ir.Table, noted: Mapping[str, ir.BooleanValue]) -> ir.Table:
    """Return one row per order and rule of its lines: attributes, sums and counts of raw rows.

    Columns that begin with an underscore are sums: ``_net``, ``_refunds``, ``_n_refunds``,
    ``_n_totals``, ``_raw_rows``, ``_again`` (copies), and what is ``noted``.
    """
    placed, revenue = ~lines["_is_refund"], lines["_revenue"]
    given_back = ibis.ifelse(placed, 0.0, revenue).fill_null(0.0)
    if "refunded" in lines.columns:
        given_back = given_back - lines["refunded"].abs().fill_null(0.0)
    again = lines["_copies"] - 1
    attributes = {
        name: lines[name].max(where=placed) for name in lines.columns if _is_attribute(name)
    }
    if "currency" in attributes:  # a refund alone has one too
        attributes["currency"] = ibis.coalesce(attributes["currency"], lines["currency"].max())
    first = lines["ordered_at"].min(where=placed)
    is_alone = (revenue.count(where=placed) == 0) & (given_back.sum() < 0)
    notes = {}
    for name, flag in noted.items():
        notes[f"{ROWS_OF}{name}"] = flag.sum()
        notes[f"{REVENUE_OF}{name}"] = revenue.sum(where=flag).fill_null(0.0)
    orders = lines.group_by(["_belongs_to", "_rule"]).aggregate(
        # who gave the money back, in some exports, is not who bought
        customer_id=ibis.coalesce(
            lines["customer_id"].max(where=placed), lines["customer_id"].max()
        ),
        ordered_at=ibis.ifelse(is_alone, ibis.coalesce(first, lines["ordered_at"].min()), first),
        **attributes,
        _net=revenue.sum().fill_null(0.0),
        _refunds=given_back.sum(),
        _refunded_at=lines["ordered_at"].min(where=~placed),
        _n_refunds=(given_back != 0).sum(),
        _n_totals=revenue.count(where=placed),
        _raw_rows=lines.count(),
        _again=again.sum(),
        _again_revenue=(revenue * again).sum().fill_null(0.0),
        **notes,
    )
    return orders.rename(order_id="_belongs_to")


def _is_attribute(name: str) -> bool:
    """Say whether a column of lines describes their order."""
    of_lines = {"order_id", "customer_id", "ordered_at", "item_id", SOURCE_FILE, *MONEY}
    return name not in of_lines and name not in INNER_OF_LINES


def _order_cases(orders: ir.Table, rules: Rules, exclude: list[str]) -> list[tuple[ir.Value, str]]:
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
    for name in {"customer_id", "email"} & set(names) if rules.test_emails else ():
        cases.append((is_like(orders[name], rules.test_emails), "test_order"))
    if exclude:
        cases.append((is_like(orders["customer_id"], exclude), "excluded"))
    if "cancelled_at" in names:
        cases.append((orders["cancelled_at"].notnull(), "cancelled"))
    if "status" in names and rules.unpaid:
        cases.append((lower["status"].isin(rules.unpaid), "unpaid"))
    has_total, has_refund = orders["_n_totals"] > 0, orders["_refunds"] < 0
    is_alone = ~has_total & has_refund
    return [
        *cases,
        (orders["customer_id"].isnull(), "no_customer"),
        (is_alone, "refund_unmatched"),
        (~has_total & ~is_alone, "no_amount"),
        (orders["ordered_at"].isnull(), "no_time"),
        (is_odd(orders["ordered_at"]), "odd_time"),
        (has_total & has_refund & (orders["_net"] < NOTHING), "refunded_in_full"),
        (~has_refund & (orders["_net"] < -NOTHING), "negative_total"),
    ]


def _one_currency(orders: ir.Table, currency: str | None) -> ir.Table:
    """Lose the orders in other currencies than the chosen one; without a choice refuse a mix.

    Money of another currency is null: no sum of the account may hold it.
    """
    if "currency" not in orders.columns:
        return orders
    named = orders.filter(orders["currency"].notnull())
    if currency is None:
        named = named.filter(named["_rule"].isnull())
    found = named["currency"].value_counts(name="n").order_by(ibis.desc("n"), "currency").execute()
    counts = dict(zip(found["currency"], found["n"], strict=True))
    if currency is None and len(counts) > 1:
        shown = listed(f"{name} {n:,}" for name, n in counts.items())
        raise DataError(
            f"orders: 'currency' mixes {shown}; choose one with currency={next(iter(counts))!r}, "
            "or under [rules] in a preset of your own"
        )
    if currency is None or not counts:
        return orders
    check_choice("currency", currency, counts)
    of_order = orders["currency"].max().over(ibis.window(group_by="order_id"))
    is_other = (ibis.coalesce(orders["currency"], of_order) != currency).fill_null(True)
    nothing, again = ibis.null("float64"), orders["_again"]
    return orders.mutate(
        _rule=ibis.ifelse(is_other, "other_currency", orders["_rule"]),
        _net=ibis.ifelse(is_other, nothing, orders["_net"]),
        _refunds=ibis.ifelse(is_other, nothing, orders["_refunds"]),
        _raw_rows=orders["_raw_rows"] + ibis.ifelse(is_other, again, 0),
        _again=ibis.ifelse(is_other, 0, again),
        _again_revenue=ibis.ifelse(is_other, 0.0, orders["_again_revenue"]),
    ).cache()
