"""The answers of a fit: for each customer in the engine, for the base and its segments here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa

from cxlib._bgnbd import MODELS, spend_line, told_apart
from cxlib.ltv.ahead import Ahead
from cxlib.ltv.base import Numbers
from cxlib.ltv.futures import realised
from cxlib.ltv.replicates import around, bounds, sums, sums_over
from cxlib.sources import joined

if TYPE_CHECKING:
    from cxlib.ltv.forecasts import LtvFit

TINY = 1e-300
MOST_ORDERS, DAY_STEPS = 12, 40


def customers(fit: LtvFit, intervals: bool) -> ir.Table:
    """Return `LtvFit.customers`."""
    by_history = _by_history(fit, intervals)
    assert fit._histories is not None  # else there was no history either
    return joined(_forecast, fit._histories, by_history, fit.by, intervals)


def _forecast(histories: ir.Table, told: ir.Table, by: str | None, intervals: bool) -> ir.Table:
    """Put what the models say of each history to the customers who have it."""
    rows = histories.join(told, "history")
    spend = rows["level"] + rows["slope"] * rows["monetary_value"]
    found = {
        "customer_id": rows["customer_id"],
        **({by: rows["segment"]} if by is not None else {}),
        **{
            name: rows[name]
            for name in ("n_orders", "days_since_last", "p_alive", "expected_orders")
        },
        "expected_spend": spend,
        "ltv": spend * rows["value_orders"],
    }
    if not intervals:
        return rows.select(**found)
    found |= _ltv_bounds(rows, spend)
    for name in ("p_alive", "expected_orders"):
        found |= {f"{name}_{end}": rows[f"{name}_{end}"] for end in ("low", "high")}
    return rows.select(**{name: found[name] for name in _in_order(list(found))})


def _in_order(names: list[str]) -> list[str]:
    """Put each answer's ends right behind it."""
    plain = [name for name in names if not name.endswith(("_low", "_high"))]
    ends = [(name, f"{name}_low", f"{name}_high") for name in plain]
    return [name for group in ends for name in group if name in names]


def _ltv_bounds(rows: ir.Table, spend: ir.Value) -> dict[str, ir.Value]:
    """Put together the intervals of discounted orders and of spend, in logs, as independent.

    Spend is a line in the customer's own mean; its log varies as those of the line's level and
    slope do, each in proportion to its part of the sum.
    """
    level = rows["level"] / spend
    slope = rows["slope"] * rows["monetary_value"] / spend
    found = {}
    for end, away in (("low", "down"), ("high", "up")):
        first, second = level * rows[f"level_{away}"], slope * rows[f"slope_{away}"]
        squared = first**2 + 2 * rows["alike"] * first * second + second**2
        orders = rows[f"orders_{away}"]
        more = (orders**2 + ibis.greatest(squared, 0.0)).sqrt() - orders
        sign = 1 if end == "high" else -1
        found[f"ltv_{end}"] = spend * rows[f"value_orders_{end}"] * (sign * more).exp()
    return found


def _by_history(fit: LtvFit, intervals: bool) -> pa.Table:
    """Return one row per unique history: what the models say of it.

    ``value_orders`` are discounted ones times the margin, ``level`` and ``slope`` the line of
    expected spend. What the engine multiplies are columns: a literal would make it calculate in
    decimals, slower and with fewer digits.
    """
    ahead, (alive, if_alive) = fit.ahead, fit._foretold
    orders, discounted = alive * if_alive
    frequency, recency, age = ahead.histories
    told = {
        "history": fit.base.told,
        "n_orders": frequency.astype(int) + 1,
        "days_since_last": (age - recency).astype(int),
    }
    points = {"p_alive": alive, "expected_orders": orders, "value_orders": discounted}
    found = dict(points)
    if intervals:
        for name, (low, high) in bounds(ahead, fit.replicates, points).items():
            found |= {f"{name}_low": low, f"{name}_high": high}
        for way, end in (("down", "low"), ("up", "high")):
            found[f"orders_{way}"] = np.abs(_log(found[f"value_orders_{end}"]) - _log(discounted))
    for name in found:
        if name.startswith("value_orders"):
            found[name] = found[name] * fit.margin
    return pa.table(told | found | _spends(fit, intervals))


def _spends(fit: LtvFit, intervals: bool) -> dict[str, Numbers]:
    """Return of each history the line of expected spend, and how far it may be off in logs."""
    frequency, count = told_apart(fit.ahead.histories[0])
    by_frequency = _by_frequency(fit, frequency, intervals)
    return {name: values[count] for name, values in by_frequency.items()}


def _by_frequency(fit: LtvFit, frequency: Numbers, intervals: bool) -> dict[str, Numbers]:
    point = np.stack(spend_line(fit._spend, frequency))
    line = {"level": point[0], "slope": point[1]}
    if not intervals:
        return line
    refits = _log(np.array([spend_line(spend, frequency) for _, spend in fit.replicates.pairs()]))
    low, high = around(_log(point), refits)
    (level_down, slope_down), (level_up, slope_up) = _log(point) - low, high - _log(point)
    one, other = np.moveaxis(refits - refits.mean(axis=0), 1, 0)
    scale = np.sqrt((one**2).sum(axis=0) * (other**2).sum(axis=0))
    return line | {
        "level_down": level_down,
        "level_up": level_up,
        "slope_down": slope_down,
        "slope_up": slope_up,
        "alike": (one * other).sum(axis=0) / np.maximum(scale, TINY),
    }


