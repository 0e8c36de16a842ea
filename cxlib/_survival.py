"""The Kaplan-Meier curve, from counts of units by time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd


def kaplan_meier(
    time: npt.ArrayLike, came: npt.ArrayLike, n: npt.ArrayLike, alpha: float = 0.05
) -> pd.DataFrame:
    """Return the share of units to which the event has come by each time at which it came.

    Parameters
    ----------
    time, came, n : array
        How many units (``n``) were followed for how long (``time``), and whether the event came
        then (``came``) or they were last seen without it.
    alpha : float, default 0.05
        One minus the confidence of the pointwise intervals.

    Returns
    -------
    pandas.DataFrame
        One row per time at which the event came: ``time`` (float), ``n_at_risk``, ``n_events``
        (int), ``rate`` (``1 - S(time)``), ``ci_low``, ``ci_high``; the interval is null where it
        came to all at risk.

    Notes
    -----
    Kaplan and Meier (1958, JASA 53, 457-481) as statsmodels computes it. The interval is
    Greenwood's on the log(-log) scale (Kalbfleisch and Prentice 1980, 1.3).
    """
    from scipy.stats import norm
    from statsmodels.duration.survfunc import SurvfuncRight

    curve = SurvfuncRight(
        np.asarray(time, float), np.asarray(came, float), freq_weights=np.asarray(n, float)
    )
    at_risk, events, alive = curve.n_risk, curve.n_events, curve.surv_prob
    # with weights statsmodels gives Tsiatis' error of the cumulated hazard, not Greenwood's
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(np.cumsum(events / (at_risk * (at_risk - events)))) / -np.log(alive)
        ends = [alive ** np.exp(sign * norm.isf(alpha / 2) * error) for sign in (-1, 1)]
    low, high = (np.where(alive > 0, 1 - end, np.nan) for end in ends)
    return pd.DataFrame(
        {
            "time": curve.surv_times,
            "n_at_risk": at_risk.round().astype("int64"),
            "n_events": events.round().astype("int64"),
            "rate": 1 - alive,
            "ci_low": low,
            "ci_high": high,
        }
    )
