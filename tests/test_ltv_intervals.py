"""Intervals of lifetime value: brute force over the refits, known truth, and what they must keep."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

import cxlib as cx
from cxlib._bgnbd import MODELS, spend_line
from cxlib.ltv import LtvFit, futures, replicates
from cxlib.ltv.ahead import Ahead
from cxlib.ltv.histories import BITS
from cxlib.ltv.replicates import Replicates, quantiles

AS_OF = "2023-12-31"
TRUTH = {"r": 0.6, "alpha": 60.0, "a": 0.8, "b": 2.5, "p": 6.0, "q": 4.0, "v": 15.0}
ORDERS = ("r", "alpha", "a", "b")
PARAMETERS = {
    "bgnbd": {"r": 0.6, "alpha": 60.0, "a": 0.8, "b": 2.5},
    "mbgnbd": {"r": 0.9, "alpha": 50.0, "a": 0.6, "b": 1.5},
    "paretonbd": {"r": 0.8, "alpha": 40.0, "s": 0.5, "beta": 70.0},
}


def shop(seed: int, n: int, end: str = AS_OF, **truth: float) -> pd.DataFrame:
    """Orders of n customers who came in the first 330 days of 2023; on average every third is DE."""
    orders = cx.simulate.orders(
        n, start="2023-01-01", as_of=end, seed=seed, acquisition_days=330, **(TRUTH | truth)
    )
    return orders.assign(country=np.where(orders["customer_id"].str[-1] < "4", "DE", "GB"))


@pytest.fixture(scope="module")
def fit() -> LtvFit:
    return cx.fit_ltv(shop(1, 1500), as_of=AS_OF, by="country", margin=0.4)


@pytest.fixture(scope="module")
def customers(fit: LtvFit) -> pd.DataFrame:
    return fit.customers().to_pandas().set_index("customer_id").sort_index()


@pytest.fixture(scope="module")
def refitted(fit: LtvFit) -> dict[str, np.ndarray]:
    return every_refit(fit, summary().to_pandas())


def summary() -> Any:
    return cx.ltv_summary(shop(1, 1500), as_of=AS_OF).order_by("customer_id")


def every_refit(fit: LtvFit, table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return answers, refits by customers: one refit at a time and without short cuts."""
    x, recency, age, spend = (
        table[name].to_numpy(float) for name in ("frequency", "recency", "T", "monetary_value")
    )
    found: dict[str, list[np.ndarray]] = {"p_alive": [], "expected_orders": [], "ltv": []}
    daily = math.log1p(0.1) / 365.25
    for values, money in fit.replicates.pairs():
        alive = MODELS["bgnbd"].p_alive(values, x, recency, age)
        plain, discounted = MODELS["bgnbd"].orders_if_alive(values, x, age, 365, (0.0, daily))
        found["p_alive"].append(alive)
        found["expected_orders"].append(alive * plain)
        level, slope = spend_line(money, x)
        found["ltv"].append(0.4 * alive * discounted * (level + slope * spend))
    return {name: np.array(rows) for name, rows in found.items()}


# The refits


def test_refits_spread_as_the_hessian_says(fit: LtvFit) -> None:
    # two ways to the same standard errors, of parameters on the log scale
    spread = np.log(np.hstack([fit.replicates.model, fit.replicates.spend])).std(axis=0)
    hessian = (fit.table["standard_error"] / fit.table["value"]).to_numpy()
    assert spread == pytest.approx(hessian, rel=0.35)


def test_refits_are_those_of_the_seed() -> None:
    orders = shop(2, 200)
    one, same, other = (
        cx.fit_ltv(orders, as_of=AS_OF, n_boot=40, seed=seed).replicates for seed in (1, 1, 2)
    )
    # as exact as the engine's sums of floats, whose order is free
    assert one.model == pytest.approx(same.model, rel=1e-6)
    assert one.spend == pytest.approx(same.spend, rel=1e-6)
    assert (one.model != other.model).any(axis=1).all()
    assert one.model.shape == (40, 4)
    assert one.spend.shape == (40, 3)


