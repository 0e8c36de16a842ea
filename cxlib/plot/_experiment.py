"""An experiment's answer: the lift of each metric, and how the units were shared out."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from cxlib._checks import listed
from cxlib.plot._style import INK, axes, finish, styled
from cxlib.plot._treatments import (
    Limits,
    amount,
    between,
    change,
    check_table,
    legend_below,
    limits,
    look,
    numbers,
    plain,
    spoken,
    view,
)

LIFT = ["lift", "lift_low", "lift_high"]
SHARE = ["share", "ci_low", "ci_high"]
ADJUSTED = ["lift_adjusted_low", "lift_adjusted_high"]


@styled
def experiment(
    table: pd.DataFrame, *, interval: str = "95 % interval", ax: Axes | None = None
) -> Axes:
    """Draw the relative lift of each metric and treatment over control, with intervals.

    Parameters
    ----------
    table : pandas.DataFrame
        ``table`` of what `experiment` returned: ``metric``, ``variant``, ``lift``, ``lift_low``,
        ``lift_high`` (fractions; a null or infinite limit is drawn as an arrow). Where there are
        ``lift_adjusted_low`` and ``lift_adjusted_high``, thin lines show them; where there is
        ``margin``, the side of it that a guardrail may not enter is hatched.
    interval : str, default "95 % interval"
        What the lines are, in words.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes

    Raises
    ------
    ColumnError, DataError, ParameterError
        A column is missing; there are no rows; a metric and treatment stand twice (segments).

    See Also
    --------
    cxlib.experiment

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> table = pd.DataFrame({"metric": ["conversion"], "variant": ["B"], "lift": [0.1],
    ...                       "lift_low": [-0.02], "lift_high": [0.23]})
    >>> ax = cx.plot.experiment(table)
    >>> ax.get_xlabel()
    'relative change against control'
    >>> ax.figure.reading
    'conversion of B changes by +10.0% (-2.0% to +23.0%): the interval takes in no change.'
    """
    shown = check_table("experiment", table, ["metric", "variant"], LIFT)
    metrics, variants = (list(dict.fromkeys(shown[key])) for key in ("metric", "variant"))
    drawn = limits(shown, *LIFT)
    wide = _adjusted(shown, drawn)
    margins = numbers(shown["margin"]) if "margin" in shown else np.full(len(shown), np.nan)
    several = len(variants) > 1
    at = shown["metric"].map(metrics.index).to_numpy(float)
    if several:
        at = at * (len(variants) + 0.8) + shown["variant"].map(variants.index).to_numpy(float)
    ax = axes(ax, 8, 1.7 + (0.27 if several else 0.55) * (at.max() + 1))
    ax.set_xlim(view(wide, margins[np.isfinite(margins)]))
    ax.set_ylim(at.max() + 0.8, -0.8)
    ax.axvline(0, color=INK, lw=1.2, zorder=1)
    _draw_margins(ax, at, margins)
    told = [
        f"{change(point)}  ({between(low, high)})" if np.isfinite(point) else "cannot be computed"
        for point, low, high in zip(*drawn, strict=True)
    ]
    for row in range(len(shown)):
        place = variants.index(shown["variant"][row])
        _draw_row(ax, row, at[row], drawn, wide, place, told[row])
    _label_metrics(ax, shown, at, margins)
    if several:
        legend_below(ax, variants, dashed=False)
    reading = _reading(shown, drawn, wide, margins)
    thin = "; thin: allowing for all comparisons" if _differ(drawn, wide) else ""
    whose = "" if several else f" of {plain(variants[0], 24)}"
    return finish(
        ax,
        f"Change{whose} against control\n(lines: {interval}{thin})",
        "relative change against control",
        "",
        _alt(shown, told, reading),
        reading,
    )


def _adjusted(shown: pd.DataFrame, drawn: Limits) -> Limits:
    """Return the lifts with their adjusted limits, and the plain ones where nothing was adjusted."""
    if not set(ADJUSTED) <= set(shown.columns):
        return drawn
    low, high = (numbers(shown[name]) for name in ADJUSTED)
    none = np.isnan(low) & np.isnan(high)
    own = limits(shown, "lift", *ADJUSTED)
    return Limits(
        drawn.point, np.where(none, drawn.low, own.low), np.where(none, drawn.high, own.high)
    )


def _differ(drawn: Limits, wide: Limits) -> bool:
    known = np.isfinite(drawn.point)
    pairs = ((drawn.low, wide.low), (drawn.high, wide.high))
    return any(not np.allclose(one[known], other[known]) for one, other in pairs)


def _draw_row(
    ax: Axes, row: int, at: float, drawn: Limits, wide: Limits, place: int, words: str
) -> None:
    """Draw one lift: the point, a thick line over its interval, a thin one over the adjusted one."""
    point, low, high = (part[row] for part in drawn)
    ax.annotate(words, (1.03, at), xycoords=("axes fraction", "data"), va="center", size=10)
    if np.isnan(point):
        return
    colour, marker, _ = look(place)
    left, right = ax.get_xlim()
    ends = (low, high), (wide.low[row], wide.high[row])
    for (start, end), thick in zip(ends, (3.0, 1.1), strict=True):
        ax.hlines(at, max(start, left), min(end, right), color=colour, lw=thick, zorder=2)
    outer = (
        (left, "<", min(low, wide.low[row]) < left),
        (right, ">", max(high, wide.high[row]) > right),
    )
    for edge, arrow, goes_on in outer:
        if goes_on:
            ax.plot(edge, at, arrow, color=colour, ms=8, clip_on=False, zorder=4)
    if left <= point <= right:
        ax.plot(point, at, marker, color=colour, ms=7.5, mec="white", mew=0.8, zorder=5)


def _draw_margins(ax: Axes, at: np.ndarray, margins: np.ndarray) -> None:
    """Hatch what lies past each guardrail's margin."""
    left, right = ax.get_xlim()
    for place, margin in zip(at, margins, strict=True):
        if np.isfinite(margin):
            end = left if margin < 0 else right
            spot = (min(margin, end), place - 0.5)
            ax.add_patch(Rectangle(spot, abs(end - margin), 1, fc="none", ec="#c3cad1", hatch="////", lw=0, zorder=0))  # fmt: skip
            ax.vlines(margin, place - 0.5, place + 0.5, color=INK, lw=2, ls=(0, (2, 1)), zorder=3)


