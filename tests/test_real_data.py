"""UCI Online Retail, cleaned: its README's counts, and every figure once more in pandas.

The data is not part of the project: CX_REAL_DATA names the folder that holds online_retail.parquet.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cxlib as cx
from cxlib.tables import ORDERS, check_rows

FOLDER = os.environ.get("CX_REAL_DATA")
pytestmark = pytest.mark.skipif(
    not FOLDER, reason="CX_REAL_DATA names no folder with online_retail.parquet; see the README"
)
LINE = ["InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID"]


@pytest.fixture(scope="module")
def path() -> Path:
    return Path(FOLDER or "") / "online_retail.parquet"


@pytest.fixture(scope="module")
def cleaned(path: Path) -> cx.Cleaned:
    return cx.clean_orders(cx.read(path, preset="online_retail"), timezone="Europe/London")


@pytest.fixture(scope="module")
def frame(path: Path) -> pd.DataFrame:
    frame = pd.read_parquet(path)
    return frame.assign(revenue=frame["Quantity"] * frame["UnitPrice"])


@pytest.fixture(scope="module")
def lines(frame: pd.DataFrame) -> pd.DataFrame:
    """Distinct lines with the rule of each, and the order that each counts for: pandas alone."""
    lines = frame.drop_duplicates().reset_index(drop=True)
    codes = ["POST", "DOT", "M", "m", "C2", "D", "S", "B", "AMAZONFEE", "CRUK", "PADS"] + [
        "BANK CHARGES"
    ]
    odd = lines["StockCode"].isin(codes) | lines["StockCode"].str.startswith("gift_")
    adjusting = lines["InvoiceNo"].str.startswith("A")
    lines["rule"] = np.select([adjusting, odd], ["adjustment", "not_a_product"], "")
    lines["is_refund"] = lines["InvoiceNo"].str.startswith("C") | (lines["Quantity"] < 0)
    lines["order"] = lines["InvoiceNo"]

    good = lines[(lines["rule"] == "") & lines["CustomerID"].notna()]
    who = ["CustomerID", "StockCode"]
    # of several purchases at one moment the largest invoice number, as the docstring says
    bought = good[~good["is_refund"]].sort_values(["InvoiceDate", "InvoiceNo"])
    refunds = good[good["is_refund"]].sort_values("InvoiceDate")
    found = pd.merge_asof(
        refunds.reset_index(),
        bought[[*who, "InvoiceDate", "InvoiceNo"]].rename(columns={"InvoiceNo": "found"}),
        on="InvoiceDate",
        by=who,
    ).set_index("index")["found"]
    lines.loc[found[found.isna()].index, "rule"] = "refund_unmatched"
    lines.loc[found[found.notna()].index, "order"] = found.dropna()
    return lines


@pytest.fixture(scope="module")
def orders(lines: pd.DataFrame) -> pd.DataFrame:
    """One row per order, with its rule, in pandas."""
    left = lines[lines["rule"] == ""]
    placed = left[~left["is_refund"]].groupby("order")["InvoiceDate"].min()
    refunded = left[left["is_refund"]].groupby("order")["revenue"].sum()
    orders = left.groupby("order").agg(
        who=("CustomerID", "first"), revenue=("revenue", "sum"), rows=("revenue", "size")
    )
    orders = orders.assign(at=placed, refunded=refunded).fillna({"refunded": 0.0})
    in_full = (orders["refunded"] < 0) & (orders["revenue"] < 1e-6)
    orders["rule"] = np.select(
        [orders["who"].isna(), in_full], ["no_customer", "refunded_in_full"], ""
    )
    return orders


def test_the_export_is_the_one_that_its_readme_describes(
    cleaned: cx.Cleaned, frame: pd.DataFrame
) -> None:
    assert cleaned.raw_rows == len(frame) == 541_909
    assert frame["CustomerID"].isna().mean() == pytest.approx(0.249, abs=5e-4)
    assert frame["InvoiceNo"].str.startswith("C").sum() == 9_288
    lost = cleaned.losses.set_index("rule")["rows"]
    assert lost["duplicate_row"] == 5_268
    assert lost["adjustment"] == 3
    assert cleaned.raw_revenue == pytest.approx(frame["revenue"].sum())


def test_every_loss_is_the_one_that_pandas_counts(
    cleaned: cx.Cleaned, frame: pd.DataFrame, lines: pd.DataFrame, orders: pd.DataFrame
) -> None:
    repeated = frame[frame.duplicated()]
    by_line = lines[lines["rule"] != ""].groupby("rule")["revenue"].agg(["size", "sum"])
    by_order = orders[orders["rule"] != ""].groupby("rule")[["rows", "revenue"]].sum()
    expected = {"duplicate_row": (len(repeated), pytest.approx(repeated["revenue"].sum()))}
    for rule, (rows, revenue) in by_line.iterrows():
        expected[rule] = (rows, pytest.approx(revenue))
    for rule, (rows, revenue) in by_order.iterrows():
        expected[rule] = (rows, pytest.approx(revenue, abs=1e-6))
    found = {row.rule: (row.rows, row.revenue) for row in cleaned.losses.itertuples()}
    assert found == expected


def test_every_kept_order_is_the_one_that_pandas_makes(
    cleaned: cx.Cleaned, orders: pd.DataFrame
) -> None:
    kept = orders[orders["rule"] == ""].sort_index()
    table = cleaned.table.execute().set_index("order_id").sort_index()
    assert table.index.tolist() == kept.index.tolist()
    assert table["customer_id"].tolist() == kept["who"].astype(int).astype(str).tolist()
    assert table["ordered_at"].tolist() == kept["at"].tolist()
    np.testing.assert_allclose(table["net_revenue"], kept["revenue"], atol=1e-6)
    assert cleaned.kept_rows == kept["rows"].sum()
    assert cleaned.kept_revenue == pytest.approx(kept["revenue"].sum(), rel=1e-9)
    check_rows(cleaned.table, ORDERS)


def test_figures_that_a_reader_can_hold_against_the_page(cleaned: cx.Cleaned) -> None:
    # from the pandas account in this file, on the copy of the R package onlineretail
    assert cleaned.kept_rows == 396_668
    assert cleaned.table.count().execute() == 18_274
    assert cleaned.kept_revenue == pytest.approx(8_292_147.04, abs=0.005)
    assert cleaned.kept_rows + cleaned.losses["rows"].sum() == 541_909
    assert cleaned.kept_revenue + cleaned.losses["revenue"].sum() == pytest.approx(
        cleaned.raw_revenue, rel=1e-6
    )


def test_the_order_of_80_995_units_nets_to_nothing(
    cleaned: cx.Cleaned, orders: pd.DataFrame
) -> None:
    assert orders.loc["581483", ["rows", "revenue", "rule"]].tolist() == [
        2,
        0.0,
        "refunded_in_full",
    ]
    table = cleaned.table
    assert table.filter(table.order_id.isin(["581483", "C581484"])).count().execute() == 0
    assert table.net_revenue.max().execute() < 100_000


def test_cleaning_twice_loses_nothing(cleaned: cx.Cleaned) -> None:
    again = cx.clean_orders(cleaned, timezone="Europe/London", max_loss=0.0)
    assert again.kept_rows == 18_274
    assert again.kept_revenue == pytest.approx(cleaned.kept_revenue)
