"""Fits saved and read again, fits given to lifetimes, and what they assume."""

from __future__ import annotations

import datetime as dt
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import cdnow
import ibis
import numpy as np
import pandas as pd
import pytest

import cxlib as cx
from cxlib.ltv import LtvFit, ltv_summary
from cxlib.ltv.assumptions import Share
from cxlib.ltv.silence import Silence

AS_OF = "2023-12-31"


def shop(seed: int, n: int = 800) -> pd.DataFrame:
    orders = cx.simulate.orders(
        n, start="2023-01-01", as_of="2024-03-31", seed=seed, acquisition_days=330
    )
    return orders.assign(country=np.where(orders["customer_id"].str[-1] < "4", "DE", "GB"))


@pytest.fixture(scope="module")
def orders() -> pd.DataFrame:
    return shop(1)


@pytest.fixture(scope="module")
def fit(orders: pd.DataFrame) -> LtvFit:
    return cx.fit_ltv(orders, as_of=AS_OF, by="country", margin=0.3, n_boot=40, seed=9)


@pytest.fixture(scope="module")
def path(fit: LtvFit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fits") / "fit.json"
    fit.save(path)
    return path


@pytest.fixture(scope="module")
def loaded(path: Path) -> LtvFit:
    return cx.load_ltv(path)


# Saved and read


def test_a_saved_fit_gives_its_answers_without_orders(fit: LtvFit, loaded: LtvFit) -> None:
    pd.testing.assert_frame_equal(loaded.table, fit.table)
    for name in ("total", "segments", "deciles", "grid", "new_customer"):
        pd.testing.assert_frame_equal(
            getattr(loaded, name)(), getattr(fit, name)(), check_exact=True
        )
    pd.testing.assert_frame_equal(loaded.checks, fit.checks)
    facts = ("as_of", "model", "status", "verdict", "by", "margin", "n_customers", "log_likelihood")
    assert [getattr(loaded, name) for name in facts] == [getattr(fit, name) for name in facts]
    assert loaded._repr_html_() == fit._repr_html_()


def test_answers_of_a_saved_fit_come_without_intervals_too(loaded: LtvFit) -> None:
    assert list(loaded.total(intervals=False).columns) == [
        *("n_customers", "expected_alive", "expected_orders", "ltv")
    ]
    answer = loaded.total()
    answer["ltv"] = 0.0
    assert loaded.total()["ltv"][0] > 0, "an answer that is changed does not change the fit"


def test_without_orders_a_saved_fit_knows_no_customers(loaded: LtvFit) -> None:
    with pytest.raises(cx.ParameterError, match=r"give them: cx.load_ltv\(path, orders=...\)"):
        loaded.customers()


def test_a_saved_fit_forecasts_the_same_orders_alike(
    fit: LtvFit, path: Path, orders: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cxlib.ltv.forecasts.resampled", None)  # nothing is fitted again
    again = cx.load_ltv(path, orders=orders)
    ours, theirs = (
        one.customers().to_pandas().sort_values("customer_id", ignore_index=True)
        for one in (again, fit)
    )
    pd.testing.assert_frame_equal(ours, theirs, rtol=1e-9)
    pd.testing.assert_frame_equal(again.total(), fit.total(), rtol=1e-9)
    pd.testing.assert_frame_equal(again.segments(), fit.segments(), rtol=1e-9)


def test_a_saved_fit_forecasts_later_days_of_other_customers(fit: LtvFit, path: Path) -> None:
    later = cx.load_ltv(path, orders=shop(2, 100), as_of="2024-03-31")
    assert str(later.as_of) == "2024-03-31"
    assert later.n_customers == later.total()["n_customers"][0] == 100
    assert later.customers(intervals=False).count().execute() == 100
    assert later.new_customer().equals(fit.new_customer())
    assert later.verdict == fit.verdict


def test_a_read_fit_can_be_saved_again(loaded: LtvFit, path: Path, tmp_path: Path) -> None:
    loaded.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == path.read_text()


def test_a_fit_at_an_edge_is_saved_with_its_nulls(tmp_path: Path) -> None:
    orders = shop(3, 120).assign(net_revenue=20.0)
    fit = cx.fit_ltv(orders, as_of=AS_OF, n_boot=40)
    assert fit.table["standard_error"].isna().any()
    fit.save(tmp_path / "fit.json")
    loaded = cx.load_ltv(tmp_path / "fit.json")
    pd.testing.assert_frame_equal(loaded.table, fit.table)
    assert math.isnan(loaded.guest_share)
    with pytest.raises(cx.ParameterError, match="needs a fit with by="):
        loaded.segments()


def test_the_file_holds_no_customer_and_no_code(path: Path, orders: pd.DataFrame) -> None:
    text = path.read_text()
    saved = json.loads(text)
    assert (saved["kind"], saved["version"]) == ("cxlib.ltv", 1)
    assert not [who for who in orders["customer_id"].unique() if who in text]


def spoilt(saved: dict[str, Any], how: str) -> str:
    if how == "another version":
        saved["version"] = 2
    elif how == "a field too many":
        saved["more"] = 1
    elif how == "parameters of another model":
        saved["model"] = "paretonbd"
    elif how == "a refit missing":
        saved["refits"].pop()
    elif how == "a number that is text":
        saved["parameters"]["r"] = "0.2"
    elif how == "an answer missing":
        del saved["answers"]["total"]
    elif how == "cut off":
        return json.dumps(saved)[:-40]
    elif how == "something else":
        return "[1, 2]"
    return json.dumps(saved)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("another version", "version: Input should be 1"),
        ("a field too many", "more: Extra inputs are not permitted"),
        ("parameters of another model", "its parameters are not those of paretonbd"),
        ("a refit missing", "it does not hold 40 refits of bgnbd"),
        ("a number that is text", "parameters.r: Input should be a valid number"),
        ("an answer missing", "its answers are not checks, deciles, grid, segments, total"),
        ("cut off", "Invalid JSON"),
        ("something else", "no fit that fit.save"),
    ],
)
def test_a_spoilt_file_is_one_clear_error(path: Path, tmp_path: Path, how: str, says: str) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text(spoilt(json.loads(path.read_text()), how))
    with pytest.raises(cx.DataError) as error:
        cx.load_ltv(bad)
    assert says in str(error.value)
    assert str(bad) in str(error.value)


