"""Experiments: the reduction against brute force, the answer against published figures, the checks."""

from __future__ import annotations

import datetime as dt
import json
import math
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import cxlib as cx
from cxlib.experiment.exposed import units_of_exposures
from cxlib.experiment.sums import query
from cxlib.tables import EVENTS, ORDERS

GOLDEN = Path(__file__).parent / "golden" / "experiment.json"
CASES: dict[str, dict[str, Any]] = {
    case["id"]: case for case in json.loads(GOLDEN.read_text(encoding="utf-8"))
}
DAY = pd.Timestamp("2024-05-01")
TABLE = [
    *("metric", "kind", "role", "better", "variant", "n", "n_control", "value", "value_control"),
    *("difference", "ci_low", "ci_high", "lift", "lift_low", "lift_high", "p_value"),
    *("p_adjusted", "adjusted_low", "adjusted_high", "lift_adjusted_low", "lift_adjusted_high"),
    *("margin", "p_margin", "p_equivalence", "chance_to_beat", "expected_loss", "chance_best"),
    *("method", "note"),
]


def rates(treatment: tuple[int, int], control: tuple[int, int]) -> pd.DataFrame:
    """One row per unit: so many of so many converted in each arm."""
    columns = [
        (name, int(place < count))
        for name, (count, n) in (("new", treatment), ("control", control))
        for place in range(n)
    ]
    return pd.DataFrame(columns, columns=["variant", "converted"])


def on_units(frame: pd.DataFrame, *metrics: Any, **options: Any) -> Any:
    options = {"control": "control", "variant": "variant"} | options
    return cx.experiment(frame, metrics=list(metrics), **options)


def exposed(users: int = 200, variants: tuple[str, ...] = ("control", "new")) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "user_id": [f"u{i}" for i in range(users)],
            "variant": [variants[i % len(variants)] for i in range(users)],
            "exposed_at": DAY,
        }
    )


def ordered(rows: list[tuple[str, str, float]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["customer_id", "ordered_at", "net_revenue"])
    frame["ordered_at"] = pd.to_datetime(frame["ordered_at"], format="ISO8601")
    frame["order_id"] = [str(i) for i in range(len(frame))]
    return frame


def failed(result: Any) -> list[str]:
    return result.checks.loc[~result.checks["passed"], "check"].tolist()


# The reduction


def history(seed: int) -> dict[str, pd.DataFrame]:
    """Exposures that repeat and mix, and outcomes before, at, within and after every limit."""
    rng = np.random.default_rng(seed)

    def when(n: int, days: float) -> pd.Series:
        return DAY + pd.to_timedelta(rng.integers(0, int(days * 4), n) * 6, unit="h")

    users, repeats, rows = 90, 30, 400
    first = pd.DataFrame({"user_id": rng.permutation(users).astype(str)})
    first["variant"] = rng.choice(["control", "blue", "green"], users)
    again = first.sample(repeats, random_state=seed).copy()
    again.iloc[:4, 1] = "blue"
    exposures = pd.concat([first, again], ignore_index=True)
    exposures["exposed_at"] = when(len(exposures), 20)
    orders = pd.DataFrame({"order_id": np.arange(rows).astype(str), "ordered_at": when(rows, 30)})
    orders["customer_id"] = rng.integers(0, users + 20, rows).astype(str)
    orders["net_revenue"] = rng.normal(30, 20, rows).round(2)
    events = pd.DataFrame({"user_id": rng.integers(0, users + 20, rows).astype(str)})
    events["event"] = rng.choice(["view", "purchase"], rows)
    events["occurred_at"] = when(rows, 30)
    return {"exposures": exposures, "orders": orders, "events": events}


def brute_force(data: dict[str, pd.DataFrame], end: pd.Timestamp) -> pd.DataFrame:
    """The same answer one user at a time: variant and each metric, null where time is not over."""
    lines = []
    for user, seen in data["exposures"].groupby("user_id"):
        if seen["variant"].nunique() > 1:
            continue
        start = seen["exposed_at"].min()
        own = data["orders"][data["orders"]["customer_id"] == user]
        did = data["events"][
            (data["events"]["user_id"] == user) & (data["events"]["event"] == "purchase")
        ]

        def during(times: pd.Series, days: float, start: pd.Timestamp = start) -> pd.Series:
            return (times >= start) & (times < min(start + pd.Timedelta(days=days), end))

        week, two_weeks = (start + pd.Timedelta(days=days) <= end for days in (7, 14))
        lines.append(
            {
                "variant": seen["variant"].iloc[0],
                "purchase": float(during(did["occurred_at"], 7).any()) if week else None,
                "revenue": own.loc[during(own["ordered_at"], 14), "net_revenue"].sum()
                if two_weeks
                else None,
                "n_orders": float(during(own["ordered_at"], 999).sum()),
                "order": float(during(own["ordered_at"], 999).any()),
            }
        )
    return pd.DataFrame(lines)


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=4)
def test_reduction_equals_brute_force_one_user_at_a_time(seed: int) -> None:
    data = history(seed)
    result = cx.experiment(
        **data,
        control="control",
        as_of="2024-05-24",
        metrics=[
            cx.Conversion("purchase", within="7 days"),
            cx.Mean("net_revenue", within=dt.timedelta(days=14), name="revenue"),
            cx.Mean("n_orders"),
            cx.Conversion("order"),
        ],
    )
    units = brute_force(data, pd.Timestamp("2024-05-25"))
    expected = units.groupby("variant").agg(["count", "mean"])
    for row in result.arms.itertuples():
        assert row.n == expected.loc[row.variant, (row.metric, "count")]
        assert row.value == pytest.approx(expected.loc[row.variant, (row.metric, "mean")])
        assert row.n + row.n_left_out == (units["variant"] == row.variant).sum()
    for row in result.table[result.table["metric"] == "revenue"].itertuples():
        arms = [units.loc[units["variant"] == name, "revenue"] for name in (row.variant, "control")]
        theirs = stats.ttest_ind(*(arm.dropna().astype(float) for arm in arms), equal_var=False)
        assert row.p_value == pytest.approx(theirs.pvalue)
        assert (row.ci_low, row.ci_high) == pytest.approx(tuple(theirs.confidence_interval()))
    mixed = data["exposures"].groupby("user_id")["variant"].nunique().gt(1).sum()
    detail = result.checks.set_index("check").loc["one variant for each user", "detail"]
    assert detail.startswith(f"{mixed} of 90 users")
    repeated = result.checks.set_index("check").loc["repeated exposures", "detail"]
    assert repeated.startswith("30 of 120 exposures")


