"""What a checked plan comes to: reports to make, light enough to hand to another process."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def is_source(name: str) -> bool:
    """Say whether a parameter of that name names a table: ``source``, ``exposures_source``."""
    return name == "source" or name.endswith("_source")


@dataclass(frozen=True)
class Limits:
    """What a report may take before it is ended, and how often it may begin again.

    Attributes
    ----------
    cell_seconds, report_seconds : int
        For one cell, and for the whole report.
    memory_bytes : int or None
        What its kernel may allocate (Linux); None for as much as there is.
    retries : int
        How often it is run once more after what can pass: a timeout, a kernel that died, input
        and output.
    """

    cell_seconds: int = 3600
    report_seconds: int = 4 * 3600
    memory_bytes: int | None = None
    retries: int = 0


@dataclass(frozen=True)
class Job:
    """One report to make: a notebook with typed parameters.

    Attributes
    ----------
    name : str
        The page's file name without its ending; unique in the plan.
    notebook : Path
        The notebook to run.
    given : dict
        What goes into the notebook, typed.
    parameters : dict
        All that the notebook will have: its own defaults, and over them ``given``.
    sweep : dict
        The part that ``for_each`` gave: what sets this page apart from its siblings.
    limits : Limits
        What it may take.
    """

    name: str
    notebook: Path
    given: dict[str, Any]
    parameters: dict[str, Any]
    sweep: dict[str, Any] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)

    @property
    def sources(self) -> dict[str, str]:
        """The parameters that name tables."""
        return {name: value for name, value in self.parameters.items() if is_source(name) and value}


@dataclass(frozen=True)
class ReadyPlan:
    """A plan that was checked whole.

    ``root`` is the folder that holds ``notebooks/``; ``every`` has the plan's reports in
    order, of which ``jobs`` are to run; ``cleaned`` is the folder that holds what the check has
    cleaned, for the reports to use. ``min_group`` is the fewest people whose numbers the pages
    show; ``code`` and ``pdf`` say whether they show code and are printed; ``unanswered`` says which
    sources did not answer the check.
    """

    name: str
    title: str
    as_of: dt.date
    root: Path
    jobs: tuple[Job, ...]
    every: tuple[Job, ...]
    cleaned: Path | None = None
    min_group: int = 10
    code: bool = False
    pdf: bool = False
    unanswered: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The reports' names, in order."""
        return tuple(job.name for job in self.every)
