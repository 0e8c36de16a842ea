"""Bad exports: each ends in one clear error, or is read rightly with its losses counted."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import corpus
import duckdb
import pandas as pd
import pytest
from click.testing import CliRunner

import cxlib as cx
from cxlib import cli
from cxlib.sources.naming import plain


def clean(source: str, case: corpus.Case) -> cx.Cleaned:
    raw = cx.read(source, **case.read)
    return cx.clean_orders(raw, timezone="UTC", max_loss=1.0, **case.clean)


def test_the_corpus_is_large_and_no_name_stands_twice() -> None:
    names = [case.name for case in corpus.CASES]
    assert len(names) == len(set(names)) >= 80


@pytest.mark.parametrize("case", corpus.CASES, ids=lambda case: case.name)
def test_one_clear_error_or_the_right_counts(case: corpus.Case, tmp_path: Path) -> None:
    source = corpus.address(case, tmp_path)
    if case.kept is not None:
        cleaned = clean(source, case)
        assert (cleaned.raw_rows, cleaned.kept_rows) == case.kept[:2]
        assert cleaned.kept_revenue == pytest.approx(case.kept[2])
        assert cleaned.kept_rows + cleaned.losses["rows"].sum() == cleaned.raw_rows
        if case.kept == corpus.WHOLE:
            assert set(cleaned.table.execute()["order_id"].str.lstrip("#")) == {"007", "008", "009"}
        return
    with pytest.raises(cx.CxError) as error:
        clean(source, case)
    message = str(error.value)
    assert any(part in message for part in (case.said or "").split("|")), message
    assert "\n" not in message
    assert len(message) < 1_200, "short, however wide the file"
    assert not any(word in message for word in ("ibis_", "cx_read", "Traceback", "duckdb."))
    # a fault of the rows names the table, one of the file the file
    stem = Path(case.name.partition("::")[0]).stem
    assert stem in message or message.startswith(("orders:", "encoding=")), message


# ---- what needs another process, another user, or a moment in between


@pytest.fixture
def other_user() -> Iterator[None]:
    """Give up the right to read everything, where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may look into; pytest's own are for one."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        cx.read(corpus.address(corpus.CASES[1], Path(name)), encoding="cp1251")  # imports are done
        yield Path(name)


@pytest.mark.parametrize("kind", ["x.csv", "x.csv.gz", "x.parquet", "x.jsonl", "x.db", "in/x.csv"])
def test_no_permission(open_folder: Path, kind: str, request: pytest.FixtureRequest) -> None:
    path = open_folder / kind
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"PAR1" if kind.endswith("parquet") else b"x")
    path.chmod(0)
    if kind.startswith("in/"):
        path.parent.chmod(0)
    request.getfixturevalue("other_user")
    source = f"duckdb://{path}::orders" if kind == "x.db" else str(path)
    with pytest.raises(cx.DataError, match="this user may not") as error:
        cx.read(source)
    assert kind in str(error.value)


HOLDS = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); c.sql('create table orders as select 1'); print('held', flush=True); sys.stdin.read()"


