"""A path, an address or a frame is opened in its engine, lazily; messages hold no secret."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
from ibis.common.exceptions import IbisError

from cxlib._checks import DataError, ParameterError, listed, suggest

Source = Any
"""A path, a ``duckdb://`` address, or a frame: ibis, pandas, polars, pyarrow."""

KNOWN = ".csv, .tsv, .txt, .parquet and duckdb://file.db::table"
SECRET = re.compile(r"\$\{(\w+)\}")


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn what an engine says while it reads the source into one clear `DataError`."""
    try:
        yield
    except (duckdb.Error, pa.ArrowException, IbisError, OSError) as error:
        raise DataError(f"source {name!r}: cannot be read: {_reason(error, name)}") from None


def _reason(error: Exception, address: str) -> str:
    """Return the first lines of an engine's message, without values of rows or secrets."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith(("Original Line", "LINE ", "^"))]
    reason = "; ".join(said[:2]) or type(error).__name__
    for name in SECRET.findall(address):
        if os.environ.get(name):
            reason = reason.replace(os.environ[name], f"${{{name}}}")
    return reason


def open_source(source: Source) -> tuple[ir.Table, str]:
    """Return the table, and what messages call it."""
    if isinstance(source, ir.Table):
        return source, "table"
    if isinstance(source, (str, os.PathLike)):
        return _open_address(os.fspath(source))
    if isinstance(getattr(source, "table", None), ir.Table):
        return source.table, getattr(source, "name", "table")
    library = type(source).__module__.split(".")[0]
    kind = "table" if library == "builtins" else f"{library} frame"
    try:
        table = ibis.memtable(_readable(source) if isinstance(source, pd.DataFrame) else source)
        if not table.columns:
            raise ValueError("it has no columns")
        return table, kind
    except Exception as error:  # each library has its own way to say no
        raise DataError(
            f"cannot read a {type(source).__name__} as a table ({_reason(error, kind)}); give a path, "
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


def _open_address(shown: str) -> tuple[ir.Table, str]:
    """Open an address; ``shown`` still has ``${NAME}`` in it, and is what messages say."""
    unset = [name for name in SECRET.findall(shown) if name not in os.environ]
    if unset:
        raise ParameterError(
            f"source={shown!r} names {listed(unset)}, which the environment does not hold"
        )
    address = SECRET.sub(lambda match: os.environ[match[1]], shown)
    if address.startswith("duckdb://"):
        return _open_duckdb(address.removeprefix("duckdb://"), shown), shown
    if "://" in address:
        raise ParameterError(f"source {shown!r}: unknown kind of address; known are {KNOWN}")
    return _open_file(address, shown), shown if SECRET.search(shown) else Path(shown).name


def _engine() -> Any:
    """Return the DuckDB in which all files meet, so that what is read can be joined."""
    engine = ibis.get_backend()
    return engine if engine.name == "duckdb" else ibis.duckdb.connect()


def _open_duckdb(address: str, shown: str) -> ir.Table:
    file, _, name = address.partition("::")
    if not name:
        raise ParameterError(f"source={shown!r} names no table; write 'duckdb://file.db::table'")
    path = Path(file).expanduser().resolve()
    if not path.is_file():
        raise DataError(f"source {shown!r}: {_absence(path)}")
    schema, _, table = name.rpartition(".")
    with reading(shown):
        database = (_attach(path), schema or "main")
        known = _engine().list_tables(database=database)
        if table in known:
            return _engine().table(table, database=database)
    raise DataError(
        f"source {shown!r}: no table {table!r} in schema {database[1]!r}; it has {listed(known)}."
        f"{suggest(table, known)}"
    )


def _attach(path: Path) -> str:
    """Attach a DuckDB file, read-only, once for each of its states; return its catalog."""
    engine, stem = _engine(), "cx_" + hashlib.sha256(str(path).encode()).hexdigest()[:12]
    catalog = f"{stem}_{path.stat().st_mtime_ns:x}"
    attached = engine.list_catalogs()
    if catalog not in attached:
        for old in attached:
            if old.startswith(stem):
                engine.detach(old)
        engine.attach(path, catalog, read_only=True)
    return catalog


def _open_file(address: str, shown: str) -> ir.Table:
    path = Path(address).expanduser()
    if not re.search(r"[*?[]", address) and not path.is_file():
        raise DataError(f"source {shown!r}: {_absence(path)}")
    suffix = Path(path.stem if path.suffix.lower() in (".gz", ".zst") else path.name).suffix.lower()
    if suffix not in (".parquet", ".csv", ".tsv", ".txt"):
        raise ParameterError(f"source {shown!r}: unknown kind of file; known are {KNOWN}")
    with reading(shown):
        if suffix == ".parquet":
            return _engine().read_parquet(path)
        return _read_csv(path, shown)


def _read_csv(path: Path, shown: str) -> ir.Table:
    """Read all columns as text; quotes are as in RFC 4180, and no line is a comment or a title."""
    dialect = {"quote": '"', "escape": '"', "comment": "", "skip": 0}
    table = _engine().read_csv(path, all_varchar=True, header=True, **dialect)
    first = table.columns[0]
    if len(table.columns) == 1 and (first == "column0" or re.search("[,;\t|]", first)):
        raise DataError(
            f"source {shown!r}: it is empty, or its lines hold other numbers of fields than its "
            f"header (read as one column, {first!r})"
        )
    return table


def _absence(path: Path) -> str:
    if path.is_dir():
        return "it is a folder; write 'folder/*.parquet' for all files in it"
    kind = "it is not a regular file" if path.exists() else "no such file"
    return f"{kind} (looked from {Path.cwd().name}/)"
