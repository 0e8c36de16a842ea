"""Which variant is better, and whether the numbers can be trusted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace

from cxlib._checks import ParameterError, check_date
from cxlib._published import doubted
from cxlib.experiment.aa import AATest, aa_test
from cxlib.experiment.checks import check_variants, n_finished, run_checks
from cxlib.experiment.compare import arms, compare, split
from cxlib.experiment.metrics import (
    Conversion,
    Mean,
    Metric,
    Quantile,
    Ratio,
    check_metrics,
)
from cxlib.experiment.plan import ExperimentPlan
from cxlib.experiment.planning import plan_experiment
from cxlib.experiment.question import Question, columns_of, of_exposures, of_units
from cxlib.experiment.result import ExperimentResult, doubt, verdict
from cxlib.experiment.rule import check_rule
from cxlib.experiment.segments import by_segment
from cxlib.sources import Source

__all__ = [
    "AATest",
    "Conversion",
    "ExperimentPlan",
    "ExperimentResult",
    "Mean",
    "Quantile",
    "Ratio",
    "aa_test",
    "experiment",
    "plan_experiment",
]


def experiment(
    exposures: Source,
    *,
    metrics: Sequence[Metric],
    control: str,
    as_of: str | dt.date | None = None,
    orders: Source | None = None,
    events: Source | None = None,
    variant: str | None = None,
    unit: str | None = None,
    shares: Mapping[str, float] | None = None,
    stratify: str | None = None,
    by: str | Sequence[str] | None = None,
    alpha: float = 0.05,
    adjust: str | None = "holm",
    sequential: str | None = None,
    looks: Sequence[float] | None = None,
    spending: str = "obrien-fleming",
    planned_units: float | None = None,
    planned_end: str | dt.date | None = None,
) -> ExperimentResult:
    """Compare variants with control: difference, lift, intervals, checks and a verdict.

    Parameters
    ----------
    exposures : Cleaned, ibis table, pandas frame, …
        One row per exposure (``user_id``, ``variant``, ``exposed_at``; may repeat): a user counts
        from the first one on. Or, with ``variant=``, one row per unit that already carries its
        variant and its metrics.
    metrics : list of Conversion, Mean, Ratio or Quantile
        What to compare. Primary ones (the first, if none says so) decide the verdict; guardrails
        may stop it.
    control : str
        The variant to compare the others with.
    as_of : str or date
        The last observed day, included. Needed with exposures.
    orders, events : Cleaned, ibis table, pandas frame, …, optional
        What users did, in the same engine: ``orders.customer_id`` and ``events.user_id`` are
        ``exposures.user_id``.
    variant : str, optional
        The column of the variant, where ``exposures`` has one row per unit. A metric's empty
        values are left out of that metric and counted.
    unit : str, optional
        With ``variant=``: the column of what was randomised, where rows are finer (sessions of
        users). Means of rows become ratios of the units' sums.
    shares : dict, optional
        Planned share of each variant, such as ``{"control": 0.8, "new": 0.2}``; equal if not given.
        A variant that was planned but not seen is an empty arm.
    stratify : str, optional
        A column of few values, known before exposure, to post-stratify all estimates by.
    by : str or list of str, optional
        Columns whose values are segments, see ``.segments``.
    alpha : float, default 0.05
        1 - the confidence of the intervals, and the limit that adjusted p values must beat.
    adjust : {"holm", "bh", "by", None}
        How p values allow for many metrics and variants: Holm, Benjamini-Hochberg,
        Benjamini-Yekutieli, or not.
    sequential : {"group", "always"}, optional
        How intervals and p values allow for looking before the planned end: at a few looks
        (group-sequential), or whenever one likes (a confidence sequence). Needs ``planned_units``.
    looks : list of float, optional
        With "group": the earlier looks, as shares of the planned units or as numbers of units.
    spending : {"obrien-fleming", "pocock"}
        With "group": how Lan and DeMets' test spends its error over the looks.
    planned_units : float, optional
        How many units, of all variants together, were planned; see `plan_experiment`.
    planned_end : str or date, optional
        The last planned day. A single look before the planned end cannot be trusted.

    Returns
    -------
    ExperimentResult
        ``.table``, one row per metric and treatment: ``metric``, ``kind``, ``role``, ``variant``,
        ``n``, ``n_control`` (units), ``value``, ``value_control`` (per unit, adjusted where the
        method says so), ``difference``, ``ci_low``, ``ci_high``, ``lift`` (difference /
        abs(value_control)), ``lift_low``, ``lift_high``, ``p_value``; ``p_adjusted`` and intervals
        that agree with it, ``adjusted_low``, ``adjusted_high``, ``lift_adjusted_low``,
        ``lift_adjusted_high``; ``margin``, ``p_margin`` (that it is kept, one-sided),
        ``p_equivalence``; ``chance_to_beat`` control, ``expected_loss`` (of shipping the variant, in
        the metric's unit), ``chance_best`` of all variants; ``method``, ``note`` (why a number is
        null).
        ``.arms``, one row per metric and variant, nothing adjusted: ``metric``, ``kind``,
        ``variant``, ``n``, ``n_left_out`` (units without a value: their window is not over),
        ``value``, ``ci_low``, ``ci_high``. ``.split``, one row per variant: ``variant``, ``n_units``,
        ``share``, ``ci_low``, ``ci_high``, ``planned_share``. ``.segments``, one row per metric,
        treatment and segment, with the test that they differ. ``.checks``: ``check``, ``passed``,
        ``p_value``, ``detail``, failed ones first. ``.verdict``, one sentence, which a failed check
        withholds. ``.over_time()``, ``.novelty()`` and ``.distribution()`` ask the engine again.

    Raises
    ------
    ParameterError
        ``control`` is not a variant, ``shares`` do not sum to 1 or miss a variant, a metric
        reads a table that is not given, ``as_of`` is missing, or options do not go together.
    ColumnError
        A metric's column is missing or not numeric.
    DataError
        One variant only, a null variant, exposures after ``as_of``, or a conversion with
        values other than 0 and 1.

    See Also
    --------
    cxlib.plot.experiment
    cxlib.plot.sample_ratio
    cxlib.plot.experiment_over_time
    cxlib.plot.experiment_novelty
    cxlib.plot.experiment_distribution

    Notes
    -----
    Users seen in several variants are left out; the check fails past 1 %. The sample-ratio
    check is a chi-square test over all variants, with ``sequential`` an anytime-valid one (Lindon
    and Malek 2022); it and those of what users did before exposure fail below p = 0.001 (strict,
    for they run on every experiment). Fewer than 30 units in an arm fail too.

    Proportions: Pearson's score test, and the score intervals that invert it (Mee 1984 for the
    difference, Koopman 1984 for the ratio); arms by Wilson. All else: Welch's t on means, on ratios
    by the delta method, on quantiles by order statistics, on CUPED's residuals (Deng et al. 2013)
    or over strata (Miratrix et al. 2013); the lift by Fieller (1954). So p < alpha, an interval of
    the difference without 0 and an interval of the lift without 0 are one and the same event,
    adjusted or not. Where control is not told from zero, Fieller's interval has no bounds: the log
    ratio's stands in and ``note`` says so. With ``sequential`` all kinds are compared as normal,
    standard errors times the look's factor: Lan and DeMets (1983), Waudby-Smith et al. (2021).

    P values are adjusted over all rows but guardrails with a margin, whose tests are one-sided at
    alpha / 2 (Farrington and Manning 1990 for shares, Fieller's pivot for all else). Bayesian columns:
    Jeffreys' prior Beta(1/2, 1/2) for shares of units, a flat one for all else.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> exposures = pd.DataFrame({"user_id": range(400), "variant": ["control", "blue"] * 200,
    ...                           "exposed_at": pd.Timestamp("2024-05-01")})
    >>> buyers = [*range(0, 60, 2), *range(1, 121, 2)]
    >>> orders = pd.DataFrame({"order_id": buyers, "customer_id": buyers, "net_revenue": 20.0,
    ...                        "ordered_at": pd.Timestamp("2024-05-03")})
    >>> result = cx.experiment(exposures, orders=orders, control="control", as_of="2024-05-31",
    ...                        metrics=[cx.Conversion("order", within="7 days"), cx.Mean("net_revenue")])
    >>> result.table[["metric", "n", "value", "value_control", "difference"]]
            metric    n  value  value_control  difference
    0        order  200    0.3           0.15        0.15
    1  net_revenue  200    6.0           3.00        3.00
    >>> result.checks[["check", "passed"]].head(2)
                   check  passed
    0       sample ratio    True
    1  units in each arm    True
    """
    declared, control = check_metrics(metrics), str(control)
    rule = check_rule(alpha, adjust, sequential, looks, spending, planned_units, planned_end)
    day = None if as_of is None else check_date("as_of", as_of)
    if variant is None:
        if unit is not None:
            raise ParameterError("unit= goes with variant=; exposures are randomised by user_id")
        question = of_exposures(exposures, orders, events, declared, control, rule, day)
    elif orders is not None or events is not None:
        raise ParameterError(
            "variant= says that the first table has one row per unit and carries its metrics; leave "
            "orders= and events= away, or give exposures without variant="
        )
    else:
        question = of_units(exposures, variant, unit, declared, control, rule, day)
    return answer(replace(question, by=columns_of(by), stratify=stratify), shares)


def answer(question: Question, shares: Mapping[str, float] | None) -> ExperimentResult:
    """Return the result of a question."""
    reduced, metrics, rule = question.reduced(), question.metrics, question.rule
    rule.check_looks(sum(reduced.units.values()))
    n_units = n_finished(reduced, metrics)
    is_over = rule.is_planned and not rule.is_early(n_units, question.as_of)
    planned = check_variants(list(reduced.units), question.control, shares)
    table = compare(reduced, metrics, question.control, list(planned), rule)
    checks = run_checks(reduced, metrics, planned, question.logs, rule, question.as_of)
    segments = by_segment(reduced, metrics, question.control, list(planned), rule)
    return ExperimentResult(
        table=doubted(table, doubt(checks)),
        arms=arms(reduced, metrics, list(planned), rule.alpha),
        checks=checks,
        segments=None if segments is None else doubted(segments, doubt(checks)),
        split=split(reduced, planned, rule.alpha),
        verdict=verdict(table, checks, rule, is_over),
        control=question.control,
        as_of=question.as_of,
        _question=question,
    )
