"""Holdout and comparison: CDNOW's published figures, brute force in pandas, and bad input."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace
from typing import Any

import cdnow
import numpy as np
import pandas as pd
import pytest

import cxlib as cx
from cxlib._bgnbd import MODELS
from cxlib.ltv import LtvHoldout, compare

SPLIT, END = cdnow.CALIBRATION_END, "1998-06-30"


@pytest.fixture(scope="module")
def cdnow_held() -> LtvHoldout:
    return cx.holdout_ltv(cdnow.orders(), split=SPLIT, as_of=END)


@pytest.fixture(scope="module")
def orders() -> pd.DataFrame:
    """Two years, with stamps within the day, refunds and several orders a day."""
    frame = cx.simulate.orders(
        600, start="2022-01-01", as_of="2023-12-31", seed=5, acquisition_days=500, daily_wave=0.5
    )
    rng = np.random.default_rng(5)
    back = frame.sample(frac=0.05, random_state=5)
    back = back.assign(order_id="r" + back["order_id"], net_revenue=-back["net_revenue"])
    late = back["ordered_at"] + pd.to_timedelta(rng.integers(0, 30, len(back)), unit="h")
    both = pd.concat([frame, back.assign(ordered_at=late)], ignore_index=True)
    return both[both["ordered_at"] < "2024-01-01"]


# The papers


def test_cdnow_39_by_39_weeks_has_the_correlation_of_fader_hardie_lee_2005(
    cdnow_held: LtvHoldout,
) -> None:
    row = cdnow_held.table.iloc[0]
    assert row["correlation"] == pytest.approx(0.626, abs=0.0005)
    assert row["n_customers"] == 2357


def test_cdnow_without_repeat_orders_buys_as_fader_hardie_lee_2005_say(
    cdnow_held: LtvHoldout,
) -> None:
    none = cdnow_held.by_frequency.iloc[0]
    assert none["frequency"] == "0"
    assert none["n"] == 1411
    assert none["actual_mean"] == pytest.approx(0.2367, abs=0.00005)
    assert none["expected_mean"] == pytest.approx(0.2251, abs=0.00005)


def test_cdnow_calibration_of_paretonbd_is_that_of_the_walkthrough_of_btyd() -> None:
    held = cx.holdout_ltv(cdnow.orders(), split=SPLIT, as_of=END, model="paretonbd").by_frequency
    assert held["n"].tolist() == [1411, 439, 214, 100, 62, 38, 29, 64]
    actual = [0.237, 0.697, 1.393, 1.560, 2.532, 2.947, 3.862, 6.359]
    expected = [0.138, 0.600, 1.196, 1.714, 2.399, 2.907, 3.819, 6.403]
    assert held["actual_mean"].tolist() == pytest.approx(actual, abs=0.0005)
    assert held["expected_mean"].tolist() == pytest.approx(expected, abs=0.001)


def test_cdnow_is_tracked_by_whole_weeks_that_end_on_the_split(cdnow_held: LtvHoldout) -> None:
    weeks = cdnow_held.tracking
    assert len(weeks) == 78
    assert str(weeks["week_ending"][38].date()) == SPLIT
    assert str(weeks["week_ending"][77].date()) == END
    total = cdnow_held.table["total_actual"][0]
    assert weeks["actual"][39:].sum() == total
    # equation (9) of Fader, Hardie and Lee (2005), summed over the days of first purchases
    values = cdnow_held.fit._values
    days = cdnow.orders().groupby("customer_id")["ordered_at"].min()
    age = (pd.Timestamp(END) - days).dt.days.to_numpy(float)
    expected = MODELS["bgnbd"].expected_orders(values, age).sum()
    assert weeks["cumulative_expected"][77] == pytest.approx(expected)


# Brute force


@pytest.fixture(scope="module")
def by_hand(orders: pd.DataFrame) -> dict[str, Any]:
    """Purchase days in pandas, customer by customer; split at the end of June 2023."""
    split, end = pd.Timestamp("2023-06-30"), pd.Timestamp("2023-12-31")
    frame = orders.assign(day=orders["ordered_at"].dt.normalize())
    days = frame.groupby(["customer_id", "day"], as_index=False)["net_revenue"].sum()
    days = days[days["net_revenue"] > 1e-6]
    days["first"] = days.groupby("customer_id")["day"].transform("min")
    days = days[days["first"] <= split]
    window = pd.Timedelta(days=(end - split).days)
    near = days[(days["day"] > split - window) & (days["day"] <= split)]
    who = days["customer_id"].unique()

    def count(part: pd.DataFrame) -> np.ndarray:
        return part.groupby("customer_id").size().reindex(who, fill_value=0).to_numpy()

    past = days[days["day"] <= split].groupby("customer_id")["day"].agg(["min", "max", "size"])
    past = past.loc[who]
    return {
        "days": days,
        "actual": count(days[days["day"] > split]),
        "naive": count(near),
        "x": past["size"].to_numpy() - 1.0,
        "recency": (past["max"] - past["min"]).dt.days.to_numpy(float),
        "age": (split - past["min"]).dt.days.to_numpy(float),
    }


@pytest.fixture(scope="module", params=["bgnbd", "paretonbd"])
def held(request: pytest.FixtureRequest, orders: pd.DataFrame) -> LtvHoldout:
    return cx.holdout_ltv(orders, split="2023-06-30", as_of="2023-12-31", model=request.param)


def forecast(held: LtvHoldout, by_hand: dict[str, Any]) -> np.ndarray:
    x, recency, age = (by_hand[name] for name in ("x", "recency", "age"))
    model, values = MODELS[held.model], held.fit._values
    return model.p_alive(values, x, recency, age) * model.orders_if_alive(values, x, age, 184)[0]


def test_measures_are_those_of_pandas_and_numpy(held: LtvHoldout, by_hand: dict[str, Any]) -> None:
    actual, naive, expected = by_hand["actual"], by_hand["naive"], forecast(held, by_hand)
    assert held.table.iloc[0].to_dict() == pytest.approx(
        {
            "n_customers": len(actual),
            "total_actual": actual.sum(),
            "total_expected": expected.sum(),
            "total_error": expected.sum() / actual.sum() - 1,
            "mae": np.abs(expected - actual).mean(),
            "correlation": np.corrcoef(actual, expected)[0, 1],
            "naive_total": naive.sum(),
            "naive_total_error": naive.sum() / actual.sum() - 1,
            "naive_mae": np.abs(naive - actual).mean(),
            "naive_correlation": np.corrcoef(actual, naive)[0, 1],
        },
        rel=1e-9,
    )


def test_calibration_is_that_of_pandas(held: LtvHoldout, by_hand: dict[str, Any]) -> None:
    frame = pd.DataFrame(
        {"x": by_hand["x"], "actual": by_hand["actual"], "expected": forecast(held, by_hand)}
    )
    groups = frame.groupby(frame["x"].clip(upper=7)).agg(
        n=("x", "size"), actual_mean=("actual", "mean"), expected_mean=("expected", "mean")
    )
    ours = held.by_frequency
    assert ours["frequency"].tolist() == ["0", "1", "2", "3", "4", "5", "6", "7+"]
    for name in groups:
        assert ours[name].to_numpy() == pytest.approx(groups[name].to_numpy(), rel=1e-9)


def test_deciles_hold_a_tenth_each_the_most_expected_first(
    held: LtvHoldout, by_hand: dict[str, Any]
) -> None:
    tenths = held.by_decile
    assert tenths["decile"].tolist() == list(range(1, 11))
    assert tenths["n"].sum() == len(by_hand["actual"])
    assert tenths["n"].between(0.085 * tenths["n"].sum(), 0.115 * tenths["n"].sum()).all()
    assert tenths["expected_mean"].is_monotonic_decreasing
    total = tenths["n"] @ tenths["actual_mean"]
    assert total == pytest.approx(by_hand["actual"].sum())


def test_weeks_are_those_of_pandas(held: LtvHoldout, by_hand: dict[str, Any]) -> None:
    days, weeks = by_hand["days"], held.tracking
    again = days[days["day"] > days["first"]]
    for row in weeks.iloc[::9].itertuples():
        begin = row.week_ending - pd.Timedelta(days=7)
        inside = again["day"].between(begin, row.week_ending, inclusive="right")
        assert row.actual == inside.sum()
        assert row.cumulative_actual == (again["day"] <= row.week_ending).sum()
        first = by_hand["days"].groupby("customer_id")["first"].min()
        age = (row.week_ending - first).dt.days.clip(lower=0).to_numpy(float)
        expected = MODELS[held.model].expected_orders(held.fit._values, age).sum()
        assert row.cumulative_expected == pytest.approx(expected)
    assert weeks["expected"].cumsum().to_numpy() == pytest.approx(weeks["cumulative_expected"])
    assert (weeks["week_ending"].diff().dropna() == pd.Timedelta(days=7)).all()
    assert pd.Timestamp("2023-06-30") in set(weeks["week_ending"])
    assert weeks["week_ending"].max() <= pd.Timestamp("2023-12-31")


# The split falls between days


def rows(*given: tuple[str, str]) -> pd.DataFrame:
    frame = pd.DataFrame(list(given), columns=["customer_id", "ordered_at"])
    return frame.assign(
        order_id=range(len(frame)),
        net_revenue=10.0,
        ordered_at=pd.to_datetime(frame["ordered_at"], format="ISO8601"),
    )


def test_the_evening_of_the_split_belongs_to_the_past() -> None:
    # lifetimes' calibration_and_holdout_data splits such a day in two
    orders = rows(
        ("ann", "2023-01-01 10:00"), ("ann", "2023-01-31 23:59:59"), ("ann", "2023-02-01 00:00"),
        ("ann", "2023-02-10 08:00"), ("ann", "2023-02-10 20:00"), ("ann", "2023-02-28 23:59:59"),
        ("ann", "2023-03-01 00:00"), ("bob", "2023-01-31 23:00"), ("bob", "2023-02-28 12:00"),
        ("new", "2023-02-05 12:00"), ("new", "2023-02-06 12:00"),
    )  # fmt: skip
    held = cx.holdout_ltv(orders, split="2023-01-31", as_of=dt.date(2023, 2, 28))
    row = held.table.iloc[0]
    assert row["n_customers"] == 2, "who came after the split is no part of it"
    assert row["total_actual"] == 3 + 1
    assert held.fit.n_repeat_customers == 1
    assert held.fit.table.equals(cx.fit_ltv(orders, as_of="2023-01-31").table)
    # 28 days on either side: ann twice less the day of 1 January, bob once
    assert row["naive_total"] == 2
    assert held.tracking["week_ending"].dt.date.tolist()[-5:] == [
        dt.date(2023, 1, 31), *(dt.date(2023, 2, day) for day in (7, 14, 21, 28))
    ]  # fmt: skip
    assert held.tracking["actual"].tolist() == [0, 0, 0, 0, 1, 1, 1, 0, 2]


def test_the_naive_rule_is_scaled_where_less_was_seen() -> None:
    orders = rows(
        ("ann", "2023-01-01"), ("ann", "2023-01-05"), ("bob", "2023-01-10"), ("bob", "2023-03-01")
    )
    held = cx.holdout_ltv(orders, split="2023-01-10", as_of="2023-03-11")
    assert held.table["naive_total"][0] == 3 * 60 / 10


def test_a_holdout_in_which_nobody_came_has_no_total_error() -> None:
    orders = rows(("ann", "2023-01-01"), ("ann", "2023-01-05"), ("bob", "2023-01-10"))
    held = cx.holdout_ltv(orders, split="2023-01-10", as_of="2023-01-12")
    row = held.table.iloc[0]
    assert math.isnan(row["total_error"])
    assert math.isnan(row["correlation"])
    assert held.verdict.endswith(
        "orders by 2023-01-12, and none came: there is nothing to judge it by."
    )
    assert "–" in held._repr_html_()


def test_the_verdict_says_how_it_came_out(cdnow_held: LtvHoldout) -> None:
    assert cdnow_held.verdict == (
        "BG/NBD fitted up to 1997-09-30 expected 1,653 orders by 1998-06-30, and 1,882 came "
        "(-12.1%); for one customer it is 0.79 orders off, better than last time's orders again "
        "(1.60)."
    )
    assert "BG/NBD fitted up to" in cdnow_held._repr_html_()


# Bad input


@pytest.mark.parametrize(
    ("split", "as_of", "says"),
    [
        ("2023-02-01", "2023-02-01", "split=2023-02-01 is not before as_of=2023-02-01"),
        ("2023-03-01", "2023-02-01", "is not before"),
        ("2022-01-01", "2023-02-01", "nobody has a purchase by split=2022-01-01"),
        ("2023-01-03", "2023-02-01", "none of 1 customers bought on a second day"),
        ("yesterday", "2023-02-01", "split='yesterday' is not a date"),
    ],
)
def test_bad_splits_are_named(split: str, as_of: str, says: str) -> None:
    orders = rows(("ann", "2023-01-01"), ("ann", "2023-01-05"), ("bob", "2023-01-10"))
    with pytest.raises(cx.CxError, match=says):
        cx.holdout_ltv(orders, split=split, as_of=as_of)
    if split > "2023-01-03" or not split.startswith("2"):
        with pytest.raises(cx.CxError, match=says):
            cx.compare_ltv(orders, split=split, as_of=as_of)


def test_an_unknown_model_is_named() -> None:
    orders = rows(("ann", "2023-01-01"), ("ann", "2023-01-05"))
    for fit in (
        lambda: cx.holdout_ltv(orders, split="2023-01-06", as_of="2023-02-01", model="nbd"),
        lambda: cx.fit_ltv(orders, as_of="2023-02-01", model="mbg"),
    ):
        with pytest.raises(cx.ParameterError, match="is not one of bgnbd, mbgnbd, paretonbd"):
            fit()


# Which model to trust


def test_cdnow_models_compare_as_in_the_papers() -> None:
    # Fader, Hardie and Lee (2005): BG/NBD LL -9582.4, Pareto/NBD -9595.0, in weeks
    compared = cx.compare_ltv(cdnow.orders(), as_of=SPLIT, split="1997-06-30")
    table = compared.table.set_index("model")
    assert sorted(table.index) == ["bgnbd", "mbgnbd", "paretonbd"]
    repeats = cdnow.customers()["frequency"].sum()
    log_likelihood = table["log_likelihood"] + repeats * math.log(7)
    assert log_likelihood["bgnbd"] == pytest.approx(-9582.4, abs=0.2)
    assert log_likelihood["paretonbd"] == pytest.approx(-9595.0, abs=0.2)
    assert (table["n_parameters"] == 4).all()
    bic = 4 * math.log(2357) - 2 * table["log_likelihood"]
    assert table["bic"].to_numpy() == pytest.approx(bic.to_numpy())
    held = cx.holdout_ltv(cdnow.orders(), split="1997-06-30", as_of=SPLIT).table.iloc[0]
    assert table.loc["bgnbd", "holdout_mae"] == pytest.approx(held["mae"])
    assert table.loc["bgnbd", "holdout_total_error"] == pytest.approx(held["total_error"])
    assert compared.model == compared.table["model"][0]
    assert compared.verdict.startswith(f"Trust {MODELS[compared.model].title}: ")
    assert compared.verdict in compared._repr_html_()


def test_the_model_that_made_the_orders_is_trusted() -> None:
    # known truth: BG/NBD
    orders = cx.simulate.orders(2000, start="2022-01-01", as_of="2023-12-31", seed=1)
    compared = cx.compare_ltv(orders, as_of="2023-12-31")
    assert compared.model == "bgnbd"
    assert compared.table["bic"].idxmin() == 0
    assert compared.split == dt.date(2023, 5, 2), "two thirds of the observed days"


def table_of(*given: tuple[str, float, str, float, float]) -> pd.DataFrame:
    names = ["model", "bic", "status", "holdout_mae", "holdout_total_error"]
    frame = pd.DataFrame(list(given), columns=names)
    return frame.assign(log_likelihood=-frame["bic"] / 2)


NAN = math.nan


@pytest.mark.parametrize(
    ("rows", "best"),
    [
        # all alike in the holdout: the lowest BIC
        (
            (("bgnbd", 100, "converged", 0.5, 0.01), ("mbgnbd", 90, "converged", 0.5, 0.02)),
            "mbgnbd",
        ),
        # a total that is far off is not trusted, whatever its BIC and MAE
        ((("bgnbd", 100, "converged", 0.5, 0.01), ("mbgnbd", 90, "converged", 0.4, 0.3)), "bgnbd"),
        # nor an error for one customer
        ((("bgnbd", 100, "converged", 0.5, 0.01), ("mbgnbd", 90, "converged", 0.6, 0.0)), "bgnbd"),
        # converged before others
        ((("bgnbd", 100, "converged", 0.5, 0.3), ("mbgnbd", 90, "boundary", 0.4, 0.0)), "bgnbd"),
        # no fit, no trust; no holdout, BIC alone
        ((("bgnbd", NAN, "no fit", NAN, NAN), ("mbgnbd", 90, "boundary", NAN, NAN)), "mbgnbd"),
        ((("bgnbd", 80, "converged", NAN, NAN), ("mbgnbd", 90, "converged", NAN, NAN)), "bgnbd"),
        # nothing came in the holdout: the error for one customer still tells
        ((("bgnbd", 80, "converged", 0.4, NAN), ("mbgnbd", 90, "converged", 0.1, NAN)), "mbgnbd"),
    ],
)
def test_trust_goes_step_by_step(rows: tuple[Any, ...], best: str) -> None:
    assert compare._trusted(table_of(*rows)).model == best


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (
            (("bgnbd", 100, "boundary", 0.5, 0.01), ("mbgnbd", 90, "boundary", 0.6, 0.3)),
            "No model converged here (boundary), so none is a basis for money. The closest is BG/NBD: it "
            "foretells the total better than MBG/NBD (+30.0% off); in the holdout it is 0.500 orders off "
            "per customer and +1.0% off in all.",
        ),
        (
            (("bgnbd", 100, "converged", 0.5, 0.3), ("mbgnbd", 90, "converged", 0.6, 0.3)),
            "Trust BG/NBD: it foretells customers better than MBG/NBD (0.600 orders off); in the "
            "holdout it is 0.500 orders off per customer and +30.0% off in all.",
        ),
        (
            (("bgnbd", 100, "converged", 0.5, NAN), ("mbgnbd", 90, "converged", 0.5, NAN)),
            "Trust MBG/NBD: its BIC is 10.0 below that of BG/NBD; in the holdout, in which nothing "
            "came, it is 0.500 orders off per customer.",
        ),
        (
            (("bgnbd", 100, "converged", NAN, NAN), ("mbgnbd", 90, "boundary", NAN, NAN)),
            "Trust BG/NBD: MBG/NBD did not converge.",
        ),
        (
            (("bgnbd", NAN, "no fit", NAN, NAN), ("mbgnbd", 90, "converged", NAN, NAN)),
            "Trust MBG/NBD: no other model has a fit.",
        ),
        (
            (("bgnbd", 90, "converged", NAN, NAN), ("mbgnbd", 91.9, "converged", NAN, NAN),
             ("paretonbd", 92.1, "converged", NAN, NAN)),
            "Trust BG/NBD: BG/NBD and MBG/NBD cannot be told apart (their BIC is within 2).",
        ),
    ],
)  # fmt: skip
def test_the_sentence_gives_the_reason_by_which_the_steps_decided(
    rows: tuple[Any, ...], says: str
) -> None:
    table = table_of(*rows)
    assert compare._verdict(table, compare._trusted(table)) == says


def test_models_without_a_fit_are_rows_too(monkeypatch: pytest.MonkeyPatch) -> None:
    orders = rows(
        *((who, f"2023-01-{day:02d}") for who in "abcd" for day in (1, 5, 9)), ("e", "2023-01-03")
    )

    def fails(*given: Any, **more: Any) -> None:
        raise cx.FitError("BG/NBD: no optimum")

    broken = {**MODELS, "bgnbd": replace(MODELS["bgnbd"], prepare=fails)}
    monkeypatch.setattr(compare, "MODELS", broken)
    compared = cx.compare_ltv(orders, as_of="2023-01-20", split="2023-01-06")
    table = compared.table.set_index("model")
    assert table.loc["bgnbd", "status"] == "no fit"
    assert table.loc["bgnbd"].drop(["status", "n_parameters"]).isna().all()
    assert compared.model != "bgnbd"
    monkeypatch.setattr(
        compare, "MODELS", {name: replace(model, prepare=fails) for name, model in MODELS.items()}
    )
    with pytest.raises(cx.FitError, match="none of bgnbd, mbgnbd, paretonbd has an optimum"):
        cx.compare_ltv(orders, as_of="2023-01-20", split="2023-01-06")


def test_a_comparison_without_a_possible_holdout_stands_on_bic() -> None:
    orders = rows(("ann", "2023-01-01"), ("ann", "2023-03-05"), ("bob", "2023-01-10"))
    compared = cx.compare_ltv(orders, as_of="2023-03-31")
    assert compared.table["holdout_mae"].isna().all()
    assert (compared.table["status"] == "too little data").all()
    assert compared.verdict.startswith("No model converged here (too little data), so none is a ")


# An as_of later than the data


def test_verdicts_say_where_the_data_end_before_as_of() -> None:
    orders = cx.simulate.orders(400, start="2023-01-01", as_of="2023-12-31", seed=1)
    last = orders["ordered_at"].max().date()
    silent = (dt.date(2025, 6, 30) - last).days
    says = f"Nobody bought in the last {silent} days up to as_of=2025-06-30: give the day the data end."
    held = cx.holdout_ltv(orders, split="2024-01-31", as_of="2025-06-30")
    assert held.verdict.startswith(f"{says} BG/NBD fitted up to 2024-01-31")
    assert held.verdict.endswith("and none came: there is nothing to judge it by.")
    assert "better" not in held.verdict
    assert cx.compare_ltv(orders, as_of="2025-06-30").verdict.startswith(f"{says} ")
    in_time = cx.holdout_ltv(orders, split="2023-08-31", as_of="2023-12-31")
    assert "Nobody" not in in_time.verdict
    assert repr(in_time) == f"LtvHoldout({in_time.verdict!r})"
    assert "Nobody" not in cx.compare_ltv(orders, as_of="2023-12-31").verdict
