"""Groups compared, users who dropped, the busiest users: against the oracle, scipy and by hand."""

from __future__ import annotations

from datetime import timedelta

import ibis
import numpy as np
import pandas as pd
import pytest
from funnel_oracle import Event, attempts
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from test_funnel import LATER, START, events_of
from test_funnel_modes import END, MODES, SLOT, by_hand, random_users, rule_of

import cxlib as cx

# Comparisons ----------------------------------------------------------------------------------


def groups(counts: dict[str, list[int]]) -> pd.DataFrame:
    """A funnel of steps A, B, C, … with so many users at each."""
    rows = [
        (name, step, "ABCD"[step - 1], n, None if step == 1 else own[step - 2] - n)
        for name, own in counts.items()
        for step, n in enumerate(own, start=1)
    ]
    return pd.DataFrame(rows, columns=["device", "step", "event", "n", "n_dropped"])


def test_differences_are_score_intervals_and_p_values_are_holms() -> None:
    """scipy's chi-square without correction, statsmodels' Holm, and the test inverted by hand."""
    table = groups({"app": [200, 80, 12], "web": [400, 120, 40], "tv": [50, 30, 9]})
    found = cx.funnel_difference(table, baseline="web")
    assert found[["device", "step"]].values.tolist() == [
        ["app", 2],
        ["app", 3],
        ["tv", 2],
        ["tv", 3],
    ]
    pairs = [(80, 200, 120, 400), (12, 200, 40, 400), (30, 50, 120, 400), (9, 50, 40, 400)]
    p_values = [
        stats.chi2_contingency([[x, n - x], [x0, n0 - x0]], correction=False).pvalue
        for x, n, x0, n0 in pairs
    ]
    assert found["p_value"].tolist() == pytest.approx(p_values)
    assert found["p_adjusted"].tolist() == pytest.approx(multipletests(p_values, method="holm")[1])
    for row, (x, n, x0, n0) in zip(found.to_dict("records"), pairs, strict=True):
        assert (row["n_reached"], row["n"], row["n_reached_baseline"], row["n_baseline"]) == (
            x,
            n,
            x0,
            n0,
        )
        assert row["difference"] == pytest.approx(x / n - x0 / n0)
        assert row["ratio"] == pytest.approx(x / n * n0 / x0)
        assert (row["ci_low"] > 0 or row["ci_high"] < 0) == (row["p_value"] < 0.05)
        assert (row["ratio_low"] > 1 or row["ratio_high"] < 1) == (row["p_value"] < 0.05)
        assert row["ci_low"] < row["difference"] < row["ci_high"]


def test_rates_of_the_step_before_pass_over_optional_steps() -> None:
    table = groups({"app": [200, 80, 12], "web": [400, 120, 40]})
    found = cx.funnel_difference(table, of="app", baseline="web", rate="step_rate")
    assert found[["n", "n_baseline"]].values.tolist() == [[200, 400], [80, 120]]
    table.loc[table["step"] == 2, "n_dropped"] = None
    found = cx.funnel_difference(table, of=["app"], baseline="web", rate="step_rate")
    assert found[["n", "n_baseline"]].values.tolist() == [[200, 400], [200, 400]]


def test_steps_that_nobody_took_and_groups_without_users() -> None:
    table = groups({"app": [20, 8, 0], "web": [30, 0, 0], "new": [0, 0, 0]})
    found = cx.funnel_difference(table, baseline="web").set_index(["device", "step"])
    assert found.loc[("app", 2), "ratio"] == np.inf
    assert found.loc[("app", 2), "ratio_high"] == np.inf
    assert found.loc[("app", 3), "p_value"] == 1
    assert np.isnan(found.loc[("app", 3), "ratio"])
    empty = found.loc[
        "new", ["rate", "difference", "ci_low", "ratio_high", "p_value", "p_adjusted"]
    ]
    assert empty.isna().all(axis=None)


