"""Interval arithmetic: published figures, other packages beside ours, and corners by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats import multitest, proportion, weightstats

from cxlib._intervals import (
    Moments,
    fieller,
    holm,
    log_ratio,
    mean_interval,
    rates_difference,
    rates_p_value,
    rates_ratio,
    sample_ratio,
    welch,
    wilson,
)

GOLDEN = Path(__file__).parent / "golden" / "experiment.json"
CASES: dict[str, dict[str, Any]] = {
    case["id"]: case for case in json.loads(GOLDEN.read_text(encoding="utf-8"))
}
ARM = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
ALPHA = st.sampled_from([0.01, 0.05, 0.1])


def counts_of(case: dict[str, Any]) -> tuple[int, int, int, int]:
    given_ = case["inputs"]
    return given_["count1"], given_["nobs1"], given_["count2"], given_["nobs2"]


def moments_of_sums(arm: dict[str, float]) -> Moments:
    n, total, squares = arm["n"], arm["sum"], arm["sum_squares"]
    return Moments(n, total / n, (squares - total**2 / n) / (n - 1))


def tea_tasting(arm: str, metric: str) -> Moments:
    given_ = CASES["tt_doc_users42"]["inputs"][arm]
    return Moments(given_["n"], given_["mean"][metric], given_["var"][metric])


# One proportion


def test_wilson_18_of_20_as_r_binom_confint() -> None:
    _, low, high = wilson(18, 20)
    assert [low, high] == pytest.approx(CASES["prop_ci_18_20"]["expected"]["wilson"], abs=1e-6)


def test_wilson_is_null_for_no_units_and_stays_within_zero_and_one() -> None:
    rate, low, high = wilson([0, 5, 0], [0, 5, 9])
    assert np.isnan([rate[0], low[0], high[0]]).all()
    assert (low[1:] >= 0).all()
    assert (high[1:] <= 1).all()
    assert low[1] < 1 < high[1] + 1e-12
    assert low[2] == pytest.approx(0, abs=1e-12)


# Two proportions


@pytest.mark.parametrize("name", ["two_prop_mee_7_34_vs_1_34", "two_prop_mee_56_70_vs_48_80"])
def test_score_interval_of_a_difference_as_published(name: str) -> None:
    case = CASES[name]
    assert rates_difference(*counts_of(case)) == pytest.approx(
        case["expected"]["diff_score_mee"], abs=case["tolerance"]
    )


def test_score_intervals_of_7_34_vs_1_34_within_the_tolerances_of_the_case() -> None:
    case = CASES["two_prop_ci_7_34_vs_1_34"]
    difference, ratio = rates_difference(*counts_of(case)), rates_ratio(*counts_of(case))
    assert difference == pytest.approx(case["expected"]["diff_score_MN"], abs=0.002)
    assert ratio == pytest.approx(case["expected"]["ratio_score_koopman"], abs=6e-7)


@given(ARM, ARM, ALPHA)
@settings(deadline=None, max_examples=60)
def test_koopman_interval_as_statsmodels_has_it(
    arm: tuple[int, int], control: tuple[int, int], alpha: float
) -> None:
    # statsmodels 0.15 loses its way where an arm is all or nothing, so those are left to corners
    assume(0 < arm[0] < arm[1] and 0 < control[0] < control[1])
    theirs = proportion.confint_proportions_2indep(
        *arm, *control, compare="ratio", method="score", correction=False, alpha=alpha
    )
    assert rates_ratio(*arm, *control, alpha) == pytest.approx(theirs, rel=1e-6)


@given(ARM, ARM)
@settings(deadline=None, max_examples=60)
def test_pearson_p_value_as_scipy_and_statsmodels_have_it(
    arm: tuple[int, int], control: tuple[int, int]
) -> None:
    both = arm[0] + control[0]
    assume(0 < both < arm[1] + control[1])
    table = [[arm[0], arm[1] - arm[0]], [control[0], control[1] - control[0]]]
    ours = rates_p_value(*arm, *control)
    assert ours == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue, rel=1e-9)
    _, theirs = proportion.proportions_ztest([arm[0], control[0]], [arm[1], control[1]])
    assert ours == pytest.approx(theirs, rel=1e-9)


def score_z(x: int, n: int, x0: int, n0: int, difference: float) -> float:
    """Mee's statistic straight from its definition, the likelihood maximised by scipy."""

    def minus_log_likelihood(rate0: float) -> float:
        rates = np.clip([rate0 + difference, rate0], 1e-15, 1 - 1e-15)
        return -float(np.sum(stats.binom.logpmf([x, x0], [n, n0], rates)))

    bounds = (max(0.0, -difference), min(1.0, 1 - difference))
    rate0 = optimize.minimize_scalar(
        minus_log_likelihood, bounds=bounds, method="bounded", options={"xatol": 1e-12}
    ).x
    rate = rate0 + difference
    error = math.sqrt(rate * (1 - rate) / n + rate0 * (1 - rate0) / n0)
    return abs(x / n - x0 / n0 - difference) / error


