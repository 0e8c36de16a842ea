"""What can be chosen: read from a function's signature, and from the data at hand."""

from __future__ import annotations

import datetime as dt
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib._checks import ParameterError, listed, suggest
from cxlib.tables import Contract

MOST_GROUPS = 30
"""Columns of more different values make no segments that a picture could show."""


@dataclass(frozen=True)
class Choice:
    """One option of a function.

    Attributes
    ----------
    name : str
        Of the option.
    kind : str
        ``"one"`` of ``values``, ``"some"`` of them in order, ``"text"`` (one of ``values``, or
        another), ``"date"``, ``"number"``, ``"numbers"`` or ``"switch"``.
    default : Any
        What the function takes if it is left out; `inspect.Parameter.empty` where it may not be.
    values : tuple
        What there is to choose from.
    is_optional : bool
        Whether it may be None.
    """

    name: str
    kind: str
    default: Any
    values: tuple[Any, ...] = ()
    is_optional: bool = False


def choices_of(
    function: Callable[..., Any], known: Mapping[str, Sequence[Any]]
) -> dict[str, Choice]:
    """Return the options of a function that a control can set; its data are none of them.

    ``known`` are the values that only the data know, by option: columns, events, metrics.
    """
    hints = get_type_hints(function)
    options = [
        _choice(option, hints[name], known.get(name))
        for name, option in inspect.signature(function).parameters.items()
        if option.kind is option.KEYWORD_ONLY or option.default is not option.empty
    ]
    return {option.name: option for option in options if option is not None}


def _choice(option: inspect.Parameter, hint: Any, known: Sequence[Any] | None) -> Choice | None:
    """Return the choice that an annotation leaves, or None where no control fits it."""
    parts = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    literal = tuple(
        value for part in parts if get_origin(part) is Literal for value in get_args(part)
    )
    others = [part for part in parts if get_origin(part) is not Literal and part is not type(None)]
    lists = any(get_origin(part) is Sequence for part in others)
    if known is not None:
        kind, literal = "some" if lists else "one", tuple(known)
    elif lists:
        kind = "numbers" if get_args(others[0])[0] is int else ""
    elif literal:
        kind = "text" if others else "one"
    elif dt.date in others:
        kind = "date"
    else:
        names = {bool: "switch", int: "number", float: "number", str: "text"}
        kind = next((names[part] for part in others if part in names), "")
    is_optional = type(None) in parts
    return Choice(option.name, kind, option.default, literal, is_optional) if kind else None


def segments_in(table: ir.Table, contract: Contract) -> list[str]:
    """Return the columns whose few values can serve as segments."""
    schema = table.schema()
    names = [
        name
        for name in table.columns
        if (schema[name].is_string() or schema[name].is_boolean())
        and name not in contract.required
        and not name.endswith("_id")
    ]
    if not names:
        return []
    found = table.aggregate(**{name: table[name].nunique() for name in names}).execute().iloc[0]
    return [name for name in names if 2 <= found[name] <= MOST_GROUPS]


def last_day(table: ir.Table, contract: Contract) -> dt.date:
    """Return the day of the last row."""
    return pd.Timestamp(table[contract.when].max().execute()).date()


def events_in(table: ir.Table) -> list[str]:
    """Return the names of the events, those of most users first."""
    users = table.group_by("event").aggregate(n=table["user_id"].nunique())
    return list(users.order_by(ibis.desc("n"), "event").limit(200).execute()["event"])


def check_start(choice: Choice, value: Any) -> Any:
    """Return a value that the control can be set to, or raise `ParameterError`."""
    missing = value is None and not choice.is_optional
    if choice.kind == "one" and (missing or value not in (None, *choice.values)):
        raise ParameterError(
            f"{choice.name}={value!r}: there is {listed(map(repr, choice.values))} to choose from."
            f"{suggest(str(value), map(str, choice.values))}"
        )
    return value
