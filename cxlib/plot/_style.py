"""The house style: a figure that carries alt text, axes, number formats."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from html import escape
from typing import Any, ParamSpec

import matplotlib.figure
import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib import font_manager
from matplotlib.axes import Axes

from cxlib._checks import ColumnError, ParameterError
from cxlib._published import Fit, fit_to_show, is_published
from cxlib.plot import _picture

P = ParamSpec("P")
INK, ACCENT, GREY = "#1f2933", "#1b5e8c", "#8a949e"
SOFT = "#7fb0d3"  # under intervals, which are drawn in ink
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", "--", "-.", ":")
MOST_BANDS = 4
"""Groups that may show their intervals: the bands of more hide one another."""


ALONG_A_LINE = {"period", "date"}
"""Columns of tables whose rows follow one another: what is hidden leaves a gap in the line."""

FONTS = ("DejaVu Sans", "Noto Sans", "Noto Sans Hebrew", "Noto Sans Arabic")
"""Latin, Cyrillic, Hebrew, Arabic and Persian stand in the first, which comes with matplotlib."""
FONTS_BESIDE = ("Noto Sans CJK JP", "Noto Sans Devanagari", "Noto Sans Thai")
"""For scripts that the first ones lack, where they are installed."""


class Figure(matplotlib.figure.Figure):
    """A figure whose picture carries its alt text wherever Jupyter shows it, and its reading below."""

    alt: str = ""
    reading: str = ""
    sentences: tuple[str, ...] = ()  # of the reading; each stands or falls by itself

    def _ipython_display_(self) -> None:
        from IPython.display import publish_display_data

        publish_display_data(*self._repr_mimebundle_())
        if self.reading:
            html = f"<p>{escape(self.reading)}</p>"
            data = {"text/html": html, "text/plain": self.reading}
            publish_display_data(data, {"cx_reading": True})

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        words = {"alt": self.alt, "reading": self.reading}
        if not is_published():
            return {"image/png": _picture.wide(self), "text/plain": self.alt}, {"image/png": words}
        pictures = {
            "image/png": _picture.wide(self, small=True),
            _picture.NARROW_MIME: _picture.narrow(self),
        }
        return {**pictures, "text/plain": self.alt}, {"image/png": words}


def fonts(words: str) -> list[str]:
    """Return the fonts that words need, those of them that are installed.

    The first one alone where it has every letter: for each further one every word of a picture
    is looked up again, a third of the time that a picture takes.
    """
    if _letters(FONTS[0]).issuperset(words):
        return [FONTS[0]]
    known = set(font_manager.get_font_names())
    return [name for name in (*FONTS, *FONTS_BESIDE) if name in known]


@cache
def _letters(font: str) -> frozenset[str]:
    face = font_manager.get_font(font_manager.findfont(font))
    return frozenset(map(chr, face.get_charmap())) | set(string.whitespace)


def _words_of(table: pd.DataFrame, *others: object) -> str:
    """Return all the words that a picture of a table may show."""
    texts = [
        str(value)
        for name, column in table.items()
        for value in [name, *(column if column.dtype.kind not in "iufbmM" else ())]
    ]
    return "".join([*texts, *map(str, others)])


def picture(ax: Axes) -> tuple[bytes, str, str]:
    """Return a finished picture as PNG, its alt text and its reading, and let go of the figure."""
    figure = ax.figure
    assert isinstance(figure, Figure)  # made by `axes`
    data, _ = figure._repr_mimebundle_()
    plt.close(figure)
    return data["image/png"], figure.alt, figure.reading


def styled(draw: Callable[P, Axes]) -> Callable[P, Axes]:
    """Draw in the house style, leaving the user's own settings alone."""
    style = {
        **sns.axes_style("whitegrid"),
        **sns.plotting_context("notebook"),
        "axes.titlelocation": "left",
        "axes.titleweight": "bold",
        "axes.titlesize": 13,
        "axes.edgecolor": GREY,
        "text.color": INK,
        "axes.labelcolor": INK,
        "grid.color": "#e4e7eb",
        "text.parse_math": False,  # the $ of a name is no formula
    }

    @wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Axes:
        table: Any = args[0] if args else kwargs.get("table")
        _check_table(draw, table)
        fit = fit_to_show(table)
        # loads Jupyter's backend, which makes pyplot interactive: the context must not undo that
        plt.draw_if_interactive()
        family = fonts(_words_of(table, *args[1:], *kwargs.values()))
        with plt.rc_context({**style, "font.family": family}), _expecting(draw):
            if not (fit.small.any() or fit.persons or fit.joined or fit.doubt):
                return draw(*args, **kwargs)
            rest = args[1:]
            kwargs.pop("table", None)
            return _draw_both(draw, table, fit, rest, kwargs)

    return wrapper


def _draw_both(
    draw: Callable[..., Axes], table: pd.DataFrame, fit: Fit, rest: Any, words: Any
) -> Axes:
    """Draw what may be shown, say of it only what holds of the whole table too, and what is hidden."""
    ax = _draw_fit(draw, fit, table.dtypes, rest, words)
    if fit.small.any() and not fit.doubt and not fit.persons:
        _unsay(ax, draw(table, *rest, **{**words, "ax": None}))
    figure: Any = ax.figure
    said = [getattr(figure, "reading", ""), fit.note]
    figure.reading = " ".join(said[::-1] if fit.doubt else said).strip()
    return ax


