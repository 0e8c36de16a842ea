"""Files beside a page: the tables that readers may take along, as CSV."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from cxlib.report.outputs import NARROW_MIME, TABLE_MIME

FOLDER = "tables"


def write_tables(notebook: NotebookNode, folder: Path, report: str) -> list[dict[str, Any]]:
    """Write a notebook's named tables, each to ``tables/<report>-<name>.csv``, and return them.

    What the notebook carried is replaced by where it went: ``name``, ``rows`` and ``file``.
    """
    written: list[dict[str, Any]] = []
    for output in _outputs(notebook):
        carried = output.get("data", {}).get(TABLE_MIME)
        if not carried or "csv" not in carried:
            continue
        same = sum(entry["name"] == carried["name"] for entry in written)
        ending = f"-{same + 1}" if same else ""
        file = Path(FOLDER) / f"{report}-{carried['name']}{ending}.csv"
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        # the mark at the start tells spreadsheets that the letters are UTF-8
        (folder / file).write_text(carried["csv"], encoding="utf-8-sig", newline="")
        entry = {"name": carried["name"], "rows": carried["rows"], "file": file.as_posix()}
        output["data"][TABLE_MIME] = entry
        written.append(entry)
    return written


def lighten(notebook: NotebookNode) -> None:
    """Take out of an executed notebook what only its page needs."""
    for output in _outputs(notebook):
        for mime in (NARROW_MIME, TABLE_MIME):
            output.get("data", {}).pop(mime, None)


def _outputs(notebook: NotebookNode) -> list[NotebookNode]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]
