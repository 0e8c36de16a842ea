"""Which analyses compile for other engines, so that nobody guesses: docs/engines.md is this test's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pytest
from analyses import ANALYSES, sample
from ibis.backends.duckdb import Backend

from cxlib.funnel import moments

_ = ibis.pyspark  # registers the options that its compiler asks for
PAGE = Path(__file__).parent.parent / "docs" / "engines.md"
MARK = "<!-- from here on as tests/test_dialects.py makes it -->"
RUN_IN_TESTS = {"duckdb": "DuckDB", "postgres": "PostgreSQL", "pyspark": "PySpark"}
COMPILED_ONLY = {
    "bigquery": "BigQuery",
    "snowflake": "Snowflake",
    "clickhouse": "ClickHouse",
    "trino": "Trino",
}
DIALECTS = RUN_IN_TESTS | COMPILED_ONLY


@contextmanager
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[ir.Expr]]:
    """Collect every expression that an engine is asked while this lasts."""
    found: list[ir.Expr] = []
    with monkeypatch.context() as patch:
        for method in ("execute", "to_pyarrow", "to_pyarrow_batches", "_cached_table"):
            own = getattr(Backend, method)

            def noting(self: Any, expr: ir.Expr, *rest: Any, own: Any = own, **named: Any) -> Any:
                found.append(expr)
                return own(self, expr, *rest, **named)

            patch.setattr(Backend, method, noting)
        yield found


def refusal(expressions: list[ir.Expr], dialect: str) -> str | None:
    """Return why a dialect cannot take one of the expressions; None where it takes all."""
    for expression in expressions:
        try:
            ibis.to_sql(expression.as_table(), dialect=dialect)
        except Exception as error:  # each compiler has its own way to say no
            return str(error).splitlines()[0]
    return None


def test_the_page_says_what_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments, "QUICK", ())  # ask DuckDB as any other engine
    tables = sample()
    rows: list[list[str]] = []
    notes: dict[str, list[str]] = {}
    for name, analysis in ANALYSES.items():
        with asked(monkeypatch) as expressions:
            analysis(tables)
        assert expressions, f"{name} asked no engine"
        refused = {dialect: refusal(expressions, dialect) for dialect in DIALECTS}
        assert not [refused[dialect] for dialect in RUN_IN_TESTS if refused[dialect]]
        rows.append([name, *("yes" if reason is None else "no" for reason in refused.values())])
        for dialect in [dialect for dialect in DIALECTS if refused[dialect]]:
            notes.setdefault(f"{DIALECTS[dialect]}: {refused[dialect]}", []).append(name)
    head = ["analysis", *DIALECTS.values()]
    table = [head, ["---"] * len(head), *rows]
    made = "\n".join(f"| {' | '.join(row)} |" for row in table)
    made += "\n\n" + "\n".join(f"- {why} ({'; '.join(names)})" for why, names in notes.items())
    written = PAGE.read_text(encoding="utf-8").partition(MARK)[2].strip()
    assert written.splitlines() == made.splitlines(), f"put this into {PAGE.name}:\n\n{made}"
