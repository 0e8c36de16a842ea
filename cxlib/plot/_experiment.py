"""Lift of each metric against control."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from cxlib._checks import check_columns
from cxlib.plot._style import ACCENT, INK, axes, finish, styled


@styled
def experiment(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the relative lift of each metric and variant over control, with intervals.

    Parameters
    ----------
    table : pandas.DataFrame
        ``table`` of what `experiment` returned: ``metric``, ``variant``, ``lift``, ``lift_low``,
        ``lift_high``.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> table = pd.DataFrame({"metric": ["conversion"], "variant": ["B"], "lift": [0.1],
    ...                       "lift_low": [-0.02], "lift_high": [0.23]})
    >>> cx.plot.experiment(table).get_xlabel()
    'relative change against control'
    """
    check_columns(
        "experiment", list(table.columns), ["metric", "variant", "lift", "lift_low", "lift_high"]
    )
    shown = table.reset_index(drop=True)
    ax = axes(ax, 8, 1.5 + 0.55 * len(shown))
    lift, low, high = (shown[column].astype(float) for column in ("lift", "lift_low", "lift_high"))
    at = np.arange(len(shown))
    ax.axvline(0, color=INK, lw=1.2)
    known = lift.notna()
    ax.errorbar(
        lift[known],
        at[known],
        xerr=[(lift - low)[known].clip(0), (high - lift)[known].clip(0)],
        fmt="o",
        color=ACCENT,
        ms=7,
        elinewidth=2.2,
        capsize=4,
    )
    for place in at[known]:
        ax.annotate(
            f"{lift[place]:+.1%}",
            (lift[place], place),
            xytext=(0, 9),
            textcoords="offset points",
            ha="center",
            size=10,
        )
    several = shown["variant"].nunique() > 1
    ax.set_yticks(
        at,
        [
            f"{row.metric} ({row.variant})" if several else str(row.metric)
            for row in shown.itertuples()
        ],
    )
    ax.set_ylim(len(shown) - 0.4, -0.7)
    ax.margins(x=0.12)
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    ax.grid(axis="y", visible=False)
    told = "; ".join(
        f"{row.metric} {row.variant} {row.lift:+.1%} ({row.lift_low:+.1%} to {row.lift_high:+.1%})"
        for row in shown[known].itertuples()
    )
    return finish(
        ax,
        "Change against control (lines: 95 % interval)",
        "relative change against control",
        "",
        f"Lift of each metric against control: {told}.",
    )
