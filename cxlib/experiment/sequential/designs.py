"""Boundaries that are fixed before an experiment starts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaln, ndtri

from cxlib._checks import ParameterError, check_choice, check_number
from cxlib._intervals import Numbers
from cxlib.experiment.sequential.group import check_fractions, spent
from cxlib.experiment.sequential.paths import (
    START,
    crossings,
    lower_limit,
    reach,
    remaining,
    upper_limit,
)


def drift_for_power(fractions: Sequence[float], critical: Sequence[float], power: float) -> float:
    """Return the expected z at full information that is found with this power.

    Parameters
    ----------
    fractions : sequence of float
        Information at each look as a share of the planned, strictly increasing.
    critical : sequence of float
        The critical |z| at each look, such as `boundaries` returns.
    power : float
        The chance to leave by the boundaries, from above the test's error to below 1.

    Returns
    -------
    float
        The drift; its square over that of a fixed sample is the factor on the units needed.

    Examples
    --------
    >>> round(drift_for_power([1], [1.959964], 0.8), 3)
    2.802
    """
    check_number("power", power, 0, 1 - 1e-12, open_low=True)
    looks, lower, most = check_fractions(fractions), [-z for z in critical], critical[-1] + 10
    before = remaining(looks, lower, critical, reach(1e-3, most))

    def excess(drift: float) -> float:
        ahead = list(zip(before, looks, critical, strict=True))
        up = sum(paths.above(t, z, drift) for paths, t, z in ahead)
        return up + sum(paths.below(t, -z, drift) for paths, t, z in ahead) - power

    if excess(0.0) >= 0:
        raise ParameterError(f"power={power!r} is not above the test's own error; give a greater")
    return float(brentq(excess, 0.0, most, xtol=1e-10))


def classic_boundaries(
    n_looks: int, alpha: float = 0.05, *, kind: str = "obrien-fleming"
) -> tuple[float, ...]:
    """Return the critical |z| of the classic two-sided tests with equally spaced looks.

    Parameters
    ----------
    n_looks : int
        How many looks are planned.
    alpha : float, default 0.05
        The two-sided error over all of them.
    kind : {"obrien-fleming", "pocock"}
        Boundaries in proportion to ``1 / sqrt(t)``, or the same one at each look.

    Returns
    -------
    tuple of float
        One critical value for each look.

    Notes
    -----
    O'Brien & Fleming (1979), Biometrics 35, 549-556; Pocock (1977), Biometrika 64, 191-199. The
    spending functions in `boundaries` come close to them and leave the looks' times free.

    Examples
    --------
    >>> [round(z, 3) for z in classic_boundaries(2)], classic_boundaries(2, kind="pocock")[0].__round__(3)
    ([2.797, 1.977], 2.178)
    """
    check_number("n_looks", n_looks, 1)
    check_choice("kind", kind, ("obrien-fleming", "pocock"))
    fractions = [look / n_looks for look in range(1, n_looks + 1)]
    shape = np.sqrt(fractions) ** (-1.0 if kind == "obrien-fleming" else 0.0)

    def excess(constant: float) -> float:
        down, up = crossings(fractions, list(-constant * shape), list(constant * shape))
        return float(down.sum() + up.sum()) - alpha

    constant = brentq(excess, 0.0, -float(ndtri(alpha / 2 / n_looks)) + 1e-9, xtol=1e-12)
    return tuple((constant * shape).tolist())


def futility_boundaries(
    fractions: Sequence[float],
    *,
    alpha: float = 0.05,
    beta: float = 0.2,
    binding: bool = False,
    drift: float | None = None,
    spending: str = "obrien-fleming",
) -> tuple[tuple[float, ...], tuple[float, ...], float]:
    """Return the boundaries of a one-sided test that may also stop for futility.

    Parameters
    ----------
    fractions : sequence of float
        Information at each look as a share of the planned, in order of time.
    alpha : float, default 0.05
        The one-sided error of the first kind.
    beta : float, default 0.2
        1 - power, spent on stopping for futility.
    binding : bool, default False
        Whether the test must stop below the lower boundary. If not, the upper boundary keeps
        its error even where the lower one is overruled.
    drift : float, optional
        The expected z at full information with the effect to be found; the one that is found
        with a power of exactly 1 - beta if not given.
    spending : {"obrien-fleming", "pocock", "power-1"}
        How both errors are spent; see `spent`.

    Returns
    -------
    tuple of float, tuple of float, float
        Critical z for futility and for success at each look, equal at the last one, and the
        drift.

    Notes
    -----
    Pampallona, Tsiatis & Kim (2001), Drug Information Journal 35, 1113-1121. As in seqabpy, a
    path that won before may count as given up later: the lower boundary gives up a little late.

    Examples
    --------
    >>> lower, upper, drift = futility_boundaries([0.5, 1], alpha=0.025, beta=0.2)
    >>> [round(z, 3) for z in lower], [round(z, 3) for z in upper]
    ([0.559, 1.969], [2.963, 1.969])
    """
    looks = check_fractions(fractions)
    fixed = -float(ndtri(alpha) + ndtri(beta))

    def missed(drift: float) -> float:
        lower, upper = _both(looks, alpha, beta, drift, binding, spending)
        return float(crossings(looks, lower, upper, drift=drift)[0].sum()) - beta

    if drift is None:
        drift = float(brentq(missed, fixed * 0.9, fixed * 2, xtol=1e-10))
    return *_both(looks, alpha, beta, drift, binding, spending), drift


def _both(
    fractions: Sequence[float],
    alpha: float,
    beta: float,
    drift: float,
    binding: bool,
    spending: str,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return both boundaries for a drift, the last lower one set to the upper one."""
    limit, before, missed = reach(min(alpha, beta), drift), 0.0, 0.0
    not_given_up = not_won = START
    lower, upper = [], []
    for t in fractions:
        now, now_missed = spent(spending, t, alpha), spent(spending, t, beta)
        upper.append(upper_limit(not_won, t, now - before))
        low = lower_limit(not_given_up, t, now_missed - missed, drift)
        lower.append(upper[-1] if t == fractions[-1] else min(low, upper[-1] - 1e-6))
        least = max(lower[-1], -limit)
        if t < fractions[-1]:
            not_given_up = not_given_up.within(t, least, limit)
            not_won = not_won.within(t, least if binding else -limit, min(upper[-1], limit))
        before, missed = now, now_missed
    return tuple(lower), tuple(upper)


