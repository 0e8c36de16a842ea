"""Lifetime value: CDNOW end to end, lifetimes beside ours, known truth, and bad input."""

from __future__ import annotations

import datetime as dt
import math
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import cdnow
import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cxlib as cx
from cxlib._bgnbd import Fit
from cxlib.ltv import LtvFit, ltv_summary
from cxlib.ltv.verdict import judge

START = pd.Timestamp("2022-01-01")
AS_OF = "2022-12-31"


def shop(
    seed: int, n: int, *, r: float = 0.6, alpha: float = 90, a: float = 0.8, b: float = 2.5
) -> pd.DataFrame:
    """Orders of two years as BG/NBD and Gamma-Gamma say; first orders in the first 300 days.

    The first order of all stands on the first day. Spend has p = 6, q = 4, v = 15, mean 30.
    """
    rng = np.random.default_rng(seed)
    begin = rng.uniform(0, 300, n) * (np.arange(n) > 0)
    rate, leave = rng.gamma(r, 1 / alpha, n), rng.beta(a, b, n) if b < math.inf else np.zeros(n)
    level = rng.gamma(4, 1 / 15, n)
    rows = []
    for who in range(n):
        at = begin[who]
        rows.append((who, at))
        while (at := at + rng.exponential(1 / rate[who])) < 730:
            rows.append((who, at))
            if rng.random() < leave[who]:
                break
    who, days = np.array(rows).T
    return pd.DataFrame(
        {
            "order_id": [str(row) for row in range(len(rows))],
            "customer_id": [f"c{one:.0f}" for one in who],
            "ordered_at": START + pd.to_timedelta(days, unit="D").round("s"),
            "net_revenue": rng.gamma(6, 1 / level[who.astype(int)]),
        }
    )


def orders_of(rows: list[tuple[str, str, float]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["customer_id", "ordered_at", "net_revenue"])
    return frame.assign(
        order_id=[str(row) for row in range(len(frame))],
        ordered_at=pd.to_datetime(frame["ordered_at"], format="ISO8601"),
    )


def parameters(fit: LtvFit) -> dict[str, float]:
    return dict(zip(fit.table["parameter"], fit.table["value"], strict=True))


def by_customer(fit: LtvFit) -> pd.DataFrame:
    return fit.customers(intervals=False).to_pandas().set_index("customer_id").sort_index()


@pytest.fixture(scope="module")
def cdnow_fit() -> LtvFit:
    return cx.fit_ltv(cdnow.orders(), as_of=cdnow.CALIBRATION_END, horizon_days=360)


@pytest.fixture(scope="module")
def orders() -> pd.DataFrame:
    return shop(1, 4000)


@pytest.fixture(scope="module")
def fit(orders: pd.DataFrame) -> LtvFit:
    return cx.fit_ltv(orders, as_of=AS_OF)


# From orders to histories


def test_cdnow_orders_reduce_to_the_histories_of_the_papers() -> None:
    ours = ltv_summary(cdnow.orders(), as_of=cdnow.CALIBRATION_END).to_pandas()
    ours = ours.sort_values("customer_id", ignore_index=True)
    theirs = cdnow.customers()
    assert len(ours) == len(theirs) == 2357
    assert ours["frequency"].tolist() == theirs["frequency"].tolist()
    for name in ("recency", "T"):
        assert (ours[name] / 7).to_numpy() == pytest.approx(theirs[name].to_numpy(), abs=0.005)
    spend = theirs["monetary_value"].to_numpy()
    assert ours["monetary_value"].to_numpy() == pytest.approx(spend, abs=0.0051)


@pytest.mark.parametrize("seed", range(3))
def test_lifetimes_reduces_random_orders_to_the_same_histories(seed: int) -> None:
    # stamps within the day, several orders a day, and orders after as_of
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "order_id": [str(row) for row in range(400)],
            "customer_id": rng.integers(0, 60, 400).astype(str),
            "ordered_at": START + pd.to_timedelta(rng.integers(0, 90 * 24, 400), unit="h"),
            "net_revenue": rng.uniform(1, 100, 400).round(2),
        }
    )
    as_of = START + pd.Timedelta(days=70)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = cdnow.lifetimes("lifetimes.utils").summary_data_from_transaction_data(
            frame, "customer_id", "ordered_at", "net_revenue", observation_period_end=as_of
        )
    ours = ltv_summary(frame, as_of=as_of).to_pandas().set_index("customer_id").sort_index()
    pd.testing.assert_frame_equal(
        ours.astype(float), theirs.sort_index(), check_index_type=False, check_names=False
    )


