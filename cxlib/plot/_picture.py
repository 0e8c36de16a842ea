"""A figure as PNG: as it was drawn, and once more laid out for the width of a phone."""

from __future__ import annotations

import base64
import io
from contextlib import ExitStack
from itertools import pairwise
from textwrap import wrap

import matplotlib.figure
from matplotlib.text import Text

NARROW_MIME = "application/vnd.cx.narrow+png"
"""Carries the phone's picture, in base64, from a published notebook to its page."""

NARROW_INCHES, NARROW_TITLE = 5.2, 42
"""Letters drawn at 10 points are then about 10 pixels high on a phone; a title's letters a line."""
MOST_TEXTS = 60
"""Words inside a picture; more would run into one another on a phone."""
COLOURS = 256


def wide(figure: matplotlib.figure.Figure, small: bool = False) -> bytes:
    """Return the figure as it was drawn; ``small`` with a palette, a third of the bytes."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=144, bbox_inches="tight", facecolor="white")
    return _packed(file.getvalue()) if small else file.getvalue()


def narrow(figure: matplotlib.figure.Figure) -> str:
    """Return the figure drawn again for a narrow page, in base64; the figure stays as it was."""
    width, height = figure.get_size_inches()
    with ExitStack() as undo:
        if width > NARROW_INCHES:
            undo.callback(figure.set_size_inches, width, height)
            figure.set_size_inches(NARROW_INCHES, max(height * 0.8, min(height, 3.6)))
            _wrap_titles(figure, undo)
            figure.draw_without_rendering()
            for text in _crowded(figure):
                undo.callback(text.set_visible, True)
                text.set_visible(False)
        return base64.b64encode(wide(figure, small=True)).decode()


def _wrap_titles(figure: matplotlib.figure.Figure, undo: ExitStack) -> None:
    titles = {ax.get_title(loc="left") for ax in figure.axes} - {""}
    for text in figure.findobj(Text):
        words = text.get_text()
        if words in titles:
            undo.callback(text.set_text, words)
            text.set_text("\n".join(wrap(words.replace(" %", "\u00a0%"), NARROW_TITLE)))


def _crowded(figure: matplotlib.figure.Figure) -> list[Text]:
    """Return the words that a narrow picture has no room for: those of dense cells, some ticks."""
    found: list[Text] = []
    for ax in figure.axes:
        if len(ax.texts) > MOST_TEXTS:
            found += ax.texts
        labels = [text for text in ax.get_xticklabels() if text.get_text() and text.get_visible()]
        ends = [text.get_window_extent() for text in labels]
        step = next(
            step
            for step in range(1, len(labels) + 2)
            if all(a.x1 + 6 < b.x0 for a, b in pairwise(ends[::step]))
        )
        found += [text for place, text in enumerate(labels) if place % step]
    return found


def _packed(picture: bytes) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    flat = Image.open(io.BytesIO(picture)).convert("RGB")
    flat.quantize(COLOURS, dither=Image.Dither.NONE).save(file, format="png", optimize=True)
    return file.getvalue()
