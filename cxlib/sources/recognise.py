"""Which export a table is, told from its columns; and which of its columns may be which of ours."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

import ibis.expr.types as ir

from cxlib._checks import ColumnError, DataError, listed, suggest
from cxlib.sources.formats import Preset, known_presets
from cxlib.sources.naming import find

WORDS = {
    "order_id": "order id, order number, order no, order, invoice, invoice no, invoice number, "
    "transaction id, receipt, receipt number, bill, nr, number, no, order nr, bestellnummer, numero de commande",
    "customer_id": "customer id, customer, client id, client, email, customer email, e-mail, "
    "user id, user, buyer, buyer email, billing email, mail, email address, member id, account id, "
    "kunde, kundennummer",
    "ordered_at": "ordered at, order date, created at, date, invoice date, purchase date, "
    "order time, timestamp, datum, placed at, order created",
    "net_revenue": "net revenue, revenue, total, amount, order total, grand total, net amount, "
    "value, sales, price, total price, net sales, spend, paid, amount paid, total paid, betrag",
    "quantity": "quantity, qty, units, count, menge",
    "unit_price": "unit price, price, item price, preis",
    "user_id": "user id, user, visitor id, visitor, client id, anonymous id, customer id, email",
    "event": "event, event name, action, event type, name",
    "occurred_at": "occurred at, event time, timestamp, time, date, created at, event timestamp",
    "variant": "variant, group, arm, bucket, treatment, variation",
    "exposed_at": "exposed at, exposure time, timestamp, assigned at, time, date",
    "responded_at": "responded at, response date, timestamp, answered at, date, created at",
    "kind": "kind, survey, survey type, type",
    "score": "score, rating, answer, nps",
    "currency": "currency, currency code, order currency",
    "item_id": "item id, sku, product id, stock code, product",
}


VALUE = re.compile(r"^\s*(\d{4}-\d\d-\d\d[ T]\d\d:\d\d.*|-?\d+[.,]\d\d)\s*$")
"""What is a stamp or an amount, and no name of a column."""


def recognised(table: ir.Table, name: str) -> tuple[Preset, str] | None:
    """Return the preset whose columns the table has, and why; None where there is none.

    Raises
    ------
    DataError
        Several presets fit, none of which has all columns that the others know.
    """
    fits: dict[str, set[str]] = {}
    for known, preset in known_presets().items():
        needed = [find(table, names) for names in preset.columns.values()]
        if preset.recognise and preset.layout is None and None not in needed:
            more = (find(table, names) for names in preset.keep.values())
            fits[known] = {path for path in (*needed, *more) if path is not None}
    best = [
        known for known, paths in fits.items() if not any(paths < other for other in fits.values())
    ]
    if not best:
        return None
    if len(best) > 1:
        raise DataError(
            f"source {name!r}: its columns are those of {' and of '.join(best)}; say which it is: "
            f"preset={best[0]!r}"
        )
    preset = known_presets()[best[0]]
    needed = [path for names in preset.columns.values() if (path := find(table, names))]
    others = len(fits[best[0]]) - len(set(needed))
    more_said = f" and {others} more of its columns" if others else ""
    return preset, f"it has {listed(dict.fromkeys(needed))}{more_said}"


def check_needed(
    table: ir.Table,
    contract: str,
    needed: Iterable[str],
    preset: Preset | None = None,
    *,
    either: str = "",
) -> None:
    """Raise `ColumnError` unless the table has every needed column; guess which they may be.

    ``either`` says what else would do.
    """
    have = table.columns
    needed = list(needed)
    missing = [name for name in needed if name not in have]
    if not missing:
        return
    what = "column" if len(missing) == 1 else "columns"
    if preset is not None and preset.table != contract:
        other = f"{preset.name}_{contract}"
        advice = (
            f"; its {contract} are read by preset={other!r}" if other in known_presets() else ""
        )
        raise ColumnError(
            f"{contract}: no {what} {', '.join(map(repr, missing))}: it was read as {preset.name}, "
            f"which holds {preset.table}{advice}"
        )
    value = next((name for name in have if VALUE.search(name)), None)
    if value is not None:
        raise ColumnError(
            f"{contract}: there seems to be no header, for a column is called {value[:40]!r}: write "
            f"the names of the columns above the first row; {what} {', '.join(map(repr, missing))} "
            "must be there"
        )
    guesses = guessed(missing, [name for name in have if name not in needed])
    pairs = {name: guesses.get(name, "your name") for name in missing}
    hint = "" if guesses else suggest(missing[0], have)
    maybe = " perhaps" if guesses else ""
    raise ColumnError(
        f"{contract}: no {what} {', '.join(map(repr, missing))}; it has {listed(have)}.{hint} "
        f"Give{maybe} columns={pairs!r} in cx.read.{either}"
    )


def guessed(missing: Iterable[str], have: Sequence[str]) -> dict[str, str]:
    """Return our names with the columns that they may mean, each column once."""
    found: dict[str, str] = {}
    left = {_letters(name): name for name in reversed(have)}
    for ours in missing:
        words = [_letters(word) for word in (ours, *WORDS.get(ours, "").split(","))]
        near = next((word for word in words if word in left), None)
        if near is None:
            close = difflib.get_close_matches(_letters(ours), left, n=1, cutoff=0.75)
            near = close[0] if close else None
        if near:
            found[ours] = left.pop(near)
    return found


def _letters(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())
