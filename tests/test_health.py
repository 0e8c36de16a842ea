"""Volume and completeness, each against a plain recomputation in pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import cxlib as cx


def orders(n: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    days = pd.to_datetime("2024-01-03") + pd.to_timedelta(rng.integers(0, 80, n), unit="D")
    return pd.DataFrame(
        {
            "order_id": [f"o{k}" for k in range(n)],
            "customer_id": rng.integers(0, 90, n).astype(str),
            "ordered_at": days + pd.to_timedelta(rng.integers(0, 86400, n), unit="s"),
            "net_revenue": rng.uniform(5, 90, n).round(2),
        }
    )


@pytest.mark.parametrize(("period", "freq"), [("day", "D"), ("week", "W-SUN"), ("month", "M")])
def test_activity_as_pandas_counts_it(period: str, freq: str) -> None:
    frame = orders()
    table = cx.activity(frame, as_of="2024-03-20", period=period)
    seen = frame[frame["ordered_at"] < "2024-03-21"]
    groups = seen.groupby(seen["ordered_at"].dt.to_period(freq))
    want = groups.agg(
        n_rows=("order_id", "size"),
        n_people=("customer_id", "nunique"),
        net_revenue=("net_revenue", "sum"),
    )
    every = pd.period_range(want.index[0], pd.Period("2024-03-20", freq), freq=freq)
    want = want.reindex(every, fill_value=0)
    assert table["period"].tolist() == [one.start_time for one in every]
    for name in ("n_rows", "n_people", "net_revenue"):
        np.testing.assert_allclose(table[name], want[name])
    assert table["is_complete"].tolist() == [
        one.end_time.date() <= pd.Timestamp("2024-03-20").date() for one in every
    ]


def test_a_period_that_ends_on_the_last_day_is_over() -> None:
    assert cx.activity(orders(), as_of="2024-03-17")["is_complete"].all(), "a Sunday"


def test_before_the_first_row_there_is_nothing() -> None:
    with pytest.raises(cx.DataError, match="orders: no rows by as_of=2023-12-31"):
        cx.activity(orders(), as_of="2023-12-31")


def test_events_have_no_revenue_and_are_known_by_their_time() -> None:
    events = pd.DataFrame(
        {"user_id": ["u"], "event": ["view"], "occurred_at": pd.to_datetime(["2024-01-01"])}
    )
    assert list(cx.activity(events, as_of="2024-01-07")) == [
        "period",
        "n_rows",
        "n_people",
        "is_complete",
    ]


def test_a_table_without_a_time_is_refused() -> None:
    with pytest.raises(cx.ParameterError, match="none of the time columns ordered_at, occurred_at"):
        cx.activity(pd.DataFrame({"day": ["2024-01-01"]}), as_of="2024-01-07")


def test_an_unknown_period_is_refused() -> None:
    with pytest.raises(cx.ParameterError, match="Did you mean 'week'"):
        cx.activity(orders(), as_of="2024-01-07", period="weeks")


def test_completeness_counts_blanks_as_missing() -> None:
    frame = pd.DataFrame({"a": ["x", " ", None, "x"], "b": [1.0, 2.0, None, 2.0]})
    table = cx.completeness(frame).set_index("column")
    assert table["filled"].tolist() == [0.5, 0.75]
    assert table.loc["b", "n_distinct"] == 2
