"""Many metrics, margins and equivalence: published figures, other packages, and by enumeration."""

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
from statsmodels.stats import multitest, weightstats

from cxlib import _checks
from cxlib._intervals import Moments, fieller, holm, rates_ratio, sample_ratio, welch, wilson
from cxlib.experiment.adjust import adjusted, adjusted_levels, benjamini_hochberg
from cxlib.experiment.margins import (
    corrected_sample_ratio,
    equivalence_p_value,
    margin_p_value,
    margin_test,
    one_sided,
    rate_test,
    rates_margin_test,
)

GOLDEN = Path(__file__).parent / "golden" / "experiment.json"
CASES: dict[str, dict[str, Any]] = {
    case["id"]: case for case in json.loads(GOLDEN.read_text(encoding="utf-8"))
}
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)
ARM = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
MARGIN = st.sampled_from([-0.3, -0.1, -0.02, 0.02, 0.1, 0.3])


# Many metrics


def test_tt_adjust_fdr_fwer() -> None:
    case = CASES["tt_adjust_fdr_fwer"]
    p_values, expected = case["inputs"]["pvalues"], case["expected"]
    for method, name in {"bh": "bh", "by": "by", "holm": "holm_bonferroni"}.items():
        assert adjusted(p_values, method) == pytest.approx(expected[name], rel=5e-3)
    assert adjusted(p_values, None) == pytest.approx(p_values)


@given(P_VALUES)
@settings(deadline=None, max_examples=8)  # statsmodels collects garbage on each call
def test_false_discovery_rate_as_statsmodels_has_it(p_values: list[float]) -> None:
    for dependent, method in ((False, "fdr_bh"), (True, "fdr_by")):
        theirs = multitest.multipletests(p_values, method=method)[1]
        assert benjamini_hochberg(p_values, dependent=dependent) == pytest.approx(theirs, rel=1e-9)


def test_nulls_are_left_out_and_stay_null() -> None:
    found = benjamini_hochberg([0.01, math.nan, 0.04])
    assert found == pytest.approx([0.02, math.nan, 0.04], nan_ok=True)
    assert np.isnan(benjamini_hochberg([math.nan])).all()
    assert adjusted_levels([0.01, math.nan], [0.02, math.nan]) == pytest.approx(
        [0.025, math.nan], nan_ok=True
    )


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(_checks.ParameterError, match="adjust='hol' is not one of holm, bh, by"):
        adjusted([0.1], "hol")


@given(st.lists(st.floats(-6, 6), min_size=1, max_size=8), st.sampled_from(["holm", "bh", "by"]))
@settings(deadline=None, max_examples=60)
def test_adjusted_intervals_leave_out_zero_exactly_where_the_adjusted_p_value_says_so(
    effects: list[float], method: str
) -> None:
    p_values = 2 * stats.norm.sf(np.abs(effects))
    p_adjusted = adjusted(p_values, method)
    assume(np.abs(p_adjusted - 0.05).min() > 1e-9)
    half = stats.norm.isf(adjusted_levels(p_values, p_adjusted) / 2)
    assert ((np.abs(effects) > half) == (p_adjusted < 0.05)).all()
    assert (adjusted_levels(p_values, p_adjusted) <= 0.05 * (1 + 1e-12)).all()


def test_a_p_value_of_zero_still_has_a_level() -> None:
    p_values = [0.0, 0.5]
    assert adjusted_levels(p_values, holm(p_values)) == pytest.approx([0.025, 0.05])


# One side, margins, equivalence


def test_gb_one_sided() -> None:
    case = CASES["gb_one_sided"]
    control, treatment = (
        Moments(
            arm["n"],
            arm["sum"] / arm["n"],
            (arm["sum_squares"] - arm["sum"] ** 2 / arm["n"]) / (arm["n"] - 1),
        )
        for arm in (case["inputs"]["control"], case["inputs"]["treatment"])
    )
    found, expected = welch(treatment, control, alpha=0.10), case["expected"]
    effect = treatment.mean - control.mean
    assert one_sided(found.p_value, effect) == pytest.approx(expected["greater"]["p"], abs=5e-6)
    assert one_sided(found.p_value, effect, "less") == pytest.approx(
        expected["lesser"]["p"], abs=5e-6
    )
    assert found.low == pytest.approx(expected["greater"]["ci_low"], abs=5e-6)
    assert found.high == pytest.approx(expected["lesser"]["ci_high"], abs=5e-6)


def test_an_unknown_alternative_is_refused() -> None:
    with pytest.raises(_checks.ParameterError, match="Did you mean 'less'"):
        one_sided(0.1, 1.0, "les")


