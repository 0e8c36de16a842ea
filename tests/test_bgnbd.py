"""The likelihoods and forecasts: published figures, lifetimes beside ours, and brute force."""

from __future__ import annotations

import itertools
import math
import warnings
from typing import Any

import cdnow
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special

from cxlib import _bgnbd
from cxlib._bgnbd import betageo, gamma_gamma, newton
from cxlib._bgnbd.unique import told_apart
from cxlib._checks import FitError

Numbers = npt.NDArray[np.float64]
EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True)
CDNOW = cdnow.customers()
REPEAT = CDNOW[CDNOW["frequency"] > 0]
PAPER = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}


def histories(frame: pd.DataFrame) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    counted = frame.groupby(["frequency", "recency", "T"], as_index=False).size()
    return tuple(counted.to_numpy(float).T)


def spends(frame: pd.DataFrame) -> tuple[Numbers, Numbers, Numbers]:
    counted = frame.groupby(["frequency", "monetary_value"], as_index=False).size()
    return tuple(counted.to_numpy(float).T)


def simulated(
    seed: int, n: int, r: float, alpha: float, a: float, b: float, days: int = 365
) -> pd.DataFrame:
    """Histories of customers who buy and leave as BG/NBD says, in days; b = inf: nobody leaves."""
    rng = np.random.default_rng(seed)
    age = rng.integers(1, days, n)
    rate = rng.gamma(r, 1 / alpha, n)
    leave = rng.beta(a, b, n) if math.isfinite(b) else np.zeros(n)
    rows = np.zeros((n, 2))
    for i in range(n):
        at = rng.exponential(1 / rate[i]) if rate[i] > 0 else np.inf
        while at < age[i]:
            if math.floor(at) > rows[i, 1]:
                rows[i] += 1, math.floor(at) - rows[i, 1]
            if rng.random() < leave[i]:
                break
            at += rng.exponential(1 / rate[i])
    return pd.DataFrame({"frequency": rows[:, 0], "recency": rows[:, 1], "T": age.astype(float)})


# Figures from the papers


def test_cdnow_bgnbd_is_that_of_fader_hardie_lee_2005_table_2() -> None:
    fit = _bgnbd.fit_bgnbd(*histories(CDNOW))
    assert {name: round(value, 3) for name, value in fit.values.items()} == pytest.approx(
        PAPER, abs=0.0011
    )
    assert fit.log_likelihood == pytest.approx(-9582.4, abs=0.05)
    assert not fit.at_edge


def test_cdnow_gamma_gamma_is_that_of_fader_hardie_2013() -> None:
    fit = _bgnbd.fit_gamma_gamma(*spends(REPEAT))
    assert fit.values == pytest.approx({"p": 6.25, "q": 3.74, "v": 15.44}, abs=0.01)
    assert fit.log_likelihood == pytest.approx(-4055.92, abs=0.01)


def test_cdnow_customer_of_fader_hardie_lee_2005_page_281_buys_1_226_times_in_39_weeks() -> None:
    # x = 2, t_x = 30.43, T = 38.86
    x, recency, age = (np.array([value]) for value in (2.0, 30.43, 38.86))
    alive = _bgnbd.p_alive(PAPER, x, recency, age)
    expected = alive * _bgnbd.orders_if_alive(PAPER, x, age, 39)[0]
    assert expected == pytest.approx([1.226], abs=0.0005)


def test_cdnow_bgnbd_and_gamma_gamma_are_those_of_the_tests_of_clvtools() -> None:
    fit = _bgnbd.fit_bgnbd(*histories(CDNOW))
    clvtools = {"r": 0.2425945, "alpha": 4.4136019, "a": 0.7929199, "b": 2.4258881}
    assert fit.values == pytest.approx(clvtools, rel=1e-4)
    assert fit.log_likelihood == pytest.approx(-9582.429, abs=0.005)
    spend = _bgnbd.fit_gamma_gamma(*spends(REPEAT))
    assert spend.log_likelihood == pytest.approx(-4055.9177, abs=0.006)


def test_cdnow_new_customer_buys_as_in_the_spreadsheet_of_fader_and_hardie() -> None:
    # by the tests of lifetimes; in weeks, of which the first is a day
    weeks = np.array([0.1429, 1.0, 3.0, 31.8571, 32.0, 78.0])
    printed = [0.0078, 0.0532, 0.1506, 1.0405, 1.0437, 1.8576]
    values = _bgnbd.fit_bgnbd(*histories(CDNOW)).values
    ours = _bgnbd.MODELS["bgnbd"].expected_orders(values, weeks)
    assert ours == pytest.approx(printed, abs=0.0004)


