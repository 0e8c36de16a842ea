"""Planning: power against published figures, other packages and simulation; each answer leads back."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import NormalIndPower, TTestIndPower
from statsmodels.stats.proportion import power_proportions_2indep

import cxlib as cx
from cxlib.experiment.power import (
    Baseline,
    Design,
    detectable,
    means_power,
    power_of,
    rates_power,
    units_needed,
)

GOLDEN = Path(__file__).parent / "golden" / "experiment.json"
CASES: dict[str, dict[str, Any]] = {
    case["id"]: case for case in json.loads(GOLDEN.read_text(encoding="utf-8"))
}
BOUGHT = cx.Conversion("purchase")
REVENUE = cx.Mean("net_revenue")
SPEND = {"mean": 40, "sd": 95}


def line(*arguments: Any, **options: Any) -> pd.Series:
    return cx.plan_experiment(*arguments, **options).table.iloc[0]


# Published figures


@pytest.mark.parametrize("case", ["power_2prop_R", "power_2prop_stata"])
def test_power_of_two_rates_as_published(case: str) -> None:
    given, expected = CASES[case]["inputs"], CASES[case]["expected"]
    plan = line(
        BOUGHT,
        given["p1"],
        mde_absolute=given["p2"] - given["p1"],
        n_units=2 * given["n_per_arm"],
        alpha=given["alpha"],
    )
    assert plan["power"] == pytest.approx(expected["power"], abs=CASES[case]["tolerance"])


def test_a_rate_may_stand_in_a_dict() -> None:
    assert line(BOUGHT, {"mean": 0.1}, mde=0.1)["n_units"] == line(BOUGHT, 0.1, mde=0.1)["n_units"]


def test_units_as_power_2prop_r() -> None:
    given = CASES["power_2prop_R"]["inputs"]
    plan = line(BOUGHT, given["p1"], mde=0.5, power=0.9)
    assert plan["n_control"] == pytest.approx(given["n_per_arm"], abs=1e-5)


def test_units_as_evanmiller_n_001() -> None:
    given, expected = (CASES["evanmiller_n_0.01"][part] for part in ("inputs", "expected"))
    plan = line(
        BOUGHT,
        given["baseline"],
        mde_absolute=given["mde_absolute"],
        alpha=given["alpha"],
        power=given["power"],
        null="control",
    )
    assert round(plan["n_control"]) == expected["n_per_branch"]


# Other packages beside ours


@pytest.mark.parametrize("share", [0.5, 0.2, 0.9])
@pytest.mark.parametrize(("rate", "difference"), [(0.1, 0.02), (0.1, -0.03), (0.9, 0.02)])
def test_rates_as_statsmodels(rate: float, difference: float, share: float) -> None:
    n = 3000 * share
    theirs = power_proportions_2indep(difference, rate, n, ratio=(1 - share) / share).power
    plan = line(BOUGHT, rate, mde_absolute=difference, n_units=3000, share=share)
    assert plan["power"] == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize(("power", "effect"), [(0.8, 0.5), (0.95, 0.05), (0.5, 1.2)])
def test_means_as_statsmodels(power: float, effect: float) -> None:
    plan = line(REVENUE, {"mean": 1, "sd": 1}, mde=effect, power=power)
    theirs = TTestIndPower().solve_power(effect, power=power, alpha=0.05)
    assert plan["n_control"] == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize("effect", [0.5, 0.05])
def test_the_normal_asks_for_about_one_unit_less_in_each_arm(effect: float) -> None:
    plan = line(REVENUE, {"mean": 1, "sd": 1}, mde=effect)
    theirs = NormalIndPower().solve_power(effect, power=0.8, alpha=0.05)
    assert plan["n_control"] - theirs == pytest.approx(stats.norm.isf(0.025) ** 2 / 4, abs=0.03)


# Simulation with known truth


def test_rates_as_simulated() -> None:
    rng, n, n_control = np.random.default_rng(1), 900, 2100
    rate, rate_control = (
        rng.binomial(n, 0.13, 40_000) / n,
        rng.binomial(n_control, 0.1, 40_000) / (n_control),
    )
    pooled = (rate * n + rate_control * n_control) / (n + n_control)
    z = (rate - rate_control) / np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / n_control))
    found = (2 * stats.norm.sf(abs(z)) < 0.05).mean()
    plan = line(BOUGHT, 0.1, mde=0.3, n_units=3000, share=0.3)
    assert plan["power"] == pytest.approx(found, abs=0.01)  # binomials are not quite normal


def test_means_as_simulated() -> None:
    rng, runs = np.random.default_rng(2), 20_000
    arm, control = rng.normal(13, 4, (8, runs)), rng.normal(10, 4, (12, runs))
    found = (stats.ttest_ind(arm, control, equal_var=False).pvalue < 0.05).mean()
    plan = line(REVENUE, {"mean": 10, "sd": 4}, mde=0.3, n_units=20, share=0.4)
    assert plan["power"] == pytest.approx(found, abs=4 * math.sqrt(0.25 / runs))


def test_ratio_as_simulated() -> None:
    """The delta method's variance from moments, against ratios of simulated samples."""
    rng, units, runs = np.random.default_rng(3), 400, 4000
    orders = 1 + rng.poisson(2, (units, runs))
    revenue = 20 * orders + rng.normal(0, 30, (units, runs))
    moments = {
        "numerator": (60, math.sqrt(400 * 2 + 900)),
        "denominator": (3, math.sqrt(2)),
        "correlation": 20 * 2 / math.sqrt((400 * 2 + 900) * 2),
    }
    plan = line(cx.Ratio("net_revenue", "n_orders"), moments, mde=0.05)
    assert plan["baseline"] == pytest.approx(20)
    simulated = np.var(revenue.sum(0) / orders.sum(0)) * units
    assert plan["variance"] == pytest.approx(simulated, rel=0.08)


