"""The answers of DuckDB and of PySpark are the same: every way to count a funnel or retention."""

from __future__ import annotations

import gc
import inspect
from typing import Any

import ibis
import pandas as pd
import pytest
from analyses import ANALYSES, ELSEWHERE, OTHERS, check_same, fewer, sample
from engines import to_spark
from test_funnel_modes import END, MODES, SLOT, START, counted, random_users, rule_of
from test_retention_kinds import random_orders

import cxlib as cx
from cxlib.funnel.attempts import attempts

KINDS: dict[str, dict[str, Any]] = {
    **{f"{kind}, {period}": {"kind": kind, "period": period}
       for kind in ("on", "on_or_after") for period in ("month", "7 days")},
    "day": {"period": "day"},
    "week": {"period": "week", "week_start": "sunday"},
    "quarter": {"period": "quarter"},
    "24 hours": {"period": "24 hours"},
    "brackets": {"brackets": [1, 3, 4]},
    "recurring": {"cohorts": "recurring"},
}  # fmt: skip


@pytest.fixture(scope="module")
def events(spark: Any) -> tuple[pd.DataFrame, ibis.Table]:
    frame = random_users(3, 400, names="ABCX")
    return frame, to_spark(spark, "events", frame)


@pytest.fixture(scope="module")
def orders(spark: Any) -> tuple[pd.DataFrame, ibis.Table]:
    frame = random_orders(1)
    return frame, to_spark(spark, "orders", frame)


@pytest.mark.parametrize("mode", MODES)
def test_funnels_are_the_same(mode: str, events: tuple[pd.DataFrame, ibis.Table]) -> None:
    here, there = events
    expected = counted(here, MODES[mode])
    assert expected["depth"].nunique() > 2
    rule = rule_of(MODES[mode])
    seen = there.filter(there["occurred_at"] < START + END * SLOT)
    found = attempts(seen, rule).execute()
    for k in range(1, len(rule.steps) + 1):
        found[f"at_{k}"] = ((found[f"at_{k}"] - START) / SLOT).where(found["depth"] >= 0)
    found = found.sort_values("user_id", ignore_index=True)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_answers_by_group_are_the_same(events: tuple[pd.DataFrame, ibis.Table]) -> None:
    asked: dict[str, Any] = {"steps": list("ABC"), "window": "16 hours", "as_of": "2024-01-02"}
    one, other = (cx.funnel(table, **asked, by="device", attribution="last") for table in events)
    pd.testing.assert_frame_equal(one, other)


@pytest.mark.parametrize("kind", KINDS)
def test_retention_is_the_same(kind: str, orders: tuple[pd.DataFrame, ibis.Table]) -> None:
    one, other = (cx.retention(table, as_of="2024-05-15", **KINDS[kind]) for table in orders)
    pd.testing.assert_frame_equal(one, other)


@pytest.fixture(scope="module")
def shop(spark: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    here = fewer(sample(), 4)
    return here, {name: to_spark(spark, f"shop_{name}", frame) for name, frame in here.items()}


@pytest.mark.parametrize("name", OTHERS)
def test_other_analyses_are_the_same(
    name: str, shop: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    check_same(name, *shop)


def test_every_public_analysis_is_compared() -> None:
    public = {name: getattr(cx, name) for name in cx.__all__}
    of_tables = {
        name
        for name, one in public.items()
        if inspect.isfunction(one)
        and any(word.annotation == "Source" for word in inspect.signature(one).parameters.values())
    } | {"plan_experiment"}
    compared = {name.partition(",")[0] for name in ANALYSES}
    assert of_tables == compared | set(ELSEWHERE)
    assert not compared & set(ELSEWHERE) - {"fit_ltv"}


def test_kept_tables_are_let_go(spark: Any, shop: tuple[dict[str, Any], dict[str, Any]]) -> None:
    manager = spark._session._jsparkSession.sharedState().cacheManager()
    OTHERS["funnel_dropped"](shop[1])
    gc.collect()
    assert manager.isEmpty()