def test_an_outcome_counts_from_exposure_on_to_just_before_the_window_ends() -> None:
    orders = ordered(
        [
            ("u0", "2024-04-30 23:59:59", 1.0),
            ("u0", "2024-05-01 00:00:00", 10.0),
            ("u0", "2024-05-07 23:59:59", 100.0),
            ("u0", "2024-05-08 00:00:00", 1000.0),
            ("u0", "2024-05-20 23:59:59", 10000.0),
            ("u0", "2024-05-21 00:00:00", 100000.0),
            ("somebody else", "2024-05-02", 5.0),
        ]
    )
    result = cx.experiment(
        exposed(2),
        orders=orders,
        control="control",
        as_of="2024-05-20",
        metrics=[cx.Mean("net_revenue", within="7 days", name="week"), cx.Mean("net_revenue")],
    )
    assert result.table["value_control"].tolist() == [110.0, 11110.0]
    assert result.table["value"].tolist() == [0.0, 0.0]


def test_a_window_is_not_cut_to_whole_seconds() -> None:
    late = [("u0", "2024-05-01 00:00:01.4", 1.0), ("u2", "2024-05-01 00:00:01.5", 1.0)]
    result = cx.experiment(
        exposed(),
        orders=ordered(late),
        control="control",
        as_of="2024-05-20",
        metrics=[cx.Mean("net_revenue", within="1.5 seconds")],
    )
    assert result.table["value_control"].tolist() == [1 / 100]


def test_users_whose_window_is_not_over_are_left_out_and_counted() -> None:
    exposures = exposed(200)
    exposures.loc[:49, "exposed_at"] = pd.Timestamp("2024-05-10 00:00:01")
    orders = ordered([("u1", "2024-05-11", 5.0), ("u99", "2024-05-02", 7.0)])
    result = cx.experiment(
        exposures,
        orders=orders,
        control="control",
        as_of="2024-05-16",
        metrics=[cx.Mean("net_revenue", within="7 days"), cx.Mean("n_orders")],
    )
    arms = result.arms.set_index(["metric", "variant"])
    assert arms["n"].tolist() == [75, 75, 100, 100]
    assert arms["n_left_out"].tolist() == [25, 25, 0, 0]
    assert arms.loc[("net_revenue", "new"), "value"] == pytest.approx(7 / 75)
    detail = result.checks.set_index("check").loc["windows over", "detail"]
    assert detail == "50 of 200 users are left out of net_revenue: their 7 days are not over"


def test_a_metric_that_time_has_not_finished_for_anyone_is_null_and_withholds_the_verdict() -> None:
    result = cx.experiment(
        exposed(),
        orders=ordered([("u0", "2024-05-01", 1.0)]),
        control="control",
        as_of="2024-05-02",
        metrics=[cx.Conversion("order", within="1 week")],
    )
    row = result.table.iloc[0]
    assert (row["n"], row["n_control"]) == (0, 0)
    assert row[["value", "difference", "ci_low", "lift", "p_value"]].isna().all()
    assert row["note"] == "an arm has no units yet"
    assert {"windows over", "units in each arm"} <= set(failed(result))
    assert result.verdict.startswith("Cannot be trusted")


