"""Panels of choices, without a browser: what they offer is what the analyses take."""

from __future__ import annotations

import inspect
from typing import Any, get_args

import ipywidgets as widgets
import pandas as pd
import pytest

import cxlib as cx
from cxlib._calendar import Unit
from cxlib.explore.choices import choices_of
from cxlib.explore.panel import Panel
from cxlib.funnel.rule import Order

AS_OF = "2024-12-31"


@pytest.fixture(scope="module")
def orders() -> Any:
    raw = cx.simulate.orders(400, start="2024-01-01", as_of=AS_OF, seed=3)
    return cx.clean_orders(raw.assign(country=raw["customer_id"].str[-1]), timezone="UTC")


@pytest.fixture(scope="module")
def fit(orders: Any) -> Any:
    return cx.fit_ltv(orders, as_of=AS_OF, by="country", n_boot=40)


@pytest.fixture(scope="module")
def result() -> Any:
    trial = cx.simulate.experiment(600, start="2024-03-01", as_of="2024-04-30", seed=1)
    within = [cx.Conversion("order", within="14 days"), cx.Mean("net_revenue", within="14 days")]
    return cx.experiment(
        trial.exposures, orders=trial.orders, metrics=within, control="control", as_of="2024-04-30"
    )


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    rows = [("ann", "view", 0), ("ann", "cart", 1), ("bob", "view", 2), ("bob", "view", 3)]
    table = pd.DataFrame(rows, columns=["user_id", "event", "hour"])
    when = pd.Timestamp("2024-05-01") + pd.to_timedelta(table.pop("hour"), unit="h")
    return table.assign(occurred_at=when, country=["GB", "GB", "IL", "IL"], session_id="s")


def panels(orders: Any, fit: Any, result: Any, events: Any) -> list[tuple[Panel, dict[str, Any]]]:
    """Return panels of every kind, some choices made, and the names that their calls use."""
    explore = cx.explore
    return [
        (explore.retention(orders), {"orders": orders}),
        (explore.retention(orders, period="quarter", kind="on_or_after"), {"orders": orders}),
        (explore.funnel(events, window="1 day", as_of="2024-05-31"), {"events": events}),
        (
            explore.funnel(events, order="any", by="country", as_of="2024-05-31"),
            {"events": events},
        ),
        (explore.ltv(fit, horizon_days=30, margin=0.4), {"fit": fit}),
        (explore.experiment(result), {"result": result}),
    ]


def test_the_call_makes_the_table(orders: Any, fit: Any, result: Any, events: Any) -> None:
    for panel, names in panels(orders, fit, result, events):
        for name in panel._views:
            panel._view = panel._views[name]
            space = {"cx": cx, **names}
            exec(panel.call, space)
            pd.testing.assert_frame_equal(space["table"], panel.table)


@pytest.mark.parametrize("function", [cx.retention, cx.funnel])
def test_what_controls_offer_is_what_the_analysis_accepts(
    function: Any, orders: Any, events: Any
) -> None:
    base = {"as_of": AS_OF} | (
        {} if function is cx.retention else {"steps": ["view", "cart"], "window": "1 day"}
    )
    data = orders if function is cx.retention else events
    offered = {
        name: choice.values
        for name, choice in choices_of(function, {}).items()
        if choice.values and choice.kind == "one"
    }
    assert len(offered) >= 4
    for name, values in offered.items():
        with pytest.raises(cx.ParameterError, match="is not one of") as error:
            function(data, **base, **{name: "no such thing"})
        assert f"is not one of {', '.join(map(str, values))}" in str(error.value)
    assert set(get_args(Order)) <= {value for values in offered.values() for value in values} | set(
        get_args(Order) if function is cx.retention else ()
    )


