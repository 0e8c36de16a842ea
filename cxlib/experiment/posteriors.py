"""What is known of a rate, a mean or a lift after the data: beta and normal posteriors."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.special import betainc, betaincc, betainccinv, betaincinv, ndtr, ndtri

from cxlib._checks import check_number
from cxlib._intervals import Moments, Numbers

JEFFREYS = (0.5, 0.5)


class BetaPosterior(NamedTuple):
    """What is known of a rate: a beta distribution with parameters ``a`` and ``b``."""

    a: float
    b: float

    @property
    def mean(self) -> float:
        """Expected rate."""
        return self.a / (self.a + self.b)

    @property
    def sd(self) -> float:
        """Standard deviation of the rate."""
        return math.sqrt(self.mean * (1 - self.mean) / (self.a + self.b + 1))

    def at(self, score: Numbers) -> Numbers:
        """Return the quantiles at normal scores: the median at 0."""
        low, high = np.minimum(score, 0), np.maximum(score, 0)
        below, above = (
            betaincinv(self.a, self.b, ndtr(low)),
            betainccinv(self.a, self.b, ndtr(-high)),
        )
        quantiles: Numbers = np.where(score < 0, below, above)
        return quantiles

    def below(self, x: Numbers) -> Numbers:
        """Return the chance that the rate is below ``x``."""
        chance: Numbers = betainc(self.a, self.b, np.clip(x, 0, 1))
        return chance

    def above(self, x: Numbers) -> Numbers:
        """Return the chance that the rate is above ``x``."""
        chance: Numbers = betaincc(self.a, self.b, np.clip(x, 0, 1))
        return chance

    def interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """Return the central interval that holds 1 - ``alpha`` of the posterior."""
        return _interval(self, alpha)


class NormalPosterior(NamedTuple):
    """What is known of a mean or an effect: a normal distribution."""

    mean: float
    sd: float

    def at(self, score: Numbers) -> Numbers:
        """Return the quantiles at normal scores: the median at 0."""
        return self.mean + self.sd * score

    def below(self, x: Numbers) -> Numbers:
        """Return the chance that it is below ``x``."""
        chance: Numbers = ndtr((x - self.mean) / self.sd)
        return chance

    def above(self, x: Numbers) -> Numbers:
        """Return the chance that it is above ``x``."""
        chance: Numbers = ndtr((self.mean - x) / self.sd)
        return chance

    def interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """Return the central interval that holds 1 - ``alpha`` of the posterior."""
        return _interval(self, alpha)


Posterior = BetaPosterior | NormalPosterior


def beta_posterior(count: float, n: float, prior: tuple[float, float] = JEFFREYS) -> BetaPosterior:
    """Return the posterior of a rate after ``count`` conversions of ``n`` units.

    Parameters
    ----------
    count, n : float
        Conversions and units.
    prior : tuple of float, default (0.5, 0.5)
        Jeffreys' prior: as weak as one half unit that converted and one half that did not.

    Returns
    -------
    BetaPosterior
        ``Beta(a + count, b + n - count)``.

    Raises
    ------
    ParameterError
        A count below 0 or above ``n``.

    Examples
    --------
    >>> [round(x, 4) for x in beta_posterior(42, 104).interval()]
    [0.3132, 0.4997]
    """
    check_number("n", n, 0)
    check_number("count", count, 0, n)
    return BetaPosterior(prior[0] + count, prior[1] + n - count)


def normal_posterior(
    estimate: float, error: float, *, prior_mean: float = 0.0, prior_sd: float = math.inf
) -> NormalPosterior:
    """Return the posterior of a mean or an effect after a normal estimate of it.

    Parameters
    ----------
    estimate, error : float
        The estimate and its standard error, above 0.
    prior_mean, prior_sd : float
        The normal prior; flat (``prior_sd`` infinite) if not given.

    Returns
    -------
    NormalPosterior
        Precisions add up, and the mean is weighed by them.

    Examples
    --------
    >>> normal_posterior(2.0, 1.0), normal_posterior(2.0, 1.0, prior_sd=1.0).mean
    (NormalPosterior(mean=2.0, sd=1.0), 1.0)
    """
    check_number("error", error, 0, open_low=True)
    weight = 1 / (1 + (error / prior_sd) ** 2)
    mean = weight * estimate + (1 - weight) * prior_mean
    return NormalPosterior(mean, error * math.sqrt(weight))


def lift_posterior(treatment: Moments, control: Moments) -> NormalPosterior:
    """Return the posterior of the relative lift with a flat prior, by the delta method.

    Parameters
    ----------
    treatment, control : Moments
        Units, mean and variance of each arm; control's mean is not 0.

    Returns
    -------
    NormalPosterior
        Mean ``m / m0 - 1`` (over ``abs(m0)``), variance ``v / m0**2 + v0 * m**2 / m0**4`` with
        v the squared errors. `expected_loss` against ``NormalPosterior(0, 0)`` reads it.

    Notes
    -----
    As GrowthBook's Bayesian test with its default, flat prior.

    Examples
    --------
    >>> arms = Moments(100, 0.51, 0.51 * 0.49), Moments(100, 0.49, 0.51 * 0.49)
    >>> [round(x, 5) for x in lift_posterior(*arms)]
    [0.04082, 0.14725]
    """
    ratio = treatment.mean / control.mean
    variance = treatment.squared_error + ratio**2 * control.squared_error
    lift = (treatment.mean - control.mean) / abs(control.mean)
    return NormalPosterior(lift, math.sqrt(variance) / abs(control.mean))


def _interval(posterior: Posterior, alpha: float) -> tuple[float, float]:
    half = float(-ndtri(alpha / 2))
    low, high = posterior.at(np.array([-half, half]))
    return float(low), float(high)
