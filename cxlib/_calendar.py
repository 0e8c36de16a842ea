"""Periods of the shop's own calendar, numbered in the engine and dated in numpy; lengths of time."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal, get_args

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt

Unit = Literal["month", "week", "day", "quarter", "year"]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
UNITS, WEEKDAYS = get_args(Unit), get_args(Weekday)
EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True)
class Calendar:
    """Days, weeks, months, quarters or years of the shop's own clock, numbered without a gap."""

    unit: str
    week_start: str = "monday"

    @property
    def _shift(self) -> int:
        """Days from the start of the week in which 1970 began to its first day, a Thursday."""
        return (3 - WEEKDAYS.index(self.week_start)) % 7

    def number(self, stamp: ir.TimestampValue) -> ir.IntegerValue:
        """Return the running number of each stamp's period, in the engine."""
        if self.unit in ("day", "week"):
            days = days_since_epoch(stamp)
            return days if self.unit == "day" else (days + self._shift) // 7
        year = stamp.year().cast("int64")
        if self.unit == "year":
            return year
        part, parts = {"month": (stamp.month(), 12), "quarter": (stamp.quarter(), 4)}[self.unit]
        return year * parts + part - 1

    def number_of(self, day: dt.date) -> int:
        """Return the running number of one day's period."""
        if self.unit in ("day", "week"):
            days = (day - EPOCH).days
            return days if self.unit == "day" else (days + self._shift) // 7
        parts = {"year": 1, "quarter": 4, "month": 12}[self.unit]
        return day.year * parts + (day.month - 1) * parts // 12

    def start(self, number: npt.ArrayLike) -> npt.NDArray[np.datetime64]:
        """Return the first day of each numbered period."""
        number = np.asarray(number, "int64")
        if self.unit in ("day", "week"):
            days = number if self.unit == "day" else number * 7 - self._shift
            return days.astype("datetime64[D]")
        months = {"year": 12, "quarter": 3, "month": 1}[self.unit]
        return (number * months - 1970 * 12).astype("datetime64[M]").astype("datetime64[D]")


def days_since_epoch(stamp: ir.TimestampValue) -> ir.IntegerValue:
    """Return whole days from 1970-01-01, in the engine."""
    return stamp.date().delta(ibis.date(str(EPOCH)), unit="day").cast("int64")


def interval(length: dt.timedelta) -> ir.Value:
    """Return a length as the engine's literal, in whole microseconds."""
    return ibis.interval(microseconds=microseconds_of(length))


def microseconds_of(length: dt.timedelta) -> int:
    """Return a length in whole microseconds."""
    return length // dt.timedelta(microseconds=1)
