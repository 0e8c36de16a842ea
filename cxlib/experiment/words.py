"""The answer of an experiment as a reader wants it: rounded, each number with its interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from cxlib.experiment.rule import Rule
from cxlib.show import UNIT

ADJUSTED = {
    "holm": "Holm-adjusted ",
    "bh": "Benjamini-Hochberg-adjusted ",
    "by": "Benjamini-Yekutieli-adjusted ",
    None: "",
}


def notes_of(table: pd.DataFrame, adjusted: Mapping[str, str]) -> str:
    """Return what stands below the table: of which metric there is more to say."""
    said = {
        f"{row['metric']}: {note}."
        for _, row in table.iterrows()
        for note in (adjusted.get(row["metric"]), _margin(row), row["note"])
        if note
    }
    return " ".join(sorted(said))


def shown(table: pd.DataFrame, rule: Rule) -> pd.DataFrame:
    """Return the table as a reader wants it: rounded, each number with its interval in one cell.

    A single treatment is named by the verdict above it.
    """
    level = f"{100 * (1 - rule.alpha):g}%"
    lines: list[dict[str, Any]] = []
    for _, row in table.iterrows():
        text = unit_of(row)
        lifts = interval_of(row["lift_low"], row["lift_high"], percent)
        line = {
            "metric": row["metric"],
            "variant": row["variant"],
            "units": f"{row['n']:,} vs {row['n_control']:,}",
            "value": f"{text(row['value'])} vs {text(row['value_control'])}",
            f"difference ({level} interval)": _difference(row, text),
            f"lift ({level} interval)": f"{percent(row['lift'])} ({lifts})",
            f"{ADJUSTED[rule.adjust]}p": p_in_words(
                row["p_margin" if _is_guarded(row) else "p_adjusted"]
            ),
            "chance to beat control": _chance(row["chance_to_beat"]),
            "expected loss": text(row["expected_loss"]),
        }
        lines.append(
            {name: _together(value) if "(" in name else value for name, value in line.items()}
        )
    found = pd.DataFrame(lines)
    return found if found["variant"].nunique() > 1 else found.drop(columns="variant")


def _together(text: str) -> str:
    """Return a cell of which no interval is broken into lines, and none is shown that is not known."""
    return text.replace(" (–)", "").replace(" to ", "\u00a0to\u00a0")


def _difference(row: pd.Series, text: Callable[[float], str]) -> str:
    """Return the difference and its interval; that of two shares in percentage points."""
    is_share, low, high = text is _share, row["ci_low"], row["ci_high"]
    if is_share and not math.isnan(row["difference"]):
        value, text = f"{100 * row['difference']:+.3g}{UNIT}", _in_points
    else:
        value = text(row["difference"])
    return f"{value} ({interval_of(low, high, text)})"


def _in_points(value: float) -> str:
    return f"{100 * value:+.3g}"


def _is_guarded(row: pd.Series) -> bool:
    return row["role"] == "guardrail" and not math.isnan(row["margin"])


def _margin(row: pd.Series) -> str:
    return f"p is the doubt that its margin of {row['margin']:+.0%} is kept" * _is_guarded(row)


def unit_of(row: pd.Series) -> Callable[[float], str]:
    """Return how a metric's own numbers are written: shares in per cent."""
    return _share if row["kind"] == "proportion" else _number


def _number(value: float) -> str:
    if math.isnan(value):
        return "–"
    if 0 < value < 1e-4:
        return "< 0.0001"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _share(value: float) -> str:
    if math.isnan(value):
        return "–"
    return "< 0.01%" if 0 < value < 1e-4 else f"{100 * value:.3g}%"


def _chance(value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:.1%}" if 0.001 <= value <= 0.999 else "> 99.9%" if value > 0.5 else "< 0.1%"


def percent(value: float) -> str:
    """Return a relative change with its sign."""
    return "–" if math.isnan(value) else f"{value:+.1%}"


def p_in_words(value: float) -> str:
    """Return a p value with two digits."""
    if math.isnan(value):
        return "–"
    return f"{value:.2g}" if value >= 1e-4 else "< 0.0001"


def interval_of(low: float, high: float, text: Callable[[float], str]) -> str:
    """Return both ends, each as ``text`` writes it."""
    return "–" if math.isnan(low) and math.isnan(high) else f"{text(low)} to {text(high)}"