def test_two_periods_of_a_trend_and_groups_added_up() -> None:
    rows = random_users(1, 400).drop(columns="slot")
    given = {"steps": ["A", "B"], "window": "4 hours", "as_of": "2024-01-03", "period": "day"}
    table = cx.funnel_trend(rows, by="device", **given)
    every = cx.funnel_trend(rows, **given)
    found = cx.funnel_difference(table, of="2024-01-02", baseline="2024-01-01", column="period")
    alone = cx.funnel_difference(every, of="2024-01-02", baseline="2024-01-01")
    pd.testing.assert_frame_equal(found, alone)
    day = every.set_index(["period", "step"])["n"]
    assert alone["n"][0] == day["2024-01-02", 1]
    assert alone["n_reached_baseline"][0] == day["2024-01-01", 2]
    with pytest.raises(cx.DataError, match="period 2024-01-03 is not complete"):
        cx.funnel_difference(every, of="2024-01-03", baseline="2024-01-01")
    assert len(cx.funnel_difference(every, baseline="2024-01-01")) == 1, "complete periods only"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"baseline": "wbe"}, cx.ParameterError, "baseline='wbe' is no device; there are app, web"),
        ({"of": "tv"}, cx.ParameterError, "of='tv' is no device"),
        ({"of": "web"}, cx.ParameterError, "are the same"),
        ({"column": "country"}, cx.ColumnError, "no column 'country'"),
        ({"rate": "rates"}, cx.ParameterError, "Did you mean 'rate'"),
        ({"column": "step"}, cx.ParameterError, "it has no groups; give by="),
    ],
)
def test_comparisons_that_cannot_be_made(change: dict, error: type, message: str) -> None:
    table = groups({"app": [20, 8], "web": [30, 9]})
    with pytest.raises(error, match=message):
        cx.funnel_difference(table, **{"baseline": "web", **change})


def test_one_group_alone_has_nothing_to_be_compared_with() -> None:
    two = groups({"app": [20, 8], "web": [30, 9]})
    found = cx.funnel_difference(two[:2], baseline="app")
    assert found.empty
    assert list(found.columns) == list(cx.funnel_difference(two, baseline="app").columns)
    assert cx.plot.funnel_difference(found).figure.reading == (
        "There is nothing to compare: there is no other device."
    )


# Who dropped ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mode", ["ordered", "optional", "strict", "any order", "exclusion, user", "first entry"]
)
def test_who_dropped_are_those_whom_the_oracle_stops_there(mode: str) -> None:
    ask = MODES[mode]
    rows = random_users(8, 600, "ABC" if "strict" in mode else "ABCX")
    users, rule = by_hand(rows, ask).set_index("user_id"), rule_of(ask)
    dropped = cx.funnel_dropped(
        rows.drop(columns="slot"), steps=rule.steps, window=rule.window, as_of=rule.as_of, step=3,
        order=rule.order, reentry=rule.reentry, exclude=rule.exclude, exclude_scope=rule.exclude_scope,
    )  # fmt: skip
    assert isinstance(dropped, ibis.Table), "nothing is pulled into Python"
    table = dropped.execute().set_index("user_id").sort_index()
    lowest = 1 if mode == "optional" else 2
    expected = users[users["depth"].between(lowest, 2)].sort_index()
    assert table.index.tolist() == expected.index.tolist()
    assert table["last_step"].tolist() == expected["depth"].tolist()
    last = [row[f"at_{int(row['depth'])}"] for row in expected.to_dict("records")]
    assert ((table["last_at"] - START) / SLOT).tolist() == last
    assert ((table["entered_at"] - START) / SLOT).tolist() == expected["at_1"].tolist()
    names = [None if mode == "any order" else f"step {k - 1}" for k in expected["depth"]]
    assert table["last_event"].replace({np.nan: None}).tolist() == names


