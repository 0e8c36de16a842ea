"""Carts left behind against a plain recount, funnels, a package's ratio estimator, and by hand."""

from __future__ import annotations

import dataclasses
from collections import defaultdict

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

import cxlib as cx
from cxlib.funnel.ratios import Sums, share_interval

START = pd.Timestamp("2024-01-01")
LATER, DAY = "2024-12-31", 24 * 60
END = 10 * DAY
ORDER = {"add": 0, "remove": 1, "checkout": 2, "buy": 3}
ASK = {"cart": "add", "purchase": "buy"}
ALL = {**ASK, "remove": "remove", "checkout": "checkout", "value": "worth"}


def table_of(rows: list[tuple]) -> pd.DataFrame:
    """Rows of (user, minute, event, worth, device)."""
    rows = [(*row, *(None, None))[:5] for row in rows]
    table = pd.DataFrame(rows, columns=["user_id", "minute", "event", "worth", "device"])
    table["worth"] = table["worth"].astype("float64")
    table["device"] = table["device"].astype("str").where(table["device"].notna())
    return table.assign(occurred_at=START + pd.to_timedelta(table["minute"], unit="min"))


def random_rows(seed: int, n: int = 2500) -> list[tuple]:
    draw = np.random.default_rng(seed)
    events = draw.choice([*ORDER, "view"], n, p=[0.45, 0.1, 0.15, 0.2, 0.1])
    return [
        (
            f"u{draw.integers(250)}",
            int(draw.integers(0, 11 * 24) * 60),
            str(event),
            None if draw.random() < 0.1 or event in ("buy", "view") else int(draw.integers(1, 90)),
            [None, "phone", "laptop"][draw.integers(3)],
        )
        for event in events
    ]


@dataclasses.dataclass
class Cart:
    """One cart, filled event by event."""

    rows: list[tuple]
    bought: bool = False

    @property
    def touched(self) -> int:
        return max(row[1] for row in self.rows if row[2] != "buy")

    @property
    def value(self) -> float:
        sign = {"add": 1, "remove": -1}
        return max(0, sum(sign.get(row[2], 0) * (row[3] or 0) for row in self.rows))

    @property
    def device(self) -> str:
        known = sorted((row[1], row[4]) for row in self.rows if row[4])
        return known[0][1] if known else "(none)"

    def has(self, event: str) -> bool:
        return any(row[2] == event for row in self.rows)


def recount(rows: list[tuple], window: int, asked: set[str]) -> dict[str, list[Cart]]:
    """Fill each user's carts one event after the other, as the docstring says."""
    carts: dict[str, list[Cart]] = defaultdict(list)
    seen = [row for row in rows if row[1] < END and row[2] in asked]
    last: dict[str, int] = {}
    for row in sorted(seen, key=lambda row: (row[0], row[1], ORDER[row[2]])):
        user, minute, event = row[:3]
        mine = carts[user]
        if not mine or mine[-1].bought or minute - last[user] > window:
            mine.append(Cart([]))
        mine[-1].rows.append(row)
        mine[-1].bought = event == "buy"
        last[user] = minute
    return carts


@pytest.mark.parametrize("seed", [1, 2])
def test_users_carts_and_values_agree_with_a_recount(seed: int) -> None:
    rows = random_rows(seed)
    table = cx.cart_abandonment(table_of(rows), **ALL, window="1 day", as_of="2024-01-10")
    assert table["stage"].tolist() == ["add", "checkout"]
    found = recount(rows, DAY, set(ORDER))
    for row in table.itertuples():
        stage = {
            user: [cart for cart in mine if cart.has(row.stage)] for user, mine in found.items()
        }
        stage = {user: mine for user, mine in stage.items() if mine}
        over = {
            user: [cart for cart in mine if cart.touched + DAY < END]
            for user, mine in stage.items()
        }
        done = [cart for mine in over.values() for cart in mine]
        left = [cart for cart in done if not cart.bought]
        some = {user: mine for user, mine in over.items() if mine}
        assert row.n == len(some)
        assert row.n_abandoned == sum(not any(c.bought for c in mine) for mine in some.values())
        assert row.n_open == len(stage) - len(some) > 0
        assert (row.n_carts, row.n_carts_abandoned) == (len(done), len(left))
        assert row.n_carts_open == sum(map(len, stage.values())) - len(done)
        assert row.cart_value == sum(cart.value for cart in done)
        assert row.abandoned_value == sum(cart.value for cart in left)
        lacking = [
            cart
            for cart in done
            if not cart.has("add")
            or any(one[3] is None for one in cart.rows if one[2] in ("add", "remove"))
        ]
        assert row.n_without_value == len(lacking) > 0
        low, high = proportion_confint(row.n_abandoned, row.n, method="wilson")
        told = (row.abandonment_rate, row.ci_low, row.ci_high)
        assert told == pytest.approx((row.n_abandoned / row.n, low, high))
        check_ratio(row, over)


