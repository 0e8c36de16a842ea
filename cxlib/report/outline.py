"""An executed notebook in the order in which a page tells it, with its contents list."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bs4 import BeautifulSoup
from markupsafe import Markup
from nbformat import NotebookNode

from cxlib.report.markup import prose, words
from cxlib.report.outputs import Count, Part, Room, parts

HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*#*$", re.MULTILINE)
DOUBTS = "what would change this answer"


@dataclass(frozen=True)
class Outline:
    """What a page tells: the words below its title, its pieces, and where its headings stand."""

    lead: Markup
    pieces: Sequence[Part]
    contents: Sequence[tuple[str, str]]


def title_of(notebook: NotebookNode, otherwise: str) -> str:
    """Return a notebook's first H1 as plain text."""
    for cell in notebook.cells:
        found = HEADING.search(cell.source) if cell.cell_type == "markdown" else None
        if found and found[1] == "#":
            return words(prose({"source": found[2]}))
    return otherwise


def outline(notebook: NotebookNode, room: Room, code: bool = False) -> Outline:
    """Return a notebook's words and outputs; the title and the headlines stand above them.

    A heading left with nothing under it goes. ``code`` shows the cells' code too.
    """
    telling = _Telling(room, code)
    for cell in notebook.cells:
        telling.take(cell)
    pieces = _without_bare_headings(telling.pieces)
    there = {piece.about.get("id") for piece in pieces}
    contents = [entry for entry in telling.contents if entry[0] in there]
    return Outline(telling.lead or Markup(""), pieces, contents)


class _Telling:
    """Goes through the cells and keeps what a page needs to know of those before."""

    def __init__(self, room: Room, code: bool) -> None:
        self.room, self.code = room, code
        self.count, self.near, self.level = Count(), "", 1
        self.lead: Markup | None = None
        self.ids: set[str] = set()
        self.pieces: list[Part] = []
        self.contents: list[tuple[str, str]] = []

    def take(self, cell: NotebookNode) -> None:
        if cell.cell_type == "markdown":
            self._text(cell)
        elif cell.cell_type == "code":
            if self.code and cell.source.strip():
                self.pieces.append(Part("code", cell.source))
            for output in cell.get("outputs", []):
                self.pieces += parts(output, self.near, self.count, self.room)

    def _text(self, cell: NotebookNode) -> None:
        source, found = cell.source, HEADING.search(cell.source)
        is_title = found is not None and found[1] == "#" and self.lead is None
        if found and is_title:
            source = source.replace(found[0], "", 1)
        soup = BeautifulSoup(prose({**cell, "source": source}), "html.parser")
        if is_title and not soup.find(["h2", "h3"]):
            self.lead = Markup(str(soup))
            return
        self.lead = self.lead or (Markup("") if is_title else None)
        for heading in soup.find_all(re.compile("^h[2-6]$")):
            self._place(heading)
        about = self._split(soup)
        if soup.get_text(strip=True) or soup.find("img"):
            self.pieces.append(Part("text", html=Markup(str(soup)), about=about))

    def _place(self, heading: object) -> None:
        """Give a heading an address of its own, and a level that follows the one before."""
        assert hasattr(heading, "get_text")
        said = words(str(heading))
        self.level = min(int(heading.name[1]), self.level + 1)  # type: ignore[attr-defined]
        heading.name = f"h{self.level}"  # type: ignore[attr-defined]
        slug = re.sub(r"\W+", "-", said.lower()).strip("-")[:60] or "part"
        number, address = 1, slug
        while address in self.ids:
            number, address = number + 1, f"{slug}-{number + 1}"
        self.ids.add(address)
        heading["id"], self.near = address, said  # type: ignore[index]
        if self.level == 2:
            self.contents.append((address, said))

    def _split(self, soup: BeautifulSoup) -> dict[str, object]:
        first = soup.find(True)
        headed = first is not None and re.fullmatch("h[2-6]", first.name) is not None
        return {
            "id": first.get("id") if first is not None and headed else None,
            "level": int(first.name[1]) if first is not None and headed else 0,
            "alone": headed and len(soup.find_all(True, recursive=False)) == 1,
            "doubts": headed and first is not None and words(str(first)).lower() == DOUBTS,
        }


def _without_bare_headings(pieces: Sequence[Part]) -> list[Part]:
    followers = [*pieces[1:], None]
    return [
        piece for piece, after in zip(pieces, followers, strict=False) if not _bare(piece, after)
    ]


def _bare(piece: Part, after: Part | None) -> bool:
    """Say whether a piece is a heading alone, with nothing before the next one like it."""
    if not piece.about.get("alone"):
        return False
    level = piece.about["level"]
    return after is None or 0 < after.about.get("level", 0) <= level
