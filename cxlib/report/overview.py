"""The index of all plans, and that of each plan's runs, for who comes without an address."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cxlib.report import history, page

MOST_RUNS = 60
"""Runs that a plan's index lists; the folders of older ones stay."""


def write(output: Path) -> None:
    """Write ``index.html`` for all plans, and one in the folder of each plan.

    Parameters
    ----------
    output : Path
        The folder of all runs, ``reports/runs``; its plans lie in it as
        ``<plan>/<as_of>/run.json``.
    """
    plans = [_plan(folder, runs) for folder, runs in _published(output)]
    plans.sort(key=lambda plan: plan["latest"]["started"], reverse=True)
    for plan in plans:
        _put(output / plan["name"] / "index.html", page.fill("plan.html.j2", plan=plan))
    _put(output / "index.html", page.fill("plans.html.j2", plans=plans))


def _published(output: Path) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    for folder in sorted(output.iterdir()):
        if folder.is_dir() and not folder.name.startswith("."):
            runs = [run for file in folder.glob("[0-9]*/run.json") if (run := _read(file))]
            if runs:
                yield folder, sorted(runs, key=lambda run: run["as_of"], reverse=True)


def _read(file: Path) -> dict[str, Any] | None:
    """Return a run's record; one that is torn, or of another kind, is passed over."""
    try:
        run: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        good = [one for one in run["reports"] if one["status"] in history.GOOD]
        return run | {"good": len(good), "day": file.parent.name, "started": run["started"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _plan(folder: Path, runs: list[dict[str, Any]]) -> dict[str, Any]:
    latest = runs[0]
    return {
        "name": folder.name,
        "title": latest.get("title") or folder.name,
        "latest": latest,
        "runs": runs[:MOST_RUNS],
        "more": max(0, len(runs) - MOST_RUNS),
    }


def _put(file: Path, text: str) -> None:
    """Write a file that a reader never finds half written."""
    aside = file.with_name(f".{file.name}-{os.getpid()}")
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, file)