def test_a_day_that_nets_to_nothing_is_no_purchase() -> None:
    rows = [
        ("ann", "2022-01-01", 10.0),
        ("ann", "2022-01-05 08:00", 0.1),  # 0.1 + 0.2 - 0.3 is above 0 in floats
        ("ann", "2022-01-05 09:00", 0.2),
        ("ann", "2022-01-05 10:00", -0.3),
        ("ann", "2022-01-09", 20.0),
        ("ann", "2022-01-12", -20.0),
        ("bob", "2022-01-02", -5.0),
    ]
    table = ltv_summary(orders_of(rows), as_of="2022-01-31").to_pandas()
    assert table.to_dict("records") == [
        {"customer_id": "ann", "frequency": 1, "recency": 8, "T": 30, "monetary_value": 20.0}
    ]


def test_the_last_observed_day_is_included_to_its_end() -> None:
    rows = [("ann", "2022-01-01", 1.0), ("ann", "2022-01-31 23:59:59", 1.0)]
    for as_of, frequency in [("2022-01-31", 1), ("2022-01-30", 0)]:
        table = ltv_summary(orders_of(rows), as_of=as_of).to_pandas()
        assert table["frequency"].tolist() == [frequency]


# The fit, end to end


def test_cdnow_from_orders_gives_the_parameters_of_the_papers(cdnow_fit: LtvFit) -> None:
    # Fader, Hardie and Lee (2005): .243, 4.414 weeks, .793, 2.426, LL -9582.4; Fader and
    # Hardie (2013): 6.25, 3.74, 15.44, LL -4055.92, on spend rounded to cents
    found = parameters(cdnow_fit)
    assert [found[name] for name in "rab"] == pytest.approx([0.243, 0.793, 2.426], abs=0.001)
    assert found["alpha"] / 7 == pytest.approx(4.414, abs=0.002)
    assert [found[name] for name in "pqv"] == pytest.approx([6.25, 3.74, 15.44], abs=0.02)
    repeats = cdnow.customers()["frequency"].sum()
    assert cdnow_fit.log_likelihood + repeats * math.log(7) == pytest.approx(-9582.4, abs=0.2)
    assert cdnow_fit.spend_log_likelihood == pytest.approx(-4055.92, abs=0.5)
    assert cdnow_fit.n_customers == 2357
    assert cdnow_fit.n_repeat_customers == 946
    assert cdnow_fit.n_without_purchase == 0
    assert cdnow_fit.base.histories.shape == (3, 1016)  # all that is fitted: unique histories
    assert (cdnow_fit.status, cdnow_fit.verdict) == (
        "converged",
        "converged: 946 of 2,357 customers came again.",
    )


@pytest.fixture(scope="module")
def peers(cdnow_fit: LtvFit) -> Any:
    """lifetimes' fitters with our parameters, and the histories of the CDNOW orders."""
    lifetimes = cdnow.lifetimes()
    found = pd.Series(parameters(cdnow_fit))
    bgnbd, spend = lifetimes.BetaGeoFitter(), lifetimes.GammaGammaFitter()
    bgnbd.params_, spend.params_ = found[["r", "alpha", "a", "b"]], found[["p", "q", "v"]]
    bgnbd.predict = bgnbd.conditional_expected_number_of_purchases_up_to_time
    table = ltv_summary(cdnow.orders(), as_of=cdnow.CALIBRATION_END).to_pandas()
    return bgnbd, spend, table.set_index("customer_id").sort_index()


