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

mpl.use("Agg")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


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


def test_ipython_shows_the_alt_text() -> None:
    from IPython.core.formatters import DisplayFormatter

    ax = FIGURES["ltv"]()
    shown, metadata = DisplayFormatter().format(ax.figure)
    assert "image/png" in shown
    assert metadata["image/png"]["alt"].startswith("Share of expected future value")


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
        assert [output.metadata["image/png"].alt[:14] for output in cell.outputs] == [
            "Share of expec"
        ]
