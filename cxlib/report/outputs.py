"""What a cell showed, as the parts of a page: pictures, tables, words, within a page's size."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bs4 import BeautifulSoup
from markupsafe import Markup
from nbformat import NotebookNode

from cxlib.headline import HEADLINE_MIME
from cxlib.report.markup import prose, safe, words

NARROW_MIME = "application/vnd.cx.narrow+png"
"""As in `cxlib.plot._picture`, which would bring matplotlib into every worker."""
TABLE_MIME = "application/vnd.cx.table+json"
"""As in `cxlib.show`."""

DRAWN = re.compile(r"^\[?\s*<(Axes|Figure|matplotlib|seaborn)\b|^(Text|array)\(")
"""What a plotting call leaves behind as text; the picture says it all."""
ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
WARNING = re.compile(r"^\S.*?\.py:\d+: (\w+Warning: .*)(?:\n[ \t]+\S.*)?$", re.MULTILINE)
"""A warning behind the file and before the line of code that gave it: of this machine both."""
LONGEST_MARKUP = 2_000_000


@dataclass(frozen=True)
class Room:
    """How much of its outputs a page shows; pages that grow too large get less room."""

    narrow: bool = True
    characters: int = 20_000
    rows: int = 500
    scale: float = 1.0
    pictures: bool = True


ROOMS = (
    Room(),
    Room(narrow=False),
    Room(narrow=False, characters=5_000, rows=100, scale=0.6),
    Room(narrow=False, characters=500, rows=20, pictures=False),
)
"""From the whole to the least, each tried where the one before makes a page too large."""


@dataclass
class Count:
    """Numbers figures and tables through a page."""

    figures: int = 0
    tables: int = 0


@dataclass(frozen=True)
class Part:
    """A piece of a page; ``kind`` says which of the other values it has."""

    kind: str
    text: str = ""
    html: Markup = Markup("")
    about: Mapping[str, Any] = field(default_factory=dict)


def parts(output: NotebookNode, near: str, count: Count, room: Room) -> Iterator[Part]:
    """Yield what a reader sees of an output; ``near`` is the heading that it stands under."""
    data: Mapping[str, Any] = output.get("data", {})
    if output.output_type == "stream":
        if output.name == "stdout":
            yield Part("said", clipped(output.text, room))
        else:
            yield Part("messages", clipped(WARNING.sub(r"\1", output.text), room))
    elif HEADLINE_MIME in data or output.get("metadata", {}).get("cx_reading"):
        return  # the card stands above; the reading is the picture's caption
    elif picture(data):
        count.figures += 1
        yield _figure(output, near, count, room)
    elif "text/html" in data:
        yield from _made(data["text/html"], near, count, room)
        if "file" in data.get(TABLE_MIME, {}):
            yield Part("carried", about=data[TABLE_MIME])
    elif "text/markdown" in data:
        yield Part("made", html=prose({"source": clipped(data["text/markdown"], room)}))
    elif "text/plain" in data and not DRAWN.match(data["text/plain"]):
        yield Part("said", clipped(data["text/plain"], room))


def clipped(text: str, room: Room) -> str:
    """Return terminal text without its colours, and with its middle cut out where it is long."""
    most = room.characters
    if len(text) <= 2 * most:
        text = ESCAPE.sub("", text).strip("\n")
    if len(text) <= most:
        return text
    left_out = len(text) - most
    kept = text[: most // 2], text[-most // 2 :]
    return f"\n… {left_out:,} characters are left out here …\n".join(
        ESCAPE.sub("", part).strip("\n") for part in kept
    )


def picture(data: Mapping[str, Any]) -> str:
    """Return the address of an output's picture, the picture in it, or nothing."""
    if "image/svg+xml" in data:
        packed = base64.b64encode("".join(data["image/svg+xml"]).encode()).decode()
        return f"data:image/svg+xml;base64,{packed}"
    kind = next((kind for kind in ("image/png", "image/jpeg") if kind in data), None)
    return f"data:{kind};base64,{''.join(data[kind].split())}" if kind else ""


def _figure(output: NotebookNode, near: str, count: Count, room: Room) -> Part:
    data, words_of = output.data, output.get("metadata", {})
    described = alt(words_of, near)
    if not room.pictures:
        return Part(
            "said", f"Figure {count.figures} is left out, the page would be too large: {described}"
        )
    narrow = "".join(data.get(NARROW_MIME, "").split()) if room.narrow else ""
    about = {
        "number": count.figures,
        "source": shrunk(picture(data), room.scale),
        "narrow": f"data:image/png;base64,{narrow}" if narrow else "",
        "alt": described,
        "caption": words_of.get("image/png", {}).get("reading") or near,
    }
    return Part("figure", about=about)


def alt(words_of: Mapping[str, Any], near: str) -> str:
    """Return a picture's own description, or where it stands."""
    own = words_of.get("alt") or next(
        (one["alt"] for one in words_of.values() if isinstance(one, dict) and one.get("alt")), ""
    )
    return str(own) or (f"Figure: {near}" if near else "Figure")


def shrunk(source: str, scale: float) -> str:
    """Return a picture's address with the picture made smaller; a vector one stays."""
    if scale == 1 or not source.startswith(("data:image/png", "data:image/jpeg")):
        return source
    from PIL import Image

    image = Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))).convert("RGB")
    image = image.resize((max(1, int(image.width * scale)), max(1, int(image.height * scale))))
    file = io.BytesIO()
    image.quantize(128, dither=Image.Dither.NONE).save(file, format="png", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _made(html: str, near: str, count: Count, room: Room) -> Iterator[Part]:
    """Yield a cell's own HTML, made safe, its long tables cut and told so."""
    if len(html) > LONGEST_MARKUP:
        yield Part("said", f"A table is left out here: it is {len(html):,} characters long.")
        return
    soup = BeautifulSoup(html, "html.parser")
    cut, first = 0, count.tables + 1
    for table in soup.find_all("table"):
        count.tables += 1
        rows = table.select("tbody tr")
        for row in rows[room.rows :]:
            row.decompose()
        cut += max(0, len(rows) - room.rows)
    yield Part("made", html=safe(str(soup), words(near), first))
    if cut:
        yield Part("said", f"{cut:,} more rows are not shown.")