def lifetimes_value(peers: Any, monthly: float) -> pd.Series:
    bgnbd, spend, table = peers
    history = [table[name] for name in ("frequency", "recency", "T", "monetary_value")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return spend.customer_lifetime_value(bgnbd, *history, time=12, discount_rate=monthly)


def test_lifetimes_says_the_same_of_each_customer(cdnow_fit: LtvFit, peers: Any) -> None:
    bgnbd, spend, table = peers
    ours = by_customer(cdnow_fit)
    x, recency, age = (table[name] for name in ("frequency", "recency", "T"))
    theirs = {
        "n_orders": x + 1,
        "days_since_last": age - recency,
        "p_alive": bgnbd.conditional_probability_alive(x, recency, age),
        "expected_orders": bgnbd.predict(360, x, recency, age),
        "expected_spend": spend.conditional_expected_average_profit(x, table["monetary_value"]),
    }
    assert list(ours.columns) == [*theirs, "ltv"]
    for name, column in theirs.items():
        assert ours[name].to_numpy() == pytest.approx(np.asarray(column), rel=1e-9), name


def test_value_without_discount_is_that_of_lifetimes(cdnow_fit: LtvFit, peers: Any) -> None:
    fit = cx.fit_ltv(cdnow.orders(), as_of=cdnow.CALIBRATION_END, horizon_days=360, discount_rate=0)
    theirs = lifetimes_value(peers, 0)
    assert by_customer(fit)["ltv"].to_numpy() == pytest.approx(theirs.to_numpy(), rel=1e-9)


def test_discounted_value_lies_between_months_paid_late_and_early(
    cdnow_fit: LtvFit, peers: Any
) -> None:
    # lifetimes discounts each 30 days' value at their end; a month earlier is the other bound
    monthly = 1.10 ** (30 / 365.25) - 1
    late = lifetimes_value(peers, monthly)
    ours = by_customer(cdnow_fit)["ltv"]
    assert (late < ours).all()
    assert (ours < late * (1 + monthly)).all()


def test_discounting_is_that_of_a_fine_sum_over_time(fit: LtvFit) -> None:
    steps = [0.0, *np.linspace(365 / 12, 365, 12)]
    totals = [0.0] + [
        replace(fit, horizon_days=days, discount_rate=0).total(intervals=False)["ltv"][0]
        for days in steps[1:]
    ]
    middles = (np.array(steps[:-1]) + np.array(steps[1:])) / 2
    by_hand = np.diff(totals) @ 1.10 ** (-middles / 365.25)
    assert fit.total(intervals=False)["ltv"][0] == pytest.approx(by_hand, rel=1e-4)


def test_a_new_customer_is_worth_what_equation_9_of_fader_hardie_lee_2005_says(
    cdnow_fit: LtvFit, peers: Any
) -> None:
    bgnbd, spend, _ = peers
    new = cdnow_fit.new_customer(intervals=False).iloc[0]
    expected = bgnbd.expected_number_of_purchases_up_to_time(360)
    assert new["expected_orders"] == pytest.approx(expected, rel=1e-9)
    p, q, v = spend.params_
    assert new["expected_spend"] == pytest.approx(p * v / (q - 1))
    late = 1.1 ** (-360 / 365.25)
    assert late < new["ltv"] / (new["expected_orders"] * new["expected_spend"]) < 1


# Known truth


def test_simulated_truth_is_found_within_four_standard_errors(fit: LtvFit) -> None:
    truth = [0.6, 90, 0.8, 2.5, 6, 4, 15]
    off = (fit.table["value"] - truth) / fit.table["standard_error"]
    assert fit.status == "converged"
    assert off.abs().max() < 4


def test_next_years_purchases_of_the_simulation_are_foretold(
    orders: pd.DataFrame, fit: LtvFit
) -> None:
    later = orders[orders["ordered_at"] >= "2023-01-01"]
    actual_orders = len(later.groupby(["customer_id", later["ordered_at"].dt.date]))
    undiscounted = replace(fit, discount_rate=0).total(intervals=False).iloc[0]
    assert undiscounted["expected_orders"] == pytest.approx(actual_orders, rel=0.08)
    assert undiscounted["ltv"] == pytest.approx(later["net_revenue"].sum(), rel=0.08)
    assert fit.total(intervals=False)["ltv"][0] < undiscounted["ltv"]


# Answers that hang together


def test_total_and_deciles_add_up_to_the_customers(fit: LtvFit) -> None:
    customers, total, deciles = by_customer(fit), fit.total(intervals=False), fit.deciles()
    assert len(customers) == fit.n_customers == total["n_customers"][0]
    assert total["expected_alive"][0] == pytest.approx(customers["p_alive"].sum())
    for name in ("expected_orders", "ltv"):
        assert total[name][0] == pytest.approx(customers[name].sum())
        assert total[name][0] == pytest.approx(deciles[name].sum())
    assert deciles["decile"].tolist() == list(range(1, 11))
    assert deciles["n_customers"].tolist() == [400] * 10
    assert deciles["ltv_share"].is_monotonic_decreasing
    assert deciles["ltv_share"].sum() == pytest.approx(1)
    best = customers["ltv"].nlargest(400).sum()
    assert deciles["ltv"][0] == pytest.approx(best)


def test_customers_can_be_written_without_passing_through_memory(
    fit: LtvFit, tmp_path: Path
) -> None:
    fit.customers().to_parquet(tmp_path / "customers.parquet")
    written = pd.read_parquet(tmp_path / "customers.parquet")
    assert len(written) == fit.n_customers
    assert not written.isna().any(axis=None)


def test_margin_horizon_and_rate_change_value_as_they_should(
    orders: pd.DataFrame, fit: LtvFit
) -> None:
    base = by_customer(fit)
    half = by_customer(cx.fit_ltv(orders, as_of=AS_OF, margin=0.5))
    assert half["ltv"].to_numpy() == pytest.approx(base["ltv"].to_numpy() / 2)
    longer = by_customer(cx.fit_ltv(orders, as_of=AS_OF, horizon_days=400))
    assert (longer["expected_orders"] > base["expected_orders"]).all()
    assert (longer["ltv"] > base["ltv"]).all()
    dearer = by_customer(cx.fit_ltv(orders, as_of=AS_OF, discount_rate=0.3))
    assert (dearer["ltv"] < base["ltv"]).all()
    assert (dearer["expected_orders"] == base["expected_orders"]).all()


@settings(max_examples=3, deadline=None, derandomize=True)
@given(st.integers(0, 1000), st.sampled_from([0.001, 1000.0]))
def test_row_order_and_currency_do_not_matter(seed: int, factor: float) -> None:
    orders = shop(seed, 150)
    base = cx.fit_ltv(orders, as_of=AS_OF)
    mixed = orders.sample(frac=1, random_state=seed)
    other = cx.fit_ltv(mixed.assign(net_revenue=mixed["net_revenue"] * factor), as_of=AS_OF)
    assert other.verdict == base.verdict
    ours, theirs = by_customer(base), by_customer(other)
    money = ["expected_spend", "ltv"]
    theirs[money] /= factor
    pd.testing.assert_frame_equal(ours, theirs, rtol=1e-6)


@settings(max_examples=6, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcde"), st.integers(0, 60), st.sampled_from([-5, 0.01, 9, 1e6])
        ),
        min_size=1,
        max_size=40,
    )
)
def test_any_few_orders_end_in_one_clear_error_or_in_finite_values(
    rows: list[tuple[str, int, float]],
) -> None:
    frame = orders_of([(who, str(START + pd.Timedelta(days=day)), x) for who, day, x in rows])
    purchases = ltv_summary(frame, as_of="2022-03-10").to_pandas()
    if not (purchases["frequency"] > 0).any():
        says = "bought on a second day" if len(purchases) else "no customer has a day"
        with pytest.raises(cx.CxError, match=says):
            cx.fit_ltv(frame, as_of="2022-03-10")
        return
    fit = cx.fit_ltv(frame, as_of="2022-03-10", n_boot=40)
    customers = fit.customers().to_pandas().set_index("customer_id")
    assert fit.status == "too little data"
    for answer in (customers, fit.total(), fit.new_customer(), fit.grid()):
        numbers = answer.to_numpy(float)
        assert np.isfinite(numbers).all()
        assert (numbers >= 0).all()
    for name in ("p_alive", "expected_orders", "ltv"):
        assert (customers[f"{name}_low"] <= customers[name]).all()
        assert (customers[name] <= customers[f"{name}_high"]).all()
    assert customers["p_alive_high"].le(1).all()


