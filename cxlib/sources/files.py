"""Files become one table: CSV with every column as text, JSON lines, Parquet, lines of a layout."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Sized
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import ibis
import ibis.expr.types as ir

from cxlib._checks import DataError, ParameterError
from cxlib.sources.engine import Opened, engine, identifier, made_here, quoted
from cxlib.sources.formats import Layout, layouts
from cxlib.sources.messages import absence, reading
from cxlib.sources.sheet import Sheet, check_width, sheet
from cxlib.sources.text import Text, examine

TEXT = (".csv", ".tsv", ".txt")
JSON = (".json", ".jsonl", ".ndjson")
SUFFIXES = (*TEXT, *JSON, ".parquet")
SOURCE_FILE = "source_file"
"""The column that says from which of several files a row was read; cleaning needs it to see
that two exports share orders."""
FROM = "cx_read_from"
SMALL = 16 * 2**20
"""Bytes below which a source is small."""


def open_files(
    address: str, shown: str, known: str, *, encoding: str | None, layout: Layout | None
) -> Opened:
    """Open a file, or all files that fit a pattern; ``shown`` is what messages call them."""
    paths = _paths(address, shown)
    kinds = {_kind(path) for path in paths}
    if not kinds <= set(SUFFIXES) or len({_family(kind) for kind in kinds}) > 1:
        raise ParameterError(
            f"source {shown!r}: unknown kind of file{' (or several)' * (len(kinds) > 1)}; known are "
            f"{known}, and .gz or .zst of text{_remedy(kinds)}"
        )
    family = _family(kinds.pop())
    if encoding is not None and family != "text":
        raise ParameterError(f"encoding={encoding!r} is for CSV and text; {family} has its own")
    with reading(shown):
        if family == "Parquet":
            opened, read_from = Opened(_parquet(paths, shown), shown), paths
        else:
            texts = [examine(path, shown, encoding) for path in paths]
            read_from = [text.path for text in texts]
            is_json = family == "JSON"
            opened = (
                Opened(_json(texts, shown), shown) if is_json else _of_text(texts, shown, layout)
            )
        if FROM in opened.table.columns:
            opened = replace(opened, table=_with_file(opened.table, read_from, paths))
        check_width(len(opened.table.columns), shown)
        return replace(opened, is_small=sum(path.stat().st_size for path in paths) < SMALL)


def _paths(address: str, shown: str) -> list[Path]:
    path = Path(address).expanduser()
    try:
        is_file = path.is_file()
        if is_file or not re.search(r"[*?[]", address):
            found = [path]
        else:
            found = sorted(map(Path, glob.glob(str(path), recursive=True)))
        bad = [one for one in found if not one.is_file()]
    except (OSError, ValueError):
        found = bad = [path]
    if not found:
        raise DataError(
            f"source {shown!r}: no file fits this pattern (looked from {Path.cwd().name}/)"
        )
    if bad:
        which = f"{bad[0].name!r}: " if len(found) > 1 else ""
        raise DataError(f"source {shown!r}: {which}{absence(bad[0])}")
    return [one.resolve() for one in found]


def _kind(path: Path) -> str:
    packed = path.suffix.lower() in (".gz", ".zst")
    return Path(path.stem if packed else path.name).suffix.lower()


def _family(kind: str) -> str:
    return "Parquet" if kind == ".parquet" else "JSON" if kind in JSON else "text"


def _remedy(kinds: Iterable[str]) -> str:
    if {".xlsx", ".xls", ".ods"} & set(kinds):
        return "; save the sheet as CSV UTF-8"
    return "; unpack it first" if {".zip", ".bz2", ".xz", ".7z"} & set(kinds) else ""


def _with_file(table: ir.Table, read_from: list[Path], paths: list[Path]) -> ir.Table:
    """Say of each row which of the files it is from, by the part of the path that tells them apart."""
    root = os.path.commonpath([path.parent for path in paths])
    names = {
        str(one): os.path.relpath(path, root) for one, path in zip(read_from, paths, strict=True)
    }
    file = table[FROM].substitute(names)
    return table.mutate(**{SOURCE_FILE: file}).drop(FROM)


def _literal(paths: Iterable[Path]) -> list[str]:
    """Return names that the engine takes as they are, not as patterns."""
    return [glob.escape(str(path)) for path in paths]


def _parquet(paths: list[Path], shown: str) -> ir.Table:
    for path in paths:
        with path.open("rb") as stream:
            if not stream.read(1):
                raise DataError(f"source {shown!r}: it is empty")
    files = _in_sql(paths)
    table = _view(f"read_parquet({files}, union_by_name = {len(paths) > 1})")
    if not _says_file(paths, table.columns):
        return table
    return _view(f"read_parquet({files}, union_by_name = true, filename = {FROM})")


def _says_file(files: Sized, names: Iterable[str]) -> bool:
    """Say whether rows are to tell their file: there are several, and no column says it yet."""
    return len(files) > 1 and SOURCE_FILE not in {name.lower() for name in names}


def _json(texts: list[Text], shown: str) -> ir.Table:
    """Read lines of JSON; all of them are looked at, since a key may come late."""
    for text in texts:
        first = text.head.lstrip()[:1]
        if first not in ("{", "["):
            raise DataError(
                f"source {shown!r}: line 1 is no JSON object; write one object for each row"
            )
    paths = _literal(text.path for text in texts)
    # text stays text: a stamp would be moved to UTC and lose what it says of its offset
    never = {"dateformat": "%%", "timestampformat": "%%"}
    table = engine().read_json(paths, sample_size=-1, union_by_name=True, **never)
    if _says_file(texts, table.columns):
        table = engine().read_json(
            paths, sample_size=-1, union_by_name=True, filename=FROM, **never
        )
    odd = [name for name, dtype in table.schema().items() if dtype.is_uuid() or dtype.is_time()]
    return table.mutate(**{name: table[name].cast("string") for name in odd}) if odd else table


def _of_text(texts: list[Text], shown: str, layout: Layout | None) -> Opened:
    if layout is not None:
        return Opened(_laid_out(texts, shown, layout), shown, _notes(texts))
    for preset, one in layouts().items():
        if all(re.search(one.pattern, text.head.split("\n", 1)[0]) for text in texts):
            return Opened(_laid_out(texts, shown, one), shown, _notes(texts), preset=preset)
    sheets = [sheet(text, shown) for text in texts]
    alike: dict[tuple[object, ...], list[Sheet]] = {}
    for one_sheet in sheets:
        alike.setdefault(one_sheet.form, []).append(one_sheet)
    says_file = _says_file(texts, [name for one_sheet in sheets for name in one_sheet.names])
    tables = [_csv(group, says_file=says_file) for group in alike.values()]
    names = list(dict.fromkeys(name for table in tables for name in table.columns))
    full = [_with_all(table, names) for table in tables]
    table = full[0] if len(full) == 1 else ibis.union(*full)
    repeated = frozenset(name for one_sheet in sheets for name in one_sheet.repeated)
    return Opened(table, shown, _notes(texts), repeated)


def _notes(texts: list[Text]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(note for text in texts for note in text.notes))


def _with_all(table: ir.Table, names: list[str]) -> ir.Table:
    missing = {name: ibis.null("string") for name in names if name not in table.columns}
    return table.mutate(**missing).select(*names) if missing else table.select(*names)


def _csv(sheets: list[Sheet], *, says_file: bool) -> ir.Table:
    """Read files of one form as text; quotes are as in RFC 4180, and no line is a comment."""
    first = sheets[0]
    files = _in_sql(one.text.path for one in sheets)
    # written here, for ibis takes a millisecond for each column of a schema
    columns = ", ".join(f"{identifier(name)}: 'VARCHAR'" for name in first.names)
    return _view(
        f"read_csv({files}, columns = {{{columns}}}, auto_detect = false, header = true, "
        f"delim = {quoted(first.sign)}, quote = '\"', escape = '\"', comment = '', "
        f"skip = {first.skip}, compression = {quoted(first.compression)}"
        f"{f', filename = {FROM}' if says_file else ''})"
    )


def _laid_out(texts: list[Text], shown: str, layout: Layout) -> ir.Table:
    """Read lines without a header by the pattern that each of them has."""
    lines = _lines(texts)
    parts = {
        name: lines["line"].re_extract(layout.pattern, place)
        for place, name in enumerate(layout.names, 1)
    }
    odd = lines.filter(~lines["line"].re_search(layout.pattern))
    found = odd.aggregate(n=odd.count(), first=odd["row"].min()).to_pyarrow().to_pylist()[0]
    if found["n"]:
        raise DataError(
            f"source {shown!r}: {found['n']:,} lines have another form than its preset says (first: "
            f"line {found['first']:,}); mend them, or leave the preset out"
        )
    return lines.select(**parts, **{layout.row_number: lines["row"].cast("string")})


def _lines(texts: list[Text]) -> ir.Table:
    """Return each line that is not blank with its number."""
    files = _in_sql(text.path for text in texts)
    lines = _view(
        f"read_csv({files}, columns = {{line: 'VARCHAR'}}, auto_detect = false, header = false, "
        "delim = '\x01', quote = '', escape = '', comment = '', skip = 0)"
    )
    numbered = lines.mutate(row=ibis.row_number() + 1)
    return numbered.filter(numbered["line"].strip() != "")


def _in_sql(paths: Iterable[Path]) -> str:
    return f"[{', '.join(map(quoted, _literal(paths)))}]"


def _view(source: str) -> ir.Table:
    """Return what a function of SQL reads; written here, for ibis takes three times as long."""
    name = ibis.util.gen_name("cx_read")
    engine().raw_sql(f"create temp view {name} as from {source}")
    columns = engine().raw_sql(f"describe {name}").fetchall()
    return made_here(name, _schema(tuple((column, kind) for column, kind, *_ in columns)))


@lru_cache
def _schema(columns: tuple[tuple[str, str], ...]) -> ibis.Schema:
    type_of = engine().compiler.type_mapper.from_string
    return ibis.schema({name: type_of(kind) for name, kind in columns})
