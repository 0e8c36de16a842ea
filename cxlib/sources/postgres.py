"""PostgreSQL as a source: tables stay there, queries run there, nothing is ever written there."""

from __future__ import annotations

import atexit
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import ibis.expr.types as ir
from ibis.common.exceptions import TableNotFound

from cxlib._checks import DataError, ParameterError, UnreachableError, listed, suggest
from cxlib.sources.messages import reason

if TYPE_CHECKING:
    from cxlib.sources.warehouse import Warehouse

SCHEMES = ("postgres", "postgresql")

_SESSIONS: dict[str, Warehouse] = {}


def open_postgres(address: str, shown: str) -> ir.Table:
    """Return the table of ``postgresql://user:password@host/database::schema.table``.

    ``shown`` is what messages say: the address with its secrets still named ``${…}``.
    """
    url, _, name = address.partition("::")
    if not name:
        raise ParameterError(f"source={shown!r} names no table; write '…::schema.table'")
    if "$" not in shown and urlsplit(url).password is not None:
        raise ParameterError(
            "source: an address with a password in it is not taken, since sources are shown and "
            f"kept; put it into the environment and write '${{WAREHOUSE_URL}}::{name}'"
        )
    server = _session(url, shown.partition("::")[0])
    schema, table = _parts(name)
    try:
        return server.table(table, database=schema)
    except TableNotFound:
        schemas = server.schemas()
    if schema not in schemas:
        raise DataError(
            f"source {shown!r}: no schema {schema!r}; the database has {listed(schemas)}."
            f"{suggest(schema, schemas)}"
        )
    known = server.list_tables(database=schema)
    raise DataError(
        f"source {shown!r}: no table {table!r} in schema {schema!r}; it has {listed(known)}."
        f"{suggest(table, known)}"
    )


def _parts(name: str) -> tuple[str, str]:
    """Return schema and table; each may stand in double quotes, as in SQL."""
    in_quotes = r'"(?:[^"]|"")+"'
    found = re.fullmatch(rf'(?:({in_quotes}|[^".]+)\.)?({in_quotes}|[^".]+)', name)
    if found is None:
        schema, _, table = name.rpartition(".")
        return schema or "public", table
    schema, table = (
        part[1:-1].replace('""', '"') if part.startswith('"') else part
        for part in (found[1] or "public", found[2])
    )
    return schema, table


def _session(url: str, shown: str) -> Warehouse:
    """Return the session with a server, one for each address, so that its tables can be joined."""
    session = _SESSIONS.get(url)
    if session is None or session.con.closed or session.con.broken:
        session = _SESSIONS[url] = _connected(url, shown)
    session.begin_anew()
    return session


@atexit.register
def disconnect() -> None:
    """End all sessions; the next read begins a new one."""
    for session in _SESSIONS.values():
        session.disconnect()
    _SESSIONS.clear()


def _connected(url: str, shown: str) -> Warehouse:
    try:
        import psycopg

        from cxlib.sources.warehouse import Warehouse
    except ImportError:
        raise ParameterError(
            f"source {shown!r}: PostgreSQL needs one more package: pip install '.[postgres]'"
        ) from None
    try:
        parts = urlsplit(url)
        return Warehouse.at(
            shown,
            host=parts.hostname,
            port=parts.port or 5432,
            user=unquote(parts.username or "") or None,
            password=unquote(parts.password or "") or None,
            dbname=unquote(parts.path.lstrip("/")) or None,
        )
    except (psycopg.Error, ValueError) as error:
        kind = UnreachableError if isinstance(error, psycopg.OperationalError) else DataError
        raise kind(f"source {shown!r}: cannot connect: {reason(error)}") from None
