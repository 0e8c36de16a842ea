"""Many metrics at once: p values and levels adjusted for how many there are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cxlib._checks import check_choice
from cxlib._intervals import Numbers, holm

METHODS = ("holm", "bh", "by")


def adjusted(p_values: npt.ArrayLike, method: str | None) -> Numbers:
    """Return p values adjusted for how many there are.

    Parameters
    ----------
    p_values : sequence of float
        One for each comparison; nulls stay null and do not count.
    method : {"holm", "bh", "by", None}
        Holm's for the chance of any false finding; Benjamini-Hochberg's for the share of false
        ones among the findings, Benjamini-Yekutieli's for the same however they depend on each
        other; None leaves them as they are.

    Returns
    -------
    array
        As long as ``p_values``, none below them.

    Raises
    ------
    ParameterError
        An unknown method.

    Examples
    --------
    >>> adjusted([0.01, 0.04, 0.03], "bh")
    array([0.03, 0.04, 0.04])
    """
    if method is None:
        return np.array(p_values, float)
    check_choice("adjust", method, METHODS)
    return (
        holm(p_values)
        if method == "holm"
        else benjamini_hochberg(p_values, dependent=method == "by")
    )


def benjamini_hochberg(p_values: npt.ArrayLike, *, dependent: bool = False) -> Numbers:
    """Return p values adjusted for the false discovery rate; nulls stay null.

    Parameters
    ----------
    p_values : sequence of float
        One for each comparison; nulls do not count.
    dependent : bool, default False
        Whether they may depend on each other in any way, also against each other.

    Returns
    -------
    array
        As long as ``p_values``.

    Notes
    -----
    Benjamini & Hochberg (1995), JRSS B 57, 289-300: the largest of m times 1, the one before it
    times m / (m - 1), ..., none above the one after it. Benjamini & Yekutieli (2001), Annals of
    Statistics 29, 1165-1188: all times ``1 + 1/2 + ... + 1/m``.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, 0.03])
    array([0.03, 0.04, 0.04])
    """
    found = np.array(p_values, float)
    order = np.argsort(found)[: np.count_nonzero(~np.isnan(found))]  # nulls sort last
    ranks = np.arange(1, len(order) + 1)
    scale = sum(1 / rank for rank in range(1, len(order) + 1)) if dependent else 1.0
    steps = found[order] * len(order) / ranks * scale
    found[order] = np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1)
    return found


def adjusted_levels(
    p_values: npt.ArrayLike, p_adjusted: npt.ArrayLike, alpha: float = 0.05
) -> Numbers:
    """Return the level at which each interval agrees with its adjusted p value.

    Parameters
    ----------
    p_values, p_adjusted : sequence of float
        Before and after the adjustment, of the same length.
    alpha : float, default 0.05
        The level for the adjusted ones.

    Returns
    -------
    array
        ``alpha * p / p_adjusted``: an interval at this level leaves out 0 exactly where
        ``p_adjusted < alpha``, for any method. Where both are 0, ``alpha`` over the number of
        comparisons; null where a p value is.

    Examples
    --------
    >>> adjusted_levels([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]).round(4)
    array([0.0167, 0.0333, 0.025 ])
    """
    plain, after = np.asarray(p_values, float), np.asarray(p_adjusted, float)
    known = max(1, int(np.count_nonzero(~np.isnan(after))))
    share = np.divide(plain, after, out=np.full(plain.shape, 1 / known), where=after != 0)
    levels: Numbers = alpha * share
    return levels
