"""The panel: controls on the left; the picture, and the call behind it, on the right."""

from __future__ import annotations

import base64
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd

from cxlib import plot
from cxlib._checks import CxError, ParameterError, listed, suggest
from cxlib._watched import is_watched
from cxlib.explore.choices import Choice, check_start, choices_of
from cxlib.plot._style import picture

if TYPE_CHECKING:
    import ipywidgets as widgets

WIDEST = 88
"""Characters of a line of code, before its options stand one under the other."""


@dataclass(frozen=True)
class View:
    """One picture of the data at hand.

    Attributes
    ----------
    name : str
        What its button says.
    options : callable
        The function whose keyword options are the controls.
    make : callable
        Takes the chosen options and returns the table.
    written : str
        The call that makes the same table, with ``{}`` for the options.
    drawn : str
        Name of the function in `cxlib.plot`.
    draw_options : dict
        What that function is given besides.
    groups : bool
        Whether the picture can show the groups of ``by``.
    """

    name: str
    options: Callable[..., Any]
    make: Callable[..., pd.DataFrame]
    written: str
    drawn: str
    draw_options: Mapping[str, Any]
    groups: bool = True

    def call(self, chosen: Mapping[str, Any]) -> str:
        """Return the code that makes the table and the picture, to copy into a cell."""
        options = [f"{name}={value!r}" for name, value in chosen.items()]
        table = self.written.format(", ".join(options))
        if len(table) > WIDEST:
            table = self.written.format("".join(f"\n    {option}," for option in options) + "\n")
        extra = "".join(f", {name}={value!r}" for name, value in self.draw_options.items())
        return f"table = {table}\ncx.plot.{self.drawn}(table{extra});"


class Panel:
    """Choices, and what they make; in JupyterLab it shows as controls beside a picture.

    Attributes
    ----------
    table : pandas.DataFrame
        What the choices make.
    call : str
        The code that makes the same table and its picture.
    """

    def __init__(
        self,
        views: Sequence[View],
        start: Mapping[str, Any],
        known: Mapping[str, Sequence[Any]],
        main: Sequence[str],
        own: Mapping[str, Any] | None = None,
    ) -> None:
        self._views = {view.name: view for view in views}
        self._view = views[0]
        self._main = main
        self._choices: dict[str, Choice] = {}
        for view in views:
            self._choices |= choices_of(view.options, known)
        for name, value in (own or {}).items():  # what the data's own methods take if left out
            self._choices[name] = replace(self._choices[name], default=value)
        for name in [name for name in start if name not in self._choices]:
            hint = suggest(name, self._choices)
            raise ParameterError(f"{name!r} cannot be set here; {listed(self._choices)} can.{hint}")
        self._values = {
            name: check_start(choice, start.get(name, _default(choice)))
            for name, choice in self._choices.items()
        }

    @property
    def table(self) -> pd.DataFrame:
        """What the choices make."""
        return self._view.make(**self._chosen())

    @property
    def call(self) -> str:
        """The code that makes the same table and its picture."""
        return self._view.call(self._chosen())

    def _chosen(self) -> dict[str, Any]:
        """Return the options of the view that are not at their default, or have none."""
        return {
            name: self._values[name]
            for name in inspect.signature(self._view.options).parameters
            if name in self._choices and self._values[name] != self._choices[name].default
        }

    def __repr__(self) -> str:
        return self.call

    def _ipython_display_(self) -> None:
        """Show the controls to whoever can use them; a published page has no trace of them."""
        if is_watched():
            from IPython.display import display

            display(self._widget())

    def _widget(self) -> widgets.Widget:
        import ipywidgets as widgets

        from cxlib.explore.controls import control

        self._controls = {
            name: control(choice, self._values[name], self._set)
            for name, choice in self._choices.items()
        }
        self._picker = widgets.ToggleButtons(options=list(self._views), value=self._view.name)
        self._picker.observe(lambda change: self._turn_to(change["new"]), "value")
        self._picker.style.button_width = "auto"
        self._picture, self._code = widgets.HTML(), widgets.HTML()
        main = [self._controls[name] for name in self._main if name in self._controls]
        rest = [self._controls[name] for name in self._controls if name not in self._main]
        more = [widgets.Accordion([widgets.VBox(rest)], titles=["More options"])] if rest else []
        pictures = [self._picker] if len(self._views) > 1 else []
        left = widgets.VBox([*main, *more], layout={"flex": "0 0 23em"})
        right = widgets.VBox([*pictures, self._picture, self._code], layout={"flex": "1 1 0"})
        self._turn_to(self._view.name)
        return widgets.HBox([left, right])

    def _set(self, name: str, value: Any) -> None:
        """Take a new value from a control."""
        choice = self._choices[name]
        if (
            value is None
            and not choice.is_optional
            and choice.default is not inspect.Parameter.empty
        ):
            value = choice.default
        self._values[name] = value
        if name == "by" and value is not None and not self._view.groups:
            self._picker.value = next(view.name for view in self._views.values() if view.groups)
        else:
            self._refresh()

    def _turn_to(self, name: str) -> None:
        """Show another picture, with the controls that it has."""
        self._view = self._views[name]
        used = inspect.signature(self._view.options).parameters
        for option, widget in self._controls.items():
            widget.layout.display = None if option in used else "none"
        if not self._view.groups and self._values.get("by") is not None:
            self._controls["by"].value = None  # which refreshes
        else:
            self._refresh()

    def _refresh(self) -> None:
        """Compute and draw again; what is wrong is said in place of the picture."""
        try:
            draw = getattr(plot, self._view.drawn)
            self._picture.value = _figure(draw(self.table, **self._view.draw_options))
            self._code.value = _code(self.call)
        except CxError as error:
            self._picture.value, self._code.value = _mistake(str(error)), ""
        except Exception as error:  # a fault of ours: the panel still takes the next choice
            said = f"{type(error).__name__}: {error}; the call was {self.call}"
            self._picture.value, self._code.value = _mistake(said), ""


def _default(choice: Choice) -> Any:
    return None if choice.default is inspect.Parameter.empty else choice.default


def _figure(ax: Any) -> str:
    png, alt, reading = picture(ax)
    packed = base64.b64encode(png).decode()
    return (
        f'<figure class="cx-picture" style="margin:0"><img src="data:image/png;base64,{packed}" '
        f'alt="{escape(alt)}" style="max-width:100%"><figcaption style="line-height:1.4">'
        f"{escape(reading)}</figcaption></figure>"
    )


def _code(call: str) -> str:
    return (
        '<div style="margin-top:.6em">The same in a cell:</div><pre class="cx-call" style="'
        "user-select:all;padding:.6em;line-height:1.4;white-space:pre-wrap;"
        f'background:var(--jp-layout-color2,#eee)">{escape(call)}</pre>'
    )


def _mistake(message: str) -> str:
    return (
        '<p class="cx-mistake" role="alert" style="line-height:1.4;padding:.6em 1em;border-left:4px '
        f'solid var(--jp-error-color1,#c62828)">{escape(message)}</p>'
    )


def name_of(data: object, otherwise: str) -> str:
    """Return the name that the user gave to an object, for the call to be copied."""
    space = vars(sys.modules["__main__"]).items()
    names = (name for name, value in space if value is data and not name.startswith("_"))
    return next(names, otherwise)
