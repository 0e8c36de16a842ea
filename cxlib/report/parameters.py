"""What a notebook's parameter cell declares, and text from a plan turned into those types."""

from __future__ import annotations

import ast
import datetime as dt
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, Union, get_args, get_origin

import annotated_types
import nbformat
import yaml
from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from cxlib._checks import (
    CxError,
    ParameterError,
    PlanError,
    check_choice,
    check_date,
    check_duration,
    check_timezone,
    fault_in_words,
    suggest,
)
from cxlib.report.secrets import refuse
from cxlib.sources import load_preset

Text = str | list[str]
"""A value as a plan or the command line gives it, before it has a type."""


def _plain(value: Any) -> Any:
    """Refuse ``1_000``: YAML says a number, people may mean a code."""
    if isinstance(value, str) and "_" in value:
        raise ValueError("must be written in digits, without _")
    return value


Whole = Annotated[int, Field(ge=-(2**63), le=2**63 - 1), BeforeValidator(_plain)]
"""An integer that engines hold."""
Real = Annotated[float, BeforeValidator(_plain)]
TYPES = {"str": str, "int": Whole, "float": Real, "bool": bool, "list": list, "None": None}
RANGES = ("Ge", "Gt", "Le", "Lt", "Interval", "MultipleOf", "Len", "MinLen", "MaxLen")
ANNOTATIONS: dict[str, Any] = {
    **TYPES,
    **{name: getattr(annotated_types, name) for name in RANGES},
    "Annotated": Annotated,
    "Field": Field,
    "Literal": Literal,
    "Optional": Optional,
    "Union": Union,
}
FIRST_YEAR, LAST_YEAR = 1970, 2100
"""A date outside stands for none, as in cleaning."""
NOTHING = ("", "null", "~", "None")


@dataclass(frozen=True)
class Parameter:
    """One line of a parameter cell: ``horizon_days: int = 365``."""

    name: str
    annotation: str
    type: Any
    default: Any = None
    required: bool = False

    def convert(self, value: Text) -> Any:
        """Return text from a plan or the command line in the type that the cell declares."""
        result = self._typed(self._from_text(value), value)
        self._keep_promise(result)
        return result

    def _typed(self, value: Any, written: Any) -> Any:
        refuse(self.name, value)
        known = TypeAdapter(self.type, config=ConfigDict(allow_inf_nan=False))
        try:
            return known.validate_python(value)
        except ValidationError as error:
            reason = fault_in_words({**error.errors()[0], "loc": ()})
            raise ParameterError(
                f"{self.name}={written!r} is no {self.annotation}: it {reason}"
            ) from None

    def checked_default(self) -> Any:
        """Return the notebook's own value, for a plan that gives none."""
        if self.required:
            raise PlanError(f"parameter {self.name!r} has no default; give it a value")
        if self.annotation.startswith(("Literal", "Annotated")):
            self._typed(self.default, self.default)
        self._keep_promise(self.default)
        return self.default

    def _keep_promise(self, value: Any) -> None:
        """Refuse what is no date, duration or period where that is what is asked for."""
        if not isinstance(value, str):
            return
        if self.name in PROMISES:
            PROMISES[self.name](value)
        for check in CHECKS if isinstance(self.default, str) else ():
            if _passes(check, self.name, self.default):
                check(self.name, value)

    def _from_text(self, value: Text) -> Any:
        options = _options(self.type)
        if isinstance(value, str):
            if type(None) in options and value in NOTHING:
                return None
            if any(get_origin(option) is list for option in options) and (
                str not in options or _is_split(value)
            ):
                return split(self.name, value)
        for option in options:
            if get_origin(option) is Literal:
                choices = {str(choice): choice for choice in get_args(option)}
                return choices[check_choice(self.name, str(value), choices)]
        return value


def check_day(name: str, value: Any) -> dt.date:
    """Return a date within the years that cleaning takes for dates."""
    day = check_date(name, value)
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ParameterError(
            f"{name}={value!r} is out of range; give a date from {FIRST_YEAR} to {LAST_YEAR}"
        )
    return day


def check_observed(name: str, value: Any) -> dt.date:
    """Return a day that can have been observed: at most tomorrow, which somewhere is today."""
    day, today = check_day(name, value), dt.date.today()
    if day > today + dt.timedelta(days=1):
        raise ParameterError(
            f"{name}={value!r} has not been observed yet, today is {today}; give the last day "
            "that the data hold whole"
        )
    return day