def test_cuped_as_simulated() -> None:
    rng, runs, n = np.random.default_rng(4), 4000, 60
    before = rng.normal(0, 1, (2 * n, runs))
    after = 10 + 3 * (0.7 * before + math.sqrt(1 - 0.49) * rng.normal(0, 1, (2 * n, runs)))
    after[:n] += 1
    adjusted = after - 3 * 0.7 * before
    found = (stats.ttest_ind(adjusted[:n], adjusted[n:]).pvalue < 0.05).mean()
    plan = line(REVENUE, {"mean": 10, "sd": 3}, mde=0.1, n_units=2 * n, correlation=-0.7)
    assert plan["saving"] == pytest.approx(0.49)
    assert plan["power"] == pytest.approx(found, abs=4 * math.sqrt(0.25 / runs))


def test_cuped_saves_its_share_of_the_units() -> None:
    """1 - correlation^2 of the variance, so of the units (Deng et al. 2013), for a rate as well."""
    plain, saved = (line(REVENUE, SPEND, mde=0.01, correlation=r) for r in (None, 0.6))
    assert saved["n_units"] / plain["n_units"] == pytest.approx(0.64, rel=1e-4)
    plain, saved = (line(BOUGHT, 0.1, mde=0.01, correlation=r) for r in (None, 0.6))
    assert saved["n_units"] / plain["n_units"] == pytest.approx(0.64, rel=1e-3)


# Each answer leads back


@settings(max_examples=60)
@given(
    kind=st.sampled_from(["rate", "saved rate", "mean"]),
    mean=st.floats(1e-4, 0.95),
    lift=st.floats(0.001, 1),
    spread=st.floats(0.1, 30),
    power=st.floats(0.3, 0.999),
    alpha=st.sampled_from([0.001, 0.05, 0.2]),
    share=st.floats(0.05, 0.95),
)
def test_units_effect_and_power_are_each_the_others_inverse(
    kind: str, mean: float, lift: float, spread: float, power: float, alpha: float, share: float
) -> None:
    difference = lift * mean
    assume(kind == "mean" or mean + difference < 1)
    variance = (spread * mean) ** 2 if kind == "mean" else mean * (1 - mean)
    base = Baseline(kind != "mean", mean, variance, 0.3 if kind == "saved rate" else 0.0)
    design = Design(share, 1 - share, alpha)
    units = units_needed(base, difference, power, design)
    assume(units > 2.001 / min(share, 1 - share))
    assert power_of(base, difference, units, design) == pytest.approx(power, rel=1e-6)
    assert detectable(base, units, power, design) == pytest.approx(difference, rel=1e-6)