def test_files_that_cannot_be_read_or_written_are_named(fit: LtvFit, tmp_path: Path) -> None:
    with pytest.raises(cx.DataError, match=r"none.json: cannot be read \(No such file"):
        cx.load_ltv(tmp_path / "none.json")
    with pytest.raises(cx.DataError, match="cannot be written"):
        fit.save(tmp_path / "no folder" / "fit.json")
    (tmp_path / "picture.json").write_bytes(b"\x89PNG\xff")
    with pytest.raises(cx.DataError, match="is no text"):
        cx.load_ltv(tmp_path / "picture.json")


def test_a_day_without_orders_is_refused(path: Path) -> None:
    says = "as_of='2024-03-31' needs orders=: without them a saved fit answers as of 2023-12-31"
    with pytest.raises(cx.ParameterError, match=says):
        cx.load_ltv(path, as_of="2024-03-31")


def test_orders_without_a_purchase_cannot_be_forecast(path: Path) -> None:
    orders = shop(1, 5).assign(net_revenue=-1.0)
    with pytest.raises(cx.DataError, match="no customer has a day with positive net spend"):
        cx.load_ltv(path, orders=orders)


# lifetimes


def test_lifetimes_fitters_predict_what_we_do(orders: pd.DataFrame, fit: LtvFit) -> None:
    bgnbd, spend = fit.to_lifetimes()
    table = ltv_summary(orders, as_of=AS_OF).to_pandas().set_index("customer_id").sort_index()
    ours = fit.customers(intervals=False).to_pandas().set_index("customer_id").sort_index()
    history = [table[name] for name in ("frequency", "recency", "T")]
    assert ours["p_alive"].to_numpy() == pytest.approx(
        np.asarray(bgnbd.conditional_probability_alive(*history)), rel=1e-9
    )
    assert ours["expected_orders"].to_numpy() == pytest.approx(
        np.asarray(bgnbd.predict(365, *history)), rel=1e-9
    )
    average = spend.conditional_expected_average_profit(table["frequency"], table["monetary_value"])
    assert ours["expected_spend"].to_numpy() == pytest.approx(average.to_numpy(), rel=1e-9)
    value = spend.customer_lifetime_value(
        bgnbd, *history, table["monetary_value"], time=365 / 30, discount_rate=0
    )
    assert len(value) == len(ours)
    assert "BetaGeoFitter" in repr(bgnbd)
    assert list(bgnbd.params_.index) == ["r", "alpha", "a", "b"]