def _draw_fit(
    draw: Callable[..., Axes], fit: Fit, dtypes: pd.Series, rest: Any, words: Any
) -> Axes:
    """Draw what may be shown of a table."""
    if fit.small.all() or not len(fit.table):
        ax = axes(words.get("ax"), 7, 1.2)
        ax.set_axis_off()
        why = "the numbers are withheld" if fit.doubt else "the groups are too small"
        ax.text(0, 0.5, f"Not shown: {why}.", va="center")
        return finish(ax, "", "", "", fit.note)
    goes_on = not ALONG_A_LINE.isdisjoint(fit.table.columns)
    kept = fit.table if goes_on else fit.table[~fit.small]
    holes = {name for name in kept.columns if kept[name].isna().any()}
    whole = {
        name: dtypes[name] if name not in holes else "float64"
        for name in kept.columns
        if name not in holes or pd.api.types.is_integer_dtype(kept[name])
    }
    return draw(kept.astype(whole).reset_index(drop=True), *rest, **words)


def _unsay(ax: Axes, whole: Axes) -> None:
    """Take back each sentence that reads otherwise of the whole table.

    It adds hidden rows up, or ranks them: of the rest alone it is false, and of all it would tell
    what is hidden.
    """
    figure: Any = ax.figure
    true: Any = whole.figure
    plt.close(true)
    said = [sentence for sentence in figure.sentences if sentence in true.sentences]
    figure.alt = figure.alt.replace(figure.reading, " ".join(said)).strip()
    figure.reading = " ".join(said)


def _check_table(draw: Callable[..., Axes], table: object) -> None:
    """Say what to give, in the words of the docstring, to who gives no table."""
    if not isinstance(table, pd.DataFrame):
        raise ParameterError(
            f"cx.plot.{draw.__name__} draws a pandas.DataFrame, not what it was given, of type "
            f"{type(table).__name__}; give it: {_wanted(draw)}"
        )


def _wanted(draw: Callable[..., Axes]) -> str:
    """Return which table a picture is of, in the words of its docstring."""
    told = re.search(r"table : pandas\.DataFrame\s+([^:]+):", draw.__doc__ or "")
    words = " ".join(told[1].split()) if told else "the table that it documents"
    words = re.sub(r"([Ww]hat) `([a-z_]+)`", r"\1 cx.\2", words).replace("`", "")
    return f"{words[0].lower()}{words[1:]}"


@contextmanager
def _expecting(draw: Callable[..., Axes]) -> Iterator[None]:
    """Say which table to give, where another one was: its columns were not read, but counted."""
    try:
        yield
    except ColumnError as error:
        raise ColumnError(
            f"{error.fault} cx.plot.{draw.__name__} draws: {_wanted(draw)}."
        ) from None


def axes(ax: Axes | None, width: float, height: float) -> Axes:
    """Return ``ax``, or the axes of a new figure of that size in inches."""
    if ax is not None:
        return ax
    figure = plt.figure(FigureClass=Figure, figsize=(width, height), layout="constrained")
    return figure.add_subplot()


def finish(ax: Axes, title: str, x: str, y: str, alt: str, *sentences: str) -> Axes:
    """Set the words of a finished picture: among them its alt text, and the sentences that read it."""
    ax.set_title(title, parse_math=False)
    ax.set(xlabel=x, ylabel=y)
    ax.spines[["top", "right"]].set_visible(False)
    figure: Any = ax.figure
    figure.alt, figure.reading, figure.sentences = alt, " ".join(sentences), sentences
    return ax


def group_column(table: pd.DataFrame, known: set[str]) -> str | None:
    """Return the name of the ``by`` column: the first one that the analysis did not make."""
    first = str(table.columns[0])
    return None if first in known else first


def groups_of(table: pd.DataFrame, by: str | None) -> list[tuple[str, pd.DataFrame, Any]]:
    """Return name, rows and colour of each group; without groups, all customers as one."""
    if by is None:
        return [("all customers", table, ACCENT)]
    colours = sns.color_palette("colorblind")
    parts = enumerate(table.groupby(by, sort=True))
    return [(str(name), part, colours[place % 10]) for place, (name, part) in parts]


def legend_of_groups(ax: Axes, by: str, n_groups: int) -> None:
    """Name the groups: in the picture where they are few, else beside it."""
    if n_groups <= MOST_BANDS:
        ax.legend(title=by, frameon=False)
    else:
        ax.legend(title=by, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))


def percent(value: float) -> str:
    """Return a share as text, with one decimal below 10 %."""
    return f"{value:.0%}" if value >= 0.0995 or value == 0 else f"{value:.1%}"


def compact(value: float, _: Any = None) -> str:
    """Return a count or an amount as short text: 12.3k, 4.56m."""
    for size, letter in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:,.3g}{letter}"
    return f"{value:,.3g}"
