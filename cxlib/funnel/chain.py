"""The backward chain: attempts at each step, found in the engine without a self-join.

The entry that an attempt can claim never falls with time, and neither do the times of its
later steps. So the latest survivor before a candidate is its best, an ASOF join finds it where
the engine has one and a running maximum where not, and whom the best does not bring into the
window nobody does. Each level sorts the survivors of one step and the events of the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from cxlib._calendar import interval
from cxlib.funnel import exclusions, strict
from cxlib.funnel.moments import AT, is_quick, moments, number_of, so_far
from cxlib.funnel.rule import Rule


@dataclass(frozen=True, eq=False)
class Level:
    """The attempts that took the steps of ``path`` (from 0) and have not gone on yet.

    ``table`` has one row per event (or moment) that ends one, with the latest times that lead
    there: ``at``, and ``at_1`` … for the steps taken.
    """

    path: tuple[int, ...]
    table: ir.Table

    @property
    def times(self) -> list[str]:
        """Names of the times of the steps taken."""
        return [f"at_{step + 1}" for step in self.path]


def levels(rows: ir.Table, rule: Rule) -> tuple[ir.Table, list[Level]]:
    """Return all entries, and the attempts at each step from those whose windows are over."""
    by_moment = not rule.kinds.apart or bool(rule.exclude) or rule.order == "strict"
    table = (
        moments(rows, rule).drop([f"here_{number}" for number in range(len(rule.exclude))])
        if by_moment
        else rows
    )
    if rule.order == "strict":
        table = strict.with_others(table, rule)
    entries = _at_step(table, 0, rule, by_moment)
    entries = entries.filter(rule.in_range(entries["at"]))
    if rule.reentry == "first":
        of_one = ibis.window(group_by=rule.keys)
        entries = entries.mutate(first=entries["at"].min().over(of_one))
        entries = entries.filter(entries["at"] == entries["first"]).drop("first")
    entries = entries.mutate(at_1=entries["at"])
    if by_moment:
        entries = entries.mutate(start=ibis.literal(0))
    found = [Level((0,), entries.filter(rule.is_over(entries["at"])))]
    for level in found:  # grows on the way
        for k in rule.next_of(level.path[-1]):
            taken = _claim(level, _at_step(table, k, rule, by_moment), k, rule)
            if by_moment:
                taken = taken.mutate(start=ibis.literal(len(level.path)))
                if rule.ties != "strict":
                    taken = ibis.union(taken, _stay(level, k, rule))
            found.append(Level((*level.path, k), taken))
    return entries, found


def _at_step(table: ir.Table, k: int, rule: Rule, by_moment: bool) -> ir.Table:
    """Return the rows at which step ``k`` (from 0) may be taken."""
    kind = rule.kinds.of[k]
    if by_moment:
        return table.filter(number_of(table, [kind], rule) > 0)
    return table.filter(table[f"is_{kind}"]).select(*rule.keys, "at")


def _claim(level: Level, candidates: ir.Table, k: int, rule: Rule) -> ir.Table:
    """Return the candidates that carry on an attempt of the level before, in time."""
    extra = [name for name in candidates.columns if name not in (*rule.keys, "at")]
    if not extra and is_quick(level.table):
        claimed = _claimed_by_join(level, candidates, rule)
    else:
        claimed = _claimed_by_window(level, candidates, extra, rule)
    reached = claimed.filter(claimed["at"] <= claimed["at_1"] + interval(rule.window))
    length = rule.steps[k].length
    if length is not None:
        reached = reached.filter(reached["at"] <= reached[level.times[-1]] + interval(length))
    if rule.order == "strict":
        reached = strict.nothing_between(reached, level.path[-1])
    reached = exclusions.clean(reached, level.path, k, rule)
    return reached.select(*rule.keys, "at", *extra, *level.times, **{f"at_{k + 1}": reached["at"]})


def _claimed_by_join(level: Level, candidates: ir.Table, rule: Rule) -> ir.Table:
    """Give each candidate the latest attempt before it, by the engine's own join for that."""
    before = level.table.select(
        *rule.keys, *level.times
    ).view()  # the engine sorts what it is given
    last = before[level.times[-1]]
    in_time = candidates["at"] > last if rule.ties == "strict" else candidates["at"] >= last
    both = candidates.asof_join(before, in_time, [candidates[k] == before[k] for k in rule.keys])
    return both.select(*rule.keys, "at", *level.times)


def _claimed_by_window(
    level: Level, candidates: ir.Table, extra: Sequence[str], rule: Rule
) -> ir.Table:
    """Give each candidate the latest attempt before it, by a running maximum."""
    left = (
        strict.may_leave(level.table, level.path, rule) if rule.order == "strict" else level.table
    )
    marks = strict.marks(level.path[-1]) if rule.order == "strict" else {}
    unknown = {name: ibis.null(AT) for name in level.times}
    both = ibis.union(
        left.select(
            *rule.keys,
            "at",
            *extra,
            *level.times,
            **{name: left[column] for name, column in marks.items()},
            is_candidate=ibis.literal(0),
        ),
        candidates.select(
            *rule.keys,
            "at",
            *extra,
            **unknown,
            **{name: ibis.null("int64") for name in marks},
            is_candidate=ibis.literal(1),
        ),
    )
    # Events of one moment: the step before counts first, unless the moment is told apart.
    later_only = bool(extra) or rule.ties == "strict"
    of_one_moment = both["is_candidate"].desc() if later_only else both["is_candidate"].asc()
    window = so_far(rule, [both["at"], of_one_moment])
    claimed = both.mutate(
        **{name: both[name].max().over(window) for name in (*level.times, *marks)}
    )
    return claimed.filter(claimed["is_candidate"] == 1)


def _stay(level: Level, k: int, rule: Rule) -> ir.Table:
    """Return the attempts that take step ``k`` at the same moment as the step before.

    An attempt has taken the steps from place ``start`` of its path on at this moment. They
    have events of their own if every crowd of kinds has as many events as steps (Hall 1935,
    J. London Math. Soc. 10, 26-30); for those before this step that has been seen to.
    """
    table, kinds = level.table, rule.kinds
    enough = ibis.literal(True)
    for crowd in kinds.crowds_of(kinds.of[k]):
        needed = ibis.literal(1)
        for place, step in enumerate(level.path):
            if kinds.of[step] in crowd:
                needed = needed + (table["start"] <= place).cast("int8")
        enough &= number_of(table, crowd, rule) >= needed
    return (
        table.filter(enough)
        .mutate(**{f"at_{k + 1}": table["at"]})
        .select(*[name for name in table.columns if name != "start"], f"at_{k + 1}", "start")
    )


def tightest(level: Level, rule: Rule) -> ir.Table:
    """Return the latest times that lead to each moment at which attempts of a level end."""
    if "start" not in level.table.columns:
        return level.table.select(*rule.keys, "at", *level.times)
    return level.table.group_by([*rule.keys, "at"]).aggregate(
        **{name: level.table[name].max() for name in level.times}
    )


def first_of(level: Level, rule: Rule) -> ir.Table:
    """Return the earliest attempt of each user at this level: the times of the steps taken."""
    table = tightest(level, rule)
    return table.group_by(rule.keys).aggregate(**{name: table[name].min() for name in level.times})
