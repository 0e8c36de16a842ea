"""Is the lifetime-value model to be believed, and what does it say of whom?"""

from __future__ import annotations

import datetime as dt
import math

import matplotlib.dates as mdates
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from cxlib._checks import check_choice, check_columns
from cxlib.plot._dates import date_axis
from cxlib.plot._style import ACCENT, GREY, INK, axes, compact, finish, percent, styled

VALUES = {
    "p_alive": "chance that the customer has not left",
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

    See Also
    --------
    cxlib.fit_ltv

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
    every = max(1, round(len(cells.columns) / 9))
    ax.set_xticks(
        [place + 0.5 for place in range(0, len(cells.columns), every)],
        [f"{day:,}" for day in cells.columns[::every]],
        rotation=0,
    )
    alt = (
        f"Heat map of the {VALUES[value]} by orders so far (up to {cells.index[-1]}) and days since "
        f"the last (up to {cells.columns[-1]:,}), from {_told(value, cells.to_numpy().min())} to "
        f"{_told(value, cells.to_numpy().max())}."
    )
    title = f"{VALUES[value].capitalize()}, by a customer's history"
    reading = _grid_reading(cells, value)
    return finish(ax, title, "days since the last order", "orders so far", alt, reading)


def _told(value: str, number: float) -> str:
    if value == "p_alive":
        return percent(number) if number >= 0.001 else "under 0.1%"
    if number < 0.01:
        return "under 0.01"
    return f"{number:,.1f}" if number >= 1 else f"{number:.2f}"


def _grid_reading(cells: pd.DataFrame, value: str) -> str:
    """Compare the most frequent customers with those of two orders, where they part the most."""
    few, many = cells.index[min(1, len(cells) - 1)], cells.index[-1]
    ahead = cells.loc[few] - cells.loc[many]
    day = ahead.idxmax() if ahead.max() > 0.01 else cells.columns[-1]
    one, other = (
        (
            f"{n} order" if n == 1 else f"{n} orders",
            *(_told(value, cells.loc[n, d]) for d in (0, day)),
        )
        for n in (many, few)
    )
    if value == "p_alive":
        return (
            f"After {day:,} days without an order a customer with {one[0]} is still there with a "
            f"chance of {one[2]}, one with {other[0]} with a chance of {other[2]}."
        )
    return (
        f"On the day of an order a customer with {one[0]} so far is expected to place {one[1]} more in "
        f"the horizon and one with {other[0]} {other[1]}; after {day:,} days of silence it is {one[2]} "
        f"and {other[2]}."
    )


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

    See Also
    --------
    cxlib.holdout_ltv

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
    # weeks fill the picture; a curve that rises leaves its upper left free
    ax.legend(frameon=False, loc="upper left" if cumulative else "best")
    date_axis(ax)
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_formatter(FuncFormatter(compact))
    alt = (
        f"Repeat orders by week, actual and expected; in the last week shown {compact(actual.iloc[-1])} "
        f"came and {compact(expected.iloc[-1])} were expected{' in all' if cumulative else ''}."
    )
    words = "repeat orders so far" if cumulative else "repeat orders in the week"
    title = f"Orders as they came and as foretold, {'added up' if cumulative else 'week by week'}"
    reading = (_so_far if cumulative else _by_week)(table, split)
    if split is not None:  # else a picture that runs out would seem to be the shop's
        reading += " Customers who came after the split are not among them."
    return finish(ax, title, "week ending", words, alt, reading)


def _unseen(table: pd.DataFrame, split: str | dt.date | None) -> tuple[pd.DataFrame, str]:
    """Return the weeks after the split, or all where there are none, and how to speak of them."""
    if split is not None and (after := table["week_ending"] > pd.Timestamp(split)).any():
        return table[after], "after the split"
    return table, "shown here"


def _so_far(table: pd.DataFrame, split: str | dt.date | None) -> str:
    weeks, when = _unseen(table, split)
    before = table[table["week_ending"] < weeks["week_ending"].iloc[0]].tail(1)
    columns = ["cumulative_actual", "cumulative_expected"]
    actual, expected = weeks[columns].iloc[-1] - before[columns].sum()
    span = "one whole week" if len(weeks) == 1 else f"{len(weeks):,} whole weeks"
    told = (
        f"In the {span} {when} {actual:,.0f} repeat orders came and {expected:,.0f} were foretold"
    )
    if not actual:
        return f"{told}."
    error = expected / actual - 1
    return f"{told}: the forecast is {abs(error):.1%} too {'high' if error > 0 else 'low'}."


def _by_week(table: pd.DataFrame, split: str | dt.date | None) -> str:
    """Hold the weeks against chance: the mean distance of a Poisson count is sqrt(2 m / pi)."""
    weeks, when = _unseen(table, split)
    off = (weeks["actual"] - weeks["expected"]).abs()
    chance = (2 * weeks["expected"] / math.pi).pow(0.5).mean()
    far = weeks.iloc[int(off.to_numpy().argmax())]
    return (
        f"A week {when} is {off.mean():.1f} orders off in the mean, where chance alone would make it "
        f"{chance:.1f}; the furthest is the week ending {far['week_ending']:%-d %B %Y}, with "
        f"{far['actual']:,.0f} orders against {far['expected']:,.0f} foretold."
    )


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

    See Also
    --------
    cxlib.holdout_ltv

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
    ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    gap = (table["actual_mean"] - table["expected_mean"]).abs()
    alt = (
        f"Orders per customer in the holdout by {group.replace('_', ' ')}, actual and expected; "
        f"the largest gap is {gap.max():.2f} orders."
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
        _calibration_reading(
            table, group, table.astype({group: "str"}).iloc[int(gap.to_numpy().argmax())]
        ),
    )


def _calibration_reading(table: pd.DataFrame, group: str, far: pd.Series) -> str:
    kind = {
        "frequency": f"with {far[group]} repeat order{'' if far[group] == '1' else 's'}",
        "decile": f"of tenth {far[group]}",
    }.get(group, f"of {far[group]}")
    customers = f"{far['n']:,.0f} customer{'' if far['n'] == 1 else 's'} {kind}"
    n = table["n"].to_numpy(float)
    came, foretold = (
        n @ table[name].to_numpy(float) / n.sum() for name in ("actual_mean", "expected_mean")
    )
    return (
        f"Furthest off are the {customers}, who ordered {far['actual_mean']:.2f} times each where "
        f"{far['expected_mean']:.2f} were foretold; over all customers it is {came:.2f} and "
        f"{foretold:.2f}."
    )
