"""What lies behind an experiment's answer: the values in each variant, and the power it was given."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from cxlib._checks import DataError, ParameterError, check_columns, listed
from cxlib.plot._style import GREY, INK, axes, compact, finish, percent, styled
from cxlib.plot._treatments import (
    amount,
    change,
    check_table,
    legend_below,
    look,
    numbers,
    panels,
    plain,
    spoken,
)


@styled
def experiment_distribution(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw how a metric's values spread over the units of each variant.

    Every bin is as wide as the others in the picture, whatever its edges, which are written below;
    its height is its share of the variant's units.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per metric, variant and bin: ``metric``, ``variant``, ``low`` and ``high`` (the bin's
        edges in the metric's unit; equal for one value, null or infinite for a bin without an end),
        ``n_units``, ``share``.
    ax : Axes, optional
        Where to draw one metric; a new figure otherwise, with the metrics one under the other.

    Returns
    -------
    Axes
        That of the first metric.

    Raises
    ------
    ColumnError, DataError, ParameterError
        A column is missing; there are no rows; a bin of a metric and variant stands twice.

    See Also
    --------
    cxlib.experiment

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> table = pd.DataFrame({"metric": "revenue", "variant": ["A", "A", "B", "B"],
    ...     "low": [0, 10, 0, 10], "high": [10, 20, 10, 20], "n_units": [60, 40, 50, 50],
    ...     "share": [0.6, 0.4, 0.5, 0.5]})
    >>> cx.plot.experiment_distribution(table).figure.reading
    'The variants differ most in the units with revenue from 0 to 10: 60% of A and 50% of B.'
    """
    keys, what = ["metric", "variant", "low", "high"], "experiment distribution"
    shown = check_table(what, table, keys, ["n_units", "share"])
    shown = shown.assign(
        low=np.nan_to_num(numbers(shown["low"]), nan=-np.inf, posinf=np.inf, neginf=-np.inf),
        high=np.nan_to_num(numbers(shown["high"]), nan=np.inf, posinf=np.inf, neginf=-np.inf),
        share=numbers(shown["share"]),
    )
    variants = list(dict.fromkeys(shown["variant"]))
    metrics = list(shown.groupby("metric", sort=False))
    spots = panels(what, ax, [str(name) for name, _ in metrics], share_x=False)
    for spot, (metric, rows) in zip(spots, metrics, strict=True):
        _draw_bins(
            spot, rows.pivot(index=["low", "high"], columns="variant", values="share"), variants
        )
        spot.set_title(plain(metric, 60), size=11, weight="normal")
    if len(variants) > 1:
        legend_below(spots[-1], variants, points=60)
    spots[-1].set_xlabel("value per unit, in the metric's unit: edges of the bins")
    reading = _bins_reading(str(metrics[0][0]), metrics[0][1])
    n = ", ".join(
        f"{plain(name, 60)} {numbers(part['n_units']).sum():,.0f} units"
        for name, part in metrics[0][1].groupby("variant", sort=False)
    )
    one = len(metrics) == 1
    if not one:
        spots[0].figure.supylabel("share of the variant's units", size=11)
    return finish(
        spots[0],
        f"How the values spread over the units\n{plain(metrics[0][0], 60)}",
        spots[0].get_xlabel(),
        "share of the variant's units" if one else "",
        f"Histograms by variant of {listed(plain(name) for name, _ in metrics)} ({n}). {reading}",
        reading,
    )


