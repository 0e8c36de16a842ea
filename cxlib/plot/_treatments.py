"""Treatments side by side: who is who without colour, and limits that do not end."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Callable, Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from cxlib._checks import DataError, ParameterError, check_columns
from cxlib.plot._style import ACCENT, DASHES, INK, MARKERS, Figure, axes, compact

COLOURS = (
    ACCENT,
    "#d55e00",
    "#009e73",
    "#b0508c",
    "#000000",
    "#a87900",
)  # Okabe and Ito (2008), darkened


class Look(NamedTuple):
    """How one variant is drawn: each of the three alone tells four variants apart."""

    colour: str
    marker: str
    dash: str


class Limits(NamedTuple):
    """Points with their limits as floats; a limit that is null or infinite does not end."""

    point: np.ndarray
    low: np.ndarray
    high: np.ndarray


def look(place: int) -> Look:
    """Return how the variant at that place is drawn."""
    return Look(COLOURS[place % 6], MARKERS[place % 8], DASHES[place % 4])


def check_table(
    what: str, table: pd.DataFrame, keys: Sequence[str], columns: Sequence[str]
) -> pd.DataFrame:
    """Return the rows in their order, numbered; raise if one is missing its columns or stands twice."""
    check_columns(what, list(table.columns), [*keys, *columns])
    if not len(table):
        raise DataError(f"{what}: the table has no rows, so there is nothing to draw")
    if table.duplicated(list(keys)).any():
        raise ParameterError(
            f"{what}: the table holds several rows for the same {', '.join(keys)}; "
            "draw one group at a time, with table[table[...] == ...]"
        )
    names = {key: table[key].astype(str) for key in keys if key in ("metric", "variant")}
    return table.reset_index(drop=True).assign(
        **{key: column.to_numpy() for key, column in names.items()}
    )


def numbers(column: pd.Series) -> np.ndarray:
    """Return a column as floats, null as NaN."""
    return pd.to_numeric(column, errors="coerce").to_numpy(float, na_value=np.nan)


def limits(table: pd.DataFrame, point: str, low: str, high: str) -> Limits:
    """Return points and their limits, a null limit as an infinite one, an infinite point as null."""
    at, bottom, top = (numbers(table[name]) for name in (point, low, high))
    return Limits(
        np.where(np.isfinite(at), at, np.nan),
        np.where(np.isnan(bottom), -np.inf, bottom),
        np.where(np.isnan(top), np.inf, top),
    )


def view(drawn: Limits, keep: Sequence[float] = ()) -> tuple[float, float]:
    """Return the ends of an axis that holds 0, ``keep``, and all but limits far beyond the others."""
    ends = np.stack(drawn)[:, np.isfinite(drawn.point)]
    finite = np.where(np.isfinite(ends), ends, 0.0)
    least, most = min([0.0, *finite.ravel(), *keep]), max([0.0, *finite.ravel(), *keep])
    reach = np.abs(finite).max(axis=0)
    usual = max([4 * np.median(reach[reach > 0]) if (reach > 0).any() else 0.1, *np.abs(keep)])
    if max(-least, most) > 1.5 * usual:
        least, most = max(least, -usual), min(most, usual)
    if least == most:
        least, most = -usual, usual
    if not np.isfinite(ends[1]).all():
        least = min(least, -0.3 * most)
    if not np.isfinite(ends[2]).all():
        most = max(most, -0.3 * least)
    room = 0.06 * (most - least)
    return least - room, most + room


def plain(name: object, width: int = 26, lines: int = 1) -> str:
    """Return a name as a label: without underscores, wrapped, cut after that many lines."""
    words = str(name).replace("_", " ")
    return "\n".join(textwrap.wrap(words, width, max_lines=lines, placeholder="…")) or "(no name)"


def spoken(name: object) -> str:
    """Return a name as it stands in a sentence, kept apart from it where it runs from right to left."""
    words = plain(name, 40)
    mirrored = any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in words)
    return f"\u2068{words}\u2069" if mirrored else words


def change(value: float) -> str:
    """Return a relative change as text: +3.1%, -0.42%, +1,240%."""
    size = abs(value)
    return f"{value:+,.{2 if 0 < size < 0.00995 else 1 if 0 < size < 0.995 else 0}%}"


def amount(value: float, _: object = None) -> str:
    """Return a difference in a metric's own unit as text, always with its sign."""
    return f"{'+' if value > 0 else ''}{compact(value)}"


