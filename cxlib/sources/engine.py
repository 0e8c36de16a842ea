"""The DuckDB in which all files meet, and what is known of a source once it is open."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import ibis
import ibis.expr.types as ir


@dataclass(frozen=True, eq=False)
class Opened:
    """A table, what messages call it, and what a reader should know of how it was opened.

    ``repeated`` names the header's columns that stand there more than once; ``preset`` the one
    whose layout its lines have.
    """

    table: ir.Table
    name: str
    notes: tuple[str, ...] = ()
    repeated: frozenset[str] = frozenset()
    preset: str | None = None

    def called(self, name: str) -> Opened:
        """Return the same under another name."""
        return replace(self, name=name)


def engine() -> Any:
    """Return the DuckDB in which all files meet, so that what is read can be joined."""
    found = ibis.get_backend()
    return found if found.name == "duckdb" else _own_engine()


@cache
def _own_engine() -> Any:
    return ibis.duckdb.connect()


def quoted(text: str) -> str:
    """Return ``text`` as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"
