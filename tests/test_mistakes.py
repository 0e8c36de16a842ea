"""A wrong column name gets the nearest one, wherever a column is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

import cxlib as cx

AS_OF = "2024-03-31"
ORDERS = pd.DataFrame(
    {
        "order_id": ["1", "2", "3"],
        "customer_id": ["ann", "ann", "bob"],
        "ordered_at": pd.to_datetime(["2024-01-03", "2024-02-05", "2024-01-20"]),
        "net_revenue": [20.0, 35.0, 10.0],
        "country": ["GB", "GB", "IL"],
    }
)
EVENTS = pd.DataFrame(
    {
        "user_id": ["ann", "ann"],
        "event": ["view", "cart"],
        "occurred_at": pd.to_datetime(["2024-01-03", "2024-01-04"]),
        "country": "GB",
        "session_id": "s",
    }
)
UNITS = pd.DataFrame({"arm": ["a", "b"] * 40, "bought": [0, 1] * 40, "country": "GB"})
FUNNEL = {"steps": ["view", "cart"], "window": "7 days", "as_of": AS_OF}
NAMED: dict[str, Callable[[], Any]] = {
    "retention": lambda: cx.retention(ORDERS, as_of=AS_OF, by="contry"),
    "repeat_rate": lambda: cx.repeat_rate(ORDERS, as_of=AS_OF, within="30 days", by="contry"),
    "time_to_second_order": lambda: cx.time_to_second_order(ORDERS, as_of=AS_OF, by="contry"),
    "fit_ltv": lambda: cx.fit_ltv(ORDERS, as_of=AS_OF, by="contry"),
    "funnel": lambda: cx.funnel(EVENTS, **FUNNEL, by="contry"),
    "cart_abandonment": lambda: cx.cart_abandonment(
        EVENTS, cart="view", purchase="cart", as_of=AS_OF, by="contry"
    ),
    "experiment": lambda: cx.experiment(
        UNITS, variant="arm", control="a", metrics=[cx.Conversion("bought")], by="contry"
    ),
    "stratify": lambda: cx.experiment(
        UNITS, variant="arm", control="a", metrics=[cx.Conversion("bought")], stratify="contry"
    ),
}


@pytest.mark.parametrize("where", NAMED)
def test_the_nearest_column_is_named(where: str) -> None:
    with pytest.raises(cx.ColumnError, match="Did you mean 'country' for 'contry'"):
        NAMED[where]()


def test_so_is_the_nearest_column_of_a_metric_a_variant_and_a_held_value() -> None:
    metrics = [cx.Mean("net_revenu")]
    shown = ORDERS.rename(columns={"country": "arm"})
    with pytest.raises(cx.ColumnError, match="Did you mean 'net_revenue'"):
        cx.experiment(shown, variant="arm", control="GB", metrics=metrics)
    with pytest.raises(cx.ColumnError, match="Did you mean 'arm' for 'arn'"):
        cx.experiment(UNITS, variant="arn", control="a", metrics=[cx.Conversion("bought")])
    with pytest.raises(cx.ColumnError, match="Did you mean 'session_id' for 'sesion_id'"):
        cx.funnel(EVENTS, **FUNNEL, hold="sesion_id")


def test_so_is_the_nearest_event() -> None:
    with pytest.raises(cx.DataError, match="view"):
        cx.funnel(EVENTS, **FUNNEL | {"steps": ["veiw", "cart"]})


def test_so_are_columns_of_a_finished_table_and_of_an_export() -> None:
    table = cx.retention(ORDERS, as_of=AS_OF).rename(columns={"is_complete": "is_completed"})
    with pytest.raises(cx.ColumnError, match="Did you mean 'is_completed' for 'is_complete'"):
        cx.plot.retention(table)
    with pytest.raises(cx.ColumnError, match="Did you mean 'order_id'"):
        cx.read(ORDERS, columns={"order_id": "ordr_id"})
