"""The ways that visits take: heat maps of moves and of steps, and the flow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.patheffects import withStroke

from cxlib._checks import DataError, ParameterError, check_columns
from cxlib.plot._style import GREY, axes, finish, percent, styled

START, EXIT, OTHER, ENDED = "(start)", "(exit)", "(other)", "(ended)"
BAR, AIR = 0.12, 0.05  # width of a node, in steps; room between two nodes, in visits
LABELLED = 0.015  # share of visits from which a node has room for its name


def check_one(what: str, table: pd.DataFrame, keys: Sequence[str], more: Sequence[str]) -> None:
    """Raise unless the table has rows, the columns, and each key once."""
    check_columns(what, list(table.columns), [*keys, *more])
    if table.empty or not table["n"].any():
        raise DataError(f"{what}: the table counts nothing; there is nothing to draw")
    if table.duplicated(list(keys)).any():
        raise ParameterError(
            f"{what}: the table holds several groups; draw one with "
            f"table[table[{str(table.columns[0])!r}] == ...]"
        )


def _heat(ax: Axes, shares: pd.DataFrame, labels: Sequence[str]) -> None:
    """Draw shares as a heat map, in percent."""
    sns.heatmap(
        shares, ax=ax, cmap="Blues", vmin=0, vmax=1, cbar=False, fmt="",
        linewidths=0.5, linecolor="white", annot=shares.map(_cell), annot_kws={"size": 9, "in_layout": False},
        yticklabels=labels,
    )  # fmt: skip
    ax.tick_params(axis="both", length=0)
    ax.tick_params(axis="y", rotation=0)
    ax.grid(False)


def _cell(share: float) -> str:
    if pd.isna(share) or share == 0:
        return ""
    return f"{100 * share:.0f}" if share >= 0.005 else "<1"


@styled
def transitions(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw which event follows which: shares of the moves from each event.

    Parameters
    ----------
    table : pandas.DataFrame
        What `transitions` returned, for one group: ``from_event``, ``to_event``, ``n``, ``n_from``,
        ``share``.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes

    Raises
    ------
    DataError, ParameterError
        There is no move; the table holds several groups.

    See Also
    --------
    cxlib.transitions

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> table = pd.DataFrame({"from_event": ["(start)", "view", "view", "cart"],
    ...     "to_event": ["view", "cart", "(exit)", "(exit)"], "n": [10, 3, 7, 3],
    ...     "n_from": [10, 10, 10, 3], "share": [1.0, 0.3, 0.7, 1.0]})
    >>> cx.plot.transitions(table).figure.reading
    'The most common move is from view to cart, 30% of all moves from view. 70% of the visits end after view.'
    """
    check_one("transitions", table, ["from_event", "to_event"], ["n", "n_from", "share"])
    rows = list(dict.fromkeys(table["from_event"]))
    ends = dict.fromkeys(table["to_event"])  # in the order of the rows, though some may be left out
    columns = [name for name in rows if name in ends] + [name for name in ends if name not in rows]
    shares = table.pivot(index="from_event", columns="to_event", values="share").astype(float)
    sizes = table.groupby("from_event")["n_from"].max()
    ax = axes(ax, 3.2 + 0.75 * len(columns), 1.8 + 0.42 * len(rows))
    _heat(ax, shares.loc[rows, columns], [f"{name}   {sizes[name]:,}" for name in rows])
    ax.set_xticks(ax.get_xticks(), columns, rotation=30, ha="right")
    sentences = _moves_reading(table)
    return finish(
        ax,
        "What comes next, % of the moves from each event",
        "next event",
        "event, and moves from it",
        f"Heat map of moves from {len(rows)} to {len(columns)} events. {' '.join(sentences)}",
        *sentences,
    )


def _moves_reading(table: pd.DataFrame) -> list[str]:
    ends = table[(table["to_event"] == EXIT) & (table["n"] > 0)].sort_values("n")
    last = ends.iloc[-1] if len(ends) else None
    words = []
    inner = table[(table["from_event"] != START) & (table["to_event"] != EXIT) & (table["n"] > 0)]
    if len(inner):
        top = inner.sort_values("n").iloc[-1]
        words.append(
            f"The most common move is from {top['from_event']} to {top['to_event']}, "
            f"{percent(top['share'])} of all moves from {top['from_event']}."
        )
    if last is not None:
        share = percent(last["n"] / ends["n"].sum())
        words.append(f"{share} of the visits end after {last['from_event']}.")
    return words or ["No visit goes on after its first event."]


