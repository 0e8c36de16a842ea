"""The chain that streams, in DuckDB alone: against the oracle and the other chain, and what it rests on."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import duckdb
import ibis
import numpy as np
import pandas as pd
import pytest
from funnel_oracle import Question, Wanted
from test_funnel_modes import ABC, END, MODES, SLOT, START, by_hand, named, random_users, rule_of

import cxlib as cx
from cxlib.clean import Cleaned
from cxlib.funnel import stream
from cxlib.funnel.deepest import attempts_in_stream, deepest
from cxlib.sources import held
from cxlib.tables import EVENTS

N_USERS = 5000
APART = 2**64 // N_USERS
"""Users' numbers lie so far apart that every part has its share of them."""

PLAIN = {name: ask for name, ask in MODES.items() if stream.is_plain(rule_of(ask))} | {
    "two steps": replace(ABC, steps=named("AB")),
    "five steps": replace(ABC, steps=named("ABCXY"), window=9),
    "start, window of each step": replace(
        ABC, start=6, steps=(*named("A"), Wanted(("B",), within=1), Wanted(("C",), within=2))
    ),
    "long window": replace(ABC, window=11),
}


def streamed(events: pd.DataFrame, ask: Question) -> pd.DataFrame:
    """Depth, and slots of the steps, of each user."""
    numbers = events["user_id"].astype("uint64") * np.uint64(APART)
    seen = ibis.memtable(events.assign(user_id=numbers))
    seen = seen.filter(seen["occurred_at"] < START + END * SLOT)
    table = attempts_in_stream(seen, rule_of(ask)).execute()
    for k in range(1, len(ask.steps) + 1):
        table[f"at_{k}"] = (table[f"at_{k}"] - START) / SLOT
    table["user_id"] = (table["user_id"] // np.uint64(APART)).astype(str)
    return table.sort_values("user_id", ignore_index=True)


def test_what_streams_is_plain() -> None:
    assert set(PLAIN) >= {"ordered", "any of", "window of each step", "start"}
    others = MODES.keys() - PLAIN.keys()
    assert others >= {"one name", "overlapping steps", "optional", "first entry", "ties refused"}
    assert others >= {"strict", "any order", "exclusion", "exclusion, user"}
    assert not stream.is_plain(rule_of(ABC, hold="device"))


@pytest.mark.parametrize("mode", PLAIN)
def test_5000_random_users_agree_with_the_brute_force_oracle(mode: str) -> None:
    events = random_users(sum(map(ord, mode)), N_USERS, names="ABCXY")
    expected = by_hand(events, PLAIN[mode])
    found = streamed(events, PLAIN[mode])[expected.columns]
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    assert set(expected["depth"]) == {*range(len(PLAIN[mode].steps) + 1)}


@pytest.mark.parametrize("n_parts", [1, 3, 8])
def test_each_user_is_in_one_part(n_parts: int) -> None:
    draw = np.random.default_rng(0).integers(0, 2**64, 3000, "uint64", endpoint=False)
    users = np.r_[draw, np.array([0, 2**63 - 1, 2**63, 2**64 - 1], "uint64")]
    rows = held(ibis.memtable({"user_id": users, "moment": [0] * 3004, "step": [1] * 3004}))
    parts = (
        stream.of_part(rows.alias("cx_some"), part, n_parts, rule_of(ABC), deepest)
        for part in range(n_parts)
    )
    found = pd.concat([part.execute()["user_id"] for part in parts])
    assert sorted(found) == sorted(users)


def test_rows_that_do_not_lie_by_user_are_refused() -> None:
    con = duckdb.connect()
    con.execute(
        "create table rows as select (hash(i % 900)) as user_id, i as moment, 1 as step from range(9000) t(i)"
    )
    query = deepest("select * from rows", rule_of(ABC))
    assert len(con.execute(query).fetchall()) == 900
    with pytest.raises(duckdb.Error, match="rows out of order"):
        con.execute(query.replace("order by user_id, moment, step", "order by moment")).fetchall()


def test_an_engine_that_does_not_stream_takes_the_other_chain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream, "carried", lambda when, value, none: f"max({value}) over ()")
    assert not stream._streams.__wrapped__(ibis.duckdb.connect())
    monkeypatch.undo()
    assert stream._streams.__wrapped__(ibis.duckdb.connect())
    module = import_module("cxlib.funnel.attempts")
    events = random_users(3, 2000)
    asked = {"steps": ["A", "B", "C"], "window": "16 hours", "as_of": "2024-01-02"}
    one = cx.funnel(events, **asked, by="device", attribution="last")
    monkeypatch.setattr(module, "may_stream", lambda seen: False)
    other = cx.funnel(events, **asked, by="device", attribution="last")
    pd.testing.assert_frame_equal(one, other)


# What cleaning made is not looked at first ----------------------------------------------------


def cleaned(events: pd.DataFrame) -> Cleaned:
    return Cleaned(ibis.memtable(events), pd.DataFrame(), 0, 0, contract=EVENTS)


def test_cleaned_events_are_looked_at_only_where_a_step_has_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events = random_users(4, 500)
    asked = {"window": "16 hours", "as_of": "2024-01-02"}
    looked_at = cx.funnel(events, steps=["A", "B"], **asked)
    with monkeypatch.context() as patch:
        patch.setattr(import_module("cxlib.funnel.answers"), "seen_events", None)
        pd.testing.assert_frame_equal(
            cx.funnel(cleaned(events), steps=["A", "B"], **asked), looked_at
        )
    with pytest.raises(cx.DataError, match="no event is named 'E'"):
        cx.funnel(cleaned(events), steps=["A", "E"], **asked)
    late = events.assign(occurred_at=events["occurred_at"] + pd.Timedelta("9 days"))
    with pytest.raises(cx.DataError, match="2024-01-02"):
        cx.funnel(cleaned(late), steps=["A", "B"], **asked)
    with pytest.raises(cx.DataError, match="no rows"):
        cx.funnel(cleaned(events[:0]), steps=["A", "B"], **asked)
    backwards = pd.DataFrame(
        {"user_id": "ann", "event": ["B", "A"], "occurred_at": [START, START + SLOT]}
    )
    assert cx.funnel(cleaned(backwards), steps=["A", "B"], **asked)["n"].tolist() == [1, 0]


# Trends -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"start": "2024-01-02"},
        {"steps": list("ABCXY"), "window": "2 days"},
        {"steps": ["A", cx.Step("B", within="8 hours"), cx.Step("C", within="4 hours")]},
    ],
    ids=["three steps", "start", "five steps", "window of each step"],
)
def test_a_trend_by_entry_is_that_of_periods_laid_over_one_another(
    change: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = random_users(5, N_USERS, names="ABCXY", most=14)
    asked = {"steps": list("ABC"), "window": "16 hours", "as_of": "2024-01-03", "period": "day"}
    by_entry = cx.funnel_trend(events, **asked | change)
    module = import_module("cxlib.funnel.trend")
    monkeypatch.setattr(module, "may_stream", lambda seen: False)
    laid_over = cx.funnel_trend(events, **asked | change)
    pd.testing.assert_frame_equal(by_entry, laid_over)
    complete = by_entry[by_entry["is_complete"]]
    assert complete["n"].gt(0).any()
