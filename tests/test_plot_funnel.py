"""Pictures of funnels over time and of groups compared: what they draw, what they say, the worst tables."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

import cxlib as cx

mpl.use("Agg")


STEPS = pd.DataFrame(
    {"step": [1, 2, 3], "event": ["view", "cart", "buy"], "n": [1000, 300, 120],
     "rate": [1, 0.3, 0.12], "ci_low": [0.99, 0.27, 0.10], "ci_high": [1, 0.33, 0.14],
     "n_dropped": pd.array([None, 700, 180], "Int64")}
)  # fmt: skip
WAIT = pd.DataFrame(
    {"seconds": [0.0, 3600, 90_000, 604_800], "n_at_risk": [500, 480, 300, 200],
     "n_converted": [20, 60, 30, 0], "conversion_rate": [0.04, 0.16, 0.23, 0.23],
     "ci_low": [0.03, 0.13, 0.2, 0.2], "ci_high": [0.06, 0.19, 0.27, 0.27]}
)  # fmt: skip
TREND = pd.DataFrame(
    {"period": pd.to_datetime(["2024-01-01", "2024-01-08", "2024-01-15"]).repeat(2),
     "step": [1, 2] * 3, "event": ["view", "cart"] * 3,
     "n": pd.array([100, 30, 120, 24, 90, None], "Int64"), "rate": [1, 0.3, 1, 0.2, np.nan, np.nan],
     "ci_low": [0.96, 0.22, 0.97, 0.14, np.nan, np.nan], "ci_high": [1, 0.4, 1, 0.28, np.nan, np.nan],
     "is_complete": [True] * 4 + [False] * 2}
)  # fmt: skip
PAIRS = pd.DataFrame(
    {"device": ["app", "app", "tv", "tv"], "step": [2, 3] * 2, "event": ["cart", "buy"] * 2,
     "rate": [0.3, 0.1, 0.2, 0.05], "rate_baseline": [0.2, 0.08] * 2, "difference": [0.1, 0.02, 0.0, -0.03],
     "ci_low": [0.05, -0.01, -0.06, -0.08], "ci_high": [0.16, 0.06, 0.06, 0.03],
     "p_value": [0.001, 0.2, 1.0, 0.2], "p_adjusted": [0.003, 0.4, 1.0, 0.4]}
)  # fmt: skip


def of(table: pd.DataFrame, *names: str) -> pd.DataFrame:
    return pd.concat([table.assign(g=name) for name in names])[["g", *table.columns]]


FIGURES = {
    "wait": lambda **kw: cx.plot.time_to_convert(WAIT, **kw),
    "waits": lambda **kw: cx.plot.time_to_convert(of(WAIT, "DE", "GB"), **kw),
    "trend": lambda **kw: cx.plot.funnel_trend(TREND, **kw),
    "trends": lambda **kw: cx.plot.funnel_trend(of(TREND, *"abcdef"), **kw),
    "pairs": lambda **kw: cx.plot.funnel_difference(PAIRS, **kw),
    "pair": lambda **kw: cx.plot.funnel_difference(PAIRS[:2], **kw),
}


@pytest.fixture(params=FIGURES, ids=lambda name: name)
def drawn(request: pytest.FixtureRequest) -> Axes:
    return FIGURES[request.param]()


def test_says_in_words_what_it_shows(drawn: Axes) -> None:
    words = drawn.get_title("left") + drawn.get_xlabel() + drawn.get_ylabel()
    assert drawn.get_title("left")
    assert drawn.get_xlabel()
    assert "_" not in words
    assert drawn.figure.reading in drawn.figure.alt
    assert drawn.figure.reading.endswith(".")
    assert drawn.figure.reading


@pytest.mark.parametrize("name", FIGURES)
def test_draws_on_given_axes_and_changes_no_setting(name: str) -> None:
    import matplotlib.pyplot as plt

    own = plt.figure().add_subplot()
    before = dict(mpl.rcParams)
    assert FIGURES[name](ax=own) is own
    assert dict(mpl.rcParams) == before


def test_bars_tell_who_dropped_and_where_most_are_lost() -> None:
    ax = cx.plot.funnel(STEPS)
    assert [text.get_text() for text in ax.texts] == [
        "100%  (1,000)", "30%  (300)  −700", "12%  (120)  −180",
    ]  # fmt: skip
    assert ax.figure.reading == (
        "Of 1,000 users 12% reach buy (10% to 14%); most are lost before cart, 700."
    )
    both = cx.plot.funnel(of(STEPS, "app", "web")).figure.reading
    assert both.startswith(
        "app: 12% reach buy (10% to 14%); most are lost before cart, 700. web: 12%"
    )
    empty = STEPS.assign(rate=np.nan, ci_low=np.nan, ci_high=np.nan, n=0, n_dropped=pd.NA)
    assert cx.plot.funnel(empty).figure.reading == "Of 0 users nobody's window is over."


def test_the_curve_is_drawn_over_the_log_of_time_with_its_users_at_risk() -> None:
    ax = cx.plot.time_to_convert(WAIT)
    (line,) = ax.lines
    assert ax.get_xscale() == "log"
    assert line.get_xdata().tolist() == [2400, 2400, 3600, 90_000, 604_800], "0 at the left edge"
    assert line.get_ydata().tolist() == [0, 0.04, 0.16, 0.23, 0.23]
    labels = [label.get_text().split("\n") for label in ax.get_xticklabels()]
    assert labels == [["1 h", "480"], ["6 h", "300"], ["1 day", "300"], ["7 days", "200"]]
    assert ax.figure.reading == (
        "After 7 days 23% have converted (20% to 27%); half of those had by 1 hour."
    )
    two = cx.plot.time_to_convert(of(WAIT, "DE", "GB"))
    assert two.get_xticklabels()[0].get_text() == "1 h\n960"
    nobody = WAIT[-1:].assign(conversion_rate=0.0, ci_low=np.nan, ci_high=np.nan)
    assert cx.plot.time_to_convert(nobody).figure.reading == "After 7 days nobody has converted."


def test_the_trend_leaves_out_what_is_not_complete_and_says_so() -> None:
    ax = cx.plot.funnel_trend(TREND)
    line = ax.lines[0].get_ydata()
    assert line[:2].tolist() == [0.3, 0.2]
    assert np.isnan(line[2])
    assert ax.get_title("left").endswith("; grey: not complete)")
    assert ax.figure.reading == (
        "From 2024-01-01 to 2024-01-08 cart went from 30% (22% to 40%) to 20% (14% to 28%)."
    )
    whole = cx.plot.funnel_trend(TREND[:4], step=1)
    assert "grey" not in whole.get_title("left")
    assert "view stayed at 100%" in whole.figure.reading
    with pytest.raises(cx.ParameterError, match="step=7 is not one of"):
        cx.plot.funnel_trend(TREND, step=7)
    none = cx.plot.funnel_trend(TREND[4:])
    assert none.figure.reading == "No period is complete."


def test_the_trend_marks_a_first_period_that_the_log_begins_inside() -> None:
    part_seen = TREND["period"] != TREND["period"].unique()[1]
    table = TREND.assign(is_complete=~part_seen)
    _, *edges = cx.plot.funnel_trend(table).lines
    at = [line.get_xdata()[0] for line in edges]
    assert [pd.Timestamp(day) for day in at] == [table["period"].min(), table["period"].max()]
    none = cx.plot.funnel_trend(TREND.assign(is_complete=False, rate=np.nan))
    assert len(none.lines) == 2
    assert none.figure.reading == "No period is complete."


def test_differences_are_drawn_in_points_and_the_clearest_is_told() -> None:
    ax = cx.plot.funnel_difference(PAIRS)
    assert ax.figure.reading == (
        "The clearest difference is at cart: app 30% against 20%, by 10.0 points (5.0 to 16.0)."
    )
    chance = cx.plot.funnel_difference(PAIRS[1:])
    assert chance.figure.reading.startswith(
        "No difference is told from chance; the nearest is at buy"
    )
    lower = PAIRS[3:].assign(p_adjusted=0.01, ci_low=-0.06, ci_high=-0.01)
    assert "by 3.0 points (1.0 to 6.0)" in cx.plot.funnel_difference(lower).figure.reading
    empty = PAIRS.assign(difference=np.nan, p_adjusted=np.nan)
    assert "nothing to compare" in cx.plot.funnel_difference(empty).figure.reading
    days = PAIRS.assign(device=pd.Timestamp("2024-03-01")).rename(columns={"device": "period"})
    assert "2024-03-01 30%" in cx.plot.funnel_difference(days[:2]).figure.reading


def test_a_rate_that_rounds_alike_at_both_ends_stayed() -> None:
    table = pd.DataFrame({"period": pd.to_datetime(["2024-01-01", "2024-01-08"]), "step": 2,
        "event": "buy", "n": 900, "rate": [0.117, 0.123], "ci_low": [0.1, 0.11],
        "ci_high": [0.13, 0.14], "is_complete": True})  # fmt: skip
    assert cx.plot.funnel_trend(table).figure.reading == (
        "From 2024-01-01 to 2024-01-08 buy stayed at 12% (10% to 13%, then 11% to 14%)."
    )
