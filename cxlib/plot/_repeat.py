"""The way to the second order, and the map of segments."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from cxlib._checks import check_columns
from cxlib.plot._style import (
    DASHES,
    MOST_BANDS,
    axes,
    compact,
    finish,
    group_column,
    groups_of,
    legend_of_groups,
    percent,
    styled,
)

MARKS = (0, 30, 60, 90, 180, 365, 730, 1095, 1460, 1825)
"""Days at which the customers at risk are written below the curve."""


@styled
def time_to_second_order(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the share that has ordered again by each day, with its band, a line for each group.

    Parameters
    ----------
    table : pandas.DataFrame
        What `time_to_second_order` returned: ``days``, ``n_at_risk``, ``repeat_rate``, ``ci_low``,
        ``ci_high``.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes

    See Also
    --------
    cxlib.time_to_second_order

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> table = pd.DataFrame({"days": [5, 40], "n_at_risk": [100, 60], "n_second_orders": [20, 6],
    ...     "repeat_rate": [0.2, 0.28], "ci_low": [0.13, 0.2], "ci_high": [0.29, 0.38]})
    >>> cx.plot.time_to_second_order(table).figure.reading
    'By day 30, 20% had ordered again (13% to 29%), by day 40, the last seen, 28% (20% to 38%).'
    """
    columns = ["days", "n_at_risk", "repeat_rate", "ci_low", "ci_high"]
    check_columns("time_to_second_order", list(table.columns), columns)
    ax = axes(ax, 8, 4.2)
    by = group_column(table, {"days"})
    groups = groups_of(table, by)
    bands = len(groups) <= MOST_BANDS
    for place, (name, part, colour) in enumerate(groups):
        days, rate, low, high = (
            [0.0, *part[column].astype(float)]
            for column in ("days", "repeat_rate", "ci_low", "ci_high")
        )
        if bands:
            ax.fill_between(days, low, high, step="post", color=colour, alpha=0.18, lw=0)
        ax.step(days, rate, where="post", color=colour, ls=DASHES[place % 4], label=name)
    if by:
        legend_of_groups(ax, by, len(groups))
    last = int(table["days"].max()) if len(table) else 1
    marks = [day for day in MARKS if day <= last] if last >= 60 else [0, last]
    if len(marks) > 5:  # the labels of the first days would run into one another
        marks = [day for day in marks if day not in (30, 60)]
    ax.set_xticks(marks, [f"{day}\n{_at_risk(table, by, day):,}" for day in marks])
    ax.set_xlim(0, max(last, 1))
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    reading = _wait_reading(groups)
    return finish(
        ax,
        f"How long to the second order{' (band: 95 % interval)' if bands else ''}",
        "days since the first order, and customers still watched who had not ordered again",
        "share that has ordered again",
        f"Kaplan-Meier curve of the time to the second order. {reading}",
        reading,
    )


def _at_risk(table: pd.DataFrame, by: str | None, day: int) -> int:
    """Return who was at risk at the first known day from ``day`` on, all groups together."""
    later = table[table["days"] >= day]
    first = later.drop_duplicates(by) if by else later.head(1)
    return int(first["n_at_risk"].sum())


def _wait_reading(groups: list) -> str:
    if not len(groups[0][1]):
        return "Nobody has ordered a second time."

    def told(part: pd.DataFrame, day: int) -> str:
        row = part[part["days"] <= day].iloc[-1]
        rate = percent(row["repeat_rate"])
        if pd.isna(row["ci_low"]):
            return rate
        return f"{rate}{{}} ({percent(row['ci_low'])} to {percent(row['ci_high'])})"

    def line(part: pd.DataFrame) -> str:
        last, first = int(part["days"].iloc[-1]), int(part["days"].iloc[0])
        known = [day for day in (365, 90, 30) if first <= day < last]
        end = f"by day {last}, the last seen, {told(part, last).format('')}"
        if not known:
            return f"{end} had ordered again"
        begin = told(part, known[-1])
        begin = (
            begin.format(" had ordered again") if "{}" in begin else f"{begin} had ordered again"
        )
        return f"by day {known[-1]}, {begin}, {end}"

    if len(groups) == 1:
        words = line(groups[0][1])
        return f"{words[0].upper()}{words[1:]}."
    return f"{'; '.join(f'{name}: {line(part)}' for name, part, _ in groups[:4])}."