@given(ARM, ARM, ALPHA)
@settings(deadline=None, max_examples=40)
def test_score_limits_of_a_difference_are_where_mees_own_statistic_is_critical(
    arm: tuple[int, int], control: tuple[int, int], alpha: float
) -> None:
    assume(0 < arm[0] < arm[1] and 0 < control[0] < control[1])
    for limit in rates_difference(*arm, *control, alpha):
        assert score_z(*arm, *control, limit) == pytest.approx(stats.norm.isf(alpha / 2), rel=1e-4)


@given(ARM, ARM, ALPHA)
@settings(deadline=None, max_examples=80)
def test_p_value_and_both_intervals_of_rates_always_say_the_same(
    arm: tuple[int, int], control: tuple[int, int], alpha: float
) -> None:
    p_value = rates_p_value(*arm, *control)
    assume(abs(p_value - alpha) > 1e-9)
    low, high = rates_difference(*arm, *control, alpha)
    ratio_low, ratio_high = rates_ratio(*arm, *control, alpha)
    assert (p_value < alpha) == (low > 0 or high < 0)
    assert (p_value < alpha) == (ratio_low > 1 or ratio_high < 1)
    observed = arm[0] / arm[1] - control[0] / control[1]
    assert -1 <= low <= observed <= high <= 1
    assert high - low > 1e-4


@given(ARM, ARM)
@settings(deadline=None, max_examples=60)
def test_swapping_the_arms_mirrors_the_difference_and_inverts_the_ratio(
    arm: tuple[int, int], control: tuple[int, int]
) -> None:
    low, high = rates_difference(*arm, *control)
    assert rates_difference(*control, *arm) == pytest.approx((-high, -low), abs=1e-9)
    low, high = rates_ratio(*arm, *control)
    inverse = (0.0 if math.isinf(high) else 1 / high, math.inf if low == 0 else 1 / low)
    assert rates_ratio(*control, *arm) == pytest.approx(inverse, rel=1e-8)


def test_corners_of_two_rates_by_hand() -> None:
    # One-sample arithmetic gives the limits of 0 of n against 0 of n: z^2 / (n + z^2)
    edge = 1.959963984540054**2 / (1000 + 1.959963984540054**2)
    assert rates_difference(0, 1000, 0, 1000) == pytest.approx((-edge, edge), abs=1e-9)
    assert rates_p_value(0, 1000, 0, 1000) == 1
    assert rates_p_value(1000, 1000, 1000, 1000) == 1
    assert rates_ratio(0, 1000, 0, 1000) == (0, math.inf)

    low, high = rates_difference(0, 1000, 50, 1000)
    assert -0.07 < low < -0.05 < high < -0.03
    low, high = rates_ratio(0, 1000, 50, 1000)
    assert low == 0 < high < 0.1
    low, high = rates_ratio(50, 1000, 0, 1000)
    assert low > 10
    assert high == math.inf

    assert rates_difference(9, 9, 0, 9)[1] == 1
    assert rates_difference(0, 9, 9, 9)[0] == -1
    low, high = rates_difference(1, 1, 0, 1)
    assert low < 0 < high == 1


def test_rates_of_one_in_ten_million_keep_their_digits() -> None:
    # Poisson limit: the ratio's interval hardly depends on n (statsmodels' Koopman beside)
    theirs = proportion.confint_proportions_2indep(
        10, 10**7, 30, 10**7, compare="ratio", method="score", correction=False
    )
    assert rates_ratio(10, 10**7, 30, 10**7) == pytest.approx(theirs, rel=1e-6)
    low, high = rates_difference(10, 10**7, 30, 10**7)
    assert -3.5e-6 < low < -2e-6 < high < 0


def test_an_extreme_p_value_is_tiny_and_not_zero() -> None:
    assert 0 < rates_p_value(200, 1000, 900, 1000) < 1e-100
    far = welch(Moments(1000, 20.0, 1.0), Moments(1000, 19.0, 1.0))
    assert 0 < far.p_value < 1e-80


