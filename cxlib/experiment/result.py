"""What an experiment answers, and the one sentence that says it."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from cxlib._checks import check_duration
from cxlib._published import doubted, fit_to_show
from cxlib.experiment.distribution import distribution
from cxlib.experiment.over_time import novelty, over_time
from cxlib.experiment.question import Question
from cxlib.experiment.rule import Rule
from cxlib.experiment.words import (
    ADJUSTED,
    interval_of,
    notes_of,
    p_in_words,
    percent,
    shown,
    unit_of,
)
from cxlib.show import Shown, told


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
    segments : pandas.DataFrame or None
        One row per metric, treatment and segment of each column of ``by``; None without.
    split : pandas.DataFrame
        One row per variant: units, and their share against the planned one.
    as_of : datetime.date or None
        The last observed day, included.
    """

    table: pd.DataFrame
    arms: pd.DataFrame
    checks: pd.DataFrame
    segments: pd.DataFrame | None
    split: pd.DataFrame
    verdict: str
    control: str
    as_of: dt.date | None
    _question: Question = field(repr=False)

    @property
    def alpha(self) -> float:
        """1 - the confidence of the intervals."""
        return self._question.rule.alpha

    def over_time(self, *, n_dates: int = 14) -> pd.DataFrame:
        """Return the effect as it stood at the end of each of some days, up to ``as_of``.

        Each day is asked as `cxlib.experiment` would have been then, with the same declaration.

        Parameters
        ----------
        n_dates : int, default 14
            At most so many days, evenly spread.

        Returns
        -------
        pandas.DataFrame
            One row per metric, treatment and day on which there is an interval: ``metric``,
            ``variant``, ``date``, ``n``, ``n_control``, ``difference``, ``ci_low``, ``ci_high``,
            ``lift``, ``lift_low``, ``lift_high``. With ``planned_units`` all days' intervals hold
            together (a confidence sequence), else each by itself: they may not be used to stop.

        Raises
        ------
        ParameterError
            The rows carry the metrics and have no times, or ``n_dates`` is out of range.
        """
        return doubted(over_time(self._question, self._variants, n_dates), self.doubt)

    def novelty(self, *, n_days: int = 14) -> pd.DataFrame:
        """Return the effect by day since first exposure: does it fade, or grow?

        Parameters
        ----------
        n_days : int, default 14
            How many days, the first 24 hours being day 0.

        Returns
        -------
        pandas.DataFrame
            One row per metric (no quantiles), treatment and day: ``metric``, ``variant``, ``day``,
            ``n``, ``n_control`` (units whose day is over by ``as_of``), ``difference`` of what
            units did on that day (of a conversion: converted for the first time), ``ci_low``,
            ``ci_high``, ``lift``, ``lift_low``, ``lift_high``; each interval by itself, CUPED and
            caps left away.

        Raises
        ------
        ParameterError
            The rows carry the metrics and have no times, or ``n_days`` is out of range.
        """
        return doubted(novelty(self._question, self._variants, n_days), self.doubt)

    def distribution(self, metric: str | None = None, *, n_bins: int = 20) -> pd.DataFrame:
        """Return how a metric is spread over units.

        Parameters
        ----------
        metric : str, optional
            Its name; the first one that is no ratio, if not given.
        n_bins : int, default 20
            Bins of equal width; the last one reaches to the largest value and holds what is
            beyond the 99 % quantile of all units.

        Returns
        -------
        pandas.DataFrame
            One row per variant and bin: ``metric``, ``variant``, ``low``, ``high``, ``n_units``,
            ``share`` of the variant's units.

        Raises
        ------
        ParameterError
            The metric is not known, or a ratio.
        """
        return doubted(distribution(self._question, metric, n_bins), self.doubt)

    @property
    def doubt(self) -> str | None:
        """Which check failed, so that the effects are no basis for a decision; None if none did.

        Tables of effects carry this along: `show` and the plots say it, and a published page
        withholds their numbers.
        """
        return doubt(self.checks)

    @property
    def _variants(self) -> list[str]:
        return list(self.split["variant"])

    def __repr__(self) -> str:
        return f"ExperimentResult({self.verdict!r})"

    def _repr_html_(self) -> str:
        failed = self.checks.loc[~self.checks["passed"], ["check", "detail"]]
        fit = fit_to_show(self.table)
        if fit.small.any():
            return told(f"No verdict is shown. {fit.note}")
        parts: list[Any] = [failed] if len(failed) else []
        if not len(fit.table):
            return told(self.verdict, *parts, beside=fit.note)
        below = " ".join(
            filter(None, [fit.note, notes_of(self.table, _adjusted_for(self._question))])
        )
        parts.append(
            Shown(shown(self.table, self._question.rule), below, words=("metric", "variant"))
        )
        return told(self.verdict, *parts)


def doubt(checks: pd.DataFrame) -> str | None:
    """Return `ExperimentResult.doubt`."""
    failed = checks.loc[~checks["passed"], "check"]
    return f"the check '{failed.iloc[0]}' failed: see the verdict." if len(failed) else None


