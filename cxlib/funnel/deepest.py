"""Each user's deepest attempt at a plain funnel, in one sort: the chain of `chain.py`, streamed.

Each step-one event hands its time on as an entry, and each event that carries an attempt on in time
hands on the times of that attempt, the latest at its moment.
"""

from __future__ import annotations

import datetime

import ibis.expr.types as ir

from cxlib._calendar import microseconds_of
from cxlib.funnel.rule import Rule
from cxlib.funnel.stream import IN_ORDER, NEVER, carried, in_parts, in_turn


def attempts_in_stream(seen: ir.Table, rule: Rule) -> ir.Table:
    """Return each user's deepest attempt, as `attempts` does, for a plain rule."""
    return in_parts(seen, rule, deepest)


def deepest(rows: str, rule: Rule) -> str:
    """Return the query for the deepest attempts of the users in ``rows``.

    A user's row of each depth is the first that reaches it, so the deepest is the last of them.
    """
    last, later = len(rule.steps), range(2, len(rule.steps) + 1)
    reached = " ".join(f"when takes_{k} then {k}" for k in reversed(later))
    is_first = " or ".join(f"takes_{k} and before_{k} = {-NEVER}" for k in later)
    before = ", ".join(f"lag(at_{k}_{k}) over () as before_{k}" for k in later)
    times = ", ".join(f"make_timestamp({_time(k, last)}) as at_{k}" for k in range(1, last + 1))
    return in_turn(
        f"{rows} order by user_id, moment, step",
        *_entries(rule),
        *(query for k in later for query in _level(k, rule)),
        f"select *, {before} from before",
        f"select *, case {reached} when {_is_over(rule)} then 1 else 0 end as depth from before "
        f"where is_new or {is_first}",
        "select *, lead(user_id) over () is distinct from user_id as is_last from before",
        f"select user_id, {times}, depth::tinyint as depth from before where is_last",
    )


def _entries(rule: Rule) -> list[str]:
    """Give each row the latest entry; keep what is in its window, and each user's first entry."""
    is_entry = f"step = 1 and {_is_over(rule)}"
    matters = f"case step when 1 then is_new or before_1 = {-NEVER} else {_in_window(1, rule)} end"
    return [
        "select *, lag(user_id) over () as user_before from before",
        "select *, user_before is distinct from user_id as is_new from before",
        f"select *, {carried(is_entry, 'moment', -NEVER)} as at_1_1 from before",
        "select *, lag(at_1_1) over () as before_1 from before",
        f"select user_id, moment, step, at_1_1 from before where {matters}",
        "select *, lag(user_id) over () as user_before from before",
        f"select *, {IN_ORDER} from before",
    ]


def _level(k: int, rule: Rule) -> list[str]:
    """Say which rows take step ``k``, and hand the times of their attempts on."""
    takes = f"step = {k} and {_in_window(k - 1, rule)}"
    length = rule.steps[k - 1].length
    if length is not None:
        takes += f" and moment - at_{k - 1}_{k - 1} <= {microseconds_of(length)}"
    known = [] if k == len(rule.steps) else range(1, k)
    times = {f"at_{k}_{j}": f"at_{k - 1}_{j}" for j in known} | {f"at_{k}_{k}": "moment"}
    handed_on = (f"{carried(f'takes_{k}', v, -NEVER)} as {name}" for name, v in times.items())
    return [
        f"select *, {takes} as takes_{k} from before",
        f"select *, {', '.join(handed_on)} from before",
    ]


def _time(k: int, last: int) -> str:
    """Return the time of step ``k`` in the attempt that a row ends."""
    moment = f"case depth when {k} then moment" + (" when 0 then moment" if k == 1 else "")
    return (
        moment + "".join(f" when {d} then at_{d - 1}_{k}" for d in range(k + 1, last + 1)) + " end"
    )


def _is_over(rule: Rule) -> str:
    over = rule.as_of + datetime.timedelta(days=1) - datetime.date(1970, 1, 1)
    return f"moment < {microseconds_of(over) - microseconds_of(rule.window)}"


def _in_window(k: int, rule: Rule) -> str:
    return f"moment - at_{k}_1 <= {microseconds_of(rule.window)}"
