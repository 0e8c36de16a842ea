"""Queries that are written once: the same answers, as few words, and nothing left behind."""

from __future__ import annotations

import gc
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import cxlib as cx
from cxlib.sources import fetched, joined, kept
from cxlib.sources.engine import engine

FRAME = pd.DataFrame(
    {'a "b"': ["x", "y", "x", "z"], "n": [2**62, 1, 2**61, 7], "v": [0.5, 1, 2, 4]}
)


def sums(table: ir.Table, least: int) -> ir.Table:
    """Sums of whole numbers, which DuckDB gives in a type of its own."""
    rows = table.filter(table["n"] > least)
    return rows.group_by('a "b"').aggregate(n=rows["n"].sum(), v=rows["v"].mean())


def weighed(table: ir.Table, frame: ir.Table, times: float) -> ir.Table:
    rows = table.join(frame, 'a "b"')
    return rows.select('a "b"', worth=rows["n"] * rows["weight"] * times)


def elsewhere() -> ir.Table:
    """The same rows in a DuckDB that is not ours."""
    return ibis.duckdb.connect().create_table("rows", FRAME, temp=True)


def ours() -> ir.Table:
    return ibis.memtable(FRAME)


def made_names() -> set[str]:
    found = engine().raw_sql(
        "select table_name from information_schema.tables where table_name similar to "
        "'.*cx_(table|view|frame)_.*'"
    )
    return {name for (name,) in found.fetchall()}


def in_order(table: ir.Table) -> list[dict[str, Any]]:
    return sorted(table.to_pyarrow().to_pylist(), key=lambda row: row['a "b"'])


@pytest.mark.parametrize("rows", [ours, elsewhere, lambda: ours().mutate(v=ibis._.v * 1)])
def test_answers_and_types_are_those_of_ibis(rows: Any) -> None:
    expected = sums(ours(), 1)
    found = kept(sums, rows(), 1)
    assert found.schema() == expected.schema()
    assert found.to_pyarrow().schema.types == expected.to_pyarrow().schema.types
    assert in_order(found) == in_order(expected)
    columns = fetched(sums, rows(), 1)
    assert columns["n"].dtype == np.int64
    assert dict(zip(columns['a "b"'], columns["n"].tolist(), strict=True)) == {
        row['a "b"']: row["n"] for row in in_order(expected)
    }


@pytest.mark.parametrize("rows", [ours, elsewhere])
def test_a_frame_is_joined_in_the_engine_of_the_table(rows: Any) -> None:
    table = rows()
    frame = pa.table({'a "b"': ["x", "z"], "weight": [0.5, 2.0]})
    found = joined(weighed, table, frame, 10.0)
    assert found.get_backend() is table.get_backend()
    worth = sorted(row["worth"] for row in in_order(found))
    assert worth == [140.0, 5.0 * 2**61, 5.0 * 2**62]


def test_the_same_columns_and_values_are_written_once() -> None:
    written = []

    def way(table: ir.Table, least: int) -> ir.Table:
        written.append(least)
        return table.filter(table["n"] > least)

    for rows in (FRAME, FRAME.head(2)):
        assert len(fetched(way, ibis.memtable(rows), 1)["n"]) == len(rows) - 1
    assert written == [1]
    fetched(way, ours(), 2)
    fetched(way, ours().drop("v"), 2)
    assert written == [1, 2, 2]


def test_what_is_made_stays_as_long_as_it_is_used_and_no_longer() -> None:
    gc.collect()
    before = made_names()
    orders = cx.simulate.orders(300, start="2023-01-01", as_of="2023-12-31", seed=2)
    customers = cx.fit_ltv(orders, as_of="2023-12-31").customers(intervals=False)
    value = customers["ltv"].sum()
    total = value.execute()
    del customers  # and the fit is gone already
    gc.collect()
    assert len(made_names() - before) == 3  # the customers, what the model says, and both
    assert value.execute() == total
    del value
    gc.collect()
    assert made_names() == before


def test_a_fault_of_the_rows_leaves_nothing_behind() -> None:
    before = made_names()

    def way(table: ir.Table) -> ir.Table:
        return table.select(n=(table["n"] * table["n"]).cast("int8"))

    with pytest.raises(duckdb.Error):
        kept(way, ours())
    assert made_names() == before
