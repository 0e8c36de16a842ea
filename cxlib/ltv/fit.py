"""Fit BG/NBD and Gamma-Gamma to unique purchase histories, and judge the fit."""

from __future__ import annotations

import datetime as dt

import pandas as pd

from cxlib import _bgnbd
from cxlib._checks import DataError, FitError, check_date, check_number
from cxlib.ltv.forecasts import LtvFit
from cxlib.ltv.histories import HISTORY, counted, reduced
from cxlib.sources import Source, load
from cxlib.tables import ORDERS

ENOUGH_REPEAT_CUSTOMERS = 30
_MEANINGS = {**_bgnbd.MODELS["bgnbd"].meanings, **_bgnbd.SPEND_MEANINGS}


def fit_ltv(
    orders: Source,
    *,
    as_of: str | dt.date,
    horizon_days: float = 365,
    discount_rate: float = 0.10,
    margin: float = 1.0,
) -> LtvFit:
    """Fit BG/NBD and Gamma-Gamma, and forecast what each customer is worth from here on.

    Parameters
    ----------
    orders : Cleaned, or anything that holds orders
        One row per order: ``order_id``, ``customer_id``, ``ordered_at``, ``net_revenue``.
    as_of : str or date
        The last observed day, included; later orders are not read.
    horizon_days : float, default 365
        How far to look ahead, up to ten years.
    discount_rate : float, default 0.10
        By how much money loses value in a year of 365.25 days.
    margin : float, default 1.0
        Share of net revenue that counts as value, above 0 and at most 1.

    Returns
    -------
    LtvFit
        Parameters in ``.table``, ``.status`` and ``.verdict``; forecasts in ``.customers()``,
        ``.total()``, ``.deciles()`` and ``.new_customer()``.

    Raises
    ------
    DataError
        No customer has a purchase by ``as_of``.
    FitError
        No customer came again, or the likelihood has no optimum that can be found.
    ParameterError, ColumnError
        A parameter is out of range; a column is missing.

    Notes
    -----
    A purchase is a day with positive net spend, so refunds never count as purchases and several
    orders on one day count once. Value is discounted continuously, at each purchase's own time:

    ``ltv = margin * E[spend] * integral from 0 to horizon of (1 + rate)^(-t / 365.25) dE[X(t)]``

    with X(t) the purchases within t days (lifetimes discounts by months of 30 days, each at its
    end). Models: Fader, Hardie and Lee (2005), Marketing Science 24 (2), 275-284; Fader and
    Hardie (2013), brucehardie.com/notes/025. ``status`` is ``"boundary"`` where a parameter
    runs to the edge of its range, or the mean chance to leave a / (a + b) to 0 or 1; it is
    ``"too little data"`` below 30 repeat customers, or where a standard error is more than
    three times its parameter.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> days = {"ann": ["01-05", "02-11", "04-02"], "bob": ["01-20"], "eve": ["02-01", "02-20"]}
    >>> orders = pd.DataFrame(
    ...     [(f"{who} {day}", who, f"2024-{day}", 20.0) for who in days for day in days[who]],
    ...     columns=["order_id", "customer_id", "ordered_at", "net_revenue"])
    >>> orders["ordered_at"] = pd.to_datetime(orders["ordered_at"])
    >>> fit = cx.fit_ltv(orders, as_of="2024-06-30")
    >>> fit.status
    'too little data'
    >>> fit.customers().order_by("customer_id").to_pandas()[["customer_id", "n_orders", "days_since_last"]]
      customer_id  n_orders  days_since_last
    0         ann         3               89
    1         bob         1              162
    2         eve         2              131
    """
    check_number("horizon_days", horizon_days, 0, 3653, open_low=True)
    check_number("discount_rate", discount_rate, 0)
    check_number("margin", margin, 0, 1, open_low=True)
    day = check_date("as_of", as_of)
    table = load(orders, ORDERS)
    summary = reduced(table, day).cache()
    histories = counted(summary, HISTORY)
    n_customers, n_repeat = _check_repeats(histories, day)
    spends = counted(summary.filter(summary["frequency"] > 0), ["frequency", "monetary_value"])

    bgnbd = _bgnbd.fit_bgnbd(*histories.to_numpy(float).T)
    gamma_gamma = _bgnbd.fit_gamma_gamma(*spends.to_numpy(float).T)
    status, verdict = _verdict(bgnbd, gamma_gamma, n_customers, n_repeat)
    return LtvFit(
        table=_parameters(bgnbd, gamma_gamma),
        as_of=day,
        horizon_days=horizon_days,
        discount_rate=discount_rate,
        margin=margin,
        n_customers=n_customers,
        n_repeat_customers=n_repeat,
        n_without_purchase=int(table["customer_id"].nunique().execute()) - n_customers,
        log_likelihood=bgnbd.log_likelihood,
        spend_log_likelihood=gamma_gamma.log_likelihood,
        status=status,
        verdict=verdict,
        _bgnbd=bgnbd.values,
        _gamma_gamma=gamma_gamma.values,
        _summary=summary,
        _histories=histories,
    )


