"""Reading: every kind of source as one table under our names, or one clear error."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import ibis
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import cxlib as cx
from cxlib._checks import ColumnError, DataError, ParameterError
from cxlib.sources import as_table, load, load_preset, read, reading
from cxlib.tables import EVENTS, ORDERS

OURS = {"order_id": "nr", "customer_id": "who"}
FRAME = pd.DataFrame({"nr": ["007", "8"], "who": ["ann", None], "n": [1, 2]})


def written(path: Path, text: str, encoding: str = "utf-8") -> str:
    path.write_bytes(text.encode(encoding))
    return str(path)


def rows(table: ibis.Table) -> list[tuple[object, ...]]:
    return [
        tuple(None if pd.isna(value) else value for value in row)
        for row in table.execute().itertuples(index=False)
    ]


# ---- files


def test_csv_is_text_with_bom_quoted_newlines_and_leading_zeros(tmp_path: Path) -> None:
    path = written(
        tmp_path / "x.csv",
        'nr,who,note\r\n007,"Müller, Ann","a ""b""\r\nc"\r\n8,,\r\n',
        "utf-8-sig",
    )
    raw = read(path, columns={"order_id": "nr"})
    assert raw.table.columns == ("order_id", "who", "note")
    assert rows(raw.table) == [("007", "Müller, Ann", 'a "b"\r\nc'), ("8", None, None)]
    assert repr(raw) == "Raw('x.csv', columns: order_id, who, note)"


@pytest.mark.parametrize(("sign", "suffix"), [(";", "csv"), ("\t", "tsv"), ("|", "txt")])
def test_csv_with_other_signs_between_fields(tmp_path: Path, sign: str, suffix: str) -> None:
    path = written(tmp_path / f"x.{suffix}", f"a{sign}b\n1,5{sign}2\n")
    assert rows(read(path).table) == [("1,5", "2")]


def test_csv_lines_that_begin_with_a_hash_are_orders_not_comments(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", "Name,Email\n#1001,a@b.c\n#1002,\n")
    assert rows(read(path).table) == [("#1001", "a@b.c"), ("#1002", None)]


def test_csv_may_be_compressed(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "x.csv.gz", index=False)
    assert read(tmp_path / "x.csv.gz").table.columns == ("nr", "who", "n")


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    FRAME.to_parquet(tmp_path / "x.PARQUET")
    table = read(tmp_path / "x.PARQUET", columns=OURS).table
    assert [str(dtype) for dtype in table.schema().types] == ["string", "string", "int64"]


def test_many_files_by_pattern_are_put_together_by_name(tmp_path: Path) -> None:
    written(tmp_path / "1.csv", "a,b\n1,2\n")
    written(tmp_path / "2.csv", "b,a\n3,4\n")
    found = read(str(tmp_path / "*.csv")).table
    assert found.columns == ("a", "b", "source_file")
    assert sorted(rows(found)) == [("1", "2", "1.csv"), ("4", "3", "2.csv")]
    for part in "xy":
        pd.DataFrame({"a": [part]}).to_parquet(tmp_path / f"{part}.parquet")
    found = read(f"{tmp_path}/[x-y].parquet").table
    assert sorted(rows(found)) == [("x", "x.parquet"), ("y", "y.parquet")]


def test_a_name_with_brackets_is_a_name_where_it_exists(tmp_path: Path) -> None:
    path = written(tmp_path / "x [1].csv", "a,b\n1,2\n")
    assert rows(read(path).table) == [("1", "2")]


def test_the_home_sign_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "x.csv", "a,b\n1,2\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read("~/x.csv").name == "x.csv"


@pytest.mark.parametrize(
    ("name", "text", "error", "said"),
    [
        ("x.csv", None, DataError, r"source '.*x\.csv': no such file \(looked from \w+.*/\)"),
        ("x*.csv", None, DataError, r"no file fits this pattern \(looked from"),
        ("x.xlsx", "", ParameterError, r"unknown kind of file; known are \.csv"),
        ("x.csv.bak", "", ParameterError, "unknown kind of file"),
        (
            "x.parquet",
            "hello",
            DataError,
            "cannot be read: it is no Parquet file, or it is cut short",
        ),
        ("x.csv", "", DataError, "it is empty"),
        ("x.csv", "a,b\n1,2\n3\n4,5,6\n", DataError, "line 3 holds 1 field, its header 2; mend"),
        ("x.csv", 'a,b\n1,"2\n3,4\n', DataError, "line 2 opens a quote that is not closed"),
    ],
)
def test_bad_files_are_one_clear_error(
    tmp_path: Path, name: str, text: str | None, error: type[Exception], said: str
) -> None:
    if text is not None:
        written(tmp_path / name, text)
    with pytest.raises(error, match=said) as caught:
        read(str(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_a_folder_or_a_pipe_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"it is a folder; write 'folder/\*\.parquet'"):
        read(tmp_path)
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(DataError, match="it is not a regular file"):
        read(tmp_path / "pipe.csv")


def test_other_addresses_are_refused() -> None:
    with pytest.raises(ParameterError, match="unknown kind of address; known are .csv"):
        read("mysql://host/db::orders")


def test_what_the_engine_finds_only_while_reading_is_one_clear_error(tmp_path: Path) -> None:
    late = written(tmp_path / "late.csv", "a,b\n" + "1,2\n" * 50_000 + "4,5,6\n")
    with pytest.raises(DataError, match="line 50,002 holds 3 fields, its header 2"):
        cx.clean_events(
            read(late, columns={"user_id": "a", "event": "b", "occurred_at": "b"}), timezone="UTC"
        )
    cyrillic = written(tmp_path / "old.csv", "a,b\n" + "1,2\n" * 50_000 + "Привет,2\n", "cp1251")
    with (
        pytest.raises(
            DataError, match="old.csv.*line 50,002 is not UTF-8 .byte 200,005.*encoding="
        ) as error,
        reading("old.csv"),
    ):
        read(cyrillic).table.execute()
    assert "Original Line" not in str(error.value)


# ---- DuckDB files


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with duckdb.connect(str(path)) as engine:
        engine.sql("create schema mart; create type mood as enum ('sad', 'ok')")
        engine.sql("create table orders as select '007' as nr, 'ann' as who")
        engine.sql("create table mart.orders as select 8 as nr, 'ok'::mood as who")
    return path


def test_duckdb_tables_with_and_without_schema_can_be_joined_with_files(
    warehouse: Path, tmp_path: Path
) -> None:
    main = read(f"duckdb://{warehouse}::orders", columns=OURS)
    mart = read(f"duckdb://{warehouse}::mart.orders", columns=OURS)
    assert rows(main.table) == [("007", "ann")]
    assert rows(mart.table) == [(8, "ok")]
    names = read(written(tmp_path / "n.csv", "who,name\nann,Ann\n")).table
    assert rows(main.table.join(names, main.table.customer_id == names.who)[["name"]]) == [("Ann",)]


def test_a_duckdb_file_that_was_replaced_is_read_anew(warehouse: Path) -> None:
    assert rows(read(f"duckdb://{warehouse}::orders").table) == [("007", "ann")]
    other = warehouse.with_name("new.db")
    with duckdb.connect(str(other)) as engine:
        engine.sql("create table orders as select 'new' as nr")
    other.replace(warehouse)
    attached = ibis.get_backend().list_catalogs()
    assert rows(read(f"duckdb://{warehouse}::orders").table) == [("new",)]
    assert len(ibis.get_backend().list_catalogs()) == len(attached), "the old one was let go"


@pytest.mark.parametrize(
    ("address", "error", "said"),
    [
        ("duckdb://{}", ParameterError, "names no table; write 'duckdb://file.db::table'"),
        ("duckdb://{}::order", DataError, "no table 'order' in schema 'main'; .*mean 'orders'"),
        ("duckdb://{}::mart.x", DataError, "no table 'x' in schema 'mart'; it has orders"),
        ("duckdb://{}.gone::orders", DataError, "no such file"),
    ],
)
def test_bad_duckdb_addresses(
    warehouse: Path, address: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        read(address.format(warehouse))


def test_a_file_that_is_no_duckdb_file(tmp_path: Path) -> None:
    path = written(tmp_path / "x.db", "hello")
    with pytest.raises(DataError, match="cannot be read: it is no DuckDB file, or it is damaged"):
        read(f"duckdb://{path}::orders")


# ---- secrets


def test_secrets_come_from_the_environment_and_never_show(
    warehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_DB", f"duckdb://{warehouse}")
    raw = read("${SHOP_DB}::orders")
    assert rows(raw.table) == [("007", "ann")]
    assert raw.name == "${SHOP_DB}::orders"
    with pytest.raises(ParameterError, match="NO_SUCH_NAME, which the environment does not hold"):
        read("${NO_SUCH_NAME}/x.csv")


def test_no_message_shows_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "pass-w0rd"
    folder.mkdir()
    written(folder / "x.db", "hello")
    late = written(folder / "late.csv", "a,b\n" + "1,2\n" * 50_000 + "4,5,6\n")
    monkeypatch.setenv("SECRET_PLACE", str(folder))
    monkeypatch.setenv("EMPTY", "")
    said = []
    for address in (
        "duckdb://${SECRET_PLACE}/x.db::t",
        "${SECRET_PLACE}/gone*.csv${EMPTY}",
        "${SECRET_PLACE}/x.csv",
        "${SECRET_PLACE}",
        "${SECRET_PLACE}/x.db",
    ):
        with pytest.raises(cx.CxError) as error:
            read(address)
        said.append(str(error.value))
    raw = read("${SECRET_PLACE}/late.csv", columns=dict.fromkeys(EVENTS.required, "a"))
    with pytest.raises(cx.CxError) as error:
        cx.clean_events(raw, timezone="UTC")
    said += [str(error.value), repr(raw)]
    assert not [text for text in said if "pass-w0rd" in text]
    assert all("${SECRET_PLACE}" in text for text in said)
    assert Path(late).is_file()


# ---- frames


@pytest.mark.parametrize(
    "frame",
    [FRAME, pl.from_pandas(FRAME), pl.from_pandas(FRAME).lazy(), pa.Table.from_pandas(FRAME),
     ibis.memtable(FRAME), FRAME.to_dict("list")],
    ids=["pandas", "polars", "lazy", "pyarrow", "ibis", "dict"],
)  # fmt: skip
def test_frames_of_any_kind(frame: object) -> None:
    before = FRAME.copy()
    table = read(frame, columns=OURS).table
    assert rows(table) == [("007", "ann", 1), ("8", None, 2)]
    assert table.columns == ("order_id", "customer_id", "n")
    pd.testing.assert_frame_equal(FRAME, before)


def test_pandas_columns_that_engines_cannot_hold_as_they_are() -> None:
    stamps = np.array(["2024-05-01T10:00:00.123456789", "NaT"], "datetime64[ns]")
    frame = pd.DataFrame({"nr": [536365, "C536379"], 5: [None, None], "at": stamps, "x": [1, 2.5]})
    before = frame.copy()
    table = read(frame).table
    assert rows(table)[0] == ("536365", None, pd.Timestamp("2024-05-01 10:00:00.123456"), 1.0)
    assert table.columns == ("nr", "5", "at", "x")
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (5, "cannot read a int as a table"),
        (None, "cannot read a NoneType as a table"),
        (pd.Series([1]), "cannot read a Series as a table"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "cannot read a DataFrame .*Duplicate column"),
        (pd.DataFrame({"a": pd.period_range("2024-01", periods=1)}), "cannot read a DataFrame"),
        (pd.DataFrame(), r"cannot read a DataFrame as a table \(it has no columns\)"),
    ],
)
def test_what_is_no_table(source: object, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read(source)


# ---- names


def test_our_name_wins_where_the_source_has_it_too() -> None:
    frame = pl.DataFrame({"a": ["mine"], "order_id": ["other"], "Order_ID": ["third"], "b": ["x"]})
    assert rows(read(frame, columns={"order_id": "a"}).table) == [("mine", "x")]


def test_one_column_may_serve_under_two_names() -> None:
    table = read(FRAME, columns={"order_id": "nr", "customer_id": "nr"}).table
    assert rows(table)[0] == ("007", "007", "ann", 1)


def test_a_column_that_is_not_there_is_named_with_the_nearest() -> None:
    with pytest.raises(ColumnError) as error:
        read(FRAME, columns={"order_id": "Nro"})
    assert str(error.value) == (
        "pandas frame: columns={'order_id': 'Nro'} names a column that is not there; "
        "it has nr, who, n. Did you mean 'nr'?"
    )
    with pytest.raises(ParameterError, match="columns='nr' is not a dict"):
        read(FRAME, columns="nr")  # type: ignore[arg-type]


def test_reading_twice_keeps_the_name_and_the_preset() -> None:
    raw = read(SHOPIFY, preset="shopify")
    again = read(raw, columns={"who": "customer_id"})
    assert (again.name, again.preset) == (raw.name, raw.preset)
    assert again.table.columns[0] == "who"
    assert read(FRAME.assign(preset="shopify", name="x")).preset is None, "a column is no preset"


# ---- presets

SHOPIFY = pd.DataFrame(
    {"Name": ["#1"], "Email": ["a@b.c"], "Created at": ["2024-05-01"], "Total": ["9"], "Tags": [""]}
)


def test_presets_give_our_names_and_take_optional_columns_where_they_are() -> None:
    assert cx.presets() == sorted(cx.presets())
    assert {"online_retail", "shopify"} <= set(cx.presets())
    raw = read(SHOPIFY, preset="shopify")
    assert raw.table.columns == ("order_id", "customer_id", "ordered_at", "amount", "tags")
    assert raw.preset is not None
    assert raw.preset.rules.unpaid == ["pending", "authorized", "voided", "expired"]


def test_columns_win_over_the_preset() -> None:
    frame = SHOPIFY.rename(columns={"Total": "Subtotal"}).assign(Labels="mine")
    raw = read(frame, preset="shopify", columns={"amount": "Subtotal", "tags": "Labels"})
    assert raw.table[["amount", "tags"]].execute().to_numpy().tolist() == [["9", "mine"]]


def test_a_preset_names_the_columns_that_are_missing() -> None:
    with pytest.raises(ColumnError) as error:
        read(SHOPIFY.rename(columns={"Name": "Names", "Total": "Sum"}), preset="shopify")
    assert str(error.value) == (
        "pandas frame as shopify: no column 'Name' (our order_id), 'Total' (our amount); it has "
        "Names, Email, Created at, Sum, Tags. Did you mean 'Names'? "
        "Give columns={'order_id': 'your name'} in cx.read."
    )


def test_a_preset_of_ones_own_is_a_toml_file(tmp_path: Path) -> None:
    own = written(
        tmp_path / "books.toml",
        'title = "Our books"\n[columns]\norder_id = "nr"\ncustomer_id = "who"\n'
        '[keep]\ncountry = "land"\n[rules]\ntimestamps = "utc"\n',
    )
    raw = read(FRAME.assign(land="DE"), preset=own)
    assert raw.table.columns == ("order_id", "customer_id", "country", "n")
    assert raw.preset is not None
    assert (raw.preset.name, raw.preset.table, raw.preset.rules.timestamps) == (
        "books", "orders", "utc",
    )  # fmt: skip
    Path(own).write_text('[columns]\norder_id = "who"\n')
    assert load_preset(own).columns == {"order_id": "who"}, "the file is read anew"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[columns", "is not a preset: "),
        ('title = "x"', "is not a preset: columns: is missing"),
        ('[columns]\na = "b"\n[rules]\nunpaid = "pending"', "rules.unpaid: .* list"),
        (
            '[columns]\na = "b"\n[rules]\ntest_tag = []',
            "rules.test_tag: unknown; known are .*Did you mean 'test_tags'",
        ),
        ('encoding = "cp1252"\n[columns]\na = "b"', r"preset: encoding: stands under \[rules\]$"),
        (
            'max_loss = 1\n[columns]\na = "b"\n[rules]\nexclude = ["x"]',
            "exclude: says nothing of a format; the notebook gives it to cx.clean_orders; max_loss: ",
        ),
        ('table = "order"\n[columns]\na = "b"', "table: .*'orders'"),
        ('name = "x"\n[columns]\na = "b"', "is not a preset: .*name"),
    ],
)
def test_a_preset_that_is_none_says_where(tmp_path: Path, text: str, said: str) -> None:
    own = written(tmp_path / "own.toml", text)
    with pytest.raises(ParameterError, match=said):
        load_preset(own)


def test_an_unknown_preset_names_the_known() -> None:
    with pytest.raises(
        ParameterError, match=r"known are .*shopify.* of your own\. Did you mean 'shopify'\?"
    ):
        read(SHOPIFY, preset="shopfy")


# ---- the door of the analyses


ORDERS_FRAME = pd.DataFrame(
    {
        "order_id": ["1", "2"],
        "customer_id": ["a", "b"],
        "ordered_at": pd.to_datetime(["2024-05-01", "2024-05-02"]),
        "net_revenue": [1.0, 2.0],
    }
)


def test_load_checks_frames_and_trusts_what_cleaning_made(monkeypatch: pytest.MonkeyPatch) -> None:
    cleaned = cx.clean_orders(ORDERS_FRAME, timezone="UTC")
    assert load(ORDERS_FRAME, ORDERS).count().execute() == 2
    monkeypatch.setattr("cxlib.sources.check_rows", lambda *_: pytest.fail("looked again"))
    assert load(cleaned, ORDERS).count().execute() == 2


@pytest.mark.parametrize("name", ["losses", "contract", "table", "preset"])
def test_load_is_not_fooled_by_the_name_of_a_column(name: str) -> None:
    twice = ORDERS_FRAME.assign(order_id="1", **{name: "x"})
    for data in (twice, ibis.memtable(twice), pl.from_pandas(twice)):
        with pytest.raises(DataError, match="stand in more than one row"):
            load(data, ORDERS)


def test_load_does_not_trust_what_was_cleaned_for_another_contract() -> None:
    frame = pd.DataFrame(
        {"user_id": ["u"], "event": ["view"], "occurred_at": ["2024-05-01"], "order_id": [1],
         "customer_id": ["a"], "ordered_at": pd.to_datetime(["2024-05-01"]), "net_revenue": [np.nan]}
    )  # fmt: skip
    with pytest.raises(DataError, match="'net_revenue' in 1 rows"):
        load(cx.clean_events(frame, timezone="UTC"), ORDERS)


def test_load_reads_a_path_and_says_what_is_not_clean(tmp_path: Path) -> None:
    ORDERS_FRAME.to_parquet(tmp_path / "x.parquet")
    assert load(tmp_path / "x.parquet", ORDERS).count().execute() == 2
    ORDERS_FRAME.to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(ColumnError, match="'ordered_at' is string, .*cx.clean_orders"):
        load(tmp_path / "x.csv", ORDERS)
    broken = written(tmp_path / "y.csv", ",".join(ORDERS.required) + "\n1,2,3,4\n" * 50_000 + "5\n")
    with pytest.raises(DataError):
        load(
            read(broken).table.mutate(ordered_at=ibis.timestamp("2024-05-01"), net_revenue=1.0),
            ORDERS,
        )


def test_as_table_takes_what_holds_an_ibis_table_and_nothing_else() -> None:
    raw = read(FRAME)
    assert as_table(raw) is raw.table
    assert as_table(raw.table) is raw.table

    class Answer:
        table = FRAME

    with pytest.raises(DataError, match="cannot read a Answer as a table"):
        as_table(Answer())
