"""Figures: labelled in words, with alt text, readable in grey, and nothing computed or changed."""

from __future__ import annotations

import io

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from PIL import Image

import cxlib as cx
from cxlib.plot import _style

mpl.use("Agg")


def retention_table(groups: tuple[str, ...] = ()) -> pd.DataFrame:
    cohorts = pd.to_datetime(["2024-01-01", "2024-02-01", "2024-03-01"])
    rows = [
        {
            "cohort": cohort, "age": age, "n": 100 - 10 * place,
            "n_active": None if age == 2 - place else 100 - 30 * age,
            "retention_rate": None if age == 2 - place else 1 - 0.3 * age,
            "ci_low": None, "ci_high": None, "net_revenue": 1.0, "is_complete": age != 2 - place,
        }
        for place, cohort in enumerate(cohorts) for age in range(3 - place)
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    if groups:
        table = pd.concat([table.assign(country=name) for name in groups], ignore_index=True)
        table = table[["country", *table.columns.drop("country")]]
    return table


def curve(groups: tuple[str, ...] = ("",)) -> pd.DataFrame:
    table = pd.concat(
        [
            pd.DataFrame({"age": [0, 1, 2], "n": 100, "retention_rate": [1, 0.4, 0.3 + 0.05 * k],
                          "ci_low": [0.97, 0.3, 0.2], "ci_high": [1, 0.5, 0.45]}).assign(group=name)
            for k, name in enumerate(groups)
        ],
        ignore_index=True,
    )  # fmt: skip
    return (
        table.drop(columns="group")
        if groups == ("",)
        else table[["group", *table.columns.drop("group")]]
    )


def funnel_table(groups: tuple[str, ...] = ("",)) -> pd.DataFrame:
    part = pd.DataFrame(
        {"step": [1, 2, 3], "event": ["view", "cart", "buy"], "n": [1000, 300, 120],
         "rate": [1, 0.3, 0.12], "ci_low": [0.99, 0.27, 0.10], "ci_high": [1, 0.33, 0.14]}
    )  # fmt: skip
    if groups == ("",):
        return part
    table = pd.concat([part.assign(country=name) for name in groups], ignore_index=True)
    return table[["country", *part.columns]]


LIFTS = pd.DataFrame(
    {"metric": ["conversion", "revenue", "none"], "variant": "B", "lift": [0.1, -0.02, np.nan],
     "lift_low": [0.02, -0.09, np.nan], "lift_high": [0.19, 0.05, np.nan]}
)  # fmt: skip
LOSSES = pd.DataFrame(
    {"rule": ["cancelled", "no_customer"], "rows": [30, 500], "rows_share": [0.01, 0.2]}
)
WEEKS = pd.DataFrame(
    {"period": pd.date_range("2024-01-01", periods=5, freq="W-MON"), "n_rows": [9, 0, 8, 7, 2],
     "is_complete": [True] * 4 + [False]}
)  # fmt: skip
DECILES = pd.DataFrame({"decile": range(1, 11), "ltv_share": np.arange(10, 0, -1) / 55})

GRID = pd.DataFrame(
    [{"n_orders": n, "days_since_last": d, "p_alive": 1 / (1 + n * d / 300), "expected_orders": n / (1 + d / 90)}
     for n in range(1, 9) for d in range(0, 361, 30)]
)  # fmt: skip
TRACKING = pd.DataFrame(
    {"week_ending": pd.date_range("2024-01-07", periods=6, freq="W"), "actual": [3, 4, 6, 5, 7, 6],
     "expected": [3.1, 4.2, 5, 5.5, 6, 6.4], "cumulative_actual": [3, 7, 13, 18, 25, 31],
     "cumulative_expected": [3.1, 7.3, 12.3, 17.8, 23.8, 30.2]}
)  # fmt: skip
CALIBRATION = pd.DataFrame(
    {"frequency": ["0", "1", "2+"], "n": [90, 8, 2], "actual_mean": [0.2, 0.7, 2.1], "expected_mean": [0.22, 0.66, 1.9]}
)  # fmt: skip
SEGMENTS = pd.DataFrame(
    {"country": ["DE", "GB"], "n_customers": [120, 80], "ltv_per_customer": [31.0, 44.0],
     "ltv_per_customer_low": [28.0, 39.0], "ltv_per_customer_high": [34.0, 50.0]}
)  # fmt: skip
SPREAD = SEGMENTS.assign(ltv_p10=[4.0, 6.0], ltv_median=[20.0, 30.0], ltv_p90=[70.0, 1100.0])

FIGURES = {
    "losses": lambda **kw: cx.plot.losses(LOSSES, **kw),
    "no losses": lambda **kw: cx.plot.losses(LOSSES.iloc[:0], **kw),
    "activity": lambda **kw: cx.plot.activity(WEEKS, **kw),
    "retention": lambda **kw: cx.plot.retention(retention_table(), **kw),
    "curve": lambda **kw: cx.plot.retention_curve(curve(), **kw),
    "curves": lambda **kw: cx.plot.retention_curve(curve(("DE", "GB")), **kw),
    "funnel": lambda **kw: cx.plot.funnel(funnel_table(), **kw),
    "funnels": lambda **kw: cx.plot.funnel(funnel_table(("DE", "GB", "IL", "US")), **kw),
    "experiment": lambda **kw: cx.plot.experiment(LIFTS, **kw),
    "ltv": lambda **kw: cx.plot.ltv(DECILES, **kw),
    "alive": lambda **kw: cx.plot.ltv_grid(GRID, **kw),
    "orders to come": lambda **kw: cx.plot.ltv_grid(GRID, value="expected_orders", **kw),
    "tracking": lambda **kw: cx.plot.ltv_tracking(TRACKING, split="2024-01-28", **kw),
    "weekly": lambda **kw: cx.plot.ltv_tracking(TRACKING, cumulative=False, **kw),
    "calibration": lambda **kw: cx.plot.ltv_calibration(CALIBRATION, **kw),
    "segments": lambda **kw: cx.plot.ltv_segments(SEGMENTS, **kw),
    "spread": lambda **kw: cx.plot.ltv_segments(SPREAD, **kw),
}


@pytest.fixture(params=FIGURES, ids=lambda name: name)
def drawn(request: pytest.FixtureRequest) -> Axes:
    return FIGURES[request.param]()


def test_says_in_words_what_it_shows(drawn: Axes) -> None:
    assert drawn.get_title("left")
    assert drawn.get_xlabel()
    words = drawn.get_title("left") + drawn.get_xlabel() + drawn.get_ylabel()
    assert "_" not in words, "a column name is not a label"


def test_carries_alt_text_into_the_notebook(drawn: Axes) -> None:
    data, metadata = drawn.figure._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == drawn.figure.alt
    assert len(drawn.figure.alt) > 30
    assert data["image/png"].startswith(b"\x89PNG")


def test_is_readable_in_grey(drawn: Axes) -> None:
    data, _ = drawn.figure._repr_mimebundle_()
    grey = np.asarray(Image.open(io.BytesIO(data["image/png"])).convert("L"))
    assert grey.min() < 90, "nothing dark enough to read"
    assert (grey > 240).mean() > 0.3, "no light ground to read it on"


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """What figures give to Jupyter: data, and metadata if any."""
    found: list[tuple] = []
    monkeypatch.setattr("IPython.display.publish_display_data", lambda *given: found.append(given))
    return found


def test_jupyter_gets_the_alt_text_and_the_reading_under_the_picture(
    published: list[tuple],
) -> None:
    FIGURES["ltv"]().figure._ipython_display_()
    (data, metadata), (below, below_metadata) = published
    assert below_metadata == {"cx_reading": True}, "a page makes it the caption"
    assert data["image/png"].startswith(b"\x89PNG")
    assert metadata["image/png"]["alt"].startswith("Share of expected future value")
    assert below["text/html"].startswith("<p>The best tenth of customers holds 18%")


def test_a_figure_without_a_reading_is_its_picture_alone(published: list[tuple]) -> None:
    FIGURES["losses"]().figure._ipython_display_()
    assert len(published) == 1


def test_the_words_of_a_segment_are_no_markup(published: list[tuple]) -> None:
    cx.plot.ltv_segments(SEGMENTS.assign(country=["<b>D", "<b>G"])).figure._ipython_display_()
    assert "A customer of &lt;b&gt;G" in published[1][0]["text/html"]


# Each picture of lifetime value tells its reading in one sentence, of the numbers it was given


def test_the_reading_of_shares_adds_tenths_up() -> None:
    assert cx.plot.ltv(DECILES).figure.reading == (
        "The best tenth of customers holds 18% of the value to come, the best three tenths 49%, "
        "the last five 27%."
    )
    assert cx.plot.ltv(DECILES.head(1)).figure.reading == (
        "The first of 1 groups of customers holds 18% of the value to come."
    )


def test_the_reading_of_a_grid_compares_rare_and_frequent_customers_in_silence() -> None:
    assert FIGURES["alive"]().figure.reading == (
        "After 90 days without an order a customer with 8 orders is still there with a chance of 29%, "
        "one with 2 orders with a chance of 62%."
    ), "1 / (1 + n d / 300): .29 and .62 at 90 days, .38 and .71 at 60, .24 and .56 at 120"
    assert FIGURES["orders to come"]().figure.reading == (
        "On the day of an order a customer with 8 orders so far is expected to place 8.0 more in the "
        "horizon and one with 2 orders 2.0; after 360 days of silence it is 1.6 and 0.40."
    )
    once = GRID[GRID["n_orders"] == 1].assign(p_alive=1e-9, expected_orders=1e-9)
    assert "with 1 order is still there with a chance of under 0.1%" in (
        cx.plot.ltv_grid(once).figure.reading
    )
    assert "under 0.01" in cx.plot.ltv_grid(once, value="expected_orders").figure.reading


def test_the_legend_of_the_weeks_leaves_their_curve_free_on_a_phone() -> None:
    came = np.minimum(np.arange(1, 61) * 4.0, 60) + np.arange(60) % 7
    table = pd.DataFrame({"week_ending": pd.date_range("2023-01-01", periods=60, freq="W")})
    table = table.assign(actual=came, expected=came.mean())
    ax = cx.plot.ltv_tracking(table, split="2023-11-05", cumulative=False)
    ax.figure.set_size_inches(5.2, 3.6)
    ax.figure.draw_without_rendering()
    box = ax.get_legend().get_window_extent()
    points = ax.lines[0].get_transform().transform(ax.lines[0].get_xydata())
    assert not [point for point in points if box.contains(*point)]


def test_the_reading_of_the_tracking_curve_counts_after_the_split() -> None:
    assert FIGURES["tracking"]().figure.reading == (
        "In the 2 whole weeks after the split 13 repeat orders came and 12 were foretold: the forecast "
        "is 4.6% too low. Customers who came after the split are not among them."
    ), "31 - 18 and 30.2 - 17.8"
    late = cx.plot.ltv_tracking(TRACKING, split="2024-02-04").figure.reading
    assert late.startswith("In the one whole week after the split 6 repeat orders came")
    assert cx.plot.ltv_tracking(TRACKING).figure.reading == (
        "In the 6 whole weeks shown here 31 repeat orders came and 30 were foretold: the forecast is "
        "2.6% too low."
    )
    assert cx.plot.ltv_tracking(TRACKING, split="2030-01-01").figure.reading.startswith("In the")
    none = TRACKING.assign(cumulative_actual=0)
    assert cx.plot.ltv_tracking(none).figure.reading.endswith("came and 30 were foretold.")


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        ("ltv", "deciles() of a fit"),
        ("ltv_segments", "segments() of a fit"),
        ("ltv_grid", "grid() of a fit"),
        ("ltv_tracking", "tracking of a holdout"),
        ("ltv_calibration", "by_frequency or by_decile of a holdout"),
        ("funnel", "what cx.funnel returned"),
    ],
)
def test_what_is_no_table_is_told_what_to_give(draw: str, says: str) -> None:
    given = {
        "positional": lambda plot: plot(DECILES["decile"]),
        "named": lambda plot: plot(table=3),
    }
    for (how, call), kind in zip(given.items(), ("Series", "int"), strict=True):
        with pytest.raises(cx.ParameterError) as error:
            call(getattr(cx.plot, draw))
        assert str(error.value) == (
            f"cx.plot.{draw} draws a pandas.DataFrame, not what it was given, of type {kind}; "
            f"give it: {says}"
        ), how


