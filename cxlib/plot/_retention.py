"""The cohort heat map and the average curve."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from cxlib._checks import ParameterError, check_columns
from cxlib.plot._style import ACCENT, DASHES, MARKERS, axes, finish, group_column, percent, styled


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
    crowded = columns > 25
    labels = rates.map(lambda rate: "" if pd.isna(rate) else f"{100 * rate:.0f}")
    sns.heatmap(
        rates,
        ax=ax,
        cmap="Blues",
        vmin=0,
        annot=False if crowded else labels,
        fmt="",
        linewidths=0.5,
        linecolor="white",
        cbar_kws={
            "format": FuncFormatter(lambda share, _: f"{100 * share:.0f}"),
            "label": "% of the cohort that ordered",
        },
        yticklabels=[f"{cohort:%Y-%m-%d}   {int(size):,}" for cohort, size in sizes.items()],
        annot_kws={"size": 9},
    )
    begun = later[~later["is_complete"]]
    for cohort, age in zip(begun["cohort"], begun["age"], strict=True):
        spot = (list(rates.columns).index(age), list(rates.index).index(cohort))
        ax.add_patch(plt.Rectangle(spot, 1, 1, fill=False, hatch="////", ec="#c3cad1", lw=0))
    ax.tick_params(axis="both", length=0)
    ax.grid(False)
    best = later.loc[later["age"] == later["age"].min(), "retention_rate"].mean()
    alt = (
        f"Heat map of retention for {rows} cohorts over {columns} periods; one period after the first "
        f"order {percent(best) if pd.notna(best) else 'not yet known'} ordered on average.{' Hatched cells are not over yet.' if len(begun) else ''}"
    )
    return finish(
        ax,
        "Who ordered again, % of each cohort" + (" (hatched: not over yet)" if len(begun) else ""),
        "periods since the first order",
        "first order, and customers",
        alt,
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
    groups = later.groupby(by, sort=True) if by else [("all customers", later)]
    for place, (name, part) in enumerate(groups):
        colour = sns.color_palette("colorblind")[place % 10] if by else ACCENT
        ages, low, high = (part[column].astype(float) for column in ("age", "ci_low", "ci_high"))
        ax.fill_between(ages, low, high, color=colour, alpha=0.18, lw=0)
        ax.plot(
            ages,
            part["retention_rate"].astype(float),
            color=colour,
            marker=MARKERS[place % 8],
            ls=DASHES[place % 4],
            label=str(name),
        )
    if by:
        ax.legend(title=by, frameon=False)
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ends = ""
    if len(later):
        first = later.iloc[0]
        ends = f": {percent(first['retention_rate'])} at period {first['age']}, {percent(later.iloc[-1]['retention_rate'])} at period {later.iloc[-1]['age']}"
    alt = f"Retention by periods since the first order, mature cohorts weighted by size{ends}. Bands are 95 % intervals."
    return finish(
        ax,
        "Average retention of mature cohorts (band: 95 % interval)",
        "periods since the first order",
        "share of customers who ordered",
        alt,
    )
