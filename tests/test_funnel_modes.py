"""Every mode of the funnel against the brute-force oracle of `funnel_oracle`."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import ibis
import numpy as np
import pandas as pd
import pytest
from funnel_oracle import Event, Question, Wanted, answer

from cxlib.funnel.attempts import attempts
from cxlib.funnel.rule import Rule, check_rule
from cxlib.funnel.steps import Exclude, Step

START = pd.Timestamp("2024-01-01")
SLOT = pd.Timedelta(hours=4)  # slot 12 is the first of the third day
END = 12


def random_users(seed: int, n_users: int, names: str = "ABCX", most: int = 8) -> pd.DataFrame:
    """Events of many users, many at one moment, some after the last observed day."""
    draw = np.random.default_rng(seed)
    user = np.repeat(np.arange(n_users), draw.integers(1, most + 1, n_users))
    return pd.DataFrame(
        {
            "user_id": user.astype(str),
            "event": draw.choice(list(names), len(user)),
            "slot": draw.integers(0, END + 2, len(user)),
            "device": draw.choice(["m", "d", None], len(user)),
        }
    ).assign(occurred_at=lambda rows: START + rows["slot"] * SLOT)


def rule_of(ask: Question, hold: str | None = None) -> Rule:
    def where(one: Wanted) -> dict | None:
        return None if one.device is None else {"device": one.device}

    return check_rule(
        steps=[
            Step(
                f"step {number}",
                event=list(one.names),
                where=where(one),
                within=None if one.within is None else one.within * SLOT.to_pytimedelta(),
                optional=one.optional,
            )
            for number, one in enumerate(ask.steps)
        ],
        window=timedelta(hours=4 * ask.window),
        as_of="2024-01-02",
        start=None if not ask.start else (START + ask.start * SLOT).date(),
        order=ask.order,
        reentry=ask.reentry,
        ties=ask.ties,
        exclude=[
            Exclude(list(one.names), after=one.after, before=one.before, where=where(one))
            for one in ask.exclude
        ],
        exclude_scope=ask.exclude_scope,
        hold=hold,
    )


def counted(events: pd.DataFrame, ask: Question, hold: str | None = None) -> pd.DataFrame:
    """Depth, and slots of the steps, that the engine finds for each user."""
    rule = rule_of(ask, hold)
    seen = ibis.memtable(events)
    seen = seen.filter(seen["occurred_at"] < START + END * SLOT)
    seen = seen if hold is None else seen.filter(seen[hold].notnull())
    table = attempts(seen, rule).execute()
    for k in range(1, len(ask.steps) + 1):
        table[f"at_{k}"] = ((table[f"at_{k}"] - START) / SLOT).where(table["depth"] >= 0)
    return table.sort_values(rule.keys, ignore_index=True).astype({"depth": "int64"})


def by_hand(events: pd.DataFrame, ask: Question, hold: str | None = None) -> pd.DataFrame:
    """The same by the oracle."""
    keys = ["user_id"] if hold is None else ["user_id", hold]
    units: dict = {}
    columns = [events[name].tolist() for name in [*keys, "slot", "event", "device"]]
    for *unit, slot, name, device in zip(*columns, strict=True):
        if all(isinstance(part, str) for part in unit):
            units.setdefault(tuple(unit), []).append(Event(slot, name, device))
    rows = []
    for unit, own in sorted(units.items()):
        found = answer(own, ask)
        if found is not None:
            depth, times = found
            rows.append([*unit, *(times.get(k) for k in range(1, len(ask.steps) + 1)), depth])
    names = [f"at_{k}" for k in range(1, len(ask.steps) + 1)]
    table = pd.DataFrame(rows, columns=[*(["user_id", "held"][: len(keys)]), *names, "depth"])
    return table.astype(dict.fromkeys(names, "float64"))


def assert_same(events: pd.DataFrame, ask: Question, hold: str | None = None) -> pd.DataFrame:
    expected = by_hand(events, ask, hold)
    found = counted(events, ask, hold)[expected.columns]
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    return expected


def named(letters: str) -> tuple[Wanted, ...]:
    """Steps by letters: a lower-case one is optional."""
    return tuple(Wanted((one.upper(),), optional=one.islower()) for one in letters)


ABC = Question(named("ABC"), window=4, end=END)
X = Wanted(("X",))
MOBILE_A = Wanted(("A",), device="m")
OVERLAPPING = (MOBILE_A, Wanted(("A", "B")), Wanted(("B",)), Wanted(("A",)))

MODES = {
    "ordered": ABC,
    "repeated steps": replace(ABC, steps=named("ABAC"), window=5),
    "one name": replace(ABC, steps=named("AAA"), window=3),
    "overlapping steps": replace(ABC, steps=OVERLAPPING, window=6),
    "any of": replace(ABC, steps=(Wanted(("A", "X")), Wanted(("B", "C")))),
    "where": replace(ABC, steps=(MOBILE_A, Wanted(("A",), device="d"), Wanted(("B",)))),
    "window of each step": replace(
        ABC, steps=(*named("A"), Wanted(("B",), within=1), Wanted(("C",), within=2))
    ),
    "start": replace(ABC, start=6, window=2),
    "optional": replace(ABC, steps=named("AbC")),
    "two optional": replace(ABC, steps=named("AbcX")),
    "last optional": replace(ABC, steps=named("ABc")),
    "first entry": replace(ABC, reentry="first", window=6),
    "ties refused": replace(ABC, ties="strict"),
    "ties refused, one name": replace(ABC, steps=named("AAB"), ties="strict"),
    "strict": replace(ABC, order="strict"),
    "strict, repeated steps": replace(ABC, steps=named("ABAB"), order="strict", window=6),
    "strict, ties refused": replace(ABC, order="strict", ties="strict", window=6),
    "strict, first entry": replace(ABC, order="strict", reentry="first"),
    "strict, where": replace(ABC, steps=(MOBILE_A, *named("BC")), order="strict"),
    "strict, optional": replace(ABC, steps=named("AbC"), order="strict"),
    "any order": replace(ABC, order="any"),
    "any order, repeated steps": replace(ABC, steps=named("AABC"), order="any"),
    "any order, overlapping steps": replace(ABC, steps=OVERLAPPING, order="any", window=3),
    "any order, first entry": replace(ABC, order="any", reentry="first"),
    "any order, exclusion": replace(ABC, order="any", exclude=(X,), window=6),
    "exclusion": replace(ABC, exclude=(X,), window=6),
    "exclusion between two steps": replace(ABC, exclude=(replace(X, after=2, before=3),), window=6),
    "two exclusions": replace(
        ABC,
        exclude=(replace(X, device="m", before=2), Wanted(("B", "X"), device="d", after=2)),
        window=6,
    ),
    "step as exclusion": replace(ABC, exclude=(Wanted(("A",)),), window=6),
    "exclusion, user": replace(ABC, exclude=(X,), exclude_scope="user"),
    "exclusion between two steps, user": replace(
        ABC, exclude=(replace(X, after=2, before=3),), exclude_scope="user", window=6
    ),
    "exclusion, optional": replace(
        ABC, steps=named("AbC"), exclude=(replace(X, after=2),), window=6
    ),
}


@pytest.mark.parametrize("mode", MODES)
def test_5000_random_users_agree_with_the_brute_force_oracle(mode: str) -> None:
    seed = sum(map(ord, mode))
    events = random_users(seed, 5000, names="ABC" if "strict" in mode else "ABCX")
    expected = assert_same(events, MODES[mode])
    deepest = len(MODES[mode].steps)
    lowest = -1 if "user" in mode else 0
    assert set(expected["depth"]) >= {lowest, 0, 1, deepest}


@pytest.mark.parametrize("mode", ["ordered", "strict", "any order", "exclusion, user"])
def test_5000_random_users_agree_while_a_value_is_held(mode: str) -> None:
    expected = assert_same(random_users(1, 5000, most=12), MODES[mode], hold="device")
    assert set(expected["held"]) == {"m", "d"}


def random_question(seed: int) -> Question:
    """Options drawn together, those that know no order left out where there is none."""
    draw = np.random.default_rng(seed)
    order = str(draw.choice(["ordered", "ordered", "strict", "any"]))
    in_order = order != "any"

    def wanted(place: int) -> Wanted:
        names = tuple(map(str, draw.choice(list("ABC"), draw.choice([1, 1, 2]), replace=False)))
        return Wanted(
            names,
            device="m" if draw.random() < 0.25 else None,
            within=2 if place and in_order and draw.random() < 0.25 else None,
            optional=bool(place and in_order and draw.random() < 0.25),
        )

    def excluded() -> Wanted:
        after = int(draw.integers(1, 3)) if in_order else 1
        before = after + 1 if in_order and draw.random() < 0.5 else None
        names = tuple(map(str, draw.choice(list("ABX"), 1)))
        return Wanted(names, device=str(draw.choice(["m", "d"])), after=after, before=before)

    return Question(
        steps=tuple(wanted(place) for place in range(draw.integers(3, 5))),
        window=int(draw.integers(2, 8)),
        end=END,
        start=int(draw.choice([0, 0, 6])),
        order=order,
        reentry="first" if draw.random() < 0.25 else True,
        ties="strict" if in_order and draw.random() < 0.25 else "in_step_order",
        exclude=tuple(excluded() for _ in range(draw.integers(0, 3))),
        exclude_scope="user" if in_order and draw.random() < 0.3 else "attempt",
    )


@pytest.mark.parametrize("seed", range(6))
def test_options_drawn_together_agree_with_the_brute_force_oracle(seed: int) -> None:
    assert_same(
        random_users(seed, 900), random_question(seed), hold="device" if seed % 3 == 0 else None
    )
