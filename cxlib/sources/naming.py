"""The columns of a source under our names: matched, taken out of nests, made ready for cleaning."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import ibis
import ibis.expr.types as ir

from cxlib._checks import ColumnError, listed, suggest
from cxlib.sources.engine import Opened
from cxlib.sources.formats import Names, Preset
from cxlib.tables import CONTRACTS

UNSEEN = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u00ad]")
OURS = {name for contract in CONTRACTS.values() for name in contract.required} | {
    *("amount", "refunded", "quantity", "unit_price", "item_id", "currency", "status"),
    *("cancelled_at", "event_id"),
}
MISSPELT = 0.87
"""From this likeness on a name is a slip: ``netrevenue`` is, ``order_date`` is not."""
LATEST = 253_402_300_799
"""Seconds since 1970 at the end of the year 9999."""


@dataclass(frozen=True, eq=False)
class Named:
    """A table under our names, which of its columns each was, and what is to be said of it."""

    table: ir.Table
    taken: dict[str, str]
    notes: tuple[str, ...] = ()


def plain(name: str) -> str:
    """Return a column's name without what is not seen: marks of direction, outer blanks."""
    return " ".join(UNSEEN.sub("", unicodedata.normalize("NFKC", str(name))).split())


def tidied(opened: Opened) -> Opened:
    """Return the same with plain column names, and a note of what was changed."""
    better = {name: plain(name) for name in opened.table.columns}
    counts = Counter(name.lower() for name in better.values())
    changed = {
        name: new
        for name, new in better.items()
        if new not in ("", name) and counts[new.lower()] == 1
    }
    if not changed:
        return opened
    note = (
        f"read {listed(map(repr, changed.values()))} without blanks or unseen marks of the header"
    )
    table = opened.table.select(
        **{changed.get(name, name): opened.table[name] for name in opened.table.columns}
    )
    return replace(opened, table=table, notes=(*opened.notes, note))


def find(table: ir.Table, theirs: str | list[str]) -> str | None:
    """Return the column, or the path into one, that an export's name means; None if there is none."""
    for wanted in [theirs] if isinstance(theirs, str) else theirs:
        if wanted in table.columns:
            return wanted
        alike = [name for name in table.columns if plain(name).lower() == plain(wanted).lower()]
        if len(alike) == 1:
            return alike[0]
        if "." in wanted and _nested(table, wanted) is not None:
            return wanted
    return None


def value_of(table: ir.Table, path: str) -> ir.Value:
    """Return the column of that name, or what lies at that path in a nested one."""
    if path in table.columns:
        return table[path]
    found = _nested(table, path)
    assert found is not None  # find has seen it
    return found


def _nested(table: ir.Table, path: str) -> ir.Value | None:
    first, _, rest = path.partition(".")
    if first not in table.columns:
        return None
    value: ir.Value = table[first]
    if value.type().is_array() and value.type().value_type.is_struct():
        return _of_key(value, rest)
    for step in rest.split("."):
        if not value.type().is_struct() or step not in value.type().names:
            return None
        value = value[step]
    return value


def _of_key(pairs: ir.Value, key: str) -> ir.Value | None:
    """Return the value of ``key`` in a list of ``{key, value: {string_value, int_value, …}}``."""
    fields = pairs.type().value_type
    if not {"key", "value"} <= set(fields.names):
        return None
    value = pairs.filter(lambda pair: pair["key"] == key)[0]["value"]
    if not value.type().is_struct():
        return value.cast("string")
    return ibis.coalesce(*[value[name].cast("string") for name in value.type().names])