def check_ratio(row: object, over: dict[str, list[Cart]]) -> None:
    """Compare with the delta method written out: the mean of what each user adds to the ratio."""
    lost = np.array([sum(c.value for c in mine if not c.bought) for mine in over.values() if mine])
    value = np.array([sum(c.value for c in mine) for mine in over.values() if mine])
    left = np.array([sum(not c.bought for c in mine) for mine in over.values() if mine])
    carts = np.array([len(mine) for mine in over.values() if mine])
    shares = {"abandoned_value_share": (lost, value), "cart": (left, carts)}
    for name, (top, bottom) in shares.items():
        ratio, error = linearised(top, bottom)
        size = ratio * (1 - ratio) / error**2
        low, high = proportion_confint(ratio * size, size, method="wilson")
        ends = ("_ci_low", "_ci_high") if name == "cart" else ("_low", "_high")
        assert [getattr(row, f"{name}{end}") for end in ends] == pytest.approx([low, high])
    assert row.cart_abandonment_rate == pytest.approx(left.sum() / carts.sum())
    ratio, error = linearised(lost, left)
    half = stats.t.isf(0.025, len(left) - 1) * error
    told = [getattr(row, f"mean_abandoned_value{end}") for end in ("", "_low", "_high")]
    assert told == pytest.approx([ratio, ratio - half, ratio + half])


def linearised(top: np.ndarray, bottom: np.ndarray) -> tuple[float, float]:
    """Return the ratio of sums, and the standard error of the mean of each user's part in it."""
    ratio = top.sum() / bottom.sum()
    parts = (top - ratio * bottom) / bottom.mean()
    return ratio, parts.std(ddof=1) / np.sqrt(len(parts))


@pytest.mark.parametrize("seed", [3, 4])
def test_a_user_bought_where_the_funnel_of_cart_and_purchase_says_so(seed: int) -> None:
    """No cart is open: then both count the same users, whatever the window."""
    rows = random_rows(seed)
    for window in ("1 hour", "1 day"):
        carts = cx.cart_abandonment(table_of(rows), **ASK, window=window, as_of=LATER)
        steps = cx.funnel(table_of(rows), steps=["add", "buy"], window=window, as_of=LATER)
        first, last = steps["n"]
        assert carts.loc[0, ["n", "n_abandoned", "n_open"]].tolist() == [first, first - last, 0]
        assert carts.loc[0, "n_carts"] >= first


def test_groups_add_up_and_each_cart_is_in_the_group_of_its_first_event_with_one() -> None:
    rows = random_rows(5)
    ask = {**ALL, "window": "1 day", "as_of": "2024-01-10"}
    whole = cx.cart_abandonment(table_of(rows), **ask)
    table = cx.cart_abandonment(table_of(rows), by="device", **ask)
    assert table.columns[:2].tolist() == ["device", "stage"]
    assert table["stage"].tolist() == ["add", "checkout"] * 3
    summed = ["n", "n_abandoned", "n_open", "n_carts", "n_carts_abandoned", "n_carts_open",
              "cart_value", "abandoned_value", "n_without_value"]  # fmt: skip
    assert table.groupby("stage")[summed].sum().values.tolist() == whole[summed].values.tolist()
    carts = [cart for mine in recount(rows, DAY, set(ORDER)).values() for cart in mine]
    for name, part in table[table["stage"] == "add"].groupby("device"):
        mine = [c for c in carts if c.has("add") and c.device == name and c.touched + DAY < END]
        assert part["n_carts"].item() == len(mine)


def test_row_order_and_later_events_change_nothing() -> None:
    rows = [row for row in random_rows(6) if row[1] < END]
    ask = {**ALL, "window": "1 day", "as_of": "2024-01-10", "by": "device"}
    table = cx.cart_abandonment(table_of(rows), **ask)
    pd.testing.assert_frame_equal(table, cx.cart_abandonment(table_of(rows[::-1]), **ask))
    later = [("u1", END, "buy"), ("new", END + 1, "add", 5.0)]
    pd.testing.assert_frame_equal(table, cx.cart_abandonment(table_of([*rows, *later]), **ask))


def test_by_hand() -> None:
    rows = [
        ("bought", 0, "add", 10.0), ("bought", 30, "buy"),
        ("second", 0, "add", 20.0), ("second", 5000, "add", 30.0), ("second", 5030, "buy"),
        ("too late", 0, "add", 40.0), ("too late", 1441, "buy"),
        ("just", 0, "add", 5.0), ("just", 1440, "buy"),
        ("left", 0, "add", 50.0), ("left", 1, "add", 7.0), ("left", 2, "remove", 50.0),
        ("emptied", 0, "add", 8.0), ("emptied", 1, "remove", 9.0),
        ("no cart", 0, "buy"),
    ]  # fmt: skip
    ask = {**ASK, "remove": "remove", "value": "worth", "as_of": LATER}
    row = cx.cart_abandonment(table_of(rows), **ask).iloc[0]
    assert row["n"] == 6
    assert row["n_abandoned"] == 3  # too late, left, emptied
    assert (row["n_carts"], row["n_carts_abandoned"]) == (7, 4)
    assert row["cart_value"] == 10 + 20 + 30 + 40 + 5 + 7 + 0
    assert row["abandoned_value"] == 20 + 40 + 7 + 0
    assert row["mean_abandoned_value"] == 67 / 4
    without = cx.cart_abandonment(table_of(rows), **ASK, as_of=LATER)
    assert "cart_value" not in without.columns
    assert without.loc[0, "n_carts"] == 7


