"""Transitions, steps, flows, paths and touches against brute force, by hand, and bad input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import journeys_oracle as oracle
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journeys_oracle import Event
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

import cxlib as cx

START = pd.Timestamp("2024-01-01")
LATER, DAY = "2024-12-31", 24 * 60
GAP, END = 30, 10 * DAY  # as_of 2024-01-10: minute END is the first one unseen
AS_OF = "2024-01-10"


def table_of(events: list[Event]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "user_id": [event.user for event in events],
            "event": [event.name for event in events],
            "occurred_at": [START + pd.Timedelta(minutes=event.minute) for event in events],
            "session_id": [event.session for event in events],
            "channel": pd.Series([event.channel for event in events], dtype="str"),
        }
    )


def random_events(seed: int, n_visits: int = 500, names: str = "abcdP") -> list[Event]:
    """Visits of few users, many events of one moment, silences of 0 to 40 minutes, some unseen."""
    draw = np.random.default_rng(seed)
    weights = np.arange(len(names), 0, -1) / np.arange(len(names), 0, -1).sum()
    events = []
    for _ in range(n_visits):
        user, minute = f"u{draw.integers(60)}", int(draw.integers(10 * DAY + 60))
        session = f"s{draw.integers(4)}"
        channel = [None, "email", "search"][draw.integers(3)]
        for _ in range(draw.integers(1, 9)):
            name = str(draw.choice(list(names), p=weights))
            events.append(Event(user, minute, name, session, channel))
            minute += int(draw.choice([0, 1, 30, 31], p=[0.2, 0.5, 0.2, 0.1]))
    return events


def finished(events: list[Event], by_session: bool = False) -> list[oracle.Visit]:
    seen = [event for event in events if event.minute < END]
    found = oracle.visits(seen, GAP, by_session)
    return [visit for visit in found if not oracle.is_open(visit, GAP, END)]


def n_open(events: list[Event], by_session: bool = False) -> int:
    seen = [event for event in events if event.minute < END]
    return len(oracle.visits(seen, GAP, by_session)) - len(finished(events, by_session))


def counts(table: pd.DataFrame, *keys: str) -> dict[Any, int]:
    known = table[table["n"] > 0]
    return dict(zip(zip(*(known[key] for key in keys), strict=True), known["n"], strict=True))


# Transitions --------------------------------------------------------------------------------


@pytest.mark.parametrize("by_session", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
def test_transitions_agree_with_brute_force(seed: int, by_session: bool) -> None:
    events = random_events(seed)
    session = "session_id" if by_session else None
    table = cx.transitions(table_of(events), as_of=AS_OF, session=session)
    found = finished(events, by_session)
    expected = oracle.moves(found)
    assert counts(table, "from_event", "to_event") == expected
    assert table["n_open"].eq(n_open(events, by_session)).all()
    assert table["n_open"].iloc[0] > 0
    for row in table[table["n"] > 0].itertuples():
        users = {v.user for v in found if (row.from_event, row.to_event) in oracle.moves([v])}
        assert row.n_users == len(users)
        assert row.n_from == sum(n for (one, _), n in expected.items() if one == row.from_event)
        took = oracle.median_seconds(found, row.from_event, row.to_event)
        assert np.isnan(row.median_seconds) if took is None else row.median_seconds == took
        low, high = proportion_confint(row.n, row.n_from, method="wilson")
        assert (row.share, row.ci_low, row.ci_high) == pytest.approx(
            (row.n / row.n_from, low, high)
        )


def test_transitions_list_every_pair_by_frequency_and_zero_where_there_was_none() -> None:
    events = [Event("u", 0, "b"), Event("u", 1, "b"), Event("u", 2, "a")]
    table = cx.transitions(table_of(events), as_of=LATER)
    assert list(zip(table["from_event"], table["to_event"], table["n"], strict=True)) == [
        ("(start)", "b", 1), ("(start)", "a", 0),
        ("b", "b", 1), ("b", "a", 1), ("b", "(exit)", 0),
        ("a", "b", 0), ("a", "a", 0), ("a", "(exit)", 1),
    ]  # fmt: skip


def test_events_of_one_moment_stand_in_the_order_of_their_names() -> None:
    events = [Event("u", 5, "c"), Event("u", 5, "a"), Event("u", 5, "b")]
    for rows in (events, events[::-1]):
        table = cx.transitions(table_of(rows), as_of=LATER)
        expected = {("(start)", "a"): 1, ("a", "b"): 1, ("b", "c"): 1, ("c", "(exit)"): 1}
        assert counts(table, "from_event", "to_event") == expected


def test_a_silence_as_long_as_the_gap_is_no_new_visit_and_a_longer_one_is() -> None:
    events = [Event("u", 0, "a"), Event("u", 30, "b"), Event("u", 61, "c")]
    table = cx.transitions(table_of(events), as_of=LATER, gap="30 minutes")
    assert counts(table, "from_event", "to_event") == {
        ("(start)", "a"): 1, ("a", "b"): 1, ("b", "(exit)"): 1,
        ("(start)", "c"): 1, ("c", "(exit)"): 1,
    }  # fmt: skip


def test_a_visit_that_may_go_on_after_as_of_is_left_out_and_counted() -> None:
    events = [Event("over", DAY - 31, "a"), Event("open", DAY - 30, "a")]
    table = cx.transitions(table_of(events), as_of="2024-01-01", gap="30 minutes")
    assert counts(table, "from_event", "to_event") == {("(start)", "a"): 1, ("a", "(exit)"): 1}
    assert table["n_open"].unique().tolist() == [1]


def test_rare_events_are_pooled_and_counted() -> None:
    events = random_events(5)
    table = cx.transitions(table_of(events), as_of=AS_OF, most=2)
    frequent = [name for name, _ in Counter(
        event.name for event in events if event.minute < END).most_common(2)]  # fmt: skip
    expected: Counter[tuple[str, str]] = Counter()
    for pair, n in oracle.moves(finished(events)).items():
        one, other = (
            name if name in frequent or name.startswith("(") else "(other)" for name in pair
        )
        expected[one, other] += n
    assert counts(table, "from_event", "to_event") == expected
    assert list(dict.fromkeys(table["from_event"])) == ["(start)", *frequent, "(other)"]


@pytest.mark.parametrize("collapse", [False, True])
def test_chosen_events_and_repeats(collapse: bool) -> None:
    events = random_events(6)
    table = cx.transitions(table_of(events), as_of=AS_OF, only=["a", "P"], collapse=collapse)
    found = [oracle.only(visit, "aP") for visit in finished(events)]
    found = [oracle.collapsed(visit) if collapse else visit for visit in found if visit.events]
    assert counts(table, "from_event", "to_event") == oracle.moves(found)


def test_a_group_is_that_of_the_first_event_that_has_one() -> None:
    events = random_events(7)
    table = cx.transitions(table_of(events), as_of=AS_OF, by="channel")
    assert table.columns[0] == "channel"
    for name, part in table.groupby("channel"):
        mine = [visit for visit in finished(events) if visit.channel == name]
        assert counts(part, "from_event", "to_event") == oracle.moves(mine)
    whole = cx.transitions(table_of(events), as_of=AS_OF)
    assert table["n"].sum() == whole["n"].sum()
    assert table.groupby("channel")["n_open"].first().sum() == whole["n_open"].iloc[0]


# Steps and flows ----------------------------------------------------------------------------


@pytest.mark.parametrize("start", [None, "c"])
def test_step_matrix_and_flow_agree_with_brute_force(start: str | None) -> None:
    events = random_events(8)
    ask = {"as_of": AS_OF, "start": start, "most": 5}
    matrix = cx.step_matrix(table_of(events), n_steps=6, **ask)
    flow = cx.flow(table_of(events), n_steps=6, **ask)
    found = [part for visit in finished(events) if (part := oracle.after(visit, start))]
    assert counts(matrix, "step", "event") == oracle.positions(found, 6)
    assert counts(flow, "step", "event", "next_event") == oracle.flows(found, 6)
    assert matrix["n_visits"].eq(len(found)).all()
    assert flow["n_visits"].eq(len(found)).all()
    row = matrix.iloc[3]
    low, high = proportion_confint(row["n"], len(found), method="wilson")
    assert row[["share", "ci_low", "ci_high"]].tolist() == pytest.approx(
        [row["n"] / len(found), low, high]
    )


events_strategy = st.lists(
    st.builds(
        Event,
        user=st.sampled_from("uv"),
        minute=st.integers(0, 11 * DAY),
        name=st.sampled_from("abcde"),
        channel=st.sampled_from([None, "x", "y"]),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=4)
@given(events_strategy, st.integers(1, 4), st.booleans())
def test_what_always_holds(events: list[Event], most: int, collapse: bool) -> None:
    """Every visit starts and exits once, steps add up to one, what flows in flows out, order is nothing."""
    if not any(event.minute < END for event in events):
        return
    ask = {"as_of": AS_OF, "gap": timedelta(days=1), "most": most, "collapse": collapse}
    table = table_of(events)
    moves = cx.transitions(table, **ask)
    pd.testing.assert_frame_equal(moves, cx.transitions(table[::-1], **ask))
    n_visits = moves.loc[moves["from_event"] == "(start)", "n"].sum()
    assert n_visits == moves.loc[moves["to_event"] == "(exit)", "n"].sum()
    for name in set(moves["from_event"]) - {"(start)"}:
        into, out = moves["to_event"] == name, moves["from_event"] == name
        assert moves.loc[into, "n"].sum() == moves.loc[out, "n"].sum()
    matrix, flow = cx.step_matrix(table, n_steps=3, **ask), cx.flow(table, n_steps=3, **ask)
    assert matrix["n_visits"].eq(n_visits).all()
    assert matrix.groupby("step")["n"].sum().eq(n_visits).all()
    left = flow.groupby(["step", "event"])["n"].sum()
    stood = matrix.set_index(["step", "event"])["n"]
    assert left.equals(stood.reindex(left.index))
    came = flow[flow["step"] == 1].groupby("next_event")["n"].sum()
    assert came.drop("(ended)", errors="ignore").to_dict() == {
        name: n for (step, name), n in stood.items() if step == 2 and n and name != "(ended)"
    }


# Paths --------------------------------------------------------------------------------------


def expected_paths(
    events: list[Event], start: str | None, end: str | None, longest: int
) -> tuple[Counter[str], dict[str, list[int]], int]:
    """Return how many visits took each path, how long it took, and how many got to no end."""
    found: Counter[str] = Counter()
    took: dict[str, list[int]] = {}
    missed = 0
    for visit in finished(events):
        part = oracle.after(visit, start)
        if part is None:
            continue
        way = oracle.path(part, start, end)
        if way is None:
            missed += 1
            continue
        names = [event.name for event in way]
        if len(names) > longest:
            names = [*names[: longest - 1], "…", *([] if end is None else [end])]
        names = [
            *(["(start)"] if start is None else []),
            *names,
            *(["(exit)"] if end is None else []),
        ]
        found[" → ".join(names)] += 1
        took.setdefault(" → ".join(names), []).append(60 * (way[-1].minute - way[0].minute))
    return found, took, missed


@pytest.mark.parametrize(
    ("start", "end", "longest"),
    [("a", "P", 8), ("a", "P", 3), (None, "P", 4), ("b", None, 4), (None, None, 5), ("a", "a", 6)],
)
def test_paths_agree_with_brute_force(start: str | None, end: str | None, longest: int) -> None:
    events = random_events(11)
    found, took, missed = expected_paths(events, start, end, longest)
    table = cx.top_paths(
        table_of(events), start=start, end=end, as_of=AS_OF, most=5000, longest=longest
    )
    ways = table[table["path"] != "(no end)"]
    assert dict(zip(ways["path"], ways["n"], strict=True)) == found
    assert ways["median_seconds"].tolist() == [np.median(took[way]) for way in ways["path"]]
    assert ways["n"].is_monotonic_decreasing
    assert (table["path"] == "(no end)").sum() == (end is not None)
    assert table.loc[table["path"] == "(no end)", "n"].sum() == missed
    assert table["n_visits"].eq(found.total() + missed).all()


def test_the_most_common_paths_come_first_and_the_others_are_counted() -> None:
    events = random_events(12)
    found, _, missed = expected_paths(events, "a", "P", 8)
    table = cx.top_paths(table_of(events), start="a", end="P", as_of=AS_OF, most=3)
    best = sorted(found.items(), key=lambda one: (-one[1], one[0].split(" → ")))[:3]
    rest = found.total() - sum(n for _, n in best)
    assert list(zip(table["path"], table["n"], strict=True)) == [
        *best, ("(other paths)", rest), ("(no end)", missed),
    ]  # fmt: skip
    low, high = proportion_confint(best[0][1], found.total() + missed, method="wilson")
    assert table.loc[0, ["ci_low", "ci_high"]].tolist() == pytest.approx([low, high])
    groups = cx.top_paths(table_of(events), start="a", end="P", as_of=AS_OF, most=3, by="channel")
    assert groups.groupby("channel")["n"].sum().to_dict() == (
        groups.groupby("channel")["n_visits"].first().to_dict()
    )
    assert groups["n"].sum() == table["n"].sum()


# Touches ------------------------------------------------------------------------------------


def kept_conversions(events: list[Event], lookback: int) -> tuple[list[oracle.Conversion], int]:
    """Return the purchases whose whole lookback was seen, and the number of the others."""
    seen = [event for event in events if event.minute < END]
    done = oracle.conversions(oracle.visits(seen, GAP), "P", lookback)
    first = min(event.minute for event in seen)
    kept = [one for one in done if one.minute - lookback >= first]
    return kept, len(done) - len(kept)


@pytest.mark.parametrize("seed", [21, 22])
def test_touches_agree_with_brute_force(seed: int) -> None:
    events = random_events(seed)
    kept, n_early = kept_conversions(events, 3 * DAY)
    assert n_early > 0
    table = cx.touches(table_of(events), purchase="P", lookback="3 days", as_of=AS_OF)
    values = {
        "touches": [float(len(one.touches)) for one in kept],
        "days": [(one.minute - one.touches[0].events[0].minute) / DAY for one in kept],
    }
    assert table["measure"].tolist() == list(values)
    for row, numbers in zip(table.itertuples(), values.values(), strict=True):
        assert (row.n, row.n_early) == (len(kept), n_early)
        told = (row.mean, row.q25, row.median, row.q75, row.most)
        quartiles = np.quantile(numbers, [0.25, 0.5, 0.75, 1])
        assert told == pytest.approx((np.mean(numbers), *quartiles))
        ends = stats.ttest_1samp(numbers, 0).confidence_interval()
        assert (row.ci_low, row.ci_high) == pytest.approx((ends.low, ends.high))


@pytest.mark.parametrize("seed", [23, 24])
def test_credit_agrees_with_brute_force(seed: int) -> None:
    events = random_events(seed)
    kept, n_early = kept_conversions(events, 3 * DAY)
    table = cx.touch_credit(
        table_of(events), channel="channel", purchase="P", lookback="3 days", as_of=AS_OF
    )
    expected: Counter[tuple[str, str]] = Counter()
    for one in kept:
        channels = [visit.channel for visit in one.touches]
        expected["first touch", channels[0]] += 1
        expected["last touch", channels[-1]] += 1
        for channel in channels:
            expected["linear", channel] += 1 / len(channels)  # type: ignore[assignment]
    told = {(row.model, row.channel): row.credit for row in table.itertuples()}
    assert {key: credit for key, credit in told.items() if credit} == pytest.approx(dict(expected))
    assert table.groupby("model")["share"].sum().tolist() == pytest.approx([1, 1, 1])
    assert table["n"].eq(len(kept)).all()
    assert table["n_early"].eq(n_early).all()
    row = table[(table["model"] == "linear") & (table["channel"] == "email")].iloc[0]
    parts = [np.mean([visit.channel == "email" for visit in one.touches]) for one in kept]
    ends = stats.ttest_1samp(parts, 0).confidence_interval()
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((ends.low, ends.high))
    first = table.iloc[0]
    low, high = proportion_confint(first["credit"], len(kept), method="wilson")
    assert (first["ci_low"], first["ci_high"]) == pytest.approx((low, high))


def test_touches_by_hand() -> None:
    """A visit leads to one purchase; the buying visit counts; a visit before the lookback does not."""
    events = [
        Event("u", 0, "a", channel="old"),
        Event("u", 5 * DAY, "a", channel="email"),
        Event("u", 7 * DAY, "P", channel="search"),
        Event("u", 7 * DAY + 5, "P", channel="search"),
        Event("u", 8 * DAY, "P", channel="direct"),
        Event("u", 9 * DAY, "a", channel="late"),
    ]
    ask = {"purchase": "P", "lookback": "2 days", "as_of": LATER}
    table = cx.touches(table_of(events), **ask)
    assert table[["n", "mean", "most"]].values.tolist() == [[2, 1.5, 2.0], [2, 1.0, 2.0]]
    credit = cx.touch_credit(table_of(events), channel="channel", **ask)
    assert credit[credit["credit"] > 0].set_index(["model", "channel"])["credit"].to_dict() == {
        ("first touch", "direct"): 1, ("first touch", "email"): 1,
        ("last touch", "direct"): 1, ("last touch", "search"): 1,
        ("linear", "direct"): 1, ("linear", "email"): 0.5, ("linear", "search"): 0.5,
    }  # fmt: skip


# The account, and bad input -----------------------------------------------------------------

ALL: dict[str, Callable[..., pd.DataFrame]] = {
    "transitions": cx.transitions,
    "step_matrix": cx.step_matrix,
    "flow": cx.flow,
    "top_paths": cx.top_paths,
    "touches": lambda events, **ask: cx.touches(events, purchase="a", lookback="1 minute", **ask),
    "touch_credit": lambda events, **ask: cx.touch_credit(
        events, purchase="a", lookback="1 minute", channel="channel", **ask
    ),
}
FEW = [Event("u", 0, "b"), Event("u", 40, "a"), Event("u", 41, "b"), Event("v", 50, "a")]


@pytest.mark.parametrize("name", ALL)
def test_empty_and_repeated_rows_are_counted_and_left_out(name: str) -> None:
    good = table_of(FEW).assign(event_id=["1", "2", "3", "4"])
    bad = good.iloc[[0, 1, 2, 3]].assign(
        user_id=["u", None, "u", "u"], event=["b", "a", None, "a"], session_id=["", "", "", "x"],
        occurred_at=[*good["occurred_at"][:3], pd.NaT], event_id=["1", "5", "6", "7"],
    )  # fmt: skip
    clean = ALL[name](good, as_of=LATER)
    spoilt = ALL[name](pd.concat([good, bad]), as_of=LATER)
    left_out = ["n_ignored", "n_duplicates"]
    pd.testing.assert_frame_equal(clean.drop(columns=left_out), spoilt.drop(columns=left_out))
    assert spoilt[left_out].drop_duplicates().values.tolist() == [[3, 1]]


@pytest.mark.parametrize("name", ALL)
def test_events_after_as_of_change_nothing(name: str) -> None:
    later = [Event("u", 60 * DAY, "b"), Event("w", 61 * DAY, "a")]
    table = ALL[name](table_of(FEW), as_of="2024-01-20")
    pd.testing.assert_frame_equal(table, ALL[name](table_of([*FEW, *later]), as_of="2024-01-20"))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"as_of": "2023-12-31"}, cx.DataError, "as_of=2023-12-31 is before the first"),
        ({"as_of": "31/12/2024"}, cx.ParameterError, "write YYYY-MM-DD"),
        ({"gap": "0 minutes"}, cx.ParameterError, "must be longer than zero"),
        ({"session": "sesion_id"}, cx.ColumnError, "Did you mean 'session_id'"),
        ({"alpha": 0}, cx.ParameterError, "alpha=0 is out of range"),
    ],
)
def test_bad_arguments(name: str, change: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        ALL[name](table_of(FEW), **{"as_of": LATER, **change})


@pytest.mark.parametrize(
    ("call", "change", "error", "message"),
    [
        (cx.transitions, {"only": ["vew"]}, cx.DataError, "no event is named 'vew'"),
        (cx.transitions, {"only": "a"}, cx.ParameterError, "only='a' must be a list of event"),
        (cx.transitions, {"only": []}, cx.ParameterError, "must be a list of event names"),
        (cx.transitions, {"most": 0}, cx.ParameterError, "most=0 is not a whole number from 1"),
        (cx.transitions, {"by": "n_from"}, cx.ColumnError, "no column 'n_from'"),
        (cx.step_matrix, {"by": "event"}, cx.ParameterError, "also a column of the answer"),
        (cx.step_matrix, {"n_steps": 0}, cx.ParameterError, "n_steps=0 is not a whole number"),
        (cx.step_matrix, {"start": "zz"}, cx.DataError, "no event is named 'zz'; there are a, b"),
        (cx.flow, {"n_steps": 1}, cx.ParameterError, "n_steps=1 is not a whole number from 2"),
        (cx.top_paths, {"start": ""}, cx.ParameterError, "start='' must be the name of an event"),
        (cx.top_paths, {"end": "zz"}, cx.DataError, "no event is named 'zz'"),
        (cx.top_paths, {"longest": 1}, cx.ParameterError, "longest=1 is not a whole number from 2"),
        (
            cx.touch_credit,
            {"purchase": "b", "channel": "x"},
            cx.ColumnError,
            "Give another channel= or channel=None",
        ),
        (cx.touches, {"purchase": "zz"}, cx.DataError, "no event is named 'zz'"),
        (cx.touches, {"purchase": "b"}, cx.DataError, "give a shorter lookback="),
        (cx.touches, {"purchase": "b", "lookback": "x"}, cx.ParameterError, "not a duration"),
    ],
)
def test_arguments_of_ones_own(
    call: Callable[..., pd.DataFrame], change: dict, error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        call(table_of(FEW), **{"as_of": LATER, **change})


def test_words_of_the_answer_are_no_events() -> None:
    with pytest.raises(cx.DataError, match=r"1 rows are named \(start\), \(exit\)"):
        cx.transitions(table_of([Event("u", 0, "(exit)")]), as_of=LATER)


def test_nobody_bought_by_then() -> None:
    with pytest.raises(cx.DataError, match="nobody did 'P' by as_of"):
        cx.touches(
            table_of([Event("u", 0, "a"), Event("u", 5 * DAY, "P")]),
            purchase="P",
            as_of="2024-01-02",
        )


def test_only_open_visits_give_null_shares() -> None:
    table = cx.step_matrix(table_of([Event("u", DAY - 5, "a")]), as_of="2024-01-01", n_steps=2)
    assert table["n_visits"].eq(0).all()
    assert table["n_open"].eq(1).all()
    assert table[["share", "ci_low", "ci_high"]].isna().all(axis=None)
