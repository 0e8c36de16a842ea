"""A tiny project of notebooks and a plan, for the tests of reports."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
import psutil
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ORDERS = """order_id,customer_id,ordered_at,net_revenue
1,ann,2024-01-03,20.0
2,bob,2024-01-05,35.5
3,ann,2024-02-11,12.0
"""


def write_notebook(project: Path, name: str, parameters: str, *cells: str) -> Path:
    """Write notebooks/<name>.ipynb; a cell that starts with # is Markdown."""
    path = project / "notebooks" / f"{name}.ipynb"
    path.parent.mkdir(exist_ok=True)
    parameter_cell = new_code_cell(parameters, metadata={"tags": ["parameters"]})
    body = [
        new_markdown_cell(text) if text.startswith(("#", "Text")) else new_code_cell(text)
        for text in cells
    ]
    book = new_notebook(cells=[*body[:1], parameter_cell, *body[1:]])
    for number, cell in enumerate(book.cells):
        cell.id = f"cell-{number}"
    nbformat.write(book, path)
    return path


def write_plan(project: Path, text: str, name: str = "weekly") -> Path:
    """Write reports/plans/<name>.yml."""
    path = project / "reports" / "plans" / f"{name}.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def write_orders(project: Path, text: str = ORDERS) -> Path:
    """Write data/orders.csv."""
    path = project / "data" / "orders.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def start(
    project: Path, *arguments: str, plan: str = "weekly", prefix: Sequence[str] = ()
) -> subprocess.Popen[str]:
    """Start ``cx run`` on a plan of the project, in a process of its own."""
    command = [sys.executable, "-m", "cxlib.cli", "run", f"reports/plans/{plan}.yml", *arguments]
    pipe = subprocess.PIPE
    # under pytest's own variable, ipykernel leaves what child processes print alone
    env = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    return subprocess.Popen(
        [*prefix, *command], cwd=project, stdout=pipe, stderr=pipe, text=True, env=env
    )


def record_of(project: Path, day: str = "2024-12-31", plan: str = "weekly") -> dict[str, Any]:
    """Return the record of a published run; its pages are whole, or this fails."""
    folder = project / "reports" / "runs" / plan / day
    record: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    pages = [report["page"] for report in record["reports"] if report["page"]]
    for name in ["index.html", *pages]:
        assert (folder / name).read_text(encoding="utf-8").rstrip().endswith("</html>"), name
    return record


def alive(mark: str) -> list[int]:
    """Return the processes whose command line or folder holds a mark."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            text = " ".join([*process.cmdline(), process.cwd()])
            if mark in text and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return [pid for pid in found if pid != os.getpid()]
