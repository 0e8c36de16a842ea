"""Newton's method inside a box, with a word on the edges that it met."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cxlib._checks import FitError

Numbers = npt.NDArray[np.float64]
Objective = Callable[[Numbers], tuple[float, Numbers, Numbers]]
"""Log parameters to log-likelihood, gradient and Hessian."""
Fitter = Callable[..., "Fit"]
"""``(n, start=None) -> Fit``: weights of histories, and parameter values to climb from."""

MAX_STEPS = 200
ALIKE = 1e-3
"""Log-likelihood by which two tops differ for nothing."""


@dataclass(frozen=True, eq=False)
class Fit:
    """Parameters by maximum likelihood.

    ``standard_errors`` come from the Hessian at the optimum and are null where a parameter
    stands ``at_edge`` of the box that is searched: it would run on to 0 or to infinity.
    """

    values: dict[str, float]
    standard_errors: dict[str, float]
    at_edge: dict[str, str]
    log_likelihood: float

    @property
    def is_clear(self) -> bool:
        """Whether each parameter is at least twice its standard error, and none is at an edge.

        Where that is not so there may be another top, and a higher one.
        """
        return all(error < 0.5 * self.values[name] for name, error in self.standard_errors.items())


def maximise(
    objective: Objective,
    start: Mapping[str, float],
    box: Mapping[str, tuple[float, float]],
    model: str,
) -> Fit:
    """Climb by Newton's method inside a box of log parameters, and say which edges were met.

    The climb ends when a step promises less than 1e-10 of log-likelihood. One that promises
    less than 1e-6 is taken as it is: rounding may hide what it gains.
    """
    low, high = np.array(list(box.values()), float).T
    at = np.clip(np.log([start[name] for name in box]), low, high)
    value, gradient, hessian = objective(at)
    for _ in range(MAX_STEPS):
        move, free = _uphill(at, gradient, hessian, low, high)
        promise = gradient @ move
        if promise < 1e-10:
            at = np.clip(at + move, low, high)
            return _describe(box, at, value, hessian, free & (low < at) & (at < high))
        for _halving in range(40):
            trial = at + move
            trial = np.where(trial < low + 1e-9, low, np.where(trial > high - 1e-9, high, trial))
            found = objective(trial)
            if promise < 1e-6 or found[0] > value - 1e-14 * abs(value):
                break
            move /= 2
        at, (value, gradient, hessian) = trial, found
    raise UnfinishedError(
        f"{model}: no optimum after {MAX_STEPS} steps; give a longer history or more customers, "
        "and look for customers or days that are not like the others",
        float(value),
    )


class UnfinishedError(FitError):
    """A climb that did not end, and the log-likelihood that it came to."""

    def __init__(self, message: str, log_likelihood: float) -> None:
        super().__init__(message)
        self.log_likelihood = log_likelihood


def _uphill(
    at: Numbers, gradient: Numbers, hessian: Numbers, low: Numbers, high: Numbers
) -> tuple[Numbers, npt.NDArray[np.bool_]]:
    """Return Newton's step, as far as the first wall, and the parameters free to take it.

    Where the likelihood is not concave the step follows the absolute curvature, so it always
    leads uphill. To slide along a wall would leave a ridge that parameters climb together; one
    that the step drives into a wall is held, and the step is found anew without it.
    """
    free = ~((at <= low) & (gradient < 0) | (at >= high) & (gradient > 0))
    while True:
        curvature, axes = np.linalg.eigh(-hessian[np.ix_(free, free)])
        steep = np.maximum(np.abs(curvature), 1e-12 * np.abs(curvature).max(initial=1e-300))
        move = np.zeros(len(at))
        move[free] = axes @ (axes.T @ gradient[free] / steep)
        blocked = (at <= low) & (move < 0) | (at >= high) & (move > 0)
        if not blocked.any():
            break
        free &= ~blocked
    size = np.maximum(np.abs(move), 1e-300)
    room = np.where(move > 0, high - at, at - low) / size
    return move * min(1, 2 / size.max(), room[free].min(initial=1)), free


def _describe(
    box: Mapping[str, tuple[float, float]],
    at: Numbers,
    value: float,
    hessian: Numbers,
    free: npt.NDArray[np.bool_],
) -> Fit:
    parameters, variances = np.exp(at), np.full(len(at), np.nan)
    variances[free] = np.diag(np.linalg.pinv(-hessian[np.ix_(free, free)], hermitian=True))
    errors = parameters * np.sqrt(np.where(variances > 0, variances, np.nan))
    return Fit(
        values=dict(zip(box, parameters.tolist(), strict=True)),
        standard_errors=dict(zip(box, errors.tolist(), strict=True)),
        at_edge={
            name: "low" if place <= low else "high"
            for (name, (low, _)), place, is_free in zip(box.items(), at, free, strict=True)
            if not is_free
        },
        log_likelihood=float(value),
    )


def best(
    objective: Objective,
    starts: Sequence[Mapping[str, float]],
    box: Mapping[str, tuple[float, float]],
    model: str,
) -> Fit:
    """Climb from the first start, and where that top is not clear from the others too.

    A climb that does not end is no matter where it has stayed below another's top.
    """
    tops: list[Fit] = []
    lost: list[UnfinishedError] = []
    for start in starts:
        try:
            tops.append(maximise(objective, start, box, model))
        except UnfinishedError as climb:
            lost.append(climb)
        if tops and tops[0].is_clear:
            break
    highest = max((top.log_likelihood for top in tops), default=-math.inf)
    for unfinished in lost:
        if unfinished.log_likelihood > highest + ALIKE:
            raise unfinished
    return max(tops, key=lambda top: top.log_likelihood)


def climber(
    objective_of: Callable[[Numbers], Objective],
    frequency: Numbers,
    age: Numbers,
    leaving: Sequence[Mapping[str, float]],
    box: Mapping[str, tuple[float, float]],
    model: str,
) -> Fitter:
    """Return a fitter of a model of buying and leaving to histories told in units of the oldest age.

    ``leaving`` holds starts for the parameters of leaving, the usual one first; buying starts
    from its mean rate. ``alpha`` and ``beta`` are times.
    """
    unit = float(age.max())
    units = {name: unit for name in ("alpha", "beta") if name in box}

    def fit(n: Numbers, start: Mapping[str, float] | None = None) -> Fit:
        repeats = float(summed(n, frequency))
        rate = max(repeats, 1) / float(summed(n, age))
        buying = {"r": 0.3, "alpha": 0.3 / (rate * unit)}
        starts = [{**buying, **one} for one in leaving]
        if start:
            starts = [{name: start[name] / units.get(name, 1.0) for name in box}]
        found = best(objective_of(n), starts, box, model)
        return in_units(found, units, -repeats * math.log(unit))

    return fit


def in_logs(parameters: Numbers, gradient: Numbers, hessian: Numbers) -> tuple[Numbers, Numbers]:
    """Turn derivatives by parameters into derivatives by their logs."""
    gradient = parameters * gradient
    return gradient, np.outer(parameters, parameters) * hessian + np.diag(gradient)


def in_units(fit: Fit, units: Mapping[str, float], shift: float) -> Fit:
    """Return a fit of data that were divided by a unit in the units of the data."""
    values, errors = (
        {name: number * units.get(name, 1.0) for name, number in numbers.items()}
        for numbers in (fit.values, fit.standard_errors)
    )
    return Fit(values, errors, fit.at_edge, fit.log_likelihood + shift)


def beyond(count: npt.NDArray[np.int_], n: Numbers) -> tuple[npt.NDArray[np.int_], Numbers]:
    """Return each k below the largest count, and how many customers have more than k."""
    return np.arange(count.max()), np.bincount(count, n)[::-1].cumsum()[::-1][1:]


def summed(weight: Numbers, rows: Numbers, others: Numbers | None = None) -> Numbers:
    """Return weighted sums along the last axis: of ``rows``, or of their products with ``others``.

    By einsum, since for ``@`` BLAS wakes threads, which wait for each other on a busy machine.
    """
    if others is None:
        return np.einsum("p,...p->...", weight, rows)
    return np.einsum("ip,jp->ij", weight * rows, others)
