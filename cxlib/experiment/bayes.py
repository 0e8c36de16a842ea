"""The Bayesian reading: how likely a variant is better, and what a wrong choice would cost.

Nothing is drawn at random: posteriors are integrated by Gauss-Legendre rules whose panels follow
the quantiles of every posterior involved.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from cxlib._checks import DataError
from cxlib._intervals import Numbers
from cxlib.experiment.posteriors import (
    NormalPosterior,
    Posterior,
)

_FAR = 10.0  # beyond it a posterior holds less than 1e-23
_SCORES = np.arange(-_FAR, _FAR + 0.1)
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


def chance_to_beat(treatment: Posterior, control: Posterior) -> float:
    """Return the probability that ``treatment`` is above ``control``, both independent.

    Parameters
    ----------
    treatment, control : BetaPosterior or NormalPosterior
        What is known of each.

    Returns
    -------
    float
        From 0 to 1.

    Examples
    --------
    >>> from cxlib.experiment.posteriors import beta_posterior
    >>> round(chance_to_beat(beta_posterior(500, 1009), beta_posterior(42, 104)), 4)
    0.9629
    """
    if isinstance(treatment, NormalPosterior) and isinstance(control, NormalPosterior):
        effect = difference(treatment, control)
        return float(ndtr(effect.mean / effect.sd)) if effect.sd else _sign(effect.mean)
    return float(chance_best([treatment, control])[0])


def chance_best(posteriors: Sequence[Posterior]) -> Numbers:
    """Return the probability of each posterior to be the greatest of all.

    Parameters
    ----------
    posteriors : sequence of BetaPosterior or NormalPosterior
        One for each variant, control included; at least two, each with a spread.

    Returns
    -------
    array
        One probability for each; they sum to 1.

    Notes
    -----
    ``P(i is best)`` is the integral of ``prod(F_j(x), j != i)`` over the posterior of i.

    Raises
    ------
    DataError
        Fewer than two posteriors.

    Examples
    --------
    >>> from cxlib.experiment.posteriors import beta_posterior
    >>> rates = [beta_posterior(count, 1000) for count in (100, 110, 120)]
    >>> chance_best(rates).round(3)
    array([0.046, 0.227, 0.727])
    """
    if len(posteriors) < 2:
        raise DataError(f"{len(posteriors)} posterior given; give at least two to compare")
    chances = []
    for place, one in enumerate(posteriors):
        others = [*posteriors[:place], *posteriors[place + 1 :]]
        score, weight = _panels(_breaks(one, others))
        x = one.at(score)
        density = np.exp(-0.5 * score * score) / math.sqrt(2 * math.pi)
        beaten = np.prod([other.below(x) for other in others], axis=0)
        chances.append(np.sum(weight * density * beaten))
    return np.array(chances)


def expected_loss(shipped: Posterior, other: Posterior) -> float:
    """Return what shipping ``shipped`` loses on average: ``E[max(other - shipped, 0)]``.

    Parameters
    ----------
    shipped, other : BetaPosterior or NormalPosterior
        What is known of each, independent of one another. A normal effect against nothing is
        ``NormalPosterior(effect, error)`` against ``NormalPosterior(0, 0)``.

    Returns
    -------
    float
        0 or above, in the unit of the posteriors; the loss is 0 wherever the choice was right.

    Notes
    -----
    Stucchio, C. (2015), "Bayesian A/B testing at VWO". Two normals: ``s * (phi(k) - k * Phi(-k))``
    with k the difference over its standard deviation s; else the integral of
    ``F_shipped(x) * (1 - F_other(x))``, which no rounding makes negative.

    Examples
    --------
    >>> round(expected_loss(NormalPosterior(0.1, 0.05), NormalPosterior(0, 0)), 7)
    0.0004245
    """
    if isinstance(shipped, NormalPosterior) and isinstance(other, NormalPosterior):
        effect = difference(shipped, other)
        if not effect.sd:
            return max(-effect.mean, 0.0)
        k = effect.mean / effect.sd
        density = math.exp(-0.5 * k * k) / math.sqrt(2 * math.pi)
        return max(0.0, effect.sd * (density - k * float(ndtr(-k))))
    breaks = np.concatenate([shipped.at(_SCORES), other.at(_SCORES)])
    low, high = shipped.at(np.array(-_FAR)), other.at(np.array(_FAR))
    if low >= high:
        return 0.0
    x, weight = _panels(np.unique(np.clip(breaks, low, high)))
    return float(np.sum(weight * shipped.below(x) * other.above(x)))


def difference(treatment: NormalPosterior, control: NormalPosterior) -> NormalPosterior:
    """Return the posterior of ``treatment - control``, both normal and independent.

    Parameters
    ----------
    treatment, control : NormalPosterior
        What is known of each.

    Returns
    -------
    NormalPosterior
        Means subtract, variances add up.

    Examples
    --------
    >>> difference(NormalPosterior(3.0, 0.3), NormalPosterior(1.0, 0.4))
    NormalPosterior(mean=2.0, sd=0.5)
    """
    return NormalPosterior(treatment.mean - control.mean, math.hypot(treatment.sd, control.sd))


def difference_interval(
    treatment: Posterior, control: Posterior, alpha: float = 0.05
) -> tuple[float, float]:
    """Return the central credible interval of ``treatment - control``.

    Parameters
    ----------
    treatment, control : BetaPosterior or NormalPosterior
        What is known of each, independent of one another.
    alpha : float, default 0.05
        1 - the probability of the interval.

    Returns
    -------
    tuple of float
        Low and high.

    Examples
    --------
    >>> from cxlib.experiment.posteriors import beta_posterior
    >>> arms = beta_posterior(500, 1009), beta_posterior(42, 104)
    >>> [round(x, 4) for x in difference_interval(*arms)]
    [-0.009, 0.1875]
    """
    if isinstance(treatment, NormalPosterior) and isinstance(control, NormalPosterior):
        return difference(treatment, control).interval(alpha)
    score, weight = _panels(_SCORES)
    weight = weight * np.exp(-0.5 * score * score) / math.sqrt(2 * math.pi)
    narrow_first = treatment.sd <= control.sd  # the wider one is smooth along the narrower one
    x = treatment.at(score) if narrow_first else control.at(score)

    def excess(at: float, share: float) -> float:
        reached = control.above(x - at) if narrow_first else treatment.below(x + at)
        return float(np.sum(weight * reached)) - share

    least, most = np.array(-_FAR), np.array(_FAR)
    low = float(treatment.at(least) - control.at(most))
    high = float(treatment.at(most) - control.at(least))
    limits = [
        float(brentq(excess, low, high, (share,), xtol=1e-14))
        for share in (alpha / 2, 1 - alpha / 2)
    ]
    return limits[0], limits[1]


def _sign(mean: float) -> float:
    """Return the chance that a known difference is above 0, one half at 0 itself."""
    return 0.5 + 0.5 * ((mean > 0) - (mean < 0))


def _breaks(one: Posterior, others: Sequence[Posterior]) -> Numbers:
    """Return the normal scores of ``one`` at its own quantiles and at those of the others."""
    edges = [_SCORES]
    for other in others:
        x = other.at(_SCORES)
        below, above = one.below(x), one.above(x)
        edges.append(np.where(below < above, ndtri(below), -ndtri(above)))
    return np.unique(np.clip(np.concatenate(edges), -_FAR, _FAR))


def _panels(breaks: Numbers) -> tuple[Numbers, Numbers]:
    """Return nodes and weights of a Gauss-Legendre rule on each panel between ``breaks``."""
    half, centre = np.diff(breaks) / 2, (breaks[1:] + breaks[:-1]) / 2
    nodes = centre[:, None] + np.outer(half, _NODES)
    return nodes.ravel(), np.outer(half, _WEIGHTS).ravel()