def test_a_cleaned_table_and_a_table_of_another_engine_give_the_same(
    orders: pd.DataFrame, fit: LtvFit, tmp_path: Path
) -> None:
    before = orders.copy()
    cleaned = cx.clean_orders(orders, timezone="UTC")
    engine = ibis.duckdb.connect(str(tmp_path / "shop.db"))
    engine.create_table("orders", orders)
    for source in (cleaned, engine.table("orders")):
        other = cx.fit_ltv(source, as_of=dt.date(2022, 12, 31))
        assert parameters(other) == pytest.approx(parameters(fit), rel=1e-9)
        assert other.total(intervals=False).iloc[0].to_list() == pytest.approx(
            fit.total(intervals=False).iloc[0].to_list()
        )
    pd.testing.assert_frame_equal(orders, before)


def test_a_fit_shows_its_verdict_and_parameters(fit: LtvFit) -> None:
    html = fit._repr_html_()
    assert "converged: " in html
    assert "as of 2022-12-31, 365 days ahead, less 10% a year, value 100% of net revenue" in html
    assert ">alpha</td>" in html
    alpha = fit.table.set_index("parameter").loc["alpha"]
    far = math.exp(1.96 * alpha["standard_error"] / alpha["value"])  # Wald's, on the log scale
    ends = (f"{alpha['value'] / far:.3g}", f"{alpha['value'] * far:.3g}")
    assert "95% interval" in html
    assert all(end in html for end in ends)
    said = "BG/NBD, as of 2022-12-31, 365 days ahead, less 10% a year, value 100% of net revenue"
    assert repr(fit) == f"LtvFit({said}: {fit.verdict!r})"
    assert list(fit.table.columns) == ["parameter", "value", "standard_error", "meaning"]


