"""Visits step by step: where they stand at their k-th event, and how they flow to the next."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pandas as pd

from cxlib._checks import check_number
from cxlib._intervals import wilson
from cxlib.journeys.visits import (
    ACCOUNT,
    ENDED,
    Visits,
    check_name,
    check_whole,
    visits_of,
    whole,
    with_account,
)
from cxlib.sources import Source

RATES = ("n", "n_visits", "share", "ci_low", "ci_high", *ACCOUNT)
STEP_MATRIX = ("step", "event", *RATES)
FLOW = ("step", "event", "next_event", *RATES)


def step_matrix(
    events: Source,
    *,
    as_of: str | dt.date,
    n_steps: int = 8,
    start: str | None = None,
    session: str | None = None,
    gap: str | dt.timedelta = "30 minutes",
    only: Sequence[str] | None = None,
    most: int = 8,
    collapse: bool = False,
    by: str | None = None,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Return the share of visits that stand at each event in their first, second, … k-th place.

    Parameters
    ----------
    events : Cleaned, or any table that holds events
        As in `transitions`.
    as_of : date or "YYYY-MM-DD"
        The last observed day, included; later events are ignored.
    n_steps : int, default 8
        How many places to count.
    start : str, optional
        The event from which places are counted, at its first time in a visit; visits without it
        are not asked for. The first event of each visit if left out.
    session, gap, only, collapse, by
        As in `transitions`.
    most : int, default 8
        How many events keep their name, the most frequent; the others are pooled as ``(other)``.
    alpha : float, default 0.05
        One minus the confidence of the intervals.

    Returns
    -------
    pandas.DataFrame
        Grain: one row per step and event (and group), in order; the shares of a step add up to 1.

        - ``by`` (text; its own name, first column), where asked for
        - ``step`` (int, from 1), ``event`` (text): the last event, ``(ended)``, holds the visits that
          had fewer events
        - ``n`` (int): visits there, of ``n_visits`` (int)
        - ``share``, ``ci_low``, ``ci_high`` (fractions): ``n / n_visits``; Wilson's interval
        - ``n_open``, ``n_ignored``, ``n_duplicates`` (int): as in `transitions`

    Raises
    ------
    ColumnError, DataError, ParameterError
        As in `transitions`; ``start`` is not among the events.

    See Also
    --------
    cxlib.plot.step_matrix

    Notes
    -----
    The step matrix of retentioneering, with counts and intervals. Visits are taken as independent.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> events = pd.DataFrame({"user_id": ["ann", "ann", "bob"], "event": ["view", "cart", "view"],
    ...     "occurred_at": pd.to_datetime(["2024-01-01 10:00", "2024-01-01 10:05", "2024-01-02 09:00"])})
    >>> cx.step_matrix(events, as_of="2024-01-31", n_steps=2)[["step", "event", "n", "share"]]
       step    event  n  share
    0     1     view  2    1.0
    1     1     cart  0    0.0
    2     1  (ended)  0    0.0
    3     2     view  0    0.0
    4     2     cart  1    0.5
    5     2  (ended)  1    0.5
    """
    check_whole("n_steps", n_steps)
    check_number("alpha", alpha, 0, 1, open_low=True)
    visits = visits_of(
        events,
        as_of=as_of,
        session=session,
        gap=gap,
        by=by,
        only=only,
        most=most,
        collapse=collapse,
        named=[] if start is None else [check_name("start", start)],
        answer=STEP_MATRIX,
    )
    moves, n_visits, n_open = _moves(visits, n_steps, start)
    steps = range(1, n_steps + 1)
    grid = pd.MultiIndex.from_product(
        [n_visits.index, steps, visits.names], names=["label", "step", "event"]
    )
    there = moves.groupby(["label", "step", "event"])["n"].sum().reindex(grid, fill_value=0)
    table = there.reset_index()
    sums = table.groupby(["label", "step"])["n"].sum().reset_index()
    ended = sums.assign(event=ENDED, n=sums["label"].map(n_visits) - sums["n"])
    table = pd.concat([table, ended]).sort_values(
        ["label", "step"], kind="stable", ignore_index=True
    )
    return _rated(table, visits, n_visits, n_open, by, alpha, STEP_MATRIX)