def named(opened: Opened, preset: Preset | None, columns: Mapping[str, str]) -> Named:
    """Return the table with our names for its columns: those of ``columns``, then of the preset.

    Raises
    ------
    ColumnError
        A named column is not there, or stands there more than once.
    """
    table = opened.table
    _check_spelling(opened.name, preset, columns)
    taken = {ours: _given(table, opened.name, ours, theirs) for ours, theirs in columns.items()}
    if preset is not None:
        _check_lacks(opened.name, preset, columns)
        needed = {ours: names for ours, names in preset.columns.items() if ours not in taken}
        taken = {**_needed(table, opened.name, preset, needed), **taken}
        for ours, names in preset.keep.items():
            path = find(table, names)
            if path is not None and ours not in taken:
                taken[ours] = path
    else:
        taken = {**_our_own(table, taken), **taken}
    _check_once(opened, taken)
    notes = opened.notes + _other_case(taken, preset, columns)
    values = {ours: value_of(table, path) for ours, path in taken.items()}
    rest = _rest(table, taken)
    if preset is None:
        return Named(table.select(**values, **rest), taken, notes)
    values = _ready(table, values, preset)
    rows, more = _only(table, preset)
    rest = {ours: value for ours, value in rest.items() if ours not in values}
    return Named(rows.select(**values, **rest), taken, notes + more)


def _given(table: ir.Table, name: str, ours: str, theirs: str) -> str:
    path = find(table, theirs) if isinstance(theirs, str) else None
    if path is None:
        raise ColumnError(
            f"{name}: columns={{{ours!r}: {theirs!r}}} names a column that is not there; "
            f"it has {listed(table.columns)}.{suggest(theirs, table.columns)}"
        )
    return path


def _check_spelling(name: str, preset: Preset | None, columns: Mapping[str, str]) -> None:
    """Refuse a name that is nearly one of ours: nothing would look for such a column."""
    known = OURS | ({*preset.columns, *preset.keep} if preset is not None else set())
    for given in columns:
        if given in known or any(sign.isdigit() for sign in given):
            continue
        near = difflib.get_close_matches(given.lower(), sorted(OURS), n=1, cutoff=MISSPELT)
        if near and near[0] not in columns:
            raise ColumnError(
                f"{name}: columns={{{given!r}: {columns[given]!r}}} names {given!r}, which is none "
                f"of our columns: did you mean {near[0]!r}?"
            )


def _needed(table: ir.Table, name: str, preset: Preset, needed: Names) -> dict[str, str]:
    found = {ours: find(table, names) for ours, names in needed.items()}
    missing = {ours: names for ours, names in needed.items() if found[ours] is None}
    if missing:
        said = listed(f"{_words(names)} (our {ours})" for ours, names in missing.items())
        ours, names = next(iter(missing.items()))
        theirs = names if isinstance(names, str) else names[0]
        raise ColumnError(
            f"{name} as {preset.name}: no column {said}; it has {listed(table.columns)}."
            f"{suggest(theirs, table.columns)} Give columns={{{ours!r}: 'your name'}} in cx.read."
        )
    return {ours: path for ours, path in found.items() if path is not None}


def _words(names: str | list[str]) -> str:
    return repr(names) if isinstance(names, str) else " or ".join(map(repr, names))


def _check_lacks(name: str, preset: Preset, columns: Mapping[str, str]) -> None:
    for ours, advice in preset.lacks.items():
        if ours not in columns:
            raise ColumnError(f"{name} as {preset.name}: the export holds no {ours}; {advice}")


def _our_own(table: ir.Table, taken: Mapping[str, str]) -> dict[str, str]:
    """Return the columns that bear our names but for the case."""
    lower = {name.lower(): name for name in table.columns}
    return {
        name: lower[name]
        for name in sorted(OURS - set(taken))
        if name in lower and lower[name] != name
    }


def _check_once(opened: Opened, taken: Mapping[str, str]) -> None:
    have = opened.table.columns
    ours = {name: name for name in have if name in OURS}
    for name, theirs in {**ours, **taken}.items():
        if plain(theirs).lower() in opened.repeated:
            second = next((one for one in have if one.lower() == f"{theirs}_2".lower()), theirs)
            raise ColumnError(
                f"{opened.name}: {theirs!r} (our {name}) stands more than once in the header; rename one "
                f"of them, or say which: columns={{{name!r}: {second!r}}} is the second"
            )


def _other_case(
    taken: Mapping[str, str], preset: Preset | None, columns: Mapping[str, str]
) -> tuple[str, ...]:
    """Say which columns were matched though their case differs."""
    names = {**preset.columns, **preset.keep} if preset is not None else {}
    wanted = {**{ours: ours for ours in taken}, **names, **columns}
    found = [
        f"{path!r} as {wanted[ours]!r}"
        for ours, path in taken.items()
        if isinstance(wanted[ours], str) and path != wanted[ours]
    ]
    return (f"took {listed(found)}",) if found else ()


