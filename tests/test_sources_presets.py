"""Each known export: recognised, read, cleaned, and every count held against the rows themselves."""

from __future__ import annotations

from pathlib import Path

import exports
import pandas as pd
import pytest

import cxlib as cx
from cxlib.sources import Raw, load_preset, presets


def lost(cleaned: cx.Cleaned) -> dict[str, tuple[int, float]]:
    return {row.rule: (row.rows, round(row.revenue, 6)) for row in cleaned.losses.itertuples()}


def net(cleaned: cx.Cleaned) -> dict[str, float]:
    table = cleaned.table.execute()
    return dict(zip(table["order_id"], table["net_revenue"].round(6), strict=True))


def orders(raw: Raw, timezone: str = "UTC") -> cx.Cleaned:
    return cx.clean_orders(raw, timezone=timezone, max_loss=1.0)


def test_shopify(tmp_path: Path) -> None:
    raw = cx.read(exports.write(tmp_path / "orders.csv", exports.SHOPIFY))
    assert raw.origin == (
        "taken for shopify: it has Name, Email, Created at, Total and 7 more of its columns"
    )
    cleaned = orders(raw, "Europe/Paris")
    assert net(cleaned) == {"#1001": 30, "#1002": 15}
    assert lost(cleaned) == {
        "no_customer": (1, 15), "test_order": (1, 1), "cancelled": (1, 40), "unpaid": (1, 10),
    }  # fmt: skip
    assert cleaned.kept_rows == 3
    assert cleaned.table.execute()["ordered_at"].min() == pd.Timestamp("2025-10-07 09:50:26")


def test_woocommerce_guests_are_told_apart_by_email(tmp_path: Path) -> None:
    raw = cx.read(exports.write(tmp_path / "orders.csv", exports.WOOCOMMERCE))
    assert raw.origin.startswith(
        "taken for woocommerce: it has order_id, customer_email, order_date"
    )
    cleaned = orders(raw)
    assert net(cleaned) == {"101": 30, "102": 20, "103": 25}
    assert cleaned.table.execute()["customer_id"].nunique() == 3, "not one customer 0"
    assert lost(cleaned) == {
        "no_customer": (1, 70),
        "cancelled": (1, 60),
        "unpaid": (1, 10),
        "refunded_in_full": (1, 0),
    }


def test_woocommerce_with_american_dates_is_refused_until_told(tmp_path: Path) -> None:
    text = exports.WOOCOMMERCE.replace("2024-05-0", "5/").replace(" 10:00:00,", "/2024 10:00:00,")
    path = exports.write(tmp_path / "orders.csv", text.replace("/2024 10:01:00", " 10:01:00"))
    with pytest.raises(
        cx.DataError, match="7 values that are no date .first: '5/1/2024 10:00:00'.*date_format="
    ):
        orders(cx.read(path))
    told = cx.clean_orders(
        cx.read(path), timezone="UTC", max_loss=1.0, date_format="%m/%d/%Y %H:%M:%S"
    )
    assert told.table.execute()["ordered_at"].min() == pd.Timestamp("2024-05-01 10:00:00")


def test_magento_says_what_it_cannot_tell(tmp_path: Path) -> None:
    path = exports.write(tmp_path / "grid.csv", exports.MAGENTO)
    with pytest.raises(
        cx.ColumnError, match="as magento_grid: the export holds no customer_id; a name is no id"
    ):
        cx.read(path)
    cleaned = orders(cx.read(path, preset="magento_grid", columns={"customer_id": "Bill-to Name"}))
    assert net(cleaned) == {"000000011": 30, "000000014": 25}
    assert lost(cleaned) == {"refunded_in_full": (1, 0), "unpaid": (1, 10)}


