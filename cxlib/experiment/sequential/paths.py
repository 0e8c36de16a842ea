"""How likely a standardised effect leaves its boundaries, look after look.

The arithmetic under every group-sequential method: Armitage, McPherson & Rowe (1969), JRSS A 132,
235-244, carry the density of the paths that are still inside from look to look by numerical
integration. It is kept without drift; a drift ``theta`` only weighs each end point ``s`` at
information ``t`` by ``exp(theta * s - theta**2 * t / 2)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from cxlib._intervals import Numbers

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_PANEL = 4.5  # widest panel of 16 nodes, in standard deviations of one step: errors below 1e-10
_TINY = 5e-324


class Paths(NamedTuple):
    """The paths of ``S = z * sqrt(t)`` that left no boundary up to information ``t``."""

    t: float
    at: Numbers
    weight: Numbers

    def above(self, t: float, z: float, drift: float = 0.0) -> float:
        """Return the chance to be inside so far and above ``z`` at ``t``."""
        step = math.sqrt(t - self.t)
        reached = ndtr((self.at - z * math.sqrt(t)) / step + drift * step)
        return float(self._weighed(drift) @ reached)

    def below(self, t: float, z: float, drift: float = 0.0) -> float:
        """Return the chance to be inside so far and below ``z`` at ``t``."""
        return self._mirrored().above(t, -z, -drift)

    def within(self, t: float, low: float, high: float) -> Paths:
        """Return the paths that are still between the z values ``low`` and ``high`` at ``t``."""
        root, step, high = math.sqrt(t), math.sqrt(t - self.t), max(low, high)
        n_panels = max(1, math.ceil((high - low) * root / step / _PANEL))
        half = (high - low) * root / n_panels / 2
        centres = low * root + half * np.arange(1, 2 * n_panels, 2)
        at = np.add.outer(centres, half * _NODES).ravel()
        steps = np.subtract.outer(at, self.at) / step
        density = np.exp(-0.5 * steps * steps) @ self.weight / (step * math.sqrt(2 * math.pi))
        return Paths(t, at, density * np.tile(half * _WEIGHTS, n_panels))

    def _weighed(self, drift: float) -> Numbers:
        if not drift:
            return self.weight
        with np.errstate(divide="ignore"):  # far out the density itself is 0
            log_weight = np.log(self.weight)
        weighed: Numbers = np.exp(log_weight + drift * self.at - drift**2 * self.t / 2)
        return weighed

    def _mirrored(self) -> Paths:
        return Paths(self.t, -self.at, self.weight)


START = Paths(0.0, np.zeros(1), np.ones(1))


def upper_limit(paths: Paths, t: float, chance: float) -> float:
    """Return the z that paths are above at ``t`` with this ``chance``; infinite for none."""
    if chance <= 0:
        return math.inf
    return _solve(lambda z: paths.above(t, z), chance, float(-ndtri(chance)))


def lower_limit(paths: Paths, t: float, chance: float, drift: float) -> float:
    """Return the z that paths are below at ``t`` with this ``chance`` under a ``drift``."""
    if chance <= 0:
        return -math.inf
    most = float(-ndtri(chance)) - drift * math.sqrt(t)
    return -_solve(lambda z: paths.below(t, -z, drift), chance, most)


def _solve(above: Callable[[float], float], chance: float, most: float) -> float:
    """Return where ``above`` falls to ``chance``: at ``most``, or before it if paths were lost."""

    def excess(z: float) -> float:
        return math.log(max(above(z), _TINY) / chance)

    if excess(most) >= 0:
        return most
    least = most - 1.0
    while excess(least) < 0:
        least -= most - least
        if least < -40:
            return least
    return float(brentq(excess, least, most, xtol=1e-12))


def reach(alpha: float, drift: float = 0.0) -> float:
    """Return the |z| past which no path matters to a chance of ``alpha``."""
    return float(-ndtri(max(alpha * 1e-16, 1e-300))) + abs(drift)


def crossings(
    fractions: Sequence[float],
    lower: Sequence[float],
    upper: Sequence[float],
    *,
    drift: float = 0.0,
) -> tuple[Numbers, Numbers]:
    """Return the chances to leave by the lower and by the upper boundary first at each look.

    Parameters
    ----------
    fractions : sequence of float
        Information at each look as a share of the planned, strictly increasing.
    lower, upper : sequence of float
        Boundaries of z at each look; may be infinite.
    drift : float, default 0
        The expected z at full information.

    Returns
    -------
    tuple of arrays
        Each of the length of ``fractions``; their sum is the chance to stop by a boundary.

    Notes
    -----
    Armitage, McPherson & Rowe (1969), JRSS A 132, 235-244.

    Examples
    --------
    >>> down, up = crossings([0.5, 1], [-2.178, -2.178], [2.178, 2.178])
    >>> (down + up).sum().round(3)
    np.float64(0.05)
    """
    before = remaining(fractions, lower, upper, reach(1e-3, drift))
    looks = list(zip(before, fractions, lower, upper, strict=True))
    down = [paths.below(t, low, drift) for paths, t, low, _ in looks]
    up = [paths.above(t, high, drift) for paths, t, _, high in looks]
    return np.array(down), np.array(up)


def remaining(
    fractions: Sequence[float], lower: Sequence[float], upper: Sequence[float], limit: float
) -> list[Paths]:
    """Return the paths that are still inside before each look, none of them past ``limit``."""
    paths = [START]
    for t, low, high in zip(fractions[:-1], lower, upper, strict=False):
        paths.append(paths[-1].within(t, max(low, -limit), min(high, limit)))
    return paths