def test_segments_without_intervals_are_sent_back_for_them() -> None:
    plain = SEGMENTS.drop(columns=["ltv_per_customer_low", "ltv_per_customer_high"])
    with pytest.raises(cx.ColumnError, match=r"no intervals; give segments\(\) with intervals"):
        cx.plot.ltv_segments(plain)


def test_the_reading_by_week_holds_the_weeks_against_the_chance_of_poisson_counts() -> None:
    rng = np.random.default_rng(1)
    expected = rng.uniform(30, 60, 4000)
    weeks = pd.DataFrame(
        {"week_ending": pd.date_range("1990-01-07", periods=4000, freq="W"),
         "actual": rng.poisson(expected), "expected": expected}
    )  # fmt: skip
    words = cx.plot.ltv_tracking(weeks, cumulative=False).figure.reading
    off, chance = (
        float(words.split(before)[1].split()[0].rstrip(";")) for before in ("is ", "make it ")
    )
    assert off == pytest.approx(chance, rel=0.03)
    assert FIGURES["weekly"]().figure.reading.endswith(
        "the furthest is the week ending 21 January 2024, with 6 orders against 5 foretold."
    )


def test_the_reading_of_calibration_names_the_group_furthest_off() -> None:
    assert FIGURES["calibration"]().figure.reading == (
        "Furthest off are the 2 customers with 2+ repeat orders, who ordered 2.10 times each where "
        "1.90 were foretold; over all customers it is 0.28 and 0.29."
    )
    tenths = CALIBRATION.rename(columns={"frequency": "decile"}).assign(decile=[1, 2, 3])
    assert "the 2 customers of tenth 3," in cx.plot.ltv_calibration(tenths).figure.reading