def _draw_bins(ax: Axes, shares: pd.DataFrame, variants: list[str]) -> None:
    """Draw a stepped line per variant; a bin that dwarfs the others is cut and its shares written."""
    shares = shares.sort_index().reindex(columns=variants)
    heights = np.sort(shares.max(axis=1).fillna(0).to_numpy())
    cut = len(heights) > 3 and heights[-1] > 4 * heights[-2] > 0
    top = 1.35 * heights[-2] if cut else max(1.1 * heights[-1], 1e-9)
    every = max(1, len(heights) * len(variants) // 48)  # markers that do not hide one another
    for place, name in enumerate(variants):
        how, values = look(place), shares[name].fillna(0).to_numpy()
        ax.stairs(np.minimum(values, 2 * top), color=how.colour, ls=how.dash, lw=1.9)
        middle = np.arange(len(values)) + (place + 1) / (len(variants) + 1)
        seen = (values <= top) & (np.arange(len(values)) % every == place % every)
        ax.plot(middle[seen], values[seen], how.marker, color=how.colour, ms=5)
    ax.set_ylim(0, top)
    ax.set_xlim(0, len(shares))
    if cut:
        _write_cut(ax, shares, top)
    _write_edges(ax, shares)
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    ax.grid(axis="x", visible=False)


def _write_cut(ax: Axes, shares: pd.DataFrame, top: float) -> None:
    place = int(shares.max(axis=1).to_numpy().argmax())
    least, most = shares.iloc[place].min(), shares.iloc[place].max()
    right = place + 0.5 > len(shares) / 2
    ax.plot(place + 0.5, top, "^", color=INK, ms=8, clip_on=False, zorder=5)
    ax.annotate(
        f"goes on to {least:.1%}" + (f" and {most:.1%}" if f"{least:.1%}" != f"{most:.1%}" else ""),
        (place if right else place + 1, top), xytext=(-6 if right else 6, -6),
        textcoords="offset points", ha="right" if right else "left", va="top", size=10,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.85},
    )  # fmt: skip


