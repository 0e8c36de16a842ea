"""The contracts: what a table must be before an analysis reads it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import ibis
import numpy as np
import pandas as pd
import polars as pl
import pytest

from cxlib._checks import ColumnError, DataError, ParameterError
from cxlib.tables import (
    CONTRACTS,
    EVENTS,
    ORDERS,
    RESPONSES,
    check_rows,
    check_types,
    group_label,
    midnight_after,
    observed,
    with_typed_nulls,
)


def orders(**columns: object) -> ibis.Table:
    days = pd.to_datetime(["2024-05-01", "2024-05-02"])
    frame = pd.DataFrame(
        {"order_id": ["1", "2"], "customer_id": ["a", "b"], "ordered_at": days, "net_revenue": 1.5}
    )
    return ibis.memtable(frame.assign(**columns))


def test_each_contract_knows_its_own_columns() -> None:
    for name, contract in CONTRACTS.items():
        assert contract.name == name
        assert {contract.when, contract.who} <= set(contract.required)
        assert contract.key is None or contract.key in contract.required
        assert contract.grain.startswith("one row per ")
        assert all(column.meaning for column in contract.columns)


def test_check_types_turns_whole_ids_dates_and_decimals_into_the_contracts_types() -> None:
    frame = pl.DataFrame(
        {
            "order_id": [7],
            "customer_id": ["007"],
            "ordered_at": [dt.date(2024, 5, 1)],
            "net_revenue": [Decimal("12.50")],
            "note": [None],
        }
    )
    table = check_types(ibis.memtable(frame), ORDERS)
    assert dict(table.schema()) == {
        "order_id": ibis.dtype("string"),
        "customer_id": ibis.dtype("string"),
        "ordered_at": ibis.dtype("timestamp"),
        "net_revenue": ibis.dtype("float64"),
        "note": ibis.dtype("string"),
    }
    assert table.execute().iloc[0].tolist()[:4] == ["7", "007", pd.Timestamp("2024-05-01"), 12.5]


def test_an_empty_frame_takes_the_contracts_types() -> None:
    empty = pl.DataFrame({name: [None] for name in ORDERS.required})
    table = check_types(ibis.memtable(empty), ORDERS)
    assert [str(dtype) for dtype in table.schema().types] == [
        "string",
        "string",
        "timestamp",
        "float64",
    ]


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("ordered_at", ["x", "y"], "'ordered_at' is string, but must be a time stamp; clean"),
        ("net_revenue", ["1", "2"], "'net_revenue' is string, but must be a number; clean"),
        ("customer_id", [1.0, np.nan], "'customer_id' is float64, but must be text; clean"),
        ("order_id", [True, False], "'order_id' is boolean, but must be text; clean"),
        (
            "ordered_at",
            pd.to_datetime(["2024-05-01", "2024-05-02"]).tz_localize("UTC"),
            "'ordered_at' carries the time zone UTC; clean the table with cx.clean_orders",
        ),
    ],
)
def test_check_types_refuses_what_is_not_clean(column: str, values: object, said: str) -> None:
    with pytest.raises(ColumnError, match=said):
        check_types(orders(**{column: values}), ORDERS)


def test_check_types_names_a_missing_column() -> None:
    with pytest.raises(ColumnError, match="events: no columns 'user_id', 'event', 'occurred_at'"):
        check_types(orders(), EVENTS)


def test_columns_without_a_type_become_text() -> None:
    table = ibis.memtable(pl.DataFrame({"a": [None], "b": [1]}))
    assert [str(dtype) for dtype in with_typed_nulls(table).schema().types] == ["string", "int64"]


def test_check_rows_passes_what_keeps_the_contract() -> None:
    check_rows(orders(), ORDERS)


def test_check_rows_refuses_an_empty_table() -> None:
    with pytest.raises(DataError, match="orders: no rows; there is nothing to analyse"):
        check_rows(orders().limit(0), ORDERS)


def test_check_rows_counts_nulls_and_nan_of_all_columns_in_one_message() -> None:
    table = orders(customer_id=[None, "b"])
    table = table.mutate(net_revenue=ibis.literal(float("nan")))
    with pytest.raises(DataError) as error:
        check_rows(table, ORDERS)
    assert str(error.value) == (
        "orders: empty values in required columns: 'customer_id' in 1 rows, 'net_revenue' in 2 rows; "
        "cx.clean_orders drops and counts them"
    )


def test_check_rows_takes_empty_text_for_no_value_in_one_query(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(DataError, match="columns: 'order_id' in 1 rows, 'customer_id' in 2 rows;"):
        check_rows(orders(order_id=["", "2"], customer_id=["", None]), ORDERS)
    backend, asked = type(ibis.get_backend()), []
    execute = backend.execute
    monkeypatch.setattr(
        backend, "execute", lambda *given, **more: asked.append(1) or execute(*given, **more)
    )
    check_rows(orders(), ORDERS)
    assert len(asked) == 1


def test_check_rows_refuses_a_repeated_key_where_there_is_one() -> None:
    with pytest.raises(
        DataError, match=r"1 values of 'order_id' stand in more than one row \(first: '1'\)"
    ):
        check_rows(orders(order_id=["1", "1"]), ORDERS)
    answer = {"customer_id": "a", "responded_at": pd.Timestamp(0), "kind": "nps", "score": 1.0}
    check_rows(ibis.memtable(pd.DataFrame([answer, answer])), RESPONSES)


def test_observed_keeps_the_last_day_whole() -> None:
    stamps = pd.to_datetime(["2024-05-01 23:59:59.999999", "2024-05-02"], format="ISO8601")
    kept = observed(orders(ordered_at=stamps), ORDERS, dt.date(2024, 5, 1))
    assert kept.order_id.execute().tolist() == ["1"]
    assert midnight_after(dt.date(2024, 12, 31)).execute() == pd.Timestamp("2025-01-01")
    with pytest.raises(DataError, match=r"as_of=2024-04-30 is before the first 'ordered_at'"):
        observed(orders(), ORDERS, dt.date(2024, 4, 30))


def test_group_label_is_text_and_no_column_of_the_answer() -> None:
    table = orders(country=["GB", None])
    assert group_label(table, "country", ORDERS).execute().tolist()[0] == "GB"
    with pytest.raises(ColumnError, match="no column 'channel'"):
        group_label(table, "channel", ORDERS)
    with pytest.raises(ParameterError, match="by='country' is also a column of the answer"):
        group_label(table, "country", ORDERS, answer=["country"])