def test_a_window_may_end_exactly_with_as_of() -> None:
    result = cx.experiment(
        exposed(),
        orders=ordered([("u0", "2024-05-07 12:00", 1.0)]),
        control="control",
        as_of="2024-05-07",
        metrics=[cx.Conversion("order", within="7 days")],
    )
    assert result.arms["n"].tolist() == [100, 100]


def test_a_mean_of_a_billion_keeps_its_variance() -> None:
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 1, 40_000)
    frame = pd.DataFrame({"variant": np.tile(["control", "new"], 20_000), "small": noise})
    frame["large"] = frame["small"] + 1e9
    result = on_units(frame, cx.Mean("small"), cx.Mean("large"))
    small, large = result.table.iloc[0], result.table.iloc[1]
    width = small["ci_high"] - small["ci_low"]
    assert large["ci_high"] - large["ci_low"] == pytest.approx(width, rel=1e-5)
    assert large["difference"] == pytest.approx(small["difference"], abs=1e-5)
    assert large["p_value"] == pytest.approx(small["p_value"], abs=1e-3)


def test_one_query_reads_each_table_once_and_is_plain_enough_for_other_engines() -> None:
    exposures = ibis.table(
        {"user_id": "string", "variant": "string", "exposed_at": "timestamp"}, name="exposures"
    )
    orders = ibis.table(
        {"customer_id": "string", "ordered_at": "timestamp", "net_revenue": "float64"},
        name="orders",
    )
    events = ibis.table(
        {"user_id": "string", "event": "string", "occurred_at": "timestamp"}, name="events"
    )
    metrics = [
        cx.Conversion("purchase", within="7 days"),
        cx.Conversion("view"),
        cx.Mean("net_revenue", within="14 days"),
        cx.Mean("n_orders"),
    ]
    logs = {"orders": (orders, ORDERS), "events": (events, EVENTS)}
    units = units_of_exposures(exposures, logs, metrics, dt.date(2024, 5, 31))
    for dialect in ("duckdb", "postgres", "trino", "snowflake"):
        text = str(ibis.to_sql(query(units, metrics), dialect=dialect))
        for name in ("exposures", "orders", "events"):
            assert text.count(f'FROM "{name}"') == 1


# The answer


def test_columns_and_grain_of_the_three_frames() -> None:
    frame = pd.concat([rates((40, 100), (30, 100)), rates((20, 90), (1, 1)).replace("new", "b")])
    result = on_units(frame.assign(amount=1.5), cx.Conversion("converted"), cx.Mean("amount"))
    assert list(result.table.columns) == TABLE
    assert result.table[["metric", "variant"]].to_numpy().tolist() == [
        ["converted", "b"],
        ["converted", "new"],
        ["amount", "b"],
        ["amount", "new"],
    ]
    arms = ["metric", "kind", "variant", "n", "n_left_out", "value", "ci_low", "ci_high"]
    assert list(result.arms.columns) == arms
    assert result.arms["variant"].tolist() == ["control", "b", "new"] * 2
    assert list(result.checks.columns) == ["check", "passed", "p_value", "detail"]
    assert result.as_of is None
    assert (result.control, result.alpha) == ("control", 0.05)


@pytest.mark.parametrize("name", ["two_prop_mee_7_34_vs_1_34", "two_prop_mee_56_70_vs_48_80"])
def test_rates_as_published(name: str) -> None:
    case = CASES[name]
    given_ = case["inputs"]
    frame = rates((given_["count1"], given_["nobs1"]), (given_["count2"], given_["nobs2"]))
    row = on_units(frame, cx.Conversion("converted")).table.iloc[0]
    expected = case["expected"]
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(expected["diff_score_mee"], abs=5e-5)
    if "ratio_score_koopman" in expected:
        ratio = (row["lift_low"] + 1, row["lift_high"] + 1)
        assert ratio == pytest.approx(expected["ratio_score_koopman"], abs=5e-5)
    theirs = stats.chi2_contingency(pd.crosstab(frame["variant"], frame["converted"]), False)
    assert row["p_value"] == pytest.approx(theirs.pvalue)


def test_proportions_as_tea_tasting_documents() -> None:
    case = CASES["tt_doc_proportion"]
    frame = rates(tuple(case["inputs"]["treatment"]), tuple(case["inputs"]["control"]))
    row = on_units(frame, cx.Conversion("converted")).table.iloc[0]
    assert row["value"] == pytest.approx(case["expected"]["treatment"], abs=5e-4)
    assert row["value_control"] == pytest.approx(case["expected"]["control"], abs=5e-4)
    assert row["lift"] == pytest.approx(case["expected"]["rel"], abs=5e-3)


