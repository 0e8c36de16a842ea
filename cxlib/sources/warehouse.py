"""A session with a PostgreSQL server that reads one snapshot and can write nothing.

Imported only when an address asks for it: it needs the extra ``postgres``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import psycopg
import sqlglot as sg
import sqlglot.expressions as sge
from ibis.backends.postgres import Backend
from ibis.backends.sql.compilers.postgres import PostgresCompiler

from cxlib._checks import DataError, UnreachableError
from cxlib.sources.messages import reason, without_secrets

OPTIONS = {
    "default_transaction_read_only": "on",
    "default_transaction_isolation": r"repeatable\ read",
    # what comes out of a query is guessed too small, and then looped over: minutes for seconds
    "enable_nestloop": "off",
    "jit": "off",  # compiling long queries takes longer than what it saves
    "work_mem": "64MB",
}
SETTINGS: dict[str, Any] = {
    "autocommit": False,
    "options": " ".join(f"-c {name}={value}" for name, value in OPTIONS.items()),
    "connect_timeout": 10,
    "application_name": "cxlib",
}
FAULTS_OF_THE_SOURCE = (
    psycopg.OperationalError,
    psycopg.DataError,
)


DAY = (
    r"(\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)"
    r"|02-(0[1-9]|1\d|2[0-8]))|(\d\d(0[48]|[2468][048]|[13579][26])"
    r"|([02468][048]|[13579][26])00)-02-29)"
)
TIME = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?"
ZONE = r"( ?(Z|UTC|[+-]\d\d(:?\d\d)?))?"
READABLE = {
    "integer": r"^\s*[+-]?\d{1,18}\s*$",
    "floating": r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?\s*$",
    "timestamp": rf"^\s*{DAY}([ T]{TIME}{ZONE})?\s*$",
    "date": rf"^\s*{DAY}\s*$",
}
"""What text of each kind looks like: PostgreSQL before 16 has no cast that gives null instead."""


class _Compiler(PostgresCompiler):
    """ibis' own, but for what PostgreSQL, or a session that may write nothing, refuses."""

    def visit_Cast(self, op: Any, *, arg: Any, to: Any) -> Any:  # noqa: N802
        """Cast a truth value to a bigint or a float by way of an int."""
        if op.arg.dtype.is_boolean() and to.is_numeric():
            arg = self.cast(arg, dt.int32)
        return super().visit_Cast(op, arg=arg, to=to)

    def visit_TryCast(self, op: Any, *, arg: Any, to: Any) -> Any:  # noqa: N802
        """Cast text only where it reads as what it is cast to; else give null."""
        kinds = [kind for kind in READABLE if getattr(to, f"is_{kind}")()]
        cast = self.visit_Cast(op, arg=arg, to=to)
        if not op.arg.dtype.is_string() or not kinds:
            return cast
        fits = sge.RegexpLike(this=arg, expression=sge.convert(READABLE[kinds[0]]))
        return self.if_(fits, cast, sge.Null())

    def visit_Hash(self, op: Any, *, arg: Any) -> Any:  # noqa: N802
        """Hash a whole row by its text."""
        if op.arg.dtype.is_struct():
            return self.f.hashtextextended(self.cast(arg, dt.string), 0)
        return super().visit_Hash(op, arg=arg)

    def visit_InMemoryTable(self, op: Any, *, name: str, schema: Any, data: Any) -> Any:  # noqa: N802
        """Write a frame into the query itself, since the server holds no scratch table for it."""
        rows = [
            sge.Tuple(expressions=[sge.convert(value) for value in row])
            for row in data.to_frame().itertuples(index=False)
        ]
        columns = [sg.to_identifier(column, quoted=True) for column in schema.names]
        named = sge.TableAlias(this=sg.to_identifier(name, quoted=True), columns=columns)
        typed = [
            self.cast(sg.column(column, quoted=True), dtype).as_(column, quoted=True)
            for column, dtype in schema.items()
        ]
        return sg.select(*typed).from_(sge.Values(expressions=rows, alias=named))


class Warehouse(Backend):
    """ibis' PostgreSQL, in one read-only transaction at a time; it keeps no scratch tables.

    ``shown`` is what messages call it: its address without secrets.
    """

    compiler = _Compiler()
    supports_temporary_tables = False

    @classmethod
    def at(cls, shown: str, **where: Any) -> Warehouse:
        """Connect; ``where`` is what psycopg takes."""
        connection: Any = _Connection.connect(**where, **SETTINGS)
        connection.shown = shown
        connection.cursor_factory = _Cursor
        connection.server_cursor_factory = _ServerCursor
        return cls.from_connection(connection)

    @property
    def db_identity(self) -> str:
        """Tell sessions apart by their connection, never by a password."""
        return f"postgres {id(self.con)}"

    def begin_anew(self) -> None:
        """Take a new snapshot; what is asked next, until the next call, sees it unchanged."""
        with telling(self.con):
            self.con.rollback()
        self.con.execute("select 1")  # ibis' own transactions then nest in this one

    def schemas(self) -> list[str]:
        """Name the schemas, less those of the server itself."""
        found = self.con.execute(
            "select nspname from pg_namespace where nspname !~ '^pg_' "
            "and nspname <> 'information_schema' order by 1"
        )
        return [name for (name,) in found.fetchall()]

    def _register_in_memory_table(self, op: Any) -> None:
        """Do nothing: the compiler writes the rows into the query."""

    def _cached_table(self, table: ir.Table) -> ir.CachedTable:
        """Return the table as it is: it is asked again where other engines keep a copy."""
        return ir.CachedTable(table.op())


@contextmanager
def telling(connection: Any) -> Iterator[None]:
    """Say in words what a server refuses, or that it went away."""
    shown = connection.shown
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        what = re.sub(r"^permission denied for (\w+) ", r"\1 ", str(error).splitlines()[0])
        said = f"user {connection.info.user!r} may not read {what}; ask for the right to (GRANT SELECT)"
        raise DataError(f"source {shown!r}: {without_secrets(said)}") from None
    except FAULTS_OF_THE_SOURCE as error:
        kind = UnreachableError if isinstance(error, psycopg.OperationalError) else DataError
        raise kind(f"source {shown!r}: {reason(error)}") from None


class _Connection(psycopg.Connection):
    shown: str

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        with telling(self):
            return super().cursor(*args, **kwargs)


class _Cursor(psycopg.Cursor):
    connection: Any

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        with telling(self.connection):
            return super().execute(*args, **kwargs)


class _ServerCursor(psycopg.ServerCursor):
    connection: Any

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        with telling(self.connection):
            return super().execute(*args, **kwargs)

    def fetchmany(self, *args: Any, **kwargs: Any) -> Any:
        with telling(self.connection):
            return super().fetchmany(*args, **kwargs)

    def close(self) -> None:
        """Close it, also after a fault that has already ended it."""
        with suppress(psycopg.errors.InvalidCursorName, psycopg.OperationalError):
            super().close()
