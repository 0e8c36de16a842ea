"""Who got to a step and not to the next: a list for a campaign."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Unpack

import ibis
import ibis.expr.types as ir

from cxlib._checks import ParameterError
from cxlib.funnel.attempts import attempts
from cxlib.funnel.attribution import check_attribution, with_label
from cxlib.funnel.rule import Options, Rule, check_rule
from cxlib.funnel.seen import seen_events
from cxlib.funnel.steps import Step
from cxlib.sources import Source
from cxlib.tables import EVENTS, group_label

DROPPED = ("user_id", "held", "entered_at", "last_step", "last_event", "last_at")


def funnel_dropped(
    events: Source,
    *,
    steps: Sequence[str | Step],
    window: str | dt.timedelta,
    as_of: str | dt.date,
    step: int,
    by: str | None = None,
    attribution: str | int = "first",
    **options: Unpack[Options],
) -> ir.Table:
    """Return the users who took the step before this one and did not get to it in time.

    Parameters
    ----------
    events : Cleaned, or any table that holds events
        ``user_id``, ``event``, ``occurred_at``; one row per event.
    steps, window, as_of, by, attribution
        As in `funnel`.
    step : int
        The step, counted from 1, that they did not reach: 2 or more, and not an optional one.
    **options
        ``start``, ``order``, ``reentry``, ``ties``, ``exclude``, ``exclude_scope``, ``hold`` as in
        `funnel`.

    Returns
    -------
    ibis.Table
        Grain: one row per user (with ``hold``, per user and value), in no order; as many as
        `funnel` counts in ``n_dropped``. It stays in the engine: ``.execute()`` gives a frame,
        ``.to_csv("dropped.csv")`` a file.

        - ``user_id`` (text); with ``hold`` also ``held`` (text)
        - the ``by`` column (text), where asked for
        - ``entered_at`` (timestamp): step one of the deepest attempt
        - ``last_step`` (int), ``last_event`` (text): the last step that was taken, its number
          and name; in any order how many were done, and no name
        - ``last_at`` (timestamp): when that was

    Raises
    ------
    ColumnError, DataError, ParameterError
        As in `funnel`; also for a step that cannot be dropped before.

    Notes
    -----
    Users whose windows are still open are not among them: they may still come. Who took the step
    outside the window of every attempt is: leave them out by hand where a campaign must not
    reach them.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> events = pd.DataFrame({"user_id": ["ann", "ann", "bob"], "event": ["view", "cart", "view"],
    ...     "occurred_at": pd.to_datetime(["2024-01-01 10:00", "2024-01-01 10:05", "2024-01-02 09:00"])})
    >>> users = cx.funnel_dropped(events, steps=["view", "cart"], window="1 day",
    ...     as_of="2024-01-31", step=2)
    >>> users.execute()[["user_id", "last_event", "last_at"]]
      user_id last_event             last_at
    0     bob       view 2024-01-02 09:00:00
    """
    rule = check_rule(steps=steps, window=window, as_of=as_of, **options)
    check_attribution(attribution, rule)
    before = _step_before(rule, step)
    seen, _ = seen_events(events, rule)
    users = attempts(seen, rule)
    users = users.filter(users["depth"].between(before, step - 1))
    if by is not None:
        label = group_label(seen, by, EVENTS, DROPPED)
        users = with_label(users, seen, label, rule, attribution)
    names = [(k, rule.steps[k - 1].name) for k in range(before, step)]
    last_event = ibis.cases(*((users["depth"] == k, ibis.literal(name)) for k, name in names))
    return users.select(
        *rule.keys,
        **({} if by is None else {by: users["label"]}),
        entered_at=users["at_1"],
        last_step=users["depth"].cast("int64"),
        last_event=ibis.null("string") if rule.order == "any" else last_event,
        last_at=ibis.cases(*((users["depth"] == k, users[f"at_{k}"]) for k, _ in names)),
    )


def _step_before(rule: Rule, step: int) -> int:
    """Return the last step before that is not optional."""
    n_steps = len(rule.steps)
    if isinstance(step, bool) or not isinstance(step, int) or not 2 <= step <= n_steps:
        raise ParameterError(f"step={step!r} is not a step from 2 to {n_steps}")
    if rule.steps[step - 1].optional:
        raise ParameterError(
            f"step={step}: {rule.steps[step - 1].name!r} is optional, so nobody drops out there"
        )
    return rule.required_before(step)
