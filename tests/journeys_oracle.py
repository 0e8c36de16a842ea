"""Journeys by brute force in plain Python: visits as lists, everything counted one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import median


@dataclass(frozen=True)
class Event:
    """What happened at a minute; ``session`` and ``channel`` may be anything."""

    user: str
    minute: int
    name: str
    session: str = ""
    channel: str | None = None


@dataclass(frozen=True)
class Visit:
    """The events of a visit in order, and its group."""

    user: str
    events: tuple[Event, ...]

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.events]

    @property
    def channel(self) -> str:
        return next((event.channel for event in self.events if event.channel), "(none)")


def visits(events: Sequence[Event], gap: int, by_session: bool = False) -> list[Visit]:
    """Cut each user's events, in order of time and name, into visits."""
    found = []
    in_order = sorted(events, key=lambda one: (one.user, one.minute, one.name, one.channel or "~"))
    for user, mine in groupby(in_order, key=lambda one: one.user):
        parts: dict[object, list[Event]] = {}
        last, number = None, 0
        for event in mine:
            number += last is not None and event.minute - last > gap
            last = event.minute
            parts.setdefault(event.session if by_session else number, []).append(event)
        found += [Visit(user, tuple(part)) for part in parts.values()]
    return found


def is_open(visit: Visit, gap: int, end: int) -> bool:
    """Say whether an event could still join the visit at minute ``end``, the first one unseen."""
    return visit.events[-1].minute + gap >= end


def collapsed(visit: Visit) -> Visit:
    kept = [event for place, event in enumerate(visit.events)
            if place == 0 or visit.events[place - 1].name != event.name]  # fmt: skip
    return Visit(visit.user, tuple(kept))


def only(visit: Visit, names: Sequence[str]) -> Visit:
    return Visit(visit.user, tuple(event for event in visit.events if event.name in names))


def moves(found: Sequence[Visit]) -> Counter[tuple[str, str]]:
    return Counter(
        pair for visit in found for pair in pairwise(["(start)", *visit.names, "(exit)"])
    )


def median_seconds(found: Sequence[Visit], one: str, other: str) -> float | None:
    took = [
        60.0 * (later.minute - earlier.minute)
        for visit in found
        for earlier, later in pairwise(visit.events)
        if (earlier.name, later.name) == (one, other)
    ]
    return median(took) if took else None


def positions(found: Sequence[Visit], n_steps: int) -> Counter[tuple[int, str]]:
    """Count visits by step (from 1) and event; ``(ended)`` once a visit is over."""
    return Counter(
        (step, visit.names[step - 1] if step <= len(visit.names) else "(ended)")
        for visit in found
        for step in range(1, n_steps + 1)
    )


def flows(found: Sequence[Visit], n_steps: int) -> Counter[tuple[int, str, str]]:
    return Counter(
        (step, one, other)
        for visit in found
        for step, (one, other) in enumerate(pairwise([*visit.names, "(ended)"]), start=1)
        if step < n_steps
    )


def after(visit: Visit, start: str | None) -> Visit | None:
    """Return the visit from its first ``start`` on; None without one."""
    if start is None:
        return visit
    if start not in visit.names:
        return None
    return Visit(visit.user, visit.events[visit.names.index(start) :])


def path(visit: Visit, start: str | None, end: str | None) -> tuple[Event, ...] | None:
    """Return the events from the start (which the visit begins with) to the next ``end``."""
    if end is None:
        return visit.events
    for place, event in enumerate(visit.events):
        if event.name == end and (place > 0 or start is None):
            return visit.events[: place + 1]
    return None


@dataclass(frozen=True)
class Conversion:
    """A purchase, and the visits that led to it."""

    minute: int
    touches: tuple[Visit, ...]


def conversions(found: Sequence[Visit], purchase: str, lookback: int) -> list[Conversion]:
    """Give each visit to the next buying visit of its user, if that is near enough."""
    done = []
    by_user = sorted(found, key=lambda visit: (visit.user, visit.events[0].minute))
    for _, mine in groupby(by_user, key=lambda visit: visit.user):
        waiting: list[Visit] = []
        for visit in mine:
            waiting.append(visit)
            if purchase in visit.names:
                minute = visit.events[visit.names.index(purchase)].minute
                near = [one for one in waiting
                        if one is visit or one.events[0].minute >= minute - lookback]  # fmt: skip
                done.append(Conversion(minute, tuple(near)))
                waiting = []
    return done
