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
    """

    name: str
    notebook: Path
    given: dict[str, Any]
    parameters: dict[str, Any]
    sweep: dict[str, Any] = field(default_factory=dict)

    @property
    def sources(self) -> dict[str, str]:
        """The parameters that name tables."""
        return {name: value for name, value in self.parameters.items() if is_source(name) and value}


@dataclass(frozen=True)
class ReadyPlan:
    """A plan that was checked whole.

    ``root`` is the folder that holds ``notebooks/``; ``names`` are the plan's reports in
    order, of which ``jobs`` are to run. ``min_group`` is the fewest people whose numbers the
    pages show.
    """

    name: str
    title: str
    as_of: dt.date
    root: Path
    jobs: tuple[Job, ...]
    names: tuple[str, ...]
    min_group: int = 10
