"""The rule by which a funnel counts: every choice, checked once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypedDict, get_args

import ibis
import ibis.expr.types as ir

from cxlib._calendar import interval
from cxlib._checks import ParameterError, check_choice, check_date, check_duration, lasting
from cxlib.funnel.steps import Exclude, Kinds, Step, is_part
from cxlib.tables import midnight_after

MOST_OPTIONAL = 4
Order = Literal["ordered", "strict", "any"]
Reentry = Literal[True, "first"]
Ties = Literal["in_step_order", "strict"]
Scope = Literal["attempt", "user"]


class Options(TypedDict, total=False):
    """The choices of a funnel that have a default; `funnel` says what they mean."""

    start: str | dt.date | None
    order: Order
    reentry: Reentry
    ties: Ties
    exclude: Sequence[str | Exclude]
    exclude_scope: Scope
    hold: str | None


@dataclass(frozen=True, eq=False)
class Rule:
    """How attempts are counted; made by `check_rule`."""

    steps: tuple[Step, ...]
    window: dt.timedelta
    as_of: dt.date
    start: dt.date | None = None
    order: str = "ordered"
    reentry: bool | str = True
    ties: str = "in_step_order"
    exclude: tuple[Exclude, ...] = ()
    exclude_scope: str = "attempt"
    hold: str | None = None

    @property
    def keys(self) -> list[str]:
        """Columns that name whose attempts are counted together."""
        return ["user_id"] if self.hold is None else ["user_id", "held"]

    @cached_property
    def kinds(self) -> Kinds:
        """The different conditions among the steps."""
        return Kinds(self.steps)

    def next_of(self, k: int) -> range:
        """Return the steps (from 0) that an attempt may take after step ``k``."""
        ahead = range(k + 1, len(self.steps))
        required = (j for j in ahead if not self.steps[j].optional)
        return range(k + 1, next(required, len(self.steps) - 1) + 1)

    def required_before(self, k: int) -> int:
        """Return the last step before ``k`` (both from 1) that is not optional; 0 for none."""
        return max((j for j in range(1, k) if not self.steps[j - 1].optional), default=0)

    def void_before(self, k: int, last: int) -> list[tuple[int, int]]:
        """Return the exclusions that hold between steps ``last`` and ``k`` (from 0), and since which step."""
        return [
            (number, min(exclude.after - 1, last))
            for number, exclude in enumerate(self.exclude)
            if exclude.after - 1 < k and last < (exclude.before or len(self.steps)) - 1
        ]

    def is_over(self, at: ir.Column) -> ir.BooleanColumn:
        """Say which windows that open at ``at`` are over at the end of ``as_of``."""
        return at + interval(self.window) < midnight_after(self.as_of)

    def in_range(self, at: ir.Column) -> ir.BooleanColumn:
        """Say which moments are not before ``start``."""
        return ibis.literal(True) if self.start is None else at >= ibis.timestamp(str(self.start))

    def without_exclusions(self) -> Rule:
        """Return the rule of attempts that look past what is excluded."""
        return replace(self, exclude=(), exclude_scope="attempt")


def check_rule(
    *,
    steps: Sequence[str | Step],
    window: str | dt.timedelta,
    as_of: str | dt.date,
    start: str | dt.date | None = None,
    order: str = "ordered",
    reentry: bool | str = True,
    ties: str = "in_step_order",
    exclude: Sequence[str | Exclude] = (),
    exclude_scope: str = "attempt",
    hold: str | None = None,
) -> Rule:
    """Return the rule, or raise `ParameterError` for what cannot be counted."""
    rule = Rule(
        steps=_checked_steps(steps),
        window=check_duration("window", window),
        as_of=check_date("as_of", as_of),
        start=None if start is None else check_date("start", start),
        order=check_choice("order", order, get_args(Order)),
        reentry=check_choice("reentry", reentry, get_args(Reentry)),
        ties=check_choice("ties", ties, get_args(Ties)),
        exclude=_checked_exclusions(exclude, len(steps)),
        exclude_scope=check_choice("exclude_scope", exclude_scope, get_args(Scope)),
        hold=hold,
    )
    if rule.start is not None and rule.start > rule.as_of:
        raise ParameterError(f"start={rule.start} is after as_of={rule.as_of}")
    if rule.order == "any":
        _check_any_order(rule)
    else:
        _check_exclusions_leave_a_way(rule)
    _check_lengths(rule)
    _ = rule.kinds
    return rule


def _checked_steps(steps: Sequence[str | Step]) -> tuple[Step, ...]:
    listed = isinstance(steps, (list, tuple))
    if not listed or not all(isinstance(step, (str, Step)) and step for step in steps):
        raise ParameterError(f"steps={steps!r} must be a list of event names or cx.Step")
    if len(steps) < 2:
        raise ParameterError(f"steps={list(steps)!r} needs two event names or more")
    done = tuple(step if isinstance(step, Step) else Step(step) for step in steps)
    if done[0].optional or done[0].within is not None:
        raise ParameterError(
            "steps: the first opens the window; optional= and within= are for later steps"
        )
    if sum(step.optional for step in done) > MOST_OPTIONAL:
        raise ParameterError(f"steps: more than {MOST_OPTIONAL} optional steps")
    return done


def _checked_exclusions(exclude: Sequence[str | Exclude], n_steps: int) -> tuple[Exclude, ...]:
    listed = isinstance(exclude, (list, tuple))
    if not listed or not all(isinstance(one, (str, Exclude)) for one in exclude):
        raise ParameterError(f"exclude={exclude!r} must be a list of event names or cx.Exclude")
    done = tuple(one if isinstance(one, Exclude) else Exclude(one) for one in exclude)
    for one in done:
        if max(one.after + 1, one.before or 1) > n_steps:
            raise ParameterError(
                f"exclude: {one.events[0]!r} after={one.after}, before={one.before}; "
                f"there are {n_steps} steps"
            )
    return done


def _check_any_order(rule: Rule) -> None:
    """Raise `ParameterError` for choices that need an order."""
    asked = {
        "within= of a step": any(step.within for step in rule.steps),
        "optional= of a step": any(step.optional for step in rule.steps),
        "after= or before= of an exclusion": any(
            one.after > 1 or one.before is not None for one in rule.exclude
        ),
        "ties='strict'": rule.ties == "strict",
        "exclude_scope='user'": rule.exclude_scope == "user",
    }
    wrong = [what for what, is_asked in asked.items() if is_asked]
    if wrong:
        raise ParameterError(
            f"order='any' knows no {', no '.join(wrong)}: steps have no order there"
        )


def _check_exclusions_leave_a_way(rule: Rule) -> None:
    """Raise `ParameterError` where all that takes a step voids every attempt that does."""
    for one in rule.exclude:
        within = range(one.after + 1, one.before or len(rule.steps))
        for k in within:
            if is_part(rule.steps[k - 1], one):
                raise ParameterError(
                    f"exclude: {one.events[0]!r} also takes step {k}, so nobody could go on to step "
                    f"{k + 1}; say between which steps it voids, as in "
                    f"cx.Exclude({one.events[0]!r}, after={k}), or leave it out"
                )


def _check_lengths(rule: Rule) -> None:
    """Raise `ParameterError` where a step may take longer than the whole."""
    for step in rule.steps:
        if step.length is not None and step.length > rule.window:
            raise ParameterError(
                f"steps: within={step.within!r} of {step.name!r} is longer than the window of the "
                f"funnel, {lasting(rule.window.total_seconds())}, which would end before; choose a "
                "longer window="
            )
