"""Exclusions: an event between two steps voids the attempt, or removes the user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir

from cxlib._calendar import interval
from cxlib.funnel.moments import AT, so_far
from cxlib.funnel.rule import Rule

if TYPE_CHECKING:
    from cxlib.funnel.chain import Level


def clean(reached: ir.Table, path: tuple[int, ...], k: int, rule: Rule) -> ir.Table:
    """Keep the attempts that get to step ``k`` without an excluded event strictly in between."""
    for number, since in rule.void_before(k, path[-1]):
        last = reached[f"void_{number}"]
        anchor = reached[_time_of(path, since)]
        reached = reached.filter(last.isnull() | (last <= anchor))
    return reached


def _time_of(path: tuple[int, ...], since: int) -> str:
    """Name the time of the last step taken that is not after step ``since``."""
    return f"at_{max(step for step in path if step <= since) + 1}"


def unspoilt(rows: ir.Table, levels: Sequence[tuple[Level, ir.Table]], rule: Rule) -> ir.Table:
    """Return per user the deepest level at which a clean attempt ends that nothing spoils.

    ``levels`` come with the tightest attempts of each. An excluded event spoils an attempt if it would void its next step, within its window.
    """
    ends = []
    for level, tightest in levels:
        table = tightest.drop("at")
        for number, since in rule.void_before(level.path[-1] + 1, level.path[-1]):
            table = _not_followed(table, rows, number, _time_of(level.path, since), rule)
        ends.append(table.select(*rule.keys, depth=ibis.literal(level.path[-1] + 1)))
    every = ibis.union(*ends)
    return every.group_by(rule.keys).aggregate(unspoilt=every["depth"].max())


def _not_followed(
    table: ir.Table, rows: ir.Table, number: int, anchor: str, rule: Rule
) -> ir.Table:
    """Keep the attempts whose window has no excluded event after the step at ``anchor``."""
    times = [name for name in table.columns if name not in rule.keys]
    excluded = rows.filter(rows[f"voids_{number}"])
    both = ibis.union(
        table.mutate(probe=table[anchor], excluded_at=ibis.null(AT)),
        excluded.select(
            *rule.keys,
            **{name: ibis.null(AT) for name in times},
            probe=excluded["at"],
            excluded_at=excluded["at"],
        ),
    )
    is_event = both["excluded_at"].notnull().cast("int8")
    later = so_far(rule, [both["probe"].desc(), is_event])
    after = both.mutate(following=both["excluded_at"].min().over(later))
    return after.filter(
        after["at_1"].notnull()
        & (
            after["following"].isnull()
            | (after["following"] > after["at_1"] + interval(rule.window))
        )
    ).select(*rule.keys, *times)
