"""The last hand on a run's folder: secrets masked, pages printed, record and index written."""

from __future__ import annotations

import json
from pathlib import Path

from cxlib.report import page, printed, secrets
from cxlib.report.former import Record, finite
from cxlib.report.jobs import ReadyPlan


def write(plan: ReadyPlan, run: Record, folder: Path) -> None:
    """Write ``run.json`` and ``index.html`` beside the pages; from here on nothing changes.

    Parameters
    ----------
    plan : ReadyPlan
        Its parameters say which secrets must not be told, and whether pages are printed.
    run : dict
        The run's record; what is masked or printed is noted in it.
    folder : Path
        Holds the pages, notebooks and tables of the run.
    """
    hidden = secrets.known(value for job in plan.jobs for value in job.parameters.values())
    run["reports"] = secrets.masked(run["reports"], hidden)
    secrets.scrub(folder, hidden)
    if plan.pdf:
        pages = [entry["page"] for entry in run["reports"] if entry["page"]]
        made = printed.print_pages(folder, pages)
        for entry in run["reports"]:
            entry["pdf"] = made.get(entry["page"])
    text = json.dumps(finite(run), ensure_ascii=False, indent=2, allow_nan=False)
    (folder / "run.json").write_text(text + "\n", encoding="utf-8")
    (folder / "index.html").write_text(page.fill("index.html.j2", run=run), encoding="utf-8")