def test_arms_carry_wilson_and_student_intervals() -> None:
    frame = rates((18, 20), (10, 20)).assign(amount=np.arange(40.0))
    arms = on_units(frame, cx.Conversion("converted"), cx.Mean("amount")).arms
    arms = arms.set_index(["metric", "variant"])
    wilson = arms.loc[("converted", "new"), ["ci_low", "ci_high"]].tolist()
    assert wilson == pytest.approx(CASES["prop_ci_18_20"]["expected"]["wilson"], abs=1e-6)
    theirs = stats.ttest_1samp(np.arange(20.0), 0).confidence_interval()
    student = arms.loc[("amount", "new"), ["ci_low", "ci_high"]].tolist()
    assert student == pytest.approx(list(theirs))


def test_holm_runs_over_all_metrics_and_variants() -> None:
    rng = np.random.default_rng(11)
    frame = pd.DataFrame({"variant": rng.choice(["control", "b", "c"], 900)})
    for name in ("x", "y"):
        frame[name] = rng.normal(5, 1, 900) + (frame["variant"] == "b") * 0.2
    table = on_units(frame, cx.Mean("x"), cx.Mean("y")).table.sort_values("p_value")
    by_hand = (table["p_value"] * [4, 3, 2, 1]).cummax().clip(upper=1)  # Holm 1979, step down
    assert table["p_adjusted"].tolist() == pytest.approx(by_hand.tolist())


CORNERS = {
    "none against some": ((0, 1000), (50, 1000)),
    "some against none": ((50, 1000), (0, 1000)),
    "none at all": ((0, 1000), (0, 1000)),
    "all of all": ((1000, 1000), (1000, 1000)),
    "one unit": ((1, 1), (50, 1000)),
}


@pytest.mark.parametrize("name", CORNERS)
def test_corners_of_conversions_are_finite_or_null_with_a_reason(name: str) -> None:
    (count, n), (count_control, n_control) = CORNERS[name]
    row = on_units(rates((count, n), (count_control, n_control)), cx.Conversion("converted"))
    row = row.table.iloc[0]
    numbers = row[["difference", "ci_low", "ci_high", "p_value"]].astype(float)
    assert np.isfinite(numbers).all()
    assert row["ci_low"] < row["ci_high"]
    lift = row[["lift", "lift_low", "lift_high"]].astype(float)
    assert not np.isinf(lift).any()
    if count_control:
        assert row["lift_low"] <= row["lift"] <= row["lift_high"]
        assert row["note"] == ""
    else:
        assert lift[["lift", "lift_high"]].isna().all()
        assert math.isnan(lift["lift_low"]) != bool(count)
        assert "no conversions" in row["note"]


def test_corners_of_means_are_finite_or_null_with_a_reason() -> None:
    varied = [0.0, 2.0, 4.0]
    noisy = [0.0, 0.0, 1.0]
    cases: dict[str, tuple[list[float], list[float]]] = {
        "no variance in either arm": ([2.0] * 3, [1.0] * 3),
        "an arm has one unit": ([1.0], varied),
        "every unit of the variant is at zero": ([0.0] * 3, varied),
        "by log ratio": (varied, noisy),
        "no interval of the lift": ([-1.0, 0.0, 0.5], noisy),
    }
    for note, (arm, control) in cases.items():
        frame = pd.DataFrame({"variant": ["new"] * len(arm) + ["control"] * len(control)})
        row = on_units(frame.assign(x=arm + control), cx.Mean("x")).table.iloc[0]
        assert note in row["note"]
        assert math.isfinite(row["lift"])
        known = "by log ratio" in note
        assert row[["lift_low", "lift_high"]].notna().all() == known
        assert math.isnan(row["p_value"]) == ("in either" in note or "one unit" in note)
        assert math.isnan(row["ci_low"]) == math.isnan(row["p_value"])
    frame = pd.DataFrame({"variant": ["new"] * 3 + ["control"] * 3, "x": varied + [-1.0, 0.0, 1.0]})
    row = on_units(frame, cx.Mean("x")).table.iloc[0]
    assert row[["lift", "lift_low", "lift_high"]].isna().all()
    assert math.isfinite(row["p_value"])


def test_a_lift_over_losses_has_the_sign_of_the_difference() -> None:
    frame = pd.DataFrame({"variant": ["new", "control"] * 50})
    frame["x"] = np.where(frame["variant"] == "new", -8.0, -10.0) + np.tile([0, 0, 1, 1], 25)
    row = on_units(frame, cx.Mean("x")).table.iloc[0]
    assert row["difference"] == pytest.approx(2)
    assert row["lift"] == pytest.approx(2 / 9.5)
    assert 0 < row["lift_low"] < row["lift"] < row["lift_high"]


UNITS = st.lists(
    st.tuples(st.booleans(), st.integers(0, 1), st.floats(0.5, 50)), min_size=8, max_size=40
).filter(lambda rows: 1 < sum(row[0] for row in rows) < len(rows) - 1)


