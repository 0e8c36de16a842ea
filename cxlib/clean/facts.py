"""One look at each raw row: its typed columns, and a bit for whatever is odd about it.

Bits travel with the row in one integer, so that reading, checking and counting need one scan.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import ibis
import ibis.expr.types as ir

from cxlib._checks import DataError
from cxlib.clean.clock import Years, on_the_wall, years_between
from cxlib.clean.parse import (
    PLAIN_STAMP,
    Clock,
    Stamp,
    has_offset,
    is_plain_number,
    may_be_thousands,
    was_float,
    was_hidden,
)
from cxlib.clean.unread import first_of, is_filled, unread

KEPT_FACTS = ("hidden_marks", "float_ids")
"""Those that are notes on rows that were kept."""
LOST_DIGITS = r"^\d(\.\d+)?[eE]\+\d+$"


@dataclass(frozen=True)
class Bits:
    """Named facts of a raw row, each with its place in one integer."""

    flags: dict[str, ir.BooleanValue] = field(default_factory=dict)

    def packed(self) -> ir.IntegerValue:
        """Return all facts of a row as one integer."""
        value: ir.IntegerValue = ibis.literal(0, "int64")
        for place, flag in enumerate(self.flags.values()):
            value = value + ibis.ifelse(flag.fill_null(False), 2**place, 0)
        return value.cast("int64")

    def of(self, rows: ir.Table, name: str) -> ir.BooleanValue:
        """Say of which ``rows`` the fact holds."""
        return (rows["_bits"] & 2 ** list(self.flags).index(name)) != 0

    def counts(self, rows: ir.Table) -> dict[str, ir.IntegerScalar]:
        """Return how many raw rows each fact holds of."""
        return {
            name: rows["_copies"].sum(where=self.of(rows, name)).fill_null(0) for name in self.flags
        }


def bits_of(
    raw: ir.Table,
    clock: Clock,
    times: Mapping[str, Stamp],
    numbers: Mapping[str, ir.Value],
    ids: list[str],
    names: list[str],
    skipped: Collection[str],
) -> Bits:
    """Return the facts that checks and notes need of each row; of what is ``skipped``, no note.

    ``times`` and ``numbers`` hold the parsed columns by their raw name.
    """
    flags: dict[str, ir.BooleanValue] = {}
    for name, stamp in times.items():
        flags[f"moves {name}"] = stamp.moves
        if raw[name].type().is_string():
            filled = is_filled(raw[name])
            flags[f"undated {name}"] = ibis.ifelse(stamp.value.notnull(), False, filled)
            if clock.date_format is None:
                flags[f"offset {name}"] = has_offset(raw[name])
                is_plain = raw[name].like(PLAIN_STAMP)
                flags[f"filled {name}"] = ibis.ifelse(is_plain, True, filled)
    for name, value in numbers.items():
        if not raw[name].type().is_integer():
            flags[f"unread {name}"] = ibis.ifelse(value.notnull(), False, is_filled(raw[name]))
        if raw[name].type().is_string():
            is_plain, odd = is_plain_number(raw[name]), may_be_thousands(raw[name])
            flags[f"thousands {name}"] = ibis.ifelse(is_plain, False, odd)
            flags[f"pointed {name}"] = raw[name].contains(".")
    written = [name for name in [*ids, *names] if raw[name].type().is_string()]
    if written:
        flags["hidden_marks"] = ibis.or_(*(was_hidden(raw[name]) for name in written))
    for name in ids:
        if raw[name].type().is_string():
            flags[f"digits {name}"] = raw[name].re_search(LOST_DIGITS)
    in_text = [raw[name] for name in ids if raw[name].type().is_string()]
    if in_text:
        flags["float_ids"] = ibis.or_(*(was_float(value) for value in in_text))
    return Bits({name: flag for name, flag in flags.items() if name not in skipped})


def copies_counted(rows: ir.Table, *, repeats: bool) -> ir.Table:
    """Return distinct ``rows`` with their ``_copies``; if ``repeats`` are to stay, all rows.

    The answer names no expression of its source again, whatever is built on it.
    """
    if repeats:
        return rows.mutate(_copies=ibis.literal(1, "int64")).cache()
    return rows.group_by(rows.columns).aggregate(_copies=rows.count())


@dataclass(frozen=True)
class Facts:
    """What one look at all rows found: how many raw rows, how many of each fact, which years."""

    rows: int
    counts: dict[str, int]
    years: Years

    def notes(self, rows: ir.Table, bits: Bits) -> dict[str, ir.BooleanValue]:
        """Return the facts that some rows have and that become notes, as flags of ``rows``."""
        return {name: bits.of(rows, name) for name in KEPT_FACTS if self.counts.get(name)}


def on_the_clock(
    rows: ir.Table, clock: Clock, bits: Bits, facts: Facts, times: Iterable[str]
) -> ir.Table:
    """Return ``rows`` with their stamps on the shop's own clock, moved once."""
    moved = {}
    for name in times:
        on_wall = on_the_wall(rows[name], clock.timezone, facts.years)
        moves = facts.counts[f"moves {name}"]
        if moves == facts.rows:
            moved[name] = on_wall
        elif moves:
            moved[name] = ibis.ifelse(bits.of(rows, f"moves {name}"), on_wall, rows[name])
    return rows.mutate(**moved)


