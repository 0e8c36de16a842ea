"""What a notebook of the project is: how a new one starts, and how each is stored."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from cxlib._checks import ParameterError

FOLDER = "notebooks"
"""Where plans look for notebooks, and where they are stored without outputs."""

METADATA = {
    "kernelspec": {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python"},
}
PARAMETERS = """\
source: str = "../data/sample/orders.csv"
preset: str | None = None
as_of: str = "2024-12-31"
timezone: str = "Europe/London\""""
CELLS = (
    "# {title}: what is the question?\n\nSay who reads this page, and which decision hangs on it.",
    "import cxlib as cx",
    PARAMETERS,
    "## What was read, and what was left out",
    "orders = cx.clean_orders(cx.read(source, preset=preset), timezone=timezone)\norders",
    "## Is it fresh?\n\nWhere the data end before the as-of day, all that follows is withheld.",
    'cx.withhold(cx.freshness(orders, as_of=as_of)["doubt"][0])',
    "## A first finding\n\nSay what to look for, then show the table.",
    "table = cx.retention(orders, as_of=as_of)\n"
    "curve = cx.retention_curve(table)\n"
    "cx.show(curve, rows=6)",
    "cx.plot.retention_curve(curve);",
    "Say in one sentence what the picture means, and for whom.",
    "## The numbers to remember",
    'first = curve[curve["age"] == 1].iloc[0]\n'
    'months = cx.activity(orders, as_of=as_of, period="month")\n'
    "display(\n"
    '    cx.headline("active in month 1", first.retention_rate, first.ci_low, first.ci_high,'
    ' unit="share"),\n'
    '    cx.headline("customers behind it", first.n, unit="count"),\n'
    '    cx.headline("net revenue up to the as-of date", months["net_revenue"].sum(), unit="money",'
    " currency=orders.currency),\n"
    ")",
    "## What would change this answer\n\n"
    "- **An assumption.** Say how it was checked, and how that came out.",
)
"""The skeleton: Markdown starts with a heading or with "Say"; all else is code."""


def new(path: Path) -> Path:
    """Write a notebook of one's own, which runs and goes into a plan as it is.

    Parameters
    ----------
    path : Path
        Such as ``notebooks/05_mine.ipynb``; its name becomes the title.

    Returns
    -------
    Path
        Of the notebook.

    Raises
    ------
    ParameterError
        The file is there already, or no plan would find it.
    """
    path = path if path.suffix == ".ipynb" else path.with_name(f"{path.name}.ipynb")
    here = path.resolve()
    if path.exists():
        raise ParameterError(f"{path} is there already; give another name")
    if here.parent.name != FOLDER or not here.parent.is_dir():
        raise ParameterError(
            f"{path}: plans look for notebooks in the folder {FOLDER}/ of the project; write "
            f"{FOLDER}/{path.name}, from the project's folder"
        )
    path.write_text(nbformat.writes(skeleton(path.stem)) + "\n", encoding="utf-8")
    return path


def skeleton(name: str) -> nbformat.NotebookNode:
    """Return the notebook that `new` writes."""
    words = re.sub(r"^\d+", "", name).replace("_", " ").replace("-", " ").strip() or name
    cells = [_cell(text.replace("{title}", words[0].upper() + words[1:])) for text in CELLS]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number:02}"
    return new_notebook(cells=cells, metadata=METADATA)


def _cell(text: str) -> nbformat.NotebookNode:
    if text.startswith(("#", "Say ")):
        return new_markdown_cell(text)
    tags = {"tags": ["parameters"]} if text == PARAMETERS else {}
    return new_code_cell(text, metadata=tags)


def store_without_outputs(model: MutableMapping[str, Any], path: str, **_: Any) -> None:
    """Take the outputs out of a notebook that JupyterLab is about to save.

    The ``pre_save_hook`` of `make lab`: notebooks of the project are stored as a plan and git
    want them, whatever was run; what is on the screen stays there until the tab is closed.

    Parameters
    ----------
    model : dict
        What JupyterLab saves; changed in place.
    path : str
        Of the file, seen from the folder that JupyterLab serves.
    """
    notebook: Any = model.get("content")
    if model.get("type") != "notebook" or not path.startswith(f"{FOLDER}/"):
        return
    notebook["metadata"] = {
        **{name: value for name, value in notebook["metadata"].items() if name != "widgets"},
        **METADATA,
    }
    for cell in notebook["cells"]:
        cell["metadata"].pop("execution", None)
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
