"""A session with Spark that says in words what goes wrong there.

Imported only when an address asks for it: it needs the extra ``spark``.
"""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
from ibis.backends.pyspark import Backend
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.logger import PySparkLogger
from pyspark.sql.types import TimestampType

from cxlib._checks import DataError
from cxlib.sources.messages import reason

CONNECT_PORT = 15002
MOMENT = dt.Timestamp(timezone="UTC")
TOLD_BY_JAVA = re.compile(
    r"An error occurred while calling \S+\s*:?\s*|\b(?:\w+\.)+(?=\w*Exception)"
)

_ = ibis.pyspark  # registers the options that its compiler asks for
for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
    PySparkLogger.getLogger(name).setLevel(logging.CRITICAL)  # the error itself says enough


@contextmanager
def telling(shown: str, doing: str = "", kind: type[DataError] = DataError) -> Iterator[None]:
    """Say in words what Spark refuses, or that it went away."""
    try:
        yield
    except (PySparkException, Py4JError, RuntimeError, OSError) as error:
        told = reason(RuntimeError(TOLD_BY_JAVA.sub("", str(error))))
        raise kind(f"source {shown!r}: {doing}{told}") from None


def check_reached(where: str) -> None:
    """Raise an `OSError` where nobody listens: Spark Connect would try again for minutes."""
    parts = urlsplit(f"//{where}")
    socket.create_connection((parts.hostname or "", parts.port or CONNECT_PORT), 10).close()


class Cluster(Backend):
    """ibis' Spark; ``shown`` is what messages call it."""

    shown: str

    def execute(self, expr: ir.Expr, /, **named: Any) -> Any:
        """Execute an expression."""
        with telling(self.shown):
            return super().execute(expr, **named)

    def _create_cached_table(self, name: str, expr: ir.Table) -> ir.Table:
        """Keep a table by its name: by its query, as ibis does, Spark Connect does not find it."""
        with telling(self.shown):
            self._register_in_memory_tables(expr)
            self._session.sql(self.compile(expr)).createTempView(name)
            self._session.catalog.cacheTable(name)
            return self.table(name)

    def _drop_cached_table(self, name: str) -> None:
        """Let go of a table, unless its session has ended already."""
        with suppress(PySparkException, Py4JError, RuntimeError, OSError):
            self._session.catalog.uncacheTable(name)
            self._session.catalog.dropTempView(name)

    def with_moments(self, table: ir.Table) -> ir.Table:
        """Return the table with its moments as such: ibis takes them for stamps without a zone."""
        columns = self._session.table(table.get_name()).schema
        moments = [one.name for one in columns if isinstance(one.dataType, TimestampType)]
        return table.mutate(**{name: table[name].cast(MOMENT) for name in moments})
