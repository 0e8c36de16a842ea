"""Shares side by side, with their intervals: what is left in carts, and the credit of channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from cxlib._checks import DataError, check_columns
from cxlib.plot._journeys import check_one
from cxlib.plot._style import ACCENT, GREY, MARKERS, axes, finish, group_column, percent, styled

COLOURS = (ACCENT, "#de8f05", GREY)


def _dots(ax: Axes, series: Mapping[str, pd.DataFrame], names: Sequence[str]) -> None:
    """Draw a dot and its interval for each name and series: frames of share, low and high."""
    for place, (label, part) in enumerate(series.items()):
        share, low, high = (part.iloc[:, column].astype(float).to_numpy() for column in range(3))
        y = [spot + 0.22 * (place - (len(series) - 1) / 2) for spot in range(len(names))]
        ax.errorbar(
            share, y, xerr=[share - low, high - share], fmt=MARKERS[place], label=label,
            color=COLOURS[place % 3], capsize=3,
        )  # fmt: skip
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_formatter(PercentFormatter(1, 0))
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))


@styled
def cart_abandonment(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the shares of users, carts and money that are left behind, at each stage.

    Parameters
    ----------
    table : pandas.DataFrame
        What `cart_abandonment` returned: ``stage``, ``n``, ``abandonment_rate``,
        ``cart_abandonment_rate``, their intervals and, where there is one, that of the value.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        There is no finished cart.

    See Also
    --------
    cxlib.cart_abandonment

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> events = pd.DataFrame({"user_id": ["ann", "ann", "bob"], "price": [20.0, None, 60.0],
    ...     "event": ["add_to_cart", "purchase", "add_to_cart"],
    ...     "occurred_at": pd.to_datetime(["2024-01-01 10:00", "2024-01-01 10:05", "2024-01-02 09:00"])})
    >>> table = cx.cart_abandonment(events, value="price", as_of="2024-01-31")
    >>> cx.plot.cart_abandonment(table).figure.reading
    'Of 2 users at add_to_cart 50% did not buy (9.5% to 91%); 75% of the money in 2 carts was left behind.'
    """
    kinds = {
        "users": ["abandonment_rate", "ci_low", "ci_high"],
        "carts": ["cart_abandonment_rate", "cart_ci_low", "cart_ci_high"],
        "value": [f"abandoned_value_share{end}" for end in ("", "_low", "_high")],
    }
    if "abandoned_value_share" not in table.columns:
        del kinds["value"]
    columns = [name for names in kinds.values() for name in names]
    check_columns("cart abandonment", list(table.columns), ["stage", "n", "n_carts", *columns])
    if not table["n"].any():
        raise DataError("cart abandonment: no cart is finished; there is nothing to draw")
    by = group_column(table, {"stage"})
    names = list(table["stage"] if by is None else table[by].astype(str) + ", " + table["stage"])
    ax = axes(ax, 8.5, 1.4 + 0.62 * len(names))
    _dots(ax, {kind: table[columns] for kind, columns in kinds.items()}, names)
    first = table[table["n"] > 0].iloc[0]
    ends = f"{percent(first['ci_low'])} to {percent(first['ci_high'])}"
    start = "Of" if by is None else f"{by} {first[by]}: of"
    reading = (
        f"{start} {first['n']:,} users at {first['stage']} "
        f"{percent(first['abandonment_rate'])} did not buy ({ends})"
    )
    if "value" in kinds and pd.notna(first["abandoned_value_share"]):
        share = percent(first["abandoned_value_share"])
        reading += f"; {share} of the money in {first['n_carts']:,} carts was left behind"
    return finish(
        ax,
        "What is left behind (lines: 95 % interval)",
        "share that was not bought",
        "",
        f"Dots of {', '.join(kinds)} at {len(names)} stages. {reading}.",
        f"{reading}.",
    )


@styled
def touch_credit(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the share of purchases that each channel is given, by each way of counting.

    Parameters
    ----------
    table : pandas.DataFrame
        What `touch_credit` returned: ``model``, ``channel``, ``n``, ``share``, ``ci_low``, ``ci_high``.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes

    Raises
    ------
    DataError, ParameterError
        There is no purchase; a model and channel stand twice.

    See Also
    --------
    cxlib.touch_credit

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> table = pd.DataFrame({"model": ["first touch", "last touch"] * 2, "n": 20,
    ...     "channel": ["email", "email", "search", "search"], "share": [0.1, 0.4, 0.9, 0.6],
    ...     "ci_low": [0.03, 0.22, 0.7, 0.39], "ci_high": [0.3, 0.61, 0.97, 0.78]})
    >>> cx.plot.touch_credit(table).figure.reading
    'Of 20 purchases most credit goes to search by first touch (90%) and search by last touch (60%).'
    """
    check_one("touch credit", table, ["model", "channel"], ["n", "share", "ci_low", "ci_high"])
    channels = list(
        table.groupby("channel", sort=False)["share"].max().sort_values(ascending=False).index
    )
    ax = axes(ax, 8.5, 1.6 + 0.62 * len(channels))
    by_model = {
        str(model): part.set_index("channel")[["share", "ci_low", "ci_high"]].reindex(channels)
        for model, part in table.groupby("model", sort=False)
    }
    _dots(ax, by_model, channels)
    best = table.loc[table.groupby("model", sort=False)["share"].idxmax()]
    told = [
        f"{row['channel']} by {row['model']} ({percent(row['share'])})"
        for row in best.to_dict("records")
    ]
    ends = f"{', '.join(told[:-1])} and {told[-1]}" if len(told) > 1 else told[0]
    reading = f"Of {int(table['n'].iloc[0]):,} purchases most credit goes to {ends}."
    return finish(
        ax,
        "Which channels are given the purchases (lines: 95 % interval)",
        "share of purchases; credit is not effect",
        "",
        f"Dots of {len(channels)} channels by {len(by_model)} ways of counting. {reading}",
        reading,
    )
