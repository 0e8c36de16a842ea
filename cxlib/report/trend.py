"""How a headline moved: the change in words, and a small picture with its control limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from cxlib.headline import Headline

WIDTH, HEIGHT, EDGE = 160, 40, 5
MOST_POINTS = 30
"""Runs in a picture; older ones would make the line a scribble."""


@dataclass(frozen=True)
class Move:
    """A headline beside what it was before.

    Attributes
    ----------
    change : str
        Against the run before: ``▲ 0.4 points since 30 November 2024``; empty for a first run.
    alarm : str
        What it means that the number left its control limits; empty while it did not.
    picture : Markup
        The runs as a line, described for those who hear the page; empty for a first run.
    """

    change: str = ""
    alarm: str = ""
    picture: Markup = Markup("")


def move(headline: Headline, series: Mapping[str, Any] | None, day: Any) -> Move:
    """Return how a headline moved; ``series`` is its part of `cxlib.report.history.placed`."""
    if not series or headline.value is None or len(series["points"]) < 2:
        return Move()
    points = series["points"][-MOST_POINTS:]
    change = _change(headline, series["change"], day(points[-2]["as_of"]))
    alarm = _alarm(headline, series)
    return Move(change, alarm, _picture(headline, points, series, alarm, day))


def _change(headline: Headline, change: float, since: str) -> str:
    size = _amount(headline, abs(change))
    if size == _amount(headline, 0.0):
        return f"unchanged since {since}"
    return f"{'▲ up' if change > 0 else '▼ down'} {size} since {since}"


def _amount(headline: Headline, size: float) -> str:
    """Return the size of a change; that of a share is in percentage points."""
    if headline.unit in ("share", "change"):
        return f"{100 * size:,.1f} points"
    return headline.write(size)


def _alarm(headline: Headline, series: Mapping[str, Any]) -> str:
    if not series["left"]:
        return ""
    low, high = (headline.write(series[end]) for end in ("lower_limit", "upper_limit"))
    return (
        f"Outside its control limits: {series['left']} {low} to {high}, where the "
        f"{series['n_runs']} runs before would keep it."
    )


def _scale(
    headline: Headline, values: Sequence[float], limits: Sequence[float]
) -> tuple[float, float]:
    """Return the lowest value of the picture, and how much it spans.

    It holds the limits or, while there are none, the interval, and spans a tenth of the number at
    least: what is hardly a change must not look like one.
    """
    known = [end for end in (headline.low, headline.high) if end is not None]
    shown = [*values, *(limits or known)]
    low, high = min(shown), max(shown)
    span = max(high - low, max(map(abs, shown)) / 10) or 1.0
    return (low + high - span) / 2, span


def _picture(
    headline: Headline, points: Sequence[Mapping[str, Any]], series: Any, alarm: str, day: Any
) -> Markup:
    values = [point["value"] for point in points]
    limits = [series[end] for end in ("lower_limit", "upper_limit") if series[end] is not None]
    low, span = _scale(headline, values, limits)

    def y(value: float) -> str:
        return f"{HEIGHT - EDGE - (value - low) / span * (HEIGHT - 2 * EDGE):.1f}"

    step = (WIDTH - 2 * EDGE) / (len(values) - 1)
    line = " ".join(f"{EDGE + place * step:.1f},{y(value)}" for place, value in enumerate(values))
    band = ""
    if len(limits) == 2:
        lines = (
            f'<line x1="0" x2="{WIDTH}" y1="{y(end)}" y2="{y(end)}" class="limit"/>'
            for end in limits
        )
        band = "".join(lines)
    x, end = line.rsplit(" ", 1)[-1].split(",")
    mark = (
        f'<rect x="{float(x) - 4:.1f}" y="{float(end) - 4:.1f}" width="8" height="8" class="out"/>'
        if alarm
        else f'<circle cx="{x}" cy="{end}" r="3"/>'
    )
    said = (
        f"{headline.name}, {len(values)} runs from {day(points[0]['as_of'])} to "
        f"{day(points[-1]['as_of'])}: from {headline.write(values[0])} to "
        f"{headline.write(values[-1])}, between {headline.write(min(values))} and "
        f"{headline.write(max(values))}."
    )
    return Markup(
        f'<svg class="trend" role="img" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" aria-label="{escape(said)}">{band}<polyline points="{line}"/>{mark}</svg>'
    )
