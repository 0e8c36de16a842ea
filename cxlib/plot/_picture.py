"""A figure as PNG: as it was drawn, and once more laid out for the width of a phone."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from textwrap import wrap
from typing import Any

import matplotlib.figure
from matplotlib.axes import Axes
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image, TiffImagePlugin

NARROW_MIME = "application/vnd.cx.narrow+png"
"""Carries the phone's picture, in base64, from a published notebook to its page."""

NARROW_INCHES = 5.2
"""Letters drawn at 10 points are then about 10 pixels high on a phone."""
TITLE, ALONG_X, ALONG_Y, TICK = 42, 52, 40, 26
"""Letters in a line of a narrow picture's title, axis labels and names of bars."""
LINE_INCHES = 0.15
MOST_TEXTS = 60
"""Words inside a picture; more would run into one another on a phone."""
COLOURS = 256
DOTS_PER_INCH = 144
MARGIN_INCHES = 0.1
GAP_PIXELS = 9
"""Between the words below an axis."""


def wide(figure: matplotlib.figure.Figure, small: bool = False) -> bytes:
    """Return the figure as it was drawn; ``small`` with a palette, a third of the bytes."""
    with _at_resolution(figure):
        _lay_out(figure)
        return _drawn(figure, small)


def narrow(figure: matplotlib.figure.Figure) -> str:
    """Return the figure drawn again for a narrow page, in base64; the figure stays as it was."""
    width, height = figure.get_size_inches()
    with ExitStack() as undo:
        undo.enter_context(_at_resolution(figure))
        if width > NARROW_INCHES:
            undo.callback(figure.set_size_inches, width, height)
            more = _wrap(figure, undo)
            figure.set_size_inches(NARROW_INCHES, max(height * 0.8, min(height, 3.6)) + more)
        _lay_out(figure)
        if width > NARROW_INCHES and (crowded := _crowded(figure)):
            for text in crowded:
                undo.callback(text.set_visible, True)
                text.set_visible(False)
            _lay_out(figure)
        return base64.b64encode(_drawn(figure, small=True)).decode()


@contextmanager
def _at_resolution(figure: matplotlib.figure.Figure) -> Iterator[None]:
    """Let the figure be laid out and drawn by hand, in the pixels of its picture."""
    dpi = figure.get_dpi()
    figure.set_dpi(DOTS_PER_INCH)
    try:
        yield
    finally:
        figure.set_dpi(dpi)


def _lay_out(figure: matplotlib.figure.Figure) -> None:
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)


def _drawn(figure: matplotlib.figure.Figure, small: bool) -> bytes:
    """Return a figure that is laid out as PNG.

    ``savefig`` by itself would draw it twice and lay it out twice to find its edges; it draws
    once where there is no layout engine, not even the one named "none". What is packed afterwards
    is not pressed before; PIL would import all of its formats to look for one not yet imported.
    """
    engine, edges = figure.get_layout_engine(), figure.get_tightbbox().padded(MARGIN_INCHES)
    file = io.BytesIO()
    figure.set_layout_engine(None)
    try:
        figure.savefig(
            file,
            format=TiffImagePlugin.TiffImageFile.format if small else "png",
            dpi=DOTS_PER_INCH,
            bbox_inches=edges,
            facecolor="white",
        )
    finally:
        figure.set_layout_engine(engine)
    return _packed(file) if small else file.getvalue()


def _wrap(figure: matplotlib.figure.Figure, undo: ExitStack) -> float:
    """Break long words into lines; return the inches of height that it takes."""
    more = 0.0
    titles = {ax.get_title(loc="left") for ax in figure.axes} - {""}
    for text in figure.findobj(Text):
        if text.get_text() in titles:
            _break(text, TITLE, undo)
    for ax in figure.axes:
        _break(ax.xaxis.label, ALONG_X, undo)
        _break(ax.yaxis.label, ALONG_Y, undo)
        more += LINE_INCHES * _break_names(ax, undo)
    return more


def _break(text: Text, letters: int, undo: ExitStack) -> None:
    words = text.get_text()
    undo.callback(text.set_text, words)
    text.set_text(_lines(words, letters))


def _lines(words: str, letters: int) -> str:
    return "\n".join(wrap(words.replace(" %", "\u00a0%"), letters))


def _break_names(ax: Axes, undo: ExitStack) -> int:
    """Break the names along the y axis where one is long; return how many lines that adds."""
    names = [text.get_text() for text in ax.get_yticklabels()]
    if max(map(len, names), default=0) <= TICK:
        return 0
    broken = [_lines(name, TICK) for name in names]
    undo.callback(ax.set_yticks, ax.get_yticks(), names)
    ax.set_yticks(ax.get_yticks(), broken)
    return sum(name.count("\n") for name in broken) - sum(name.count("\n") for name in names)


def _crowded(figure: matplotlib.figure.Figure) -> list[Text]:
    """Return the words that a narrow picture has no room for: those of dense cells, some ticks."""
    found: list[Text] = []
    for ax in figure.axes:
        found += ax.texts if len(ax.texts) > MOST_TEXTS else _overlapping(ax.texts)
        labels = [text for text in ax.get_xticklabels() if text.get_text() and text.get_visible()]
        ends = [text.get_window_extent() for text in labels]
        step = next(
            step
            for step in range(1, len(labels) + 2)
            if all(a.x1 + GAP_PIXELS < b.x0 for a, b in pairwise(ends[::step]))
        )
        found += [text for place, text in enumerate(labels) if place % step]
    return found


def _overlapping(texts: Sequence[Text]) -> list[Text]:
    """Return the words that stand upon others before them."""
    kept: list[Bbox] = []
    found: list[Text] = []
    for text in (text for text in texts if text.get_text() and text.get_visible()):
        box = text.get_window_extent()
        if any(box.overlaps(other) for other in kept):
            found.append(text)
        else:
            kept.append(box)
    return found


def _packed(picture: io.BytesIO) -> bytes:
    """Return a picture in the colours that a third of its lines and columns have, white for white."""
    flat, file = Image.open(picture).convert("RGB"), io.BytesIO()
    sample = flat.resize((flat.width // 3, flat.height // 3), Image.Resampling.NEAREST)
    few: Any = flat.quantize(palette=sample.quantize(COLOURS), dither=Image.Dither.NONE)
    colours, corner = few.getpalette(), few.getpixel((0, 0))
    colours[3 * corner : 3 * corner + 3] = [255, 255, 255]
    few.putpalette(colours)
    few.save(file, format="png")
    return file.getvalue()