def test_coverage_of_the_rate_intervals_by_enumeration_of_every_table() -> None:
    n, alpha = 20, 0.05
    pairs = [(a, b) for a in range(n + 1) for b in range(n + 1)]
    differences = np.array([rates_difference(a, n, b, n, alpha) for a, b in pairs])
    ratios = np.array([rates_ratio(a, n, b, n, alpha) for a, b in pairs])
    counts = np.arange(n + 1)
    covered = []
    for rate in (0.1, 0.3, 0.5, 0.8):
        for rate0 in (0.1, 0.3, 0.5, 0.8):
            chance = np.outer(
                stats.binom.pmf(counts, n, rate), stats.binom.pmf(counts, n, rate0)
            ).ravel()
            for limits, truth in ((differences, rate - rate0), (ratios, rate / rate0)):
                inside = (limits[:, 0] <= truth + 1e-9) & (truth - 1e-9 <= limits[:, 1])
                covered.append(float(chance @ inside))
    assert 0.945 < np.mean(covered) < 0.965
    assert min(covered) > 0.92


# Means


@pytest.mark.parametrize("metric", ["orders", "revenue"])
def test_welch_and_log_ratio_as_tea_tasting_documents(metric: str) -> None:
    expected = CASES["tt_doc_users42"]["expected"][f"{metric}_per_user"]
    treatment, control = tea_tasting("treatment", metric), tea_tasting("control", metric)
    found = welch(treatment, control)
    assert treatment.mean - control.mean == pytest.approx(expected["effect"], abs=1e-9)
    assert found[:2] == pytest.approx(expected["ci"], abs=1e-9)
    assert found.p_value == pytest.approx(expected["p"], abs=1e-9)
    assert treatment.mean / control.mean - 1 == pytest.approx(expected["rel"], abs=1e-9)
    assert log_ratio(treatment, control) == pytest.approx(expected["rel_ci"], abs=1e-9)
    # Fieller's interval is another method: the same to three digits on 4,000 users
    assert fieller(treatment, control) == pytest.approx(expected["rel_ci"], abs=1e-3)


def test_welch_on_sessions_as_tea_tasting_documents() -> None:
    expected = CASES["tt_doc_users42"]["expected"]["sessions_per_user"]
    treatment, control = tea_tasting("treatment", "sessions"), tea_tasting("control", "sessions")
    assert treatment.mean / control.mean - 1 == pytest.approx(expected["rel"], abs=5e-5)
    assert welch(treatment, control).p_value == pytest.approx(expected["p"], abs=5e-4)


def test_welch_as_growthbook_tests_its_one_sided_forms() -> None:
    case = CASES["gb_one_sided"]
    control, treatment = (moments_of_sums(case["inputs"][arm]) for arm in ("control", "treatment"))
    found, expected = welch(treatment, control, alpha=0.10), case["expected"]
    assert treatment.mean - control.mean == pytest.approx(expected["effect"], abs=5e-6)
    assert found.low == pytest.approx(expected["greater"]["ci_low"], abs=5e-6)
    assert found.high == pytest.approx(expected["lesser"]["ci_high"], abs=5e-6)
    assert found.p_value / 2 == pytest.approx(expected["greater"]["p"], abs=5e-6)


def test_relative_effect_as_growthbook() -> None:
    case = CASES["gb_welch_relative"]
    control, treatment = (moments_of_sums(case["inputs"][arm]) for arm in ("control", "treatment"))
    relative = treatment.mean / control.mean - 1
    assert relative == pytest.approx(case["expected"]["effect"], abs=5e-6)
    assert welch(treatment, control).p_value == pytest.approx(0.020, abs=5e-4)  # the case's note


SAMPLE = st.lists(st.floats(-100, 100), min_size=2, max_size=30)


def moments(values: list[float]) -> Moments:
    return Moments(len(values), float(np.mean(values)), float(np.var(values, ddof=1)))


@given(SAMPLE, SAMPLE, ALPHA)
@settings(deadline=None, max_examples=60)
def test_welch_as_scipy_and_statsmodels_have_it(
    values: list[float], base: list[float], alpha: float
) -> None:
    assume(np.var(values) > 1e-3 and np.var(base) > 1e-3)
    ours = welch(moments(values), moments(base), alpha)
    theirs = stats.ttest_ind(values, base, equal_var=False)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-7)
    limits = weightstats.CompareMeans.from_data(values, base).tconfint_diff(alpha, usevar="unequal")
    assert ours[:2] == pytest.approx(limits, rel=1e-7, abs=1e-7)


