"""Pictures of experiments: what they say, draw and leave open, by tables made by hand."""

from __future__ import annotations

import io
import warnings

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from PIL import Image

import cxlib as cx
from cxlib.plot._treatments import COLOURS, Limits, look, view

mpl.use("Agg")

HEBREW = "נסיון"
LONG = "a treatment with a name that is a good deal longer than any picture has room for"
VARIANTS = ["B", HEBREW, LONG, "D", "E"]


def lifts(n_metrics: int = 1, variants: list[str] | None = None) -> pd.DataFrame:
    """Lifts of .10, .11, … with limits .05 below and above."""
    rows = [(f"metric_{m}", name) for m in range(n_metrics) for name in variants or ["B"]]
    table = pd.DataFrame(rows, columns=["metric", "variant"])
    lift = 0.1 + 0.01 * np.arange(len(rows))
    return table.assign(lift=lift, lift_low=lift - 0.05, lift_high=lift + 0.05)


def days(n_metrics: int = 1, variants: list[str] | None = None) -> pd.DataFrame:
    """Effects of 4, 3, 2, 1 on four days, with limits 3, 2.5, 1.5, .5 away."""
    off = np.array([3, 2.5, 1.5, 0.5])
    part = pd.DataFrame(
        {"day": range(4), "date": pd.date_range("2024-03-01", periods=4), "n": 9, "n_control": 9,
         "difference": [4.0, 3, 2, 1]}
    )  # fmt: skip
    part["ci_low"], part["ci_high"] = part["difference"] - off, part["difference"] + off
    for name, source in {
        "lift": "difference",
        "lift_low": "ci_low",
        "lift_high": "ci_high",
    }.items():
        part[name] = part[source] / 100
    return pd.concat(
        [part.assign(metric=f"metric_{m}", variant=name)
         for m in range(n_metrics) for name in variants or ["B"]],
        ignore_index=True,
    )  # fmt: skip


def shares() -> pd.DataFrame:
    return pd.DataFrame(
        {"variant": ["A", HEBREW, "empty"], "n_units": [5_300, 4_700, 0], "share": [0.53, 0.47, 0],
         "ci_low": [0.52, 0.46, 0], "ci_high": [0.54, 0.48, np.nan], "planned_share": [0.5, 0.4, 0.1]}
    )  # fmt: skip


def bins(n_metrics: int = 1, variants: list[str] | None = None) -> pd.DataFrame:
    """Nine in ten units at exactly 0; the last bin has no end."""
    part = pd.DataFrame(
        {"low": [0, 0, 10, 20], "high": [0, 10, 20, None], "n_units": [90, 5, 3, 2]}
    )
    return pd.concat(
        [part.assign(metric=f"metric_{m}", variant=name,
                     share=[0.9 - k / 100, 0.05 + k / 100, 0.03, 0.02])
         for m in range(n_metrics) for k, name in enumerate(variants or ["A", "B"])],
        ignore_index=True,
    )  # fmt: skip


CURVE = pd.DataFrame(
    {"lift": [0, 0.1, 0.2] * 2, "n_units": [8_000.0] * 3 + [16_000.0] * 3,
     "power": [0.05, 0.17, 0.51, 0.05, 0.29, 0.8], "is_plan": [False] * 5 + [True]}
)  # fmt: skip

TABLES = {
    "experiment": lambda m, v: lifts(m, v),
    "experiment_over_time": lambda m, v: days(m, v),
    "experiment_novelty": lambda m, v: days(m, v),
    "experiment_distribution": lambda m, v: bins(m, v),
    "sample_ratio": lambda _, v: pd.concat([shares().head(1).assign(variant=name) for name in v]),
    "power_curve": lambda *_: CURVE,
}