def between(low: float, high: float, told: Callable[[float], str] = change) -> str:
    """Return limits in words, also those that do not end."""
    bottom = told(low) if np.isfinite(low) else "no lower limit"
    top = told(high) if np.isfinite(high) else "no upper limit"
    return "no limits" if np.isinf(low) and np.isinf(high) else f"{bottom} to {top}"


def panels(what: str, ax: Axes | None, metrics: Sequence[str], share_x: bool = True) -> list[Axes]:
    """Return one Axes for each metric, one under the other; a given one holds one metric."""
    if len(metrics) == 1:
        return [axes(ax, 8, 4.2)]
    if ax is not None:
        raise ParameterError(
            f"{what}: the table holds {len(metrics)} metrics and ax= has room for one; "
            "draw table[table['metric'] == ...]"
        )
    size = (8, 1 + (1.9 if share_x else 2.4) * len(metrics))
    figure = plt.figure(FigureClass=Figure, figsize=size, layout="constrained")
    spots = list(figure.subplots(len(metrics), sharex=share_x))
    for spot in spots:
        spot.spines[["top", "right"]].set_visible(False)
    return spots


def legend_below(ax: Axes, names: Sequence[str], dashed: bool = True, points: float = 46) -> None:
    """Name the variants under the words of the x axis, in as many columns as have room."""
    labels = [plain(name, 30) for name in names]
    lines = [
        Line2D([], [], color=each.colour, marker=each.marker, ls=each.dash if dashed else "-", lw=2, ms=7)
        for each in map(look, range(len(names)))
    ]  # fmt: skip
    down = ScaledTranslation(0, -points / 72, ax.figure.dpi_scale_trans)
    ax.legend(
        lines,
        labels,
        frameon=False,
        loc="upper left",
        bbox_to_anchor=(0, 0),
        bbox_transform=ax.transAxes + down,
        borderaxespad=0,
        ncols=max(1, min(len(names), 84 // (max(map(len, labels)) + 7))),
        fontsize=10.5,
        handlelength=3.2,
    )


def open_ends(ax: Axes, at: np.ndarray, drawn: Limits, told: Callable[[float], str]) -> None:
    """Mark limits that go on past the view by arrows, and say where the widest ones go."""
    bottom, top = ax.get_ylim()
    for limit, edge, sign, name in (
        (drawn.high, top, 1, "upper"),
        (-drawn.low, -bottom, -1, "lower"),
    ):
        past = np.isfinite(drawn.point) & (limit > edge)
        if not past.any():
            continue
        edges, arrow = np.full(past.sum(), sign * edge), "^" if sign > 0 else "v"
        ax.plot(at[past], edges, arrow, color=INK, ms=7, clip_on=False, zorder=5)
        endless, ending = past & np.isinf(limit), past & np.isfinite(limit)
        if endless.any():
            _write_end(ax, at[int(endless.argmax())], sign * edge, sign * 4, f"no {name} limit")
        if ending.any():
            widest = int(np.where(ending, limit, -np.inf).argmax())
            down = sign * (19 if endless.any() else 4)
            _write_end(ax, at[widest], sign * edge, down, f"on to {told(sign * limit[widest])}")


def _write_end(ax: Axes, x: float, y: float, down: float, words: str) -> None:
    right = x > np.mean(ax.get_xlim())
    ax.annotate(
        words, (x, y), xytext=(-8 if right else 8, -down),
        textcoords="offset points", ha="right" if right else "left",
        va="top" if down > 0 else "bottom", size=10, color=INK, zorder=6,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.85},
    )  # fmt: skip
