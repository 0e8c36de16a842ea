"""A table as CSV that no spreadsheet mistakes for formulas: exact numbers, harmless words."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

FORMULA = re.compile(r"^[\s\ufeff\u200b]*[=+\-@\uff1d\uff0b\uff0d\uff20\t\r\n]")
"""Signs by which spreadsheets know a formula, wide ones too, whatever blanks stand before."""

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)


def to_csv(table: pd.DataFrame) -> str:
    """Return a table as CSV (RFC 4180): numbers unrounded, dates in ISO form, null as nothing.

    A word that a spreadsheet would take for a formula starts with an apostrophe; a negative
    number stays the number it is.
    """
    named = table.reset_index() if any(name is not None for name in table.index.names) else table
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\r\n").writerow
    write([_harmless(_flat(name)) for name in named.columns])
    columns = [_cells(named.iloc[:, place]) for place in range(named.shape[1])]
    for row in zip(*columns, strict=True):
        write(row)
    return out.getvalue()


def _flat(name: Any) -> str:
    return " ".join(str(part) for part in name) if isinstance(name, tuple) else str(name)


def _cells(column: pd.Series) -> list[Any]:
    known = column.notna()
    return [_cell(value) if there else "" for value, there in zip(column, known, strict=True)]


def _cell(value: Any) -> Any:
    if isinstance(value, (dt.datetime, dt.date)):
        text = value.isoformat()
        return text.removesuffix("T00:00:00")
    if hasattr(value, "item"):
        value = value.item()
    return value if isinstance(value, (bool, int, float)) else _harmless(str(value))


def _harmless(text: str) -> str:
    return f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text) else text
