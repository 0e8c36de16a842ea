"""Funnels against worked cases of the product tools and a brute-force oracle, and bad input."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

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


# The oracle ---------------------------------------------------------------------------------


def attempts(rows: list[tuple[int, str]], steps: list[str], window: int) -> Iterator[list[int]]:
    """Yield the times of every attempt: distinct events of steps 1 to k, in time, in the window."""

    def go_on(times: list[int], used: frozenset[int]) -> Iterator[list[int]]:
        if times:
            yield times
        if len(times) == len(steps):
            return
        for place, (at, event) in enumerate(rows):
            fits = event == steps[len(times)] and place not in used
            if fits and (not times or (times[-1] <= at <= times[0] + window)):
                yield from go_on([*times, at], used | {place})

    yield from go_on([], frozenset())


def oracle(
    rows: list[tuple[int, str]], steps: list[str], window: int, end: int
) -> list[int] | None:
    """Return the step times of the deepest attempt; [] if all are open, None without step one."""
    rows = [(at, event) for at, event in rows if at < end]
    if all(event != steps[0] for _, event in rows):
        return None
    closed = [times for times in attempts(rows, steps, window) if times[0] + window < end]
    deepest = max(map(len, closed), default=0)
    best = [times for times in closed if len(times) == deepest]
    done = min((times[-1] for times in best if times), default=None)
    return max((times for times in best if times[-1] == done), default=[])


def random_events(seed: int, n_users: int) -> tuple[pd.DataFrame, dict[str, list]]:
    draw = np.random.default_rng(seed)
    user = np.repeat(np.arange(n_users), draw.integers(1, 10, n_users)).astype(str)
    hour = draw.integers(0, 12, len(user))
    event = draw.choice(["A", "B", "C", "other"], len(user))
    frame = pd.DataFrame({"user_id": user, "event": event, "who": user})
    frame["occurred_at"] = START + pd.to_timedelta(hour * 4, unit="h")
    rows: dict[str, list] = {}
    for one, at, what in zip(user, hour, event, strict=True):
        rows.setdefault(str(one), []).append((int(at), str(what)))
    return frame, rows


@pytest.mark.parametrize(
    ("steps", "window"),
    [
        (["A", "B", "C"], 4),
        (["A", "B", "A", "C"], 5),
        (["A", "A", "B", "A"], 3),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_5000_random_users_agree_with_the_brute_force_oracle(steps: list[str], window: int) -> None:
    """Depth, step times and open windows of each user; many events share a moment."""
    events, rows = random_events(seed=window, n_users=5000)
    deepest = {
        user: times
        for user, own in rows.items()
        if (times := oracle(own, steps, window, end=12)) is not None
    }

    def seconds(times: list[int], k: int) -> float:
        return (times[k] - times[k - 1]) * 4 * 3600 if 0 < k < len(times) else float("nan")

    # Time slot 11 is the last of the second day; slots are four hours.
    table = cx.funnel(
        events, steps=steps, window=timedelta(hours=4 * window), as_of="2024-01-02", by="who"
    )
    expected = pd.DataFrame(
        [
            (user, k + 1, int(k < len(times)), seconds(times, k), int(not times))
            for user, times in sorted(deepest.items())
            for k in range(len(steps))
        ],
        columns=["who", "step", "n", "median_seconds", "n_open"],
    )
    pd.testing.assert_frame_equal(table[expected.columns], expected)
    assert {len(times) for times in deepest.values()} == set(range(len(steps) + 1))


def test_without_groups_the_same_users_are_counted() -> None:
    events, rows = random_events(seed=9, n_users=1000)
    steps, length = ["A", "B", "C"], timedelta(hours=16)
    table = cx.funnel(events, steps=steps, window=length, as_of="2024-01-02")
    found = [oracle(own, steps, 4, end=12) for own in rows.values()]
    times = [one for one in found if one]
    assert table["n"].tolist() == [sum(len(one) >= k for one in times) for k in (1, 2, 3)]
    assert table["n_open"].tolist() == [sum(one == [] for one in found)] * 3
    for k in (2, 3):
        took = [(one[k - 1] - one[k - 2]) * 4 * 3600 for one in times if len(one) >= k]
        assert table.loc[k - 1, "median_seconds"] == np.median(took)


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
    events = events_of({"u": [[1430, "A"], [1435, "B"]]})
    table = cx.funnel(events, steps=["A", "B"], window="1 day", as_of="2024-01-01")
    assert table["n"].tolist() == [0, 0]
    assert table["n_open"].tolist() == [1, 1]
    assert table[["rate", "ci_low", "ci_high", "step_rate"]].isna().all(axis=None)


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


# Cart abandonment ---------------------------------------------------------------------------


def test_cart_abandonment_counts_users_who_bought_in_no_window() -> None:
    users = {
        "bought": [[0, "add_to_cart"], [30, "purchase"]],
        "second cart": [[0, "add_to_cart"], [5000, "add_to_cart"], [5030, "purchase"]],
        "too late": [[0, "add_to_cart"], [1441, "purchase"]],
        "left": [[0, "add_to_cart"]],
        "no cart": [[0, "purchase"]],
    }
    answer = cx.cart_abandonment(events_of(users), as_of=LATER)
    low, high = proportion_confint(2, 4, method="wilson")
    assert answer.iloc[0].tolist() == pytest.approx([4, 2, 0.5, low, high, 0])
    assert answer.columns.tolist() == [
        "n",
        "n_abandoned",
        "abandonment_rate",
        "ci_low",
        "ci_high",
        "n_open",
    ]


def test_cart_abandonment_by_group_with_names_of_ones_own() -> None:
    events = events_of({"u": [[0, "cart"], [3, "paid"]], "v": [[0, "cart"]]})
    events["device"] = ["web", "web", "app"]
    answer = cx.cart_abandonment(
        events, cart="cart", purchase="paid", window="5 minutes", as_of=LATER, by="device"
    )
    assert answer[["device", "n", "n_abandoned"]].values.tolist() == [["app", 1, 1], ["web", 1, 0]]


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
        "median_seconds": "float64",
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
        ({"window": "-1 days"}, cx.ParameterError, "is not a duration"),
        ({"as_of": "2023-12-31"}, cx.DataError, "as_of=2023-12-31 is before the first"),
        ({"as_of": "2024-13-01"}, cx.ParameterError, "write YYYY-MM-DD"),
        ({"by": "devise"}, cx.ColumnError, "Did you mean 'device'"),
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
