"""How long users take to convert, and how conversion changes over time."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from cxlib._checks import check_choice, check_columns, lasting
from cxlib.plot._dates import date_axis
from cxlib.plot._style import (
    DASHES,
    MARKERS,
    MOST_BANDS,
    axes,
    finish,
    group_column,
    groups_of,
    legend_of_groups,
    percent,
    styled,
)

MARKS = {
    "1 s": 1, "10 s": 10, "1 min": 60, "10 min": 600, "1 h": 3600, "6 h": 21_600, "1 day": 86_400,
    "7 days": 604_800, "30 days": 2_592_000, "1 year": 31_536_000,
}  # fmt: skip
"""Times at which the users at risk are written below the curve."""


@styled
def time_to_convert(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the share that has converted by each time, with its band, a line for each group.

    Time runs on a log scale, since most who convert do so within minutes and the last after days.

    Parameters
    ----------
    table : pandas.DataFrame
        What `time_to_convert` returned: ``seconds``, ``n_at_risk``, ``conversion_rate``, ``ci_low``,
        ``ci_high``.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes

    See Also
    --------
    cxlib.time_to_convert

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> table = pd.DataFrame({"seconds": [600.0, 7200.0, 86400.0], "n_at_risk": [100, 80, 70],
    ...     "conversion_rate": [0.2, 0.25, 0.25], "ci_low": [0.13, 0.18, 0.18], "ci_high": [0.29, 0.35, 0.35]})
    >>> cx.plot.time_to_convert(table).figure.reading
    'After 1 day 25% have converted (18% to 35%); half of those had by 10 minutes.'
    """
    columns = ["seconds", "n_at_risk", "conversion_rate", "ci_low", "ci_high"]
    check_columns("time_to_convert", list(table.columns), columns)
    ax = axes(ax, 8, 4.2)
    by = group_column(table, {"seconds"})
    groups = groups_of(table, by)
    bands = len(groups) <= MOST_BANDS
    last = float(table["seconds"].max()) or 1.0
    left = min(table.loc[table["seconds"] > 0, "seconds"].min(), last) / 1.5
    for place, (name, part, colour) in enumerate(groups):
        at = [left, *part["seconds"].clip(lower=left)]
        rate, low, high = (
            [0.0, *part[column].astype(float)]
            for column in ("conversion_rate", "ci_low", "ci_high")
        )
        if bands:
            ax.fill_between(at, low, high, step="post", color=colour, alpha=0.18, lw=0)
        ax.step(at, rate, where="post", color=colour, ls=DASHES[place % 4], label=name)
    if by:
        legend_of_groups(ax, by, len(groups))
    ax.set(xscale="log", xlim=(left, last))
    marks = {name: mark for name, mark in MARKS.items() if left <= mark <= last}
    at_risk = [_at_risk(table, by, mark) for mark in marks.values()]
    ax.set_xticks(
        list(marks.values()), [f"{name}\n{n:,}" for name, n in zip(marks, at_risk, strict=True)]
    )
    ax.minorticks_off()
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    reading = _wait_reading(groups)
    return finish(
        ax,
        f"How long until users convert{' (band: 95 % interval)' if bands else ''}",
        "time since the first step (log scale), and users still watched who had not converted",
        "share that has converted",
        f"Kaplan-Meier curve of the time to convert. {reading}",
        reading,
    )


def _at_risk(table: pd.DataFrame, by: str | None, seconds: float) -> int:
    """Return who was at risk at the first known time from ``seconds`` on, all groups together."""
    later = table[table["seconds"] >= seconds]
    first = later.drop_duplicates(by) if by else later.head(1)
    return int(first["n_at_risk"].sum())


def _wait_reading(groups: list) -> str:
    def told(part: pd.DataFrame) -> str:
        last = part.iloc[-1]
        rate = float(last["conversion_rate"])
        words = f"after {lasting(last['seconds'])} {percent(rate)} have converted"
        if pd.notna(last["ci_low"]):
            words += f" ({percent(last['ci_low'])} to {percent(last['ci_high'])})"
        if not rate:
            return f"after {lasting(last['seconds'])} nobody has converted"
        half = part[part["conversion_rate"].astype(float) >= rate / 2].iloc[0]
        when = "at once" if half["seconds"] == 0 else f"by {lasting(half['seconds'])}"
        return f"{words}; half of those had {when}"

    if len(groups) == 1:
        words = told(groups[0][1])
        return f"{words[0].upper()}{words[1:]}."
    return f"{'. '.join(f'{name}: {told(part)}' for name, part, _ in groups[:4])}."


