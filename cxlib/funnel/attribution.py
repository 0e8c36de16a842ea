"""To which group a user belongs: the value of a column at one step of the deepest attempt."""

from __future__ import annotations

from typing import Literal, get_args

import ibis
import ibis.expr.types as ir

from cxlib._checks import ParameterError
from cxlib.funnel.moments import AT, whose
from cxlib.funnel.rule import Rule
from cxlib.funnel.steps import matches
from cxlib.tables import NO_GROUP

End = Literal["first", "last"]


def check_attribution(attribution: str | int, rule: Rule) -> str | int:
    """Return ``attribution`` if it is "first", "last" or the number of a step."""
    if isinstance(attribution, str) and attribution in get_args(End):
        return attribution
    is_number = isinstance(attribution, int) and not isinstance(attribution, bool)
    if is_number and int(attribution) in range(1, len(rule.steps) + 1):
        return attribution
    raise ParameterError(
        f"attribution={attribution!r} is not 'first', 'last' or a step from 1 to {len(rule.steps)}"
    )


def with_label(
    users: ir.Table, seen: ir.Table, label: ir.Value, rule: Rule, attribution: str | int
) -> ir.Table:
    """Add ``label``, the value at the step that ``attribution`` names; `NO_GROUP` where there is none.

    Of several events that take the step at one moment, the first value in the alphabet counts.
    """
    last = users["depth"].clip(lower=1)  # who is still open, or removed, at the entry
    place = last if attribution == "last" else ibis.literal(_step(attribution))
    asked = range(1, len(rule.steps) + 1) if attribution == "last" else [_step(attribution)]
    at = ibis.cases(*[(place == k, users[f"at_{k}"]) for k in asked], else_=ibis.null(AT))
    users = users.mutate(
        at=ibis.ifelse(place <= last, at, ibis.null(AT)), place=place.cast("int64")
    )
    labels = ibis.union(*[_labels(seen, label, rule, k) for k in asked])
    found = users.left_join(labels, [*rule.keys, "place", "at"]).select(users, labels["label"])
    return found.mutate(label=found["label"].fill_null(NO_GROUP)).drop("at", "place")


def _step(attribution: str | int) -> int:
    return 1 if attribution == "first" else int(attribution)


def _labels(seen: ir.Table, label: ir.Value, rule: Rule, k: int) -> ir.Table:
    """Return the label of each user and moment at which step ``k`` (from 1) may have been taken."""
    steps = rule.steps if rule.order == "any" else [rule.steps[k - 1]]
    rows = whose(seen.mutate(label=label), rule)
    rows = rows.filter(ibis.or_(*[matches(rows, step) for step in steps]))
    labels = rows.group_by(
        *rule.keys, at=rows["occurred_at"].cast(AT), place=ibis.literal(k).cast("int64")
    )
    return labels.aggregate(label=rows["label"].min())
