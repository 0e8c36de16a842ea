"""What cleaning lost, and volume over time."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from cxlib._checks import check_columns
from cxlib.plot._dates import date_axis
from cxlib.plot._style import ACCENT, INK, axes, compact, finish, styled


@styled
def losses(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw what cleaning lost, by rule.

    Parameters
    ----------
    table : pandas.DataFrame
        ``losses`` of a `Cleaned`: ``rule``, ``rows``, ``rows_share``.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes

    See Also
    --------
    cxlib.clean_orders
    cxlib.clean_events
    cxlib.clean_exposures
    cxlib.clean_responses

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> ax = cx.plot.losses(pd.DataFrame({"rule": ["cancelled"], "rows": [3], "rows_share": [0.1]}))
    >>> ax.get_title("left")
    'Rows that cleaning left out'
    """
    check_columns("losses", list(table.columns), ["rule", "rows", "rows_share"])
    shown = table.sort_values("rows")
    ax = axes(ax, 8, 1.4 + 0.4 * max(len(shown), 1))
    labels = [rule.replace("_", " ") for rule in shown["rule"]]
    bars = ax.barh(labels, shown["rows"], color=ACCENT, height=0.6)
    notes = [
        f" {rows:,} ({share:.1%})"
        for rows, share in zip(shown["rows"], shown["rows_share"], strict=True)
    ]
    ax.bar_label(bars, notes, color=INK)
    ax.margins(x=0.25)
    ax.grid(False)
    ax.xaxis.set_major_formatter(FuncFormatter(compact))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    if not labels:
        ax.text(0.5, 0.5, "nothing was left out", ha="center", transform=ax.transAxes)
        ax.set_yticks([])
        ax.set_xticks([])
    top = f"most by {labels[-1]}, {shown['rows'].iloc[-1]:,} rows" if labels else "none"
    return finish(
        ax,
        "Rows that cleaning left out",
        "raw rows",
        "",
        f"Bar chart of rows lost in cleaning by rule: {top}.",
    )


@styled
def waterfall(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the way from raw rows to kept ones, with the revenue of each step beside it.

    Parameters
    ----------
    table : pandas.DataFrame
        What `waterfall` returned: ``step``, ``rows``, ``rows_left``; ``revenue`` where there.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes

    See Also
    --------
    cxlib.waterfall

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> table = pd.DataFrame({"step": ["raw", "cancelled", "kept"], "rows": [9, -2, 7],
    ...                       "rows_left": [9, 7, 7]})
    >>> cx.plot.waterfall(table).get_xlabel()
    'raw rows'
    """
    check_columns("waterfall", list(table.columns), ["step", "rows", "rows_left"])
    ax = axes(ax, 8, 1.4 + 0.42 * len(table))
    is_end = table["step"].isin(["raw", "kept"])
    left = table["rows_left"].where(~is_end, 0)
    labels = [step.replace("_", " ") for step in table["step"]]
    colours = [INK if end else ACCENT for end in is_end]
    bars = ax.barh(
        labels, table["rows"].abs(), left=left, color=colours, edgecolor=colours, height=0.6
    )  # the edge keeps a rule of few rows in sight
    ax.bar_label(bars, [_note(row) for row in table.to_dict("records")], color=INK, padding=3)
    ax.invert_yaxis()
    ax.margins(x=0.45)
    ax.set_xlim(left=0)
    ax.grid(False)
    ax.xaxis.set_major_formatter(FuncFormatter(compact))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    first, last = table["rows"].iloc[0], table["rows"].iloc[-1]
    alt = f"Waterfall from {first:,} raw rows to {last:,} kept, by rule."
    reading = f"Of {first:,} raw rows {last:,} ({last / first:.1%}) were kept."
    return finish(ax, "From raw rows to kept ones", "raw rows", "", alt, reading)


def _note(row: dict[Any, Any]) -> str:
    revenue = row.get("revenue")
    money = "" if revenue is None else f"  ({compact(round(revenue, 2) or 0.0)} of revenue)"
    return f"{row['rows']:,}{money}"


@styled
def activity(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw orders (or events) over time, unfinished periods hollow.

    Parameters
    ----------
    table : pandas.DataFrame
        What `activity` returned: ``period``, ``n_rows``, ``is_complete``.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes

    See Also
    --------
    cxlib.activity

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> table = pd.DataFrame({"period": pd.to_datetime(["2024-01-01", "2024-01-08"]),
    ...                       "n_rows": [10, 4], "is_complete": [True, False]})
    >>> cx.plot.activity(table).get_ylabel()
    'rows per period'
    """
    check_columns("activity", list(table.columns), ["period", "n_rows", "is_complete"])
    ax = axes(ax, 9, 3.4)
    ax.plot(table["period"], table["n_rows"], color=ACCENT, lw=1.6)
    open_ = table[~table["is_complete"]]
    ax.plot(
        open_["period"],
        open_["n_rows"],
        "o",
        mfc="white",
        mec=ACCENT,
        ms=7,
        label="period not over",
    )
    if len(open_):
        ax.legend(frameon=False, loc="upper left")
    ax.set_ylim(bottom=0)
    date_axis(ax)
    ax.yaxis.set_major_formatter(FuncFormatter(compact))
    span = f"{table['period'].min():%d %B %Y} to {table['period'].max():%d %B %Y}"
    alt = f"Line of rows per period, {span}, between {table['n_rows'].min():,} and {table['n_rows'].max():,}."
    reading = _volume_reading(table[table["is_complete"]])
    return finish(ax, "Volume over time", "period starting", "rows per period", alt, reading)


def _volume_reading(whole: pd.DataFrame) -> str:
    """Hold the last whole period against those before it."""
    known = whole.dropna(subset="n_rows")
    if known.empty:
        return "No period is over yet."
    last, before = known.iloc[-1], known["n_rows"].iloc[-13:-1]
    said = f"The last whole period, from {last['period']:%-d %B %Y}, has {last['n_rows']:,.0f} rows"
    if before.empty:
        return f"{said}."
    times = "the one" if len(before) == 1 else f"the {len(before)}"
    return f"{said}; the median of {times} before is {before.median():,.0f}."