def test_other_models_have_no_such_fitters(orders: pd.DataFrame) -> None:
    fit = cx.fit_ltv(orders, as_of=AS_OF, model="mbgnbd")
    with pytest.raises(cx.ParameterError, match="BG/NBD; this fit is of 'mbgnbd'"):
        fit.to_lifetimes()


def test_importing_lifetimes_leaves_warnings_and_pandas_as_they_were() -> None:
    code = """
import warnings, pandas as pd, cxlib.ltv.peers as peers

def option():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pd.get_option("mode.chained_assignment")

import scipy.special, autograd, dill  # they have filters of their own
filters, before = list(warnings.filters), option()
peers._imported()
import sys
assert "lifetimes" in sys.modules
assert warnings.filters == filters, warnings.filters
assert option() == before == "warn", option()
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_lifetimes_itself_does_leave_traces() -> None:
    # if this fails lifetimes has changed, and `peers` may be simpler
    code = """
import warnings, pandas as pd
import lifetimes
assert ("ignore", None, FutureWarning, None, 0) in warnings.filters
warnings.simplefilter("ignore")
assert pd.get_option("mode.chained_assignment") is None
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# What is assumed


def checks(fit: LtvFit) -> pd.DataFrame:
    assert list(fit.checks.columns) == ["check", "passed", "value", "detail"]
    assert str(fit.checks["passed"].dtype) == "boolean"
    return fit.checks.set_index("check")


def test_simulated_truth_keeps_all_assumptions(fit: LtvFit) -> None:
    found = checks(fit)
    assert list(found.index) == [
        "the fit converged", "orders reach as_of", "spend does not go with frequency",
        "late customers buy as early ones did", "segments buy alike", "segments spend alike",
        "guests are few", "refunds are netted",
    ]  # fmt: skip
    known = found.drop(index="guests are few")
    assert known["passed"].all()
    assert found["passed"].isna()["guests are few"]
    assert found["detail"]["the fit converged"] == fit.verdict


def test_a_day_later_than_the_data_is_told_in_the_verdict_and_by_a_check(
    fit: LtvFit, path: Path, orders: pd.DataFrame
) -> None:
    seen = orders[orders["ordered_at"] < "2024-01-01"]
    silent = (pd.Timestamp("2025-06-30") - seen["ordered_at"].max().normalize()).days
    says = f"Nobody bought in the last {silent} days up to as_of=2025-06-30: give the day the data end."
    late = cx.fit_ltv(seen, as_of="2025-06-30", n_boot=40)
    applied = cx.load_ltv(path, orders=seen, as_of="2025-06-30")
    assert late.doubt == late.verdict
    assert late.verdict.startswith(f"{says} ")  # what is wrong comes before what is right
    assert applied.verdict == f"{says} {fit.verdict.capitalize()}"
    for one in (late, applied):
        found = checks(one).loc["orders reach as_of"]
        assert (found["passed"], found["value"]) == (False, silent)
        assert f"nobody bought in the last {silent} days up to as_of; at " in found["detail"]
    assert checks(fit)["passed"]["orders reach as_of"]
    assert "Nobody" not in fit.verdict


@pytest.mark.parametrize(
    ("days", "rate", "is_long", "says"),
    [
        (0, 50.0, False, "somebody bought on as_of itself"),
        (1, 0.5, False, "in the last day up to as_of; at 0.5 purchases a day the chance of that is 60.7%"),
        (7, 50.0, False, "is under 0.1%, but a shop may be closed for 7 days"),
        (8, 50.0, True, "the data end before as_of"),
        # exp(-6.9) is 0.00101 and exp(-6.91) is 0.000998
        (690, 0.01, False, "the chance of that is 0.1%"),
        (691, 0.01, True, "is under 0.1%: the data end before as_of"),
    ],
)  # fmt: skip
def test_a_silence_is_long_beyond_closed_days_and_beyond_chance(
    days: int, rate: float, is_long: bool, says: str
) -> None:
    silence = Silence(days, rate)
    assert silence.is_long == is_long
    assert says in silence.detail
    assert ("Nobody" in silence.before("x.", dt.date(2024, 1, 1))) == is_long