@pytest.mark.parametrize(
    ("x", "recency", "age", "printed"),
    [
        (18, 35.14, 35.86, 0.424877), (19, 34.00, 34.14, 0.474738), (17, 28.43, 28.86, 0.486526),
        (29, 37.71, 38.00, 0.662396), (26, 30.86, 31.00, 0.710623),
    ],
)  # fmt: skip
def test_best_customers_of_cdnow_buy_in_a_week_as_the_quickstart_of_lifetimes_prints(
    x: int, recency: float, age: float, printed: float
) -> None:
    values = _bgnbd.fit_bgnbd(*histories(CDNOW)).values
    arrays = [np.array([value]) for value in (x, recency, age)]
    alive = _bgnbd.p_alive(values, *arrays)
    ours = alive * _bgnbd.orders_if_alive(values, arrays[0], arrays[2], 1)[0]
    assert ours == pytest.approx([printed], rel=5e-6)


def test_first_customers_of_cdnow_spend_as_the_quickstart_of_lifetimes_prints() -> None:
    printed = [24.658619, 18.911489, *[35.170981] * 3, 71.462843, 18.911489, 35.170981, 27.282408]
    level, slope = _bgnbd.spend_line(
        _bgnbd.fit_gamma_gamma(*spends(REPEAT)).values, CDNOW["frequency"].to_numpy()
    )
    ours = level + slope * CDNOW["monetary_value"].to_numpy()
    assert ours[:9] == pytest.approx(printed, rel=2e-6)
    assert ours.mean() == pytest.approx(35.252958, rel=1e-6)


# lifetimes beside ours


@pytest.fixture(scope="module")
def peer() -> Any:
    """lifetimes' fitters, on CDNOW, driven to a tight optimum."""
    lifetimes = cdnow.lifetimes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bgnbd = lifetimes.BetaGeoFitter().fit(
            CDNOW["frequency"], CDNOW["recency"], CDNOW["T"], tol=1e-8
        )
        spend = lifetimes.GammaGammaFitter().fit(
            REPEAT["frequency"], REPEAT["monetary_value"], tol=1e-8
        )
    return bgnbd, spend


def test_lifetimes_finds_the_same_parameters_and_standard_errors(peer: Any) -> None:
    ours = _bgnbd.fit_bgnbd(*histories(CDNOW)), _bgnbd.fit_gamma_gamma(*spends(REPEAT))
    for theirs, fit in zip(peer, ours, strict=True):
        assert fit.values == pytest.approx(dict(theirs.params_), rel=1e-4)
        scale = math.log(getattr(theirs, "_scale", 1)) * theirs.data["frequency"].sum()
        log_likelihood = scale - theirs._negative_log_likelihood_ * len(theirs.data)
        assert fit.log_likelihood == pytest.approx(log_likelihood, abs=1e-4)
        assert fit.standard_errors == pytest.approx(dict(theirs.standard_errors_), rel=1e-3)


def test_lifetimes_says_the_same_of_each_cdnow_customer(peer: Any) -> None:
    bgnbd, spend = peer
    x, recency, age = CDNOW[["frequency", "recency", "T"]].to_numpy(float).T
    alive = _bgnbd.p_alive(bgnbd.params_, x, recency, age)
    assert alive == pytest.approx(bgnbd.conditional_probability_alive(x, recency, age), rel=1e-10)
    for weeks in (0.5, 39, 520):
        ours = alive * _bgnbd.orders_if_alive(bgnbd.params_, x, age, weeks)[0]
        theirs = bgnbd.predict(weeks, x, recency, age)
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-14)
    level, slope = _bgnbd.spend_line(spend.params_, x)
    ours = level + slope * CDNOW["monetary_value"]
    theirs = spend.conditional_expected_average_profit(CDNOW["frequency"], CDNOW["monetary_value"])
    assert ours.to_numpy() == pytest.approx(theirs.to_numpy(), rel=1e-12)


# Derivatives


@pytest.mark.parametrize("seed", range(4))
def test_derivatives_are_those_of_central_differences(seed: int) -> None:
    at = np.random.default_rng(seed).uniform(-1.5, 1.5, 4)
    x, recency, age, n = histories(CDNOW)
    frequency, spend, m = spends(REPEAT)
    for objective, place in [
        (betageo._Histories(x.astype(int), recency, age, 0).objective(n), at),
        (gamma_gamma._objective(frequency.astype(int), spend, m), at[:3]),
    ]:
        _, gradient, hessian = objective(place)
        steps = 1e-5 * np.eye(len(place))
        sides = [(objective(place + step), objective(place - step)) for step in steps]
        slopes = [(up[0] - down[0]) / 2e-5 for up, down in sides]
        bends = [(up[1] - down[1]) / 2e-5 for up, down in sides]
        assert gradient == pytest.approx(np.array(slopes), rel=1e-6, abs=1e-4)
        assert hessian == pytest.approx(np.array(bends), rel=1e-6, abs=1e-4)