def test_a_control_of_every_kind(orders: Any, events: Any) -> None:
    panel = cx.explore.retention(orders)
    panel._widget()
    made = panel._controls
    assert made["period"].options == get_args(Unit), "or another text: an exact length"
    assert isinstance(made["as_of"], widgets.DatePicker)
    assert [value for _, value in made["cohort_by"].options] == [None, *get_args(Unit)]
    assert made["by"].options == (("(none)", None), ("country", "country"))
    keywords = [
        name
        for name, option in inspect.signature(cx.retention).parameters.items()
        if option.kind is option.KEYWORD_ONLY
    ]
    assert list(made) == [name for name in keywords if name != "first_orders"], "a table"
    panel = cx.explore.funnel(events)
    panel._widget()
    assert panel._controls["steps"].allowed_tags == ["view", "cart"]
    assert panel._controls["hold"].options == (("(none)", None), ("session_id", "session_id"))


def test_the_metric_of_a_distribution_can_be_chosen(result: Any) -> None:
    panel = cx.explore.experiment(result, metric="net_revenue")
    panel._widget()
    assert panel._controls["metric"].options == (
        ("(none)", None), ("order", "order"), ("net_revenue", "net_revenue")
    )  # fmt: skip
    panel._picker.value = "distribution"
    assert panel.call.splitlines()[0] == "table = result.distribution(metric='net_revenue')"
    assert set(panel.table["metric"]) == {"net_revenue"}


def test_controls_set_what_is_computed_and_drawn(orders: Any) -> None:
    panel = cx.explore.retention(orders)
    panel._widget()
    first = panel._picture.value
    assert "cx-picture" in first
    panel._controls["brackets"].value = "1, 3"
    assert "brackets=[1, 3]" in panel._code.value
    assert panel._picture.value != first
    panel._controls["brackets"].value = "1, many"
    assert panel._picture.value.startswith('<p class="cx-mistake"')
    assert "whole numbers that rise" in panel._picture.value
    assert panel._code.value == ""
    panel._controls["brackets"].value = ""
    assert panel._picture.value == first
    panel._controls["burn_in_days"].value = "30"
    assert panel.call.splitlines()[0].endswith("burn_in_days=30)")


def test_groups_are_drawn_as_curves_and_the_map_shows_all(orders: Any) -> None:
    panel = cx.explore.retention(orders)
    panel._widget()
    panel._controls["by"].value = "country"
    assert panel._picker.value == "average curve"
    assert "cx-picture" in panel._picture.value
    panel._picker.value = "cohorts"
    assert panel._controls["by"].value is None
    assert "cx-picture" in panel._picture.value
    assert "by=" not in panel.call


def test_pictures_are_let_go(orders: Any) -> None:
    import matplotlib.pyplot as plt

    plt.close("all")
    panel = cx.explore.retention(orders)
    panel._widget()
    panel._controls["period"].value = "quarter"
    assert plt.get_fignums() == []


def test_what_cannot_be_set_is_said_at_once(orders: Any) -> None:
    with pytest.raises(
        cx.ParameterError, match=r"'perod' cannot be set here.*Did you mean 'period'"
    ):
        cx.explore.retention(orders, perod="week")
    with pytest.raises(cx.ParameterError, match=r"by='contry'.*Did you mean 'country'"):
        cx.explore.retention(orders, by="contry")
    with pytest.raises(cx.ColumnError, match="no columns 'order_id'"):
        cx.explore.retention(pd.DataFrame({"customer_id": ["ann"]}))
    one = pd.DataFrame({"user_id": ["a"], "event": ["view"], "occurred_at": [pd.Timestamp(0)]})
    with pytest.raises(cx.ParameterError, match="'view' is the only event"):
        cx.explore.funnel(one)


def test_another_outlook_is_the_fit_that_would_have_been_made_so(orders: Any, fit: Any) -> None:
    own = fit.at(horizon_days=90, discount_rate=0.3, margin=0.5)
    made = cx.fit_ltv(
        orders, as_of=AS_OF, by="country", n_boot=40,
        horizon_days=90, discount_rate=0.3, margin=0.5,
    )  # fmt: skip
    pd.testing.assert_frame_equal(own.total(), made.total())
    pd.testing.assert_frame_equal(own.segments(), made.segments())
    pd.testing.assert_frame_equal(fit.at().total(), fit.total())
    with pytest.raises(cx.ParameterError, match="margin=2 is out of range"):
        fit.at(margin=2)
