"""Fit a model of buying and Gamma-Gamma to the unique purchase histories of a shop."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import ibis.expr.types as ir
import pandas as pd

from cxlib._bgnbd import MODELS, SPEND_MEANINGS, Fit, Model, fit_gamma_gamma
from cxlib._checks import FitError, check_choice, check_date, check_number, listed
from cxlib.ltv.base import Base, Seen
from cxlib.ltv.forecasts import LtvFit, check_valuation
from cxlib.ltv.silence import Silence
from cxlib.ltv.verdict import judge
from cxlib.sources import Source

LEAST_BOOT, MOST_BOOT = 40, 10_000


def fit_ltv(
    orders: Source,
    *,
    as_of: str | dt.date,
    horizon_days: float = 365,
    model: str = "bgnbd",
    margin: float = 1.0,
    discount_rate: float = 0.10,
    by: str | None = None,
    seed: int = 0,
    n_boot: int = 100,
) -> LtvFit:
    """Fit a model of buying and one of spend, and forecast what each customer is worth from here on.

    Parameters
    ----------
    orders : Cleaned, or anything that holds orders
        One row per order: ``order_id``, ``customer_id``, ``ordered_at``, ``net_revenue``.
    as_of : str or date
        The last observed day, included; later orders are not read.
    horizon_days : float, default 365
        How far to look ahead, up to ten years.
    model : {"bgnbd", "mbgnbd", "paretonbd"}
        How customers leave: after a repeat purchase (BG/NBD), after any purchase (MBG/NBD), or
        at any time (Pareto/NBD). `compare_ltv` says which to trust.
    margin : float, default 1.0
        Share of net revenue that counts as value, above 0 and at most 1.
    discount_rate : float, default 0.10
        By how much money loses value in a year of 365.25 days, as a fraction up to 1.
    by : str, optional
        A column of the orders; a customer's segment is its value at the first order. One model
        is fitted to all customers; ``.segments()`` adds its forecasts up by segment.
    seed : int, default 0
        Of the resamples behind intervals.
    n_boot : int, default 100
        How many resamples, from 40 to 10,000.

    Returns
    -------
    LtvFit
        Parameters in ``.table``, ``.status`` and ``.verdict``; forecasts in ``.customers()``,
        ``.total()``, ``.segments()``, ``.deciles()``, ``.grid()`` and ``.new_customer()``; the
        models' assumptions in ``.checks``.

    Raises
    ------
    DataError
        No customer has a purchase by ``as_of``, or the orders mix currencies.
    FitError
        No customer came again, or the likelihood has no optimum that can be found.
    ParameterError, ColumnError
        A parameter is out of range; a column is missing.

    See Also
    --------
    cxlib.plot.ltv
    cxlib.plot.ltv_segments
    cxlib.plot.ltv_grid

    Notes
    -----
    A purchase is a day with positive net spend, so refunds never count as purchases and several
    orders on one day count once. Value is discounted continuously, at each purchase's own time:

    ``ltv = margin * E[spend] * integral from 0 to horizon of (1 + rate)^(-t / 365.25) dE[X(t)]``

    with X(t) the purchases within t days (lifetimes discounts by months of 30 days, each at its
    end). Models: Fader, Hardie and Lee (2005), Marketing Science 24 (2), 275-284 (BG/NBD);
    Batislam, Denizel and Filiztekin (2007), International Journal of Research in Marketing 24
    (3), 201-209 (MBG/NBD); Schmittlein, Morrison and Colombo (1987), Management Science 33 (1),
    1-24 (Pareto/NBD); Fader and Hardie (2013), brucehardie.com/notes/025 (Gamma-Gamma).

    ``status`` is ``"boundary"`` where a parameter runs to the edge of its range, or no dropout
    is seen; ``"too little data"`` below 30 repeat customers, or where a standard error is more
    than three times its parameter; otherwise ``"converged"``. ``verdict`` and ``checks`` also say
    where nobody bought for so long up to ``as_of`` that the data must end before it: all
    customers are then taken for silent, and every forecast is too low.

    Intervals are 95 % percentile intervals of a bootstrap: customers weighted by Poisson(1),
    both models refitted from the optimum. They are computed when first asked for.

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
    >>> customers = fit.customers(intervals=False).order_by("customer_id").to_pandas()
    >>> customers[["customer_id", "n_orders", "days_since_last"]]
      customer_id  n_orders  days_since_last
    0         ann         3               89
    1         bob         1              162
    2         eve         2              131
    """
    day, options = check_options(as_of, horizon_days, model, margin, discount_rate, seed, n_boot)
    seen = Seen.of(orders, day, by)
    options |= {
        "by": by,
        "guest_share": _lost_share(orders, "no_customer"),
        "refund_share": -_lost_share(orders, "refund_unmatched"),
        "currency": seen.currency,
    }
    return fitted(seen.customers, seen.base, as_of=day, _rows=seen.rows, **options)


def check_options(
    as_of: str | dt.date,
    horizon_days: float,
    model: str,
    margin: float,
    discount_rate: float,
    seed: int,
    n_boot: int,
) -> tuple[dt.date, dict[str, Any]]:
    """Return the day, and the other options by name, each in its range."""
    return check_date("as_of", as_of), {
        **check_valuation(horizon_days, discount_rate, margin),
        "model": check_choice("model", model, MODELS),
        "seed": int(check_number("seed", seed, 0)),
        "n_boot": int(check_number("n_boot", n_boot, LEAST_BOOT, MOST_BOOT)),
    }


def fitted(
    customers: ir.Table, base: Base, *, model: str, as_of: dt.date, **options: Any
) -> LtvFit:
    """Return the fit to a cached table of histories, which is not empty, and to its reduction."""
    n_customers, n_repeat = check_repeats(base, as_of)
    orders, spend = fit_both(MODELS[model], base)
    status, verdict = judge(orders, spend, n_customers, n_repeat, base.histories[2].max())
    return LtvFit(
        table=_parameters(MODELS[model], orders, spend),
        as_of=as_of,
        model=model,
        n_customers=n_customers,
        n_repeat_customers=n_repeat,
        n_without_purchase=base.n_without_purchase,
        log_likelihood=orders.log_likelihood,
        spend_log_likelihood=spend.log_likelihood,
        status=status,
        verdict=Silence.of(base).before(verdict, as_of),
        _values=orders.values,
        _spend=spend.values,
        _histories=customers,
        _base=base,
        **options,
    )


def fit_both(model: Model, base: Base) -> tuple[Fit, Fit]:
    """Return the model of buying and Gamma-Gamma, fitted to a base in which someone came again."""
    again = base.frequency > 0
    frequency, recency, age = base.histories
    try:
        return (
            model.fit(frequency, recency, age, base.n_by_history),
            fit_gamma_gamma(base.frequency[again], base.spend[again], base.n[again]),
        )
    except FitError as error:
        others = [name for name in MODELS if name != model.name]
        raise FitError(f"{error}; or try another model= ({listed(others)})") from None


def check_repeats(base: Base, as_of: dt.date) -> tuple[int, int]:
    """Return how many customers there are and how many came again; at least one must have."""
    n_customers = int(base.n.sum())
    n_repeat = int(base.n[base.frequency > 0].sum())
    if n_repeat == 0:
        raise FitError(
            f"orders: none of {n_customers:,} customers bought on a second day by as_of={as_of}, so "
            "nothing can be learnt about buying again; give a longer history or a later as_of"
        )
    return n_customers, n_repeat


def _parameters(model: Model, *fits: Fit) -> pd.DataFrame:
    meanings = {**model.meanings, **SPEND_MEANINGS}
    values = {name: value for fit in fits for name, value in fit.values.items()}
    errors = {name: error for fit in fits for name, error in fit.standard_errors.items()}
    return pd.DataFrame(
        {
            "parameter": list(values),
            "value": list(values.values()),
            "standard_error": [errors[name] for name in values],
            "meaning": [meanings[name] for name in values],
        }
    )


def _lost_share(orders: Source, rule: str) -> float:
    """Return the share of the export's revenue that cleaning lost to a rule; null if unknown."""
    losses = getattr(orders, "losses", None)
    if losses is None or "revenue_share" not in losses:
        return math.nan
    return float(losses.loc[losses["rule"] == rule, "revenue_share"].sum())