def test_silence_is_that_of_all_customers_at_the_rate_of_their_purchase_days() -> None:
    rows = [
        ("a", "2023-01-01"),
        ("a", "2023-01-21"),
        ("b", "2023-01-11"),
        ("a", "2023-01-21 20:00"),
    ]
    orders = pd.DataFrame(rows, columns=["customer_id", "ordered_at"])
    orders = orders.assign(
        order_id=range(4), net_revenue=9.0,
        ordered_at=pd.to_datetime(orders["ordered_at"], format="ISO8601"),
    )  # fmt: skip
    fit = cx.fit_ltv(orders, as_of="2023-01-30")
    assert Silence.of(fit.base) == (9, 3 / 30)


def test_correlation_among_few_is_held_against_chance(orders: pd.DataFrame) -> None:
    # 1.96 / sqrt(n) bounds the correlation of n that are independent in 95 of 100 cases
    name, found = "spend does not go with frequency", []
    for seed in range(40):
        fit = cx.fit_ltv(shop(100 + seed, 40), as_of=AS_OF)
        row, limit = checks(fit).loc[name], 1.96 / math.sqrt(fit.n_repeat_customers)
        assert limit > 0.2
        assert row["passed"] == (abs(row["value"]) <= limit)
        assert f"repeat customers chance alone reaches {limit:.2f}" in row["detail"]
        found.append(abs(row["value"]))
    assert max(found) > 0.2
    assert "chance" not in checks(cx.fit_ltv(orders, as_of=AS_OF))["detail"][name]


def test_correlation_is_that_of_numpy_over_repeat_customers(
    orders: pd.DataFrame, fit: LtvFit
) -> None:
    table = ltv_summary(orders, as_of=AS_OF).to_pandas().query("frequency > 0")
    r = np.corrcoef(table["frequency"], table["monetary_value"])[0, 1]
    assert checks(fit)["value"]["spend does not go with frequency"] == pytest.approx(r)


def test_cdnow_spends_a_little_more_the_more_it_buys() -> None:
    # Fader and Hardie (2013): the correlation is .11 over the 946 repeat customers
    fit = cx.fit_ltv(cdnow.orders(), as_of=cdnow.CALIBRATION_END)
    found = checks(fit).loc["spend does not go with frequency"]
    assert found["value"] == pytest.approx(0.11, abs=0.005)
    assert found["passed"]


def test_who_buys_more_and_spends_more_is_found_out(orders: pd.DataFrame) -> None:
    n = orders.groupby("customer_id")["order_id"].transform("size")
    fit = cx.fit_ltv(orders.assign(net_revenue=orders["net_revenue"] * n), as_of=AS_OF)
    found = checks(fit).loc["spend does not go with frequency"]
    assert not found["passed"]
    assert found["value"] > 0.2
    parts = found["detail"].split("off by ")[1].split(", ")
    assert [part.split(" for ")[1] for part in parts] == ["1 repeat order", "2 or 3", "4 or more"]
    off = [float(part.split("%")[0]) for part in parts]
    assert off[0] > 5 > -1 > off[2], "who comes rarely is put too high, who comes often too low"


def test_spend_that_is_one_price_has_no_correlation(orders: pd.DataFrame) -> None:
    once_a_day = ~orders.assign(day=orders["ordered_at"].dt.date).duplicated(["customer_id", "day"])
    found = checks(cx.fit_ltv(orders[once_a_day].assign(net_revenue=20.0), as_of=AS_OF))
    assert pd.isna(found["passed"]["spend does not go with frequency"])
    assert "do not differ" in found["detail"]["spend does not go with frequency"]


def test_later_customers_who_buy_less_are_found_out() -> None:
    good, poor = shop(4, 900), shop(5, 900)
    first = poor.groupby("customer_id")["ordered_at"].transform("min")
    poor = poor[(poor["ordered_at"] == first) | (poor["order_id"].str[-1] < "3")]
    move = pd.Timedelta(days=330)
    poor = poor.assign(
        customer_id="p" + poor["customer_id"], order_id="p" + poor["order_id"],
        ordered_at=poor["ordered_at"] + move,
    )  # fmt: skip
    fit = cx.fit_ltv(pd.concat([good, poor]), as_of="2024-11-26")
    found = checks(fit).loc["late customers buy as early ones did"]
    assert not found["passed"]
    assert found["value"] < 0.8


