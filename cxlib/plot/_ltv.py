"""Where the future value sits: in which customers, and in which segments."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, PercentFormatter

from cxlib._checks import ColumnError, check_columns
from cxlib.plot._style import ACCENT, INK, SOFT, axes, compact, finish, percent, styled

MOST_SEGMENTS = 20
SPREAD = ["ltv_p10", "ltv_median", "ltv_p90"]


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

    See Also
    --------
    cxlib.fit_ltv

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
    run = table[table["decile"].to_numpy() == range(1, len(table) + 1)]  # up to a hidden tenth
    ax.plot(
        run["decile"].astype(str).iloc[1:],  # the first tenth added up is its own bar
        run["ltv_share"].cumsum().iloc[1:],
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
    reading = _share_reading(table["ltv_share"])
    return finish(
        ax,
        "Where the future value sits",
        "tenth of customers, the most valuable first",
        "share of the expected value",
        f"Share of expected future value by tenth of customers. {reading}",
        reading,
    )


def _share_reading(shares: pd.Series) -> str:
    best = percent(shares.iloc[0])
    if len(shares) < 10:  # fewer customers than tenths
        return f"The first of {len(shares)} groups of customers holds {best} of the value to come."
    return (
        f"The best tenth of customers holds {best} of the value to come, the best three tenths "
        f"{percent(shares.iloc[:3].sum())}, the last five {percent(shares.iloc[5:].sum())}."
    )


@styled
def ltv_segments(
    table: pd.DataFrame, *, currency: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw what the customers of each segment are worth: their mean with its interval, their spread.

    Parameters
    ----------
    table : pandas.DataFrame
        ``segments()`` of a fit: the segment first, ``n_customers``, ``ltv_per_customer``,
        ``ltv_per_customer_low``, ``ltv_per_customer_high``; with ``ltv_p10``, ``ltv_median`` and
        ``ltv_p90`` also how far customers of a segment lie apart. The 20 segments with the most
        customers are drawn.
    currency : str, optional
        What the values are in, such as "GBP".
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes

    See Also
    --------
    cxlib.fit_ltv

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> table = pd.DataFrame({"country": ["DE"], "n_customers": [120], "ltv_per_customer": [31.0],
    ...     "ltv_per_customer_low": [28.0], "ltv_per_customer_high": [34.0]})
    >>> ax = cx.plot.ltv_segments(table, currency="EUR")
    >>> ax.figure.reading
    'A customer of DE is worth 31.0 EUR (28.0 to 34.0).'
    """
    value = "ltv_per_customer"
    if value in table.columns and f"{value}_low" not in table.columns:
        raise ColumnError(
            "ltv segments: no intervals; give segments() with intervals=True, its default"
        )
    check_columns(
        "ltv segments", list(table.columns), ["n_customers", value, f"{value}_low", f"{value}_high"]
    )
    group = str(table.columns[0])
    shown = table.nlargest(MOST_SEGMENTS, "n_customers").sort_values(value, ignore_index=True)
    ax = axes(ax, 8, 2.2 + 0.45 * len(shown))
    if set(SPREAD) <= set(table.columns):
        _draw_spread(ax, shown)
    spread = [shown[value] - shown[f"{value}_low"], shown[f"{value}_high"] - shown[value]]
    ax.errorbar(
        shown[value], range(len(shown)), xerr=[side.clip(lower=0) for side in spread], fmt="o",
        color=INK, ms=6, elinewidth=2, capsize=4, label="mean of its customers, 95 % interval",
    )  # fmt: skip
    labels = [f"{name} ({n:,})" for name, n in zip(shown[group], shown["n_customers"], strict=True)]
    ax.set_yticks(range(len(shown)), labels)
    ax.set_ylim(-0.6, len(shown) - 0.4)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_formatter(FuncFormatter(compact))
    ax.grid(axis="y", visible=False)
    ax.legend(
        frameon=False,
        loc="upper left",
        bbox_to_anchor=(-0.02, -0.7 / (0.45 * len(shown) + 1)),
    )
    title = "What a customer of each segment is worth"
    if len(shown) < len(table):
        title += f" ({len(shown)} largest of {len(table):,})"
    words = f"expected value per customer, {currency or 'in the currency'}"
    alt = (
        f"Expected value per customer by {group.replace('_', ' ')}, with 95 % intervals; the highest is "
        f"{shown[group].iloc[-1]} at {compact(shown[value].iloc[-1])}."
    )
    return finish(ax, title, words, "", alt, _segments_reading(shown, group, currency))


def _draw_spread(ax: Axes, shown: pd.DataFrame) -> None:
    low, middle, high = (shown[name] for name in SPREAD)
    at = range(len(shown))
    ax.barh(
        at,
        high - low,
        left=low,
        height=0.5,
        color=SOFT,
        label="the middle eight in ten (white: the median)",
    )
    ax.plot(middle, at, "|", color="white", ms=13, mew=2.5)


def _money(value: float) -> str:
    return f"{value:,.1f}" if abs(value) < 1000 else compact(value)


def _segments_reading(shown: pd.DataFrame, group: str, currency: str | None) -> str:
    """Name the first and the last of segments in rising order, and the spread in the largest."""

    def told(row: pd.Series) -> str:
        value, *ends = (_money(row[f"ltv_per_customer{end}"]) for end in ("", "_low", "_high"))
        return f"{value}{f' {currency}' if currency else ''} ({' to '.join(ends)})"

    best, least = shown.iloc[-1], shown.iloc[0]
    words = f"A customer of {best[group]} is worth {told(best)}"
    if len(shown) > 1:
        words = f"{words}, the most, and one of {least[group]} {told(least)}, the least"
    if set(SPREAD) <= set(shown.columns):
        most = shown.iloc[int(shown["n_customers"].to_numpy().argmax())]
        low, middle, high = (_money(most[name]) for name in SPREAD)
        words += (
            f"; of the customers of {most[group]} half are worth less than {middle}, and the middle "
            f"eight in ten from {low} to {high}"
        )
    return f"{words}."
