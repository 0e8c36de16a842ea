"""Strict order: between two steps of an attempt the user does nothing else.

What repeats the step just taken is nothing else: view, cart, cart, purchase is strict, as in
PostHog and ClickHouse. Events of one moment may have come in any order.
"""

from __future__ import annotations

import ibis.expr.types as ir

from cxlib.funnel.moments import number_of, so_far
from cxlib.funnel.rule import Rule


def with_others(moments: ir.Table, rule: Rule) -> ir.Table:
    """Add ``others_k``: the user's events so far that do not take step ``k`` (from 0)."""
    kinds = rule.kinds.of
    others = {
        k: moments["n_all"] - number_of(moments, [kinds[k]], rule) for k in range(len(rule.steps))
    }
    return moments.mutate(
        **{
            f"others_{k}": value.sum().over(so_far(rule)).cast("int64")
            for k, value in others.items()
        },
        **{
            f"others_before_{k}": (value.sum().over(so_far(rule)) - value).cast("int64")
            for k, value in others.items()
        },
    )


def may_leave(table: ir.Table, path: tuple[int, ...], rule: Rule) -> ir.Table:
    """Keep the attempts that may go on from this moment to a later one.

    All events of the moment are steps taken at it, or repeat one of those or the step taken
    before; at the moment of entry other events may have come first.
    """
    free = table["start"] == 0
    for start in range(1, len(path)):
        kinds = [rule.kinds.of[step] for step in path[start - 1 :]]
        alone = number_of(table, kinds, rule) == table["n_all"]
        free |= (table["start"] == start) & alone
    return table.filter(free)


def marks(last: int) -> dict[str, str]:
    """Return what a later candidate must know of an attempt that has just taken step ``last``."""
    return {"mark": f"others_{last}"}


def nothing_between(reached: ir.Table, last: int) -> ir.Table:
    """Keep the candidates with nothing but repeats of step ``last`` since it was taken."""
    return reached.filter(reached[f"others_before_{last}"] == reached["mark"])
