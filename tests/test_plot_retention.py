"""Pictures of retention and segments: what they draw, what they say, and the worst tables."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import cxlib as cx

mpl.use("Agg")


@pytest.fixture(scope="module")
def orders() -> cx.Cleaned:
    raw = cx.simulate.orders(500, start="2023-06-01", as_of="2024-06-30", seed=3)
    raw["country"] = np.where(raw["customer_id"].str[-1].isin(list("02468")), "GB", "DE")
    return cx.clean_orders(raw, timezone="UTC")


AS_OF = "2024-06-15"


def test_the_heat_map_says_the_range_of_the_first_period(orders: cx.Cleaned) -> None:
    table = cx.retention(orders, as_of=AS_OF)
    ax = cx.plot.retention(table)
    known = table[(table["age"] == 1) & table["is_complete"]]
    best = known.loc[known["retention_rate"].idxmax()]
    assert f"{best['retention_rate']:.0%} of that of {best['cohort']:%Y-%m-%d}" in ax.figure.reading
    mean = known["n_active"].sum() / known["n"].sum()
    assert f"{mean:.0%} ordered again" in ax.figure.reading
    assert ax.figure.reading in ax.figure.alt
    sizes = [label.get_text().split()[-1] for label in ax.get_yticklabels()]
    assert sizes == [f"{n:,}" for n in table.loc[table["age"] == 1, "n"]]


def test_brackets_are_named_below_the_cells_and_the_curve(orders: cx.Cleaned) -> None:
    table = cx.retention(orders, period="week", as_of=AS_OF, brackets=[1, 3, 7, 30])
    for ax in (cx.plot.retention(table), cx.plot.retention_curve(cx.retention_curve(table))):
        assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "2–3", "4–7", "8–30"]


def test_many_cohorts_have_labels_with_room_between(orders: cx.Cleaned) -> None:
    ax = cx.plot.retention(cx.retention(orders, period="day", as_of="2023-09-30"))
    named = [label for label in ax.get_yticklabels() if label.get_text()]
    assert 0 < len(named) <= 60


def test_a_young_shop_says_that_nothing_is_known() -> None:
    orders = pd.DataFrame(
        {"order_id": ["1"], "customer_id": "ann", "ordered_at": pd.Timestamp("2024-01-02"),
         "net_revenue": 1.0}
    )  # fmt: skip
    table = cx.retention(orders, as_of="2024-02-10")
    assert "No cohort has completed" in cx.plot.retention(table).figure.reading
    curve = cx.retention_curve(table)
    assert "No cohort has completed" in cx.plot.retention_curve(curve).figure.reading
    empty = cx.time_to_second_order(orders, as_of="2024-02-10")
    assert empty.empty
    assert cx.plot.time_to_second_order(empty).figure.reading == "Nobody has ordered a second time."
    one = cx.retention(orders, as_of="2024-02-29")
    assert "0% of the one cohort" in cx.plot.retention(one).figure.reading


def test_the_curve_says_its_ends(orders: cx.Cleaned) -> None:
    curve = cx.retention_curve(cx.retention(orders, as_of=AS_OF))
    reading = cx.plot.retention_curve(curve).figure.reading
    assert f"{curve['retention_rate'][1]:.0%} at period 1 and" in reading
    groups = cx.retention_curve(cx.retention(orders, as_of=AS_OF, by="country"))
    assert "highest and the lowest" in cx.plot.retention_curve(groups).figure.reading


def test_bands_are_left_out_where_they_would_hide_one_another(orders: cx.Cleaned) -> None:
    curve = cx.retention_curve(cx.retention(orders, as_of=AS_OF))
    wait = cx.time_to_second_order(orders, as_of=AS_OF)
    for draw, table in ((cx.plot.retention_curve, curve), (cx.plot.time_to_second_order, wait)):
        for n_groups in (4, 5):
            parts = [table.assign(group=f"g{k}") for k in range(n_groups)]
            many = pd.concat(parts)[["group", *table.columns]]
            ax = draw(many)
            assert len(ax.collections) == (4 if n_groups == 4 else 0)
            assert ("band" in ax.get_title(loc="left")) == (n_groups == 4)


def test_the_wait_is_drawn_from_nothing_with_customers_at_risk(orders: cx.Cleaned) -> None:
    table = cx.time_to_second_order(orders, as_of=AS_OF)
    ax = cx.plot.time_to_second_order(table)
    assert ax.lines[0].get_xydata()[0].tolist() == [0, 0]
    assert list(ax.lines[0].get_ydata()[1:]) == table["repeat_rate"].tolist()
    below = dict(label.get_text().split("\n") for label in ax.get_xticklabels())
    at_90 = table.loc[table["days"] >= 90, "n_at_risk"].iloc[0]
    assert below["90"] == f"{at_90:,}"
    row = table[table["days"] <= 30].iloc[-1]
    assert f"day 30, {row['repeat_rate']:.0%} had ordered again" in ax.figure.reading
    groups = cx.time_to_second_order(orders, as_of=AS_OF, by="country")
    assert cx.plot.time_to_second_order(groups).figure.reading.startswith("DE: by day 30")


def test_a_wait_that_ends_with_everybody_back_is_read_without_interval() -> None:
    table = pd.DataFrame({"days": [3], "n_at_risk": [1], "repeat_rate": [1.0], "ci_low": [np.nan],
                          "ci_high": [np.nan]})  # fmt: skip
    reading = cx.plot.time_to_second_order(table).figure.reading
    assert reading == "By day 3, the last seen, 100% had ordered again."


def test_the_map_of_segments_covers_the_grid_and_names_customers(orders: cx.Cleaned) -> None:
    sizes = cx.segment_sizes(cx.rfm(orders, as_of=AS_OF))
    ax = cx.plot.segment_sizes(sizes)
    assert len(ax.patches) == len(sizes)
    for box, row in zip(ax.patches, sizes.itertuples(), strict=True):
        low, high = (int(row.recency[0]), int(row.recency[-1]))
        assert (box.get_x(), box.get_width()) == (low - 0.5, high - low + 1)
    assert [f"{row.n:,} (" in text.get_text() for row, text in zip(sizes.itertuples(), ax.texts, strict=True)]  # fmt: skip
    none = cx.plot.segment_sizes(sizes.assign(revenue_share=np.nan))
    assert "brought no of the" not in none.figure.reading


def test_the_moves_are_read(orders: cx.Cleaned) -> None:
    moved = cx.rfm_movement(orders, from_date="2024-03-31", to_date=AS_OF)
    ax = cx.plot.rfm_movement(moved)
    old = moved[~moved["from_segment"].str.startswith("(")]
    stayed = old.loc[old["from_segment"] == old["to_segment"], "n"].sum()
    assert ax.figure.reading.startswith(f"{stayed:,} of {old['n'].sum():,} customers stayed")
    still = moved[moved["from_segment"] == moved["to_segment"]]
    assert "largest" not in cx.plot.rfm_movement(still).figure.reading
