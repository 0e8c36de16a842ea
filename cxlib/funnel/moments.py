"""The events that a rule looks at: one row each, or one row per user and moment."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from cxlib.funnel.rule import Rule
from cxlib.funnel.steps import matches

AT = "timestamp(6)"
QUICK = ("duckdb",)


def step_rows(seen: ir.Table, rule: Rule) -> ir.Table:
    """Return whose event it was, ``at``, and for each kind of step whether it takes it: ``is_0``, …

    Events that no step and no exclusion asks for are left out, but for a strict order.
    """
    seen = whose(seen, rule)
    kinds = {f"is_{kind}": matches(seen, step) for kind, step in enumerate(rule.kinds.steps)}
    voids = {f"voids_{number}": matches(seen, one) for number, one in enumerate(rule.exclude)}
    if rule.order != "strict":
        seen = seen.filter(ibis.or_(*kinds.values(), *voids.values()))
    return seen.select(*rule.keys, **kinds, **voids, at=seen["occurred_at"].cast(AT))


@ibis.udf.scalar.builtin(name="hash")
def _wide_hash(text: str) -> dt.uint64:
    """Return DuckDB's 64-bit hash."""


def is_quick(table: ir.Table) -> bool:
    """Say whether the engine has a 64-bit hash and an ASOF join."""
    return table.get_backend().name in QUICK


def with_short_ids(seen: ir.Table, rule: Rule) -> ir.Table:
    """Return the events with users as numbers, for counting them, where the engine is quick.

    Sorting numbers takes half the time of sorting text. The odds that any two of a million users
    share one of 2^64 numbers are 1 in 37 million (n² / 2^65). A condition may name users as they are.
    """
    conditions = [step.where for step in rule.steps] + [one.where for one in rule.exclude]
    if any("user_id" in (where or {}) for where in conditions) or not is_quick(seen):
        return seen
    return seen.mutate(user_id=_wide_hash(seen["user_id"]))


def whose(seen: ir.Table, rule: Rule) -> ir.Table:
    """Add ``held``, where a value must be held."""
    return seen if rule.hold is None else seen.mutate(held=seen[rule.hold].cast("string"))


def microseconds_between(earlier: ir.Value, later: ir.Value) -> ir.IntegerValue:
    """Return the whole microseconds from one moment to another."""
    return later.delta(earlier, unit="microsecond")


def moments(rows: ir.Table, rule: Rule) -> ir.Table:
    """Return one row per user and moment: how many events it holds of each crowd of kinds.

    Where one event may take several steps, or lie between two, events of one moment must be
    counted: one event never serves two steps. ``n_all`` counts all events of the moment,
    ``here_0`` says whether the first exclusion is among them, ``void_0`` when it last came before.
    """
    counts = {
        _count(crowd): ibis.or_(*[rows[f"is_{kind}"] for kind in crowd]).sum()
        for crowd in rule.kinds.crowds()
    }
    numbers = range(len(rule.exclude))
    here = {f"here_{number}": rows[f"voids_{number}"].any() for number in numbers}
    table = rows.group_by([*rule.keys, "at"]).aggregate(**counts, **here, n_all=rows.count())
    return table.mutate(
        **{
            f"void_{number}": table["at"].max(where=table[f"here_{number}"]).over(before(rule))
            for number in numbers
        }
    )


def before(rule: Rule) -> ibis.expr.builders.WindowBuilder:
    """Return the window of a user's earlier moments."""
    return ibis.window(group_by=rule.keys, order_by="at", preceding=(None, 1))


def so_far(rule: Rule, order_by: object = "at") -> ibis.expr.builders.WindowBuilder:
    """Return the window of a user's moments up to this one."""
    return ibis.window(group_by=rule.keys, order_by=order_by, preceding=None, following=0)


def number_of(table: ir.Table, kinds: Iterable[int], rule: Rule) -> ir.IntegerColumn:
    """Return how many events of the moment are of any of these kinds."""
    wanted = set(kinds)
    crowds = [tuple(kind for kind in group if kind in wanted) for group in rule.kinds.groups]
    return reduce(lambda one, other: one + other, [table[_count(c)] for c in crowds if c])


def _count(crowd: tuple[int, ...]) -> str:
    return "n_" + "_".join(map(str, crowd))
