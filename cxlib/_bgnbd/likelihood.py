"""The likelihoods, each with its exact gradient and Hessian, in logs of the parameters.

So Newton's method finds the optimum in some ten passes over the unique histories.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, expit, gammaln, polygamma

from cxlib._bgnbd.newton import Fit, Numbers, Objective, maximise

_BGNBD_BOX = {"r": (-10, 5), "alpha": (-12, 12), "a": (-10, 5), "b": (-10, 10)}
_OTHER_STARTS = ((0.01, 50.0), (0.05, 0.05), (30.0, 120.0))
_SPEND_BOX = {"p": (-10, 9), "q": (0.01, 9), "v": (-12, 12)}


def fit_bgnbd(
    frequency: Numbers,
    recency: Numbers,
    age: Numbers,
    n: Numbers,
    start: Mapping[str, float] | None = None,
) -> Fit:
    """Fit the BG/NBD model, from ``start`` if given; some customer should have come back."""
    unit = float(age.max())
    objective = _bgnbd_objective(frequency.astype(int), recency / unit, age / unit, n)
    repeats = float(n @ frequency)
    usual = {"r": 1.0, "alpha": float(n @ age) / unit / max(repeats, 1), "a": 0.5, "b": 2.0}
    first = {**start, "alpha": start["alpha"] / unit} if start else usual
    fit = maximise(objective, first, _BGNBD_BOX, "BG/NBD")
    if fit.at_edge:
        others = [
            maximise(objective, usual | {"a": a, "b": b}, _BGNBD_BOX, "BG/NBD")
            for a, b in _OTHER_STARTS
        ]
        fit = max([fit, *others], key=lambda one: one.log_likelihood)
    return _in_units(fit, "alpha", unit, -repeats * math.log(unit))


def fit_gamma_gamma(
    frequency: Numbers, spend: Numbers, n: Numbers, start: Mapping[str, float] | None = None
) -> Fit:
    """Fit the Gamma-Gamma model to the mean spend of customers who came back.

    The search holds q above 1, where the mean spend of the population is finite.
    """
    unit = float(n @ spend / n.sum())
    objective = _gamma_gamma_objective(frequency.astype(int), spend / unit, n)
    first = {"p": 2.0, "q": 3.0, "v": 1.0}
    if start:
        first = {**start, "v": start["v"] / unit}
    fit = maximise(objective, first, _SPEND_BOX, "Gamma-Gamma")
    return _in_units(fit, "v", unit, -float(n.sum()) * math.log(unit))


def _in_units(fit: Fit, name: str, unit: float, shift: float) -> Fit:
    """Return a fit of data divided by ``unit`` in the units of the data."""
    values = fit.values | {name: fit.values[name] * unit}
    errors = fit.standard_errors | {name: fit.standard_errors[name] * unit}
    return Fit(values, errors, fit.at_edge, fit.log_likelihood + shift)


def _bgnbd_objective(
    x: npt.NDArray[np.int_], recency: Numbers, age: Numbers, n: Numbers
) -> Objective:
    """Return the BG/NBD log-likelihood with its gradient and Hessian in log parameters.

    Ratios of gamma functions are sums of ``log(c + k)`` over k below x, and all terms but the
    last depend on x or on T alone: they are summed once for each value, without cancellation
    however large the parameters. The last term is ``log(1 + exp(odds))``, odds being the log
    odds of having left; it concerns repeat buyers only.
    """
    k = np.arange(x.max())
    beyond = np.bincount(x, n)[::-1].cumsum()[::-1][1:]  # customers with frequency above k
    ages, age_code = np.unique(age, return_inverse=True)
    customers, repeats = np.bincount(age_code, n), np.bincount(age_code, n * x)
    again = x > 0
    x, n, age_code = x[again], n[again], age_code[again]
    recencies, recency_code = np.unique(recency[again], return_inverse=True)

    def objective(log_parameters: Numbers) -> tuple[float, Numbers, Numbers]:
        r, alpha, a, b = parameters = np.exp(log_parameters)
        end, last = alpha + ages, alpha + recencies
        span = np.log(end)[age_code] - np.log(last)[recency_code]
        before, after = (1 / last)[recency_code], (1 / end)[age_code]
        odds = np.log(a) - np.log(b + x - 1) + (r + x) * span
        share = expit(odds)
        left = n * share
        slope = np.stack(
            [span, (r + x) * (after - before), np.full(len(x), 1 / a), -1 / (b + x - 1)]
        )

        growth = np.log1p(ages / alpha)
        value = beyond @ (np.log(r + k) + np.log(b + k) - np.log(a + b + k))
        value += n @ (np.maximum(odds, 0) + np.log1p(np.exp(-np.abs(odds))))
        value -= repeats @ np.log(end) + r * (customers @ growth)

        gradient = slope @ left
        leave = beyond @ (1 / (a + b + k))
        idle = customers @ (ages / end) / alpha
        gradient += [
            beyond @ (1 / (r + k)) - customers @ growth,
            r * idle - repeats @ (1 / end),
            -leave,
            beyond @ (1 / (b + k)) - leave,
        ]

        hessian = (slope * (left * (1 - share))) @ slope.T
        hessian[2:, 2:] += beyond @ (1 / (a + b + k) ** 2)
        hessian[0, 1] += idle + left @ (after - before)
        hessian[1, 0] = hessian[0, 1]
        hessian[0, 0] -= beyond @ (1 / (r + k) ** 2)
        hessian[1, 1] += repeats @ (1 / end**2) - r * (customers @ (1 / alpha**2 - 1 / end**2))
        hessian[1, 1] += left @ ((r + x) * (before**2 - after**2))
        hessian[2, 2] -= left.sum() / a**2
        hessian[3, 3] += left @ (1 / (b + x - 1) ** 2) - beyond @ (1 / (b + k) ** 2)
        return float(value), *_in_logs(parameters, gradient, hessian)

    return objective


def _gamma_gamma_objective(x: npt.NDArray[np.int_], spend: Numbers, n: Numbers) -> Objective:
    """Return the Gamma-Gamma log-likelihood with its gradient and Hessian in log parameters."""
    counts, code = np.unique(x, return_inverse=True)
    customers = np.bincount(code, n)
    total = x * spend
    log_total, log_spend = np.log(total), float(n @ np.log(spend))

    def by_count(values: Numbers) -> Numbers:
        return np.bincount(code, n * values).astype(float)

    def objective(log_parameters: Numbers) -> tuple[float, Numbers, Numbers]:
        p, q, v = parameters = np.exp(log_parameters)
        log_sum = np.log(total + v)
        share, own = by_count(log_sum - np.log(v)), by_count(log_sum - log_total)
        rest = by_count(1 / (total + v))
        rest2 = by_count(1 / (total + v) ** 2)
        shape = p * counts

        value = customers @ (gammaln(shape + q) - gammaln(shape) - gammaln(q))
        value -= q * share.sum() + shape @ own + log_spend

        both = digamma(shape + q)
        qv = customers.sum() / v - rest.sum()
        gradient = np.array(
            [
                counts @ (customers * (both - digamma(shape)) - own),
                customers @ (both - digamma(q)) - share.sum(),
                q * qv - shape @ rest,
            ]
        )
        both = polygamma(1, shape + q)
        pq, pv = customers @ (counts * both), -(counts @ rest)
        hessian = np.array(
            [
                [(customers * counts**2) @ (both - polygamma(1, shape)), pq, pv],
                [pq, customers @ (both - polygamma(1, q)), qv],
                [pv, qv, q * (rest2.sum() - customers.sum() / v**2) + shape @ rest2],
            ]
        )
        return float(value), *_in_logs(parameters, gradient, hessian)

    return objective


def _in_logs(parameters: Numbers, gradient: Numbers, hessian: Numbers) -> tuple[Numbers, Numbers]:
    """Turn derivatives by parameters into derivatives by their logs."""
    gradient = parameters * gradient
    return gradient, np.outer(parameters, parameters) * hessian + np.diag(gradient)