def test_who_dropped_are_as_many_as_the_funnel_says_with_their_group() -> None:
    rows = random_users(9, 300).drop(columns="slot")
    given = {"steps": ["A", "B", "C"], "window": "16 hours", "as_of": "2024-01-02", "by": "device"}
    for hold in (None, "device"):
        steps = cx.funnel(rows, hold=hold, **given)
        users = cx.funnel_dropped(rows, step=2, hold=hold, **given)
        names = ["user_id", *(["held"] if hold else []), "device"]
        assert users.columns == (*names, "entered_at", "last_step", "last_event", "last_at")
        found = users.execute()["device"].value_counts().to_dict()
        expected = steps[steps["step"] == 2].set_index("device")["n_dropped"]
        assert found == {name: n for name, n in expected.items() if n}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step": 1}, "step=1 is not a step from 2 to 2"),
        ({"step": "cart"}, "step='cart' is not a step"),
        (
            {"steps": ["A", cx.Step("B", optional=True)]},
            "'B' is optional, so nobody drops out there",
        ),
        ({"by": "last_at"}, "also a column of the answer"),
    ],
)
def test_steps_that_cannot_be_dropped_before(change: dict, message: str) -> None:
    rows = events_of({"u": [[0, "A"], [1, "B"]]}).assign(last_at=1)
    given = {"steps": ["A", "B"], "window": "1 day", "as_of": LATER, "step": 2, **change}
    with pytest.raises(cx.ParameterError, match=message):
        cx.funnel_dropped(rows, **given)


# Totals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mode", ["ordered", "repeated steps", "optional", "first entry", "strict", "exclusion"]
)
def test_totals_are_the_moments_at_which_attempts_of_the_oracle_take_the_step(mode: str) -> None:
    ask = MODES[mode]
    rows = random_users(11, 500, "ABC" if "strict" in mode else "ABCX")
    moments: dict[int, set] = {k: set() for k in range(1, len(ask.steps) + 1)}
    for user, own in rows.groupby("user_id"):
        columns = (own[name].tolist() for name in ("slot", "event", "device"))
        events = [Event(*event) for event in zip(*columns, strict=True) if event[0] < END]
        entries = [event.at for event in events if ask.steps[0].takes(event)]
        for taken in attempts(events, ask, ask.exclude):
            entry = taken[0][1].at
            is_first = ask.reentry != "first" or entry == min(entries)
            if entry + ask.window < END and is_first:
                moments[taken[-1][0]].add((user, taken[-1][1].at))
    rule = rule_of(ask)
    table = cx.funnel_totals(
        rows.drop(columns="slot"), steps=rule.steps, window=rule.window, as_of=rule.as_of,
        order=rule.order, reentry=rule.reentry, exclude=rule.exclude,
    )  # fmt: skip
    assert table["n_total"].tolist() == [len(found) for found in moments.values()]
    users = [len({user for user, _ in found}) for found in moments.values()]
    assert table["n"].tolist() == users
    assert table["total_per_user"].tolist() == [
        len(found) / n for found, n in zip(moments.values(), users, strict=True)
    ]


def test_totals_of_mixpanels_case_are_counted_otherwise_and_we_say_so() -> None:
    """F57: Mixpanel's second A ends the first attempt and enters none, so it has 2 entries."""
    events = events_of({"u": [[1, "A"], [2, "A"], [3, "A"], [4, "B"]]})
    given = {"steps": ["A", "B"], "window": "100 minutes", "as_of": LATER}
    table = cx.funnel_totals(events, exclude=["A"], **given)
    assert table[["n", "n_total"]].values.tolist() == [[1, 3], [1, 1]]
    for wrong in ({"order": "any"}, {"exclude": ["A"], "exclude_scope": "user"}):
        with pytest.raises(cx.ParameterError, match="totals know no "):
            cx.funnel_totals(events, **given, **wrong)
    nobody = cx.funnel_totals(events_of({"u": [[1, "B"], [2, "A"]]}), **given)
    assert nobody["n_total"].tolist() == [1, 0]
    assert np.isnan(nobody["total_per_user"][1])


# The busiest users ----------------------------------------------------------------------------


