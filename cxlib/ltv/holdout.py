"""Fit on the past, foretell what came after, and compare: day by day and customer by customer."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib._bgnbd import MODELS
from cxlib._checks import DataError, ParameterError, check_choice, check_date
from cxlib.ltv.ahead import Ahead
from cxlib.ltv.base import Base, Numbers
from cxlib.ltv.fit import fitted
from cxlib.ltv.forecasts import LtvFit
from cxlib.ltv.histories import (
    HISTORY,
    counted,
    histories,
    in_words,
    load_orders,
    nobody,
    purchase_days,
    seen_orders,
)
from cxlib.ltv.silence import Silence
from cxlib.show import told
from cxlib.sources import Source

MOST_REPEATS = 7


@dataclass(frozen=True, eq=False)
class LtvHoldout:
    """What a model fitted up to a day foretold of the time after it, and what came.

    All counts are of purchase days of the customers who had come by ``split``; those who came
    later are nobody's forecast.

    Attributes
    ----------
    table : pandas.DataFrame
        One row: ``n_customers``; ``total_actual`` and ``total_expected`` orders in the holdout;
        ``total_error`` (expected over actual, less 1; null if nobody ordered); ``mae`` (mean
        absolute error of a customer, in orders); ``correlation`` (of actual and expected over
        customers; null if either does not vary); and of the naive rule ``naive_total``,
        ``naive_total_error``, ``naive_mae``, ``naive_correlation``.
    tracking : pandas.DataFrame
        One row per whole week, so that one ends on ``split``: ``week_ending``, ``actual`` and
        ``expected`` repeat orders, ``cumulative_actual``, ``cumulative_expected``.
    by_frequency : pandas.DataFrame
        One row per number of repeat orders up to ``split``: ``frequency`` (text, "7+" the last),
        ``n`` customers, ``actual_mean`` and ``expected_mean`` orders in the holdout.
    by_decile : pandas.DataFrame
        The same by ``decile`` of expected orders, 1 the most; alike customers stay together.
    split, as_of : datetime.date
        Last day that the model saw, and last day that it was held against.
    model : str
        Name of the model.
    fit : LtvFit
        The fit up to ``split``.
    verdict : str
        How it came out, in a sentence; and another one before it where ``as_of`` is later than
        the data.
    """

    table: pd.DataFrame
    tracking: pd.DataFrame
    by_frequency: pd.DataFrame
    by_decile: pd.DataFrame
    split: dt.date
    as_of: dt.date
    model: str
    fit: LtvFit
    verdict: str

    def __repr__(self) -> str:
        return f"LtvHoldout({self.verdict!r})"

    def _repr_html_(self) -> str:
        return told(self.verdict, self.table)


def holdout_ltv(
    orders: Source, *, split: str | dt.date, as_of: str | dt.date, model: str = "bgnbd"
) -> LtvHoldout:
    """Fit on orders up to ``split``, and hold the forecast against those after it.

    Parameters
    ----------
    orders : Cleaned, or anything that holds orders
        One row per order: ``order_id``, ``customer_id``, ``ordered_at``, ``net_revenue``.
    split : str or date
        The last day that the model sees, to its end: orders of that evening belong to it.
    as_of : str or date
        The last observed day, included.
    model : {"bgnbd", "mbgnbd", "paretonbd"}
        See `fit_ltv`.

    Returns
    -------
    LtvHoldout
        Measures in ``.table``, weeks in ``.tracking``, calibration in ``.by_frequency`` and
        ``.by_decile``, a sentence in ``.verdict``.

    Raises
    ------
    ParameterError
        ``split`` is not before ``as_of``, or the model is unknown.
    DataError, FitError
        Up to ``split`` there is no purchase, or nobody came again.

    See Also
    --------
    cxlib.plot.ltv_tracking
    cxlib.plot.ltv_calibration

    Notes
    -----
    A customer's forecast is the model's expectation given the history up to ``split``; a week's
    is the sum over customers of E[X(t)], of which their own repeat orders are no part. The naive
    rule says that each customer buys on as many days as in the time of the same length before
    ``split``; where less was seen, that is scaled up.

    Examples
    --------
    >>> import cxlib as cx
    >>> orders = cx.simulate.orders(2000, start="2022-01-01", as_of="2023-12-31", seed=1)
    >>> held = cx.holdout_ltv(orders, split="2023-03-31", as_of="2023-12-31")
    >>> held.by_frequency.columns.tolist()
    ['frequency', 'n', 'actual_mean', 'expected_mean']
    >>> bool(abs(held.table["total_error"][0]) < 0.1)
    True
    """
    last, end = check_split(split, as_of)
    check_choice("model", model, MODELS)
    return held_out(bought_days(orders, end), last, end, model)


def bought_days(orders: Source, as_of: dt.date) -> ir.Table:
    """Return the days of each customer's purchases, cached, with the ``first`` of them."""
    loaded, _ = load_orders(orders, as_of)
    days = loaded.hold(_bought, as_of)
    if days.limit(1).count().execute() == 0:
        raise nobody(orders, as_of)
    return days


