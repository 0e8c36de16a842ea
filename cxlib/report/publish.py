"""A checked plan becomes a folder of pages, put in place in one move, and a record of it."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from cxlib._checks import DataError
from cxlib.report import finish, folders, history, overview, page, pool, runner
from cxlib.report.former import GOOD, Former, Record, executed
from cxlib.report.inputs import fingerprint
from cxlib.report.jobs import Job, ReadyPlan
from cxlib.report.lock import cannot_write
from cxlib.report.record import SCHEMA
from cxlib.report.runner import INTERRUPTED, SKIPPED, SUCCEEDED, Result, Task
from cxlib.report.work import WORK, Work, key_of, versions

BAD_INPUT = ("CxError", "ColumnError", "DataError", "ParameterError")
"""Errors by which a notebook says that what it was given cannot be used."""

Runner = Callable[[Sequence[Task], pool.Listener], Iterator[Result]]


def publish(
    plan: ReadyPlan,
    output: Path,
    run_tasks: Runner,
    listener: pool.Listener | None = None,
    force: bool = False,
) -> tuple[Path, Record]:
    """Run a plan's reports and put the pages into ``output/<plan>/<as_of>/`` in one move.

    Must be called under the plan's lock.

    Parameters
    ----------
    plan : ReadyPlan
        What `cxlib.report.check.prepare` returns.
    output : Path
        The folder of all runs.
    run_tasks : function
        Makes reports, several at once: yields the result of each task as it ends, and tells
        the listener how they come on.
    listener : Listener, optional
        Hears how the reports come on.
    force : bool, default False
        Run reports also where nothing changed since their page was made.

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
    KeyboardInterrupt
        The run was interrupted before any report was done; nothing was published.
    """
    target = output.resolve() / plan.name / plan.as_of.isoformat()
    try:
        with folders.staging(target) as staging, _worked(target) as work:
            run = _Run(plan, work, staging, Former.read(target), listener or pool.Deaf())
            results = run.results(run_tasks, force)
            _refuse_if_all_refused(results)
            if run.interrupted and not any(result.status in GOOD for result in results):
                raise KeyboardInterrupt
            record = run.record(results)
            history.keep(target)
            folders.publish(staging, target)
            overview.write(output.resolve())
    except OSError as error:
        raise cannot_write(target.parent, error) from None
    return target / "index.html", record


@contextlib.contextmanager
def _worked(target: Path) -> Iterator[Work]:
    work = Work(target.parent / WORK / target.name)
    try:
        yield work
    except BaseException:
        work.leave()
        raise
    work.done()


class _Run:
    """One run of a plan: what it makes, what it takes over, and what it says of both."""

    def __init__(
        self, plan: ReadyPlan, work: Work, staging: Path, former: Former, listener: pool.Listener
    ) -> None:
        self.plan, self.work, self.staging, self.former = plan, work, staging, former
        self.listener, self.interrupted = listener, False
        self.about: Record = {
            "schema": SCHEMA,
            "plan": plan.name,
            "title": plan.title,
            "as_of": plan.as_of.isoformat(),
            "started": _now(),
            "min_group": plan.min_group,
            "code": plan.code,
            "versions": versions(),
        }
        before = history.runs(staging.parent)
        self.inputs = _inputs(plan)
        self.tasks = {job.name: self._task(job, before) for job in plan.every}

    def _task(self, job: Job, before: Sequence[Record]) -> Task:
        inputs = [{"parameter": one, **self.inputs[source]} for one, source in job.sources.items()]
        past = history.past(before, job.name, job.parameters, self.about["as_of"])
        key = key_of(
            job, self.plan.root, inputs, [self.plan.title, self.plan.min_group, self.plan.code]
        )
        return Task(
            job, self.plan.root, self.work.folder, self.about, inputs, past, key, self.plan.cleaned
        )

    def results(self, run_tasks: Runner, force: bool) -> list[Result]:
        """Return how each report ended that was to run, whoever made its page."""
        asked = [self.tasks[job.name] for job in self.plan.jobs]
        found = {} if force else {task.job.name: self._at_hand(task) for task in asked}
        known = {name: result for name, result in found.items() if result is not None}
        for result in known.values():
            self.listener.ended(result)
        left = [task for task in asked if task.job.name not in known]
        left.sort(key=lambda task: self.former.seconds(task.job.name), reverse=True)
        for task in left:
            self.work.forget(task.job.name)
        try:
            for result in run_tasks(left, self.listener):
                self.work.keep(result, self.tasks[result.name].key)
                known[result.name] = result
                self.listener.ended(result)
        except KeyboardInterrupt:
            self.interrupted = True
            for task in left:
                name, title = task.job.name, runner.title_of(task.job)
                known.setdefault(name, Result(name, title, INTERRUPTED, 0.0))
        return [known[task.job.name] for task in asked]

    def _at_hand(self, task: Task) -> Result | None:
        """Return the result of a report that needs no running: nothing changed, or it is done."""
        done = self.work.finished(task.job.name, task.key)
        if done is not None:
            return done
        entry = self.former.unchanged(task)
        if entry is None:
            return None
        kept = ("headlines", "losses", "history", "tables", "notices")
        return Result(
            entry["name"], entry["title"], SKIPPED, 0.0, **{name: entry[name] for name in kept}
        )

    def record(self, results: Sequence[Result]) -> Record:
        """Fill the staging folder, and return what the run says of itself."""
        ended = {result.name: result for result in results}
        entries = [
            self._entry(task, ended[name]) if name in ended else self._kept(task)
            for name, task in self.tasks.items()
        ]
        good = all(result.status in GOOD for result in results)
        status = INTERRUPTED if self.interrupted else SUCCEEDED if good else runner.FAILED
        run = self.about | {"finished": _now(), "status": status}
        run["left_out"] = [
            name for name, entry in zip(self.tasks, entries, strict=True) if not entry
        ]
        run["reports"] = [entry for entry in entries if entry]
        finish.write(self.plan, run, self.staging)
        return run

    def _entry(self, task: Task, result: Result) -> Record:
        """Return what the record says of a report; a failed one keeps its former good page."""
        job, name = task.job, result.name
        said = asdict(result) | {"page": f"{name}.html", "page_from": None}
        ran = runs = executed(name)
        if result.status == SUCCEEDED:
            for file in (said["page"], *(table["file"] for table in result.tables)):
                folders.put(self.work.folder / file, (self.staging / file).parent)
        elif result.status == SKIPPED:
            said |= self.former.carry(name, self.staging)
        else:
            why = "failed; the index says why"
            if result.status == INTERRUPTED:
                why = "was interrupted before it made a new one"
            former = self._outlived(task, why)
            said |= former or {"page": None}
            runs = f"notebooks/{name}.failed.ipynb" if former else ran
        if result.status != SKIPPED and (self.work.folder / ran).is_file():
            folders.put(self.work.folder / ran, self.staging / "notebooks", Path(runs).name)
        return said | {
            "notebook": job.notebook.name,
            "parameters": job.parameters,
            "sweep": job.sweep,
            "executed_notebook": runs if (self.staging / runs).is_file() else None,
            "inputs": list(task.inputs),
            "key": task.key,
        }

    def _kept(self, task: Task) -> Record | None:
        """Carry over a report that was not asked for; marked, if its inputs are others now."""
        entry = self.former.same(task)
        if entry is not None:
            return entry | self.former.carry(entry["name"], self.staging)
        said = self._outlived(task, "made only other reports, and the data had changed by then")
        if said is None:
            return None
        entry = self.former.reports[task.job.name]
        notices = [*(one for one in entry["notices"] if one != page.OLDER), page.OLDER]
        return entry | said | {"notices": notices, "key": ""}  # the mark must not outlive it

    def _outlived(self, task: Task, why: str) -> Record | None:
        return self.former.outlive(task, self.staging, self.about["started"], why)


def _inputs(plan: ReadyPlan) -> dict[str, Record]:
    with contextlib.chdir(plan.root):
        sources = {source for job in plan.every for source in job.sources.values()}
        return {source: fingerprint(source) for source in sorted(sources)}


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _refuse_if_all_refused(results: Sequence[Result]) -> None:
    """Raise when no report could use what it was given: that is a fault of the input."""
    errors = [result.error for result in results]
    if all(error is not None and error["name"] in BAD_INPUT for error in errors):
        lines = {f"{result.name}: {result.error['message']}" for result in results if result.error}
        raise DataError(
            "no report could use its input; nothing was published:\n  - "
            + "\n  - ".join(sorted(lines))
        )
