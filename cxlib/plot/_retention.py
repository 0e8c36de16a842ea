"""The cohort heat map and the average curve."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from cxlib._checks import ParameterError, check_columns
from cxlib.plot._style import (
    DASHES,
    MARKERS,
    MOST_BANDS,
    axes,
    finish,
    group_column,
    groups_of,
    legend_of_groups,
    percent,
    styled,
)

MOST_LABELLED, MOST_COHORTS = 25, 60


@styled
def retention(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the cohort heat map: share of each cohort that ordered, unfinished cells hatched.

    Parameters
    ----------
    table : pandas.DataFrame
        What `retention` returned, for one group: ``cohort``, ``age``, ``n``, ``retention_rate``,
        ``is_complete``.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes

    Raises
    ------
    ParameterError
        The table holds several groups.

    See Also
    --------
    cxlib.retention

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> orders = pd.DataFrame({"order_id": ["1", "2"], "customer_id": ["ann", "ann"],
    ...     "ordered_at": pd.to_datetime(["2024-01-05", "2024-02-07"]), "net_revenue": [20.0, 35.0]})
    >>> ax = cx.plot.retention(cx.retention(orders, period="month", as_of="2024-03-31"))
    >>> ax.get_xlabel()
    'periods since the first order'
    """
    check_columns(
        "retention", list(table.columns), ["cohort", "age", "n", "retention_rate", "is_complete"]
    )
    if table.duplicated(["cohort", "age"]).any():
        raise ParameterError(
            "retention: the table holds several groups; draw one with "
            f"table[table[{str(table.columns[0])!r}] == ...], or all with cx.plot.retention_curve"
        )
    later = table[table["age"] > 0] if (table["age"] > 0).any() else table
    rates = later.pivot(index="cohort", columns="age", values="retention_rate").astype(float)
    sizes = table.drop_duplicates("cohort").set_index("cohort")["n"].reindex(rates.index)
    rows, columns = rates.shape
    ax = axes(ax, min(max(6, 3.5 + 0.4 * columns), 12), min(1.8 + 0.3 * rows, 16))
    most = rates.max().max()
    sns.heatmap(
        rates,
        ax=ax,
        cmap="Blues",
        vmin=0,
        vmax=most if most > 0 else 1,  # nothing may be known yet
        annot=False if columns > MOST_LABELLED else rates.map(_cell),
        fmt="",
        linewidths=0.5,
        linecolor="white",
        cbar_kws={
            "format": FuncFormatter(lambda share, _: f"{100 * share:.0f}"),
            "label": "% active: of the cohort, who ordered",
        },
        yticklabels=_cohort_labels(sizes),
        annot_kws={"size": 9, "in_layout": False},
    )
    if "ages" in table.columns:
        names = later.drop_duplicates("age").set_index("age")["ages"]
        ax.set_xticks([place + 0.5 for place in range(columns)], names.reindex(rates.columns))
    begun = later[~later["is_complete"]]
    for cohort, age in zip(begun["cohort"], begun["age"], strict=True):
        spot = (list(rates.columns).index(age), list(rates.index).index(cohort))
        ax.add_patch(plt.Rectangle(spot, 1, 1, fill=False, hatch="////", ec="#c3cad1", lw=0))
    ax.tick_params(axis="both", length=0)
    ax.tick_params(axis="y", rotation=0)
    ax.grid(False)
    hatched = " (hatched: not over yet)" if len(begun) else ""
    reading = _cohorts_reading(later)
    return finish(
        ax,
        f"Who ordered again, % of each cohort{hatched}",
        "periods since the first order",
        "first order, and customers",
        f"Heat map of retention for {rows} cohorts over {columns} periods. {reading}"
        f"{' Hatched cells are not over yet.' if len(begun) else ''}",
        reading,
    )


def _cell(rate: float) -> str:
    return "" if pd.isna(rate) else f"{100 * rate:.0f}"


