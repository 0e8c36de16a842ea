"""BG/NBD and MBG/NBD: customers buy at a gamma of rates, and after a purchase may leave for good.

The chance to leave is a beta across customers. BG/NBD asks it after each repeat purchase, so a
customer who never came back has not left; MBG/NBD asks it after the first purchase too. They
differ in the number of such ``chances`` alone: x of them, or x + 1.

Fader, P. S., Hardie, B. G. S. and Lee, K. L. (2005), "Counting Your Customers" the Easy Way,
Marketing Science 24 (2), 275-284. Batislam, E. P., Denizel, M. and Filiztekin, A. (2007),
Empirical validation and comparison of models for customer base analysis, International Journal
of Research in Marketing 24 (3), 201-209. Wagner, U. and Hoppe, D. (2008), Erratum on the MBG/NBD
Model, the same 25 (3), 225-226.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import betaln, expit, hyp2f1

from cxlib._bgnbd.newton import (
    Fitter,
    Numbers,
    Objective,
    beyond,
    climber,
    in_logs,
    summed,
)
from cxlib._bgnbd.unique import told_apart

BOX = {"r": (-10, 5), "alpha": (-12, 12), "a": (-10, 5), "b": (-10, 10)}
_LEAVING = tuple(
    {"a": a, "b": b} for a, b in ((0.5, 2.0), (0.01, 50.0), (0.05, 0.05), (30.0, 120.0))
)
_AT_ONCE = 10_000
_PLACES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_NODES = 512


def prepare(frequency: Numbers, recency: Numbers, age: Numbers, *, first: int) -> Fitter:
    """Return a fitter of BG/NBD (``first=0``) or MBG/NBD (``first=1``) to these histories."""
    histories = _Histories(frequency.astype(int), recency, age, first, float(age.max()))
    title = "MBG/NBD" if first else "BG/NBD"
    return climber(histories.objective, frequency, age, _LEAVING, BOX, title)


def p_alive(
    values: Mapping[str, float], frequency: Numbers, recency: Numbers, age: Numbers, *, first: int
) -> Numbers:
    """Return the probability that a customer with this history has not left.

    Fader, P. S. and Hardie, B. G. S. (2008), Computing P(alive) Using the BG/NBD Model. It is 1
    where there was no chance to leave: in BG/NBD, for those who never came back.
    """
    r, alpha, a, b = (values[name] for name in BOX)
    span = np.log(alpha + age) - np.log(alpha + recency)
    chances = frequency + first
    odds = np.log(a) - np.log(b + np.maximum(chances, 1) - 1) + (r + frequency) * span
    return np.where(chances > 0, expit(-odds), 1.0).astype(float)


def orders_if_alive(
    values: Mapping[str, float],
    frequency: Numbers,
    age: Numbers,
    horizon: float | Numbers,
    discounts: Sequence[float] = (0.0,),
    *,
    first: int,
) -> Numbers:
    """Return expected purchases within ``horizon`` of customers who have not left.

    A purchase at time s from now counts ``exp(-discount * s)``; one row for each discount, one
    column for each history. With c chances to leave so far, the chance of being alive still,
    times the rate of purchase, averages to

    ``(r + x) / (alpha + T) * 2F1(r + x + 1, a; a + b + c; -s / (alpha + T))``,

    which is integrated over s by Gauss-Legendre in the log of alpha + T + s; where survival falls
    within less time than that, in a finer one, as far as it is worth the while. Without discount
    this is equation (10) of Fader, Hardie and Lee (2005) less its denominator, but it has no
    pole at a = 1 or a + b = 1, and adds positive terms alone.
    """
    r, alpha, a, b = (values[name] for name in BOX)
    x, now = frequency[:, None], alpha + age[:, None]
    shape, stays = r + x + 1, b + x + first
    pace = shape * a / (a + stays)  # at which survival falls at first, in units of alpha + T
    finer = np.maximum(pace, 1.0)
    log_end = np.log1p(finer * np.reshape(horizon, (-1, 1)) / now)
    falls = np.maximum(np.minimum(a, shape) - 1, 0.1)  # the power of time by which it does at last
    log_end = np.minimum(log_end, np.log(40 * (1 + finer / pace)) + 40 / falls)
    log_time = log_end * (_PLACES + 1) / 2
    time = np.expm1(log_time) / finer
    alive = _mean_survival(shape, a, stays, time)
    rate = (r + x) * alive * np.exp(log_time) * log_end / 2 / finer
    return np.stack([(rate * np.exp(-discount * now * time)) @ _WEIGHTS for discount in discounts])


def draw_rates(
    values: Mapping[str, float],
    frequency: Numbers,
    age: Numbers,
    rng: np.random.Generator,
    *,
    first: int,
) -> tuple[Numbers, Numbers]:
    """Draw rates of purchases that a customer stays after, and of the one that is the last.

    They come from what the history says of the customer, given that he or she has not left.
    """
    r, alpha, a, b = (values[name] for name in BOX)
    rate = rng.gamma(r + frequency) / (alpha + age)
    leaves = rng.beta(a, b + frequency + first)
    return rate * (1 - leaves), rate * leaves


def _mean_survival(shape: Numbers, a: float, b: Numbers, time: Numbers) -> Numbers:
    """Return the mean of ``(1 + p * time) ** -shape`` over p of a Beta(a, b): a 2F1, in [0, 1].

    Pfaff's transformation by the smaller of the two numerator parameters keeps the series
    tame; where its first factor underflows, so does the mean. Where scipy has no value of the
    series, or a wrong one, the mean is found by quadrature.
    """
    small, large = np.minimum(shape, a), np.maximum(shape, a)
    log_factor = -small * np.log1p(time)
    seen = log_factor > -690
    series = hyp2f1(a + b - large, small, a + b, np.where(seen, time / (1 + time), 0.0))
    mean = np.where(seen, np.exp(log_factor) * series, 0.0)
    apart = large - small  # scipy errs, and by much, where it is all but whole
    is_wrong = (np.abs(apart - np.rint(apart)) < 1e-4) & (b > 5) & (time > 8)
    wrong = np.flatnonzero(is_wrong | ~np.isfinite(mean))
    shape, b, time = (np.broadcast_to(each, mean.shape).ravel() for each in (shape, b, time))
    for start in range(0, len(wrong), _AT_ONCE // 100):
        part = wrong[start : start + _AT_ONCE // 100]
        mean.flat[part] = _by_quadrature(shape[part], a, b[part], time[part])
    return np.clip(mean, 0, 1)


def _by_quadrature(shape: Numbers, a: float, b: Numbers, time: Numbers) -> Numbers:
    """Return `_mean_survival` for b above 1 by the trapezoidal rule in the logit of p.

    What does not survive is summed, since it dies out towards p = 0 however small a is; only
    where next to nothing survives is that summed itself.
    """
    wide = 9 * np.sqrt(1 / a + 1 / b)
    far = (a + 9 * np.sqrt(a) + 45) / b
    right = far + np.log(-np.expm1(-far))
    middle, knee = np.log(a / b), -np.log(shape * time)
    left = np.minimum(middle, knee) - 40 / (a + 1) - 9 * np.sqrt(1 / (a + 1) + 1 / b)
    left = np.maximum(left, middle - 40 / a - wide)

    def summed_from(left: Numbers, rows: npt.NDArray[np.bool_], survives: bool) -> Numbers:
        logit = np.linspace(left[rows], right[rows], _NODES)
        log_p, log_rest = -np.logaddexp(0, -logit), -np.logaddexp(0, logit)
        density = np.exp(a * log_p + b[rows] * log_rest - betaln(a, b[rows]))
        log_survival = -shape[rows] * np.log1p(np.exp(log_p) * time[rows])
        part = np.exp(log_survival) if survives else -np.expm1(log_survival)
        return (density * part).sum(axis=0) * (logit[1] - logit[0])

    mean = 1 - summed_from(left, np.ones(len(b), bool), survives=False)
    if (little := mean < 1e-3).any():
        left = np.log(a / (b + shape * time)) - 40 / a - wide
        mean[little] = summed_from(left, little, survives=True)
    return mean


class _Histories:
    """Histories whose recencies and ages are told apart once, for any weights.

    Times are turned into ``unit``.
    """

    def __init__(
        self,
        x: npt.NDArray[np.int_],
        recency: Numbers,
        age: Numbers,
        first: int,
        unit: float = 1.0,
    ) -> None:
        ages, self.age_code = told_apart(age)
        recencies, code = told_apart(recency)
        self.ages, self.recencies = ages / unit, recencies / unit
        self.x, self.first, self.risked = x, first, x + first > 0
        self.codes = np.stack([x, self.age_code, code])[:, self.risked]

    def objective(self, n: Numbers) -> Objective:
        """Return the log-likelihood with its gradient and Hessian in log parameters.

        Ratios of gamma functions are sums of ``log(c + k)`` over k below x, or below the number
        of chances to leave, and all terms but the last depend on x or on T alone: they are
        summed once for each value, without cancellation however large the parameters.
        """
        k, buyers = beyond(self.x, n)
        j, takers = beyond(self.x + self.first, n)
        customers, repeats = (np.bincount(self.age_code, weight) for weight in (n, n * self.x))
        n = n[self.risked]

        def objective(log_parameters: Numbers) -> tuple[float, Numbers, Numbers]:
            r, alpha, a, b = parameters = np.exp(log_parameters)
            value, gradient, hessian = self._left(n, parameters)

            end, growth = alpha + self.ages, np.log1p(self.ages / alpha)
            value += buyers @ np.log(r + k) + takers @ (np.log(b + j) - np.log(a + b + j))
            value -= repeats @ np.log(end) + r * (customers @ growth)

            taken = takers @ (1 / (a + b + j))
            idle = customers @ (self.ages / end) / alpha
            gradient += [
                buyers @ (1 / (r + k)) - customers @ growth,
                r * idle - repeats @ (1 / end),
                -taken,
                takers @ (1 / (b + j)) - taken,
            ]

            hessian[2:, 2:] += takers @ (1 / (a + b + j) ** 2)
            hessian[[0, 1], [1, 0]] += idle
            hessian[0, 0] -= buyers @ (1 / (r + k) ** 2)
            hessian[1, 1] += repeats @ (1 / end**2) - r * (customers @ (1 / alpha**2 - 1 / end**2))
            hessian[3, 3] -= takers @ (1 / (b + j) ** 2)
            return float(value), *in_logs(parameters, gradient, hessian)

        return objective

    def _left(self, n: Numbers, parameters: Numbers) -> tuple[float, Numbers, Numbers]:
        """Return the last term, summed, with its derivatives by the parameters.

        It is ``log(1 + exp(odds))``, odds being the log odds of having left. Logs are looked up
        by x, recency and age, and histories are worked through as many at a time as fit into
        fast memory.
        """
        r, alpha, a, b = parameters
        end, last = alpha + self.ages, alpha + self.recencies
        stays = b + np.arange(self.x.max() + 1) + self.first - 1
        stays[: 1 - self.first] = b  # nobody there: in BG/NBD who never came back takes no risk
        logs = np.log(end), np.log(last), np.log(a / stays)
        value, gradient, hessian = 0.0, np.zeros(4), np.zeros((4, 4))
        for start in range(0, len(n), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            x, age, recency = self.codes[:, part]
            shape, span = r + x, logs[0][age] - logs[1][recency]
            before, after = (1 / last)[recency], (1 / end)[age]
            odds = logs[2][x] + shape * span
            far = np.exp(-np.abs(odds))
            share = np.where(odds > 0, 1, far) / (1 + far)
            left = n[part] * share
            stay = 1 / stays[x]
            slope = np.stack([span, shape * (after - before), np.full(len(x), 1 / a), -stay])

            value += float(summed(n[part], np.maximum(odds, 0) + np.log1p(far)))
            gradient += summed(left, slope)
            hessian += summed(left * (1 - share), slope, slope)
            hessian[[0, 1], [1, 0]] += summed(left, after - before)
            hessian[1, 1] += summed(left * shape, before**2 - after**2)
            hessian[2, 2] -= left.sum() / a**2
            hessian[3, 3] += summed(left, stay**2)
        return value, gradient, hessian
