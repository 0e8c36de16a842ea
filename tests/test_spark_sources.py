"""Spark by its address: what cleaning makes of exports there, and what is said when it fails."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import engines
import pandas as pd
import pyspark
import pytest
from analyses import SAMPLE
from test_postgres import CLEANING, MESS

import cxlib as cx
from cxlib._checks import UnreachableError

HOME = Path(pyspark.__file__).parent
LOCAL = "spark://local[2]::"
FILES = {name: f"{name}.csv" for name in ("orders", "exposures", "responses", "mess")} | {
    "events": "events.parquet"
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, spark: Any) -> Path:
    """Return a folder with the mess; the session that all addresses of Spark share is up."""
    made = tmp_path_factory.mktemp("exports")
    pd.DataFrame(MESS).to_csv(made / "mess.csv", index=False)
    for name in set(FILES.values()) - {"mess.csv"}:
        (made / name).symlink_to(SAMPLE / name)
    return made


@pytest.mark.parametrize("case", CLEANING)
def test_cleaning_is_that_of_duckdb(case: str, folder: Path) -> None:
    contract, options = CLEANING[case]
    name, clean = case.split()[0], getattr(cx, f"clean_{contract}")
    path = folder / FILES[name]
    one, other = (clean(cx.read(f"{where}{path}"), **options) for where in ("", LOCAL))
    assert one.raw_rows == other.raw_rows
    for account in ("losses", "notes"):
        pd.testing.assert_frame_equal(
            getattr(one, account), getattr(other, account), check_dtype=False, rtol=1e-9
        )
    by = one.contract.key or list(one.table.columns)
    frames = (cleaned.table.order_by(by).execute() for cleaned in (one, other))
    pd.testing.assert_frame_equal(*frames, check_dtype=False, rtol=1e-9)


def test_a_format_of_dates_is_read_as_duckdb_reads_it(tmp_path: Path, spark: Any) -> None:
    path = tmp_path / "dates.csv"
    days = ["31.12.2024 23:30", "01.02.2024 00:00", "29.02.2024 12:05"]
    pd.DataFrame({"user_id": list("abc"), "event": "view", "occurred_at": days}).to_csv(
        path, index=False
    )
    asked = {"timezone": "Asia/Tehran", "naive": "utc", "date_format": "%d.%m.%Y %H:%M"}
    one, other = (
        cx.clean_events(cx.read(f"{where}{path}"), **asked).table.order_by("user_id").execute()
        for where in ("", LOCAL)
    )
    assert str(one["occurred_at"][0]) == "2025-01-01 03:00:00"
    pd.testing.assert_frame_equal(one, other, check_dtype=False)


def test_a_table_by_name_and_many_files_as_one(folder: Path, spark: Any) -> None:
    spark._session.sql("select 'ann' as user_id, 'view' as event").createOrReplaceTempView("clicks")
    assert cx.read(f"{LOCAL}clicks").table.count().execute() == 1
    whole = cx.read(str(SAMPLE / "events.parquet")).table.count().execute()
    assert cx.read(f"{LOCAL}{folder}/*.parquet").table.count().execute() == whole


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("click", "no table 'click' in schema 'default'; it has .*Did you mean 'clicks'"),
        ("shop.clicks", "no schema 'shop'; there are default"),
        ("x`; drop table clicks", "no table 'x`; drop table clicks'"),
        ("nowhere/*.parquet", "there is no file .*nowhere/.* where Spark looks"),
        (f"{SAMPLE}/README.md/", "it is no Parquet file"),
        ("", "names no table"),
    ],
)
def test_what_is_not_there_is_said(named: str, message: str, spark: Any) -> None:
    spark._session.sql("select 1 as x").createOrReplaceTempView("clicks")
    with pytest.raises(cx.CxError, match=message):
        cx.read(f"{LOCAL}{named}")


def test_a_file_that_goes_away_in_the_middle_is_said(tmp_path: Path, spark: Any) -> None:
    path = tmp_path / "events.parquet"
    rows = {"user_id": ["a"], "event": ["view"], "occurred_at": pd.to_datetime(["2024-05-01"])}
    pd.DataFrame(rows).to_parquet(path)
    raw = cx.read(f"{LOCAL}{path}")
    path.unlink()
    with pytest.raises(cx.DataError, match=r"source 'spark://local\[2\]::.*events.parquet': "):
        cx.clean_events(raw, timezone="UTC")


def test_without_pyspark_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(cx.ParameterError, match=r"pip install '\.\[spark\]'"):
        cx.read(f"{LOCAL}orders")


def test_a_server_that_does_not_answer_is_said_at_once() -> None:
    with pytest.raises(UnreachableError, match=r"no Spark session: .*[Rr]efused"):
        cx.read("spark+connect://127.0.0.1:1::orders")


def test_without_java_it_is_said(tmp_path: Path) -> None:
    code = f"import cxlib as cx\ntry:\n    cx.read({LOCAL + 'orders'!r})\nexcept cx.CxError as e:\n    print(e)"
    bare = {name: value for name, value in os.environ.items() if name != "JAVA_HOME"}
    (tmp_path / "bash").symlink_to("/bin/bash")
    (tmp_path / "dirname").symlink_to("/usr/bin/dirname")
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=bare | {"PATH": str(tmp_path)}, capture_output=True, text=True, timeout=100, check=True,
    )  # fmt: skip
    assert "Spark needs Java" in ended.stdout, ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.fixture(scope="module")
def connect() -> Iterator[str]:
    """Start a Spark Connect server of its own and give its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": port,
        **{name: value for name, value in engines.SETTINGS.items() if "Java" not in name},
    }
    server = subprocess.Popen(
        [
            HOME / "bin" / "spark-submit", "--master", "local[2]",
            "--class", "org.apache.spark.sql.connect.service.SparkConnectServer",
            "--driver-java-options", engines.SETTINGS["spark.driver.extraJavaOptions"],
            *[word for one, value in settings.items() for word in ("--conf", f"{one}={value}")],
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until = time.monotonic() + 120
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert server.poll() is None
            assert time.monotonic() < until
            time.sleep(0.2)
        yield f"spark+connect://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


THERE = """
import sys, cxlib as cx
server, path, asked = sys.argv[1], sys.argv[2], dict(steps=["view", "cart"], window="1 day")
events = cx.clean_events(cx.read(f"{server}::{path}"), timezone="Asia/Tehran")
print(events.table.order_by("user_id", "event").execute().to_json(date_format="iso"))
print(cx.funnel(events, **asked, as_of="2024-05-03").to_json())
try:
    cx.read(f"{server}::clicks")
except cx.CxError as error:
    print(error)
"""


def test_spark_connect_gives_what_duckdb_gives(connect: str, tmp_path: Path) -> None:
    """In a process of its own: one that has a Spark session takes no remote one beside it."""
    path = tmp_path / "events.parquet"
    at = pd.to_datetime(["2024-05-01 21:00", "2024-05-01 22:00", "2024-05-02 10:00"], utc=True)
    rows = {"user_id": ["a", "a", "b"], "event": ["view", "cart", "view"], "occurred_at": at}
    pd.DataFrame(rows).to_parquet(path)
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", THERE, connect, path],
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    cleaned, funnel, said = ended.stdout.splitlines()
    here = cx.clean_events(cx.read(path), timezone="Asia/Tehran")
    assert cleaned == here.table.order_by("user_id", "event").execute().to_json(date_format="iso")
    table = cx.funnel(here, steps=["view", "cart"], window="1 day", as_of="2024-05-03")
    assert funnel == table.to_json()
    assert "no table 'clicks' in schema 'default'; it has none" in said
