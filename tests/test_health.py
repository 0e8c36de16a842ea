"""Volume and completeness, each against a plain recomputation in pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import cxlib as cx


def orders(n: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    days = pd.to_datetime("2024-01-03") + pd.to_timedelta(rng.integers(0, 80, n), unit="D")
    return pd.DataFrame(
        {
            "order_id": [f"o{k}" for k in range(n)],
            "customer_id": rng.integers(0, 90, n).astype(str),
            "ordered_at": days + pd.to_timedelta(rng.integers(0, 86400, n), unit="s"),
            "net_revenue": rng.uniform(5, 90, n).round(2),
        }
    )


@pytest.mark.parametrize(("period", "freq"), [("day", "D"), ("week", "W-SUN"), ("month", "M")])
def test_activity_as_pandas_counts_it(period: str, freq: str) -> None:
    frame = orders()
    table = cx.activity(frame, as_of="2024-03-20", period=period)
    seen = frame[frame["ordered_at"] < "2024-03-21"]
    groups = seen.groupby(seen["ordered_at"].dt.to_period(freq))
    want = groups.agg(
        n_rows=("order_id", "size"),
        n_people=("customer_id", "nunique"),
        net_revenue=("net_revenue", "sum"),
    )
    every = pd.period_range(want.index[0], pd.Period("2024-03-20", freq), freq=freq)
    want = want.reindex(every, fill_value=0)
    assert table["period"].tolist() == [one.start_time for one in every]
    for name in ("n_rows", "n_people", "net_revenue"):
        np.testing.assert_allclose(table[name], want[name])
    assert table["is_complete"].tolist() == [
        one.end_time.date() <= pd.Timestamp("2024-03-20").date() for one in every
    ]


def test_a_period_that_ends_on_the_last_day_is_over() -> None:
    assert cx.activity(orders(), as_of="2024-03-17")["is_complete"].all(), "a Sunday"


def test_before_the_first_row_there_is_nothing() -> None:
    with pytest.raises(cx.DataError, match="orders: no rows by as_of=2023-12-31"):
        cx.activity(orders(), as_of="2023-12-31")


def test_events_have_no_revenue_and_are_known_by_their_time() -> None:
    events = pd.DataFrame(
        {"user_id": ["u"], "event": ["view"], "occurred_at": pd.to_datetime(["2024-01-01"])}
    )
    assert list(cx.activity(events, as_of="2024-01-07")) == [
        "period",
        "n_rows",
        "n_people",
        "is_complete",
    ]


def test_a_table_without_a_time_is_refused() -> None:
    with pytest.raises(cx.ParameterError, match="none of the time columns ordered_at, occurred_at"):
        cx.activity(pd.DataFrame({"day": ["2024-01-01"]}), as_of="2024-01-07")


def test_an_unknown_period_is_refused() -> None:
    with pytest.raises(cx.ParameterError, match="Did you mean 'week'"):
        cx.activity(orders(), as_of="2024-01-07", period="weeks")


def test_completeness_counts_blanks_as_missing() -> None:
    frame = pd.DataFrame({"a": ["x", " ", None, "x"], "b": [1.0, 2.0, None, 2.0]})
    table = cx.completeness(frame).set_index("column")
    assert table["filled"].tolist() == [0.5, 0.75]
    assert table.loc["b", "n_distinct"] == 2


# ---- freshness, gaps, people, outliers, the waterfall


def daily(days: pd.DatetimeIndex, each: int = 20) -> pd.DataFrame:
    at = days.repeat(each) + pd.to_timedelta(np.tile(np.arange(each), len(days)), unit="min")
    return pd.DataFrame(
        {"order_id": range(len(at)), "customer_id": "ann", "ordered_at": at, "net_revenue": 1.0}
    )


def test_a_hole_of_two_days_and_closed_sundays() -> None:
    days = pd.date_range("2024-01-01", "2024-03-31")
    days = days[days.day_of_week != 6].drop(["2024-02-14", "2024-02-15"])
    found = cx.gaps(daily(days), as_of="2024-03-30")
    assert found["first_day"][0] == pd.Timestamp("2024-02-14")
    assert found["n_days"][0] == 2
    assert found["p_chance"][0] == pytest.approx(np.exp(-40), rel=1e-9)
    assert (found["p_chance"][1:] == 1).all()
    assert len(found) == 13
    fresh = cx.freshness(daily(days), as_of="2024-03-30").iloc[0]
    assert fresh["n_days_without_rows"] == 14
    assert fresh["expected_days_without_rows"] == pytest.approx(12, abs=1e-6)


def test_a_last_day_that_is_not_over_is_no_whole_day() -> None:
    days = pd.date_range("2024-01-01", "2024-03-31")
    frame = daily(days)
    cut = frame[frame["ordered_at"] < "2024-03-31 00:03"]
    fresh = cx.freshness(cut, as_of="2024-03-31").iloc[0]
    assert (fresh["last_day_rows"], fresh["last_day_usual_rows"]) == (3, 20)
    assert fresh["last_whole_day"] == pd.Timestamp("2024-03-30")
    assert fresh["hours_since_last"] == pytest.approx(24 - 2 / 60)
    with pytest.raises(cx.DataError, match="no rows by as_of"):
        cx.freshness(cut, as_of="2023-01-01")


@pytest.mark.parametrize(
    ("as_of", "each", "doubted"),
    [
        ("2024-03-31", 20, False),
        ("2024-04-07", 20, False),  # seven days may be holidays
        ("2024-04-08", 20, True),  # and eight are not: exp(-8 * 1820 / 99) is no chance
        ("2025-03-31", 1, True),  # exp(-365 * 91 / 456)
    ],
)
def test_data_that_end_before_as_of_are_doubted(as_of: str, each: int, doubted: bool) -> None:
    days = pd.date_range("2024-01-01", "2024-03-31")
    doubt = cx.freshness(daily(days, each), as_of=as_of)["doubt"][0]
    n = (pd.Timestamp(as_of) - days[-1]).days
    says = f"the data end on 2024-03-31, {n} days before as_of={as_of}: give the day the data end"
    assert doubt == (says if doubted else None)


@pytest.mark.parametrize(("as_of", "expected"), [("2024-03-31", 0), ("2024-04-05", 5 * 20)])
def test_rows_that_did_not_come_are_counted(as_of: str, expected: int) -> None:
    """On days of the week on which the shop is shut none were to be expected."""
    days = pd.date_range("2024-01-01", "2024-03-31")
    fresh = cx.freshness(daily(days), as_of=as_of).iloc[0]
    assert fresh["expected_rows_since"] == expected
    weekdays = days[days.day_of_week < 5]  # the last is Friday, 29 March
    shut = cx.freshness(daily(weekdays), as_of="2024-03-31").iloc[0]
    assert shut["expected_rows_since"] == 0


def test_a_small_shop_is_quiet_by_chance() -> None:
    few = daily(pd.date_range("2024-01-01", "2024-03-31", freq="10D"), 1)  # exp(-16 * 10 / 107)
    assert cx.freshness(few, as_of="2024-04-16")["doubt"][0] is None


def test_what_came_after_as_of_is_in_no_table() -> None:
    frame = orders(400).assign(note=None)
    frame.loc[frame["ordered_at"] >= "2024-03-02", "note"] = "late"
    frame.loc[frame["ordered_at"].idxmax(), "net_revenue"] = 90_000.0
    seen = frame[frame["ordered_at"] < "2024-03-02"]
    table = cx.completeness(frame, as_of="2024-03-01").set_index("column")
    assert table.loc["note", "filled"] == 0
    assert table.loc["order_id", "n_distinct"] == len(seen)
    assert table.loc["customer_id", "n_distinct"] == seen["customer_id"].nunique()
    found = cx.outliers(frame, as_of="2024-03-01")
    pd.testing.assert_frame_equal(found, cx.outliers(seen))
    assert len(cx.outliers(frame)) > len(found)


def test_busiest_as_pandas_counts_them() -> None:
    frame = orders(400)
    found = cx.busiest(frame, as_of="2024-03-01", n=5)
    seen = frame[frame["ordered_at"] < "2024-03-02"]
    want = seen.groupby("customer_id").agg(n=("order_id", "size"), spent=("net_revenue", "sum"))
    want = want.reset_index().sort_values(["n", "customer_id"], ascending=[False, True])
    assert found["customer_id"].tolist() == want["customer_id"].head(5).tolist()
    np.testing.assert_allclose(found["rows_share"], want["n"].head(5) / len(seen))
    np.testing.assert_allclose(found["times_median"], want["n"].head(5) / want["n"].median())
    np.testing.assert_allclose(
        found["revenue_share"], want["spent"].head(5) / seen["net_revenue"].sum()
    )


def test_orphans_as_sets_count_them() -> None:
    left = pd.DataFrame({"who": ["a", "B", "007", "7.0", "x", "x", None]})
    right = pd.DataFrame({"id": ["a", "b", "7", "y"]})
    found = cx.orphans(left, right, on={"who": "id"}).set_index("table")
    ours, theirs = set(left["who"].dropna()), set(right["id"])
    assert found["n_orphans"].tolist() == [len(ours - theirs), len(theirs - ours)]
    assert found["n_orphan_rows"].tolist() == [5, 3]
    assert found["n_nearly"].tolist() == [3, 2]
    with pytest.raises(cx.ParameterError, match="names 2 pairs"):
        cx.orphans(left, right, on={"who": "id", "b": "c"})


def test_outliers_by_the_rule_of_iglewicz_and_hoaglin_on_logarithms() -> None:
    rng = np.random.default_rng(3)
    frame = orders(500).assign(net_revenue=np.exp(rng.normal(3, 0.5, 500)))
    frame.loc[7, "net_revenue"], frame.loc[8, "net_revenue"] = 90_000.0, 0.01
    found = cx.outliers(frame).set_index("order_id")
    logs = np.log(frame["net_revenue"])
    mad = (logs - logs.median()).abs().median()
    z = 0.6745 * (logs - logs.median()) / mad
    want = frame.loc[z.abs() >= 3.5, "order_id"]
    assert set(found.index) == set(want) >= {"o7", "o8"}
    assert found.loc["o7", "robust_z"] == pytest.approx(z[7])
    assert found.loc["o7", "revenue_share"] == pytest.approx(9e4 / frame["net_revenue"].sum())


def test_the_waterfall_balances() -> None:
    frame = pd.concat([orders(50), orders(3)]).assign(is_test=["yes"] * 5 + ["no"] * 48)
    cleaned = cx.clean_orders(frame, timezone="UTC")
    steps = cx.waterfall(cleaned)
    assert steps["step"].tolist()[0] == "raw"
    assert steps["step"].tolist()[-1] == "kept"
    inner = steps.iloc[:-1]
    assert inner["rows"].sum() == cleaned.kept_rows == steps["rows_left"].iloc[-1]
    assert inner["revenue"].sum() == pytest.approx(cleaned.kept_revenue)
    assert cx.plot.waterfall(steps).get_title("left") == "From raw rows to kept ones"
    with pytest.raises(cx.ParameterError, match="waterfall takes"):
        cx.waterfall(steps)


def test_an_order_that_a_refund_undid_is_an_outlier_by_what_it_was_before() -> None:
    lines = [(f"{n}", "mug", 4 + n % 5, "2024-05-01 09:00:00", 10.0) for n in range(20)]
    lines += [("big", "cup", 80_000, "2024-05-02 09:15:00", 2.0)]
    lines += [("Cbig", "cup", -80_000, "2024-05-02 09:27:00", 2.0)]
    names = ["InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice"]
    frame = pd.DataFrame(lines, columns=names).assign(CustomerID="ann", Country="UK")
    raw = cx.read(frame, preset="online_retail")
    far = cx.outliers(cx.clean_orders(raw, timezone="Europe/London")).iloc[0]
    assert (far["order_id"], far["fate"]) == ("big", "refunded_in_full")
    assert (far["gross_revenue"], far["net_revenue"], far["revenue_share"]) == (160_000, 0, 0)
    assert far["hours_to_refund"] == pytest.approx(12 / 60)