def busy_shop() -> pd.DataFrame:
    users = {f"u{k:02}": [[k, "A"], *([[k + 1, "B"]] if k % 2 else [])] for k in range(20)}
    users["bot"] = [[1440 * (k % 3) + k, "A"] for k in range(50)]
    users["kiosk"] = [[k, name] for k in range(15) for name in "AB"]
    users[""] = [[0, "A"]] * 10
    return events_of(users)


def test_the_busiest_users_and_the_rate_without_them() -> None:
    rows = busy_shop()
    given = {"steps": ["A", "B"], "window": "1 hour", "as_of": LATER}
    table = cx.busiest_users(rows, top=3, **given)
    assert table["user_id"].tolist() == ["bot", "kiosk", "u01"]
    assert table["n_events"].tolist() == [50, 30, 2]
    assert table["n_days"].tolist() == [3, 1, 1]
    assert table["events_share"].tolist() == [50 / 110, 30 / 110, 2 / 110]
    assert (table["n_users"][0], table["n_without_user"][0]) == (22, 10)
    assert table["without_user_share"].tolist() == [10 / 120] * 3
    assert table["rate"].tolist() == [11 / 22] * 3
    for left in range(1, 4):
        kept = rows[~rows["user_id"].isin(table["user_id"][:left])]
        alone = cx.funnel(kept, **given).iloc[-1]
        found = table.loc[left - 1, ["rate_without", "ci_low", "ci_high"]].tolist()
        assert found == alone[["rate", "ci_low", "ci_high"]].tolist()
    low, high = proportion_confint(11, 21, method="wilson")
    assert table.loc[0, ["n", "ci_low", "ci_high"]].tolist() == pytest.approx([21, low, high])


def test_without_a_funnel_there_is_no_rate_and_events_after_as_of_do_not_count() -> None:
    rows = busy_shop()
    later = rows.assign(occurred_at=rows["occurred_at"] + timedelta(days=90), user_id="bot")
    table = cx.busiest_users(pd.concat([later, rows]), as_of="2024-01-31")
    pd.testing.assert_frame_equal(table, cx.busiest_users(rows, as_of="2024-01-31"))
    assert table.columns.tolist() == [
        "user_id", "n_events", "n_days", "events_share", "n_users", "n_without_user", "without_user_share",
    ]  # fmt: skip
    assert len(table) == 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": ["A", "B"]}, "a funnel needs steps= and window="),
        ({"window": "1 day"}, "a funnel needs steps= and window="),
        ({"order": "any"}, "a funnel needs steps= and window="),
        ({"top": 0}, "top=0 is not a whole number from 1"),
    ],
)
def test_half_a_funnel_is_refused(change: dict, message: str) -> None:
    with pytest.raises(cx.ParameterError, match=message):
        cx.busiest_users(busy_shop(), as_of=LATER, **change)


def test_one_user_with_200_000_events_gets_the_right_answer_from_every_question() -> None:
    """Counted by a loop over the bot's own pattern: A, B, X, C every four minutes, C two after B."""
    minutes = np.arange(200_000)
    bot = pd.DataFrame({"user_id": "bot", "event": np.array(list("ABXC"))[minutes % 4]})
    bot["occurred_at"] = START + pd.to_timedelta(minutes, unit="min")
    rows = pd.concat([bot, events_of({"ann": [[0, "A"], [1, "B"]]})])
    given = {"steps": ["A", "B", "C"], "window": "1 hour", "as_of": LATER}
    assert cx.funnel(rows, **given)["n"].tolist() == [2, 2, 1]
    assert cx.time_to_convert(rows, **given)["seconds"].tolist() == [180, 3600]
    trend = cx.funnel_trend(rows, period="month", **given)
    assert trend[trend["step"] == 3]["n"].tolist() == [1] * 5 + [0] * 6 + [pd.NA], (
        "139 days from January"
    )
    assert cx.funnel_dropped(rows, step=3, **given).execute()["user_id"].tolist() == ["ann"]
    assert cx.busiest_users(rows, **given)["rate_without"].tolist()[:1] == [0]
