"""Queries whose SQL is written once, for all tables of the same columns.

For a small shop ibis takes longer to build a query and to write its SQL than the engine to answer.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Any

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import numpy.typing as npt
import pyarrow as pa

from cxlib.sources.engine import engine, identifier, made_here
from cxlib.sources.joining import brought_here, held

Way = Callable[..., ir.Table]
"""Makes a table of tables and of plain values: the same of the same, so that its SQL can be kept."""
MOST = 256
"""How many queries are kept in mind."""


def kept(way: Way, table: ir.Table, *how: Hashable) -> ir.Table:
    """Return ``way(table, *how)``, made once and kept in its engine as long as it is used."""
    if not _is_ours(table):
        return held(way(table, *how))
    return _named("table", way, (table,), how)


def joined(way: Way, table: ir.Table, frame: pa.Table, *how: Hashable) -> ir.Table:
    """Return ``way(table, frame, *how)``, lazily, in the table's engine.

    An engine that we may not write to takes no frame; from there the rows of ``table`` are brought
    into ours.
    """
    if not table.get_backend().supports_temporary_tables:
        table = brought_here(table)
    if not _is_ours(table):
        return way(table, ibis.memtable(frame), *how)
    name = ibis.util.gen_name("cx_frame")
    engine().con.register(name, frame)
    beside = made_here(name, ibis.Schema.from_pyarrow(frame.schema))
    weakref.finalize(beside.op(), engine().con.unregister, name).atexit = False
    return _named("view", way, (table, beside), how)


def fetched(way: Way, table: ir.Table, *how: Hashable) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of ``way(table, *how)``, which hold no nulls."""
    if _is_ours(table):
        sql, _ = _bound(way, (table,), how)
        return dict(engine().raw_sql(sql).fetchnumpy())
    rows = way(table, *how).to_pyarrow()
    return {name: rows[name].to_numpy() for name in rows.column_names}


def _is_ours(table: ir.Table) -> bool:
    return table.get_backend() is engine()


def _named(
    kind: str, way: Way, tables: tuple[ir.Table, ...], how: tuple[Hashable, ...]
) -> ir.Table:
    """Give the query a name in our engine, until nothing speaks of it any more."""
    name = ibis.util.gen_name(f"cx_{kind}")
    sql, schema = _bound(way, tables, how)
    engine().raw_sql(f"create temp {kind} {identifier(name)} as {sql}")
    found = made_here(name, schema)
    used = tables if kind == "view" else ()  # what a view reads must stay as long as it does
    weakref.finalize(found.op(), _drop, engine(), kind, name, used).atexit = False
    return found


def _drop(where: Any, kind: str, name: str, _used: tuple[ir.Table, ...]) -> None:
    where.raw_sql(f"drop {kind} if exists {identifier(name)}")


def _bound(
    way: Way, tables: tuple[ir.Table, ...], how: tuple[Hashable, ...]
) -> tuple[str, ibis.Schema]:
    """Return the SQL with the tables in their places, and its columns."""
    sql, schema = _written(way, tuple(table.schema() for table in tables), how)
    places = (
        f"{_place(number)} as not materialized ({_read(table)})"
        for number, table in enumerate(tables)
    )
    return f"with {', '.join(places)} {sql}", schema


@lru_cache(MOST)
def _written(
    way: Way, schemas: tuple[ibis.Schema, ...], how: tuple[Hashable, ...]
) -> tuple[str, ibis.Schema]:
    """Return the SQL for tables of these columns, which it calls by their places, and its columns."""
    places = [ibis.table(schema, name=_place(number)) for number, schema in enumerate(schemas)]
    table = way(*places, *how)
    type_of = engine().compiler.type_mapper.to_string
    columns = ", ".join(  # the engine's own types may be wider than those that ibis promises
        f"cast({identifier(name)} as {type_of(dtype)}) as {identifier(name)}"
        for name, dtype in table.schema().items()
    )
    return f"select {columns} from ({engine().compile(table)})", table.schema()


def _place(number: int) -> str:
    return f"cx_place_{number}"


def _read(table: ir.Table) -> str:
    """Return the SQL by which our engine reads a table."""
    op = table.op()
    if isinstance(op, ops.DatabaseTable):
        path = (op.namespace.catalog, op.namespace.database, op.name)
        return f"from {'.'.join(identifier(name) for name in path if name)}"
    engine()._register_in_memory_tables(table)
    if isinstance(op, ops.InMemoryTable):
        return f"from {identifier(op.name)}"
    return str(engine().compile(table))