@settings(max_examples=15)
@given(mde=st.floats(0.005, 0.5), power=st.floats(0.3, 0.99), traffic=st.floats(10, 1e5))
def test_days_lead_back_to_the_effect(mde: float, power: float, traffic: float) -> None:
    options: dict[str, Any] = {"share": {"A": 0.5, "B": 0.3, "C": 0.2}, "units_per_day": traffic}
    days = line(REVENUE, SPEND, mde=mde, power=power, **options)["days"]
    assert line(REVENUE, SPEND, days=days, power=power, **options)["lift"] == pytest.approx(
        mde, rel=1e-6
    )
    assert line(REVENUE, SPEND, days=days, mde=mde, **options)["power"] == pytest.approx(
        power, rel=1e-6
    )


@settings(max_examples=40)
@given(rate=st.floats(0.001, 0.9), lift=st.floats(0.01, 0.1), n=st.floats(50, 1e6))
def test_power_grows_with_units_and_with_the_effect(rate: float, lift: float, n: float) -> None:
    for base in (Baseline(True, rate, rate * (1 - rate)), Baseline(False, rate, rate)):
        design = Design(0.5, 0.5, 0.05)
        power = power_of(base, rate * lift, n, design)
        assert power <= power_of(base, rate * lift, 1.5 * n, design) + 1e-12
        assert power <= power_of(base, rate * lift * 1.1, n, design) + 1e-12
        assert 0 <= power <= 1


def test_power_of_nothing_is_alpha() -> None:
    assert rates_power(0.2, 0.2, 100, 300, 0.05) == pytest.approx(0.05)
    assert means_power(0, 2, 2, 100, 300, 0.05) == pytest.approx(0.05)


def test_power_is_a_number_where_scipy_has_none() -> None:
    """scipy's non-central t gives no number for the far tail of few units and a huge effect."""
    assert means_power(60, 1, 1, 2, 2, 0.001) == pytest.approx(1, abs=0.1)


# Variants, shares, adjustment


def test_several_treatments_share_alpha() -> None:
    """As many units for each pair as two variants need at alpha / 3."""
    four = cx.plan_experiment(BOUGHT, 0.1, mde=0.1, variants=4)
    pair = line(BOUGHT, 0.1, mde=0.1, alpha=0.05 / 3)
    assert four.table["n_units"].iloc[0] == pytest.approx(2 * pair["n_units"])
    assert four.arms["variant"].tolist() == ["control", "treatment 1", "treatment 2", "treatment 3"]
    assert four.arms["n_units"].sum() == pytest.approx(four.table["n_units"].iloc[0])
    assert "(0.0167 for each comparison)" in four.verdict


def test_metrics_share_alpha_and_none_does_not() -> None:
    assert line(BOUGHT, 0.1, mde=0.1, n_metrics=5)["alpha_each"] == pytest.approx(0.01)
    assert line(BOUGHT, 0.1, mde=0.1, variants=3, adjust=None)["alpha_each"] == 0.05


def test_the_smallest_treatment_sets_the_plan() -> None:
    plan = cx.plan_experiment(BOUGHT, 0.1, mde=0.1, share=[0.5, 0.4, 0.1], adjust=None)
    small = line(BOUGHT, 0.1, mde=0.1, share=1 / 6)
    assert plan.table["n_units"].iloc[0] * 0.6 == pytest.approx(small["n_units"])
    assert plan.arms["variant"].tolist() == ["control", "treatment 1", "treatment 2"]


def test_numbers_of_numpy_are_numbers() -> None:
    plan = line(BOUGHT, np.float32(0.5), mde=0.1, variants=np.int64(3))
    assert plan["n_units"] == pytest.approx(line(BOUGHT, 0.5, mde=0.1, variants=3)["n_units"])
    assert line(BOUGHT, 0.5, mde=0.1, share=np.float32(0.5))["n_control"] > 0