def verdict(table: pd.DataFrame, checks: pd.DataFrame, rule: Rule, is_over: bool = False) -> str:
    """Return the one sentence; primary metrics decide, and a failed check withholds it.

    Ship: a primary metric gets better, none gets worse, and every guardrail keeps its margin. Do
    not ship: in every treatment something gets worse, or a guardrail is shown to pass its margin;
    or the plan ``is_over`` and nothing is shown. Keep running: all else. Better and worse are by
    adjusted p values.
    """
    failed = checks[~checks["passed"]]
    if len(failed):
        return f"Cannot be trusted: {failed['check'].iloc[0]}: {failed['detail'].iloc[0]}"
    table = _judged(table, rule.alpha)
    worse, unkept = table[table["is_worse"]], table[table["is_unkept"]]
    first = table[table["role"] == "primary"]
    safe = first[~first["variant"].isin(worse["variant"])]
    rises = safe[safe["is_better"]]
    ready = rises[~rises["variant"].isin(unkept["variant"])]
    if len(ready):
        best = ready.sort_values("chance_best", na_position="first").iloc[-1]
        once = rule.is_planned or rule.sequential is not None
        only = "" if once else " This holds if it is the one look that was planned."
        return (
            f"Ship {best['variant']}: {_told(best, rule)}; no metric is shown to get worse.{only}"
        )
    if not len(safe):
        worst = worse.sort_values("p_adjusted").iloc[0]
        return f"Do not ship {worst['variant']}: {_told(worst, rule)}."
    if len(rises):
        guardrail = unkept[unkept["variant"] == rises["variant"].iloc[0]].iloc[0]
        return f"Keep running: {_unkept(guardrail)}, though {_told(rises.iloc[0], rule)}."
    closest = safe.sort_values("p_value", na_position="last").iloc[0]
    if math.isnan(closest["p_value"]):
        return f"Keep running: {closest['metric']} has no answer yet ({closest['note']})."
    nearest = f"{closest['variant']}: {_told(closest, rule)}"
    change = "lower" if closest["better"] == "lower" else "lift"
    said = f"no variant is shown to {change} {closest['metric']} ({nearest})"
    if closest["p_equivalence"] < rule.alpha:
        return f"Do not ship: {closest['metric']} is the same within what was set ({nearest})."
    if is_over:
        return f"Do not ship: the planned end is reached, and {said}."
    return f"Keep running: {said}."


def _judged(table: pd.DataFrame, alpha: float) -> pd.DataFrame:
    """Return the table with what is shown of each row: better, worse, or a margin not kept yet."""
    gain = table["difference"].where(table["better"] == "higher", -table["difference"])
    bounded = (table["role"] == "guardrail") & table["margin"].notna()
    sure = table["p_adjusted"] < alpha
    passed = bounded & (table["p_margin"] > 1 - alpha / 2)
    return table.assign(
        is_better=sure & (gain > 0),
        is_worse=(sure & (gain < 0) & ~bounded) | passed,
        is_unkept=bounded & ~(table["p_margin"] < alpha / 2),
    )


def _unkept(row: pd.Series) -> str:
    side = "below" if row["margin"] < 0 else "above"
    return (
        f"{row['metric']} of {row['variant']} is not yet shown to stay within its margin "
        f"(lift {percent(row['lift'])}, interval {interval_of(row['lift_low'], row['lift_high'], percent)}, "
        f"not {side} {row['margin']:+.1%})"
    )


def _told(row: pd.Series, rule: Rule) -> str:
    moves = "rises" if row["difference"] > 0 else "falls" if row["difference"] < 0 else "stays"
    text = unit_of(row)
    values = f"from {text(row['value_control'])} to {text(row['value'])}"
    if math.isnan(row["lift_adjusted_low"]) or math.isnan(row["lift_adjusted_high"]):
        effect = f"difference {text(row['difference'])}"
        interval = interval_of(row["adjusted_low"], row["adjusted_high"], text)
    else:
        effect = f"lift {percent(row['lift'])}"
        interval = interval_of(row["lift_adjusted_low"], row["lift_adjusted_high"], percent)
    level = f"{100 * (1 - rule.alpha):g}%"
    p_value = p_in_words(row["p_adjusted"])
    p_value = p_value if p_value.startswith("<") else f"= {p_value}"
    said = f"{row['metric']} {moves} {values}, {effect}"
    return f"{said}, {ADJUSTED[rule.adjust]}{level} interval {interval}, p {p_value}"


def _adjusted_for(question: Question) -> dict[str, str]:
    """Return in words what CUPED takes away from each metric that has ``before``."""
    found = {}
    for metric in question.metrics:
        before = metric.covariate
        if isinstance(before, tuple):
            found[metric.label] = f"adjusted (CUPED) for {' / '.join(before)}"
        elif question.logs is None and before is not None:
            found[metric.label] = f"adjusted (CUPED) for {before}"
        elif before is not None:
            days = check_duration("before", before) / dt.timedelta(days=1)
            found[metric.label] = (
                f"adjusted (CUPED) for the same in the {days:g} days before exposure"
            )
    return found