def _check_repeats(histories: pd.DataFrame, as_of: dt.date) -> tuple[int, int]:
    """Return how many customers there are and how many came again; at least one must have."""
    n_customers = int(histories["n"].sum())
    if n_customers == 0:
        raise DataError(
            f"orders: no customer has a day with positive net spend by as_of={as_of}; "
            "give a later as_of, or check the signs of 'net_revenue'"
        )
    n_repeat = int(histories.loc[histories["frequency"] > 0, "n"].sum())
    if n_repeat == 0:
        raise FitError(
            f"orders: none of {n_customers:,} customers bought on a second day by as_of={as_of}, so "
            "nothing can be learnt about buying again; give a longer history or a later as_of"
        )
    return n_customers, n_repeat


def _parameters(*fits: _bgnbd.Fit) -> pd.DataFrame:
    rows = [
        (name, value, fit.standard_errors[name], _MEANINGS[name])
        for fit in fits
        for name, value in fit.values.items()
    ]
    return pd.DataFrame(rows, columns=["parameter", "value", "standard_error", "meaning"])


def _verdict(
    bgnbd: _bgnbd.Fit, gamma_gamma: _bgnbd.Fit, n_customers: int, n_repeat: int
) -> tuple[str, str]:
    came_again = f"{n_repeat:,} of {n_customers:,} customers came again"
    edges = [*_dropout_edge(bgnbd), *_rate_edge(bgnbd), *_spend_edge(gamma_gamma)]
    loose = [
        name
        for fit in (bgnbd, gamma_gamma)
        for name, error in fit.standard_errors.items()
        if name not in fit.at_edge and not error <= 3 * fit.values[name]
    ]
    if n_repeat < ENOUGH_REPEAT_CUSTOMERS:
        reasons = [f"only {came_again}", *edges]
        return "too little data", f"too little data: {'; '.join(reasons)}."
    if edges:
        return "boundary", f"boundary: {'; '.join(edges)}."
    if loose:
        return (
            "too little data",
            f"too little data: {came_again}, which does not pin down {', '.join(loose)}.",
        )
    return "converged", f"converged: {came_again}."


def _dropout_edge(fit: _bgnbd.Fit) -> list[str]:
    a, b = fit.values["a"], fit.values["b"]
    if a / (a + b) < 1e-3:
        return ["no dropout seen (a/(a+b) near 0), so values are an upper bound"]
    if a / (a + b) > 0.99:
        return ["nearly everyone leaves after one repeat purchase (a/(a+b) near 1)"]
    if not {"a", "b"} & set(fit.at_edge):
        return []
    if a + b < 0.1:
        return ["customers leave at their first repeat purchase or never (a and b near 0)"]
    return ["customers do not differ in their chance to leave (a and b run to infinity)"]


def _rate_edge(fit: _bgnbd.Fit) -> list[str]:
    if not {"r", "alpha"} & set(fit.at_edge):
        return []
    if "high" in (fit.at_edge.get("r"), fit.at_edge.get("alpha")):
        return ["customers do not differ in how often they buy (r and alpha run to infinity)"]
    return ["purchase rates spread without limit (r or alpha near 0)"]


def _spend_edge(fit: _bgnbd.Fit) -> list[str]:
    if not fit.at_edge:
        return []
    if fit.at_edge.get("q") == "low":
        return ["spend is so unequal that its mean is hardly finite (q near 1)"]
    if "high" in fit.at_edge.values():
        return ["customers or their purchases do not differ in spend (p or q runs to infinity)"]
    return ["spend per purchase spreads without limit (p or v near 0)"]
