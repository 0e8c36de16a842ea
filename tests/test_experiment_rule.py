"""When a difference counts: looks, many metrics, margins, the Bayesian reading, checks of the plan."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy import integrate, stats
from statsmodels.stats.multitest import multipletests

import cxlib as cx
from cxlib._intervals import Moments
from cxlib.experiment.compare import compare
from cxlib.experiment.effects import Pair, effect
from cxlib.experiment.metrics import check_metrics
from cxlib.experiment.rule import Rule, check_rule
from cxlib.experiment.samples import Cell, Order, Reduced, Sample
from cxlib.experiment.sequential import GroupSequential
from cxlib.experiment.units import Layout

Z = stats.norm.isf(0.025)
PLANNED = 1000
ADJUSTMENTS = {"holm": "holm", "bh": "fdr_bh", "by": "fdr_by"}  # as statsmodels calls them


def on_units(frame: pd.DataFrame, *metrics: Any, **options: Any) -> Any:
    options = {"control": "control", "variant": "variant"} | options
    return cx.experiment(frame, metrics=list(metrics), **options)


def failed(result: Any) -> list[str]:
    return result.checks.loc[~result.checks["passed"], "check"].tolist()


def trial(n: int = 600, seed: int = 1, effect: float = 0.1) -> pd.DataFrame:
    """Units of three variants, of which ``b`` is better and ``c`` is not."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"variant": rng.permutation(np.resize(["control", "b", "c"], n))})
    lifted = 1 + effect * (frame["variant"] == "b")
    frame["before"] = rng.gamma(4, 3, n)
    frame["amount"] = (0.5 * frame["before"] + rng.gamma(4, 3, n)) * lifted
    frame["orders"] = rng.poisson(3, n) + 1
    frame["did"] = (rng.random(n) < 0.4 * lifted).astype(int)
    frame["place"] = rng.choice(["x", "y"], n)
    return frame


# Sums made by hand, so that thousands of tables need no engine

EVERY_KIND = [
    cx.Conversion("did"),
    cx.Mean("amount"),
    cx.Mean("n_orders"),
    cx.Ratio("amount", "n_orders", name="ratio"),
    cx.Mean("amount", before="before", name="CUPED"),
    cx.Conversion("did", before="before", name="proportion, CUPED"),
    cx.Quantile("amount", 0.5, name="median"),
]
COLUMNS = [
    ["did"],
    ["amount"],
    ["orders"],
    ["amount", "orders"],
    ["amount", "before"],
    ["did", "before"],
    ["amount"],
]
LAYOUTS = [Layout(1), Layout(1), Layout(1), Layout(2), Layout(1, 1), Layout(1, 1), Layout(1)]


def sample(rows: pd.DataFrame) -> Sample:
    return Sample(len(rows), rows.mean().to_numpy(), np.atleast_2d(np.cov(rows.T.to_numpy(float))))


def order(values: pd.Series) -> Order:
    half = Z * math.sqrt(0.25 / len(values))
    return Order(len(values), *np.quantile(values, [0.5, 0.5 - half, 0.5 + half]))


def reduced(frame: pd.DataFrame, stratify: str | None = None) -> Reduced:
    keys = ["variant"] if stratify is None else ["variant", stratify]
    cells = [
        Cell(key[0], key[1] if stratify else None, (), [sample(own[names]) for names in COLUMNS])
        for key, own in frame.groupby(keys)
    ]
    arms = dict(list(frame.groupby("variant")))
    units = {name: len(own) for name, own in arms.items()}
    orders = {(6, None, name): order(own["amount"]) for name, own in arms.items()}
    return Reduced(units, cells, LAYOUTS, stratify=stratify, orders=orders)


def rules(adjust: str | None, alpha: float, kind: str) -> Rule:
    options: dict[str, Any] = {
        "fixed": {},
        "one look": {"sequential": "group"},
        "third look": {"looks": [0.02, 0.045], "spending": "pocock"},
        "over-run": {"looks": [0.04], "planned_units": 58},
        "always": {"sequential": "always"},
    }[kind]
    asked = {"sequential": None, "looks": None, "spending": "obrien-fleming", "planned_end": None}
    return check_rule(alpha, adjust, **(asked | {"planned_units": PLANNED} | options))


