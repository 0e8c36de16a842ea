"""One notebook run by papermill and made a page, judged by how it ended."""

from __future__ import annotations

import errno
import os
import re
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat

from cxlib.headline import HEADLINE_MIME
from cxlib.report import beside, history, page, privacy, secrets
from cxlib.report.jobs import Job
from cxlib.report.kernel import CUT, is_run

if TYPE_CHECKING:
    from cxlib.report.engine import Moved

LOSSES_MIME = "application/vnd.cx.losses+json"
"""As in `cxlib.clean.losses`, which would bring the engine into every worker."""

LAST_LINES = 12
SUCCEEDED, FAILED, TIMED_OUT, KERNEL_DIED, INTERRUPTED, SKIPPED = STATUSES = (
    "succeeded", "failed", "timed out", "kernel died", "interrupted", "skipped"
)  # fmt: skip
"""How a report may end; ``skipped`` because nothing changed since its page was made."""
ENDS = {"DeadKernelError": KERNEL_DIED, "CellTimeoutError": TIMED_OUT}
KERNEL_SETTINGS = {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}
"""Hushes the debugger's warning, which every kernel start would print."""
FOREIGN_SETTINGS = ("PYTHONWARNINGS", "MPLBACKEND")
"""Settings of the caller's that would change what a notebook shows."""


@dataclass(frozen=True)
class Task:
    """A job and where its results go; crosses to a worker process.

    Attributes
    ----------
    job : Job
        What to run.
    root : Path
        The working folder of the notebook.
    folder : Path
        Where the page goes, and the executed notebook into ``notebooks/``.
    run : dict
        What the page says of the whole run: ``title``, ``as_of``, ``started``, ``versions``.
    inputs : list of dict
        The job's sources with their fingerprints.
    past : dict
        What its headlines were on the days before: `cxlib.report.history.past`.
    key : str
        The fingerprint of all that the report is made from; empty where that is not known.
    cleaned : Path or None
        The folder of tables that the check has cleaned.
    """

    job: Job
    root: Path
    folder: Path
    run: Mapping[str, Any]
    inputs: Sequence[Mapping[str, Any]] = ()
    past: Mapping[str, Sequence[dict[str, Any]]] = field(default_factory=dict)
    key: str = ""
    cleaned: Path | None = None


@dataclass(frozen=True)
class Result:
    """How a report ended.

    ``status`` is one of `STATUSES`. ``error`` has ``name``, ``message``, ``cell`` (the number in brackets that JupyterLab
    shows beside the cell; None where no cell failed) and ``last_lines``. ``history`` is what
    `cxlib.report.history.placed` says of the headlines; ``notices`` are what a reader of the run
    should know beside; ``attempts`` counts how often the report was begun.
    """

    name: str
    title: str
    status: str
    duration_seconds: float
    error: dict[str, Any] | None = None
    headlines: list[dict[str, Any]] = field(default_factory=list)
    losses: list[dict[str, Any]] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    tables: list[dict[str, Any]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    attempts: int = 1


class CutShortError(RuntimeError):
    """A notebook stopped itself before its last cell, which papermill calls success."""


def settle_in(home: str) -> None:
    """Prepare a process for reports: its kernels keep their noise, and no habits of the user's."""
    os.environ.update(KERNEL_SETTINGS, IPYTHONDIR=home, JUPYTER_RUNTIME_DIR=home)
    for name in FOREIGN_SETTINGS:
        os.environ.pop(name, None)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)


def execute(task: Task, moved: Moved = lambda place, cells, number: None) -> Result:
    """Run a notebook and render its page; whatever goes wrong is in the result.

    ``moved`` hears of each cell that begins, as `cxlib.report.engine.Moved` says.
    """
    started, job = time.monotonic(), task.job
    executed = task.folder / "notebooks" / f"{job.name}.ipynb"
    running = True
    try:
        with privacy.for_readers(job.parameters, task.run.get("min_group", 10)):
            notebook = _run_notebook(task, executed, moved)
        privacy.hide_in(notebook, job.parameters, task.cleaned)
        running = False
        headlines = displayed(notebook, HEADLINE_MIME)
        tables = beside.write_tables(notebook, task.folder, job.name)
        result = Result(
            job.name,
            page.title_of(notebook, job.name),
            SUCCEEDED,
            round(time.monotonic() - started, 3),
            headlines=headlines,
            losses=displayed(notebook, LOSSES_MIME),
            history=history.placed(headlines, task.past, task.run["as_of"], task.run["started"]),
            tables=tables,
            notices=[*_withheld(headlines), *_cut(notebook)],
        )
        text = page.render(notebook, result=result, task=task)
        (task.folder / f"{job.name}.html").write_text(text, encoding="utf-8")
        return result
    except Exception as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            executed.unlink(missing_ok=True)  # half of it would keep the others from being written
        seconds = round(time.monotonic() - started, 3)
        return ended_badly(task, seconds, told(error, executed if running else None))


