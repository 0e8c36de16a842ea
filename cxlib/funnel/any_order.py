"""Any order: how many steps a user did within one window, whichever came first."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ibis
import ibis.expr.types as ir

from cxlib._calendar import interval
from cxlib.funnel.moments import moments, number_of, so_far
from cxlib.funnel.rule import Rule


def attempts_in_any_order(rows: ir.Table, rule: Rule) -> ir.Table:
    """Return one row per user: ``depth``, the number of steps done, and ``at_k``, when the k-th was.

    Of the attempts of the greatest depth it is the first to be complete, from its latest entry on.
    """
    table, ends = _moments_and_ends(rows, rule)
    best = _first_of_the_deepest(ends, rule)
    steps = table.filter(table["is_step"])
    times = _times(steps.join(best, rule.keys), rule)
    users = steps.group_by(rule.keys).aggregate(entered=steps["at"].min())
    found = users.left_join(times, rule.keys)
    at = {f"at_{k}": found[f"at_{k}"] for k in range(2, len(rule.steps) + 1)}
    return found.select(
        *rule.keys,
        at_1=found["at_1"].fill_null(found["entered"]),
        **at,
        depth=found["depth"].fill_null(0),
    )


def first_done(rows: ir.Table, rule: Rule, numbers: Sequence[int]) -> ir.Table:
    """Return when each user had first done so many steps: ``at_k`` for each of the numbers."""
    _, ends = _moments_and_ends(rows, rule)
    times = {f"at_{k}": ends["at"].min(where=ends["depth"] >= k) for k in numbers}
    return ends.group_by(rule.keys).aggregate(**times)


def _moments_and_ends(rows: ir.Table, rule: Rule) -> tuple[ir.Table, ir.Table]:
    """Return the moments in the date range, and those of them at which attempts end."""
    table = moments(rows, rule)
    table = table.filter(rule.in_range(table["at"]))
    every = [kind for group in rule.kinds.groups for kind in group]
    table = table.mutate(is_step=number_of(table, every, rule) > 0)
    return table, _ends_of_first(table, rule) if rule.reentry == "first" else _ends(table, rule)


def _done(count: Callable[[tuple[int, ...]], ir.Value], rule: Rule) -> ir.Value:
    """Return how many steps can be given events of their own, from the events of each crowd.

    It is the least, over sets of steps, of the steps outside the set and the events for those
    inside (König 1931, Mat. Fiz. Lapok 38, 116-119).
    """
    total = ibis.literal(0)
    for group in rule.kinds.groups:
        size = sum(kind in group for kind in rule.kinds.of)
        bounds = [
            count(crowd) + (size - sum(kind in crowd for kind in rule.kinds.of))
            for crowd in rule.kinds.crowds()
            if set(crowd) <= set(group)
        ]
        total = total + ibis.least(ibis.literal(size), *bounds)
    return total


def _ends(table: ir.Table, rule: Rule) -> ir.Table:
    """Return the moments at which attempts end: ``depth``, and ``since``, the earliest entry.

    An attempt reaches back the length of the window, but not past an excluded event. What it
    holds is what the user did up to its end, less what was done before ``since``.
    """
    counts = {_done_by(crowd): number_of(table, crowd, rule) for crowd in rule.kinds.crowds()}
    counts["n_over"] = (table["is_step"] & rule.is_over(table["at"])).cast("int64")
    table = table.mutate(
        since=_reach(table, rule),
        **{name: value.sum().over(so_far(rule)).cast("int64") for name, value in counts.items()},
    )
    both = ibis.union(
        table.select(*rule.keys, "at", "since", *counts, probe="at", is_end=ibis.literal(0)),
        table.select(*rule.keys, "at", "since", *counts, probe="since", is_end=ibis.literal(1)),
    )
    earlier = so_far(rule, [both["probe"], both["is_end"].desc()])
    of_moment = both["is_end"] == 0
    ends = both.mutate(
        **{
            name: both[name] - both[name].max(where=of_moment).over(earlier).fill_null(0)
            for name in counts
        }
    ).filter(ibis._["is_end"] == 1)
    ends = ends.mutate(depth=_done(lambda crowd: ends[_done_by(crowd)], rule))
    return ends.filter(ends["n_over"] > 0).select(*rule.keys, "at", "since", "depth")


def _ends_of_first(table: ir.Table, rule: Rule) -> ir.Table:
    """Return the moments at which attempts from each user's first step end."""
    of_one = ibis.window(group_by=rule.keys)
    table = table.mutate(since=table["at"].min(where=table["is_step"]).over(of_one))
    table = table.filter(
        rule.is_over(table["since"])
        & table["at"].between(table["since"], table["since"] + interval(rule.window))
    )
    table = table.filter(_reach(table, rule) <= table["since"])
    done = {crowd: number_of(table, crowd, rule) for crowd in rule.kinds.crowds()}
    depth = _done(lambda crowd: done[crowd].sum().over(so_far(rule)), rule)
    return table.select(*rule.keys, "at", "since", depth=depth)


def _reach(table: ir.Table, rule: Rule) -> ir.Value:
    """Return the earliest entry from which a moment can be reached."""
    opened = table["at"] - interval(rule.window)
    voids = [table[f"void_{number}"].fill_null(opened) for number in range(len(rule.exclude))]
    return ibis.greatest(opened, *voids) if voids else opened


def _first_of_the_deepest(ends: ir.Table, rule: Rule) -> ir.Table:
    """Return per user the ``depth``, ``since`` and ``ended`` of the first attempt so deep."""
    of_one = ibis.window(group_by=rule.keys)
    ends = ends.mutate(deepest=ends["depth"].max().over(of_one))
    ends = ends.filter(ends["depth"] == ends["deepest"])
    return ends.group_by(rule.keys).aggregate(
        depth=ends["depth"].max(), since=ends["since"].min(), ended=ends["at"].min()
    )


def _times(steps: ir.Table, rule: Rule) -> ir.Table:
    """Return when each attempt did its k-th step: ``at_1``, … from its latest entry on."""
    steps = steps.filter(steps["at"].between(steps["since"], steps["ended"]))
    done = {crowd: number_of(steps, crowd, rule) for crowd in rule.kinds.crowds()}
    back = so_far(rule, steps["at"].desc())
    may_enter = rule.is_over(steps["at"]) & (
        _done(lambda crowd: done[crowd].sum().over(back), rule) >= steps["depth"]
    )
    if rule.reentry == "first":
        may_enter = steps["at"] == steps["since"]
    steps = steps.mutate(may_enter=may_enter)
    entry = steps["at"].max(where=steps["may_enter"]).over(ibis.window(group_by=rule.keys))
    steps = steps.mutate(entry=entry).filter(ibis._["at"] >= ibis._["entry"])
    done = {crowd: number_of(steps, crowd, rule) for crowd in rule.kinds.crowds()}
    steps = steps.mutate(place=_done(lambda crowd: done[crowd].sum().over(so_far(rule)), rule))
    return steps.group_by(rule.keys).aggregate(
        depth=steps["depth"].max(),
        **{
            f"at_{k}": steps["at"].min(where=(steps["place"] >= k))
            for k in range(1, len(rule.steps) + 1)
        },
    )


def _done_by(crowd: tuple[int, ...]) -> str:
    return "done_" + "_".join(map(str, crowd))
