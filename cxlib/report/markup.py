"""HTML that a notebook made, turned into HTML that a page may hold: safe, and readable aloud."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bleach.css_sanitizer import CSSSanitizer
from bleach.sanitizer import Cleaner
from bs4 import BeautifulSoup, Tag
from markupsafe import Markup
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

DROPPED = [
    "script",
    "style",
    "svg",
    "math",
    "iframe",
    "object",
    "embed",
    "template",
    "noscript",
    "head",
    "title",
    "form",
    "input",
    "button",
    "textarea",
    "select",
    "link",
    "meta",
    "base",
    "audio",
    "video",
    "canvas",
]
"""Elements that go with all they hold; the cleaner would leave their text behind."""

TAGS = [
    "a",
    "abbr",
    "b",
    "blockquote",
    "br",
    "caption",
    "code",
    "col",
    "colgroup",
    "dd",
    "del",
    "details",
    "div",
    "dl",
    "dt",
    "em",
    "figcaption",
    "figure",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "ins",
    "kbd",
    "li",
    "mark",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "samp",
    "small",
    "span",
    "strong",
    "sub",
    "summary",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "u",
    "ul",
]
STYLES = ["text-align", "font-weight", "font-style", "white-space"]
"""No colours: they would not follow the page from light to dark."""

CLASSES = {"num", "when", "long", "scroll"}
LONG = 40
"""Letters from which a cell asks for a column of some width."""

PLAIN = ("alt", "colspan", "dir", "lang", "open", "role", "rowspan", "scope", "tabindex", "title")
PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/=\s]+")
_ONE = r"[<>≤≥~]?\s?[-+−]?[£€$₪¥]?\s?[\d,.]*\d\s?(e[-+]?\d+)?(%|[kmx×]|bn|\s?points)?"
NUMBER = re.compile(rf"{_ONE}(\s?(to|vs|of|–)\s?{_ONE})?|–|\*")
"""A number, two of them (``1.2 to 3.4``), or the sign of one that is not there."""

DAY = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d)?")
NULLS = ("NaN", "NaT", "<NA>")


def _allowed(tag: str, name: str, value: str) -> bool:
    """Say whether an attribute stays; nothing stays that loads, links out or runs."""
    if name == "class":
        return value in CLASSES
    if name == "href":
        return tag == "a" and value.startswith("#")
    if name == "src":
        return tag == "img" and PICTURE.fullmatch(value) is not None
    return name in PLAIN or name in ("style", "aria-label")


_CLEANER = Cleaner(
    tags=TAGS,
    attributes=_allowed,
    protocols=["data"],
    strip=True,
    strip_comments=True,
    css_sanitizer=CSSSanitizer(allowed_css_properties=STYLES),
)


def safe(html: str, label: str = "", number: int = 1) -> Markup:
    """Return markup with nothing in it that runs, loads or leads away.

    ``label`` names its tables for readers who hear the page, from ``number`` on. Headings become words in bold:
    only a page's own text has headings.
    """
    return _safe(html, label, number, keeps_headings=False)


def _safe(html: str, label: str, number: int, keeps_headings: bool) -> Markup:
    soup = BeautifulSoup(html, "html.parser")
    for element in soup.find_all(DROPPED):
        element.decompose()
    for heading in soup.find_all(re.compile("^h[1-6]$")):
        if not keeps_headings:
            heading.name = "strong"
            heading.wrap(soup.new_tag("p"))
        elif heading.name == "h1":
            heading.name = "h2"
    for place, table in enumerate(soup.find_all("table"), number):
        _dress(soup, table, f"Table {place}: {label}" if label else f"Table {place}")
    for image in soup.find_all("img"):
        if not PICTURE.fullmatch(str(image.get("src", ""))):
            image.replace_with(str(image.get("alt", "")))
    return Markup(_CLEANER.clean(str(soup)))


def _dress(soup: BeautifulSoup, table: Tag, label: str) -> None:
    """Give a table header cells with scope, numbers that align, and room to scroll."""
    _drop_row_numbers(table)
    _fold_heads(table)
    for cell in table.find_all(["th", "td"]):
        words = cell.get_text(strip=True)
        cell["dir"] = "auto"
        if cell.name == "th" and not words:
            cell.name = "td"
        elif cell.name == "th":
            in_head = cell.find_parent("thead") is not None
            group = "group" if str(cell.get("colspan", "1")) != "1" else ""
            cell["scope"] = f"col{group}" if in_head else "row"
        elif words in NULLS:
            cell.string, cell["class"] = "–", "num"
        elif NUMBER.fullmatch(words):
            cell["class"] = "num"
        elif DAY.fullmatch(words):
            cell["class"] = "when"
        elif len(words) > LONG:
            cell["class"] = "long"
    _align_heads(table)
    box = {"class": "scroll", "tabindex": "0", "role": "region", "aria-label": label}
    table.wrap(soup.new_tag("div", attrs=box))


def _drop_row_numbers(table: Tag) -> None:
    """Take away pandas' own 0, 1, 2, …, which say nothing to a reader."""
    rows = [_cells(row) for row in table.select("tbody tr")]
    heads = [_cells(row) for row in table.select("thead tr")]
    if not rows or not all(cells and cells[0].name == "th" for cells in rows):
        return
    numbered = [cells[0].get_text() for cells in rows] == [str(place) for place in range(len(rows))]
    if numbered and all(cells and not cells[0].get_text(strip=True) for cells in heads):
        for cells in [*heads, *rows]:
            cells[0].decompose()


def _fold_heads(table: Tag) -> None:
    """Put the name of the index, for which pandas takes a row of its own, beside the others."""
    heads = table.select("thead tr")
    if len(heads) < 2:
        return
    pairs = list(zip(_cells(heads[-2]), _cells(heads[-1]), strict=False))
    if len(pairs) == len(_cells(heads[-1])) and all(
        not (above.get_text(strip=True) and below.get_text(strip=True)) for above, below in pairs
    ):
        for above, below in pairs:
            if below.get_text(strip=True):
                above.replace_with(below)
        heads[-1].decompose()


def _cells(row: Tag) -> list[Tag]:
    return row.find_all(["th", "td"], recursive=False)


def _align_heads(table: Tag) -> None:
    """Set the heading of a column of numbers over its numbers."""
    rows = [_cells(row) for row in table.select("tbody tr")]
    for head in table.select("thead tr"):
        cells = _cells(head)
        for place, cell in enumerate(cells):
            column = [row[place] for row in rows if len(row) == len(cells)]
            if column and all(below.get("class") == "num" for below in column):
                cell["class"] = "num"


def prose(cell: Mapping[str, Any]) -> Markup:
    """Return a Markdown cell as safe HTML."""
    renderer = IPythonRenderer(
        escape=False, attachments=cell.get("attachments", {}), exclude_anchor_links=True
    )
    html = MarkdownWithMath(renderer=renderer).render(cell["source"])
    return _safe(html, "", 1, keeps_headings=True)


def words(html: str) -> str:
    """Return the text of some HTML, on one line."""
    return " ".join(BeautifulSoup(html, "html.parser").get_text(" ").split())