def flow(
    events: Source,
    *,
    as_of: str | dt.date,
    n_steps: int = 5,
    start: str | None = None,
    session: str | None = None,
    gap: str | dt.timedelta = "30 minutes",
    only: Sequence[str] | None = None,
    most: int = 8,
    collapse: bool = False,
    by: str | None = None,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Return how visits flow from their first event to the second, from the second to the third, …

    Parameters
    ----------
    events : Cleaned, or any table that holds events
        As in `transitions`.
    as_of : date or "YYYY-MM-DD"
        The last observed day, included; later events are ignored.
    n_steps : int, default 5
        How many places to follow, two or more.
    start, session, gap, only, collapse, by
        As in `step_matrix`.
    most : int, default 8
        How many events keep their name, the most frequent; the others are pooled as ``(other)``.
    alpha : float, default 0.05
        One minus the confidence of the intervals.

    Returns
    -------
    pandas.DataFrame
        Grain: one row per step and pair of events that visits really took (and group), in order.

        - ``by`` (text; its own name, first column), where asked for
        - ``step`` (int, from 1), ``event`` (text): where the visits stand
        - ``next_event`` (text): where they go; ``(ended)`` if that was their last event
        - ``n`` (int): visits that go there, of ``n_visits`` (int)
        - ``share``, ``ci_low``, ``ci_high`` (fractions): ``n / n_visits``; Wilson's interval
        - ``n_open``, ``n_ignored``, ``n_duplicates`` (int): as in `transitions`

    Raises
    ------
    ColumnError, DataError, ParameterError
        As in `transitions`; ``start`` is not among the events.

    See Also
    --------
    cxlib.plot.flow

    Notes
    -----
    What flows into an event at a step flows out of it: the sums over ``event`` and over
    ``next_event`` agree, and both with `step_matrix`.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> events = pd.DataFrame({"user_id": ["ann", "ann", "bob"], "event": ["view", "cart", "view"],
    ...     "occurred_at": pd.to_datetime(["2024-01-01 10:00", "2024-01-01 10:05", "2024-01-02 09:00"])})
    >>> cx.flow(events, as_of="2024-01-31", n_steps=2)[["step", "event", "next_event", "n", "share"]]
       step event next_event  n  share
    0     1  view       cart  1    0.5
    1     1  view    (ended)  1    0.5
    """
    check_whole("n_steps", n_steps, 2)
    check_number("alpha", alpha, 0, 1, open_low=True)
    visits = visits_of(
        events,
        as_of=as_of,
        session=session,
        gap=gap,
        by=by,
        only=only,
        most=most,
        collapse=collapse,
        named=[] if start is None else [check_name("start", start)],
        answer=FLOW,
    )
    moves, n_visits, n_open = _moves(visits, n_steps - 1, start)
    places = {name: place for place, name in enumerate([*visits.names, ENDED])}
    table = moves.sort_values(
        ["label", "step", "event", "next_event"],
        key=lambda column: column.map(places) if "event" in str(column.name) else column,
        ignore_index=True,
    )
    return _rated(table, visits, n_visits, n_open, by, alpha, FLOW)


def _moves(
    visits: Visits, n_steps: int, start: str | None
) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Count the moves from each of the first steps, and the visits, finished and open ones."""
    rows = visits.rows
    if start is not None:
        rows = rows.mutate(first=rows["place"].min(where=rows["event"] == start).over(whole()))
        rows = rows.filter(rows["place"] >= rows["first"])
        rows = rows.mutate(place=rows["place"] - rows["first"])
    rows = rows.filter(rows["place"] < n_steps).mutate(
        next_event=rows["next_event"].fill_null(ENDED)
    )
    keys = ["label", "is_open", "place", "event", "next_event"]
    counts = rows.group_by(keys).aggregate(n=rows.count()).execute()
    first = (
        counts[counts["place"] == 0].groupby(["label", "is_open"])["n"].sum().unstack(fill_value=0)
    )
    first = first.reindex(columns=[False, True], fill_value=0)
    done = counts[~counts["is_open"]]
    moves = done.assign(step=done["place"].astype("int64") + 1)
    return moves[["label", "step", "event", "next_event", "n"]], first[False], first[True]


def _rated(
    table: pd.DataFrame,
    visits: Visits,
    n_visits: pd.Series,
    n_open: pd.Series,
    by: str | None,
    alpha: float,
    columns: tuple[str, ...],
) -> pd.DataFrame:
    """Add the shares of all visits, with intervals, and the account."""
    table = table.assign(n_visits=table["label"].map(n_visits).astype("int64"))
    share, low, high = wilson(table["n"], table["n_visits"], alpha)
    table = with_account(table.assign(share=share, ci_low=low, ci_high=high), visits, n_open, by)
    return table[[name for name in (by, *columns) if name is not None]]
