"""The one integral that Pareto/NBD needs, with what its derivatives need of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cxlib._bgnbd.newton import Numbers

_STEP = 0.25
_FIRST, _LAST = -3.3, 3.7


@dataclass(frozen=True, eq=False)
class Tail:
    """The integral over v > 0 of ``(1 + v / a)^-p (1 + v / b)^-q``, and its nodes.

    Its log is (n,); all else is (n, nodes): ``weight`` sums to 1 over the nodes, ``log_a`` is
    ``log(1 + v / a)`` and ``left_a`` is ``a / (a + v)``.
    """

    log_value: Numbers
    weight: Numbers
    log_a: Numbers
    log_b: Numbers
    left_a: Numbers
    left_b: Numbers


def tail(a: Numbers, b: Numbers, p: Numbers, q: Numbers) -> Tail:
    """Integrate to rounding by a double exponential rule, where all a >= b, or all a <= b.

    In ``y = log(1 + v / max(a, b))`` the integrand falls at a rate of ``fast`` at first and of
    ``slow`` in the end: nodes are spread evenly over the logs of y, from well below 1 / fast to
    well above 1 / slow. Takahasi, H. and Mori, M. (1974), Double exponential formulas for
    numerical integration, Publications of the RIMS 9 (3), 721-741.
    """
    if (a < b).any():
        back = tail(b, a, q, p)
        return Tail(back.log_value, back.weight, back.log_b, back.log_a, back.left_b, back.left_a)
    excess = (a - b) / b
    slow = p + q - 1
    fast = slow + q * excess
    place = np.arange(_FIRST, _LAST + np.log((fast / slow).max()) + _STEP, _STEP)
    y = np.exp(place - np.exp(-place)) / fast[:, None]
    gone = -np.expm1(-y)
    farther = 1 + excess[:, None] * gone
    log_farther = np.log(farther)
    density = np.exp(-slow[:, None] * y - q[:, None] * log_farther)
    weight = density * y * (1 + np.exp(-place))
    total = weight.sum(axis=1)
    return Tail(
        log_value=np.log(a * total * _STEP),
        weight=weight / total[:, None],
        log_a=y,
        log_b=y + log_farther,
        left_a=1 - gone,
        left_b=(1 - gone) / farther,
    )
