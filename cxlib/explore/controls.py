"""A widget for each choice."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from cxlib.explore.choices import Choice

NONE = "(none)"
LOOK = {"style": {"description_width": "7.5em"}, "layout": {"width": "20em"}}


def control(choice: Choice, value: Any, changed: Callable[[str, Any], None]) -> widgets.Widget:
    """Return the widget of a choice, set to ``value``; it tells each new value to ``changed``."""
    widget, read = _MADE[choice.kind](choice, value)
    widget.description = choice.name
    widget.add_class(f"cx-{choice.name}")
    widget.observe(lambda change: changed(choice.name, read(change["new"])), "value")
    return widget


Made = tuple[widgets.Widget, Callable[[Any], Any]]


def _one(choice: Choice, value: Any) -> Made:
    options = [(NONE, None)] * choice.is_optional + [(str(each), each) for each in choice.values]
    return widgets.Dropdown(options=options, value=value, **LOOK), lambda new: new


def _some(choice: Choice, value: Any) -> Made:
    allowed = [str(each) for each in choice.values]
    tags = widgets.TagsInput(value=list(value or ()), allowed_tags=allowed, **LOOK)
    return tags, list


def _text(choice: Choice, value: Any) -> Made:
    def read(new: str) -> Any:
        new = new.strip()
        return (int(new) if new.isdigit() else new) if new else None

    offered = [str(each) for each in choice.values]
    text = "" if value is None else str(value)
    box = widgets.Combobox(value=text, options=offered, continuous_update=False, **LOOK)
    return box, read


def _date(choice: Choice, value: Any) -> Made:
    day = dt.date.fromisoformat(str(value)) if value else None
    return widgets.DatePicker(value=day, **LOOK), lambda new: None if new is None else str(new)


def _number(choice: Choice, value: Any) -> Made:
    def read(new: str) -> Any:
        if not new.strip():
            return None
        try:
            number = float(new)
        except ValueError:
            return new  # the analysis says that it is no number
        return int(number) if number.is_integer() else number

    text = "" if value is None else f"{value:g}"
    return widgets.Text(value=text, continuous_update=False, **LOOK), read


def _numbers(choice: Choice, value: Any) -> Made:
    def read(new: str) -> Any:
        parts = new.replace(",", " ").split()
        return [int(part) if part.isdigit() else part for part in parts] or None

    text = ", ".join(map(str, value or ()))
    return widgets.Text(value=text, continuous_update=False, **LOOK), read


def _switch(choice: Choice, value: Any) -> Made:
    return widgets.Checkbox(value=bool(value), **LOOK), bool


_MADE: dict[str, Callable[[Choice, Any], Made]] = {
    "one": _one,
    "some": _some,
    "text": _text,
    "date": _date,
    "number": _number,
    "numbers": _numbers,
    "switch": _switch,
}
