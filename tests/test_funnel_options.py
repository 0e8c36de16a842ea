"""The options of `cx.funnel` as a reader meets them: conditions, accounts, groups, bad input."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from functools import cache

import numpy as np
import pandas as pd
import pytest
from test_funnel import LATER, START, depths, events_of
from test_funnel_modes import MODES, by_hand, random_users

import cxlib as cx

HOURS_16 = {"steps": ["A", "B", "C"], "window": "16 hours", "as_of": "2024-01-02"}


def funnel_of(users: dict[str, list], **options: object) -> dict[str, int]:
    """Depth of each user of ``user -> [[minute, event, device], ...]``, within ten minutes."""
    plain = {user: [event[:2] for event in events] for user, events in users.items()}
    events = events_of(plain)
    events["device"] = [
        event[2] if len(event) > 2 else None for own in users.values() for event in own
    ]
    given = {"window": "10 minutes", "as_of": LATER, **options}
    return depths(cx.funnel(events.assign(who=events["user_id"]), by="who", **given))


# Steps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "depth"),
    [
        ({"device": "app"}, {"u": 2, "v": 1, "w": 1}),
        ({"device": ["app", "web"]}, {"u": 2, "v": 2, "w": 1}),
        ({"device": None}, {"u": 1, "v": 1, "w": 2}),
        ({"device": ["app", None]}, {"u": 2, "v": 1, "w": 2}),
        ({"device": [None]}, {"u": 1, "v": 1, "w": 2}),
        ({"user_id": ["u", "w"]}, {"u": 2, "v": 1, "w": 2}),
        ({"device": lambda device: device.startswith("w")}, {"u": 1, "v": 2, "w": 1}),
    ],
)
def test_a_step_may_ask_for_a_value(where: dict, depth: dict) -> None:
    users = {
        "u": [[0, "A"], [1, "B", "app"]],
        "v": [[0, "A"], [1, "B", "web"]],
        "w": [[0, "A"], [1, "B"]],
    }
    assert funnel_of(users, steps=["A", cx.Step("B", where=where)]) == depth


def test_a_step_may_have_alternatives_and_a_name_of_its_own() -> None:
    events = events_of({"u": [[0, "A"], [1, "pay"]], "v": [[0, "A"], [1, "buy"]], "w": [[0, "A"]]})
    step = cx.Step("purchase", event=["pay", "buy"])
    table = cx.funnel(events, steps=["A", step], window="1 hour", as_of=LATER)
    assert table[["event", "n"]].values.tolist() == [["A", 3], ["purchase", 2]]


def test_the_window_of_a_step_opens_at_the_step_before_and_is_inclusive() -> None:
    users = {
        "in": [[0, "A"], [5, "B"], [7, "C"]],
        "out": [[0, "A"], [5, "B"], [8, "C"]],
        "later B": [[0, "A"], [5, "B"], [6, "B"], [8, "C"]],
    }
    steps = ["A", "B", cx.Step("C", within="2 minutes")]
    assert funnel_of(users, steps=steps) == {"in": 3, "out": 2, "later B": 3}


def test_rates_after_an_optional_step_are_of_the_required_step_before() -> None:
    users = {
        "both": [[0, "A"], [1, "B"], [4, "C"]],
        "re-entered": [[0, "A"], [1, "B"], [2, "A"], [4, "C"]],
        "passed over": [[0, "A"], [2, "C"]],
        "only": [[0, "A"], [3, "B"]],
    }
    steps = ["A", cx.Step("B", optional=True), "C"]
    table = cx.funnel(events_of(users), steps=steps, window="1 hour", as_of=LATER)
    assert table["n"].tolist() == [4, 3, 3]
    assert table["step_rate"].tolist()[1:] == [0.75, 0.75]
    assert table["n_dropped"].tolist() == [pd.NA, pd.NA, 1]
    # B after 1, 1, 3 minutes; C after 3 and 3 from B, 2 from A
    assert table["median_seconds"].tolist()[1:] == [60.0, 180.0]


def test_an_optional_step_after_the_first_completion_is_not_taken_as_in_posthog() -> None:
    # PostHog funnel-udf/src/steps.rs @862e672 stops at the goal; of one end it takes the nearest step.
    users = {
        "came back": [[0, "A"], [5, "C"], [6, "B"], [8, "C"]],
        "in time": [[0, "A"], [5, "B"], [6, "A"], [8, "C"], [9, "C"]],
    }
    steps = ["A", cx.Step("B", optional=True), "C"]
    table = cx.funnel(events_of(users), steps=steps, window="10 minutes", as_of=LATER)
    assert table["n"].tolist() == [2, 1, 2]
    assert table["median_seconds"].tolist()[1:] == [300.0, 240.0]  # C 5 after A, 3 after B


# Accounts -------------------------------------------------------------------------------------


def test_rows_without_user_event_or_time_are_ignored_and_counted() -> None:
    rows = {"u": [[0, "A"], [1, "B"], [None, "B"], [2, None], [3, ""]], "": [[0, "A"]]}
    events = events_of(rows)
    table = cx.funnel(events, steps=["A", "B"], window="1 hour", as_of=LATER)
    assert table["n"].tolist() == [1, 1]
    assert table["n_ignored"].tolist() == [4, 4]
    cleaned = cx.clean_events(events, timezone="UTC", max_loss=0.9)
    again = cx.funnel(cleaned, steps=["A", "B"], window="1 hour", as_of=LATER)
    assert again["n"].tolist() == [1, 1]
    assert again["n_ignored"].tolist() == [0, 0], "cleaning has its own account"


def test_repeats_of_an_event_id_are_removed_and_counted() -> None:
    events = events_of({"u": [[0, "A"], [5, "A"], [7, "A"], [8, "A"], [9, "A"]]})
    events["event_id"] = ["1", "1", None, "", ""]
    arguments = {"steps": ["A"] * 5, "window": "1 hour", "as_of": LATER}
    for rows in (events, events[::-1]):
        table = cx.funnel(rows, **arguments)
        assert table["n"].tolist() == [1, 1, 1, 1, 0]
        assert table["n_duplicates"].tolist() == [1] * 5
        assert table["median_seconds"][1] == 7 * 60, "the earliest of an id stays"
    assert cx.funnel(events.drop(columns="event_id"), **arguments)["n"].tolist() == [1] * 5
    assert (
        cx.funnel(events.assign(event_id=range(5)), **arguments)["n_duplicates"].tolist() == [0] * 5
    )
    cleaned = cx.funnel(cx.clean_events(events, timezone="UTC"), **arguments)
    assert cleaned["n"].tolist() == [1, 1, 1, 1, 0]


def test_a_held_value_must_be_there_and_be_the_same() -> None:
    events = events_of({"u": [[0, "A"], [1, "B"], [2, "B"]], "v": [[0, "A"], [1, "B"], [3, "A"]]})
    events["session_id"] = [1, 2, None, 7, 7, 8]
    table = cx.funnel(events, steps=["A", "B"], window="1 hour", as_of=LATER, hold="session_id")
    assert table["n"].tolist() == [3, 1], "of users and sessions"
    assert table["n_ignored"].tolist() == [1, 1]


def test_start_is_the_first_day_of_entry_and_as_of_its_end_of_data() -> None:
    day = 1440
    users = {
        "before": [[day - 1, "A"], [day + 1, "B"]],
        "in": [[day, "A"], [day + 10, "B"]],
        "open": [[2 * day - 10, "A"], [2 * day - 9, "B"]],
        "closed": [[2 * day - 11, "A"], [2 * day - 1, "B"]],
        "in again": [[0, "A"], [day, "A"], [day + 5, "B"]],
    }
    options = {"start": "2024-01-02", "as_of": "2024-01-02", "steps": ["A", "B"]}
    found = funnel_of(users, **options)
    assert found == {"in": 2, "open": 0, "closed": 2, "in again": 2}
    assert funnel_of(users, reentry="first", **options) == found, "the first entry in the range"


def test_who_is_removed_is_counted_apart() -> None:
    users = {"u": [[0, "A"], [1, "X"], [2, "B"]], "v": [[0, "A"], [1, "B"]], "w": [[1439, "A"]]}
    options = {"steps": ["A", "B"], "exclude": ["X"], "window": "10 minutes", "as_of": "2024-01-01"}
    table = cx.funnel(events_of(users), exclude_scope="user", **options)
    assert table[["n", "n_excluded", "n_open"]].values.tolist() == [[1, 1, 1], [1, 1, 1]]
    attempt = cx.funnel(events_of(users), **options)
    assert attempt[["n", "n_excluded"]].values.tolist() == [[2, 0], [1, 0]]


# Groups ---------------------------------------------------------------------------------------


@cache
def times_of(mode: str) -> pd.DataFrame:
    return by_hand(random_users(12, 5000), MODES[mode])


@pytest.mark.parametrize(
    ("mode", "attribution"),
    [
        ("ordered", "first"),
        ("ordered", "last"),
        ("ordered", 2),
        ("any order", "last"),
        ("any order", 2),
        ("exclusion, user", "last"),
    ],
)
def test_groups_of_5000_random_users_are_those_of_the_step_asked_for(
    mode: str, attribution: str | int
) -> None:
    """The label of each user read off the rows at the times that the oracle gives."""
    events = random_users(12, 5000)
    labels: dict = {}
    columns = (events[name].tolist() for name in ("user_id", "slot", "event", "device"))
    for user, slot, event, device in zip(*columns, strict=True):
        labels.setdefault((user, slot), []).append((event, device))

    def label(row: dict) -> str:
        k = {"first": 1, "last": max(row["depth"], 1)}.get(attribution, attribution)
        names = "ABC" if mode == "any order" else "ABC"[k - 1]
        at_moment = labels.get((row["user_id"], row[f"at_{k}"]), [])
        values = [
            device for event, device in at_moment if event in names and isinstance(device, str)
        ]
        return min(values, default="(none)")

    expected: Counter = Counter()
    for row in times_of(mode).to_dict("records"):
        if row["depth"] >= 0:
            expected.update((label(row), k) for k in range(row["depth"] + 1))
    user_scope = {"exclude": ["X"], "exclude_scope": "user"} if "user" in mode else {}
    table = cx.funnel(
        events.drop(columns="slot"),
        **HOURS_16,
        by="device",
        attribution=attribution,
        order="any" if "any" in mode else "ordered",
        **user_scope,
    )
    assert {(row.device, row.step): row.n for row in table.itertuples() if row.n} == {
        key: n for key, n in expected.items() if key[1]
    }
    entered = table[table["step"] == 1].set_index("device")
    assert (entered["n"] + entered["n_open"]).to_dict() == {
        name: n for (name, k), n in expected.items() if k == 0
    }


OPTIONS = [
    {"order": "strict"},
    {"order": "any", "exclude": ["X"]},
    {"reentry": "first", "ties": "strict"},
    {"exclude": [cx.Exclude("X", after=2, before=3)], "exclude_scope": "user"},
    {"steps": ["A", cx.Step("B", optional=True, within="8 hours"), "C"], "start": "2024-01-02"},
    {
        "steps": [
            "A",
            cx.Step("AB", event=["A", "B"]),
            cx.Step("m", event="A", where={"device": "m"}),
        ]
    },
    {"hold": "device"},
    {"order": "strict", "ties": "strict", "reentry": "first"},
    {"order": "any", "reentry": "first", "hold": "device"},
    {"steps": ["A", cx.Step("B", optional=True), cx.Step("C", optional=True), "X"]},
    {"steps": ["A", "A", "B"], "exclude": ["X"], "ties": "strict"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: ", ".join(options))
def test_what_every_mode_must_keep(options: dict) -> None:
    """Row order is irrelevant, events after as_of change nothing, groups sum to all."""
    events = random_users(5, 800).assign(event_id=lambda rows: rows.index // 1.05 // 1)
    given = {**HOURS_16, **options, "by": "device"}
    table = cx.funnel(events, **given)
    shuffled = events.sample(frac=1, random_state=1)
    later = random_users(6, 300).assign(event_id=lambda rows: rows.index)
    later["occurred_at"] += timedelta(days=9)
    later.loc[::7, "user_id"] = None
    pd.testing.assert_frame_equal(cx.funnel(pd.concat([shuffled, later]), **given), table)
    every = cx.funnel(events, **{**given, "by": None})
    counts = ["n", "n_open", "n_excluded"]
    summed = table.groupby("step", as_index=False)[counts].sum()
    pd.testing.assert_frame_equal(summed, every[["step", *counts]])
    assert (every["n_duplicates"] > 0).all()


@pytest.mark.parametrize(
    "options", [{"order": "strict"}, {"order": "any"}, {"exclude": ["X"], "exclude_scope": "user"}]
)
def test_one_user_with_50000_events_is_counted_once(options: dict) -> None:
    minutes = np.arange(50_000)
    one = pd.DataFrame({"user_id": "bot", "event": np.array(list("ABCX"))[minutes % 4]})
    one["occurred_at"] = START + pd.to_timedelta(minutes, unit="min")
    table = cx.funnel(one, steps=["A", "B", "C"], window="9 minutes", as_of=LATER, **options)
    assert table["n"].tolist() == [1, 1, 1]


# Bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"steps": [cx.Step("view", optional=True), "cart"]}, cx.ParameterError, "the first opens"),
        (
            {"steps": [cx.Step("view", within="1 day"), "cart"]},
            cx.ParameterError,
            "the first opens",
        ),
        (
            {"steps": ["view", *[cx.Step("cart", optional=True)] * 5]},
            cx.ParameterError,
            "more than 4 optional",
        ),
        (
            {
                "steps": [
                    "view",
                    *[cx.Step("cart", where={"n": lambda n, k=k: n > k}) for k in range(7)],
                ]
            },
            cx.ParameterError,
            "more than 6 different steps",
        ),
        (
            {"steps": ["view", cx.Step("buy", event=["purchase", "purchas"])]},
            cx.DataError,
            "no event is named 'purchas'; the nearest names are 'purchase'",
        ),
        (
            {"steps": ["view", cx.Step("cart", where={"device": ["app", "Web"]})]},
            cx.DataError,
            r"where={'device': 'Web'}: no event has that value; there are .*Did you mean 'web'",
        ),
        (
            {"steps": ["view", cx.Step("cart", where={"devise": "web"})]},
            cx.ColumnError,
            "Did you mean 'device'",
        ),
        (
            {"steps": ["view", cx.Step("cart", where={"n": "many"})]},
            cx.ParameterError,
            "does not fit the column, which is int64",
        ),
        (
            {"steps": ["view", cx.Step("cart", where={"n": lambda n: 3})]},
            cx.ParameterError,
            "does not fit the column",
        ),
        ({"exclude": ["refnd"]}, cx.DataError, "no event is named 'refnd'"),
        ({"exclude": "cart"}, cx.ParameterError, "must be a list of event names or cx.Exclude"),
        ({"exclude": [3]}, cx.ParameterError, "must be a list of event names or cx.Exclude"),
        ({"exclude": [cx.Exclude("cart", before=3)]}, cx.ParameterError, "there are 2 steps"),
        (
            {"steps": ["view", "cart", "purchase"], "exclude": ["purchase", "cart"]},
            cx.ParameterError,
            "'cart' also takes step 2, so nobody could go on to step 3",
        ),
        (
            {"steps": ["view", cx.Step("cart", within="30 days")]},
            cx.ParameterError,
            "within='30 days' of 'cart' is longer than the window of the funnel, 1 day,",
        ),
        ({"exclude_scope": "users"}, cx.ParameterError, "Did you mean 'user'"),
        ({"order": "strikt"}, cx.ParameterError, "Did you mean 'strict'"),
        ({"reentry": False}, cx.ParameterError, "reentry=False is not one of True, first"),
        ({"ties": "refuse"}, cx.ParameterError, "ties='refuse' is not one of"),
        ({"hold": "session"}, cx.ColumnError, "no column 'session'"),
        ({"start": "2025-01-01"}, cx.ParameterError, "start=2025-01-01 is after as_of=2024-12-31"),
        ({"start": "soon"}, cx.ParameterError, "start='soon' is not a date"),
        (
            {"start": "2024-02-01"},
            cx.DataError,
            "nobody did step one, 'view', from start=2024-02-01 by as_of=2024-12-31",
        ),
        (
            {"start": "2024-02-01", "order": "any"},
            cx.DataError,
            "nobody did any step from start=2024-02-01",
        ),
        ({"attribution": 3}, cx.ParameterError, "'first', 'last' or a step from 1 to 2"),
        ({"attribution": "middle"}, cx.ParameterError, "attribution='middle'"),
        ({"attribution": True}, cx.ParameterError, "attribution=True"),
        (
            {"order": "any", "ties": "strict", "exclude_scope": "user"},
            cx.ParameterError,
            "order='any' knows no ties='strict', no exclude_scope='user'",
        ),
    ],
)
def test_bad_options(change: dict, error: type, message: str) -> None:
    events = events_of({"u": [[0, "view"], [1, "cart"], [2, "purchase"]]})
    events = events.assign(device="web", n=1)
    arguments = {"steps": ["view", "cart"], "window": "1 day", "as_of": LATER, **change}
    with pytest.raises(error, match=message):
        cx.funnel(events, **arguments)


def test_a_step_may_be_excluded_where_an_attempt_can_still_get_on() -> None:
    events = events_of(
        {"u": [[0, "A"], [1, "B"], [2, "C"]], "v": [[0, "A"], [1, "B"], [2, "B"], [3, "C"]]}
    )
    events["device"] = events["user_id"]
    asked = {"steps": ["A", "B", "C"], "window": "1 day", "as_of": LATER}
    for exclude, reached in (
        (["A"], 2),
        (["C"], 2),
        ([cx.Exclude("B", after=2)], 2),
        ([cx.Exclude("B", before=2)], 2),
        ([cx.Exclude("B", where={"device": "v"})], 1),
    ):
        assert cx.funnel(events, exclude=exclude, **asked)["n"].iloc[-1] == reached, exclude


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cx.Step(3), "name=3 must be text"),
        (lambda: cx.Step("B", event=3), "must be an event's name or a list"),
        (lambda: cx.Step("B", event=[]), "must be an event's name or a list"),
        (lambda: cx.Step("B", where=["device"]), "is not a dict of columns"),
        (lambda: cx.Step("B", where={"device": []}), "leaves nothing to match"),
        (lambda: cx.Step("B", within="0 days"), "within='0 days' must be longer than zero"),
        (lambda: cx.Step("B", optional="yes"), "optional='yes' is not a bool"),
        (lambda: cx.Exclude([]), "must be an event's name or a list"),
        (lambda: cx.Exclude("X", after=0), "are not two steps in order, counted from 1"),
        (lambda: cx.Exclude("X", after=2, before=2), "are not two steps in order"),
        (lambda: cx.Exclude("X", after="view"), "after='view' is not a step's number"),
    ],
)
def test_bad_declarations(make: object, message: str) -> None:
    with pytest.raises(cx.ParameterError, match=message):
        make()


def test_nothing_usable_and_mixed_time_zones() -> None:
    arguments = {"steps": ["A", "B"], "window": "1 day", "as_of": LATER}
    events = events_of({"u": [[0, "A"], [1, "B"]]})
    with pytest.raises(cx.DataError, match="none of the 2 rows has user, event and time"):
        cx.funnel(events.assign(user_id=["", ""]), **arguments)
    zones = [pd.Timestamp("2024-01-01", tz=zone) for zone in ("UTC", "Europe/London")]
    with pytest.raises(cx.ColumnError, match="carries the time zone"):
        cx.funnel(events.assign(occurred_at=pd.Series(zones, dtype=object)), **arguments)
