"""An experiment over time: the effect as units came in, and by day since exposure."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from cxlib._checks import check_choice, listed
from cxlib.plot._dates import dated
from cxlib.plot._style import INK, compact, finish, styled
from cxlib.plot._treatments import (
    Limits,
    Look,
    amount,
    between,
    change,
    check_table,
    legend_below,
    limits,
    look,
    open_ends,
    panels,
    plain,
    spoken,
    view,
)

VALUES = {
    "lift": (["lift", "lift_low", "lift_high"], "relative change against control", change),
    "difference": (
        ["difference", "ci_low", "ci_high"],
        "difference, in the metric's unit",
        amount,
    ),
}

MOST_DATES = 7
"""Dates that are written below a picture."""


@styled
def experiment_over_time(
    table: pd.DataFrame,
    *,
    value: str = "lift",
    interval: str = "95 % interval",
    ax: Axes | None = None,
) -> Axes:
    """Draw the effect of each treatment on all units until each date, with its band.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per metric, treatment and date: ``metric``, ``variant``, ``date``, and ``lift``,
        ``lift_low``, ``lift_high`` or ``difference``, ``ci_low``, ``ci_high``. A band that does not
        end, or ends far outside the others, is drawn to the edge, with an arrow.
    value : {"lift", "difference"}, default "lift"
        What is drawn: the relative change, or the difference in the metric's unit.
    interval : str, default "95 % interval"
        What the band is, in words, such as "95 % sequential interval".
    ax : Axes, optional
        Where to draw one metric; a new figure otherwise, with the metrics one under the other.

    Returns
    -------
    Axes
        That of the first metric.

    Raises
    ------
    ColumnError, DataError, ParameterError
        A column is missing; there are no rows; a metric, treatment and date stand twice.

    See Also
    --------
    cxlib.experiment

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> table = pd.DataFrame({"metric": "conversion", "variant": "B",
    ...     "date": pd.to_datetime(["2024-03-01", "2024-03-02"]), "lift": [0.09, 0.05],
    ...     "lift_low": [-0.1, 0.01], "lift_high": [0.3, 0.09]})
    >>> cx.plot.experiment_over_time(table).figure.reading
    'On 2 March 2024 the change in conversion of B is +5.0% (+1.0% to +9.0%); its interval lies clear of zero.'
    """
    columns, words, told = VALUES[check_choice("value", value, VALUES)]
    shown = check_table("experiment over time", table, ["metric", "variant", "date"], columns)
    shown = shown.assign(date=pd.to_datetime(shown["date"]))
    shown["day"] = mdates.date2num(shown["date"])
    top = _draw(shown, "experiment over time", columns, told, ax)
    _dates(
        top.figure.axes[-1] if ax is None else top, shown["date"].drop_duplicates().sort_values()
    )
    reading = _over_time_reading(shown, columns, told)
    title = f"Change against control so far (band: {interval})"
    return _words(top, shown, title, "units exposed until this date", words, ax, reading)


@styled
def experiment_novelty(
    table: pd.DataFrame, *, interval: str = "95 % interval", ax: Axes | None = None
) -> Axes:
    """Draw the effect of each treatment by day since a unit was first exposed.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per metric, treatment and day: ``metric``, ``variant``, ``day``, ``difference``,
        ``ci_low``, ``ci_high``, in the metric's unit. A limit that does not end is drawn as an arrow.
    interval : str, default "95 % interval"
        What the lines are, in words.
    ax : Axes, optional
        Where to draw one metric; a new figure otherwise, with the metrics one under the other.

    Returns
    -------
    Axes
        That of the first metric.

    Raises
    ------
    ColumnError, DataError, ParameterError
        A column is missing; there are no rows; a metric, treatment and day stand twice.

    See Also
    --------
    cxlib.experiment

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> table = pd.DataFrame({"metric": "revenue", "variant": "B", "day": [0, 1],
    ...     "difference": [2.5, 0.5], "ci_low": [1.5, -0.5], "ci_high": [3.5, 1.4]})
    >>> cx.plot.experiment_novelty(table).figure.reading
    'The effect of B on revenue is +2.5 (+1.5 to +3.5) on day 0 and +0.5 (-0.5 to +1.4) on day 1: the two intervals lie apart, so it falls with time.'
    """
    columns, words, told = VALUES["difference"]
    shown = check_table("experiment novelty", table, ["metric", "variant", "day"], columns)
    top = _draw(shown, "experiment novelty", columns, told, ax, apart=0.7)
    top.xaxis.set_major_locator(MaxNLocator(integer=True))
    reading = _novelty_reading(shown, columns, told)
    title = f"Effect by day since exposure (lines: {interval})"
    return _words(top, shown, title, "days since first exposed", words, ax, reading)


def _draw(
    shown: pd.DataFrame,
    what: str,
    columns: list[str],
    told: Callable[[float], str],
    ax: Axes | None,
    apart: float = 0,
) -> Axes:
    """Draw every metric in its own panel, its treatments in their looks; return the first panel."""
    variants = list(dict.fromkeys(shown["variant"]))
    metrics = list(shown.groupby("metric", sort=False))
    spots = panels(what, ax, [str(name) for name, _ in metrics])
    days = np.unique(shown["day"].to_numpy(float))
    step = float(np.diff(days).min()) if len(days) > 1 else 1.0
    beside = (np.arange(len(variants)) - (len(variants) - 1) / 2) * apart * step / len(variants)
    for spot, (metric, rows) in zip(spots, metrics, strict=True):
        spot.set_ylim(view(limits(rows, *columns)))
        spot.set_xlim(shown["day"].min() - 0.6 * step, shown["day"].max() + 0.6 * step)
        spot.axhline(0, color=INK, lw=1.2, zorder=1)
        for name, part in rows.sort_values("day").groupby("variant", sort=False):
            place = variants.index(str(name))
            (_points if apart else _band)(
                spot,
                part["day"].to_numpy(float) + beside[place],
                limits(part, *columns),
                look(place),
            )
        aside = rows["variant"].map(dict(zip(variants, beside, strict=True))).to_numpy(float)
        open_ends(spot, rows["day"].to_numpy(float) + aside, limits(rows, *columns), told)
        spot.set_title(plain(metric, 60), size=11, weight="normal")
        spot.yaxis.set_major_locator(MaxNLocator(5))
        spot.yaxis.set_major_formatter(
            PercentFormatter(1, decimals=None) if told is change else FuncFormatter(compact)
        )
    if len(variants) > 1:
        legend_below(spots[-1], variants)
    return spots[0]


def _band(ax: Axes, at: np.ndarray, drawn: Limits, how: Look) -> None:
    """Draw a line through the points and a band that is cut at the edges of the picture."""
    at, drawn = at[known := np.isfinite(drawn.point)], Limits(*(part[known] for part in drawn))
    low, high = (np.clip(end, *ax.get_ylim()) for end in drawn[1:])
    ax.fill_between(at, low, high, color=how.colour, alpha=0.13, lw=0)
    for end in (low, high):
        ax.plot(at, end, color=how.colour, ls=how.dash, lw=0.7, alpha=0.8)
    every = max(1, len(at) // 8)
    ax.plot(
        at, drawn.point, color=how.colour, ls=how.dash, marker=how.marker, markevery=(-1 - (len(at) - 1) // every * every, every), lw=2, ms=6
    )  # fmt: skip


def _points(ax: Axes, at: np.ndarray, drawn: Limits, how: Look) -> None:
    """Draw a point for each day with its interval, beside those of other treatments."""
    at, drawn = at[known := np.isfinite(drawn.point)], Limits(*(part[known] for part in drawn))
    low, high = (np.clip(end, *ax.get_ylim()) for end in drawn[1:])
    ax.vlines(at, low, high, color=how.colour, lw=1.8)
    ax.plot(at, drawn.point, how.marker, color=how.colour, ms=6, mec="white", mew=0.6)


def _dates(ax: Axes, dates: pd.Series) -> None:
    """Write some of the dates themselves, the last one among them: a locator would write others."""
    some = dates.iloc[::-1][:: -(-len(dates) // MOST_DATES)][::-1]
    ax.set_xticks(mdates.date2num(some), dated(list(some)))


def _words(
    top: Axes, shown: pd.DataFrame, title: str, x: str, y: str, ax: Axes | None, reading: str
) -> Axes:
    """Set the words round one panel or several."""
    variants, metrics = (list(dict.fromkeys(shown[key])) for key in ("variant", "metric"))
    whose = f" of {plain(variants[0], 24)}" if len(variants) == 1 else ""
    named = title.replace("Change", f"Change{whose}", 1).replace("Effect", f"Effect{whose}", 1)
    alt = (
        f"{named}, for {listed(map(plain, metrics))}, from {_when(shown, 0)} to {_when(shown, -1)}. "
        f"{reading}"
    )
    if len(metrics) > 1:
        top.figure.supylabel(y, size=11)
        top.figure.axes[-1].set_xlabel(x)
    first = f"{named}\n{plain(metrics[0], 60)}"
    return finish(
        top, first, "" if len(metrics) > 1 else x, "" if len(metrics) > 1 else y, alt, reading
    )


def _when(shown: pd.DataFrame, place: int) -> str:
    row = shown.sort_values("day").iloc[place]
    return f"{row['date']:%-d %B %Y}" if "date" in shown else f"day {row['day']:g}"


def _excluding(drawn: Limits) -> np.ndarray:
    return np.isfinite(drawn.point) & ((drawn.low > 0) | (drawn.high < 0))


def _over_time_reading(
    shown: pd.DataFrame, columns: list[str], told: Callable[[float], str]
) -> str:
    """Speak of the first metric's highest treatment on its last date, then count the others."""
    lines = [
        part.sort_values("day") for _, part in shown.groupby(["metric", "variant"], sort=False)
    ]
    ends = [limits(part.tail(1), *columns) for part in lines]
    first = [n for n, part in enumerate(lines) if part["metric"].iloc[0] == shown["metric"][0]]
    best = max(first, key=lambda n: np.nan_to_num(ends[n].point[0], nan=-np.inf))
    part = lines[best]
    point, low, high = (float(side[0]) for side in ends[best])
    last = part.iloc[-1]
    name = f"{spoken(last['metric'])} of {spoken(last['variant'])}"
    if np.isnan(point):
        return f"On {last['date']:%-d %B %Y} the change in {name} cannot be computed."
    out = _excluding(limits(part, *columns))
    if out[-1]:
        start = part["date"].iloc[len(out) - int(np.argmin(out[::-1])) if not out.all() else 0]
        every = "" if start == last["date"] else f", as on every date since {start:%-d %B %Y}"
        since = f"lies clear of zero{every}"
    else:
        earlier = f", but lay clear of it on {out.sum()} of {len(out)} dates" if out.any() else ""
        since = f"crosses zero{earlier}"
    words = (
        f"On {last['date']:%-d %B %Y} the change in {name} is {told(point)} "
        f"({between(low, high, told)}); its interval {since}"
    )
    if len(lines) > 1:
        words += f"; of {len(lines)} lines drawn {sum(bool(_excluding(e)[0]) for e in ends)} are clear of zero at their end"
    return f"{words}."


