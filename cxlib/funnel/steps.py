"""What a step and an exclusion are: event names, and conditions on columns."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import ibis.expr.types as ir

from cxlib._checks import ParameterError, check_columns, check_duration
from cxlib.tables import EVENTS

MOST_OVERLAPPING = 6


@dataclass(frozen=True, eq=False)
class Step:
    """One step of a funnel: which events take it.

    Parameters
    ----------
    name : str
        What the answer calls the step.
    event : str or list of str, optional
        The event, or several of which any takes the step; ``name`` where left out.
    where : dict, optional
        Column to the value that the event must have there, None for no value, a list of these of
        which any will do, or a function of the column: ``{"device": "mobile"}``,
        ``{"value": lambda value: value > 50}``.
    within : str or timedelta, optional
        Longest time from the step taken before, included: ``"1 hour"``.
    optional : bool, default False
        Whether an attempt may pass over the step.

    Raises
    ------
    ParameterError
        A part is not of these kinds, or ``within`` is not longer than zero.

    Examples
    --------
    >>> import cxlib as cx
    >>> step = cx.Step("cart", event=["add_to_cart", "buy_now"], where={"device": "mobile"})
    >>> step.name, step.events
    ('cart', ('add_to_cart', 'buy_now'))
    """

    name: str
    event: str | Sequence[str] | None = field(default=None, kw_only=True)
    where: Mapping[str, object] | None = field(default=None, kw_only=True)
    within: str | dt.timedelta | None = field(default=None, kw_only=True)
    optional: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ParameterError(f"Step: name={self.name!r} must be text")
        if not isinstance(self.optional, bool):
            raise ParameterError(f"Step {self.name!r}: optional={self.optional!r} is not a bool")
        _check_condition(f"Step {self.name!r}", self.events, self.where)
        _ = self.length

    @property
    def events(self) -> tuple[str, ...]:
        """Names of the events that take the step."""
        return _names(self.name if self.event is None else self.event)

    @property
    def length(self) -> dt.timedelta | None:
        """Longest time from the step taken before."""
        return None if self.within is None else check_duration("within", self.within)


@dataclass(frozen=True, eq=False)
class Exclude:
    """An event that voids an attempt when it comes between two of its steps.

    Parameters
    ----------
    event : str or list of str
        The event, or several of which any voids.
    after, before : int
        Steps, counted from 1, between which it voids; the first and the last if left out.
    where : dict, optional
        As in `Step`.

    Raises
    ------
    ParameterError
        ``after`` is not before ``before``, or a part is of another kind.

    Examples
    --------
    >>> import cxlib as cx
    >>> cx.Exclude("refund", after=1, before=2).events
    ('refund',)
    """

    event: str | Sequence[str]
    after: int = field(default=1, kw_only=True)
    before: int | None = field(default=None, kw_only=True)
    where: Mapping[str, object] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _check_condition("Exclude", self.events, self.where)
        for name, value in (("after", self.after), ("before", self.before or 1)):
            if not isinstance(value, int) or isinstance(value, bool):
                raise ParameterError(f"Exclude: {name}={value!r} is not a step's number")
        if self.after < 1 or (self.before is not None and self.before <= self.after):
            raise ParameterError(
                f"Exclude: after={self.after}, before={self.before} are not two steps in order, "
                "counted from 1"
            )

    @property
    def events(self) -> tuple[str, ...]:
        """Names of the events that void."""
        return _names(self.event)


def _names(event: str | Sequence[str]) -> tuple[str, ...]:
    if isinstance(event, str):
        return (event,)
    return tuple(event) if isinstance(event, Iterable) else (event,)  # judged by the caller


def _check_condition(what: str, events: tuple, where: Mapping[str, object] | None) -> None:
    if not events or not all(isinstance(name, str) and name for name in events):
        raise ParameterError(f"{what}: event={events!r} must be an event's name or a list of them")
    named = isinstance(where, Mapping) and all(isinstance(column, str) for column in where)
    if where is not None and not named:
        raise ParameterError(f"{what}: where={where!r} is not a dict of columns and their values")
    for column, value in (where or {}).items():
        if isinstance(value, list) and not value:
            raise ParameterError(f"{what}: where={{{column!r}: []}} leaves nothing to match")


def matches(table: ir.Table, what: Step | Exclude) -> ir.BooleanValue:
    """Say of each row whether it takes the step, or is what is excluded."""
    events = sorted(set(what.events))
    found = table["event"] == events[0] if len(events) == 1 else table["event"].isin(events)
    for column, value in (what.where or {}).items():
        check_columns(EVENTS.name, table.columns, [column], optional="where")
        try:
            found &= _holds(table[column], value)
        except Exception as error:
            raise ParameterError(
                f"where={{{column!r}: {value!r}}} does not fit the column, which is "
                f"{table[column].type()}: {error}"
            ) from None
    return found


def _holds(column: ir.Column, value: object) -> ir.BooleanValue:
    if value is None:
        return column.isnull()
    if callable(value):
        answer = value(column)
    elif isinstance(value, (list, tuple, set, frozenset)):
        known = [one for one in value if one is not None]
        answer = column.isin(known)
        answer = answer | column.isnull() if len(known) < len(value) else answer
    else:
        answer = column == value
    return answer.fill_null(False)


class Kinds:
    """The different conditions among the steps, and which of them one event may meet at once.

    ``of[k]`` is the kind of step ``k`` (from 0); ``groups`` parts the kinds into those that may
    overlap. Steps that share a kind, or overlap, must not be served by one and the same event.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps: list[Step] = []
        self.of: list[int] = []
        for step in steps:
            same = (kind for kind, known in enumerate(self.steps) if _alike(known, step))
            kind = next(same, len(self.steps))
            self.steps += [step] if kind == len(self.steps) else []
            self.of.append(kind)
        self.groups = _groups(self.steps)
        if max(map(len, self.groups)) > MOST_OVERLAPPING:
            raise ParameterError(
                f"steps: more than {MOST_OVERLAPPING} different steps may be taken by one event; "
                "tell them apart by event or by where="
            )

    @property
    def apart(self) -> bool:
        """Whether no event may take two of the steps."""
        return len(self.groups) == len(self.of)

    def crowds(self) -> Iterator[tuple[int, ...]]:
        """Yield every set of kinds that may overlap."""
        for group in self.groups:
            for size in range(1, len(group) + 1):
                yield from combinations(group, size)

    def crowds_of(self, kind: int) -> list[tuple[int, ...]]:
        """Return the sets among them that hold ``kind``."""
        return [crowd for crowd in self.crowds() if kind in crowd]


