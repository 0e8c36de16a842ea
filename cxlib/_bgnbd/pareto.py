"""Pareto/NBD: customers buy at a gamma of rates, and leave at any time, at another gamma of rates.

Schmittlein, D. C., Morrison, D. G. and Colombo, R. (1987), Counting Your Customers: Who Are They
and What Will They Do Next?, Management Science 33 (1), 1-24. Fader, P. S. and Hardie, B. G. S.
(2005), A Note on Deriving the Pareto/NBD Model and Related Expressions, brucehardie.com/notes/009.

A history goes on in one of two ways: the customer buys again, at some time after T, or leaves
first, at some time after the last purchase t. So the likelihood is ``Gamma(r + x) / Gamma(r)`` times

``alpha^r beta^s [(r + x) * integral from T on of (alpha + u)^-(r + x + 1) (beta + u)^-s du
+ s * integral from t on of (alpha + u)^-(r + x) (beta + u)^-(s + 1) du]``,

a sum of positive terms where the notes take a difference of hypergeometric functions. Each term
depends on x and one time alone: it is computed once for each such pair, and shared by histories.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from cxlib._bgnbd.newton import Fit, Numbers, Objective, best, in_logs, in_units
from cxlib._bgnbd.tail import tail

BOX = {"r": (-10, 5), "alpha": (-12, 12), "s": (-10, 5), "beta": (-12, 12)}
_OTHER_STARTS = ((0.01, 1.0), (0.05, 0.01), (30.0, 60.0))


def fit(
    frequency: Numbers,
    recency: Numbers,
    age: Numbers,
    n: Numbers,
    start: Mapping[str, float] | None = None,
) -> Fit:
    """Fit the Pareto/NBD model, from ``start`` if one is given."""
    unit, repeats = float(age.max()), float(n @ frequency)
    objective = _objective(frequency.astype(int), recency / unit, age / unit, n)
    usual = {"r": 1.0, "alpha": float(n @ age) / unit / max(repeats, 1), "s": 0.5, "beta": 1.0}
    starts = [usual, *(usual | {"s": s, "beta": beta} for s, beta in _OTHER_STARTS)]
    if start:
        units = {"r": 1.0, "alpha": unit, "s": 1.0, "beta": unit}
        starts.insert(0, {name: start[name] / units[name] for name in BOX})
    found = best(objective, starts, BOX, "Pareto/NBD")
    return in_units(found, {"alpha": unit, "beta": unit}, -repeats * math.log(unit))


def p_alive(
    values: Mapping[str, float], frequency: Numbers, recency: Numbers, age: Numbers
) -> Numbers:
    """Return the probability that a customer with this history has not left."""
    r, alpha, s, beta = parameters = np.array([values[name] for name in BOX])
    x, age = frequency.astype(float), age.astype(float)
    idle = -r * np.log1p(age / alpha) - s * np.log1p(age / beta) - x * np.log(alpha + age)
    ends = []
    for time, buys in ((age, True), (recency, False)):
        pair_x, pair_time, code = _pairs(x, time)
        ends.append(_Ending(parameters, pair_x, pair_time, buys).log_likelihood[code])
    return np.exp(np.minimum(idle - np.logaddexp(*ends), 0.0))


def orders_if_alive(
    values: Mapping[str, float],
    frequency: Numbers,
    age: Numbers,
    horizon: float | Numbers,
    discounts: Sequence[float] = (0.0,),
) -> Numbers:
    """Return expected purchases within ``horizon`` of customers who have not left.

    A purchase at time u from now counts ``exp(-discount * u)``; one row for each discount, one
    column for each history. It is

    ``(r + x) / (alpha + T) * integral to the horizon of ((beta + T) / (beta + T + u))^s du``,

    by Gauss-Legendre in the log of beta + T + u, as far as the integrand is worth the while.
    Without discount this is equation (41) of the note less P(alive), with no pole at s = 1.
    """
    r, alpha, s, beta = (values[name] for name in BOX)
    places, weights = np.polynomial.legendre.leggauss(24)
    now = beta + age[:, None]
    log_end = np.log1p(np.reshape(horizon, (-1, 1)) / now)
    log_end = np.minimum(log_end, 40 / max(s - 1, 0.1))
    log_time = log_end * (places + 1) / 2
    rate = ((r + frequency) / (alpha + age))[:, None] * now
    rate = rate * np.exp((1 - s) * log_time) * log_end / 2
    time = now * np.expm1(log_time)
    return np.stack([(rate * np.exp(-discount * time)) @ weights for discount in discounts])


def draw_rates(
    values: Mapping[str, float], frequency: Numbers, age: Numbers, rng: np.random.Generator
) -> tuple[Numbers, Numbers]:
    """Draw rates of purchase and of leaving, given the history and that the customer is there."""
    r, alpha, s, beta = (values[name] for name in BOX)
    return rng.gamma(r + frequency) / (alpha + age), rng.gamma(s, size=len(age)) / (beta + age)


class _Ending:
    """One of the two ways to go on after ``x`` purchases: to buy after T, or to leave after t.

    Attributes
    ----------
    log_likelihood : (n,) array
        Of a history that goes on so, less the log of ``Gamma(r + x) / Gamma(r)``.
    slope : (4, n) array
        Its derivatives by the parameters.
    """

    def __init__(self, parameters: Numbers, x: Numbers, time: Numbers, buys: bool) -> None:
        r, alpha, s, beta = self._parameters = parameters
        a, b = alpha + time, beta + time
        # the shape whose event comes next rises by one, and multiplies the integral
        self._next = 0 if buys else 2
        self._front = r + x if buys else np.full(len(x), s)
        self._powers = r + x + buys, np.full(len(x), s + (not buys))
        grown_a, grown_b = np.log1p(time / alpha), np.log1p(time / beta)
        rest = tail(a, b, *self._powers)
        self.log_likelihood = rest.log_value + np.log(self._front / (a if buys else b))
        self.log_likelihood -= r * grown_a + s * grown_b + x * np.log(a)

        bend_a, bend_b = (
            (power / rate)[:, None] * left
            for power, rate, left in zip(
                self._powers, (a, b), (rest.left_a, rest.left_b), strict=True
            )
        )
        self._weight, self._nodes = rest.weight, -np.stack([rest.log_a, bend_a, rest.log_b, bend_b])
        self._mean = (self._nodes * rest.weight).sum(axis=2)
        ones = np.ones(len(x))
        self.slope = self._mean + [-grown_a, r / alpha * ones, -grown_b, s / beta * ones]
        self.slope[self._next] += 1 / self._front

    def curvature(self, n: Numbers) -> Numbers:
        """Return the second derivatives by the parameters, summed with weights ``n``."""
        r, alpha, s, beta = self._parameters
        weight = self._weight * n[:, None]
        apart = self._nodes - self._mean[:, :, None]
        hessian = (apart * weight).reshape(4, -1) @ apart.reshape(4, -1).T
        for i, shape, rate, power in zip((0, 2), (r, s), (alpha, beta), self._powers, strict=True):
            cross = n @ (self._mean[i + 1] / power) + n.sum() / rate
            hessian[[i, i + 1], [i + 1, i]] += cross
            bend = (weight * self._nodes[i + 1] ** 2).sum(axis=1)
            hessian[i + 1, i + 1] += (bend / power).sum() - n.sum() * shape / rate**2
        hessian[self._next, self._next] -= n @ (1 / self._front**2)
        return hessian


def _objective(x: npt.NDArray[np.int_], recency: Numbers, age: Numbers, n: Numbers) -> Objective:
    """Return the log-likelihood with its gradient and Hessian in log parameters."""
    k = np.arange(x.max())
    buyers = np.bincount(x, n)[::-1].cumsum()[::-1][1:]  # customers with frequency above k
    buy_x, buy_time, buy_code = _pairs(x, age)
    leave_x, leave_time, leave_code = _pairs(x, recency)

    def objective(log_parameters: Numbers) -> tuple[float, Numbers, Numbers]:
        parameters = np.exp(log_parameters)
        buys = _Ending(parameters, buy_x, buy_time, buys=True)
        leaves = _Ending(parameters, leave_x, leave_time, buys=False)
        log_buys, log_leaves = buys.log_likelihood[buy_code], leaves.log_likelihood[leave_code]
        share = expit(log_buys - log_leaves)
        n_buy = np.bincount(buy_code, n * share).astype(float)
        n_leave = np.bincount(leave_code, n * (1 - share)).astype(float)

        rates = parameters[0] + k
        value = n @ np.logaddexp(log_buys, log_leaves) + buyers @ np.log(rates)
        gradient = buys.slope @ n_buy + leaves.slope @ n_leave
        gradient[0] += buyers @ (1 / rates)
        between = buys.slope[:, buy_code] - leaves.slope[:, leave_code]
        hessian = (between * (n * share * (1 - share))) @ between.T
        hessian += buys.curvature(n_buy) + leaves.curvature(n_leave)
        hessian[0, 0] -= buyers @ (1 / rates**2)
        return float(value), *in_logs(parameters, gradient, hessian)

    return objective


def _pairs(x: npt.NDArray[Any], time: Numbers) -> tuple[Numbers, Numbers, npt.NDArray[np.int_]]:
    """Return the unique pairs of x and time, and which of them each history has."""
    times, code = np.unique(time, return_inverse=True)
    keys, code = np.unique(x.astype(int) * len(times) + code, return_inverse=True)
    return (keys // len(times)).astype(float), times[keys % len(times)], code
