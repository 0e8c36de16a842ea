"""The form of a CSV file: the sign between its fields, and the names in its header."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass

from cxlib._checks import DataError
from cxlib.sources.naming import plain
from cxlib.sources.text import Text

SIGNS: tuple[str, ...] = (",", ";", "\t", "|")
MOST_COLUMNS = 2_000
MOST_ABOVE = 20
"""Lines above a header, such as the title and the period of a report."""
RECORDS = 100
"""Records at the beginning of a file whose fields are counted."""


@dataclass(frozen=True)
class Sheet:
    """One CSV file as its engine must read it."""

    text: Text
    sign: str
    names: tuple[str, ...]
    repeated: frozenset[str] = frozenset()
    skip: int = 0

    @property
    def compression(self) -> str:
        """How it is packed, in the engine's word."""
        return {".gz": "gzip", ".zst": "zstd"}.get(self.text.path.suffix.lower(), "none")

    @property
    def form(self) -> tuple[object, ...]:
        """What files that are read together have in common."""
        return self.names, self.sign, self.skip, self.compression


def sheet(text: Text, shown: str) -> Sheet:
    """Find the form of a file from its first records.

    Raises
    ------
    DataError
        A record has another number of fields than the header, or a quote is never closed.
    """
    head, skip, signs = text.head, 0, SIGNS
    said = re.match(r'"?sep=(.)"?\r?\n', head)  # a spreadsheet's own line
    if said:
        head, skip, signs = head[said.end() :], 1, (said[1],)
    while blank := re.match(r"[ \t]*(\r\n|\r|\n)", head):
        head, skip = head[blank.end() :], skip + 1
    found = {sign: _beginning(head, sign, text.is_whole) for sign in signs}
    sign = max(signs, key=lambda sign: found[sign].fit)
    beginning = found[sign]
    if beginning.fault is not None:
        raise DataError(
            f"source {shown!r}: line {beginning.fault + skip:,} opens a quote that is not closed, or "
            "holds one that is not doubled; mend that line"
        )
    if not beginning.fit[0]:
        _check_one_column(found, shown, skip)
    check_width(len(beginning.records[0][1]), shown)
    names, repeated = _names(beginning.records[0][1])
    for line, record in beginning.records[1:]:
        is_longer = len(record) == len(names) + 1 and not record[-1]
        if record and len(record) != len(names) and not is_longer:
            _check_preamble(beginning, shown, skip)
            fields = f"{len(record):,} field{'s' * (len(record) != 1)}"
            raise DataError(
                f"source {shown!r}: line {line + skip:,} holds {fields}, its header {len(names):,}; "
                "mend that line, or export again"
            )
    return Sheet(text, sign, names, repeated, skip)


def _check_one_column(found: Mapping[str, _Beginning], shown: str, skip: int) -> None:
    """Raise unless a header of one name heads one column: its lines must not divide otherwise."""
    for beginning in found.values():
        if beginning.fault is not None and not beginning.records:
            raise DataError(
                f"source {shown!r}: line {1 + skip:,} opens a quote that is not closed; mend its header"
            )
        _check_preamble(beginning, shown, skip)


def _check_preamble(beginning: _Beginning, shown: str, skip: int) -> None:
    """Raise if a few shorter lines stand above what is one table from there to the end."""
    filled = [(line, len(record)) for line, record in beginning.records if record]
    width = filled[-1][1]
    above = next((n for n, (_, one) in enumerate(filled) if one == width), 0)
    is_table = len(filled) > above + 1 and all(one == width for _, one in filled[above:])
    if 0 < above <= MOST_ABOVE and is_table and max(one for _, one in filled[:above]) < width:
        line = filled[above][0] + skip
        raise DataError(
            f"source {shown!r}: its header seems to be in line {line:,}, of {width:,} fields; remove "
            "what stands above it"
        )


def check_width(width: int, shown: str) -> None:
    """Raise if a table is too wide for anything to be made of it."""
    if width > MOST_COLUMNS:
        raise DataError(
            f"source {shown!r}: it has {width:,} columns, of which at most {MOST_COLUMNS:,} can be "
            "read; export the few that you need"
        )


@dataclass(frozen=True)
class _Beginning:
    """The first records, each with its first line, and the line whose quotes are wrong."""

    records: list[tuple[int, list[str]]]
    fault: int | None

    @property
    def fit(self) -> tuple[bool, bool, float, int]:
        """How well a sign divides: into several fields, as many in each record."""
        filled = [record for _, record in self.records if record]
        width = len(filled[0]) if filled else 0
        alike = sum(len(record) in (width, width + 1) for record in filled)
        return width > 1, self.fault is None, alike / max(len(filled), 1), width


def _beginning(head: str, sign: str, is_whole: bool) -> _Beginning:
    """Return the first records; the last may be cut and is left out."""
    reader = csv.reader(io.StringIO(head, newline=""), delimiter=sign, strict=True)
    records: list[tuple[int, list[str]]] = []
    line = 1
    try:
        for record in reader:
            records.append((line, record))
            line = reader.line_num + 1
            if len(records) > RECORDS:
                break
    except csv.Error as error:
        is_cut = not is_whole and "end of data" in str(error)
        return _Beginning(records, None if is_cut and records else line)
    is_all = is_whole and len(records) <= RECORDS
    return _Beginning(records if is_all or len(records) < 2 else records[:-1], None)


def _names(header: list[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return names that differ also without case, and those that the header holds repeatedly."""
    names: list[str] = []
    taken: set[str] = set()
    repeated: set[str] = set()
    for place, written in enumerate(header, 1):
        name = first = written if plain(written) else f"column_{place}"
        number = 2
        while plain(name).lower() in taken:
            repeated.add(plain(first).lower())
            name, number = f"{first}_{number}", number + 1
        taken.add(plain(name).lower())
        names.append(name)
    return tuple(names), frozenset(repeated)
