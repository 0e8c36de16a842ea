"""The ways from one event of a visit to another, the most common first."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib._checks import ParameterError, check_number
from cxlib._intervals import wilson
from cxlib.journeys.visits import (
    ACCOUNT,
    EXIT,
    START,
    VISIT,
    check_name,
    check_whole,
    seconds_between,
    visits_of,
    whole,
    with_account,
)
from cxlib.sources import Source

TOP_PATHS = ("path", "n", "n_visits", "share", "ci_low", "ci_high", "median_seconds", *ACCOUNT)
ARROW, CUT = " → ", "…"
REST, NO_END = "(other paths)", "(no end)"


def top_paths(
    events: Source,
    *,
    as_of: str | dt.date,
    start: str | None = None,
    end: str | None = None,
    most: int = 10,
    longest: int = 8,
    session: str | None = None,
    gap: str | dt.timedelta = "30 minutes",
    only: Sequence[str] | None = None,
    collapse: bool = False,
    by: str | None = None,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Return the most common sequences of events between two events of a visit.

    Parameters
    ----------
    events : Cleaned, or any table that holds events
        As in `transitions`.
    as_of : date or "YYYY-MM-DD"
        The last observed day, included; later events are ignored.
    start : str, optional
        The event from which a path is followed, at its first time in the visit; visits without
        it are not asked for. The first event of each visit if left out.
    end : str, optional
        The event at which it ends, the first one after the start; the end of the visit if left
        out. Give ``end`` alone to see the ways that lead to an event, ``start`` alone for the
        ways that lead on from one.
    most : int, default 10
        How many paths to return (in each group); the others are counted in one row.
    longest : int, default 8
        How many events of a path tell it apart, two or more; of a longer one the first stand,
        then ``…`` and the end.
    session, gap, only, by
        As in `transitions`.
    collapse : bool, default False
        Whether an event that repeats at once counts as one.
    alpha : float, default 0.05
        One minus the confidence of the intervals.

    Returns
    -------
    pandas.DataFrame
        Grain: one row per path (and group), the most common first; among equals in the order of
        their events' names.

        - ``by`` (text; its own name, first column), where asked for
        - ``path`` (text): its events; then ``(other paths)``, where there are more, and, where an
          ``end`` was asked for, ``(no end)``: visits with the start that did not get there
        - ``n`` (int): visits that took it, of ``n_visits`` (int), those with the start; ``n`` adds
          up to ``n_visits``
        - ``share``, ``ci_low``, ``ci_high`` (fractions): ``n / n_visits``; Wilson's interval
        - ``median_seconds`` (float): from the first to the last event of the path; null in the
          rows that pool
        - ``n_open``, ``n_ignored``, ``n_duplicates`` (int): as in `transitions`; ``n_open`` counts
          visits with the start

    Raises
    ------
    ColumnError, DataError, ParameterError
        As in `transitions`; ``start`` or ``end`` is not among the events.

    See Also
    --------
    cxlib.plot.top_paths

    Notes
    -----
    Each visit counts once. For ways that take days give a long ``gap``, such as ``"7 days"``.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> events = pd.DataFrame({"user_id": ["ann", "ann", "bob"], "event": ["view", "cart", "view"],
    ...     "occurred_at": pd.to_datetime(["2024-01-01 10:00", "2024-01-01 10:05", "2024-01-02 09:00"])})
    >>> table = cx.top_paths(events, start="view", end="cart", as_of="2024-01-31")
    >>> table[["path", "n", "share", "median_seconds"]]
              path  n  share  median_seconds
    0  view → cart  1    0.5           300.0
    1     (no end)  1    0.5             NaN
    """
    check_whole("most", most)
    check_whole("longest", longest, 2)
    check_number("alpha", alpha, 0, 1, open_low=True)
    if start is None and end is None and only is not None and len(set(only)) < 2:
        raise ParameterError(f"only={list(only)!r} leaves one event, and no path to tell apart")
    named = [
        check_name(what, name)
        for what, name in (("start", start), ("end", end))
        if name is not None
    ]
    visits = visits_of(
        events,
        as_of=as_of,
        session=session,
        gap=gap,
        by=by,
        only=only,
        collapse=collapse,
        named=list(dict.fromkeys(named)),
        answer=TOP_PATHS,
    )
    paths = _paths(visits.rows, start, end, longest)
    totals = _totals(paths)
    table = _with_rest(_most_common(paths, most, longest, start, end), totals, end)
    table["n_visits"] = table["label"].map(totals["n_visits"])
    share, low, high = wilson(table["n"], table["n_visits"], alpha)
    table = table.assign(share=share, ci_low=low, ci_high=high)
    table = with_account(table, visits, totals["n_open"], by)
    return table[[name for name in (by, *TOP_PATHS) if name is not None]]