def _label_metrics(ax: Axes, shown: pd.DataFrame, at: np.ndarray, margins: np.ndarray) -> None:
    rows = pd.DataFrame({"metric": shown["metric"], "at": at, "margin": margins})
    if "role" in shown:
        rows["role"] = shown["role"]
    labels, places = [], []
    for metric, part in rows.groupby("metric", sort=False):
        margin = part["margin"].iloc[0]
        guards = "role" in part and part["role"].iloc[0] == "guardrail"
        words = ["guardrail"] if guards or np.isfinite(margin) else []
        words += [f"margin {change(margin)}"] if np.isfinite(margin) else []
        labels.append(plain(metric, 26, 2) + (f"\n({', '.join(words)})" if words else ""))
        places.append(part["at"].mean())
    ax.set_yticks(places, labels)
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    ax.grid(axis="y", visible=False)


def _alt(shown: pd.DataFrame, told: list[str], reading: str) -> str:
    if len(shown) > 12:
        return f"Lift of {shown['metric'].nunique()} metrics against control. {reading}"
    rows = zip(shown["metric"], shown["variant"], told, strict=True)
    words = [f"{plain(metric, 60)} {plain(variant, 60)} {lift}" for metric, variant, lift in rows]
    return f"Lift of each metric against control: {'; '.join(words)}.".replace("  (", " (")


def _reading(shown: pd.DataFrame, drawn: Limits, wide: Limits, margins: np.ndarray) -> str:
    """Count the (adjusted) intervals that leave out no change, and those that pass their margin."""
    several = shown["variant"].nunique() > 1
    names = np.array(
        [
            spoken(row.metric) + (f" in {spoken(row.variant)}" if several else "")
            for row in shown.itertuples()
        ]
    )
    known = np.isfinite(drawn.point)
    up, down = known & (wide.low > 0), known & (wide.high < 0)
    if len(shown) == 1 and known[0]:
        words = (
            f"{names[0]} of {spoken(shown['variant'][0])} changes by {change(drawn.point[0])} "
            f"({between(drawn.low[0], drawn.high[0])}): the interval "
            f"{'leaves out' if up[0] or down[0] else 'takes in'} no change"
        )
    else:
        kinds = {"wholly above no change": up, "wholly below it": down, "across it": known & ~up & ~down, "not computed": ~known}  # fmt: skip
        words = f"Of {len(shown)} intervals, " + "; ".join(
            f"{kind}: {which.sum()}"
            + (f" ({listed(names[which], 3)})" if which.any() and kind != "across it" else "")
            for kind, which in kinds.items()
            if which.any() or "no change" in kind
        )
    guards = known & np.isfinite(margins)
    if guards.any():
        out = guards & ~np.where(margins < 0, drawn.low > margins, drawn.high < margins)
        words += f"; guardrails whose interval stays within the margin: {(guards & ~out).sum()} of {guards.sum()}"
        words += f" (not {listed(names[out], 3)})" if out.any() else ""
    return f"{words}."