@pytest.mark.parametrize(
    ("preset", "names"),
    [
        ("online_retail", ("InvoiceNo", "UnitPrice", "CustomerID")),
        ("online_retail_ii", ("Invoice", "Price", "Customer ID")),
    ],
)
def test_online_retail(tmp_path: Path, preset: str, names: tuple[str, str, str]) -> None:
    raw = cx.read(exports.write(tmp_path / "lines.csv", exports.online_retail(*names)))
    assert raw.preset is not None
    assert raw.preset.name == preset
    cleaned = orders(raw, "Europe/London")
    assert net(cleaned) == {"536365": 6 * 2.55 + 6 * 3.39, "536370": 20 * 3.75}
    assert lost(cleaned) == {
        "no_customer": (1, 34.8), "not_a_product": (1, 54), "adjustment": (1, 11062.06),
    }  # fmt: skip


def test_cdnow_has_no_header_and_no_order_numbers(tmp_path: Path) -> None:
    raw = cx.read(exports.write(tmp_path / "CDNOW_master.txt", exports.CDNOW))
    assert raw.origin == "taken for cdnow: its lines have that form"
    cleaned = orders(raw)
    assert (cleaned.raw_rows, cleaned.lost_rows) == (7, 0), "a line that looks like another is none"
    table = cleaned.table.execute()
    assert table.groupby("customer_id")["net_revenue"].sum().round(2).to_dict() == {
        "00001": 11.77, "00002": 89.0, "00003": 62.28, "00004": 0.0,
    }  # fmt: skip
    assert table["ordered_at"].max() == pd.Timestamp("1997-12-12")


def test_cdnow_lines_of_another_form_are_named(tmp_path: Path) -> None:
    path = exports.write(tmp_path / "log.txt", exports.CDNOW + " 00005 1997-01-01 1 2.00\n")
    with pytest.raises(cx.DataError, match="1 lines have another form .*first: line 8"):
        cx.read(path, preset="cdnow")


@pytest.mark.parametrize("write", [exports.ga4_json, exports.ga4_parquet])
def test_ga4_events_and_orders(tmp_path: Path, write: object) -> None:
    path = write(tmp_path / ("x.jsonl" if write is exports.ga4_json else "x.parquet"))  # type: ignore[operator]
    raw = cx.read(path)
    assert raw.origin.startswith(
        "taken for ga4: it has user_pseudo_id, event_name, event_timestamp"
    )
    events = cx.clean_events(raw, timezone="Europe/Berlin", max_loss=0.0)
    table = events.table.execute().sort_values("occurred_at", ignore_index=True)
    assert events.raw_rows == events.kept_rows == len(table) == 9
    assert table["occurred_at"][0] == pd.Timestamp("2024-05-01 12:00:00"), "UTC, on Berlin's clock"
    assert table["occurred_at"][3] == pd.Timestamp("2024-05-01 12:03:00.000060"), (
        "microseconds kept"
    )
    assert table.loc[0, ["session_id", "page", "device", "country", "medium"]].tolist() == [
        "1001", "https://shop/view_item", "mobile", "Germany", "(none)",
    ]  # fmt: skip
    steps = ["view_item", "purchase"]
    found = cx.funnel(events, steps=steps, window="7 days", as_of="2024-05-09")
    assert found["n"].tolist() == [2, 2]

    with pytest.raises(
        cx.ColumnError, match="which holds events; its orders are read by preset='ga4_orders'"
    ):
        orders(raw)
    sold = orders(cx.read(path, preset="ga4_orders"))
    assert sold.raw_rows == 5, "three purchases and two refunds"
    assert net(sold) == {"T1": 20, "T3": 20}
    assert lost(sold) == {"cancelled": (2, 50)}
    who = dict(sold.table.execute()[["order_id", "customer_id"]].to_numpy())
    assert who["T1"] == "1.171", "who bought, not who refunded"
    assert "only the rows with event_name purchase, refund" in sold.origin
    assert sold.currency == "USD"


