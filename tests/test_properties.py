"""What must hold for any orders and any events, found out with hypothesis."""

from __future__ import annotations

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

import cxlib as cx

START = pd.Timestamp("2024-01-01")
LAST_DAY = "2024-02-20"  # day 50, in the middle of a month and of a week
EXAMPLES = settings(max_examples=5, deadline=None, derandomize=True)

order_rows = st.lists(
    st.tuples(
        st.sampled_from("abcdefghijkl"),
        st.integers(0, 50 * 24),
        st.integers(1, 500),
        st.sampled_from(["GB", "DE", None]),
    ),
    min_size=1,
    max_size=120,
)
event_rows = st.lists(
    st.tuples(
        st.sampled_from("mnopqrstuvwxyz"),
        st.integers(0, 50 * 24),
        st.sampled_from(["A", "B", "C"]),
        st.sampled_from(["web", "app", None]),
    ),
    min_size=1,
    max_size=120,
)
seeds = st.integers(0, 1000)


def orders_of(rows: list[tuple[str, int, int, str | None]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["customer_id", "hour", "net_revenue", "country"])
    frame["country"] = frame["country"].astype("str")
    frame["ordered_at"] = START + pd.to_timedelta(frame.pop("hour"), unit="h")
    return frame.assign(
        order_id=[f"o{place:03}" for place in range(len(frame))],
        net_revenue=frame["net_revenue"].astype(float),
    )


def events_of(rows: list[tuple[str, int, str, str | None]]) -> pd.DataFrame:
    """The rows, and one user who does each step long before, so that every step is known."""
    known = [("known", 0, event, "web") for event in "ABC"]
    frame = pd.DataFrame([*known, *rows], columns=["user_id", "hour", "event", "device"])
    frame["device"] = frame["device"].astype("str")
    frame["occurred_at"] = START + pd.to_timedelta(frame.pop("hour"), unit="h")
    return frame


def funnel(events: pd.DataFrame, **arguments: object) -> pd.DataFrame:
    given = {"steps": ["A", "B", "C"], "window": "3 days", "as_of": LAST_DAY, **arguments}
    return cx.funnel(events, **given)


# Retention ----------------------------------------------------------------------------------


@EXAMPLES
@given(rows=order_rows, seed=seeds)
def test_retention_does_not_depend_on_row_order(rows: list, seed: int) -> None:
    orders = orders_of(rows)
    shuffled = orders.sample(frac=1, random_state=seed)
    pd.testing.assert_frame_equal(
        cx.retention(shuffled, period="week", as_of=LAST_DAY, by="country"),
        cx.retention(orders, period="week", as_of=LAST_DAY, by="country"),
    )


@EXAMPLES
@given(rows=order_rows, later=order_rows)
def test_orders_after_as_of_change_no_retention(rows: list, later: list) -> None:
    orders, after = orders_of(rows), orders_of(later)
    after = after.assign(
        order_id="later " + after["order_id"],
        ordered_at=after["ordered_at"] + pd.Timedelta(days=51),
    )
    pd.testing.assert_frame_equal(
        cx.retention(pd.concat([orders, after]), period="week", as_of=LAST_DAY),
        cx.retention(orders, period="week", as_of=LAST_DAY),
    )


@EXAMPLES
@given(rows=order_rows, period=st.sampled_from(["month", "week", "day"]))
def test_retention_starts_at_one_and_stays_in_its_interval(rows: list, period: str) -> None:
    orders = orders_of(rows)
    table = cx.retention(orders, period=period, as_of=LAST_DAY)
    known = table[table["is_complete"]]
    assert (known.loc[known["age"] == 0, "retention_rate"] == 1).all()
    assert known["retention_rate"].between(known["ci_low"], known["ci_high"]).all()
    assert (known["ci_low"] >= 0).all()
    assert (known["ci_high"] <= 1).all()
    assert table.loc[~table["is_complete"], "n_active"].isna().all()
    assert table.loc[table["age"] == 0, "n"].sum() == orders["customer_id"].nunique()
    spent = orders[orders["ordered_at"] < first_open_day(period)]["net_revenue"].sum()
    assert abs(known["net_revenue"].sum() - spent) < 1e-6


def first_open_day(period: str) -> pd.Timestamp:
    """Return the first day of the period that is not over, or of the one after the last day."""
    return pd.Timestamp({"month": "2024-02-01", "week": "2024-02-19", "day": "2024-02-21"}[period])


@EXAMPLES
@given(rows=order_rows)
def test_retention_of_groups_adds_up_to_all(rows: list) -> None:
    orders = orders_of(rows)
    key, counted = ["cohort", "age"], ["n", "n_active", "net_revenue"]
    groups = cx.retention(orders, period="week", as_of=LAST_DAY, by="country")
    summed = groups[groups["is_complete"]].groupby(key, as_index=False)[counted].sum()
    whole = cx.retention(orders, period="week", as_of=LAST_DAY)
    whole = whole.loc[whole["is_complete"], [*key, *counted]].reset_index(drop=True)
    pd.testing.assert_frame_equal(summed, whole)


# Funnel -------------------------------------------------------------------------------------


@EXAMPLES
@given(rows=event_rows, seed=seeds)
def test_a_funnel_does_not_depend_on_row_order(rows: list, seed: int) -> None:
    events = events_of(rows)
    shuffled = events.sample(frac=1, random_state=seed)
    pd.testing.assert_frame_equal(funnel(shuffled, by="device"), funnel(events, by="device"))


@EXAMPLES
@given(rows=event_rows, later=event_rows)
def test_events_after_as_of_change_no_funnel(rows: list, later: list) -> None:
    events, after = events_of(rows), events_of(later)
    after["occurred_at"] += pd.Timedelta(days=51)
    pd.testing.assert_frame_equal(funnel(pd.concat([events, after])), funnel(events))


@EXAMPLES
@given(rows=event_rows)
def test_a_funnel_narrows_and_each_rate_stays_in_its_interval(rows: list) -> None:
    events = events_of(rows)
    table = funnel(events)
    assert table["n"].is_monotonic_decreasing
    assert table["rate"].between(table["ci_low"], table["ci_high"]).all()
    later = table[1:].dropna(subset=["step_rate"])
    assert later["step_rate"].between(later["step_ci_low"], later["step_ci_high"]).all()
    entered = events.loc[events["event"] == "A", "user_id"].nunique()
    assert table["n"][0] + table["n_open"][0] == entered
    assert table["n_dropped"].sum() == table["n"][0] - table["n"][2]


@EXAMPLES
@given(rows=event_rows)
def test_a_funnel_of_groups_adds_up_to_all(rows: list) -> None:
    events = events_of(rows)
    counted = ["n", "n_open"]
    summed = funnel(events, by="device").groupby("step", as_index=False)[counted].sum()
    pd.testing.assert_frame_equal(summed, funnel(events)[["step", *counted]])


@EXAMPLES
@given(rows=event_rows)
def test_a_longer_window_never_loses_a_user(rows: list) -> None:
    events = events_of(rows)
    short = funnel(events, window="1 day", as_of="2024-12-31")["n"]
    long = funnel(events, window="9 days", as_of="2024-12-31")["n"]
    assert (short <= long).all()


@EXAMPLES
@given(rows=event_rows)
def test_abandonment_is_what_the_funnel_drops(rows: list) -> None:
    events = events_of(rows)
    answer = cx.cart_abandonment(events, cart="A", purchase="B", window="2 days", as_of=LAST_DAY)
    table = funnel(events, steps=["A", "B"], window="2 days")
    assert answer["n_abandoned"][0] == table["n_dropped"][1]
    assert abs(answer["abandonment_rate"][0] + table["step_rate"][1] - 1) < 1e-12
