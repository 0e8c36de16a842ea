"""What pandas itself shows in a published notebook passes `fit_to_show` too."""

from __future__ import annotations

import functools
import html
from collections.abc import Callable
from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler

from cxlib._published import Fit, fit_to_show

AS_TEXT = ("to_string", "to_markdown", "to_latex")


def guard() -> None:
    """Let frames and columns that become text, HTML or a Styler be as readers may see them.

    What a notebook writes into a file of its own, as ``to_csv`` does, is not shown and is left
    alone.
    """
    for name in AS_TEXT:
        _replace(pd.DataFrame, name, _frame(getattr(pd.DataFrame, name), "{}\n{}"))
        _replace(pd.Series, name, _column(getattr(pd.Series, name)))
    for name in ("to_html", "_repr_html_"):
        _replace(pd.DataFrame, name, _frame(getattr(pd.DataFrame, name), "{}<p>{}</p>"))
    pd.DataFrame.style = property(_styled)  # type: ignore[assignment, method-assign]


def _replace(kind: type, name: str, way: Callable[..., Any]) -> None:
    setattr(kind, name, functools.wraps(getattr(kind, name))(way))


def _frame(plain: Callable[..., Any], joined: str) -> Callable[..., Any]:
    def show(frame: pd.DataFrame, *given: Any, **named: Any) -> Any:
        fit = fit_to_show(frame)
        said = plain(fit.table, *given, **named)
        return _with_note(said, fit, joined)

    return show


def _column(plain: Callable[..., Any]) -> Callable[..., Any]:
    def show(values: pd.Series, *given: Any, **named: Any) -> Any:
        fit = fit_to_show(values.to_frame())
        shown = fit.table.iloc[:, 0] if fit.table.shape[1] else pd.Series(dtype=object)
        return _with_note(plain(shown if fit.note else values, *given, **named), fit, "{}\n{}")

    return show


def _styled(frame: pd.DataFrame) -> Styler:
    fit = fit_to_show(frame)
    styled = Styler(fit.table)
    return styled.set_caption(html.escape(fit.note)) if fit.note else styled


def _with_note(said: Any, fit: Fit, joined: str) -> Any:
    """Return text and what was hidden in it; nothing was returned where it went into a file."""
    return joined.format(said, fit.note) if said is not None and fit.note else said
