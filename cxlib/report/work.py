"""What a run has finished so far: a run that is killed is taken up where it stood."""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cxlib
from cxlib.report.folders import flush, replace_text
from cxlib.report.inputs import files_named, fingerprint
from cxlib.report.jobs import Job
from cxlib.report.runner import SUCCEEDED, Result

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


WORK = ".work"
"""The folder, among a plan's runs, in which they are made."""


@contextlib.contextmanager
def cleaned(plan: Path) -> Iterator[Path]:
    """Make room for the tables that a run cleans; they go with it, for they hold customers."""
    folder = plan / WORK / "cleaned"
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.parent.rmdir()


class Work:
    """The folder in which reports are made before they are published.

    Attributes
    ----------
    folder : Path
        Holds pages and executed notebooks, as the published folder will, and in ``results/``
        what is known of each report that ended well.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def keep(self, result: Result, key: str) -> None:
        """Remember a report that ended well, once its page is on the disk."""
        if result.status == SUCCEEDED and key:
            for file in (f"{result.name}.html", *(table["file"] for table in result.tables)):
                flush(self.folder / file)
            text = json.dumps({"key": key, "result": asdict(result)}, ensure_ascii=False)
            replace_text(self._file(result.name), text)

    def finished(self, name: str, key: str) -> Result | None:
        """Return the result of a report that an earlier run finished from the same things."""
        known = self._known(name)
        if not key or known is None or known["key"] != key:
            return None
        return Result(**known["result"])

    def _known(self, name: str) -> dict[str, Any] | None:
        try:
            return dict(json.loads(self._file(name).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return None

    def forget(self, name: str) -> None:
        """Make room for a report that is to be made: its files may be part of a published folder."""
        known = self._known(name)
        tables = [table["file"] for table in known["result"]["tables"]] if known else []
        for file in (f"results/{name}.json", f"{name}.html", f"notebooks/{name}.ipynb", *tables):
            (self.folder / file).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self.folder / "results" / f"{name}.json"

    def done(self) -> None:
        """Take the folder away: all that is in it has been published."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()

    def leave(self) -> None:
        """Leave what was finished for the next run; where that is nothing, leave nothing."""
        if not any(self.folder.glob("results/*.json")):
            self.done()


def key_of(job: Job, root: Path, inputs: Sequence[Mapping[str, Any]], about: object) -> str:
    """Return the fingerprint of all that a report is made from, as far as that can be known.

    The notebook, the package and its versions, the parameters, the contents of its sources and
    of other files that its parameters or its text name, and what the plan says ``about`` all
    pages. Empty where a source (a database, an
    address) has no contents that can be fingerprinted: such a report is always run.
    """
    if any(one["value"] is None for one in inputs):
        return ""
    made_from = {
        "notebook": hashlib.sha256(job.notebook.read_bytes()).hexdigest(),
        "package": package(),
        "parameters": job.parameters,
        "inputs": [one["value"] for one in inputs],
        "files": [fingerprint(str(root / file))["value"] for file in files_named(job, root)],
        "about": about,
    }
    text = json.dumps(made_from, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that numbers depend on."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


@cache
def package() -> str:
    """Return the fingerprint of this package and of those that numbers depend on."""
    home = Path(cxlib.__file__).parent
    files = [file for file in sorted(home.rglob("*")) if file.suffix not in ("", ".pyc")]
    marks = [f"{file.relative_to(home)} {_digest(file)}" for file in files if file.is_file()]
    return hashlib.sha256("\n".join([*marks, str(versions())]).encode()).hexdigest()


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