def conversion_race(lift: float, *, alpha: float = 0.05, power: float = 0.8) -> tuple[int, int]:
    """Return when to stop by counting conversions of two equally large arms.

    The variant wins as soon as it is ahead by so many conversions; nobody wins once both arms
    together have converted so often. One-sided; it needs no count of visitors.

    Parameters
    ----------
    lift : float
        The relative lift to be found, above 0.
    alpha : float, default 0.05
        The most that the chance of a win without an effect may be.
    power : float, default 0.8
        The least that the chance of a win with this lift must be.

    Returns
    -------
    int, int
        Conversions of both arms together at which to give up, and the lead that wins: the
        smallest pair that keeps both errors.

    Notes
    -----
    Miller, E. (2015), "Simple sequential A/B testing": the lead is a random walk, up with
    probability 1/2 or (1 + lift) / (2 + lift) (conversions are rare); its first passage through
    d at step n has probability d / n * C(n, (n + d) / 2) * p^((n + d) / 2) * (1 - p)^((n - d) / 2).

    Examples
    --------
    >>> conversion_race(0.5)
    (170, 26)
    """
    check_number("lift", lift, 0.01, 100)
    check_number("alpha", alpha, 1e-6, 0.5)
    check_number("power", power, 0, 0.9999, open_low=True)
    chance = (1 + lift) / (2 + lift)
    most = 1
    while not _race(most, chance, alpha, power):
        most *= 2
    least = most // 2
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if _race(middle, chance, alpha, power) else (middle, most)
    # whole numbers make power jump: a lead a little below may do as well
    near = ((_race(lead, chance, alpha, power), lead) for lead in range(max(1, most - 10), most))
    return next((found for found in near if found[0]), (_race(most, chance, alpha, power), most))


def _race(lead: int, chance: float, alpha: float, power: float) -> int:
    """Return after how many conversions to give up if this lead wins; 0 if it has no power."""
    longest = 2 * (lead / float(ndtri(alpha / 2))) ** 2 + 100
    n: Numbers = np.arange(float(lead), lead + longest, 2)
    n = n[np.cumsum(_first_passage(n, lead, 0.5)) <= alpha]
    found = np.cumsum(_first_passage(n, lead, chance))
    enough = int(np.searchsorted(found, power))
    return int(n[enough]) if enough < len(n) else 0


def _first_passage(n: Numbers, lead: int, chance: float) -> Numbers:
    """Return the chance that a walk is ahead by ``lead`` for the first time at each step ``n``."""
    up, down = (n + lead) / 2, (n - lead) / 2
    ways = gammaln(n + 1) - gammaln(up + 1) - gammaln(down + 1)
    first: Numbers = lead / n * np.exp(ways + up * math.log(chance) + down * math.log1p(-chance))
    return first