def test_bgnbd_likelihood_of_one_customer_is_equation_6_of_fader_hardie_lee_2005() -> None:
    r, alpha, a, b = PAPER.values()
    x, recency, age = 3, 20.0, 30.0
    stays = special.beta(a, b + x) / special.beta(a, b) / (alpha + age) ** (r + x)
    leaves = special.beta(a + 1, b + x - 1) / special.beta(a, b) / (alpha + recency) ** (r + x)
    by_hand = special.gamma(r + x) * alpha**r / special.gamma(r) * (stays + leaves)
    arrays = (np.array([value]) for value in (x, recency, age))
    value = betageo._Histories(*arrays, 0).objective(np.ones(1))(np.log(list(PAPER.values())))[0]
    assert value == pytest.approx(math.log(by_hand), rel=1e-12)


# Forecasts by brute force, and everywhere


def brute_force_orders(
    parameters: dict[str, float], x: float, age: float, horizon: float, daily: float = 0.0
) -> float:
    """Average over the chance p to leave, then over time: no hypergeometric function."""
    r, alpha, a, b = parameters.values()

    def given_p(p: float) -> float:
        def rate(t: float) -> float:
            shrink = math.log1p(p * t / (alpha + age))
            return (r + x) / (alpha + age) * math.exp(-(r + x + 1) * shrink - daily * t)

        return integrate.quad(rate, 0, horizon, epsabs=0, epsrel=1e-10, limit=200)[0]

    # in the logit of p, where a beta with a small shape has no spike
    def weighted(logit: float) -> float:
        p = special.expit(logit)
        log_p, log_q = special.log_expit(logit), special.log_expit(-logit)
        return math.exp(a * log_p + (b + x) * log_q - special.betaln(a, b + x)) * given_p(p)

    middle = math.log(a / (b + x))
    return sum(
        integrate.quad(weighted, low, high, epsabs=0, epsrel=1e-9, limit=200)[0]
        for low, high in [
            (middle - 60, middle - 5),
            (middle - 5, middle + 5),
            (middle + 5, middle + 60),
        ]
    )


@pytest.mark.parametrize(
    ("alpha", "a", "b", "x", "age", "horizon", "daily"),
    [
        (40, 0.8, 2.5, 2, 100, 365, 0.0),
        (40, 0.8, 2.5, 2, 100, 365, 0.0005),
        (40, 1.0, 2.5, 4, 30, 365, 0.0),  # a pole of the closed form
        (40, 0.6, 0.4, 0, 0, 365, 0.0),  # another: a + b = 1, and a customer of today
        (40, 1.7, 4.0, 300, 400, 730, 0.0003),  # lifetimes overflows here
        (40, 20.0, 0.5, 1, 5, 100, 0.0),
        (0.5, 140.0, 0.5, 0, 0, 365, 0.0),  # the power in Pfaff's transformation may underflow
        (0.5, 0.5, 22000.0, 0, 0, 365, 0.0003),  # scipy's 2F1 is NaN here
    ],
)
def test_orders_if_alive_by_brute_force_over_p_and_time(
    alpha: float, a: float, b: float, x: int, age: int, horizon: int, daily: float
) -> None:
    parameters = {"r": 0.5, "alpha": alpha, "a": a, "b": b}
    ours = _bgnbd.orders_if_alive(
        parameters, np.array([x]), np.array([age]), horizon, discounts=[daily]
    )
    exact = brute_force_orders(parameters, x, age, horizon, daily)
    assert ours[0, 0] == pytest.approx(exact, rel=1e-7)


@pytest.mark.parametrize(
    ("shape", "a", "b", "time", "exact"),
    [
        (1.001, 4.54e-5, 22026.46, 698.0, 0.999998602883119),
        (5.3, 5.0, 1000.0, 2000.0, 7.84736106043982e-5),
        (1.3, 90.0, 22026.0, 50000.0, 0.00100771035010899),
        (10.0, 4.0, 165.0, 10.0, 0.175950484624207),  # -4 by scipy: their difference is whole
    ],
)
def test_mean_survival_is_that_of_mpmath_where_scipy_errs(
    shape: float, a: float, b: float, time: float, exact: float
) -> None:
    # mpmath 1.4.1 at 30 digits; an average over p in the logit of p
    few, many = sorted((shape, a))
    theirs = special.hyp2f1(a + b - many, few, a + b, time / (1 + time)) * (1 + time) ** -few
    assert not abs(theirs - exact) < 1e-3
    ours = betageo._mean_survival(np.array([shape]), a, np.array([b]), np.array([time]))
    assert ours == pytest.approx([exact], rel=1e-8)