def test_customers_of_one_day_have_no_cohorts() -> None:
    orders = shop(6, 300)
    first = orders.groupby("customer_id")["ordered_at"].transform("min")
    together = orders["ordered_at"] - (first - pd.Timestamp("2023-01-01"))
    fit = cx.fit_ltv(orders.assign(ordered_at=together), as_of=AS_OF)
    found = checks(fit).loc["late customers buy as early ones did"]
    assert pd.isna(found["passed"])
    assert found["detail"] == "most customers came on one day"


def test_a_half_without_repeat_orders_is_not_compared() -> None:
    rows = [("a", "2023-01-01"), ("a", "2023-02-01"), ("b", "2023-01-02"), ("c", "2023-06-01"),
            ("d", "2023-06-02"), ("e", "2023-06-03")]  # fmt: skip
    orders = pd.DataFrame(rows, columns=["customer_id", "ordered_at"])
    orders = orders.assign(
        order_id=range(6), net_revenue=9.0, ordered_at=pd.to_datetime(orders["ordered_at"])
    )
    fit = cx.fit_ltv(orders, as_of="2023-07-01")
    found = checks(fit).loc["late customers buy as early ones did"]
    assert "no repeat order yet" in found["detail"]


def test_segments_that_differ_are_named(orders: pd.DataFrame) -> None:
    first = orders.groupby("customer_id")["ordered_at"].transform("min")
    german = orders["country"] == "DE"
    kept = orders[german | (orders["ordered_at"] == first) | (orders["order_id"].str[-1] < "4")]
    kept = kept.assign(net_revenue=kept["net_revenue"] * np.where(kept["country"] == "DE", 2, 1))
    found = checks(cx.fit_ltv(kept, as_of=AS_OF, by="country"))
    assert not found["passed"][["segments buy alike", "segments spend alike"]].any()
    assert "furthest off is DE: 1." in found["detail"]["segments buy alike"]
    assert "times as much per order" in found["detail"]["segments spend alike"]


def test_small_segments_are_not_judged(orders: pd.DataFrame) -> None:
    tiny = orders.assign(country=orders["customer_id"])
    found = checks(cx.fit_ltv(tiny, as_of=AS_OF, by="country"))
    assert found["passed"][["segments buy alike", "segments spend alike"]].isna().all()
    assert found["detail"]["segments buy alike"] == "no segment has 30 repeat customers"


def test_a_share_is_off_beyond_a_tenth_and_beyond_chance() -> None:
    assert not Share(1.09, 0.001).is_off()
    assert not Share(1.30, 0.2).is_off()
    assert Share(1.30, 0.1).is_off()
    assert Share(0.80, 0.05).is_off()
    # the furthest of 20 that are alike is 3.02 standard errors off in one of twenty cases
    assert Share(1.29, 0.1).is_off()
    assert not Share(1.29, 0.1).is_off(among=20)
    assert Share(1.31, 0.1).is_off(among=20)


@pytest.mark.parametrize(("n_guests", "passed"), [(5, True), (120, False)])
def test_guests_are_told_by_the_account_of_cleaning(
    orders: pd.DataFrame, n_guests: int, passed: bool
) -> None:
    some = orders.head(400)
    guests = pd.DataFrame(
        {
            "order_id": [f"g{k}" for k in range(n_guests)],
            "customer_id": None,
            "ordered_at": pd.Timestamp("2023-05-01"),
            "net_revenue": some["net_revenue"].mean(),
        }
    )
    cleaned = cx.clean_orders(
        pd.concat([some.drop(columns="country"), guests]), timezone="UTC", max_loss=0.5
    )
    found = checks(cx.fit_ltv(cleaned, as_of=AS_OF)).loc["guests are few"]
    assert found["passed"] == passed
    assert found["value"] == pytest.approx(n_guests / (400 + n_guests), rel=1e-6)
    assert "of the revenue" in found["detail"]