def test_the_reading_of_segments_names_the_first_the_last_and_the_spread() -> None:
    assert FIGURES["spread"]().figure.reading == (
        "A customer of GB is worth 44.0 (39.0 to 50.0), the most, and one of DE 31.0 (28.0 to 34.0), the "
        "least; of the customers of DE half are worth less than 20.0, and the middle eight in ten from "
        "4.0 to 70.0."
    )


def test_segments_are_drawn_with_their_interval_and_their_spread() -> None:
    ax = FIGURES["spread"]()
    assert [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches] == [
        (4, 70),
        (6, 1100),
    ]
    (interval,) = ax.collections
    assert [line[:, 0].tolist() for line in interval.get_segments()] == [[28, 34], [39, 50]]
    assert not FIGURES["segments"]().patches


def test_of_many_segments_the_largest_are_drawn() -> None:
    many = pd.concat([SEGMENTS.head(1)] * 30, ignore_index=True)
    many = many.assign(country=[f"c{k}" for k in range(30)], n_customers=range(1, 31))
    ax = cx.plot.ltv_segments(many)
    assert ax.get_title("left").endswith("(20 largest of 30)")
    assert {label.get_text() for label in ax.get_yticklabels()} == {
        f"c{k} ({k + 1})" for k in range(10, 30)
    }


