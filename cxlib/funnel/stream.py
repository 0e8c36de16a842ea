"""The chain of a plain rule in one sort, where the engine lets values stream from row to row.

Rows lie by user, time and step, so that the latest attempt at a step is what the rows before hand
on: the entry from each step-one event, and the times of an attempt from each event that carries
one on in time. That is the chain of `chain.py` without a sort for each level. It is written in
DuckDB's own words, since ibis has none for a value that is handed on past nulls, and it relies on the order
in which DuckDB streams: each row is seen to come after the one before, or the query fails.
"""

from __future__ import annotations

import datetime
from functools import cache
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from cxlib.funnel.rule import Rule
from cxlib.funnel.steps import matches
from cxlib.sources import held

NEVER = -(10**18)
"""The moment, in microseconds, that stands for none: 30,000 years before our time."""
MOST_PARTS = 8
SO_FAR = "rows between unbounded preceding and current row"


def is_plain(rule: Rule) -> bool:
    """Say whether steps are taken in order, each event by one, whatever lies between."""
    return (
        rule.order == "ordered"
        and rule.reentry is True
        and rule.ties == "in_step_order"
        and rule.kinds.apart
        and rule.hold is None
        and not rule.exclude
        and not any(step.optional for step in rule.steps)
    )


def may_stream(seen: ir.Table) -> bool:
    """Say whether the engine hands values on as rows stream by, and users are numbers."""
    backend = seen.get_backend()
    return backend.name == "duckdb" and seen["user_id"].type().is_integer() and _streams(backend)


@cache
def _streams(backend: Any) -> bool:
    """Try it once, with more rows than the engine takes in hand at a time, beside a sorted window."""
    value = _carried("i % 3 = 0", "i")
    rows = "(select i, i % 1000 = 0 as is_new from range(10000) t(i))"
    sorted_ = value.replace("(rows", "(order by i rows")
    asked = f"select {value} as one from {rows}"
    (_, plan), *_ = backend.raw_sql(f"explain {asked}").fetchall()
    beside = f"select one, {sorted_} as other from (select *, {value} as one from {rows})"
    wrong = backend.raw_sql(f"select count(*) from ({beside}) where one is distinct from other")
    return "STREAMING_WINDOW" in plan and wrong.fetchone() == (0,)


@ibis.udf.scalar.builtin(name="epoch_us")
def _microseconds(at: dt.timestamp) -> dt.int64:
    """Return the microseconds since 1970."""


@ibis.udf.scalar.builtin(name="list_position")
def _place(names: dt.Array[dt.string], name: str) -> dt.int32:
    """Return the place of a name in a list, from 1; of few names it is asked once for each."""


def attempts_in_stream(seen: ir.Table, rule: Rule) -> ir.Table:
    """Return each user's deepest attempt, as `attempts` does, for a plain rule.

    Each part of the users streams on a thread of its own.
    """
    rows = held(_step_rows(seen, rule))
    (threads,) = rows.get_backend().raw_sql("select current_setting('threads')").fetchone()
    n_parts = min(int(threads), MOST_PARTS)
    parts = [_of_part(rows, part, n_parts, rule) for part in range(n_parts)]
    return ibis.union(*parts) if n_parts > 1 else parts[0]


def _of_part(rows: ir.Table, part: int, n_parts: int, rule: Rule) -> ir.Table:
    """Ask for one part; each names the rows for itself, or the engine would copy them first."""
    name = ibis.util.gen_name("cx_rows")
    return rows.alias(name).sql(_attempts(f'"{name}"', part, n_parts, rule))


def _step_rows(seen: ir.Table, rule: Rule) -> ir.Table:
    """Return the user, ``moment`` (microseconds) and ``step`` (from 1) of the events that matter."""
    seen = seen.filter(rule.in_range(seen["occurred_at"]))
    names = [name for step in rule.steps for name in step.events]
    if len(names) == len(rule.steps) and not any(step.where for step in rule.steps):
        step = _place(ibis.array(names), seen["event"])
    else:
        step = ibis.cases(*[(matches(seen, one), k) for k, one in enumerate(rule.steps, start=1)])
    rows = seen.mutate(step=step.cast("int8")).filter(ibis._["step"] > 0)
    return rows.select("user_id", "step", moment=_microseconds(rows["occurred_at"]))


