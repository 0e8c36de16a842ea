"""The shop's own clock: when its zone moves its hands, so that every engine converts alike.

The moves are read from zoneinfo and written into the expression. Engines that convert by
themselves are slower, and differ in how they do it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.datatypes as idt
import ibis.expr.types as ir

from cxlib._checks import ParameterError

MOMENT = idt.Timestamp(timezone="UTC")
EARLIEST, LATEST = 1900, 2100
"""Before and after these years a zone keeps the distance from UTC that it has at their edge."""


class Span(NamedTuple):
    """A time, in UTC, through which a zone keeps one distance from UTC; an open end is None."""

    start: dt.datetime | None
    end: dt.datetime | None
    offset: dt.timedelta


class Years(NamedTuple):
    """The years that the stamps of a table lie in, so that moves of other years are not asked for."""

    first: int = 1970
    last: int = 2037


def years_between(first: dt.datetime, last: dt.datetime) -> Years:
    """Return the years of a table whose stamps lie between two moments, a day aside at most."""
    day = dt.timedelta(days=1)
    years = (
        (max(first, dt.datetime.min + day) - day).year,
        (min(last, dt.datetime.max - day) + day).year,
    )
    low, high = (min(max(year, EARLIEST), LATEST) for year in years)
    return Years(low, high)


@cache
def spans(zone: str, years: Years) -> tuple[Span, ...]:
    """Return the spans of a zone in those years, in the order of time."""
    info, moment = ZoneInfo(zone), dt.datetime(years.first, 1, 1)
    found: list[tuple[dt.datetime | None, dt.timedelta]] = [(None, _offset(info, moment))]
    while moment.year <= years.last:
        offset, before = _offset(info, moment), moment - dt.timedelta(days=1)
        if offset != found[-1][1]:
            found.append((_turn(info, before, moment), offset))
        moment += dt.timedelta(days=1)
    ends = [*(start for start, _ in found[1:]), None]
    return tuple(Span(start, end, offset) for (start, offset), end in zip(found, ends, strict=True))


def _offset(info: ZoneInfo, utc: dt.datetime) -> dt.timedelta:
    offset = utc.replace(tzinfo=dt.UTC).astimezone(info).utcoffset()
    assert offset is not None
    return offset


def _turn(info: ZoneInfo, low: dt.datetime, high: dt.datetime) -> dt.datetime:
    """Return the second between two moments at which the distance from UTC changes."""
    before = _offset(info, low)
    while high - low > dt.timedelta(seconds=1):
        middle = low + dt.timedelta(seconds=(high - low) // dt.timedelta(seconds=2))
        low, high = (middle, high) if _offset(info, middle) == before else (low, middle)
    return high


def on_the_wall(utc: ir.TimestampValue, zone: str, years: Years) -> ir.TimestampValue:
    """Return what clocks in the zone show at moments given as naive stamps in UTC."""
    known = spans(zone, years)
    shown = [(_within(utc, span.start, span.end), _later(utc, span.offset)) for span in known]
    return shown[0][1] if len(shown) == 1 else ibis.cases(*shown)


def _later(stamp: ir.TimestampValue, delta: dt.timedelta) -> ir.TimestampValue:
    return stamp + ibis.interval(seconds=int(delta.total_seconds())) if delta else stamp


def _within(
    stamp: ir.TimestampValue, start: dt.datetime | None, end: dt.datetime | None
) -> ir.BooleanValue:
    after = ibis.literal(True) if start is None else stamp >= ibis.timestamp(str(start))
    return after if end is None else after & (stamp < ibis.timestamp(str(end)))


def odd_hours(zone: str, years: Years) -> Iterator[tuple[bool, dt.datetime, dt.datetime]]:
    """Yield (is it a gap, start, end) on the wall wherever the zone moves its hands.

    A gap is skipped: no clock ever shows it. A fold is shown twice.
    """
    for before, after in pairwise(spans(zone, years)):
        assert after.start is not None
        was, becomes = after.start + before.offset, after.start + after.offset
        yield becomes > was, min(was, becomes), max(was, becomes)


def is_odd_hour(stamp: ir.TimestampValue, zone: str, years: Years, *, gap: bool) -> ir.BooleanValue:
    """Say which stamps on the wall lie in a gap of the zone's clock, or in a fold."""
    hours = odd_hours(zone, years)
    found = [_within(stamp, start, end) for is_gap, start, end in hours if is_gap is gap]
    return ibis.or_(*found).fill_null(False) if found else stamp.isnull() & ibis.literal(False)