RULES = ["fixed", "one look", "third look", "over-run", "always"]


def leaves_out(low: pd.Series, high: pd.Series) -> pd.Series:
    return (low > 0) | (high < 0)


@given(
    seed=st.integers(0, 10**6),
    effect=st.sampled_from([0.0, 0.1, -0.15, 0.4]),
    adjust=st.sampled_from(["holm", "bh", "by", None]),
    alpha=st.sampled_from([0.01, 0.05, 0.2]),
    kind=st.sampled_from(RULES),
    strata=st.booleans(),
)
@hypothesis_settings(max_examples=25)
def test_p_values_and_both_intervals_are_one_event_for_every_kind_and_rule(
    seed: int, effect: float, adjust: str | None, alpha: float, kind: str, strata: bool
) -> None:
    frame = trial(60, seed, effect)
    metrics = check_metrics(EVERY_KIND)
    rule = rules(adjust, alpha, kind)
    found = reduced(frame, "place" if strata else None)
    table = compare(found, metrics, "control", ["control", "b", "c"], rule)
    assert len(table) == 2 * len(metrics)
    assert (
        table[["ci_low", "ci_high", "p_value", "p_adjusted", "adjusted_low"]].notna().all(axis=None)
    )
    fieller = table["lift_low"].notna() & ~table["note"].str.contains("log ratio")
    for p, limits in {
        "p_value": ["ci_low", "ci_high", "lift_low", "lift_high"],
        "p_adjusted": ["adjusted_low", "adjusted_high", "lift_adjusted_low", "lift_adjusted_high"],
    }.items():
        assume((abs(table[p] - alpha) > 1e-9).all())
        counts = table[p] < alpha
        assert (leaves_out(table[limits[0]], table[limits[1]]) == counts).all()
        lifted = leaves_out(table[limits[2]], table[limits[3]])
        assert (lifted == counts)[fieller].all()
    if adjust is not None:
        theirs = multipletests(table["p_value"], method=ADJUSTMENTS[adjust])[1]
        assert table["p_adjusted"].tolist() == pytest.approx(theirs.tolist())
    else:
        assert (table["p_adjusted"] == table["p_value"]).all()
    if kind == "fixed" and not strata:
        assert fieller[table["kind"] != "proportion"].all()


@pytest.mark.parametrize("kind", ["always", "third look"])
def test_a_rule_widens_every_kind_of_interval_by_its_factor(kind: str) -> None:
    # The factor is the sequential test's own, held in test_sequential by published boundaries
    metrics, found = check_metrics(EVERY_KIND), reduced(trial(60))
    rule = rules(None, 0.05, kind)
    look = rule.look(40, 60)
    assert look is not None
    ours = compare(found, metrics, "control", ["control", "b", "c"], rule)
    for row in ours.itertuples():
        error = (row.ci_high - row.difference) / look.critical(0.05)
        assert row.difference - row.ci_low == pytest.approx(error * look.critical(0.05))
        assert row.p_value == pytest.approx(look.p_value(row.difference / error))
    plain = compare(found, metrics, "control", ["control", "b", "c"], Rule(adjust=None))
    assert ours["difference"].tolist() == plain["difference"].tolist()
    assert (ours["p_value"] > plain["p_value"]).all()
    words = {"always": "; always valid", "third look": "; group-sequential, pocock"}[kind]
    assert ours["method"].str.endswith(words).all()
    assert ours["method"].iloc[0] == "normal" + words
    assert plain["method"].iloc[0] == "score"


def test_the_confidence_sequence_is_narrowest_at_the_planned_units_of_each_pair() -> None:
    # Waudby-Smith et al. 2021 by hand: 60 of 1,000 units, of which any pair has the same share
    found = reduced(trial(60))
    rule = rules(None, 0.05, "always")
    table = compare(found, check_metrics(EVERY_KIND), "control", ["control", "b", "c"], rule)
    r = 60 / PLANNED * (math.log(1 - 2 * math.log(0.05)) - 2 * math.log(0.05))
    factor = math.sqrt(2 * (1 + r) / r * math.log(math.sqrt(1 + r) / 0.05))
    arms = [found.sample(1, name) for name in ("b", "control")]
    error = math.sqrt(sum(arm.covariance[0, 0] / arm.n for arm in arms))
    row = table[(table["metric"] == "amount") & (table["variant"] == "b")].iloc[0]
    assert (row["ci_high"] - row["difference"]) / error == pytest.approx(factor)