def test_segment_calls_and_their_orders(tmp_path: Path) -> None:
    path = exports.segment(tmp_path / "calls.jsonl")
    events = cx.clean_events(cx.read(path), timezone="Europe/Berlin", max_loss=0.0)
    assert "taken for segment: it has anonymousId, event, timestamp" in events.origin
    assert events.raw_rows == 6, "the page call is none"
    assert events.table["occurred_at"].min().execute() == pd.Timestamp("2024-05-01 12:01:00")
    sold = orders(cx.read(path, preset="segment_orders"))
    assert net(sold) == {"O1": 20}
    assert lost(sold)["cancelled"][0] >= 1
    assert sold.table.execute()["customer_id"].tolist() == ["user-1"]


def test_segment_tracks_of_a_warehouse(tmp_path: Path) -> None:
    raw = cx.read(exports.write(tmp_path / "tracks.csv", exports.SEGMENT_TRACKS))
    events = cx.clean_events(raw, timezone="America/New_York", max_loss=0.5)
    assert events.losses[["rule", "rows"]].to_numpy().tolist() == [["duplicate_event", 1]]
    table = events.table.execute()
    assert sorted(table["event"]) == ["Order Completed", "Product Viewed"]
    assert table["occurred_at"].min() == pd.Timestamp("2024-05-01 06:00:00")


def test_snowplow_events_and_orders(tmp_path: Path) -> None:
    path = exports.write(tmp_path / "events.csv", exports.SNOWPLOW)
    events = cx.clean_events(cx.read(path), timezone="UTC", max_loss=0.0)
    assert events.raw_rows == 5
    sold = orders(cx.read(path, preset="snowplow_orders"))
    assert net(sold) == {"T1": 18, "T2": 20}
    assert lost(sold) == {}
    assert sorted(sold.table.execute()["customer_id"]) == ["d1", "d2"]


# ---- which export it is


def test_every_preset_loads_and_is_tried_above() -> None:
    here = Path(__file__).read_text()
    for name in presets():
        assert load_preset(name).title
        assert name in here, f"{name} has no sample"


def test_names_with_marks_case_and_blanks_are_matched_and_said(tmp_path: Path) -> None:
    text = exports.SHOPIFY.replace("Name,Email", "\u200fname , EMAIL\u00a0", 1)
    raw = cx.read(exports.write(tmp_path / "x.csv", text, "utf-8-sig"))
    assert raw.preset is not None
    assert raw.preset.name == "shopify"
    assert raw.notes == (
        "read 'name', 'EMAIL' without blanks or unseen marks of the header",
        "took 'name' as 'Name', 'EMAIL' as 'Email'",
    )
    page = raw._repr_html_()
    assert "taken for shopify" in page
    assert "EMAIL" in page
    cleaned = orders(raw)
    assert net(cleaned) == {"#1001": 30, "#1002": 15}
    assert "x.csv taken for shopify: it has name, EMAIL" in cleaned.origin
    assert "took &#x27;name&#x27;" in cleaned._repr_html_()


def test_a_table_that_could_be_two_exports_is_refused() -> None:
    both = [
        "Name",
        "Email",
        "Total",
        "InvoiceNo",
        "CustomerID",
        "InvoiceDate",
        "StockCode",
        "Quantity",
        "UnitPrice",
    ]
    frame = pd.DataFrame({name: ["1"] for name in [*both, "Created at"]})
    with pytest.raises(cx.DataError) as error:
        cx.read(frame)
    assert str(error.value) == (
        "source 'pandas frame': its columns are those of online_retail and of shopify; say which "
        "it is: preset='online_retail'"
    )
    assert cx.read(frame, preset="shopify").table.columns[0] == "order_id"


def test_columns_are_explicit_and_nothing_is_recognised(tmp_path: Path) -> None:
    path = exports.write(tmp_path / "x.csv", exports.SHOPIFY)
    columns = {
        "order_id": "Name",
        "customer_id": "Email",
        "ordered_at": "Created at",
        "net_revenue": "Total",
    }
    raw = cx.read(path, columns=columns)
    assert (raw.preset, raw.origin) == (None, "")


