"""What the fitted models say of a history: alive or not, purchases to come, spend per purchase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, hyp2f1

from cxlib._bgnbd.newton import Numbers


def p_alive(
    bgnbd: Mapping[str, float], frequency: Numbers, recency: Numbers, age: Numbers
) -> Numbers:
    """Return the probability that a customer with this history will buy again.

    Fader, P. S. and Hardie, B. G. S. (2008), Computing P(alive) Using the BG/NBD Model.
    It is 1 where ``frequency`` is 0: in this model customers leave only after a repeat purchase.
    """
    r, alpha, a, b = (bgnbd[name] for name in ("r", "alpha", "a", "b"))
    span = np.log(alpha + age) - np.log(alpha + recency)
    odds = np.log(a) - np.log(b + np.maximum(frequency, 1) - 1) + (r + frequency) * span
    return np.where(frequency > 0, expit(-odds), 1.0).astype(float)


def orders_if_alive(
    bgnbd: Mapping[str, float],
    frequency: Numbers,
    age: Numbers,
    horizon: float | Numbers,
    discounts: Sequence[float] = (0.0,),
) -> Numbers:
    """Return expected purchases within ``horizon`` of customers who are alive now.

    A purchase at time s from now counts ``exp(-discount * s)``; one row for each discount, one
    column for each unique pair of ``frequency`` and ``age``. The chance of being alive still,
    times the rate of purchase, averages to

    ``(r + x) / (alpha + T) * 2F1(r + x + 1, a; a + b + x; -s / (alpha + T))``,

    which is integrated over s by Gauss-Legendre in the log of alpha + T + s. Without discount
    this is equation (10) of Fader, Hardie and Lee (2005) less its denominator, but it has no
    pole at a = 1 or a + b = 1, and adds positive terms alone.
    """
    r, alpha, a, b = (bgnbd[name] for name in ("r", "alpha", "a", "b"))
    places, weights = np.polynomial.legendre.leggauss(24)
    x, now = frequency[:, None], alpha + age[:, None]
    log_end = np.log1p(np.reshape(horizon, (-1, 1)) / now)
    log_time = log_end * (places + 1) / 2
    time = np.expm1(log_time)
    rate = (r + x) * _mean_survival(r + x + 1, a, b + x, time) * np.exp(log_time) * log_end / 2
    return np.stack([(rate * np.exp(-discount * now * time)) @ weights for discount in discounts])


def expected_orders(bgnbd: Mapping[str, float], days: Any) -> Numbers:
    """Return the expected repeat purchases of a new customer within ``days`` of the first.

    Equation (9) of Fader, Hardie and Lee (2005), integrated as in `orders_if_alive`.
    """
    days = np.asarray(days, float)
    nobody = np.zeros(days.size)
    alive = p_alive(bgnbd, nobody, nobody, nobody)
    return (alive * orders_if_alive(bgnbd, nobody, nobody, days)[0]).reshape(days.shape)


def draw_future(
    bgnbd: Mapping[str, float],
    frequency: Numbers,
    recency: Numbers,
    age: Numbers,
    horizon: float | Numbers,
    rng: np.random.Generator,
    discounts: Sequence[float] = (0.0,),
) -> Numbers:
    """Return the purchases within ``horizon`` of one simulated future for each history.

    Rate and chance to leave are drawn from what the history says of them, given that the
    customer is alive. Purchases after which the customer stays, and the one after which not,
    are two independent streams.
    """
    r, alpha, a, b = (bgnbd[name] for name in ("r", "alpha", "a", "b"))
    alive = rng.random(len(age)) < p_alive(bgnbd, frequency, recency, age)
    rate = rng.gamma(r + frequency) / (alpha + age)
    leave = rng.beta(a, b + frequency)
    return _purchases(
        alive, rate * (1 - leave), rate * leave, horizon, rng, discounts, leaver_buys=True
    )


def _purchases(
    alive: npt.NDArray[np.bool_],
    rate: Numbers,
    leaving_rate: Numbers,
    horizon: float | Numbers,
    rng: np.random.Generator,
    discounts: Sequence[float],
    leaver_buys: bool,
) -> Numbers:
    """Draw purchases until the customer leaves or ``horizon`` ends; leaving may be a purchase too."""
    with np.errstate(divide="ignore", over="ignore"):
        leaves_at = rng.standard_exponential(len(rate)) / leaving_rate
    end = np.where(alive, np.minimum(leaves_at, horizon), 0.0)
    rows = np.repeat(np.arange(len(rate)), rng.poisson(rate * end))
    times = rng.random(len(rows)) * end[rows]
    if leaver_buys:
        last = np.flatnonzero(alive & (leaves_at < horizon))
        rows, times = np.append(rows, last), np.append(times, leaves_at[last])
    return np.stack(
        [np.bincount(rows, np.exp(-discount * times), len(rate)) for discount in discounts]
    )


def _mean_survival(shape: Numbers, a: float, b: Numbers, time: Numbers) -> Numbers:
    """Return the mean of ``(1 + p * time) ** -shape`` over p of a Beta(a, b): a 2F1, in [0, 1].

    Pfaff's transformation by the smaller of the two numerator parameters keeps the series
    tame; where its first factor underflows, so does the mean.
    """
    small, large = np.minimum(shape, a), np.maximum(shape, a)
    log_factor = -small * np.log1p(time)
    seen = log_factor > -690
    series = hyp2f1(a + b - large, small, a + b, np.where(seen, time / (1 + time), 0.0))
    return np.where(seen, np.clip(np.exp(log_factor) * series, 0, 1), 0.0)


def expected_spend(gamma_gamma: Mapping[str, float], frequency: Any, spend: Any) -> Any:
    """Return the expected spend per purchase of a customer whose repeat purchases averaged ``spend``.

    Equation (5) of Fader and Hardie (2013): the population's mean ``p v / (q - 1)`` and the
    customer's own, weighted. Plain arithmetic, for arrays and for columns of an ibis table.
    """
    p, q, v = (gamma_gamma[name] for name in ("p", "q", "v"))
    return (p * v + p * frequency * spend) / (p * frequency + q - 1)
