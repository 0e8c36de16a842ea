"""Spark as the way past one machine: tables stay in the cluster, and queries run there."""

from __future__ import annotations

import re
from typing import Any

import ibis.expr.types as ir

from cxlib._checks import DataError, ParameterError, listed, suggest
from cxlib.sources.messages import reason

SCHEMES = ("spark", "spark+connect")
FILE = re.compile(r"[/*]|\.(parquet|csv)(\.gz)?$")
CSV = {"header": True, "quote": '"', "escape": '"', "multiLine": True, "inferSchema": False}
QUIET = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
}


def open_spark(address: str, shown: str) -> ir.Table:
    """Return the table of ``spark://master::table`` or ``spark+connect://host:port::table``.

    The master is ``host:port`` or ``local[n]``; the table is one that the session knows, by
    name, or a Parquet or CSV path that the cluster can read. CSV columns are all text.
    """
    url, _, name = address.partition("::")
    if not name:
        raise ParameterError(
            f"source={shown!r} names no table; write '…::schema.table' or '…::folder/*.parquet'"
        )
    from pyspark.errors import PySparkException

    session = _session(url, shown)
    try:
        if not FILE.search(name):
            return _table(session, name, shown)
        if ".csv" in name:
            return session.read_csv(name, **CSV)
        return session.read_parquet(name)
    except PySparkException as error:
        raise DataError(f"source {shown!r}: {reason(error)}") from None


def _table(session: Any, name: str, shown: str) -> ir.Table:
    schema, _, table = name.rpartition(".")
    known = session.list_tables(database=schema or None)
    if table in known:
        return session.table(table, database=schema or None)
    raise DataError(
        f"source {shown!r}: no table {table!r} in schema {schema or 'default'!r}; it has "
        f"{listed(known)}.{suggest(table, known)}"
    )


def _session(url: str, shown: str) -> Any:
    """Return ibis on the session with a cluster; Spark itself keeps one for each process."""
    try:
        import ibis
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError:
        raise ParameterError(
            f"source {shown!r}: Spark needs one more package, and Java: pip install '.[spark]'"
        ) from None
    scheme, _, where = url.partition("://")
    builder = SparkSession.builder.appName("cxlib")
    if scheme == "spark+connect":
        builder = builder.remote(f"sc://{where}")
    else:
        builder = builder.master(where if where.startswith("local") else f"spark://{where}")
        for name, value in QUIET.items():
            builder = builder.config(name, value)
    try:
        session = builder.getOrCreate()
        return ibis.pyspark.connect(session)
    except (PySparkException, RuntimeError, OSError) as error:
        raise DataError(f"source {shown!r}: no Spark session: {reason(error)}") from None
