"""The errors, and the checks that stand at the doors.

Each check returns the value it was given, in the type that the caller needs, or
raises a `CxError` that says what, where, how many, and what to do.
"""

from __future__ import annotations

import datetime as dt
import difflib
import math
import numbers
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, available_timezones

T = TypeVar("T")


class CxError(ValueError):
    """Something the user gave cannot be used; the message says what to do."""


class ColumnError(CxError):
    """A column is missing or has the wrong type.

    ``fault`` is what is wrong, without the ``advice`` for a table that was read: one that an
    analysis made has no use for it.
    """

    def __init__(self, fault: str = "", advice: str = "") -> None:
        super().__init__(f"{fault}{advice}")
        self.fault = fault


class DataError(CxError):
    """The rows themselves cannot be used."""


class UnreachableError(DataError):
    """Where the rows are does not answer; it may, later."""


class ParameterError(CxError):
    """An argument is of the wrong type or out of range."""


class FitError(CxError):
    """A model could not be fitted to the data."""


class PlanError(CxError):
    """A plan of reports cannot be run."""


def suggest(name: str, choices: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` with the nearest choice, or nothing."""
    by_lower = {choice.lower(): choice for choice in map(str, choices)}
    near = difflib.get_close_matches(str(name).lower(), by_lower, n=1, cutoff=0.6)
    return f" Did you mean {by_lower[near[0]]!r}?" if near else ""


LONG = 120
"""Letters of a name that a list shows."""


def listed(names: Iterable[object], most: int = 12) -> str:
    """Return names as readable text, cut after ``most`` of them, and each where it is very long."""
    shown = [name if len(name) <= LONG else f"{name[:LONG]}…" for name in map(str, names)]
    more = f", … ({len(shown) - most} more)" if len(shown) > most else ""
    return (", ".join(shown[:most]) + more) or "none"


def lasting(seconds: float) -> str:
    """Return a time in the largest unit of which it has two, or one exactly."""
    units = (("days", 86_400), ("hours", 3600), ("minutes", 60), ("seconds", 1))
    exact = (unit for unit in units if seconds == unit[1])
    unit, size = next(exact, next((one for one in units if seconds >= 2 * one[1]), units[-1]))
    number = f"{seconds / size:,.3g}" if seconds < 1000 * size else f"{seconds / size:,.0f}"
    return f"{number} {unit.removesuffix('s') if number == '1' else unit}"


def check_columns(
    table: str, columns: Sequence[str], required: Iterable[str], *, optional: str | None = None
) -> None:
    """Raise `ColumnError` unless ``columns`` holds every required name.

    Without ``optional`` the names are ours, to which a column can be renamed. Otherwise the
    caller chose them: by that argument, which may be None, or, if it is empty, by one that must
    name a column.
    """
    missing = [name for name in required if name not in columns]
    if missing:
        nearest = {name: suggest(name, columns) for name in missing}
        hints = "".join(f"{hint[:-1]} for {name!r}?" for name, hint in nearest.items() if hint)
        what = "column" if len(missing) == 1 else "columns"
        raise ColumnError(
            f"{table}: no {what} {', '.join(map(repr, missing))}; it has {listed(columns)}.{hints}",
            _remedy(missing[0], hints, optional),
        )


def _remedy(missing: str, hints: str, optional: str | None) -> str:
    if optional is None:
        return f" Rename with columns={{'{missing}': 'your name'}} in cx.read."
    return f" Give another {optional}= or {optional}=None." if optional and not hints else ""


def check_choice(name: str, value: T, choices: Iterable[T]) -> T:
    """Return ``value`` if it is one of ``choices``."""
    choices = list(choices)
    if value not in choices:
        hint = suggest(str(value), map(str, choices))
        raise ParameterError(f"{name}={value!r} is not one of {listed(choices)}.{hint}")
    return value


def check_number(
    name: str,
    value: float,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    open_low: bool = False,
) -> float:
    """Return ``value`` if it is a finite number in [low, high], or (low, high] if ``open_low``."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        raise ParameterError(
            f"{name}={value!r} is not a number; give one {_range(low, high, open_low)}"
        )
    if value < low or value > high or (open_low and value == low):
        raise ParameterError(
            f"{name}={value!r} is out of range; give one {_range(low, high, open_low)}"
        )
    return value


def _range(low: float, high: float, open_low: bool) -> str:
    if math.isinf(low):
        return "of any size" if math.isinf(high) else f"up to {high:,g}"
    bottom = f"above {low:,g}" if open_low else f"from {low:,g}"
    return bottom if math.isinf(high) else f"{bottom} to {high:,g}"


def check_date(name: str, value: str | dt.date) -> dt.date:
    """Return ``value``, written YYYY-MM-DD or a date, as a date that another one follows."""
    day = _day_of(value)
    if day is None:
        raise ParameterError(f"{name}={value!r} is not a date; write YYYY-MM-DD")
    if day == dt.date.max:
        raise ParameterError(f"{name}={value!r} has no day after it, at which it would be over")
    return day


def _day_of(value: str | dt.date) -> dt.date | None:
    if isinstance(value, dt.datetime) and value == value:  # pandas' NaT is one, and is not itself
        return value.date()
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", str(value)):
            return dt.date.fromisoformat(str(value))
    except ValueError:
        pass
    return None


_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 7 * 86400}
_UNEVEN = {"month": 30, "quarter": 91, "year": 365}


def check_duration(name: str, value: str | dt.timedelta) -> dt.timedelta:
    """Return ``value``, such as "7 days" or "30 minutes", as a positive timedelta."""
    if isinstance(value, dt.timedelta):
        length = value
    else:
        match = re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)\s*([a-z]+?)s?\s*", str(value))
        if match and match[2] in _UNEVEN:
            raise ParameterError(
                f"{name}={value!r}: {match[2]}s differ in length; write it in days, such as "
                f"'{_UNEVEN[match[2]]} days'"
            )
        if not match or match[2] not in _UNITS:
            raise ParameterError(
                f"{name}={value!r} is not a duration; write a number and a unit "
                "(seconds, minutes, hours, days, weeks), such as '7 days'"
            )
        try:
            length = dt.timedelta(seconds=float(match[1]) * _UNITS[match[2]])
        except OverflowError:
            raise ParameterError(f"{name}={value!r} is too long") from None
    if length <= dt.timedelta(0):
        raise ParameterError(f"{name}={value!r} must be longer than zero")
    return length


_LIMITS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}
_FAULTS = {
    "missing": "is missing",
    "extra_forbidden": "is unknown",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "list_type": "must be a list",
    "dict_type": "must be a table of names and values",
    "model_type": "must be a table of names and values",
    "model_attributes_type": "must be a table of names and values",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
}


def fault_in_words(mistake: Mapping[str, Any], known: Sequence[str] = ()) -> str:
    """Return what pydantic found as ``place: what is wrong``, with the names that are ``known``."""
    inner = ("str", "list[str]", "function-before", "literal", "int", "float")
    parts = [
        str(part + 1) if isinstance(part, int) else part
        for part in mistake["loc"]
        if not str(part).startswith(inner)
    ]
    kind, message = mistake["type"], str(mistake["msg"]).removeprefix("Value error, ")
    place = ".".join(parts)
    if kind == "extra_forbidden":
        return f"{place}: unknown; known are {listed(known, 30)}.{suggest(parts[-1], known)}"
    if kind in _LIMITS:
        limit, words = _LIMITS[kind]
        fault = f"must be {words} {mistake['ctx'][limit]}"
    elif kind == "literal_error":
        fault = f"must be one of {mistake['ctx']['expected']}"
    else:
        fault = _FAULTS.get(kind, message[:1].lower() + message[1:])
    return f"{place}: {fault}" if place else fault


def check_timezone(name: str, value: str) -> str:
    """Return ``value`` if it names an IANA time zone."""
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError, TypeError):
        hint = suggest(str(value), available_timezones())
        raise ParameterError(
            f"{name}={value!r} is not a time zone; write an IANA name such as 'Europe/London' or "
            f"'UTC'.{hint}"
        ) from None
    return value
