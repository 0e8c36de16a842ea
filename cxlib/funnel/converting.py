"""How long users take from one step to a later one: the Kaplan-Meier curve."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import Unpack

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib._calendar import microseconds_of
from cxlib._checks import ParameterError, check_duration, check_number
from cxlib._survival import kaplan_meier
from cxlib.funnel.any_order import first_done
from cxlib.funnel.attribution import with_label
from cxlib.funnel.chain import first_of, levels
from cxlib.funnel.moments import microseconds_between, step_rows
from cxlib.funnel.rule import Options, Rule, check_rule
from cxlib.funnel.seen import seen_events
from cxlib.funnel.steps import Step
from cxlib.sources import Source
from cxlib.tables import EVENTS, group_label, midnight_after

CURVE = ("seconds", "n_at_risk", "n_converted", "conversion_rate", "ci_low", "ci_high")
MOST_TIMES = 10_080
"""The minutes of a week: no curve needs more points."""
CLOCKS = [dt.timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days")]
FAR = dt.date(9999, 12, 30)


def time_to_convert(
    events: Source,
    *,
    steps: Sequence[str | Step],
    window: str | dt.timedelta,
    as_of: str | dt.date,
    from_step: int = 1,
    to_step: int | None = None,
    by: str | None = None,
    until: str | dt.timedelta | None = None,
    every: str | dt.timedelta | None = None,
    alpha: float = 0.05,
    **options: Unpack[Options],
) -> pd.DataFrame:
    """Return the share of users who have converted so long after they first took a step.

    Parameters
    ----------
    events : Cleaned, or any table that holds events
        ``user_id``, ``event``, ``occurred_at``; one row per event.
    steps, window, as_of
        As in `funnel`.
    from_step, to_step : int
        The steps, counted from 1, at which the clock starts and stops: the first and the last if
        left out. The clock cannot start at an optional step.
    by : str, optional
        A column of ``events``: each user belongs to its value where the clock starts.
    until : str or timedelta, optional
        Longest time for which a user is followed, included: where the curve ends; the window if
        left out.
    every : str or timedelta, optional
        How finely time is told; the finest of a second, a minute, an hour and a day that parts
        ``until`` into 10,080 or fewer if left out (7 days: minutes).
    alpha : float, default 0.05
        One minus the confidence of the pointwise intervals.
    **options
        ``start``, ``order``, ``reentry``, ``ties``, ``exclude``, ``hold`` as in `funnel`.

    Returns
    -------
    pandas.DataFrame
        Grain: one row per time at which users converted, and one for the longest time for which
        any was watched (and group).

        - the ``by`` column (text), where asked for
        - ``seconds`` (float): since the user first reached ``from_step``, rounded up to whole
          ``every``
        - ``n_at_risk`` (int): users watched to that time who had not converted before
        - ``n_converted`` (int): users who converted at that time
        - ``conversion_rate``, ``ci_low``, ``ci_high`` (fractions): who has converted by then,
          ``1 - S(seconds)``; the interval is null before anybody has, and where all at risk have
        - ``n`` (int, the same on each row of a group): users who reached ``from_step``
        - ``n_open`` (int, likewise): of those, users whose time, as long as ``until``, is not over
          at the end of ``as_of``; they count for as long as they were watched

    Raises
    ------
    ColumnError, DataError, ParameterError
        As in `funnel`; also for steps that are no two in order, and for
        ``exclude_scope="user"``, which removes users for what they do later.

    See Also
    --------
    cxlib.plot.time_to_convert

    Notes
    -----
    Kaplan and Meier (1958, JASA 53, 457-481) on counts of users per time, with Greenwood's
    interval on the log(-log) scale. Each user counts once: the clock starts when they first reach
    ``from_step`` in the date range and stops when they first reach ``to_step``, by an attempt
    that `funnel` would count, its window open or over. Who has not converted is watched to the
    end of ``as_of`` or ``until``, so recent users are neither dropped nor taken for lost.

    Where no window is open the curve ends at the rate of `funnel` with ``reentry="first"``. With
    re-entry `funnel` also counts who converts by an entry after that window: here they come later
    than the window, and show with a longer ``until``. Its ``median_seconds`` are of the deepest
    attempt and its latest entry, and of converters alone, so they are shorter than what is read
    off here.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> events = pd.DataFrame({"user_id": ["ann", "ann", "bob"], "event": ["view", "cart", "view"],
    ...     "occurred_at": pd.to_datetime(["2024-01-01 10:00", "2024-01-01 10:05", "2024-01-02 09:00"])})
    >>> table = cx.time_to_convert(events, steps=["view", "cart"], window="1 day", as_of="2024-01-31")
    >>> table[["seconds", "n_at_risk", "n_converted", "conversion_rate", "n_open"]]
       seconds  n_at_risk  n_converted  conversion_rate  n_open
    0    300.0          2            1              0.5       0
    1  86400.0          1            0              0.5       0
    """
    rule = check_rule(steps=steps, window=window, as_of=as_of, **options)
    check_number("alpha", alpha, 0, 1, open_low=True)
    first, last = _check_steps(rule, from_step, to_step)
    longest = rule.window if until is None else check_duration("until", until)
    clock = _clock(longest) if every is None else check_duration("every", every)
    seen, _ = seen_events(events, rule)
    users = _reached(seen, rule, first, last)
    if by is not None:
        label = group_label(seen, by, EVENTS, (*CURVE, "n", "n_open"))
        users = with_label(users, seen, label, rule, first)
    watched = microseconds_between(users[f"at_{first}"], midnight_after(rule.as_of))
    passed = microseconds_between(users[f"at_{first}"], users[f"at_{last}"])
    users = users.mutate(watched=watched, passed=passed)
    counts = _counts(users, longest, clock, [] if by is None else ["label"])
    if by is None:
        return _curve(counts, clock, alpha)
    parts = [
        _curve(part, clock, alpha).assign(**{by: label}) for label, part in counts.groupby("label")
    ]
    table = pd.concat(parts, ignore_index=True)
    return table[[by, *table.columns.drop(by)]]


def _check_steps(rule: Rule, from_step: int, to_step: int | None) -> tuple[int, int]:
    """Return the two steps at which the clock starts and stops."""
    n_steps = len(rule.steps)
    to_step = n_steps if to_step is None else to_step
    for name, step in (("from_step", from_step), ("to_step", to_step)):
        if isinstance(step, bool) or not isinstance(step, int) or not 1 <= step <= n_steps:
            raise ParameterError(f"{name}={step!r} is not a step from 1 to {n_steps}")
    if from_step >= to_step:
        raise ParameterError(f"from_step={from_step} is not before to_step={to_step}")
    if rule.steps[from_step - 1].optional:
        raise ParameterError(
            f"from_step={from_step}: the clock cannot start at an optional step, since who passes "
            "over it converts as well"
        )
    if rule.exclude_scope == "user":
        raise ParameterError(
            "exclude_scope='user' removes users for what they do later, so no curve over time can "
            "tell who is still at risk; leave it out, or ask cx.funnel"
        )
    return from_step, to_step


def _clock(longest: dt.timedelta) -> dt.timedelta:
    """Return the finest unit that parts a time into few enough."""
    return next((unit for unit in CLOCKS if longest / unit <= MOST_TIMES), CLOCKS[-1])


def _reached(seen: ir.Table, rule: Rule, first: int, last: int) -> ir.Table:
    """Return when each user first reached either step, whether the window is over or not."""
    rule = replace(rule, as_of=FAR)
    rows = step_rows(seen, rule)
    if rule.order == "any":
        users = first_done(rows, rule, (first, last))
        return users.filter(users[f"at_{first}"].notnull()).mutate(depth=ibis.literal(first))
    _, found = levels(rows, rule)
    ends = [
        first_of(level, rule).select(*rule.keys, step=ibis.literal(k), at=f"at_{k}")
        for level in found
        for k in (first, last)
        if level.path[-1] == k - 1
    ]
    every = ibis.union(*ends)
    times = {f"at_{k}": every["at"].min(where=every["step"] == k) for k in (first, last)}
    return every.group_by(rule.keys).aggregate(**times).mutate(depth=ibis.literal(first))


def _counts(
    users: ir.Table, longest: dt.timedelta, clock: dt.timedelta, key: list[str]
) -> pd.DataFrame:
    """Return how many users were watched for how many units of the clock, and who converted.

    A conversion later than the last whole unit that was observed is not seen: units are whole
    for those who converted and for those who did not.
    """
    unit, most = map(microseconds_of, (clock, longest))
    watched, passed = users["watched"], users["passed"]
    users = users.mutate(
        is_open=watched <= most,
        took=ibis.ifelse(passed <= most, (passed + (unit - 1)) // unit, ibis.null("int64")),
        seen=ibis.ifelse(watched <= most, (watched - 1) // unit, -(-most // unit)),
    )
    came = (users["took"] <= users["seen"]).fill_null(False)
    users = users.mutate(came=came, units=ibis.ifelse(came, users["took"], users["seen"]))
    counted: pd.DataFrame = (
        users.group_by([*key, "units", "came", "is_open"]).aggregate(n=users.count()).execute()
    )
    return counted


def _curve(counts: pd.DataFrame, clock: dt.timedelta, alpha: float) -> pd.DataFrame:
    """Return the curve of one group from its table of times."""
    curve = kaplan_meier(counts["units"], counts["came"], counts["n"], alpha)
    curve.columns = list(CURVE)
    longest = counts["units"].max()
    if curve.empty or curve["seconds"].iloc[-1] < longest:
        watched = int(counts.loc[counts["units"] == longest, "n"].sum())
        rest = [0.0, float("nan"), float("nan")] if curve.empty else curve.iloc[-1, 3:].tolist()
        curve.loc[len(curve)] = [longest, watched, 0, *rest]
    curve["seconds"] = curve["seconds"] * clock.total_seconds()
    curve = curve.astype({"n_at_risk": "int64", "n_converted": "int64"})
    n_open = counts.loc[counts["is_open"], "n"].sum()
    return curve.assign(n=int(counts["n"].sum()), n_open=int(n_open))
