"""Samples become each arm's estimate and its error: delta method, CUPED, post-stratification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from cxlib._intervals import Moments, Numbers
from cxlib.experiment.metrics import Metric
from cxlib.experiment.samples import ORDER_Z, Reduced, Sample, Segment, merge
from cxlib.experiment.units import Layout

NOTHING = Moments(0.0, float("nan"), float("nan"))


class Estimate(NamedTuple):
    """One metric in every arm.

    ``variance`` of the moments is such that variance / n is the squared error of ``mean``, which
    is a mean, a ratio, a quantile, and adjusted where the metric is. ``method`` says how.
    """

    arms: dict[str, Moments]
    method: str


def estimate(
    reduced: Reduced, metric: Metric, place: int, segment: Segment | None = None
) -> Estimate:
    """Return a metric's estimate in every arm, of all units or of one segment."""
    if metric.kind == "quantile":
        return Estimate(_quantiles(reduced, place, segment), "order statistics")
    layout, words = reduced.layouts[place], []
    arms = reduced.samples(place, segment)
    if reduced.stratify is not None:
        arms, n_strata = post_stratified(reduced.strata(place, segment))
        words.append(
            f"post-stratified by {reduced.stratify} ({n_strata} strata)"
            if n_strata > 1
            else f"{reduced.stratify} has too many values to stratify by: nothing adjusted"
        )
    if layout.after == 2:
        words.insert(0, "delta")
    if not layout.before:
        return Estimate({name: plain(arm, layout) for name, arm in arms.items()}, _told(words))
    adjusted, saving = cuped(arms, layout)
    words.append(f"CUPED, variance {-100 * saving:+.0f} %")
    return Estimate(adjusted, _told(words))


def _told(words: list[str]) -> str:
    return "; ".join(words) or "Welch"


def plain(arm: Sample, layout: Layout) -> Moments:
    """Return the moments of a mean, or by the delta method of a ratio of means."""
    if not arm.n:
        return NOTHING
    value, gradient = _linear(arm, 0, layout.after)
    return Moments(arm.n, value, _variance(gradient, arm.covariance))


def _linear(arm: Sample, first: int, size: int) -> tuple[float, Numbers]:
    """Return the value of 1 column, or the ratio of 2, and its slope in each column's mean."""
    gradient = np.zeros(len(arm.mean))
    if size == 1:
        gradient[first] = 1
        return float(arm.mean[first]), gradient
    above, below = arm.mean[first], arm.mean[first + 1]
    if not below:
        return float("nan"), gradient * np.nan
    gradient[first], gradient[first + 1] = 1 / below, -above / below**2
    return float(above / below), gradient


def _variance(gradient: Numbers, covariance: Numbers) -> float:
    return max(float(gradient @ covariance @ gradient), 0.0)


def cuped(arms: Mapping[str, Sample], layout: Layout) -> tuple[dict[str, Moments], float]:
    """Return each arm's moments with what its covariate explains taken away, and the saving.

    Deng, A., Xu, Y., Kohavi, R. & Walker, T. (2013), WSDM '13, 123-132. One slope for all arms,
    that of all units together, as tea-tasting and GrowthBook have it; the covariate's mean is that
    of all units too. Ratios enter by their delta-method linear forms.
    """
    everyone = merge(arms.values(), sum(layout))
    if not everyone.n:
        return dict.fromkeys(arms, NOTHING), float("nan")
    centre, slope_everyone = _linear(everyone, layout.after, layout.before)
    parts = {}
    for name, arm in arms.items():
        if arm.n:
            value, slope = _linear(arm, 0, layout.after)
            covariate, slope_before = _linear(arm, layout.after, layout.before)
            slopes = np.array([slope, slope_before])
            parts[name] = (arm.n, value, covariate, slopes @ arm.covariance @ slopes.T)
    pooled = sum(((n - 1) * both for n, _, _, both in parts.values()), np.zeros((2, 2)))
    slopes = np.array([_linear(everyone, 0, layout.after)[1], slope_everyone])
    spread = slopes @ everyone.covariance @ slopes.T
    theta = spread[0, 1] / spread[1, 1] if spread[1, 1] > 0 else 0.0
    turn = np.array([1.0, -theta])
    found = dict.fromkeys(arms, NOTHING)
    for name, (n, value, covariate, both) in parts.items():
        found[name] = Moments(n, value - theta * (covariate - centre), _variance(turn, both))
    left = _variance(turn, pooled)
    return found, 1 - left / pooled[0, 0] if pooled[0, 0] > 0 else 0.0


def post_stratified(
    strata: Mapping[str, Mapping[str, Sample]],
) -> tuple[dict[str, Sample], int]:
    """Return each arm's sample as if its strata had the shares of all units, and their number.

    Miratrix, L. W., Sekhon, J. S. & Yu, B. (2013), JRSS B 75, 369-396. A stratum in which an arm
    has fewer than 2 units joins the others of its kind, and those the largest if need be.
    """
    cells = _filled([dict(arms) for arms in strata.values()])
    everyone = [sum(arm.n for arm in arms.values()) for arms in cells]
    found = {}
    for name in cells[0]:
        own = [arms[name] for arms in cells]
        n = sum(arm.n for arm in own)
        if not all(arm.n for arm in own):
            found[name] = merge(own, len(own[0].mean))
            continue
        shares = [count / sum(everyone) for count in everyone]
        pairs = list(zip(shares, own, strict=True))
        size = len(own[0].mean)
        mean = sum((share * arm.mean for share, arm in pairs), np.zeros(size))
        squared_error = sum(
            (share**2 / arm.n * arm.covariance for share, arm in pairs), np.zeros((size, size))
        )
        found[name] = Sample(n, mean, n * squared_error)
    return found, len(cells)


def _filled(strata: list[dict[str, Sample]]) -> list[dict[str, Sample]]:
    """Return strata in which every arm that has units at all has at least 2."""
    size = len(next(iter(strata[0].values())).mean)
    seen = {name for arms in strata for name, arm in arms.items() if arm.n}

    def thin(arms: dict[str, Sample]) -> bool:
        return any(arms[name].n < 2 for name in seen)

    def joined(group: list[dict[str, Sample]]) -> dict[str, Sample]:
        return {name: merge([arms[name] for arms in group], size) for name in strata[0]}

    full = [arms for arms in strata if not thin(arms)]
    rest = [arms for arms in strata if thin(arms)]
    if not rest:
        return full
    together = joined(rest)
    if thin(together) and full:
        largest = max(full, key=lambda arms: sum(arm.n for arm in arms.values()))
        full = [arms for arms in full if arms is not largest]
        together = joined([together, largest])
    return [*full, together]


def _quantiles(reduced: Reduced, place: int, segment: Segment | None) -> dict[str, Moments]:
    """Return a quantile's moments: its error is half of what its two limits lie apart, over z."""
    found = dict.fromkeys(reduced.units, NOTHING)
    for variant in reduced.units:
        order = reduced.orders.get((place, segment, variant))
        if order is not None:
            error = (order.high - order.low) / (2 * ORDER_Z)
            found[variant] = Moments(order.n, order.value, order.n * error**2)
    return found


def observed(reduced: Reduced, metric: Metric, place: int, variant: str) -> Moments:
    """Return a metric's moments in one arm with nothing adjusted."""
    if metric.kind == "quantile":
        return _quantiles(reduced, place, None).get(variant, NOTHING)
    return plain(reduced.sample(place, variant), reduced.layouts[place])
