"""Calendar periods and exact ones: numbered in the engine, dated in numpy."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt

from cxlib._calendar import EPOCH, UNITS, WEEKDAYS, Calendar, days_since_epoch
from cxlib._checks import ParameterError, check_choice, check_duration

DAY = 86_400_000
"""Milliseconds."""


def milliseconds(stamp: ir.TimestampValue) -> ir.IntegerValue:
    """Return milliseconds of the shop's own clock from 1970-01-01, in any engine.

    Built from the parts of the stamp: engines differ in how they subtract stamps, and some let
    their own time zone into it, and Spark through ibis tells no shorter parts.
    """
    seconds = (stamp.hour() * 60 + stamp.minute()) * 60 + stamp.second()
    return days_since_epoch(stamp) * DAY + seconds.cast("int64") * 1_000 + stamp.millisecond()


def midnight(day: dt.date) -> int:
    """Return the milliseconds from 1970-01-01 to the end of ``day``."""
    return ((day - EPOCH).days + 1) * DAY


@dataclass(frozen=True)
class Periods:
    """What a cohort is (a calendar period), and what an age is: the same, or an exact length."""

    calendar: Calendar
    length: dt.timedelta | None = None

    @property
    def milliseconds(self) -> int:
        """The exact length."""
        assert self.length is not None  # asked of exact periods only
        return self.length // dt.timedelta(milliseconds=1)

    def begun(self, cohort: npt.NDArray, last_day: dt.date) -> npt.NDArray[np.int64]:
        """Return how many ages of each cohort have begun by the end of ``last_day``."""
        if self.length is None:
            return self.calendar.number_of(last_day) - cohort + 1
        since = midnight(last_day) - _milliseconds(self.calendar.start(cohort))
        return -(-since // self.milliseconds)

    def is_over(self, cohort: npt.NDArray, age: npt.NDArray, last_day: dt.date) -> npt.NDArray:
        """Say whether an age is over, for whoever joined a cohort last."""
        if self.length is None:
            return cohort + age < self.calendar.number_of(last_day + dt.timedelta(days=1))
        joined = _milliseconds(self.calendar.start(cohort + 1))
        return joined + (age + 1) * self.milliseconds <= midnight(last_day)


def _milliseconds(days: npt.NDArray[np.datetime64]) -> npt.NDArray[np.int64]:
    return days.astype("int64") * DAY


def check_periods(period: str, week_start: str, cohort_by: str | None) -> Periods:
    """Return what ``period`` names: a calendar unit, or an exact length such as "30 days"."""
    check_choice("week_start", week_start, WEEKDAYS)
    if cohort_by is not None:
        check_choice("cohort_by", cohort_by, UNITS)
    if not any(sign.isdigit() for sign in str(period)) and not isinstance(period, dt.timedelta):
        check_choice("period", period, UNITS)
        if cohort_by not in (None, period):
            raise ParameterError(
                f"cohort_by={cohort_by!r} goes with an exact period such as '30 days'; the cohorts "
                f"of period={period!r} are those periods themselves"
            )
        return Periods(Calendar(period, week_start))
    length = check_duration("period", period)
    if length < dt.timedelta(hours=1):
        raise ParameterError(f"period={period!r} is shorter than an hour; give a longer one")
    return Periods(Calendar(cohort_by or _nearest_unit(length), week_start), length)


def _nearest_unit(length: dt.timedelta) -> str:
    """Return the calendar unit whose usual length is nearest, by ratio."""
    usual = {"day": 1.0, "week": 7.0, "month": 30.4, "quarter": 91.3, "year": 365.25}
    days = length / dt.timedelta(days=1)
    return min(usual, key=lambda unit: abs(math.log(days / usual[unit])))
