"""What a run tells its kernels about whom the pages may speak of."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from cxlib._published import ID, MIN_GROUP, SHOW_IDS, masked_addresses

NAMED_ID = re.compile(
    r"((?:customer|user|client|order|session|visitor)_?id['\"]?\s*[=:]+\s*['\"]?)[\w.+-]+",
    re.IGNORECASE,
)
"""An id that a message names: ``customer_id='C-17'``."""
WORD = re.compile(r"\w(?:[\w.+-]*\w)?")
SHORT_NUMBER = re.compile(r"\d{1,3}|\w")
"""Numbers of lines and letters, which would be masked for nothing."""
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
KEY_ERROR = re.compile(r"^KeyError: (.+)$", re.MULTILINE)


@contextmanager
def for_readers(parameters: Mapping[str, Any], min_group: int) -> Iterator[None]:
    """Let the kernels that start meanwhile show only what readers may see.

    A notebook that declares ``min_group: int`` or ``show_ids: bool`` decides for itself; else
    the plan's ``min_group`` holds and no ids are shown.
    """
    before = {name: os.environ.get(name) for name in (MIN_GROUP, SHOW_IDS)}
    os.environ[MIN_GROUP] = str(parameters.get("min_group", min_group))
    os.environ[SHOW_IDS] = "1" if parameters.get("show_ids") is True else ""
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ.update({name: value} if value is not None else {})


def masked(value: Any, ids: Iterable[str] = ()) -> Any:
    """Return what a run said, text or lists of it, without addresses, named ids and ``ids``."""
    if isinstance(value, str):
        said = NAMED_ID.sub(r"\1…", masked_addresses(value))
        hidden = set(ids)
        return (
            WORD.sub(lambda word: "…" if word[0] in hidden else word[0], said) if hidden else said
        )
    if isinstance(value, Mapping):
        return {key: masked(inner, ids) for key, inner in value.items()}
    return [masked(inner, ids) for inner in value] if isinstance(value, list) else value


def hide_in(
    notebook: NotebookNode, parameters: Mapping[str, Any], cleaned: Path | None = None
) -> None:
    """Take addresses and ids out of what the cells said, unless ``show_ids`` asks for them.

    Ids are known where they are named as such, and where the tables in ``cleaned`` hold them.
    """
    if parameters.get("show_ids") is True:
        return
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    for output in outputs:
        if "traceback" in output:  # colours would stand between the letters of a word
            output.traceback = [COLOUR.sub("", line) for line in output.traceback]
    said = [text for output in outputs for _, _, text in _said(output)]
    ids = ids_in(said, cleaned, own_words="\n".join(cell.source for cell in notebook.cells))
    told = {word for word in ids if re.search(r"[^\W\d]", word)}
    for output in outputs:
        for holder, name, text in _said(output):
            # a number that is somebody's id may be a count as well, but in an error
            holder[name] = masked(text, ids if output.output_type == "error" else told)


def _said(output: NotebookNode) -> Iterator[tuple[Any, str, Any]]:
    """Yield where an output holds words, and the words."""
    for name in ("text", "ename", "evalue", "traceback"):
        if name in output:
            yield output, name, output[name]
    for mime, value in output.get("data", {}).items():
        if mime.startswith("text/") or mime.endswith("json"):
            yield output.data, mime, value


def ids_in(said: Any, cleaned: Path | None, own_words: str = "") -> set[str]:
    """Return the words of some text that are ids in the tables which the run has cleaned.

    A key that a table does not have is taken for an id too where it has a digit in it and is not
    among the notebook's ``own_words``.
    """
    text = "\n".join(_texts(said))
    words = {word for word in WORD.findall(text) if not SHORT_NUMBER.fullmatch(word)}
    keys = {word for key in KEY_ERROR.findall(text) for word in WORD.findall(key)}
    strange = {word for word in keys if re.search(r"\d", word) and word not in own_words}
    return strange | _known(frozenset(words), cleaned)


@lru_cache(maxsize=4)
def _known(words: frozenset[str], cleaned: Path | None) -> frozenset[str]:
    """Return which of some words stand in a column of ids; only those cross from the disk."""
    import pyarrow.dataset as files
    import pyarrow.types as kinds

    found: set[str] = set()
    tables = [*cleaned.glob("*.parquet"), *cleaned.glob("*.dropped")] if cleaned else []
    for path in tables:
        table = files.dataset(path)
        for column in table.schema:
            is_text = kinds.is_string(column.type) or kinds.is_large_string(column.type)
            if is_text and ID.search(column.name):
                among = files.field(column.name).isin(sorted(words))
                rows = table.to_table(columns=[column.name], filter=among)
                found.update(rows[column.name].unique().to_pylist())
    return frozenset(found)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, Mapping)):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(inner)