def _attempts(rows: str, part: int, n_parts: int, rule: Rule) -> str:
    """Return the query for the deepest attempts of one part of the users.

    A user's row of each depth is the first that reaches it, so the deepest is the last of them.
    """
    low, high = (2**64 * edge // n_parts for edge in (part, part + 1))
    last, later = len(rule.steps), range(2, len(rule.steps) + 1)
    reached = " ".join(f"when takes_{k} then {k}" for k in reversed(later))
    is_first = " or ".join(f"takes_{k} and before_{k} = {NEVER}" for k in later)
    before = ", ".join(f"lag(at_{k}_{k}) over () as before_{k}" for k in later)
    queries = {
        "lying": f"select user_id, moment, step from {rows} where user_id between {low} and {high - 1} "
        "order by user_id, moment, step",
        **_entries(rule),
        **{name: query for k in later for name, query in _level(k, rule).items()},
        "compared": f"select *, {before} from level_{last}",
        "firsts": f"select *, case {reached} when {_is_over(rule)} then 1 else 0 end as depth "
        f"from compared where is_new or {is_first}",
        "ended": "select *, lead(user_id) over () is distinct from user_id as is_last from firsts",
    }
    times = ", ".join(f"make_timestamp({_time(k, last)}) as at_{k}" for k in range(1, last + 1))
    named = ", ".join(f"{name} as ({query})" for name, query in queries.items())
    return f"with {named} select user_id, {times}, depth::tinyint as depth from ended where is_last"


def _entries(rule: Rule) -> dict[str, str]:
    """Give each row the latest entry; keep what is in its window, and each user's first entry."""
    is_entry = f"step = 1 and {_is_over(rule)}"
    matters = f"case step when 1 then is_new or before_1 = {NEVER} else {_in_window(1, rule)} end"
    return {
        "beside": "select *, lag(user_id) over () as user_before from lying",
        "parted": "select *, user_before is distinct from user_id as is_new from beside",
        "entered": f"select *, {_carried(is_entry, 'moment')} as at_1_1 from parted",
        "followed": "select *, lag(at_1_1) over () as before_1 from entered",
        "kept": f"select user_id, moment, step, at_1_1 from followed where {matters}",
        "kept_beside": "select *, lag(user_id) over () as user_before from kept",
        "level_1": "select *, case when user_before > user_id then error('rows out of order') "
        "else user_before is distinct from user_id end as is_new from kept_beside",
    }


def _level(k: int, rule: Rule) -> dict[str, str]:
    """Say which rows take step ``k``, and hand the times of their attempts on."""
    takes = f"step = {k} and {_in_window(k - 1, rule)}"
    length = rule.steps[k - 1].length
    if length is not None:
        takes += f" and moment - at_{k - 1}_{k - 1} <= {_microseconds_of(length)}"
    known = [] if k == len(rule.steps) else range(1, k)
    times = {f"at_{k}_{j}": f"at_{k - 1}_{j}" for j in known} | {f"at_{k}_{k}": "moment"}
    carried = (f"{_carried(f'takes_{k}', value)} as {name}" for name, value in times.items())
    return {
        f"taken_{k}": f"select *, {takes} as takes_{k} from level_{k - 1}",
        f"level_{k}": f"select *, {', '.join(carried)} from taken_{k}",
    }


def _carried(when: str, value: str) -> str:
    """Hand the value of a row on to those after it; to a user's first rows `NEVER`.

    DuckDB 1.5 mixes up what is handed on in one select, if it is null at different rows.
    """
    value = f"case when {when} then {value} when is_new then {NEVER} end"
    return f"last_value({value} ignore nulls) over ({SO_FAR})"


def _time(k: int, last: int) -> str:
    """Return the time of step ``k`` in the attempt that a row ends."""
    moment = f"case depth when {k} then moment" + (" when 0 then moment" if k == 1 else "")
    return (
        moment + "".join(f" when {d} then at_{d - 1}_{k}" for d in range(k + 1, last + 1)) + " end"
    )


def _is_over(rule: Rule) -> str:
    over = rule.as_of + datetime.timedelta(days=1) - datetime.date(1970, 1, 1)
    return f"moment < {_microseconds_of(over) - _microseconds_of(rule.window)}"


def _in_window(k: int, rule: Rule) -> str:
    return f"moment - at_{k}_1 <= {_microseconds_of(rule.window)}"


def _microseconds_of(length: datetime.timedelta) -> int:
    return length // datetime.timedelta(microseconds=1)
