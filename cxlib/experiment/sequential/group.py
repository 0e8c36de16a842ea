"""Group-sequential tests: a planned number of looks, the error spent between them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from cxlib._checks import ParameterError, check_choice, check_number
from cxlib.experiment.sequential.paths import START, reach, remaining, upper_limit

SPENDING = ("obrien-fleming", "pocock", "power-1")
SAME_LOOK = 1e-4  # looks with less new information than this are one look
_SMALLEST = 1e-290  # p values and levels stop here: the next numbers are no doubles
_NEGLIGIBLE = 1e-10  # share of alpha, spent so far, that leaves later boundaries as they are


def spent(spending: str, fraction: float, alpha: float) -> float:
    """Return the one-sided error that may be spent up to a fraction of the information.

    Parameters
    ----------
    spending : {"obrien-fleming", "pocock", "power-1"}
        ``2 * (1 - Phi(z(1 - alpha / 2) / sqrt(t)))``, ``alpha * log(1 + (e - 1) * t)`` or
        ``alpha * t``.
    fraction : float
        Information as a share of the planned; past 1 all of it may be spent.
    alpha : float
        The error of one side: half the level of a two-sided test.

    Returns
    -------
    float
        From 0 to ``alpha``.

    Notes
    -----
    Lan, K. K. G. & DeMets, D. L. (1983), Biometrika 70, 659-663.

    Examples
    --------
    >>> round(spent("obrien-fleming", 0.5, 0.025), 5), round(spent("pocock", 0.5, 0.025), 5)
    (0.00153, 0.0155)
    """
    check_choice("spending", spending, SPENDING)
    t = min(fraction, 1.0)
    if spending == "obrien-fleming":
        return float(2 * ndtr(ndtri(alpha / 2) / math.sqrt(t)))
    return alpha * (math.log1p((math.e - 1) * t) if spending == "pocock" else t)


def check_fractions(fractions: Sequence[float]) -> tuple[float, ...]:
    """Return the looks that bring new information, as a tuple of fractions above 0."""
    looks = [float(check_number("fractions", t, 0, open_low=True)) for t in fractions]
    if not looks:
        raise ParameterError("fractions: no look is given; give the share of units at each look")
    if backward := [pair for pair in itertools.pairwise(looks) if pair[0] > pair[1]]:
        raise ParameterError(
            f"fractions: {len(backward)} looks hold less than the look before them (first: "
            f"{backward[0][0]:g}, then {backward[0][1]:g}); give them in order of time"
        )
    kept = looks[:1]
    for t in looks[1:]:
        if t > kept[-1] * (1 + SAME_LOOK):
            kept.append(t)
    return tuple(kept)


def boundaries(
    fractions: Sequence[float],
    alpha: float = 0.05,
    *,
    spending: str = "obrien-fleming",
    final: bool = False,
) -> tuple[float, ...]:
    """Return the critical |z| at each look of a two-sided group-sequential test.

    Parameters
    ----------
    fractions : sequence of float
        Information at each look as a share of the planned, in order of time.
    alpha : float, default 0.05
        The two-sided error over all looks.
    spending : {"obrien-fleming", "pocock", "power-1"}
        How the error is spent; see `spent`.
    final : bool, default False
        The last look ends the test, with however much information: it spends all that is left.

    Returns
    -------
    tuple of float
        One critical value for each look; infinite where nothing is left to spend.

    Raises
    ------
    ParameterError
        Fractions that are not above 0 or not in order, an unknown spending function, or
        ``alpha`` out of range.

    Notes
    -----
    Lan & DeMets (1983). Each side spends half of ``alpha`` on its own, as in ldbounds and
    gsDesign. A first look past 1 spends what is left; a look after it has nothing to spend.

    Examples
    --------
    >>> [round(z, 3) for z in boundaries([0.2, 0.4, 0.6, 0.8, 1])]
    [4.877, 3.357, 2.68, 2.29, 2.031]
    """
    check_number("alpha", alpha, _SMALLEST, 1)
    return _boundaries(check_fractions(fractions), float(alpha), spending, final)


@lru_cache(maxsize=4096)
def _boundaries(
    fractions: tuple[float, ...], alpha: float, spending: str, final: bool
) -> tuple[float, ...]:
    """Return the boundaries; only paths from which a later one can be reached are kept."""
    paths, before, limit, found = START, 0.0, reach(alpha), []
    for t in fractions:
        is_last = t == fractions[-1]
        now = spent(spending, 1.0 if final and is_last else t, alpha / 2)
        found.append(upper_limit(paths, t, now - before))
        if now > _NEGLIGIBLE * alpha and not is_last:
            high = min(found[-1], limit)
            least = -float(ndtri(alpha / 2)) * math.sqrt(t / fractions[-1])
            paths = paths.within(t, max(-high, least - 9), high)
        before = now
    return tuple(found)


@dataclass(frozen=True)
class GroupSequential:
    """A group-sequential test at its current look, the last of ``fractions``.

    Parameters
    ----------
    fractions : sequence of float
        Information (share of the planned units) at each look so far, the current one last. Looks
        with less than 0.01 % of new information are one look. A look past 1 has over-run: what
        is left of the error is spent as at 1, with the correlation that it really has
        (`overran` says so); after it nothing is left, and `critical` is infinite.
    spending : {"obrien-fleming", "pocock", "power-1"}
        How the error is spent; see `spent`.
    final : bool, default False
        The current look ends the test, even with less than was planned: it spends what is left.

    Raises
    ------
    ParameterError
        Fractions that are not above 0 or not in order, or an unknown spending function.

    Notes
    -----
    ``p_value(z) < alpha`` exactly where ``abs(z) > critical(alpha)``. The interval ``estimate +-
    critical(alpha) * error`` at each look is the repeated confidence interval of Jennison &
    Turnbull (1989), JRSS B 51, 305-361: all of them hold together with 1 - alpha. Twenty looks
    take milliseconds, a hundred half a second; for a look every day of a year use `AlwaysValid`.

    Examples
    --------
    >>> look = GroupSequential([0.25, 0.5])
    >>> round(look.critical(0.05), 3), round(look.p_value(2.5), 3), look.overran
    (2.963, 0.106, False)
    """

    fractions: Sequence[float]
    spending: str = "obrien-fleming"
    final: bool = False

    def __post_init__(self) -> None:
        check_choice("spending", self.spending, SPENDING)
        object.__setattr__(self, "fractions", check_fractions(self.fractions))

    @property
    def overran(self) -> bool:
        """Whether the current look holds more than the planned information."""
        return self.fractions[-1] > 1

    def critical(self, alpha: float = 0.05) -> float:
        """Return the factor on the standard error at this look, for an error of ``alpha``."""
        check_number("alpha", alpha, _SMALLEST, 1)
        return _boundaries(tuple(self.fractions), float(alpha), self.spending, self.final)[-1]

    def p_value(self, z: float) -> float:
        """Return the smallest ``alpha`` whose boundary ``z`` crosses at this look, two-sided."""
        if math.isnan(z):
            return math.nan
        return _p_value(self, abs(float(z)))


@lru_cache(maxsize=4096)
def _p_value(look: GroupSequential, z: float) -> float:
    def excess(log_alpha: float) -> float:
        critical = look.critical(math.exp(log_alpha))
        return z - critical if math.isfinite(critical) else -1e9

    # no test gains by looking more often than once
    least = math.log(max(2 * float(ndtr(-z)), _SMALLEST)) - 1e-9
    most = _log_p_at_most(look, z)
    if excess(most) <= 0:
        return 1.0
    if least <= math.log(_SMALLEST) or excess(least) >= 0:
        return math.exp(max(least, math.log(_SMALLEST)))
    return math.exp(brentq(excess, least, most, xtol=1e-12, rtol=1e-14))


def _log_p_at_most(look: GroupSequential, z: float) -> float:
    """Return the log of a level that ``z`` certainly reaches: as if no path had left before."""

    def excess(log_alpha: float) -> float:
        half = math.exp(log_alpha) / 2
        before = spent(look.spending, look.fractions[-2], half) if look.fractions[1:] else 0.0
        now = spent(look.spending, 1.0 if look.final else look.fractions[-1], half)
        return math.log(max(now - before, 5e-324) / half) + log_alpha - log_tail

    most, log_tail = math.log1p(-1e-9), math.log(max(2 * float(ndtr(-z)), _SMALLEST))
    if excess(most) <= 0:
        return most
    return min(most, 1e-9 + float(brentq(excess, math.log(_SMALLEST), most, xtol=1e-9)))


def adjusted_interval(
    fractions: Sequence[float], critical: Sequence[float], z: float, alpha: float = 0.05
) -> tuple[float, float, float]:
    """Return low, median and high of the drift after a test stopped at its last look.

    Parameters
    ----------
    fractions : sequence of float
        Information at each look until the stop, as a share of the planned.
    critical : sequence of float
        The critical |z| at each of these looks.
    z : float
        The standardised effect at the last of them.
    alpha : float, default 0.05
        1 - the confidence.

    Returns
    -------
    tuple of float
        In standard errors at the stop: times that error, the effect, its median-unbiased
        estimate and its limits. Narrower than the repeated interval, but it holds only where the
        test stopped because it crossed a boundary or came to its last look.

    Notes
    -----
    Stagewise ordering: Tsiatis, Rosner & Mehta (1984), Biometrics 40, 797-803.

    Examples
    --------
    >>> [round(x, 3) for x in adjusted_interval([1], [1.959964], 2.5)]
    [0.54, 2.5, 4.46]
    """
    looks = [t / fractions[-1] for t in check_fractions(fractions)]
    lower, upper = [-c for c in critical[:-1]] + [-math.inf], [*critical[:-1], z]

    edge = (max(abs(z), critical[-1]) + 10) / math.sqrt(looks[0])
    before = remaining(looks, lower, upper, reach(1e-3, edge))

    def excess(drift: float, share: float) -> float:
        ahead = zip(before, looks, upper, strict=True)
        return sum(paths.above(t, high, drift) for paths, t, high in ahead) - share

    low, middle, high = (
        float(brentq(excess, -edge, edge, (share,), xtol=1e-10))
        for share in (alpha / 2, 0.5, 1 - alpha / 2)
    )
    return low, middle, high