@pytest.mark.parametrize("name", FIGURES)
def test_draws_on_given_axes_and_changes_no_setting(name: str) -> None:
    import matplotlib.pyplot as plt

    own = plt.figure().add_subplot()
    before = dict(mpl.rcParams)
    assert FIGURES[name](ax=own) is own
    assert dict(mpl.rcParams) == before


def test_draws_exactly_the_numbers_it_was_given() -> None:
    ax = cx.plot.funnel(funnel_table())
    assert [bar.get_width() for bar in ax.patches] == [1, 0.3, 0.12]
    ax = cx.plot.ltv(DECILES)
    assert [bar.get_height() for bar in ax.patches] == list(DECILES["ltv_share"])
    ax = cx.plot.retention_curve(curve())
    assert list(ax.lines[0].get_ydata()) == [0.4, 0.3], "age 0 is 1 by definition and not drawn"


def test_inputs_are_not_changed() -> None:
    table = retention_table()
    before = table.copy(deep=True)
    cx.plot.retention(table)
    pd.testing.assert_frame_equal(table, before)


def test_unfinished_cells_are_hatched_and_not_numbered() -> None:
    ax = cx.plot.retention(retention_table())
    hatched = [patch for patch in ax.patches if patch.get_hatch()]
    assert len(hatched) == 2, "ages 2 and 1 of the first two cohorts; age 0 is not drawn"
    assert sorted(text.get_text() for text in ax.texts if text.get_text()) == ["70"]