def _write_edges(ax: Axes, shares: pd.DataFrame) -> None:
    """Write each edge where bins meet, and a bin of one value or without an end in its middle."""
    labels: dict[float, str] = {}
    for place, (low, high) in enumerate(shares.index):
        if low == high or np.isinf(low) or np.isinf(high):
            labels[place + 0.5] = _bin(low, high).replace(" ", "\n", 1)
        else:
            labels |= {place: compact(low), place + 1: compact(high)}
    whole = sorted(at for at in labels if at == int(at))
    every = max(1, -(-len(whole) // 9))
    alone = [at for at in labels if at != int(at)]
    kept = [
        at for at in whole[::every] if all(abs(at - other) > len(shares) / 14 for other in alone)
    ]
    at = sorted(kept + alone)
    ax.set_xticks(at, [labels[place] for place in at])


def _bin(low: float, high: float) -> str:
    if low == high:
        return f"just {compact(low)}"
    if np.isinf(low) or np.isinf(high):
        return (
            "any value" if np.isinf(low) and np.isinf(high)
            else f"under {compact(high)}" if np.isinf(low) else f"from {compact(low)}"
        )  # fmt: skip
    return f"from {compact(low)} to {compact(high)}"


def _bins_reading(metric: str, rows: pd.DataFrame) -> str:
    """Name the bin in which two variants' shares are furthest apart."""
    shares = rows.pivot(index=["low", "high"], columns="variant", values="share").fillna(0)
    names, heights = [spoken(name) for name in shares.columns], shares.to_numpy(float)
    one = len(names) == 1
    most = int((heights[:, 0] if one else np.ptp(heights, axis=1)).argmax())
    high, low = int(heights[most].argmax()), int(heights[most].argmin())
    where = f"{spoken(metric)} {_bin(*shares.index.to_list()[most])}"
    told = f"{percent(heights[most, high])} of {names[high]}"
    if one:
        return f"The fullest bin is {where}: it holds {told}."
    return (
        f"The variants differ most in the units with {where}: {told} and "
        f"{percent(heights[most, low])} of {names[low]}."
    )


@styled
def power_curve(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the chance of finding an effect, by its size and the number of units.

    Parameters
    ----------
    table : pandas.DataFrame
        ``curve`` of a plan: ``lift`` (relative, a fraction), ``n_units``, ``power``; a line for each
        number of units, or one line over them where there is one lift. Where there is ``is_plan``,
        its row is marked. Without any lift (a baseline of 0) ``difference`` takes its place.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes

    Raises
    ------
    ColumnError, DataError, ParameterError
        A column is missing; there is no row with an effect and a power; there are more than 8 lines.

    See Also
    --------
    cxlib.plan_experiment

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> table = pd.DataFrame({"lift": [0.0, 0.1, 0.2], "n_units": 16_000,
    ...     "power": [0.05, 0.29, 0.8], "is_plan": [False, False, True]})
    >>> cx.plot.power_curve(table).figure.reading
    'With 16,000 units an effect of +20.0% is found with a chance of 80%.'
    """
    check_columns("power curve", list(table.columns), ["lift", "n_units", "power"])
    lift, words = numbers(table["lift"]), "relative change to be found"
    relative = bool(np.isfinite(lift).any()) or "difference" not in table
    if not relative:
        lift, words = numbers(table["difference"]), "difference to be found, in the metric's unit"
    shown = pd.DataFrame(
        {"effect": lift, "n_units": numbers(table["n_units"]), "power": numbers(table["power"])}
    )
    shown["is_plan"] = table["is_plan"].to_numpy(bool) if "is_plan" in table else False
    shown = shown[np.isfinite(lift) & shown[["n_units", "power"]].notna().all(axis=1)]
    shown = shown.sort_values(["n_units", "effect"])
    if not len(shown):
        raise DataError("power curve: no row has an effect, units and a power; nothing to draw")
    told = change if relative else amount
    by_units = shown["effect"].nunique() == 1 < shown["n_units"].nunique()
    ax = axes(ax, 8, 4.2)
    x, words = (
        ("n_units", "units in the experiment, all variants") if by_units else ("effect", words)
    )
    _draw_power(ax, shown, x)
    ax.xaxis.set_major_locator(MaxNLocator(6))
    percents = relative and not by_units
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=None) if percents else FuncFormatter(compact))  # fmt: skip
    reading = _power_reading(shown, told)
    return finish(
        ax,
        "What the experiment can find",
        words,
        "power: chance that it is found",
        f"Curves of power by {words}. {reading}",
        reading,
    )


def _draw_power(ax: Axes, shown: pd.DataFrame, x: str) -> None:
    lines = [shown] if x == "n_units" else [part for _, part in shown.groupby("n_units")]
    if len(lines) > 8:
        raise ParameterError(
            f"power curve: {len(lines)} numbers of units are too many lines; keep 8 at most, with "
            "table[table['n_units'].isin([...])]"
        )
    for place, part in enumerate(lines):
        how, label = look(place), "" if x == "n_units" else f"{part['n_units'].iloc[0]:,.0f} units"
        ax.plot(part[x], part["power"], color=how.colour, ls=how.dash, lw=2, label=label)
    for _, plan in shown[shown["is_plan"]].iterrows():
        ax.plot(
            plan[x], plan["power"], "D", color=INK, ms=9, mec="white", zorder=5, label="the plan"
        )
        ax.hlines(plan["power"], *sorted((0, plan[x])), color=GREY, lw=1, ls=":")
        ax.vlines(plan[x], 0, plan["power"], color=GREY, lw=1, ls=":")
    if len(lines) > 1 or shown["is_plan"].any():
        ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    ax.set_ylim(0, 1.04)
    ax.yaxis.set_major_formatter(PercentFormatter(1, 0))


def _power_reading(shown: pd.DataFrame, told: Callable[[float], str]) -> str:
    """Speak of the plan, or else of the largest effect with the most units."""
    plan = (shown[shown["is_plan"]] if shown["is_plan"].any() else shown).iloc[-1]
    words = (
        f"With {plan['n_units']:,.0f} units an effect of {told(plan['effect'])} is found with a chance "
        f"of {percent(plan['power'])}"
    )
    same = shown[np.isclose(shown["effect"], plan["effect"])].drop_duplicates("n_units")
    rest = same[same["n_units"] != plan["n_units"]]
    others = [
        f"{percent(power)} with {n:,.0f}" for n, power in rest[["n_units", "power"]].to_numpy(float)
    ]
    return f"{words}{'; it is ' + listed(others, 3) if 0 < len(others) <= 3 else ''}."