def check_read(
    rows: ir.Table,
    raw: ir.Table,
    table: str,
    clock: Clock,
    bits: Bits,
    decimal: str | None,
    time: str,
) -> Facts:
    """Return what is to know of ``rows``, once all that is not blank could be read.

    Raises
    ------
    DataError
        There are no rows, a value cannot be read or can be read in two ways, only some stamps
        have an offset, or ids have lost digits.
    """
    counted = rows.aggregate(
        n_rows=rows["_copies"].sum().fill_null(0),
        first=rows[time].min(),
        last=rows[time].max(),
        **bits.counts(rows),
    )
    n_rows, first, last, *counts = counted.to_pyarrow().to_pylist()[0].values()
    if not n_rows:
        raise DataError(f"{table}: the source has no rows")
    found = dict(zip(bits.flags, map(int, counts), strict=True))
    _refuse(found, raw, table, clock, bits, decimal)
    return Facts(int(n_rows), found, Years() if first is None else years_between(first, last))


def _refuse(
    found: Mapping[str, int],
    raw: ir.Table,
    table: str,
    clock: Clock,
    bits: Bits,
    decimal: str | None,
) -> None:
    """Raise for the first fact that no honest reading can pass over."""
    for fact, n in found.items():
        kind, _, name = fact.partition(" ")
        if kind in ("unread", "undated") and n:
            of_dates = clock if kind == "undated" else None
            said = unread(raw, name, bits.flags[fact], n, clock=of_dates, decimal=decimal)
            raise DataError(f"{table}: {name!r} holds {said}")
        if kind == "digits" and n:
            first = first_of(raw, name, bits.flags[fact])
            raise DataError(
                f"{table}: {name!r} holds {n:,} ids that a spreadsheet has shortened (first: "
                f"{first[0]!r}, row {first[1]:,}); their last digits are gone: export again as text"
            )
        if kind == "offset" and 0 < n < found[f"filled {name}"]:
            raise DataError(f"{table}: {_mixed(raw, name, bits, n, found[f'filled {name}'] - n)}")
        if kind == "thousands" and decimal is None and 0 < n == found[f"pointed {name}"]:
            first = first_of(raw, name, bits.flags[fact])
            raise DataError(
                f"{table}: {name!r} may hold thousands or fractions, for every point in it is "
                f"followed by three digits (first: {first[0]!r}, row {first[1]:,}); say which "
                "with decimal='.' or decimal=','"
            )


def _mixed(raw: ir.Table, name: str, bits: Bits, n_with: int, n_without: int) -> str:
    """Say how many stamps have an offset and how many have none, and which are the first."""
    has, filled = bits.flags[f"offset {name}"], bits.flags[f"filled {name}"]
    one, two = first_of(raw, name, has), first_of(raw, name, filled & ~has)
    return (
        f"{name!r} mixes {n_with:,} {'stamp' if n_with == 1 else 'stamps'} with an offset from UTC "
        f"(first: {one[0]!r}, row {one[1]:,}) and {n_without:,} without (first: {two[0]!r}, row "
        f"{two[1]:,}); export them in one form"
    )
