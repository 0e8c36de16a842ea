"""Every kind, period and cohort type against a count in plain Python, customer by customer."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cxlib as cx
from cxlib._calendar import Calendar
from cxlib.retention.periods import check_periods
from cxlib.retention.reduce import members_of, visits_of

GOLDEN = Path(__file__).parent / "golden" / "funnel_retention.json"
CASES = {case["id"]: case for case in json.loads(GOLDEN.read_text(encoding="utf-8"))["retention"]}
AS_OF = dt.date(2024, 5, 15)
END = dt.datetime(2024, 5, 16)
LENGTHS = {"24 hours": dt.timedelta(1), "7 days": dt.timedelta(7), "30 days": dt.timedelta(30)}


def random_orders(seed: int, n: int = 400, days: int = 150, per: int = 5) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    seconds = draw.integers(0, days * 24, n) * 3600  # whole hours: ties and exact edges happen
    return pd.DataFrame(
        {
            "order_id": [f"o{place:06}" for place in range(n)],
            "customer_id": draw.integers(0, n // per, n).astype(str),
            "ordered_at": pd.Timestamp("2023-12-20") + pd.to_timedelta(seconds, unit="s"),
            "net_revenue": draw.integers(1, 10_000, n) / 4,
        }
    )


# The oracle: dates are pandas' own periods, ages are counted by walking --------------------------


def start_of(moment: dt.datetime, unit: str, week_start: int = 0) -> dt.datetime:
    day = dt.datetime(moment.year, moment.month, moment.day)
    if unit == "week":
        return day - dt.timedelta((day.weekday() - week_start) % 7)
    if unit == "day":
        return day
    month = {"month": day.month, "quarter": (day.month - 1) // 3 * 3 + 1, "year": 1}[unit]
    return dt.datetime(day.year, month, 1)


def next_start(start: dt.datetime, unit: str) -> dt.datetime:
    if unit in ("day", "week"):
        return start + dt.timedelta(1 if unit == "day" else 7)
    for _ in range({"month": 1, "quarter": 3, "year": 12}[unit]):
        start = dt.datetime(start.year + start.month // 12, start.month % 12 + 1, 1)
    return start


def oracle(
    orders: pd.DataFrame, period: str, kind: str, cohorts: str, week_start: int = 0
) -> dict[tuple[dt.datetime, int], tuple]:
    """Return (n, n_active, revenue, is_complete) of each cohort and age."""
    exact, unit = LENGTHS.get(period), {"24 hours": "day", "7 days": "week", "30 days": "month"}
    unit_name = unit.get(period, period)
    lives: dict[str, list] = {}
    for row in orders.itertuples():
        at = row.ordered_at.to_pydatetime()
        if at < END:
            lives.setdefault(row.customer_id, []).append((at, row.net_revenue))
    members: dict[dt.datetime, list] = {}
    for life in lives.values():
        life.sort()
        starts: dict[dt.datetime, dt.datetime] = {}
        for at, _ in life:
            starts.setdefault(start_of(at, unit_name, week_start), at)
        for cohort, anchor in list(starts.items())[: 1 if cohorts == "first" else None]:
            members.setdefault(cohort, []).append((anchor, life))
    cells = {}
    for cohort, people in members.items():
        joined_by = next_start(cohort, unit_name)
        opens, closes = cohort, joined_by
        for age in itertools.count():
            if exact:
                opens, closes = cohort + age * exact, joined_by + (age + 1) * exact
            if opens >= END:
                break
            active = revenue = 0
            for anchor, life in people:
                if exact:
                    ages = [(at - anchor) // exact if at >= anchor else -1 for at, _ in life]
                else:
                    ages = [age if opens <= at < closes else age + 1 if at >= closes else -1
                            for at, _ in life]  # fmt: skip
                active += any(a == age or (kind == "on_or_after" and a > age) for a in ages)
                revenue += sum(r for a, (_, r) in zip(ages, life, strict=True) if a == age)
            over = closes <= END
            cells[cohort, age] = (
                len(people), active if over else None, revenue if over else None, over
            )  # fmt: skip
            opens, closes = closes, next_start(closes, unit_name)
    return cells


def as_cells(table: pd.DataFrame) -> dict[tuple[dt.datetime, int], tuple]:
    return {
        (row.cohort.to_pydatetime(), row.age): (
            row.n,
            None if pd.isna(row.n_active) else row.n_active,
            None if pd.isna(row.net_revenue) else row.net_revenue,
            row.is_complete,
        )
        for row in table.itertuples()
    }


@pytest.mark.parametrize("cohorts", ["first", "recurring"])
@pytest.mark.parametrize("kind", ["on", "on_or_after"])
@pytest.mark.parametrize(
    "period", ["month", "week", "day", "quarter", "year", "24 hours", "7 days", "30 days"]
)
def test_equals_the_oracle(period: str, kind: str, cohorts: str) -> None:
    orders = random_orders(seed=1, n=150 if period in ("day", "24 hours") else 400)
    table = cx.retention(orders, period=period, as_of=AS_OF, kind=kind, cohorts=cohorts)
    assert as_cells(table) == oracle(orders, period, kind, cohorts)


@pytest.mark.parametrize(
    ("week_start", "place"), [("sunday", 6), ("saturday", 5), ("thursday", 3), ("friday", 4)]
)
def test_weeks_start_on_the_chosen_day(week_start: str, place: int) -> None:
    orders = random_orders(seed=2)
    table = cx.retention(orders, period="week", as_of=AS_OF, week_start=week_start)
    assert as_cells(table) == oracle(orders, "week", "on", "first", place)
    assert set(table["cohort"].dt.day_name()) == {week_start.capitalize()}


@pytest.mark.parametrize("cohorts", ["first", "recurring"])
@pytest.mark.parametrize("period", ["week", "7 days"])
def test_brackets_equal_the_oracle_of_their_ages(period: str, cohorts: str) -> None:
    orders = random_orders(seed=3)
    brackets = [1, 3, 7, 30]
    table = cx.retention(orders, period=period, as_of=AS_OF, brackets=brackets, cohorts=cohorts)
    assert table["ages"].unique().tolist() == ["0", "1", "2–3", "4–7", "8–30"]
    every = cx.retention(orders, period=period, as_of=AS_OF, cohorts=cohorts)
    at_least = cx.retention(orders, period=period, as_of=AS_OF, cohorts=cohorts, kind="on_or_after")
    revenue = every.set_index(["cohort", "age"])["net_revenue"]
    spans = {0: 0, 1: 1, 2: 3, 4: 7, 8: 30}
    over = every.set_index(["cohort", "age"])["is_complete"]
    most = at_least.set_index(["cohort", "age"])["n_active"]
    singles = every.set_index(["cohort", "age"])["n_active"]
    for row in table.itertuples():
        ages = [(row.cohort, age) for age in range(row.age, spans[row.age] + 1)]
        complete = ages[-1] in over.index and bool(over[ages[-1]])
        assert row.is_complete == complete
        if complete:
            assert row.net_revenue == revenue[ages].sum()
            assert singles[ages].max() <= row.n_active <= min(singles[ages].sum(), most[ages[0]])
        else:
            assert pd.isna(row.n_active)


def test_a_bracket_counts_a_customer_once_worked_by_hand() -> None:
    days = {"ann": [0, 2, 3], "bob": [0, 5], "cat": [0]}
    rows = [
        (who, pd.Timestamp("2024-03-01") + pd.Timedelta(days=d)) for who in days for d in days[who]
    ]
    orders = pd.DataFrame(rows, columns=["customer_id", "ordered_at"]).assign(net_revenue=1.0)
    orders["order_id"] = orders.index.astype(str)
    table = cx.retention(orders, period="day", as_of="2024-03-08", brackets=[1, 3, 7])
    first = table[table["cohort"] == "2024-03-01"]
    assert first["n_active"].tolist() == [3, 0, 1, 1]
    assert first["net_revenue"].tolist() == [3, 0, 2, 1]
    curve = cx.retention_curve(table)
    assert curve["ages"].tolist() == ["0", "1", "2–3", "4–7"]


def test_r01_on_or_after_of_posthog_issue_13748() -> None:
    case = CASES["R01"]
    rows = [
        (name, pd.Timestamp("2024-03-01") + pd.Timedelta(days=day))
        for name, user in case["users"].items()
        for day in user["active"]
    ]
    orders = pd.DataFrame(rows, columns=["customer_id", "ordered_at"]).assign(net_revenue=1.0)
    orders["order_id"] = orders.index.astype(str)
    table = cx.retention(orders, period="day", as_of="2024-03-07", kind="on_or_after")
    assert table["n_active"].tolist() == case["expected"]["on_or_after"]


def test_r05_24_hours_of_posthog_issue_29958() -> None:
    case = CASES["R05"]
    orders = pd.DataFrame(
        {"order_id": ["1", "2"], "customer_id": "ann", "ordered_at": pd.to_datetime(case["events"]),
         "net_revenue": 1.0}
    )  # fmt: skip
    table = cx.retention(orders, period="24 hours", as_of="2025-03-03")
    assert table["n_active"].tolist()[:2] == [1, case["expected"]["rolling24h_day1"]]


# What must hold for any orders ------------------------------------------------------------------


rows_of_orders = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 60 * 24), st.sampled_from(["GB", "DE", None])),
    min_size=1,
    max_size=60,
)  # fmt: skip


def built(rows: list[tuple[str, int, str | None]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["customer_id", "hour", "country"])
    frame["country"] = frame["country"].astype("str")
    frame["ordered_at"] = pd.Timestamp("2024-03-10") + pd.to_timedelta(frame.pop("hour"), unit="h")
    return frame.assign(order_id=[f"o{i:03}" for i in range(len(frame))], net_revenue=1.0)


@settings(max_examples=5, deadline=None, derandomize=True)
@given(
    rows=rows_of_orders,
    period=st.sampled_from(["week", "10 days"]),
    kind=st.sampled_from(["on", "on_or_after"]),
    cohorts=st.sampled_from(["first", "recurring"]),
    seed=st.integers(0, 99),
)
def test_laws(rows: list, period: str, kind: str, cohorts: str, seed: int) -> None:
    orders = built(rows)
    asked = {"period": period, "kind": kind, "cohorts": cohorts, "as_of": "2024-05-01"}
    table = cx.retention(orders, **asked)
    later = built(rows).assign(ordered_at=pd.Timestamp("2024-05-02"))
    later["order_id"] = "later " + later["order_id"]
    shuffled = pd.concat([orders, later]).sample(frac=1, random_state=seed)
    early = orders["ordered_at"] < "2024-05-02"
    pd.testing.assert_frame_equal(
        cx.retention(shuffled, **asked), cx.retention(orders[early], **asked)
    )
    known = table[table["is_complete"]]
    assert (known.loc[known["age"] == 0, "retention_rate"] == 1).all()
    assert known["retention_rate"].between(known["ci_low"], known["ci_high"]).all()
    if kind == "on_or_after":
        falls = known.groupby("cohort")["n_active"].agg(lambda n: n.is_monotonic_decreasing)
        assert falls.all()
    counted = ["n", "n_active", "net_revenue"]
    parts = cx.retention(orders, **asked, by="country")
    parts = parts[parts["is_complete"]].groupby(["cohort", "age"], as_index=False)[counted].sum()
    whole = known[["cohort", "age", *counted]].reset_index(drop=True)
    pd.testing.assert_frame_equal(parts, whole)


# Known first orders -----------------------------------------------------------------------------


def test_old_customers_are_in_no_cohort_and_counted() -> None:
    orders = random_orders(seed=4)
    old = [str(number) for number in range(0, 80, 3)]
    first_orders = pd.DataFrame(
        {"customer_id": [*old, "never seen here"], "first_ordered_at": pd.Timestamp("2023-06-01")}
    )
    table = cx.retention(orders, as_of=AS_OF, first_orders=first_orders)
    assert (
        table["n_old"]
        == orders["customer_id"].isin(old)[lambda s: s].index.map(orders["customer_id"]).nunique()
    ).all()
    alone = cx.retention(orders[~orders["customer_id"].isin(old)], as_of=AS_OF)
    pd.testing.assert_frame_equal(table.drop(columns="n_old"), alone)


def test_a_known_first_order_within_the_rows_moves_the_cohort() -> None:
    orders = pd.DataFrame(
        {"order_id": ["1", "2"], "customer_id": ["ann", "bob"], "net_revenue": 1.0,
         "ordered_at": pd.to_datetime(["2024-03-05", "2024-01-03"])}
    )  # fmt: skip
    known = pd.DataFrame({"customer_id": ["ann"], "first_ordered_at": [dt.date(2024, 2, 10)]})
    table = cx.retention(orders, as_of="2024-03-31", first_orders=known)
    february = table[table["cohort"] == "2024-02-01"]
    assert february[["n", "n_active"]].values.tolist() == [[1, 0], [1, 1]]


def test_burn_in_takes_the_first_days_as_old() -> None:
    orders = random_orders(seed=5)
    first = orders.groupby("customer_id")["ordered_at"].min()
    edge = orders["ordered_at"].min() + pd.Timedelta(days=20)
    table = cx.retention(orders, as_of=AS_OF, burn_in_days=20)
    alone = cx.retention(orders[orders["customer_id"].map(first) >= edge], as_of=AS_OF)
    pd.testing.assert_frame_equal(table.drop(columns="n_old"), alone)
    assert table["n_old"].iloc[0] == (first < edge).sum()


def test_old_customers_are_counted_in_their_group() -> None:
    orders = random_orders(seed=6)
    orders["country"] = np.where(orders["customer_id"].astype(int) % 2, "GB", "DE")
    table = cx.retention(orders, as_of=AS_OF, burn_in_days=20, by="country")
    for name, part in table.groupby("country"):
        alone = cx.retention(orders[orders["country"] == name], as_of=AS_OF)
        assert part["n_old"].iloc[0] + part.loc[part["age"] == 0, "n"].sum() == (
            alone.loc[alone["age"] == 0, "n"].sum()
        )


# Two cohorts ------------------------------------------------------------------------------------


def test_the_difference_of_two_cohorts_is_that_of_statsmodels() -> None:
    from statsmodels.stats.multitest import multipletests
    from statsmodels.stats.proportion import confint_proportions_2indep, proportions_chisquare

    table = cx.retention(random_orders(seed=7, n=900, per=3), as_of=AS_OF)
    pair = cx.retention_difference(table, of="2024-02-01", baseline=pd.Timestamp("2024-01-01"))
    assert pair["age"].tolist() == [1, 2]
    for row in pair.itertuples():
        counts = (row.n_active, row.n, row.n_active_baseline, row.n_baseline)
        low, high = confint_proportions_2indep(*counts, method="score", correction=False)
        # statsmodels' own search stops a little early: ARCHITECTURE.md, tests/test_intervals.py
        assert (row.ci_low, row.ci_high) == pytest.approx((low, high), abs=2e-3)
        assert (row.p_value < 0.05) == (not row.ci_low < 0 < row.ci_high)
        chance = proportions_chisquare(counts[::2], counts[1::2])[1]
        assert row.p_value == pytest.approx(chance)
        assert row.difference == pytest.approx(row.retention_rate - row.retention_rate_baseline)
    assert pair["p_adjusted"].tolist() == pytest.approx(
        multipletests(pair["p_value"], method="holm")[1].tolist()
    )


def test_two_groups_are_added_up_over_their_cohorts() -> None:
    orders = random_orders(seed=8, n=900, per=3)
    orders["country"] = np.where(orders["customer_id"].astype(int) % 2, "GB", "DE")
    table = cx.retention(orders, as_of=AS_OF, by="country")
    curve = cx.retention_curve(table)
    pair = cx.retention_difference(table, of="GB", baseline="DE", column="country")
    british = curve[(curve["country"] == "GB") & (curve["age"] > 0)]
    assert pair["n_active"].tolist() == british["n_active"].tolist()
    assert pair["retention_rate"].tolist() == british["retention_rate"].tolist()


# Bad input, and other engines -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"kind": "unbounded"},
            cx.ParameterError,
            "kind='unbounded' is not one of on, on_or_after",
        ),
        ({"cohorts": "all"}, cx.ParameterError, "cohorts='all' is not one of first, recurring"),
        ({"period": "30 dayz"}, cx.ParameterError, "is not a duration"),
        ({"period": "5 minutes"}, cx.ParameterError, "shorter than an hour"),
        ({"period": "mnth"}, cx.ParameterError, "Did you mean 'month'"),
        ({"week_start": "mon"}, cx.ParameterError, "week_start='mon'"),
        ({"cohort_by": "week"}, cx.ParameterError, "goes with an exact period"),
        ({"cohort_by": "hour", "period": "30 days"}, cx.ParameterError, "cohort_by='hour'"),
        ({"brackets": [3, 1]}, cx.ParameterError, "must be whole numbers that rise"),
        ({"brackets": []}, cx.ParameterError, "must be whole numbers"),
        ({"brackets": "1,3"}, cx.ParameterError, "must be whole numbers"),
        ({"brackets": [0, 1]}, cx.ParameterError, "must be whole numbers"),
        ({"brackets": [1.5]}, cx.ParameterError, "must be whole numbers"),
        ({"brackets": [1], "kind": "on_or_after"}, cx.ParameterError, "brackets go with kind='on'"),
        ({"burn_in_days": 0}, cx.ParameterError, "burn_in_days=0 is out of range"),
        ({"burn_in_days": 9999}, cx.DataError, "all customers are old"),
        ({"burn_in_days": 9, "cohorts": "recurring"}, cx.ParameterError, "hold old customers"),
    ],
)
def test_bad_arguments(change: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        cx.retention(random_orders(seed=9, n=30), **{"as_of": AS_OF, **change})


def test_bad_first_orders() -> None:
    orders = random_orders(seed=9, n=30)
    good = pd.DataFrame({"customer_id": ["1"], "first_ordered_at": [pd.Timestamp("2023-01-01")]})
    for bad, error, message in (
        (good.rename(columns={"customer_id": "who"}), cx.ColumnError, "first_orders: no column"),
        (good.astype({"first_ordered_at": str}), cx.ColumnError, "must be a date or a time stamp"),
        (good.assign(first_ordered_at=good["first_ordered_at"].dt.tz_localize("UTC")), cx.ColumnError, "without a zone"),
        (good.assign(first_ordered_at=pd.NaT), cx.DataError, "empty values in 1 rows"),
    ):  # fmt: skip
        with pytest.raises(error, match=message):
            cx.retention(orders, as_of=AS_OF, first_orders=bad)
    with pytest.raises(cx.ParameterError, match="both say who is old"):
        cx.retention(orders, as_of=AS_OF, first_orders=good, burn_in_days=3)


def test_bad_pairs() -> None:
    table = cx.retention(random_orders(seed=7), as_of=AS_OF)
    with pytest.raises(
        cx.ParameterError, match="of='2020-01-01' is no cohort; there are 2023-12-01"
    ):
        cx.retention_difference(table, of="2020-01-01", baseline="2024-01-01")
    with pytest.raises(cx.ParameterError, match="are the same"):
        cx.retention_difference(table, of="2024-01-01", baseline="2024-01-01")
    with pytest.raises(cx.DataError, match="no completed age above 0 in common"):
        cx.retention_difference(table, of="2024-05-01", baseline="2024-01-01")


@pytest.mark.parametrize("unit", ["day", "week", "month", "quarter", "year"])
def test_numbers_and_days_of_periods_agree(unit: str) -> None:
    calendar = Calendar(unit, "wednesday")
    days = pd.date_range("1969-11-01", "1971-03-01")
    numbers = ibis.memtable({"day": days}).select(
        n=lambda t: calendar.number(t.day.cast("timestamp"))
    )
    numbers = numbers.execute()["n"].to_numpy()
    assert numbers.tolist() == [calendar.number_of(day.date()) for day in days]
    starts = calendar.start(numbers)
    assert (starts <= days.to_numpy()).all()
    assert (calendar.start(numbers + 1) > days.to_numpy()).all()


@pytest.mark.parametrize("period", ["month", "quarter", "week", "30 days"])
def test_the_reduction_can_be_said_to_spark(period: str) -> None:
    schema = {"order_id": "string", "customer_id": "string", "ordered_at": "timestamp(6)",
              "net_revenue": "float64", "label": "string"}  # fmt: skip
    from cxlib.retention.reduce import activity_of

    rows, periods = ibis.table(schema, name="orders"), check_periods(period, "monday", None)
    visits = visits_of(rows, periods)
    members = members_of(rows, visits, periods, "first", None, None)
    assert "GROUP BY" in ibis.to_sql(
        activity_of(rows, visits, members, periods), dialect="databricks"
    )
