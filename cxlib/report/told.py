"""What headlines were, run by run, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from cxlib._checks import PlanError
from cxlib.headline import Headline
from cxlib.report import history
from cxlib.report.history import Record


def lines(folder: Path, plan: str, last: int) -> Iterator[str]:
    """Yield the runs of a plan, the last one first, with the headlines of each report.

    A run in which nothing changed is one line, where the run that it repeats stands below.

    Raises
    ------
    PlanError
        No run of the plan is kept.
    """
    known = history.runs(folder / plan)
    if not known:
        raise PlanError(f"no run of plan {plan!r} is kept in {str(folder)!r}")
    shown = sorted(enumerate(known), key=lambda one: str(one[1]["started"]))[-last:]
    for place, (number, run) in reversed(list(enumerate(shown))):
        line = f"{run['as_of']}  {run['status']}, run {run['started']}"
        below = {one["as_of"] for _, one in shown[:place]}
        if run["as_of"] in below and all(one["status"] == "skipped" for one in run["reports"]):
            yield f"{line}: nothing had changed"
            continue
        yield line
        for report in run["reports"]:
            yield f"  {report['name']}: {report['status']}"
            yield from (f"    {line}" for line in _headlines(run, report, known[: number + 1]))


def _headlines(run: Record, report: Record, known: Sequence[Record]) -> Iterator[str]:
    parameters = report["parameters"] or {}
    before = history.past(known, report["name"], parameters, run["as_of"])
    placed = history.placed(report["headlines"], before, run["as_of"], run["started"])
    series = {one["name"]: one for one in placed}
    for headline in report["headlines"]:
        yield str(Headline(**headline)) + _moved(series.get(headline["name"]))


def _moved(series: Record | None) -> str:
    if series is None or series["change"] is None:
        return ""
    before = series["points"][-2]
    kind = {name: series[name] for name in ("name", "unit", "currency")}
    text = f", was {Headline(value=before['value'], **kind).text} on {before['as_of']}"
    if series["left"]:
        ends = [series["lower_limit"], series["upper_limit"]]
        low, high = (Headline(value=end, **kind).text for end in ends)
        text += f"  ! {series['left']} its limits, {low} to {high}"
    return text