def test_refits_are_made_once_and_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = replicates.resampled
    monkeypatch.setattr(
        "cxlib.ltv.forecasts.resampled", lambda *given: calls.append(1) or original(*given)
    )
    fit = cx.fit_ltv(shop(3, 150), as_of=AS_OF, n_boot=40)
    fit.total(intervals=False), fit.customers(intervals=False), fit.deciles(), fit.grid()
    assert not calls
    fit.total(), fit.customers(), fit.new_customer()
    assert len(calls) == 1


def test_resamples_without_a_fit_are_drawn_anew_up_to_a_fifth(
    fit: LtvFit, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, calls = MODELS["bgnbd"], []

    def prepared(*histories: Any) -> Any:
        refit = model.prepare(*histories)

        def fails_sometimes(n: Any, start: Any) -> Any:
            calls.append(1)
            if len(calls) % every == 0:
                raise cx.FitError("no optimum")
            return refit(n, start=start)

        return fails_sometimes

    fitter = replace(model, prepare=prepared)
    arguments = (fitter, fit._values, fit._spend, fit.base, 0, 40)
    every = 10
    assert len(replicates.resampled(*arguments).model) == 40
    every = 2
    with pytest.raises(cx.FitError, match=r"intervals: 9 of 18 resamples .* \(intervals=False\)"):
        replicates.resampled(*arguments)


def test_one_repeat_customer_is_in_every_resample() -> None:
    rows = [("ann", "2023-01-01"), ("ann", "2023-02-01"), *((f"c{k}", "2023-03-01") for k in "abc")]
    orders = pd.DataFrame(rows, columns=["customer_id", "ordered_at"])
    orders = orders.assign(order_id=range(len(rows)), net_revenue=20.0)
    orders["ordered_at"] = pd.to_datetime(orders["ordered_at"])
    fit = cx.fit_ltv(orders, as_of=AS_OF, n_boot=40)
    assert fit.status == "too little data"
    assert np.isfinite(fit.total().to_numpy(float)).all()
    assert np.isfinite(fit.customers().to_pandas().select_dtypes("number").to_numpy()).all()


# Each customer, by brute force


@pytest.mark.parametrize("name", ["p_alive", "expected_orders"])
def test_bounds_of_customers_are_percentiles_over_the_refits(
    customers: pd.DataFrame, refitted: dict[str, np.ndarray], name: str
) -> None:
    low, high = np.quantile(refitted[name], (0.025, 0.975), axis=0, method="weibull")
    assert customers[f"{name}_low"].to_numpy() == pytest.approx(
        np.minimum(low, customers[name]), rel=1e-4
    )
    assert customers[f"{name}_high"].to_numpy() == pytest.approx(
        np.maximum(high, customers[name]), rel=1e-4
    )


def test_bounds_of_ltv_are_those_of_brute_force_to_a_few_percent(fit: LtvFit) -> None:
    # 500 refits as the bootstrap spreads them, so that chance in the percentiles is small
    rng = np.random.default_rng(7)
    logs = np.log(np.hstack([fit.replicates.model, fit.replicates.spend]))
    many = np.exp(rng.multivariate_normal(logs.mean(axis=0), np.cov(logs.T), 500))
    fit = replace(fit, _refits=Replicates(ORDERS, many[:, :4], many[:, 4:]))
    ours = fit.customers().order_by("customer_id").limit(150).to_pandas()
    theirs = summary().limit(150).to_pandas()
    low, high = np.quantile(every_refit(fit, theirs)["ltv"], (0.025, 0.975), axis=0)
    for name, exact in (("ltv_low", low), ("ltv_high", high)):
        assert ours[name].to_numpy() == pytest.approx(exact, rel=0.05)
        assert np.median(np.abs(ours[name] / exact - 1)) < 0.01


def test_points_lie_within_their_bounds(customers: pd.DataFrame) -> None:
    for name in ("p_alive", "expected_orders", "ltv"):
        assert (customers[f"{name}_low"] <= customers[name]).all()
        assert (customers[name] <= customers[f"{name}_high"]).all()
    assert customers["p_alive_high"].max() <= 1
    assert (customers["ltv_low"] > 0).all()


def test_customers_have_their_columns_in_order(customers: pd.DataFrame) -> None:
    def three(name: str) -> list[str]:
        return [name, f"{name}_low", f"{name}_high"]

    assert list(customers.columns) == [
        *("country", "n_orders", "days_since_last", *three("p_alive"), *three("expected_orders")),
        *("expected_spend", *three("ltv")),
    ]


def test_without_intervals_the_points_are_the_same(fit: LtvFit, customers: pd.DataFrame) -> None:
    plain = fit.customers(intervals=False).to_pandas().set_index("customer_id").sort_index()
    pd.testing.assert_frame_equal(plain, customers[list(plain.columns)])
    assert not [name for name in plain if name.endswith(("_low", "_high"))]


def test_a_hundred_thousand_customers_are_written_by_the_engine_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = ibis.memtable(cx.simulate.orders(100_000, start="2023-01-01", as_of=AS_OF, seed=1))
    fit = cx.fit_ltv(table, as_of=AS_OF)
    rng = np.random.default_rng(1)
    near = [
        np.exp(rng.normal(0, 0.02, (40, len(p)))) * list(p.values())
        for p in (fit._values, fit._spend)
    ]
    fit = replace(fit, _refits=Replicates(ORDERS, *near))
    rows = fit.customers()

    def no_rows(*given: Any, **more: Any) -> Any:
        raise AssertionError("rows came to Python")

    backend = type(ibis.get_backend())
    for name in ("execute", "to_pyarrow", "to_pyarrow_batches", "to_pandas", "to_polars"):
        monkeypatch.setattr(backend, name, no_rows)
    rows.to_parquet(tmp_path / "customers.parquet")
    monkeypatch.undo()
    written = pd.read_parquet(tmp_path / "customers.parquet")
    assert len(written) == 100_000
    assert np.isfinite(written.select_dtypes("number").to_numpy()).all()


# The base and its segments


def test_the_total_is_that_of_the_refits_summed_over_customers(
    fit: LtvFit, customers: pd.DataFrame, refitted: dict[str, np.ndarray]
) -> None:
    total = fit.total().iloc[0]
    for name, column in [
        ("expected_alive", "p_alive"), ("expected_orders", "expected_orders"), ("ltv", "ltv")
    ]:  # fmt: skip
        assert total[name] == pytest.approx(customers[column].sum(), rel=1e-9)
        low, high = np.quantile(refitted[column].sum(axis=1), (0.025, 0.975), method="weibull")
        assert [total[f"{name}_low"], total[f"{name}_high"]] == pytest.approx([low, high], rel=1e-5)


def test_segments_are_the_total_divided(
    fit: LtvFit, customers: pd.DataFrame, refitted: dict[str, np.ndarray]
) -> None:
    segments, total = fit.segments(), fit.total(intervals=False).iloc[0]
    assert list(segments.columns) == [
        *("country", "n_customers", "expected_alive", "expected_orders", "ltv", "ltv_low"),
        *("ltv_high", "ltv_per_customer", "ltv_per_customer_low", "ltv_per_customer_high"),
        *("ltv_p10", "ltv_median", "ltv_p90"),
    ]
    for name in ("n_customers", "expected_alive", "expected_orders", "ltv"):
        assert segments[name].sum() == pytest.approx(total[name])
    for row in segments.to_dict("records"):
        ours = customers["country"] == row["country"]
        assert row["n_customers"] == ours.sum()
        assert row["ltv"] == pytest.approx(customers.loc[ours, "ltv"].sum())
        sums = refitted["ltv"][:, ours.to_numpy()].sum(axis=1)
        low, high = np.quantile(sums, (0.025, 0.975), method="weibull")
        assert [row["ltv_low"], row["ltv_high"]] == pytest.approx([low, high], rel=1e-5)
        assert row["ltv_per_customer_low"] == pytest.approx(low / ours.sum(), rel=1e-5)
    assert segments["ltv"].is_monotonic_decreasing
    plain = fit.segments(intervals=False)
    pd.testing.assert_frame_equal(plain, segments[list(plain.columns)])


def test_a_segment_is_the_value_at_the_first_order() -> None:
    rows = [
        ("ann", "2023-01-05 18:00", "DE"), ("ann", "2023-01-05 09:00", "GB"),
        ("ann", "2023-03-01", "DE"), ("bob", "2023-01-01", None), ("bob", "2023-02-01", "DE"),
        ("eve", "2023-02-01", "DE"), ("eve", "2024-02-01", "GB"),
    ]  # fmt: skip
    orders = pd.DataFrame(rows, columns=["customer_id", "ordered_at", "country"])
    orders["ordered_at"] = pd.to_datetime(orders["ordered_at"], format="ISO8601")
    orders = orders.assign(order_id=range(len(rows)), net_revenue=20.0)
    fit = cx.fit_ltv(orders, as_of=AS_OF, by="country")
    who = fit.customers(intervals=False).to_pandas().set_index("customer_id")["country"]
    assert who.to_dict() == {"ann": "GB", "bob": "(none)", "eve": "DE"}
    assert sorted(fit.segments(intervals=False)["country"]) == ["(none)", "DE", "GB"]
    assert fit.total(intervals=False)["n_customers"][0] == 3


def test_by_does_not_change_the_fit(fit: LtvFit) -> None:
    plain = cx.fit_ltv(shop(1, 1500), as_of=AS_OF, margin=0.4)
    pd.testing.assert_frame_equal(plain.table, fit.table)
    with pytest.raises(cx.ParameterError, match=r"segments\(\) needs a fit with by="):
        plain.segments()
    with pytest.raises(cx.ColumnError, match="no column 'region'"):
        cx.fit_ltv(shop(2, 50), as_of=AS_OF, by="region")
    with pytest.raises(cx.ParameterError, match="by='ltv' is also a column of the answer"):
        cx.fit_ltv(shop(2, 50).assign(ltv="x"), as_of=AS_OF, by="ltv")


def test_a_new_customer_lies_within_its_bounds(fit: LtvFit) -> None:
    new = fit.new_customer().iloc[0]
    daily = math.log1p(0.1) / 365.25
    nobody = np.zeros(1)
    worth = [
        0.4 * money["p"] * money["v"] / (money["q"] - 1)
        * MODELS["bgnbd"].orders_if_alive(values, nobody, nobody, 365, (daily,))[0, 0]
        for values, money in fit.replicates.pairs()
    ]  # fmt: skip
    low, high = np.quantile(worth, (0.025, 0.975), method="weibull")
    assert [new["ltv_low"], new["ltv_high"]] == pytest.approx([low, high], rel=1e-9)
    assert new["expected_spend_low"] < new["expected_spend"] < new["expected_spend_high"]
    assert new["expected_orders_low"] < new["expected_orders"] < new["expected_orders_high"]


# Futures


def test_futures_have_the_mean_that_the_model_expects(fit: LtvFit) -> None:
    rows = np.arange(len(fit.base.n))
    rng = np.random.default_rng(3)
    drawn = np.array(
        [
            futures._drawn(fit.ahead, fit.base, rows, fit._values, fit._spend, rng)
            for _ in range(400)
        ]
    )
    assert (drawn[:, 0] == np.round(drawn[:, 0])).all(), "orders are whole"
    expected = futures._expected(fit.ahead, fit.base, rows, fit._values, fit._spend)
    orders, value = expected @ fit.base.n
    total = fit.total(intervals=False).iloc[0]
    assert orders == pytest.approx(total["expected_orders"], rel=1e-4)
    assert value == pytest.approx(total["ltv"] / fit.margin, rel=1e-4)
    sums = drawn.sum(axis=2)
    off = np.abs(sums.mean(axis=0) - expected.sum(axis=1))
    assert (off < 4 * sums.std(axis=0) / math.sqrt(400)).all()


def test_futures_spread_as_a_simulation_order_by_order_does() -> None:
    # one history, 20,000 futures, each order and each spend drawn by itself
    rng = np.random.default_rng(4)
    n, x, recency, age, own, horizon = 20_000, 3, 100, 130, 25.0, 365.0
    values, money = ({name: TRUTH[name] for name in names} for names in (ORDERS, "pqv"))
    history = (x * 2**BITS + recency) * 2**BITS + age
    frame = pd.DataFrame({"history": history, "monetary_value": own, "n": n}, index=[0])
    base = fit_base(frame)
    ahead = Ahead(MODELS["bgnbd"], base.histories, horizon, 0.5)
    bought, ours = futures._drawn(ahead, base, np.zeros(n, int), values, money, rng)

    alive = rng.random(n) < MODELS["bgnbd"].p_alive(values, *base.histories)[0]
    rate = rng.gamma(values["r"] + x, size=n) / (values["alpha"] + age)
    leaves = rng.beta(values["a"], values["b"] + x, size=n)
    level = rng.gamma(money["p"] * x + money["q"], size=n) / (money["v"] + x * own)
    theirs, orders = np.zeros(n), np.zeros(n)
    for who in np.flatnonzero(alive):
        at = rng.exponential(1 / rate[who])
        while at < horizon:
            orders[who] += 1
            theirs[who] += rng.gamma(money["p"]) / level[who] * 1.5 ** (-at / 365.25)
            if rng.random() < leaves[who]:
                break
            at += rng.exponential(1 / rate[who])
    assert ours.mean() == pytest.approx(theirs.mean(), rel=0.05)
    assert ours.std() == pytest.approx(theirs.std(), rel=0.05)
    assert (ours > 0).mean() == pytest.approx((theirs > 0).mean(), abs=0.015)
    assert bought.mean() == pytest.approx(orders.mean(), rel=0.05)
    assert bought.std() == pytest.approx(orders.std(), rel=0.05)
    assert np.quantile(ours, 0.95) == pytest.approx(np.quantile(theirs, 0.95), rel=0.06)


def fit_base(rows: pd.DataFrame) -> Any:
    from cxlib.ltv.base import Base

    return Base({str(name): rows[name].to_numpy() for name in rows}, 0)


def test_a_sample_of_a_large_base_tells_its_chance(
    fit: LtvFit, monkeypatch: pytest.MonkeyPatch
) -> None:
    # half of the customers drawn and blown up: futures spread as those of all of them
    monkeypatch.setattr(futures, "MOST_DRAWS", 400)
    refits = fit._refitted_sums[:, 1:].sum(axis=2) / [1, fit.margin]
    whole = futures.realised(fit.ahead, fit.base, fit.replicates, refits, 1)
    monkeypatch.setattr(futures, "MOST_CUSTOMERS", 750)
    part = futures.realised(fit.ahead, fit.base, fit.replicates, refits, 1)
    assert whole.shape == part.shape == (400, 2)
    assert part.std(axis=0) == pytest.approx(whole.std(axis=0), rel=0.15)
    assert part.mean(axis=0) == pytest.approx(whole.mean(axis=0), rel=0.02)


def test_what_will_be_realised_is_less_certain_than_its_expectation(fit: LtvFit) -> None:
    total = fit.total().iloc[0]
    assert total["realised_low"] < total["ltv_low"] < total["ltv"] < total["ltv_high"]
    assert total["ltv_high"] < total["realised_high"]
    assert total["realised_orders_low"] < total["expected_orders_low"] < total["expected_orders"]
    assert total["expected_orders_high"] < total["realised_orders_high"]
    assert list(total.index) == [
        *("n_customers", "expected_alive", "expected_alive_low", "expected_alive_high"),
        *("expected_orders", "expected_orders_low", "expected_orders_high"),
        *("ltv", "ltv_low", "ltv_high", "realised_orders_low", "realised_orders_high"),
        *("realised_low", "realised_high"),
    ]


# Known truth


@pytest.fixture(scope="module")
def shops() -> pd.DataFrame:
    """Shops of 300 customers: intervals, and where the truth lies."""
    rows = []
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(futures, "MOST_DRAWS", 120)
    for seed in range(24):
        orders = shop(100 + seed, 300, end="2024-12-30", r=1.2)
        fit = cx.fit_ltv(orders, as_of=AS_OF, seed=seed, n_boot=40)
        true = replace(
            fit,
            _values={k: TRUTH[k] for k in ORDERS} | {"r": 1.2},
            _spend={k: TRUTH[k] for k in "pqv"},
        ).total(intervals=False)
        later = orders[orders["ordered_at"] >= "2024-01-01"]
        days = (later["ordered_at"] - pd.Timestamp("2024-01-01")).dt.total_seconds() / 86400
        spent = (later["net_revenue"] * 1.1 ** (-days / 365.25)).sum()
        came = len(later.groupby(["customer_id", later["ordered_at"].dt.date]))
        total = fit.total().iloc[0]
        truth = {"true": true["ltv"][0], "spent": spent, "came": came}
        rows.append(total.to_dict() | truth)
    monkeypatch.undo()
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("interval", "truth", "point"),
    [
        ("ltv", "true", "ltv"),
        ("realised", "spent", "ltv"),
        ("realised_orders", "came", "expected_orders"),
    ],
)
def test_nominal_95_percent_intervals_hold_the_truth_of_simulated_shops(
    shops: pd.DataFrame, interval: str, truth: str, point: str
) -> None:
    held = shops[truth].between(shops[f"{interval}_low"], shops[f"{interval}_high"]).sum()
    assert held >= stats.binom.ppf(0.001, len(shops), 0.95)  # 19 of 24
    # nor are they wide for nothing: errors in units of the interval's half are those of a normal
    half = np.log(shops[f"{interval}_high"] / shops[f"{interval}_low"]) / 2 / 1.96
    units = np.log(shops[point] / shops[truth]) / half
    low, high = np.sqrt(stats.chi2.ppf([0.001, 0.999], len(shops)) / len(shops))
    assert low < np.sqrt((units**2).mean()) < high