@given(SAMPLE, SAMPLE, ALPHA)
@settings(deadline=None, max_examples=100)
def test_fieller_limits_solve_fiellers_own_equation_and_agree_with_welch(
    values: list[float], base: list[float], alpha: float
) -> None:
    assume(np.var(values) > 1e-3 and np.var(base) > 1e-3)
    arm, control = moments(values), moments(base)
    found = welch(arm, control, alpha)
    critical = stats.t.isf(alpha / 2, found.df)
    known = abs(control.mean) / math.sqrt(control.squared_error) > critical
    low, high = fieller(arm, control, alpha)
    assert math.isnan(low) != known
    if known:
        for ratio in (low + 1, high + 1):
            error = math.sqrt(arm.squared_error + ratio**2 * control.squared_error)
            distance = abs(arm.mean - ratio * control.mean)
            scale = 1e-6 * (abs(arm.mean) + abs(ratio * control.mean))
            assert distance == pytest.approx(critical * error, rel=1e-6, abs=scale)
        assume(abs(found.p_value - alpha) > 1e-9)
        assert (found.p_value < alpha) == (low > 0 or high < 0)


def test_coverage_of_fieller_and_log_ratio_on_skewed_revenue() -> None:
    rng = np.random.default_rng(20240501)
    runs, n, truth = 2000, 400, 1.2
    base = rng.exponential(10, (runs, n)) * (rng.random((runs, n)) < 0.4)
    values = truth * rng.exponential(10, (runs, n)) * (rng.random((runs, n)) < 0.4)
    covered = np.zeros(2)
    for value, other in zip(values, base, strict=True):
        arm = Moments(n, value.mean(), value.var(ddof=1))
        control = Moments(n, other.mean(), other.var(ddof=1))
        for place, method in enumerate((fieller, log_ratio)):
            low, high = method(arm, control)
            covered[place] += low <= truth - 1 <= high
    # a true coverage of 95 % leaves these bounds once in a thousand
    low, high = stats.binom.interval(0.999, runs, 0.95)
    assert ((low <= covered) & (covered <= high)).all(), covered / runs


def test_mean_interval_as_scipy_and_null_for_one_unit() -> None:
    values = [3.0, 4.5, 1.0, 9.0]
    theirs = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert mean_interval(moments(values), 0.1) == pytest.approx(tuple(theirs))
    assert np.isnan(mean_interval(Moments(1, 5.0, math.nan))).all()


def test_one_unit_or_no_variance_has_no_comparison() -> None:
    usual = Moments(10, 5.0, 2.0)
    for arm, control in (
        (Moments(1, 5.0, math.nan), usual),
        (usual, Moments(1, 5.0, math.nan)),
        (Moments(10, 5.0, 0.0), Moments(10, 4.0, 0.0)),
    ):
        assert np.isnan(welch(arm, control)).all()
        assert np.isnan(fieller(arm, control)).all()
    # one arm alone without variance: the other one's degrees of freedom
    assert welch(usual, Moments(10, 4.0, 0.0)).df == pytest.approx(9)


def test_a_mean_of_a_billion_keeps_its_relative_interval() -> None:
    low, high = fieller(Moments(1000, 1e9 + 1, 1.0), Moments(1000, 1e9, 1.0))
    shifted = welch(Moments(1000, 1.0, 1.0), Moments(1000, 0.0, 1.0))
    assert (low * 1e9, high * 1e9) == pytest.approx(shifted[:2], rel=1e-6)


# Samples and many tests


@pytest.mark.parametrize("name", ["srm_44000_45000", "srm_kohavi"])
def test_sample_ratio_as_published(name: str) -> None:
    case = CASES[name]
    p_value = sample_ratio(case["inputs"]["counts"], case["inputs"]["weights"])
    assert p_value == pytest.approx(case["expected"]["pvalue"], rel=0.06)


def test_sample_ratio_of_three_arms_by_hand_one_of_them_empty() -> None:
    chi_square = (50 - 60) ** 2 / 60 + (70 - 30) ** 2 / 30 + (0 - 30) ** 2 / 30
    expected = math.exp(-chi_square / 2)  # the chi-square tail on two degrees of freedom
    assert sample_ratio([50, 70, 0], [0.5, 0.25, 0.25]) == pytest.approx(expected)
    assert 0 < sample_ratio([10_000, 12_000], [0.5, 0.5]) < 1e-40


def test_holm_as_tea_tasting_documents() -> None:
    case = CASES["tt_adjust_fdr_fwer"]
    assert holm(case["inputs"]["pvalues"]) == pytest.approx(
        case["expected"]["holm_bonferroni"], rel=5e-3
    )


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(deadline=None, max_examples=8)
def test_holm_as_statsmodels_has_it(p_values: list[float]) -> None:
    theirs = multitest.multipletests(p_values, method="holm")[1]
    assert holm(p_values) == pytest.approx(theirs, rel=1e-12)


def test_holm_leaves_nulls_out() -> None:
    assert holm([0.01, math.nan, 0.04]) == pytest.approx([0.02, math.nan, 0.04], nan_ok=True)
    assert np.isnan(holm([math.nan])).all()
