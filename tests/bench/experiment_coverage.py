"""Do experiments keep their promises? Prints Markdown tables of error rates and coverage.

Shops are simulated whose true answers are known (`known_shops`). Many experiments are drawn at
once and reduced with numpy; from their sums on, all is cxlib's own code.

    python tests/bench/experiment_coverage.py [runs]
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from known_shops import ARMS, CAP, Kind, Shop, cap_pooled, draw, kinds, quantile_of, reduce
from known_shops import samples as samples_of
from scipy import stats

from cxlib._intervals import Moments, Numbers, rates_p_value, welch
from cxlib.experiment.compare import arms, counts_of
from cxlib.experiment.effects import Pair, count, effect
from cxlib.experiment.estimate import estimate
from cxlib.experiment.rule import Rule
from cxlib.experiment.samples import Cell, Reduced
from cxlib.experiment.sequential import boundaries, crossings, drift_for_power

ALPHA, RUNS, UNITS = 0.05, 4000, 2000
LOOKS, LOOK_UNITS = 20, 200
BETTER, MUCH_BETTER = (1.10, 1.04), (1.10, 1.15)
LOOKED = ("conversion", "mean", "mean, CUPED", "ratio", "ratio, CUPED")
USUAL = Shop()
RARE = Shop(rate=0.05, shape=0.5, noise=1.2, rate_before=0.1)
HARD = ("mean", "mean, capped", "ratio", "mean, CUPED")


class Run(NamedTuple):
    """One experiment: what the engine would return, each metric's arms, and the cap of revenue."""

    reduced: Reduced
    pairs: list[Pair]
    cap: float


