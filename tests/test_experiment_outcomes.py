"""Checks of what users did, and verdicts at the planned end; every number counted by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import cxlib as cx

DAY = pd.Timestamp("2024-05-01")


def shop(n: int = 400, days: int = 30, ids: str = "u{}") -> dict[str, pd.DataFrame]:
    """Exposures on one day, half in each arm, and an order of every fourth user, spread over days."""
    users = pd.DataFrame({"user_id": [f"u{k}" for k in range(n)], "variant": ["a", "b"] * (n // 2)})
    buyers = [k for k in range(n) if k % 4 < 2]
    orders = pd.DataFrame(
        {
            "order_id": [str(k) for k in buyers],
            "customer_id": [ids.format(k) for k in buyers],
            "ordered_at": [DAY + pd.Timedelta(days=k % days, hours=1) for k in buyers],
            "net_revenue": 10.0,
        }
    )
    return {"exposures": users.assign(exposed_at=DAY), "orders": orders}


def asked(data: dict[str, pd.DataFrame], *metrics: Any, **options: Any) -> Any:
    options = {
        "as_of": "2024-05-31",
        "metrics": list(metrics) or [cx.Conversion("order")],
    } | options
    return cx.experiment(data["exposures"], orders=data["orders"], control="a", **options)


def failed(result: Any) -> list[str]:
    return result.checks.loc[~result.checks["passed"], "check"].tolist()


def test_ids_that_are_written_in_two_ways_are_told() -> None:
    assert failed(asked(shop())) == []
    result = asked(shop(ids="U{}"))
    assert failed(result) == ["outcomes found"]
    assert result.verdict.startswith("Cannot be trusted: outcomes found: no order or event belongs")


@pytest.mark.parametrize(("as_of", "told"), [("2024-06-02", False), ("2024-06-05", True)])
def test_a_log_that_ends_long_before_as_of_is_told(as_of: str, told: bool) -> None:
    # orders come on all days up to 30 May, some 7 a day: 3 days of silence are allowed
    result = asked(shop(), as_of=as_of)
    assert failed(result) == (["logs reach as_of"] if told else [])
    if told:
        assert "orders end on 2024-05-30, 6 days before as_of=2024-06-05" in result.verdict


def test_a_small_log_may_be_silent_for_long() -> None:
    assert failed(asked(shop(n=80, days=10), as_of="2024-05-31")) == ["logs reach as_of"]
    few = shop(n=80)
    few["orders"] = few["orders"].iloc[[0, 1, -2, -1]]
    assert failed(asked(few, as_of="2024-06-10")) == []


def test_values_that_one_arm_lacks_are_told() -> None:
    frame = pd.DataFrame({"variant": ["a", "b"] * 200, "y": np.arange(400.0)})
    options: dict[str, Any] = {"variant": "variant", "control": "a", "metrics": [cx.Mean("y")]}
    both = frame.assign(y=frame["y"].where(frame.index > 39))  # 20 of 200 in either arm
    assert failed(cx.experiment(both, **options)) == []
    one = frame.assign(y=frame["y"].where((frame["variant"] == "a") | (frame.index > 39)))
    result = cx.experiment(one, **options)
    row = result.checks.iloc[0]
    assert row["check"] == "values in all arms"
    assert row["p_value"] == pytest.approx(
        stats.chi2_contingency([[200, 0], [180, 20]], correction=False).pvalue
    )
    assert "a 0.0%, b 10.0%" in row["detail"]


def test_the_planned_end_counts_users_whose_window_is_over() -> None:
    data = shop()
    data["exposures"].loc[200:, "exposed_at"] = pd.Timestamp("2024-05-20")
    conversion = cx.Conversion("order", within="14 days")
    result = asked(data, conversion, planned_units=400)
    assert "planned end" in failed(result)
    assert "200 of 400 planned units" in result.checks.iloc[0]["detail"]
    assert "planned end" not in failed(asked(data, conversion, planned_units=200))


def test_without_an_effect_at_the_planned_end_it_is_not_shipped() -> None:
    assert asked(shop()).verdict.startswith("Keep running: no variant is shown to lift order")
    said = asked(shop(), planned_units=400).verdict
    assert said.startswith("Do not ship: the planned end is reached, and no variant is shown")
    same = asked(shop(n=20_000), cx.Conversion("order", equivalence=0.1)).verdict
    assert same.startswith("Do not ship: order is the same within what was set")


@pytest.mark.parametrize(("better", "says"), [("lower", "Do not ship b"), ("higher", "Ship b")])
def test_which_way_is_good_can_be_said(better: str, says: str) -> None:
    frame = pd.DataFrame({"variant": ["a"] * 300 + ["b"] * 300})
    frame["bounced"] = ([1] * 60 + [0] * 240) + ([1] * 120 + [0] * 180)
    metric = cx.Conversion("bounced", better=better)
    result = cx.experiment(frame, variant="variant", control="a", metrics=[metric])
    assert result.verdict.startswith(says)
    assert result.table["better"].tolist() == [better]
    # Jeffreys' posteriors far apart: all but sure
    assert result.table["chance_to_beat"].iloc[0] == pytest.approx(
        float(better == "higher"), abs=1e-4
    )


def test_a_margin_must_lie_on_the_bad_side() -> None:
    with pytest.raises(cx.ParameterError, match=r"margin=0.02 bounds the lift on the wrong side"):
        cx.Mean("net_revenue", better="higher", margin=0.02)
    with pytest.raises(cx.ParameterError, match="better='up' is not one of"):
        cx.Mean("net_revenue", better="up")


def test_too_many_strata_are_told() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"variant": ["a", "b"] * 100, "y": rng.normal(size=200)})
    frame["age"] = rng.normal(size=200)
    result = cx.experiment(
        frame, variant="variant", control="a", metrics=[cx.Mean("y")], stratify="age"
    )
    assert (
        result.table["method"].iloc[0] == "age has too many values to stratify by: nothing adjusted"
    )


def test_a_misspelt_order_is_hinted_at() -> None:
    with pytest.raises(cx.ParameterError, match="reads events; give events=. Did you mean 'order'"):
        asked(shop(), cx.Conversion("oder"))