# Verdicts


def test_customers_who_never_leave_are_owned_up_to() -> None:
    fit = cx.fit_ltv(shop(3, 800, b=math.inf), as_of=AS_OF)
    assert fit.status == "boundary"
    assert fit.verdict == (
        "boundary: no dropout seen (a/(a+b) near 0), so values are an upper bound."
    )
    assert fit.table["standard_error"].isna().any()
    assert "–" in fit._repr_html_()
    assert np.isfinite(by_customer(fit).to_numpy(float)).all()


def test_customers_who_buy_alike_are_owned_up_to() -> None:
    fit = cx.fit_ltv(shop(1, 400, r=500, alpha=30000), as_of=AS_OF)
    assert fit.verdict.startswith("boundary: customers do not differ in how often they buy")


def test_customers_who_leave_at_once_are_owned_up_to() -> None:
    fit = cx.fit_ltv(shop(2, 400, a=200, b=0.01), as_of=AS_OF)
    assert "nearly everyone leaves after one repeat purchase" in fit.verdict


def test_customers_who_leave_alike_are_owned_up_to() -> None:
    fit = cx.fit_ltv(shop(5, 400, a=300, b=700), as_of=AS_OF)
    assert "customers do not differ in their chance to leave" in fit.verdict


def test_customers_who_leave_at_once_or_never_are_owned_up_to() -> None:
    fit = cx.fit_ltv(shop(2, 600, a=0.002, b=0.002), as_of=AS_OF)
    assert "customers leave at their first repeat purchase or never" in fit.verdict


def test_one_price_for_everybody_is_owned_up_to(orders: pd.DataFrame) -> None:
    fit = cx.fit_ltv(orders.assign(net_revenue=20.0), as_of=AS_OF)
    assert "do not differ in spend" in fit.verdict
    assert by_customer(fit)["expected_spend"].median() == pytest.approx(20, rel=0.01)


@pytest.mark.parametrize(
    ("at_edge", "says"),
    [
        ({"alpha": "low"}, "purchase rates spread without limit (r or alpha near 0)"),
        ({"q": "low"}, "spend is so unequal that its mean is hardly finite (q near 1)"),
        ({"p": "low"}, "spend per purchase spreads without limit (p or v near 0)"),
    ],
)
def test_rarer_edges_have_their_sentence(at_edge: dict[str, str], says: str) -> None:
    bgnbd = {"r": 1.0, "alpha": 1.0, "a": 1.0, "b": 1.0}
    spend = {"p": 1.0, "q": 1.0, "v": 1.0}
    edges = [{name: at_edge[name] for name in at_edge if name in group} for group in (bgnbd, spend)]
    fits = (
        Fit(values, dict.fromkeys(values, 0.1), edge, 0.0)
        for values, edge in zip((bgnbd, spend), edges, strict=True)
    )
    assert judge(*fits, 100, 50, 365) == ("boundary", f"boundary: {says}.")


def test_no_dropout_is_owned_up_to_inside_the_range_as_well() -> None:
    # as on the Online Retail data of 2011: a / (a + b) is 0.0004, neither a nor b at its edge
    values = {"r": 0.8, "alpha": 69.0, "a": 0.0027, "b": 7.7}
    spend = Fit(dict.fromkeys("pqv", 2.0), dict.fromkeys("pqv", 0.1), {}, 0.0)
    loose = Fit(values, {"r": 0.03, "alpha": 2.6, "a": 0.01, "b": 30.0}, {}, 0.0)
    assert judge(loose, spend, 4324, 2769, 373)[1].startswith("boundary: no dropout seen")