def ended_badly(task: Task, seconds: float, error: dict[str, Any]) -> Result:
    """Return the result of a report that did not come to its end, and why."""
    status = ENDS.get(error["name"], FAILED)
    said = secrets.masked(error, secrets.known(task.job.parameters.values()))
    notebook = nbformat.read(task.job.notebook, as_version=4)
    own_words = "\n".join(cell.source for cell in notebook.cells)
    ids = privacy.ids_in(
        [*said["last_lines"], f"{said['name']}: {said['message']}"], task.cleaned, own_words
    )
    title = page.title_of(notebook, task.job.name)
    return Result(task.job.name, title, status, seconds, privacy.masked(said, ids))


def title_of(job: Job) -> str:
    """Return the title that stands in a job's notebook."""
    return page.title_of(nbformat.read(job.notebook, as_version=4), job.name)


def _withheld(headlines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return why numbers are withheld, in one line: who only reads the log must know it too."""
    why = [str(one["withheld"]) for one in headlines if one["withheld"]]
    if not why:
        return []
    which = "its" if len(why) == len(headlines) else f"{len(why)} of its {len(headlines)}"
    return [f"{which} numbers are withheld: {'; '.join(dict.fromkeys(why))}"]


def _cut(notebook: nbformat.NotebookNode) -> list[str]:
    return [
        f"cell [{cell.execution_count}] printed more than is kept"
        for cell in notebook.cells
        if any(CUT in output.get("text", "") for output in cell.get("outputs", []))
    ]


def _run_notebook(task: Task, executed: Path, moved: Moved) -> nbformat.NotebookNode:
    from cxlib.report import engine  # brings papermill

    executed.parent.mkdir(parents=True, exist_ok=True)
    notebook = nbformat.read(task.job.notebook, as_version=4)
    try:
        notebook = engine.run(
            notebook,
            executed,
            task.job.given,
            root=task.root,
            cell_seconds=task.job.limits.cell_seconds,
            moved=moved,
        )
    finally:
        _keep_tidy(executed, task)
    if any(cell.execution_count is None for cell in notebook.cells if is_run(cell)):
        raise CutShortError("the notebook ended itself before its last cell")
    return notebook


def _keep_tidy(executed: Path, task: Task) -> None:
    """Name in the executed notebook what was run, not where this machine put it."""
    notebook = _read(executed)
    if notebook is not None:
        record = notebook.metadata.get("papermill", {})
        record.update(input_path=task.job.notebook.name, output_path=executed.name)
        beside.lighten(notebook)
        privacy.hide_in(notebook, task.job.parameters, task.cleaned)
        nbformat.write(notebook, executed)


def _read(executed: Path) -> nbformat.NotebookNode | None:
    """Read an executed notebook; there is none where its writer was killed or the disk is full."""
    try:
        return nbformat.read(executed, as_version=4)
    except Exception:
        return None


def displayed(notebook: nbformat.NotebookNode, mime: str) -> list[dict[str, Any]]:
    """Return what an executed notebook displayed under a mime type, in its order."""
    return [
        output.data[mime]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if mime in output.get("data", {})
    ]


def told(error: BaseException, executed: Path | None = None) -> dict[str, Any]:
    """Return an error as the record, the page and the terminal tell it."""
    cell_error: Any = error if hasattr(error, "ename") else None
    if cell_error:
        lines = _COLOURS.sub("", "\n".join(cell_error.traceback or [])).splitlines()
        name, message, cell = cell_error.ename, cell_error.evalue, cell_error.exec_count
    else:
        lines = "".join(traceback.format_exception(error)).splitlines()
        name, cell = type(error).__name__, None
        message = (str(error).strip().splitlines() or ["no message"])[0]
        if executed is not None:
            cell = last_started(executed)
    return {"name": name, "message": message, "cell": cell, "last_lines": lines[-LAST_LINES:]}


_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def last_started(executed: Path) -> int | None:
    """Return the number of the last code cell that began, counted as JupyterLab counts."""
    notebook = _read(executed)
    if notebook is None:
        return None
    begun = [
        cell.metadata.get("papermill", {}).get("start_time") is not None
        for cell in notebook.cells
        if is_run(cell)
    ]
    return sum(begun) or None