MEAN = st.floats(-50, 50).filter(lambda mean: abs(mean) > 0.5)
MOMENTS = st.builds(Moments, st.integers(2, 500), MEAN, st.floats(0.1, 50))


@given(MOMENTS, MOMENTS, MARGIN)
@settings(deadline=None, max_examples=150)
def test_margin_test_is_statsmodels_unequal_variance_test_of_rescaled_control(
    treatment: Moments, control: Moments, margin: float
) -> None:
    ratio = 1 + margin * np.sign(control.mean)
    theirs = weightstats._tstat_generic(
        treatment.mean,
        ratio * control.mean,
        math.sqrt(treatment.variance / treatment.n + ratio**2 * control.variance / control.n),
        margin_test(treatment, control, margin)[2],
        "two-sided",
    )
    assert margin_test(treatment, control, margin)[:2] == pytest.approx(theirs, rel=1e-9)


def test_margin_test_at_no_margin_is_welch_and_null_where_welch_is() -> None:
    treatment, control = Moments(40, 5.0, 3.0), Moments(50, 4.0, 2.0)
    assert margin_test(treatment, control, 0.0)[1:] == pytest.approx(welch(treatment, control)[2:])
    assert np.isnan(margin_test(Moments(1, 5.0, math.nan), control, -0.1)).all()
    assert np.isnan(margin_test(Moments(9, 5.0, 0.0), Moments(9, 4.0, 0.0), -0.1)).all()
    assert math.isnan(margin_p_value(math.nan, math.nan, -0.1))


@given(st.integers(300, 3000), st.floats(8, 12), MARGIN)
@settings(deadline=None, max_examples=100)
def test_margins_agree_with_fiellers_limits(n: int, mean: float, margin: float) -> None:
    # Fieller's degrees of freedom are those at no margin: the same to a thousandth here
    treatment, control = Moments(n, mean, 9.0), Moments(n, 10.0, 9.0)
    z, p_value, _ = margin_test(treatment, control, margin)
    p_margin = margin_p_value(z, p_value, margin)
    assume(abs(p_margin / 0.025 - 1) > 0.01)
    low, high = fieller(treatment, control)
    assert (p_margin < 0.025) == (low > margin if margin < 0 else high < margin)


def test_a_margin_below_a_negative_control_points_the_same_way() -> None:
    # -11 is 10 % worse than -10, whichever sign the mean has: a margin of -5 % is broken
    z, _, _ = margin_test(Moments(500, -11.0, 1.0), Moments(500, -10.0, 1.0), -0.05)
    assert z < -5
    z, _, _ = margin_test(Moments(500, -9.9, 1.0), Moments(500, -10.0, 1.0), -0.05)
    assert z > 5


def koopman_z(x: int, n: int, x0: int, n0: int, ratio: float) -> float:
    """The score statistic from its definition, the likelihood maximised by scipy."""

    def minus_log_likelihood(rate0: float) -> float:
        rates = np.clip([rate0 * ratio, rate0], 1e-15, 1 - 1e-15)
        return -float(np.sum(stats.binom.logpmf([x, x0], [n, n0], rates)))

    most = min(1.0, 1 / ratio)
    rate0 = optimize.minimize_scalar(
        minus_log_likelihood, bounds=(0, most), method="bounded", options={"xatol": 1e-13}
    ).x
    rate = rate0 * ratio
    noise = rate * (1 - rate) / n + ratio**2 * rate0 * (1 - rate0) / n0
    return (x / n - ratio * x0 / n0) / math.sqrt(noise)


@given(ARM, ARM, MARGIN)
@settings(deadline=None, max_examples=80)
def test_rates_margin_test_by_scipys_own_likelihood_and_against_koopmans_limits(
    arm: tuple[int, int], control: tuple[int, int], margin: float
) -> None:
    assume(0 < arm[0] < arm[1] and 0 < control[0] < control[1])
    z, p_value = rates_margin_test(*arm, *control, margin)
    assert z == pytest.approx(koopman_z(*arm, *control, 1 + margin), rel=1e-3, abs=1e-6)
    assume(abs(p_value - 0.05) > 1e-6)
    low, high = rates_ratio(*arm, *control)
    assert (p_value < 0.05) == (not low < 1 + margin < high)


