"""From one row per user to one row per step: counts in the engine, then rates and intervals."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib._intervals import wilson
from cxlib.funnel.moments import microseconds_between
from cxlib.funnel.rule import Rule

QUARTILES = {"q1_seconds": 0.25, "median_seconds": 0.5, "q3_seconds": 0.75}
COUNTS = (
    "step",
    "event",
    "n",
    "rate",
    "ci_low",
    "ci_high",
    "step_rate",
    "step_ci_low",
    "step_ci_high",
    "n_dropped",
)


def users_at_steps(users: ir.Table, rule: Rule) -> dict[str, ir.Value]:
    """Return the numbers of users at each step, ``n_1`` …, and of those left out."""
    return {
        "n_open": (users["depth"] == 0).sum(),
        "n_excluded": (users["depth"] == -1).sum(),
        **{name: took(users, k).sum() for k, name in enumerate(numbers_of(rule), start=1)},
    }


def numbers_of(rule: Rule) -> list[str]:
    """Return what the numbers of users at each step are called."""
    return [f"n_{k}" for k in range(1, len(rule.steps) + 1)]


def took(users: ir.Table, k: int) -> ir.BooleanValue:
    """Say which users took step ``k`` (from 1) in their deepest attempt."""
    return (users["depth"] >= k) & users[f"at_{k}"].notnull()


def quartiles_between_steps(users: ir.Table, rule: Rule) -> dict[str, ir.Value]:
    """Return the quartiles of the microseconds from the step taken before: ``passed_2`` …"""
    answers = {}
    for k in range(2, len(rule.steps) + 1):
        before = ibis.coalesce(*(users[f"at_{j}"] for j in range(k - 1, 0, -1)))
        passed = microseconds_between(before, users[f"at_{k}"])
        answers[f"passed_{k}"] = passed.quantile(list(QUARTILES.values()))
    return answers


def laid_out(counts: pd.DataFrame, rule: Rule, keys: Sequence[str], alpha: float) -> pd.DataFrame:
    """Turn one wide row per group into one row per group and step, with rates and intervals."""
    parts = []
    for k, step in enumerate(rule.steps, start=1):
        n, before = counts[f"n_{k}"], _required_before(counts, rule, k)
        part = counts[list(keys)].assign(step=k, event=step.name, n=n)
        part["rate"], part["ci_low"], part["ci_high"] = wilson(n, counts["n_1"], alpha)
        part["step_rate"], part["step_ci_low"], part["step_ci_high"] = wilson(
            n, 0 if before is None else before, alpha
        )
        dropped = None if before is None or step.optional else before - n
        part["n_dropped"] = pd.array([pd.NA] * len(n), "Int64") if dropped is None else dropped
        parts.append(part.join(_quartiles(counts, k)))
    table = pd.concat(parts).sort_index(kind="stable")
    left_out = counts[["n_open", "n_excluded"]].astype("int64")
    return table.astype({"n": "int64"}).join(left_out).reset_index(drop=True)


def _quartiles(counts: pd.DataFrame, k: int) -> pd.DataFrame:
    """Return the three quartiles as columns; null where nobody came that far."""
    if "passed_2" not in counts:
        return counts[[]]
    found = counts[f"passed_{k}"] if k > 1 else [None] * len(counts)
    rows = [[None] * 3 if three is None else list(three) for three in found]
    return pd.DataFrame(rows, counts.index, list(QUARTILES), dtype="float64") / 1e6


def _required_before(counts: pd.DataFrame, rule: Rule, k: int) -> pd.Series | None:
    """Return the users at the last step before ``k`` (from 1) that is not optional."""
    before = rule.required_before(k)
    return counts[f"n_{before}"] if before else None