def test_an_unknown_export_says_which_columns_may_be_meant() -> None:
    frame = pd.DataFrame(
        {"Order No": ["1"], "E-Mail": ["a@b.c"], "Date": ["2024-05-01"], "Gross": ["9"]}
    )
    with pytest.raises(cx.ColumnError) as error:
        orders(cx.read(frame))
    assert str(error.value) == (
        "orders: no columns 'order_id', 'customer_id', 'ordered_at', 'net_revenue'; it has "
        "Order No, E-Mail, Date, Gross. Give perhaps columns={'order_id': 'Order No', 'customer_id': "
        "'E-Mail', 'ordered_at': 'Date', 'net_revenue': 'your name'} in cx.read. In place of "
        "net_revenue: amount and refunded, or quantity and unit_price of each line."
    )


def test_the_headers_of_the_readme_are_all_guessed() -> None:
    with pytest.raises(cx.ColumnError) as error:
        orders(cx.read(pd.DataFrame({"Nr": ["1"], "Mail": ["a"], "Date": ["x"], "Paid": ["9"]})))
    columns = (
        "{'order_id': 'Nr', 'customer_id': 'Mail', 'ordered_at': 'Date', 'net_revenue': 'Paid'}"
    )
    assert f"Give perhaps columns={columns} in cx.read." in str(error.value)


def test_lines_with_a_price_each_are_guessed_as_such() -> None:
    frame = pd.DataFrame(
        {"Number": ["1"], "Email": ["a"], "Datum": ["x"], "Qty": [1], "Price": [2]}
    )
    with pytest.raises(cx.ColumnError) as error:
        orders(cx.read(frame))
    assert "'ordered_at': 'Datum', 'quantity': 'Qty', 'unit_price': 'Price'}" in str(error.value)
    assert str(error.value).endswith("net_revenue (or amount and refunded) of each order.")


@pytest.mark.parametrize(
    ("given", "meant"),
    [("netrevenue", "net_revenue"), ("Order_ID", "order_id"), ("order_at", "ordered_at")],
)
def test_a_slip_in_one_of_our_names_is_no_column(given: str, meant: str) -> None:
    frame = pd.DataFrame({"Nr": ["1"], "Paid": ["9"]})
    with pytest.raises(cx.ColumnError, match=f"{given!r}, which is none .* mean {meant!r}"):
        cx.read(frame, columns={given: "Paid"})


@pytest.mark.parametrize("name", ["order_date", "gross_revenue", "score_2", "session_id", "refund"])
def test_a_name_of_ones_own_is_taken(name: str) -> None:
    frame = pd.DataFrame({"Nr": ["1"], "Paid": ["9"]})
    assert name in cx.read(frame, columns={name: "Paid"}).table.columns


def test_our_own_names_in_another_case_are_ours() -> None:
    frame = pd.DataFrame(
        {
            "Order_ID": ["1"],
            "CUSTOMER_ID": ["a"],
            "ordered_at": ["2024-05-01"],
            "net_revenue": ["9"],
        }
    )
    assert net(orders(cx.read(frame))) == {"1": 9}


def test_what_was_taken_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="cxlib")
    cx.read(exports.write(tmp_path / "x.csv", exports.CDNOW))
    assert caplog.messages == ["x.csv: taken for cdnow: its lines have that form"]


def test_a_preset_may_say_the_encoding(tmp_path: Path) -> None:
    own = exports.write(
        tmp_path / "kasse.toml",
        '[columns]\norder_id = "Nr"\ncustomer_id = "Kunde"\nordered_at = "Tag"\nnet_revenue = "Betrag"\n'
        '[rules]\nencoding = "cp1252"\ndecimal = ","\ndate_format = "%d.%m.%Y"\n',
    )
    text = "Nr;Kunde;Tag;Betrag\n1;Jürgen;01.05.2024;1.234,50\n2;Zoë;02.05.2024;5,00\n"
    raw = cx.read(exports.write(tmp_path / "x.csv", text, "cp1252"), preset=str(own))
    assert raw.notes == ("read as cp1252",)
    assert net(orders(raw)) == {"1": 1234.5, "2": 5}
    assert set(raw.table["customer_id"].execute()) == {"Jürgen", "Zoë"}