def test_a_duckdb_file_that_another_process_holds(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    command = [sys.executable, "-c", HOLDS, str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        try:
            with pytest.raises(cx.DataError) as error:
                cx.read(f"duckdb://{path}::orders")
        finally:
            holder.communicate("")
    assert str(error.value) == (
        f"source 'duckdb://{path}::orders': cannot be read: another process (number {holder.pid}) has "
        "it open for writing; close it there, or read a copy"
    )
    assert cx.read(f"duckdb://{path}::orders").table.count().execute() == 1, "free again"


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
@pytest.mark.parametrize("fate", ["gone", "cut"])
def test_a_file_that_goes_away_between_reading_and_cleaning(
    tmp_path: Path, kind: str, fate: str
) -> None:
    frame = pd.DataFrame(
        {
            "order_id": range(9000),
            "customer_id": "a",
            "ordered_at": "2024-05-01",
            "net_revenue": 1.5,
        }
    )
    path = tmp_path / f"x.{kind}"
    if kind == "parquet":
        frame.to_parquet(path)
    elif kind == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_json(path, orient="records", lines=True)
    raw = cx.read(path)
    whole = path.read_bytes()
    path.unlink()
    if fate == "cut":
        path.write_bytes(whole[: len(whole) // 2 - 2])
    with pytest.raises(cx.DataError, match=f"source 'x.{kind}': cannot be read: ") as error:
        cx.clean_orders(raw, timezone="UTC")
    assert "\n" not in str(error.value)


def test_what_is_found_late_is_one_error_in_every_first_look(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(corpus.GOOD + "1,x@y.z,2024-05-01,1,Rome\n" * 60_000 + "2\n")
    with pytest.raises(cx.DataError, match="line 60,005 holds 1 fields"):
        cx.completeness(cx.read(path))


def test_a_database_that_goes_away_is_still_held_open(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with duckdb.connect(str(path)) as engine:
        engine.execute(
            "create table orders as select * from (values ('1', 'a', date '2024-05-01', 5)) v (order_id, customer_id, ordered_at, net_revenue)"
        )
    raw = cx.read(f"duckdb://{path}::orders")
    path.unlink()
    assert cx.clean_orders(raw, timezone="UTC").kept_revenue == 5
    with pytest.raises(cx.DataError, match="no such file"):
        cx.read(f"duckdb://{path}::orders")


# ---- names and values are never SQL, addresses never show what is secret

NASTY = (
    "x'; drop table t; --",
    'x"; drop table t; --',
    "x\\'; --",
    "a]; --",
    "`x`",
    "${HOME",
    "%s{}",
    "💥\u202e",
)


@pytest.mark.parametrize("name", NASTY)
def test_names_and_values_are_not_sql(tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame(
        {name: ["1", "2"], "who": ["a", name], "at": ["2024-05-01", "2024-05-02"], "eur": [5, 7]}
    )
    path = tmp_path / "x.csv"
    frame.to_csv(path, index=False)
    columns = {"order_id": name, "customer_id": "who", "ordered_at": "at", "net_revenue": "eur"}
    cleaned = cx.clean_orders(cx.read(path, columns=columns), timezone="UTC")
    assert cleaned.kept_revenue == 12
    ours = frame.rename(columns={theirs: ours for ours, theirs in columns.items()})
    kept = cx.clean_orders(ours.assign(**{name: name}), timezone="UTC")
    by = plain(name)  # less what is not seen
    assert set(cx.retention(kept, period="month", as_of="2024-05-31", by=by)[by]) == {by}
    events = pd.DataFrame(
        {"user_id": "a", "event": [name, "buy"], "occurred_at": pd.to_datetime(["2024-05-01"] * 2)}
    )
    found = cx.funnel(events, steps=[name, "buy"], window="1 day", as_of="2024-05-31")
    assert found["n"].tolist() == [1, 1]
    for wrong in ({"preset": name}, {"encoding": name}, {"columns": {"order_id": f"no {name}"}}):
        with pytest.raises(cx.CxError):
            cx.read(path, **wrong)
    with pytest.raises(cx.CxError):
        cx.clean_orders(frame, timezone=name)


@pytest.mark.parametrize(
    "address",
    [
        "mysql://ann:s3cr3t@host/db::orders",
        "mysql://ann:s3c@r3t:s3cr3t@host/db::orders",
        "https://host/x.csv?user=ann&password=s3cr3t",
        "s3://bucket/x.csv?token=s3cr3t;region=eu",
        "ftp://s3cr3t@host/x.csv",
    ],
)
def test_a_password_in_an_address_shows_in_no_message(address: str) -> None:
    for call in (lambda: cx.read(address), lambda: cx.clean_orders(address, timezone="UTC")):
        with pytest.raises(cx.CxError) as error:
            call()
        assert "s3c" not in str(error.value)
        assert "***" in str(error.value)
    told = CliRunner().invoke(cli.main, ["check", address])
    assert told.exit_code == 2
    assert "s3c" not in told.output
