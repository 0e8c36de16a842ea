"""Text becomes times, numbers and ids, in the engine; null where it cannot be read."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

import ibis
import ibis.expr.types as ir

from cxlib._checks import ColumnError, ParameterError, check_choice, check_timezone
from cxlib.clean.clock import by_format, in_utc
from cxlib.sources import Raw

OFFSET = r"(Z|UTC|[+-][01]\d(:?[0-5]\d)?)"
ISO = rf"^\d{{4}}-\d{{2}}-\d{{2}}([ T]\d{{2}}:\d{{2}}(:\d{{2}}(\.\d+)?)?( ?{OFFSET})?)?$"
PLAIN_STAMP = "____-__-_____:__:__"
ZONED = rf":\d{{2}}(\.\d+)? ?{OFFSET}\s*$"
FORMAT_LETTERS = "aAbBcdfgGHIjmMnpSuUVwWxXyYzZ%"

# blanks at either end, and marks of writing direction anywhere: none of them is seen; the
# characters themselves, for engines differ in how they write their numbers
BLANK = "\\s\u00a0\u202f"
MARKS = "\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff"
OUTER = rf"^[{BLANK}]+|[{BLANK}]+$"
UNSEEN = rf"^[{BLANK}{MARKS}]+|[{BLANK}{MARKS}]+$|[{MARKS}]"
ODD = r"^\s|\s$|[^ -~]"
"""What text of plain letters without blanks at its ends never matches."""

ARABIC_LETTERS, PERSIAN_LETTERS = "يك", "یک"
"""Two keyboards write the same letters apart; ours are the Persian forms."""
HIDDEN = rf"[{MARKS}{ARABIC_LETTERS}]"
FLOAT_ID = r"^\d+\.0$"

EASTERN_DIGITS = "٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹"
PLAIN_NUMBER = r"^-?[0-9]{1,12}(\.[0-9]{1,2})?$"
"""Numbers as nearly all exports write them: what fits needs no closer look."""
GROUPED = {
    ".": r"^[+-]?(\d+(\.\d+)?|\d{1,3}(,\d{3})+\.\d+|\d{1,2}(,\d{2})+,\d{3}(\.\d+)?"
    r"|\d{1,3}(['’]\d{3})+(\.\d+)?)$",
    ",": rf"^[+-]?(\d+|\d{{1,3}}([.{BLANK}'’]\d{{3}})+)(,\d+)?$",
}
GROUP_SIGN = {".": "[,'’]", ",": rf"[.{BLANK}'’]"}


@dataclass(frozen=True)
class Clock:
    """How the stamps of an export are read: its zone, its format, and what no offset means."""

    timezone: str
    naive: str = "local"
    date_format: str | None = None
    engine: str = "duckdb"


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
    engine = raw.table.get_backend().name
    return Clock(check_timezone("timezone", timezone), naive, date_format, engine)


def text(value: ir.Value, skipped: Collection[str] = ()) -> ir.Value:
    """Return ids and names as trimmed text, blank as null; whole floats lose their ``.0``.

    Marks of writing direction go, and Arabic yeh and kaf become the Persian ones, so that
    what two keyboards wrote is one; unless ``hidden_marks`` is skipped.
    """
    dtype = value.type()
    if dtype.is_floating() or dtype.is_decimal():
        whole = value.try_cast("int64")
        known = ~value.isnan() if dtype.is_floating() else value.notnull()
        written = ibis.ifelse(value == whole, whole.cast("string"), value.cast("string"))
        return ibis.ifelse(known, written, ibis.null("string"))
    if dtype.is_integer() or dtype.is_boolean():
        return value.cast("string")
    value = value.cast("string")
    if "hidden_marks" in skipped:
        seen = value.re_replace(OUTER, "")
    else:
        seen = value.re_replace(UNSEEN, "").translate(ARABIC_LETTERS, PERSIAN_LETTERS)
    return ibis.ifelse(value.re_search(ODD), seen, value).nullif("")


def identifier(value: ir.Value, skipped: Collection[str] = ()) -> ir.Value:
    """Return an id as `text` does; one that was read as a float somewhere loses its ``.0``.

    In text it stays if ``float_ids`` is skipped.
    """
    written = text(value, skipped)
    if not value.type().is_string() or "float_ids" in skipped:
        return written
    whole = written.substr(0, written.length() - 2)
    return ibis.ifelse(was_float(value), whole, written)


NOBODY = [
    "null",
    "(null)",
    "none",
    "(none)",
    "nan",
    "nil",
    "na",
    "n/a",
    "#n/a",
    "<na>",
    "undefined",
    "-",
    "\\n",
] + ["(not set)"]
"""What databases and spreadsheets write for a person they do not know, in small letters."""


def person(value: ir.Value, skipped: Collection[str] = (), is_email: bool = False) -> ir.Value:
    """Return who it was: an e-mail in small letters; null for words that stand for nobody."""
    who = identifier(value, skipped)
    small = who.lower()
    who = small if is_email else ibis.ifelse(who.contains("@"), small, who)
    return ibis.ifelse(small.isin(NOBODY), ibis.null("string"), who)


def was_float(value: ir.Value) -> ir.BooleanValue:
    """Say which ids in text end in ``.0`` as whole floats do."""
    return ibis.ifelse(value.endswith(".0"), value.re_search(FLOAT_ID), False)


def was_hidden(value: ir.Value) -> ir.BooleanValue:
    """Say which text holds marks that are not seen, or letters of another keyboard."""
    return value.re_search(HIDDEN)


def email(value: ir.Value, skipped: Collection[str] = ()) -> ir.Value:
    """Return an e-mail as the key of its customer: trimmed, in small letters."""
    return person(value, skipped, is_email=True)


def number(value: ir.Value, decimal: str = ".") -> ir.Value:
    """Return text or numbers as float, null where blank or unreadable.

    Thousands may be grouped where that is plain to see: ``1,234.56``, or with ``decimal=","``
    ``1.234,56`` and ``1 234,56``; ``1'234.56`` and ``12,34,567.50`` as in Switzerland and India.
    ``1,234`` alone could be either and is not read.
    """
    if value.type().is_string():
        plain = value if decimal == "." else ibis.ifelse(
            value.contains("."), ibis.null("string"), value.replace(",", ".")
        )  # fmt: skip
        # some engines also read 1_000
        direct = ibis.ifelse(value.contains("_"), ibis.null("string"), plain).try_cast("float64")
        grouped = _grouped(text(value), decimal).try_cast("float64")
        is_plain = is_plain_number(plain)
        value = ibis.cases(
            (is_plain, plain.try_cast("float64")), (direct.notnull(), direct), else_=grouped
        )
    if value.type().is_integer():
        return value.cast("float64")
    value = value.cast("float64")
    for no_number in (math.nan, math.inf, -math.inf):
        value = value.nullif(no_number)
    return value


def is_plain_number(value: ir.Value) -> ir.BooleanValue:
    """Say which text is a number in its usual form, so that a cast cannot fail."""
    return value.re_search(PLAIN_NUMBER)


def may_be_thousands(value: ir.Value) -> ir.BooleanValue:
    """Say which text, such as ``1.234``, reads both as a fraction and as thousands."""
    written = value.strip()
    after_point = written.length() - written.find(".")
    return (after_point == 4) & written.re_search(r"^[+-]?[1-9]\d{0,2}\.\d{3}$")


def _grouped(written: ir.Value, decimal: str) -> ir.Value:
    """Return numbers with grouped thousands, other decimal signs or eastern digits plainly."""
    group = "," if decimal == "." else "."
    western = written.translate(
        f"{EASTERN_DIGITS}\u066b\u066c\u2212", f"{'0123456789' * 2}{decimal}{group}-"
    )
    known = western.re_search(GROUPED[decimal]).ifelse(western, ibis.null("string"))
    return known.re_replace(GROUP_SIGN[decimal], "").replace(",", ".")


class Stamp(NamedTuple):
    """A stamp as parsed: in UTC where it ``moves``, else on the shop's own clock already.

    Moving it, with `on_the_wall`, names the stamp many times over: hold it in a column first.
    """

    value: ir.Value
    moves: ir.BooleanValue


def when(value: ir.Value, clock: Clock) -> Stamp:
    """Return stamps as they can be read, null where blank or unreadable.

    Text is ISO 8601 or of the clock's ``date_format``. An offset or a zone in the value is
    to be moved to the shop's zone; a stamp without one is on the shop's clock already, or in
    UTC if the clock says so. A date without a time of day is never moved.
    """
    dtype, stays = value.type(), ibis.literal(False)
    if dtype.is_date() or dtype.is_null():
        return Stamp(value.cast("timestamp"), stays)
    in_utc_already = ibis.literal(clock.naive == "utc")
    if dtype.is_timestamp():
        if dtype.timezone is None:
            return Stamp(value.cast("timestamp"), in_utc_already)
        return Stamp(in_utc(value, clock.engine), ibis.literal(True))
    if not dtype.is_string():
        raise ColumnError(
            f"{value.get_name()!r} is {dtype}, not text, a date or a time stamp; map another column"
        )
    if clock.date_format is None:
        return _iso(value, clock)
    says_offset = re.search("%[zZ]", clock.date_format) is not None
    moves = ibis.literal(True) if says_offset else in_utc_already
    return Stamp(by_format(text(value), clock.date_format, clock.engine), moves)


def is_odd(stamp: ir.Value) -> ir.BooleanValue:
    """Say which stamps only stand for none: year 1, 1900 or 9999, as systems write them."""
    return ~stamp.year().between(1970, 2100)


def _iso(value: ir.Value, clock: Clock) -> Stamp:
    # the usual form needs no closer look: what is not a date in it fails its cast
    is_plain = value.like(PLAIN_STAMP) & (value >= "0")
    trimmed = value.strip()
    stamp = ibis.cases(
        (is_plain, value.try_cast("timestamp")),
        (~trimmed.re_search(ISO), ibis.null("timestamp")),
        (has_offset(value), _with_offset(trimmed)),
        else_=trimmed.try_cast("timestamp"),
    )
    if clock.naive == "utc":
        return Stamp(stamp, trimmed.length() != len("2024-12-31"))
    return Stamp(stamp, has_offset(value))


def has_offset(value: ir.Value) -> ir.BooleanValue:
    """Say which ISO 8601 text ends in a distance from UTC."""
    return ibis.ifelse(value.like(PLAIN_STAMP), False, value.re_search(ZONED))


def _with_offset(written: ir.Value) -> ir.TimestampValue:
    """Return ISO text that ends in Z, UTC, +02, +0200 or +02:00 as naive stamps in UTC."""
    minute = len("2024-12-31 23:59")
    tail = written.substr(minute)
    place = ibis.coalesce(*(tail.find(sign).nullif(-1) for sign in "+-ZU"))
    offset = tail.substr(place).replace(":", "")
    local = written.substr(0, place + minute).strip().try_cast("timestamp")
    hours = offset.substr(1, 2).try_cast("int64").fill_null(0)
    minutes = offset.substr(3, 2).try_cast("int64").fill_null(0)
    sign = ibis.ifelse(offset.startswith("-"), 1, -1)
    return local + (sign * (hours * 60 + minutes)).as_interval("m")
