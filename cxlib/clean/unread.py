"""What a column looks like that cannot be read as numbers or dates, and what to do, in words."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

import ibis
import ibis.expr.types as ir

from cxlib.clean.clock import READ_FORMATS, by_format
from cxlib.clean.parse import Clock, number, text

FORMATS = [
    f"{date}{time}"
    for date in ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y%m%d",
                 "%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y",
                 "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%Y-%m-%d")
    for time in ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
]  # fmt: skip
EPOCHS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds"}
LOOKS = {
    r"^1\d{9}(\.0)?$": "s",
    r"^1\d{12}(\.0)?$": "ms",
    r"^1\d{15}(\.0)?$": "us",
    r"^[2-5]\d{4}(\.\d+)?$": "days",
}
"""Numbers in place of dates, of 2001 to 2033 and (days, from 1900) of 1954 to 2064."""
SIGNS = "[€$£¥₹]"


def unread(
    raw: ir.Table,
    name: str,
    bad: ir.BooleanValue,
    rows: int,
    *,
    clock: Clock | None,
    decimal: str | None,
) -> str:
    """Say how many values of a column are bad, which is the first, and what to do.

    ``clock`` is that of a column of dates, None for one of numbers.
    """
    value, row = first_of(raw, name, bad)
    is_one = rows == 1
    if clock is None:
        fault = f"that {'is' if is_one else 'are'} no number"
        remedy = _of_numbers(raw[name], decimal)
    else:
        fault = f"that {'is' if is_one else 'are'} no date"
        if clock.date_format is not None:
            fault = f"that {'does' if is_one else 'do'} not fit date_format={clock.date_format!r}"
        remedy = _of_dates(raw[name], str(value).strip(), clock)
    fix = f"fix {'it' if is_one else 'them'}"
    return (
        f"{rows:,} {'value' if is_one else 'values'} {fault} (first: {value!r}, row {row:,}); "
        f"{remedy.format(fix=fix)}"
    )


def first_of(raw: ir.Table, name: str, bad: ir.BooleanValue) -> tuple[object, int]:
    """Return the first value of a column that is bad, and its row."""
    numbered = raw.select(value=raw[name], bad=bad).mutate(row=ibis.row_number() + 1)
    first = numbered.filter(numbered["bad"]).order_by("row").limit(1)
    value, _, row = first.to_pyarrow().to_pylist()[0].values()
    return value, row


def is_filled(value: ir.Value) -> ir.BooleanValue:
    """Say which values are not blank."""
    if value.type().is_string():
        return value.strip() != ""
    return text(value).notnull()


def _of_numbers(column: ir.Value, decimal: str | None) -> str:
    if not column.type().is_string():
        return "{fix}"
    other = "," if decimal in (None, ".") else "."
    fits = number(column, other).notnull() | ~is_filled(column)
    found = column.as_table().aggregate(
        commas=column.re_search(r",\d{1,2}\s*$").sum(),
        points=column.re_search(r"\.\d{1,2}\s*$").sum(),
        signs=column.re_search(SIGNS).sum(),
        fits=fits.all(),
    )
    commas, points, signs, fits_other = found.to_pyarrow().to_pylist()[0].values()
    if commas and points:
        return (
            f"the column mixes {commas:,} with a decimal comma and {points:,} with a decimal point: "
            "export all in one form"
        )
    if signs:
        return "export numbers without a currency's sign, and the currency in a column of its own"
    return f"give decimal={other!r} or {{fix}}" if fits_other else "{fix}"


def _of_dates(column: ir.StringColumn, first: str, clock: Clock) -> str:
    """Name the formats that fit every value of a column, or say which numbers they look like."""
    asked = "give another" if clock.date_format else "give date_format="
    fitting = _all_fit(column, first, clock)
    if len(fitting) == 1:
        return f"{asked} ({fitting[0]!r} fits all) or {{fix}}"
    if fitting:
        forms = " and ".join(map(repr, fitting))
        return f"{asked} ({forms} fit all: the export does not say which) or {{fix}}"
    blank = ~is_filled(column)
    looks = {unit: (column.strip().re_search(form) | blank).all() for form, unit in LOOKS.items()}
    found = column.as_table().aggregate(**looks).to_pyarrow().to_pylist()[0]
    unit = next((unit for unit in found if found[unit]), "")
    if unit in EPOCHS:
        return (
            f"they look like {EPOCHS[unit]} since 1970: write epoch = '{unit}' and timestamps = 'utc' "
            "under [rules] of a preset of your own (cx preset new)"
        )
    if unit:
        return (
            "they look like day numbers of Excel: give the column a date's format there "
            "(yyyy-mm-dd hh:mm), and export again"
        )
    return f"{asked} or {{fix}}"


def _all_fit(column: ir.StringColumn, first: str, clock: Clock) -> list[str]:
    if clock.engine not in READ_FORMATS:
        return []
    maybe = [form for form in FORMATS if _may_fit(first, form)]
    if not maybe:
        return []
    blank = ~is_filled(column)
    fits = {
        form: (by_format(text(column), form, clock.engine).notnull() | blank).all()
        for form in maybe
    }
    found = column.as_table().aggregate(**fits).to_pyarrow().to_pylist()[0]
    return [form for form in maybe if found[form]]


def _may_fit(value: str, form: str) -> bool:
    """Say whether Python reads a value so; the engine then need not try all forms on all rows."""
    with suppress(ValueError):
        datetime.strptime(value, form)
        return True
    return False