def test_named_shares_put_control_first() -> None:
    plan = cx.plan_experiment(BOUGHT, 0.1, n_units=1000, share={"old": 0.8, "new": 0.2})
    assert plan.arms.to_dict("list") == {
        "variant": ["old", "new"],
        "share": [0.8, 0.2],
        "n_units": [800, 200],
    }
    assert plan.table[["n_control", "n_treatment"]].iloc[0].tolist() == [800, 200]


# What comes back


def test_one_row_says_it_all() -> None:
    metric = cx.Conversion("purchase", within="7 days")
    plan = cx.plan_experiment(metric, 0.05, mde=-0.1, units_per_day=1000)
    row = plan.table.iloc[0]
    assert row["kind"] == "proportion"
    assert row["target"] == pytest.approx(0.045)
    assert row["power"] == 0.8
    assert row["days"] == pytest.approx(row["n_units"] / 1000)
    assert row["days_after"] == 7
    assert "lift of -10% in purchase, from 5% to 4.5%, with 80% power" in plan.verdict
    assert plan.verdict.endswith("units a day, and 7 more until the last window is over.")
    assert plan.verdict in repr(plan)
    assert plan.verdict in plan._repr_html_()


def test_the_curve_holds_the_plan() -> None:
    plan = cx.plan_experiment(BOUGHT, 0.6, mde=0.5)
    row, curve = plan.table.iloc[0], plan.curve
    assert list(curve) == ["n_units", "lift", "difference", "power", "is_plan"]
    chosen = curve[curve["is_plan"]].iloc[0]
    assert chosen[["n_units", "lift"]].tolist() == pytest.approx([row["n_units"], row["lift"]])
    assert chosen["power"] == pytest.approx(row["power"])
    assert (curve["difference"] <= 0.4 + 1e-9).all()  # no rate above 1
    assert curve.groupby("n_units")["power"].apply(lambda p: p.is_monotonic_increasing).all()


def test_a_mean_of_zero_has_differences_and_no_lift() -> None:
    plan = cx.plan_experiment(REVENUE, {"mean": 0, "sd": 1}, mde_absolute=0.1)
    assert math.isnan(plan.table["lift"].iloc[0])
    assert "detect a difference of 0.1 in net_revenue" in plan.verdict


def test_a_huge_effect_never_plans_less_than_two_units_in_an_arm() -> None:
    assert line(REVENUE, {"mean": 1, "sd": 1}, mde=1e4)["n_units"] == pytest.approx(4)


def test_before_without_a_correlation_is_said() -> None:
    metric = cx.Mean("net_revenue", before="28 days")
    assert "planned without CUPED's saving" in line(metric, SPEND, mde=0.1)["note"]


# History


def past(users: int = 400, seed: int = 5) -> dict[str, pd.DataFrame]:
    """Visits and orders of 60 days, users differing in how much they spend."""
    rng = np.random.default_rng(seed)
    start = pd.Timestamp("2024-03-01")
    taste = rng.gamma(2, 1, users)
    who = rng.integers(0, users, 6000)
    visits = pd.DataFrame({"user_id": who.astype(str), "event": "view"})
    visits["occurred_at"] = start + pd.to_timedelta(rng.uniform(0, 60 * 86400, 6000), unit="s")
    buyers = rng.choice(users, 3000, p=taste / taste.sum())
    orders = pd.DataFrame(
        {"order_id": np.arange(3000).astype(str), "customer_id": buyers.astype(str)}
    )
    orders["ordered_at"] = start + pd.to_timedelta(rng.uniform(0, 60 * 86400, 3000), unit="s")
    orders["net_revenue"] = (20 * taste[buyers] + rng.normal(0, 5, 3000)).round(2)
    return {"events": visits, "orders": orders}


