"""A plan held against its notebooks and its data, whole, before anything runs."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cxlib._checks import (
    ColumnError,
    CxError,
    PlanError,
    UnreachableError,
    check_columns,
    listed,
    suggest,
)
from cxlib.report.inputs import Reading, groupings, readings
from cxlib.report.jobs import Job, Limits, ReadyPlan, is_source
from cxlib.report.limits import Asked
from cxlib.report.parameters import Declared, Text, check_observed, declared
from cxlib.report.plan import UNREADABLE, Plan, Report, find_root, plan_error, read_plan
from cxlib.report.progress import one_by_one
from cxlib.report.secrets import refuse


def prepare(
    path: str | Path,
    sets: Mapping[str, str] | None = None,
    only: Sequence[str] = (),
    *,
    asked: Asked | None = None,
    limits: Limits | None = None,
    keep: Path | None = None,
) -> ReadyPlan:
    """Read a plan and check all of it: notebooks, parameters, types, sources.

    Parameters
    ----------
    path : path
        A YAML file; ``notebooks/`` lies beside it or in a folder above it. Its sources are
        relative to that folder, those in a notebook's parameter cell to the notebook.
    sets : dict, optional
        Values over all that the plan says, for every notebook that declares them; sources
        among them are relative to where the user is.
    only : list of str, optional
        Names of notebooks or reports to keep.
    asked : Asked, optional
        Limits over all that the plan says.
    limits : Limits, optional
        What reports may take where nobody says.
    keep : Path, optional
        Where to keep what is cleaned on the way, so that no report cleans it again.

    Returns
    -------
    ReadyPlan
        One job for each report, its parameters typed.

    Raises
    ------
    PlanError
        Everything that is wrong with the plan, in one list.
    """
    path = Path(path)
    (plan, mistakes), root = read_plan(path), find_root(path)
    for name, value in (sets or {}).items():
        refuse(name, value)
    sets = {
        name: _seen_from(root, Path.cwd(), value) if is_source(name) else value
        for name, value in (sets or {}).items()
    }
    check = _Check(plan, mistakes, root, sets)
    every = [
        replace(job, limits=(asked or Asked()).over(job.limits))
        for job in check.jobs(plan.over(limits or Limits()))
    ]
    jobs = [job for job in every if not only or {job.name, job.notebook.stem} & set(only)]
    check.names(only)
    as_of = check.as_of(jobs)
    check.sources(jobs, keep)
    if check.mistakes:
        raise plan_error(path, check.mistakes)
    return ReadyPlan(
        path.stem,
        plan.title or path.stem,
        as_of,
        root,
        tuple(jobs),
        tuple(every),
        keep,
        plan.min_group,
        unanswered=tuple(dict.fromkeys(check.unanswered)),
    )


def _seen_from(root: Path, folder: Path, source: str) -> str:
    """Return a source written as seen from ``folder`` as it is seen from ``root``."""
    scheme, sign, address = source.rpartition("://")
    if scheme not in ("", "duckdb") or "$" in source or os.path.isabs(address) or folder == root:
        return source
    return scheme + sign + os.path.relpath(folder / address, root)


class _Check:
    """Goes through a plan and gathers what is wrong with it."""

    def __init__(
        self, plan: Plan, mistakes: Sequence[str], root: Path, sets: Mapping[str, str]
    ) -> None:
        self.root, self.sets = root, sets
        self.is_whole = not mistakes
        self.has_all_reports = UNREADABLE not in plan.reports
        self.reports = {
            number: report.given(sets)
            for number, report in enumerate(plan.reports, 1)
            if report is not UNREADABLE
        }
        self.defaults: dict[str, Text] = {**plan.defaults, **sets}
        self.mistakes = list(mistakes)
        self.unanswered: list[str] = []
        self.taken: set[str] = {"index"}
        self.notebooks: dict[str, Declared] = {}
        self.made: dict[str, tuple[int, str]] = {}
        for report in self.reports.values():
            with self.noting(report.notebook):
                self.notebooks[report.notebook] = declared(self.find(report.notebook))

    @contextlib.contextmanager
    def noting(self, where: str) -> Iterator[None]:
        """Turn an error into a line of the list, once."""
        try:
            yield
        except CxError as error:
            line = f"{where}: {error}"
            if line not in self.mistakes:
                self.mistakes.append(line)

    def find(self, notebook: str) -> Path:
        folder = self.root / "notebooks"
        path = folder / f"{notebook.removesuffix('.ipynb')}.ipynb"
        if path.is_file():
            return path
        known = sorted(file.stem for file in folder.glob("*.ipynb"))
        hint = suggest(notebook, known)
        raise PlanError(f"unknown notebook; notebooks/ has {listed(known)}.{hint}")

    def jobs(self, limits: Limits) -> list[Job]:
        """Return a job for each report and each set of values that it sweeps over."""
        made = []
        for number, report in self.reports.items():
            for sweep in report.sweeps() if report.notebook in self.notebooks else ():
                job = self.job(report, sweep)
                self.only_once(number, report, job)
                made.append(replace(job, limits=report.over(limits)))
        return made

    def only_once(self, number: int, report: Report, job: Job) -> None:
        """Note a report that the plan makes already, under another name.

        Those of which a part is wrong, and those that the command line made alike, are let be.
        """
        own = {*report.parameters, *report.for_each}
        is_faulty = any(line.startswith(f"reports.{number}.") for line in self.mistakes)
        if is_faulty or own & set(self.sets) or own - set(job.given):
            return
        first, name = self.made.setdefault(repr((job.notebook, job.parameters)), (number, job.name))
        if first != number:
            self.mistakes.append(
                f"reports {first} and {number} are the same: {job.notebook.stem} with the same "
                "parameters; drop one, or give it others"
            )
        elif name != job.name:
            self.mistakes.append(
                f"{report.notebook}: for_each makes {name} and {job.name}, which are the same; "
                "name each value once"
            )

    def job(self, report: Report, sweep: dict[str, Text]) -> Job:
        notebook = self.notebooks[report.notebook]
        own = {**report.parameters, **sweep}
        shared = {name: text for name, text in self.defaults.items() if name in notebook.parameters}
        given: dict[str, Any] = {}
        for name, text in {**shared, **own}.items():
            own_word = name in own and name not in self.sets
            where = report.notebook if own_word else self.said_in(name)
            with self.noting(where):
                given[name] = notebook[name].convert(text)
        parameters = dict(given)
        rest = [name for name in notebook.parameters if name not in {**shared, **own}]
        for name in rest:
            if notebook[name].required and not self.is_whole:
                continue  # it may stand in what could not be read
            with self.noting(report.notebook):
                parameters[name] = notebook[name].checked_default()
                if is_source(name) and parameters[name]:
                    source = _seen_from(self.root, notebook.path.parent, parameters[name])
                    parameters[name] = given[name] = source
        ordered = {name: parameters[name] for name in notebook.parameters if name in parameters}
        swept = {name: given[name] for name in sweep if name in given}
        return Job(self.page_name(report.notebook, sweep), notebook.path, given, ordered, swept)

    def said_in(self, name: str) -> str:
        return "--set" if name in self.sets else "defaults"

    def page_name(self, notebook: str, sweep: Mapping[str, Text]) -> str:
        """Return a file name of its own, the swept values in it: ``04_funnel-gb``."""
        words = [notebook.removesuffix(".ipynb"), *(str(value) for value in sweep.values())]
        base = "-".join(re.sub(r"\W+", "-", word).strip("-").lower()[:60] or "x" for word in words)
        numbered = (f"{base}-{number}" for number in itertools.count(2))
        name = next(name for name in itertools.chain([base], numbered) if name not in self.taken)
        self.taken.add(name)
        return name

    def names(self, only: Sequence[str]) -> None:
        """Note defaults that reach no notebook, and reports asked for that are not there."""
        if not self.has_all_reports:
            return
        known = {name for notebook in self.notebooks.values() for name in notebook.parameters}
        for name in [name for name in self.defaults if name not in known | {"as_of"}]:
            hint = suggest(name, known)
            where = self.said_in(name)
            self.mistakes.append(f"{where}: no notebook of the plan declares {name!r}.{hint}")
        reports = self.taken - {"index"} | {path.path.stem for path in self.notebooks.values()}
        these = f" It has {listed(sorted(reports))}."
        for name in [name for name in only if name not in reports]:
            hint = suggest(name, reports)
            self.mistakes.append(f"--only: the plan has no report {name!r}.{hint or these}")

    def as_of(self, jobs: Sequence[Job]) -> dt.date:
        """Return the day that names the run's folder: the plan's, or its reports' latest."""
        with self.noting(self.said_in("as_of")):
            if "as_of" in self.defaults:
                return check_observed("as_of", str(self.defaults["as_of"]))
            days = [job.parameters["as_of"] for job in jobs if job.parameters.get("as_of")]
            if days:
                return max(check_observed("as_of", day) for day in days)
            if jobs and not self.mistakes:
                raise PlanError("as_of is missing: the last observed day, YYYY-MM-DD, names a run")
        return dt.date.min

    def sources(self, jobs: Sequence[Job], keep: Path | None) -> None:
        """Open each source, and clean it as its notebooks will, once for all reports.

        One that does not answer is no mistake of the plan: its reports ask again.
        """
        code = {notebook.path: notebook.code for notebook in self.notebooks.values()}
        found: dict[str, tuple[Reading, list[Job]]] = {}
        for job in jobs:
            for reading in readings(code[job.notebook], job.parameters):
                found.setdefault(repr(reading), (reading, []))[1].append(job)
        with contextlib.chdir(self.root):
            for reading, readers in one_by_one(found.values(), "reading and cleaning"):
                with self.noting("sources"):
                    try:
                        columns = reading.check(keep)
                    except UnreachableError as error:
                        self.unanswered.append(str(error))
                    except ColumnError as error:
                        raise _for_a_plan(error, reading, readers) from None
                    else:
                        for job in readers:
                            self.groups(
                                job, groupings(code[job.notebook], job.parameters), reading, columns
                            )

    def groups(
        self,
        job: Job,
        asked: Iterable[tuple[Reading, str]],
        reading: Reading,
        columns: Sequence[str],
    ) -> None:
        """Note by which columns a job groups a cleaned table that has none of that name."""
        for name in {name for known, name in asked if known == reading}:
            with self.noting(job.name):
                check_columns(reading.table, columns, [job.parameters[name]], optional=name)


def _for_a_plan(error: ColumnError, reading: Reading, readers: Sequence[Job]) -> ColumnError:
    """Return the error with whence its preset is, and what a plan can say in its place."""
    ways, told = dict(reading.read), str(error)
    preset = ways.get("preset")
    is_asked = any("preset" in job.parameters for job in readers) and "preset" in ways
    if not is_asked or ("cx.read" not in told and f" as {preset}:" not in told):
        return error
    told = told.replace("in cx.read", "in the notebook's cx.read")
    own = "preset: my_shop.toml for a format of your own (cx preset new my_shop.toml)"
    if preset is None:
        return ColumnError(f"{told} In a plan, give {own}")
    whose = {job.notebook.stem for job in readers if "preset" not in job.given}
    origin = f"the notebook's own default ({listed(sorted(whose))})" if whose else "given"
    return ColumnError(
        f"{told} The preset {preset!r} is {origin}; set preset: null to let the "
        f"columns tell, or {own}"
    )
