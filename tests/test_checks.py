"""The checks that stand at the doors: what passes comes back, what does not says what to do."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pandas as pd
import pytest

from cxlib import _checks as checks
from cxlib._checks import ColumnError, CxError, ParameterError


def test_every_error_is_one_kind_that_a_caller_can_catch() -> None:
    for name in ("ColumnError", "DataError", "ParameterError", "FitError", "PlanError"):
        assert issubclass(getattr(checks, name), CxError)
    assert issubclass(CxError, ValueError)


@pytest.mark.parametrize(
    ("name", "choices", "hint"),
    [
        ("shopfy", ["shopify", "magento"], " Did you mean 'shopify'?"),
        ("EMAIL", ["Email", "Name"], " Did you mean 'Email'?"),
        ("zzz", ["Email", "Name"], ""),
        ("x", [], ""),
    ],
)
def test_suggest(name: str, choices: list[str], hint: str) -> None:
    assert checks.suggest(name, choices) == hint


def test_listed_is_cut_and_says_how_much() -> None:
    assert checks.listed([]) == "none"
    assert checks.listed(["a", 2]) == "a, 2"
    assert checks.listed(range(15), most=3) == "0, 1, 2, … (12 more)"


def test_check_columns_names_what_is_missing_with_the_nearest_and_the_remedy() -> None:
    checks.check_columns("orders", ["order_id", "x"], ["order_id"])
    with pytest.raises(ColumnError) as one:
        checks.check_columns("orders", ["Order ID", "x"], ["order_id"])
    assert str(one.value) == (
        "orders: no column 'order_id'; it has Order ID, x. Did you mean 'Order ID' for 'order_id'? "
        "Rename with columns={'order_id': 'your name'} in cx.read."
    )
    with pytest.raises(ColumnError, match=r"it has x\. Give another by= or by=None\.$"):
        checks.check_columns("orders", ["x"], ["channel"], optional="by")
    for option in ("by", ""):
        with pytest.raises(
            ColumnError, match=r"it has device\. Did you mean 'device' for 'devise'\?$"
        ):
            checks.check_columns("orders", ["device"], ["devise"], optional=option)
    with pytest.raises(ColumnError, match="no columns 'a_b', 'c_d'; it has x"):
        checks.check_columns("orders", ["x"], ["a_b", "c_d"])


def test_check_choice() -> None:
    assert checks.check_choice("period", "week", ["week", "month"]) == "week"
    assert checks.check_choice("steps", 2, [1, 2]) == 2
    with pytest.raises(
        ParameterError,
        match=r"period='weak' is not one of week, month\. Did you mean 'week'\?",
    ):
        checks.check_choice("period", "weak", ["week", "month"])


@pytest.mark.parametrize("value", [0, 0.5, 1, np.float64(0.5), np.int64(1), np.float32(0.5)])
def test_check_number_returns_any_number_in_range(value: float) -> None:
    assert checks.check_number("x", value, 0, 1) is value


@pytest.mark.parametrize("value", ["0.5", None, True, np.True_, math.nan, math.inf, [1], 1j])
def test_check_number_refuses_what_is_no_finite_number(value: object) -> None:
    with pytest.raises(ParameterError, match="is not a number; give one from 0 to 1"):
        checks.check_number("x", value, 0, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "low", "high", "open_low", "said"),
    [
        (2, 0, 1, False, "x=2 is out of range; give one from 0 to 1"),
        (-1, 0, math.inf, False, "give one from 0$"),
        (0, 0, math.inf, True, "give one above 0$"),
        (0, 0, 1, True, "give one above 0 to 1"),
        (5, -math.inf, 3, False, "give one up to 3"),
    ],
)
def test_check_number_says_the_range(
    value: float, low: float, high: float, open_low: bool, said: str
) -> None:
    with pytest.raises(ParameterError, match=said):
        checks.check_number("x", value, low, high, open_low=open_low)


def test_check_number_without_a_range_takes_any() -> None:
    assert checks.check_number("x", -1e9) == -1e9
    with pytest.raises(ParameterError, match="give one of any size"):
        checks.check_number("x", math.nan)


@pytest.mark.parametrize(
    "value",
    [
        "2024-12-31",
        dt.date(2024, 12, 31),
        dt.datetime(2024, 12, 31, 23, 59),
        pd.Timestamp("2024-12-31 10:00"),
        np.datetime64("2024-12-31"),
    ],
)
def test_check_date(value: object) -> None:
    day = checks.check_date("as_of", value)  # type: ignore[arg-type]
    assert day == dt.date(2024, 12, 31)
    assert type(day) is dt.date


@pytest.mark.parametrize(
    "value", ["31/12/2024", "20241231", 20241231, "2024-W01-1", "2024-02-30", "", None, pd.NaT]
)
def test_check_date_refuses_what_could_be_read_in_two_ways(value: object) -> None:
    with pytest.raises(ParameterError, match="is not a date; write YYYY-MM-DD"):
        checks.check_date("as_of", value)  # type: ignore[arg-type]


def test_check_date_refuses_the_last_day_of_all() -> None:
    with pytest.raises(ParameterError, match="as_of='9999-12-31' has no day after it"):
        checks.check_date("as_of", "9999-12-31")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7 days", 604800),
        ("1 day", 86400),
        (" 30 minutes ", 1800),
        ("1.5 hours", 5400),
        ("2 weeks", 1209600),
        ("90 seconds", 90),
        (dt.timedelta(hours=1), 3600),
        (pd.Timedelta("1 min"), 60),
    ],
)
def test_check_duration(value: str, seconds: int) -> None:
    assert checks.check_duration("window", value).total_seconds() == seconds


@pytest.mark.parametrize("value", ["7", "days", "7 fortnights", "- days", "", None, 7])
def test_check_duration_refuses_what_is_none(value: object) -> None:
    with pytest.raises(ParameterError, match="is not a duration; write a number and a unit"):
        checks.check_duration("window", value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["1 month", "2 quarters", "1.5 years"])
def test_check_duration_says_how_to_write_what_differs_in_length(value: str) -> None:
    with pytest.raises(ParameterError, match=r"differ in length; write it in days, such as '\d+ d"):
        checks.check_duration("window", value)


def test_check_duration_refuses_nothing_and_eternity() -> None:
    for value in ("0 days", "-1 days", dt.timedelta(0), dt.timedelta(seconds=-1)):
        with pytest.raises(ParameterError, match="must be longer than zero"):
            checks.check_duration("window", value)
    with pytest.raises(ParameterError, match="is too long"):
        checks.check_duration("window", "99999999999 weeks")


def test_check_timezone() -> None:
    assert checks.check_timezone("timezone", "Asia/Jerusalem") == "Asia/Jerusalem"


@pytest.mark.parametrize("value", ["Europe/Lodnon", "GMT+25", "", "../x", "Europe", None, 3])
def test_check_timezone_refuses_unknown_names(value: object) -> None:
    with pytest.raises(ParameterError, match="is not a time zone; write an IANA name"):
        checks.check_timezone("timezone", value)  # type: ignore[arg-type]


def test_check_timezone_names_the_nearest() -> None:
    with pytest.raises(ParameterError, match="Did you mean 'Europe/London'"):
        checks.check_timezone("timezone", "Europe/Lodnon")
