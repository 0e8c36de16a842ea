"""Text becomes times, numbers and ids, in the engine; what cannot be read is an error."""

from __future__ import annotations

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from cxlib._checks import ColumnError, DataError

ISO = r"^\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?( ?(Z|UTC|[+-]\d{2}:?\d{2}))?$"
OFFSET = r" ?(Z|UTC|[+-]\d{2}:?\d{2})$"
BIDI_MARKS = "[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]"


@ibis.udf.scalar.builtin(name="timezone")
def _in_utc(zone: str, stamp: dt.timestamp) -> dt.Timestamp(timezone="UTC"):
    """Return a naive UTC stamp as a moment."""


@ibis.udf.scalar.builtin(name="timezone")
def _on_the_wall(zone: str, moment: dt.Timestamp(timezone="UTC")) -> dt.timestamp:
    """Return a moment as the naive stamp that clocks in the zone show."""


@ibis.udf.scalar.builtin(name="try_strptime")
def _try_strptime(text: str, date_format: str) -> dt.timestamp:
    """Return text as a time stamp, or null where it does not fit the format."""


def text(value: ir.Value) -> ir.Value:
    """Return ids and names as trimmed text, blank as null; whole floats lose their ``.0``."""
    if value.type().is_floating():
        value = value.cast("int64")
    value = value.cast("string").re_replace(BIDI_MARKS, "").strip()
    return value.nullif("")


def number(value: ir.Value, decimal: str = ".") -> ir.Value:
    """Return text or numbers as float, null where blank or unreadable.

    With ``decimal=","`` points and spaces group the thousands: ``1.234,56``.
    """
    if value.type().is_string():
        value = value.strip()
        if decimal == ",":
            value = value.re_replace(r"[.\s]", "").replace(",", ".")
        value = value.nullif("").try_cast("float64")
    value = value.cast("float64")
    return ibis.ifelse(value.isnan() | value.isinf(), ibis.null("float64"), value)


def has_offset(value: ir.Value) -> ir.Value:
    """Return whether a text stamp says its distance from UTC."""
    return value.strip().re_search(OFFSET)


def when(
    value: ir.Value, timezone: str, *, naive: str = "local", date_format: str | None = None
) -> ir.Value:
    """Return stamps on the shop's own clock, null where blank or unreadable.

    Text is ISO 8601 or ``date_format``. An offset or a zone in the value is converted to
    ``timezone``; a stamp without one is on the shop's clock already (``naive="local"``) or
    in UTC (``naive="utc"``).
    """
    dtype = value.type()
    if dtype.is_date():
        return value.cast("timestamp")
    if dtype.is_timestamp():
        if dtype.timezone is not None:
            return _on_the_wall(timezone, value)
        return _from_utc(value, timezone) if naive == "utc" else value
    if not dtype.is_string():
        raise ColumnError(
            f"{value.get_name()!r} is {dtype}, not text, a date or a time stamp; map another column"
        )
    stamp = value.strip().nullif("")
    if date_format is not None:
        local = _try_strptime(stamp, date_format)
        return _from_utc(local, timezone) if naive == "utc" else local
    known = stamp.re_search(ISO).ifelse(stamp, ibis.null("string"))
    clock = known.re_replace(OFFSET, "").try_cast("timestamp")
    offset = known.re_extract(OFFSET, 1).replace(":", "")
    minutes = ibis.ifelse(
        offset.re_search(r"^[+-]\d{4}$"),
        (offset.substr(1, 2).try_cast("int64") * 60 + offset.substr(3, 2).try_cast("int64"))
        * ibis.ifelse(offset.startswith("-"), -1, 1),
        0,
    )
    moved = _from_utc(clock - minutes.as_interval("m"), timezone)
    fixed = _from_utc(clock, timezone) if naive == "utc" else clock
    return ibis.ifelse(has_offset(known), moved, fixed)


def _from_utc(stamp: ir.Value, timezone: str) -> ir.Value:
    return _on_the_wall(timezone, _in_utc("UTC", stamp))


def check_readable(
    raw: ir.Table, table: str, times: dict[str, ir.Value], numbers: dict[str, ir.Value]
) -> None:
    """Raise `DataError` where a value that is not blank could not be read.

    ``times`` and ``numbers`` hold the parsed columns by their raw name; one query counts all.
    """
    parsed = {**times, **numbers}
    filled = {name: text(raw[name].cast("string")).notnull() for name in parsed}
    counts = {name: (filled[name] & value.isnull()).sum() for name, value in parsed.items()}
    stamped = {
        f"{name} offset": has_offset(raw[name]).sum()
        for name in times
        if raw[name].type().is_string()
    }
    present = {
        f"{name} filled": filled[name].sum() for name in times if raw[name].type().is_string()
    }
    found = raw.aggregate(**counts, **stamped, **present).execute().iloc[0].fillna(0)
    for name in parsed:
        if found[name]:
            raise DataError(
                _unreadable(
                    raw, table, name, parsed[name], filled[name], int(found[name]), name in times
                )
            )
        with_offset, all_filled = found.get(f"{name} offset", 0), found.get(f"{name} filled", 0)
        if 0 < with_offset < all_filled:
            raise DataError(
                f"{table}: {name!r} mixes {int(with_offset):,} stamps with an offset from UTC and "
                f"{int(all_filled - with_offset):,} without; export them in one form"
            )


def _unreadable(
    raw: ir.Table,
    table: str,
    name: str,
    value: ir.Value,
    filled: ir.Value,
    rows: int,
    is_time: bool,
) -> str:
    numbered = raw.mutate(_row=ibis.row_number() + 1, _bad=filled & value.isnull())
    first = (
        numbered.filter(numbered["_bad"])
        .order_by("_row")
        .limit(1)
        .select("_row", name)
        .execute()
        .iloc[0]
    )
    kind, remedy = ("date", "give date_format=") if is_time else ("number", "give decimal=")
    plural = "value that is" if rows == 1 else "values that are"
    return (
        f"{table}: {name!r} holds {rows:,} {plural} no {kind} (first: {first[name]!r}, row {first['_row']}); "
        f"{remedy} or fix {'it' if rows == 1 else 'them'}"
    )
