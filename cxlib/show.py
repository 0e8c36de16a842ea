"""A table as people read it: percentages, thousands, dates. The numbers themselves stay unrounded."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

SHARE = re.compile(r"(^|_)(rate|share|filled|retention|alive)(_|$)")
CHANGE = re.compile(r"^lift|(^|_)total_error$")
MONEY = re.compile(r"(^|_)(revenue|ltv|spend|amount)(_|$)")
CHANCE = re.compile(r"^p(_|$)")
UNKNOWN = "–"
BOUND = re.compile(r"(^|_)ci_(low|high)$")


class Shown:
    """A table made ready for reading; Jupyter and reports show it."""

    def __init__(self, table: pd.DataFrame) -> None:
        self._table = table

    def __repr__(self) -> str:
        return str(self._table.to_string(index=False))

    def _repr_html_(self) -> str:
        return str(self._table.to_html(index=False, border=0))


def show(table: pd.DataFrame, *, rows: int | None = None) -> Shown:
    """Show a table in words and units: shares as percentages, counts with thousands, dates as days.

    Parameters
    ----------
    table : pandas.DataFrame
        What an analysis returned; it is not changed.
    rows : int, optional
        Show so many rows from the top; negative, from the bottom.

    Returns
    -------
    Shown
        Displays as a table. Columns are known by their names: ``…_rate`` and ``…_share`` are
        shares, ``lift…`` and ``…total_error`` relative changes, ``…revenue…`` and ``ltv`` money,
        ``p_value`` a chance; the two ends of an interval share a column. Other fractions keep
        four significant digits; a dash stands for what is not known.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> cx.show(pd.DataFrame({"step": [1, 2], "n": [12000, 300], "rate": [1.0, 0.025]}))
    step      n   rate
       1 12,000 100.0%
       2    300   2.5%
    """
    import pandas as pd

    part = table if rows is None else table.head(rows) if rows >= 0 else table.tail(-rows)
    names = [str(name) for name in part.columns]
    bounds_are_shares = any(SHARE.search(name) for name in names)
    texts = {
        name: _texts(column, _writer(name, column, bounds_are_shares))
        for name, (_, column) in zip(names, part.items(), strict=True)
    }
    shown = {}
    for name, text in texts.items():
        other = name.removesuffix("low") + "high"
        if name.endswith("_low") and other in texts:
            heading = name.removesuffix("_low").removesuffix("ci") + " 95% interval"
            ends = zip(text, texts[other], strict=True)
            shown[heading.replace("_", " ").strip()] = [
                low if low == high == UNKNOWN else f"{low}\u00a0to\u00a0{high}"
                for low, high in ends
            ]
        elif not (name.endswith("_high") and name.removesuffix("high") + "low" in texts):
            shown[name.replace("_", " ")] = text
    return Shown(pd.DataFrame(shown))


def _texts(column: pd.Series, write: Any) -> list[str]:
    known = column.notna()
    return [write(value) if there else UNKNOWN for value, there in zip(column, known, strict=True)]


def _writer(name: str, column: pd.Series, bounds_are_shares: bool) -> Any:
    import pandas as pd

    if pd.api.types.is_bool_dtype(column):
        return lambda value: "yes" if value else "no"
    if pd.api.types.is_datetime64_any_dtype(column):
        whole_days = (column.dropna() == column.dropna().dt.normalize()).all()
        return lambda value: f"{value:%Y-%m-%d}" if whole_days else f"{value:%Y-%m-%d %H:%M}"
    if not pd.api.types.is_numeric_dtype(column):
        return str
    if CHANGE.search(name):
        return "{:+.1%}".format
    if SHARE.search(name) or (BOUND.search(name) and bounds_are_shares):
        return "{:.1%}".format
    if CHANCE.search(name):
        return lambda value: "<0.001" if value < 0.001 else f"{value:.3f}"
    if pd.api.types.is_integer_dtype(column):
        return "{:,}".format
    return "{:,.2f}".format if MONEY.search(name) else _significant


def _significant(value: float) -> str:
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = max(0, 3 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(decimals, 8)}f}"
