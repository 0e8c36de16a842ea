"""One executed notebook becomes one page: nbconvert with a template of our own."""

from __future__ import annotations

import base64
import datetime as dt
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment
from nbconvert.exporters import TemplateExporter
from nbformat import NotebookNode

from cxlib.headline import HEADLINE_MIME, Headline
from cxlib.report.markup import prose, safe, words

HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*#*$", re.MULTILINE)
DRAWN = re.compile(r"^\[?\s*<(Axes|Figure|matplotlib|seaborn)\b|^(Text|array)\(")
"""What a plotting call leaves behind as text; the picture says it all."""


class PageExporter(TemplateExporter):
    """nbconvert with our template, every value in it escaped unless it was made safe."""

    file_extension = ".html"
    output_mimetype = "text/html"

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
    filters = (prose, safe, picture, alt, drawn, plain, day, moment, duration, card)
    for function in filters:
        made.register_filter(function.__name__, function)
    return made


def render(notebook: NotebookNode, **about: Any) -> str:
    """Return the page of an executed notebook; ``about`` has its ``result`` and its ``task``."""
    shown = NotebookNode(notebook, cells=_shown(notebook))
    page, _ = exporter().from_notebook_node(shown, resources=about)
    return page


def fill(template: str, **values: Any) -> str:
    """Return another template of ours, filled."""
    return exporter().environment.get_template(template).render(**values)


def as_former(text: str, made: str, failed: str) -> str:
    """Return a published page with a note that it outlived a later run, which failed."""
    note = (
        f'<p class="former">This page is from the run of {moment(made)}. '
        f"The run of {moment(failed)} failed; the index says why.</p>"
    )
    return re.sub(r'<main>(\s*<p class="former">.*?</p>)?', f"<main>\n{note}", text, count=1)


def title_of(notebook: NotebookNode, otherwise: str) -> str:
    """Return a notebook's first H1 as plain text."""
    for cell in notebook.cells:
        found = HEADING.search(cell.source) if cell.cell_type == "markdown" else None
        if found and found[1] == "#":
            return words(prose({"source": found[2]}))
    return otherwise


def _shown(notebook: NotebookNode) -> list[NotebookNode]:
    """Return the cells that a reader sees, each knowing the heading that it stands under.

    The title and the headlines stand at the top of the page; a heading left with nothing
    under it goes too.
    """
    cells, near, title_taken = [], "", False
    for cell in notebook.cells:
        source, outputs = cell.source, []
        if cell.cell_type == "markdown":
            found = HEADING.search(source)
            if found and found[1] == "#" and not title_taken:
                source, title_taken = source.replace(found[0], "", 1), True
            elif found:
                near = words(found[2])
        else:
            outputs = [out for out in cell.get("outputs", []) if HEADLINE_MIME not in _data(out)]
            source = ""
        if source.strip() or outputs:
            cells.append(NotebookNode(cell, source=source, outputs=outputs, near=near))
    followers = [*cells[1:], None]
    return [cell for cell, after in zip(cells, followers, strict=False) if not _bare(cell, after)]


def _bare(cell: NotebookNode, after: NotebookNode | None) -> bool:
    """Say whether a cell is a heading alone, with nothing before the next one like it."""
    level = _level(cell)
    if not level or len(cell.source.strip().splitlines()) > 1:
        return False
    return after is None or 0 < _level(after) <= level


def _level(cell: NotebookNode) -> int:
    found = HEADING.match(cell.source.strip())
    return len(found[1]) if found else 0


def _data(output: NotebookNode) -> Mapping[str, Any]:
    return output.get("data", {})


def picture(output: NotebookNode) -> str:
    """Return the address of an output's picture, the picture in it, or nothing."""
    data = _data(output)
    if "image/svg+xml" in data:
        packed = base64.b64encode(data["image/svg+xml"].encode()).decode()
        return f"data:image/svg+xml;base64,{packed}"
    kind = next((kind for kind in ("image/png", "image/jpeg") if kind in data), None)
    return f"data:{kind};base64,{''.join(data[kind].split())}" if kind else ""


def alt(output: NotebookNode, near: str) -> str:
    """Return a picture's own description, or where it stands."""
    known = output.get("metadata", {})
    own = known.get("alt") or next(
        (value["alt"] for value in known.values() if isinstance(value, dict) and value.get("alt")),
        "",
    )
    return own or (f"Figure: {near}" if near else "Figure")


def drawn(text: str) -> bool:
    """Say whether text is only what a plotting call returns."""
    return DRAWN.match(text) is not None


def plain(text: str) -> str:
    """Return terminal text without its colours."""
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text).strip("\n")


def day(value: dt.date | str) -> str:
    """Return a date as people write it: 31 December 2024."""
    date = dt.date.fromisoformat(str(value))
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
