"""The time-to-convert curve: against statsmodels on rows that the oracle gives, and by hand."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from funnel_oracle import Event, Question, attempts, served
from scipy import stats
from statsmodels.duration.survfunc import SurvfuncRight
from test_funnel import LATER, events_of
from test_funnel_modes import END, MODES, random_users, rule_of

import cxlib as cx

MANY = timedelta(hours=4)


def reached(events: list[Event], ask: Question, step: int) -> int | None:
    """When a user first reached a step by any attempt that keeps the rule."""
    events = [event for event in events if event.at < END]
    if ask.order == "any":
        inside = [e for e in events if e.at >= ask.start and any(s.takes(e) for s in ask.steps)]
        entries = sorted({event.at for event in inside})
        pairs = [
            (entry, at)
            for entry in (entries[:1] if ask.reentry == "first" else entries)
            for at in entries
            if entry <= at <= entry + ask.window
            and not any(x.takes(e) and entry < e.at < at for x in ask.exclude for e in events)
            and served(inside, entry, at, ask) >= step
        ]
        return min((at for _, at in pairs), default=None)
    entries = [e.at for e in events if ask.steps[0].takes(e) and e.at >= ask.start]
    ends = [
        taken[-1][1].at
        for taken in attempts(events, ask, ask.exclude)
        if taken[-1][0] == step and (ask.reentry != "first" or taken[0][1].at == min(entries))
    ]
    return min(ends, default=None)


def followed(rows: pd.DataFrame, ask: Question, ends: tuple[int, int]) -> pd.DataFrame:
    """Slots that each user was followed, and whether the later step came then."""
    found = []
    for user, own in rows.groupby("user_id"):
        columns = (own[name].tolist() for name in ("slot", "event", "device"))
        events = [Event(*event) for event in zip(*columns, strict=True)]
        since, until = (reached(events, ask, step) for step in ends)
        if since is not None:
            watched = END - since
            came = until is not None and until - since <= ask.window
            slots = until - since if came else min(ask.window, watched - 1)
            found.append((user, slots, came, watched <= ask.window))
    return pd.DataFrame(found, columns=["user_id", "slots", "came", "is_open"])


def asked(rows: pd.DataFrame, ask: Question, ends: tuple[int, int], **more: object) -> pd.DataFrame:
    rule = rule_of(ask)
    return cx.time_to_convert(
        rows.drop(columns="slot"),
        steps=rule.steps,
        window=rule.window,
        as_of=rule.as_of,
        from_step=ends[0],
        to_step=ends[1],
        every=MANY,
        start=rule.start,
        order=rule.order,
        reentry=rule.reentry,
        ties=rule.ties,
        exclude=rule.exclude,
        **more,
    )


@pytest.mark.parametrize(
    ("mode", "ends"),
    [
        ("ordered", (1, 3)),
        ("ordered", (2, 3)),
        ("repeated steps", (1, 4)),
        ("window of each step", (1, 2)),
        ("start", (1, 3)),
        ("optional", (1, 3)),
        ("last optional", (2, 3)),
        ("first entry", (1, 3)),
        ("ties refused", (2, 3)),
        ("strict", (1, 2)),
        ("any order", (1, 3)),
        ("any order, first entry", (2, 3)),
        ("any order, exclusion", (1, 2)),
        ("exclusion", (1, 3)),
    ],
)
def test_the_curve_is_that_of_statsmodels_on_each_users_first_times(
    mode: str, ends: tuple[int, int]
) -> None:
    ask = MODES[mode]
    rows = random_users(3, 700, names="ABC" if "strict" in mode else "ABCX")
    table = asked(rows, ask, ends)
    users = followed(rows, ask, ends)
    curve = SurvfuncRight(users["slots"], users["came"].astype(int))
    events = table[table["n_converted"] > 0]
    assert (events["seconds"] / MANY.total_seconds()).tolist() == curve.surv_times.tolist()
    assert events["n_at_risk"].tolist() == curve.n_risk.tolist()
    assert events["n_converted"].tolist() == curve.n_events.tolist()
    np.testing.assert_allclose(1 - events["conversion_rate"], curve.surv_prob)
    # log(-log) interval from Greenwood's error of the rows, by the delta method
    alive, error = curve.surv_prob, curve.surv_prob_se
    half = stats.norm.isf(0.025) * error / (alive * -np.log(alive))
    np.testing.assert_allclose(1 - events["ci_high"], alive ** np.exp(half))
    np.testing.assert_allclose(1 - events["ci_low"], alive ** np.exp(-half))
    assert table["n"].eq(len(users)).all()
    assert table["n_open"].eq(users["is_open"].sum()).all()
    assert table["seconds"].iloc[-1] == users["slots"].max() * MANY.total_seconds()


def test_without_open_windows_the_curve_ends_at_the_rate_of_the_funnel_of_first_entries() -> None:
    rows = random_users(4, 1500).drop(columns="slot")
    given = {"steps": ["A", "B", "C"], "window": "12 hours", "as_of": LATER}
    curve = cx.time_to_convert(rows, **given)
    steps = cx.funnel(rows, reentry="first", **given)
    last = curve.iloc[-1]
    assert last["seconds"] == 12 * 3600
    assert (curve["n"][0], curve["n_open"][0]) == (steps["n"][0], 0)
    assert curve["n_converted"].sum() == steps["n"][2]
    assert last["conversion_rate"] == pytest.approx(steps["rate"][2])
    assert last["n_at_risk"] == steps["n"][0] - steps["n"][2] + (
        0 if last["n_converted"] == 0 else last["n_converted"]
    )


def test_leukemia_maintained_group_as_published() -> None:
    # Embury et al. 1977, 11 patients, in R: survfit(Surv(time, status) ~ 1, aml[aml$x ==
    # "Maintained", ], conf.type = "log-log"); weeks are taken as hours here.
    times = [9, 13, 13, 18, 23, 28, 31, 34, 45, 48, 161]
    relapsed = [1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 0]
    end = 31 * 24 * 60
    users = {}
    for who, (time, came) in enumerate(zip(times, relapsed, strict=True)):
        first = end - time * 60 - 1 if not came else 0
        users[str(who)] = [[first, "A"], *([[first + time * 60, "B"]] if came else [])]
    table = cx.time_to_convert(
        events_of(users), steps=["A", "B"], window="20 days", as_of="2024-01-31", every="1 hour"
    )
    table = table[table["n_converted"] > 0]
    found = dict(zip(table["seconds"] / 3600, (1 - table["conversion_rate"]).round(3), strict=True))
    assert found == {9: 0.909, 13: 0.818, 18: 0.716, 23: 0.614, 31: 0.491, 34: 0.368, 48: 0.184}
    assert table["n_at_risk"].tolist() == [11, 10, 8, 7, 5, 4, 2]


def test_who_converts_by_a_later_entry_shows_where_users_are_followed_for_longer() -> None:
    day = 1440
    users = {"u": [[0, "A"], [3 * day, "A"], [3 * day + 60, "B"]], "v": [[0, "A"]]}
    given = {"steps": ["A", "B"], "window": "1 day", "as_of": "2024-01-31", "every": "1 hour"}
    for reentry, hours, rates in ((True, [73, 168], [0.5, 0.5]), ("first", [168], [0])):
        table = cx.time_to_convert(events_of(users), until="7 days", reentry=reentry, **given)
        assert (table["seconds"] / 3600).tolist() == hours
        assert table["conversion_rate"].tolist() == rates
    assert cx.time_to_convert(events_of(users), **given)["conversion_rate"].tolist() == [0]


def test_each_group_is_its_users_alone() -> None:
    rows = random_users(6, 400).drop(columns="slot")
    rows["device"] = np.where(rows["user_id"].str[-1].isin(list("02468")), "web", "app")
    given = {"steps": ["A", "B"], "window": "16 hours", "as_of": "2024-01-02"}
    table = cx.time_to_convert(rows, by="device", **given)
    assert table.columns[0] == "device"
    for name, part in table.groupby("device"):
        alone = cx.time_to_convert(rows[rows["device"] == name], **given)
        pd.testing.assert_frame_equal(part.drop(columns="device").reset_index(drop=True), alone)


def test_row_order_and_later_events_change_nothing() -> None:
    rows = random_users(7, 300).drop(columns="slot")
    given = {"steps": ["A", "B", "C"], "window": "16 hours", "as_of": "2024-01-02"}
    table = cx.time_to_convert(rows, **given)
    later = rows.assign(occurred_at=rows["occurred_at"] + timedelta(days=9))
    both = pd.concat([rows, later]).sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(cx.time_to_convert(both, **given), table)


def test_the_edges_of_window_clock_and_observation() -> None:
    day = 1440
    users = {
        "at once": [[0, "A"], [0, "B"]],
        "at the end of the window": [[0, "A"], [60, "B"]],
        "too late": [[0, "A"], [61, "B"]],
        "over": [[day - 61, "A"]],  # an hour and a minute are left
        "open": [[day - 60, "A"]],  # an event at midnight would be of the next day
        "open, converted": [[day - 2, "A"], [day - 1, "B"]],
    }
    given = {"steps": ["A", "B"], "window": "1 hour", "as_of": "2024-01-01", "every": "1 minute"}
    table = cx.time_to_convert(events_of(users), **given)
    assert table["seconds"].tolist() == [0, 60, 3600]
    assert table["n_at_risk"].tolist() == [6, 5, 3], "'open' was watched for 59 whole minutes"
    assert table["n_converted"].tolist() == [1, 1, 1]
    assert (table["n"][0], table["n_open"][0]) == (6, 2)
    assert table["conversion_rate"].tolist() == pytest.approx([1 / 6, 1 / 3, 1 - 2 / 3 * 2 / 3])


def test_nobody_converts_and_everybody_does() -> None:
    nobody = events_of({"u": [[0, "A"]], "v": [[5, "B"]]})
    table = cx.time_to_convert(nobody, steps=["A", "B"], window="1 day", as_of=LATER)
    assert table[["seconds", "n_at_risk", "n_converted"]].values.tolist() == [[86400, 1, 0]]
    assert table["conversion_rate"].tolist() == [0]
    assert math.isnan(table["ci_low"][0])
    every = events_of({"u": [[0, "A"], [3, "B"]]})
    table = cx.time_to_convert(every, steps=["A", "B"], window="1 day", as_of=LATER)
    assert table["conversion_rate"].tolist() == [1]
    assert math.isnan(table["ci_high"][0])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"from_step": 0}, cx.ParameterError, "from_step=0 is not a step from 1 to 2"),
        ({"to_step": 3}, cx.ParameterError, "to_step=3 is not a step from 1 to 2"),
        ({"to_step": "cart"}, cx.ParameterError, "to_step='cart' is not a step"),
        ({"from_step": 2}, cx.ParameterError, "from_step=2 is not before to_step=2"),
        (
            {"steps": ["view", cx.Step("view", optional=True), "cart"], "from_step": 2},
            cx.ParameterError,
            "cannot start at an optional step",
        ),
        ({"exclude_scope": "user"}, cx.ParameterError, "for what they do later"),
        ({"every": "0 hours"}, cx.ParameterError, "longer than zero"),
        ({"by": "seconds"}, cx.ParameterError, "also a column of the answer"),
        ({"steps": ["view", "crt"]}, cx.DataError, "the nearest names are 'cart'"),
    ],
)
def test_bad_arguments(change: dict, error: type, message: str) -> None:
    events = events_of({"u": [[0, "view"], [1, "cart"]]}).assign(seconds=1)
    arguments = {"steps": ["view", "cart"], "window": "1 day", "as_of": LATER, **change}
    with pytest.raises(error, match=message):
        cx.time_to_convert(events, **arguments)