# Short cuts


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=15, deadline=None)
@given(st.floats(0.05, 20), st.floats(0.0005, 50), st.integers(1, 3000))
@example(1.0, 0.007, 3000)  # customers leave within the day
def test_orders_read_off_a_series_over_age_are_the_exact_ones(
    model: str, shape: float, scale: float, oldest: int
) -> None:
    values = {
        name: value * (scale if name in ("alpha", "beta") else shape)
        for name, value in PARAMETERS[model].items()
    }
    rng = np.random.default_rng(oldest)
    age = rng.integers(0, oldest + 1, 1000).astype(float)
    x = np.minimum(rng.integers(0, 8, 1000), age)
    ahead = Ahead(MODELS[model], np.array([x, np.minimum(x, age), age]), 365, 0.1)
    exact = MODELS[model].orders_if_alive(values, x, age, 365, discounts=ahead.discounts)
    assert ahead.if_alive(values) == pytest.approx(exact, rel=1e-9)


def test_the_outermost_of_few_refits_stand_where_they_should() -> None:
    # of 39 draws the smallest and largest have 2.5 % of the distribution beyond them on average
    values = np.arange(1.0, 40)[:, None]
    low, high = quantiles(values)
    assert [low[0], high[0]] == [1, 39]


@pytest.mark.parametrize("model", ["mbgnbd", "paretonbd"])
def test_other_models_have_all_answers(model: str) -> None:
    fit = cx.fit_ltv(shop(6, 200), as_of=AS_OF, model=model, by="country", n_boot=40)
    assert list(fit.table["parameter"][:4]) == list(PARAMETERS[model])
    for table in (fit.total(), fit.segments(), fit.deciles(), fit.grid(), fit.new_customer()):
        assert np.isfinite(table.select_dtypes("number").to_numpy()).all()
    customers = fit.customers().to_pandas()
    once = customers[(customers["n_orders"] == 1) & (customers["days_since_last"] > 0)]
    assert (once["p_alive"] < 1).all(), "here one-time customers may have left"
    assert (customers["ltv_low"] <= customers["ltv"]).all()
