"""A table as people read it: percentages, thousands, dates. The numbers themselves stay unrounded."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable, Container, Sequence
from typing import TYPE_CHECKING, Any

from cxlib._checks import ParameterError, lasting
from cxlib._csv import to_csv
from cxlib._published import (
    FITTED,
    MONEY,
    doubt_in_words,
    fit_to_show,
    is_published,
    stand_in_doubt,
    standing_doubt,
)

if TYPE_CHECKING:
    import pandas as pd

TABLE_MIME = "application/vnd.cx.table+json"
"""Carries a named table, exact, in a published notebook's output; the report writes it as CSV."""

SHARE = re.compile(r"((^|_)(rate|share|filled|retention)|^p_alive)(_|$)")
POINTS = re.compile(r"(^|_)rate_difference$")
UNIT = "\u00a0points"
CHANGE = re.compile(r"^lift|(^|_)total_error$")
CHANCE = re.compile(r"^p(_|$)")
UNKNOWN, HIDDEN = "–", "*"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")
BOUND = re.compile(r"(^|_)ci_(low|high)$")
END = re.compile(r"(^|_)(low|high)$")


class Shown:
    """A table made ready for reading; Jupyter and reports show it."""

    def __init__(
        self,
        table: pd.DataFrame,
        note: str = "",
        carried: dict[str, Any] | None = None,
        words: Container[str] = (),
    ):
        self._table, self._note, self._carried = table, note, carried
        self._words = [name in words for name in table.columns]

    def __repr__(self) -> str:
        text = str(self._table.to_string(index=False)) if len(self._table) or not self._note else ""
        return "\n".join(part for part in (text, self._note) if part)

    def _repr_html_(self) -> str:
        table = (
            _aligned(self._table.to_html(index=False, border=0), self._words)
            if len(self._table) or not self._note
            else ""
        )
        return table + (f"<p>{html.escape(self._note)}</p>" if self._note else "")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        carried = {TABLE_MIME: self._carried} if self._carried else {}
        return {"text/plain": repr(self), "text/html": self._repr_html_(), **carried}


def _aligned(markup: str, words: Sequence[bool]) -> str:
    """Return a table of pandas', a cell on each line, with columns of words at their start."""
    lines, place = [], 0
    for line in markup.splitlines():
        cell = re.match(r"\s*<(td|th)>", line)
        place = place + 1 if cell else 0
        if cell and words[place - 1]:
            line = line.replace(">", ' style="text-align: start;">', 1)
        lines.append(line)
    return "\n".join(lines)


def told(verdict: str, *tables: pd.DataFrame | Shown, beside: str = "") -> str:
    """Return a result as Jupyter shows it: its verdict, what stands beside it, and small tables."""
    if is_published() and standing_doubt():
        return f"<p>{html.escape(doubt_in_words(standing_doubt()))}</p>"
    below = f"<br>{html.escape(beside)}" if beside else ""
    parts = [part if isinstance(part, Shown) else show(part) for part in tables]
    return f"<p><strong>{html.escape(verdict)}</strong>{below}</p>" + "".join(
        part._repr_html_() for part in parts
    )


def withhold(why: str | None) -> Shown | None:
    """Let no number be published from here on, if there is a reason why.

    Parameters
    ----------
    why : str or None
        Such as the ``doubt`` of `freshness`; None, where nothing speaks against the data, lets
        numbers be published (again).

    Returns
    -------
    Shown or None
        The reason, for the page; None if there is none. After it a published report shows the
        reason in the place of every table, picture, result and headline; in JupyterLab they are
        shown with it.

    Raises
    ------
    ParameterError
        ``why`` is no text.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> days = pd.date_range("2024-01-01", "2024-01-31")
    >>> orders = pd.DataFrame({"order_id": range(31), "customer_id": "ann", "ordered_at": days,
    ...     "net_revenue": 20.0})
    >>> cx.withhold(cx.freshness(orders, as_of="2024-02-29")["doubt"][0])
    No number below is to be relied on: the data end on 2024-01-31, 29 days before as_of=2024-02-29: give the day the data end
    >>> cx.withhold(None)
    """
    import pandas as pd

    if not isinstance(why, str | None):
        raise ParameterError(f"why={why!r} is no text; say why numbers are withheld, or give None")
    stand_in_doubt(why)
    if not why:
        return None
    below = (
        "All numbers below are withheld" if is_published() else "No number below is to be relied on"
    )
    return Shown(pd.DataFrame(), f"{below}: {why}")


