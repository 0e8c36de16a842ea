"""What every simulation shares: its seed, its period, its ids and its stamps."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cxlib._checks import ParameterError, check_date, check_number

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DAY_SECONDS = 86_400


def check_count(name: str, value: int, low: int = 1) -> int:
    """Return ``value`` if it is a whole number of at least ``low``."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
        raise ParameterError(f"{name}={value!r} is not a whole number from {low}")
    return int(value)


def check_positive(**values: float) -> None:
    """Raise `ParameterError` unless every value is a number above zero."""
    for name, value in values.items():
        check_number(name, value, 0, open_low=True)


def generator(seed: int) -> np.random.Generator:
    """Return the generator of that seed: the same numbers on every machine."""
    return np.random.default_rng(check_count("seed", seed, 0))


@dataclass(frozen=True)
class Period:
    """The observed days, from ``start`` to ``as_of``, both included."""

    start: dt.date
    as_of: dt.date

    @classmethod
    def check(cls, start: str | dt.date, as_of: str | dt.date) -> Period:
        """Return the period, if it is one."""
        period = cls(check_date("start", start), check_date("as_of", as_of))
        if period.as_of < period.start:
            raise ParameterError(f"as_of={period.as_of} lies before start={period.start}")
        return period

    @property
    def days(self) -> int:
        """Length in days."""
        return (self.as_of - self.start).days + 1

    @property
    def seconds(self) -> int:
        """Length in seconds."""
        return self.days * DAY_SECONDS

    def stamps(self, seconds: Floats | Ints) -> npt.NDArray[np.datetime64]:
        """Return time stamps, to the second, of seconds since the start."""
        whole = np.clip(np.floor(seconds), 0, self.seconds - 1).astype(np.int64)
        return np.datetime64(self.start, "us") + whole * np.timedelta64(1_000_000, "us")


def labels(prefix: str, n: int) -> pd.Series:
    """Return ``n`` ids of equal length, such as c001, c002, …"""
    numbers = pd.Series(np.arange(1, n + 1)).astype("str")
    return prefix + numbers.str.zfill(len(str(n)))


def pick(rng: np.random.Generator, shares: Sequence[float], size: int) -> Ints:
    """Return ``size`` indexes into ``shares``, each as often as its share says."""
    edges = np.cumsum(shares) / np.sum(shares)
    return np.searchsorted(edges[:-1], rng.random(size), side="right").astype(np.int64)