def by_hand(data: dict[str, pd.DataFrame], first: str, within: int, before: int) -> pd.DataFrame:
    """Each visitor's revenue after and before the first visit from ``first`` on, one at a time."""
    orders, visits = data["orders"], data["events"]
    end, rows = pd.Timestamp("2024-04-30"), []
    for user, seen in visits[visits["occurred_at"] >= first].groupby("user_id"):
        at = seen["occurred_at"].min()
        own = orders[orders["customer_id"] == user]
        after = (own["ordered_at"] >= at) & (own["ordered_at"] < at + pd.Timedelta(days=within))
        past = (own["ordered_at"] < at) & (own["ordered_at"] >= at - pd.Timedelta(days=before))
        known = at + pd.Timedelta(days=within) <= end
        rows.append(
            (own.loc[after, "net_revenue"].sum(), own.loc[past, "net_revenue"].sum(), known)
        )
    return pd.DataFrame(rows, columns=["after", "before", "known"])


def test_history_shows_mean_variance_saving_and_traffic() -> None:
    """Against brute force; 30 days of April enter, after 28 days that fill ``before`` and more."""
    data = past()
    metric = cx.Mean("net_revenue", within="14 days", before="28 days")
    row = line(metric, data["events"], orders=data["orders"], as_of="2024-04-29", mde=0.1)
    units = by_hand(data, "2024-03-30", 14, 28)
    known = units[units["known"]]
    assert row["baseline"] == pytest.approx(known["after"].mean())
    assert row["variance"] == pytest.approx(known["after"].var())
    assert row["saving"] == pytest.approx(known["after"].corr(known["before"]) ** 2)
    assert row["saving"] > 0.2
    assert row["units_per_day"] == pytest.approx(len(units) / 31)
    assert row["days"] == pytest.approx(row["n_units"] / row["units_per_day"])
    assert row["days_after"] == 14
    assert row["note"] == f"of {len(known)} units of history"


def test_history_of_orders_alone() -> None:
    """Units are customers, and enter from ``start`` on."""
    orders = past()["orders"]
    metric = cx.Mean("n_orders", within="7 days")
    row = line(metric, orders, start="2024-04-01", as_of="2024-04-29", n_units=500)
    late = orders[orders["ordered_at"] >= "2024-04-01"]
    assert row["units_per_day"] == pytest.approx(late["customer_id"].nunique() / 29)
    assert row["baseline"] > 1  # each unit enters by an order


def test_history_of_a_conversion_and_of_a_ratio() -> None:
    data = past()
    bought = cx.Conversion("order", within="7 days")
    options: dict[str, Any] = {"orders": data["orders"], "as_of": "2024-04-29", "mde": 0.1}
    row, units = line(bought, data["events"], **options), by_hand(data, "2024-03-01", 7, 1)
    rate = (units.loc[units["known"], "after"] > 0).mean()
    assert row["baseline"] == pytest.approx(rate, abs=0.005)  # some orders are below zero
    assert row["variance"] == pytest.approx(row["baseline"] * (1 - row["baseline"]))
    assert row["n_units"] == pytest.approx(line(bought, row["baseline"], mde=0.1)["n_units"])
    row = line(cx.Ratio("net_revenue", "n_orders"), data["events"], **options)
    assert row["kind"] == "ratio"
    assert 20 < row["baseline"] < 80


def test_history_of_exposures_needs_no_variant() -> None:
    data = past()
    seen = data["events"].rename(columns={"occurred_at": "exposed_at"})[["user_id", "exposed_at"]]
    options: dict[str, Any] = {"orders": data["orders"], "as_of": "2024-04-29", "n_units": 1000}
    metric = cx.Mean("net_revenue", within="7 days")
    ours, theirs = (line(metric, rows, **options) for rows in (seen, data["events"]))
    pd.testing.assert_series_equal(ours, theirs)


def test_a_table_of_units() -> None:
    rng = np.random.default_rng(6)
    frame = pd.DataFrame({"bought": rng.random(5000) < 0.2, "spend": rng.gamma(1, 30, 5000)})
    frame["spend_before"] = 0.5 * frame["spend"] + rng.gamma(1, 20, 5000)
    row = line(cx.Conversion("bought"), frame, mde=0.1)
    assert row["baseline"] == pytest.approx(frame["bought"].mean())
    assert math.isnan(row["days"])
    row = line(cx.Mean("spend", before="spend_before"), frame, mde=0.1, units_per_day=100)
    assert row["saving"] == pytest.approx(frame["spend"].corr(frame["spend_before"]) ** 2)
    assert row["days"] == pytest.approx(row["n_units"] / 100)
    assert line(cx.Mean("spend"), frame, mde=0.1, correlation=0.5)["saving"] == 0.25
    capped = line(cx.Mean("spend", cap=0.9), frame, mde=0.1)
    assert capped["variance"] < 0.7 * row["variance"]