def experiments(
    shops: Sequence[Shop], n: Sequence[int], runs: int, asked: Sequence[Kind], seed: int
) -> Iterator[Run]:
    """Yield experiments whose arms are so many customers of these shops."""
    rng = np.random.default_rng(seed)
    batch = max(1, 400_000 // sum(n))
    for first in range(0, runs, batch):
        size = min(batch, runs - first)
        both = [draw(rng, shop, (size, units)) for shop, units in zip(shops, n, strict=True)]
        caps = cap_pooled(both)
        for (whole, strata), cap in zip(reduce(both, asked), caps, strict=True):
            pairs = []
            for place, kind in enumerate(asked):
                reduced = strata if kind.stratified else whole
                found = estimate(reduced, kind.metric, place).arms
                counts = counts_of(reduced, kind.metric, place)
                pairs.append(Pair(found["new"], found["control"], counts))
            yield Run(whole, pairs, float(cap))


def p_value(pair: Pair) -> float:
    """Return the p value that `effect` would, without its intervals."""
    if pair.by_score:
        return rates_p_value(count(pair.arm), pair.arm.n, count(pair.base), pair.base.n)
    return welch(pair.arm, pair.base).p_value


def false_positives(
    runs: int,
    asked: Sequence[Kind],
    shop: Shop = USUAL,
    n: Sequence[int] = (UNITS, UNITS),
    seed: int = 1,
) -> Numbers:
    """Return the share of experiments without an effect in which p < 0.05, by metric."""
    found = [
        [p_value(pair) < ALPHA for pair in run.pairs]
        for run in experiments((shop, shop), n, runs, asked, seed)
    ]
    return np.mean(found, axis=0)


def coverage(
    runs: int,
    asked: Sequence[Kind],
    shops: Sequence[Shop],
    n: Sequence[int] = (UNITS, UNITS),
    seed: int = 2,
    cap: float | None = None,
) -> tuple[Numbers, Numbers]:
    """Return how often intervals hold the truth: difference and lift, then both arms, by metric.

    An interval that is null does not hold it. Arms are told of plain metrics alone, which come
    first. The truth of a capped mean is at the cap that the experiment took, or at ``cap``.
    """
    plain = [kind.metric for kind in asked if kind.plain]
    truths = np.array([[kind.truth(shop, cap or 1.0) for shop in shops] for kind in asked])
    capped = [place for place, kind in enumerate(asked) if kind.metric.ceiling is not None]
    effects, of_arms = [], []
    for run in experiments(shops, n, runs, asked, seed):
        if cap is None:
            truths[capped] = [shop.capped(run.cap) for shop in shops]
        held = []
        for pair, (base, new) in zip(run.pairs, truths, strict=True):
            one = effect(pair, ALPHA)
            difference = one.ci_low <= new - base <= one.ci_high
            held.append([difference, one.lift_low <= new / base - 1 <= one.lift_high])
        effects.append(held)
        table = arms(run.reduced, plain, ARMS, ALPHA)
        true = truths[: len(plain)].ravel()
        of_arms.append(((table["ci_low"] <= true) & (true <= table["ci_high"])).to_numpy())
    return np.mean(effects, axis=0), np.mean(of_arms, axis=0).reshape(-1, 2)


class Paths(NamedTuple):
    """Experiments x looks x metrics: means and squared errors of the new arm and of control."""

    new: Numbers
    new_error: Numbers
    base: Numbers
    base_error: Numbers

    def z(self, ratio: float | Numbers = 1.0) -> Numbers:
        """Return the standardised distance of the new arm from control times ``ratio``."""
        error = self.new_error + ratio**2 * self.base_error
        found: Numbers = np.abs(self.new - ratio * self.base) / np.sqrt(error)
        return found

    def z_from(self, difference: Numbers) -> Numbers:
        """Return the standardised distance from a difference."""
        error = np.sqrt(self.new_error + self.base_error)
        found: Numbers = np.abs(self.new - self.base - difference) / error
        return found


def look_by_look(arm: Numbers) -> list[tuple[Numbers, Numbers, Numbers]]:
    """Return customers, means and covariances of an arm at each look, run by run."""
    centre = arm.mean(axis=(0, 1))
    blocks = (arm - centre).reshape(len(arm), LOOKS, LOOK_UNITS, -1)
    sums = blocks.sum(axis=2).cumsum(axis=1)
    squares = np.matmul(blocks.transpose(0, 1, 3, 2), blocks).cumsum(axis=1)
    found = []
    for look in range(LOOKS):
        n, first = float((look + 1) * LOOK_UNITS), sums[:, look]
        scatter = squares[:, look] - first[:, :, None] * first[:, None, :] / n
        found.append((np.full(len(arm), n), centre + first / n, scatter / (n - 1)))
    return found


def paths(runs: int, shops: Sequence[Shop], asked: Sequence[Kind], seed: int) -> Paths:
    """Return what every look at every experiment estimates."""
    rng = np.random.default_rng(seed)
    layouts = [kind.layout for kind in asked]
    rows = []
    for first in range(0, runs, 50):
        shape = min(50, runs - first), LOOKS * LOOK_UNITS
        parts = [look_by_look(draw(rng, shop, shape)) for shop in shops]
        for run in range(shape[0]):
            for look in range(LOOKS):
                cells = [
                    Cell(name, None, (), samples_of(asked, [part[run] for part in arm[look]]))
                    for name, arm in zip(ARMS, parts, strict=True)
                ]
                reduced = Reduced(dict.fromkeys(ARMS, 0), cells, layouts)
                found = [estimate(reduced, kind.metric, k).arms for k, kind in enumerate(asked)]
                rows.append([_row(one["new"], one["control"]) for one in found])
    return Paths(*np.array(rows).reshape(runs, LOOKS, len(asked), 4).transpose(3, 0, 1, 2))


def _row(new: Moments, base: Moments) -> tuple[float, float, float, float]:
    return new.mean, new.squared_error, base.mean, base.squared_error


def limits(rule: Rule, planned: int = 2 * LOOKS * LOOK_UNITS) -> Numbers:
    """Return the critical |z| at each look, as a column."""
    found = []
    for look in range(1, LOOKS + 1):
        shares = tuple(k / LOOKS for k in range(1, look))
        now = Rule(ALPHA, None, rule.sequential, shares, rule.spending, planned)
        units = look * 2 * LOOK_UNITS
        one = now.look(units, units)
        assert one is not None
        found.append(one.critical(ALPHA))
    return np.array(found)[:, None]


RULES = {
    "O'Brien-Fleming": Rule(sequential="group", spending="obrien-fleming"),
    "Pocock": Rule(sequential="group", spending="pocock"),
    "always valid": Rule(sequential="always"),
}


def sequential(runs: int, asked: Sequence[Kind]) -> Iterator[list[object]]:
    """Yield a row for each rule and metric."""
    shops = USUAL, USUAL.better(*MUCH_BETTER)
    same, other = (
        paths(runs, pair, asked, seed) for seed, pair in ((3, (shops[0],) * 2), (4, shops))
    )
    base, new = np.array([[kind.truth(shop, 1.0) for kind in asked] for shop in shops])
    fixed = (other.z()[:, -1] > stats.norm.isf(ALPHA / 2)).mean(axis=0)
    for name, rule in RULES.items():
        critical = limits(rule)
        wrong = (same.z() > critical).any(axis=1).mean(axis=0)
        crossed = other.z() > critical
        found = crossed.any(axis=1)
        stop = np.where(found, crossed.argmax(axis=1) + 1, LOOKS).mean(axis=0) / LOOKS
        power = found.mean(axis=0)
        holds = (other.z_from(new - base) <= critical).all(axis=1).mean(axis=0)
        lift = (other.z(new / base) <= critical).all(axis=1).mean(axis=0)
        for at, kind in enumerate(asked):
            shares = (wrong, fixed, power, power / fixed, stop, holds, lift)
            yield [name, kind.metric.label, *(float(share[at]) for share in shares)]


def in_theory() -> Iterator[list[object]]:
    """Yield what normal theory says that twenty looks cost."""
    fractions = [look / LOOKS for look in range(1, LOOKS + 1)]
    for spending in ("obrien-fleming", "pocock"):
        critical = boundaries(fractions, ALPHA, spending=spending)
        lower, row = [-z for z in critical], []
        for power in (0.8, 0.9, 0.95):
            drift = drift_for_power([1], [stats.norm.isf(ALPHA / 2)], power)
            down, up = crossings(fractions, lower, critical, drift=drift)
            more = (drift_for_power(fractions, critical, power) / drift) ** 2 - 1
            row += [float(down.sum() + up.sum()) / power, more]
        yield [spending, *row]


def show(head: Sequence[str], rows: Iterator[list[object]], words: int = 1) -> None:
    """Print a Markdown table, shares as percentages."""
    print(f"\n| {' | '.join(head)} |")
    print("|" + "---|" * words + "---:|" * (len(head) - words))
    for row in rows:
        cells = [_told(cell) for cell in row]
        print(f"| {' | '.join(cells)} |", flush=True)


def _told(cell: object) -> str:
    if isinstance(cell, float):
        return "" if math.isnan(cell) else f"{cell:.1%}".replace("%", " %")
    return str(cell)


def error_rates(runs: int, asked: Sequence[Kind]) -> Iterator[list[object]]:
    """Yield a row for each metric: false positives, then coverage."""
    shops = USUAL, USUAL.better(*BETTER)
    wrong = false_positives(2 * runs, asked)
    effects, of_arms = coverage(runs, asked, shops)
    for at, kind in enumerate(asked):
        own = of_arms[at].tolist() if at < len(of_arms) else [math.nan, math.nan]
        yield [kind.metric.label, float(wrong[at]), *effects[at].tolist(), *own]
    capped = [kind for kind in asked if kind.metric.label == "mean, capped"]
    effects, of_arms = coverage(runs, capped, shops, cap=quantile_of(shops, CAP))
    label = "mean, capped; truth at the cap of all customers"
    yield [label, math.nan, *effects[0].tolist(), *of_arms[0].tolist()]


def hard_cases(runs: int, asked: Sequence[Kind]) -> Iterator[list[object]]:
    """Yield a row for each size of a shop with few buyers and heavy tails, and each metric."""
    shops = RARE, RARE.better(*BETTER)
    for n in ((200, 200), (1000, 1000), (5000, 5000), (9000, 1000)):
        wrong = false_positives(runs, asked, RARE, n, seed=5)
        effects, of_arms = coverage(runs, asked, shops, n, seed=6)
        for at, kind in enumerate(asked):
            own = float(of_arms[at, 0]) if at < len(of_arms) else math.nan
            size = f"{n[0]:,} and {n[1]:,}"
            yield [size, kind.metric.label, float(wrong[at]), *effects[at].tolist(), own]


def main(runs: int) -> None:
    """Print all tables."""
    start, every = time.perf_counter(), kinds()
    looked = [kind for kind in every if kind.metric.label in LOOKED]
    hard = [kind for kind in every if kind.metric.label in HARD]
    head = ["metric", "false positives", "difference", "lift", "control", "new arm"]
    show(head, error_rates(runs, every))
    head = ["rule", "metric", "error", "power, one look", "power", "ratio", "stops at"]
    show([*head, "difference", "lift"], sequential(runs, looked), 2)
    head = ["spending"]
    for power in (80, 90, 95):
        head += [f"power kept of {power} %", "more units for it"]
    show(head, in_theory())
    head = ["units", "metric", "false positives", "difference", "lift", "control"]
    show(head, hard_cases(runs // 2, hard), 2)
    errors = [math.sqrt(0.95 * 0.05 / times) for times in (2 * runs, runs, runs // 2)]
    told = ", ".join(f"{error:.2%}" for error in errors)
    print(
        f"\nStandard error of a share of 5 % in {2 * runs:,}, {runs:,} and {runs // 2:,}: {told}."
    )
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)
