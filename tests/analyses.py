"""Every public analysis on the cleaned sample, for tests that hold two engines together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

import cxlib as cx

SAMPLE = Path(__file__).parent.parent / "data" / "sample"
AS_OF = "2024-12-31"
Tables = dict[str, Any]


def sample() -> Tables:
    """Return the cleaned tables of the sample shop, in DuckDB."""
    zone = {"timezone": "Europe/London"}
    return {
        "orders": cx.clean_orders(cx.read(SAMPLE / "orders.csv", preset="shopify"), **zone),
        "events": cx.clean_events(cx.read(SAMPLE / "events.parquet"), **zone),
        "exposures": cx.clean_exposures(cx.read(SAMPLE / "exposures.csv"), **zone),
    }


STEPS: dict[str, Any] = {"steps": ["view", "cart", "purchase"], "window": "7 days", "as_of": AS_OF}


def _experiment(tables: Tables) -> pd.DataFrame:
    return cx.experiment(
        tables["exposures"],
        orders=tables["orders"],
        events=tables["events"],
        control="control",
        as_of=AS_OF,
        metrics=[
            cx.Conversion("purchase", within="7 days"),
            cx.Mean("net_revenue", within="14 days", cap=0.99, before="28 days"),
            cx.Ratio("net_revenue", "n_orders"),
            cx.Quantile("net_revenue", 0.9),
        ],
    ).table


def _customers(tables: Tables) -> pd.DataFrame:
    fit = cx.fit_ltv(tables["orders"], as_of=AS_OF, n_boot=40, seed=1)
    return fit.customers().order_by("customer_id").execute()


def _dropped(tables: Tables) -> pd.DataFrame:
    users = cx.funnel_dropped(tables["events"], **STEPS, step=2)
    return users.order_by("user_id").execute()


CARTS: dict[str, Any] = {"cart": "cart", "checkout": "checkout", "value": "value"}
VISITS: dict[str, Any] = {"as_of": AS_OF, "gap": "30 minutes"}
FUNNELS_AND_RETENTION: dict[str, Callable[[Tables], pd.DataFrame]] = {
    "retention": lambda t: cx.retention(t["orders"], as_of=AS_OF, by="country"),
    "retention, exact periods": lambda t: cx.retention(
        t["orders"], as_of=AS_OF, period="30 days", kind="on_or_after"
    ),
    "funnel": lambda t: cx.funnel(t["events"], **STEPS),
    "funnel, strict": lambda t: cx.funnel(t["events"], **STEPS, order="strict"),
    "funnel, any order": lambda t: cx.funnel(t["events"], **STEPS, order="any", by="country"),
}
OTHERS: dict[str, Callable[[Tables], pd.DataFrame]] = {
    "net_revenue_retention": lambda t: cx.net_revenue_retention(t["orders"], as_of=AS_OF),
    "repeat_rate": lambda t: cx.repeat_rate(t["orders"], as_of=AS_OF, within="90 days"),
    "time_to_second_order": lambda t: cx.time_to_second_order(t["orders"], as_of=AS_OF),
    "rfm": lambda t: cx.rfm(t["orders"], as_of=AS_OF).order_by("customer_id").execute(),
    "experiment": _experiment,
    "fit_ltv, customers": _customers,
    "holdout_ltv": lambda t: cx.holdout_ltv(t["orders"], split="2024-06-30", as_of=AS_OF).table,
    "time_to_convert": lambda t: cx.time_to_convert(t["events"], **STEPS, every="1 day"),
    "funnel_trend": lambda t: cx.funnel_trend(t["events"], **STEPS, period="month"),
    "funnel_totals": lambda t: cx.funnel_totals(t["events"], **STEPS),
    "funnel_dropped": _dropped,
    "busiest_users": lambda t: cx.busiest_users(t["events"], **STEPS),
    "cart_abandonment": lambda t: cx.cart_abandonment(t["events"], **CARTS, as_of=AS_OF),
    "transitions": lambda t: cx.transitions(t["events"], **VISITS),
    "step_matrix": lambda t: cx.step_matrix(t["events"], **VISITS),
    "flow": lambda t: cx.flow(t["events"], **VISITS),
    "top_paths": lambda t: cx.top_paths(t["events"], **VISITS, end="purchase"),
    "touches": lambda t: cx.touches(t["events"], **VISITS),
    "touch_credit": lambda t: cx.touch_credit(t["events"], channel="channel", **VISITS),
    "activity": lambda t: cx.activity(t["orders"], as_of=AS_OF),
    "completeness": lambda t: cx.completeness(t["orders"]),
    "freshness": lambda t: cx.freshness(t["orders"], as_of=AS_OF),
    "gaps": lambda t: cx.gaps(t["orders"], as_of=AS_OF),
    "outliers": lambda t: cx.outliers(t["orders"]),
    "orphans": lambda t: cx.orphans(t["exposures"], t["orders"], on={"user_id": "customer_id"}),
    "busiest": lambda t: cx.busiest(t["events"], as_of=AS_OF),
    "rfm_movement": lambda t: cx.rfm_movement(t["orders"], from_date="2024-06-30", to_date=AS_OF),
    "segment_sizes": lambda t: cx.segment_sizes(cx.rfm(t["orders"], as_of=AS_OF)),
    "ltv_summary": lambda t: cx.ltv_summary(t["orders"], as_of=AS_OF).order_by("customer_id").execute(),
    "compare_ltv": lambda t: cx.compare_ltv(t["orders"], as_of=AS_OF).table,
    "plan_experiment": lambda t: cx.plan_experiment(
        cx.Mean("net_revenue", within="14 days"), t["exposures"], orders=t["orders"],
        mde=0.1, start="2024-11-01", as_of=AS_OF,
    ).table,
    # the splits hang on the engine's own hash, so the false alarms differ by chance
    "aa_test, units": lambda t: cx.aa_test(
        t["exposures"], orders=t["orders"], metrics=[cx.Mean("net_revenue")],
        start="2024-11-01", as_of=AS_OF, n_splits=100,
    ).table[["metric", "n_units", "n_splits"]],
}  # fmt: skip
ELSEWHERE = {
    **{f"clean_{name}": "what it makes is compared where the tables are cleaned"
       for name in ("orders", "events", "exposures", "responses")},
    "read": "gives the table itself",
    "fit_ltv": "a fit is no table; its customers are compared",
}  # fmt: skip
"""Public functions of a table that are not compared by name, and why."""
ANALYSES = FUNNELS_AND_RETENTION | OTHERS


def fewer(tables: Tables, of: int) -> Tables:
    """Return frames of about one in ``of`` customers, the same ones in all tables."""
    frames = {}
    for name, data in tables.items():
        frame = data.table.execute()
        who = frame["customer_id" if name == "orders" else "user_id"]
        chosen = pd.util.hash_pandas_object(who, index=False) % of == 0
        frames[name] = frame[chosen].reset_index(drop=True)
    return frames


def check_same(name: str, one: Tables, other: Tables) -> None:
    """Hold that an analysis gives the same answer from both sets of tables."""
    answers = [ANALYSES[name](tables).reset_index(drop=True) for tables in (one, other)]
    pd.testing.assert_frame_equal(*answers, check_dtype=False, rtol=1e-6)
