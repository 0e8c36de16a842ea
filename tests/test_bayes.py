"""The Bayesian reading: published figures, scipy's own integration, and brute-force draws."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from cxlib._checks import DataError, ParameterError
from cxlib._intervals import Moments
from cxlib.experiment.bayes import (
    chance_best,
    chance_to_beat,
    difference,
    difference_interval,
    expected_loss,
)
from cxlib.experiment.posteriors import (
    BetaPosterior,
    NormalPosterior,
    beta_posterior,
    lift_posterior,
    normal_posterior,
)

GOLDEN = Path(__file__).parent / "golden" / "experiment.json"
CASES: dict[str, dict[str, Any]] = {
    case["id"]: case for case in json.loads(GOLDEN.read_text(encoding="utf-8"))
}
NOTHING = NormalPosterior(0.0, 0.0)
ARM = st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
NORMAL = st.builds(NormalPosterior, st.floats(-5, 5), st.floats(0.01, 5))
BETA = st.builds(beta_posterior, st.integers(0, 50), st.integers(50, 3000))


def frozen(posterior: BetaPosterior | NormalPosterior) -> Any:
    """The same distribution as scipy has it."""
    kind = stats.beta if isinstance(posterior, BetaPosterior) else stats.norm
    return kind(*posterior)


# Published figures


def test_betabinomial_prob_best() -> None:
    case = CASES["betabinomial_prob_best"]
    a, b = (beta_posterior(*case["inputs"][arm]) for arm in "AB")
    expected = case["expected"]
    assert a.interval() == pytest.approx(expected["ci_A"], abs=1e-7)
    assert b.interval() == pytest.approx(expected["ci_B"], abs=1e-7)
    # spotify's figures are drawn by Monte Carlo: they hold to 5e-4
    assert chance_to_beat(b, a) == pytest.approx(expected["prob_B_gt_A"], abs=5e-4)
    assert b.mean - a.mean == pytest.approx(expected["mean_diff"], abs=5e-4)
    assert difference_interval(b, a) == pytest.approx(expected["ci_diff"], abs=5e-4)
    assert expected_loss(a, b) == pytest.approx(expected["loss_keep_A"], abs=5e-4)
    assert expected_loss(b, a) == pytest.approx(expected["loss_ship_B"], abs=5e-4)


def test_gb_bayes_prop_flat() -> None:
    case = CASES["gb_bayes_prop_flat"]
    control, treatment = (
        Moments(n, x / n, x / n * (1 - x / n))
        for x, n in (case["inputs"]["control"], case["inputs"]["treatment"])
    )
    lift, expected = lift_posterior(treatment, control), case["expected"]
    assert lift == pytest.approx((expected["effect"], expected["sd"]), abs=5e-6)
    assert lift.interval() == pytest.approx(expected["ci"], abs=5e-6)
    assert chance_to_beat(lift, NOTHING) == pytest.approx(expected["chance_to_win"], abs=5e-6)
    losses = expected_loss(NOTHING, lift), expected_loss(lift, NOTHING)
    assert losses == pytest.approx(expected["risk"], abs=5e-6)


def test_expected_loss_normal() -> None:
    case = CASES["expected_loss_normal"]
    effect = normal_posterior(case["inputs"]["mu"], case["inputs"]["sigma"])
    losses = expected_loss(NOTHING, effect), expected_loss(effect, NOTHING)
    assert losses == pytest.approx(case["expected"]["risk"], abs=1e-10)


# Against plain sums and scipy's integration


@given(ARM, ARM)
@settings(deadline=None, max_examples=20)
def test_losses_and_chances_of_rates_against_plain_sums_over_fine_quantiles(
    treatment: tuple[int, int], control: tuple[int, int]
) -> None:
    a, b = beta_posterior(*treatment), beta_posterior(*control)
    x, y = frozen(a), frozen(b)
    tail = stats.norm.cdf(np.linspace(-12, 0, 4001))
    at = np.unique(np.concatenate([x.ppf(tail), x.isf(tail), y.ppf(tail), y.isf(tail)]))
    loss = integrate.trapezoid(x.cdf(at) * y.sf(at), at)
    assert expected_loss(a, b) == pytest.approx(loss, rel=2e-5, abs=1e-18)
    chance = integrate.trapezoid(y.cdf(at), x.cdf(at))
    assert chance_to_beat(a, b) == pytest.approx(chance, abs=2e-6)
    # E[max(b - a, 0)] - E[max(a - b, 0)] is the difference of the means
    gain = expected_loss(a, b) - expected_loss(b, a)
    assert gain == pytest.approx(b.mean - a.mean, rel=1e-7, abs=1e-9)


@given(NORMAL, NORMAL)
@settings(deadline=None, max_examples=60)
def test_losses_of_normals_are_their_integral(a: NormalPosterior, b: NormalPosterior) -> None:
    effect = difference(a, b)
    loss, _ = integrate.quad(
        lambda at: -at * stats.norm.pdf(at, *effect),
        *(min(effect.mean - 12 * effect.sd, 0.0), 0.0),
        points=[min(effect.mean, 0.0)],
        epsabs=1e-12,
        limit=200,
    )
    found = expected_loss(a, b)
    assert found >= 0
    assert found == pytest.approx(loss, rel=1e-6, abs=1e-10)


@given(st.lists(st.one_of(NORMAL), min_size=2, max_size=6))
@settings(deadline=None, max_examples=40)
def test_chances_to_be_best_of_normals_sum_to_one(posteriors: list[NormalPosterior]) -> None:
    chances = chance_best(posteriors)
    assert chances.sum() == pytest.approx(1, abs=1e-9)
    assert (chances >= 0).all()
    if len(posteriors) == 2:
        assert chances[0] == pytest.approx(chance_to_beat(*posteriors), abs=1e-9)


@given(st.lists(BETA, min_size=2, max_size=5))
@settings(deadline=None, max_examples=30)
def test_chances_to_be_best_of_rates_sum_to_one(posteriors: list[BetaPosterior]) -> None:
    assert chance_best(posteriors).sum() == pytest.approx(1, abs=1e-7)


def test_chance_best_of_five_against_a_million_draws() -> None:
    counts = [(100, 1000), (110, 1000), (14, 100), (0, 3), (560, 5000)]
    posteriors = [beta_posterior(*arm) for arm in counts]
    rng = np.random.default_rng(4)
    draws = np.array([rng.beta(*posterior, 1_000_000) for posterior in posteriors])
    shares = np.bincount(draws.argmax(axis=0), minlength=5) / 1e6
    error = np.sqrt(shares * (1 - shares) / 1e6)
    assert (np.abs(chance_best(posteriors) - shares) < 4.5 * error).all()


def test_one_narrow_posterior_among_wide_ones_is_not_missed() -> None:
    # the wide one is above a known 0.2 exactly as often as its own tail says
    narrow, wide = beta_posterior(2 * 10**8, 10**9), beta_posterior(3, 10)
    assert chance_best([narrow, wide])[1] == pytest.approx(stats.beta.sf(0.2, *wide), abs=1e-6)
    loss = integrate.quad(lambda x: (x - 0.2) * stats.beta.pdf(x, *wide), 0.2, 1)[0]
    assert expected_loss(narrow, wide) == pytest.approx(loss, abs=1e-6)


@pytest.mark.parametrize(
    "arms", [((40, 100), (50, 100)), ((0, 1000), (50, 1000)), ((3, 9), (4000, 9000))]
)
def test_difference_interval_against_a_million_draws(
    arms: tuple[tuple[int, int], tuple[int, int]],
) -> None:
    a, b = (beta_posterior(*arm) for arm in arms)
    rng = np.random.default_rng(8)
    draws = rng.beta(*a, 1_000_000) - rng.beta(*b, 1_000_000)
    found = difference_interval(a, b, 0.1)
    assert np.mean(draws < found[0]) == pytest.approx(0.05, abs=1e-3)
    assert np.mean(draws > found[1]) == pytest.approx(0.05, abs=1e-3)
    assert difference_interval(b, a, 0.1) == pytest.approx((-found[1], -found[0]), abs=1e-9)


def test_difference_interval_of_normals_is_that_of_their_difference() -> None:
    a, b = NormalPosterior(3, 0.3), NormalPosterior(1, 0.4)
    half = 0.5 * stats.norm.isf(0.05)
    assert difference_interval(a, b, 0.1) == pytest.approx((2 - half, 2 + half))


# Corners


def test_priors_weigh_in_as_conjugacy_has_it() -> None:
    # precision 4 at 2.0 and precision 1 at 0: mean 1.6, precision 5
    found = normal_posterior(2.0, 0.5, prior_mean=0.0, prior_sd=1.0)
    assert found == pytest.approx((1.6, math.sqrt(1 / 5)))
    assert beta_posterior(3, 10, prior=(2, 8)) == (5, 15)
    assert beta_posterior(0, 0).mean == 0.5
    assert beta_posterior(3, 10).sd == pytest.approx(stats.beta(3.5, 7.5).std())


def test_lift_is_over_the_absolute_value_of_control() -> None:
    lift = lift_posterior(Moments(100, -9.0, 1.0), Moments(100, -10.0, 1.0))
    assert lift.mean == pytest.approx(0.1)
    assert lift.sd == pytest.approx(math.sqrt(0.01 + 0.81 * 0.01) / 10)


def test_far_apart_posteriors_keep_tiny_losses_and_sure_chances() -> None:
    a, b = beta_posterior(900, 1000), beta_posterior(100, 1000)
    assert chance_to_beat(a, b) == pytest.approx(1)
    assert 0 <= expected_loss(a, b) < 1e-20
    assert expected_loss(b, a) == pytest.approx(a.mean - b.mean)
    tiny = expected_loss(NormalPosterior(20.0, 1.0), NOTHING)
    assert 0 < tiny < 1e-80


def test_known_values_win_surely_or_by_half() -> None:
    one = NormalPosterior(1.0, 0.0)
    assert chance_to_beat(one, NOTHING) == 1
    assert chance_to_beat(NOTHING, one) == 0
    assert chance_to_beat(one, one) == 0.5
    assert (expected_loss(one, NOTHING), expected_loss(NOTHING, one)) == (0, 1)


def test_no_conversions_at_all_is_a_toss_up() -> None:
    a = beta_posterior(0, 1000)
    assert chance_to_beat(a, a) == pytest.approx(0.5, abs=1e-7)
    assert expected_loss(a, a) > 0


def test_bad_input_is_refused() -> None:
    with pytest.raises(ParameterError, match="count=11 is out of range"):
        beta_posterior(11, 10)
    with pytest.raises(ParameterError, match="error"):
        normal_posterior(1.0, 0.0)
    with pytest.raises(DataError, match="give at least two"):
        chance_best([beta_posterior(1, 2)])
