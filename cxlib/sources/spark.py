"""Spark as the way past one machine: tables stay in the cluster, and queries run there."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

import ibis.expr.types as ir

from cxlib._checks import DataError, ParameterError, UnreachableError, listed, suggest

if TYPE_CHECKING:
    from cxlib.sources.cluster import Cluster

SCHEMES = ("spark", "spark+connect")
FILE = re.compile(r"[/*]|\.(parquet|csv)(\.gz)?$")
CSV = {"header": True, "quote": '"', "escape": '"', "multiLine": True, "inferSchema": False}
OF_ONE_MACHINE = {"spark.sql.shuffle.partitions": "4"}
"""Spark's own word is 200: that many tasks at each step, for a hundred machines."""
QUIET = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.log.level": "FATAL",
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
    session = _session(url, shown)
    from cxlib.sources.cluster import telling

    with telling(shown):
        if not FILE.search(name):
            return session.with_moments(_table(session, name, shown))
        read = partial(session.read_csv, **CSV) if ".csv" in name else session.read_parquet
        return session.with_moments(read(name))


def _table(session: Cluster, name: str, shown: str) -> ir.Table:
    schema, _, table = name.rpartition(".")
    schemas = session.list_databases()
    if schema and schema not in schemas:
        raise DataError(
            f"source {shown!r}: no schema {schema!r}; there are {listed(schemas)}."
            f"{suggest(schema, schemas)}"
        )
    known = [one for one in session.list_tables(database=schema or None) if "ibis_" not in one]
    if table in known:
        return session.table(table, database=schema or None)
    raise DataError(
        f"source {shown!r}: no table {table!r} in schema {schema or 'default'!r}; it has "
        f"{listed(known)}.{suggest(table, known)}"
    )


def _session(url: str, shown: str) -> Cluster:
    """Return ibis on the session with a cluster; Spark itself keeps one for each process."""
    try:
        from pyspark.sql import SparkSession

        from cxlib.sources.cluster import Cluster, check_reached, telling
    except ImportError:
        raise ParameterError(
            f"source {shown!r}: Spark needs one more package, and Java: pip install '.[spark]'"
        ) from None
    scheme, _, where = url.partition("://")
    builder = SparkSession.builder.appName("cxlib")
    kind: type[DataError] = UnreachableError  # a cluster may answer later; this machine will not
    if scheme == "spark+connect":
        builder = builder.remote(f"sc://{where}")
    else:
        is_here = where.startswith("local")
        kind = DataError if is_here else kind
        builder = builder.master(where if is_here else f"spark://{where}")
        for name, value in (QUIET | (OF_ONE_MACHINE if is_here else {})).items():
            builder = builder.config(name, value)
    with telling(shown, "no Spark session: ", kind):
        if scheme == "spark+connect":
            check_reached(where)
        session = Cluster()
        session.shown = shown
        session.do_connect(builder.getOrCreate())
        return session
