"""Every kind of metric: against brute force, published figures, other formulas, and simulation."""

from __future__ import annotations

import datetime as dt
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import cxlib as cx
from cxlib._intervals import Moments, log_ratio, welch
from cxlib.experiment.carried import units_of_table
from cxlib.experiment.estimate import cuped, estimate, post_stratified
from cxlib.experiment.metrics import check_metrics
from cxlib.experiment.orders import order_statistics
from cxlib.experiment.samples import Reduced, Sample, merge
from cxlib.experiment.sums import reduce_units
from cxlib.experiment.units import Layout
from cxlib.sources import as_table

GOLDEN = Path(__file__).parent / "golden" / "experiment.json"
CASES: dict[str, dict[str, Any]] = {
    case["id"]: case for case in json.loads(GOLDEN.read_text(encoding="utf-8"))
}
DAY, END = pd.Timestamp("2024-05-01"), pd.Timestamp("2024-05-28")


FORTNIGHT = pd.Timedelta(days=14)


def on_units(frame: pd.DataFrame, *metrics: Any, **options: Any) -> Any:
    options = {"control": "control", "variant": "variant"} | options
    return cx.experiment(frame, metrics=list(metrics), **options)


def reduced_of(frame: pd.DataFrame, metrics: list[Any], **options: Any) -> Reduced:
    units = units_of_table(as_table(frame), "variant", metrics, **options)
    reduced = reduce_units(units, metrics)
    return replace(reduced, orders=order_statistics(units, reduced, metrics))


