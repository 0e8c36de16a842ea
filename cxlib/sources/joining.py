"""Frames joined to a table, and tables kept, wherever they lie."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from cxlib.sources.engine import engine


def join_frame(table: ir.Table, frame: pd.DataFrame | pa.Table, on: Sequence[str]) -> ir.Table:
    """Return ``table`` with the columns of ``frame`` joined to its rows.

    The join is made in the table's engine. An engine that we may not write to takes no frame;
    from there the rows of ``table``, one for each that is asked for, stream into DuckDB.
    """
    if not table.get_backend().supports_temporary_tables:
        table = _brought_here(table)
    return table.join(ibis.memtable(frame), on)


def held(table: ir.Table) -> ir.Table:
    """Return the table, made once and kept in its engine as long as it is used.

    With the frames that are joined to it: ibis 12.0 forgets them where Spark keeps a table.
    """
    table.get_backend()._register_in_memory_tables(table)
    return table.cache()


def _brought_here(table: ir.Table) -> ir.Table:
    name = ibis.util.gen_name("cx_brought")
    batches = table.to_pyarrow_batches()
    engine().con.register(f"{name}_rows", batches)
    engine().raw_sql(f'create temp table "{name}" as from "{name}_rows"')
    engine().con.unregister(f"{name}_rows")
    return engine().table(name)
