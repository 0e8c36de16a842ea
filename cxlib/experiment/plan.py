"""What a plan answers: its one row, its variants, its power curve and the sentence that says it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from cxlib.experiment.baseline import Known
from cxlib.experiment.metrics import Metric, window
from cxlib.experiment.power import Baseline, Design, fewest_units, power_of
from cxlib.show import told


@dataclass(frozen=True, eq=False)
class ExperimentPlan:
    """A plan; made by `cxlib.plan_experiment`, which documents the columns.

    Attributes
    ----------
    table : pandas.DataFrame
        One row: what is known, what is asked, and what follows.
    arms : pandas.DataFrame
        One row per variant, control first.
    curve : pandas.DataFrame
        One row per number of units and lift: the power.
    verdict : str
        One sentence.
    """

    table: pd.DataFrame
    arms: pd.DataFrame
    curve: pd.DataFrame
    verdict: str

    def __repr__(self) -> str:
        return f"ExperimentPlan({self.verdict!r})"

    def _repr_html_(self) -> str:
        return told(self.verdict, self.arms.assign(n_units=self.arms["n_units"].round()))


def make_plan(
    metric: Metric,
    known: Known,
    traffic: float | None,
    alpha: float,
    shares: Mapping[str, float],
    design: Design,
    difference: float,
    n_units: float,
    power: float,
) -> ExperimentPlan:
    """Return the plan of a difference, units of all arms and power that belong together."""
    base, within = known.base, window(metric)
    line: dict[str, Any] = {
        "metric": metric.label,
        "kind": metric.kind,
        "baseline": base.mean,
        "variance": base.variance,
        "saving": base.saving,
        "lift": difference / abs(base.mean) if base.mean else math.nan,
        "difference": difference,
        "target": base.mean + difference,
        "power": power,
        "alpha": alpha,
        "alpha_each": design.alpha,
        "n_units": n_units,
        "n_control": n_units * design.share_control,
        "n_treatment": n_units * design.share,
        "units_per_day": math.nan if traffic is None else traffic,
        "days": math.nan if traffic is None else n_units / traffic,
        "days_after": within.total_seconds() / 86400 if within else 0.0,
        "note": known.note,
    }
    arms = pd.DataFrame({"variant": list(shares), "share": list(shares.values())})
    arms["n_units"] = arms["share"] * n_units
    return ExperimentPlan(
        table=pd.DataFrame([line]),
        arms=arms,
        curve=_curve(base, difference, n_units, design),
        verdict=_verdict(line, arms, _share if base.is_proportion else "{:.4g}".format),
    )


def _curve(base: Baseline, difference: float, n_units: float, design: Design) -> pd.DataFrame:
    """Return the power at half, once and twice the units, up to twice the effect."""
    lines = []
    for factor in (0.5, 1.0, 2.0):
        size = max(n_units * factor, fewest_units(design))
        for step in range(41):
            change = difference * step / 20
            if base.is_proportion and not 0 <= base.mean + change <= 1:
                break
            lines.append(
                {
                    "n_units": size,
                    "lift": change / abs(base.mean) if base.mean else math.nan,
                    "difference": change,
                    "power": power_of(base, change, size, design),
                    "is_plan": factor == 1 and step == 20,
                }
            )
    return pd.DataFrame(lines)


def _share(value: float) -> str:
    return f"{100 * value:.3g}%"


def _verdict(line: Mapping[str, Any], arms: pd.DataFrame, text: Callable[[float], str]) -> str:
    sizes = [math.ceil(round(size, 6)) for size in arms["n_units"]]
    parts = f"{sizes[0]:,} in each variant"
    if len(set(sizes)) > 1:
        parts = ", ".join(
            f"{name} {size:,}" for name, size in zip(arms["variant"], sizes, strict=True)
        )
    effect = f"a difference of {line['difference']:.4g}"
    if not math.isnan(line["lift"]):
        effect = f"a lift of {100 * line['lift']:+.3g}%"
    values = f"from {text(line['baseline'])} to {text(line['target'])}"
    alpha = f"alpha {line['alpha']:g}"
    if line["alpha_each"] != line["alpha"]:
        alpha += f" ({line['alpha_each']:.3g} for each comparison)"
    saved = f" CUPED saves {line['saving']:.0%} of the variance." if line["saving"] else ""
    took = ""
    if not math.isnan(line["days"]):
        days = math.ceil(round(line["days"], 6))
        took = f": {days:,} days at {line['units_per_day']:,.4g} units a day"
        if line["days_after"]:
            took += f", and {line['days_after']:g} more until the last window is over"
    return (
        f"{sum(sizes):,} units ({parts}) detect {effect} in {line['metric']}, {values}, with "
        f"{100 * line['power']:.3g}% power at {alpha}{took}.{saved}"
    )
