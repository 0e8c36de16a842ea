"""Gamma-Gamma: what a purchase is worth, given what a customer's purchases were worth so far.

Fader, P. S. and Hardie, B. G. S. (2013), The Gamma-Gamma Model of Monetary Value,
brucehardie.com/notes/025.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, gammaln, polygamma

from cxlib._bgnbd.newton import Fit, Numbers, Objective, in_logs, in_units, maximise, summed
from cxlib._bgnbd.unique import told_apart
from cxlib._checks import FitError

_BOX = {"p": (-10, 9), "q": (0.01, 9), "v": (-12, 12)}
_USUAL = {"p": 5.0, "q": 3.5, "v": 0.5}
MANY, ROUGH = 5_000, 32


def fit_gamma_gamma(
    frequency: Numbers, spend: Numbers, n: Numbers, start: Mapping[str, float] | None = None
) -> Fit:
    """Fit the Gamma-Gamma model to the mean spend of customers who came back.

    The search holds q above 1, where the mean spend of the population is finite. Without a
    ``start``, very many customers are first fitted as the fewer that they are when told roughly.
    """
    unit = float(summed(n, spend) / n.sum())
    x, spend = frequency.astype(int), spend / unit
    if start:
        first: Mapping[str, float] = {**start, "v": start["v"] / unit}
    else:
        first = _first_guess(x, spend, n) if len(n) > MANY else _USUAL
    fit = maximise(_objective(x, spend, n), first, _BOX, "Gamma-Gamma")
    return in_units(fit, {"v": unit}, -float(n.sum()) * math.log(unit))


def _first_guess(x: npt.NDArray[np.int_], spend: Numbers, n: Numbers) -> Mapping[str, float]:
    """Return the fit to spend in steps of some 3 %, if it is a clear top."""
    step = np.rint(ROUGH * np.log(spend)).astype(int)
    least, width = step.min(), np.ptp(step) + 1
    code, place = told_apart(x * width + step - least)
    rough = np.exp((code % width + least) / ROUGH)
    try:
        guess = maximise(
            _objective((code // width).astype(int), rough, np.bincount(place, n).astype(float)),
            _USUAL,
            _BOX,
            "Gamma-Gamma",
        )
    except FitError:
        return _USUAL
    return guess.values if guess.is_clear else _USUAL


def spend_line(values: Mapping[str, float], frequency: Numbers) -> tuple[Numbers, Numbers]:
    """Return ``level`` and ``slope``: a purchase is expected to be worth ``level + slope * own``.

    ``own`` is the mean of the customer's repeat purchases, of which there were ``frequency``.
    Equation (5) of Fader and Hardie (2013), the population's mean ``p v / (q - 1)`` and the
    customer's own, weighted.
    """
    p, q, v = (values[name] for name in "pqv")
    return p * v / (p * frequency + q - 1), p * frequency / (p * frequency + q - 1)


def _objective(x: npt.NDArray[np.int_], spend: Numbers, n: Numbers) -> Objective:
    """Return the Gamma-Gamma log-likelihood with its gradient and Hessian in log parameters."""
    if (x[1:] < x[:-1]).any():  # histories come in their order: large ones need no copy
        order = np.argsort(x, kind="stable")
        x, spend, n = x[order], spend[order], n[order]
    counts, first = np.unique(x, return_index=True)
    customers = np.add.reduceat(n, first)
    total = x * spend
    log_total, log_spend = np.log(total), float(summed(n, np.log(spend)))

    def by_count(values: Numbers) -> Numbers:
        return np.add.reduceat(n * values, first)

    def objective(log_parameters: Numbers) -> tuple[float, Numbers, Numbers]:
        p, q, v = parameters = np.exp(log_parameters)
        log_sum = np.log(total + v)
        share, own = by_count(log_sum - np.log(v)), by_count(log_sum - log_total)
        part = 1 / (total + v)
        rest, rest2 = by_count(part), by_count(part**2)
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
        return float(value), *in_logs(parameters, gradient, hessian)

    return objective