def _check_period(name: str, value: str) -> None:
    """Refuse what is no calendar period or length of time, for a parameter called ``period``."""
    from cxlib.retention.periods import check_periods

    if name != "period":
        raise ParameterError(f"{name} is not called period")
    check_periods(value, "monday", None)


def _passes(check: Callable[[str, str], Any], name: str, value: str) -> bool:
    try:
        check(name, value)
    except CxError:
        return False
    return True


# what a default says that a value must be: a text like it
CHECKS: tuple[Callable[[str, str], Any], ...] = (_check_period, check_day, check_duration)

# what a name promises beyond its type
PROMISES: dict[str, Callable[[Any], Any]] = {
    "as_of": lambda value: check_observed("as_of", value),
    "timezone": lambda value: check_timezone("timezone", value),
    "preset": lambda value: load_preset(value),
}


def _is_split(text: str) -> bool:
    return text.startswith("[") or "," in text


def split(name: str, text: str) -> list[str]:
    """Return ``a, b`` or ``[a, b]`` as a list of texts; a single word is none."""
    try:
        if text.startswith("["):
            return list(yaml.load(text, yaml.BaseLoader))
    except yaml.YAMLError:
        raise ParameterError(f"{name}={text!r} is no list; write [a, b]") from None
    if not _is_split(text):
        raise ParameterError(f"{name}={text!r} is no list; write [{text}]")
    return [item.strip() for item in text.split(",")]


@dataclass(frozen=True, eq=False)
class Declared:
    """A notebook as a plan sees it: its parameters and its code."""

    path: Path
    parameters: dict[str, Parameter]
    code: ast.Module

    def __getitem__(self, name: str) -> Parameter:
        """Return the parameter of that name, or raise `PlanError` with the nearest one."""
        if name in self.parameters:
            return self.parameters[name]
        known = ", ".join(self.parameters) or "none (no cell is tagged 'parameters')"
        raise PlanError(
            f"unknown parameter {name!r}; {self.path.name} declares {known}."
            f"{suggest(name, self.parameters)}"
        )


def declared(path: Path) -> Declared:
    """Read the parameters that a notebook declares in its cell tagged ``parameters``."""
    try:
        notebook = nbformat.read(path, as_version=4)
    except Exception as error:
        raise PlanError(f"{path.name} cannot be read as a notebook: {_first_line(error)}") from None
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    tagged = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    try:
        lines = ast.parse(tagged[0].source).body if tagged else []
    except SyntaxError as error:
        raise PlanError(f"{path.name}: its parameter cell is no Python: {error.msg}") from None
    found = [parameter for line in lines if (parameter := _parameter(path, line))]
    code = ast.Module([line for cell in cells for line in _statements(cell.source)], [])
    return Declared(path, {parameter.name: parameter for parameter in found}, code)


def _parameter(path: Path, node: ast.stmt) -> Parameter | None:
    """Return the parameter that a line of the cell declares; imports declare none."""
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        name, annotation = node.target.id, ast.unparse(node.annotation).strip("'\"")
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        name, annotation = node.targets[0].id, ""
    else:
        return None
    try:
        default = ast.literal_eval(node.value) if node.value else None
    except ValueError:
        raise PlanError(
            f"{path.name}: parameter {name!r} starts as {ast.unparse(node.value or node)}; write a literal"
        ) from None
    refuse(name, default)
    if not annotation:
        annotation = "str | None" if default is None else type(default).__name__
    try:
        kind = eval(annotation, {"__builtins__": {}}, ANNOTATIONS)
        known = all(
            get_origin(option) in (list, Literal) or option in _SCALARS for option in _options(kind)
        )
    except Exception:
        known = False
    if not known:
        raise PlanError(
            f"{path.name}: parameter {name!r} is a {annotation}, which no plan can give; use str "
            "(dates too), int, float, bool, list[str], Literal[...], Annotated[int, Ge(1)], or one of them | None"
        )
    kind = list[str] if kind is list else kind
    return Parameter(name, annotation, kind, default, required=node.value is None)


_SCALARS = (str, int, float, bool, list, type(None), None)


def _options(kind: Any) -> tuple[Any, ...]:
    """Return the types that a value may have, without the ranges that bound them."""
    options = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    return tuple(get_args(one)[0] if get_origin(one) is Annotated else one for one in options)


def _statements(source: str) -> list[ast.stmt]:
    """Return a cell's statements; a cell in IPython's own words (``%%time``, ``!ls``) has none."""
    try:
        return ast.parse(source).body
    except SyntaxError:
        return []


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
