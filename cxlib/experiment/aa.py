"""Whether a declaration keeps its promise: random splits of history, in which nothing differs."""

from __future__ import annotations

import datetime as dt
import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cxlib._checks import DataError, ParameterError, check_number
from cxlib._intervals import wilson
from cxlib._watched import progress
from cxlib.experiment.caps import with_caps
from cxlib.experiment.compare import counts_of
from cxlib.experiment.effects import Pair, p_value
from cxlib.experiment.estimate import estimate
from cxlib.experiment.history import read_history
from cxlib.experiment.metrics import Metric, check_metrics
from cxlib.experiment.samples import Reduced
from cxlib.experiment.splits import ARMS, Splitter, groups_of, in_groups
from cxlib.experiment.sums import reduce_units
from cxlib.show import told
from cxlib.sources import Source

__all__ = ["AATest", "aa_test"]

FEWEST_UNITS = 100
FEWEST_SPLITS, MOST_SPLITS = 100, 10_000
SURE = 0.01


@dataclass(frozen=True, eq=False)
class AATest:
    """A self-check; made by `cxlib.aa_test`, which documents the columns.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per metric.
    splits : pandas.DataFrame
        One row per metric and split.
    verdict : str
        One sentence.
    alpha : float
        The promised rate of false alarms.
    """

    table: pd.DataFrame
    splits: pd.DataFrame
    verdict: str
    alpha: float

    def __repr__(self) -> str:
        return f"AATest({self.verdict!r})"

    def _repr_html_(self) -> str:
        return told(self.verdict, self.table)


def aa_test(
    history: Source,
    *,
    metrics: Sequence[Metric],
    orders: Source | None = None,
    events: Source | None = None,
    start: str | dt.date | None = None,
    as_of: str | dt.date | None = None,
    unit: str | None = None,
    stratify: str | None = None,
    split_by: str | None = None,
    share: float = 0.5,
    alpha: float = 0.05,
    n_splits: int = 500,
    seed: int = 0,
) -> AATest:
    """Run an experiment's declaration on random splits of history, and count its false alarms.

    Nothing differs between the two arms of a random split, so p < alpha must come out on a share
    of alpha of them. More says that errors are understated: mostly, that rows were analysed
    which are finer than what is randomised.

    Parameters
    ----------
    history : Cleaned, ibis table, pandas frame, …
        Orders (units are customers), events or exposures (units are users; variants are not
        looked at), or a table with one row per unit that carries the metrics.
    metrics : list of Conversion, Mean, Ratio or Quantile
        As in `cxlib.experiment`.
    orders, events : table, optional
        What units did, as in `cxlib.experiment`; history itself, where it is orders or events.
    start : str or date, optional
        The first day on which units enter; by default as soon as every ``before`` is full.
    as_of : str or date, optional
        The last observed day, included. Needed unless history carries the metrics.
    unit : str, optional
        As in `cxlib.experiment`: the rows of a table that carries the metrics are finer than this.
    stratify : str, optional
        As in `cxlib.experiment`: a column of few values of history.
    split_by : str, optional
        What is randomised, where it is not the row: a column of a table that carries the metrics.
        Rows are then analysed as they are declared, and split as they would be.
    share : float, default 0.5
        The first arm's share of the units.
    alpha : float, default 0.05
        The level of each test; p values are not adjusted.
    n_splits : int, default 500
        From 100 to 10,000.
    seed : int, default 0
        Of the splits.

    Returns
    -------
    AATest
        ``.table``, one row per metric: ``metric``, ``kind``, ``n_units`` (that have a value),
        ``n_splits`` (that gave a p value), ``n_false`` (p < alpha), ``false_positive_rate``,
        ``ci_low``, ``ci_high`` (Wilson, 95 %), ``error_ratio`` (root mean square of the test
        statistic: 1 where standard errors are right, 2 where they are half of what they should
        be), ``passed``. ``.splits``, one row per metric and split: ``metric``, ``split``, ``n``,
        ``n_control``, ``value``, ``value_control``, ``difference``, ``p_value``.
        ``.verdict``, one sentence.

    Raises
    ------
    ParameterError
        Fewer than 100 or more than 10,000 splits, ``as_of`` missing, or an option that the kind
        of history has no use for.
    ColumnError
        A column of the metrics, ``unit`` or ``split_by`` is missing, or not numeric.
    DataError
        Fewer than 100 units, or than 100 values of ``split_by``.

    Notes
    -----
    A metric fails where a score test at 0.01, divided by the number of metrics (Bonferroni), tells
    its false-positive rate from alpha, so that a sound declaration passes 99 times of 100.

    Units are hashed into 8,192 random groups (1,024 with ``stratify``), whose sums one query
    takes; each split sends the groups to the arms by chance, and its samples, estimates and p
    values are those that `cxlib.experiment` would find. That groups stand for units adds to the
    rate of false alarms an error of 0.0013 (0.004) at alpha 0.05. Kohavi, Tang & Xu (2020), "Trustworthy Online
    Controlled Experiments", ch. 19.

    Examples
    --------
    >>> import cxlib as cx, numpy as np, pandas as pd
    >>> rng = np.random.default_rng(1)
    >>> users = rng.integers(0, 2000, 12000)
    >>> spend = rng.gamma(1, 20, 2000)[users] + rng.normal(0, 5, 12000)
    >>> sessions = pd.DataFrame({"user_id": users, "spend": spend})
    >>> wrong = cx.aa_test(sessions, metrics=[cx.Mean("spend")], split_by="user_id")
    >>> wrong.verdict.split(" shows")[0]
    'Cannot be trusted: spend'
    >>> right = cx.aa_test(sessions, metrics=[cx.Mean("spend")], unit="user_id")
    >>> right.table[["metric", "n_units", "n_splits", "passed"]]
      metric  n_units  n_splits  passed
    0  spend     1997       500    True
    """
    metrics = check_metrics(metrics)
    check_number("alpha", alpha, 0, 0.5, open_low=True)
    check_number("share", share, 0.01, 0.99)
    if isinstance(n_splits, bool) or not isinstance(n_splits, numbers.Integral):
        raise ParameterError(f"n_splits={n_splits!r} is not a whole number")
    check_number("n_splits", n_splits, FEWEST_SPLITS, MOST_SPLITS)
    past = read_history(
        history,
        metrics,
        orders=orders,
        events=events,
        start=start,
        as_of=as_of,
        unit=unit,
        stratify=stratify,
        split_by=split_by,
        apart=True,
    )
    units = with_caps(in_groups(past.units, past.who, seed), metrics)
    reduced = reduce_units(units, metrics, past.as_of)
    _check_enough(reduced, metrics, split_by)
    splitter = Splitter(units, reduced, metrics, share)
    rng = np.random.default_rng(seed)
    lines = [
        line
        for number in progress(range(n_splits), "random splits")
        for line in _lines(splitter.reduced(rng), metrics, number)
    ]
    splits = pd.DataFrame(lines)
    table = pd.DataFrame([_row(metric, splits, alpha, len(metrics)) for metric in metrics])
    return AATest(table, splits, _verdict(table, alpha, n_splits), alpha)


