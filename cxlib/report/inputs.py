"""What a notebook will read: opened and cleaned once before anything runs, and fingerprinted."""

from __future__ import annotations

import ast
import glob
import hashlib
import inspect
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxlib import clean, sources
from cxlib._checks import DataError
from cxlib.clean import prepared
from cxlib.report.jobs import Job, is_source
from cxlib.report.parameters import declared
from cxlib.tables import CONTRACTS

NO_WAYS = ("raw", "max_loss")
"""Arguments of cleaning that do not change how a row is cleaned."""

BIG = 512 * 1024**2
"""Bytes above which a file is known by path, size and time of change, not by its contents."""


@dataclass(frozen=True)
class Reading:
    """One ``cx.read(...)`` of a source, and the ``cx.clean_<table>(...)`` that it goes through."""

    source: str
    read: tuple[tuple[str, Any], ...] = ()
    table: str = ""
    cleaning: tuple[tuple[str, Any], ...] = ()

    def check(self, keep: Path | None = None) -> tuple[str, ...]:
        """Open the source, and clean it as the notebook will; raise the `CxError` it would meet.

        Returns the columns of what was cleaned, none where nothing was. How much may be lost is left to the notebook: a report on bad data may want it all. What
        was cleaned is kept in ``keep``, where `cxlib.clean` finds it once more.
        """
        raw = sources.read(self.source, **dict(self.read))
        if raw.table.limit(1).count().execute() == 0:
            raise DataError(f"source {self.source!r} has no rows")
        if not self.table:
            return ()
        cleaner, contract = getattr(clean, f"clean_{self.table}"), CONTRACTS[self.table]
        given = inspect.signature(cleaner).bind(raw, **dict(self.cleaning))
        given.apply_defaults()
        ways = {name: way for name, way in given.arguments.items() if name not in NO_WAYS}
        cleaned = cleaner(raw, **ways, max_loss=1.0)
        kept = cleaned.table
        if keep is not None:
            prepared.remember(keep, cleaned, raw, ways)
        if kept[contract.who].nunique().execute() < 2:
            raise DataError(
                f"{self.table}: source {self.source!r} holds one {contract.who} only; "
                "there is nobody to compare"
            )
        return tuple(kept.columns)


def readings(code: ast.Module, parameters: Mapping[str, Any]) -> Iterator[Reading]:
    """Find what code reads from its source parameters, as far as its text alone tells.

    A call whose arguments are neither literals nor parameters is opened but not cleaned.
    """
    named = _named(code, parameters)
    opened = [Reading(value) for name, value in parameters.items() if is_source(name) and value]
    calls = [node for node in ast.walk(code) if isinstance(node, ast.Call)]
    found = [reading for node in calls if (reading := _reading(node, named, parameters))]
    cleaned = {reading.source for reading in found if reading.table}
    yield from (reading for reading in found if reading.table)
    rest = [*found, *opened]
    yield from (reading for reading in rest if reading.source not in cleaned)


def groupings(code: ast.Module, parameters: Mapping[str, Any]) -> Iterator[tuple[Reading, str]]:
    """Find which cleaned tables code groups ``by=`` a parameter: the table, and the parameter.

    Only what the text tells for sure: a table as it was cleaned, and names that are bound once.
    """
    named = _named(code, parameters)
    names = [node for node in ast.walk(code) if isinstance(node, ast.Name)]
    bound = Counter(name.id for name in names if isinstance(name.ctx, ast.Store))
    for node in ast.walk(code):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        table, by = node.args[0], {word.arg: word.value for word in node.keywords}.get("by")
        if not isinstance(table, ast.Name) or not isinstance(by, ast.Name):
            continue
        reading, is_sure = named.get(table.id), bound[table.id] == 1 and bound[by.id] <= 1
        if reading and reading.table and is_sure and isinstance(parameters.get(by.id), str):
            yield reading, by.id


def _named(code: ast.Module, parameters: Mapping[str, Any]) -> dict[str, Reading]:
    """Return what names of the code stand for."""
    named = {
        name: Reading(value) for name, value in parameters.items() if is_source(name) and value
    }
    for node in ast.walk(code):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            reading = _reading(node.value, named, parameters)
            if reading is not None:
                named[node.targets[0].id] = reading
    return named


def _reading(
    node: ast.AST, named: Mapping[str, Reading], parameters: Mapping[str, Any]
) -> Reading | None:
    if isinstance(node, ast.Name):
        return named.get(node.id)
    if not isinstance(node, ast.Call) or not node.args:
        return None
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    table = name.removeprefix("clean_")
    inner = _reading(node.args[0], named, parameters)
    if inner is None or (name != "read" and table not in CONTRACTS):
        return None
    function = sources.read if name == "read" else getattr(clean, name)
    try:
        given = inspect.signature(function).bind(
            None,
            *(_value(argument, parameters) for argument in node.args[1:]),
            **{word.arg or "": _value(word.value, parameters) for word in node.keywords},
        )
    except (TypeError, ValueError):
        return inner
    arguments = tuple(list(given.arguments.items())[1:])
    if name == "read":
        return Reading(inner.source, read=arguments)
    return Reading(inner.source, inner.read, table, arguments)


def _value(node: ast.expr, parameters: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Name) and node.id in parameters:
        return parameters[node.id]
    return ast.literal_eval(node)


def files_named(job: Job, root: Path) -> list[str]:
    """Return the files, beside its sources, that a job's parameters or its notebook's text name."""
    text = declared(job.notebook).code
    words = {node.value for node in ast.walk(text) if isinstance(node, ast.Constant)}
    words |= {value for value in job.parameters.values() if not isinstance(value, list)}
    named = {word for word in words if isinstance(word, str) and 0 < len(word) < 300}
    return sorted(word for word in named - set(job.sources.values()) if _is_file(root / word))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def fingerprint(source: str) -> dict[str, Any]:
    """Return what identifies the contents of a source: ``{source, method, value, bytes}``.

    ``method`` is ``sha256`` (of the contents; of the list of digests for several files),
    ``path, size and time`` for files above `BIG`, or ``none`` for what is no file here.
    """
    path = source.removeprefix("duckdb://").partition("::")[0]
    files = sorted(Path(name) for name in glob.glob(path)) or [Path(path)]
    if "$" in source or not all(file.is_file() for file in files):
        return {"source": source, "method": "none", "value": None, "bytes": None}
    size = sum(file.stat().st_size for file in files)
    if size > BIG:
        method, marks = "path, size and time", [_stamp(file) for file in files]
    else:
        method, marks = "sha256", [_digest(file) for file in files]
    value = marks[0] if len(marks) == 1 else hashlib.sha256("\n".join(marks).encode()).hexdigest()
    return {"source": source, "method": method, "value": value, "bytes": size}


def _stamp(file: Path) -> str:
    known = file.stat()
    return hashlib.sha256(f"{file}|{known.st_size}|{known.st_mtime_ns}".encode()).hexdigest()


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
