"""Looking early: published boundaries, other packages' figures, and simulated paths."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from cxlib._checks import ParameterError
from cxlib._intervals import sample_ratio
from cxlib.experiment.sequential import (
    AlwaysValid,
    GroupSequential,
    adjusted_interval,
    boundaries,
    classic_boundaries,
    conversion_race,
    crossings,
    drift_for_power,
    futility_boundaries,
    log_mixture_ratio,
    msprt_p_value,
    sequential_sample_ratio,
    spent,
)

GOLDEN = Path(__file__).parent / "golden" / "experiment.json"
CASES: dict[str, dict[str, Any]] = {
    case["id"]: case for case in json.loads(GOLDEN.read_text(encoding="utf-8"))
}
SPENDING = st.sampled_from(["obrien-fleming", "pocock", "power-1"])
TWENTY = tuple(look / 20 for look in range(1, 21))
FRACTIONS = st.lists(st.floats(0.01, 1.3), min_size=1, max_size=8, unique=True).map(sorted)


def paths_of_z(fractions: Any, drift: float = 0.0, runs: int = 200_000, seed: int = 1) -> Any:
    """Standardised effects at each look, one row for each simulated experiment."""
    t = np.asarray(fractions)
    steps = np.diff(t, prepend=0)
    noise = np.random.default_rng(seed).standard_normal((runs, len(t)))
    return np.cumsum(noise * np.sqrt(steps) + drift * steps, axis=1) / np.sqrt(t)


# Published boundaries


def test_gst_linear_k5() -> None:
    case = CASES["gst_linear_K5"]
    looks, expected = case["inputs"]["t"], case["expected"]
    found = boundaries(looks, case["inputs"]["alpha"], spending="power-1")
    assert found == pytest.approx(expected["z"], abs=case["tolerance"])
    drift = drift_for_power(looks, found, 0.9)
    assert drift == pytest.approx(expected["drift_for_90pct_power"], abs=case["tolerance"])


def test_gst_classic_obf_pocock_k5() -> None:
    case = CASES["gst_classic_obf_pocock_K5"]
    looks, alpha = case["inputs"]["K"], case["inputs"]["alpha"]
    found = classic_boundaries(looks, alpha)
    assert found == pytest.approx(case["expected"]["obf_z"], abs=case["tolerance"])
    found = classic_boundaries(looks, alpha, kind="pocock")
    assert found == pytest.approx([case["expected"]["pocock_z"]] * 5, abs=case["tolerance"])


def test_gst_adjusted_ci() -> None:
    case = CASES["gst_adjusted_ci"]
    given_ = case["inputs"]
    low, middle, high = adjusted_interval(given_["t"], given_["z"], given_["z_last"])
    assert (low, high) == pytest.approx(case["expected"]["ci"], abs=case["tolerance"])
    assert low < middle < given_["z_last"]


def test_gst_futility_seqabpy() -> None:
    case = CASES["gst_futility_seqabpy"]
    alpha, beta = case["inputs"]["alpha"], case["inputs"]["beta"]
    fixed = stats.norm.isf(alpha) + stats.norm.isf(beta)
    # seqabpy halves an interval for the drift and stops within 0.00064 of beta: at these steps
    for name, steps in {"nonbinding10": 126, "binding5": 61}.items():
        expected, looks = case["expected"][name], int(name.lstrip("nobidg"))
        fractions = [look / looks for look in range(1, looks + 1)]
        how = {"alpha": alpha, "beta": beta, "binding": name.startswith("binding")}
        theirs = fixed * (1 + (math.sqrt(2) - 1) * steps / 512)
        lower, upper, _ = futility_boundaries(fractions, drift=theirs, **how)
        assert lower == pytest.approx(expected["lower"], abs=case["tolerance"])
        assert upper == pytest.approx(expected["upper"], abs=case["tolerance"])
        lower, upper, drift = futility_boundaries(fractions, **how)
        assert drift == pytest.approx(theirs, abs=0.005)
        assert lower == pytest.approx(expected["lower"], abs=0.005)
        assert upper == pytest.approx(expected["upper"], abs=case["tolerance"])


def test_lan_demets_boundaries_as_ldbounds_gives_them() -> None:
    # ldbounds, two-sided 0.05: O'Brien-Fleming K = 5; one-sided 0.025 at 0.3, 0.6, 1 (seqabpy)
    found = boundaries([0.2, 0.4, 0.6, 0.8, 1])
    assert found == pytest.approx([4.8769, 3.3569, 2.6803, 2.2898, 2.0310], abs=2e-4)
    assert boundaries([0.3, 0.6, 1]) == pytest.approx([3.929, 2.67, 1.981], abs=1e-3)
    found = boundaries([0.3, 0.6, 1], spending="pocock")
    assert found == pytest.approx([2.312, 2.321, 2.269], abs=1e-3)
    # and its over-running and under-running tests (0.8 for 1: what is left is spent)
    assert boundaries([0.3, 0.6, 1.2]) == pytest.approx([3.929, 2.67, 1.989], abs=1e-3)
    found = boundaries([0.3, 0.6, 0.8], final=True)
    assert found == pytest.approx([3.929, 2.67, 1.969], abs=1e-3)


def test_evanmiller_sequential_808_56() -> None:
    case = CASES["evanmiller_sequential_808_56"]
    given_, expected = case["inputs"], case["expected"]
    n, lead = conversion_race(given_["lift_relative"], alpha=given_["alpha"], power=given_["power"])
    assert (n, lead) == (expected["N_total_conversions"], expected["d_ahead"])


@pytest.mark.parametrize(("lift", "alpha", "power"), [(0.5, 0.05, 0.8), (1.0, 0.1, 0.9)])
def test_conversion_race_by_walking_every_path(lift: float, alpha: float, power: float) -> None:
    n, lead = conversion_race(lift, alpha=alpha, power=power)

    def won(chance: float, n: int, lead: int) -> float:
        at, done = {0: 1.0}, 0.0
        for _ in range(n):
            after: dict[int, float] = {}
            for ahead, weight in at.items():
                after[ahead + 1] = after.get(ahead + 1, 0) + weight * chance
                after[ahead - 1] = after.get(ahead - 1, 0) + weight * (1 - chance)
            done += after.pop(lead, 0.0)
            at = after
        return done

    chance = (1 + lift) / (2 + lift)
    assert won(0.5, n, lead) <= alpha
    assert won(chance, n, lead) >= power > won(chance, n - 1, lead)
    # one less of a lead has no power before it errs too often
    longest = next(m for m in range(1, 2 * n) if won(0.5, m, lead - 1) > alpha) - 1
    assert won(chance, longest, lead - 1) < power


# Always-valid


def test_gb_asympcs_prop() -> None:
    case = CASES["gb_asympcs_prop"]
    (x0, n0), (x, n) = case["inputs"]["control"], case["inputs"]["treatment"]
    rate, rate0 = x / n, x0 / n0
    lift = rate / rate0 - 1
    variance = rate * (1 - rate) / n / rate0**2 + rate**2 * (1 - rate0) / n0 / rate0**3
    error, expected = math.sqrt(variance), case["expected"]
    assert (lift, error) == pytest.approx((expected["effect"], expected["se"]), abs=5e-6)
    look = AlwaysValid(n + n0, case["inputs"]["n_star"], case["inputs"]["alpha"])
    half = look.critical(case["inputs"]["alpha"]) * error
    assert (lift - half, lift + half) == pytest.approx(expected["ci"], abs=5e-6)
    assert look.p_value(lift / error) == pytest.approx(expected["pvalue"], abs=5e-6)


def test_msprt_normal() -> None:
    case = CASES["msprt_normal"]
    given_, expected = case["inputs"], case["expected"]
    difference = given_["mean_y"] - given_["mean_x"]
    error = given_["sigma"] * math.sqrt(2 / given_["n"])
    ratio = math.exp(log_mixture_ratio(difference / error, (given_["tau"] / error) ** 2))
    assert ratio == pytest.approx(expected["Lambda"], rel=1e-9)
    p_value = msprt_p_value(difference, error, given_["tau"])
    assert p_value == pytest.approx(expected["always_valid_p"], abs=case["tolerance"])


@given(st.floats(-5, 5), st.floats(0.01, 50))
@settings(deadline=None, max_examples=30)
def test_mixture_ratio_by_mixing_likelihood_ratios(z: float, spread: float) -> None:
    # normal effects of variance `spread` (in squared errors), in 400,001 steps
    effect = np.linspace(-1, 1, 400_001) * 12 * math.sqrt(spread)
    mixed = np.trapezoid(
        stats.norm.pdf(effect, scale=math.sqrt(spread)) * np.exp(effect * z - effect**2 / 2), effect
    )
    assert log_mixture_ratio(z, spread) == pytest.approx(math.log(mixed), abs=1e-6)


def test_always_valid_error_over_thousands_of_looks() -> None:
    # a look after every 20 of 10,000 units, 4,000 experiments without an effect
    z = paths_of_z(np.arange(1, 501) / 500, runs=4000, seed=3)
    critical = [AlwaysValid(20 * look, 5000).critical(0.05) for look in range(1, 501)]
    error = np.mean((np.abs(z) > critical).any(axis=1))
    assert 0.005 < error < 0.05
    fixed = np.mean((np.abs(z) > stats.norm.isf(0.025)).any(axis=1))
    assert fixed > 0.3  # what peeking without it does


def test_always_valid_is_narrowest_near_the_units_it_is_meant_for() -> None:
    widths = {n_star: AlwaysValid(4000, n_star).critical(0.05) for n_star in (400, 4000, 40_000)}
    assert widths[4000] == min(widths.values())


@given(st.floats(0.001, 100), st.floats(-12, 12), st.floats(1e-12, 0.5))
@settings(deadline=None, max_examples=200)
def test_always_valid_p_value_and_limit_are_one_event(share: float, z: float, alpha: float) -> None:
    look = AlwaysValid(share * 5000, 5000)
    assume(abs(abs(z) - look.critical(alpha)) > 1e-9)
    assert (look.p_value(z) < alpha) == (abs(z) > look.critical(alpha))


def test_always_valid_corners() -> None:
    look = AlwaysValid(5000, 5000)
    assert look.p_value(0.0) == 1
    assert 0 < look.p_value(38.0) < 1e-250
    assert look.p_value(1e6) == 0
    assert math.isnan(look.p_value(math.nan))
    for bad in ({"n": 0}, {"n_star": 0}, {"alpha": 0.0}, {"alpha": 1.0}):
        with pytest.raises(ParameterError):
            AlwaysValid(**({"n": 10, "n_star": 10} | bad))
    with pytest.raises(ParameterError, match="tau"):
        msprt_p_value(0.1, 0.1, 0)


# Group sequential, against simulated paths


@pytest.mark.parametrize("spending", ["obrien-fleming", "pocock", "power-1"])
def test_error_at_twenty_looks_is_five_per_cent(spending: str) -> None:
    z = np.abs(paths_of_z(TWENTY))
    critical = boundaries(TWENTY, spending=spending)
    out = z > critical
    # 200,000 experiments: five standard errors are 0.0024
    assert out.any(axis=1).mean() == pytest.approx(0.05, abs=0.0025)
    first = np.bincount(out.argmax(axis=1)[out.any(axis=1)], minlength=20) / len(z)
    planned = np.diff([2 * spent(spending, t, 0.025) for t in TWENTY], prepend=0)
    assert first == pytest.approx(planned, abs=0.001)


def test_power_at_twenty_looks_is_above_93_per_cent_of_a_fixed_samples() -> None:
    fixed = stats.norm.isf(0.025) + stats.norm.isf(0.2)  # the drift of 80 % power
    z = np.abs(paths_of_z(TWENTY, drift=fixed))
    power = (z > boundaries(TWENTY)).any(axis=1).mean()
    assert 0.93 * 0.8 < power < 0.8
    lower = [-critical for critical in boundaries(TWENTY)]
    down, up = crossings(TWENTY, lower, boundaries(TWENTY), drift=fixed)
    assert down.sum() + up.sum() == pytest.approx(power, abs=0.004)


@given(FRACTIONS, SPENDING, st.sampled_from([0.2, 0.05, 0.01]))
@settings(deadline=None, max_examples=15)
def test_unequal_looks_keep_the_error_too(
    fractions: list[float], spending: str, alpha: float
) -> None:
    assume(np.min(np.diff(fractions, prepend=0)) > 1e-3 * fractions[-1])
    z = np.abs(paths_of_z(fractions, runs=40_000))
    out = (z > boundaries(fractions, alpha, spending=spending)).any(axis=1).mean()
    planned = 2 * spent(spending, fractions[-1], alpha / 2)
    assert out == pytest.approx(planned, abs=5 * math.sqrt(alpha / 40_000) + 1e-4)


def test_boundaries_of_two_looks_by_scipys_bivariate_normal() -> None:
    # P(|Z1| > c1 or |Z2| > c2) from the joint distribution, tails of 1e-9 included
    for alpha in (0.05, 1e-6):
        c1, c2 = boundaries([0.5, 1], alpha, spending="pocock")
        both = stats.multivariate_normal([0, 0], [[1, math.sqrt(0.5)], [math.sqrt(0.5), 1]])
        # upper corner: 1 less the two margins and the joint tail, each side alone
        joint = both.cdf([-c1, -c2])
        either = stats.norm.sf(c1) + stats.norm.sf(c2) - joint
        assert either == pytest.approx(alpha / 2, rel=2e-4)


def test_crossing_chances_with_drift_by_simulated_paths() -> None:
    fractions, lower, upper = [0.2, 0.5, 0.6, 1.0], [-1.0, -math.inf, 0.1, 0.5], [3, 2.2, 2.2, 2]
    z = paths_of_z(fractions, drift=1.5)
    down, up = crossings(fractions, lower, upper, drift=1.5)
    inside = np.ones(len(z), bool)
    for look in range(4):
        below, above = inside & (z[:, look] < lower[look]), inside & (z[:, look] > upper[look])
        assert down[look] == pytest.approx(below.mean(), abs=0.004)
        assert up[look] == pytest.approx(above.mean(), abs=0.004)
        inside &= ~below & ~above


def test_futility_keeps_both_errors_by_simulated_paths() -> None:
    fractions = [0.25, 0.5, 0.75, 1.0]
    for binding in (False, True):
        lower, upper, drift = futility_boundaries(fractions, alpha=0.025, beta=0.1, binding=binding)
        wins = []
        for effect in (0.0, drift):
            z = paths_of_z(fractions, drift=effect)
            up, down = z > upper, z < lower
            first_up = np.where(up.any(axis=1), up.argmax(axis=1), 9)
            first_down = np.where(down.any(axis=1), down.argmax(axis=1), 9)
            wins.append((first_up < first_down).mean())
        assert wins[1] == pytest.approx(0.9, abs=0.004)
        # not binding: the error is kept without giving up, so that giving up lowers it
        assert wins[0] == pytest.approx(0.025, abs=0.0015) if binding else 0.02 < wins[0] < 0.0255


def test_adjusted_interval_with_an_early_look_that_spent_nothing() -> None:
    # a look with an infinite boundary is no look: the interval is the fixed sample's
    found = adjusted_interval([0.01, 1.0], [math.inf, 1.959964], 2.5)
    assert found == pytest.approx((2.5 - 1.959964, 2.5, 2.5 + 1.959964), abs=1e-5)


def test_adjusted_interval_covers_and_its_median_is_unbiased_by_simulated_stops() -> None:
    fractions, drift = [0.4, 0.7, 1.0], 2.0
    critical = boundaries(fractions)
    z = paths_of_z(fractions, drift=drift, runs=600, seed=5)
    covered = above = 0
    for path in z:
        out = np.abs(path) > critical
        stop = int(out.argmax()) if out.any() else 2
        found = adjusted_interval(fractions[: stop + 1], critical[: stop + 1], path[stop])
        low, middle, high = (limit / math.sqrt(fractions[stop]) for limit in found)
        covered += low <= drift <= high
        above += middle > drift
    # coverage of 95 % and a median at the truth: each leaves these bounds once in a thousand
    assert 0.92 < covered / 600 < 0.98
    assert 0.433 < above / 600 < 0.567


# The p value at a look


@given(FRACTIONS, SPENDING, st.floats(-9, 9), st.floats(1e-10, 0.6))
@settings(deadline=None, max_examples=80)
def test_group_p_value_and_boundary_are_one_event(
    fractions: list[float], spending: str, z: float, alpha: float
) -> None:
    look = GroupSequential(fractions, spending)
    assume(abs(abs(z) - look.critical(alpha)) > 1e-7)
    assert (look.p_value(z) < alpha) == (abs(z) > look.critical(alpha))


@given(st.floats(1e-8, 0.9), SPENDING)
@settings(deadline=None, max_examples=30)
def test_p_value_is_the_inverse_of_the_boundary(alpha: float, spending: str) -> None:
    look = GroupSequential((0.3, 0.6, 1.0), spending)
    assert look.p_value(look.critical(alpha)) == pytest.approx(alpha, rel=1e-6)


def test_one_look_at_full_information_is_the_fixed_sample_test() -> None:
    look = GroupSequential([1.0])
    assert look.critical(0.05) == pytest.approx(stats.norm.isf(0.025), abs=1e-9)
    for z in (0.3, -1.96, 5.0, 30.0):
        assert look.p_value(z) == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-6)


def test_repeated_intervals_hold_together_at_all_looks() -> None:
    # the estimate minus the truth is a path without drift, whatever the truth
    z = np.abs(paths_of_z(TWENTY, seed=9))
    critical = [GroupSequential(TWENTY[:look]).critical(0.05) for look in range(1, 21)]
    assert critical == pytest.approx(boundaries(TWENTY), rel=1e-9)
    assert (z <= critical).all(axis=1).mean() == pytest.approx(0.95, abs=0.0025)


def test_over_running_spends_what_is_left_once() -> None:
    look = GroupSequential((0.5, 1.3))
    assert look.overran
    assert not GroupSequential((0.5, 1.0)).overran
    z = np.abs(paths_of_z([0.5, 1.3]))
    assert (z > boundaries([0.5, 1.3])).any(axis=1).mean() == pytest.approx(0.05, abs=0.0025)
    late = GroupSequential((0.5, 1.3, 1.6))
    assert late.critical(0.05) == math.inf
    assert late.p_value(9.0) == 1


def test_the_final_look_spends_all_however_early_it_comes() -> None:
    look = GroupSequential((0.5, 0.7), final=True)
    z = np.abs(paths_of_z([0.5, 0.7]))
    critical = boundaries([0.5, 0.7], final=True)
    assert critical[-1] == look.critical(0.05)
    assert (z > critical).any(axis=1).mean() == pytest.approx(0.05, abs=0.0025)
    assert look.p_value(critical[-1]) == pytest.approx(0.05, rel=1e-6)


def test_a_look_without_new_information_is_the_look_before() -> None:
    once, twice = GroupSequential((0.4, 0.8)), GroupSequential((0.4, 0.4, 0.8, 0.80001))
    assert twice.fractions == once.fractions
    assert twice.p_value(2.2) == once.p_value(2.2)


def test_very_early_looks_and_extreme_effects() -> None:
    # at a thousandth of the information O'Brien-Fleming has nothing to spend yet
    first, last = boundaries([0.001, 1.0])
    assert first == math.inf
    assert last == pytest.approx(stats.norm.isf(0.025), abs=1e-6)
    assert GroupSequential([0.001]).p_value(5.0) == 1
    look = GroupSequential(TWENTY)
    assert 0 < look.p_value(30.0) < 1e-190
    assert 0 < look.p_value(60.0) < 1e-280
    assert look.p_value(0.0) == 1
    assert math.isnan(look.p_value(math.nan))
    assert look.critical(1e-200) > 30
    for spending in ("pocock", "power-1"):
        p_value = GroupSequential(TWENTY, spending).p_value(25.0)
        # between one look's p value and that of twenty independent looks
        assert 1 < p_value / (2 * stats.norm.sf(25.0)) < 45


@given(FRACTIONS, SPENDING)
@settings(deadline=None, max_examples=40)
def test_boundaries_fall_as_alpha_grows(fractions: list[float], spending: str) -> None:
    look = GroupSequential(fractions, spending)
    found = [look.critical(alpha) for alpha in (1e-100, 1e-12, 1e-4, 0.01, 0.05, 0.2, 0.6, 0.99)]
    assert all(one >= other for one, other in zip(found[:-1], found[1:], strict=True))


def test_twenty_looks_take_milliseconds() -> None:
    start = time.process_time()
    for place in range(5):
        GroupSequential(TWENTY).critical(0.04 + place / 1000)
    for place in range(5):
        GroupSequential(TWENTY).p_value(2.1 + place / 100)
    assert (time.process_time() - start) / 5 < 0.2  # about 0.02 where nothing else runs


def test_bad_input_is_refused() -> None:
    for fractions, message in (
        ([], "no look is given"),
        ([0.5, 0.2], "1 looks hold less than the look before them .first: 0.5, then 0.2"),
        ([0.0, 1.0], "out of range"),
        ([math.nan], "not a number"),
    ):
        with pytest.raises(ParameterError, match=message):
            GroupSequential(fractions)
    with pytest.raises(ParameterError, match="Did you mean 'pocock'"):
        GroupSequential([1.0], "pocok")
    with pytest.raises(ParameterError, match="alpha"):
        GroupSequential([1.0]).critical(0.0)
    with pytest.raises(ParameterError, match="not above the test's own error"):
        drift_for_power([1.0], [1.96], 0.01)
    with pytest.raises(ParameterError, match="kind"):
        classic_boundaries(3, kind="haybittle")
    with pytest.raises(ParameterError, match="lift"):
        conversion_race(0.0)


# Sequential sample ratio


def test_sequential_sample_ratio_is_a_ratio_of_likelihoods_by_quadrature() -> None:
    # two arms: the mixed likelihood is a beta integral
    counts, share, k = (620, 430), 0.55, 100
    rate = np.linspace(0, 1, 2_000_001)[1:-1]
    log = stats.beta.logpdf(rate, k * share, k * (1 - share)) + 620 * np.log(rate / share)
    log += 430 * np.log((1 - rate) / (1 - share))
    mixed = np.trapezoid(np.exp(log), rate)
    found = sequential_sample_ratio(counts, (share, 1 - share))
    assert found == pytest.approx(min(1.0, 1 / mixed), rel=1e-6)


def test_sequential_sample_ratio_one_unit_at_a_time_as_lindon_and_malek_have_it() -> None:
    # their form: the product of posterior predictive odds, unit after unit
    shares, rng = np.array([0.1, 0.3, 0.6]), np.random.default_rng(2)
    seen, log_odds = 100 * shares, 0.0
    for arm in rng.choice(3, 400, p=[0.2, 0.3, 0.5]):
        log_odds += math.log(seen[arm] / seen.sum() / shares[arm])
        seen[arm] += 1
    counts = (seen - 100 * shares).round().tolist()
    found = sequential_sample_ratio(counts, shares.tolist())
    assert found == pytest.approx(min(1.0, math.exp(-log_odds)), rel=1e-9)


def test_sequential_sample_ratio_keeps_its_error_over_every_look() -> None:
    rng = np.random.default_rng(6)
    is_first = rng.random((2000, 1000)) < 0.5
    first, n = np.cumsum(is_first, axis=1), np.arange(1, 1001)
    before = np.where(is_first, first - 1, n - first - 1)
    gained = np.cumsum(np.log((50 + before) / (99 + n) * 2), axis=1)
    # the product over units above is the function's own
    assert math.exp(-max(0.0, gained[7, 999])) == pytest.approx(
        sequential_sample_ratio([first[7, 999], 1000 - first[7, 999]], [1, 1]), rel=1e-9
    )
    assert np.mean((gained > math.log(20)).any(axis=1)) < 0.05
    once = stats.chi2.sf((2 * first - n) ** 2 / n, 1)
    assert np.mean((once < 0.05).any(axis=1)) > 0.4  # the plain test, looked at all the time


def test_sequential_sample_ratio_sees_an_empty_arm_and_stays_behind_the_plain_test() -> None:
    assert sequential_sample_ratio([500, 520, 0], [1, 1, 1]) < 1e-50
    assert sequential_sample_ratio([], []) == 1
    assert sequential_sample_ratio([0, 0], [1, 1]) == 1
    counts = CASES["srm_44000_45000"]["inputs"]["counts"]
    assert sequential_sample_ratio(counts, [1, 1]) > sample_ratio(counts, [1, 1])
    for counts, shares in (([1, 2], [1, 0]), ([1, 2], [1]), ([1, 2], [1, 1, 1])):
        with pytest.raises(ParameterError, match="give one above 0 for each"):
            sequential_sample_ratio(counts, shares)