def test_history_of_a_conversion_with_cuped() -> None:
    """What is left of each arm's p (1 - p) is 1 - correlation^2, as in the table of units."""
    rng = np.random.default_rng(8)
    habit = rng.random(5000) < 0.3
    frame = pd.DataFrame({"before": habit, "bought": habit ^ (rng.random(5000) < 0.1)})
    row = line(cx.Conversion("bought", before="before"), frame, mde=0.1)
    correlation = frame["bought"].astype(float).corr(frame["before"].astype(float))
    assert row["saving"] == pytest.approx(correlation**2)
    by_number = line(cx.Conversion("bought"), row["baseline"], mde=0.1, correlation=correlation)
    assert row["n_units"] == pytest.approx(by_number["n_units"])


def test_a_quantile_of_history_keeps_its_promise() -> None:
    """The planned power of a p90, against Welch-like tests of simulated samples."""
    rng = np.random.default_rng(7)
    frame = pd.DataFrame({"spend": rng.gamma(1, 30, 50_000)})
    row = line(cx.Quantile("spend", 0.9), frame, mde=0.1)
    n = int(row["n_control"])
    draws = np.quantile(rng.gamma(1, 30, (n, 800)), 0.9, axis=0)
    assert row["variance"] == pytest.approx(draws.var() * n, rel=0.2)


@pytest.mark.parametrize(
    ("frame", "metric", "error", "message"),
    [
        (
            {"spend": [1.0, 2.0] * 30},
            cx.Mean("spent"),
            cx.ColumnError,
            "are spend. Did you mean 'spend'",
        ),
        ({"spend": ["a", "b"] * 30}, cx.Mean("spend"), cx.ColumnError, "not numbers"),
        ({"spend": [1.0] * 60}, cx.Mean("spend"), cx.DataError, "nothing varies"),
        ({"bought": [0] * 60}, cx.Conversion("bought"), cx.DataError, "nothing varies"),
        ({"bought": [0, 2] * 60}, cx.Conversion("bought"), cx.DataError, "other than 0 and 1"),
        ({"spend": [1.0, 2.0]}, cx.Mean("spend"), cx.DataError, "at least 30 are needed"),
        ({"spend": [1.0]}, cx.Mean("spend", within="7 days"), cx.ParameterError, "within= needs"),
    ],
)
def test_bad_tables_of_units(
    frame: dict[str, Any], metric: Any, error: type[cx.CxError], message: str
) -> None:
    with pytest.raises(error, match=message):
        cx.plan_experiment(metric, pd.DataFrame(frame), mde=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "as_of is missing"),
        ({"as_of": "2024-02-01"}, "no unit can enter from 2024-03-01 to as_of=2024-02-01"),
        ({"as_of": "2024-04-29", "correlation": 0.3}, "history shows it"),
    ],
)
def test_bad_history(options: dict[str, Any], message: str) -> None:
    metric = cx.Mean("n_orders", before="7 days" if "correlation" in options else None)
    with pytest.raises(cx.CxError, match=message):
        cx.plan_experiment(metric, past(40)["orders"], mde=0.1, **options)


def test_dates_do_not_suit_a_table_of_units() -> None:
    frame = pd.DataFrame({"spend": [1.0, 2.0]})
    with pytest.raises(cx.ParameterError, match="as_of= need dated history"):
        cx.plan_experiment(cx.Mean("spend"), frame, mde=0.1, as_of="2024-01-01")


# Bad input


