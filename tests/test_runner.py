"""Running: a report is judged by how it ended, and its kernel by nothing else here."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import psutil
import pytest
from report_project import write_notebook

from cxlib.report import kernel, pool, runner
from cxlib.report.jobs import Job, Limits
from cxlib.report.runner import Task, execute

RUN = {
    "title": "Tests",
    "as_of": dt.date(2024, 12, 31).isoformat(),
    "started": "2025-01-01T03:00:00Z",
    "versions": {"python": "3"},
}


def task(project: Path, *cells: str, **given: object) -> Task:
    notebook = write_notebook(project, "report", "word: str = 'own'", "# A question", *cells)
    folder = project / "staging {0}"
    folder.mkdir(exist_ok=True)
    return Task(Job("report", notebook, given, {"word": "own", **given}), project, folder, RUN)


def executed(project: Path) -> nbformat.NotebookNode:
    return nbformat.read(project / "staging {0}" / "notebooks" / "report.ipynb", as_version=4)


def test_a_notebook_that_ends_well_has_a_page_and_its_headlines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a kernel named python3 of someone else's must not be started in place of ours
    stray = tmp_path / "jupyter" / "kernels" / "python3"
    stray.mkdir(parents=True)
    (stray / "kernel.json").write_text('{"argv": ["false"], "language": "python"}')
    monkeypatch.setenv("JUPYTER_PATH", str(stray.parents[1]))
    word = 'says "hi"\n\\ שלום'
    result = execute(
        task(
            tmp_path,
            "import cxlib as cx, pathlib\nprint(word, pathlib.Path.cwd().name)",
            "cx.headline('kept', 0.5, unit='share')",
            word=word,
        )
    )
    assert (result.status, result.error, result.title) == ("succeeded", None, "A question")
    assert result.headlines[0]["value"] == 0.5
    assert result.duration_seconds > 0
    book = executed(tmp_path)
    assert book.cells[3].outputs[0].text == f"{word} {tmp_path.name}\n"
    assert str(tmp_path) not in str(book.metadata), "no path of this machine"
    assert "A question" in (tmp_path / "staging {0}" / "report.html").read_text()


def test_an_error_is_told_with_its_cell_and_last_lines(tmp_path: Path) -> None:
    result = execute(task(tmp_path, "x = 1", "int('twelve')", "x = 2"))
    assert result.status == "failed"
    assert result.error is not None
    assert result.error["name"] == "ValueError"
    assert result.error["message"] == "invalid literal for int() with base 10: 'twelve'"
    assert result.error["cell"] == 3, "the number in brackets: parameters, x = 1, and this"
    assert "int('twelve')" in "\n".join(result.error["last_lines"])
    assert "\x1b" not in str(result.error)
    assert not (tmp_path / "staging {0}" / "report.html").exists()
    assert executed(tmp_path).cells, "the executed notebook is kept"


def test_a_kernel_that_dies_fails_its_report_whatever_the_notebook_says(tmp_path: Path) -> None:
    result = execute(task(tmp_path, "x = 1", "import os; os._exit(3)"))
    assert result.status == "kernel died"
    assert result.error is not None
    assert result.error["name"] == "DeadKernelError"
    assert result.error["cell"] == 3
    assert executed(tmp_path).cells[2].execution_count == 2


def test_a_notebook_that_leaves_early_has_failed(tmp_path: Path) -> None:
    # papermill calls sys.exit(0) a success
    result = execute(task(tmp_path, "raise SystemExit(0)", "x = 1"))
    assert result.status == "failed"
    assert result.error is not None
    assert result.error["name"] == "CutShortError"


def test_a_cell_that_never_ends_is_stopped(tmp_path: Path) -> None:
    endless = task(tmp_path, "import time; time.sleep(60)")
    result = execute(replace(endless, job=replace(endless.job, limits=Limits(cell_seconds=1))))
    assert result.status == "timed out"
    assert result.error is not None
    assert (result.error["name"], result.error["cell"]) == ("CellTimeoutError", 2)


def test_a_page_that_cannot_be_made_fails_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> str:
        raise RuntimeError("no ink")

    job = task(tmp_path, "x = 1")
    book = nbformat.read(job.job.notebook, as_version=4)
    monkeypatch.setattr(runner, "_run_notebook", lambda task, executed, moved: book)
    monkeypatch.setattr(runner.page, "render", broken)
    error = execute(job).error
    assert error is not None
    assert (error["name"], error["message"], error["cell"]) == ("RuntimeError", "no ink", None)


def test_a_worker_keeps_the_user_s_habits_out_of_its_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "PYTHONWARNINGS",
        "MPLBACKEND",
        "IPYTHONDIR",
        "JUPYTER_RUNTIME_DIR",
        *runner.KERNEL_SETTINGS,
    ):
        monkeypatch.setenv(name, "theirs")
    quiet: list[int] = []
    with monkeypatch.context() as patched:  # no longer: pytest itself needs it
        patched.setattr(os, "dup2", lambda new, old: quiet.append(old))
        runner.settle_in(str(tmp_path))
    assert not {"PYTHONWARNINGS", "MPLBACKEND"} & set(os.environ)
    assert os.environ["IPYTHONDIR"] == str(tmp_path)
    assert os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] == "1"
    assert quiet == [1, 2]


def test_a_report_goes_on_while_what_stems_from_it_is_ended(tmp_path: Path) -> None:
    """If its run dies at that moment, the report's process must be awake to end the rest."""
    code = "import subprocess, time; subprocess.Popen(['sleep', '600']); time.sleep(600)"
    parent = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    try:
        process = psutil.Process(parent.pid)
        assert soon(process.children)
        (child,) = process.children()
        assert list(kernel._descendants(parent.pid)) == [child.pid]
        assert soon(lambda: child.status() == psutil.STATUS_STOPPED)
        assert process.status() != psutil.STATUS_STOPPED
    finally:
        kernel.end_family(parent.pid)
        parent.wait(60)
    assert psutil.wait_procs([child], timeout=60)[1] == []


def soon(holds: Callable[[], object]) -> bool:
    """Say whether something comes to hold within a minute."""
    end = time.monotonic() + 60
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(holds())


def test_a_source_that_does_not_answer_may_answer_later() -> None:
    def failed(name: str) -> runner.Result:
        error = {"name": name, "message": "", "cell": 1, "last_lines": []}
        return runner.Result("one", "One", "failed", 0.1, error=error)

    assert pool.can_pass(failed("UnreachableError"))
    assert not pool.can_pass(failed("DataError"))


@pytest.mark.parametrize(
    ("finishing", "room"),
    [([], 2), ([False], 1), ([False, False], 0), ([True, False], 1), ([True, True], 2),
     ([True, True, True], 1), ([True, True, True, False], 0)],
)  # fmt: skip
def test_a_report_whose_kernel_has_ended_makes_room_for_one_more(
    finishing: list[bool], room: int
) -> None:
    running: list[Any] = [SimpleNamespace(finishing=one) for one in finishing]
    assert pool._room(running, 2) == room, "two with kernels, and two more that write pages at most"
