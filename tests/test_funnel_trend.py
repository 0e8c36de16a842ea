"""The funnel of each entry period: against the funnel and the oracle of that period alone."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest
from test_funnel import LATER, events_of
from test_funnel_modes import random_users

import cxlib as cx

LAST = "2024-01-03"
GIVEN = {"steps": ["A", "B", "C"], "window": "10 hours", "as_of": LAST}


def events(seed: int, n_users: int = 500, names: str = "ABCX") -> pd.DataFrame:
    """Events of three days and more; a slot is four hours."""
    rows = random_users(seed, n_users, names, most=12)
    rows["occurred_at"] += pd.to_timedelta(rows.index % 2 * 28, unit="h")
    return rows.drop(columns="slot")


def of_the_day_alone(rows: pd.DataFrame, day: pd.Timestamp, given: dict) -> pd.DataFrame:
    """What `funnel` says where entries after the day have open windows: those are left out."""
    window = pd.Timedelta(given["window"])
    end = day + timedelta(days=1)
    ahead = rows[rows["occurred_at"] < end + window]
    # the moment at which the last window of the day closes becomes a midnight
    shift = (end + window).ceil("D") - (end + window)
    moved = ahead.assign(occurred_at=ahead["occurred_at"] + shift)
    moved = moved[moved["occurred_at"] >= day + shift]
    as_of = (end + window + shift - timedelta(days=1)).date()
    return cx.funnel(moved, **{**given, "as_of": as_of})


MODES = [
    {},
    {"order": "strict"},
    {"order": "any"},
    {"order": "any", "reentry": "first", "exclude": ["X"]},
    {"reentry": "first", "ties": "strict"},
    {"exclude": ["X"]},
    {"exclude": [cx.Exclude("X", after=2, before=3)], "exclude_scope": "user"},
    {"steps": ["A", cx.Step("B", optional=True, within="8 hours"), "C"]},
    {"steps": ["A", "B", "A"]},
    {"hold": "device"},
]


@pytest.mark.parametrize("options", MODES, ids=lambda options: ", ".join(options) or "ordered")
def test_each_day_is_the_funnel_of_that_day_alone(options: dict) -> None:
    """`funnel` itself is held against the brute-force oracle in every one of these modes."""
    rows, given = events(1), {**GIVEN, **options}
    table = cx.funnel_trend(rows, period="day", **given)
    assert table.groupby("period")["is_complete"].first().tolist() == [True, True, False]
    for day, part in table[table["is_complete"]].groupby("period"):
        alone = of_the_day_alone(rows, day, given)
        names = [name for name in part.columns if name in alone]
        found = part[names].reset_index(drop=True).astype({"n": "int64", "n_dropped": "Int64"})
        pd.testing.assert_frame_equal(found, alone[names], check_dtype=False)
        assert part["n"].iloc[0] > 50


def test_groups_of_a_day_are_those_of_its_funnel() -> None:
    rows, given = events(2), {**GIVEN, "by": "device", "attribution": "last"}
    table = cx.funnel_trend(rows, period="day", **given)
    for day, part in table[table["is_complete"]].groupby("period"):
        alone = of_the_day_alone(rows, day, given)
        names = ["device", "step", "n", "rate", "ci_low", "ci_high"]
        pd.testing.assert_frame_equal(
            part[names].reset_index(drop=True), alone[names], check_dtype=False
        )


def test_who_enters_twice_counts_in_both_periods_and_may_convert_in_either() -> None:
    day = 1440
    users = {
        "both": [[0, "A"], [1, "B"], [7 * day, "A"], [7 * day + 1, "B"]],
        "over the edge": [[7 * day - 1, "A"], [7 * day + 5, "B"]],
        "later entry only": [[7 * day - 300, "A"], [7 * day, "A"], [7 * day + 5, "B"]],
        "unfinished": [[14 * day, "A"], [14 * day + 1, "B"]],
    }
    table = cx.funnel_trend(
        events_of(users), steps=["A", "B"], window="1 hour", as_of="2024-01-15", period="week"
    )
    assert table["period"].dt.strftime("%m-%d").tolist() == [
        "01-01", "01-01", "01-08", "01-08", "01-15", "01-15",
    ]  # fmt: skip
    assert table["n"].tolist() == [3, 2, 2, 2, 1, pd.NA]
    assert table["rate"].tolist()[:4] == [1, pytest.approx(2 / 3), 1, 1]
    assert table.loc[4:, ["rate", "ci_low", "step_rate", "n_dropped"]].isna().all(axis=None)


def test_months_and_quiet_periods_and_start() -> None:
    day = 1440
    users = {"u": [[5 * day, "A"], [6 * day, "B"]], "v": [[70 * day, "A"]]}
    users["w"] = [[0, "B"], [2 * day, "A"]]  # the log begins with the month
    given = {"steps": ["A", "B"], "window": "31 days", "as_of": "2024-05-01", "period": "month"}
    table = cx.funnel_trend(events_of(users), **given)
    two = table[table["step"] == 2]
    assert two["period"].dt.month.tolist() == [1, 2, 3, 4, 5]
    assert two["n"].tolist() == [1, 0, 0, pd.NA, pd.NA]
    assert two["rate"].tolist()[0] == 0.5
    assert two["rate"].isna().tolist() == [False, True, False, True, True]
    assert two["is_complete"].tolist() == [True, True, True, False, False]
    late = cx.funnel_trend(events_of(users), start="2024-01-04", **given)
    assert late.loc[late["step"] == 1, "n"].tolist() == [1, 0, 1, 0, 0]
    assert late.loc[late["step"] == 1, "is_complete"].tolist() == [False, True, True, False, False]


@pytest.mark.parametrize(("first", "is_seen_whole"), [(0, True), (1439, True), (1440, False)])
def test_a_period_is_not_complete_if_the_log_begins_inside_it(
    first: int, is_seen_whole: bool
) -> None:
    rows = events_of({"u": [[first, "X"], [2000, "A"], [2001, "B"]], "v": [[11_000, "A"]]})
    given = {"steps": ["A", "B"], "window": "1 hour", "as_of": "2024-01-15"}
    table = cx.funnel_trend(rows, **given)
    assert table["is_complete"].tolist() == [is_seen_whole] * 2 + [True] * 2 + [False] * 2
    assert table["rate"].iloc[:2].notna().tolist() == [is_seen_whole] * 2
    assert table["n"].iloc[0] == 1


def test_a_period_is_complete_when_its_last_window_is_over() -> None:
    rows = events_of({"u": [[0, "A"], [1, "B"]]})
    given = {"steps": ["A", "B"], "window": "2 days", "period": "day"}
    for as_of, complete in (("2024-01-02", False), ("2024-01-03", True)):
        table = cx.funnel_trend(rows, as_of=as_of, **given)
        assert table["is_complete"].iloc[0] == complete


@pytest.mark.parametrize(
    "options", MODES[1:6:2], ids=lambda options: ", ".join(options) or "ordered"
)
def test_row_order_and_later_events_change_nothing_and_groups_sum_to_all(options: dict) -> None:
    rows, given = events(3, 250), {**GIVEN, **options, "period": "day"}
    table = cx.funnel_trend(rows, by="device", **given)
    later = events(4, 60).assign(occurred_at=lambda data: data["occurred_at"] + timedelta(days=9))
    both = pd.concat([rows.sample(frac=1, random_state=1), later])
    pd.testing.assert_frame_equal(cx.funnel_trend(both, by="device", **given), table)
    every = cx.funnel_trend(rows, **given)
    summed = table.groupby(["period", "step"], as_index=False)["n"].sum(min_count=1)
    pd.testing.assert_frame_equal(summed, every[["period", "step", "n"]], check_dtype=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"period": "fortnight"}, "period='fortnight' is not one of"),
        ({"week_start": "mon"}, "week_start='mon' is not one of"),
        ({"attribution": 9}, "attribution=9"),
        ({"alpha": 0}, "alpha=0 is out of range"),
        ({"by": "period"}, "also a column of the answer"),
    ],
)
def test_bad_arguments(change: dict, message: str) -> None:
    rows = events_of({"u": [[0, "A"], [1, "B"]]}).assign(period="x")
    given = {"steps": ["A", "B"], "window": "1 day", "as_of": LATER, **change}
    with pytest.raises(cx.ParameterError, match=message):
        cx.funnel_trend(rows, **given)