def test_several_groups_in_one_heat_map_are_refused() -> None:
    with pytest.raises(
        cx.ParameterError, match=r"several groups; draw one with table\[table\['country'\]"
    ):
        cx.plot.retention(retention_table(("DE", "GB")))


def test_a_table_of_another_analysis_is_refused() -> None:
    with pytest.raises(cx.ColumnError, match="funnel: no columns 'step'"):
        cx.plot.funnel(LOSSES)


def test_groups_differ_without_colour() -> None:
    ax = cx.plot.retention_curve(curve(("DE", "GB")))
    assert len({(line.get_marker(), line.get_linestyle()) for line in ax.lines}) == 2
    ax = cx.plot.funnel(funnel_table(("DE", "GB")))
    assert len({patch.get_hatch() for patch in ax.patches}) == 2


def test_every_figure_shows_in_jupyter_not_only_the_first() -> None:
    import nbclient
    import nbformat

    draw = "cx.plot.ltv(pd.DataFrame({'decile': [1, 2], 'ltv_share': [0.8, 0.2]}));"
    cells = ["import cxlib as cx, pandas as pd", draw, draw]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(book, kernel_name="python3", timeout=60).execute()
    for cell in book.cells[1:]:
        picture, reading = cell.outputs
        assert picture.metadata["image/png"].alt.startswith("Share of expec")
        assert reading.data["text/plain"].startswith("The first of 2 groups")


@pytest.mark.parametrize(
    ("start", "days", "first", "other"),
    [
        ("2024-10-07", 88, "15 Oct\n2024", "1 Jan\n2025"),
        ("2023-01-01", 730, "Jan\n2023", "Jan\n2024"),
        ("2015-01-01", 3650, "2016", "2020"),
        ("2024-12-30", 3, "30 Dec\n2024", "1 Jan\n2025"),
    ],
)
def test_dates_along_an_axis_say_their_month_and_the_year_where_it_begins(
    start: str, days: int, first: str, other: str
) -> None:
    ends = pd.Timestamp(start), pd.Timestamp(start) + pd.Timedelta(days=days)
    ax = cx.plot.activity(
        pd.DataFrame({"period": list(ends), "n_rows": [3, 4], "is_complete": [True, True]})
    )
    ax.figure.draw_without_rendering()
    words = [label.get_text() for label in ax.get_xticklabels()]
    assert first in words
    assert other in words
    assert ax.xaxis.get_offset_text().get_text() == ""


def test_a_word_that_the_first_font_cannot_write_brings_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_style.font_manager, "get_font_names", lambda: [*_style.FONTS_BESIDE, "X"])
    written = [cx.plot.retention_curve(curve((name, "other"))) for name in ("Москва", "北京")]
    families = [ax.title.get_fontfamily() for ax in written]
    assert families == [["DejaVu Sans"], list(_style.FONTS_BESIDE)]


def test_the_wrong_table_is_told_with_the_right_one() -> None:
    wrong = pd.DataFrame({"age": [1], "retention_rate": [0.5]})
    with pytest.raises(cx.ColumnError, match="cohort") as error:
        cx.plot.retention(wrong)
    assert str(error.value).endswith(
        "cx.plot.retention draws: what cx.retention returned, for one group."
    )
    assert "cx.read" not in str(error.value)
