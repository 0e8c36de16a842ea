"""A checked plan becomes a folder of pages, put in place in one move."""

from __future__ import annotations

import contextlib
import ctypes
import datetime as dt
import json
import math
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cxlib._checks import CxError, DataError
from cxlib.report import history, page, runner
from cxlib.report.inputs import fingerprint
from cxlib.report.jobs import ReadyPlan

SCHEMA = 1
PACKAGES = [
    "cxlib",
    "pandas",
    "numpy",
    "ibis-framework",
    "duckdb",
    "scipy",
    "statsmodels",
    "lifetimes",
    "matplotlib",
    "seaborn",
    "papermill",
    "nbconvert",
]
BAD_INPUT = ("CxError", "ColumnError", "DataError", "ParameterError")
"""Errors by which a notebook says that what it was given cannot be used."""

Record = dict[str, Any]


def publish(
    plan: ReadyPlan,
    output: Path,
    workers: int,
    tell: Callable[[runner.Result], None] = lambda result: None,
) -> tuple[Path, Record]:
    """Run a plan's reports and put the pages into ``output/<plan>/<as_of>/`` in one move.

    Parameters
    ----------
    plan : ReadyPlan
        What `cxlib.report.check.prepare` returns.
    output : Path
        The folder of all runs.
    workers : int
        Reports that run at once.
    tell : function, optional
        Called with each result as it ends.

    Returns
    -------
    tuple of Path and dict
        The published ``index.html``, and the record that ``run.json`` holds. A report that
        failed is named in both; its former page of the same day, if there is one, stays.

    Raises
    ------
    DataError
        Every report refused its input; nothing was published.
    CxError
        The folder cannot be written.
    """
    target = output.resolve() / plan.name / plan.as_of.isoformat()
    with _staging(target) as staging:
        run = _opening(plan)
        tasks = {
            task.job.name: task for task in _tasks(plan, staging, run, history.runs(target.parent))
        }
        results = {}
        for result in runner.run(list(tasks.values()), workers):
            results[result.name] = result
            tell(result)
        _refuse_if_all_refused(list(results.values()))
        former = Former.read(target)
        entries = [
            _entry(tasks[name], results[name], run, former)
            if name in tasks
            else former.keep(name, staging)
            for name in plan.names
        ]
        failed = any(result.status != "succeeded" for result in results.values())
        run |= {"finished": _now(), "status": "failed" if failed else "succeeded"}
        run["reports"] = [entry for entry in entries if entry]
        _write(run, staging)
        history.keep(target)
        swap(staging, target)
    return target / "index.html", run


def _opening(plan: ReadyPlan) -> Record:
    versions = {"python": platform.python_version()}
    return {
        "schema": SCHEMA,
        "plan": plan.name,
        "title": plan.title,
        "as_of": plan.as_of.isoformat(),
        "started": _now(),
        "min_group": plan.min_group,
        "versions": versions | {name: version(name) for name in PACKAGES},
    }


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _tasks(
    plan: ReadyPlan, staging: Path, run: Record, before: Sequence[Record]
) -> list[runner.Task]:
    with contextlib.chdir(plan.root):
        sources = {source for job in plan.jobs for source in job.sources.values()}
        known = {source: fingerprint(source) for source in sorted(sources)}
    return [
        runner.Task(
            job,
            plan.root,
            staging,
            run,
            [{"parameter": name, **known[source]} for name, source in job.sources.items()],
            history.past(before, job.name, job.parameters, run["as_of"]),
        )
        for job in plan.jobs
    ]


def _refuse_if_all_refused(results: Sequence[runner.Result]) -> None:
    """Raise when no report could use what it was given: that is a fault of the input."""
    errors = [result.error for result in results]
    if all(error is not None and error["name"] in BAD_INPUT for error in errors):
        lines = {f"{result.name}: {result.error['message']}" for result in results if result.error}
        raise DataError(
            "no report could use its input; nothing was published:\n  - "
            + "\n  - ".join(sorted(lines))
        )


