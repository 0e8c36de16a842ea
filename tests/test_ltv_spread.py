"""How far the customers of a segment lie apart, against numpy over all customers."""

from __future__ import annotations

import numpy as np
import pytest

import cxlib as cx
from cxlib.ltv.spread import POINTS, weighted


@pytest.mark.parametrize("model", ["bgnbd", "paretonbd"])
def test_the_spread_of_a_segment_is_that_of_its_customers_in_numpy(model: str) -> None:
    orders = cx.simulate.orders(700, start="2022-01-01", as_of="2023-12-31", seed=4)
    orders["country"] = np.where(orders["customer_id"].str[-1] < "3", "DE", "GB")
    fit = cx.fit_ltv(orders, as_of="2023-12-31", model=model, by="country", margin=0.4)
    found = fit.segments(intervals=False).set_index("country")
    customers = fit.customers(intervals=False).to_pandas()
    for country, rows in customers.groupby("country"):
        by_hand = np.quantile(rows["ltv"], list(POINTS.values()), method="inverted_cdf")
        assert found.loc[country, list(POINTS)].to_numpy(float) == pytest.approx(by_hand, rel=1e-9)
    assert (found["ltv_p10"] < found["ltv_median"]).all()
    assert (found["ltv_median"] < found["ltv_p90"]).all()


def test_a_segment_of_one_customer_has_no_spread() -> None:
    assert weighted(np.array([5.0]), np.array([1.0])).tolist() == [5, 5, 5]


def test_customers_count_as_often_as_they_are() -> None:
    values, n = np.array([30.0, 10.0, 20.0]), np.array([1.0, 8.0, 1.0])
    assert weighted(values, n).tolist() == [10, 10, 20]
