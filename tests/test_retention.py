"""Retention against worked cases, a recomputation in plain pandas, and bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

import cxlib as cx

CASES = {
    case["id"]: case
    for case in json.loads(
        (Path(__file__).parent / "golden" / "funnel_retention.json").read_text(encoding="utf-8")
    )["retention"]
}


def orders_of(rows: list[tuple[str, str, float]], **extra: list) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["customer_id", "ordered_at", "net_revenue"])
    frame["ordered_at"] = pd.to_datetime(frame["ordered_at"], format="ISO8601")
    frame.insert(0, "order_id", [f"o{place:06}" for place in range(len(frame))])
    return frame.assign(**extra)


def random_orders(seed: int, n: int = 1500, days: int = 200) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    seconds = draw.integers(0, days * 86400, n)
    return pd.DataFrame(
        {
            "order_id": [f"o{place:06}" for place in range(n)],
            "customer_id": draw.integers(0, n // 4, n).astype(str),
            "ordered_at": pd.Timestamp("2023-11-13") + pd.to_timedelta(seconds, unit="s"),
            "net_revenue": draw.integers(1, 10_000, n) / 4,
            "country": draw.choice(np.array(["GB", "DE", None], dtype=object), n),
        }
    )


# Worked cases -------------------------------------------------------------------------------


def test_r01_on_retention_of_posthog_issue_13748() -> None:
    case = CASES["R01"]
    start = pd.Timestamp("2024-03-01")
    rows = [
        (name, str(start + pd.Timedelta(days=day)), 1.0)
        for name, user in case["users"].items()
        for day in user["active"]
    ]
    table = cx.retention(orders_of(rows), period="day", as_of="2024-03-07")
    assert table["n_active"].tolist() == case["expected"]["on"]
    assert table["n"].tolist() == [3] * 7
    assert table["is_complete"].all()


def test_r03_immature_cohorts_stay_out_of_the_overall_value_amplitude_n_day_ltv() -> None:
    case = CASES["R03"]
    rows = [
        (f"{day}-{user}", f"2024-03-0{day}", cohort["revenue"] / cohort["users"])
        for day, cohort in enumerate(case["cohorts"], start=1)
        for user in range(cohort["users"])
    ]
    table = cx.retention(orders_of(rows), period="day", as_of="2024-03-03")
    so_far = table.groupby("cohort")["net_revenue"].sum() / table.groupby("cohort")["n"].first()
    assert so_far.tolist() == pytest.approx(case["expected"]["per_cohort"])
    curve = cx.retention_curve(table).set_index("age")
    last = curve.loc[case["config"]["n_days"] - 1]
    assert last["cumulative_net_revenue_per_customer"] == case["expected"]["overall_mature"]
    assert (last["n"], last["n_cohorts"]) == (100, 1)


def test_r05_days_are_calendar_days_posthog_issue_29958() -> None:
    case = CASES["R05"]
    rows = [("ann", stamp, 1.0) for stamp in case["events"]]
    table = cx.retention(orders_of(rows), period="day", as_of="2025-03-02")
    assert table["n_active"].tolist() == [1, case["expected"]["calendar_day1"]]


def test_r07_cells_that_are_not_over_are_null_and_never_zero() -> None:
    rows = [("old", "2025-02-10", 1.0), ("ann", "2025-03-03", 2.0), ("ann", "2025-05-02", 4.0)]
    case = CASES["R07"]
    table = cx.retention(orders_of(rows), period="month", as_of=case["config"]["as_of"])
    march = table[table["cohort"] == "2025-03-01"].set_index("age")
    assert march["is_complete"].to_dict() == {0: True, 1: True, 2: False}
    assert march["n_active"].tolist() == [1, 0, pd.NA]
    assert march["net_revenue"].tolist()[:2] == [2.0, 0.0]
    unknown = march.loc[2, ["n_active", "retention_rate", "ci_low", "ci_high", "net_revenue"]]
    assert unknown.isna().all()
    matrix = table.pivot(index="cohort", columns="age", values="retention_rate")
    assert np.isnan(matrix.loc["2025-03-01", 3])


@pytest.mark.parametrize(
    ("period", "as_of", "complete"),
    [
        ("month", "2024-02-29", [True, True]),  # a leap year's February
        ("month", "2024-02-28", [True, False]),
        ("week", "2024-02-04", [True, True, True, True, True]),  # a Sunday
        ("week", "2024-02-03", [True, True, True, True, False]),
        ("day", "2024-01-02", [True, True]),
    ],
)
def test_the_last_day_of_a_period_completes_it(
    period: str, as_of: str, complete: list[bool]
) -> None:
    table = cx.retention(orders_of([("ann", "2024-01-01", 1.0)]), period=period, as_of=as_of)
    assert table["is_complete"].tolist() == complete


def test_weeks_start_on_monday() -> None:
    rows = [("ann", "2024-01-07T23:59", 1.0), ("bob", "2024-01-08", 1.0)]  # Sunday, Monday
    table = cx.retention(orders_of(rows), period="week", as_of="2024-01-14")
    assert table.loc[table["age"] == 0, "cohort"].dt.strftime("%a %d").tolist() == [
        "Mon 01",
        "Mon 08",
    ]


def test_an_order_in_the_last_second_of_as_of_counts_and_later_ones_do_not() -> None:
    rows = [
        ("ann", "2024-01-01", 1.0),
        ("ann", "2024-01-31T23:59:59", 2.0),
        ("bob", "2024-02-01", 4.0),
    ]
    table = cx.retention(orders_of(rows), as_of="2024-01-31")
    assert table[["n", "n_active", "net_revenue"]].values.tolist() == [[1, 1, 3.0]]


def test_a_period_without_new_customers_has_no_cohort_but_has_ages() -> None:
    rows = [("ann", "2024-01-01", 1.0), ("bob", "2024-03-01", 1.0)]
    table = cx.retention(orders_of(rows), as_of="2024-03-31")
    assert table.groupby("cohort").size().to_dict() == {
        pd.Timestamp("2024-01-01"): 3,
        pd.Timestamp("2024-03-01"): 1,
    }


# Recomputation ------------------------------------------------------------------------------


def recompute(orders: pd.DataFrame, freq: str, as_of: str) -> pd.DataFrame:
    """The same table customer by customer, in plain pandas."""
    last = pd.Timestamp(as_of)
    orders = orders[orders["ordered_at"] < last + pd.Timedelta(days=1)]
    first = orders.groupby("customer_id")["ordered_at"].min().dt.to_period(freq)
    cells = []
    for cohort, members in first.groupby(first):
        theirs = orders[orders["customer_id"].isin(members.index)]
        periods = theirs["ordered_at"].dt.to_period(freq)
        for age, period in enumerate(pd.period_range(cohort, last.to_period(freq), freq=freq)):
            here = theirs[periods == period]
            over = period.end_time.normalize() <= last
            active = here["customer_id"].nunique() if over else np.nan
            revenue = here["net_revenue"].sum() if over else np.nan
            cells.append((cohort.start_time, age, len(members), active, revenue, over))
    names = ["cohort", "age", "n", "n_active", "net_revenue", "is_complete"]
    return pd.DataFrame(cells, columns=names)


@pytest.mark.parametrize(
    ("period", "freq", "as_of"),
    [
        ("month", "M", "2024-05-30"),
        ("month", "M", "2024-04-30"),
        ("week", "W-SUN", "2024-05-15"),
        ("day", "D", "2023-12-20"),
    ],
)
def test_equals_a_recomputation_in_plain_pandas(period: str, freq: str, as_of: str) -> None:
    orders = random_orders(seed=1)
    expected = recompute(orders, freq, as_of)
    table = cx.retention(orders, period=period, as_of=as_of)
    got = table[expected.columns].assign(n_active=table["n_active"].astype(float))
    pd.testing.assert_frame_equal(got, expected, check_dtype=False)
    known = table[table["is_complete"]]
    low, high = proportion_confint(known["n_active"], known["n"], method="wilson")
    np.testing.assert_allclose(known["ci_low"], np.clip(low.astype(float), 0, 1), atol=1e-12)
    np.testing.assert_allclose(known["ci_high"], np.clip(high.astype(float), 0, 1), atol=1e-12)


def test_each_group_equals_its_customers_alone_recomputed() -> None:
    orders = random_orders(seed=2)
    # The customer's group is the value at the first order; pandas' sort by both keys is the oracle.
    first = orders.sort_values(["ordered_at", "order_id"]).drop_duplicates("customer_id")
    group = first.set_index("customer_id")["country"].fillna("(none)")
    table = cx.retention(orders, as_of="2024-05-15", by="country")
    assert table.columns[0] == "country"
    assert sorted(table["country"].unique()) == ["(none)", "DE", "GB"]
    for name, part in table.groupby("country"):
        alone = orders[orders["customer_id"].map(group) == name]
        expected = cx.retention(alone, as_of="2024-05-15")
        got = part.drop(columns="country").reset_index(drop=True)
        pd.testing.assert_frame_equal(got, expected)


def test_a_tie_at_the_first_order_goes_to_the_lowest_order_id() -> None:
    stamps = ["2024-01-01T10:00", "2024-01-01T10:00", "2024-01-02"]
    rows = [("ann", stamp, 1.0) for stamp in stamps]
    orders = orders_of(rows, channel=["web", "app", "shop"])
    for shuffled in (orders, orders[::-1]):
        table = cx.retention(shuffled, as_of="2024-01-31", by="channel")
        assert table["channel"].tolist() == ["web"]


def test_the_curve_is_the_weighted_average_of_mature_cohorts() -> None:
    table = cx.retention(random_orders(seed=3), as_of="2024-05-15")
    curve = cx.retention_curve(table)
    for row in curve.itertuples():
        cells = table[(table["age"] == row.age) & table["is_complete"]]
        weighted = np.average(cells["retention_rate"], weights=cells["n"])
        assert row.retention_rate == pytest.approx(weighted)
        assert row.ci_low < row.retention_rate <= row.ci_high
        assert (row.n, row.n_cohorts) == (cells["n"].sum(), len(cells))
        so_far = table[table["cohort"].isin(cells["cohort"]) & (table["age"] <= row.age)]
        expected = so_far["net_revenue"].sum() / cells["n"].sum()
        assert row.cumulative_net_revenue_per_customer == pytest.approx(expected)
    assert curve["age"].tolist() == list(range(6)), "May is not over, so age 6 has no cohort"


def test_the_curve_has_a_row_per_group_and_age() -> None:
    table = cx.retention(random_orders(seed=3), as_of="2024-05-15", by="country")
    curve = cx.retention_curve(table)
    assert curve.columns[0] == "country"
    assert not curve.duplicated(["country", "age"]).any()
    one = cx.retention_curve(table[table["country"] == "GB"])
    pd.testing.assert_frame_equal(one, curve[curve["country"] == "GB"].reset_index(drop=True))


def test_the_curve_is_empty_while_no_cohort_is_mature() -> None:
    table = cx.retention(orders_of([("ann", "2024-01-02", 1.0)]), as_of="2024-01-15")
    curve = cx.retention_curve(table)
    assert curve.empty
    assert curve.columns[0] == "age"


# Columns and bad input ----------------------------------------------------------------------


def test_columns_and_types() -> None:
    orders = random_orders(seed=4, n=200)
    table = cx.retention(orders, as_of="2024-05-15", by="country")
    kinds = {name: str(kind) for name, kind in table.dtypes.items()}
    assert kinds.pop("cohort").startswith("datetime64")
    assert kinds == {
        "country": "str",
        "age": "int64",
        "n": "int64",
        "n_active": "Int64",
        "retention_rate": "float64",
        "ci_low": "float64",
        "ci_high": "float64",
        "net_revenue": "float64",
        "is_complete": "bool",
    }
    curve = cx.retention_curve(table).dtypes.astype(str)
    assert curve[["age", "n", "n_active", "n_cohorts"]].eq("int64").all()
    assert "label" not in table.columns


def test_a_cleaned_table_and_a_polars_frame_give_the_same() -> None:
    import polars as pl

    orders = random_orders(seed=5, n=300).drop(columns="country")
    expected = cx.retention(orders, as_of="2024-05-15")
    cleaned = cx.clean_orders(orders, timezone="Europe/London")
    pd.testing.assert_frame_equal(cx.retention(cleaned, as_of="2024-05-15"), expected)
    polars = pl.DataFrame({name: orders[name].to_list() for name in orders.columns})
    pd.testing.assert_frame_equal(cx.retention(polars, as_of="2024-05-15"), expected)


def test_a_narrower_confidence_gives_a_narrower_interval() -> None:
    orders = random_orders(seed=6, n=300)
    wide = cx.retention(orders, as_of="2024-05-15")
    narrow = cx.retention(orders, as_of="2024-05-15", alpha=0.5)
    known = wide["is_complete"]
    assert (narrow["ci_high"] < wide["ci_high"])[known & (wide["age"] > 0)].all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"period": "quarterly"}, cx.ParameterError, "period='quarterly' is not one of month"),
        ({"as_of": "2023-01-01"}, cx.DataError, "is before the first 'ordered_at'"),
        ({"as_of": "yesterday"}, cx.ParameterError, "write YYYY-MM-DD"),
        ({"by": "contry"}, cx.ColumnError, "Did you mean 'country'"),
        ({"by": "n"}, cx.ParameterError, "also a column of the answer"),
        ({"alpha": 0}, cx.ParameterError, "alpha=0 is out of range"),
    ],
)
def test_bad_arguments(change: dict, error: type, message: str) -> None:
    orders = random_orders(seed=7, n=20).assign(n=1)
    with pytest.raises(error, match=message):
        cx.retention(orders, **{"as_of": "2024-05-15", **change})


def test_an_empty_table_and_a_missing_column() -> None:
    orders = random_orders(seed=8, n=20)
    with pytest.raises(cx.DataError, match="no rows"):
        cx.retention(orders[:0], as_of="2024-05-15")
    with pytest.raises(cx.ColumnError, match="no column 'net_revenue'"):
        cx.retention(orders.drop(columns="net_revenue"), as_of="2024-05-15")
    with pytest.raises(cx.ColumnError, match="retention table: no columns"):
        cx.retention_curve(orders)


def test_one_customer_only() -> None:
    table = cx.retention(orders_of([("ann", "2024-01-02", 5.0)]), as_of="2024-02-29")
    assert table["n_active"].tolist() == [1, 0]
    assert table["net_revenue"].tolist() == [5.0, 0.0]
