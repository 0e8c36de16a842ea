"""Each user's deepest attempt at a funnel, whatever the rule: what all answers are built on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest

import ibis
import ibis.expr.types as ir

from cxlib.funnel.any_order import attempts_in_any_order
from cxlib.funnel.chain import Level, first_of, levels, tightest
from cxlib.funnel.deepest import attempts_in_stream
from cxlib.funnel.exclusions import unspoilt
from cxlib.funnel.moments import AT, step_rows
from cxlib.funnel.rule import Rule
from cxlib.funnel.stream import is_plain, may_stream
from cxlib.sources import held


def attempts(seen: ir.Table, rule: Rule) -> ir.Table:
    """Return each user's deepest attempt.

    Parameters
    ----------
    seen : ibis table
        Observed events, as `seen_events` returns them: ``user_id``, ``event``, ``occurred_at``, no
        nulls, none after ``rule.as_of``, and the columns that steps, exclusions and ``hold`` ask for
        (no null in that of ``hold``).
    rule : Rule
        As `check_rule` returns it.

    Returns
    -------
    ibis table
        Grain: one row per user who did step one in the date range (any step, in any order); with
        ``hold``, one row per user and held value.

        - ``user_id``, and ``held`` (text) with ``rule.hold``
        - ``depth`` (int): the last step reached, from 1; 0 where the windows of all entries are
          still open; -1 where ``exclude_scope="user"`` removes the user
        - ``at_1`` … ``at_K`` (timestamp): when each step was taken; null for steps not reached
          and for optional steps passed over. At depth 0 ``at_1`` is the earliest open entry, at
          depth -1 that of the best attempt. In any order ``at_k`` is when the k-th step was done,
          whichever it was.

    Notes
    -----
    Of several attempts of the greatest depth, the first to be complete, then the one with the most
    steps taken, then the one that entered last.
    """
    if is_plain(rule) and may_stream(seen):
        return attempts_in_stream(seen, rule)
    rows = held(step_rows(seen, rule))  # each level reads them again, the source only once
    rows = rows.mutate(at=rows["at"].cast(AT))  # Spark's tables forget the precision
    if rule.order == "any":
        return attempts_in_any_order(rows, rule)
    entries, found = levels(rows, rule)
    users = _deepest(entries, found, rule)
    if not rule.exclude or rule.exclude_scope == "attempt":
        return users
    ends = [(level, tightest(level, rule)) for level in found]
    free = rule.without_exclusions()
    reached = _deepest(*levels(rows, free), free)
    return _without_removed(users, reached, unspoilt(rows, ends, rule), rule)


def _deepest(entries: ir.Table, found: Sequence[Level], rule: Rule) -> ir.Table:
    """Return the best of each user's first attempts at every level."""
    if not any(step.optional for step in rule.steps):
        return _deepest_of_chain(entries, found, rule)
    still_open = entries.filter(~rule.is_over(entries["at"]))
    every = [_as_attempt(Level((0,), still_open), 0, rule)]
    every += [_as_attempt(level, level.path[-1] + 1, rule) for level in found]
    table = ibis.union(*every)
    best = [ibis.desc("depth"), "ended", ibis.desc("n_taken"), ibis.desc("at_1"), ibis.desc("path")]
    order = ibis.window(group_by=rule.keys, order_by=best)
    first = table.mutate(place=ibis.row_number().over(order)).filter(ibis._["place"] == 0)
    return first.select(*rule.keys, *_times(rule), "depth")


def _deepest_of_chain(entries: ir.Table, found: Sequence[Level], rule: Rule) -> ir.Table:
    """Return the same where each level's users are among those of the level before.

    So a user's deepest level is the one before that which has nothing of them.
    """
    deeper = [level.table.select(rule.keys).view() for level in found[1:]]
    entries = entries.anti_join(deeper[0], rule.keys)
    at, over = entries["at"], rule.is_over(entries["at"])
    first = entries.group_by(rule.keys).aggregate(
        ended=at.min(where=over), opened=at.min(where=~over)
    )
    at_1 = ibis.coalesce(first["ended"], first["opened"])
    times = dict.fromkeys(_times(rule), ibis.null(AT)) | {"at_1": at_1}
    depth = first["ended"].notnull().cast("int8")
    users = [first.select(*rule.keys, **times, depth=depth)]
    for level, further in zip_longest(found[1:], deeper[1:]):
        table = level.table if further is None else level.table.anti_join(further, rule.keys)
        users.append(_as_attempt(replace(level, table=table), len(level.path), rule))
    return ibis.union(*users)


def _as_attempt(level: Level, depth: int, rule: Rule) -> ir.Table:
    """Return the first attempts at a level with the times of all steps, unknown ones null."""
    first = first_of(level, rule)
    times = {name: first[name] if name in level.times else ibis.null(AT) for name in _times(rule)}
    if not any(step.optional for step in rule.steps):
        return first.select(*rule.keys, **times, depth=ibis.literal(depth, "int8"))
    return first.select(
        *rule.keys,
        **times,
        depth=ibis.literal(depth, "int8"),
        n_taken=ibis.literal(len(level.path)),
        ended=first[level.times[-1]],
        path=ibis.literal("-".join(map(str, level.path))),
    )


def _times(rule: Rule) -> list[str]:
    return [f"at_{k}" for k in range(1, len(rule.steps) + 1)]


def _without_removed(users: ir.Table, reached: ir.Table, kept: ir.Table, rule: Rule) -> ir.Table:
    """Give depth -1 to users who got furthest only by an attempt that was voided or spoilt.

    A clean attempt that gets as far keeps the user, as in PostHog.
    """
    reached = reached.select(*rule.keys, reached=reached["depth"])
    table = users.left_join(reached, rule.keys).select(users, "reached")
    table = table.left_join(kept, rule.keys).select(table, "unspoilt")
    is_removed = table["reached"] > table["unspoilt"].fill_null(0)
    later = {name: ibis.ifelse(is_removed, ibis.null(AT), table[name]) for name in _times(rule)[1:]}
    depth = ibis.ifelse(is_removed, -1, table["depth"])
    return table.select(*rule.keys, "at_1", **later, depth=depth)
