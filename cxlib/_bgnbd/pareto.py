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

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from cxlib._bgnbd.newton import (
    Fitter,
    Numbers,
    Objective,
    beyond,
    climber,
    in_logs,
    summed,
)
from cxlib._bgnbd.tail import Tail, tail
from cxlib._bgnbd.unique import told_apart

BOX = {"r": (-10, 5), "alpha": (-12, 12), "s": (-10, 5), "beta": (-12, 12)}
_AT_ONCE = 300
_PLACES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_LEAVING = tuple(
    {"s": s, "beta": beta} for s, beta in ((0.5, 1.0), (0.01, 1.0), (0.02, 0.0001), (30.0, 60.0))
)

Pairs = tuple[Numbers, Numbers]


def prepare(frequency: Numbers, recency: Numbers, age: Numbers) -> Fitter:
    """Return a fitter of the Pareto/NBD model to these histories."""
    histories = _Histories(frequency.astype(int), recency, age, float(age.max()))

    return climber(histories.objective, frequency, age, _LEAVING, BOX, "Pareto/NBD")


def p_alive(
    values: Mapping[str, float], frequency: Numbers, recency: Numbers, age: Numbers
) -> Numbers:
    """Return the probability that a customer with this history has not left."""
    r, alpha, s, beta = parameters = np.array([values[name] for name in BOX])
    x, age = frequency.astype(float), age.astype(float)
    idle = -r * np.log1p(age / alpha) - s * np.log1p(age / beta) - x * np.log(alpha + age)
    ends = []
    for time, buys in ((age, True), (recency, False)):
        pairs, code = _pairs(x, time)
        ends.append(_in_parts(_log_ending, parameters, pairs, buys)[0][code])
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
    now = beta + age[:, None]
    log_end = np.log1p(np.reshape(horizon, (-1, 1)) / now)
    log_end = np.minimum(log_end, 40 / max(s - 1, 0.1))
    log_time = log_end * (_PLACES + 1) / 2
    rate = ((r + frequency) / (alpha + age))[:, None] * now
    rate = rate * np.exp((1 - s) * log_time) * log_end / 2
    time = now * np.expm1(log_time)
    return np.stack([(rate * np.exp(-discount * time)) @ _WEIGHTS for discount in discounts])


def draw_rates(
    values: Mapping[str, float], frequency: Numbers, age: Numbers, rng: np.random.Generator
) -> tuple[Numbers, Numbers]:
    """Draw rates of purchase and of leaving, given the history and that the customer is there."""
    r, alpha, s, beta = (values[name] for name in BOX)
    return rng.gamma(r + frequency) / (alpha + age), rng.gamma(s, size=len(age)) / (beta + age)


class _Histories:
    """Histories whose pairs of x with a time are told apart once, for any weights.

    Times are turned into ``unit``.
    """

    def __init__(
        self, x: npt.NDArray[np.int_], recency: Numbers, age: Numbers, unit: float = 1.0
    ) -> None:
        self.x = x
        (buyers, ages), self.buy_code = _pairs(x, age)
        (leavers, recencies), self.leave_code = _pairs(x, recency)
        self.buy_pairs, self.leave_pairs = (buyers, ages / unit), (leavers, recencies / unit)

    def objective(self, n: Numbers) -> Objective:
        """Return the log-likelihood with its gradient and Hessian in log parameters."""
        k, buyers = beyond(self.x, n)
        buy_code, leave_code = self.buy_code, self.leave_code

        def objective(log_parameters: Numbers) -> tuple[float, Numbers, Numbers]:
            parameters = np.exp(log_parameters)
            buys, buy_slope, buy_bend = _in_parts(_ending, parameters, self.buy_pairs, True)
            leaves, leave_slope, leave_bend = _in_parts(
                _ending, parameters, self.leave_pairs, False
            )
            buys, leaves = buys[buy_code], leaves[leave_code]
            share = expit(buys - leaves)
            n_buy = np.bincount(buy_code, n * share).astype(float)
            n_leave = np.bincount(leave_code, n * (1 - share)).astype(float)

            rates = parameters[0] + k
            value = summed(n, np.logaddexp(buys, leaves)) + buyers @ np.log(rates)
            gradient = summed(n_buy, buy_slope.T) + summed(n_leave, leave_slope.T)
            gradient[0] += buyers @ (1 / rates)
            between = buy_slope.T.copy()[:, buy_code] - leave_slope.T.copy()[:, leave_code]
            hessian = summed(n * share * (1 - share), between, between)
            hessian += summed(n_buy, buy_bend.T) + summed(n_leave, leave_bend.T)
            hessian[0, 0] -= buyers @ (1 / rates**2)
            return float(value), *in_logs(parameters, gradient, hessian)

        return objective


