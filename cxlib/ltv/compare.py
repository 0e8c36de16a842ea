"""Which model to trust: all of them, fitted to the same customers and held against what came."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from html import escape

import ibis.expr.types as ir
import pandas as pd

from cxlib._bgnbd import MODELS
from cxlib._checks import CxError, FitError, check_date
from cxlib.ltv.base import Base
from cxlib.ltv.fit import check_repeats, fit_both
from cxlib.ltv.histories import histories
from cxlib.ltv.holdout import bought_days, check_split, held_out
from cxlib.ltv.verdict import judge
from cxlib.show import show
from cxlib.sources import Source

CLOSE_TOTAL, CLOSE_MAE = 0.05, 1.02


@dataclass(frozen=True, eq=False)
class LtvComparison:
    """All models on the same orders.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per model, the trusted one first: ``model``; ``log_likelihood``, ``n_parameters``
        and ``bic`` of the fit to all orders; ``status`` ("no fit" where there is no optimum);
        ``holdout_mae`` and ``holdout_total_error`` of a fit up to ``split``, see `LtvHoldout`
        (null where that has no fit, or nothing came after it).
    model : str
        The model to trust.
    verdict : str
        Which model to trust and why, in a sentence.
    split, as_of : datetime.date
        Last day that the models of the holdout saw, and last observed day.
    """

    table: pd.DataFrame
    model: str
    verdict: str
    split: dt.date
    as_of: dt.date

    def _repr_html_(self) -> str:
        return f"<p>{escape(self.verdict)}</p>{show(self.table)._repr_html_()}"


def compare_ltv(
    orders: Source, *, as_of: str | dt.date, split: str | dt.date | None = None
) -> LtvComparison:
    """Fit all models of buying to the same orders, and say which to trust.

    Parameters
    ----------
    orders : Cleaned, or anything that holds orders
        One row per order: ``order_id``, ``customer_id``, ``ordered_at``, ``net_revenue``.
    as_of : str or date
        The last observed day, included.
    split : str or date, optional
        Last day that the models of the holdout see; two thirds of the observed days, if not
        given.

    Returns
    -------
    LtvComparison
        Measures in ``.table``, the name of the model in ``.model``, a sentence in ``.verdict``.

    Raises
    ------
    ParameterError
        ``split`` is not before ``as_of``.
    DataError, FitError
        There is no purchase, nobody came again, or no model has an optimum.

    Notes
    -----
    BIC is ``n_parameters * log(n_customers) - 2 * log_likelihood`` (Schwarz 1978, Annals of
    Statistics 6, 461-464); it can be compared because all models give the density of the same
    histories. The trusted model is found in steps, among those that converged if any did: the
    holdout's total within 5 points of the closest; then its error for one customer within 2 %
    of the smallest; then the lowest BIC.

    Examples
    --------
    >>> import cxlib as cx
    >>> orders = cx.simulate.orders(2000, start="2022-01-01", as_of="2023-12-31", seed=1)
    >>> compared = cx.compare_ltv(orders, as_of="2023-12-31")
    >>> sorted(compared.table["model"])
    ['bgnbd', 'mbgnbd', 'paretonbd']
    """
    end = check_date("as_of", as_of)
    if split is not None:
        check_split(split, end)
    days = bought_days(orders, end)
    base = Base.of(histories(days, end))
    n_customers, _ = check_repeats(base, end)
    last = _two_thirds(days, end) if split is None else check_date("split", split)
    rows = pd.DataFrame([_row(name, base, days, last, end) for name in MODELS])
    rows["bic"] = rows["n_parameters"] * math.log(n_customers) - 2 * rows["log_likelihood"]
    if rows["log_likelihood"].isna().all():
        raise FitError(
            f"none of {', '.join(MODELS)} has an optimum for these orders; give a longer history or "
            "more customers, and look for customers or days that are not like the others"
        )
    best = _trusted(rows)
    rows["place"] = (rows["model"] != best).astype(int)
    rows = rows.sort_values(["place", "bic"], ignore_index=True)
    columns = ["model", "log_likelihood", "n_parameters", "bic", "status"]
    table_ = rows[[*columns, "holdout_mae", "holdout_total_error"]]
    return LtvComparison(table_, best, _verdict(table_), last, end)


def _two_thirds(days: ir.Table, as_of: dt.date) -> dt.date:
    first = pd.Timestamp(days["day"].min().to_pandas()).date()
    return first + (as_of - first) * 2 // 3


def _row(
    name: str, base: Base, days: ir.Table, split: dt.date, as_of: dt.date
) -> dict[str, object]:
    model = MODELS[name]
    row: dict[str, object] = {
        "model": name,
        "log_likelihood": math.nan,
        "n_parameters": len(model.meanings),
        "status": "no fit",
        "holdout_mae": math.nan,
        "holdout_total_error": math.nan,
    }
    try:
        orders, spend = fit_both(model, base)
    except FitError:
        return row
    n_repeat = int(base.n[base.frequency > 0].sum())
    longest = float(base.histories[2].max())
    status, _ = judge(orders, spend, int(base.n.sum()), n_repeat, longest)
    row |= {"log_likelihood": orders.log_likelihood, "status": status}
    try:
        held = held_out(days, split, as_of, name).table.iloc[0]
    except CxError:  # too little had happened by the split
        return row
    return row | {
        "holdout_mae": float(held["mae"]),
        "holdout_total_error": float(held["total_error"]),
    }


def _trusted(rows: pd.DataFrame) -> str:
    """Return the model that survives all steps; a step that nobody has numbers for decides nothing."""
    left = rows[rows["log_likelihood"].notna()]
    if (left["status"] == "converged").any():
        left = left[left["status"] == "converged"]
    total = left["holdout_total_error"].abs()
    if total.notna().any():
        left = left[total <= total.min() + CLOSE_TOTAL]
    if left["holdout_mae"].notna().any():
        left = left[left["holdout_mae"] <= CLOSE_MAE * left["holdout_mae"].min()]
    return str(left.sort_values("bic")["model"].iloc[0])


def _verdict(table: pd.DataFrame) -> str:
    """Say it of a table whose first row is the trusted model."""
    best = table.iloc[0]
    title = MODELS[str(best["model"])].title
    others = table.iloc[1:].dropna(subset="bic")
    reasons = [_against(best, others.sort_values("bic").iloc[0])] if len(others) else []
    if pd.notna(best["holdout_mae"]):
        total = best["holdout_total_error"]
        off = "" if pd.isna(total) else f" and {total:+.1%} off in all"
        reasons.append(
            f"in the holdout it is {best['holdout_mae']:.3f} orders off per customer{off}"
        )
    if best["status"] != "converged":
        reasons.append(f"but no model converged here: {best['status']}")
    return f"Trust {title}: {'; '.join(reasons or ['no other model has a fit'])}."


def _against(best: pd.Series, other: pd.Series) -> str:
    """Say how the trusted model stands to the other with the lowest BIC."""
    gap = other["bic"] - best["bic"]
    name = MODELS[str(other["model"])].title
    if gap >= 0:
        return f"its BIC is {gap:,.1f} below that of {name}"
    parted = "converged" in (best["status"], other["status"]) and best["status"] != other["status"]
    why = "which did not converge" if parted else "but it foretells better"
    return f"its BIC is {-gap:,.1f} above that of {name}, {why}"