def unit_frame(rows: list[tuple[bool, int, float]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["variant", "did", "spent"])
    return frame.assign(variant=np.where(frame["variant"], "new", "control"))


@given(UNITS)
@settings(deadline=None, max_examples=10)
def test_swapping_the_arms_flips_the_sign_and_keeps_the_p_value(
    rows: list[tuple[bool, int, float]],
) -> None:
    metrics = [cx.Conversion("did"), cx.Mean("spent")]
    ours = on_units(unit_frame(rows), *metrics).table
    theirs = on_units(unit_frame(rows), *metrics, control="new").table
    assert theirs["difference"].tolist() == pytest.approx((-ours["difference"]).tolist())
    assert theirs["ci_low"].tolist() == pytest.approx(
        (-ours["ci_high"]).tolist(), abs=1e-8, nan_ok=True
    )
    assert theirs["p_value"].tolist() == pytest.approx(ours["p_value"].tolist(), nan_ok=True)


@given(UNITS, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=10)
def test_the_order_of_rows_does_not_matter(
    rows: list[tuple[bool, int, float]], chance: Any
) -> None:
    metrics = [cx.Conversion("did"), cx.Mean("spent")]
    ours = on_units(unit_frame(rows), *metrics)
    shuffled = chance.sample(rows, len(rows))
    theirs = on_units(unit_frame(shuffled), *metrics)
    pd.testing.assert_frame_equal(ours.table, theirs.table, rtol=1e-7)
    pd.testing.assert_frame_equal(ours.checks, theirs.checks)


@given(UNITS, st.floats(0.01, 1000))
@settings(deadline=None, max_examples=10)
def test_another_currency_scales_the_difference_and_leaves_the_lift(
    rows: list[tuple[bool, int, float]], rate: float
) -> None:
    frame = unit_frame(rows)
    frame["abroad"] = frame["spent"] * rate
    table = on_units(frame, cx.Mean("spent"), cx.Mean("abroad")).table
    home, abroad = table.iloc[0], table.iloc[1]
    for name in ("difference", "ci_low", "ci_high"):
        assert abroad[name] == pytest.approx(
            home[name] * rate, rel=1e-6, abs=1e-9 * rate, nan_ok=True
        )
    for name in ("lift", "lift_low", "lift_high", "p_value"):
        assert abroad[name] == pytest.approx(home[name], rel=1e-6, abs=1e-9, nan_ok=True)


def test_false_positives_and_coverage_of_many_metrics_in_one_query() -> None:
    # Simulation with known truth: half of the metrics have no effect, half one of +0.05 or +1
    rng = np.random.default_rng(20240601)
    runs, n = 60, 1200
    new = rng.permutation(n) < n / 2
    columns: dict[str, Any] = {"variant": np.where(new, "new", "control")}
    metrics: list[Any] = []
    truth = []
    for run in range(runs):
        for effect in (0.0, 0.05):
            name = f"did {effect} {run}"
            columns[name] = (rng.random(n) < 0.15 + effect * new).astype(int)
            metrics.append(cx.Conversion(name))
            truth.append(effect)
        for effect in (0.0, 1.0):
            name = f"spent {effect} {run}"
            columns[name] = rng.exponential(10, n) + effect * new
            metrics.append(cx.Mean(name))
            truth.append(effect)
    table = on_units(pd.DataFrame(columns), *metrics).table.assign(truth=truth)
    covered = table["ci_low"].le(table["truth"]) & table["truth"].le(table["ci_high"])
    low, high = stats.binom.interval(0.999, len(table), 0.95)
    assert low <= covered.sum() <= high
    null = table[table["truth"] == 0]
    low, high = stats.binom.interval(0.999, len(null), 0.05)
    assert low <= (null["p_value"] < 0.05).sum() <= high
    told = table["ci_low"].gt(0) | table["ci_high"].lt(0)
    assert (told == (table["p_value"] < 0.05)).all()
    lifted = table["lift_low"].gt(0) | table["lift_high"].lt(0)
    assert (lifted == told).all()


# Two forms, two sources


def test_exposures_and_one_row_per_unit_give_the_same_answer() -> None:
    data = history(7)
    data["exposures"] = data["exposures"].drop_duplicates("user_id")
    long = cx.experiment(
        **data,
        control="control",
        as_of="2024-05-24",
        metrics=[
            cx.Conversion("purchase", within="7 days"),
            cx.Mean("net_revenue", within="14 days", name="revenue"),
        ],
    )
    units = brute_force(data, pd.Timestamp("2024-05-25"))
    wide = on_units(units.convert_dtypes(), cx.Conversion("purchase"), cx.Mean("revenue"))
    pd.testing.assert_frame_equal(long.table, wide.table)
    pd.testing.assert_frame_equal(long.arms, wide.arms)


def test_the_event_order_is_a_row_of_orders_or_else_an_event() -> None:
    events = pd.DataFrame({"user_id": ["u0", "u2"], "event": "order", "occurred_at": DAY})
    options: dict[str, Any] = {
        "events": events,
        "control": "control",
        "as_of": "2024-05-02",
        "metrics": [cx.Conversion("order")],
    }
    from_events = cx.experiment(exposed(), **options)
    assert from_events.table["value_control"].tolist() == [0.02]
    from_orders = cx.experiment(exposed(), orders=ordered([("u1", "2024-05-01", 9)]), **options)
    assert from_orders.table["value_control"].tolist() == [0.0]
    assert from_orders.table["value"].tolist() == [0.01]


def test_cleaned_tables_polars_and_whole_number_ids_are_taken() -> None:
    polars = pytest.importorskip("polars")
    raw = exposed().assign(user_id=range(200), exposed_at="2024-05-01T00:00:00")
    exposures = cx.clean_exposures(raw, timezone="UTC")
    orders = polars.DataFrame(
        {
            "order_id": [1, 2],
            "customer_id": [1, 3],
            "ordered_at": [dt.datetime(2024, 5, 1), dt.datetime(2024, 5, 2)],
            "net_revenue": [10.0, 30.0],
        }
    )
    result = cx.experiment(
        exposures,
        orders=orders,
        control="control",
        as_of=dt.date(2024, 5, 3),
        metrics=[cx.Mean("net_revenue")],
    )
    assert result.table["value"].tolist() == [0.4]
    assert result.as_of == dt.date(2024, 5, 3)


def test_empty_values_on_a_row_per_unit_are_left_out_and_counted() -> None:
    frame = pd.DataFrame({"variant": [0, 1] * 3, "x": [1.0, 2.0, None, 4.0, 3.0, None]})
    frame["did"] = [True, False, True, True, False, None]
    result = on_units(frame, cx.Mean("x"), cx.Conversion("did"), control=0)
    assert result.arms["n"].tolist() == [2, 2, 3, 2]
    assert result.arms["n_left_out"].tolist() == [1, 1, 0, 1]
    assert result.arms["value"].tolist() == pytest.approx([2, 3, 2 / 3, 0.5])


# The checks and the verdict


def test_a_failed_sample_ratio_stands_first_and_withholds_the_verdict() -> None:
    result = on_units(rates((500, 1000), (400, 1300)), cx.Conversion("converted"))
    first = result.checks.iloc[0]
    assert (first["check"], first["passed"]) == ("sample ratio", False)
    assert first["p_value"] == pytest.approx(stats.chisquare([1000, 1300]).pvalue)
    assert result.verdict == f"Cannot be trusted: sample ratio: {first['detail']}"
    assert "control 1,300, new 1,000 against the planned 50.0% : 50.0%" in first["detail"]
    page = result._repr_html_()
    assert page.index("Cannot be trusted") < page.index("sample ratio</td>") < page.index("lift")


def test_planned_shares_are_what_the_sample_ratio_is_held_against() -> None:
    frame = rates((500, 1000), (900, 2000))
    assert failed(on_units(frame, cx.Conversion("converted"))) == ["sample ratio"]
    planned = {"new": 1 / 3, "control": 2 / 3}
    assert failed(on_units(frame, cx.Conversion("converted"), shares=planned)) == []


def test_a_planned_variant_that_nobody_saw_is_an_empty_arm() -> None:
    shares = {"control": 0.4, "new": 0.4, "lost": 0.2}
    result = on_units(rates((5, 100), (4, 100)), cx.Conversion("converted"), shares=shares)
    row = result.table.set_index("variant").loc["lost"]
    assert row["n"] == 0
    assert row["note"] == "an arm has no units yet"
    assert math.isnan(row["p_adjusted"])
    assert failed(result) == ["sample ratio", "units in each arm"]
    page = result._repr_html_()
    assert "– vs 4%" in page
    assert "nan" not in page
    assert result.table.set_index("variant").loc["new", "n"] == 100


@pytest.mark.parametrize(("mixed", "passed"), [(2, True), (3, False)])
def test_users_in_several_variants_are_left_out_and_fail_past_one_percent(
    mixed: int, passed: bool
) -> None:
    exposures = exposed(200)
    again = exposures.head(mixed).assign(variant=["new", "control", "new"][:mixed])
    exposures = pd.concat([exposures, again])
    result = cx.experiment(
        exposures,
        orders=ordered([("u0", "2024-05-01", 1e6)]),
        control="control",
        as_of="2024-05-02",
        metrics=[cx.Mean("net_revenue")],
    )
    check = result.checks.set_index("check").loc["one variant for each user"]
    assert check["passed"] == passed
    assert check["detail"].startswith(f"{mixed} of 200 users ({mixed / 200:.2%})")
    assert result.arms["n"].sum() == 200 - mixed
    assert result.arms["value"].tolist() == [0, 0]


def test_what_users_did_before_exposure_is_counted_and_held_against_chance() -> None:
    exposures = exposed(400)
    early = [(user, "2024-04-20", 9.0) for user in exposures["user_id"][:60]]
    now = [(user, "2024-05-02", 9.0) for user in exposures["user_id"][50:90]]
    options = {"metrics": [cx.Conversion("order")], "control": "control", "as_of": "2024-05-31"}
    checks = cx.experiment(exposures, orders=ordered([*early, *now]), **options).checks
    row = checks.set_index("check").loc["outcomes before exposure"]
    assert row["passed"]
    assert row["p_value"] == pytest.approx(1.0)  # 30 of 200 in either arm
    assert row["detail"].startswith("60 of 400 users did something before first exposure")
    new = exposures.loc[exposures["variant"] == "new", "user_id"]
    result = cx.experiment(
        exposures, orders=ordered([(user, "2024-04-20", 9.0) for user in new[:40]]), **options
    )
    row = result.checks.iloc[0]
    # Pearson's chi-square of 40 of 200 against 0 of 200, uncorrected: n (ad - bc)^2 over the margins
    assert row["check"] == "outcomes before exposure"
    assert row["p_value"] == pytest.approx(
        stats.chi2.sf(400 * (40 * 200) ** 2 / (200 * 200 * 40 * 360), 1)
    )
    assert result.verdict.startswith("Cannot be trusted: outcomes before exposure: 40 of 400 users")


def test_too_few_units_fail() -> None:
    result = on_units(rates((20, 29), (20, 30)), cx.Conversion("converted"))
    assert failed(result) == ["units in each arm"]
    assert "the fewest are 29, in new for converted" in result.verdict
    assert failed(on_units(rates((20, 30), (20, 30)), cx.Conversion("converted"))) == []


def test_a_misspelt_event_is_told_instead_of_counted_as_nothing() -> None:
    events = pd.DataFrame({"user_id": ["u0"], "event": ["purchase"], "occurred_at": [DAY]})
    options: dict[str, Any] = {"events": events, "control": "control", "as_of": "2024-05-02"}
    result = cx.experiment(exposed(), metrics=[cx.Conversion("purchse")], **options)
    assert failed(result) == ["event is known"]
    assert result.verdict.endswith("Did you mean 'purchase'?")
    late = events.assign(occurred_at=DAY - pd.Timedelta(days=1))
    result = cx.experiment(
        exposed(), metrics=[cx.Conversion("purchase")], **(options | {"events": late})
    )
    assert failed(result) == []


def test_verdicts() -> None:
    metric = cx.Conversion("converted")
    ship = on_units(rates((300, 1000), (200, 1000)), metric)
    assert ship.verdict.startswith("Ship new: converted rises from 20% to 30%, lift +50.0%")
    assert repr(ship) == f"ExperimentResult({ship.verdict!r})"
    stop = on_units(rates((200, 1000), (300, 1000)), metric)
    assert stop.verdict.startswith("Do not ship new: converted falls from 30% to 20%, lift")
    wait = on_units(rates((205, 1000), (200, 1000)), metric)
    assert wait.verdict.startswith("Keep running: no variant is shown to lift converted (new:")

    worse = rates((300, 1000), (200, 1000))
    worse["spent"] = np.where(worse["variant"] == "new", 5.0, 9.0) + worse.index % 2
    assert on_units(worse, metric, cx.Mean("spent")).verdict.startswith(
        "Do not ship new: spent falls from 9.5 to 5.5"
    )
    flat = pd.DataFrame({"variant": ["new", "control"] * 40, "x": 1.0})
    assert on_units(flat, cx.Mean("x")).verdict == (
        "Keep running: x has no answer yet (no variance in either arm: no interval)."
    )
    unbounded = on_units(rates((50, 1000), (0, 1000)), metric).verdict
    assert "from 0% to 5%, difference 5%, Holm-adjusted 95% interval 3.81% to 6.53%" in unbounded


def test_the_page_escapes_what_the_data_call_a_variant() -> None:
    frame = rates((50, 1000), (0, 1000)).replace("new", "<b>new</b>")
    page = on_units(frame, cx.Conversion("converted"), alpha=0.1)._repr_html_()
    assert "<b>new" not in page
    assert "&lt;b&gt;new" in page
    assert "90% interval" in page
    assert "1,000 vs 1,000" in page
    flat = pd.DataFrame({"variant": ["new", "control"] * 40, "x": 12345.0})
    page = on_units(flat, cx.Mean("x"))._repr_html_()
    assert "12,345 vs 12,345" in page
    assert "no variance in either arm" in page
    assert "nan" not in page


# Bad input

GOOD = rates((30, 100), (20, 100)).assign(amount=2.0, name="x", late=1.0)


@pytest.mark.parametrize(
    ("frame", "metric", "options", "error", "message"),
    [
        (GOOD, cx.Mean("amount"), {"control": "contrl"}, cx.ParameterError, "mean 'control'"),
        (GOOD[GOOD["variant"] == "control"], cx.Mean("amount"), {}, cx.DataError, "one variant"),
        (GOOD.head(0), cx.Mean("amount"), {}, cx.DataError, "no rows"),
        (
            GOOD.replace({"variant": {"new": None}}),
            cx.Mean("amount"),
            {},
            cx.DataError,
            "100 rows name no variant",
        ),
        (GOOD, cx.Mean("amont"), {}, cx.ColumnError, "mean 'amount'"),
        (GOOD, cx.Mean("name"), {}, cx.ColumnError, "string, not numbers"),
        (GOOD.assign(ok=True), cx.Mean("ok"), {}, cx.ColumnError, "use cx.Conversion"),
        (GOOD, cx.Conversion("amount"), {}, cx.DataError, "200 values are other than 0 and 1"),
        (GOOD.assign(amount=np.inf), cx.Mean("amount"), {}, cx.DataError, "not finite"),
        (GOOD, cx.Mean("amount"), {"variant": "arm"}, cx.ColumnError, "no column 'arm'"),
        (GOOD, cx.Mean("amount", within="1 day"), {}, cx.ParameterError, "within= needs exposures"),
        (GOOD, cx.Mean("amount"), {"orders": GOOD}, cx.ParameterError, "leave orders="),
        (GOOD, cx.Mean("amount"), {"alpha": 0.7}, cx.ParameterError, "alpha=0.7"),
        (
            GOOD,
            cx.Mean("amount"),
            {"shares": {"control": 0.5, "new": 0.4}},
            cx.ParameterError,
            "sum to 0.9, not to 1",
        ),
        (
            GOOD,
            cx.Mean("amount"),
            {"shares": {"control": 0.5, "newer": 0.5}},
            cx.ParameterError,
            "no share for 'new'",
        ),
        (
            GOOD,
            cx.Mean("amount"),
            {"shares": {"control": 1.0, "new": 0.0}},
            cx.ParameterError,
            "shares=0.0 is out of range",
        ),
    ],
)
def test_bad_units_end_in_one_clear_error(
    frame: pd.DataFrame, metric: Any, options: dict[str, Any], error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        on_units(frame, metric, **options)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"as_of": None}, cx.ParameterError, "as_of is missing"),
        ({"as_of": "2024-04-30"}, cx.DataError, "200 lie after as_of=2024-04-30"),
        ({"orders": None}, cx.ParameterError, "reads orders; give orders="),
        ({"metrics": [cx.Conversion("view")]}, cx.ParameterError, "reads events; give events="),
        ({"metrics": []}, cx.ParameterError, "at least one"),
        ({"metrics": "purchase"}, cx.ParameterError, "give a list"),
        ({"metrics": cx.Mean("net_revenue")}, cx.ParameterError, "give a list"),
        ({"metrics": ["net_revenue"]}, cx.ParameterError, "'net_revenue' is no metric"),
        (
            {"metrics": [cx.Mean("n_orders"), cx.Mean("n_orders", within="1 day")]},
            cx.ParameterError,
            "more than one is called 'n_orders'",
        ),
        ({"metrics": [cx.Mean("net_revenu")]}, cx.ColumnError, "mean 'net_revenue'"),
        ({"exposures": exposed(4).assign(user_id="u1")}, cx.DataError, "saw one variant only"),
        ({"exposures": exposed(4).assign(variant=None)}, cx.DataError, "'variant' in 4 rows"),
        ({"exposures": exposed(4).drop(columns="variant")}, cx.ColumnError, "'variant'"),
    ],
)
def test_bad_exposures_end_in_one_clear_error(
    changes: dict[str, Any], error: type, message: str
) -> None:
    arguments: dict[str, Any] = {
        "exposures": exposed(),
        "orders": ordered([("u0", "2024-05-01", 1.0)]),
        "metrics": [cx.Mean("net_revenue")],
        "control": "control",
        "as_of": "2024-05-02",
    }
    with pytest.raises(error, match=message):
        cx.experiment(**(arguments | changes))


@pytest.mark.parametrize("wrong", [{"within": "soon"}, {"within": "0 days"}])
def test_a_wrong_window_is_told_when_the_metric_is_declared(wrong: dict[str, Any]) -> None:
    with pytest.raises(cx.ParameterError, match="within="):
        cx.Mean("net_revenue", **wrong)
    with pytest.raises(cx.ParameterError, match="name of an event or a column"):
        cx.Conversion("")


def test_tables_in_two_engines_are_told(tmp_path: Path) -> None:
    first, second = (ibis.duckdb.connect(tmp_path / name) for name in ("a.db", "b.db"))
    exposures = first.create_table("exposures", exposed())
    orders = second.create_table("orders", ordered([("u0", "2024-05-01", 1.0)]))
    with pytest.raises(cx.DataError, match="lie in different engines"):
        cx.experiment(
            exposures,
            orders=orders,
            metrics=[cx.Mean("net_revenue")],
            control="control",
            as_of="2024-05-02",
        )
