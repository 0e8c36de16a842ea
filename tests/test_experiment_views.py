"""Views of an experiment: segments, over time, novelty, distribution, split, verdict and page."""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import cxlib as cx
from cxlib._intervals import wilson

DAY = pd.Timestamp("2024-05-01")
EFFECT = ["n", "n_control", "difference", "ci_low", "ci_high", "lift", "lift_low", "lift_high"]


def on_units(frame: pd.DataFrame, *metrics: Any, **options: Any) -> Any:
    options = {"control": "control", "variant": "variant"} | options
    return cx.experiment(frame, metrics=list(metrics), **options)


@cache
def shop() -> dict[str, pd.DataFrame]:
    """400 users exposed over 10 days, some again, some in two variants, with 40 days of outcomes."""
    rng = np.random.default_rng(21)

    def when(n: int, first: float, last: float) -> pd.Series:
        return DAY + pd.to_timedelta(rng.integers(first * 24, last * 24, n), unit="h")

    users, rows = 400, 3000
    exposures = pd.DataFrame({"user_id": np.arange(users).astype(str)})
    exposures["variant"] = rng.choice(["control", "b", "c"], users)
    exposures["exposed_at"] = when(users, 0, 10)
    exposures["country"] = rng.choice(["at", "be"], users)
    again = exposures.head(30).assign(exposed_at=DAY + pd.Timedelta(days=6, hours=5))
    again.iloc[:3, 1] = ["b", "c", "control"]
    orders = pd.DataFrame(
        {"order_id": np.arange(rows).astype(str), "ordered_at": when(rows, -20, 20)}
    )
    orders["customer_id"] = rng.integers(0, users, rows).astype(str)
    orders["net_revenue"] = rng.gamma(2, 15, rows).round(2)
    events = pd.DataFrame({"user_id": rng.integers(0, users, 600).astype(str), "event": "purchase"})
    events["occurred_at"] = when(600, 0, 20)
    return {"exposures": pd.concat([exposures, again]), "orders": orders, "events": events}


METRICS = [
    cx.Conversion("purchase", within="2 days"),
    cx.Mean(
        "net_revenue", within="3 days", before="14 days", cap=0.95, role="guardrail", margin=-0.2
    ),
    cx.Ratio("net_revenue", "n_orders", name="basket"),
    cx.Quantile("net_revenue", 0.6, name="quantile"),
]


def ask(*metrics: Any, as_of: str = "2024-05-12", **options: Any) -> Any:
    metrics = metrics or tuple(METRICS)
    return cx.experiment(**(shop() | options), metrics=metrics, control="control", as_of=as_of)


# Segments


def test_a_segment_s_rows_are_the_experiment_on_that_segment_alone() -> None:
    rng = np.random.default_rng(2)
    n = 900
    frame = pd.DataFrame({"variant": rng.choice(["control", "b", "c"], n)})
    frame["country"], frame["device"] = rng.choice(["at", "be"], n), rng.choice(["x", "y", "z"], n)
    frame["stratum"] = rng.choice(["1", "2"], n)
    frame["before"], frame["did"] = rng.gamma(3, 2, n), rng.integers(0, 2, n)
    frame["amount"] = frame["before"] + rng.gamma(3, 2, n)
    metrics = [
        cx.Conversion("did"),
        cx.Mean("amount", before="before"),
        cx.Ratio("amount", "before", name="ratio"),
        cx.Quantile("amount", 0.7, name="quantile"),
    ]
    by = ["device", "country", "device"]  # a column given twice counts once
    for strata in (None, "stratum"):
        segments = on_units(frame, *metrics, by=by, stratify=strata).segments
        assert len(segments) == 4 * 2 * 5
        for (column, segment), ours in segments.groupby(["column", "segment"]):
            own = frame[frame[column] == segment]
            theirs = on_units(own, *metrics, stratify=strata).table
            names = [name for name in ours.columns if name in theirs.columns]
            pd.testing.assert_frame_equal(
                ours[names].reset_index(drop=True), theirs[names], rtol=1e-6
            )


