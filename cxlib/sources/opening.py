"""A path, an address or a frame is opened in its engine, lazily; messages hold no secret."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib._checks import DataError, ParameterError, listed, suggest
from cxlib.sources import postgres, spark
from cxlib.sources.engine import Opened, engine, quoted
from cxlib.sources.files import open_files
from cxlib.sources.formats import Layout
from cxlib.sources.messages import SECRET, absence, reading, reason, revealed

Source = Any
"""A path, a ``duckdb://`` address, or a frame: ibis, pandas, polars, pyarrow."""

KNOWN = (
    ".csv, .tsv, .txt, .json, .jsonl, .parquet, duckdb://file.db::table, "
    "${WAREHOUSE_URL}::schema.table (postgresql://…) and spark://master::table"
)


def open_source(
    source: Source, *, encoding: str | None = None, layout: Layout | None = None
) -> Opened:
    """Return the table, what messages call it, and what is to be known of it.

    ``encoding`` is of text files; ``layout`` of those without a header.
    """
    if isinstance(source, ir.Table):
        return Opened(source, "table")
    if isinstance(source, (str, os.PathLike)):
        return _open_address(str(os.fspath(source)), encoding, layout)
    if encoding is not None:
        raise ParameterError(f"encoding={encoding!r} is for text files; a frame has none")
    if isinstance(getattr(source, "table", None), ir.Table):
        return Opened(source.table, getattr(source, "name", "table"))
    return _open_frame(source)


def _open_address(shown: str, encoding: str | None, layout: Layout | None) -> Opened:
    """Open an address; ``shown`` still has ``${NAME}`` in it, and is what messages say."""
    unset = [name for name in SECRET.findall(shown) if name not in os.environ]
    if unset:
        raise ParameterError(
            f"source={shown!r} names {listed(unset)}, which the environment does not hold"
        )
    is_secret = SECRET.search(shown) is not None
    address, shown = revealed(shown)
    scheme = address.partition("://")[0]
    if scheme == "duckdb":
        return Opened(_open_duckdb(address.removeprefix("duckdb://"), shown), shown)
    if scheme in postgres.SCHEMES:
        return Opened(postgres.open_postgres(address, shown), shown)
    if scheme in spark.SCHEMES:
        return Opened(spark.open_spark(address, shown), shown)
    if "://" in address:
        raise ParameterError(f"source {shown!r}: unknown kind of address; known are {KNOWN}")
    opened = open_files(address, shown, KNOWN, encoding=encoding, layout=layout)
    return opened if is_secret else opened.called(Path(shown).name)


def _open_frame(source: Any) -> Opened:
    library = type(source).__module__.split(".")[0]
    kind = "table" if library == "builtins" else f"{library} frame"
    try:
        table = ibis.memtable(_readable(source) if isinstance(source, pd.DataFrame) else source)
        if not table.columns:
            raise ValueError("it has no columns")
        return Opened(table, kind)
    except Exception as error:  # each library has its own way to say no
        raise DataError(
            f"cannot read a {type(source).__name__} as a table ({reason(error)}); give a path, "
            "or an ibis, pandas, polars or pyarrow table"
        ) from None


def _readable(frame: pd.DataFrame) -> pd.DataFrame:
    """Return what an engine can hold: columns of mixed types as text, times in microseconds."""
    frame = frame.rename(columns=str)
    for name, column in frame.items():
        if pd.api.types.is_object_dtype(column):
            if pd.api.types.infer_dtype(column, skipna=True) in ("mixed", "mixed-integer"):
                frame[name] = column.map(str, na_action="ignore")
        elif pd.api.types.is_datetime64_any_dtype(column):
            frame[name] = column.dt.as_unit("us")
    return frame


def _open_duckdb(address: str, shown: str) -> ir.Table:
    file, _, name = address.partition("::")
    if not name:
        raise ParameterError(f"source={shown!r} names no table; write 'duckdb://file.db::table'")
    path = Path(file).expanduser()
    with reading(shown):
        if absent(path):
            raise DataError(f"source {shown!r}: {absence(path)}")
        schema, _, table = name.rpartition(".")
        database = (_attach(path.resolve()), schema or "main")
        known = _tables(*database)
        if table in known:
            return engine().table(table, database=database)
    raise DataError(
        f"source {shown!r}: no table {table!r} in schema {database[1]!r}; it has {listed(known)}."
        f"{suggest(table, known)}"
    )


def _tables(catalog: str, schema: str) -> list[str]:
    """Name the tables and views of a schema; ibis would add those that it made itself."""
    found = engine().raw_sql(
        "select table_name from information_schema.tables where "
        f"table_catalog = {quoted(catalog)} and table_schema = {quoted(schema)} order by 1"
    )
    return [name for (name,) in found.fetchall()]


def absent(path: Path) -> bool:
    """Say whether ``path`` is no file, or none that can be looked at."""
    try:
        return not path.is_file()
    except (OSError, ValueError):
        return True


def _attach(path: Path) -> str:
    """Attach a DuckDB file, read-only, once for each of its states; return its catalog."""
    stem = "cx_" + hashlib.sha256(str(path).encode(errors="surrogateescape")).hexdigest()[:12]
    catalog = f"{stem}_{path.stat().st_mtime_ns:x}"
    attached = engine().list_catalogs()
    if catalog not in attached:
        for old in attached:
            if old.startswith(stem):
                engine().detach(old)
        engine().raw_sql(f"ATTACH {quoted(str(path))} AS {catalog} (READ_ONLY)")
    return catalog
