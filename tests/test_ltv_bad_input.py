"""Input that holds no answer: each question of lifetime value ends in one clear error or a verdict."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import cxlib as cx
from cxlib.sources import files

AS_OF, SPLIT = "2023-06-30", "2023-04-30"
MODELS = ["bgnbd", "mbgnbd", "paretonbd"]
ASKED: dict[str, Callable[..., Any]] = {
    "fit": lambda orders, as_of=AS_OF: cx.fit_ltv(orders, as_of=as_of),
    "fit by": lambda orders, as_of=AS_OF: cx.fit_ltv(
        orders.assign(country="DE"), as_of=as_of, by="country"
    ),
    "holdout": lambda orders, as_of=AS_OF: cx.holdout_ltv(orders, split=SPLIT, as_of=as_of),
    "compare": lambda orders, as_of=AS_OF: cx.compare_ltv(orders, as_of=as_of),
}
each_question = pytest.mark.parametrize("ask", ASKED.values(), ids=list(ASKED))
each_path_question = pytest.mark.parametrize("ask", [ASKED["fit"], ASKED["holdout"]])
TWICE = r"1 values of 'order_id' stand in more than one row \(first: 'x'\)"


def orders_of(*rows: tuple[Any, ...]) -> pd.DataFrame:
    """Orders from rows of customer, stamp and, if it is not 10, net revenue."""
    frame = pd.DataFrame(
        [(who, when, *(more or (10.0,))) for who, when, *more in rows],
        columns=["customer_id", "ordered_at", "net_revenue"],
    )
    stamps = pd.to_datetime(frame["ordered_at"], format="ISO8601")
    return frame.assign(order_id=[f"o{row}" for row in range(len(frame))], ordered_at=stamps)


def finite(fit: cx.ltv.LtvFit) -> bool:
    """Say whether every answer of a fit is a finite number, refits included."""
    tables = [fit.total(), fit.new_customer(), fit.grid(), fit.deciles()]
    tables.append(fit.customers().to_pandas())
    return all(np.isfinite(table.select_dtypes("number").to_numpy(float)).all() for table in tables)


NO_REPEATS = orders_of(*((who, f"2023-01-{day:02d}") for day, who in enumerate("abcdefg", 1)))
ONE_DAY = orders_of(*((who, f"2023-01-05 {hour}:00") for who in "abc" for hour in (10, 15, 20)))
ONE_ORDER = orders_of(("ann", "2023-01-05"))
ONE_LOYAL = orders_of(
    ("ann", "2023-01-05"), ("ann", "2023-02-01", 30.0), ("ann", "2023-04-11", 20.0)
)
REFUNDED = orders_of(("ann", "2023-01-05", -10.0), ("bob", "2023-02-05", -3.0))


# Nobody came again


@each_question
@pytest.mark.parametrize(
    ("orders", "n"), [(NO_REPEATS, 7), (ONE_DAY, 3), (ONE_ORDER, 1)],
    ids=["no repeat customers", "all orders on one day", "a single order"],
)  # fmt: skip
def test_without_a_second_day_there_is_nothing_to_learn(
    ask: Callable[..., Any], orders: pd.DataFrame, n: int
) -> None:
    says = f"none of {n} customers bought on a second day.*give a longer history"
    with pytest.raises(cx.FitError, match=says):
        ask(orders)


@pytest.mark.parametrize("orders", [NO_REPEATS, ONE_DAY, ONE_ORDER])
def test_without_a_second_day_a_summary_has_no_repeat_and_no_null(orders: pd.DataFrame) -> None:
    summary = cx.ltv_summary(orders, as_of=AS_OF).to_pandas()
    assert len(summary) == orders["customer_id"].nunique()
    assert (summary[["frequency", "recency", "monetary_value"]] == 0).all(axis=None)
    assert summary["T"].between(170, 180).all()


def test_all_orders_on_the_last_day_have_an_age_of_zero() -> None:
    summary = cx.ltv_summary(ONE_DAY, as_of="2023-01-05").to_pandas()
    assert summary["T"].tolist() == [0, 0, 0]
    with pytest.raises(cx.FitError, match="none of 3 customers bought on a second day"):
        cx.fit_ltv(ONE_DAY, as_of="2023-01-05")


# A single customer


@pytest.mark.parametrize("model", MODELS)
def test_a_single_customer_is_labelled_and_all_answers_are_finite(model: str) -> None:
    fit = cx.fit_ltv(ONE_LOYAL, as_of=AS_OF, model=model, n_boot=40)
    assert fit.status == "too little data"
    assert fit.verdict.startswith("too little data: only 1 of 1 customers came again")
    assert finite(fit)
    assert not fit.checks.set_index("check")["passed"]["the fit converged"]


@pytest.mark.parametrize("model", MODELS)
def test_a_single_customer_can_be_held_out_under_the_same_label(model: str) -> None:
    held = cx.holdout_ltv(ONE_LOYAL, split=SPLIT, as_of=AS_OF, model=model)
    assert held.fit.status == "too little data"
    assert np.isfinite(held.tracking.select_dtypes("number").to_numpy(float)).all()
    assert "and none came: there is nothing to judge it by." in held.verdict


def test_models_of_a_single_customer_are_compared_under_the_same_label() -> None:
    compared = cx.compare_ltv(ONE_LOYAL, as_of=AS_OF)
    assert set(compared.table["status"]) == {"too little data"}
    assert compared.verdict.startswith("No model converged here (too little data), so none is a ")
    assert "BG/NBD, Pareto/NBD and MBG/NBD cannot be told apart (their" in compared.verdict
    assert repr(compared) == f"LtvComparison({compared.verdict!r})"


# Before the first order, and after it


@each_question
def test_as_of_before_the_first_order_is_one_error(ask: Callable[..., Any]) -> None:
    early = ONE_LOYAL.assign(ordered_at=ONE_LOYAL["ordered_at"] + pd.DateOffset(years=3))
    with pytest.raises(
        cx.DataError, match=rf"as_of={AS_OF} is before the first order \(2026-01-05\)"
    ):
        ask(early)


def test_a_summary_before_the_first_order_is_the_same_error() -> None:
    with pytest.raises(cx.DataError, match="as_of=2023-01-04 is before the first order"):
        cx.ltv_summary(ONE_LOYAL, as_of="2023-01-04")


def test_an_as_of_at_the_end_of_all_calendars_is_told_to_the_day() -> None:
    fit = cx.fit_ltv(
        ONE_LOYAL.assign(ordered_at=pd.Timestamp("1700-01-01") + pd.to_timedelta([0, 9, 30], "D")),
        as_of="9999-12-30",
    )
    found = fit.customers(intervals=False).to_pandas().iloc[0]
    days = (dt.date(9999, 12, 30) - dt.date(1700, 1, 31)).days
    assert (found["n_orders"], found["days_since_last"]) == (3, days)


# Refunds


@each_question
def test_refunds_alone_are_no_purchase(ask: Callable[..., Any]) -> None:
    with pytest.raises(cx.DataError, match=r"no.*purchase by split|no customer has a day with pos"):
        ask(REFUNDED)


def test_a_summary_of_refunds_alone_is_empty() -> None:
    assert cx.ltv_summary(REFUNDED, as_of=AS_OF).count().execute() == 0


@pytest.mark.parametrize("model", MODELS)
def test_refunds_of_customers_who_buy_are_neither_purchases_nor_negative_value(model: str) -> None:
    bought = cx.simulate.orders(150, start="2023-01-01", as_of=AS_OF, seed=3)
    back = bought.iloc[::9]
    later = back["ordered_at"] + pd.Timedelta(days=400)  # no other order stands on these days
    kept = cx.fit_ltv(bought, as_of="2025-01-01", model=model)
    refunds = back.assign(
        order_id="r" + back["order_id"], ordered_at=later, net_revenue=-2 * back["net_revenue"]
    )
    fit = cx.fit_ltv(pd.concat([bought, refunds]), as_of="2025-01-01", model=model)
    pd.testing.assert_frame_equal(fit.total(intervals=False), kept.total(intervals=False))
    assert (fit.customers(intervals=False).to_pandas()["ltv"] > 0).all()


# Customers in the orders who bought nothing


@pytest.fixture(scope="module")
def few() -> pd.DataFrame:
    orders = cx.simulate.orders(150, start="2023-01-01", as_of=AS_OF, seed=3)
    return orders.assign(country=np.where(orders["customer_id"].str[-1] < "4", "DE", "GB"))


@pytest.mark.parametrize("country", ["AT", "DE", "ZA"])  # before, among and behind the others
@pytest.mark.parametrize("net_revenue", [0.0, -10.0])
def test_who_bought_nothing_is_counted_and_changes_no_answer(
    few: pd.DataFrame, country: str, net_revenue: float
) -> None:
    one = orders_of(("nobody", "2023-02-05", net_revenue)).assign(country=country)
    kept, fit = (
        cx.fit_ltv(orders, as_of=AS_OF, by="country", n_boot=40)
        for orders in (few, pd.concat([few, one]))
    )
    assert (kept.n_without_purchase, fit.n_without_purchase) == (0, 1)
    assert fit.n_customers == kept.n_customers
    for name in ("segments", "total", "deciles", "grid", "new_customer"):
        pd.testing.assert_frame_equal(getattr(fit, name)(), getattr(kept, name)())
    same = ["the fit converged", "segments buy alike", "segments spend alike"]
    ours, theirs = (one.checks.set_index("check").loc[same] for one in (fit, kept))
    pd.testing.assert_frame_equal(ours, theirs)
    assert set(fit.customers(intervals=False).to_pandas()["customer_id"]) == set(few["customer_id"])


def test_who_bought_nothing_is_no_part_of_a_holdout(few: pd.DataFrame) -> None:
    more = pd.concat([few, orders_of(("nobody", "2023-02-05", 0.0)).assign(country="AT")])
    ours, theirs = (cx.holdout_ltv(orders, split=SPLIT, as_of=AS_OF) for orders in (more, few))
    for name in ("table", "tracking", "by_frequency", "by_decile"):
        pd.testing.assert_frame_equal(getattr(ours, name), getattr(theirs, name))
    compared = [cx.compare_ltv(orders, as_of=AS_OF).table for orders in (more, few)]
    pd.testing.assert_frame_equal(*compared)


# Currencies


@each_question
def test_mixed_currencies_are_one_error(ask: Callable[..., Any]) -> None:
    mixed = ONE_LOYAL.assign(currency=["EUR", "EUR", "GBP"])
    with pytest.raises(cx.DataError, match=r"'currency' holds 2 currencies \(EUR, GBP\).*keep one"):
        ask(mixed)


# Not cleaned, and half empty


def test_what_was_read_and_not_cleaned_is_sent_to_cleaning() -> None:
    raw = cx.read(ONE_LOYAL.rename(columns={"net_revenue": "amount"}))
    says = r"without 'net_revenue'; clean it first: cx.clean_orders\(cx.read\(...\)\)$"
    for ask in (cx.fit_ltv, cx.compare_ltv, cx.ltv_summary):
        with pytest.raises(cx.ColumnError, match=says):
            ask(raw, as_of=AS_OF)
    with pytest.raises(cx.ColumnError, match="Rename with columns="):
        cx.fit_ltv(raw.table, as_of=AS_OF)
    fit = cx.fit_ltv(cx.read(ONE_LOYAL), as_of=AS_OF)  # what keeps the contract needs no cleaning
    assert fit.n_customers == 1


@each_question
def test_an_order_that_stands_twice_is_one_error(ask: Callable[..., Any]) -> None:
    twice = ONE_LOYAL.assign(order_id=["x", "y", "x"])
    with pytest.raises(cx.DataError, match=TWICE):
        ask(twice)


@each_path_question
@pytest.mark.parametrize("small", [0, 10**9])  # the rows are looked at before, or side by side
def test_an_order_that_stands_twice_in_a_file_is_the_same_error(
    ask: Callable[..., Any], small: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SMALL", small)
    orders = cx.simulate.orders(150, start="2023-01-01", as_of=AS_OF, seed=3)
    path = tmp_path / "orders.parquet"
    orders.to_parquet(path)
    assert ask(path).verdict == ask(orders).verdict
    orders.assign(order_id=["x", "x", *orders["order_id"][2:]]).to_parquet(path)
    with pytest.raises(cx.DataError, match=TWICE):
        ask(path)


@each_question
@pytest.mark.parametrize("column", ["customer_id", "order_id", "ordered_at", "net_revenue"])
def test_a_row_that_lacks_what_it_must_have_is_one_error(
    ask: Callable[..., Any], column: str
) -> None:
    lacking = ONE_LOYAL.assign(**{column: ONE_LOYAL[column].where([True, False, True], None)})
    says = f"empty values in required columns: '{column}' in 1 row"
    with pytest.raises(cx.DataError, match=says):
        ask(lacking)


@each_question
@pytest.mark.parametrize("column", ["customer_id", "order_id"])
def test_an_id_that_is_empty_is_none(ask: Callable[..., Any], column: str) -> None:
    with pytest.raises(
        cx.DataError, match=f"empty values in required columns: '{column}' in 1 row"
    ):
        ask(ONE_LOYAL.assign(**{column: ["", "x", "y"]}))


# Days and horizons that hold nothing


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("horizon", [0, -30, float("nan"), float("inf"), 1e9, "a year"])
def test_a_horizon_that_is_none_is_named(model: str, horizon: Any) -> None:
    with pytest.raises(cx.ParameterError, match=r"horizon_days=.*give (one|a number)"):
        cx.fit_ltv(ONE_LOYAL, as_of=AS_OF, horizon_days=horizon, model=model)


@pytest.mark.parametrize("split", [AS_OF, "2023-07-01"])
def test_a_holdout_of_no_days_is_named(split: str) -> None:
    for ask in (cx.holdout_ltv, cx.compare_ltv):
        with pytest.raises(cx.ParameterError, match=f"split={split} is not before as_of={AS_OF}"):
            ask(ONE_LOYAL, split=split, as_of=AS_OF)


def test_a_horizon_of_an_hour_is_finite_and_nearly_worthless() -> None:
    fit = cx.fit_ltv(ONE_LOYAL, as_of=AS_OF, horizon_days=1 / 24, n_boot=40)
    assert finite(fit)
    assert 0 <= fit.total()["expected_orders"][0] < 0.01


@each_question
def test_no_orders_at_all_are_one_error(ask: Callable[..., Any]) -> None:
    with pytest.raises(cx.CxError):
        ask(ONE_LOYAL.iloc[:0])


def test_a_list_of_columns_is_refused() -> None:
    orders = cx.simulate.orders(200, start="2023-01-01", as_of="2023-12-31", seed=1)
    with pytest.raises(cx.ParameterError, match=r"by=\['country'\] is not the name of one column"):
        cx.fit_ltv(orders, as_of="2023-12-31", by=["country"])  # type: ignore[arg-type]


def test_a_discount_rate_of_10_is_no_fraction() -> None:
    orders = cx.simulate.orders(200, start="2023-01-01", as_of="2023-12-31", seed=1)
    with pytest.raises(cx.ParameterError, match="discount_rate=10 is out of range; give .* 0 to 1"):
        cx.fit_ltv(orders, as_of="2023-12-31", discount_rate=10)


def test_refunds_that_cleaning_left_out_fail_the_check_of_refunds() -> None:
    made = cx.simulate.orders(300, start="2023-01-01", as_of="2023-12-31", seed=1)
    back = made.iloc[::10].assign(order_id=lambda rows: "R" + rows["order_id"])
    back = back.assign(net_revenue=-back["net_revenue"])
    orders = cx.clean_orders(pd.concat([made, back]), timezone="UTC", max_loss=1)
    lost = orders.losses.set_index("rule")["revenue_share"]["refund_unmatched"]
    check = (
        cx.fit_ltv(orders, as_of="2023-12-31").checks.set_index("check").loc["refunds are netted"]
    )
    assert check["value"] == pytest.approx(-lost)
    assert lost < -0.05
    assert not check["passed"]
    assert f"no order for {-lost:.1%}" in check["detail"]