# ---- what each engine says in its own words


@ibis.udf.scalar.builtin(name="epoch_us", signature=((MOMENT,), idt.int64))
def _epoch_us(moment: Any) -> Any:
    """Return a moment as microseconds since 1970 (DuckDB)."""


@ibis.udf.scalar.builtin(name="make_timestamp", signature=((idt.int64,), idt.timestamp))
def _make_timestamp(microseconds: Any) -> Any:
    """Return microseconds since 1970 as a naive stamp (DuckDB)."""


def in_utc(moment: ir.Value, engine: str) -> ir.TimestampValue:
    """Return moments as naive stamps in UTC, whatever zone the engine's session is in."""
    if engine == "duckdb":
        return _make_timestamp(_epoch_us(moment.cast(MOMENT)))
    return moment.cast(MOMENT).cast("timestamp")  # ibis sets the zone of a Spark session to UTC


@ibis.udf.scalar.builtin(name="try_strptime", signature=((idt.string, idt.string), idt.timestamp))
def _try_strptime(text: str, date_format: str) -> Any:
    """Return text as a naive stamp, or null where it does not fit (DuckDB)."""


@ibis.udf.scalar.builtin(name="try_strptime", signature=((idt.string, idt.string), MOMENT))
def _try_strptime_with_offset(text: str, date_format: str) -> Any:
    """Return text whose format says its distance from UTC (%z) as a moment, or null (DuckDB)."""


@ibis.udf.scalar.builtin(name="try_to_timestamp", signature=((idt.string, idt.string), MOMENT))
def _try_to_timestamp(text: str, date_format: str) -> Any:
    """Return text as a moment, or null where it does not fit (Spark, its session in UTC)."""


SPARK_LETTERS = {
    "d": "d", "m": "M", "Y": "yyyy", "y": "yy", "H": "H", "I": "h", "M": "m", "S": "s", "p": "a",
    "b": "MMM", "B": "MMMM", "z": "xx", "f": "SSSSSS", "j": "D", "%": "%",
}  # fmt: skip


def spark_format(date_format: str) -> str:
    """Return a strptime format in Spark's letters.

    Raises
    ------
    ParameterError
        A directive has no counterpart there.
    """
    written, rest = "", date_format
    while rest:
        if rest[0] != "%":
            written += f"'{rest[0]}'" if rest[0].isalpha() else rest[0]
            rest = rest[1:]
            continue
        letter = rest[1:].removeprefix("-")[:1]
        if letter not in SPARK_LETTERS:
            raise ParameterError(
                f"date_format={date_format!r}: Spark reads no %{letter}; it reads "
                + " ".join(f"%{one}" for one in SPARK_LETTERS)
            )
        written += SPARK_LETTERS[letter]
        rest = rest[rest.index(letter, 1) + 1 :]
    return written


READ_FORMATS = ("duckdb", "pyspark")
"""Engines that read text by a format and give null where it does not fit."""


def by_format(text: ir.Value, date_format: str, engine: str) -> ir.TimestampValue:
    """Return text as stamps (in UTC if the format says an offset), null where it does not fit."""
    if engine not in READ_FORMATS:
        raise ParameterError(
            f"date_format={date_format!r}: {engine} has no reading that tells what does not fit; "
            "make a view there with to_timestamp, and read that"
        )
    has_offset = "%z" in date_format or "%Z" in date_format
    if engine == "pyspark":
        return in_utc(_try_to_timestamp(text, spark_format(date_format)), engine)
    if has_offset:
        return in_utc(_try_strptime_with_offset(text, date_format), engine)
    stamp = _try_strptime(text, date_format)
    if "%Y" not in date_format:
        return stamp
    # DuckDB takes the 24 of 01/05/24 for the year 24
    return ibis.ifelse(text.re_search("[0-9]{4}"), stamp, ibis.null("timestamp"))