def test_segments_look_once_whatever_the_rule_and_are_none_without_by() -> None:
    frame = pd.DataFrame({"variant": ["control", "new"] * 60, "x": np.arange(120.0) % 7})
    frame["half"] = ["a"] * 60 + ["b"] * 60
    plain, looked = (
        on_units(frame, cx.Mean("x"), by="half", **options).segments
        for options in ({}, {"sequential": "always", "planned_units": 900})
    )
    pd.testing.assert_frame_equal(plain, looked)
    assert on_units(frame, cx.Mean("x")).segments is None


def test_segments_of_exposures_are_those_of_the_first_exposure() -> None:
    result = ask(METRICS[2], METRICS[0])
    assert result.segments is None
    options: dict[str, Any] = {"metrics": [METRICS[2]], "control": "control", "as_of": "2024-05-12"}
    segments = cx.experiment(**shop(), by="country", **options).segments
    exposures = shop()["exposures"]
    for row in segments.itertuples():
        own = exposures[exposures["country"] == row.segment]
        theirs = cx.experiment(**(shop() | {"exposures": own}), **options).table
        expected = theirs.set_index("variant").loc[row.variant]
        assert (row.n, row.n_control) == (expected["n"], expected["n_control"])
        assert row.ci_low == pytest.approx(expected["ci_low"])


def test_interaction_of_two_segments_is_the_z_test_of_their_differences() -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"variant": rng.choice(["control", "new"], 800)})
    frame["place"] = rng.choice(["a", "b"], 800)
    new = frame["variant"] == "new"
    frame["x"] = rng.gamma(3, 2, 800) + 1.8 * new * (frame["place"] == "a")
    cells = frame.groupby(["place", "variant"])["x"].agg(["mean", "var", "count"])
    difference = cells["mean"].unstack()["new"] - cells["mean"].unstack()["control"]
    squared = (cells["var"] / cells["count"]).groupby("place").sum()
    z = (difference["a"] - difference["b"]) / math.sqrt(squared.sum())
    result = on_units(frame, cx.Mean("x"), by="place")
    assert result.segments["p_interaction"].tolist() == pytest.approx(
        [2 * stats.norm.sf(abs(z))] * 2
    )
    assert result.segments["p_interaction"].iloc[0] < 0.05


def test_interaction_of_many_segments_is_the_wald_test_of_weighted_least_squares() -> None:
    # Another form of Cochran's Q: residual sum of squares of differences on a constant
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"variant": rng.choice(["control", "b", "c"], 2000)})
    frame["place"] = rng.choice(list("vwxyz"), 2000)
    frame["did"] = rng.random(2000) < 0.3
    segments = on_units(frame, cx.Conversion("did"), by=["place"], adjust="bh").segments
    cells = frame.groupby(["place", "variant"])["did"].agg(["mean", "count"])
    p = cells["mean"]
    error = (p * (1 - p) / (cells["count"] - 1)).unstack()
    for name in ("b", "c"):
        weight = 1 / (error[name] + error["control"]).to_numpy()
        y = (p.unstack()[name] - p.unstack()["control"]).to_numpy()
        q = weight @ y**2 - (weight @ y) ** 2 / weight.sum()
        ours = segments.loc[segments["variant"] == name, "p_interaction"]
        assert ours.tolist() == pytest.approx([stats.chi2.sf(q, 4)] * 5)
    by_test = segments.drop_duplicates("variant")
    theirs = stats.false_discovery_control(by_test["p_interaction"])
    assert by_test["p_interaction_adjusted"].tolist() == pytest.approx(theirs.tolist())


def test_interaction_is_null_where_no_two_segments_can_be_compared() -> None:
    frame = pd.DataFrame({"variant": ["control", "new"] * 40, "x": np.arange(80.0) % 9})
    frame["place"] = ["a"] * 79 + ["b"]
    row = on_units(frame, cx.Mean("x"), by="place").segments.set_index("segment")
    assert row["p_interaction"].isna().all()
    assert row.loc["b", "note"] == "an arm has no units yet"
    assert (row.loc["b", "n"], row.loc["b", "n_control"]) == (1, 0)


