"""Dates along an axis, in words that people use."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import matplotlib.dates as mdates
from matplotlib.axes import Axes
from matplotlib.ticker import Formatter


def date_axis(ax: Axes) -> None:
    """Write dates along the x axis so that they never run into one another."""
    first, last = ax.get_xlim()
    fewest = min(5, max(1, int(last - first)))  # more than there are days would be hours
    ax.xaxis.set_major_locator(mdates.AutoDateLocator(minticks=fewest, maxticks=9))
    ax.xaxis.set_major_formatter(Dates())


class Dates(Formatter):
    """Writes the dates of an axis by `dated`."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return a date by itself."""
        return f"{mdates.num2date(x):%Y-%m-%d}"

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """Return the words of all dates together."""
        return dated(mdates.num2date(values))


def dated(dates: Sequence[dt.datetime]) -> list[str]:
    """Return rising dates in words as short as they can be, the year below where it begins."""
    if all((date.month, date.day, date.hour) == (1, 1, 0) for date in dates):
        return [f"{date:%Y}" for date in dates]
    form = "%b" if all(date.day == 1 for date in dates) else "%-d %b"
    form += " %H:%M" * any(date.hour for date in dates)
    years = [None, *(date.year for date in dates)]
    return [
        f"{date:{form}}" + f"\n{date:%Y}" * (date.year != before)
        for date, before in zip(dates, years, strict=False)
    ]