@dataclass(frozen=True)
class Former:
    """What stands published for the same day, and when it was made."""

    folder: Path
    started: str = ""
    reports: Mapping[str, Record] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Former:
        """Read the record of a published folder; without one there is nothing to keep."""
        try:
            run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
            return cls(folder, run["started"], {entry["name"]: entry for entry in run["reports"]})
        except (OSError, ValueError, KeyError, TypeError):
            return cls(folder)

    def page(self, name: str) -> tuple[str | None, str | None]:
        """Return a report's good page, and when it was made; nothing where there is none."""
        entry = self.reports.get(name, {})
        page_name = entry.get("page")
        if not page_name or not (self.folder / page_name).is_file():
            return None, None
        return page_name, entry.get("page_from") or self.started

    def keep(self, name: str, staging: Path) -> Record | None:
        """Carry a report that was not run again over into the new folder, as it stands."""
        entry = self.reports.get(name)
        if entry is None:
            return None
        tables = [table["file"] for table in entry.get("tables", ())]
        for file in (entry.get("page"), entry.get("executed_notebook"), *tables):
            if file and (self.folder / file).is_file():
                (staging / file).parent.mkdir(exist_ok=True)
                shutil.copy2(self.folder / file, staging / file)
        return {**entry, "page_from": entry.get("page_from") or self.started}


def _entry(task: runner.Task, result: runner.Result, run: Record, former: Former) -> Record:
    """Return what the record says of a report; a failed one keeps its former good page."""
    executed = Path("notebooks") / f"{result.name}.ipynb"
    page_name: str | None = f"{result.name}.html"
    page_from = None
    if result.status != "succeeded":
        page_name, page_from = former.page(result.name)
        if page_name and page_from:
            text = (former.folder / page_name).read_text(encoding="utf-8")
            (task.folder / page_name).write_text(
                page.as_former(text, page_from, run["started"]), encoding="utf-8"
            )
    job = task.job
    return {
        "name": result.name,
        "title": result.title,
        "notebook": job.notebook.name,
        "parameters": job.parameters,
        "sweep": job.sweep,
        "status": result.status,
        "page": page_name,
        "page_from": page_from,
        "executed_notebook": str(executed) if (task.folder / executed).is_file() else None,
        "duration_seconds": result.duration_seconds,
        "error": result.error,
        "inputs": list(task.inputs),
        "losses": result.losses,
        "headlines": result.headlines,
        "history": result.history,
        "tables": result.tables,
    }


def _write(run: Record, staging: Path) -> None:
    text = json.dumps(_finite(run), ensure_ascii=False, indent=2, allow_nan=False)
    (staging / "run.json").write_text(text + "\n", encoding="utf-8")
    (staging / "index.html").write_text(page.fill("index.html.j2", run=run), encoding="utf-8")


def _finite(value: Any) -> Any:
    """Return a value without NaN and infinity, which JSON has no words for."""
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextlib.contextmanager
def _staging(target: Path) -> Iterator[Path]:
    """Make a folder beside the target to work in; it is gone afterwards, whatever happens."""
    staging = target.with_name(f".{target.name}-{os.getpid()}")
    try:
        staging.mkdir(parents=True)
    except OSError as error:
        raise CxError(
            f"cannot write to {str(target.parent)!r}: {error.strerror}; name another folder with --output"
        ) from None
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def swap(new: Path, target: Path) -> None:
    """Put a finished folder in the place of another, which a reader never finds missing."""
    if not target.exists():
        os.rename(new, target)
    elif not _exchange(new, target):
        aside = new.with_name(f"{new.name}-former")
        os.rename(target, aside)
        os.rename(new, target)
        os.rename(aside, new)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step, where the system can (Linux: renameat2)."""
    here, exchange = -100, 2
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if os.name == "posix" else None
    return rename is not None and rename(here, bytes(one), here, bytes(other), exchange) == 0