def test_refunds_on_days_of_their_own_are_told(
    orders: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = ~orders["customer_id"].duplicated()
    back = orders[once].sample(frac=0.06, random_state=1)
    # no order stands on these days; half a day later the same day of the customer nets it
    for later, passed in ((pd.Timedelta(days=1000), False), (pd.Timedelta(0), True)):
        refunds = back.assign(
            order_id="r" + back["order_id"], ordered_at=back["ordered_at"] + later,
            net_revenue=-back["net_revenue"] / 2,
        )  # fmt: skip
        both = pd.concat([orders, refunds])
        both = both[both["ordered_at"] < "2027-01-01"]
        found = checks(cx.fit_ltv(both, as_of="2026-12-31")).loc["refunds are netted"]
        assert found["passed"] == passed
        share = 0.0 if passed else refunds["net_revenue"].sum() / -orders["net_revenue"].sum()
        assert found["value"] == pytest.approx(share)
        assert f" hold {share:.1%} of the revenue" in found["detail"]
        assert ("cx.clean_orders nets them" in found["detail"]) == (not passed)


def test_refunds_of_a_fit_without_its_orders_are_not_known(orders: pd.DataFrame) -> None:
    held = cx.holdout_ltv(orders, split="2023-09-30", as_of=AS_OF)
    found = checks(held.fit).loc["refunds are netted"]
    assert pd.isna(found["passed"])
    assert found["detail"] == "not known: the orders are not at hand"


# The grid


def test_the_grid_is_that_of_the_oldest_customer(fit: LtvFit) -> None:
    grid = fit.grid()
    assert list(grid.columns) == ["n_orders", "days_since_last", "p_alive", "expected_orders"]
    cells = grid.pivot(index="n_orders", columns="days_since_last", values="p_alive")
    assert cells.notna().all(axis=None)
    assert (cells.loc[1] == 1).all(), "in BG/NBD who never came back has not left"
    assert (cells.loc[2:].diff(axis=1).iloc[:, 1:] <= 0).all(axis=None)
    assert cells.loc[2:].iloc[:, 0].is_monotonic_increasing
    bgnbd, _ = fit.to_lifetimes()
    oldest = fit.base.histories[2].max()
    row = grid[(grid["n_orders"] == 4) & (grid["days_since_last"] > 100)].iloc[0]
    theirs = bgnbd.conditional_probability_alive(3, oldest - row["days_since_last"], oldest)
    assert row["p_alive"] == pytest.approx(float(np.ravel(theirs)[0]))


# Currencies


def test_mixed_currencies_are_an_error_and_one_is_not(orders: pd.DataFrame) -> None:
    mixed = orders.assign(currency=np.where(orders["country"] == "DE", "EUR", "GBP"))
    says = r"'currency' holds 2 currencies \((EUR, GBP|GBP, EUR)\).*currency=\.\.\."
    for ask in (
        lambda: cx.fit_ltv(mixed, as_of=AS_OF),
        lambda: cx.ltv_summary(mixed, as_of=AS_OF),
        lambda: cx.holdout_ltv(mixed, split="2023-09-30", as_of=AS_OF),
        lambda: cx.compare_ltv(mixed, as_of=AS_OF),
    ):
        with pytest.raises(cx.DataError, match=says):
            ask()
    one = mixed.assign(currency="EUR")
    later = one.assign(currency=one["currency"].where(one["ordered_at"] < "2024-01-01", "USD"))
    for table in (one, later, ibis.memtable(one.assign(currency=None))):
        assert cx.ltv_summary(table, as_of=AS_OF).count().execute() == 800


def test_a_fit_keeps_its_currency_and_refuses_orders_of_another(
    orders: pd.DataFrame, fit: LtvFit, path: Path, tmp_path: Path
) -> None:
    euros, pounds = orders.assign(currency="EUR"), orders.assign(currency="GBP")
    kept = cx.fit_ltv(euros, as_of=AS_OF, n_boot=40)
    assert (kept.currency, fit.currency) == ("EUR", None)
    assert cx.fit_ltv(cx.clean_orders(euros, timezone="UTC"), as_of=AS_OF).currency == "EUR"
    kept.save(tmp_path / "euros.json")
    assert cx.load_ltv(tmp_path / "euros.json").currency == "EUR"
    with pytest.raises(
        cx.DataError, match="'currency' is GBP, but the fit was made of orders in EUR"
    ):
        cx.load_ltv(tmp_path / "euros.json", orders=pounds)
    for source, orders_ in ((tmp_path / "euros.json", euros), (tmp_path / "euros.json", orders),
                            (path, pounds)):  # fmt: skip
        assert cx.load_ltv(source, orders=orders_).n_customers == kept.n_customers