@pytest.mark.parametrize("alpha", [0.1, 10.0, 2000.0])
@pytest.mark.parametrize("horizon", [1.0, 365.0, 3653.0])
def test_who_leaves_with_the_first_purchase_places_one_if_any(alpha: float, horizon: float) -> None:
    # gamma-exponential: that is all over in a small part of a long horizon
    values = {"r": 140.0, "alpha": alpha, "a": 140.0, "b": 1e-7}
    ours = _bgnbd.orders_if_alive(values, np.zeros(1), np.zeros(1), horizon)
    assert ours[0] == pytest.approx([-np.expm1(-140 * np.log1p(horizon / alpha))], rel=1e-4)


@pytest.mark.parametrize("x", [0, 1, 30, 900])
@pytest.mark.parametrize("first", [0, 1])
def test_mean_survival_is_a_share_that_falls_with_time_up_to_all_edges(x: int, first: int) -> None:
    edges = {name: np.exp(np.linspace(low, high, 7)) for name, (low, high) in betageo.BOX.items()}
    shape, b, time = np.meshgrid(edges["r"] + x + 1, edges["b"], np.geomspace(1e-3, 1e9, 30))
    for a in edges["a"]:
        mean = betageo._mean_survival(shape, a, b + x + first, time)
        assert ((mean >= 0) & (mean <= 1)).all()
        assert (np.diff(mean, axis=2) <= 1e-8).all()


box = st.fixed_dictionaries(
    {name: st.floats(low, high).map(math.exp) for name, (low, high) in betageo.BOX.items()}
)


@EXAMPLES
@given(box, st.integers(0, 900), st.integers(0, 3000), st.floats(0, 1), st.floats(0.1, 3000))
def test_forecasts_are_finite_and_in_range_for_any_parameters_and_history(
    parameters: dict[str, float], x: int, age: int, share: float, horizon: float
) -> None:
    parameters["alpha"] *= 1000
    x = min(x, age)
    frequency, ages = np.array([x]), np.array([age])
    alive = _bgnbd.p_alive(parameters, frequency, ages * share if x else ages * 0, ages)
    near, far = (
        _bgnbd.orders_if_alive(parameters, frequency, ages, days, discounts=(0.0, 0.001))
        for days in (horizon, horizon * 1.1)
    )
    assert 0 <= alive[0] <= 1
    assert np.isfinite(far).all()
    assert (near >= 0).all()
    assert (far >= near * (1 - 1e-9)).all(), "a longer horizon holds more orders"
    assert near[1] <= near[0]
    rate = (parameters["r"] + x) / (parameters["alpha"] + age)
    assert far[0] <= rate * horizon * 1.1 * (1 + 1e-9), "nobody beats the one who never leaves"


def test_who_never_came_back_is_alive_for_sure_in_this_model() -> None:
    assert _bgnbd.p_alive(PAPER, np.array([0]), np.array([0]), np.array([500])) == [1.0]


# What must not matter


def test_parameters_in_weeks_are_those_in_days_with_alpha_by_7() -> None:
    x, recency, age, n = histories(CDNOW)
    weeks, days = (_bgnbd.fit_bgnbd(x, recency * k, age * k, n) for k in (1, 7))
    assert days.values == pytest.approx(
        weeks.values | {"alpha": weeks.values["alpha"] * 7}, rel=1e-9
    )
    assert days.log_likelihood == pytest.approx(weeks.log_likelihood - n @ x * math.log(7))


def test_parameters_do_not_depend_on_the_currency() -> None:
    x, spend, n = spends(REPEAT)
    one, many = (_bgnbd.fit_gamma_gamma(x, spend * k, n) for k in (1, 1e6))
    assert many.values == pytest.approx(one.values | {"v": one.values["v"] * 1e6}, rel=1e-9)
    assert many.standard_errors["q"] == pytest.approx(one.standard_errors["q"], rel=1e-6)


def test_counted_histories_fit_as_single_customers_in_any_order_do() -> None:
    mixed = CDNOW.sample(frac=1, random_state=1)
    one = np.ones(len(mixed))
    single = _bgnbd.fit_bgnbd(*mixed[["frequency", "recency", "T"]].to_numpy(float).T, one)
    assert single.values == pytest.approx(_bgnbd.fit_bgnbd(*histories(CDNOW)).values, rel=1e-9)


