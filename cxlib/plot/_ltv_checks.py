"""Is the lifetime-value model to be believed, and what does it say of whom?"""

from __future__ import annotations

import datetime as dt

import matplotlib.dates as mdates
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from cxlib._checks import check_choice, check_columns
from cxlib.plot._style import ACCENT, GREY, INK, axes, compact, date_axis, finish, percent, styled

VALUES = {
    "p_alive": "chance to buy again",
    "expected_orders": "orders expected in the horizon",
}


@styled
def ltv_grid(table: pd.DataFrame, *, value: str = "p_alive", ax: Axes | None = None) -> Axes:
    """Draw what the model says of a customer, by orders so far and days since the last one.

    Parameters
    ----------
    table : pandas.DataFrame
        ``grid()`` of a fit: ``n_orders``, ``days_since_last``, ``p_alive``, ``expected_orders``.
    value : {"p_alive", "expected_orders"}, default "p_alive"
        What the colour shows.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> table = pd.DataFrame({"n_orders": [1, 2], "days_since_last": [0, 0],
    ...                       "p_alive": [1.0, 0.9], "expected_orders": [0.4, 1.1]})
    >>> cx.plot.ltv_grid(table).get_xlabel()
    'days since the last order'
    """
    check_columns("ltv grid", list(table.columns), ["n_orders", "days_since_last", *VALUES])
    check_choice("value", value, VALUES)
    cells = table.pivot(index="n_orders", columns="days_since_last", values=value).astype(float)
    ax = axes(ax, 8.5, 4.4)
    top = {"vmax": 1.0} if value == "p_alive" else {}
    sns.heatmap(cells, ax=ax, cmap="Blues", vmin=0, cbar_kws={"label": VALUES[value]}, **top)
    ax.invert_yaxis()
    ax.tick_params(axis="both", length=0)
    ax.tick_params(axis="y", rotation=0)
    ax.grid(False)
    corner = float(cells.to_numpy()[-1, -1])
    told = percent(corner) if value == "p_alive" else compact(corner)
    alt = (
        f"Heat map of the {VALUES[value]} by orders so far and days since the last; with "
        f"{cells.index[-1]} orders and {cells.columns[-1]} days of silence it is {told}."
    )
    title = f"{VALUES[value].capitalize()}, by a customer's history"
    return finish(ax, title, "days since the last order", "orders so far", alt)