def test_interaction_is_uniform_where_the_effect_is_the_same_everywhere() -> None:
    # Simulation with known truth: 300 metrics of one shop, an effect of 1 in every segment
    rng = np.random.default_rng(5)
    n, runs = 600, 300
    frame = pd.DataFrame({"variant": rng.permutation(np.resize(["control", "new"], n))})
    frame["place"] = rng.choice(list("abc"), n)
    lift = (frame["variant"] == "new").to_numpy() + 2.0 * (frame["place"] == "a").to_numpy()
    values = pd.DataFrame(rng.normal(10, 3, (n, runs)) + lift[:, None]).add_prefix("m")
    metrics = [cx.Mean(name) for name in values]
    segments = on_units(pd.concat([frame, values], axis=1), *metrics, by="place").segments
    p_values = segments.drop_duplicates("metric")["p_interaction"]
    assert len(p_values) == runs
    assert stats.kstest(p_values, "uniform").pvalue > 0.01
    low, high = stats.binom.interval(0.999, runs, 0.05)
    assert low <= (p_values < 0.05).sum() <= high
    adjusted = segments.drop_duplicates("metric")["p_interaction_adjusted"]
    assert (adjusted < 0.05).sum() <= 1


# Over time


def test_each_date_is_the_experiment_asked_that_day() -> None:
    found = ask().over_time(n_dates=5)
    assert list(found.columns) == ["metric", "variant", "date", *EFFECT]
    assert found["metric"].drop_duplicates().tolist() == [metric.label for metric in METRICS]
    days = sorted(found["date"].unique())
    assert days[-1] == pd.Timestamp("2024-05-12")
    assert len(days) <= 5
    assert {(b - a).days for a, b in zip(days, days[1:], strict=False)} == {3}
    exposures = shop()["exposures"]
    for day in days:
        so_far = exposures[exposures["exposed_at"] < day + pd.Timedelta(days=1)]
        theirs = ask(as_of=day.date(), exposures=so_far).table
        theirs = theirs[theirs["ci_low"].notna()].reset_index(drop=True)
        ours = found[found["date"] == day].reset_index(drop=True)
        names = ["metric", "variant", *EFFECT]
        pd.testing.assert_frame_equal(ours[names], theirs[names], rtol=1e-7)


@pytest.mark.parametrize("by", [None, "country"])
def test_the_last_date_is_the_result_s_own(by: str | None) -> None:
    result = cx.experiment(
        **shop(),
        metrics=METRICS[:2],
        control="control",
        as_of="2024-05-12",
        by=by,
        stratify="country",
    )
    last = result.over_time(n_dates=1)
    assert (last["date"] == pd.Timestamp("2024-05-12")).all()
    pd.testing.assert_frame_equal(last[EFFECT], result.table[EFFECT], rtol=1e-7)


def test_with_planned_units_the_band_over_time_is_a_confidence_sequence() -> None:
    # The band on each date is the table that sequential="always" gives that day
    options: dict[str, Any] = {"control": "control", "as_of": "2024-05-12", "metrics": METRICS[2:3]}
    for given in ({}, {"looks": [0.1]}, {"sequential": "always"}):
        planned = cx.experiment(**shop(), **options, planned_units=600, **given)
        band = planned.over_time(n_dates=3)
        always = cx.experiment(**shop(), **options, planned_units=600, sequential="always")
        last = band[band["date"] == band["date"].max()].reset_index(drop=True)
        pd.testing.assert_frame_equal(last[EFFECT], always.table[EFFECT], rtol=1e-7)
    plain = cx.experiment(**shop(), **options).over_time(n_dates=3)
    assert (plain["ci_low"] > band["ci_low"]).all()
    assert plain["difference"].tolist() == pytest.approx(band["difference"].tolist())