# Looking early


def test_looks_are_shares_or_numbers_of_the_planned_units_of_all_variants() -> None:
    # critical value at the second of looks 0.5 and 1 by O'Brien-Fleming spending: ldbounds, 1.969
    frame = trial(600)
    by_share = on_units(frame, cx.Mean("amount"), looks=[0.5], planned_units=600)
    by_count = on_units(frame, cx.Mean("amount"), looks=[300], planned_units=600)
    pd.testing.assert_frame_equal(by_share.table, by_count.table)
    row = by_share.table.set_index("variant").loc["b"]
    arms = [frame.loc[frame["variant"] == name, "amount"] for name in ("b", "control")]
    error = math.sqrt(sum(arm.var() / len(arm) for arm in arms))
    assert (row["ci_high"] - row["difference"]) / error == pytest.approx(1.969, abs=1e-3)
    pocock = on_units(frame, cx.Mean("amount"), looks=[300], planned_units=600, spending="pocock")
    assert (pocock.table["ci_high"] > by_share.table["ci_high"]).all()
    first = on_units(frame, cx.Mean("amount"), sequential="group", planned_units=600)
    half = first.table.set_index("variant").loc["b", ["ci_low", "ci_high"]].diff().iloc[1] / 2
    assert half / error == pytest.approx(Z)  # one look only is the fixed test, by z


def test_a_metric_whose_window_is_not_over_counts_its_own_units() -> None:
    frame = trial(600)
    frame.loc[frame.index[:300], "amount"] = None
    table = on_units(
        frame, cx.Mean("orders"), cx.Mean("amount"), sequential="group", planned_units=600
    ).table
    b = table[table["variant"] == "b"].set_index("metric")
    arms = [frame.loc[frame["variant"] == name, "amount"].dropna() for name in ("b", "control")]
    error = math.sqrt(sum(arm.var() / len(arm) for arm in arms))
    half = (b.loc["amount", "ci_high"] - b.loc["amount", "ci_low"]) / 2
    share = frame["amount"].notna().mean()
    assert half / error == pytest.approx(GroupSequential([share]).critical(0.05))
    assert half / error > 2.9