def _paths(rows: ir.Table, start: str | None, end: str | None, longest: int) -> ir.Table:
    """Return one row per visit with the start: its events in columns, the last where it is cut."""
    if start is not None:
        rows = rows.mutate(first=rows["place"].min(where=rows["event"] == start).over(whole()))
        rows = rows.filter(rows["place"] >= rows["first"])
        rows = rows.mutate(place=rows["place"] - rows["first"]).drop("first")
    if end is not None:
        later = (rows["event"] == end) & ((rows["place"] > 0) | ibis.literal(start is None))
        rows = rows.mutate(last=rows["place"].min(where=later).over(whole()))
        rows = rows.filter(rows["last"].isnull() | (rows["place"] <= rows["last"]))
    else:
        rows = rows.mutate(last=ibis.literal(0))
    paths = rows.group_by([*VISIT, "label", "is_open"]).aggregate(
        reached=rows["last"].notnull().any(),
        length=rows.count(),
        seconds=seconds_between(rows["at"].min(), rows["at"].max()),
        **{
            _event(place): rows["event"].max(where=rows["place"] == place)
            for place in range(longest)
        },
    )
    last = _event(longest - 1)
    return paths.mutate(**{last: ibis.ifelse(paths["length"] > longest, CUT, paths[last])})


def _event(place: int) -> str:
    return f"event_{place}"


def _totals(paths: ir.Table) -> pd.DataFrame:
    """Return visits with the start, those that got to the end, and open ones, by group."""
    over = ~paths["is_open"]
    counts = paths.group_by("label").aggregate(
        n_visits=over.sum(), n_reached=(over & paths["reached"]).sum(), n_open=(~over).sum()
    )
    table: pd.DataFrame = counts.execute().sort_values("label").set_index("label")
    return table.astype("int64")


def _most_common(
    paths: ir.Table, most: int, longest: int, start: str | None, end: str | None
) -> pd.DataFrame:
    """Return the most common paths of each group, ranked in the engine."""
    names = [_event(place) for place in range(longest)]
    done = paths.filter(~paths["is_open"] & paths["reached"])
    counts = done.group_by(["label", *names]).aggregate(
        n=done.count(), median_seconds=done["seconds"].median()
    )
    by_size = ibis.window(group_by="label", order_by=[ibis.desc("n"), *names])
    ranked = counts.mutate(rank=ibis.row_number().over(by_size))
    table = ranked.filter(ranked["rank"] < most).execute().sort_values(["label", "rank"])
    before = [START] if start is None else []
    table["path"] = [
        ARROW.join([*before, *row.dropna(), *_last(row.iloc[-1], end)])
        for _, row in table[names].iterrows()
    ]
    return table[["label", "path", "n", "median_seconds"]].reset_index(drop=True)


def _last(seen_last: object, end: str | None) -> list[str]:
    """Return what stands after the events that are shown."""
    if end is None:
        return [EXIT]
    return [end] if seen_last == CUT else []


def _with_rest(table: pd.DataFrame, totals: pd.DataFrame, end: str | None) -> pd.DataFrame:
    """Add the paths that are not shown, and the visits that did not get to the end."""
    shown = table.groupby("label")["n"].sum().reindex(totals.index, fill_value=0)
    rest = (totals["n_reached"] - shown).rename("n").reset_index()
    parts = [table, rest[rest["n"] > 0].assign(path=REST)]
    if end is not None:
        missed = (totals["n_visits"] - totals["n_reached"]).rename("n").reset_index()
        parts.append(missed.assign(path=NO_END))
    both = pd.concat(parts, ignore_index=True)
    both = both.sort_values("label", kind="stable", ignore_index=True)
    return both.astype({"n": "int64", "median_seconds": "float64"})
