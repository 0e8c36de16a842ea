"""How far users get."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from cxlib._checks import check_columns
from cxlib.plot._style import INK, SOFT, axes, finish, group_column, percent, styled


@styled
def funnel(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the share of users who reached each step, with intervals.

    Parameters
    ----------
    table : pandas.DataFrame
        What `funnel` returned: ``step``, ``event``, ``n``, ``rate``, ``ci_low``, ``ci_high``; one bar
        for each group at each step.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes

    See Also
    --------
    cxlib.funnel

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> events = pd.DataFrame({"user_id": ["u", "u"], "event": ["view", "cart"],
    ...     "occurred_at": pd.to_datetime(["2024-01-01 10:00", "2024-01-01 10:05"])})
    >>> steps = cx.funnel(events, steps=["view", "cart"], window="1 day", as_of="2024-01-31")
    >>> cx.plot.funnel(steps).get_xlabel()
    'share of users who reached the step'
    """
    check_columns(
        "funnel", list(table.columns), ["step", "event", "n", "rate", "ci_low", "ci_high"]
    )
    by = group_column(table, {"step"})
    groups = list(table.groupby(by, sort=True)) if by else [("", table)]
    n_steps = int(table["step"].max())
    ax = axes(ax, 8.5, 1.4 + n_steps * max(0.55, 0.32 * len(groups)))
    height = 0.78 / len(groups)
    colours = sns.color_palette("Blues", len(groups) + 2)[1:] if by else [SOFT]
    for place, (name, part) in enumerate(groups):
        y = part["step"] - 1 + (place - (len(groups) - 1) / 2) * height
        rate, low, high = (
            part[column].astype(float).fillna(0) for column in ("rate", "ci_low", "ci_high")
        )
        ax.barh(
            y,
            rate,
            height * 0.9,
            color=colours[place],
            hatch=["", "//", "..", "xx"][place % 4],
            edgecolor="white",
            label=str(name),
        )
        ax.errorbar(
            rate,
            y,
            xerr=[(rate - low).clip(0), (high - rate).clip(0)],
            fmt="none",
            ecolor=INK,
            elinewidth=1.2,
            capsize=3,
        )
        if len(groups) <= 3:
            for at, end, share, users in zip(y, high, rate, part["n"], strict=True):
                ax.text(end + 0.015, at, f"{percent(share)}  ({users:,})", va="center", size=10)
    names = table.drop_duplicates("step").sort_values("step")["event"]
    ax.set_yticks(range(n_steps), [f"{step + 1}. {name}" for step, name in enumerate(names)])
    ax.invert_yaxis()
    ax.set_xlim(0, 1.22)
    ax.set_xticks(np.arange(0, 1.01, 0.25))
    ax.xaxis.set_major_formatter(PercentFormatter(1, 0))
    ax.grid(axis="y", visible=False)
    if by:
        ax.legend(title=by, frameon=False, loc="lower right")
    name, part = groups[0]
    shares = part.dropna(subset=["rate"]).set_index("event")["rate"]
    told = "; ".join(f"{event} {percent(float(rate))} of users" for event, rate in shares.items())
    where = f" by {by}; {by} {name!s}" if by else ""
    return finish(
        ax,
        "How far users get (lines: 95 % interval)",
        "share of users who reached the step",
        "",
        f"Funnel bars{where}: {told}.",
    )
