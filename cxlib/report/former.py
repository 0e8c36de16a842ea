"""What stands published for the same day: taken over where it is still true."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cxlib.report import folders, page
from cxlib.report.record import SCHEMA
from cxlib.report.runner import SKIPPED, SUCCEEDED, Task

GOOD = (SUCCEEDED, SKIPPED)
Record = dict[str, Any]


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
            reports = {entry["name"]: entry for entry in run["reports"]}
            current = run["schema"] == SCHEMA
            return cls(folder, run["started"], reports if current else {})
        except (OSError, ValueError, KeyError, TypeError):
            return cls(folder)

    def seconds(self, name: str) -> int:
        """Return how long a report took, roughly: long ones begin first, so that none is late."""
        return round(self.reports.get(name, {}).get("duration_seconds", 0))

    def unchanged(self, task: Task) -> Record | None:
        """Return the entry of a report that would come out the same again."""
        entry = self.reports.get(task.job.name)
        if not entry or not task.key or entry["key"] != task.key or entry["status"] not in GOOD:
            return None
        return entry if self._has_page(entry) else None

    def same(self, task: Task) -> Record | None:
        """Return the entry of a report that was made with these parameters from these inputs."""
        entry = self.reports.get(task.job.name)
        if entry is None or entry["parameters"] != finite(task.job.parameters):
            return None
        return entry if entry["inputs"] == finite(list(task.inputs)) else None

    def carry(self, name: str, staging: Path) -> Record:
        """Put a report's files into the new folder as they stand; return what is said of them."""
        entry = self.reports[name]
        tables = [table["file"] for table in entry["tables"]]
        notebooks = {executed(name), entry["executed_notebook"]}
        for file in (entry["page"], entry.get("pdf"), *notebooks, *tables):
            if file and (self.folder / file).is_file():
                folders.put(self.folder / file, (staging / file).parent)
        made = str(entry["page_from"] or self.started)
        said = {key: entry.get(key) for key in ("page", "pdf", "tables")}
        return said | {"page_from": made}

    def outlive(self, task: Task, staging: Path, run: str, why: str) -> Record | None:
        """Put a report's good page into the new folder, marked; return what is said of it.

        The mark says ``why`` the later run made no new one; its PDF, which would bear none, is left
        out. A page made with other parameters, from another source say, answers another question.
        """
        entry = self.reports.get(task.job.name)
        same = entry and entry["parameters"] == finite(task.job.parameters)
        if not entry or not same or not self._has_page(entry):
            return None
        said = self.carry(task.job.name, staging)
        text = (self.folder / entry["page"]).read_text(encoding="utf-8")
        marked = page.as_former(text, said["page_from"], run, why)
        folders.replace_text(staging / entry["page"], marked)
        if said["pdf"]:
            (staging / said["pdf"]).unlink(missing_ok=True)
        return said | {"pdf": None}

    def _has_page(self, entry: Record) -> bool:
        return bool(entry["page"]) and (self.folder / entry["page"]).is_file()


def executed(name: str) -> str:
    """Return where the executed notebook of a report's page lies."""
    return f"notebooks/{name}.ipynb"


def finite(value: Any) -> Any:
    """Return a value without NaN and infinity, which JSON has no words for."""
    if isinstance(value, Mapping):
        return {name: finite(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
