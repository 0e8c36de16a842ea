"""One executed notebook becomes one page: nbconvert with a template of our own."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import Environment
from markupsafe import Markup
from nbconvert.exporters import TemplateExporter
from nbformat import NotebookNode
from traitlets import List

from cxlib._checks import DataError
from cxlib.headline import Headline
from cxlib.report import glossary, trend
from cxlib.report.markup import prose, words
from cxlib.report.outline import Outline, outline, title_of
from cxlib.report.outputs import ROOMS

__all__ = ["as_former", "fill", "render", "title_of"]

MOST_BYTES = 1_500_000
"""A page is one file that opens at once, by mail too."""

OLDER = "kept from an earlier run: its data have changed since, and only other reports were run"
"""What the record says of a page that was not asked for and would come out otherwise now."""


class PageExporter(TemplateExporter):
    """nbconvert with our template, every value in it escaped unless it was made safe."""

    file_extension = ".html"
    output_mimetype = "text/html"
    # each would check the whole notebook again, and do nothing
    default_preprocessors: List[Any] = List([])

    def _create_environment(self) -> Environment:
        environment = super()._create_environment()
        environment.autoescape = True
        environment.trim_blocks = environment.lstrip_blocks = True
        return environment


@cache
def exporter() -> PageExporter:
    """Return the exporter, made once in each process."""
    made = PageExporter(
        template_name="template",
        template_file="page.html.j2",
        extra_template_basedirs=[str(Path(__file__).parent)],
    )
    for function in (prose, day, moment, duration, card, moved, freshness, shown, outdated):
        made.register_filter(function.__name__, function)
    return made


def render(notebook: NotebookNode, **about: Any) -> str:
    """Return the page of an executed notebook; ``about`` has its ``result`` and its ``task``.

    Raises
    ------
    DataError
        The page is too large, also with its pictures left out.
    """
    code = bool(about["task"].run.get("code"))
    for room in ROOMS:
        page = _written(notebook, outline(notebook, room, code), about)
        if len(page.encode()) <= MOST_BYTES:
            return page
    raise DataError(
        f"the page would be {len(page.encode()):,} bytes, more than {MOST_BYTES:,}, without one "
        "picture; show fewer or shorter tables"
    )


def rehearse(notebook: NotebookNode) -> None:
    """Do what takes longer the first time in a process."""
    nbformat.validate(notebook)
    outline(notebook, ROOMS[0])
    glossary.used("")
    assert exporter().template


def _written(notebook: NotebookNode, told: Outline, about: Mapping[str, Any]) -> str:
    resources = {**about, "outline": told, "terms": ()}
    page, _ = exporter().from_notebook_node(notebook, resources=resources)
    resources["terms"] = glossary.used(_read_aloud(page))
    page, _ = exporter().from_notebook_node(notebook, resources=resources)
    return str(page)


def _read_aloud(page: str) -> str:
    """Return the words of a page, without its pictures and its head."""
    body = page[page.index("<body") :]
    return words(re.sub(r"data:image/[^\"]*", "", body))


def fill(template: str, **values: Any) -> str:
    """Return another template of ours, filled."""
    return exporter().environment.get_template(template).render(**values)


def as_former(text: str, made: str, later: str, why: str) -> str:
    """Return a published page with a note that it outlived a later run, and why."""
    note = (
        f'<p class="former">This page is from the run of {moment(made)}. '
        f"The run of {moment(later)} {why}.</p>"
    )
    return re.sub(r'(<main[^>]*>)(\s*<p class="former">.*?</p>)?', rf"\1\n{note}", text, count=1)


def outdated(report: Mapping[str, Any]) -> bool:
    """Say whether a report in a run's record is of data that had changed by that run."""
    return OLDER in report.get("notices", ())


def day(value: dt.date | str) -> str:
    """Return a date as people write it: 31 December 2024."""
    date = dt.date.fromisoformat(str(value)[:10])
    return f"{date.day} {date:%B %Y}"


def moment(value: str) -> str:
    """Return a time stamp in UTC as people write it: 1 January 2025, 03:00 UTC."""
    return f"{day(value[:10])}, {value[11:16]} UTC"


def duration(seconds: float) -> str:
    """Return seconds as people say them: 8 s, 2 min 5 s."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def card(data: Mapping[str, Any]) -> Headline:
    """Return a headline from its record."""
    return Headline(**data)


def moved(headline: Headline, history: Any) -> trend.Move:
    """Return how a headline moved, by its report's ``history``."""
    series = [one for one in history or () if one["name"] == headline.name]
    return trend.move(headline, series[0] if series else None, day)


def freshness(account: Mapping[str, Any], as_of: str) -> str:
    """Return how near the last row of a table comes to the as-of day, in words."""
    last = account.get("last_day")
    if not last:
        return ""
    gap = (dt.date.fromisoformat(as_of) - dt.date.fromisoformat(last)).days
    if gap == 0:
        return f"The last row is of {day(last)}, the as-of day."
    if gap > 0:
        days = "1 day" if gap == 1 else f"{gap:,} days"
        return f"The last row is of {day(last)}, {days} before the as-of day."
    return f"Rows go on to {day(last)}; those after the as-of day are not counted."


def shown(value: Any) -> Markup | str:
    """Return a parameter's value as a reader writes it."""
    if value is None or value == "":
        return "none"
    return ", ".join(str(item) for item in value) if isinstance(value, list) else str(value)