def _check_enough(reduced: Reduced, metrics: Sequence[Metric], split_by: str | None) -> None:
    if split_by is not None and (n_groups := len(groups_of(reduced)[0])) < FEWEST_UNITS // 2:
        raise DataError(
            f"split_by={split_by!r}: it holds some {n_groups} values only; at least {FEWEST_UNITS} are "
            "needed for splits that differ"
        )
    for place, metric in enumerate(metrics):
        n = sum(cell.samples[place].n for cell in reduced.cells)
        if n < FEWEST_UNITS:
            raise DataError(
                f"metric {metric.label!r}: {n:,.0f} units of history have a value (a window that is "
                f"not over has none); at least {FEWEST_UNITS} are needed"
            )


def _lines(reduced: Reduced, metrics: Sequence[Metric], number: int) -> list[dict[str, Any]]:
    """Return each metric's comparison of the two arms of one split."""
    lines = []
    for place, metric in enumerate(metrics):
        found = estimate(reduced, metric, place).arms
        arm, base = (found[name] for name in ARMS)
        lines.append(
            {
                "metric": metric.label,
                "split": number,
                "n": int(arm.n),
                "n_control": int(base.n),
                "value": arm.mean,
                "value_control": base.mean,
                "difference": arm.mean - base.mean,
                "p_value": p_value(Pair(arm, base, counts_of(reduced, metric, place)))
                if min(arm.n, base.n) > 1
                else math.nan,
            }
        )
    return lines


def _row(metric: Metric, splits: pd.DataFrame, alpha: float, n_metrics: int) -> dict[str, Any]:
    from scipy.stats import norm

    own = splits[splits["metric"] == metric.label]
    p_values = own["p_value"].dropna().to_numpy()
    n, n_false = len(p_values), int((p_values < alpha).sum())
    rate, low, high = (float(part[0]) for part in wilson([n_false], [n]))
    passed = False
    if n:
        error = math.sqrt(alpha * (1 - alpha) / n)
        passed = bool(2 * norm.sf(abs(rate - alpha) / error) >= SURE / n_metrics)
    return {
        "metric": metric.label,
        "kind": metric.kind,
        "n_units": int((own["n"] + own["n_control"]).max()),
        "n_splits": n,
        "n_false": n_false,
        "false_positive_rate": rate,
        "ci_low": low,
        "ci_high": high,
        "error_ratio": math.sqrt(np.mean(norm.isf(p_values / 2) ** 2)) if n else math.nan,
        "passed": passed,
    }


def _verdict(table: pd.DataFrame, alpha: float, n_splits: int) -> str:
    failed = table[~table["passed"]]
    on = f"of {n_splits:,} splits in which nothing differs"
    if failed.empty:
        rates = dict.fromkeys(f"{rate:.1%}" for rate in sorted(table["false_positive_rate"]))
        first, *others = rates
        shown = f"{first} to {others[-1]}" if others else first
        return f"Can be trusted: p < {alpha:g} on {shown} {on}, as promised."
    off = (failed["false_positive_rate"] - alpha).abs().fillna(2)
    worst = failed.iloc[int(off.to_numpy().argmax())]
    name = f"Cannot be trusted: {worst['metric']}"
    if not worst["n_splits"]:
        return f"{name} does not vary between units: it gives no p value."
    shown = (
        f"{name} shows p < {alpha:g} on {worst['false_positive_rate']:.1%} {on}, 95% interval "
        f"{worst['ci_low']:.1%} to {worst['ci_high']:.1%}: "
    )
    if worst["false_positive_rate"] > alpha:
        return shown + (
            f"its standard errors would have to be {worst['error_ratio']:.2g} times as large. Are rows "
            "analysed that are finer than what is randomised (unit=)?"
        )
    return shown + "it is safe, but sees less than it could."