def picture(ax: Axes) -> np.ndarray:
    """The drawn picture in grey; a warning of the layout or of a missing glyph is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data, _ = ax.figure._repr_mimebundle_()
    return np.asarray(Image.open(io.BytesIO(data["image/png"])).convert("L"))


def texts(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def markers(ax: Axes, marker: str) -> list[tuple[float, float]]:
    return [
        (round(float(x), 9), round(float(y), 9))
        for line in ax.lines
        if line.get_marker() == marker
        for x, y in zip(*line.get_data(), strict=True)
    ]


# All of them


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize(("n_metrics", "variants"), [(1, ["B"]), (1, VARIANTS), (12, VARIANTS[:2])])
def test_is_drawn_for_few_and_many(name: str, n_metrics: int, variants: list[str]) -> None:
    ax = getattr(cx.plot, name)(TABLES[name](n_metrics, variants))
    grey = picture(ax)
    assert grey.min() < 90
    assert (grey > 240).mean() > 0.3
    assert ax.get_title("left")
    assert "_" not in ax.get_title("left") + ax.get_xlabel() + ax.get_ylabel()
    assert len(ax.figure.alt) > 30
    assert ax.figure.reading.endswith(".")
    assert "nan" not in ax.figure.reading + ax.figure.alt
    assert ax.figure.get_figwidth() <= 8, "wider pictures are unreadable on a phone and on paper"


@pytest.mark.parametrize("name", TABLES)
def test_missing_columns_and_rows_are_named(name: str) -> None:
    table = TABLES[name](1, ["B"])
    draw = getattr(cx.plot, name)
    first = "lift" if name == "power_curve" else "variant"
    with pytest.raises(cx.ColumnError, match=f"no column '{first}'"):
        draw(table.drop(columns=first))
    with pytest.raises(cx.DataError, match="no row"):
        draw(table.iloc[:0])


@pytest.mark.parametrize("name", [name for name in TABLES if name != "power_curve"])
def test_rows_that_stand_twice_are_refused(name: str) -> None:
    table = TABLES[name](1, ["B"])
    with pytest.raises(cx.ParameterError, match="several rows for the same"):
        getattr(cx.plot, name)(pd.concat([table, table]))


@pytest.mark.parametrize("name", TABLES)
def test_draws_on_given_axes_and_changes_neither_table_nor_settings(name: str) -> None:
    own, table = plt.figure().add_subplot(), TABLES[name](1, ["B"])
    before, settings = table.copy(deep=True), dict(mpl.rcParams)
    assert getattr(cx.plot, name)(table, ax=own) is own
    pd.testing.assert_frame_equal(table, before)
    assert dict(mpl.rcParams) == settings


@pytest.mark.parametrize(
    "name", ["experiment_over_time", "experiment_novelty", "experiment_distribution"]
)
def test_metrics_stand_one_under_the_other_and_never_on_one_given_axes(name: str) -> None:
    table = TABLES[name](3, ["B"])
    figure = getattr(cx.plot, name)(table).figure
    assert [ax.get_title("left").splitlines()[-1] for ax in figure.axes] == ["metric 0", "metric 1", "metric 2"]  # fmt: skip
    with pytest.raises(cx.ParameterError, match="3 metrics and ax= has room for one"):
        getattr(cx.plot, name)(table, ax=plt.figure().add_subplot())


def test_variants_differ_in_marker_in_colour_and_in_brightness() -> None:
    looks = [look(place) for place in range(6)]
    assert len({each.marker for each in looks}) == len({each.colour for each in looks}) == 6
    assert len({(each.dash, each.colour) for each in looks}) == 6

    def luminance(colour: str) -> float:  # WCAG 2.1, relative luminance
        parts = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)
        ]
        return float(np.dot([0.2126, 0.7152, 0.0722], parts))

    for colour in COLOURS:
        assert 1.05 / (luminance(colour) + 0.05) > 3, "WCAG 2.1, 1.4.11: graphics want 3 to 1"


def test_names_are_wrapped_cut_and_never_read_as_formulas() -> None:
    ax = cx.plot.experiment(lifts(1, ["B", LONG]).assign(metric="cost_in_$ per $ of " + LONG))
    (label,) = ax.get_yticklabels()
    assert label.get_text() == "cost in $ per $ of a\ntreatment with a name…"
    assert not label.get_parse_math()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["B", "a treatment with a name that…"]  # fmt: skip


def test_names_from_right_to_left_are_kept_apart_in_a_sentence() -> None:
    ax = cx.plot.experiment(lifts(1, [HEBREW]))
    assert f"of \u2068{HEBREW}\u2069 changes by +10.0%" in ax.figure.reading
    assert "\u2068" not in "".join(text.get_text() for text in ax.findobj(mpl.text.Text))


def test_a_view_holds_zero_and_cuts_only_limits_far_beyond_the_others() -> None:
    usual = Limits(*(np.array([v, v, v]) for v in (0.1, 0.05, 0.2)))
    assert view(usual) == pytest.approx((-0.012, 0.212))
    far = Limits(usual.point, usual.low, np.array([0.2, 0.2, 9.0]))
    assert view(far)[1] == pytest.approx(0.8 * 1.06), "four times the middle reach, and room"
    assert view(usual, [-0.5])[0] < -0.5, "a margin is never cut"
    none = Limits(*(np.array([np.nan]) for _ in range(3)))
    assert view(none)[0] < 0 < view(none)[1]


# Lift


def test_lifts_are_drawn_and_written_row_by_row() -> None:
    ax = cx.plot.experiment(lifts(2, ["B", "C"]))
    assert texts(ax) == [f"+{10 + k}.0%  (+{5 + k}.0% to +{15 + k}.0%)" for k in range(4)]
    assert markers(ax, "o") == [(0.1, 0.0), (0.12, 2.8)]
    assert markers(ax, "s") == [(0.11, 1.0), (0.13, 3.8)]
    drawn = {tuple(line[:, 0].round(6)) for c in ax.collections for line in c.get_segments()}
    assert drawn == {(0.05, 0.15), (0.06, 0.16), (0.07, 0.17), (0.08, 0.18)}
    assert ax.figure.reading == (
        "Of 4 intervals, wholly above no change: 4 (metric 0 in B, metric 0 in C, metric 1 in B, … (1 more))."
    )


def test_limits_without_end_are_arrows_and_words() -> None:
    table = lifts(4).astype({"lift_low": object})
    table.loc[0, "lift_high"] = np.inf
    table.loc[1, "lift_low"] = None
    table.loc[2, ["lift_low", "lift_high"]] = None
    table.loc[3, "lift"] = np.nan
    ax = cx.plot.experiment(table)
    left, right = (round(edge, 9) for edge in ax.get_xlim())
    assert markers(ax, ">") == [(right, 0), (right, 2)]
    assert markers(ax, "<") == [(left, 1), (left, 2)]
    assert texts(ax) == [
        "+10.0%  (+5.0% to no upper limit)", "+11.0%  (no lower limit to +16.0%)",
        "+12.0%  (no limits)", "cannot be computed",
    ]  # fmt: skip
    assert ax.figure.reading == (
        "Of 4 intervals, wholly above no change: 1 (metric 0); across it: 2; not computed: 1 (metric 3)."
    )
    assert "metric 0 B +10.0% (+5.0% to no upper limit)" in ax.figure.alt


def test_a_lift_far_out_is_cut_with_an_arrow_and_its_number() -> None:
    table = lifts(5)
    table.loc[4, ["lift", "lift_low", "lift_high"]] = [9.0, 1.0, 40.0]
    ax = cx.plot.experiment(table)
    assert ax.get_xlim()[1] < 1
    assert markers(ax, ">") == [(round(ax.get_xlim()[1], 9), 4)]
    assert texts(ax)[4] == "+900%  (+100% to +4,000%)"


@pytest.mark.parametrize(("margin", "side"), [(-0.02, (-1, -0.02)), (0.12, (0.12, 1))])
def test_what_lies_past_a_margin_is_hatched(margin: float, side: tuple[float, float]) -> None:
    table = lifts(2).assign(role=["primary", "guardrail"], margin=[np.nan, margin])
    ax = cx.plot.experiment(table)
    (patch,) = ax.patches
    assert patch.get_hatch()
    assert (patch.get_x(), patch.get_x() + patch.get_width()) == pytest.approx(
        np.clip(side, *ax.get_xlim())
    )
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "metric 0", f"metric 1\n(guardrail, margin {margin:+.1%})"
    ]  # fmt: skip
    kept = "1 of 1." if margin < 0 else "0 of 1 (not metric 1)."
    assert ax.figure.reading.endswith(f"guardrails whose interval stays within the margin: {kept}")


def test_the_reading_goes_by_the_adjusted_limits_that_thin_lines_show() -> None:
    table = lifts(2).assign(lift_adjusted_low=[-0.01, np.nan], lift_adjusted_high=[0.21, np.nan])
    ax = cx.plot.experiment(table)
    assert "thin: allowing for all comparisons" in ax.get_title("left")
    assert "above no change: 1 (metric 1); across it: 1." in ax.figure.reading
    spans = [(*c.get_segments()[0][:, 0].round(6), *c.get_linewidths()) for c in ax.collections]
    assert (-0.01, 0.21, 1.1) in spans
    assert (0.05, 0.15, 3.0) in spans
    assert "thin" not in cx.plot.experiment(lifts(2)).get_title("left")


def test_falls_are_told_apart_from_rises() -> None:
    table = lifts(2)
    table.loc[1, ["lift", "lift_low", "lift_high"]] = [-0.1, -0.2, -0.01]
    assert cx.plot.experiment(table).figure.reading == (
        "Of 2 intervals, wholly above no change: 1 (metric 0); wholly below it: 1 (metric 1)."
    )
    fall = cx.plot.experiment(table.tail(1)).figure.reading
    assert fall == "metric 1 of B changes by -10.0% (-20.0% to -1.0%): the interval leaves out no change."  # fmt: skip


# Over time, and by day


def test_over_time_says_since_when_no_change_is_left_out() -> None:
    ax = cx.plot.experiment_over_time(days(), interval="95 % sequential interval")
    assert "(band: 95 % sequential interval)" in ax.get_title("left")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("units exposed until this date", "relative change against control")  # fmt: skip
    assert ax.figure.reading.endswith("is +1.0% (+0.50% to +1.5%); its interval lies clear of zero, as on every date since 1 March 2024.")  # fmt: skip
    table = days()
    table.loc[1, "lift_low"] = -0.01
    assert "since 3 March 2024." in cx.plot.experiment_over_time(table).figure.reading
    table.loc[:2, "lift_low"] = -0.01
    assert "lies clear of zero." in cx.plot.experiment_over_time(table).figure.reading
    table.loc[3, "lift_low"] = -0.01
    assert "its interval crosses zero." in cx.plot.experiment_over_time(table).figure.reading
    table.loc[1, "lift_low"] = 0.01
    assert "crosses zero, but lay clear of it on 1 of 4 dates." in (
        cx.plot.experiment_over_time(table).figure.reading
    )


def test_over_time_names_the_highest_treatment_and_counts_the_others() -> None:
    table = days(2, ["B", "C"])
    c = table["variant"] == "C"
    table.loc[c, "lift"] += 0.001
    table.loc[c, "lift_low"] = -1
    reading = cx.plot.experiment_over_time(table).figure.reading
    assert "the change in metric 0 of C is +1.1%" in reading
    assert reading.endswith("of 4 lines drawn 2 are clear of zero at their end.")


def test_over_time_draws_its_numbers_in_the_order_of_dates_and_in_the_unit_asked_for() -> None:
    ax = cx.plot.experiment_over_time(days().iloc[::-1], value="difference")
    assert [line for line in ax.lines if line.get_lw() == 2][0].get_ydata().tolist() == [4, 3, 2, 1]
    assert ax.get_ylabel() == "difference, in the metric's unit"
    assert "is +1 (+0.5 to +1.5)" in ax.figure.reading
    with pytest.raises(cx.ParameterError, match="value='lifts' is not one of lift, difference"):
        cx.plot.experiment_over_time(days(), value="lifts")


@pytest.mark.parametrize("draw", [cx.plot.experiment_over_time, cx.plot.experiment_novelty])
def test_open_limits_by_date_are_arrows_at_the_edge_and_words(draw) -> None:
    table = days()
    table.loc[0, ["lift_high", "ci_high"]] = np.inf
    table.loc[0, ["lift_low", "ci_low"]] = None
    table.loc[1, ["lift_high", "ci_high"]] = [5, 500]
    ax = draw(table)
    bottom, top = (round(edge, 9) for edge in ax.get_ylim())
    assert [y for _, y in markers(ax, "^")] == [top, top]
    assert [y for _, y in markers(ax, "v")] == [bottom]
    told = "+500%" if draw is cx.plot.experiment_over_time else "+500"
    assert texts(ax) == ["no upper limit", f"on to {told}", "no lower limit"]
    assert top < 100
    picture(ax)


def test_novelty_holds_the_last_day_against_the_first() -> None:
    assert cx.plot.experiment_novelty(days()).figure.reading == (
        "The effect of B on metric 0 is +4 (+1 to +7) on day 0 and +1 (+0.5 to +1.5) on day 3: "
        "the two intervals overlap, so no change with time is shown."
    )
    table = days()
    table.loc[0, "ci_low"] = 2
    assert "lie apart, so it falls with time." in cx.plot.experiment_novelty(table).figure.reading
    table["day"] = table["day"].to_numpy()[::-1]
    assert "lie apart, so it rises with time." in cx.plot.experiment_novelty(table).figure.reading
    one = cx.plot.experiment_novelty(days().head(1))
    assert one.figure.reading.endswith("is +4 (+1 to +7) on day 0, the only day so far.")
    picture(one)


def test_treatments_of_one_day_stand_side_by_side() -> None:
    ax = cx.plot.experiment_novelty(days(1, ["B", "C"]))
    assert [x for x, _ in markers(ax, "o")] == pytest.approx([-0.175, 0.825, 1.825, 2.825])
    assert [x for x, _ in markers(ax, "s")] == pytest.approx([0.175, 1.175, 2.175, 3.175])


def test_an_effect_that_is_never_known_says_so() -> None:
    table = days().assign(lift=np.nan, difference=np.nan)
    assert cx.plot.experiment_over_time(table).figure.reading == (
        "On 4 March 2024 the change in metric 0 of B cannot be computed."
    )
    ax = cx.plot.experiment_novelty(table)
    assert ax.figure.reading == "The effect of B on metric 0 cannot be computed on any day."
    picture(ax)


# Sample ratio


def test_shares_are_drawn_as_points_away_from_the_plan() -> None:
    ax = cx.plot.sample_ratio(shares())
    assert markers(ax, "o") == [(3, 0), (7, 1), (-10, 2)]
    assert markers(ax, ">") == [(round(ax.get_xlim()[1], 9), 2)]
    assert texts(ax) == [
        "53.00%, planned 50.00%", "47.00%, planned 40.00%",
        "0.00%, planned 10.00%\n(0.00% to no upper limit)",
    ]  # fmt: skip
    assert [label.get_text() for label in ax.get_yticklabels()] == ["A (5,300)", f"{HEBREW} (4,700)", "empty (0)"]  # fmt: skip
    assert ax.figure.reading == (
        f"\u2068{HEBREW}\u2069 holds 47.00% of the 10,000 units (46.00% to 48.00%) where 40.00% were planned, "
        "furthest from the plan of 3 variants: its interval leaves the plan out."
    )


def test_shares_as_planned_and_shares_without_a_plan() -> None:
    fine = shares().assign(planned_share=[0.53, 0.47, 0])
    assert cx.plot.sample_ratio(fine).figure.reading.endswith("its interval takes the plan in.")
    ax = cx.plot.sample_ratio(shares().assign(planned_share=None))
    assert texts(ax) == ["no planned share"] * 3
    assert ax.figure.reading.startswith("No share was planned")
    assert "nan" not in ax.figure.alt


# Distribution


def test_a_bin_that_dwarfs_the_others_is_cut_and_its_shares_are_written() -> None:
    ax = cx.plot.experiment_distribution(bins())
    assert ax.get_ylim()[1] == pytest.approx(1.35 * 0.06)
    assert texts(ax) == ["goes on to 89.0% and 90.0%"]
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert labels == ["just\n0", "0", "10", "20", "from\n20"]
    assert len(ax.patches) == 2, "a stepped line each"
    picture(ax)


def test_bins_are_drawn_as_given() -> None:
    table = pd.DataFrame(
        {"metric": "revenue", "variant": "A", "low": [20, 0, 10], "high": [30, 10, 20],
         "n_units": [10, 60, 30], "share": [0.1, 0.6, 0.3]}
    )  # fmt: skip
    ax = cx.plot.experiment_distribution(table)
    assert ax.patches[0].get_data().values.tolist() == [0.6, 0.3, 0.1]
    assert not ax.texts
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "10", "20", "30"]
    assert ax.figure.reading == "The fullest bin is revenue from 0 to 10: it holds 60% of A."
    assert "A 100 units" in ax.figure.alt


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(0, 0, "just 0"), (None, 5, "under 5"), (5, None, "from 5"), (None, None, "any value")],
)
def test_the_widest_gap_is_named_by_its_bin(low, high, words: str) -> None:
    table = pd.DataFrame(
        {"metric": "x", "variant": ["A", "B"], "low": low, "high": high, "n_units": 5, "share": [0.4, 0.7]}
    )  # fmt: skip
    assert cx.plot.experiment_distribution(table).figure.reading == (
        f"The variants differ most in the units with x {words}: 70% of B and 40% of A."
    )


# Power


def test_the_plan_is_marked_on_its_curve() -> None:
    ax = cx.plot.power_curve(CURVE)
    assert markers(ax, "D") == [(0.2, 0.8)]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["8,000 units", "16,000 units", "the plan"]  # fmt: skip
    assert ax.lines[0].get_ydata().tolist() == [0.05, 0.17, 0.51]
    assert ax.figure.reading == (
        "With 16,000 units an effect of +20.0% is found with a chance of 80%; it is 51% with 8,000."
    )


def test_one_effect_is_drawn_over_units_and_no_plan_is_no_mark() -> None:
    ax = cx.plot.power_curve(CURVE[CURVE["lift"] == 0.2].drop(columns="is_plan"))
    assert ax.get_xlabel() == "units in the experiment, all variants"
    assert ax.lines[0].get_xdata().tolist() == [8_000, 16_000]
    assert ax.get_legend() is None


def test_without_a_lift_the_difference_is_drawn() -> None:
    ax = cx.plot.power_curve(CURVE.assign(difference=CURVE["lift"] * 100, lift=np.nan))
    assert ax.get_xlabel() == "difference to be found, in the metric's unit"
    assert "an effect of +20 is found" in ax.figure.reading


def test_too_many_lines_of_power_are_refused() -> None:
    many = pd.concat([CURVE.head(3).assign(n_units=n) for n in range(9)])
    with pytest.raises(cx.ParameterError, match="9 numbers of units are too many lines"):
        cx.plot.power_curve(many)


@pytest.mark.parametrize(("n", "written"), [(1, 1), (4, 4), (7, 7), (8, 4), (12, 6), (400, 7)])
def test_dates_are_written_as_they_are_drawn_the_last_one_always(n: int, written: int) -> None:
    dates = pd.date_range("2024-11-20", periods=n, freq="4D")
    table = pd.concat([days().head(1)] * n, ignore_index=True).assign(date=dates)
    ticks = cx.plot.experiment_over_time(table).get_xticklabels()
    labels = [label.get_text() for label in ticks]
    assert len(labels) == written
    assert labels[-1].split("\n")[0] == f"{dates[-1]:%-d %b}"
    assert "\n20" in labels[0]
    years = [label.split("\n")[1] for label in labels if "\n" in label]
    assert years == sorted(set(years)), "each year once, where it begins"
