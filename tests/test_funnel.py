"""Funnels against worked cases of the product tools, by hand, and bad input."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint
from test_funnel_modes import MODES, by_hand, named, random_users

import cxlib as cx

GOLDEN = json.loads(
    (Path(__file__).parent / "golden" / "funnel_retention.json").read_text(encoding="utf-8")
)
START = pd.Timestamp("2024-01-01")
LATER = "2024-12-31"


def events_of(users: dict[str, list]) -> pd.DataFrame:
    """Rows of ``user -> [[minute, event], ...]``."""
    rows = [
        (user, event, pd.NaT if minute is None else START + pd.Timedelta(minutes=minute))
        for user, events in users.items()
        for minute, event in events
    ]
    return pd.DataFrame(rows, columns=["user_id", "event", "occurred_at"])


def depths(table: pd.DataFrame, by: str = "who") -> dict[str, int]:
    """Depth of each user, where ``by`` holds the user; -1 for who is removed."""
    return {
        str(user): int(part["n"].sum() - part["n_excluded"].iloc[0])
        for user, part in table.groupby(by)
    }


def run_case(case: dict) -> dict[str, int]:
    # A window of zero is an error here; a microsecond is the shortest there is.
    window = timedelta(minutes=case["window"]) or timedelta(microseconds=1)
    events = events_of(case["users"])
    events["who"] = events["user_id"]
    if "hold" in case["rule"]:
        events[["user_id", "session_id"]] = events["who"].str.split("|", expand=True).to_numpy()
    # Steps that no user of a case takes must still be known events.
    known = pd.DataFrame({"user_id": "nobody", "event": case["steps"], "occurred_at": START})
    known = known[~known["event"].isin([case["steps"][0], *events["event"]])]
    rule = dict(case["rule"])
    rule["exclude"] = [
        cx.Exclude(one["event"], after=one["after"], before=one["before"])
        for one in rule.get("exclude", [])
    ]
    table = cx.funnel(
        pd.concat([events, known]),
        steps=case["steps"],
        window=window,
        as_of="2034-12-31",  # two windows are years long
        by="who",
        **rule,
    )
    assert table["n_open"].eq(0).all()
    assert table["n_ignored"].eq(int(events["occurred_at"].isna().sum())).all()
    return depths(table)


# Worked cases -------------------------------------------------------------------------------


@pytest.mark.parametrize("case", GOLDEN["funnel"], ids=lambda case: f"{case['id']} {case['name']}")
def test_worked_case_of_clickhouse_posthog_or_mixpanel(case: dict) -> None:
    assert run_case(case) == case["expected_depth"]


@pytest.mark.parametrize("case", GOLDEN["funnel_other_semantics"], ids=lambda case: case["id"])
def test_worked_case_that_we_answer_otherwise_and_say_so(case: dict) -> None:
    assert run_case(case) == case["our_depth"]
    assert case["our_depth"] != case["expected_depth"]


# The oracle: `funnel_oracle`, in every mode in test_funnel_modes.py ------------------------------


@pytest.mark.parametrize("letters", ["ABC", "ABAC"])
def test_the_answer_for_5000_random_users_agrees_with_the_brute_force_oracle(letters: str) -> None:
    """Counts, median times and open windows; many events share a moment."""
    events, ask = random_users(9, 5000), replace(MODES["ordered"], steps=named(letters))
    table = cx.funnel(events, steps=list(letters), window=timedelta(hours=16), as_of="2024-01-02")
    users = by_hand(events, ask)
    assert table["n"].tolist() == [(users["depth"] >= k).sum() for k in table["step"]]
    assert table["n_open"].tolist() == [(users["depth"] == 0).sum()] * len(letters)
    for k in range(2, len(letters) + 1):
        took = users[f"at_{k}"] - users[f"at_{k - 1}"]
        found = table.loc[k - 1, ["q1_seconds", "median_seconds", "q3_seconds"]]
        assert found.tolist() == (took.quantile([0.25, 0.5, 0.75]) * 4 * 3600).tolist()


# Censoring ----------------------------------------------------------------------------------


def test_an_entry_whose_window_ends_after_as_of_is_left_out_even_if_it_converted() -> None:
    users = {
        "early": [[0, "A"], [5, "B"]],
        "late": [[1430, "A"], [1435, "B"]],  # ten minutes before the day ends
        "both": [[0, "A"], [1430, "A"], [1435, "B"]],
    }
    events = events_of(users).assign(who=lambda rows: rows["user_id"])
    table = cx.funnel(events, steps=["A", "B"], window="10 minutes", as_of="2024-01-01", by="who")
    assert depths(table) == {"early": 2, "late": 0, "both": 1}
    assert table.groupby("who")["n_open"].first().to_dict() == {"early": 0, "late": 1, "both": 0}
    shorter = cx.funnel(events, steps=["A", "B"], window="9 minutes", as_of="2024-01-01", by="who")
    assert depths(shorter) == {"early": 2, "late": 2, "both": 2}


def test_a_group_with_open_windows_only_has_null_rates() -> None:
    events = events_of({"u": [[1430, "A"], [1435, "B"]], "v": [[-1430, "A"]]})
    events["who"] = events["user_id"]
    asked = {"steps": ["A", "B"], "window": "1 day", "as_of": "2024-01-01"}
    table = cx.funnel(events, by="who", **asked)
    table = table[table["who"] == "u"]
    assert table["n"].tolist() == [0, 0]
    assert table["n_open"].tolist() == [1, 1]
    assert table[["rate", "ci_low", "ci_high", "step_rate"]].isna().all(axis=None)
    with pytest.raises(cx.DataError, match="1 did step one, and nobody's window of 1 day is"):
        cx.funnel(events[events["user_id"] == "u"], **asked)


def test_a_column_of_ids_makes_no_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    events = events_of({f"u{number}": [[0, "A"], [1, "B"]] for number in range(5)})
    events["session"] = events["user_id"]
    asked = {"steps": ["A", "B"], "window": "1 day", "as_of": "2024-01-31", "by": "session"}
    assert len(cx.funnel(events, **asked)) == 10
    monkeypatch.setattr(import_module("cxlib.funnel.answers"), "MOST_GROUPS", 4)
    with pytest.raises(cx.ParameterError, match="by='session' makes 5 groups, more than 4"):
        cx.funnel(events, **asked)


# Rates, times and groups --------------------------------------------------------------------


def test_rates_are_of_step_one_and_of_the_step_before_with_wilson_intervals() -> None:
    users = {f"u{number}": [[0, "A"]] for number in range(10)}
    users |= {f"u{number}": [[0, "A"], [2, "B"]] for number in range(6)}
    users |= {f"u{number}": [[0, "A"], [2, "B"], [7, "C"]] for number in range(3)}
    table = cx.funnel(events_of(users), steps=["A", "B", "C"], window="1 hour", as_of=LATER)
    assert table["n"].tolist() == [10, 6, 3]
    assert table["rate"].tolist() == [1.0, 0.6, 0.3]
    assert table["step_rate"].tolist()[1:] == [0.6, 0.5]
    assert table["n_dropped"].tolist() == [pd.NA, 4, 3]
    assert table["median_seconds"].tolist()[1:] == [120.0, 300.0]
    assert table.loc[0, ["step_rate", "step_ci_low", "step_ci_high", "median_seconds"]].isna().all()
    # statsmodels' Wilson interval, asked for directly
    low, high = proportion_confint(3, 10, method="wilson")
    assert table.loc[2, ["ci_low", "ci_high"]].tolist() == pytest.approx([low, high])
    low, high = proportion_confint(3, 6, method="wilson")
    assert table.loc[2, ["step_ci_low", "step_ci_high"]].tolist() == pytest.approx([low, high])


def test_microseconds_count() -> None:
    stamps = pd.to_datetime(["2024-01-01T00:00:00", "2024-01-01T00:00:01.000001"], format="ISO8601")
    events = pd.DataFrame({"user_id": "u", "event": ["A", "B"], "occurred_at": stamps})
    short = cx.funnel(events, steps=["A", "B"], window="1 second", as_of=LATER)
    assert short["n"].tolist() == [1, 0]
    just = timedelta(seconds=1, microseconds=1)
    exact = cx.funnel(events, steps=["A", "B"], window=just, as_of=LATER)
    assert exact["n"].tolist() == [1, 1]
    assert exact["median_seconds"][1] == 1.000001


def test_a_user_belongs_to_the_group_of_the_entry_of_the_deepest_attempt() -> None:
    users = {"u": [[0, "A"], [100, "A"], [105, "B"], [200, "A"]], "v": [[0, "A"], [3, "B"]]}
    events = events_of(users).assign(device=["web", "app", "tv", "shop", None, "web"])
    table = cx.funnel(events, steps=["A", "B"], window="10 minutes", as_of=LATER, by="device")
    assert table["device"].tolist() == ["(none)", "(none)", "app", "app"]
    assert table["n"].tolist() == [1, 1, 1, 1]


def test_an_entry_logged_twice_takes_the_first_group_that_has_a_name() -> None:
    events = events_of({"u": [[0, "A"], [0, "A"], [0, "A"], [1, "B"]]})
    events["device"] = ["web", None, "app", None]
    for rows in (events, events[::-1]):
        table = cx.funnel(rows, steps=["A", "B"], window="1 hour", as_of=LATER, by="device")
        assert table["device"].tolist() == ["app", "app"]


def test_one_user_with_20000_events_is_counted_once() -> None:
    minutes = np.arange(20_000)
    one = pd.DataFrame({"user_id": "bot", "event": np.where(minutes % 2, "B", "A")})
    one["occurred_at"] = START + pd.to_timedelta(minutes, unit="min")
    table = cx.funnel(one, steps=["A", "B", "A", "B"], window="3 minutes", as_of=LATER)
    assert table["n"].tolist() == [1, 1, 1, 1]


# Columns and bad input ----------------------------------------------------------------------


@pytest.mark.parametrize("by", [None, "device"])
def test_columns_and_types(by: str | None) -> None:
    events = events_of({"u": [[0, "A"], [3, "B"]], "v": [[0, "A"]]}).assign(device="web")
    table = cx.funnel(events, steps=["A", "B"], window="1 hour", as_of=LATER, by=by)
    kinds = {name: str(kind) for name, kind in table.dtypes.items()}
    assert list(kinds)[: 1 if by else 0] == ([by] if by else [])
    kinds.pop("device", None)
    assert kinds == {
        "step": "int64",
        "event": "str",
        "n": "int64",
        "rate": "float64",
        "ci_low": "float64",
        "ci_high": "float64",
        "step_rate": "float64",
        "step_ci_low": "float64",
        "step_ci_high": "float64",
        "n_dropped": "Int64",
        "q1_seconds": "float64",
        "median_seconds": "float64",
        "q3_seconds": "float64",
        "n_open": "int64",
        "n_excluded": "int64",
        "n_ignored": "int64",
        "n_duplicates": "int64",
    }
    assert table.index.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"steps": ["view"]}, cx.ParameterError, "needs two event names or more"),
        ({"steps": "view"}, cx.ParameterError, "must be a list of event names"),
        ({"steps": ["view", 3]}, cx.ParameterError, "must be a list of event names"),
        (
            {"steps": ["view", "purchas"]},
            cx.DataError,
            "no event is named 'purchas'; the nearest names are 'purchase'; there are cart, ",
        ),
        ({"steps": ["view", "zzz"]}, cx.DataError, "named 'zzz'; there are cart, purchase, view"),
        ({"window": "0 days"}, cx.ParameterError, "must be longer than zero"),
        ({"window": timedelta(days=-1)}, cx.ParameterError, "must be longer than zero"),
        ({"window": "-1 days"}, cx.ParameterError, "must be longer than zero"),
        ({"window": "1 month"}, cx.ParameterError, "months differ in length; write it in days"),
        ({"as_of": "2023-12-31"}, cx.DataError, "as_of=2023-12-31 is before the first"),
        ({"as_of": "2024-13-01"}, cx.ParameterError, "write YYYY-MM-DD"),
        ({"by": "devise"}, cx.ColumnError, "Did you mean 'device'"),
        ({"by": "user_id"}, cx.ParameterError, "each user would be a group"),
        ({"by": "event"}, cx.ParameterError, "also a column of the answer"),
        ({"alpha": 2}, cx.ParameterError, "alpha=2 is out of range"),
    ],
)
def test_bad_arguments(change: dict, error: type, message: str) -> None:
    events = events_of({"u": [[0, "view"], [1, "cart"], [2, "purchase"]]}).assign(device="web")
    arguments = {"steps": ["view", "cart"], "window": "1 day", "as_of": LATER, **change}
    with pytest.raises(error, match=message):
        cx.funnel(events, **arguments)


def test_nobody_at_step_one_by_as_of() -> None:
    events = events_of({"u": [[0, "B"], [5000, "A"]]})
    with pytest.raises(cx.DataError, match="nobody did step one, 'A', by as_of=2024-01-01"):
        cx.funnel(events, steps=["A", "B"], window="1 day", as_of="2024-01-01")


def test_empty_tables_and_missing_columns() -> None:
    events = events_of({"u": [[0, "A"], [None, "B"]]})
    arguments = {"steps": ["A", "B"], "window": "1 day", "as_of": LATER}
    with pytest.raises(cx.DataError, match="no rows"):
        cx.funnel(events[:0], **arguments)
    with pytest.raises(cx.ColumnError, match="no column 'user_id'"):
        cx.funnel(events.drop(columns="user_id"), **arguments)
