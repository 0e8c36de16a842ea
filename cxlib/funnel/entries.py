"""The depth that each entry into a plain funnel reaches, in one sort: the chain from its end.

The first event of a step at or after an event of the step before completes an attempt first. So
each event, told backwards in time, hands on its time and those of the steps that can follow it.
"""

from __future__ import annotations

import ibis.expr.types as ir

from cxlib._calendar import microseconds_of
from cxlib.funnel.rule import Rule
from cxlib.funnel.stream import (
    IN_ORDER,
    NEVER,
    carried,
    in_parts,
    in_turn,
    is_plain,
)


def is_told_by_entry(rule: Rule) -> bool:
    """Say whether the first event that can follow is the best: no step has a window of its own."""
    return is_plain(rule) and not any(step.within for step in rule.steps)


def depths_of_entries(seen: ir.Table, rule: Rule) -> ir.Table:
    """Return ``user_id``, ``at`` and ``depth`` of each step-one event, whether its window is over or not."""
    return in_parts(seen, rule, entries)


def entries(rows: str, rule: Rule) -> str:
    """Return the query for the depths of the entries of the users in ``rows``."""
    last = len(rule.steps)
    reached = " ".join(
        f"when at_2_{k} - moment <= {microseconds_of(rule.window)} then {k}"
        for k in range(last, 1, -1)
    )
    depth = f"(case {reached} else 1 end)::tinyint as depth"
    return in_turn(
        f"{rows} order by user_id, moment desc, step desc",
        "select *, lag(user_id) over () as user_before from before",
        f"select *, {IN_ORDER} from before",
        *(_level(k, last) for k in range(last, 1, -1)),
        f"select user_id, make_timestamp(moment) as at, {depth} from before where step = 1",
    )


def _level(k: int, last: int) -> str:
    """Hand on when step ``k`` comes next, and when each later one can be taken after it."""
    next_ = {f"at_{k}_{k}": "moment"} | {
        f"at_{k}_{later}": f"at_{k + 1}_{later}" for later in range(k + 1, last + 1)
    }
    handed_on = (f"{carried(f'step = {k}', v, NEVER)} as {name}" for name, v in next_.items())
    return f"select *, {', '.join(handed_on)} from before"
