"""The shop's clock against zoneinfo, which reads the zones by itself: gaps, folds, any zone."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import ibis
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cxlib as cx
from cxlib.clean.clock import Years, is_odd_hour, odd_hours, on_the_wall, spans, spark_format

ZONES = [
    "Europe/London", "America/New_York", "Asia/Jerusalem", "Australia/Lord_Howe",
    "Pacific/Apia", "Africa/Casablanca", "Asia/Kathmandu", "Asia/Tehran", "UTC",
]  # fmt: skip
YEARS = Years(2009, 2026)


def near_moves(zone: str) -> list[dt.datetime]:
    """Moments in UTC around each move of a zone's hands, and one in each month."""
    found = [dt.datetime(year, month, 15, 12) for year in range(2010, 2026) for month in (1, 7)]
    info = ZoneInfo(zone)
    for day in range(366 * 16):
        start = dt.datetime(2010, 1, 1) + dt.timedelta(days=day)
        hours = [start + dt.timedelta(minutes=30 * half) for half in range(49)]
        shown = [
            one.replace(tzinfo=dt.UTC).astimezone(info).utcoffset() for one in (hours[0], hours[-1])
        ]
        if shown[0] != shown[1]:
            found += hours
    return found


@pytest.mark.parametrize("zone", ZONES)
def test_clocks_show_what_zoneinfo_says(zone: str) -> None:
    moments = near_moves(zone)
    table = ibis.memtable(pl.DataFrame({"utc": moments}))
    found = (
        table.select(wall=on_the_wall(table["utc"], zone, YEARS)).to_pyarrow()["wall"].to_pylist()
    )
    info = ZoneInfo(zone)
    expected = [
        one.replace(tzinfo=dt.UTC).astimezone(info).replace(tzinfo=None, fold=0) for one in moments
    ]
    assert found == expected


def is_in_gap(wall: dt.datetime, zone: ZoneInfo) -> bool:
    """PEP 495: a wall time that does not come back from UTC as it was is in a gap."""
    there = wall.replace(tzinfo=zone).astimezone(dt.UTC).astimezone(zone)
    return there.replace(tzinfo=None, fold=0) != wall


def is_in_fold(wall: dt.datetime, zone: ZoneInfo) -> bool:
    """PEP 495: a wall time whose two readings differ, and that is shown, is in a fold."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    return first != second and not is_in_gap(wall, zone)


@pytest.mark.parametrize("zone", ZONES)
def test_gaps_and_folds_are_those_of_pep_495(zone: str) -> None:
    walls = [moment + dt.timedelta(minutes=17) for moment in near_moves(zone)]
    shifted = [wall + (ZoneInfo(zone).utcoffset(wall) or dt.timedelta()) for wall in walls]
    table = ibis.memtable(pl.DataFrame({"wall": shifted}))
    for gap, oracle in ((True, is_in_gap), (False, is_in_fold)):
        asked = table.select(odd=is_odd_hour(table["wall"], zone, YEARS, gap=gap))
        found = asked.to_pyarrow()["odd"].to_pylist()
        assert found == [oracle(wall, ZoneInfo(zone)) for wall in shifted]
        if zone in ("Europe/London", "America/New_York", "Pacific/Apia"):
            assert any(found)


@given(zone=st.sampled_from(ZONES), year=st.integers(1950, 2060))
@settings(max_examples=20)
def test_spans_follow_each_other_and_moves_are_gaps_or_folds(zone: str, year: int) -> None:
    known = spans(zone, Years(year, year + 1))
    assert known[0].start is None
    assert known[-1].end is None
    assert all(one.end == two.start for one, two in zip(known, known[1:], strict=False))
    assert all(start < end for _, start, end in odd_hours(zone, Years(year, year + 1)))


def test_stamps_in_gaps_and_folds_are_kept_counted_and_said() -> None:
    frame = pd.DataFrame(
        {
            "order_id": list("1234"),
            "customer_id": "ann",
            # London skipped 01:00 to 02:00 on 31 March 2024, and had it twice on 27 October
            "ordered_at": ["2024-03-31 01:30:00", "2024-10-27 01:30:00", "2024-10-27 01:59:59",
                           "2024-10-27 02:00:00"],
            "net_revenue": [1.0, 2.0, 4.0, 8.0],
        }
    )  # fmt: skip
    cleaned = cx.clean_orders(frame, timezone="Europe/London")
    notes = cleaned.notes.set_index("note")[["rows", "revenue"]]
    assert notes.loc["clock_gap"].tolist() == [1, 1.0]
    assert notes.loc["clock_fold"].tolist() == [2, 6.0]
    kept = cleaned.table.order_by("order_id").execute()["ordered_at"]
    assert kept.dt.strftime("%F %T").tolist() == frame["ordered_at"].tolist()
    assert "UTC" in cleaned.advice["clock_gap"]
    assert "clocks skip in spring" in cleaned._repr_html_()


def test_formats_of_strptime_in_sparks_letters() -> None:
    assert spark_format("%d/%m/%Y %H:%M:%S") == "d/M/yyyy H:m:s"
    assert spark_format("%-d.%m.%y at %I %p %z") == "d.M.yy 'a''t' h a xx"
    with pytest.raises(cx.ParameterError, match="Spark reads no %U"):
        spark_format("%U")
