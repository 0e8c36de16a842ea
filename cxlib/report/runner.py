"""Notebooks run by papermill, several at once, each judged by how it ended."""

from __future__ import annotations

import multiprocessing
import os
import re
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from traitlets import default

from cxlib.headline import HEADLINE_MIME
from cxlib.report import beside, history, page, privacy
from cxlib.report.jobs import Job

LOSSES_MIME = "application/vnd.cx.losses+json"
"""As in `cxlib.clean.losses`, which would bring the engine into every worker."""

CELL_TIMEOUT_SECONDS = 3600
LAST_LINES = 12
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
    """

    job: Job
    root: Path
    folder: Path
    run: Mapping[str, Any]
    inputs: Sequence[Mapping[str, Any]] = ()
    past: Mapping[str, Sequence[dict[str, Any]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """How a report ended.

    ``error`` has ``name``, ``message``, ``cell`` (the number in brackets that JupyterLab
    shows beside the cell; None where no cell failed) and ``last_lines``. ``history`` is what
    `cxlib.report.history.placed` says of the headlines.
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


class CutShortError(RuntimeError):
    """A notebook stopped itself before its last cell, which papermill calls success."""


class OwnKernelManager(AsyncKernelManager):
    """Starts kernels of this very interpreter, whatever ``python3`` means elsewhere here."""

    @default("kernel_spec_manager")
    def _own_kernels_only(self) -> KernelSpecManager:
        return KernelSpecManager(kernel_dirs=[], ensure_native_kernel=True)


def run(tasks: Sequence[Task], workers: int) -> Iterator[Result]:
    """Yield the result of each task as it ends, ``workers`` of them running at once."""
    with tempfile.TemporaryDirectory(prefix="cx-", ignore_cleanup_errors=True) as home:
        pool = ProcessPoolExecutor(
            max(1, min(workers, len(tasks))),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=settle_in,
            initargs=(home,),
        )
        try:
            yield from collect(pool, tasks)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def collect(pool: Executor, tasks: Sequence[Task]) -> Iterator[Result]:
    """Yield results from any executor; a worker that dies fails its report, not the run."""
    futures = {pool.submit(execute, task): task for task in tasks}
    for future in as_completed(futures):
        error = future.exception()
        if error is None:
            yield future.result()
        else:
            name = futures[future].job.name
            yield Result(name, name, "failed", 0.0, told(error))


def settle_in(home: str) -> None:
    """Prepare a worker process: its kernels keep their noise, and no habits of the user's."""
    os.environ.update(KERNEL_SETTINGS, IPYTHONDIR=home)
    for name in FOREIGN_SETTINGS:
        os.environ.pop(name, None)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)


def execute(task: Task) -> Result:
    """Run a notebook and render its page; whatever goes wrong is in the result."""
    started, job = time.monotonic(), task.job
    executed = task.folder / "notebooks" / f"{job.name}.ipynb"
    running = True
    try:
        with privacy.for_readers(job.parameters, task.run.get("min_group", 10)):
            notebook = _run_notebook(task, executed)
        running = False
        headlines = displayed(notebook, HEADLINE_MIME)
        tables = beside.write_tables(notebook, task.folder, job.name)
        result = Result(
            job.name,
            page.title_of(notebook, job.name),
            "succeeded",
            round(time.monotonic() - started, 3),
            headlines=headlines,
            losses=displayed(notebook, LOSSES_MIME),
            history=history.placed(headlines, task.past, task.run["as_of"], task.run["started"]),
            tables=tables,
        )
        text = page.render(notebook, result=result, task=task)
        (task.folder / f"{job.name}.html").write_text(text, encoding="utf-8")
        return result
    except Exception as error:
        title = page.title_of(nbformat.read(job.notebook, as_version=4), job.name)
        seconds = round(time.monotonic() - started, 3)
        return Result(
            job.name, title, "failed", seconds, told(error, executed if running else None)
        )


def _run_notebook(task: Task, executed: Path) -> nbformat.NotebookNode:
    import papermill

    executed.parent.mkdir(parents=True, exist_ok=True)
    try:
        notebook = papermill.execute_notebook(
            nbformat.read(task.job.notebook, as_version=4),
            str(executed).replace("{", "{{").replace("}", "}}"),
            task.job.given,
            cwd=str(task.root),
            kernel_name="python3",
            language="python",
            kernel_manager_class=OwnKernelManager,
            execution_timeout=CELL_TIMEOUT_SECONDS,
            progress_bar=False,
        )
    finally:
        _keep_tidy(executed, task)
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    if any(cell.execution_count is None for cell in code):
        raise CutShortError("the notebook ended itself before its last cell")
    return notebook


def _keep_tidy(executed: Path, task: Task) -> None:
    """Name in the executed notebook what was run, not where this machine put it."""
    if executed.is_file():
        notebook = nbformat.read(executed, as_version=4)
        record = notebook.metadata.get("papermill", {})
        record.update(input_path=task.job.notebook.name, output_path=executed.name)
        beside.lighten(notebook)
        nbformat.write(notebook, executed)


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
        if executed is not None and executed.is_file():
            cell = _last_started(nbformat.read(executed, as_version=4))
    return {"name": name, "message": message, "cell": cell, "last_lines": lines[-LAST_LINES:]}


_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def _last_started(notebook: nbformat.NotebookNode) -> int | None:
    """Return the number of the last code cell that began, counted as JupyterLab counts."""
    begun = [
        cell.metadata.get("papermill", {}).get("start_time") is not None
        for cell in notebook.cells
        if cell.cell_type == "code" and cell.source.strip()
    ]
    return sum(begun) or None