def test_days_on_which_nobody_or_one_arm_was_there_are_left_away() -> None:
    exposures = pd.DataFrame({"user_id": range(60), "variant": ["control"] * 30 + ["new"] * 30})
    exposures["exposed_at"] = [DAY] * 30 + [DAY + pd.Timedelta(days=3)] * 30
    orders = pd.DataFrame(
        {"order_id": range(60), "customer_id": range(60), "net_revenue": range(60)}
    )
    orders["ordered_at"] = exposures["exposed_at"]
    result = cx.experiment(
        exposures,
        orders=orders,
        metrics=[cx.Mean("net_revenue")],
        control="control",
        as_of="2024-05-06",
    )
    dates = result.over_time()["date"].dt.day.tolist()
    assert dates == [4, 5, 6]


def test_views_over_time_need_times_and_a_number_of_days_in_range() -> None:
    result = on_units(
        pd.DataFrame({"variant": ["control", "new"] * 40, "x": range(80)}), cx.Mean("x")
    )
    for view in (result.over_time, result.novelty):
        with pytest.raises(cx.ParameterError, match="needs times"):
            view()
    timed = ask(METRICS[3])
    with pytest.raises(cx.ParameterError, match="n_dates=0 is out of range"):
        timed.over_time(n_dates=0)
    with pytest.raises(cx.ParameterError, match="n_days=91 is out of range"):
        timed.novelty(n_days=91)
    with pytest.raises(cx.ParameterError, match="a metric that adds up"):
        timed.novelty()


# By day since exposure


def test_novelty_days_add_up_to_the_metric_within_so_many_days() -> None:
    # All windows are over by the last day, so that every day holds the same units
    week = {"within": "5 days"}
    whole = ask(
        cx.Mean("net_revenue", **week, name="a"),
        cx.Conversion("order", **week, name="b"),
        as_of="2024-05-20",
    )
    days = ask(
        cx.Mean("net_revenue", cap=0.9, before="7 days", name="a"),
        cx.Conversion("order", name="b"),
        cx.Quantile("net_revenue", 0.5, name="left out"),
        as_of="2024-05-20",
    ).novelty(n_days=5)
    assert list(days.columns) == ["metric", "variant", "day", *EFFECT]
    assert days["day"].tolist() == list(range(5)) * 4
    summed = days.groupby(["metric", "variant"])["difference"].sum()
    expected = whole.table.set_index(["metric", "variant"])["difference"]
    assert summed.tolist() == pytest.approx(expected[summed.index].tolist())


def test_a_novelty_day_is_what_each_user_did_on_it_by_brute_force() -> None:
    days = ask(METRICS[2], METRICS[0], cx.Mean("n_orders")).novelty(n_days=4)
    data, end = shop(), pd.Timestamp("2024-05-13")
    users = (
        data["exposures"]
        .groupby("user_id")
        .agg(variant=("variant", "first"), seen=("variant", "nunique"), start=("exposed_at", "min"))
    )
    users = users[users["seen"] == 1]
    orders = data["orders"].join(users, on="customer_id", how="inner")
    orders["day"] = (orders["ordered_at"] - orders["start"]) // pd.Timedelta(days=1)
    bought = data["events"].join(users, on="user_id", how="inner")
    bought["day"] = (bought["occurred_at"] - bought["start"]) // pd.Timedelta(days=1)
    first = bought[bought["day"] >= 0].groupby("user_id")["day"].min()
    for row in days.itertuples():
        over = users[users["start"] + pd.Timedelta(days=row.day + 1) <= end]
        on_day = orders[orders["day"] == row.day].groupby("customer_id")["net_revenue"]
        frame = over.assign(
            revenue=on_day.sum().reindex(over.index).fillna(0.0),
            n_orders=on_day.size().reindex(over.index).fillna(0.0),
            purchase=(first.reindex(over.index) == row.day).astype(int),
        )
        declared = {
            "basket": cx.Ratio("revenue", "n_orders"),
            "purchase": cx.Conversion("purchase"),
            "n_orders": cx.Mean("n_orders"),
        }
        theirs = on_units(frame, declared[row.metric]).table.set_index("variant").loc[row.variant]
        ours = days.loc[row.Index, EFFECT].astype(float).tolist()
        assert ours == pytest.approx(theirs[EFFECT].astype(float).tolist(), rel=1e-7, abs=1e-9)