def test_a_cart_whose_window_is_not_over_is_left_out_even_if_bought() -> None:
    rows = [
        ("a", 0, "add", 1.0),
        ("b", DAY - 10, "add", 2.0), ("b", DAY - 5, "buy"),
        ("c", 0, "add", 4.0), ("c", 20, "buy"), ("c", DAY - 10, "add", 8.0),
    ]  # fmt: skip
    ask = {**ASK, "value": "worth", "window": "10 minutes", "as_of": "2024-01-01"}
    row = cx.cart_abandonment(table_of(rows), **ask).iloc[0]
    assert row[["n", "n_abandoned", "n_open", "n_carts", "n_carts_open"]].tolist() == [
        2,
        2,
        1,
        2,
        2,
    ]
    shorter = cx.cart_abandonment(table_of(rows), **{**ask, "window": "9 minutes"}).iloc[0]
    assert shorter[["n_open", "n_carts_open", "cart_value"]].tolist() == [0, 0, 15.0]


def test_where_all_carts_are_left_the_share_of_value_has_no_interval_and_that_of_carts_has() -> (
    None
):
    rows = [(f"u{number}", 0, "add", 10.0 + number) for number in range(8)]
    rows.append(("no cart", 0, "buy"))
    row = cx.cart_abandonment(table_of(rows), **ASK, value="worth", as_of=LATER).iloc[0]
    assert row["abandoned_value_share"] == 1
    low, high = proportion_confint(8, 8, method="wilson")
    ends = row[["abandoned_value_share_low", "abandoned_value_share_high"]]
    assert ends.tolist() == pytest.approx([low, high])
    assert row[["cart_ci_low", "cart_ci_high"]].tolist() == pytest.approx([low, high])


def test_nothing_finished_gives_nulls() -> None:
    row = cx.cart_abandonment(
        table_of([("u", 5, "add", 3.0), ("u", 6, "buy")]), **ASK, value="worth", as_of="2024-01-01"
    ).iloc[0]
    assert row[["n", "n_open", "n_carts", "n_carts_open", "cart_value"]].tolist() == [0, 1, 0, 1, 0]
    null = ["abandonment_rate", "cart_abandonment_rate", "abandoned_value_share"]
    assert row[[*null, "mean_abandoned_value", "ci_low", "cart_ci_low"]].isna().all()


def test_the_share_of_carts_of_users_with_one_each_is_wilsons_and_of_equal_pairs_of_half_the_size() -> (
    None
):
    """Effective n: units that bring each thing twice tell no more than once (Kish 1965)."""
    low, high = proportion_confint(30, 100, method="wilson")
    once = share_interval(Sums(100, 30, 100, 30, 100, 30), 0.05)
    assert once == pytest.approx((low, high), rel=0.01)  # n - 1 against n
    twice = share_interval(Sums(100, 60, 200, 120, 400, 120), 0.05)
    assert twice == pytest.approx(once)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"value": "wrth"}, cx.ColumnError, "Did you mean 'worth'"),
        ({"value": "price"}, cx.ColumnError, "Give another value= or value=None"),
        ({"value": "event"}, cx.ColumnError, "'event' holds string, not numbers"),
        ({"checkout": "chekout"}, cx.DataError, "the nearest names are 'checkout'"),
        ({"remove": "zz"}, cx.DataError, "no event is named 'zz'"),
        ({"purchase": "add"}, cx.ParameterError, "must differ"),
        ({"window": "0 days"}, cx.ParameterError, "must be longer than zero"),
        ({"by": "n_carts"}, cx.ColumnError, "no column 'n_carts'"),
        ({"alpha": 1.5}, cx.ParameterError, "alpha=1.5 is out of range"),
    ],
)
def test_bad_arguments(change: dict, error: type, message: str) -> None:
    events = table_of([("u", 0, "add", 1.0), ("u", 1, "checkout"), ("u", 2, "buy")])
    with pytest.raises(error, match=message):
        cx.cart_abandonment(events, **{**ASK, "as_of": LATER, **change})


def test_empty_and_repeated_rows_are_counted() -> None:
    good = table_of([("u", 0, "add", 1.0), ("v", 2, "add", 2.0), ("v", 3, "buy")])
    good["event_id"] = ["1", "2", "3"]
    bad = good.assign(user_id=["u", None, "v"], event_id=["1", "4", "3"])
    table = cx.cart_abandonment(pd.concat([good, bad]), **ASK, value="worth", as_of=LATER)
    assert table.loc[0, ["n_ignored", "n_duplicates", "cart_value"]].tolist() == [1, 2, 3.0]
