"""Segments, and how far the customers of one lie apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cxlib._bgnbd import spend_line
from cxlib.ltv import answers
from cxlib.ltv.base import Numbers

if TYPE_CHECKING:
    from cxlib.ltv.forecasts import LtvFit

POINTS = {"ltv_p10": 0.1, "ltv_median": 0.5, "ltv_p90": 0.9}


def segments(fit: LtvFit, intervals: bool) -> pd.DataFrame:
    """Return `LtvFit.segments`."""
    table, found = answers.segments(fit, intervals), spread(fit)
    for name in POINTS:
        table[name] = table[fit.by].map(found[name])
    return table


def spread(fit: LtvFit) -> pd.DataFrame:
    """Return quantiles of the ltv of a segment's customers, one row per segment."""
    base, (alive, if_alive) = fit.base, fit._foretold
    discounted = alive * if_alive[1]
    level, slope = spend_line(fit._spend, base.frequency)
    ltv = fit.margin * discounted[base.history] * (level + slope * base.spend)
    rows = {
        name: weighted(ltv[base.segment == number], base.n[base.segment == number])
        for number, name in enumerate(base.segments)
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(POINTS))


def weighted(values: Numbers, n: Numbers) -> Numbers:
    """Return the least values at or below which the shares of `POINTS` lie, each counted n times."""
    order = np.argsort(values)
    so_far = n[order].cumsum()
    wanted = np.array(list(POINTS.values())) * so_far[-1]
    return values[order][np.searchsorted(so_far, wanted - 1e-6)]
