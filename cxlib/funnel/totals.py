"""How often steps were taken in all, beside how many users took them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Unpack

import ibis
import pandas as pd

from cxlib._checks import ParameterError
from cxlib.funnel.chain import levels
from cxlib.funnel.moments import step_rows
from cxlib.funnel.rule import Options, Rule, check_rule
from cxlib.funnel.seen import seen_events
from cxlib.funnel.steps import Step
from cxlib.sources import Source


def funnel_totals(
    events: Source,
    *,
    steps: Sequence[str | Step],
    window: str | dt.timedelta,
    as_of: str | dt.date,
    **options: Unpack[Options],
) -> pd.DataFrame:
    """Return how often each step of a funnel was taken, and by how many users.

    Parameters
    ----------
    events : Cleaned, or any table that holds events
        ``user_id``, ``event``, ``occurred_at``; one row per event.
    steps, window, as_of
        As in `funnel`.
    **options
        ``start``, ``order`` (not ``"any"``), ``reentry``, ``ties``, ``exclude``, ``hold`` as in
        `funnel`.

    Returns
    -------
    pandas.DataFrame
        Grain: one row per step.

        - ``step`` (int, from 1), ``event`` (text): the step's name
        - ``n`` (int): users who took the step, in any attempt of theirs
        - ``n_total`` (int): how often they took it
        - ``total_per_user`` (float): ``n_total / n``; null where nobody took the step

    Raises
    ------
    ColumnError, DataError, ParameterError
        As in `funnel`; also for ``order="any"`` and ``exclude_scope="user"``, for which attempts
        alone do not say what counts.

    Notes
    -----
    A step counts as often as there are moments at which a user took it in an attempt that keeps
    the rule and whose window is over: who views once and buys twice within the window took the
    first step once and the last one twice. Events of one user and one moment count once. So
    totals of a later step may exceed those of an earlier one, and make no rate.

    Mixpanel's totals count otherwise: one attempt after another, where an entry during an attempt
    is none, and an excluded event ends the attempt and begins no other.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> events = pd.DataFrame({"user_id": "ann", "event": ["view", "cart", "cart"],
    ...     "occurred_at": pd.to_datetime(["2024-01-01 10:00", "2024-01-01 10:05", "2024-01-01 10:09"])})
    >>> cx.funnel_totals(events, steps=["view", "cart"], window="1 day", as_of="2024-01-31")
       step event  n  n_total  total_per_user
    0     1  view  1        1             1.0
    1     2  cart  1        2             2.0
    """
    rule = check_rule(steps=steps, window=window, as_of=as_of, **options)
    _check_told_by_attempts(rule)
    seen, _ = seen_events(events, rule)
    _, found = levels(step_rows(seen, rule), rule)
    every = ibis.union(
        *(
            level.table.select(*rule.keys, "at", step=ibis.literal(level.path[-1] + 1))
            for level in found
        ),
        distinct=True,
    )
    each = every.group_by("step", *rule.keys).aggregate(total=every.count())
    counts = each.group_by("step").aggregate(n=each.count(), n_total=each["total"].sum())
    known = counts.execute().set_index("step").reindex(range(1, len(rule.steps) + 1), fill_value=0)
    table = known.astype("int64").reset_index()
    table.insert(1, "event", [step.name for step in rule.steps])
    return table.assign(total_per_user=(table["n_total"] / table["n"]).astype("float64"))


def _check_told_by_attempts(rule: Rule) -> None:
    asked = {
        "order='any'": rule.order == "any",
        "exclude_scope='user'": rule.exclude_scope == "user",
    }
    wrong = [what for what, is_asked in asked.items() if is_asked]
    if wrong:
        raise ParameterError(f"totals know no {', no '.join(wrong)}; ask cx.funnel for users")
