"""PostgreSQL as a source, against a real server: the answers of DuckDB, and nothing written."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa
import pytest
from analyses import ANALYSES, AS_OF, SAMPLE, check_same, sample
from hypothesis import example, given
from hypothesis import strategies as st
from postgres_server import SECRET, programs, server

import cxlib as cx
from cxlib._checks import UnreachableError
from cxlib.sources import postgres

pytestmark = pytest.mark.skipif(programs() is None, reason="PostgreSQL is not installed")

NAMES = ("orders", "events", "exposures")


MESS = {
    "order_id": ["1", "2", "2", " 3", "4\u200e", "5"],
    "customer_id": ["Ann@x.org", "bob", "bob", "eve", "\u0643\u0627\u0641", "zoe"],
    "ordered_at": [
        "2024-03-31 01:30:00", "2024-05-02 10:00:00", "2024-05-02 10:00:00", "2024-05-03",
        "2024-10-27 01:30:00", "2024-06-01T10:00:00",
    ],
    "net_revenue": ["20", "35.5", "35.5", "1,234.50", "\u0663\u066b\u0665", "7"],
}  # fmt: skip
"""A duplicate, blanks, marks, two alphabets, an hour that is skipped and one that comes twice."""


def raw() -> dict[str, Any]:
    """Return exports as they come, all text, in Arrow."""
    csv = {"all_varchar": True, "header": True, "quote": '"', "escape": '"'}
    tables = {
        name: ibis.read_csv(SAMPLE / f"{name}.csv", **csv).to_pyarrow()
        for name in ("orders", "exposures", "responses")
    }
    events = ibis.read_parquet(SAMPLE / "events.parquet").to_pyarrow()
    return tables | {"events": events, "mess": pa.table(MESS)}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Return a server's address; its database holds the cleaned sample."""
    with server() as address:
        writer = ibis.connect(address)
        for name, cleaned in sample().items():
            writer.create_table(name, cleaned.table.to_pyarrow())
        for name, frame in raw().items():
            writer.create_table(f"raw_{name}", frame)
        writer.create_table('odd "name; drop table orders', ibis.memtable({"user_id": ["a"]}))
        writer.disconnect()
        yield address
        postgres.disconnect()