def _rest(table: ir.Table, taken: Mapping[str, str]) -> dict[str, ir.Value]:
    """Return the other columns; engines do not tell Country from country: ours stays alone.

    A column that bears one of our names stays so named, also where it serves as another.
    """
    gone = set(taken.values()) - OURS
    ours = {name.lower() for name in taken}
    names = (name for name in table.columns if name not in gone and name.lower() not in ours)
    return {name: table[name] for name in names}


def _ready(table: ir.Table, values: dict[str, ir.Value], preset: Preset) -> dict[str, ir.Value]:
    """Return our columns with words for nothing as null, stamps of an epoch read, orders undone."""
    values = dict(values)
    when = CONTRACTS[preset.table].when
    for ours, words in preset.blank.items():
        if ours in values:
            text = values[ours].cast("string")
            values[ours] = ibis.ifelse(text.strip().isin(words), ibis.null("string"), text)
    if preset.rules.epoch is not None and when in values:
        values[when] = _moment(values[when], preset.rules.epoch)
    return _undone(table, values, preset, when)


def _undone(
    table: ir.Table, values: dict[str, ir.Value], preset: Preset, when: str
) -> dict[str, ir.Value]:
    """Let rows that refund say so in ``refunded``, rows that cancel in ``cancelled_at``.

    A refund that names no amount is of the whole order; an order that was paid back has both.
    """
    gives_back = bool(preset.refunds or preset.paid_back)
    if not {"amount", when} <= set(values) or not (gives_back or preset.cancels):
        return values
    nothing = ibis.null("string")
    amount = values["amount"].cast("string").nullif("")
    back = values["refunded"].cast("string").nullif("") if "refunded" in values else nothing
    refunds, cancels = _is_one_of(table, preset.refunds), _is_one_of(table, preset.cancels)
    back = ibis.ifelse(refunds, ibis.coalesce(back, amount), back)
    back = ibis.ifelse(_is_one_of(table, preset.paid_back), amount, back)
    whole = cancels | (refunds & back.isnull())
    marked = ibis.ifelse(whole, values[when].cast("string"), nothing)
    if "cancelled_at" in values:
        marked = ibis.coalesce(values["cancelled_at"].cast("string").nullif(""), marked)
    undone = {"amount": ibis.ifelse(refunds, nothing, amount), "cancelled_at": marked}
    return {**values, **undone, **({"refunded": back} if gives_back else {})}


def _only(table: ir.Table, preset: Preset) -> tuple[ir.Table, tuple[str, ...]]:
    """Return the rows that the preset means, and which they are."""
    if not any(find(table, name) for name in preset.only):
        return table, ()
    words = "; ".join(f"{name} {listed(words)}" for name, words in preset.only.items())
    said = f"took only the rows with {words}: the others are no {preset.table}"
    return table.filter(_is_one_of(table, preset.only)), (said,)


def _is_one_of(table: ir.Table, words: Mapping[str, Iterable[str]]) -> ir.BooleanValue:
    """Say which rows hold one of the words in any of the columns."""
    found: ir.BooleanValue = ibis.literal(False)
    for theirs, known in words.items():
        path = find(table, theirs)
        if path is not None:
            value = value_of(table, path).cast("string").strip().lower()
            found = found | value.isin([word.lower() for word in known]).fill_null(False)
    return found


def _moment(value: ir.Value, unit: str) -> ir.Value:
    """Return whole numbers since 1970 in UTC as time stamps; text that is none stays as it is."""
    written = value.cast("string")
    most = LATEST * {"s": 1, "ms": 10**3, "us": 10**6}[unit]
    number = written.strip().try_cast("int64")
    number = ibis.ifelse(number.between(0, most), number, ibis.null("int64"))
    stamp = ibis.timestamp("1970-01-01") + number.as_interval(unit)
    return stamp if value.type().is_integer() else ibis.coalesce(stamp.cast("string"), written)
