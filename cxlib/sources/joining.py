"""Tables kept where they lie, or brought here."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from cxlib.sources.engine import engine


def held(table: ir.Table) -> ir.Table:
    """Return the table, made once and kept in its engine as long as it is used.

    With the frames that are joined to it: ibis 12.0 forgets them where Spark keeps a table.
    """
    table.get_backend()._register_in_memory_tables(table)
    return table.cache()


def brought_here(table: ir.Table) -> ir.Table:
    """Return the rows of a table, which stream into our engine."""
    name = ibis.util.gen_name("cx_brought")
    batches = table.to_pyarrow_batches()
    engine().con.register(f"{name}_rows", batches)
    engine().raw_sql(f'create temp table "{name}" as from "{name}_rows"')
    engine().con.unregister(f"{name}_rows")
    return engine().table(name)