def _log(values: Numbers) -> Numbers:
    logs: Numbers = np.log(np.maximum(values, TINY))
    return logs


def segment_sums(fit: LtvFit) -> Numbers:
    """Return `LtvFit._sums`."""
    found = sums(fit.ahead, fit.base, *fit._foretold, fit._spend)
    return found * np.array([[1], [1], [fit.margin]])


def refitted_segment_sums(fit: LtvFit) -> Numbers:
    """Return `LtvFit._refitted_sums`."""
    found = sums_over(fit.ahead, fit.base, fit.replicates)
    return found * np.array([[1], [1], [fit.margin]])


def total(fit: LtvFit, intervals: bool) -> pd.DataFrame:
    """Return `LtvFit.total`."""
    names = ("expected_alive", "expected_orders", "ltv")
    point = fit._sums.sum(axis=1)
    row: dict[str, float] = {"n_customers": fit.n_customers}
    if not intervals:
        return pd.DataFrame([row | dict(zip(names, point.tolist(), strict=True))])
    refits = fit._refitted_sums.sum(axis=2)
    for name, value, low, high in zip(names, point, *around(point, refits), strict=True):
        row |= {name: value, f"{name}_low": low, f"{name}_high": high}
    worth = np.array([1.0, fit.margin])
    futures = worth * realised(fit.ahead, fit.base, fit.replicates, refits[:, 1:] / worth, fit.seed)
    lows, highs = around(point[1:], futures)
    for name, low, high in zip(("realised_orders", "realised"), lows, highs, strict=True):
        row |= {f"{name}_low": float(low), f"{name}_high": float(high)}
    return pd.DataFrame([row])


def segments(fit: LtvFit, intervals: bool) -> pd.DataFrame:
    """Return `LtvFit.segments`."""
    base = fit.base
    alive, orders, ltv = fit._sums
    n = np.bincount(base.cells["segment"], base.cells["n"])
    table = pd.DataFrame(
        {
            fit.by: base.segments,
            "n_customers": n.astype(int),
            "expected_alive": alive,
            "expected_orders": orders,
            "ltv": ltv,
            "ltv_per_customer": ltv / n,
        }
    )
    if intervals:
        low, high = around(ltv, fit._refitted_sums[:, 2])
        table = table.assign(
            ltv_low=low,
            ltv_high=high,
            ltv_per_customer_low=low / n,
            ltv_per_customer_high=high / n,
        )
    table = table.sort_values("ltv", ascending=False, ignore_index=True)
    return table[_in_order(list(table.columns))]


def deciles(fit: LtvFit) -> pd.DataFrame:
    """Return `LtvFit.deciles`."""
    rows = customers(fit, intervals=False)
    best_first = ibis.window(order_by=[rows["ltv"].desc(), rows["customer_id"]])
    rows = rows.mutate(decile=ibis.ntile(10).over(best_first) + 1)
    tenths = rows.group_by("decile").aggregate(
        n_customers=rows.count(),
        expected_orders=rows["expected_orders"].sum(),
        ltv=rows["ltv"].sum(),
    )
    table = tenths.order_by("decile").to_pandas()
    return table.assign(ltv_share=table["ltv"] / table["ltv"].sum())


def grid(fit: LtvFit) -> pd.DataFrame:
    """Return `LtvFit.grid`."""
    frequency, _, ages = fit.ahead.histories
    most = int(min(frequency.max(), MOST_ORDERS - 1))
    oldest = int(ages.max())
    days = np.arange(0, max(oldest - most, 1), max(1, round((oldest - most) / DAY_STEPS)))
    x, silent = (axis.ravel().astype(float) for axis in np.meshgrid(np.arange(most + 1), days))
    age = np.where(x > 0, oldest, silent)
    recency = np.where(x > 0, oldest - silent, 0.0)
    ahead = Ahead(fit.ahead.model, np.array([x, recency, age]), fit.horizon_days, 0.0)
    alive = ahead.p_alive(fit._values)
    return pd.DataFrame(
        {
            "n_orders": x.astype(int) + 1,
            "days_since_last": silent.astype(int),
            "p_alive": alive,
            "expected_orders": alive * ahead.if_alive(fit._values)[0],
        }
    )


def new_customer(fit: LtvFit, intervals: bool) -> pd.DataFrame:
    """Return `LtvFit.new_customer`."""
    names = ("expected_orders", "expected_spend", "ltv")
    ahead = Ahead(MODELS[fit.model], np.zeros((3, 1)), fit.horizon_days, fit.discount_rate)

    def worth(values: dict[str, float], money: dict[str, float]) -> list[float]:
        orders, discounted = ahead.p_alive(values) * ahead.if_alive(values)[:, 0]
        spend = float(spend_line(money, np.zeros(1))[0][0])
        return [float(orders), spend, fit.margin * spend * float(discounted)]

    point = np.array(worth(fit._values, fit._spend))
    if not intervals:
        return pd.DataFrame([dict(zip(names, point.tolist(), strict=True))])
    refits = np.array([worth(values, money) for values, money in fit.replicates.pairs()])
    row: dict[str, float] = {}
    for name, value, low, high in zip(names, point, *around(point, refits), strict=True):
        row |= {name: value, f"{name}_low": low, f"{name}_high": high}
    return pd.DataFrame([row])