def test_a_look_after_the_end_has_nothing_left_and_says_so() -> None:
    metric = cx.Mean("amount", margin=-0.1, equivalence=0.2)
    result = on_units(trial(600), metric, cx.Conversion("did"), looks=[1.0], planned_units=300)
    for row in result.table.itertuples():
        assert (row.ci_low, row.ci_high) == (-math.inf, math.inf)
        assert (row.adjusted_low, row.adjusted_high) == (-math.inf, math.inf)
        assert math.isnan(row.lift_low)
        assert (row.p_value, row.p_adjusted) == (1.0, 1.0)
        assert row.note == "earlier looks spent all of the error"
        assert not row.p_margin < 0.5
        assert not row.p_equivalence < 0.5
    assert result.verdict.startswith("Do not ship: the planned end is reached")
    assert "95% interval -inf to inf" in result.verdict
    assert "nan" not in result._repr_html_()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"looks": [0.5]}, "sequential='group' needs planned_units="),
        ({"sequential": "always"}, "sequential='always' needs planned_units="),
        ({"looks": [0.1], "sequential": "always", "planned_units": 900}, "looks= goes with seq"),
        ({"looks": [0.7], "planned_units": 900}, "looks: 0.7 of the planned units is not before"),
        ({"looks": [600], "planned_units": 900}, "which has 600 of 900"),
        ({"looks": [0.4, 0.2], "planned_units": 900}, "give them in order of time"),
        ({"looks": [0.0], "planned_units": 900}, "looks=0.0 is out of range"),
        ({"looks": 0.5, "planned_units": 900}, "looks=0.5: give a list"),
        ({"looks": "0.5", "planned_units": 900}, "looks='0.5': give a list"),
        ({"looks": ["half"], "planned_units": 900}, "looks='half' is not a number"),
        ({"sequential": "sometimes", "planned_units": 900}, "not one of group, always"),
        ({"sequential": "group", "planned_units": 900, "spending": "all"}, "spending='all'"),
        ({"planned_units": 0}, "planned_units=0 is out of range"),
        ({"planned_units": "many"}, "planned_units='many' is not a number"),
        ({"planned_end": "soon"}, "planned_end='soon' is not a date"),
        ({"adjust": "bonferroni"}, "adjust='bonferroni' is not one of holm, bh, by"),
        ({"alpha": 0}, "alpha=0 is out of range"),
    ],
)
def test_options_that_do_not_go_together_end_in_one_clear_error(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(cx.ParameterError, match=message):
        on_units(trial(600), cx.Mean("amount"), **options)


def paths(n_paths: int, looks: int, per_arm: int, seed: int) -> np.ndarray:
    """Moments (n, mean, variance) of two alike skewed arms at each look of each path."""
    rng = np.random.default_rng(seed)
    values = rng.gamma(2, 3, (n_paths, 2, looks, per_arm))
    n = per_arm * np.arange(1, looks + 1)
    mean = values.sum(-1).cumsum(-1) / n
    variance = ((values**2).sum(-1).cumsum(-1) - n * mean**2) / (n - 1)
    return np.stack([np.broadcast_to(n, mean.shape), mean, variance], axis=-1)


@pytest.mark.parametrize(
    ("sequential", "spending", "low", "high"),
    [
        ("group", "obrien-fleming", 0.04, 0.06),
        ("group", "pocock", 0.04, 0.06),
        ("always", "obrien-fleming", 0.0, 0.05),
    ],
)
def test_five_looks_keep_the_error_on_data_without_an_effect(
    sequential: str, spending: str, low: float, high: float
) -> None:
    # Simulation with known truth: 6,000 shops of 5 looks; peeking with 1.96 errs in 14 %
    looks, per_arm = 5, 80
    total = 2 * looks * per_arm
    moments = paths(6000, looks, per_arm, 20240610)
    n, mean, variance = np.moveaxis(moments, -1, 0)
    z = (mean[:, 0] - mean[:, 1]) / np.sqrt((variance / n).sum(axis=1))
    asked = []
    for at in range(looks):
        earlier = tuple((k + 1) / looks for k in range(at)) if sequential == "group" else ()
        rule = Rule(0.05, None, sequential, earlier, spending, total)
        asked.append(rule.look(2 * per_arm * (at + 1), 2 * per_arm * (at + 1)))
    critical = np.array([look.critical(0.05) for look in asked])
    crossed = abs(z) > critical
    assert low <= crossed.any(axis=1).mean() <= high
    assert 0.12 <= (abs(z) > Z).any(axis=1).mean() <= 0.16
    told = crossed.any(axis=1).nonzero()[0][:15]
    for path in [*told, *range(15)]:  # and the table's own interval says the same
        for at, look in enumerate(asked):
            arms = [Moments(*moments[path, arm, at]) for arm in (0, 1)]
            found = effect(Pair(*arms, counts=False, look=look), 0.05)
            assert (found.ci_low > 0 or found.ci_high < 0) == crossed[path, at]
            assert (found.p_value < 0.05) == crossed[path, at]


# Margins and equivalence


@given(
    seed=st.integers(0, 10**6),
    effect=st.sampled_from([0.0, 0.1, -0.1, -0.2]),
    margin=st.sampled_from([-0.02, -0.1, -0.3, 0.02, 0.15]),
    kind=st.sampled_from(["fixed", "one look", "always"]),
)
@hypothesis_settings(max_examples=15)
def test_a_margin_is_kept_exactly_where_the_interval_of_the_lift_lies_within_it(
    seed: int, effect: float, margin: float, kind: str
) -> None:
    frame = trial(600, seed, effect)
    metrics = [
        type(metric)(**(metric.__dict__ | {"margin": margin, "equivalence": abs(margin)}))
        for metric in EVERY_KIND
    ]
    found, wide = (
        compare(
            reduced(frame),
            check_metrics(metrics),
            "control",
            ["control", "b", "c"],
            rules_at(kind, a),
        )
        for a in (0.05, 0.1)
    )
    assert not found["note"].any()
    # the t of a fixed test has a few tenths of a degree of freedom more or less at the margin
    near = (found["p_margin"] - 0.025).abs().lt(2e-4) | (found["p_equivalence"] - 0.05).abs().lt(
        2e-4
    )
    within = found["lift_low"] > margin if margin < 0 else found["lift_high"] < margin
    assert ((found["p_margin"] < 0.025) == within)[~near].all()
    outside = found["lift_high"] < margin if margin < 0 else found["lift_low"] > margin
    assert ((found["p_margin"] > 0.975) == outside)[~near].all()
    alike = (wide["lift_low"] > -abs(margin)) & (wide["lift_high"] < abs(margin))
    if kind != "always":  # whose rule itself depends on alpha
        assert ((found["p_equivalence"] < 0.05) == alike)[~near].all()


def rules_at(kind: str, alpha: float) -> Rule:
    return rules(None, alpha, kind)


def test_margins_are_not_adjusted_and_do_not_count_among_the_adjusted() -> None:
    frame = trial()
    guarded = on_units(
        frame,
        cx.Conversion("did"),
        cx.Mean("orders", role="guardrail", margin=-0.1),
        cx.Mean("amount", role="guardrail"),
    ).table
    family = guarded["metric"] != "orders"
    theirs = multipletests(guarded.loc[family, "p_value"], method="holm")[1]
    assert guarded.loc[family, "p_adjusted"].tolist() == pytest.approx(theirs.tolist())
    alone = guarded[~family]
    assert (alone["p_adjusted"] == alone["p_value"]).all()
    assert (alone["adjusted_low"] == alone["ci_low"]).all()
    assert alone["p_margin"].notna().all()
    assert guarded.loc[family, ["margin", "p_margin", "p_equivalence"]].isna().all(axis=None)
    only = on_units(
        frame,
        cx.Conversion("did", role="primary"),
        cx.Mean("orders", role="guardrail", margin=-0.1),
        adjust="bh",
    )
    assert only.table["p_adjusted"].notna().all()


def test_margins_beyond_what_a_rate_can_fall_are_told() -> None:
    with pytest.raises(cx.ParameterError, match="a rate cannot fall by that"):
        on_units(trial(), cx.Conversion("did", margin=-1))
    with pytest.raises(cx.ParameterError, match="none is primary"):
        on_units(trial(), cx.Conversion("did", role="guardrail", margin=-0.1), cx.Mean("orders"))


def test_an_adjusted_lift_that_leaves_fieller_says_so() -> None:
    # Control 2.2 standard errors above 0: told from it at 5 %, not at 5 % / 5
    rng = np.random.default_rng(5)
    n = 200
    frame = pd.DataFrame({"variant": np.resize(["control", "new"], n)})
    noise = rng.normal(0, 1, n)
    for name in ("control", "new"):
        own = frame["variant"] == name
        noise[own] = stats.zscore(noise[own], ddof=1)
    frame["x"] = noise + np.where(frame["variant"] == "new", 1.0, 0.22)
    for k in range(4):
        frame[f"y{k}"] = noise + 10
    result = on_units(frame, cx.Mean("x"), *(cx.Mean(f"y{k}") for k in range(4)))
    row = result.table.iloc[0]
    assert row["lift_low"] > 0
    assert row["note"].startswith("adjusted for many metrics: control is not told from zero")
    assert (result.table["note"].iloc[1:] == "").all()


# The Bayesian reading


@pytest.mark.parametrize("name", ["b", "c"])
def test_chances_and_losses_of_rates_by_numerical_integration(name: str) -> None:
    frame = trial(300)
    table = on_units(frame, cx.Conversion("did")).table.set_index("variant")
    counts = frame.groupby("variant")["did"].agg(["sum", "count"])
    beta = {
        name: stats.beta(0.5 + row["sum"], 0.5 + row["count"] - row["sum"])
        for name, row in counts.iterrows()
    }
    one, base = beta.pop(name), beta["control"]
    chance, _ = integrate.quad(lambda x: one.pdf(x) * base.cdf(x), 0, 1)
    loss, _ = integrate.quad(lambda x: one.cdf(x) * base.sf(x), 0, 1)
    best, _ = integrate.quad(
        lambda x: one.pdf(x) * math.prod(other.cdf(x) for other in beta.values()), 0, 1
    )
    row = table.loc[name]
    assert row["chance_to_beat"] == pytest.approx(chance, abs=1e-7)
    assert row["expected_loss"] == pytest.approx(loss, abs=1e-7)
    assert row["chance_best"] == pytest.approx(best, abs=1e-7)


def test_chances_and_losses_of_means_are_those_of_a_normal_difference() -> None:
    frame = trial(300)
    row = on_units(frame, cx.Mean("amount")).table.set_index("variant").loc["c"]
    arms = [frame.loc[frame["variant"] == name, "amount"] for name in ("c", "control")]
    gap = stats.norm(
        arms[0].mean() - arms[1].mean(), math.sqrt(sum(arm.var() / len(arm) for arm in arms))
    )
    assert row["chance_to_beat"] == pytest.approx(gap.sf(0))
    assert row["expected_loss"] == pytest.approx(gap.expect(lambda x: -x, ub=0), rel=1e-6)


def test_the_chances_to_be_best_sum_to_one_with_that_of_control() -> None:
    frame = trial(300)
    metrics = [cx.Conversion("did"), cx.Mean("amount", before="before"), cx.Quantile("orders", 0.5)]
    metrics.append(cx.Ratio("amount", "orders", name="ratio", margin=0.1))
    keys = ["metric", "variant"]
    ours = on_units(frame, *metrics).table.set_index(keys)["chance_best"]
    theirs = on_units(frame, *metrics, control="c").table.set_index(keys)["chance_best"]
    both = pd.concat([ours, theirs.drop(index="b", level="variant")])
    assert both.groupby("metric").sum().dropna().tolist() == pytest.approx([1.0] * 4, abs=1e-9)
    shared = theirs.xs("b", level="variant")
    assert ours.xs("b", level="variant").tolist() == pytest.approx(shared.tolist(), abs=1e-12)


@pytest.mark.parametrize(
    "make", [lambda m: cx.Conversion("did", margin=m), lambda m: cx.Mean("amount", margin=m)]
)
def test_a_metric_that_is_better_low_turns_the_reading_round(make: Any) -> None:
    frame = trial(400)
    frame = frame[frame["variant"] != "c"]
    up, down = (on_units(frame, make(margin)) for margin in (-0.1, 0.1))
    row, turned = up.table.iloc[0], down.table.iloc[0]
    for name in ("difference", "ci_low", "lift", "lift_high", "p_value", "p_adjusted"):
        assert turned[name] == pytest.approx(row[name])
    assert turned["chance_to_beat"] == pytest.approx(1 - row["chance_to_beat"])
    assert turned["chance_best"] == pytest.approx(1 - row["chance_best"])
    gain = turned["expected_loss"] - row["expected_loss"]  # E max(d, 0) - E max(-d, 0) = E d
    assert gain == pytest.approx(row["difference"], rel=0.02)


# Corners


def corner(arms: dict[str, list[float]], *metrics: Any, **options: Any) -> pd.Series:
    rows = [(name, value) for name, values in arms.items() for value in values]
    frame = pd.DataFrame(rows, columns=["variant", "x"])
    return on_units(frame, *(metrics or [cx.Mean("x")]), **options).table.iloc[0]


SEQUENTIAL = [
    {},
    {"sequential": "always", "planned_units": 500},
    {"looks": [2], "planned_units": 500},
]


@pytest.mark.parametrize("options", SEQUENTIAL)
@pytest.mark.parametrize("declare", [cx.Mean, cx.Conversion])
def test_corners_under_every_rule_are_a_number_or_a_note(
    declare: Any, options: dict[str, Any]
) -> None:
    some, none = [0.0, 1.0] * 10, [0.0] * 20
    metric = declare("x", margin=-0.1, equivalence=0.2)
    by_score = declare is cx.Conversion and not options
    cases: dict[str, tuple[list[float], list[float]]] = {
        "one unit": ([1.0], some),
        "no variance": (none, none),
        "every unit of the variant is at zero": (none, some),
        "control is not told from zero": (some, none),
    }
    scored = {
        "no variance": "no conversions at all",
        "control is not told": "no conversions in con",
    }
    for note, (arm, control) in cases.items():
        row = corner({"new": arm, "control": control}, metric, **options)
        numbers = row[["difference", "value", "value_control"]].astype(float)
        assert np.isfinite(numbers).all()
        limits = row[["ci_low", "ci_high", "p_value", "p_adjusted", "adjusted_low"]]
        if by_score:
            assert np.isfinite(limits.astype(float)).all()
            words = [said for start, said in scored.items() if note.startswith(start)]
            assert not words or words[0] in row["note"]
            continue
        assert note in row["note"]
        known = "every unit" in note or "control" in note
        assert (limits.notna() == known).all()
        assert math.isnan(row["p_margin"]) == (note != "every unit of the variant is at zero")
        assert row["lift_low"] != row["lift_low"]
        # a share of none has Jeffreys' posterior all the same
        assert math.isnan(row["chance_to_beat"]) == (declare is cx.Mean)


def test_a_planned_arm_that_nobody_saw_stays_null_under_every_rule() -> None:
    frame = trial(300)
    shares = {"control": 0.3, "b": 0.3, "c": 0.3, "lost": 0.1}
    for options in SEQUENTIAL:
        metrics = [cx.Conversion("did", margin=-0.1, equivalence=0.1), cx.Quantile("amount", 0.5)]
        result = on_units(frame, *metrics, shares=shares, **options)
        lost = result.table[result.table["variant"] == "lost"]
        assert (lost["note"] == "an arm has no units yet").all()
        unknown = ["ci_low", "p_value", "p_adjusted", "p_margin", "chance_to_beat", "chance_best"]
        assert lost[unknown].isna().all(axis=None)
        seen = result.table[result.table["variant"] == "b"]
        assert seen[["ci_low", "p_adjusted", "adjusted_low"]].notna().all(axis=None)
        assert "sample ratio" in failed(result)


# The checks of the plan


def test_a_look_before_the_planned_end_fails_unless_it_is_allowed_for() -> None:
    frame = trial(600)
    early = on_units(frame, cx.Mean("amount"), planned_units=900)
    assert failed(early) == ["planned end"]
    assert early.verdict.startswith("Cannot be trusted: planned end: 600 of 900 planned units;")
    assert "inflates the error" in early.verdict
    for options in ({"sequential": "always"}, {"looks": [100, 300]}):
        allowed = on_units(frame, cx.Mean("amount"), planned_units=900, **options)
        assert failed(allowed) == []
        detail = allowed.checks.set_index("check").loc["planned end", "detail"]
        assert detail.endswith("allow for looking early")
    over = on_units(frame, cx.Mean("amount"), planned_units=600)
    assert over.checks.set_index("check").loc["planned end", "detail"].endswith("end is reached")
    assert "planned end" not in on_units(frame, cx.Mean("amount")).checks["check"].tolist()


def test_the_planned_end_may_be_a_day() -> None:
    day = pd.Timestamp("2024-05-01")
    exposures = pd.DataFrame(
        {"user_id": range(80), "variant": ["control", "new"] * 40, "exposed_at": day}
    )
    orders = pd.DataFrame({"order_id": range(80), "customer_id": range(80), "ordered_at": day})
    orders["net_revenue"] = np.arange(80.0)

    def ask(as_of: str) -> Any:
        return cx.experiment(
            exposures,
            orders=orders,
            control="control",
            metrics=[cx.Mean("net_revenue")],
            as_of=as_of,
            planned_end="2024-05-10",
        )

    assert failed(ask("2024-05-09")) == ["planned end"]
    assert "2024-05-09 of a plan up to 2024-05-10" in ask("2024-05-09").verdict
    assert failed(ask("2024-05-10")) == []


def test_alike_before_is_the_wald_test_of_all_arms_covariate_means() -> None:
    # Another form of the same: contrasts with control, d' (C V C')^-1 d, chi-square on k - 1
    frame = trial(900, seed=4)
    result = on_units(frame, cx.Mean("amount", before="before"), cx.Mean("orders"))
    checks = result.checks[result.checks["check"] == "alike before"]
    assert len(checks) == 1
    own = frame.groupby("variant")["before"].agg(["mean", "var", "count"])
    contrast = np.array(
        [[-1.0 if n == "control" else float(n == t) for n in own.index] for t in "bc"]
    )
    away = contrast @ own["mean"]
    spread = contrast @ np.diag(own["var"] / own["count"]) @ contrast.T
    p_value = stats.chi2.sf(away @ np.linalg.solve(spread, away), 2)
    assert checks["p_value"].iloc[0] == pytest.approx(p_value)
    assert checks["passed"].iloc[0]
    tilted = frame.assign(before=frame["before"] + 2 * (frame["variant"] == "c"))
    result = on_units(tilted, cx.Mean("amount", before="before"))
    assert failed(result) == ["alike before"]
    assert result.verdict.startswith("Cannot be trusted: alike before: amount before exposure:")
    flat = on_units(frame.assign(before=1.0), cx.Mean("amount", before="before"))
    assert "alike before" not in flat.checks["check"].tolist()


def test_alike_before_raises_a_false_alarm_as_often_as_it_says() -> None:
    # Simulation with known truth: 200 covariates that no variant touched, in one table
    rng = np.random.default_rng(12)
    n, runs = 600, 200
    columns: dict[str, Any] = {"variant": rng.permutation(np.resize(["control", "b", "c"], n))}
    columns |= {f"x{k}": rng.gamma(2, 3, n) for k in range(runs)}
    metrics = [cx.Mean(f"x{k}", before=f"x{k}", name=f"m{k}") for k in range(runs)]
    checks = on_units(pd.DataFrame(columns), *metrics).checks
    p_values = checks.loc[checks["check"] == "alike before", "p_value"]
    assert len(p_values) == runs
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_the_sequential_sample_ratio_is_a_dirichlet_multinomial_bayes_factor() -> None:
    # scipy's own distributions beside: 1 / (marginal likelihood over that of the planned split)
    def split(control: int, new: int) -> pd.DataFrame:
        frame = pd.DataFrame({"variant": ["control"] * control + ["new"] * new})
        return frame.assign(x=np.arange(len(frame)) % 7)

    shares = {"control": 0.6, "new": 0.4}
    options = {"shares": shares, "sequential": "always", "planned_units": 2000}
    for control, new, passed in ((620, 380, True), (500, 500, False)):
        check = on_units(split(control, new), cx.Mean("x"), **options).checks.set_index("check")
        counts = [control, new]
        alternative = stats.dirichlet_multinomial([60, 40], 1000).logpmf(counts)
        null = stats.multinomial(1000, [0.6, 0.4]).logpmf(counts)
        expected = min(1.0, math.exp(null - alternative))
        assert check.loc["sample ratio", "p_value"] == pytest.approx(expected, rel=1e-6)
        assert check.loc["sample ratio", "passed"] == passed
    once = on_units(split(553, 447), cx.Mean("x"), shares=shares).checks.set_index("check")
    assert once.loc["sample ratio", "p_value"] == pytest.approx(
        stats.chisquare([553, 447], [600, 400]).pvalue
    )


def test_a_metric_behind_the_look_before_is_held_to_that_looks_limit() -> None:
    # its windows are not all over: of 900 units that the look before had, 500 count so far
    rule = Rule(sequential="group", looks=(0.45,), planned_units=2000)
    behind = rule.look(500, 500)
    assert behind is not None
    assert behind.critical(0.05) == pytest.approx(GroupSequential([0.45]).critical(0.05))
    rule.check_looks(1200)
    with pytest.raises(cx.ParameterError, match="looks: 0.45 of the planned units is not before"):
        rule.check_looks(900)