@styled
def segment_sizes(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the map of segments: where each lies by recency and frequency, its customers, its value.

    Parameters
    ----------
    table : pandas.DataFrame
        What `segment_sizes` returned: ``segment``, ``recency``, ``frequency``, ``n``, ``share``,
        ``revenue_share``, ``net_revenue_per_customer``.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes

    See Also
    --------
    cxlib.segment_sizes

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> table = pd.DataFrame({"segment": ["champions", "new"], "recency": ["5", "5"],
    ...     "frequency": ["4-5", "1"], "n": [30, 70], "share": [0.3, 0.7],
    ...     "revenue_share": [0.8, 0.2], "net_revenue_per_customer": [80.0, 9.0]})
    >>> cx.plot.segment_sizes(table).figure.reading
    'Champions are 30% of the customers and brought 80% of the revenue; the most customers, 70%, are new.'
    """
    columns = ["segment", "recency", "frequency", "n", "share", "revenue_share"]
    value = "net_revenue_per_customer"
    check_columns("segment_sizes", list(table.columns), [*columns, value])
    ax = axes(ax, 9.5, 6)
    shades = sns.color_palette("Blues", as_cmap=True)
    most = max(float(table["revenue_share"].max()), 0.01)
    for row in table.to_dict("records"):
        (left, right), (low, high) = _ends(row["recency"]), _ends(row["frequency"])
        depth = 0.0 if pd.isna(row["revenue_share"]) else row["revenue_share"] / most
        box = Rectangle(
            (left - 0.5, low - 0.5), right - left + 1, high - low + 1,
            fc=shades(0.08 + 0.8 * depth), ec="white", lw=2,
        )  # fmt: skip
        ax.add_patch(box)
        revenue = (
            "" if pd.isna(row["revenue_share"]) else f"{percent(row['revenue_share'])} revenue"
        )
        ax.text(
            (left + right) / 2, (low + high) / 2,
            f"{row['segment'].replace(' ', chr(10)) if left == right else row['segment']}\n"
            f"{row['n']:,} ({percent(row['share'])})\n{revenue}\n{compact(row[value])} each",
            ha="center", va="center", fontsize=8, linespacing=1.25,
            color="white" if depth > 0.6 else None,
        )  # fmt: skip
    ax.set(xlim=(0.5, 5.5), ylim=(0.5, 5.5), xticks=range(1, 6), yticks=range(1, 6))
    ax.grid(False)
    best = table.iloc[int(table["revenue_share"].astype(float).fillna(-1).to_numpy().argmax())]
    many = table.iloc[int(table["n"].to_numpy().argmax())]
    reading = f"The most customers, {percent(many['share'])}, are {many['segment']}."
    if pd.notna(best["revenue_share"]):
        reading = (
            f"{best['segment'].capitalize()} are {percent(best['share'])} of the customers and brought "
            f"{percent(best['revenue_share'])} of the revenue; the most customers, "
            f"{percent(many['share'])}, are {many['segment']}."
        )
    return finish(
        ax,
        "Segments by recency and frequency (darker: more of the revenue)",
        "recency: fifth of customers, 5 ordered last",
        "frequency: fifth of customers, 5 ordered most often",
        f"Map of {len(table)} segments by fifths of recency and frequency. {reading}",
        reading,
    )


def _ends(fifths: str) -> tuple[int, int]:
    low, _, high = str(fifths).partition("-")
    return int(low), int(high or low)


@styled
def rfm_movement(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw who moved from which segment to which: shares of the segment they were in.

    Parameters
    ----------
    table : pandas.DataFrame
        What `rfm_movement` returned: ``from_segment``, ``to_segment``, ``n``, ``share``.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes

    See Also
    --------
    cxlib.rfm_movement

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> table = pd.DataFrame({"from_segment": ["champions", "champions"], "n": [70, 30],
    ...     "to_segment": ["champions", "at risk"], "share": [0.7, 0.3]})
    >>> cx.plot.rfm_movement(table).figure.reading
    '70 of 100 customers stayed in their segment. The largest move was champions to at risk, 30.'
    """
    columns = ["from_segment", "to_segment", "n", "share"]
    check_columns("rfm_movement", list(table.columns), columns)
    shares = table.pivot(index="from_segment", columns="to_segment", values="share").astype(float)
    rows = list(dict.fromkeys(table["from_segment"]))
    ends = [name for name in rows if name in shares.columns]
    ends += [name for name in dict.fromkeys(table["to_segment"]) if name not in ends]
    shares = shares.loc[rows, ends]
    full = (
        table[table["n"] > 0].groupby("from_segment").first()
    )  # any row tells: some may be hidden
    sizes = (full["n"] / full["share"]).astype(float).round().astype(int)
    ax = axes(ax, 3.5 + 0.6 * len(ends), 2.2 + 0.4 * len(rows))
    sns.heatmap(
        shares, ax=ax, cmap="Blues", vmin=0, cbar=False, fmt="", linewidths=0.5, linecolor="white",
        annot=shares.map(lambda share: "" if pd.isna(share) else f"{100 * share:.0f}"),
        yticklabels=[f"{name}   {sizes[name]:,}" for name in rows], annot_kws={"in_layout": False},
    )  # fmt: skip
    ax.tick_params(axis="both", length=0)
    ax.set_xticks(ax.get_xticks(), ends, rotation=30, ha="right")
    ax.grid(False)
    sentences = _movement_reading(table)
    return finish(
        ax,
        "Where customers moved, % of the segment they were in",
        "segment at the end",
        "segment before, and customers",
        f"Heat map of moves between {len(rows)} and {len(ends)} segments. {' '.join(sentences)}",
        *sentences,
    )


def _movement_reading(table: pd.DataFrame) -> list[str]:
    before = table[~table["from_segment"].str.startswith("(")]
    stayed = before.loc[before["from_segment"] == before["to_segment"], "n"].sum()
    words = f"{stayed:,} of {before['n'].sum():,} customers stayed in their segment."
    moved = before[before["from_segment"] != before["to_segment"]]
    if moved.empty:
        return [words]
    most = moved.iloc[int(moved["n"].to_numpy().argmax())]
    way = f"{most['from_segment']} to {most['to_segment']}"
    return [words, f"The largest move was {way}, {most['n']:,}."]