@styled
def funnel_trend(
    table: pd.DataFrame, *, step: int | None = None, rate: str = "rate", ax: Axes | None = None
) -> Axes:
    """Draw the conversion of each entry period with its band, a line for each group.

    Parameters
    ----------
    table : pandas.DataFrame
        What `funnel_trend` returned: ``period``, ``step``, ``event``, ``n``, ``rate``, ``ci_low``,
        ``ci_high``, ``is_complete``.
    step : int, optional
        The step that is drawn, counted from 1; the last if left out.
    rate : {"rate", "step_rate"}
        Of the users at step one, or of those at the step before.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes

    See Also
    --------
    cxlib.funnel_trend

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> table = pd.DataFrame({"period": pd.to_datetime(["2024-01-01", "2024-01-08"]), "step": 2,
    ...     "event": "cart", "n": [20, 30], "rate": [0.2, 0.25], "ci_low": [0.13, 0.18],
    ...     "ci_high": [0.29, 0.34], "is_complete": True})
    >>> cx.plot.funnel_trend(table).figure.reading
    'From 2024-01-01 to 2024-01-08 cart went from 20% (13% to 29%) to 25% (18% to 34%).'
    """
    check_choice("rate", rate, ["rate", "step_rate"])
    ends = ["ci_low", "ci_high"] if rate == "rate" else ["step_ci_low", "step_ci_high"]
    columns = ["period", "step", "event", rate, *ends, "is_complete"]
    check_columns("funnel_trend", list(table.columns), columns)
    step = (
        int(table["step"].max()) if step is None else check_choice("step", step, set(table["step"]))
    )
    rows = table[table["step"] == step].rename(
        columns=dict(zip(ends, ("low", "high"), strict=True))
    )
    ax = axes(ax, 8.5, 4)
    by = group_column(table, {"period"})
    groups = groups_of(rows, by)
    bands = len(groups) <= MOST_BANDS
    for place, (name, part, colour) in enumerate(groups):
        low, high, share = (part[column].astype(float) for column in ("low", "high", rate))
        if bands:
            ax.fill_between(part["period"], low, high, color=colour, alpha=0.18, lw=0)
        ax.plot(part["period"], share, color=colour, marker=MARKERS[place % 8], ls=DASHES[place % 4], label=name)  # fmt: skip
    part_seen = _mark_incomplete(ax, rows)
    if by:
        legend_of_groups(ax, by, len(groups))
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    date_axis(ax)
    event = str(rows["event"].iloc[0])
    reading = _trend_reading(groups, rate, event)
    grey = "; grey: not complete" if part_seen else ""
    return finish(
        ax,
        f"Reached {event}, by period of entry{' (band: 95 % interval' if bands else ' ('}{grey})",
        "first day of the period in which users entered",
        "share of users" if rate == "rate" else "share of users at the step before",
        f"Line of conversion to {event} over {rows['period'].nunique()} periods of entry. {reading}",
        reading,
    )


def _mark_incomplete(ax: Axes, rows: pd.DataFrame) -> bool:
    """Shade the periods before the first complete one, and those after the last; say if there are any."""
    incomplete, complete = (
        rows.loc[rows["is_complete"] == is_it, "period"] for is_it in (False, True)
    )
    early = incomplete[incomplete < complete.min()]  # none where no period is complete
    late = incomplete.drop(early.index)
    for part, edge in ((early, early.max()), (late, late.min())):
        if len(part):
            ax.axvspan(part.min(), part.max(), color="#e4e7eb", alpha=0.7, lw=0, zorder=0)
            ax.axvline(edge, color="#8a949e", lw=1, ls=":")
    return len(incomplete) > 0


def _trend_reading(groups: list, rate: str, event: str) -> str:
    def told(row: pd.Series) -> str:
        return f"{percent(row[rate])} ({percent(row['low'])} to {percent(row['high'])})"

    def line(part: pd.DataFrame) -> str:
        known = part.dropna(subset=[rate])
        if known.empty:
            return "no period is complete"
        first, last = known.iloc[0], known.iloc[-1]
        if len(known) == 1:
            return (
                f"in the one complete period, {first['period']:%Y-%m-%d}, {event} was {told(first)}"
            )
        days = f"from {first['period']:%Y-%m-%d} to {last['period']:%Y-%m-%d}"
        if percent(first[rate]) == percent(last[rate]):
            spans = (f"{percent(row['low'])} to {percent(row['high'])}" for row in (first, last))
            return f"{days} {event} stayed at {percent(first[rate])} ({', then '.join(spans)})"
        return f"{days} {event} went from {told(first)} to {told(last)}"

    if len(groups) == 1:
        words = line(groups[0][1])
        return f"{words[0].upper()}{words[1:]}."
    return f"{'. '.join(f'{name}: {line(part)}' for name, part, _ in groups[:4])}."
