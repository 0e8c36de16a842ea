"""The self-check: its splits against whole experiments, its rates against theory, what it catches."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest

import cxlib as cx
from cxlib.experiment.aa import FEWEST_SPLITS
from cxlib.experiment.splits import N_GROUPS, N_GROUPS_OF_STRATA, group_of

KINDS = [
    cx.Conversion("bought"),
    cx.Conversion("bought", before="bought_before", name="bought, CUPED"),
    cx.Mean("spend", cap=0.98),
    cx.Mean("spend", before="spend_before", name="spend, CUPED"),
    cx.Ratio("spend", "n_orders"),
    cx.Ratio("spend", "n_orders", before=("spend_before", "n_before"), name="ratio, CUPED"),
    cx.Quantile("spend", 0.75),
]


def units(n: int = 3000, seed: int = 1) -> pd.DataFrame:
    """One row per unit, spenders like before; some values are missing."""
    rng = np.random.default_rng(seed)
    taste = rng.gamma(1, 1, n)
    frame = pd.DataFrame({"id": np.arange(n), "country": rng.choice(["GB", "DE", "IL"], n)})
    for name in ("", "_before"):
        frame[f"bought{name}"] = (rng.random(n) < 0.6 * taste / (1 + taste)).astype(int)
        frame[f"spend{name}"] = (taste * rng.gamma(2, 20, n)).round(1)
        frame["n_before" if name else "n_orders"] = 1 + rng.poisson(taste)
    frame["spend"] += 1e3 * (frame["country"] == "GB")
    frame.loc[:40, "spend"] = np.nan
    return frame


def sessions(users: int = 1500, rows: int = 9000, seed: int = 2) -> pd.DataFrame:
    """Rows finer than users: what a user spends in one session is like the others of that user."""
    rng = np.random.default_rng(seed)
    who = rng.integers(0, users, rows)
    spend = rng.normal(50, 10, users)[who] + rng.normal(0, 5, rows)
    return pd.DataFrame({"user_id": who, "spend": spend, "bought": rng.random(rows) < 0.1})


def first_split(frame: pd.DataFrame, who: str, n_groups: int, seed: int) -> pd.Series:
    """The arms of the first split, drawn again from the seed."""
    table = ibis.memtable(frame[[who]].drop_duplicates())
    table = table.mutate(group=group_of(table[who], seed, n_groups))
    groups = table.to_pandas().set_index(who)["group"]
    places = np.searchsorted(np.unique(groups), frame[who].map(groups))
    chosen = np.random.default_rng(seed).random(groups.nunique()) < 0.5
    return pd.Series(np.where(chosen[places], "A", "B"), index=frame.index)


@pytest.mark.parametrize("stratify", [None, "country"])
def test_a_split_is_what_an_experiment_finds_of_it(stratify: str | None) -> None:
    """Every kind of metric: the same units, values and p value as `cx.experiment` on that split."""
    frame, n_groups = units(), N_GROUPS if stratify is None else N_GROUPS_OF_STRATA
    checked = cx.aa_test(
        frame, metrics=KINDS, split_by="id", stratify=stratify, seed=7, n_splits=FEWEST_SPLITS
    )
    frame["arm"] = first_split(frame, "id", n_groups, 7)
    result = cx.experiment(frame, metrics=KINDS, variant="arm", control="B", stratify=stratify)
    ours = checked.splits[checked.splits["split"] == 0].reset_index(drop=True)
    columns = ["metric", "n", "n_control", "value", "value_control", "difference", "p_value"]
    pd.testing.assert_frame_equal(ours[columns], result.table[columns], rtol=1e-8)


def test_a_split_of_finer_rows_is_what_an_experiment_finds_of_it() -> None:
    frame, metrics = sessions(), [cx.Mean("spend"), cx.Conversion("bought")]
    checked = cx.aa_test(frame, metrics=metrics, unit="user_id", n_splits=FEWEST_SPLITS)
    frame["arm"] = first_split(frame, "user_id", N_GROUPS, 0)
    result = cx.experiment(frame, metrics=metrics, variant="arm", control="B", unit="user_id")
    ours = checked.splits[checked.splits["split"] == 0].reset_index(drop=True)
    columns = ["metric", "n", "n_control", "value", "value_control", "difference", "p_value"]
    pd.testing.assert_frame_equal(ours[columns], result.table[columns], rtol=1e-8)


def test_every_kind_of_metric_keeps_its_promise() -> None:
    checked = cx.aa_test(units(20_000), metrics=KINDS, split_by="id", n_splits=300)
    table = checked.table
    assert table["passed"].all()
    assert table["error_ratio"][:-1].between(0.88, 1.12).all()  # 3 errors of 300 splits
    assert 0.85 < table["error_ratio"].iloc[-1] < 1.15  # all splits share one guess at a density
    assert table["false_positive_rate"].between(0.02, 0.09).all()
    assert (table["ci_low"] < 0.05).all()
    assert (table["ci_high"] > 0.05).all()
    assert table["n_units"].tolist() == [20_000] * 2 + [20_000 - 41] * 5
    assert (checked.splits.groupby("metric").size() == 300).all()
    assert checked.verdict.startswith("Can be trusted: p < 0.05 on ")


def test_sessions_analysed_as_users_are_caught() -> None:
    """Their errors are too small by the root of the design effect (Kish 1965): 1 + (m - 1) rho."""
    frame = sessions()
    wrong = cx.aa_test(frame, metrics=[cx.Mean("spend")], split_by="user_id")
    row = wrong.table.iloc[0]
    sizes = frame.groupby("user_id").size()
    rows_met = (sizes**2).sum() / sizes.sum()
    effect = math.sqrt(1 + (rows_met - 1) * 100 / 125)
    assert row["error_ratio"] == pytest.approx(effect, rel=0.1)
    assert not row["passed"]
    assert row["ci_low"] > 0.2
    assert wrong.verdict.startswith("Cannot be trusted: spend shows p < 0.05 on ")
    assert "unit=" in wrong.verdict
    assert wrong.verdict in repr(wrong)
    assert "Cannot be trusted: spend shows p &lt; 0.05" in wrong._repr_html_()
    right = cx.aa_test(frame, metrics=[cx.Mean("spend")], unit="user_id")
    assert right.table["passed"].all()
    assert right.table["n_units"].iloc[0] == frame["user_id"].nunique()


def test_one_bad_metric_of_several_withholds_trust() -> None:
    metrics = [cx.Conversion("bought"), cx.Mean("spend")]
    checked = cx.aa_test(sessions(), metrics=metrics, split_by="user_id", n_splits=200)
    assert checked.table["passed"].tolist() == [True, False]  # purchases are no one's habit here
    assert checked.verdict.startswith("Cannot be trusted: spend")


def test_too_few_events_are_safe_and_blind() -> None:
    frame = pd.DataFrame({"bought": [1] * 3 + [0] * 500})
    checked = cx.aa_test(frame, metrics=[cx.Conversion("bought")], n_splits=200)
    assert checked.table["n_false"].iloc[0] == 0  # 3 against 0 is p = 0.08
    assert checked.verdict.endswith("it is safe, but sees less than it could.")


def test_what_does_not_vary_has_no_p_value() -> None:
    frame = pd.DataFrame({"spend": [1.0] * 500})
    checked = cx.aa_test(frame, metrics=[cx.Mean("spend")], n_splits=100)
    assert checked.table["n_splits"].iloc[0] == 0
    assert math.isnan(checked.table["error_ratio"].iloc[0])
    assert "does not vary between units" in checked.verdict


def test_dated_history(tmp_path: Path) -> None:
    """Visitors and their orders: the same declaration that the experiment will have."""
    rng = np.random.default_rng(4)
    day = pd.Timestamp("2024-05-01")
    visits = pd.DataFrame({"user_id": rng.integers(0, 800, 4000), "event": "view"})
    visits["occurred_at"] = day + pd.to_timedelta(rng.integers(0, 40 * 86400, 4000), unit="s")
    orders = pd.DataFrame({"order_id": range(2000), "customer_id": rng.integers(0, 800, 2000)})
    orders["ordered_at"] = day + pd.to_timedelta(rng.integers(0, 40 * 86400, 2000), unit="s")
    orders["net_revenue"] = rng.gamma(2, 20, 2000)
    metrics = [
        cx.Mean("net_revenue", within="7 days", before="7 days"),
        cx.Conversion("order", within="7 days"),
    ]
    options: dict[str, Any] = {"orders": orders, "as_of": "2024-06-09", "n_splits": 200}
    checked = cx.aa_test(visits, metrics=metrics, **options)
    assert checked.table["passed"].all()
    entered = visits[visits["occurred_at"] >= "2024-05-09"].groupby("user_id")["occurred_at"].min()
    over = entered + pd.Timedelta(days=7) <= pd.Timestamp("2024-06-10")
    assert checked.table["n_units"].tolist() == [over.sum()] * 2
    with pytest.raises(cx.ParameterError, match="units of events are its 'user_id'"):
        cx.aa_test(visits, metrics=metrics, unit="user_id", **options)
    with pytest.raises(cx.ColumnError, match="no column 'country'"):
        cx.aa_test(visits, metrics=metrics, stratify="country", **options)
    here, there = (ibis.duckdb.connect(tmp_path / name) for name in ("a.db", "b.db"))
    options["orders"] = there.create_table("orders", orders)
    with pytest.raises(cx.DataError, match="different engines"):
        cx.aa_test(here.create_table("visits", visits), metrics=metrics, **options)


def test_the_same_seed_draws_the_same_splits() -> None:
    frame = units(500)
    ours, same, other = (
        cx.aa_test(frame, metrics=KINDS[:1], split_by="id", n_splits=100, seed=seed).splits
        for seed in (3, 3, 4)
    )
    pd.testing.assert_frame_equal(ours, same)
    assert not ours["p_value"].equals(other["p_value"])


def test_shares_are_kept() -> None:
    checked = cx.aa_test(units(), metrics=KINDS[-1:], share=0.2, n_splits=100)
    assert checked.splits["n"].mean() == pytest.approx(0.2 * (3000 - 41), rel=0.05)
    assert checked.table["passed"].all()


def test_arms_and_strata_that_stay_empty_give_no_p_value() -> None:
    """One unit of a hundred in the first arm, a stratum of one unit, a quantile past all ranks."""
    frame = units(200)
    frame.loc[100, "country"] = "CY"
    metrics = [cx.Mean("spend"), cx.Quantile("spend", 0.999)]
    checked = cx.aa_test(frame, metrics=metrics, stratify="country", share=0.01, n_splits=100)
    mean, quantile = checked.table["n_splits"]
    few = checked.splits[["n", "n_control"]].min(axis=1) < 2
    assert checked.splits["p_value"][few].isna().all()
    assert 0 < mean < 100
    assert quantile == 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_splits": 10}, cx.ParameterError, "n_splits=10 is out of range"),
        ({"n_splits": 2.5}, cx.ParameterError, "not a whole number"),
        ({"alpha": 0}, cx.ParameterError, "alpha"),
        ({"share": 1}, cx.ParameterError, "share"),
        ({"metrics": []}, cx.ParameterError, "at least one"),
        ({"metrics": [cx.Mean("spent")]}, cx.ColumnError, "Did you mean 'spend'"),
        ({"metrics": [cx.Mean("spend", within="7 days")]}, cx.ParameterError, "within= needs"),
        ({"split_by": "idd"}, cx.ColumnError, "'idd'"),
        ({"split_by": "country"}, cx.DataError, "holds some 3 values only"),
        ({"split_by": "id", "unit": "id"}, cx.ParameterError, "leave split_by= away"),
        ({"as_of": "2024-01-01"}, cx.ParameterError, "as_of= need dated history"),
    ],
)
def test_bad_input(options: dict[str, Any], error: type[cx.CxError], message: str) -> None:
    with pytest.raises(error, match=message):
        cx.aa_test(units(300), **({"metrics": [cx.Mean("spend")]} | options))


def test_few_units_are_refused() -> None:
    with pytest.raises(cx.DataError, match="59 units of history have a value"):
        cx.aa_test(units(100), metrics=[cx.Mean("spend")])