# How a metric is spread


def edges_of(found: pd.DataFrame) -> np.ndarray:
    first = found[found["variant"] == found["variant"].iloc[0]]
    return np.array([*first["low"], first["high"].iloc[-1]])


@pytest.mark.parametrize("n_bins", [2, 7, 20, 58])
@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, n: rng.gamma(2, 3, n),
        lambda rng, n: np.resize(np.arange(11.0), n),  # whole numbers on the edges of bins
        lambda rng, n: rng.integers(0, 40, n) * 0.1 - 1.3,
        lambda rng, n: rng.lognormal(0, 3, n) * 1e-9,
    ],
)
def test_a_distribution_is_numpy_s_histogram(n_bins: int, draw: Callable[..., Any]) -> None:
    rng = np.random.default_rng(6)
    frame = pd.DataFrame({"variant": rng.choice(["control", "b", "c"], 700)})
    frame["x"] = draw(rng, 700)
    frame.loc[:9, "x"] = None
    found = on_units(frame, cx.Mean("x", cap=0.9)).distribution(n_bins=n_bins)
    known = frame.dropna()
    edges = edges_of(found)
    expected = np.linspace(known["x"].min(), np.quantile(known["x"], 0.99), n_bins + 1)
    assert edges[:-1].tolist() == pytest.approx(expected[:-1].tolist(), rel=1e-12, abs=1e-24)
    assert edges[-1] == known["x"].max()
    for variant, own in known.groupby("variant"):
        counts, _ = np.histogram(own["x"], edges)
        ours = found[found["variant"] == variant]
        assert ours["n_units"].tolist() == counts.tolist()
        assert ours["n_units"].sum() == len(own)
        assert ours["share"].sum() == pytest.approx(1)
        assert (ours["metric"] == "x").all()


def test_a_distribution_of_exposures_holds_each_user_who_counts_once() -> None:
    result = ask(METRICS[2], METRICS[1], cx.Conversion("order", within="6 days"))
    revenue = result.distribution(n_bins=6)  # the first metric that is no ratio
    assert (revenue["metric"] == "net_revenue").all()
    arms = result.arms.set_index(["metric", "variant"])["n"]
    for label, found in (("net_revenue", revenue), ("order", result.distribution("order"))):
        counted = found.groupby("variant")["n_units"].sum()
        assert counted.to_dict() == arms.loc[label].to_dict()
    rate = result.distribution("order").groupby("variant")["share"].last()
    values = result.arms.set_index(["metric", "variant"])["value"].loc["order"]
    assert rate.to_dict() == pytest.approx(values.to_dict())


def test_a_distribution_in_its_corners() -> None:
    frame = pd.DataFrame({"variant": ["control", "new"] * 40, "x": 3.0, "y": 1.0})
    one = on_units(frame, cx.Mean("x")).distribution()
    assert one[["low", "high", "n_units", "share"]].to_numpy().tolist() == [[3.0, 3.0, 40, 1.0]] * 2
    rare = frame.assign(x=[5.0] + [0.0] * 79)  # the 99 % quantile is the least value
    found = on_units(rare, cx.Mean("x")).distribution(n_bins=2)
    assert found["n_units"].tolist() == [39, 1, 40, 0]
    empty = on_units(frame.assign(x=np.nan), cx.Mean("x"), cx.Mean("y")).distribution()
    assert empty.empty
    with pytest.raises(cx.ParameterError, match="a ratio has two"):
        on_units(frame, cx.Ratio("x", "y")).distribution()
    with pytest.raises(cx.ParameterError, match="metric='z' is not one of x"):
        on_units(frame, cx.Mean("x")).distribution("z")
    with pytest.raises(cx.ParameterError, match="n_bins=1 is out of range"):
        on_units(frame, cx.Mean("x")).distribution(n_bins=1)


# The split


