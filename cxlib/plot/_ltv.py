"""Where the future value sits."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from cxlib._checks import check_columns
from cxlib.plot._style import ACCENT, INK, axes, finish, percent, styled


@styled
def ltv(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw how the base's future value spreads over its customers, best tenth first.

    Parameters
    ----------
    table : pandas.DataFrame
        ``deciles()`` of a fit: ``decile`` (1 the best), ``ltv_share``.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> cx.plot.ltv(pd.DataFrame({"decile": [1, 2], "ltv_share": [0.8, 0.2]})).get_ylabel()
    'share of the expected value'
    """
    check_columns("ltv", list(table.columns), ["decile", "ltv_share"])
    ax = axes(ax, 8, 3.8)
    bars = ax.bar(table["decile"].astype(str), table["ltv_share"], color=ACCENT, width=0.7)
    ax.bar_label(bars, [percent(share) for share in table["ltv_share"]], padding=2)
    later = table.iloc[1:]  # the first tenth added up is its own bar
    ax.plot(
        later["decile"].astype(str),
        table["ltv_share"].cumsum().iloc[1:],
        color=INK,
        marker="o",
        ms=4,
        lw=1.2,
        label="added up",
    )
    ax.legend(frameon=False, loc="center right")
    ax.set_ylim(0, 1.08)
    ax.yaxis.set_major_formatter(PercentFormatter(1, 0))
    ax.grid(axis="x", visible=False)
    alt = f"Share of expected future value by tenth of customers; the best tenth holds {percent(table['ltv_share'].iloc[0])}."
    return finish(
        ax,
        "Where the future value sits",
        "tenth of customers, the most valuable first",
        "share of the expected value",
        alt,
    )
