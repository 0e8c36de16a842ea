"""How far users get through steps, within a window that opens at step one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import ibis.expr.types as ir
import pandas as pd

from cxlib._checks import DataError, ParameterError, check_number, lasting
from cxlib.funnel.attempts import attempts
from cxlib.funnel.attribution import End, check_attribution, with_label
from cxlib.funnel.layout import (
    COUNTS,
    QUARTILES,
    laid_out,
    numbers_of,
    quartiles_between_steps,
    users_at_steps,
)
from cxlib.funnel.moments import with_short_ids
from cxlib.funnel.rule import Order, Reentry, Rule, Scope, Ties, check_rule
from cxlib.funnel.seen import Account, seen_events, unlooked_events
from cxlib.funnel.steps import Exclude, Step
from cxlib.sources import Source, reading
from cxlib.tables import EVENTS, group_label

MOST_GROUPS = 10_000
STEPS = (*COUNTS, *QUARTILES, "n_open", "n_excluded", "n_ignored", "n_duplicates")


def funnel(
    events: Source,
    *,
    steps: Sequence[str | Step],
    window: str | dt.timedelta,
    as_of: str | dt.date,
    by: str | None = None,
    alpha: float = 0.05,
    start: str | dt.date | None = None,
    order: Order = "ordered",
    reentry: Reentry = True,
    ties: Ties = "in_step_order",
    exclude: Sequence[str | Exclude] = (),
    exclude_scope: Scope = "attempt",
    hold: str | None = None,
    attribution: End | int = "first",
) -> pd.DataFrame:
    """Return how many users reached each step within a window from step one.

    Parameters
    ----------
    events : Cleaned, or any table that holds events
        ``user_id``, ``event``, ``occurred_at``; one row per event. ``event_id``, where there is
        one, tells repeats.
    steps : list of str or Step
        Event names, or `Step` for conditions, alternatives, windows of a step's own and optional
        steps; two or more, which may repeat or overlap.
    window : str or timedelta
        Longest time from step one to the last step, included: ``"7 days"``.
    as_of : date or "YYYY-MM-DD"
        The last observed day, included; later events are ignored.
    by : str, optional
        A column of ``events``; each user belongs to its value at one step (see ``attribution``).
        Users without a value form the group ``(none)``.
    alpha : float, default 0.05
        One minus the confidence of the intervals.
    start : date or "YYYY-MM-DD", optional
        First day of entry, included; the first day of the data if left out. What converts counts
        until the window of its entry is over.
    order : {"ordered", "strict", "any"}
        ``"ordered"``: the steps in order, whatever lies between. ``"strict"``: nothing else in
        between, though the step just taken may repeat. ``"any"``: whichever comes first; step
        *k* is then the *k*-th one done, and the window opens at the first.
    reentry : True or "first", default True
        Whether each step one opens an attempt, the deepest of which counts, or only the user's
        first in the date range.
    ties : {"in_step_order", "strict"}
        Whether events of one moment count in step order, or times must rise.
    exclude : list of str or Exclude
        Events that void an attempt between its first and last step, or those that `Exclude` names;
        a later clean attempt converts. Strictly between: not at the moment of either step.
    exclude_scope : {"attempt", "user"}
        ``"user"`` removes who got furthest only by an attempt that was voided, or that an excluded
        event followed within the window, from all counts but ``n_excluded``.
    hold : str, optional
        A column that must have the same value through all steps, such as ``session_id``. All
        counts are then of users and values; events without a value are among ``n_ignored``.
    attribution : "first", "last" or int, default "first"
        The step whose value of ``by`` counts: the first or the last of the deepest attempt, or
        the step of this number; who did not take that is in ``(none)``.

    Returns
    -------
    pandas.DataFrame
        Grain: one row per step (and group).

        - ``by`` (text; its own name, first column), where asked for
        - ``step`` (int, from 1), ``event`` (text): the step's name
        - ``n`` (int): users who took the step
        - ``rate``, ``ci_low``, ``ci_high`` (fractions): of the users at step one
        - ``step_rate``, ``step_ci_low``, ``step_ci_high`` (fractions): of the users at the step
          before that is not optional; null at step one
        - ``n_dropped`` (Int64): users at that step who did not get here; null at step one and
          at optional steps
        - ``q1_seconds``, ``median_seconds``, ``q3_seconds`` (float): quartiles of the time from
          the step taken before, in each user's deepest attempt
        - ``n_open`` (int, the same on each row of a group): users left out of all counts,
          because the window of every entry of theirs is not over at the end of ``as_of``
        - ``n_excluded`` (int, likewise): users removed by ``exclude_scope="user"``; ``n`` of step
          one, ``n_open`` and ``n_excluded`` add up to all users who did step one
        - ``n_ignored``, ``n_duplicates`` (int, the same on every row): rows up to ``as_of``
          left out for want of a user, an event, a time or the value to hold, and repeats of an
          ``event_id``; what cleaning left out before stands in its own account

    Raises
    ------
    ColumnError
        A required column, ``by``, ``hold`` or a column of a condition is missing.
    DataError
        A step or exclusion is not among the events (the nearest names are listed), nobody did
        step one in the date range, or the window of nobody who did is over.
    ParameterError
        Fewer than two steps, a window that is not longer than zero, a step or an exclusion with
        which nobody could get on, more than 10,000 groups, or another argument that is not of
        its kind.

    See Also
    --------
    cxlib.plot.funnel

    Notes
    -----
    A user's depth is the largest *k* with distinct events t1 <= ... <= tk of steps 1 to *k* and
    tk - t1 <= window, over any entry (step-one event): re-entry is on and the deepest attempt
    counts. This is what ClickHouse's ``windowFunnel`` and PostHog's ordered funnel count, except
    that here one event never serves two steps. Other events in between do not matter; events of
    one moment count in step order. Of several attempts of that depth, the times are those of the
    first to be complete, then of the one with most optional steps, from its latest entry on.
    Strict order, optional steps and exclusions are PostHog's, except that here who repeats a step
    after an excluded event goes on from there; ``reentry="first"`` is Mixpanel's default. Times are
    those of the shop's clock, so a window in which its hands move is an hour longer or shorter.

    Entries whose window is not over at the end of ``as_of`` are excluded, converted or not: to
    keep only those that converted early would flatter the rate. Intervals are Wilson's (1927,
    JASA 22, 209-212).

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> events = pd.DataFrame({"user_id": ["ann", "ann", "bob"], "event": ["view", "cart", "view"],
    ...     "occurred_at": pd.to_datetime(["2024-01-01 10:00", "2024-01-01 10:05", "2024-01-02 09:00"])})
    >>> table = cx.funnel(events, steps=["view", "cart"], window="1 day", as_of="2024-01-31")
    >>> table[["step", "event", "n", "rate", "median_seconds", "n_open"]]
       step event  n  rate  median_seconds  n_open
    0     1  view  2   1.0             NaN       0
    1     2  cart  1   0.5           300.0       0
    """
    rule = check_rule(
        steps=steps,
        window=window,
        as_of=as_of,
        start=start,
        order=order,
        reentry=reentry,
        ties=ties,
        exclude=exclude,
        exclude_scope=exclude_scope,
        hold=hold,
    )
    check_number("alpha", alpha, 0, 1, open_low=True)
    check_attribution(attribution, rule)
    if by == "user_id":
        raise ParameterError(
            "by='user_id': each user would be a group; name a column whose values many users share"
        )
    seen, account = unlooked_events(events, rule), Account(0, 0, 0)
    is_looked_at = seen is None
    if seen is None:
        seen, account = seen_events(events, rule)
    with reading("events"):
        counts = _counted(seen, by, rule, attribution)
    if not is_looked_at and not (counts[numbers_of(rule)].sum() > 0).all():
        seen_events(events, rule)  # says what is missing
    _check_counts(counts, by, rule)
    table = laid_out(counts, rule, [] if by is None else ["label"], alpha)
    table = table.assign(n_ignored=account.n_ignored, n_duplicates=account.n_duplicates)
    return table.rename(columns={"label": by})


def _counted(seen: ir.Table, by: str | None, rule: Rule, attribution: str | int) -> pd.DataFrame:
    """Return the numbers of users at each step, and the quartiles of the times, of each group."""
    seen = with_short_ids(seen, rule)
    users = attempts(seen, rule)
    if by is None:
        return users.aggregate(**_answers(users, rule)).execute()
    label = group_label(seen, by, EVENTS, STEPS)
    users = with_label(users, seen, label, rule, attribution)
    counts = users.aggregate(by="label", **_answers(users, rule)).execute()
    return counts.sort_values("label", ignore_index=True)


def _check_counts(counts: pd.DataFrame, by: str | None, rule: Rule) -> None:
    """Raise where all windows are open, or the groups are too many to be groups."""
    if len(counts) > MOST_GROUPS:
        raise ParameterError(
            f"by={by!r} makes {len(counts):,} groups, more than {MOST_GROUPS:,}; name a column of "
            "fewer values, or join the small ones beforehand"
        )
    n_open = int(counts["n_open"].sum())
    if n_open and not counts["n_1"].sum() and not counts["n_excluded"].sum():
        raise DataError(
            f"events: {n_open:,} did step one, and nobody's window of "
            f"{lasting(rule.window.total_seconds())} is over at the end of as_of={rule.as_of}; choose "
            "a shorter window= or a later as_of="
        )


def _answers(users: ir.Table, rule: Rule) -> dict[str, ir.Value]:
    return users_at_steps(users, rule) | quartiles_between_steps(users, rule)