def show(table: pd.DataFrame, *, rows: int | None = None, name: str | None = None) -> Shown:
    """Show a table in words and units: shares as percentages, counts with thousands, dates as days.

    Parameters
    ----------
    table : pandas.DataFrame
        What an analysis returned; it is not changed.
    rows : int, optional
        Show so many rows from the top; negative, from the bottom.
    name : str, optional
        Let readers of the report take the table along: a published page links a CSV of that name
        with every row and exact numbers.

    Returns
    -------
    Shown
        Displays as a table where it is the last line of a cell, as all that Jupyter shows; for two
        in one cell write ``display(cx.show(a), cx.show(b))``. Columns are known by their names: ``…_rate`` and ``…_share`` are
        shares, ``lift…`` and ``…total_error`` relative changes, ``…revenue…``, ``cart_value`` and ``ltv``
        money, ``p_value`` a chance; ``rate_difference`` is written in percentage points; the two ends
        of an interval share a column; a time span is written in the unit that suits it. Other fractions keep three significant digits; a dash stands for what is not known. In a published report the
        ids of customers are left out, and so are the numbers of groups of fewer than
        ``min_group`` people (an asterisk, and a note that says so).

    Raises
    ------
    ParameterError
        The name is no name for a file.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> cx.show(pd.DataFrame({"step": [1, 2], "n": [12000, 300], "rate": [1.0, 0.025]}))
    step      n   rate
       1 12,000 100.0%
       2    300   2.5%
    """
    import pandas as pd

    if name is not None and not NAME.fullmatch(name):
        raise ParameterError(
            f"name={name!r} becomes a file's name: write small letters, digits, - and _ alone"
        )
    whole = fit_to_show(table)
    fit = whole.cut(rows)
    part, hidden = fit.table, fit.hidden
    names = [str(name) for name in part.columns]
    bounds = _points if any(POINTS.search(name) for name in names) else _percent
    if not any(SHARE.search(name) for name in names):
        bounds = _significant
    texts = {
        name: _texts(column, hidden.iloc[:, place], _writer(name, column, bounds))
        for place, (name, (_, column)) in enumerate(zip(names, part.items(), strict=True))
    }
    shown = {}
    for column_name, text in texts.items():
        other = column_name.removesuffix("low") + "high"
        if column_name.endswith("_low") and other in texts:
            stem = column_name.removesuffix("_low").removesuffix("ci").strip("_")
            heading = f"{stem} 95% interval"
            ends = zip(text, texts[other], strict=True)
            shown[heading.replace("_", " ").strip()] = [
                low
                if low == high and low in (UNKNOWN, HIDDEN)
                else f"{low.removesuffix(UNIT)}\u00a0to\u00a0{high}"
                for low, high in ends
            ]
        elif not (
            column_name.endswith("_high") and column_name.removesuffix("high") + "low" in texts
        ):
            shown[column_name.replace("_", " ")] = text
    texts_alone = pd.DataFrame(shown)
    texts_alone.attrs[FITTED] = True
    words = {
        name.replace("_", " ")
        for name, (_, column) in zip(names, part.items(), strict=True)
        if pd.api.types.is_bool_dtype(column) or not _is_number(column)
    }
    return Shown(texts_alone, fit.note, _carried(whole.table, name), words)


def _carried(table: pd.DataFrame, name: str | None) -> dict[str, Any] | None:
    """Return a named table for the report to write down; in JupyterLab nothing is carried."""
    if name is None or not is_published() or not len(table):
        return None
    return {"name": name, "rows": len(table), "csv": to_csv(table)}


def _texts(column: pd.Series, hidden: pd.Series, write: Any) -> list[str]:
    known = column.notna()
    return [
        write(value) if there else HIDDEN if out else UNKNOWN
        for value, there, out in zip(column, known, hidden, strict=True)
    ]


def _is_number(column: pd.Series) -> bool:
    import pandas as pd

    kinds = (pd.api.types.is_numeric_dtype, pd.api.types.is_timedelta64_dtype)
    return any(kind(column) for kind in kinds)


def _writer(name: str, column: pd.Series, bounds: Callable[[float], str]) -> Any:
    import pandas as pd

    if pd.api.types.is_bool_dtype(column):
        return lambda value: "yes" if value else "no"
    if pd.api.types.is_datetime64_any_dtype(column):
        whole_days = (column.dropna() == column.dropna().dt.normalize()).all()
        return lambda value: f"{value:%Y-%m-%d}" if whole_days else f"{value:%Y-%m-%d %H:%M}"
    if pd.api.types.is_timedelta64_dtype(column):
        return lambda value: lasting(value.total_seconds())
    if not pd.api.types.is_numeric_dtype(column):
        return str
    if CHANGE.search(name):
        return "{:+.1%}".format
    if POINTS.search(name):
        return _points
    if SHARE.search(name):
        return _percent
    if BOUND.search(name):
        return bounds
    if CHANCE.search(name):
        return lambda value: "<0.001" if value < 0.001 else f"{value:.3f}"
    if MONEY.search(name) and not pd.api.types.is_integer_dtype(column):
        return lambda value: f"{value if round(value, 2) else 0.0:,.2f}"
    is_whole = not END.search(name) and (column.dropna() % 1 == 0).all()
    return "{:,.0f}".format if is_whole else _significant


def _percent(value: float) -> str:
    return f"{value:.1%}"


def _points(value: float) -> str:
    return f"{100 * value:+.1f}{UNIT}"


def _significant(value: float) -> str:
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(decimals, 8)}f}"