def test_the_split_has_wilson_s_interval_of_each_share_and_the_planned_one() -> None:
    frame = pd.DataFrame({"variant": ["control"] * 50 + ["b"] * 30 + ["c"] * 20, "x": range(100)})
    shares = {"control": 0.4, "b": 0.3, "c": 0.2, "lost": 0.1}
    split = on_units(frame, cx.Mean("x"), shares=shares, alpha=0.1).split
    assert split["variant"].tolist() == ["control", "b", "c", "lost"]
    assert split["n_units"].tolist() == [50, 30, 20, 0]
    assert split["planned_share"].tolist() == [0.4, 0.3, 0.2, 0.1]
    share, low, high = wilson([50, 30, 20, 0], 100, 0.1)
    z = stats.norm.isf(0.05)
    assert high[3] == pytest.approx(z * z / (100 + z * z))  # Wilson 1927 at 0 of n
    for name, numbers in {"share": share, "ci_low": low, "ci_high": high}.items():
        assert split[name].tolist() == pytest.approx(numbers.tolist())
    assert on_units(frame, cx.Mean("x")).split["planned_share"].tolist() == [1 / 3] * 3


# The verdict and the page


def units(**lifts: dict[str, float]) -> pd.DataFrame:
    """1,000 units of control and of each variant; each metric 10 +- 1 times 1 + its lift."""
    noise = stats.norm.ppf((np.arange(1000) + 0.5) / 1000)
    names = sorted({name for own in lifts.values() for name in own})
    arms = [
        pd.DataFrame({name: (10 + noise) * (1 + own.get(name, 0.0)) for name in names}).assign(
            variant=variant
        )
        for variant, own in {"control": {}, **lifts}.items()
    ]
    return pd.concat(arms, ignore_index=True)


SALES, SPEED = cx.Mean("sales"), cx.Mean("speed", role="guardrail", margin=-0.02)
WAIT = cx.Mean("wait", role="guardrail", margin=0.02)
# the standard error of a lift is 0.45 %, of a difference 0.045


@pytest.mark.parametrize(
    ("lifts", "metrics", "verdict"),
    [
        ({"b": {"sales": 0.03, "speed": 0.0}}, [SALES, SPEED], "Ship b: sales rises"),
        (
            {"b": {"sales": 0.03, "speed": -0.015}},
            [SALES, SPEED],
            "Keep running: speed of b is not yet shown to stay within its margin (lift -1.5%",
        ),
        ({"b": {"sales": 0.03, "speed": -0.05}}, [SALES, SPEED], "Do not ship b: speed falls"),
        (
            {"b": {"sales": 0.03, "speed": -0.01}},
            [SALES, SPEED],
            "Ship b: sales rises",  # shown to fall, but within its margin
        ),
        ({"b": {"sales": 0.03, "wait": 0.05}}, [SALES, WAIT], "Do not ship b: wait rises"),
        (
            {"b": {"sales": 0.03, "wait": 0.015}},
            [SALES, WAIT],
            "Keep running: wait of b is not yet",
        ),
        ({"b": {"sales": 0.03, "wait": -0.05}}, [SALES, WAIT], "Ship b: sales rises"),
        ({"b": {"sales": 0.0, "speed": 0.05}}, [SALES, SPEED], "Keep running: no variant is shown"),
        (
            {"b": {"sales": 0.03, "other": -0.03}},
            [SALES, cx.Mean("other")],
            "Do not ship b: other falls",
        ),
        (
            {"b": {"sales": 0.03, "other": -0.03}},
            [SALES, cx.Mean("other", role="guardrail")],
            "Do not ship b: other falls",
        ),
        (
            {"b": {"sales": 0.0, "other": 0.03}},
            [SALES, cx.Mean("other")],
            "Keep running: no variant is shown to lift sales",
        ),
        (
            {"b": {"sales": 0.0, "other": 0.03}},
            [SALES, cx.Mean("other", role="primary")],
            "Ship b: other rises",
        ),
        ({"b": {"wait": -0.03}}, [cx.Mean("wait", margin=0.02)], "Ship b: wait falls"),
        ({"b": {"wait": 0.03}}, [cx.Mean("wait", margin=0.02)], "Do not ship b: wait rises"),
        (
            {"b": {"wait": 0.0}},
            [cx.Mean("wait", margin=0.02)],
            "Keep running: no variant is shown to lower wait (b: wait stays",
        ),
        ({"b": {"sales": 0.03}, "c": {"sales": 0.04}}, [SALES], "Ship c: sales rises"),
        ({"b": {"sales": 0.03}, "c": {"sales": -0.04}}, [SALES], "Ship b: sales rises"),
        (
            {"b": {"sales": 0.03, "speed": 0.0}, "c": {"sales": 0.05, "speed": -0.05}},
            [SALES, SPEED],
            "Ship b: sales rises",
        ),
        (
            {"b": {"sales": -0.03}, "c": {"sales": 0.0}},
            [SALES],
            "Keep running: no variant is shown",
        ),
        ({"b": {"sales": -0.03}, "c": {"sales": -0.05}}, [SALES], "Do not ship c: sales falls"),
        ({"b": {"sales": 0.03}, "c": {"other": -0.05}}, [SALES, cx.Mean("other")], "Ship b: sales"),
    ],
)
def test_verdicts_follow_roles_and_margins(
    lifts: dict[str, dict[str, float]], metrics: list[Any], verdict: str
) -> None:
    assert on_units(units(**lifts), *metrics).verdict.startswith(verdict)


