"""The second order and revenue kept: by hand, against rows in plain Python, against statsmodels."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.duration.survfunc import SurvfuncRight
from statsmodels.stats.proportion import proportion_confint

import cxlib as cx
from cxlib._calendar import Calendar
from cxlib.retention.revenue import _shares

AS_OF = "2024-05-15"
END = pd.Timestamp("2024-05-16")
DAY = pd.Timedelta(days=1)


def random_orders(seed: int, n: int = 500) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    minutes = draw.integers(0, 160 * 24 * 4, n) * 15
    return pd.DataFrame(
        {
            "order_id": [f"o{place:06}" for place in range(n)],
            "customer_id": draw.integers(0, n // 2, n).astype(str),
            "ordered_at": pd.Timestamp("2023-12-20") + pd.to_timedelta(minutes, unit="min"),
            "net_revenue": draw.integers(1, 10_000, n) / 4,
        }
    ).assign(country=lambda data: np.where(data["customer_id"].astype(int) % 3, "GB", "DE"))


def lives(orders: pd.DataFrame) -> dict[str, pd.DataFrame]:
    seen = orders[orders["ordered_at"] < END].sort_values(["ordered_at", "order_id"])
    return {str(who): theirs for who, theirs in seen.groupby("customer_id")}


# Within a fixed time ----------------------------------------------------------------------------


@pytest.mark.parametrize("by", [None, "country"])
def test_repeat_rate_equals_a_count_customer_by_customer(by: str | None) -> None:
    orders = random_orders(seed=1)
    table = cx.repeat_rate(orders, within=["30 days", "90 days"], as_of=AS_OF, by=by)
    assert len(table) == (2 if by is None else 4)
    for row in table.to_dict("records"):
        length = pd.Timedelta(row["within"])
        spent, n_repeat, n_open = [], 0, 0
        for theirs in lives(orders).values():
            if by is not None and theirs["country"].iloc[0] != row["country"]:
                continue
            first = theirs["ordered_at"].iloc[0]
            if first + length >= END:
                n_open += 1
                continue
            inside = theirs[theirs["ordered_at"] <= first + length]
            n_repeat += len(inside) > 1
            spent.append(inside["net_revenue"].sum())
        assert (row["n"], row["n_repeat"], row["n_open"]) == (len(spent), n_repeat, n_open)
        low, high = proportion_confint(n_repeat, len(spent), method="wilson")
        assert (row["ci_low"], row["ci_high"]) == pytest.approx((low, high))
        assert row["net_revenue_per_customer"] == pytest.approx(np.mean(spent))
        low, high = stats.t.interval(0.95, len(spent) - 1, np.mean(spent), stats.sem(spent))
        assert (row["net_revenue_low"], row["net_revenue_high"]) == pytest.approx((low, high))


def test_cohorts_and_lengths_add_up_to_all() -> None:
    orders = random_orders(seed=2)
    whole = cx.repeat_rate(orders, within="30 days", as_of=AS_OF)
    parts = cx.repeat_rate(orders, within="30 days", as_of=AS_OF, cohort_by="month")
    assert parts["cohort"].dt.day.eq(1).all()
    counted = ["n", "n_repeat", "n_open"]
    assert parts[counted].sum().tolist() == whole[counted].iloc[0].tolist()
    assert (
        parts.loc[parts["n"] == 0, ["repeat_rate", "net_revenue_per_customer"]].isna().all().all()
    )


def test_the_edge_of_the_window_is_inside_and_the_end_of_as_of_is_over() -> None:
    orders = pd.DataFrame(
        {"order_id": ["1", "2", "3", "4"], "customer_id": ["ann", "ann", "bob", "cat"],
         "ordered_at": pd.to_datetime(["2024-01-01 10:00", "2024-01-31 10:00", "2024-01-01 23:59:59",
                                       "2024-01-02"], format="ISO8601"), "net_revenue": [1.0, 2.0, 4.0, 8.0]}
    )  # fmt: skip
    table = cx.repeat_rate(orders, within="30 days", as_of="2024-01-31")
    assert table[["n", "n_repeat", "n_open", "net_revenue_per_customer"]].values.tolist() == [
        [2, 1, 1, 3.5]
    ]


def test_nobody_old_enough_is_null_and_all_old_is_an_error() -> None:
    orders = random_orders(seed=3, n=40)
    table = cx.repeat_rate(orders, within="900 days", as_of=AS_OF)
    assert table["n"].tolist() == [0]
    assert table[["repeat_rate", "ci_low", "net_revenue_per_customer"]].isna().all().all()
    for answer in (cx.repeat_rate, cx.time_to_second_order):
        more = {"within": "9 days"} if answer is cx.repeat_rate else {}
        for by in (None, "country"):
            with pytest.raises(cx.DataError, match="all customers are old"):
                answer(orders, as_of=AS_OF, burn_in_days=999, by=by, **more)


def test_old_customers_stay_out() -> None:
    orders = random_orders(seed=4)
    old = pd.DataFrame({"customer_id": [str(k) for k in range(0, 250, 2)],
                        "first_ordered_at": pd.Timestamp("2022-01-01")})  # fmt: skip
    new = orders[~orders["customer_id"].isin(old["customer_id"])]
    asked = {"as_of": AS_OF}
    pd.testing.assert_frame_equal(
        cx.repeat_rate(orders, within="30 days", first_orders=old, **asked),
        cx.repeat_rate(new, within="30 days", **asked),
    )
    pd.testing.assert_frame_equal(
        cx.time_to_second_order(orders, first_orders=old, **asked),
        cx.time_to_second_order(new, **asked),
    )


# Time to the second order -----------------------------------------------------------------------


def followed(orders: pd.DataFrame) -> tuple[list[int], list[int]]:
    """Whole days that each customer was followed, and whether the second order came in them."""
    days, back = [], []
    for theirs in lives(orders).values():
        at = theirs["ordered_at"].tolist()
        observed = (END - at[0]) // DAY
        wait = math.ceil((at[1] - at[0]) / DAY) if len(at) > 1 else None
        came = wait is not None and wait <= observed
        days.append(wait if came else observed)
        back.append(int(came))
    return days, back


def test_the_curve_is_that_of_statsmodels_on_the_rows() -> None:
    orders = random_orders(seed=5)
    table = cx.time_to_second_order(orders, as_of=AS_OF)
    rows = SurvfuncRight(*followed(orders))
    assert table["days"].tolist() == rows.surv_times.tolist()
    assert table["n_at_risk"].tolist() == rows.n_risk.tolist()
    assert table["n_second_orders"].tolist() == rows.n_events.tolist()
    np.testing.assert_allclose(1 - table["repeat_rate"], rows.surv_prob)
    # log(-log) interval from Greenwood's error of the rows, by the delta method
    alive, error = rows.surv_prob, rows.surv_prob_se
    known = alive < 1
    half = stats.norm.isf(0.025) * error / (alive * -np.log(alive))
    np.testing.assert_allclose((1 - table["ci_high"])[known], (alive ** np.exp(half))[known])
    np.testing.assert_allclose((1 - table["ci_low"])[known], (alive ** np.exp(-half))[known])


def test_leukemia_maintained_group_as_published() -> None:
    # Embury et al. 1977, 11 patients, in R: survfit(Surv(time, status) ~ 1, aml[aml$x ==
    # "Maintained", ], conf.type = "log-log"); weeks are taken as days here.
    times = [9, 13, 13, 18, 23, 28, 31, 34, 45, 48, 161]
    relapsed = [1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 0]
    end = pd.Timestamp("2024-12-31")
    rows = []
    for who, (time, came) in enumerate(zip(times, relapsed, strict=True)):
        first = end - pd.Timedelta(days=time if not came else 400)
        rows.append((str(who), first))
        if came:
            rows.append((str(who), first + pd.Timedelta(days=time)))
    orders = pd.DataFrame(rows, columns=["customer_id", "ordered_at"]).assign(net_revenue=1.0)
    orders["order_id"] = orders.index.astype(str)
    table = cx.time_to_second_order(orders, as_of="2024-12-30").set_index("days")
    expected = {9: 0.909, 13: 0.818, 18: 0.716, 23: 0.614, 31: 0.491, 34: 0.368, 48: 0.184}
    assert (1 - table["repeat_rate"]).round(3).to_dict() == expected
    assert table["n_at_risk"].to_dict() == {9: 11, 13: 10, 18: 8, 23: 7, 31: 5, 34: 4, 48: 2}


def test_two_orders_at_once_are_day_0_and_all_back_has_no_interval() -> None:
    orders = pd.DataFrame(
        {"order_id": ["1", "2", "3", "4"], "customer_id": ["ann", "ann", "bob", "bob"],
         "ordered_at": pd.to_datetime(["2024-01-01", "2024-01-01", "2024-01-01", "2024-01-03 01:00"], format="ISO8601"),
         "net_revenue": 1.0}
    )  # fmt: skip
    table = cx.time_to_second_order(orders, as_of="2024-01-31")
    assert table["days"].tolist() == [0, 3]
    assert table["repeat_rate"].tolist() == [0.5, 1.0]
    assert table["ci_low"].isna().tolist() == [False, True]


def test_each_group_is_its_customers_alone_and_orders_after_as_of_change_nothing() -> None:
    orders = random_orders(seed=6)
    later = orders.assign(order_id="x" + orders["order_id"], ordered_at=END)
    table = cx.time_to_second_order(pd.concat([later, orders]), as_of=AS_OF, by="country")
    for name, part in table.groupby("country"):
        alone = cx.time_to_second_order(orders[orders["country"] == name], as_of=AS_OF)
        pd.testing.assert_frame_equal(part.drop(columns="country").reset_index(drop=True), alone)


# Revenue kept -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("period", "freq", "lag"), [("month", "M", 1), ("month", "M", 3), ("week", "W-SUN", 2)])  # fmt: skip
def test_net_revenue_retention_equals_a_sum_customer_by_customer(
    period: str, freq: str, lag: int
) -> None:
    orders = random_orders(seed=7)
    table = cx.net_revenue_retention(orders, period=period, lag=lag, as_of=AS_OF)
    spent = orders[orders["ordered_at"] < END]
    spent = spent.groupby(["customer_id", spent["ordered_at"].dt.to_period(freq)])[
        "net_revenue"
    ].sum()
    wide = spent.unstack()
    over = [p for p in wide.columns if p.end_time < END]
    pairs = [(over[k], over[k + lag]) for k in range(len(over) - lag)]
    assert table["period"].tolist() == [now.start_time for _, now in pairs]
    for row, (then, now) in zip(table.itertuples(), pairs, strict=True):
        base = wide[wide[then].notna()]
        x, y = base[then].to_numpy(), base[now].fillna(0).to_numpy()
        assert (row.n, row.n_active) == (len(base), base[now].notna().sum())
        assert row.net_revenue_retention == pytest.approx(y.sum() / x.sum())
        assert row.gross_revenue_retention == pytest.approx(np.minimum(x, y).sum() / x.sum())
        off = y - y.sum() / x.sum() * x
        half = stats.t.isf(0.025, len(x) - 1) * off.std(ddof=1) * math.sqrt(len(x)) / x.sum()
        assert row.net_revenue_retention_high - row.net_revenue_retention == pytest.approx(half)
        assert row.net_revenue_retention - row.net_revenue_retention_low == pytest.approx(half)


def test_a_base_without_revenue_has_no_ratio() -> None:
    orders = random_orders(seed=8).assign(net_revenue=0.0)
    table = cx.net_revenue_retention(orders, as_of=AS_OF)
    assert table["net_revenue_retention"].isna().all()
    assert table["retention_rate"].notna().all()


def test_the_interval_of_kept_revenue_holds_the_truth_as_often_as_it_says() -> None:
    # simulated 2,000 times: 300 spend 100 or 20, and later half of them the same again: ratio 0.5
    draw = np.random.default_rng(9)
    x = draw.choice([20.0, 100.0], (2000, 300))
    y = x * draw.integers(0, 2, x.shape)
    sums = pd.DataFrame({"number": 24289, "n": 300, "n_active": (y > 0).sum(axis=1)})
    for name, part in {
        "base_revenue": x,
        "net_revenue": y,
        "kept": y,
        "xx": x * x,
        "xy": x * y,
        "yy": y * y,
    }.items():
        sums[name] = part.sum(axis=1)
    table = _shares(sums, Calendar("month"), 0.05)
    low, high = table["net_revenue_retention_low"], table["net_revenue_retention_high"]
    assert ((low <= 0.5) & (high >= 0.5)).mean() == pytest.approx(0.95, abs=0.015)


# Bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda o: cx.repeat_rate(o, within="0 days", as_of=AS_OF), cx.ParameterError, "longer than zero"),
        (lambda o: cx.repeat_rate(o, within=[], as_of=AS_OF), cx.ParameterError, "names no length"),
        (lambda o: cx.repeat_rate(o, within="3 months", as_of=AS_OF), cx.ParameterError, "months differ in length"),
        (lambda o: cx.repeat_rate(o, within="9 days", as_of=AS_OF, cohort_by="moon"), cx.ParameterError, "cohort_by='moon'"),
        (lambda o: cx.repeat_rate(o, within="9 days", as_of="2020-01-01"), cx.DataError, "before the first"),
        (lambda o: cx.time_to_second_order(o, as_of=AS_OF, by="contry"), cx.ColumnError, "Did you mean 'country'"),
        (lambda o: cx.net_revenue_retention(o, as_of=AS_OF, lag=1.5), cx.ParameterError, "no whole number"),
        (lambda o: cx.net_revenue_retention(o, as_of=AS_OF, lag=0), cx.ParameterError, "lag=0 is out of range"),
        (lambda o: cx.net_revenue_retention(o, as_of=AS_OF, lag=40), cx.DataError, "give a later as_of or a smaller lag"),
        (lambda o: cx.net_revenue_retention(o, as_of=AS_OF, period="30 days"), cx.ParameterError, "period='30 days'"),
    ],
)  # fmt: skip
def test_bad_arguments(call: object, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        call(random_orders(seed=10, n=30))  # type: ignore[operator]