def _bought(orders: ir.Table, as_of: dt.date) -> ir.Table:
    days = purchase_days(seen_orders(orders, as_of))
    days = days.filter(days["bought"])
    return days.mutate(first=days["day"].min().over(ibis.window(group_by="customer_id")))


def check_split(split: str | dt.date, as_of: str | dt.date) -> tuple[dt.date, dt.date]:
    """Return both days; the first must come before the second."""
    last, end = check_date("split", split), check_date("as_of", as_of)
    if last >= end:
        raise ParameterError(
            f"split={last} is not before as_of={end}; the days between them are the holdout"
        )
    return last, end


def held_out(days: ir.Table, split: dt.date, as_of: dt.date, model: str) -> LtvHoldout:
    """Return `holdout_ltv` of a cached table of purchase days."""
    first, last, n_purchases = _extent(days)
    if first > split:
        raise DataError(f"orders: nobody has a purchase by split={split}; give a later split")
    horizon = (as_of - split).days
    customers = histories(days.filter(days["day"] <= ibis.date(str(split))), split).cache()
    fit = fitted(
        customers,
        Base.of(customers),
        model=model,
        as_of=split,
        horizon_days=horizon,
        discount_rate=0.0,
        margin=1.0,
        by=None,
        seed=0,
        n_boot=100,
        guest_share=float("nan"),
    )
    window = min(horizon, (split - first).days + 1)
    rows = _rows(customers, days, split, as_of, window)
    ahead = Ahead(MODELS[model], rows[HISTORY].to_numpy(float).T, horizon, 0.0)
    expected = ahead.p_alive(fit._values) * ahead.if_alive(fit._values)[0]
    rows = rows.assign(expected=expected, naive=rows["n_before"] * horizon / window)
    table = _measures(rows)
    silence = Silence.between(first, last, as_of, n_purchases)
    return LtvHoldout(
        table=table,
        tracking=_tracking(fit, days, split, as_of),
        by_frequency=_by_frequency(rows),
        by_decile=_by_decile(rows),
        split=split,
        as_of=as_of,
        model=model,
        fit=fit,
        verdict=silence.before(_verdict(table.iloc[0], fit, as_of), as_of),
    )


def _extent(days: ir.Table) -> tuple[dt.date, dt.date, int]:
    """Return the first and the last day of a purchase, and how many purchases there are."""
    day = days["day"]
    found = days.aggregate(first=day.min(), last=day.max(), n=days.count()).to_pandas().iloc[0]
    first, last = (pd.Timestamp(found[name]).date() for name in ("first", "last"))
    return first, last, int(found["n"])


def _rows(
    customers: ir.Table, days: ir.Table, split: dt.date, as_of: dt.date, window: int
) -> pd.DataFrame:
    """Return unique histories with orders in the holdout and in the window before the split."""
    since = ibis.date(str(split - dt.timedelta(days=window)))
    last, end = ibis.date(str(split)), ibis.date(str(as_of))
    day = days["day"]
    near = days.filter(day > since, day <= end, days["first"] <= last)
    counts = near.group_by("customer_id").aggregate(
        n_after=(near["day"] > last).sum(), n_before=(near["day"] <= last).sum()
    )
    both = customers.left_join(counts, "customer_id")
    both = both.select(
        "history", n_after=both["n_after"].fill_null(0), n_before=both["n_before"].fill_null(0)
    )
    rows = pd.DataFrame(counted(both, "history", "n_after", "n_before"))
    return rows.assign(**dict(zip(HISTORY, in_words(rows["history"].to_numpy()), strict=True)))