@pytest.fixture
def there(address: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("WAREHOUSE_URL", address)
    return {name: cx.read(f"${{WAREHOUSE_URL}}::public.{name}") for name in NAMES}


@pytest.fixture(scope="module")
def here() -> dict[str, Any]:
    return sample()


@pytest.mark.parametrize("name", ANALYSES)
def test_answers_are_those_of_duckdb(
    name: str, here: dict[str, Any], there: dict[str, Any]
) -> None:
    check_same(name, here, there)


CLEANING: dict[str, tuple[str, dict[str, Any]]] = {
    "orders": ("orders", {"timezone": "Europe/London"}),
    "mess": ("orders", {"timezone": "Europe/London", "max_loss": 1.0}),
    "mess in UTC": ("orders", {"timezone": "Asia/Tehran", "naive": "utc", "max_loss": 1.0}),
    "events": ("events", {"timezone": "Europe/London"}),
    "exposures": ("exposures", {"timezone": "Europe/London"}),
    "responses": ("responses", {"timezone": "Europe/London"}),
}


@pytest.mark.parametrize("case", CLEANING)
def test_cleaning_is_that_of_duckdb(case: str, there: dict[str, Any]) -> None:
    contract, options = CLEANING[case]
    name, clean = case.split()[0], getattr(cx, f"clean_{contract}")
    preset = "shopify" if name == "orders" else None
    one, other = (
        clean(cx.read(source, preset=preset), **options)
        for source in (raw()[name], f"${{WAREHOUSE_URL}}::raw_{name}")
    )
    pd.testing.assert_frame_equal(one.losses, other.losses, check_dtype=False, rtol=1e-9)
    by = one.contract.key or list(one.table.columns)
    frames = (cleaned.table.order_by(by).execute() for cleaned in (one, other))
    pd.testing.assert_frame_equal(*frames, check_dtype=False, rtol=1e-9)


@pytest.mark.parametrize("name", ["funnel", "funnel, any order", "time_to_convert"])
def test_what_was_cleaned_there_is_counted_there_in_seconds(
    name: str, here: dict[str, Any], there: dict[str, Any]
) -> None:
    """Cleaning and counting are one query there, which the server must not loop over."""
    raw_events = cx.read("${WAREHOUSE_URL}::raw_events")
    events = cx.clean_events(raw_events, timezone="Europe/London")
    check_same(name, here, {"events": events})


def test_text_that_does_not_read_is_an_error_and_a_format_is_refused(
    there: dict[str, Any],
) -> None:
    columns = {"ordered_at": "customer_id", "customer_id": "order_id"}
    mess = cx.read("${WAREHOUSE_URL}::raw_mess", columns=columns)
    with pytest.raises(cx.DataError, match=r"'ordered_at' holds 6 values .*first: 'Ann@x.org'"):
        cx.clean_orders(mess, timezone="UTC")
    with pytest.raises(cx.ParameterError, match="make a view there with to_timestamp"):
        cx.clean_orders(
            cx.read("${WAREHOUSE_URL}::raw_mess"), timezone="UTC", date_format="%d.%m.%Y"
        )


@example(2000, 2, 29)
@example(1900, 2, 29)
@example(2024, 2, 29)
@example(2023, 2, 29)
@given(st.integers(1, 9999), st.integers(0, 13), st.integers(0, 32))
def test_the_pattern_of_days_is_the_calendar(year: int, month: int, day: int) -> None:
    """Held against Python's own calendar: leap years, lengths of months, the year 1 and 9999."""
    from cxlib.sources.warehouse import DAY

    try:
        is_day = bool(dt.date(year, month, day))
    except ValueError:
        is_day = False
    assert bool(re.fullmatch(DAY, f"{year:04}-{month:02}-{day:02}")) is is_day


def test_only_small_tables_travel(
    here: dict[str, Any], there: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from cxlib.sources import warehouse

    travelled: list[int] = []
    execute = warehouse._Cursor.execute

    def counting(self: Any, *args: Any, **kwargs: Any) -> Any:
        done = execute(self, *args, **kwargs)
        travelled.append(max(self.rowcount, 0))
        return done

    monkeypatch.setattr(warehouse._Cursor, "execute", counting)
    n_orders = here["orders"].table.count().execute()
    n_events = here["events"].table.count().execute()
    for name, n_rows in (("activity", n_orders), ("funnel", n_events), ("experiment", n_events)):
        travelled.clear()
        ANALYSES[name](there)
        assert 0 < sum(travelled) < n_rows / 20


def test_the_session_can_write_nothing(there: dict[str, Any]) -> None:
    import psycopg

    session = there["orders"].table.get_backend()
    for statement in (
        "create table mine (x int)",
        "create temp table mine (x int)",
        "delete from orders",
        "update orders set net_revenue = 0",
        "drop table orders",
    ):
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            session.raw_sql(statement)
        session.begin_anew()
    assert there["orders"].table.count().execute() > 0


def test_one_snapshot_until_the_next_read(address: str, there: dict[str, Any]) -> None:
    seen = there["events"].table.count()
    before = seen.execute()
    writer = ibis.connect(address)
    writer.raw_sql("insert into events select * from events limit 10")
    writer.con.commit()
    assert seen.execute() == before
    again = cx.read("${WAREHOUSE_URL}::events").table.count().execute()
    writer.raw_sql(
        "delete from events where ctid in (select ctid from events order by ctid desc limit 10)"
    )
    writer.con.commit()
    writer.disconnect()
    assert again == before + 10


def test_names_with_quotes_are_names(there: dict[str, Any]) -> None:
    odd = cx.read('${WAREHOUSE_URL}::public.odd "name; drop table orders')
    assert odd.table.count().execute() == 1
    with pytest.raises(cx.DataError, match="no table 'x\\\\'; drop table orders; --'|no table"):
        cx.read("${WAREHOUSE_URL}::public.x'; drop table orders; --")
    assert there["orders"].table.count().execute() > 0


def test_a_schema_and_a_table_in_quotes_and_one_that_may_not_be_read(
    address: str, there: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = ibis.connect(address)
    for statement in (
        'create schema "Sales"',
        'create table "Sales"."My ""Orders""" as select 1 as user_id',
        f"create role guest login password '{SECRET}'",
        'grant usage on schema "Sales" to guest',
    ):
        writer.raw_sql(statement)
    writer.con.commit()
    writer.disconnect()
    in_quotes = '${WAREHOUSE_URL}::"Sales"."My ""Orders"""'
    assert cx.read(in_quotes).table.count().execute() == 1
    monkeypatch.setenv("WAREHOUSE_URL", address.replace("//shop:", "//guest:"))
    with pytest.raises(cx.DataError, match="user 'guest' may not read table") as error:
        cx.read(in_quotes).table.count().execute()
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("${WAREHOUSE_URL}::public.order", r"no table 'order' in schema 'public'; .* 'orders'\?"),
        ("${WAREHOUSE_URL}::shop.orders", r"no schema 'shop'; the database has .*public"),
        ("${WAREHOUSE_URL}", "names no table; write '…::schema.table'"),
        ("${NO_SUCH_URL}::orders", "names NO_SUCH_URL, which the environment does not hold"),
    ],
)
def test_what_is_not_there_is_said(source: str, message: str, there: dict[str, Any]) -> None:
    with pytest.raises(cx.CxError, match=message) as error:
        cx.read(source)
    assert SECRET not in str(error.value)


def test_an_address_with_a_password_in_it_is_refused(address: str) -> None:
    with pytest.raises(cx.ParameterError, match="put it into the environment") as error:
        cx.read(f"{address}::orders")
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("wrong", ["user", "port", "database"])
def test_a_server_that_says_no_is_told_without_the_password(
    wrong: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = {
        "user": address.replace("//shop:", "//nobody:"),
        "port": address.replace(address.rpartition(":")[2], "1/shop"),
        "database": address.replace("/shop", "/none", 2).replace("//none:", "//shop:"),
    }[wrong]
    monkeypatch.setenv("WAREHOUSE_URL", changed)
    with pytest.raises(UnreachableError, match="cannot connect: .") as error:
        cx.read("${WAREHOUSE_URL}::orders")
    assert "${WAREHOUSE_URL}" in str(error.value)
    assert SECRET not in str(error.value)


def test_a_server_that_goes_away_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    with server() as gone:
        writer = ibis.connect(gone)
        writer.create_table("orders", sample()["orders"].table.to_pyarrow())
        writer.disconnect()
        monkeypatch.setenv("WAREHOUSE_URL", gone)
        orders = cx.read("${WAREHOUSE_URL}::orders")
        cx.retention(orders, as_of=AS_OF)
    for _ in range(2):  # as it goes, and once it is gone
        with pytest.raises(
            UnreachableError, match=r"source '\$\{WAREHOUSE_URL\}': .*(clos|terminat)"
        ):
            cx.retention(orders, as_of=AS_OF)
    with pytest.raises(UnreachableError, match="cannot connect"):
        cx.read("${WAREHOUSE_URL}::orders")


def test_orders_here_and_exposures_there_are_refused(
    here: dict[str, Any], there: dict[str, Any]
) -> None:
    with pytest.raises(cx.DataError, match="lie in different engines"):
        cx.experiment(
            there["exposures"], orders=here["orders"], control="control", as_of=AS_OF,
            metrics=[cx.Mean("net_revenue")],
        )  # fmt: skip