@styled
def sample_ratio(
    table: pd.DataFrame, *, interval: str = "95 % interval", ax: Axes | None = None
) -> Axes:
    """Draw how far each variant's share of the units is from the share that was planned.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per variant: ``variant``, ``n_units``, ``share``, ``ci_low``, ``ci_high``,
        ``planned_share`` (fractions of all units).
    interval : str, default "95 % interval"
        What the lines are, in words.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes

    Raises
    ------
    ColumnError, DataError, ParameterError
        A column is missing; there are no rows; a variant stands twice.

    See Also
    --------
    cxlib.experiment

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> table = pd.DataFrame({"variant": ["A", "B"], "n_units": [5_200, 4_800],
    ...     "share": [0.52, 0.48], "ci_low": [0.51, 0.47], "ci_high": [0.53, 0.49],
    ...     "planned_share": [0.5, 0.5]})
    >>> cx.plot.sample_ratio(table).figure.reading
    'A holds 52.00% of the 10,000 units (51.00% to 53.00%) where 50.00% were planned, furthest from the plan of 2 variants: its interval leaves the plan out.'
    """
    shown = check_table("sample ratio", table, ["variant"], ["n_units", *SHARE, "planned_share"])
    planned, n = numbers(shown["planned_share"]), numbers(shown["n_units"])
    share = limits(shown, *SHARE)
    off = Limits(*(100 * (part - planned) for part in share))
    off = Limits(off.point, *(np.where(np.isnan(end), way, end) for end, way in zip(off[1:], (-np.inf, np.inf), strict=True)))  # fmt: skip
    ax = axes(ax, 8, 1.7 + 0.5 * len(shown))
    ax.set_xlim(view(off))
    ax.set_ylim(len(shown) - 0.4, -0.6)
    ax.axvline(0, color=INK, lw=1.4, ls=(0, (4, 2)), zorder=1)
    for row in range(len(shown)):
        words = f"{share.point[row]:.2%}, planned {planned[row]:.2%}"
        if np.isinf([off.low[row], off.high[row]]).any():
            words += f"\n({between(share.low[row], share.high[row], '{:.2%}'.format)})"
        _draw_row(ax, row, row, off, off, 0, words if np.isfinite(off.point[row]) else "no planned share")  # fmt: skip
    labels = [f"{plain(name, 26, 2)} ({count:,.0f})" for name, count in zip(shown["variant"], n, strict=True)]  # fmt: skip
    ax.set_yticks(range(len(shown)), labels)
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.xaxis.set_major_formatter(FuncFormatter(amount))
    ax.grid(axis="y", visible=False)
    told = "; ".join(
        f"{plain(name, 60)} {count:,.0f} units, {at:.2%}, "
        + (f"planned {plan:.2%}" if np.isfinite(plan) else "no planned share")
        for name, count, at, plan in zip(shown["variant"], n, share.point, planned, strict=True)
    )
    return finish(
        ax,
        f"Were the units shared out as planned?\n(dashed: the plan; lines: {interval})",
        "share less the planned share, in percentage points",
        "",
        f"Share of the units of each variant against the plan: {told}.",
        _share_reading(shown, share, off, planned, n),
    )


def _share_reading(
    shown: pd.DataFrame, share: Limits, off: Limits, planned: np.ndarray, n: np.ndarray
) -> str:
    if not np.isfinite(off.point).any():
        return "No share was planned that the units could be held against."
    outside = np.maximum(off.low, -off.high)  # above 0 where the plan is not in the interval
    far = int(np.nanargmax(np.where(np.isnan(off.point), -np.inf, np.where(np.isfinite(outside), outside, -1e9))))  # fmt: skip
    return (
        f"{spoken(shown['variant'][far])} holds {share.point[far]:.2%} of the {np.nansum(n):,.0f} units "
        f"({between(share.low[far], share.high[far], '{:.2%}'.format)}) where {planned[far]:.2%} were "
        f"planned, furthest from the plan of {len(shown)} variants: its interval "
        f"{'leaves the plan out' if outside[far] > 0 else 'takes the plan in'}."
    )