def test_few_repeat_customers_are_too_little_data() -> None:
    fit = cx.fit_ltv(shop(1, 40), as_of=AS_OF)
    assert fit.status == "too little data"
    assert fit.verdict.startswith(f"too little data: only {fit.n_repeat_customers} of 40 customers")


def test_parameters_that_are_not_pinned_down_are_too_little_data() -> None:
    fit = cx.fit_ltv(shop(6, 100, r=0.9), as_of=AS_OF)
    assert fit.status == "too little data"
    assert fit.verdict.endswith("of 100 customers came again, which does not pin down a, b.")


def test_one_customer_who_came_again_is_too_little_data() -> None:
    rows = [("ann", "2022-01-01", 10.0), ("ann", "2022-02-01", 30.0)]
    fit = cx.fit_ltv(orders_of(rows), as_of="2022-06-01")
    assert fit.verdict.startswith("too little data: only 1 of 1 customers came again")
    assert np.isfinite(by_customer(fit).to_numpy(float)).all()
    assert fit.deciles()["ltv_share"].tolist() == [1.0]


# Bad input


def test_nobody_who_came_again_is_an_error() -> None:
    same_day = [(who, f"2022-01-01 {hour}:00", 5.0) for who in "abc" for hour in (10, 20)]
    with pytest.raises(cx.FitError, match="none of 3 customers bought on a second day") as error:
        cx.fit_ltv(orders_of(same_day), as_of="2022-01-01")
    assert "give a longer history" in str(error.value)
    with pytest.raises(cx.FitError, match="none of 1 customers"):
        cx.fit_ltv(orders_of([("ann", "2022-01-01", 10.0)]), as_of="2022-06-01")


def test_as_of_before_the_first_order_is_an_error() -> None:
    with pytest.raises(
        cx.DataError, match=r"as_of=2022-01-04 is before the first order \(2022-01-05"
    ):
        cx.fit_ltv(orders_of([("ann", "2022-01-05", 10.0)]), as_of="2022-01-04")


def test_a_vast_first_order_leaves_the_mean_of_the_others_positive() -> None:
    rows = [("ann", "2022-01-05", 1e17), ("ann", "2022-01-06", 0.01), ("ann", "2022-01-07", 0.03)]
    table = ltv_summary(orders_of(rows), as_of="2022-01-31").to_pandas()
    assert 0.01 <= table["monetary_value"][0] <= 0.03


def test_refunds_alone_are_no_purchase() -> None:
    with pytest.raises(cx.DataError, match="no customer has a day with positive net spend"):
        cx.fit_ltv(orders_of([("ann", "2022-01-05", -10.0)]), as_of="2022-02-01")


def test_customers_without_a_purchase_are_counted(orders: pd.DataFrame, fit: LtvFit) -> None:
    extra = orders_of([("late", "2023-05-01", 9.0), ("sent back", "2022-05-01", -9.0)])
    extra["order_id"] = ["late", "back"]
    more = cx.fit_ltv(pd.concat([orders, extra]), as_of=AS_OF)
    assert more.n_without_purchase == 1  # the late one has not come yet
    assert more.n_customers == fit.n_customers
    assert parameters(more) == pytest.approx(parameters(fit), rel=1e-9)


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ({"horizon_days": 0}, "horizon_days=0 is out of range; give one above 0 to 3,653"),
        ({"horizon_days": 5000}, "horizon_days=5000 is out of range"),
        ({"discount_rate": -0.1}, "discount_rate=-0.1 is out of range; give one from 0"),
        ({"margin": 0}, "margin=0 is out of range"),
        ({"margin": 30}, "margin=30 is out of range"),
        ({"as_of": "31/12/2022"}, "as_of='31/12/2022' is not a date"),
    ],
)
def test_bad_arguments_are_named(orders: pd.DataFrame, argument: dict[str, Any], says: str) -> None:
    with pytest.raises(cx.ParameterError) as error:
        cx.fit_ltv(orders, **{"as_of": AS_OF, **argument})
    assert says in str(error.value)


def test_a_missing_column_is_named(orders: pd.DataFrame) -> None:
    with pytest.raises(cx.ColumnError, match="no column 'net_revenue'"):
        cx.fit_ltv(orders.drop(columns="net_revenue"), as_of=AS_OF)
