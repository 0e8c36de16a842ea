"""The DuckDB in which all files meet, and what is known of a source once it is open."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir

from cxlib._checks import ParameterError, check_number

THREADS, MEMORY = "CX_THREADS", "CX_MEMORY_LIMIT"
"""Variables of the environment that say how much of the machine DuckDB may take."""
SIZE = re.compile(r"\s*\d+(\.\d+)?\s*([KMGT]i?B)\s*", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Opened:
    """A table, what messages call it, and what a reader should know of how it was opened.

    ``repeated`` are names, in small letters, that its header holds more than once; ``preset`` the one
    whose layout its lines have. ``is_small`` says that it is read in no time.
    """

    table: ir.Table
    name: str
    notes: tuple[str, ...] = ()
    repeated: frozenset[str] = frozenset()
    preset: str | None = None
    is_small: bool = False

    def called(self, name: str) -> Opened:
        """Return the same under another name."""
        return replace(self, name=name)


def engine() -> Any:
    """Return the DuckDB in which all files meet, so that what is read can be joined."""
    found = ibis.get_backend()
    return _bounded(found if found.name == "duckdb" else _own_engine())


@cache
def _own_engine() -> Any:
    return ibis.duckdb.connect()


@cache
def _bounded(found: Any) -> Any:
    """Hold an engine, when it is first used, to what the environment says."""
    found.raw_sql("set enable_progress_bar = false")  # it would stand in published pages
    found.raw_sql("set allocator_background_threads = true")  # else memory is kept after a query
    if os.environ.get(THREADS):
        _set(found, "threads", _checked_threads(os.environ[THREADS], f"${THREADS}"))
    if os.environ.get(MEMORY):
        _set(found, "memory_limit", _checked_size(os.environ[MEMORY], f"${MEMORY}"))
    return found


def made_here(name: str, schema: ibis.Schema) -> ir.Table:
    """Return the temporary table or view of our engine that has this name and these columns."""
    place = ops.Namespace(catalog="temp", database="main")
    return ops.DatabaseTable(name, schema=schema, source=engine(), namespace=place).to_expr()


def give_back(table: ir.Table) -> None:
    """Return to the system the memory that a table's engine holds ready for its next query.

    DuckDB does so when its limit is set, be it to what it was, unless it needs all of that.
    """
    if table.get_backend() is engine():
        with suppress(duckdb.OutOfMemoryException):
            _set(engine(), "memory_limit", _setting("memory_limit"))


def set_engine(
    *,
    threads: int | None = None,
    memory_limit: str | None = None,
    spill_to: str | os.PathLike[str] | None = None,
) -> dict[str, str]:
    """Say how much of the machine DuckDB, the engine of files and frames, may take.

    Parameters
    ----------
    threads : int, optional
        Threads at once; all cores unless set here or by ``CX_THREADS`` in the environment.
    memory_limit : str, optional
        Memory, such as ``"4GB"``; beyond it DuckDB goes on on disk. 80 % of the machine's unless
        set here or by ``CX_MEMORY_LIMIT`` in the environment.
    spill_to : path, optional
        The folder for what does not fit into memory.

    Returns
    -------
    dict
        The settings in force: ``threads``, ``memory_limit``, ``temp_directory``.

    Raises
    ------
    ParameterError
        A setting is not of its kind.

    Examples
    --------
    >>> import cxlib as cx
    >>> cx.set_engine(threads=2)["threads"]
    '2'
    """
    if threads is not None:
        _set(engine(), "threads", _checked_threads(threads, "threads"))
    if memory_limit is not None:
        _set(engine(), "memory_limit", _checked_size(memory_limit, "memory_limit"))
    if spill_to is not None:
        _set(engine(), "temp_directory", str(Path(spill_to).expanduser().resolve()))
    names = ("threads", "memory_limit", "temp_directory")
    return {name: _setting(name) for name in names}


def _set(found: Any, name: str, value: int | str) -> None:
    found.raw_sql(f"set {name} = {quoted(str(value))}")


def _setting(name: str) -> str:
    return str(engine().raw_sql(f"select current_setting({quoted(name)})").fetchone()[0])


def _checked_threads(value: int | str, name: str) -> int:
    try:
        return int(check_number(name, int(value), 1, 1024))
    except (TypeError, ValueError):
        raise ParameterError(
            f"{name}={value!r} is not a number of threads from 1 to 1024"
        ) from None


def _checked_size(value: str, name: str) -> str:
    if not isinstance(value, str) or not SIZE.fullmatch(value):
        raise ParameterError(f"{name}={value!r} is not a size; write a number and a unit: '4GB'")
    return value.strip()


def quoted(text: str) -> str:
    """Return ``text`` as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Return ``name`` as SQL names a table or a column."""
    return '"' + name.replace('"', '""') + '"'