def _alike(one: Step, other: Step) -> bool:
    return set(one.events) == set(other.events) and dict(one.where or {}) == dict(other.where or {})


def is_part(step: Step, what: Exclude) -> bool:
    """Say whether all that takes the step is excluded, as far as names and values tell."""
    return set(step.events) <= set(what.events) and (
        not what.where or dict(step.where or {}) == dict(what.where)
    )


def _overlap(one: Step, other: Step) -> bool:
    """Say whether one event may take both steps, as far as names and values tell."""
    shared = (one.where or {}).keys() & (other.where or {}).keys()
    return bool(set(one.events) & set(other.events)) and not any(
        _values(one, column) is not None
        and _values(other, column) is not None
        and not set(_values(one, column) or ()) & set(_values(other, column) or ())
        for column in shared
    )


def _values(step: Step, column: str) -> list | None:
    """Return the values that a step allows in a column, None where they are not listed."""
    value = (step.where or {})[column]
    if callable(value):
        return None
    return list(value) if isinstance(value, (list, tuple, set, frozenset)) else [value]


def _groups(steps: Sequence[Step]) -> list[tuple[int, ...]]:
    groups: list[set[int]] = []
    for kind, step in enumerate(steps):
        near = [group for group in groups if any(_overlap(step, steps[other]) for other in group)]
        groups = [group for group in groups if group not in near]
        groups.append({kind}.union(*near))
    return [tuple(sorted(group)) for group in groups]