@pytest.mark.parametrize(
    ("baseline", "options", "message"),
    [
        (0, {"mde": 0.1}, "between 0 and 1"),
        (1, {"mde": 0.1}, "between 0 and 1"),
        (5, {"mde": 0.1}, "between 0 and 1"),
        ({"rate": 0.1}, {"mde": 0.1}, "'mean': …"),
        (0.1, {"mde": 0}, "mde=0"),
        (0.1, {"mde_absolute": 0}, "mde_absolute=0"),
        (0.1, {"mde": 9.5}, r"from 0.1 to 1.05, out of 0 to 1"),
        (0.1, {"mde": -1.5}, "out of 0 to 1"),
        (0.1, {"mde": 0.1, "mde_absolute": 0.1}, "give one of them"),
        (0.1, {"mde": 0.1, "n_units": 100, "days": 3}, "give one of them"),
        (0.1, {"days": 3}, "needs units_per_day"),
        (0.1, {}, "nothing to plan from"),
        (0.1, {"power": 0.9}, "nothing to plan from"),
        (0.1, {"mde": 0.1, "n_units": 100, "power": 0.9}, "all given"),
        (0.1, {"mde": 0.1, "power": 0.05}, "above alpha"),
        (0.1, {"mde": 0.1, "power": 1}, "below 1"),
        (0.1, {"mde": 0.1, "alpha": 0.7}, "alpha"),
        (0.1, {"n_units": 3}, "at least 4"),
        (0.3, {"n_units": 8}, "even a rise of the rate from 0.3 to 1"),
        (0.1, {"mde_absolute": 1e-9}, "give a larger mde"),
        (0.1, {"mde": 0.1, "share": [0.5, 0.4]}, "sum to 0.9"),
        (0.1, {"mde": 0.1, "share": 1.5}, "out of range"),
        (0.1, {"mde": 0.1, "share": [1.5, -0.5]}, "out of range"),
        (0.1, {"mde": 0.1, "share": [1.0]}, "1 shares"),
        (0.1, {"mde": 0.1, "share": "ab"}, "share='a' is not a number"),
        (0.1, {"mde": 0.1, "share": 0.3, "variants": 3}, "control first"),
        (0.1, {"mde": 0.1, "share": [0.5, 0.5], "variants": 3}, "2 shares for 3 variants"),
        (0.1, {"mde": 0.1, "variants": 1}, "whole number from 2"),
        (0.1, {"mde": 0.1, "n_metrics": 0.5}, "whole number from 1"),
        (0.1, {"mde": 0.1, "adjust": "hol"}, "Did you mean 'holm'"),
        (0.1, {"mde": 0.1, "null": "poled"}, "Did you mean 'pooled'"),
        (0.1, {"mde": 0.1, "correlation": 1}, "no variance"),
        (0.1, {"mde": 0.1, "correlation": 2}, "out of range"),
        (0.1, {"mde": 0.1, "as_of": "2024-01-01"}, "as_of=: for a baseline read from a table"),
        (0.1, {"mde": 0.1, "units_per_day": 0}, "out of range"),
    ],
)
def test_bad_plans_of_a_rate(baseline: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(cx.ParameterError, match=message):
        cx.plan_experiment(BOUGHT, baseline, **options)


RATIO = cx.Ratio("net_revenue", "n_orders")


@pytest.mark.parametrize(
    ("metric", "baseline", "message"),
    [
        (REVENUE, 40, "says nothing of how net_revenue varies"),
        (REVENUE, {"mean": 40}, "'sd': …"),
        (REVENUE, {"mean": 40, "sdd": 3}, "Did you mean 'sd'"),
        (REVENUE, {"mean": 40, "sd": 0}, "out of range"),
        (REVENUE, {"mean": math.nan, "sd": 1}, "not a number"),
        (REVENUE, {"mean": 0, "sd": 1}, "give mde_absolute"),
        (RATIO, {"numerator": 3, "denominator": (1, 2), "correlation": 0}, r"must be \(mean, sd\)"),
        (RATIO, {"numerator": (3, 1), "denominator": (0, 2), "correlation": 0}, "undefined"),
        (RATIO, {"numerator": (3, 1), "denominator": (3, 1), "correlation": 1}, "nothing varies"),
        (RATIO, {"numerator": (3, 1)}, "'denominator': …"),
        ("purchase", 0.1, "is no metric"),
    ],
)
def test_bad_baselines(metric: Any, baseline: Any, message: str) -> None:
    with pytest.raises(cx.ParameterError, match=message):
        cx.plan_experiment(metric, baseline, mde=0.1)
