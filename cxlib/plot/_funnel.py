"""How far users get, and how groups differ in that."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from cxlib._checks import check_columns
from cxlib.plot._style import (
    ACCENT,
    GREY,
    INK,
    MARKERS,
    SOFT,
    axes,
    finish,
    group_column,
    groups_of,
    percent,
    styled,
)

MOST_TOLD = 3
"""Groups whose bars have room for their numbers."""


@styled
def funnel(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the share of users who reached each step, with intervals, and how many dropped.

    Parameters
    ----------
    table : pandas.DataFrame
        What `funnel` returned: ``step``, ``event``, ``n``, ``rate``, ``ci_low``, ``ci_high``; one bar
        for each group at each step. With ``n_dropped`` the users lost before a step are told.
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
    names = table.drop_duplicates("step").sort_values("step")
    ax = axes(ax, 8.5, 1.4 + len(names) * max(0.62, 0.32 * len(groups)))
    height = 0.78 / len(groups)
    colours = sns.color_palette("Blues", len(groups) + 2)[1:] if by else [SOFT]
    for place, (name, part) in enumerate(groups):
        y = part["step"] - 1 + (place - (len(groups) - 1) / 2) * height
        hatch = ["", "//", "..", "xx"][place % 4]
        _bars(ax, part, y, height, {"color": colours[place], "hatch": hatch, "label": str(name)})
        if len(groups) <= MOST_TOLD:
            _told(ax, part, y)
    ax.set_yticks(names["step"] - 1, [f"{row.step}. {row.event}" for row in names.itertuples()])
    ax.invert_yaxis()
    ax.set_xlim(0, 1.3)
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
        _reading(groups, by),
    )


def _bars(ax: Axes, part: pd.DataFrame, y: pd.Series, height: float, look: dict[str, Any]) -> None:
    rate, low, high = (
        part[column].astype(float).fillna(0) for column in ("rate", "ci_low", "ci_high")
    )
    ax.barh(y, rate, height * 0.9, edgecolor="white", **look)
    ends = [(rate - low).clip(0), (high - rate).clip(0)]
    ax.errorbar(rate, y, xerr=ends, fmt="none", ecolor=INK, elinewidth=1.2, capsize=3)


def _told(ax: Axes, part: pd.DataFrame, y: pd.Series) -> None:
    """Write share and users beside each bar, and who dropped since the step before."""
    for row, at in zip(part.to_dict("records"), y, strict=True):
        if pd.isna(row["rate"]):
            continue
        end = max(float(row["rate"]), float(row["ci_high"])) + 0.015
        words = f"{percent(row['rate'])}  ({row['n']:,})"
        if pd.notna(row.get("n_dropped")):
            words += f"  −{row['n_dropped']:,}"
        ax.text(end, at, words, va="center", size=10)


def _reading(groups: list, by: str | None) -> str:
    """Tell of each group how many reach the last step, and where most are lost."""

    def told(part: pd.DataFrame) -> str:
        last = part.iloc[-1]
        if pd.isna(last["rate"]):
            return "nobody's window is over"
        words = f"{percent(last['rate'])} reach {last['event']}"
        if pd.notna(last["ci_low"]):
            words += f" ({percent(last['ci_low'])} to {percent(last['ci_high'])})"
        lost = part["n_dropped"].astype("Float64") if "n_dropped" in part else pd.Series()
        if lost.notna().any() and lost.max() > 0:
            worst = part.iloc[int(lost.fillna(-1).to_numpy(float).argmax())]
            words += f"; most are lost before {worst['event']}, {worst['n_dropped']:,}"
        return words

    if by is None:
        return f"Of {groups[0][1]['n'].iloc[0]:,} users {told(groups[0][1])}."
    return f"{'. '.join(f'{name}: {told(part)}' for name, part in groups[:4])}."


@styled
def funnel_difference(
    table: pd.DataFrame, *, baseline: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw how far each compared group lies above or below the baseline at each step.

    Parameters
    ----------
    table : pandas.DataFrame
        What `funnel_difference` returned: the compared value first, ``step``, ``event``,
        ``difference``, ``ci_low``, ``ci_high``, ``p_value``, ``p_adjusted``.
    baseline : str, optional
        The name of the group that the others are held against.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes

    See Also
    --------
    cxlib.funnel_difference

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> table = pd.DataFrame({"device": ["app"], "step": [2], "event": ["cart"], "rate": [0.3],
    ...     "rate_baseline": [0.2], "difference": [0.1], "ci_low": [0.03], "ci_high": [0.18],
    ...     "p_value": [0.006], "p_adjusted": [0.006]})
    >>> cx.plot.funnel_difference(table, baseline="mobile").figure.reading
    'The clearest difference is at cart: app 30% against 20% of mobile, by 10.0 points (3.0 to 18.0).'
    """
    columns = ["step", "event", "rate", "rate_baseline", "difference", "ci_low", "ci_high"]
    check_columns("funnel_difference", list(table.columns), [*columns, "p_value", "p_adjusted"])
    by = str(table.columns[0])
    table = table.assign(**{by: table[by].map(_name)})
    groups = groups_of(table, by)
    names = table.drop_duplicates("step").sort_values("step")
    ax = axes(ax, 8, 1.6 + 0.35 * len(names) * max(len(groups), 2))
    for place, (name, part, colour) in enumerate(groups):
        known = part.dropna(subset=["difference"])
        steps = known["step"].map({step: k for k, step in enumerate(names["step"])})
        y = steps + (place - (len(groups) - 1) / 2) * 0.7 / len(groups)
        points = 100 * known[["difference", "ci_low", "ci_high"]].astype(float)
        off = [points["difference"] - points["ci_low"], points["ci_high"] - points["difference"]]
        ax.errorbar(
            points["difference"], y, xerr=[side.clip(0) for side in off], capsize=3, fmt=MARKERS[place % 8],
            color=colour if len(groups) > 1 else ACCENT, label=name,
        )  # fmt: skip
    ax.axvline(0, color=GREY, lw=1)
    ax.set_yticks(range(len(names)), [f"{row.step}. {row.event}" for row in names.itertuples()])
    ax.set_ylim(max(len(names), 1) - 0.5, -0.5)
    if len(groups) > 1:
        ax.legend(title=by, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    if table.empty:
        ax.text(0.5, 0.5, f"no other {by}", ha="center", transform=ax.transAxes)
        ax.set_xticks([])
    reading = _difference_reading(table, by, f" of {baseline}" if baseline else "")
    who = groups[0][0] if len(groups) == 1 else f"{len(groups) or 'No'} values of {by}"
    return finish(
        ax,
        f"{who} against {baseline or 'the baseline'} (lines: 95 % interval)",
        "difference of the rates, percentage points",
        "",
        f"Differences at {len(names)} steps. {reading}",
        reading,
    )


def _name(value: object) -> str:
    return f"{value:%Y-%m-%d}" if isinstance(value, pd.Timestamp) else str(value)


def _difference_reading(table: pd.DataFrame, by: str, whose: str) -> str:
    known = table.dropna(subset=["difference", "p_adjusted"])
    if known.empty:
        why = f"there is no other {by}" if table.empty else "one side has no users"
        return f"There is nothing to compare: {why}."
    best = known.iloc[int(known["p_value"].to_numpy(float).argmin())]
    rates = f"{best[by]} {percent(best['rate'])} against {percent(best['rate_baseline'])}{whose}"
    if best["p_adjusted"] >= 0.05:
        return f"No difference is told from chance; the nearest is at {best['event']}: {rates}."
    ends = sorted((100 * abs(best["ci_low"]), 100 * abs(best["ci_high"])))
    points = f"{100 * abs(best['difference']):.1f} points ({ends[0]:.1f} to {ends[1]:.1f})"
    return f"The clearest difference is at {best['event']}: {rates}, by {points}."
