"""Tests that hold at every look, however many and whenever: mixtures of likelihood ratios."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, xlogy

from cxlib._checks import ParameterError, check_number


def log_mixture_ratio(z: float, spread: float) -> float:
    """Return the log of the mixture likelihood ratio of an effect against none.

    Parameters
    ----------
    z : float
        The standardised effect.
    spread : float
        The variance of the effects that are mixed (normal, around 0) over the squared error of
        the estimate, above 0.

    Returns
    -------
    float
        ``log E[L(effect) / L(0)] = z**2 * r / (2 * (1 + r)) - log(1 + r) / 2`` for ``spread`` r.
        ``exp(-log)``, at most 1, is a p value that is valid at every look.

    Notes
    -----
    Robbins, H. (1970), Annals of Mathematical Statistics 41, 1397-1409; as mSPRT in Johari,
    Koomen, Pekelis & Walsh (2022), Operations Research 70, 1806-1821.

    Examples
    --------
    >>> round(math.exp(log_mixture_ratio(3.0, 2.5)), 2)
    13.3
    """
    return z * z * spread / (2 * (1 + spread)) - math.log1p(spread) / 2


def msprt_p_value(difference: float, error: float, tau: float) -> float:
    """Return the always-valid p value of the mixture sequential probability ratio test.

    Parameters
    ----------
    difference, error : float
        The estimate of the effect and its standard error, above 0.
    tau : float
        The standard deviation of the effects that are expected, in the unit of ``difference``.

    Returns
    -------
    float
        From 0 to 1; the smallest one of all looks so far is valid as well.

    Notes
    -----
    Johari et al. (2022), see `log_mixture_ratio`.

    Examples
    --------
    >>> round(msprt_p_value(0.3, 0.1, 0.2), 3)
    0.061
    """
    check_number("error", error, 0, open_low=True)
    check_number("tau", tau, 0, open_low=True)
    return math.exp(-max(0.0, log_mixture_ratio(difference / error, (tau / error) ** 2)))


@dataclass(frozen=True)
class AlwaysValid:
    """A look at an asymptotic confidence sequence: as many looks as one likes.

    Parameters
    ----------
    n : float
        Units in both arms at this look.
    n_star : float
        Units at which the sequence is to be narrowest: those planned, or about those at the looks
        that matter most. Fixed before the first look.
    alpha : float, default 0.05
        The level for which it is narrowest there; `critical` and `p_value` hold at any level.

    Raises
    ------
    ParameterError
        ``n`` or ``n_star`` not above 0, or ``alpha`` out of range.

    Notes
    -----
    Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2021), arXiv 2103.06476, as GrowthBook has it:
    with ``rho**2 = (log(1 - 2 * log(alpha)) - 2 * log(alpha)) / n_star`` and ``r = n * rho**2``,
    ``critical(a) = sqrt(2 * (1 + r) / r * log(sqrt(1 + r) / a))``. ``p_value(z) < a`` exactly
    where ``abs(z) > critical(a)``. It leans on normal estimates: the first looks need some
    hundred units.

    Examples
    --------
    >>> look = AlwaysValid(n=2000, n_star=5000)
    >>> round(look.critical(0.05), 3), round(look.p_value(3.2), 4)
    (3.124, 0.0416)
    """

    n: float
    n_star: float
    alpha: float = 0.05

    def __post_init__(self) -> None:
        check_number("n", self.n, 0, open_low=True)
        check_number("n_star", self.n_star, 0, open_low=True)
        check_number("alpha", self.alpha, 0, 0.99, open_low=True)

    @property
    def spread(self) -> float:
        """Variance of the mixed effects over the squared error of the estimate at this look."""
        log_alpha = math.log(self.alpha)
        return self.n / self.n_star * (math.log1p(-2 * log_alpha) - 2 * log_alpha)

    def critical(self, alpha: float = 0.05) -> float:
        """Return the factor on the standard error at this look, for an error of ``alpha``."""
        check_number("alpha", alpha, 0, 1, open_low=True)
        shrink = (1 + self.spread) / self.spread
        return math.sqrt(shrink * (math.log1p(self.spread) - 2 * math.log(alpha)))

    def p_value(self, z: float) -> float:
        """Return the smallest ``alpha`` whose limit ``z`` passes at this look, two-sided."""
        if math.isnan(z):
            return math.nan
        return math.exp(-max(0.0, log_mixture_ratio(z, self.spread)))


def sequential_sample_ratio(
    counts: Sequence[float], shares: Sequence[float], *, concentration: float = 100.0
) -> float:
    """Return a p value, valid at every look, that units were split by ``shares``.

    Parameters
    ----------
    counts : sequence of int
        Units seen in each variant.
    shares : sequence of float
        Their planned shares, above 0; scaled to sum to 1.
    concentration : float, default 100
        How close to the planned shares the alternatives are: a Dirichlet prior around them
        with this total. 100 looks for splits that are some five points off.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    ParameterError
        Shares that are not above 0, or not as many as counts.

    Notes
    -----
    Lindon, M. & Malek, A. (2022), "Anytime-valid inference for multinomial count data", NeurIPS
    35: 1 over the Bayes factor ``B(a + counts) / B(a) / prod(shares**counts)``, ``a =
    concentration * shares`` and B the multivariate beta function.

    Examples
    --------
    >>> round(sequential_sample_ratio([5000, 5100], [1, 1]), 3)
    1.0
    >>> sequential_sample_ratio([44000, 46000], [1, 1]) < 1e-6
    True
    """
    seen, planned = np.asarray(counts, float), np.asarray(shares, float)
    if seen.shape != planned.shape or not (planned > 0).all():
        raise ParameterError(
            f"shares: {len(planned)} shares for {len(seen)} counts; give one above 0 for each"
        )
    planned = planned / planned.sum()
    prior = concentration * planned
    gained = np.sum(gammaln(prior + seen) - gammaln(prior) - xlogy(seen, planned))
    lost = gammaln(concentration + seen.sum()) - gammaln(concentration)
    return math.exp(-max(0.0, float(gained - lost)))
