"""Small exports of every known format, row by row as their public documentation shows them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def csv(header: str, *lines: str) -> str:
    return "\n".join([header, *lines]) + "\n"


SHOPIFY = csv(
    "Name,Email,Financial Status,Currency,Total,Created at,Lineitem quantity,Lineitem name,"
    "Cancelled at,Payment Method,Refunded Amount,Tags,Source",
    # two line items: the order's own fields stand on its first row only
    '#1001,Ann@Shop.com,paid,EUR,30.00,2025-10-07 09:50:26 +0200,1,Mug,,Visa,0.00,"vip, new",web',
    "#1001,Ann@Shop.com,,,,2025-10-07 09:50:26 +0200,2,Cup,,,,,",
    "#1002,bob@shop.com,paid,EUR,20.00,2025-10-08 10:00:00 +0200,1,Mug,,Visa,5.00,,web",
    "#1003,cem@shop.com,voided,EUR,10.00,2025-10-08 11:00:00 +0200,1,Mug,,Visa,0.00,,web",
    "#1004,,paid,EUR,15.00,2025-10-09 11:00:00 +0200,1,Mug,,Visa,0.00,,pos",
    "#1005,dan@shop.com,paid,EUR,40.00,2025-10-09 12:00:00 +0200,1,Mug,2025-10-10 09:00:00 +0200,"
    "Visa,0.00,,web",
    "#1006,qa@shop.com,paid,EUR,1.00,2025-10-10 12:00:00 +0200,1,Mug,,Bogus,0.00,test,web",
)

WOOCOMMERCE = csv(
    "order_id,order_number,order_date,paid_date,status,order_total,order_currency,payment_method,"
    "customer_id,customer_user,customer_email,billing_first_name,billing_country",
    "101,101,2024-05-01 10:00:00,2024-05-01 10:01:00,completed,30.00,GBP,stripe,5,5,Ann@shop.com,Ann,GB",
    # two guests share customer_id 0, and are two people all the same
    "102,102,2024-05-02 10:00:00,2024-05-02 10:01:00,processing,20.00,GBP,paypal,0,0,bob@shop.com,Bob,GB",
    "103,103,2024-05-03 10:00:00,2024-05-03 10:01:00,completed,25.00,GBP,paypal,0,0,cem@shop.com,Cem,IE",
    "104,104,2024-05-04 10:00:00,,pending,10.00,GBP,cheque,5,5,ann@shop.com,Ann,GB",
    "105,105,2024-05-05 10:00:00,2024-05-05 10:01:00,refunded,50.00,GBP,stripe,5,5,ann@shop.com,Ann,GB",
    "106,106,2024-05-06 10:00:00,,cancelled,60.00,GBP,stripe,0,0,dan@shop.com,Dan,GB",
    "107,107,2024-05-07 10:00:00,2024-05-07 10:01:00,completed,70.00,GBP,stripe,0,0,,Eve,GB",
)

MAGENTO = csv(
    "ID,Purchase Point,Purchase Date,Bill-to Name,Ship-to Name,Grand Total (Base),"
    "Grand Total (Purchased),Status",
    "000000011,Main Website,2024-05-01 10:00:00,Ann Reed,Ann Reed,30.0000,30.0000,complete",
    "000000012,Main Website,2024-05-02 10:00:00,Bob Roe,Bob Roe,20.0000,20.0000,closed",
    "000000013,Main Website,2024-05-03 10:00:00,Ann Reed,Bea Reed,10.0000,10.0000,Pending Payment",
    "000000014,Main Website,2024-05-04 10:00:00,Cem Oz,Cem Oz,25.0000,25.0000,processing",
)

LINES = (
    ("536365", "85123A", "WHITE HOLDER", "6", "2010-12-01 08:26:00", "2.55", "17850"),
    ("536365", "71053", "WHITE LANTERN", "6", "2010-12-01 08:26:00", "3.39", "17850"),
    ("536370", "POST", "POSTAGE", "3", "2010-12-01 08:45:00", "18.00", "12583"),
    ("536370", "22728", "ALARM CLOCK", "24", "2010-12-01 08:45:00", "3.75", "12583"),
    ("C536379", "22728", "ALARM CLOCK", "-4", "2010-12-02 09:41:00", "3.75", "12583"),
    ("536380", "22961", "JAM MAKING SET", "24", "2010-12-02 09:41:00", "1.45", ""),
    ("A563185", "B", "Adjust bad debt", "1", "2011-08-12 14:50:00", "11062.06", ""),
)


def online_retail(invoice: str, price: str, customer: str) -> str:
    header = f"{invoice},StockCode,Description,Quantity,InvoiceDate,{price},{customer},Country"
    return csv(header, *[",".join((*line, "United Kingdom")) for line in LINES])


# the first lines of the master log, and two of one customer on one day
CDNOW = (
    " 00001 19970101  1   11.77\n 00002 19970112  1   12.00\n 00002 19970112  5   77.00\n"
    " 00003 19970102  2   20.76\n 00003 19970330  2   20.76\n 00003 19970330  2   20.76\n"
    " 00004 19971212  1    0.00\n"
)


def ga4_rows() -> list[dict[str, Any]]:
    """Nine events of three devices; two purchases, one refunded in part and one whole."""
    start = 1_714_557_600_000_000  # 2024-05-01 10:00:00 UTC

    def event(name: str, who: str, minute: float, **ecommerce: Any) -> dict[str, Any]:
        session = {"key": "ga_session_id", "value": _value(int_value=1000 + int(who))}
        page = {"key": "page_location", "value": _value(string_value=f"https://shop/{name}")}
        money = {"key": "currency", "value": _value(string_value="USD")}
        known = {"transaction_id": None, "purchase_revenue": None, "refund_value": None}
        return {
            "event_date": "20240501",
            "event_timestamp": start + int(minute * 60_000_000),
            "event_name": name,
            "event_params": [session, page, *([money] if ecommerce else [])],
            "user_id": None,
            "user_pseudo_id": f"{who}.171",
            "device": {"category": "mobile"},
            "geo": {"country": "Germany"},
            "traffic_source": {"name": "(direct)", "medium": "(none)", "source": "(direct)"},
            "platform": "WEB",
            "ecommerce": {**known, **ecommerce},
        }

    return [
        event("view_item", "1", 0),
        event("add_to_cart", "1", 1),
        event("begin_checkout", "1", 2),
        event("purchase", "1", 3.000001, transaction_id="T1", purchase_revenue=30.0),
        event("view_item", "2", 4),
        event("purchase", "2", 5, transaction_id="T2", purchase_revenue=50.0),
        event("purchase", "3", 6, transaction_id="T3", purchase_revenue=20.0),
        # the shop's back office refunds, under an id of its own
        event("refund", "9", 60, transaction_id="T1", refund_value=10.0),
        event("refund", "9", 61, transaction_id="T2"),
    ]


def _value(string_value: str | None = None, int_value: int | None = None) -> dict[str, Any]:
    return {
        "string_value": string_value,
        "int_value": int_value,
        "float_value": None,
        "double_value": None,
    }


def _without_nulls(value: Any) -> Any:
    """Return what BigQuery writes as JSON: no nulls, whole numbers as text."""
    if isinstance(value, dict):
        kept = {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
        return {key: inner for key, inner in kept.items() if inner != {}}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value]
    return str(value) if isinstance(value, int) else value


def ga4_json(path: Path) -> Path:
    lines = [json.dumps(_without_nulls(row)) for row in ga4_rows()]
    return write(path, "\n".join(lines) + "\n")


def ga4_parquet(path: Path) -> Path:
    value = pa.struct(
        [("string_value", pa.string()), ("int_value", pa.int64()),
         ("float_value", pa.float64()), ("double_value", pa.float64())]
    )  # fmt: skip
    params = pa.list_(pa.struct([("key", pa.string()), ("value", value)]))
    money = pa.struct(
        [("transaction_id", pa.string()), ("purchase_revenue", pa.float64()),
         ("refund_value", pa.float64())]
    )  # fmt: skip
    table = pa.Table.from_pylist(ga4_rows())
    for name, kind in (("event_params", params), ("ecommerce", money), ("user_id", pa.string())):
        column = pa.array([row[name] for row in ga4_rows()], kind)
        table = table.set_column(table.column_names.index(name), name, column)
    pq.write_table(table, path)
    return path


def segment(path: Path) -> Path:
    """Six tracks and a page call of two browsers; one order refunded in part, one cancelled."""

    def call(event: str | None, who: str, minute: int, **properties: Any) -> dict[str, Any]:
        return {
            "type": "track" if event else "page",
            "event": event,
            "anonymousId": f"browser-{who}",
            "userId": f"user-{who}",
            "messageId": f"ajs-{who}-{minute}-{event}",
            "timestamp": f"2024-05-01T10:{minute:02}:00.000Z",
            "properties": properties,
            "context": {"page": {"path": "/mug"}, "campaign": {"name": "spring"}},
        }

    money = {"currency": "USD"}
    calls = [
        call(None, "1", 0),
        call("Product Viewed", "1", 1),
        call("Checkout Started", "1", 2),
        call("Order Completed", "1", 3, order_id="O1", total=30.0, revenue=25.0, **money),
        call("Order Completed", "2", 4, order_id="O2", total=50.0, revenue=45.0, **money),
        call("Order Refunded", "1", 40, order_id="O1", total=10.0, **money),
        call("Order Cancelled", "2", 41, order_id="O2", total=50.0, **money),
    ]
    return write(path, "\n".join(map(json.dumps, calls)) + "\n")


SEGMENT_TRACKS = csv(
    "id,anonymous_id,user_id,event,event_text,timestamp,received_at,context_page_path",
    "m1,b1,,product_viewed,Product Viewed,2024-05-01 10:00:00.000,2024-05-01 10:00:01,/mug",
    "m2,b1,u1,order_completed,Order Completed,2024-05-01 10:05:00.000,2024-05-01 10:05:01,/done",
    # sent twice
    "m2,b1,u1,order_completed,Order Completed,2024-05-01 10:05:00.000,2024-05-01 10:07:01,/done",
)

SNOWPLOW = csv(
    "event_id,domain_userid,network_userid,user_id,domain_sessionid,derived_tstamp,"
    "ecommerce_action_type,cart_id,transaction_id,transaction_revenue,transaction_currency,refund_amount",
    "e1,d1,n1,,s1,2024-05-01 10:00:00.000,product_view,,,,,",
    "e2,d1,n1,,s1,2024-05-01 10:01:00.000,add_to_cart,c1,,,,",
    "e3,d1,n1,u1,s1,2024-05-01 10:02:00.000,transaction,c1,T1,30.00,EUR,",
    "e4,d2,n2,u2,s2,2024-05-01 11:00:00.000,transaction,c2,T2,20.00,EUR,",
    "e5,d9,n9,,s9,2024-05-02 11:00:00.000,refund,,T1,,EUR,12.00",
)
