"""The most common paths."""

from __future__ import annotations

import textwrap

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from cxlib.plot._journeys import check_one
from cxlib.plot._style import GREY, INK, SOFT, axes, finish, percent, styled

REST, NO_END = "(other paths)", "(no end)"
POOLS = (REST, NO_END)


@styled
def top_paths(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the share of visits that took each path, with intervals.

    Parameters
    ----------
    table : pandas.DataFrame
        What `top_paths` returned, for one group: ``path``, ``n``, ``n_visits``, ``share``, ``ci_low``,
        ``ci_high``.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes

    Raises
    ------
    DataError, ParameterError
        There is no visit; the table holds several groups.

    See Also
    --------
    cxlib.top_paths

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> table = pd.DataFrame({"path": ["view → cart", "(no end)"], "n": [3, 7], "n_visits": 10,
    ...     "share": [0.3, 0.7], "ci_low": [0.11, 0.4], "ci_high": [0.6, 0.89]})
    >>> cx.plot.top_paths(table).figure.reading
    'The most common path is view → cart: 30% of 10 visits (11% to 60%); 70% did not get to the end.'
    """
    check_one("top paths", table, ["path"], ["n", "n_visits", "share", "ci_low", "ci_high"])
    pooled = table["path"].isin(POOLS)
    reading = _paths_reading(table[~pooled], table[pooled])
    if not pooled.all():  # who did not get there would dwarf the paths
        table = table[table["path"] != NO_END]
    share, low, high = (table[name].astype(float) for name in ("share", "ci_low", "ci_high"))
    labels = ["\n".join(textwrap.wrap(str(path), 48)) for path in table["path"]]
    ax = axes(ax, 10, 1.2 + sum(0.24 + 0.2 * (1 + label.count("\n")) for label in labels))
    colours = [GREY if path in POOLS else SOFT for path in table["path"]]
    places = range(len(table))
    ax.barh(places, share, 0.7, color=colours)
    ax.errorbar(share, places, xerr=[share - low, high - share], fmt="none", ecolor=INK, capsize=3)
    for place, end, value, n in zip(places, high, share, table["n"], strict=True):
        ax.text(end + 0.01 * high.max(), place, f" {percent(value)}  ({n:,})", va="center", size=9)
    ax.set_yticks(places, labels, size=9)
    ax.invert_yaxis()
    ax.set_xlim(0, 1.2 * high.max())
    ax.xaxis.set_major_formatter(PercentFormatter(1, 0))
    ax.grid(axis="y", visible=False)
    return finish(
        ax,
        "The most common paths (lines: 95 % interval)",
        "share of the visits with the start",
        "",
        f"Bars of {len(table)} paths. {reading}",
        reading,
    )


def _paths_reading(paths: pd.DataFrame, pools: pd.DataFrame) -> str:
    missed = pools.loc[pools["path"] == NO_END, "share"]
    tail = f"; {percent(float(missed.iloc[0]))} did not get to the end" if len(missed) else ""
    if paths.empty:
        return f"No visit got from the start to the end{tail}."
    top = paths.iloc[0]
    ends = f"{percent(top['ci_low'])} to {percent(top['ci_high'])}"
    return (
        f"The most common path is {top['path']}: {percent(top['share'])} of "
        f"{int(top['n_visits']):,} visits ({ends}){tail}."
    )