def _novelty_reading(shown: pd.DataFrame, columns: list[str], told: Callable[[float], str]) -> str:
    """Hold the last day of the first metric's first treatment against its first day."""
    same = (shown["metric"] == shown["metric"][0]) & (shown["variant"] == shown["variant"][0])
    part = shown[same].sort_values("day")
    part = part[np.isfinite(limits(part, *columns).point)]
    name = f"{spoken(shown['variant'][0])} on {spoken(shown['metric'][0])}"
    if not len(part):
        return f"The effect of {name} cannot be computed on any day."
    drawn = limits(part, *columns)
    ends = np.column_stack([*drawn, part["day"].to_numpy(float)])[[0, -1]].tolist()
    day = [
        f"{told(point)} ({between(low, high, told)}) on day {at:g}" for point, low, high, at in ends
    ]
    if len(part) == 1:
        return f"The effect of {name} is {day[0]}, the only day so far."
    falls, rises = drawn.high[-1] < drawn.low[0], drawn.low[-1] > drawn.high[0]
    verdict = (
        f"lie apart, so it {'falls' if falls else 'rises'} with time"
        if falls or rises
        else "overlap, so no change with time is shown"
    )
    return f"The effect of {name} is {day[0]} and {day[-1]}: the two intervals {verdict}."