def test_rates_margin_test_in_the_corners() -> None:
    assert rates_margin_test(0, 100, 0, 100, -0.1) == (0.0, 1.0)
    assert rates_margin_test(100, 100, 100, 100, 0.0) == (0.0, 1.0)
    z, p_value = rates_margin_test(100, 100, 100, 100, -0.5)
    assert z > 5
    assert p_value < 1e-6
    z, p_value = rates_margin_test(10, 10**7, 30, 10**7, -0.1)
    assert z == pytest.approx(koopman_z(10, 10**7, 30, 10**7, 0.9), rel=1e-6)
    assert 0 < rates_margin_test(1000, 10_000, 2_000, 10_000, 0.1)[1] < 1e-80
    with pytest.raises(_checks.ParameterError, match="above -1"):
        rates_margin_test(1, 10, 1, 10, -1.0)


def test_error_of_the_non_inferiority_test_of_rates_by_enumeration() -> None:
    # every table of 120 and 120 units, at a true lift of exactly the margin
    n, margin, counts = 120, -0.2, np.arange(121)
    chance = np.outer(stats.binom.pmf(counts, n, 0.4), stats.binom.pmf(counts, n, 0.5))
    passed = 0.0
    for x in counts[20:80]:
        for x0 in counts[30:95]:
            z, p_value = rates_margin_test(x, n, x0, n, margin)
            passed += chance[x, x0] * (margin_p_value(z, p_value, margin) < 0.025)
    assert 0.02 < passed < 0.028


@given(st.integers(50, 5000), st.floats(9.5, 10.5))
@settings(deadline=None, max_examples=60)
def test_equivalence_as_statsmodels_tost(n: int, mean: float) -> None:
    treatment, control = Moments(n, mean, 1.0), Moments(n, 10.0, 1e-12)
    tests = [margin_test(treatment, control, margin)[:2] for margin in (-0.02, 0.02)]
    ours = equivalence_p_value(tests[0], tests[1])
    # control known exactly: one sample against a band from 9.8 to 10.2
    values = weightstats.DescrStatsW(
        np.repeat([mean - 1, mean + 1], [1, 1]), weights=np.full(2, n / 2)
    )
    error = math.sqrt(1.0 / n)
    low, high = ((mean - edge) / error for edge in (9.8, 10.2))
    assert ours == pytest.approx(max(stats.t.sf(low, n - 1), stats.t.cdf(high, n - 1)), rel=1e-4)
    theirs = values.ttost_mean(9.8, 10.2)[0]  # its variance is n / (n - 1) times ours
    assert ours == pytest.approx(theirs, rel=0.25, abs=0.02)


def test_equivalence_is_null_where_the_tests_are() -> None:
    assert math.isnan(equivalence_p_value((math.nan, math.nan), (1.0, 0.3)))


# One rate, one split


def test_prop_1sample_smokers() -> None:
    case = CASES["prop_1sample_smokers"]
    given_, expected = case["inputs"], case["expected"]
    found = rate_test(given_["count"], given_["nobs"], given_["p0"])
    assert found == pytest.approx((expected["chi2"], expected["pvalue"]), abs=1e-13)


def test_prop_ci_18_20_and_the_rate_test_say_the_same() -> None:
    low, high = CASES["prop_ci_18_20"]["expected"]["wilson"]
    assert wilson(18, 20)[1:] == pytest.approx((low, high), abs=1e-6)
    for edge, step in ((low, -1e-6), (high, 1e-6)):
        assert rate_test(18, 20, edge)[1] == pytest.approx(0.05, abs=1e-9)
        assert rate_test(18, 20, edge + step)[1] < 0.05 < rate_test(18, 20, edge - step)[1]


def test_rate_test_refuses_what_is_no_rate() -> None:
    for count, n, rate in ((3, 2, 0.5), (-1, 2, 0.5), (1, 2, 0.0), (1, 2, 1.0), (0, 0, 0.5)):
        with pytest.raises(_checks.ParameterError):
            rate_test(count, n, rate)
    assert 0 < rate_test(300, 1000, 0.1)[1] < 1e-90


def test_tt_sample_ratio() -> None:
    case = CASES["tt_sample_ratio"]
    arms = case["inputs"]["treatment"], case["inputs"]["control"]
    for ratio, expected in zip(
        case["inputs"]["expected_ratio_t_over_c"], case["expected"]["pvalue"], strict=True
    ):
        assert corrected_sample_ratio(*arms, ratio) == pytest.approx(expected, rel=2e-3)


def test_the_corrected_sample_ratio_nears_the_chi_square_and_the_exact_binomial() -> None:
    assert corrected_sample_ratio(500_000, 502_000) == pytest.approx(
        sample_ratio([500_000, 502_000], [1, 1]), rel=5e-3
    )
    exact = stats.binomtest(38, 62, 0.5).pvalue
    assert corrected_sample_ratio(38, 24) == pytest.approx(exact, rel=0.03)
    assert corrected_sample_ratio(31, 31) == 1
