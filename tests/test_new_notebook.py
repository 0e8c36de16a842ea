"""A notebook of one's own: `cx new`, and what JupyterLab's save leaves of it."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from click.testing import CliRunner
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from report_project import write_plan

from cxlib import clean_orders, cli, read
from cxlib.notebook import METADATA, store_without_outputs

SAMPLE = Path(__file__).parent.parent / "data" / "sample" / "orders.csv"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "data" / "sample").mkdir(parents=True)
    (tmp_path / "data" / "sample" / "orders.csv").symlink_to(SAMPLE)
    return tmp_path


def cx(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli.main, arguments)
    return done.exit_code, done.output


def test_a_new_notebook_goes_into_a_plan_at_once(project: Path) -> None:
    assert cx("new", "notebooks/05_mine") == (0, "notebooks/05_mine.ipynb\n")
    write_plan(project, "reports:\n  - notebook: 05_mine\n")
    code, said = cx("run", "reports/plans/weekly.yml", "--as-of", "2024-08-31")
    assert code == 0, said
    folder = project / "reports" / "runs" / "weekly" / "2024-08-31"
    page = (folder / "05_mine.html").read_text()
    assert "Mine: what is the question?</h1>" in page
    assert page.count("<img ") == 1
    (report,) = json.loads((folder / "run.json").read_text())["reports"]
    assert [one["name"] for one in report["headlines"]] == [
        "active in month 1", "customers behind it", "net revenue up to the as-of date",
    ]  # fmt: skip
    kept = clean_orders(read(SAMPLE), timezone="Europe/London").table.to_pandas()
    by_then = kept[kept["ordered_at"] < pd.Timestamp("2024-09-01")]
    assert report["headlines"][2]["value"] == pytest.approx(by_then["net_revenue"].sum())


def test_nothing_is_written_over(project: Path) -> None:
    path = project / "notebooks" / "05_mine.ipynb"
    path.write_text("my work")
    code, said = cx("new", "notebooks/05_mine.ipynb")
    assert code == cli.REFUSED
    assert said == "cx: notebooks/05_mine.ipynb is there already; give another name\n"
    assert path.read_text() == "my work"


@pytest.mark.parametrize("path", ["05_mine.ipynb", "elsewhere/notebooks/05_mine.ipynb"])
def test_a_notebook_that_no_plan_would_find_is_not_written(project: Path, path: str) -> None:
    code, said = cx("new", path)
    assert code == cli.REFUSED
    assert "write notebooks/05_mine.ipynb, from the project's folder" in said
    assert not list(project.rglob("05_mine*"))


def as_jupyterlab_has_it_after_a_run() -> nbformat.NotebookNode:
    cells = [
        new_markdown_cell("# Why?"),
        new_code_cell(
            "1 + 1",
            execution_count=3,
            metadata={"tags": ["parameters"], "execution": {"iopub.execute_input": "…"}},
            outputs=[new_output("execute_result", {"text/plain": "2"}, execution_count=3)],
        ),
    ]
    language = {"name": "python", "version": "3.13.1"}
    kernel = {"name": "python3", "display_name": "Python 3.13"}
    own = {"kernelspec": kernel, "language_info": language, "widgets": {"state": {}}, "mine": 1}
    return new_notebook(cells=cells, metadata=own)


def test_a_notebook_of_the_project_is_saved_as_git_and_plans_want_it() -> None:
    book = as_jupyterlab_has_it_after_a_run()
    model = {"type": "notebook", "content": book}
    store_without_outputs(model, path="notebooks/05_mine.ipynb", contents_manager=None)
    assert book.metadata == METADATA | {"mine": 1}
    assert book.cells[1].metadata == {"tags": ["parameters"]}
    assert (book.cells[1].outputs, book.cells[1].execution_count) == ([], None)
    assert [cell.source for cell in book.cells] == ["# Why?", "1 + 1"]
    nbformat.validate(book)


def test_other_files_are_saved_as_they_are() -> None:
    book = as_jupyterlab_has_it_after_a_run()
    before = copy.deepcopy(book)
    store_without_outputs({"type": "notebook", "content": book}, path="scratch/one.ipynb")
    store_without_outputs({"type": "file", "content": "x"}, path="notebooks/notes.txt")
    assert book == before
