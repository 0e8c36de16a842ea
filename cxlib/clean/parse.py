"""Text becomes times, numbers and ids, in the engine; what cannot be read is an error."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from cxlib._checks import ColumnError, DataError, ParameterError, check_choice, check_timezone
from cxlib.sources import Raw

OFFSET = r"(Z|UTC|[+-][01]\d(:?[0-5]\d)?)"
ISO = rf"^\s*\d{{4}}-\d{{2}}-\d{{2}}([ T]\d{{2}}:\d{{2}}(:\d{{2}}(\.\d+)?)?( ?{OFFSET})?)?\s*$"
ZONED = rf":\d{{2}}(\.\d+)? ?{OFFSET}\s*$"
NO_SECONDS = r"^(.{10}[ T]\d{2}:\d{2})([^:\d])"
FORMAT_LETTERS = "aAbBcdfgGHIjmMnpSuUVwWxXyYzZ%"

# blanks at either end, and marks of writing direction anywhere: none of them is seen
BLANK = r"\s\x{00a0}\x{202f}"
MARKS = r"\x{200e}\x{200f}\x{202a}-\x{202e}\x{2066}-\x{2069}\x{feff}"
UNSEEN = rf"^[{BLANK}{MARKS}]+|[{BLANK}{MARKS}]+$|[{MARKS}]"

EASTERN_DIGITS = "٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹"
PLAIN = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
GROUPED = {
    ".": r"^[+-]?(\d+(\.\d+)?|\d{1,3}(,\d{3})+\.\d+)$",
    ",": rf"^[+-]?(\d+|\d{{1,3}}([.{BLANK}]\d{{3}})+)(,\d+)?$",
}
GROUP_SIGN = {".": ",", ",": rf"[.{BLANK}]"}


MOMENT = dt.Timestamp(timezone="UTC")


@ibis.udf.scalar.builtin(name="timezone", signature=((dt.string, dt.timestamp), MOMENT))
def _in_utc(zone: str, stamp: Any) -> Any:
    """Return a naive UTC stamp as a moment."""


@ibis.udf.scalar.builtin(name="timezone", signature=((dt.string, MOMENT), dt.timestamp))
def _on_the_wall(zone: str, moment: Any) -> Any:
    """Return a moment as the naive stamp that clocks in the zone show."""


@ibis.udf.scalar.builtin(name="try_strptime", signature=((dt.string, dt.string), dt.timestamp))
def _try_strptime(text: str, date_format: str) -> Any:
    """Return text as a time stamp, or null where it does not fit the format."""


@ibis.udf.scalar.builtin(name="try_strptime", signature=((dt.string, dt.string), MOMENT))
def _try_strptime_with_offset(text: str, date_format: str) -> Any:
    """Return text whose format says its distance from UTC (%z) as a moment, or null."""


@dataclass(frozen=True)
class Clock:
    """How the stamps of an export are read: its zone, its format, and what no offset means."""

    timezone: str
    naive: str = "local"
    date_format: str | None = None


def check_clock(raw: Raw, timezone: str, naive: str | None, date_format: str | None) -> Clock:
    """Return how to read the stamps of ``raw``; what is not given, its preset says."""
    if raw.preset is not None and date_format is None:
        date_format = raw.preset.rules.date_format
    if naive is None:
        utc = raw.preset is not None and raw.preset.rules.timestamps == "utc"
        naive = "utc" if utc else "local"
    check_choice("naive", naive, ["local", "utc"])
    letters = re.findall(r"%-?(.?)", date_format or "%Y")
    if not letters or set(letters) - set(FORMAT_LETTERS):
        raise ParameterError(
            f"date_format={date_format!r} is not a strptime format; write one such as '%d/%m/%Y %H:%M'"
        )
    return Clock(check_timezone("timezone", timezone), naive, date_format)


def text(value: ir.Value) -> ir.Value:
    """Return ids and names as trimmed text, blank as null; whole floats lose their ``.0``."""
    dtype = value.type()
    if dtype.is_floating() or dtype.is_decimal():
        whole = value.try_cast("int64")
        known = ~value.isnan() if dtype.is_floating() else value.notnull()
        written = ibis.ifelse(value == whole, whole.cast("string"), value.cast("string"))
        return ibis.ifelse(known, written, ibis.null("string"))
    return value.cast("string").re_replace(UNSEEN, "").nullif("")


def number(value: ir.Value, decimal: str = ".") -> ir.Value:
    """Return text or numbers as float, null where blank or unreadable.

    Thousands may be grouped where that is plain to see: ``1,234.56``, or with ``decimal=","``
    ``1.234,56`` and ``1 234,56``. ``1,234`` alone could be either and is not read.
    """
    if value.type().is_string():
        grouped = _grouped(text(value), decimal)
        plain = value.re_search(PLAIN)
        value = grouped if decimal == "," else ibis.ifelse(plain, value, grouped)
        value = value.try_cast("float64")
    value = value.cast("float64")
    for no_number in (math.nan, math.inf, -math.inf):
        value = value.nullif(no_number)
    return value


def _grouped(written: ir.Value, decimal: str) -> ir.Value:
    """Return numbers with grouped thousands, other decimal signs or eastern digits plainly."""
    group = "," if decimal == "." else "."
    western = written.translate(
        f"{EASTERN_DIGITS}\u066b\u066c\u2212", f"{'0123456789' * 2}{decimal}{group}-"
    )
    known = western.re_search(GROUPED[decimal]).ifelse(western, ibis.null("string"))
    return known.re_replace(GROUP_SIGN[decimal], "").replace(",", ".")


def when(value: ir.Value, clock: Clock) -> ir.Value:
    """Return stamps on the shop's own clock, null where blank or unreadable.

    Text is ISO 8601 or of the clock's ``date_format``. An offset or a zone in the value is
    converted to the shop's zone; a stamp without one is on the shop's clock already, or in
    UTC if the clock says so. A date without a time of day is never moved.
    """
    dtype = value.type()
    if dtype.is_date() or dtype.is_null():
        return value.cast("timestamp")
    if dtype.is_timestamp():
        if dtype.timezone is None:
            return _naive(value.cast("timestamp"), clock)
        return _on_the_wall(clock.timezone, value.cast(MOMENT))
    if not dtype.is_string():
        raise ColumnError(
            f"{value.get_name()!r} is {dtype}, not text, a date or a time stamp; map another column"
        )
    if clock.date_format is None:
        return _iso(value, clock)
    if re.search("%[zZ]", clock.date_format):
        moment = _try_strptime_with_offset(text(value), clock.date_format)
        return _on_the_wall(clock.timezone, moment)
    return _naive(_try_strptime(text(value), clock.date_format), clock)


def is_odd(stamp: ir.Value) -> ir.BooleanValue:
    """Say which stamps only stand for none: year 1, 1900 or 9999, as systems write them."""
    return ~stamp.year().between(1970, 2100)


def _iso(value: ir.Value, clock: Clock) -> ir.Value:
    full = value.strip().re_replace(NO_SECONDS, r"\1:00\2").replace("UTC", "Z")
    for sign in "+-Z":
        full = full.replace(f" {sign}", sign)
    local = value.try_cast("timestamp")
    return ibis.cases(
        (~value.re_search(ISO), ibis.null("timestamp")),
        (_has_offset(value), _on_the_wall(clock.timezone, full.try_cast(MOMENT))),
        (value.strip().length() == len("2024-12-31"), local),
        else_=_naive(local, clock),
    )


def _has_offset(value: ir.Value) -> ir.Value:
    return value.re_search(ZONED)


def _naive(stamp: ir.Value, clock: Clock) -> ir.Value:
    if clock.naive == "local":
        return stamp
    return _on_the_wall(clock.timezone, _in_utc("UTC", stamp))


def check_readable(
    raw: ir.Table,
    table: str,
    clock: Clock,
    times: Mapping[str, ir.Value],
    numbers: Mapping[str, ir.Value],
) -> int:
    """Return the count of rows, once every value that is not blank could be read.

    ``times`` and ``numbers`` hold the parsed columns by their raw name; one query counts all.

    Raises
    ------
    DataError
        There are no rows, a value cannot be read, or only some stamps have an offset.
    """
    parsed = {**times, **numbers}
    unread = {name: _is_filled(raw[name]) & value.isnull() for name, value in parsed.items()}
    counts = {f"{name} unread": flag.sum() for name, flag in unread.items()}
    iso = [name for name in times if raw[name].type().is_string() and clock.date_format is None]
    for name in iso:
        counts[f"{name} filled"] = _is_filled(raw[name]).sum()
        counts[f"{name} offset"] = _has_offset(raw[name]).sum()
    found = raw.aggregate(rows=raw.count(), **counts).execute().iloc[0]
    if not found["rows"]:
        raise DataError(f"{table}: the source has no rows")
    for name, flag in unread.items():
        if found[f"{name} unread"]:
            said = _unread(
                raw.select(name, bad=flag),
                int(found[f"{name} unread"]),
                clock if name in times else None,
            )
            raise DataError(f"{table}: {name!r} holds {said}")
    for name in iso:
        offset, filled = int(found[f"{name} offset"]), int(found[f"{name} filled"])
        if 0 < offset < filled:
            raise DataError(
                f"{table}: {name!r} mixes {offset:,} stamps with an offset from UTC and "
                f"{filled - offset:,} without; export them in one form"
            )
    return int(found["rows"])


def _is_filled(value: ir.Value) -> ir.Value:
    if value.type().is_string():
        return value.strip() != ""
    return text(value).notnull()


def _unread(bad: ir.Table, rows: int, clock: Clock | None) -> str:
    """Say how many values of the first column are ``bad``, which is the first, and what to do."""
    numbered = bad.mutate(row=ibis.row_number() + 1)
    first = numbered.filter(numbered["bad"]).order_by("row").limit(1)
    value, _, row = first.to_pyarrow().to_pylist()[0].values()
    is_one = rows == 1
    fault, remedy = f"that {'is' if is_one else 'are'} no number", "give decimal="
    if clock is not None:
        fault, remedy = f"that {'is' if is_one else 'are'} no date", "give date_format="
        if clock.date_format is not None:
            fault = f"that {'does' if is_one else 'do'} not fit date_format={clock.date_format!r}"
            remedy = "give another"
    return (
        f"{rows:,} {'value' if is_one else 'values'} {fault} (first: {value!r}, row {row:,}); "
        f"{remedy} or fix {'it' if is_one else 'them'}"
    )