def _cohort_labels(sizes: pd.Series) -> list[str]:
    """Write each cohort with its customers; where there are too many for the picture, some."""
    every = -(-len(sizes) // MOST_COHORTS)
    return [
        f"{cohort:%Y-%m-%d}   {int(size):,}" if place % every == 0 else ""
        for place, (cohort, size) in enumerate(sizes.items())
    ]


def _cohorts_reading(later: pd.DataFrame) -> str:
    """Tell the first period of the best cohort and of the weakest, and the average."""
    first = later[(later["age"] == later["age"].min()) & later["is_complete"]]
    first = first.assign(retention_rate=first["retention_rate"].astype(float))
    if first.empty:
        return "No cohort has completed the first period after its first order."
    n = first["n"].astype(float)
    mean = percent((first["retention_rate"] * n).sum() / n.sum())
    if len(first) == 1:
        return f"In the first period after the first order {mean} of the one cohort ordered again."
    best, least = (
        first.loc[place]
        for place in (first["retention_rate"].idxmax(), first["retention_rate"].idxmin())
    )
    return (
        f"In the first period after the first order {mean} ordered again, from "
        f"{percent(least['retention_rate'])} of the cohort of {least['cohort']:%Y-%m-%d} to "
        f"{percent(best['retention_rate'])} of that of {best['cohort']:%Y-%m-%d}."
    )


@styled
def retention_curve(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the average retention curve with its 95 % band, a line for each group.

    Parameters
    ----------
    table : pandas.DataFrame
        What `retention_curve` returned: ``age``, ``retention_rate``, ``ci_low``, ``ci_high``.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes

    See Also
    --------
    cxlib.retention_curve

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> orders = pd.DataFrame({"order_id": ["1", "2"], "customer_id": ["ann", "ann"],
    ...     "ordered_at": pd.to_datetime(["2024-01-05", "2024-02-07"]), "net_revenue": [20.0, 35.0]})
    >>> table = cx.retention(orders, period="month", as_of="2024-03-31")
    >>> cx.plot.retention_curve(cx.retention_curve(table)).get_ylabel()
    'share of customers who ordered'
    """
    check_columns(
        "retention_curve", list(table.columns), ["age", "retention_rate", "ci_low", "ci_high"]
    )
    ax = axes(ax, 8, 4)
    by = group_column(table, {"age"})
    later = table[(table["age"] > 0) & table["retention_rate"].notna()]
    groups = groups_of(later, by)
    bands = len(groups) <= MOST_BANDS
    for place, (name, part, colour) in enumerate(groups):
        ages, low, high = (part[column].astype(float) for column in ("age", "ci_low", "ci_high"))
        if bands:
            ax.fill_between(ages, low, high, color=colour, alpha=0.18, lw=0)
        ax.plot(
            ages,
            part["retention_rate"].astype(float),
            color=colour,
            marker=MARKERS[place % 8],
            ls=DASHES[place % 4],
            label=name,
        )
    if by:
        legend_of_groups(ax, by, len(groups))
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if "ages" in table.columns:
        names = later.drop_duplicates("age").sort_values("age")
        ax.set_xticks(names["age"], names["ages"])
    reading = _curve_reading(later, by)
    return finish(
        ax,
        f"Average retention of mature cohorts{' (band: 95 % interval)' if bands else ''}",
        "periods since the first order",
        "share of customers who ordered",
        "Retention by periods since the first order, mature cohorts weighted by size. "
        f"{reading}{' Bands are 95 % intervals.' if bands else ''}",
        reading,
    )


def _curve_reading(later: pd.DataFrame, by: str | None) -> str:
    """Tell where the curve, or that of each end of the groups, starts and where it is last known."""
    if later.empty:
        return "No cohort has completed a period after its first order."

    def told(part: pd.DataFrame) -> str:
        first, last = part.iloc[0], part.iloc[-1]
        words = f"{percent(first['retention_rate'])} at period {int(first['age'])}"
        if len(part) > 1:
            words += f" and {percent(last['retention_rate'])} at period {int(last['age'])}"
        return words

    if by is None:
        first = later.iloc[0]
        ends = f"{percent(first['ci_low'])} and {percent(first['ci_high'])}"
        return f"Active were {told(later)}; the first lies between {ends}."
    level = later[later["age"] == later["age"].min()].sort_values("retention_rate")
    names = [level[by].iloc[-1], level[by].iloc[0]]
    parts = [f"{name}: {told(later[later[by] == name])}" for name in dict.fromkeys(names)]
    return f"The highest and the lowest start are {'; '.join(parts)}."