def trial(n: int = 900, seed: int = 5) -> pd.DataFrame:
    """Units with a covariate, a skewed amount, orders to divide by, strata and empty values."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"variant": rng.choice(["control", "new"], n, p=[0.6, 0.4])})
    new = frame["variant"] == "new"
    frame["country"] = rng.choice(["at", "be", "ch"], n, p=[0.5, 0.3, 0.2])
    level = frame["country"].map({"at": 0.0, "be": 5.0, "ch": 20.0})
    frame["before"] = rng.gamma(2, 5, n)
    frame["amount"] = 0.7 * frame["before"] + level + rng.exponential(4, n) + 1.0 * new
    frame["orders"] = rng.poisson(2, n)
    frame["orders_before"] = rng.poisson(2, n)
    frame["spent"] = frame["orders"] * rng.gamma(3, 4, n)
    frame["spent_before"] = frame["orders_before"] * rng.gamma(3, 4, n)
    frame["bought"] = rng.random(n) < 0.3
    return frame


def arms_of(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    return frame[frame["variant"] == "new"], frame[frame["variant"] == "control"]


def only(result: Any) -> pd.Series:
    return result.table.iloc[0]


# From exposures and logs


def history(seed: int) -> dict[str, pd.DataFrame]:
    """Orders and events long before, just before, at and after first exposure."""
    rng = np.random.default_rng(seed)

    def when(n: int, first: int, last: int) -> pd.Series:
        return DAY + pd.to_timedelta(rng.integers(first * 4, last * 4, n) * 6, unit="h")

    users, rows = 80, 700
    exposures = pd.DataFrame({"user_id": np.arange(users).astype(str)})
    exposures["variant"] = rng.choice(["control", "new"], users)
    exposures["exposed_at"] = when(users, 0, 15)
    exposures["country"] = rng.choice(["at", None, "be"], users)
    later = exposures.head(20).assign(exposed_at=DAY + pd.Timedelta(days=16), country="zz")
    orders = pd.DataFrame({"order_id": np.arange(rows).astype(str)})
    orders["ordered_at"] = when(rows, -40, 28)
    orders["customer_id"] = rng.integers(0, users + 10, rows).astype(str)
    orders["net_revenue"] = rng.gamma(2, 15, rows).round(2)
    events = pd.DataFrame({"user_id": rng.integers(0, users + 10, rows).astype(str)})
    events["event"] = rng.choice(["view", "purchase"], rows)
    events["occurred_at"] = when(rows, -40, 28)
    return {"exposures": pd.concat([exposures, later]), "orders": orders, "events": events}


def one_user_at_a_time(data: dict[str, pd.DataFrame]) -> pd.DataFrame:
    lines = []
    for user, seen in data["exposures"].groupby("user_id"):
        start = seen["exposed_at"].min()
        own = data["orders"][data["orders"]["customer_id"] == user]
        acts = data["events"][data["events"]["user_id"] == user]

        def between(times: pd.Series, low: float, high: float, at: Any = start) -> pd.Series:
            return (times >= at + pd.Timedelta(days=low)) & (times < at + pd.Timedelta(days=high))

        fortnight, past = (between(own["ordered_at"], *d) for d in ((0, 14), (-28, 0)))
        views, bought, bought_before = (
            acts[between(acts["occurred_at"], *days) & (acts["event"] == event)]
            for event, days in (("view", (0, 99)), ("purchase", (0, 7)), ("purchase", (-7, 0)))
        )
        views = views[views["occurred_at"] < END]
        counts = start + FORTNIGHT <= END
        lines.append(
            {
                "variant": seen["variant"].iloc[0],
                "country": seen.loc[seen["exposed_at"] == start, "country"].iloc[0],
                "revenue": own.loc[fortnight, "net_revenue"].sum() if counts else None,
                "revenue_before": own.loc[past, "net_revenue"].sum(),
                "orders": float(fortnight.sum()) if counts else None,
                "views": float(len(views)),
                "views_14": float((views["occurred_at"] < start + FORTNIGHT).sum()),
                "bought": float(len(bought) > 0),
                "bought_before": float(len(bought_before) > 0),
            }
        )
    return pd.DataFrame(lines)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_exposures_come_down_to_what_one_user_at_a_time_gives(seed: int) -> None:
    data = history(seed)
    weeks = {"within": "14 days"}
    from_logs = cx.experiment(
        **data,
        control="control",
        as_of="2024-05-27",
        metrics=[
            cx.Mean("net_revenue", **weeks, before="28 days", cap=0.9, name="a"),
            cx.Ratio("net_revenue", "n_orders", **weeks, name="b"),
            cx.Ratio("n_orders", "event:view", name="c", **weeks),
            cx.Mean("event:view", name="d"),
            cx.Conversion("purchase", within=dt.timedelta(days=7), before="7 days", name="e"),
            cx.Quantile("net_revenue", 0.8, **weeks, name="f"),
        ],
        stratify="country",
    )
    users = one_user_at_a_time(data)
    before = users["revenue_before"].where(users["revenue"].notna())
    by_hand = on_units(
        users.assign(revenue_before=before, country=users["country"].fillna("unknown")),
        cx.Mean("revenue", before="revenue_before", cap=0.9, name="a"),
        cx.Ratio("revenue", "orders", name="b"),
        cx.Ratio("orders", "views_14", name="c"),
        cx.Mean("views", name="d"),
        cx.Conversion("bought", before="bought_before", name="e"),
        cx.Quantile("revenue", 0.8, name="f"),
        stratify="country",
    )
    numbers = ["n", "n_control", "value", "value_control", "ci_low", "ci_high", "p_value"]
    pd.testing.assert_frame_equal(from_logs.table[numbers], by_hand.table[numbers], rtol=1e-7)
    assert from_logs.table["kind"].tolist() == [
        *("mean", "ratio", "ratio", "count", "proportion", "quantile")
    ]
    assert from_logs.arms["n_left_out"].sum() == 4 * users["revenue"].isna().sum()


# Against other formulas, row by row


def test_a_ratio_is_the_delta_method_of_linearised_rows() -> None:
    # Deng, Knoblich & Lu 2018: the mean of (y - R x) / mean(x) has the ratio's error
    frame = trial()
    row = only(on_units(frame, cx.Ratio("spent", "orders")))
    ratios, errors, sizes = [], [], []
    for arm in arms_of(frame):
        ratio = arm["spent"].sum() / arm["orders"].sum()
        rows = (arm["spent"] - ratio * arm["orders"]) / arm["orders"].mean()
        ratios.append(ratio)
        errors.append(rows.var() / len(arm))
        sizes.append(len(arm))
    assert row["difference"] == pytest.approx(ratios[0] - ratios[1])
    df = sum(errors) ** 2 / sum(e**2 / (n - 1) for e, n in zip(errors, sizes, strict=True))
    p_value = 2 * stats.t.sf(abs(ratios[0] - ratios[1]) / math.sqrt(sum(errors)), df)
    assert row["p_value"] == pytest.approx(p_value)
    assert (row["kind"], row["method"]) == ("ratio", "delta")


def test_cuped_is_the_covariance_adjusted_difference_that_least_squares_gives() -> None:
    # the slope of all units, by numpy; statsmodels' analysis of covariance to a few per cent
    frame = trial(4000)
    row = only(on_units(frame, cx.Mean("amount", before="before")))
    both = np.cov(frame["amount"], frame["before"])
    rest = frame.assign(rest=frame["amount"] - both[0, 1] / both[1, 1] * frame["before"])
    new, control = (arm["rest"] for arm in arms_of(rest))
    theirs = stats.ttest_ind(new, control, equal_var=False)
    assert row["difference"] == pytest.approx(new.mean() - control.mean(), rel=1e-9)
    assert row["p_value"] == pytest.approx(theirs.pvalue, rel=1e-9)
    design = sm.add_constant(
        pd.DataFrame({"new": (frame["variant"] == "new") * 1.0, "before": frame["before"]})
    )
    fit = sm.OLS(frame["amount"], design).fit(cov_type="HC1")
    low, high = fit.conf_int().loc["new"]
    assert row["difference"] == pytest.approx(fit.params["new"], abs=0.02 * (high - low))
    assert row["ci_high"] - row["ci_low"] == pytest.approx(high - low, rel=0.02)
    plain = only(on_units(frame, cx.Mean("amount")))
    saving = 1 - ((row["ci_high"] - row["ci_low"]) / (plain["ci_high"] - plain["ci_low"])) ** 2
    assert row["method"] == f"CUPED, variance {-100 * saving:+.0f} %"


def test_cuped_of_a_ratio_is_cuped_of_its_linearised_rows() -> None:
    frame = trial(3000)
    before = ("spent_before", "orders_before")
    row = only(on_units(frame, cx.Ratio("spent", "orders", before=before)))

    def linear(rows: pd.DataFrame, top: str, bottom: str) -> pd.Series:
        ratio = rows[top].sum() / rows[bottom].sum()
        return (rows[top] - ratio * rows[bottom]) / rows[bottom].mean() + ratio

    both = np.cov(linear(frame, "spent", "orders"), linear(frame, *before))
    rest = [
        linear(arm, "spent", "orders") - both[0, 1] / both[1, 1] * linear(arm, *before)
        for arm in arms_of(frame)
    ]
    theirs = stats.ttest_ind(*rest, equal_var=False)
    assert row["difference"] == pytest.approx(rest[0].mean() - rest[1].mean(), rel=1e-7)
    assert row["p_value"] == pytest.approx(theirs.pvalue, rel=1e-7)
    assert row["method"].startswith("delta; CUPED, variance ")


def test_a_cap_is_the_quantile_of_all_units_together_and_the_covariate_has_its_own() -> None:
    frame = trial()
    frame.loc[3, "amount"] = 1e6
    frame.loc[7, "amount"] = None
    capped = frame.assign(
        amount=frame["amount"].clip(upper=np.nanquantile(frame["amount"], 0.95)),
        before=frame["before"].clip(upper=np.quantile(frame["before"], 0.95)),
    )
    ours = only(on_units(frame, cx.Mean("amount", before="before", cap=0.95)))
    theirs = only(on_units(capped, cx.Mean("amount", before="before")))
    pd.testing.assert_series_equal(ours, theirs)


def test_strata_are_weighted_by_their_share_of_all_units() -> None:
    frame = trial(3000)
    row = only(on_units(frame, cx.Mean("amount"), stratify="country"))
    shares = frame["country"].value_counts(normalize=True)
    means = frame.groupby(["variant", "country"])["amount"].agg(["mean", "var", "count"])
    value = {v: (means.loc[v, "mean"] * shares).sum() for v in ("new", "control")}
    error = sum(
        (shares**2 * means.loc[v, "var"] / means.loc[v, "count"]).sum() for v in ("new", "control")
    )
    assert row["difference"] == pytest.approx(value["new"] - value["control"])
    half = (row["ci_high"] - row["ci_low"]) / 2
    assert half == pytest.approx(stats.norm.isf(0.025) * math.sqrt(error), rel=2e-3)
    plain = only(on_units(frame, cx.Mean("amount")))
    assert half < 0.9 * (plain["ci_high"] - plain["ci_low"]) / 2
    assert row["method"] == "post-stratified by country (3 strata)"


def test_a_stratum_that_an_arm_lacks_joins_others() -> None:
    def sample(n: float, mean: float) -> Sample:
        return Sample(n, np.array([mean]), np.eye(1))

    thick = {"new": sample(50, 1.0), "control": sample(50, 2.0)}
    thin = {"new": sample(1, 3.0), "control": sample(9, 4.0)}
    arms, n_strata = post_stratified({"a": thick, "b": thin, "c": thin})
    assert n_strata == 2  # two thin ones together have 2 units in each arm
    assert arms["new"].mean[0] == pytest.approx((100 * 1 + 20 * 3) / 120)
    arms, n_strata = post_stratified({"a": thick, "b": thin})
    assert n_strata == 1
    assert arms["control"].mean[0] == pytest.approx((50 * 2 + 9 * 4) / 59)
    empty = {"new": sample(0, 0.0), "control": sample(9, 4.0)}
    arms, _ = post_stratified({"a": empty, "b": empty})
    assert arms["new"].n == 0
    assert arms["control"].n == 18


@pytest.mark.parametrize("q", [0.5, 0.9])
def test_a_quantile_and_its_error_are_order_statistics(q: float) -> None:
    frame = trial(2000)
    row = only(on_units(frame, cx.Quantile("amount", q)))
    errors = []
    for arm in arms_of(frame):
        half = stats.norm.isf(0.025) * math.sqrt(q * (1 - q) / len(arm))
        low, high = np.quantile(arm["amount"], [q - half, q + half])
        errors.append((high - low) / 2 / stats.norm.isf(0.025))
    values = [np.quantile(arm["amount"], q) for arm in arms_of(frame)]
    assert [row["value"], row["value_control"]] == pytest.approx(values)
    assert row["method"] == "order statistics"
    half = (row["ci_high"] - row["ci_low"]) / 2
    assert half == pytest.approx(stats.norm.isf(0.025) * math.hypot(*errors), rel=5e-3)


def test_too_few_units_for_a_quantile_are_told() -> None:
    frame = trial(100)
    row = only(on_units(frame, cx.Quantile("amount", 0.99)))
    assert math.isfinite(row["difference"])
    assert row[["ci_low", "ci_high", "lift_low", "lift_high", "p_value"]].isna().all()
    assert row["note"] == "too few units for an interval of this quantile"


def test_rows_of_users_are_a_ratio_over_users() -> None:
    # Cluster-robust least squares (statsmodels) beside: the same mean, its error to a per cent
    rng = np.random.default_rng(8)
    sessions = pd.DataFrame({"user": rng.integers(0, 1500, 9000)})
    sessions["variant"] = np.where(sessions["user"] % 2, "new", "control")
    taste = rng.normal(0, 1, 1500)
    sessions["minutes"] = 10 + 3 * taste[sessions["user"]] + rng.normal(0, 1, 9000)
    sessions["bought"] = (rng.random(9000) < stats.norm.cdf(taste[sessions["user"]] - 1)).astype(
        int
    )
    result = on_units(sessions, cx.Mean("minutes"), cx.Conversion("bought"), unit="user")
    design = sm.add_constant((sessions["variant"] == "new").astype(float))
    for at, column in enumerate(("minutes", "bought")):
        row = result.table.iloc[at]
        fit = sm.OLS(sessions[column], design).fit(
            cov_type="cluster", cov_kwds={"groups": sessions["user"]}
        )
        assert row["difference"] == pytest.approx(fit.params["variant"])
        half = (row["ci_high"] - row["ci_low"]) / 2
        assert half == pytest.approx(1.96 * fit.bse["variant"], rel=0.01)
        assert row["method"] == "delta"
    details = result.checks.set_index("check")["detail"]
    assert details["unit of analysis"].startswith("9,000 rows of ")
    naive = only(on_units(sessions, cx.Mean("minutes")))
    assert naive["ci_high"] - naive["ci_low"] < 0.6 * 2 * 1.96 * 0.2
    assert "unit of analysis" not in on_units(sessions, cx.Mean("minutes")).checks["check"].tolist()


def test_units_in_several_variants_are_left_out_of_folded_rows() -> None:
    rows = pd.DataFrame({"user": np.repeat(np.arange(100), 2), "x": np.arange(200.0)})
    rows["variant"] = np.where(rows["user"] % 2, "new", "control")
    rows.loc[1, "variant"] = "new"
    result = on_units(rows, cx.Mean("x", before="x", name="y"), cx.Ratio("x", "user"), unit="user")
    check = result.checks.set_index("check").loc["one variant for each unit"]
    assert check["detail"].startswith("1 of 100 units")
    assert result.arms["n"].tolist() == [49, 50] * 2
    with pytest.raises(cx.ParameterError, match="a quantile needs one row per unit"):
        on_units(rows, cx.Quantile("x", 0.5), unit="user")
    with pytest.raises(cx.DataError, match="200 values are other than 0 and 1"):
        on_units(rows.assign(x=2), cx.Conversion("x"), unit="user")
    with pytest.raises(cx.DataError, match="1 rows name no user"):
        on_units(rows.replace({"user": {7: None}}).drop(index=[14]), cx.Mean("x"), unit="user")


# Published figures


def rows_with(n: int, mean: list[float], covariance: np.ndarray) -> np.ndarray:
    """Rows whose sample moments are exactly those given."""
    noise = np.random.default_rng(n).normal(size=(n, len(mean)))
    noise -= noise.mean(axis=0)
    whitened = noise @ np.linalg.inv(np.linalg.cholesky(np.cov(noise.T)).T)
    return whitened @ np.linalg.cholesky(covariance).T + mean


def test_means_and_ratios_as_tea_tasting_documents() -> None:
    case = CASES["tt_doc_users42"]
    names, frames = ["sessions", "orders", "revenue"], []
    for variant, key in (("control", "control"), ("new", "treatment")):
        arm = case["inputs"][key]
        covariance = np.diag([arm["var"][name] for name in names])
        for i, j in ((0, 1), (0, 2), (1, 2)):
            covariance[i, j] = covariance[j, i] = arm["cov"][f"{names[i]}|{names[j]}"]
        rows = rows_with(arm["n"], [arm["mean"][name] for name in names], covariance)
        frames.append(pd.DataFrame(rows, columns=names).assign(variant=variant))
    table = on_units(
        pd.concat(frames),
        cx.Mean("orders", name="orders_per_user"),
        cx.Mean("revenue", name="revenue_per_user"),
        cx.Ratio("orders", "sessions", name="orders_per_session"),
        cx.Mean("sessions", name="sessions_per_user"),
    ).table.set_index("metric")
    for name, expected in case["expected"].items():
        row, rounded = table.loc[name], "per_session" in name or "sessions_" in name
        near = {"rel": 0, "abs": 6e-4} if rounded else {"rel": 1e-9}
        assert row["lift"] == pytest.approx(expected["rel"], **near)
        assert row["p_value"] == pytest.approx(expected["p"], **near)
        if "effect" in expected:
            assert row["difference"] == pytest.approx(expected["effect"], **near)
            assert [row["ci_low"], row["ci_high"]] == pytest.approx(expected["ci"], **near)
            # theirs is on the log scale, ours Fieller's: the former is what stands in for it
            low, high = log_ratio(*_moments(pd.concat(frames), name))
            near = {"rel": 0, "abs": 3e-3} if rounded else near
            assert [low, high] == pytest.approx(expected["rel_ci"], **near)
            assert [row["lift_low"], row["lift_high"]] == pytest.approx([low, high], abs=0.006)


def _moments(frame: pd.DataFrame, name: str) -> tuple[Moments, Moments]:
    above, _, below = name.partition("_per_")
    metric = cx.Mean(above) if below == "user" else cx.Ratio(above, below + "s")
    metrics = check_metrics([metric])
    arms = estimate(reduced_of(frame, metrics), metrics[0], 0).arms
    return arms["new"], arms["control"]


def test_welch_as_growthbook_tests_it() -> None:
    case = CASES["gb_welch_relative"]
    arms = []
    for key in ("treatment", "control"):
        n, total, squares = (case["inputs"][key][name] for name in ("n", "sum", "sum_squares"))
        arms.append(Moments(n, total / n, (squares - total**2 / n) / (n - 1)))
    treatment, control = arms
    assert treatment.mean / control.mean - 1 == pytest.approx(case["expected"]["effect"], abs=5e-6)
    # The case's note: p = .020 of the difference, .062 of their delta-method lift
    assert welch(treatment, control).p_value == pytest.approx(0.020, abs=5e-4)


def test_cuped_as_growthbook_tests_it() -> None:
    case = CASES["gb_cuped_proportion"]
    arms = {}
    for key in ("control", "treatment"):
        n, y, x, xy = (case["inputs"][key][name] for name in ("n", "y", "x", "xy"))
        p, q = y / n, x / n
        cross = (xy - x * y / n) / (n - 1)
        variances = (rate * (1 - rate) * n / (n - 1) for rate in (p, q))
        covariance = np.diag(list(variances)) + cross * (1 - np.eye(2))
        arms[key] = Sample(n, np.array([p, q]), covariance)
    found, _ = cuped(arms, Layout(1, 1))
    difference = found["treatment"].mean - found["control"].mean
    # their lift divides by the control's unadjusted mean, and their p value is that of the lift by
    # the delta method: it is not that of the difference, see gb_welch_relative
    assert difference / arms["control"].mean[0] == pytest.approx(
        case["expected"]["effect"], abs=5e-6
    )


# Properties

AMOUNTS = st.floats(-1e3, 1e3).map(lambda x: round(x, 3))
ROWS = st.lists(
    st.tuples(st.booleans(), AMOUNTS, AMOUNTS, st.integers(1, 5), st.sampled_from("abc")),
    min_size=10,
    max_size=40,
).filter(lambda rows: 2 < sum(row[0] for row in rows) < len(rows) - 2)
NUMBERS = ["n", "value", "value_control", "ci_low", "ci_high", "p_value"]


def frame_of(rows: list[tuple[bool, float, float, int, str]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["variant", "x", "before", "orders", "place"])
    return frame.assign(variant=np.where(frame["variant"], "new", "control"), one=1)


def assert_same(ours: pd.Series, theirs: pd.Series, scale: float = 1.0) -> None:
    for name in NUMBERS:
        factor = 1 if name in ("n", "p_value") else scale
        expected = pytest.approx(theirs[name] * factor, rel=1e-6, abs=1e-7 * scale, nan_ok=True)
        assert ours[name] == expected, name


@given(ROWS)
@settings(deadline=None, max_examples=6)
def test_each_row_its_own_unit_and_a_denominator_of_one_change_nothing(rows: Any) -> None:
    frame = frame_of(rows)
    mean = only(on_units(frame, cx.Mean("x", before="before")))
    assert_same(only(on_units(frame, cx.Ratio("x", "one", before=("before", "one")))), mean)
    frame["user"] = np.arange(len(frame))
    assert_same(only(on_units(frame, cx.Mean("x", before="before"), unit="user")), mean)


@given(ROWS, st.floats(0.01, 100), st.floats(-100, 100))
@settings(deadline=None, max_examples=6)
def test_units_of_measure_scale_answers_and_those_of_a_covariate_do_not(
    rows: Any, rate: float, shift: float
) -> None:
    frame = frame_of(rows)
    other = frame.assign(x=frame["x"] * rate, before=frame["before"] * rate + shift)
    metrics = [
        cx.Mean("x", before="before", name="a"),
        cx.Ratio("x", "orders"),
        cx.Quantile("x", 0.5),
        cx.Mean("x", cap=0.8),
    ]
    ours, theirs = (on_units(data, *metrics).table for data in (frame, other))
    for at in range(len(metrics)):
        assert_same(theirs.iloc[at], ours.iloc[at], rate)


@given(ROWS)
@settings(deadline=None, max_examples=6)
def test_cells_together_are_all_units(rows: Any) -> None:
    frame = frame_of(rows)
    metrics = check_metrics([cx.Ratio("x", "orders"), cx.Quantile("x", 0.5)])
    cells = reduced_of(frame, metrics, by=["place", "orders"])
    whole = reduced_of(frame, metrics)
    for variant in ("new", "control"):
        ours, theirs = cells.sample(0, variant), whole.sample(0, variant)
        assert ours.n == theirs.n
        assert ours.mean == pytest.approx(theirs.mean)
        assert ours.covariance == pytest.approx(theirs.covariance, abs=1e-6)
    for segment in cells.segments("place"):
        part = frame[frame["place"] == segment[1]]
        for variant, moments in estimate(cells, metrics[1], 1, segment).arms.items():
            own = part.loc[part["variant"] == variant, "x"]
            assert moments.n == len(own)
            if len(own):
                assert moments.mean == pytest.approx(own.median())


def test_merging_nothing_is_nothing() -> None:
    empty = merge([], 2)
    assert empty.n == 0
    assert np.isnan(empty.mean).all()
    found, saving = cuped({"a": empty, "b": empty}, Layout(1, 1))
    assert found["a"].n == 0
    assert math.isnan(saving)


# Digits, empty values, odd values


@pytest.mark.parametrize("size", [1e6, 1e9])
def test_a_large_mean_keeps_its_variance_in_every_kind(size: float) -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"variant": np.tile(["control", "new"], 5000), "one": 1.0})
    frame["x"], frame["before"] = rng.normal(0, 1, 10_000), rng.normal(0, 1, 10_000)
    frame["x"] += frame["before"]
    metrics = [cx.Mean("x", before="before", name="a"), cx.Ratio("x", "one"), cx.Mean("x", cap=0.9)]
    small = on_units(frame, *metrics).table
    large = on_units(frame.assign(x=frame["x"] + size), *metrics).table
    for name in ("difference", "ci_low", "ci_high"):
        assert large[name].tolist() == pytest.approx(small[name].tolist(), abs=1e-14 * size + 1e-6)


def test_units_that_lack_any_column_of_a_metric_are_left_out_of_it_alone() -> None:
    frame = trial(300)
    frame.loc[:20, "before"] = None
    frame.loc[15:30, "orders"] = None
    metrics = [
        cx.Mean("amount", before="before", name="a"),
        cx.Ratio("spent", "orders", name="b"),
        cx.Mean("amount", name="c"),
    ]
    ours = on_units(frame, *metrics).table
    for at, column in enumerate(["before", "orders", "amount"]):
        theirs = on_units(frame.dropna(subset=[column]), metrics[at]).table
        assert_same(ours.iloc[at], theirs.iloc[0])


def test_a_capped_column_without_any_value_is_an_arm_without_units() -> None:
    frame = pd.DataFrame({"variant": ["new", "control"] * 40, "x": None}).astype({"x": float})
    row = only(on_units(frame, cx.Mean("x", cap=0.9)))
    assert (row["n"], row["note"]) == (0, "an arm has no units yet")


def test_constants_have_no_variance_and_a_denominator_of_nothing_is_told() -> None:
    frame = pd.DataFrame({"variant": ["new", "control"] * 40, "x": 0.1, "none": 0.0})
    frame["y"] = np.arange(80.0)
    table = on_units(frame, cx.Mean("x"), cx.Ratio("y", "none"), cx.Mean("y", before="x")).table
    assert table["note"].tolist()[:2] == [
        "no variance in either arm: no interval",
        "a ratio over nothing: its denominator is 0",
    ]
    assert_same(table.iloc[2], only(on_units(frame, cx.Mean("y"))))


@pytest.mark.parametrize(
    ("column", "metric", "message"),
    [
        ("amount", cx.Mean("amount", before="before"), "1 values are not finite"),
        ("before", cx.Mean("amount", before="before"), "1 values are not finite"),
        ("amount", cx.Mean("amount", cap=0.9), "1 values are not finite"),
        ("amount", cx.Quantile("amount", 0.5), "1 values are not finite"),
        ("orders", cx.Ratio("spent", "orders"), "1 values are not finite"),
    ],
)
def test_values_that_are_not_finite_are_told_and_counted(
    column: str, metric: Any, message: str
) -> None:
    frame = trial(200).astype({"orders": float})
    frame.loc[7, column] = np.inf
    with pytest.raises(cx.DataError, match=message):
        on_units(frame, metric)
    frame.loc[7, column] = -np.inf
    with pytest.raises(cx.DataError, match=message):
        on_units(frame, metric)
    frame.loc[7, column] = 1e200
    if metric.kind == "mean" and metric.cap is None:
        with pytest.raises(cx.DataError, match="too large to be squared"):
            on_units(frame, metric)


@pytest.mark.parametrize("values", [[2, 0], [-1, 0], [3, -2], [0.5, 0.5], [1.5, -0.5]])
def test_conversions_other_than_0_and_1_are_told(values: list[float]) -> None:
    frame = trial(100).assign(did=0)
    frame["did"] = frame["did"].astype(type(values[0]))
    frame.loc[[4, 8], "did"] = values
    odd = sum(value not in (0, 1) for value in values)
    with pytest.raises(cx.DataError, match=f"{odd} values are other than 0 and 1"):
        on_units(frame, cx.Conversion("did"))
    assert only(on_units(frame.assign(did=1.0), cx.Conversion("did")))["value"] == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cx.Mean("x", cap=1), "largest value itself"),
        (lambda: cx.Mean("x", cap=0), "out of range"),
        (lambda: cx.Quantile("x", 1.0), "largest value itself"),
        (lambda: cx.Mean("x", role="main"), "role='main' is not one of"),
        (lambda: cx.Mean("x", margin=0), "margin=0 allows nothing"),
        (lambda: cx.Mean("x", margin=-2), "margin=-2 is out of range"),
        (lambda: cx.Mean("x", equivalence=0), "equivalence=0 is out of range"),
        (lambda: cx.Ratio("x", ""), "name of an event or a column"),
        (lambda: on_units(trial(90), cx.Mean("amount"), by="contry"), "no column 'contry'"),
        (lambda: on_units(trial(90), cx.Mean("amount"), stratify="x"), "no column 'x'"),
        (lambda: on_units(trial(90), cx.Mean("amount", before="befor")), "mean 'before'"),
        (
            lambda: on_units(trial(90), cx.Mean("amount", before=dt.timedelta(days=7))),
            "name the column that holds the covariate",
        ),
        (
            lambda: cx.experiment(
                history(1)["exposures"],
                orders=history(1)["orders"],
                control="control",
                as_of="2024-05-27",
                metrics=[cx.Ratio("net_revenue", "n_orders", before=("a", "b"))],
            ),
            "give how long before first exposure",
        ),
        (lambda: on_units(many_cells(), cx.Mean("amount"), by="id"), "more than 10,000 combin"),
    ],
)
def test_what_a_metric_cannot_be_is_told(make: Any, message: str) -> None:
    with pytest.raises(cx.CxError, match=message):
        make()


def many_cells() -> pd.DataFrame:
    return trial(10_100).assign(id=lambda frame: frame.index)


def test_the_first_metric_is_primary_and_roles_stand_as_declared() -> None:
    frame = trial(200)
    metrics = [cx.Mean("amount"), cx.Mean("spent"), cx.Mean("orders", role="guardrail")]
    roles = on_units(frame, *metrics).table["role"].tolist()
    assert roles == ["primary", "secondary", "guardrail"]


# Simulation


@pytest.fixture(scope="module")
def false_positives() -> dict[str, float]:
    """Share of 1,000 experiments without any effect that each kind of metric calls different.

    The experiments are segments of one table, so that all of them come from one query.
    """
    runs, n = 1000, 240
    rng = np.random.default_rng(20240602)
    size = runs * n
    frame = pd.DataFrame({"run": np.repeat(np.arange(runs), n)})
    frame["variant"] = np.where(rng.random((runs, n)).argsort(axis=1).ravel() % 2, "new", "control")
    frame["before"] = rng.gamma(2, 5, size)
    frame["amount"] = frame["before"] + rng.gamma(2, 4, size)
    frame["orders"] = rng.poisson(2, size)
    frame["orders_before"] = rng.poisson(2, size)
    frame["spent"] = frame["orders"] * rng.gamma(3, 4, size)
    frame["did"] = (rng.random(size) < 1 / (1 + np.exp(2 - frame["before"] / 10))).astype(int)
    frame["stratum"] = np.digitize(frame["before"], [5, 12])
    metrics = check_metrics(
        [
            cx.Conversion("did", before="before", name="proportion, CUPED"),
            cx.Mean("amount", name="mean"),
            cx.Mean("amount", before="before", name="mean, CUPED"),
            cx.Mean("amount", cap=0.95, name="mean, capped"),
            cx.Mean("orders", name="count"),
            cx.Ratio("spent", "orders", name="ratio"),
            cx.Ratio("spent", "orders", before="orders_before", name="ratio, CUPED"),
            cx.Quantile("amount", 0.5, name="median"),
            cx.Quantile("amount", 0.8, name="quantile"),
        ]
    )
    found = {}
    for strata in (None, "stratum"):
        asked = [m for m in metrics if strata is None or m.label in ("mean", "ratio")]
        reduced = reduced_of(frame, asked, by=["run"], stratify=strata)
        for place, metric in enumerate(asked):
            arms = [
                [*estimated["new"], *estimated["control"]]
                for estimated in (
                    estimate(reduced, metric, place, segment).arms
                    for segment in reduced.segments("run")
                )
            ]
            n, mean, variance, n_control, mean_control, variance_control = np.array(arms).T
            p_values = stats.ttest_ind_from_stats(
                *(mean, np.sqrt(variance), n),
                *(mean_control, np.sqrt(variance_control), n_control),
                equal_var=False,
            ).pvalue
            label = metric.label + (", post-stratified" if strata else "")
            found[label] = float(np.mean(p_values < 0.05))
    return found


def test_no_kind_of_metric_cries_wolf(false_positives: dict[str, float]) -> None:
    # 5 % within 3.5 errors of a simulation of 1,000; the benchmark holds 4 to 6 % over more
    assert len(false_positives) == 11
    for kind, share in false_positives.items():
        assert 0.026 <= share <= 0.074, kind
