"""Who makes most of the events, and what the funnel says without them: bots, tests, shared ids."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Unpack

import ibis
import pandas as pd

from cxlib._checks import ParameterError, check_date, check_number
from cxlib._events import observed_events
from cxlib._intervals import wilson
from cxlib._published import of_single_persons
from cxlib.funnel.attempts import attempts
from cxlib.funnel.layout import took
from cxlib.funnel.rule import Options, Rule, check_rule
from cxlib.funnel.seen import seen_events
from cxlib.funnel.steps import Step
from cxlib.sources import Source, load
from cxlib.tables import EVENTS, is_empty, midnight_after


def busiest_users(
    events: Source,
    *,
    as_of: str | dt.date,
    steps: Sequence[str | Step] | None = None,
    window: str | dt.timedelta | None = None,
    top: int = 10,
    alpha: float = 0.05,
    **options: Unpack[Options],
) -> pd.DataFrame:
    """Return the users with the most events, and the rate of a funnel without them.

    Parameters
    ----------
    events : Cleaned, or any table that holds events
        ``user_id``, ``event``, ``occurred_at``; one row per event.
    as_of : date or "YYYY-MM-DD"
        The last observed day, included; later events are ignored.
    steps, window, optional
        A funnel, as in `funnel`; both or neither.
    top : int, default 10
        How many users to name.
    alpha : float, default 0.05
        One minus the confidence of the intervals.
    **options
        Of the funnel: ``start``, ``order``, ``reentry``, ``ties``, ``exclude``, ``exclude_scope``,
        ``hold`` as in `funnel`.

    Returns
    -------
    pandas.DataFrame
        Grain: one row per user, the busiest first; of equals the first id in the alphabet.

        - ``user_id`` (text), ``n_events`` (int), ``n_days`` (int): days with an event
        - ``events_share`` (fraction): of all events that have a user
        - with ``steps``, ``n`` (int): users at step one when this user and all busier ones are
          left out; ``rate_without``, ``ci_low``, ``ci_high`` (fractions): of those, who took the
          last step; ``rate`` (the same on each row): with all users
        - ``n_users`` (int, the same on each row): all users
        - ``n_without_user`` (int), ``without_user_share`` (fraction), likewise: events that name
          no user, of all events; what cleaning left out before stands in its own account

    Raises
    ------
    ColumnError, DataError, ParameterError
        As in `funnel`; also for one of ``steps`` and ``window`` without the other.

    Notes
    -----
    A bot views much and buys nothing, a shared id (a shop's own terminal, a null written as
    text) buys for many. Each is one user of a funnel, whatever it does, so it moves ``rate``
    little; it moves counts of events much. Intervals are Wilson's (1927, JASA 22, 209-212).

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> events = pd.DataFrame({"user_id": ["bot"] * 3 + ["ann", None], "event": "view",
    ...     "occurred_at": pd.Timestamp("2024-01-01 10:00")})
    >>> table = cx.busiest_users(events, as_of="2024-01-31")
    >>> table[["user_id", "n_events", "events_share", "n_users", "without_user_share"]]
      user_id  n_events  events_share  n_users  without_user_share
    0     bot         3          0.75        2                 0.2
    1     ann         1          0.25        2                 0.2
    """
    last_day = check_date("as_of", as_of)
    check_number("alpha", alpha, 0, 1, open_low=True)
    if isinstance(top, bool) or not isinstance(top, int) or top < 1:
        raise ParameterError(f"top={top!r} is not a whole number from 1")
    rule = _check_funnel(steps, window, as_of, options)
    seen, _ = observed_events(events, as_of=last_day)
    each = seen.group_by("user_id").aggregate(
        n_events=seen.count(), n_days=seen["occurred_at"].date().nunique()
    )
    busiest = each.order_by(ibis.desc("n_events"), "user_id").limit(top).execute()
    whole = each.aggregate(n_users=each.count(), n_events=each["n_events"].sum()).execute().iloc[0]
    table = busiest.assign(events_share=busiest["n_events"] / whole["n_events"])
    if rule is not None:
        table = table.assign(**_rates_without(events, rule, busiest["user_id"], alpha))
    rows = load(events, EVENTS, rows=False)
    by_then = (rows["occurred_at"] < midnight_after(last_day)).fill_null(True)
    nobody = is_empty(rows["user_id"])
    lost = rows.aggregate(rows=by_then.sum(), nobody=(nobody & by_then).sum()).execute().iloc[0]
    table = table.assign(
        n_users=int(whole["n_users"]),
        n_without_user=int(lost["nobody"]),
        without_user_share=lost["nobody"] / lost["rows"],
    )
    return of_single_persons(table)


def _check_funnel(
    steps: Sequence[str | Step] | None,
    window: str | dt.timedelta | None,
    as_of: str | dt.date,
    options: Options,
) -> Rule | None:
    if steps is not None and window is not None:
        return check_rule(steps=steps, window=window, as_of=as_of, **options)
    if steps is None and window is None and not options:
        return None
    raise ParameterError("a funnel needs steps= and window=; give both, or leave out all of it")


def _rates_without(
    events: Source, rule: Rule, busiest: pd.Series, alpha: float
) -> dict[str, object]:
    """Return the rate of the last step, with all users and without the busiest one after another."""
    seen, _ = seen_events(events, rule)
    users = attempts(seen, rule)
    busy = ibis.memtable({"user_id": busiest.tolist(), "place": range(len(busiest))})
    users = users.left_join(busy, "user_id").select(users, place=busy["place"].fill_null(-1))
    counts = (
        users.group_by("place")
        .aggregate(n=took(users, 1).sum(), reached=took(users, len(rule.steps)).sum())
        .execute()
        .set_index("place")
    )
    whole = counts.sum()
    theirs = counts.reindex(range(len(busiest)), fill_value=0).cumsum()
    n = (whole["n"] - theirs["n"]).to_numpy("int64")
    rate, low, high = wilson((whole["reached"] - theirs["reached"]).to_numpy(), n, alpha)
    of_all, _, _ = wilson(whole["reached"], whole["n"], alpha)
    return {"n": n, "rate_without": rate, "ci_low": low, "ci_high": high, "rate": float(of_all)}