def _in_parts(
    function: Callable[..., tuple[Numbers, ...]], parameters: Numbers, pairs: Pairs, buys: bool
) -> Any:
    """Return what ``function`` says of some hundred pairs at a time: they fit into fast memory."""
    x, time = pairs
    parts = [
        function(parameters, x[i : i + _AT_ONCE], time[i : i + _AT_ONCE], buys)
        for i in range(0, len(x), _AT_ONCE)
    ]
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def _log_ending(parameters: Numbers, x: Numbers, time: Numbers, buys: bool) -> tuple[Numbers]:
    """Return the log-likelihood of ``x`` purchases, and then to buy, or to leave, after ``time``.

    ``Gamma(r + x) / Gamma(r)`` is left out.
    """
    return (_with_tail(parameters, x, time, buys)[0],)


def _ending(
    parameters: Numbers, x: Numbers, time: Numbers, buys: bool
) -> tuple[Numbers, Numbers, Numbers]:
    """Return `_log_ending` and its derivatives by the parameters, (n, 4) and (n, 4, 4)."""
    r, alpha, s, beta = parameters
    value, rest = _with_tail(parameters, x, time, buys)
    p, q = r + x + buys, np.full(len(x), s + (not buys))
    fall_a = (p / (alpha + time))[:, None] * rest.left_a
    fall_b = (q / (beta + time))[:, None] * rest.left_b
    nodes = -np.stack([rest.log_a, fall_a, rest.log_b, fall_b], axis=1)
    mean = (nodes @ rest.weight[:, :, None])[:, :, 0]
    apart = nodes - mean[:, :, None]
    slope = mean + [0, r / alpha, 0, s / beta]
    bend = (apart * rest.weight[:, None, :]) @ apart.transpose(0, 2, 1)

    for i, shape, rate, power, fall in ((0, r, alpha, p, fall_a), (2, s, beta, q, fall_b)):
        slope[:, i] -= np.log1p(time / rate)
        bend[:, [i, i + 1], [i + 1, i]] += (mean[:, i + 1] / power + 1 / rate)[:, None]
        bend[:, i + 1, i + 1] += (rest.weight * fall**2).sum(axis=1) / power - shape / rate**2
    which, front = (0, r + x) if buys else (2, s)
    slope[:, which] += 1 / front
    bend[:, which, which] -= 1 / front**2
    return value, slope, bend


def _with_tail(parameters: Numbers, x: Numbers, time: Numbers, buys: bool) -> tuple[Numbers, Tail]:
    """Return `_log_ending` and its integral.

    The shape of what comes next is one higher in the integral, and a factor before it.
    """
    r, alpha, s, beta = parameters
    a, b, s_each = alpha + time, beta + time, np.full(len(x), s)
    rest = tail(a, b, r + x + buys, s_each + (not buys))
    front = (r + x) / a if buys else s_each / b
    value = rest.log_value + np.log(front) - x * np.log(a)
    return value - r * np.log1p(time / alpha) - s * np.log1p(time / beta), rest


def _pairs(x: npt.NDArray[Any], time: Numbers) -> tuple[Pairs, npt.NDArray[np.int_]]:
    """Return the unique pairs of x and time, and which of them each history has."""
    times, code = told_apart(time)
    keys, code = told_apart(x.astype(int) * len(times) + code)
    return (keys // len(times), times[(keys % len(times)).astype(int)]), code
