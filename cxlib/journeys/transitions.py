"""What users do next: moves from one event of a visit to the following one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib._checks import check_number
from cxlib._intervals import wilson
from cxlib.journeys.visits import (
    ACCOUNT,
    EXIT,
    START,
    Visits,
    seconds_between,
    visits_of,
    with_account,
)
from cxlib.sources import Source

TRANSITIONS = (
    "from_event",
    "to_event",
    "n",
    "n_from",
    "share",
    "ci_low",
    "ci_high",
    "n_users",
    "median_seconds",
    *ACCOUNT,
)


def transitions(
    events: Source,
    *,
    as_of: str | dt.date,
    session: str | None = None,
    gap: str | dt.timedelta = "30 minutes",
    only: Sequence[str] | None = None,
    most: int = 12,
    collapse: bool = False,
    by: str | None = None,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Return which event follows which within visits, the start and the exit included.

    Parameters
    ----------
    events : Cleaned, or any table that holds events
        ``user_id``, ``event``, ``occurred_at``; one row per event. ``event_id``, where there is
        one, tells repeats.
    as_of : date or "YYYY-MM-DD"
        The last observed day, included; later events are ignored.
    session : str, optional
        The column that says which visit of a user an event belongs to; without it a visit ends
        where a user is silent for longer than ``gap``.
    gap : str or timedelta, default "30 minutes"
        The silence that ends a visit; with ``session`` it only tells whether a visit may still go
        on after ``as_of``.
    only : list of str, optional
        Look at these events alone, as though no other had been logged; visits are cut before.
    most : int, default 12
        How many events keep their name, the most frequent; the others are pooled as ``(other)``.
    collapse : bool, default False
        Whether an event that repeats at once counts as one.
    by : str, optional
        A column of ``events``; a visit belongs to the value at its first event that has one,
        ``(none)`` if there is none.
    alpha : float, default 0.05
        One minus the confidence of the intervals.

    Returns
    -------
    pandas.DataFrame
        Grain: one row per pair of events (and group), those that never followed one another
        included; ``(start)`` and the events by frequency, ``(exit)`` last.

        - ``by`` (text; its own name, first column), where asked for
        - ``from_event``, ``to_event`` (text): ``(start)`` begins a visit and ``(exit)`` ends it
        - ``n`` (int): moves, and ``n_from`` (int): all moves from ``from_event``
        - ``share``, ``ci_low``, ``ci_high`` (fractions): ``n / n_from``; null where ``n_from`` is 0
        - ``n_users`` (int): users who made the move
        - ``median_seconds`` (float): between the two events; null at start and exit
        - ``n_open`` (int, the same on each row of a group): visits left out, because they may go
          on after the end of ``as_of``
        - ``n_ignored``, ``n_duplicates`` (int, the same on every row): rows up to ``as_of`` left
          out for want of a user, an event, a time or a session, and repeats of an ``event_id``

    Raises
    ------
    ColumnError
        A required column, ``session`` or ``by`` is missing.
    DataError
        There are no events by ``as_of``, one of ``only`` is not among them (the nearest names are
        listed), or an event has the name of ``(start)``, ``(exit)``, ``(other)`` or ``(ended)``.
    ParameterError
        An argument is not of its kind.

    See Also
    --------
    cxlib.plot.transitions

    Notes
    -----
    A first-order Markov chain's matrix of transitions, by maximum likelihood (Anderson and
    Goodman 1957, Annals of Mathematical Statistics 28, 89-110): count over count of the row.
    Events of one moment stand in the order of their names, so the answer does not depend on
    the order of rows. The intervals are Wilson's (1927, JASA 22, 209-212) and take moves as
    independent: where ``n`` is far above ``n_users``, few users make the number and the truth is
    less certain.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> events = pd.DataFrame({"user_id": ["ann", "ann", "bob"], "event": ["view", "cart", "view"],
    ...     "occurred_at": pd.to_datetime(["2024-01-01 10:00", "2024-01-01 10:05", "2024-01-02 09:00"])})
    >>> table = cx.transitions(events, as_of="2024-01-31")
    >>> table.loc[table["from_event"] == "view", ["to_event", "n", "share", "median_seconds"]]
      to_event  n  share  median_seconds
    2     view  0    0.0             NaN
    3     cart  1    0.5           300.0
    4   (exit)  1    0.5             NaN
    """
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
        answer=TRANSITIONS,
    )
    counts = _counts(visits.rows)
    opened = counts[counts["is_open"] & (counts["from_event"] == START)]
    n_open = opened.groupby("label")["n"].sum()
    table = _every_pair(counts, visits)
    table["n_from"] = table.groupby(["label", "from_event"])["n"].transform("sum")
    share, low, high = wilson(table["n"], table["n_from"], alpha)
    table = with_account(table.assign(share=share, ci_low=low, ci_high=high), visits, n_open, by)
    return table[[name for name in (by, *TRANSITIONS) if name is not None]]


def _counts(rows: ir.Table) -> pd.DataFrame:
    """Return the moves of finished and of open visits, counted in the engine."""
    whose = ("label", "is_open", "user_id")
    starts = rows.filter(rows["place"] == 0)
    moves = ibis.union(
        rows.select(
            *whose,
            from_event=rows["event"],
            to_event=rows["next_event"].fill_null(EXIT),
            seconds=seconds_between(rows["at"], rows["next_at"]),
        ),
        starts.select(
            *whose,
            from_event=ibis.literal(START),
            to_event=starts["event"],
            seconds=ibis.null("float64"),
        ),
    )
    counted = moves.group_by(["label", "is_open", "from_event", "to_event"]).aggregate(
        n=moves.count(),
        n_users=moves["user_id"].nunique(),
        median_seconds=moves["seconds"].median(),
    )
    counts: pd.DataFrame = counted.execute()
    return counts


def _every_pair(counts: pd.DataFrame, visits: Visits) -> pd.DataFrame:
    """Lay the moves of finished visits out, with zeros where there was none."""
    pairs = pd.MultiIndex.from_product(
        [sorted(counts["label"].unique()), [START, *visits.names], [*visits.names, EXIT]],
        names=["label", "from_event", "to_event"],
    )
    # who starts has an event
    pairs = pairs[~((pairs.get_level_values(1) == START) & (pairs.get_level_values(2) == EXIT))]
    done = counts[~counts["is_open"]].set_index(["label", "from_event", "to_event"])
    table = done.reindex(pairs)[["n", "n_users", "median_seconds"]].reset_index()
    whole = {"n": table["n"].fillna(0), "n_users": table["n_users"].fillna(0)}
    return table.assign(**whole).astype({"n": "int64", "n_users": "int64"})
