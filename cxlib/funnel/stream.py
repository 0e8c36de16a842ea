"""A funnel in one sort, where the engine lets values stream from row to row.

Rows lie by user and time, so that what a step needs of the steps beside it is what the rows before
hand on: no sort for each level. It is written in DuckDB's own words, since ibis has none for a
value that is handed on past nulls, and it relies on the order in which DuckDB streams: users are
seen to come in their order, or the query fails.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, reduce
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.types as ir

from cxlib.funnel.rule import Rule
from cxlib.funnel.steps import matches
from cxlib.sources import held

NEVER = 10**18
"""The moment, in microseconds, that stands for none, also below zero: 30,000 years from our time."""
MOST_PARTS = 8
IN_ORDER = (
    "case when user_before > user_id then error('rows out of order') "
    "else user_before is distinct from user_id end as is_new"
)
"""Whether a row is the first of its user; with it the proof that users come in their order."""
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
    value = carried("i % 3 = 0", "i", -NEVER)
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


def in_parts(seen: ir.Table, rule: Rule, query: Callable[[str, Rule], str]) -> ir.Table:
    """Return what the query says of the rows of all users, each part of them on a thread of its own.

    ``query`` takes the words for the rows of a part: ``user_id``, ``moment`` (microseconds) and
    ``step`` (from 1) of the events that take a step, none before ``rule.start``.
    """
    rows = _step_rows(seen, rule)
    if rows.op().find(ops.InMemoryTable):  # only of what is in the engine can be asked in its words
        rows = held(rows)
    rows = rows.alias(ibis.util.gen_name("cx_rows"))
    (threads,) = seen.get_backend().raw_sql("select current_setting('threads')").fetchone()
    n_parts = min(int(threads), MOST_PARTS)
    parts = [of_part(rows, part, n_parts, rule, query) for part in range(n_parts)]
    return ibis.union(*parts) if n_parts > 1 else parts[0]


def of_part(
    rows: ir.Table, part: int, n_parts: int, rule: Rule, query: Callable[[str, Rule], str]
) -> ir.Table:
    """Ask of one part of the rows, an alias that the parts share: the engine makes them once.

    It would make them once for each part, or for each condition on them, if nothing asked for all.
    """
    name = rows.op().name
    low, high = (2**64 * edge // n_parts for edge in (part, part + 1))
    theirs = f'select * from "{name}" where user_id between {low} and {high - 1}'
    all_rows = f'(select count(*) from "{name}")'
    return rows.sql(f"select * from ({query(theirs, rule)}) where {all_rows} >= 0")


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


def in_turn(first: str, *queries: str) -> str:
    """Return the last of the queries, each of which asks ``from before``: of the one before it."""
    return reduce(
        lambda inner, query: query.replace("from before", f"from ({inner})"), queries, first
    )


def carried(when: str, value: str, none: int) -> str:
    """Hand the value of a row on to those after it; to a user's first rows ``none``.

    DuckDB 1.5 mixes up what is handed on in one select, if it is null at different rows.
    """
    value = f"case when {when} then {value} when is_new then {none} end"
    return f"last_value({value} ignore nulls) over ({SO_FAR})"
