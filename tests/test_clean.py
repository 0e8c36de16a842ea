"""Cleaning: how each value is read, and what each rule does. The account as a whole: test_clean_account."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import duckdb
import ibis
import pandas as pd
import polars as pl
import pytest

import cxlib as cx
from cxlib._checks import ColumnError, DataError, ParameterError
from cxlib.clean.clock import Years, on_the_wall
from cxlib.clean.losses import settle
from cxlib.clean.parse import Clock, number, text, when
from cxlib.tables import EVENTS as EVENTS_CONTRACT

NBSP, LTR, RTL_END = "\u00a0", "\u200e", "\u2069"


def parsed(values: object, parse: object, dtype: object = None) -> list[object]:
    table = ibis.memtable(pl.DataFrame({"x": values}, schema={"x": dtype} if dtype else None))
    found = table.select(x=parse(table["x"])).to_pyarrow()["x"].to_pylist()  # type: ignore[operator]
    return [value.isoformat(" ") if isinstance(value, dt.datetime) else value for value in found]


def stamped(values: object, clock: Clock, dtype: object = None) -> list[object]:
    """What `when` and `on_the_wall` make of values, held in a column between the two as in cleaning."""
    table = ibis.memtable(pl.DataFrame({"x": values}, schema={"x": dtype} if dtype else None))
    stamp = when(table["x"], clock)
    held = table.select(x=stamp.value, moves=stamp.moves).cache()
    shown = ibis.ifelse(held["moves"], on_the_wall(held["x"], clock.timezone, Years()), held["x"])
    found = held.select(x=shown).to_pyarrow()["x"].to_pylist()
    return [value.isoformat(" ") if isinstance(value, dt.datetime) else value for value in found]


def orders(rows: list[dict[str, object]] | None = None, **columns: object) -> pd.DataFrame:
    """Three good orders, or rows, of an export with totals; columns replace or add."""
    frame = pd.DataFrame(
        rows
        or {
            "order_id": ["1", "2", "3"],
            "customer_id": ["ann", "bob", "cem"],
            "ordered_at": ["2024-05-01 10:00:00", "2024-05-02 10:00:00", "2024-05-03 10:00:00"],
            "amount": ["10.00", "20.00", "30.00"],
        }
    )
    return frame.assign(**columns)


def clean(frame: object, **options: object) -> cx.Cleaned:
    return cx.clean_orders(frame, **{"timezone": "UTC", "max_loss": 1.0, **options})  # type: ignore[arg-type]


def lost(cleaned: cx.Cleaned) -> dict[str, tuple[int, float]]:
    return {row.rule: (row.rows, round(row.revenue, 6)) for row in cleaned.losses.itertuples()}


def net(cleaned: cx.Cleaned) -> dict[str, float]:
    table = cleaned.table.execute()
    return dict(zip(table["order_id"], table["net_revenue"].round(6), strict=True))


# ---- ids


def test_text_is_trimmed_of_all_that_is_not_seen() -> None:
    raw = [" 007 ", f"{NBSP}a{LTR}n{RTL_END}n\t", "", "  ", LTR, None, "עדי", "می‌خواهم"]
    assert parsed(raw, text) == ["007", "ann", None, None, None, None, "עדי", "می‌خواهم"]


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([17850.0, -0.0, 1.5, float("nan"), None, 1e300], pl.Float64,
         ["17850", "0", "1.5", None, None, "1e+300"]),
        ([Decimal("17850.00"), Decimal("1.50"), None], pl.Decimal(12, 2), ["17850", "1.50", None]),
        ([17850, None], pl.Int32, ["17850", None]),
        (["a", "a "], pl.Categorical, ["a", "a"]),
        ([None], pl.Null, [None]),
    ],
    ids=["float", "decimal", "integer", "categorical", "null"],
)  # fmt: skip
def test_ids_of_any_type_become_text(values: object, dtype: object, expected: object) -> None:
    assert parsed(values, text, dtype) == expected


def test_ids_of_a_duckdb_enum(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "x.db")) as engine:
        engine.sql("create type who as enum ('ann', 'bob ')")
        engine.sql(
            "create table t as select 1 as order_id, 'bob '::who as customer_id, "
            "date '2024-05-01' as ordered_at, 12.5::decimal(9, 2) as net_revenue"
        )
    cleaned = clean(cx.read(f"duckdb://{tmp_path / 'x.db'}::t"))
    assert cleaned.table.execute().iloc[0].tolist() == [
        "1",
        "bob",
        pd.Timestamp("2024-05-01"),
        12.5,
    ]


# ---- numbers


@pytest.mark.parametrize(
    ("decimal", "values", "expected"),
    [
        (".", ["12.50", " -3 ", "+.5", "5.", "1e3", "1,234.56", "12,345,678.9"],
         [12.5, -3, 0.5, 5, 1000, 1234.56, 12345678.9]),
        (".", ["٣٫٥", "۱۲", "−7", f"{LTR}8"], [3.5, 12, -7, 8]),
        (".", ["1,234", "12,50", "1.234,56", "1_000", "nan", "inf", "1e999", "£5", "", None],
         [None] * 10),
        (",", ["12,50", "1.234,56", f"1{NBSP}234,5", "1 234", "1.234", "-3", "٣٫٥", "7"],
         [12.5, 1234.56, 1234.5, 1234, 1234, -3, 3.5, 7]),
        (",", ["12.50", "1,234.56", "1.23,4", "x", ""], [None] * 5),
    ],
    ids=["point", "eastern", "not a number", "comma", "not a number with comma"],
)  # fmt: skip
def test_numbers(decimal: str, values: list[str], expected: list[float | None]) -> None:
    assert parsed(values, lambda value: number(value, decimal)) == expected


def test_numbers_of_any_type_become_floats() -> None:
    assert parsed([1, None], number) == [1.0, None]
    assert parsed([Decimal("1.25")], number, pl.Decimal(9, 2)) == [1.25]
    assert parsed([1.5, float("nan"), float("inf")], number) == [1.5, None, None]
    assert parsed([None], number, pl.Null) == [None]


# ---- times


@pytest.mark.parametrize(
    ("zone", "value", "expected"),
    [
        # offsets and zones, in the forms that exports write them
        ("Europe/Paris", "2024-05-01T10:00:00Z", "2024-05-01 12:00:00"),
        ("Europe/Paris", "2024-05-01 10:00:00 UTC", "2024-05-01 12:00:00"),
        ("Europe/Paris", "2024-05-01 10:00:00UTC", "2024-05-01 12:00:00"),
        ("Europe/Paris", "2024-05-01 10:00:00 Z", "2024-05-01 12:00:00"),
        ("Europe/Paris", "2024-05-01 10:00:00 +0200", "2024-05-01 10:00:00"),
        ("Europe/Paris", "2024-05-01T10:00:00.250-05:30", "2024-05-01 17:30:00.250000"),
        ("Europe/Paris", "2024-05-01 10:00+02", "2024-05-01 10:00:00"),
        ("Europe/Paris", "2024-05-01T10:00Z", "2024-05-01 12:00:00"),
        ("Asia/Jerusalem", " 2024-05-01T23:30:00Z ", "2024-05-02 02:30:00"),
        # without an offset: the shop's own clock
        ("Europe/Paris", "2024-05-01T10:00:00", "2024-05-01 10:00:00"),
        ("Europe/Paris", "2024-05-01 10:00", "2024-05-01 10:00:00"),
        ("Europe/Paris", "2024-05-01 10:00:00.123456789", "2024-05-01 10:00:00.123456"),
        ("Europe/Paris", "2024-05-01", "2024-05-01 00:00:00"),
        # London's spring gap (31 March 2024, 01:00 UTC) is never shown, its autumn hour twice
        ("Europe/London", "2024-03-31T00:59:59Z", "2024-03-31 00:59:59"),
        ("Europe/London", "2024-03-31T01:00:00Z", "2024-03-31 02:00:00"),
        ("Europe/London", "2024-10-27T00:30:00Z", "2024-10-27 01:30:00"),
        ("Europe/London", "2024-10-27T01:30:00Z", "2024-10-27 01:30:00"),
        # a stamp in the gap that someone wrote stays as it was written
        ("Europe/London", "2024-03-31 01:30:00", "2024-03-31 01:30:00"),
        # not ISO 8601, or no such day
        *[("UTC", value, None) for value in (
            "31/12/2024", "2024-02-30", "2024-13-01", "20240501", "2024-5-1", "1714557600",
            "2024-05-01 25:00", "2024-05-01T10:00:00+99:00", "2024-05-01Z", "infinity", "", None)],
    ],
)  # fmt: skip
def test_stamps(zone: str, value: str | None, expected: str | None) -> None:
    assert stamped([value], Clock(zone), pl.String) == [expected]


def test_stamps_without_offset_may_be_in_utc() -> None:
    clock = Clock("America/New_York", naive="utc")
    raw = ["2024-05-01 02:00:00", "2024-05-01", "2024-05-01T02:00:00Z"]
    expected = ["2024-04-30 22:00:00", "2024-05-01 00:00:00", "2024-04-30 22:00:00"]
    assert stamped(raw, clock) == expected


def test_stamps_in_a_format_of_their_own() -> None:
    def read(values: list[str], form: str, naive: str = "local") -> list[object]:
        clock = Clock("Europe/Paris", naive, form)
        return stamped(values, clock)

    assert read(["31/12/2024 09:30", "2024-12-31", ""], "%d/%m/%Y %H:%M") == [
        "2024-12-31 09:30:00", None, None,
    ]  # fmt: skip
    assert read(["31.12.2024 23:30"], "%d.%m.%Y %H:%M", "utc") == ["2025-01-01 00:30:00"]
    assert read(["31.12.2024 23:30 +0000"], "%d.%m.%Y %H:%M %z") == ["2025-01-01 00:30:00"]


@pytest.mark.parametrize(
    ("dtype", "naive", "expected"),
    [
        (pl.Datetime("us"), "local", "2024-05-01 23:00:00"),
        (pl.Datetime("us"), "utc", "2024-05-02 01:00:00"),
        (pl.Datetime("ms"), "utc", "2024-05-02 01:00:00"),
        (pl.Datetime("us", "UTC"), "local", "2024-05-02 01:00:00"),
        (pl.Datetime("us", "America/New_York"), "utc", "2024-05-02 05:00:00"),
        (pl.Date, "utc", "2024-05-01 00:00:00"),
    ],
    ids=str,
)
def test_typed_times(dtype: object, naive: str, expected: str) -> None:
    stamps = pl.Series([dt.datetime(2024, 5, 1, 23)]).cast(pl.Date) if dtype == pl.Date else None
    if stamps is None:
        zone = getattr(dtype, "time_zone", None)
        naive_stamps = pl.Series([dt.datetime(2024, 5, 1, 23)], dtype=pl.Datetime(dtype.time_unit))  # type: ignore[attr-defined]
        stamps = naive_stamps.dt.replace_time_zone(zone) if zone else naive_stamps
    assert stamped(stamps, Clock("Europe/Paris", naive)) == [expected]


def test_times_from_parquet_in_nanoseconds(tmp_path: Path) -> None:
    stamps = pl.Series([dt.datetime(2024, 5, 1, 23)], dtype=pl.Datetime("ns"))
    path = tmp_path / "x.parquet"
    pl.DataFrame(
        {"order_id": [1], "customer_id": ["a"], "ordered_at": stamps, "amount": [1]}
    ).write_parquet(path)
    assert clean(path).table.execute()["ordered_at"][0] == pd.Timestamp("2024-05-01 23:00")


# ---- what cannot be read is one clear error


@pytest.mark.parametrize(
    ("columns", "options", "said"),
    [
        ({"ordered_at": ["2024-05-01", "31/02/2024", "x"]}, {},
         "orders: 'ordered_at' holds 2 values that are no date (first: '31/02/2024', row 2); "
         "give date_format= or fix them"),
        ({"ordered_at": ["01/05/2024", "31/02/2024", None]}, {"date_format": "%d/%m/%Y"},
         "orders: 'ordered_at' holds 1 value that does not fit date_format='%d/%m/%Y' "
         "(first: '31/02/2024', row 2); give another or fix it"),
        ({"amount": ["1", "12,50", "3"]}, {},
         "orders: 'amount' holds 1 value that is no number (first: '12,50', row 2); "
         "give decimal=',' or fix it"),
        ({"amount": [1.0, 2.0, float("inf")]}, {},
         "orders: 'amount' holds 1 value that is no number (first: inf, row 3); fix it"),
        ({"ordered_at": ["2024-05-01T10:00Z", "2024-05-01T10:00", ""]}, {},
         "orders: 'ordered_at' mixes 1 stamp with an offset from UTC (first: '2024-05-01T10:00Z', "
         "row 1) and 1 without (first: '2024-05-01T10:00', row 2); export them in one form"),
        ({"ordered_at": [1714557600, 1, 2]}, {},
         "'ordered_at' is int64, not text, a date or a time stamp; map another column"),
        ({"cancelled_at": [False, False, True]}, {},
         "orders: 'cancelled_at' is boolean, but must be the time of cancelling, null where "
         "there was none; map another column"),
        ({"currency": ["EUR", "usd", "USD"]}, {},
         "orders: 'currency' mixes USD 2, EUR 1; choose one with currency='USD', or "
         "under [rules] in a preset of your own"),
        ({"currency": ["EUR", "USD", "USD"]}, {"currency": "GBP"},
         "currency='GBP' is not one of USD, EUR."),
        ({}, {"currency": "GBP"},
         "orders: no column 'currency'; it has order_id, customer_id, ordered_at, amount. "
         "Give columns={'currency': 'your name'} in cx.read."),
    ],
)  # fmt: skip
def test_unreadable_exports(
    columns: dict[str, object], options: dict[str, object], said: str
) -> None:
    with pytest.raises(cx.CxError) as error:
        clean(orders(**columns), **options)
    assert str(error.value) == said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timezone": "Mars/Olympus"}, "timezone='Mars/Olympus' is not a time zone"),
        ({"max_loss": 1.5}, "max_loss=1.5 is out of range"),
        ({"decimal": ";"}, "decimal=';' is not one of"),
        ({"naive": "gmt"}, "naive='gmt' is not one of local, utc"),
        ({"date_format": "dd/mm/yyyy"}, "date_format='dd/mm/yyyy' is not a strptime format"),
        ({"date_format": "%d/%Q"}, "is not a strptime format; write one such as '%d/%m/%Y %H:%M'"),
        ({"date_format": "%d/%"}, "is not a strptime format"),
    ],
)
def test_arguments_are_checked(options: dict[str, object], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        clean(orders(), **options)


def test_missing_columns() -> None:
    with pytest.raises(ColumnError, match="orders: no column 'customer_id'"):
        clean(orders().drop(columns="customer_id"))
    with pytest.raises(ColumnError, match="orders: no column 'net_revenue'; .* or quantity"):
        clean(orders().drop(columns="amount"))
    with pytest.raises(ColumnError, match="orders: no columns 'quantity', 'unit_price'"):
        clean(orders().rename(columns={"amount": "Price"}).assign(Qty=1))


def test_preset_with_cancelling_invoices_needs_items(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[columns]\norder_id = "order_id"\n[rules]\ncancellation_prefix = "C"\n')
    with pytest.raises(ColumnError, match="no column 'item_id'"):
        clean(cx.read(orders(), preset=str(own)))
    own.write_text('[columns]\norder_id = "order_id"\n[rules]\nnon_products = ["POST"]\n')
    with pytest.raises(ColumnError, match="no column 'item_id'"):
        clean(cx.read(orders(), preset=str(own)))


def test_empty_exports() -> None:
    with pytest.raises(DataError, match="orders: the source has no rows"):
        clean(orders().iloc[:0])
    with pytest.raises(DataError, match="events: the source has no rows"):
        cx.clean_events(
            pl.DataFrame({"user_id": [], "event": [], "occurred_at": []}), timezone="UTC"
        )


# ---- the rules, one by one: rows and revenue


@pytest.mark.parametrize(
    ("columns", "rule", "kept"),
    [
        ({"order_id": ["1", " ", "3"]}, "no_order_id", {"1": 10, "3": 30}),
        ({"ordered_at": ["2024-05-01", None, "2024-05-03"]}, "no_time", {"1": 10, "3": 30}),
        ({"customer_id": ["ann", LTR, "cem"]}, "no_customer", {"1": 10, "3": 30}),
        ({"is_test": ["false", "TRUE ", None]}, "test_order", {"1": 10, "3": 30}),
        ({"is_test": [False, True, None]}, "test_order", {"1": 10, "3": 30}),
        ({"is_test": [0.0, 1.0, None]}, "test_order", {"1": 10, "3": 30}),
        ({"cancelled_at": ["", "2024-05-09", None]}, "cancelled", {"1": 10, "3": 30}),
        ({"cancelled_at": [pd.NaT, pd.Timestamp("2024-05-09"), pd.NaT]}, "cancelled",
         {"1": 10, "3": 30}),
        ({"amount": ["10", "-20", "30"]}, "refund_unmatched", {"1": 10, "3": 30}),
    ],
)  # fmt: skip
def test_one_order_is_lost_by_a_rule(
    columns: dict[str, object], rule: str, kept: dict[str, float]
) -> None:
    cleaned = clean(orders(**columns))
    revenue = -20.0 if rule == "refund_unmatched" else 20.0
    assert lost(cleaned) == {rule: (1, revenue)}
    assert net(cleaned) == kept
    assert (cleaned.raw_rows, cleaned.kept_rows, cleaned.lost_rows) == (3, 2, 1)
    assert cleaned.losses["rows_share"].tolist() == pytest.approx([1 / 3])
    assert cleaned.losses["revenue_share"].tolist() == pytest.approx(
        [revenue / (40 + abs(revenue))]
    )


def test_missing_money_is_a_loss_not_a_zero() -> None:
    assert lost(clean(orders(amount=["10", "", "30"]))) == {"no_amount": (1, 0)}
    by_order = orders().rename(columns={"amount": "net_revenue"})
    assert lost(clean(by_order.assign(net_revenue=["10", None, "30"]))) == {"no_amount": (1, 0)}
    by_line = orders(quantity=["1", "2", ""], unit_price="5").drop(columns="amount")
    assert lost(clean(by_line)) == {"no_amount": (1, 0)}


def test_nothing_is_cancelled_where_the_column_is_empty() -> None:
    for empty in (None, float("nan"), "", pd.NaT):
        assert len(clean(orders(cancelled_at=empty)).losses) == 0


def test_a_free_order_is_an_order() -> None:
    cleaned = clean(orders(amount=["0", "-0.0", "30"]))
    table = cleaned.table.order_by("order_id").execute()
    assert [str(value) for value in table["net_revenue"]] == ["0.0", "0.0", "30.0"]


def test_amounts_of_three_forms_say_the_same() -> None:
    by_order = orders(net_revenue=[10, 20, 30]).drop(columns="amount")
    by_line = orders(quantity=[2, 4, 6], unit_price=[5, 5, 5]).drop(columns="amount")
    by_total = orders(amount=[15, 20, 30], refunded=["5", "", "0"])
    for frame in (by_order, by_line, by_total, by_total.assign(refunded=["-5", None, "0"])):
        assert net(clean(frame)) == {"1": 10, "2": 20, "3": 30}


def test_what_float_sums_leave_over_is_nothing() -> None:
    frame = orders(quantity=1, unit_price=[0.1, 0.2, -0.3], order_id="1", customer_id="ann")
    assert clean(frame.drop(columns="amount")).table.net_revenue.execute().tolist() == [0.0]


def test_lines_of_an_order_with_two_times_date_it_by_the_first() -> None:
    frame = orders(quantity=1, unit_price=5, order_id="1", customer_id="ann")
    cleaned = clean(frame.drop(columns="amount"))
    assert cleaned.table.execute()["ordered_at"].tolist() == [pd.Timestamp("2024-05-01 10:00")]


# ---- refunds


def total(order: str, amount: object, refunded: object = None, **more: object) -> dict[str, object]:
    at = more.pop("at", "2024-05-01")
    return {"order_id": order, "customer_id": "ann", "ordered_at": at, "amount": amount,
            "refunded": refunded, **more}  # fmt: skip


def test_refunds_in_their_own_column_or_on_their_own_rows() -> None:
    cleaned = clean(
        orders(
            [
                total("part", 100, 30),
                total("full", 100, 100),
                total("full, as a negative", 100, -100),
                total("more", 100, 120),
                total("row", 100),
                total("row", None, 30, at=None),
                total("negative", 100),
                total("negative", -30.5, at="2024-04-01", channel="refund"),
                total("gone", 50.1),
                total("gone", -50.1),
                total("alone", -9),
                total("alone too", None, 9),
            ]
        )
    )
    assert net(cleaned) == {"part": 70, "row": 70, "negative": 69.5}
    assert lost(cleaned) == {"refunded_in_full": (5, -20), "refund_unmatched": (2, -18)}
    refunded = cleaned.table.filter(cleaned.table.order_id == "negative").execute().iloc[0]
    assert refunded["ordered_at"] == pd.Timestamp("2024-05-01"), "a refund never dates its order"
    assert pd.isna(refunded["channel"]), "nor describes it"


def line(order: str, item: str, quantity: float, at: str, who: object = 17850.0,
         price: float = 2.5) -> dict[str, object]:  # fmt: skip
    return {"InvoiceNo": order, "StockCode": item, "Quantity": quantity, "InvoiceDate": at,
            "UnitPrice": price, "CustomerID": who, "Country": "UK", "Description": "x"}  # fmt: skip


def retail(*rows: dict[str, object]) -> cx.Cleaned:
    return clean(cx.read(pd.DataFrame(rows), preset="online_retail"))


def test_a_refund_line_nets_against_the_latest_earlier_order_of_customer_and_item() -> None:
    cleaned = retail(
        line("1", "mug", 10, "2024-05-01"),
        line("2", "mug", 10, "2024-05-02"),
        line("2", "cup", 10, "2024-05-02"),
        line("3", "mug", 10, "2024-05-04"),  # later than the refund
        line("9", "mug", 10, "2024-05-02", who=1.0),  # of someone else
        line("C4", "mug", -4, "2024-05-03"),
        line("C5", "cup", -1, "2024-05-05"),
        line("C6", "cup", -10, "2024-05-02"),  # at the same moment counts as after
    )
    assert net(cleaned) == {"1": 25, "2": 50 - 10 - 2.5 - 25, "3": 25, "9": 25}
    assert len(cleaned.losses) == 0
    assert cleaned.kept_rows == cleaned.raw_rows == 8
    assert cleaned.table.customer_id.execute().tolist().count("17850") == 3


def test_of_two_orders_at_one_moment_the_larger_number_takes_the_refund() -> None:
    rows = [line(number, "mug", 10, "2024-05-01") for number in ("1", "2", "3")]
    cleaned = retail(*rows, line("C9", "mug", -1, "2024-05-02"))
    assert net(cleaned) == {"1": 25, "2": 25, "3": 22.5}


def test_refunds_that_find_no_order() -> None:
    cleaned = retail(
        line("1", "mug", 10, "2024-05-02"),
        line("C2", "mug", -1, "2024-05-01"),  # before it was bought
        line("C3", "cup", -1, "2024-05-03"),  # never bought
        line("C4", "mug", -1, "2024-05-03", who=2.0),  # by someone else
        line("C5", "mug", -1, None),  # type: ignore[arg-type]
        line("C6", "mug", -1, "2024-05-03", who=None),  # a guest: nobody knows whose
    )
    assert net(cleaned) == {"1": 25}
    assert lost(cleaned) == {"no_customer": (1, -2.5), "refund_unmatched": (4, -10)}


def test_a_refunded_order_and_its_refund_are_one_loss() -> None:
    cleaned = retail(
        line("581483", "23843", 80995, "2011-12-09 09:15:00", price=2.08),
        line("C581484", "23843", -80995, "2011-12-09 09:27:00", price=2.08),
        line("1", "mug", 1, "2011-12-09"),
    )
    assert lost(cleaned) == {"refunded_in_full": (2, 0)}


def test_what_is_no_product_or_no_order_goes_first() -> None:
    cleaned = retail(
        line("1", "mug", 2, "2024-05-01"),
        line("1", "POST", 1, "2024-05-01"),
        line("1", "gift_0001_20", 1, "2024-05-01"),
        line("1", "POSTER", 1, "2024-05-01"),
        line("C2", "POST", -1, "2024-05-02"),
        line("A3", "B", 1, "2024-05-02", who=None, price=-100),
        line("4", "mug", 1, "2024-05-01", price=-10),
    )
    assert net(cleaned) == {"1": 7.5}
    assert lost(cleaned) == {
        "not_a_product": (3, 2.5),
        "adjustment": (1, -100),
        "negative_total": (1, -10),
    }


# ---- the same order more than once


def test_states_of_an_order_are_never_summed() -> None:
    cleaned = clean(
        orders(
            [
                total("refunded", 100, 0),
                total("refunded", 100, 40),
                total("cancelled", 100, 0, cancelled_at=None),
                total("cancelled", 100, 0, cancelled_at="2024-05-05"),
                total("later", 100, 0, at="2024-05-02"),
                total("later", 80, 0, at="2024-05-03"),
                total("edited", 100, 0),
                total("edited", 90, 0),
                total("same", 100, 0),
                total("same", 100, 0),
            ]
        )
    )
    assert net(cleaned) == {"refunded": 60, "later": 80, "edited": 90, "same": 100}
    assert lost(cleaned) == {
        "duplicate_row": (1, 100),
        "duplicate_order": (4, 400),
        "cancelled": (1, 100),
    }


def test_the_attributes_of_the_kept_state_are_kept() -> None:
    frame = pd.DataFrame(
        {"Name": "#1", "Email": "a@b.c", "Created at": "2024-05-01", "Total": ["9", "9", None],
         "Financial Status": ["pending", "paid", None], "Shipping Country": ["US", "GB", None],
         "Lineitem name": ["mug", "mug", "cup"]}
    )  # fmt: skip
    cleaned = clean(cx.read(frame, preset="shopify"))
    assert cleaned.table.execute()["country"].tolist() == ["GB"]
    assert lost(cleaned) == {"duplicate_order": (1, 9)}
    assert cleaned.kept_rows == 2


def test_one_row_per_order_means_that_a_second_is_another_state() -> None:
    frame = orders(
        [
            {"order_id": "1", "customer_id": "ann", "ordered_at": "2024-05-01", "net_revenue": 10},
            {"order_id": "1", "customer_id": "ann", "ordered_at": "2024-05-01", "net_revenue": 8},
        ]
    )
    cleaned = clean(frame)
    assert net(cleaned) == {"1": 8}
    assert lost(cleaned) == {"duplicate_order": (1, 10)}


def test_a_negative_row_is_a_refund_and_no_state() -> None:
    frame = orders(net_revenue=[10, -4, -1], order_id=["1", "1", "2"]).drop(columns="amount")
    cleaned = clean(frame)
    assert net(cleaned) == {"1": 6}
    assert lost(cleaned) == {"refund_unmatched": (1, -1)}


def test_lines_of_an_order_are_summed_and_only_exact_repeats_are_lost() -> None:
    frame = pd.DataFrame(
        {"order_id": "1", "customer_id": "ann", "ordered_at": "2024-05-01",
         "item_id": ["a", "b", "b"], "quantity": [1, 1, 1], "unit_price": [5, 5, 5]}
    )  # fmt: skip
    cleaned = clean(frame)
    assert net(cleaned) == {"1": 10}
    assert lost(cleaned) == {"duplicate_row": (1, 5)}


def test_lines_that_differ_only_in_a_column_that_nothing_uses_are_no_repeats() -> None:
    frame = pd.DataFrame(
        {"Name": "#1", "Email": "a@b.c", "Created at": "2024-05-01", "Total": ["9", None, None],
         "Lineitem name": ["mug", "cup", "cup"], "Lineitem quantity": ["1", "1", None]}
    )  # fmt: skip
    assert clean(cx.read(frame, preset="shopify")).kept_rows == 3


# ---- the formats


def test_tags_of_a_preset_of_ones_own_are_words_not_patterns(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[columns]\norder_id = "order_id"\n[rules]\ntest_tags = ["t.st", "(qa)"]\n')
    frame = orders(tags=["test", "(QA)", "T.ST,vip"])
    assert net(clean(cx.read(frame, preset=str(own)))) == {"1": 10}


def test_shopify_rules() -> None:
    good = {"Name": "#0", "Email": "Ann@Shop.com ", "Financial Status": "paid", "Currency": "EUR",
            "Total": "10.00", "Created at": "2024-05-01 23:30:00 -0500", "Refunded Amount": "0.00",
            "Tags": "vip, contest, test drive", "Payment Method": "Visa", "Cancelled at": ""}  # fmt: skip
    faults = [
        {}, {"Tags": "vip, Test"}, {"Tags": "test"}, {"Payment Method": "Bogus"},
        {"Cancelled at": "2024-05-02 10:00:00 -0500"}, {"Financial Status": "Pending"},
        {"Financial Status": "voided"}, {"Email": ""}, {"Refunded Amount": "10.00"},
        {"Refunded Amount": "4.00", "Financial Status": "partially_refunded"},
        {"Email": "\u2068ann@SHOP.com\u2069"}, {"Financial Status": "", "Tags": ""},
    ]  # fmt: skip
    frame = pd.DataFrame([{**good, **fault, "Name": f"#{n}"} for n, fault in enumerate(faults)])
    cleaned = clean(cx.read(frame, preset="shopify"), timezone="Europe/London")
    assert lost(cleaned) == {
        "test_order": (3, 30), "cancelled": (1, 10), "unpaid": (2, 20), "no_customer": (1, 10),
        "refunded_in_full": (1, 0),
    }  # fmt: skip
    table = cleaned.table.execute()
    assert set(table["order_id"]) == {"#0", "#9", "#10", "#11"}
    assert set(table["customer_id"]) == {"ann@shop.com"}
    assert set(table["ordered_at"]) == {pd.Timestamp("2024-05-02 05:30:00")}
    assert list(table.columns) == [
        "order_id", "customer_id", "ordered_at", "net_revenue", "currency", "payment_method",
    ]  # fmt: skip


def test_other_columns_keep_their_names_even_those_that_cleaning_might_use() -> None:
    names = ["rule", "revenue", "net", "copies", "belongs_to", "raw_rows", "is_refund", "country"]
    frame = orders(**dict.fromkeys(names, "x"), opened=True, item_id="gone", tags="gone")
    assert clean(frame).table.columns == (
        "order_id", "customer_id", "ordered_at", "net_revenue", *names, "opened",
    )  # fmt: skip


def test_a_chosen_currency_loses_the_others_and_the_unknown() -> None:
    rows = [total("1", 10), total("2", 20), total("3", 30), total("4", 40, cancelled_at="x")]
    frame = orders(rows, currency=["eur", "USD", None, "USD"])
    cleaned = clean(frame, currency="EUR")
    assert net(cleaned) == {"1": 10}
    assert cleaned.losses["rule"].tolist() == ["other_currency"]
    assert cleaned.losses["rows"].tolist() == [3]
    assert cleaned.losses[["revenue", "revenue_share"]].isna().all(axis=None)
    assert (cleaned.raw_revenue, cleaned.kept_revenue) == (10, 10)
    assert cx.waterfall(cleaned)["revenue_left"].tolist() == [10, 10, 10]


def two_currencies() -> pd.DataFrame:
    """Lines of 40 orders, every third in CHF, said on its first line only; each fault in both."""
    rows: list[dict[str, object]] = []
    for n in range(40):
        chf = n % 3 == 0
        one = total(str(n), 10 + n, currency="CHF" if chf else "EUR", money="CHF" if chf else "EUR")
        one |= {"refunded": 3 if n % 5 == 0 else 0, "status": "pending" if n % 7 == 0 else "paid"}
        one |= {"customer_id": None if n % 11 == 0 else f"c{n}"}
        one |= {"cancelled_at": "2024-06-01" if n % 13 == 0 else None}
        more = {**one, "amount": None, "refunded": None, "currency": None, "note": "second line"}
        rows += [
            one,
            more,
            *([one] if n % 4 == 0 else []),
            *([{**one, "amount": 1}] * (n % 9 == 0)),
        ]
    return pd.DataFrame(rows)


def test_a_chosen_currency_has_the_account_that_its_rows_alone_would_have() -> None:
    """Cleaning the rows of one currency alone is the oracle."""
    frame = two_currencies()
    both = clean(frame, currency="EUR")
    alone = clean(frame[frame["money"] == "EUR"])
    assert net(both) == net(alone)
    assert both.raw_revenue == pytest.approx(alone.raw_revenue)
    assert both.kept_revenue == pytest.approx(alone.kept_revenue)
    names = ["rule", "rows", "revenue", "revenue_share"]
    others = both.losses[both.losses["rule"] != "other_currency"]
    pd.testing.assert_frame_equal(
        others[names].reset_index(drop=True), alone.losses[names], check_exact=False
    )
    pd.testing.assert_frame_equal(
        both.notes.drop(columns="rows_share"), alone.notes.drop(columns="rows_share")
    )
    assert (
        both.losses.set_index("rule").loc["other_currency", "rows"]
        == (frame["money"] == "CHF").sum()
    )


def test_what_the_caller_leaves_out_does_not_count_towards_the_limit() -> None:
    frame = orders([total(str(n), 10, currency="CHF" if n < 80 else "EUR") for n in range(100)])
    frame.loc[80:84, "customer_id"] = None
    assert clean(frame, currency="EUR", max_loss=0.25).kept_rows == 15
    with pytest.raises(
        DataError, match=r"25\.0% of 20 rows and 25\.0% of the revenue: no_customer 5"
    ):
        clean(frame, currency="EUR", max_loss=0.24)
    frame = frame.assign(currency="EUR", customer_id=frame["customer_id"].fillna("reseller"))
    assert clean(frame, exclude=["reseller"], max_loss=0.0).lost_rows == 5


def test_a_currency_that_only_lost_orders_have_is_no_mix() -> None:
    cleaned = clean(orders(currency=["EUR", "USD", ""], customer_id=["ann", None, "cem"]))
    assert net(cleaned) == {"1": 10, "3": 30}


# ---- the limit of losses


def test_the_limit_counts_rows_and_the_size_of_revenue() -> None:
    frame = orders([total(str(n), 10) for n in range(18)] + [total("guest", 90), total("y", -90)])
    frame.loc[18, "customer_id"] = None
    with pytest.raises(DataError) as error:
        clean(frame, max_loss=0.3)
    assert str(error.value) == (
        "orders: cleaning drops 10.0% of 20 rows and 50.0% of the revenue: no_customer 1 (a guest: "
        "no customer id or e-mail); refund_unmatched 1 (a refund of something that this export does "
        "not hold); mend the export, or allow more with max_loss (now 0.3)"
    )
    assert clean(frame, max_loss=1).lost_rows == 2
    assert clean(frame.assign(amount=10), max_loss=0.05).lost_rows == 1
    with pytest.raises(DataError, match="cleaning drops 5.0% of 20 rows and 5.0% of the revenue"):
        clean(frame.assign(amount=10), max_loss=0.04)


def test_the_error_names_the_worst_rules_first_by_rows_or_revenue() -> None:
    rows = [total(str(n), 10) for n in range(7)]
    rows += [total("8", 10, is_test="yes"), total("9", 10, is_test="yes")]
    rows += [total("10", 500, cancelled_at="2024-05-02")]
    with pytest.raises(DataError, match=r"cancelled 1 \(.*\); test_order 2 \("):
        clean(orders(rows), max_loss=0.1)


def test_all_guests() -> None:
    with pytest.raises(DataError) as error:
        clean(orders(customer_id=None))
    assert str(error.value) == (
        "orders: cleaning drops 100.0% of 3 rows and 100.0% of the revenue: no_customer 3 "
        "(a guest: no customer id or e-mail); nothing is left to analyse"
    )
    with pytest.raises(DataError, match="nothing is left to analyse"):
        clean(orders(customer_id=None, currency="EUR"), currency="EUR")


def test_one_customer_is_enough() -> None:
    assert clean(orders().iloc[:1]).kept_rows == 1


def test_shares_are_of_the_sizes_of_all_orders_whatever_the_sign_of_their_sum() -> None:
    cleaned = clean(orders(amount=[10, -20, 5]))
    assert cleaned.losses["revenue_share"].tolist() == pytest.approx([-20 / 35])


def test_revenue_of_nothing_has_no_shares() -> None:
    cleaned = clean(orders(amount=0, customer_id=["ann", None, "cem"]))
    assert cleaned.losses["revenue_share"].tolist() == [0.0]


# ---- what comes back


def test_what_comes_back_is_shown_in_words() -> None:
    cleaned = clean(orders(customer_id=["ann", None, "cem"]))
    assert repr(cleaned) == "Cleaned(raw rows 3, kept 2, lost 1)"
    page = cleaned._repr_html_()
    assert "2 of 3 raw rows kept (66.7%)" in page
    for word in ("a guest: no customer id or e-mail", "33.3%", "20.00", "rows share"):
        assert word in page
    events = cx.clean_events(EVENTS, timezone="UTC", max_loss=1.0)
    assert "revenue" not in events._repr_html_()
    assert events.raw_revenue is None


def test_what_a_report_records_of_the_account() -> None:
    cleaned = clean(orders(customer_id=["ann", None, "cem"], currency="EUR"))
    assert cleaned.currency == "EUR"
    (bundle,) = cleaned._repr_mimebundle_().values()
    assert (bundle["table"], bundle["raw_rows"], bundle["kept_rows"]) == ("orders", 3, 2)
    assert bundle["rules"][0]["rule"] == "no_customer"
    whole = clean(orders())
    assert "3 of 3 raw rows kept (100.0%); nothing was lost." in whole._repr_html_()
    assert whole.currency is None
    assert clean(orders(currency="")).currency is None


def test_an_account_that_does_not_balance_never_leaves() -> None:
    lost = pd.DataFrame({"rule": ["no_time"], "rows": [1]})
    table = ibis.memtable(EVENTS)
    with pytest.raises(AssertionError, match="events: 5 raw rows, but 3 kept and 1 lost"):
        settle(cx.Cleaned(table, lost, 5, 3, contract=EVENTS_CONTRACT), lost, max_loss=1.0)


def test_the_raw_frame_is_not_changed() -> None:
    frame = orders(customer_id=[17850.0, None, 3.0])
    before = frame.copy()
    clean(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_the_table_outlives_the_export(tmp_path: Path) -> None:
    orders().to_csv(tmp_path / "x.csv", index=False)
    cleaned = clean(tmp_path / "x.csv")
    (tmp_path / "x.csv").unlink()
    assert cleaned.table.count().execute() == 3


# ---- events, exposures, answers


EVENTS = pd.DataFrame(
    [
        ("u1", "view", "2024-05-01T10:00:00Z", "e1"),
        ("u1", "view", "2024-05-01T10:00:00Z", "e1"),  # the same row
        ("u1", "view", "2024-05-01T10:00:09Z", "e1"),  # delivered again, later
        ("u1", "view", "2024-05-01T10:00:00Z", ""),  # no event id: no repeat of anything
        ("u1", "cart", "2024-05-01T10:00:00Z", ""),
        ("", "view", "2024-05-01T10:00:00Z", "e2"),
        ("u2", None, "2024-05-01T10:00:00Z", "e3"),
        ("u2", "view", None, "e4"),
        ("u3", "view", "2024-05-01T10:00:01Z", "e2"),  # the other with this id is lost already
    ],
    columns=["user_id", "event", "occurred_at", "event_id"],
)


def rules(cleaned: cx.Cleaned) -> dict[str, int]:
    return dict(zip(cleaned.losses["rule"], cleaned.losses["rows"], strict=True))


def test_events() -> None:
    cleaned = cx.clean_events(EVENTS, timezone="Europe/Paris", max_loss=1.0)
    assert rules(cleaned) == {
        "duplicate_row": 1, "duplicate_event": 1, "no_time": 1, "no_user": 1, "no_event": 1,
    }  # fmt: skip
    table = cleaned.table.execute()
    assert len(table) == cleaned.kept_rows == cleaned.raw_rows - cleaned.lost_rows == 4
    assert table["occurred_at"].dt.strftime("%H:%M:%S").tolist().count("12:00:00") == 3
    assert list(table.columns) == list(EVENTS.columns)
    without = cx.clean_events(EVENTS.drop(columns="event_id"), timezone="UTC", max_loss=1.0)
    assert rules(without) == {"duplicate_row": 2, "no_time": 1, "no_user": 1, "no_event": 1}


def test_events_of_a_preset_in_utc(tmp_path: Path) -> None:
    own = tmp_path / "ga.toml"
    own.write_text(
        'table = "events"\n[columns]\nuser_id = "who"\nevent = "what"\noccurred_at = "at"\n'
        '[rules]\ntimestamps = "utc"\n'
    )
    raw = cx.read(
        pd.DataFrame({"who": [7], "what": ["view"], "at": ["2024-05-01 10:00:00"]}), preset=str(own)
    )
    for naive, hour in ((None, 12), ("local", 10)):
        cleaned = cx.clean_events(raw, timezone="Europe/Paris", naive=naive)
        assert cleaned.table.execute().iloc[0].tolist() == [
            "7", "view", pd.Timestamp(2024, 5, 1, hour),
        ]  # fmt: skip


def test_exposures_may_repeat() -> None:
    raw = pd.DataFrame(
        {"user_id": ["u1", "u1", None, "u2", "u3"], "variant": ["A", "A", "B", "", "B"],
         "exposed_at": ["2024-05-01", "2024-05-01", "2024-05-01", "2024-05-01", None]}
    )  # fmt: skip
    cleaned = cx.clean_exposures(raw, timezone="UTC", max_loss=1.0)
    assert rules(cleaned) == {"no_time": 1, "no_user": 1, "no_variant": 1}
    assert cleaned.table.count().execute() == cleaned.kept_rows == 2


def test_responses() -> None:
    good = {"customer_id": "a", "responded_at": "2024-05-01", "kind": "NPS ", "score": "10"}
    faults: list[dict[str, object]] = [
        {}, {}, {"score": "0"}, {"score": "11"}, {"score": "-1"}, {"kind": "csat", "score": "5"},
        {"kind": "csat", "score": "0"}, {"kind": "ces", "score": "7"}, {"kind": "ces", "score": "8"},
        {"kind": "ces", "score": "0"},
        {"kind": "stars"}, {"kind": None}, {"score": ""}, {"customer_id": ""}, {"responded_at": ""},
    ]  # fmt: skip
    raw = pd.DataFrame([{**good, **fault} for fault in faults])
    cleaned = cx.clean_responses(raw, timezone="UTC", max_loss=1.0)
    assert rules(cleaned) == {
        "duplicate_row": 1, "no_time": 1, "no_customer": 1, "no_score": 1, "out_of_range": 5,
        "unknown_kind": 2,
    }  # fmt: skip
    assert set(cleaned.table.execute()["kind"]) == {"nps", "csat", "ces"}


@pytest.mark.parametrize("table", ["events", "exposures", "responses"])
def test_the_others_check_their_arguments_and_columns_too(table: str) -> None:
    clean_table = getattr(cx, f"clean_{table}")
    with pytest.raises(ColumnError, match=f"{table}: no columns '"):
        clean_table(orders().drop(columns="customer_id"), timezone="UTC")
    with pytest.raises(ParameterError, match="max_loss"):
        clean_table(EVENTS, timezone="UTC", max_loss=-1)


def test_events_that_cannot_be_read() -> None:
    raw = EVENTS.assign(occurred_at=["2024-05-01"] * 8 + ["yesterday"])
    with pytest.raises(DataError, match="events: 'occurred_at' holds 1 value .*'yesterday', row 9"):
        cx.clean_events(raw, timezone="UTC")
    answer = {"customer_id": ["a"], "responded_at": ["2024-05-01"], "kind": ["nps"]}
    with pytest.raises(DataError, match="responses: 'score' holds 1 value that is no number"):
        cx.clean_responses(pd.DataFrame({**answer, "score": ["ten"]}), timezone="UTC")


def test_an_email_is_one_customer_in_any_case_and_other_ids_keep_theirs() -> None:
    rows = orders_frame_for_ids([" Kunde@Example.com", "kunde@example.com", "ab1", "AB1"])
    kept = cx.clean_orders(rows, timezone="UTC").table.execute()
    assert sorted(kept["customer_id"]) == ["AB1", "ab1", "kunde@example.com", "kunde@example.com"]


def orders_frame_for_ids(ids: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "order_id": [f"o{k}" for k in range(len(ids))],
            "customer_id": ids,
            "ordered_at": "2024-05-01",
            "net_revenue": 10.0,
        }
    )


def test_a_preset_of_ones_own_says_how_dates_and_numbers_are_written(tmp_path: Path) -> None:
    preset = tmp_path / "mine.toml"
    preset.write_text(
        'columns = {order_id = "Nr", customer_id = "Mail", ordered_at = "Tag", net_revenue = "Summe"}\n'
        'rules = {date_format = "%d.%m.%Y", decimal = ","}\n'
    )
    raw = pd.DataFrame(
        {"Nr": ["1"], "Mail": ["a@example.com"], "Tag": ["31.01.2024"], "Summe": ["1.234,56"]}
    )
    kept = cx.clean_orders(
        cx.read(raw, preset=str(preset)), timezone="Europe/Berlin"
    ).table.execute()
    assert kept["ordered_at"][0] == pd.Timestamp("2024-01-31")
    assert kept["net_revenue"][0] == 1234.56