@styled
def step_matrix(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw where visits stand at their first, second, … event.

    Parameters
    ----------
    table : pandas.DataFrame
        What `step_matrix` returned, for one group: ``step``, ``event``, ``n``, ``n_visits``, ``share``.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes

    Raises
    ------
    DataError, ParameterError
        There is no visit; the table holds several groups.

    See Also
    --------
    cxlib.step_matrix

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> table = pd.DataFrame({"step": [1, 1, 2, 2], "event": ["view", "(ended)"] * 2,
    ...     "n": [8, 0, 2, 6], "n_visits": 8, "share": [1.0, 0.0, 0.25, 0.75]})
    >>> cx.plot.step_matrix(table).figure.reading
    'Of 8 visits 75% are over before their event 2. The most common event there is view, 25%.'
    """
    check_one("step matrix", table, ["step", "event"], ["n", "n_visits", "share"])
    names = list(dict.fromkeys(table["event"]))
    shares = table.pivot(index="event", columns="step", values="share").astype(float).loc[names]
    ax = axes(ax, 3 + 0.7 * shares.shape[1], 1.6 + 0.42 * len(names))
    _heat(ax, shares, names)
    last = table[table["step"] == table["step"].max()]
    inner = last[last["event"] != ENDED].sort_values("n")
    over = percent(float(last.loc[last["event"] == ENDED, "share"].sum()))
    place, visits = last["step"].iloc[0], int(last["n_visits"].iloc[0])
    sentences = [f"Of {visits:,} visits {over} are over before their event {place}."]
    if len(inner):
        most = inner.iloc[-1]
        sentences.append(
            f"The most common event there is {most['event']}, {percent(most['share'])}."
        )
    return finish(
        ax,
        "Where visits stand, % of all visits",
        "event of the visit, in order",
        "",
        f"Heat map of {len(names)} events over {shares.shape[1]} steps. {' '.join(sentences)}",
        *sentences,
    )


@styled
def flow(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw how visits flow from event to event: bars as high, and bands as wide, as visits are many.

    Parameters
    ----------
    table : pandas.DataFrame
        What `flow` returned, for one group: ``step``, ``event``, ``next_event``, ``n``, ``n_visits``.
    ax : Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    Axes

    Raises
    ------
    DataError, ParameterError
        There is no visit; the table holds several groups.

    See Also
    --------
    cxlib.flow

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> table = pd.DataFrame({"step": [1, 1, 2], "event": ["view", "view", "cart"],
    ...     "next_event": ["cart", "(ended)", "(ended)"], "n": [3, 7, 3], "n_visits": 10})
    >>> cx.plot.flow(table).figure.reading
    'Of 10 visits 70% end after their first event. The broadest way on is from view to cart, 30% of all visits.'
    """
    check_one("flow", table, ["step", "event", "next_event"], ["n", "n_visits"])
    total = int(table["n_visits"].iloc[0])
    links = table.assign(width=table["n"] / total)
    names = _by_size(links)
    palette = dict(zip(names, sns.color_palette("colorblind", max(len(names), 1)), strict=False))
    colours = {**palette, OTHER: GREY, ENDED: "#d5dadf"}
    nodes, unseen = _nodes(links, [*names, OTHER, ENDED]), _unseen(links)
    n_steps = int(links["step"].max()) + 1
    ax = axes(ax, 2.4 + 2.1 * n_steps, 5.6)
    _draw_bands(ax, links, nodes, colours)
    for (step, name), (top, size) in nodes.items():
        ax.add_patch(Rectangle((step - BAR / 2, top - size), BAR, size, fc=colours[name], lw=0))
        if size >= LABELLED:
            ends = percent(size), percent(size + unseen[step])
            told = " to ".join(dict.fromkeys(ends))
            words = ax.text(step + BAR, top - size / 2, f"{name} {told}", va="center", size=9)
            words.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
    ax.set(xlim=(0.8, n_steps + 0.75), yticks=[])
    ax.set_ylim(min(top - size for top, size in nodes.values()) - 0.02, 1.02)
    ax.set_xticks(range(1, n_steps + 1))
    ax.grid(False)
    ax.spines[["left", "bottom"]].set_visible(False)
    sentences = _flow_reading(links, total)
    return finish(
        ax,
        "How visits flow, % of all visits",
        "event of the visit, in order",
        "",
        f"Flow picture of {n_steps} steps. {' '.join(sentences)}",
        *sentences,
    )


def _by_size(links: pd.DataFrame) -> list[str]:
    """Return the events by the visits that pass through them, the pools left out."""
    ends = links[["next_event", "n"]].rename(columns={"next_event": "event"})
    sizes = pd.concat([links[["event", "n"]], ends]).groupby("event")["n"].sum()
    return [str(name) for name in sizes.drop([OTHER, ENDED], errors="ignore").sort_values(ascending=False).index]  # fmt: skip


def _nodes(links: pd.DataFrame, order: list[str]) -> dict[tuple[int, str], tuple[float, float]]:
    """Return the top and the height of each bar, stacked from the top of its step."""
    first = links[links["step"] == links["step"].min()]
    sizes = first.groupby(["step", "event"])["width"].sum().to_dict()
    came = links.assign(step=links["step"] + 1)
    sizes |= came.groupby(["step", "next_event"])["width"].sum().to_dict()
    nodes = {}
    for step in sorted({step for step, _ in sizes}):
        top = 1.0
        for name in order:
            size = float(sizes.get((step, name), 0))
            if size:
                nodes[int(step), name] = (top, size)
                top -= size + AIR
    return nodes


def _unseen(links: pd.DataFrame) -> dict[int, float]:
    """Return the share of visits whose way into each step is not in the table, hidden to protect them."""
    first, shares = int(links["step"].min()), {}
    for step in sorted(links["step"].unique()):
        here = links.loc[links["step"] == step, "width"].sum()
        over = links.loc[(links["step"] < step) & (links["next_event"] == ENDED), "width"].sum()
        shares[int(step) + 1] = max(0.0, 1 - float(over + here))
    return {first: shares[first + 1], **shares}


def _draw_bands(
    ax: Axes,
    links: pd.DataFrame,
    nodes: dict[tuple[int, str], tuple[float, float]],
    colours: dict[str, Any],
) -> None:
    """Draw a band for each move, none crossing another where it leaves or arrives."""
    moves = [
        ((int(link["step"]), link["event"]), (int(link["step"]) + 1, link["next_event"]), link)
        for link in links.to_dict("records")
    ]
    moves.sort(key=lambda move: (move[0][0], -nodes[move[0]][0], -nodes[move[1]][0]))
    left_at, came_to = ({key: top for key, (top, _) in nodes.items()} for _ in range(2))
    for start, end, link in moves:
        y0, y1, width = left_at[start], came_to[end], float(link["width"])
        left_at[start], came_to[end] = y0 - width, y1 - width
        x0, x1 = start[0] + BAR / 2, end[0] - BAR / 2
        middle = (x0 + x1) / 2
        points = [
            (x0, y0), (middle, y0), (middle, y1), (x1, y1),
            (x1, y1 - width), (middle, y1 - width), (middle, y0 - width), (x0, y0 - width),
            (x0, y0),
        ]  # fmt: skip
        codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
        ax.add_patch(PathPatch(Path(points, codes), fc=colours[start[1]], alpha=0.35, lw=0))


def _flow_reading(links: pd.DataFrame, total: int) -> list[str]:
    first = links[links["step"] == links["step"].min()]
    ended = percent(float(first.loc[first["next_event"] == ENDED, "width"].sum()))
    sentences = [f"Of {total:,} visits {ended} end after their first event."]
    on = links[links["next_event"] != ENDED].sort_values("n")
    if len(on):
        most = on.iloc[-1]
        sentences.append(
            f"The broadest way on is from {most['event']} to {most['next_event']}, "
            f"{percent(most['width'])} of all visits."
        )
    return sentences
