"""RFM scores against a recount in numpy, the segment grid, sizes, and bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import cxlib as cx
from cxlib.segments import NOT_YET, SEGMENTS, SIZES

AS_OF = "2024-06-30"


def random_orders(seed: int, n_customers: int = 400) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    customer = np.repeat(np.arange(n_customers), draw.geometric(0.5, n_customers)).astype(str)
    seconds = draw.integers(0, 180 * 86400, len(customer))
    return pd.DataFrame(
        {
            "order_id": [f"o{place}" for place in range(len(customer))],
            "customer_id": customer,
            "ordered_at": pd.Timestamp("2024-01-01") + pd.to_timedelta(seconds, unit="s"),
            "net_revenue": draw.integers(1, 60, len(customer)) * 2.5,
        }
    )


def scored(orders: pd.DataFrame, **arguments: object) -> pd.DataFrame:
    table = cx.rfm(orders, **{"as_of": AS_OF, **arguments})
    return table.execute().sort_values("customer_id", ignore_index=True)


def recount(values: pd.Series, n_bins: int) -> list[int]:
    """1 + floor(n_bins * customers strictly below / customers), counted one by one."""
    numbers = values.to_numpy()
    return [1 + n_bins * int((numbers < one).sum()) // len(numbers) for one in numbers]


@pytest.mark.parametrize("n_bins", [5, 4])
def test_equals_a_recount_in_numpy(n_bins: int) -> None:
    orders = random_orders(seed=1)
    table = scored(orders, n_bins=n_bins)
    by_customer = orders.groupby("customer_id")
    last_day = by_customer["ordered_at"].max().dt.normalize()
    days = (pd.Timestamp(AS_OF) - last_day).dt.days
    assert table["days_since_last"].tolist() == days.tolist()
    assert table["n_orders"].tolist() == by_customer.size().tolist()
    assert table["net_revenue"].tolist() == pytest.approx(by_customer["net_revenue"].sum().tolist())
    assert table["recency_score"].tolist() == recount(-days, n_bins)
    assert table["frequency_score"].tolist() == recount(by_customer.size(), n_bins)
    assert table["monetary_score"].tolist() == recount(table["net_revenue"], n_bins)


def test_segments_follow_the_fifths_whatever_the_bins() -> None:
    fifths = scored(random_orders(seed=2))
    for row in fifths.itertuples():
        recency, frequency = SEGMENTS[row.segment]
        assert row.recency_score in recency
        assert row.frequency_score in frequency
    tenths = scored(random_orders(seed=2), n_bins=10)
    assert tenths["segment"].tolist() == fifths["segment"].tolist()


def test_every_pair_of_fifths_has_one_segment() -> None:
    pairs = [(r, f) for recency, frequency in SEGMENTS.values() for r in recency for f in frequency]
    assert sorted(pairs) == [(r, f) for r in range(1, 6) for f in range(1, 6)]


def test_equal_customers_score_alike_and_row_order_does_not_matter() -> None:
    orders = random_orders(seed=3)
    table = scored(orders)
    for kind in ("days_since_last", "n_orders", "net_revenue"):
        score = {"days_since_last": "recency", "n_orders": "frequency", "net_revenue": "monetary"}
        assert (table.groupby(kind)[f"{score[kind]}_score"].nunique() == 1).all()
    pd.testing.assert_frame_equal(scored(orders.sample(frac=1, random_state=0)), table)


def test_orders_after_as_of_change_nothing() -> None:
    orders = random_orders(seed=4)
    early = orders[orders["ordered_at"] < "2024-04-01"]
    pd.testing.assert_frame_equal(
        scored(orders, as_of="2024-03-31"), scored(early, as_of="2024-03-31")
    )


def test_sizes_add_up_and_stand_best_first() -> None:
    orders = random_orders(seed=5)
    sizes = cx.segment_sizes(cx.rfm(orders, as_of=AS_OF))
    assert sizes.columns.tolist() == list(SIZES)
    assert sizes["n"].sum() == orders["customer_id"].nunique()
    assert sizes["net_revenue"].sum() == pytest.approx(orders["net_revenue"].sum())
    assert sizes[["share", "revenue_share"]].sum().tolist() == pytest.approx([1, 1])
    assert sizes["segment"].tolist() == [name for name in SEGMENTS if name in set(sizes["segment"])]
    from_frame = cx.segment_sizes(scored(orders))
    pd.testing.assert_frame_equal(from_frame, sizes)


def test_revenue_share_is_null_where_there_is_no_revenue() -> None:
    sizes = cx.segment_sizes(cx.rfm(random_orders(seed=6).assign(net_revenue=0.0), as_of=AS_OF))
    assert sizes["revenue_share"].isna().all()


def test_one_customer_only() -> None:
    table = scored(random_orders(seed=7, n_customers=1))
    scores = table[["recency_score", "frequency_score", "monetary_score"]]
    assert scores.values.tolist() == [[1, 1, 1]]
    assert table["segment"].tolist() == ["hibernating"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"n_bins": 1}, cx.ParameterError, "n_bins=1 is not one of 2, 3"),
        ({"n_bins": 2.5}, cx.ParameterError, "n_bins=2.5 is not one of"),
        ({"as_of": "2023-12-31"}, cx.DataError, "before the first 'ordered_at'"),
    ],
)
def test_bad_arguments(change: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        cx.rfm(random_orders(seed=8), **{"as_of": AS_OF, **change})


def test_sizes_of_another_table() -> None:
    with pytest.raises(cx.ColumnError, match="rfm table: no columns 'segment', 'n_orders'"):
        cx.segment_sizes(random_orders(seed=9))


# Movement ---------------------------------------------------------------------------------------


def test_movement_is_the_two_scorings_side_by_side() -> None:
    orders = random_orders(seed=10)
    early, late = "2024-03-31", AS_OF
    moved = cx.rfm_movement(orders, from_date=early, to_date=late)
    before = scored(orders, as_of=early).set_index("customer_id")
    after = scored(orders, as_of=late).set_index("customer_id")
    pairs = pd.DataFrame({"to": after["segment"], "from": before["segment"]})
    pairs["from"] = pairs["from"].fillna(NOT_YET)
    between = orders[orders["ordered_at"] >= "2024-04-01"]
    pairs["spent"] = between.groupby("customer_id")["net_revenue"].sum()
    for row in moved.itertuples():
        these = pairs[(pairs["from"] == row.from_segment) & (pairs["to"] == row.to_segment)]
        assert row.n == len(these)
        assert row.share == pytest.approx(len(these) / (pairs["from"] == row.from_segment).sum())
        assert row.ci_low <= row.share <= row.ci_high
        assert row.net_revenue == pytest.approx(these["spent"].sum())
    assert moved["n"].sum() == orders["customer_id"].nunique()
    sizes = cx.segment_sizes(cx.rfm(orders, as_of=late)).set_index("segment")["n"]
    assert moved.groupby("to_segment")["n"].sum().to_dict() == sizes.to_dict()
    shuffled = cx.rfm_movement(orders.sample(frac=1, random_state=1), from_date=early, to_date=late)
    pd.testing.assert_frame_equal(shuffled, moved)


def test_the_value_of_a_segment_is_that_of_its_customers() -> None:
    table = scored(random_orders(seed=11))
    sizes = cx.segment_sizes(table)
    for row in sizes.itertuples():
        spent = table.loc[table["segment"] == row.segment, ["net_revenue", "n_orders"]]
        assert row.net_revenue_per_customer == pytest.approx(spent["net_revenue"].mean())
        assert row.average_order_value == pytest.approx(
            spent["net_revenue"].sum() / spent["n_orders"].sum()
        )
        mean, error = spent["net_revenue"].mean(), stats.sem(spent["net_revenue"])
        ends = stats.t.interval(0.95, len(spent) - 1, mean, error)
        assert (row.net_revenue_low, row.net_revenue_high) == pytest.approx(ends)


def test_sums_that_engines_add_in_another_order_still_tie() -> None:
    # 0.1 + 0.2 + 0.3 and 0.3 + 0.2 + 0.1 differ in the last digit of a float
    orders = pd.DataFrame(
        {"order_id": [str(k) for k in range(6)], "customer_id": ["ann"] * 3 + ["bob"] * 3,
         "ordered_at": pd.Timestamp("2024-01-05"), "net_revenue": [0.1, 0.2, 0.3, 0.3, 0.2, 0.1]}
    )  # fmt: skip
    assert scored(orders)["monetary_score"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("dates", "error", "message"),
    [
        (("2024-06-30", "2024-06-30"), cx.ParameterError, "must be after"),
        (("2023-01-01", "2024-06-30"), cx.DataError, "before the first 'ordered_at'"),
        (("soon", "2024-06-30"), cx.ParameterError, "from_date='soon' is not a date"),
    ],
)
def test_bad_dates_of_movement(dates: tuple[str, str], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        cx.rfm_movement(random_orders(seed=8), from_date=dates[0], to_date=dates[1])


def test_sizes_of_nobody() -> None:
    with pytest.raises(cx.DataError, match="rfm table: no rows"):
        cx.segment_sizes(scored(random_orders(seed=8))[:0])
