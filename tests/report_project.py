"""A tiny project of notebooks and a plan, for the tests of reports."""

from __future__ import annotations

from pathlib import Path

import nbformat
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