@styled
def ltv_tracking(
    table: pd.DataFrame,
    *,
    split: str | dt.date | None = None,
    cumulative: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw repeat orders by week, as they came and as the model foretold them.

    Parameters
    ----------
    table : pandas.DataFrame
        ``tracking`` of a holdout: ``week_ending``, ``actual``, ``expected``, ``cumulative_actual``,
        ``cumulative_expected``.
    split : date, optional
        Last day that the model has seen; drawn as a line.
    cumulative : bool, default True
        Orders so far; otherwise orders in the week.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> table = pd.DataFrame({"week_ending": pd.to_datetime(["2024-01-07", "2024-01-14"]),
    ...     "actual": [3, 4], "expected": [3.2, 3.9], "cumulative_actual": [3, 7],
    ...     "cumulative_expected": [3.2, 7.1]})
    >>> cx.plot.ltv_tracking(table).get_ylabel()
    'repeat orders so far'
    """
    prefix = "cumulative_" if cumulative else ""
    check_columns(
        "ltv tracking", list(table.columns), ["week_ending", f"{prefix}actual", f"{prefix}expected"]
    )
    ax = axes(ax, 8.5, 3.8)
    actual, expected = table[f"{prefix}actual"], table[f"{prefix}expected"]
    ax.plot(table["week_ending"], actual, color=ACCENT, lw=1.8, label="as they came")
    ax.plot(table["week_ending"], expected, color=INK, lw=1.6, ls="--", label="as foretold")
    if split is not None:
        ax.axvline(
            mdates.date2num(pd.Timestamp(split)),
            color=GREY,
            lw=1.2,
            ls=":",
            label="the model has seen until here",
        )
    ax.legend(frameon=False, loc="upper left")
    date_axis(ax)
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_formatter(FuncFormatter(compact))
    alt = (
        f"Repeat orders by week, actual and expected; in the last week shown {compact(actual.iloc[-1])} "
        f"came and {compact(expected.iloc[-1])} were expected{' in all' if cumulative else ''}."
    )
    words = "repeat orders so far" if cumulative else "repeat orders in the week"
    return finish(ax, "Orders as they came and as foretold", "week ending", words, alt)


@styled
def ltv_calibration(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw orders in the holdout as they came and as foretold, by groups of customers.

    Parameters
    ----------
    table : pandas.DataFrame
        ``by_frequency`` or ``by_decile`` of a holdout: the group first, ``n``, ``actual_mean``,
        ``expected_mean``.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> table = pd.DataFrame({"frequency": ["0", "1"], "n": [90, 10], "actual_mean": [0.2, 0.7],
    ...                       "expected_mean": [0.22, 0.66]})
    >>> cx.plot.ltv_calibration(table).get_ylabel()
    'orders per customer in the holdout'
    """
    check_columns("ltv calibration", list(table.columns), ["n", "actual_mean", "expected_mean"])
    group = str(table.columns[0])
    ax = axes(ax, 8, 3.8)
    at = range(len(table))
    ax.plot(at, table["actual_mean"], "o-", color=ACCENT, ms=7, label="as they came")
    ax.plot(at, table["expected_mean"], "s--", color=INK, mfc="white", ms=7, label="as foretold")
    ax.set_xticks(list(at), [str(name) for name in table[group]])
    ax.legend(frameon=False)
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_locator(MaxNLocator(6))
    gap = (table["actual_mean"] - table["expected_mean"]).abs().max()
    alt = (
        f"Orders per customer in the holdout by {group.replace('_', ' ')}, actual and expected; "
        f"the largest gap is {gap:.2f} orders."
    )
    words = {
        "frequency": "repeat orders before the split",
        "decile": "tenth by expected orders, the highest first",
    }
    return finish(
        ax,
        "Does the forecast hold for every kind of customer?",
        words.get(group, group.replace("_", " ")),
        "orders per customer in the holdout",
        alt,
    )


@styled
def ltv_segments(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the expected value of a customer in each segment, with intervals.

    Parameters
    ----------
    table : pandas.DataFrame
        ``segments()`` of a fit: the segment first, ``n_customers``, ``ltv_per_customer``,
        ``ltv_per_customer_low``, ``ltv_per_customer_high``.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> table = pd.DataFrame({"country": ["DE"], "n_customers": [120], "ltv_per_customer": [31.0],
    ...     "ltv_per_customer_low": [28.0], "ltv_per_customer_high": [34.0]})
    >>> cx.plot.ltv_segments(table).get_xlabel()
    'expected value per customer in the horizon, in the currency'
    """
    value = "ltv_per_customer"
    check_columns(
        "ltv segments", list(table.columns), ["n_customers", value, f"{value}_low", f"{value}_high"]
    )
    group = str(table.columns[0])
    shown = table.sort_values(value, ignore_index=True)
    ax = axes(ax, 8, 1.5 + 0.45 * len(shown))
    spread = [shown[value] - shown[f"{value}_low"], shown[f"{value}_high"] - shown[value]]
    ax.errorbar(
        shown[value], range(len(shown)), xerr=[side.clip(lower=0) for side in spread],
        fmt="o", color=ACCENT, ms=7, elinewidth=2.2, capsize=4,
    )  # fmt: skip
    labels = [f"{name} ({n:,})" for name, n in zip(shown[group], shown["n_customers"], strict=True)]
    ax.set_yticks(range(len(shown)), labels)
    ax.set_ylim(-0.6, len(shown) - 0.4)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_formatter(FuncFormatter(compact))
    ax.grid(axis="y", visible=False)
    best = shown.iloc[-1]
    alt = (
        f"Expected value per customer by {group.replace('_', ' ')}, with 95 % intervals; the highest is "
        f"{best[group]} at {compact(best[value])}."
    )
    return finish(
        ax,
        "What a customer of each segment is worth (lines: 95 % interval)",
        "expected value per customer in the horizon, in the currency",
        "",
        alt,
    )