# Data that the models do not like


@pytest.mark.parametrize("n", [60, 300])
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "truth",
    [
        {"r": 0.5, "alpha": 60, "a": 1, "b": math.inf},
        {"r": 0.05, "alpha": 60, "a": 0.8, "b": 2.5},
        {"r": 200, "alpha": 12000, "a": 0.8, "b": 2.5},
        {"r": 0.5, "alpha": 60, "a": 30, "b": 1},
    ],
    ids=["nobody leaves", "few come back", "all buy alike", "nearly all leave"],
)
def test_every_fit_is_finite_and_owns_to_its_edges(
    truth: dict[str, float], seed: int, n: int
) -> None:
    x, recency, age, m = histories(simulated(seed, n, **truth))
    if not x.any():
        x, recency = x + (age == age.max()), recency + (age == age.max())
    fit = _bgnbd.fit_bgnbd(x, recency, age, m)
    assert np.isfinite([*fit.values.values(), fit.log_likelihood]).all()
    inside = set(fit.values) - set(fit.at_edge)
    assert all(fit.standard_errors[name] > 0 for name in inside)
    assert all(math.isnan(fit.standard_errors[name]) for name in fit.at_edge)
    orders = _bgnbd.orders_if_alive(fit.values, x, age, 365)
    assert np.isfinite(orders * _bgnbd.p_alive(fit.values, x, recency, age)).all()


def test_no_other_start_finds_a_better_optimum() -> None:
    # without dropout the likelihood has several tops; one start alone misses these three
    for seed in (1, 24, 30):
        x, recency, age, n = histories(simulated(seed, 200, 0.5, 60, 1, math.inf))
        best = _bgnbd.fit_bgnbd(x, recency, age, n).log_likelihood
        unit = age.max()
        objective = betageo._Histories(x.astype(int), recency / unit, age / unit, 0).objective(n)
        for a, b in itertools.product([0.01, 0.1, 1, 10], repeat=2):
            start = {"r": 0.5, "alpha": 0.2, "a": a, "b": b}
            other = newton.maximise(objective, start, betageo.BOX, "BG/NBD")
            assert other.log_likelihood - n @ x * math.log(unit) < best + 1e-3


def test_spend_without_spread_stands_at_an_edge() -> None:
    x, n = np.array([1.0, 2.0, 3.0]), np.array([40.0, 20.0, 10.0])
    fit = _bgnbd.fit_gamma_gamma(x, np.full(3, 25.0), n)
    assert set(fit.at_edge.values()) == {"high"}
    level, slope = _bgnbd.spend_line(fit.values, x)
    assert level + slope * 25 == pytest.approx(25, rel=1e-3)


def test_spend_without_a_finite_mean_is_held_above_q_of_1() -> None:
    spend = np.linspace(0.01, 1, 100) ** -2  # Pareto with index 1/2
    fit = _bgnbd.fit_gamma_gamma(np.full(100, 9.0), spend, np.ones(100))
    assert fit.at_edge["q"] == "low"
    assert fit.values["q"] > 1
    level, slope = _bgnbd.spend_line(fit.values, np.full(100, 9.0))
    assert (level + slope * spend > 0).all()


def test_a_climb_that_does_not_end_says_what_to_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newton, "MAX_STEPS", 2)
    with pytest.raises(FitError, match="BG/NBD: no optimum after 2 steps; give a longer history"):
        _bgnbd.fit_bgnbd(*histories(CDNOW))


# What the fits look up


@EXAMPLES
@given(
    st.lists(st.integers(-3, 40) | st.integers(0, 10**6) | st.floats(0, 40), min_size=1),
    st.booleans(),
)
def test_values_are_told_apart_as_numpy_does(values: list[float], is_whole: bool) -> None:
    found = np.array(values, float)
    if is_whole:
        found = np.floor(found)
    unique, place = told_apart(found)
    expected = np.unique(found, return_inverse=True)
    np.testing.assert_array_equal(unique, expected[0])
    np.testing.assert_array_equal(place, expected[1])


@pytest.mark.parametrize("first", [0, 1])
def test_a_likelihood_worked_through_in_parts_is_the_sum_of_its_parts(
    first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, recency, age, n = histories(CDNOW)
    objective = betageo._Histories(x.astype(int), recency, age, first).objective(n)
    whole = objective(np.log(list(PAPER.values())))
    monkeypatch.setattr(betageo, "_AT_ONCE", 7)
    for ours, theirs in zip(objective(np.log(list(PAPER.values()))), whole, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10)
