"""Which model to trust: all of them, fitted to the same customers and held against what came."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from typing import NamedTuple

import ibis.expr.types as ir
import pandas as pd

from cxlib._bgnbd import MODELS
from cxlib._checks import CxError, FitError, check_date
from cxlib._watched import progress
from cxlib.ltv.base import Base
from cxlib.ltv.fit import check_repeats, fit_both
from cxlib.ltv.histories import histories
from cxlib.ltv.holdout import bought_days, check_split, held_out
from cxlib.ltv.silence import Silence
from cxlib.ltv.verdict import judge
from cxlib.show import told
from cxlib.sources import Source

CLOSE_TOTAL, CLOSE_MAE, CLOSE_BIC = 0.05, 1.02, 2.0


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
        Which model to trust and why, in a sentence; and another one before it where ``as_of`` is
        later than the data.
    split, as_of : datetime.date
        Last day that the models of the holdout saw, and last observed day.
    """

    table: pd.DataFrame
    model: str
    verdict: str
    split: dt.date
    as_of: dt.date

    def __repr__(self) -> str:
        return f"LtvComparison({self.verdict!r})"

    def _repr_html_(self) -> str:
        return told(self.verdict, self.table)


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
    of the smallest; then the lowest BIC. The verdict gives the step that decided; where that is
    BIC, models within 2 of the lowest cannot be told apart (Kass and Raftery 1995, Journal of
    the American Statistical Association 90, 773-795).

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
    rows = pd.DataFrame([_row(name, base, days, last, end) for name in progress(MODELS, "models")])
    rows["bic"] = rows["n_parameters"] * math.log(n_customers) - 2 * rows["log_likelihood"]
    if rows["log_likelihood"].isna().all():
        raise FitError(
            f"none of {', '.join(MODELS)} has an optimum for these orders; give a longer history or "
            "more customers, and look for customers or days that are not like the others"
        )
    trusted = _trusted(rows)
    rows["place"] = (rows["model"] != trusted.model).astype(int)
    rows = rows.sort_values(["place", "bic"], ignore_index=True)
    columns = ["model", "log_likelihood", "n_parameters", "bic", "status"]
    table_ = rows[[*columns, "holdout_mae", "holdout_total_error"]]
    verdict = Silence.of(base).before(_verdict(table_, trusted), end)
    return LtvComparison(table_, trusted.model, verdict, last, end)


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


class Trusted(NamedTuple):
    """The model to trust, the step that decided, and those that it beat there, the best first."""

    model: str
    step: str
    beaten: list[str]


def _trusted(rows: pd.DataFrame) -> Trusted:
    """Return the model that survives all steps; a step that nobody has numbers for decides nothing."""
    left = rows[rows["log_likelihood"].notna()].sort_values("bic")
    for step in ("status", "holdout_total_error", "holdout_mae"):
        passed = _passed(left, step)
        if passed.sum() == 1:
            return Trusted(str(left["model"][passed].iloc[0]), step, list(left["model"][~passed]))
        left = left[passed]
    best, *beaten = left["model"]
    return Trusted(str(best), "bic", beaten)


def _passed(left: pd.DataFrame, step: str) -> pd.Series:
    """Say which models pass a step: all, if it has no numbers for any of them."""
    if step == "status":
        passed = left["status"] == "converged"
    elif step == "holdout_total_error":
        total = left[step].abs()
        passed = total <= total.min() + CLOSE_TOTAL
    else:
        passed = left[step] <= CLOSE_MAE * left[step].min()
    return passed if passed.any() else passed | True


def _verdict(table: pd.DataFrame, trusted: Trusted) -> str:
    """Say which model is trusted, by what it was decided, and how far that is to be believed."""
    rows = table.set_index("model")
    best = rows.loc[[trusted.model]].iloc[0]
    decided, holdout = _decided(rows, trusted), _holdout(best)
    title, reasons = MODELS[trusted.model].title, "; ".join(filter(None, [decided, holdout]))
    if best["status"] != "converged":
        return (
            f"No model converged here ({best['status']}), so none is a basis for money. The closest "
            f"is {title}: {reasons}."
        )
    return f"Trust {title}: {reasons}."


def _holdout(best: pd.Series) -> str:
    if pd.isna(best["holdout_mae"]):
        return ""
    off = f"it is {best['holdout_mae']:.3f} orders off per customer"
    if pd.isna(best["holdout_total_error"]):
        return f"in the holdout, in which nothing came, {off}"
    return f"in the holdout {off} and {best['holdout_total_error']:+.1%} off in all"


def _decided(rows: pd.DataFrame, trusted: Trusted) -> str:
    """Give the reason by which the steps ended, against the best of those beaten there."""
    if not trusted.beaten:
        return "no other model has a fit"
    best, other = (rows.loc[[one]].iloc[0] for one in (trusted.model, trusted.beaten[0]))
    name = MODELS[trusted.beaten[0]].title
    if trusted.step == "status":
        return f"{_titles(trusted.beaten)} did not converge"
    if trusted.step == "holdout_total_error":
        return f"it foretells the total better than {name} ({other[trusted.step]:+.1%} off)"
    if trusted.step == "holdout_mae":
        return f"it foretells customers better than {name} ({other[trusted.step]:.3f} orders off)"
    gaps = rows["bic"][trusted.beaten] - best["bic"]
    alike = [one for one, gap in gaps.items() if gap < CLOSE_BIC]
    if alike:
        models = _titles([trusted.model, *map(str, alike)])
        return f"{models} cannot be told apart (their BIC is within {CLOSE_BIC:g})"
    return f"its BIC is {gaps.iloc[0]:,.1f} below that of {name}"


def _titles(names: list[str]) -> str:
    *titles, last = (MODELS[name].title for name in names)
    return f"{', '.join(titles)} and {last}" if titles else last
