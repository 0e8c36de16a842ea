"""What an experiment answers, and the one sentence that says it."""

from __future__ import annotations

import datetime as dt
import html
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True, eq=False)
class ExperimentResult:
    """An experiment's answer; made by `cxlib.experiment`, which documents the columns.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per metric and treatment.
    arms : pandas.DataFrame
        One row per metric and variant, control included.
    checks : pandas.DataFrame
        One row per check, failed ones first.
    verdict : str
        One sentence: ship, do not ship, keep running, or cannot be trusted and why.
    control : str
        The variant that the others are compared with.
    alpha : float
        1 - the confidence of the intervals.
    as_of : datetime.date or None
        The last observed day, included.
    """

    table: pd.DataFrame
    arms: pd.DataFrame
    checks: pd.DataFrame
    verdict: str
    control: str
    alpha: float
    as_of: dt.date | None

    def __repr__(self) -> str:
        return f"ExperimentResult({self.verdict!r})"

    def _repr_html_(self) -> str:
        failed = self.checks.loc[~self.checks["passed"], ["check", "detail"]]
        checks = failed.to_html(index=False) if len(failed) else ""
        numbers = _shown(self.table, self.alpha).to_html(index=False)
        return f"<p><strong>{html.escape(self.verdict)}</strong></p>{checks}{numbers}"


def verdict(table: pd.DataFrame, checks: pd.DataFrame, alpha: float) -> str:
    """Return the one sentence; the first metric decides, and a failed check withholds it.

    Ship: the first metric rises and none falls, by adjusted p values. Do not ship: something
    falls in every treatment. Keep running: all else.
    """
    failed = checks[~checks["passed"]]
    if len(failed):
        return f"Cannot be trusted: {failed['check'].iloc[0]}: {failed['detail'].iloc[0]}"
    moved = table[table["p_adjusted"] < alpha]
    falls = moved[moved["difference"] < 0]
    first = table[table["metric"] == table["metric"].iloc[0]]
    safe = first[~first["variant"].isin(falls["variant"])]
    rises = safe[(safe["p_adjusted"] < alpha) & (safe["difference"] > 0)]
    if len(rises):
        best = rises.sort_values("difference").iloc[-1]
        return f"Ship {best['variant']}: {_told(best, alpha)}; no metric is shown to fall."
    if not len(safe):
        worst = falls.sort_values("p_adjusted").iloc[0]
        return f"Do not ship {worst['variant']}: {_told(worst, alpha)}."
    closest = safe.sort_values("p_value", na_position="last").iloc[0]
    if math.isnan(closest["p_value"]):
        return f"Keep running: {closest['metric']} has no answer yet ({closest['note']})."
    nearest = f"{closest['variant']}: {_told(closest, alpha)}"
    return f"Keep running: no variant is shown to lift {closest['metric']} ({nearest})."


def _told(row: pd.Series, alpha: float) -> str:
    moves = "rises" if row["difference"] > 0 else "falls" if row["difference"] < 0 else "stays"
    values = f"from {_number(row['value_control'])} to {_number(row['value'])}"
    if math.isnan(row["lift_low"]) or math.isnan(row["lift_high"]):
        effect = f"difference {_number(row['difference'])}"
        interval = _interval(row["ci_low"], row["ci_high"], _number)
    else:
        effect = f"lift {_percent(row['lift'])}"
        interval = _interval(row["lift_low"], row["lift_high"], _percent)
    level = f"{100 * (1 - alpha):g}%"
    p_value = f"Holm-adjusted p = {row['p_adjusted']:.2g}"
    return f"{row['metric']} {moves} {values}, {effect}, {level} interval {interval}, {p_value}"


def _shown(table: pd.DataFrame, alpha: float) -> pd.DataFrame:
    """Return the table as a reader wants it: rounded, each interval in one cell."""
    level = f"{100 * (1 - alpha):g}%"
    lines: list[dict[str, Any]] = [
        {
            "metric": row["metric"],
            "variant": row["variant"],
            "units": f"{row['n']:,} vs {row['n_control']:,}",
            "value": f"{_number(row['value'])} vs {_number(row['value_control'])}",
            "difference": _number(row["difference"]),
            f"{level} interval": _interval(row["ci_low"], row["ci_high"], _number),
            "lift": _percent(row["lift"]),
            f"{level} interval of lift": _interval(row["lift_low"], row["lift_high"], _percent),
            "p, Holm-adjusted": "–"
            if math.isnan(row["p_adjusted"])
            else f"{row['p_adjusted']:.2g}",
            "note": row["note"],
        }
        for _, row in table.iterrows()
    ]
    shown = pd.DataFrame(lines)
    return shown if shown["note"].any() else shown.drop(columns="note")


def _number(value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:+.1%}"


def _interval(low: float, high: float, text: Callable[[float], str]) -> str:
    return "–" if math.isnan(low) and math.isnan(high) else f"{text(low)} to {text(high)}"