def test_a_verdict_follows_adjusted_p_values() -> None:
    # a lift of 1 % is 2.2 standard errors: p = 0.026, four times that by Holm
    frame = units(b={"sales": 0.01, "w": 0.0, "x": 0.0, "y": 0.0})
    metrics = [SALES, cx.Mean("w"), cx.Mean("x"), cx.Mean("y")]
    assert on_units(frame, *metrics).verdict.startswith("Keep running: no variant is shown to lift")
    alone = on_units(frame, *metrics, adjust=None)
    assert alone.verdict.startswith("Ship b: sales rises")
    assert "Holm" not in alone.verdict
    assert (
        "Benjamini-Hochberg-adjusted 95% interval" in on_units(frame, *metrics, adjust="bh").verdict
    )


def test_a_verdict_waits_for_the_boundary_of_a_sequential_rule() -> None:
    frame = units(b={"sales": 0.012})  # 2.7 standard errors
    assert on_units(frame, SALES).verdict.startswith("Ship b")
    for options in ({"looks": [0.1]}, {"sequential": "always"}):
        early = on_units(frame, SALES, planned_units=6000, **options)
        assert early.verdict.startswith("Keep running: no variant is shown to lift sales")
    over = on_units(frame, SALES, planned_units=2000, looks=[0.5])
    assert over.verdict.startswith("Ship b")


def test_the_page_says_verdict_failed_checks_and_every_row() -> None:
    frame = units(b={"sales": 0.03, "speed": -0.015}, c={"sales": 0.0, "speed": 0.0})
    result = on_units(frame, SALES, SPEED, alpha=0.1, adjust="bh")
    page = result._repr_html_()
    assert page.startswith(f"<p><strong>{html.escape(result.verdict)}</strong></p><table")
    assert page.count("<tr>") + page.count("<tr ") == 1 + 4
    for words in (
        "90% interval",
        "Benjamini-Hochberg-adjusted p",
        "chance to beat control",
    ):
        assert words in page
    assert "1,000 vs 1,000" in page
    assert "<th>note</th>" not in page
    withheld = on_units(frame.iloc[:-300], SALES)._repr_html_()
    assert withheld.count("<table") == 2
    assert withheld.index("Cannot be trusted") < withheld.index("sample ratio</td>")


def test_rows_finer_than_units_have_no_distribution_of_one_quantity() -> None:
    frame = pd.DataFrame(
        {
            "user": [k // 2 for k in range(400)],
            "variant": ["a", "a", "b", "b"] * 100,
            "y": range(400),
        }
    )
    result = cx.experiment(
        frame, variant="variant", unit="user", control="a", metrics=[cx.Mean("y")]
    )
    with pytest.raises(cx.ParameterError, match="any metric of rows that are finer than units"):
        result.distribution()
