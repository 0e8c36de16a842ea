"""What a funnel counts, by brute force: every attempt of a user is written out and judged.

Slow and plain on purpose; shares nothing with the package but the declarations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

Times = dict[int, int]
"""Step (from 1) -> slot at which it was taken."""


@dataclass(frozen=True)
class Event:
    at: int
    name: str
    device: str | None = None


@dataclass(frozen=True)
class Wanted:
    """A step, or an exclusion with the steps (from 1) between which it voids."""

    names: tuple[str, ...]
    device: str | None = None
    within: int | None = None
    optional: bool = False
    after: int = 1
    before: int | None = None

    def takes(self, event: Event) -> bool:
        return event.name in self.names and self.device in (None, event.device)


@dataclass(frozen=True)
class Question:
    steps: tuple[Wanted, ...]
    window: int
    end: int
    start: int = 0
    order: str = "ordered"
    reentry: bool | str = True
    ties: str = "in_step_order"
    exclude: tuple[Wanted, ...] = ()
    exclude_scope: str = "attempt"


def answer(events: list[Event], ask: Question) -> tuple[int, Times] | None:
    """Return depth and times of the deepest attempt; None for who did not do step one."""
    events = [event for event in events if event.at < ask.end]
    if ask.order == "any":
        return any_order(events, ask)
    entries = [e.at for e in events if ask.steps[0].takes(e) and e.at >= ask.start]
    if not entries:
        return None
    if ask.reentry == "first":
        entries = [min(entries)]
    closed = {at for at in entries if at + ask.window < ask.end}
    if not closed:
        return 0, {1: min(entries)}
    found = [taken for taken in attempts(events, ask, ask.exclude) if taken[0][1].at in closed]
    best = min(found, key=rank)
    if ask.exclude_scope == "user":
        past = attempts(events, ask, ())
        reached = max(taken[-1][0] for taken in past if taken[0][1].at in closed)
        ends = {}
        for taken in found:  # the tightest attempt of each path that ends at a moment
            key = (tuple(step for step, _ in taken), taken[-1][1].at)
            ends[key] = max(ends.get(key, []), [event.at for _, event in taken])
        kept = [path[-1] for (path, _), at in ends.items() if not spoilt(events, path, at, ask)]
        if reached > max(kept, default=0):
            return -1, {}
    return best[-1][0], {step: event.at for step, event in best}


def rank(taken: list[tuple[int, Event]]) -> tuple:
    """Deepest, then first complete, then most steps, then latest entry, then latest steps."""
    path = [step for step, _ in taken]
    times = [-event.at for _, event in taken]
    return (-path[-1], taken[-1][1].at, -len(path), times[0], [-step for step in path], times)


def attempts(
    events: list[Event], ask: Question, exclude: tuple[Wanted, ...]
) -> Iterator[list[tuple[int, Event]]]:
    """Yield every attempt: steps taken, each by an event of its own, with all rules kept."""

    def go_on(taken: list[tuple[int, Event]], used: frozenset[int]) -> Iterator:
        if taken:
            yield taken
        last = taken[-1][0] if taken else 0
        for step in range(last + 1, len(ask.steps) + 1):
            for place, event in enumerate(events):
                longer = [*taken, (step, event)]
                if place not in used and ask.steps[step - 1].takes(event):
                    used_now = used | {place}
                    if allowed(
                        longer,
                        [events[i] for i in range(len(events)) if i not in used_now],
                        events,
                        ask,
                        exclude,
                    ):
                        yield from go_on(longer, used_now)
            if not ask.steps[step - 1].optional:
                return

    yield from go_on([], frozenset())


def allowed(
    taken: list[tuple[int, Event]],
    others: list[Event],
    events: list[Event],
    ask: Question,
    exclude: tuple[Wanted, ...],
) -> bool:
    at = [event.at for _, event in taken]
    pairs = list(zip(at, at[1:], strict=False))
    in_order = all(a < b if ask.ties == "strict" else a <= b for a, b in pairs)
    in_step_windows = all(
        within is None or b - a <= within
        for (a, b), (step, _) in zip(pairs, taken[1:], strict=True)
        for within in [ask.steps[step - 1].within]
    )
    return (
        in_order
        and at[0] >= ask.start
        and at[-1] - at[0] <= ask.window
        and in_step_windows
        and not any(voided(taken, one, events, ask) for one in exclude)
        and (ask.order != "strict" or nothing_else(taken, others, ask))
    )


def voided(taken: list, one: Wanted, events: list[Event], ask: Question) -> bool:
    """Say whether an excluded event lies strictly between the two steps, as far as taken."""
    since = [event.at for step, event in taken if step <= one.after][-1]
    before = one.before or len(ask.steps)
    later = [event.at for step, event in taken if step >= before] or [taken[-1][1].at]
    return any(one.takes(event) and since < event.at < later[0] for event in events)


def spoilt(events: list[Event], path: tuple[int, ...], at: list[int], ask: Question) -> bool:
    """Say whether an excluded event follows that would void the next step, in the window."""
    return any(
        one.after <= path[-1] < (one.before or len(ask.steps))
        and one.takes(event)
        and [t for step, t in zip(path, at, strict=True) if step <= one.after][-1]
        < event.at
        <= at[0] + ask.window
        for one in ask.exclude
        for event in events
    )


def nothing_else(taken: list, others: list[Event], ask: Question) -> bool:
    """Say whether the other events inside the attempt only repeat the step just taken."""
    for other in others:
        if not taken[0][1].at < other.at < taken[-1][1].at:
            continue
        before = [step for step, event in taken if event.at < other.at]
        same = [step for step, event in taken if event.at == other.at]
        if not any(ask.steps[step - 1].takes(other) for step in [before[-1], *same]):
            return False
    return True


def any_order(events: list[Event], ask: Question) -> tuple[int, Times] | None:
    steps = [e for e in events if e.at >= ask.start and any(s.takes(e) for s in ask.steps)]
    entries = sorted({event.at for event in steps})
    if not entries:
        return None
    first = entries[0]
    entries = entries[:1] if ask.reentry == "first" else entries
    found = []
    for entry in entries:
        if entry + ask.window >= ask.end:
            continue
        for end in sorted({event.at for event in steps}):
            void = any(
                one.takes(event) and entry < event.at < end
                for one in ask.exclude
                for event in events
            )
            if entry <= end <= entry + ask.window and not void:
                found.append((-served(steps, entry, end, ask), end, -entry))
    if not found:
        return 0, {1: first}
    depth, end, entry = min(found)
    ends = sorted({event.at for event in steps if -entry <= event.at <= end})
    times = {
        k: min(at for at in ends if served(steps, -entry, at, ask) >= k)
        for k in range(1, -depth + 1)
    }
    return -depth, times


def served(steps: list[Event], entry: int, end: int, ask: Question) -> int:
    """Return how many steps can be given an event of their own (augmenting paths)."""
    inside = [event for event in steps if entry <= event.at <= end]
    owner: dict[int, int] = {}

    def give(step: int, seen: set[int]) -> bool:
        for place, event in enumerate(inside):
            if ask.steps[step].takes(event) and place not in seen:
                seen.add(place)
                if place not in owner or give(owner[place], seen):
                    owner[place] = step
                    return True
        return False

    return sum(give(step, set()) for step in range(len(ask.steps)))