def _measures(rows: pd.DataFrame) -> pd.DataFrame:
    n, actual = rows["n"].to_numpy(float), rows["n_after"].to_numpy(float)
    found: dict[str, float] = {"n_customers": int(n.sum()), "total_actual": float(n @ actual)}
    for prefix, total, column in (
        ("", "total_expected", "expected"),
        ("naive_", "naive_total", "naive"),
    ):
        said = rows[column].to_numpy(float)
        found |= {
            total: float(n @ said),
            f"{prefix}total_error": float(n @ said / (n @ actual) - 1) if actual.any() else np.nan,
            f"{prefix}mae": float(n @ np.abs(said - actual) / n.sum()),
            f"{prefix}correlation": _correlation(actual, said, n),
        }
    return pd.DataFrame([found])


def _correlation(one: Numbers, other: Numbers, n: Numbers) -> float:
    one, other = (values - np.average(values, weights=n) for values in (one, other))
    scale = np.sqrt((n @ one**2) * (n @ other**2))
    return float(n @ (one * other) / scale) if scale > 0 else np.nan


def _means(rows: pd.DataFrame, group: pd.Series) -> pd.DataFrame:
    """Return n, actual_mean and expected_mean of each group of customers."""
    sums = pd.DataFrame(
        {
            "n": rows["n"],
            "actual_mean": rows["n"] * rows["n_after"],
            "expected_mean": rows["n"] * rows["expected"],
        }
    )
    table = sums.groupby(group).sum()
    return table.assign(**{name: table[name] / table["n"] for name in table.columns[1:]})


def _by_frequency(rows: pd.DataFrame) -> pd.DataFrame:
    table = _means(rows, rows["frequency"].clip(upper=MOST_REPEATS)).reset_index()
    words = (
        table["frequency"].astype(str).where(table["frequency"] < MOST_REPEATS, f"{MOST_REPEATS}+")
    )
    return table.assign(frequency=words)


def _by_decile(rows: pd.DataFrame) -> pd.DataFrame:
    best_first = (
        rows.groupby("history", as_index=False)
        .agg(n=("n", "sum"), expected=("expected", "first"))
        .sort_values("expected", ascending=False, kind="stable")
    )
    middle = best_first["n"].cumsum() - best_first["n"] / 2
    best_first["decile"] = np.ceil(10 * middle / best_first["n"].sum()).astype(int)
    rows = rows.merge(best_first[["history", "decile"]], on="history")
    return _means(rows, rows["decile"]).reset_index()


def _tracking(fit: LtvFit, days: ir.Table, split: dt.date, as_of: dt.date) -> pd.DataFrame:
    """Return actual and expected repeat orders by week, one of which ends on the split."""
    last, end = ibis.date(str(split)), ibis.date(str(as_of))
    seen = days.filter(days["first"] <= last, days["day"] <= end)
    daily = (
        seen.group_by("day")
        .aggregate(
            new=(seen["day"] == seen["first"]).sum(), again=(seen["day"] > seen["first"]).sum()
        )
        .to_pandas()
    )
    start = pd.Timestamp(daily["day"].min())
    place = (pd.to_datetime(daily["day"]) - start).dt.days.to_numpy()
    n_days = (pd.Timestamp(as_of) - start).days + 1
    new, again = (np.bincount(place, daily[name], n_days) for name in ("new", "again"))
    expected = fit.ahead.model.expected_orders(fit._values, np.arange(n_days))
    so_far = {"actual": again.cumsum(), "expected": np.convolve(new, expected)[:n_days]}

    at_split = (pd.Timestamp(split) - start).days
    ends = np.arange(at_split % 7, n_days, 7)
    table = pd.DataFrame({"week_ending": start + pd.to_timedelta(ends, unit="D")})
    for name, values in so_far.items():
        table[name] = np.diff(values[ends], prepend=0.0)
    return table.assign(**{f"cumulative_{name}": values[ends] for name, values in so_far.items()})


def _verdict(row: pd.Series, fit: LtvFit, as_of: dt.date) -> str:
    foretold = (
        f"{MODELS[fit.model].title} fitted up to {fit.as_of} expected {row['total_expected']:,.0f} orders "
        f"by {as_of}"
    )
    if not row["total_actual"]:
        return f"{foretold}, and none came: there is nothing to judge it by."
    better = "better" if row["mae"] < row["naive_mae"] else "no better"
    return (
        f"{foretold}, and {row['total_actual']:,.0f} came ({row['total_error']:+.1%}); for one customer "
        f"it is {row['mae']:.2f} orders off, {better} than last time's orders again "
        f"({row['naive_mae']:.2f})."
    )
