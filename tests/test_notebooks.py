"""Every notebook keeps the shape that analysts, papermill and the report rely on."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest

import cxlib as cx
from cxlib import notebook

FOLDER = Path(__file__).parent.parent / "notebooks"
START = FOLDER / "start.ipynb"
NOTEBOOKS = sorted(path for path in FOLDER.glob("*.ipynb") if path != START)
NEW = Path("notebooks/05_of_my_own.ipynb")
"""What `cx new` writes keeps the shape as well."""
MOST_LINES = 10


@pytest.fixture(params=[*NOTEBOOKS, NEW], ids=lambda path: path.stem)
def book(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> nbformat.NotebookNode:
    if request.param == NEW:
        monkeypatch.chdir(tmp_path)
        NEW.parent.mkdir()
        notebook.new(NEW)
    return nbformat.read(request.param, as_version=4)


def code_cells(book: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in book.cells if cell.cell_type == "code"]


def parameters(book: nbformat.NotebookNode) -> nbformat.NotebookNode:
    tagged = [cell for cell in book.cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    return tagged[0]


def test_the_five_notebooks_are_there() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "00_data_health", "01_cohort_retention", "02_bgnbd_ltv", "03_ab_test", "04_funnel",
    ]  # fmt: skip


def test_opens_with_one_question(book: nbformat.NotebookNode) -> None:
    titles = [
        line for cell in book.cells if cell.cell_type == "markdown"
        for line in cell.source.splitlines() if line.startswith("# ")
    ]  # fmt: skip
    assert len(titles) == 1
    assert book.cells[0].source.startswith("# ")
    assert titles[0].endswith("?")


def test_parameters_are_typed_literals(book: nbformat.NotebookNode) -> None:
    for line in ast.parse(parameters(book).source).body:
        assert isinstance(line, ast.AnnAssign)
        assert line.value is not None
        ast.literal_eval(line.value)


def test_imports_come_first_and_are_few(book: nbformat.NotebookNode) -> None:
    first = code_cells(book)[0]
    assert len(first.source.splitlines()) <= 5
    for place, cell in enumerate(code_cells(book)):
        imports = [
            n
            for n in ast.walk(ast.parse(cell.source))
            if isinstance(n, (ast.Import, ast.ImportFrom))
        ]
        assert bool(imports) == (place == 0)


def test_cells_are_short_and_hold_no_logic(book: nbformat.NotebookNode) -> None:
    banned = (ast.FunctionDef, ast.ClassDef, ast.For, ast.While, ast.Try, ast.Lambda, ast.ListComp)
    for cell in code_cells(book):
        assert len([line for line in cell.source.splitlines() if line.strip()]) <= MOST_LINES
        assert not [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, banned)]
        assert "warnings" not in cell.source


def test_losses_are_shown_before_the_findings(book: nbformat.NotebookNode) -> None:
    cleaning = [cell.source.splitlines() for cell in code_cells(book) if "cx.clean_" in cell.source]
    assert cleaning
    for lines in cleaning:
        assert lines[-1].isidentifier(), "the cell must end by showing what cleaning lost"


def test_every_picture_is_introduced_and_read(book: nbformat.NotebookNode) -> None:
    kinds = [cell.cell_type for cell in book.cells]
    plots = [place for place, cell in enumerate(book.cells) if "cx.plot." in cell.source]
    assert plots
    for place in plots:
        assert kinds[place + 1] == "markdown"


def test_ends_with_numbers_and_what_would_change_them(book: nbformat.NotebookNode) -> None:
    assert 3 <= sum(cell.source.count("cx.headline(") for cell in code_cells(book)) <= 5
    assert book.cells[-1].source.startswith("## What would change this answer")


def test_the_start_page_leads_to_every_notebook_and_asks_for_nothing() -> None:
    start = nbformat.read(START, as_version=4)
    links = re.findall(r"\]\((.+?)\)", "\n".join(cell.source for cell in start.cells))
    assert links == [path.name for path in NOTEBOOKS]
    assert not [cell for cell in start.cells if cell.metadata.get("tags")]
    title, _, said = start.cells[0].source.partition("\n\n")
    assert title.startswith("# ")
    assert len(said.splitlines()) == 3
    test_is_stored_without_outputs_on_the_plain_kernel(start)


def test_is_stored_without_outputs_on_the_plain_kernel(book: nbformat.NotebookNode) -> None:
    nbformat.validate(book)
    assert book.metadata.kernelspec.name == "python3"
    for cell in code_cells(book):
        assert cell.outputs == []
        assert cell.execution_count is None


@pytest.mark.parametrize(("as_of", "shown"), [("2023-12-31", True), ("2025-06-30", False)])
def test_lifetime_value_past_the_end_of_the_data_is_withheld(as_of: str, shown: bool) -> None:
    orders = cx.clean_orders(
        cx.simulate.orders(600, start="2023-01-01", as_of="2023-12-31", seed=1), timezone="UTC"
    )
    fit = cx.fit_ltv(orders, as_of=as_of, n_boot=40)
    if shown:
        assert fit.status == "converged"
    cards: list[Any] = []
    names = {"cx": cx, "orders": orders, "fit": fit, "deciles": fit.deciles(), "horizon_days": 365}
    last = code_cells(nbformat.read(NOTEBOOKS[2], as_version=4))[-1]
    exec(last.source, names | {"display": lambda *given: cards.extend(given)})
    assert len(cards) == 4
    assert all((card.value is not None) == shown for card in cards)
    if shown:
        total = fit.total().iloc[0]
        assert (cards[0].low, cards[0].high) == (total["realised_low"], total["realised_high"])
        ends = (total["realised_orders_low"], total["realised_orders_high"])
        assert (cards[1].low, cards[1].high) == ends
    else:
        assert all("give the day the data end" in str(card.withheld) for card in cards)


@pytest.mark.parametrize("as_of", ["2023-09-30", "2023-12-31", "2024-12-31"])
def test_data_health_counts_up_to_as_of_and_withholds_past_the_end(as_of: str) -> None:
    frame = cx.simulate.orders(300, start="2023-01-01", as_of="2023-12-31", seed=2)
    cells = code_cells(nbformat.read(NOTEBOOKS[0], as_version=4))
    cards: list[Any] = []
    names = {"cx": cx, "pd": pd, "as_of": as_of, "display": lambda *given: cards.extend(given)}
    names |= {"orders": cx.clean_orders(frame, timezone="UTC")}
    for cell in cells:
        if cell.source.startswith(("weeks =", "fresh =", "guests =")):
            exec(cell.source, names)
    seen = frame[frame["ordered_at"] < pd.Timestamp(as_of) + pd.Timedelta(days=1)]
    quiet, count, money, *_ = cards
    assert quiet.value == (pd.Timestamp(as_of) - seen["ordered_at"].max().normalize()).days
    if as_of == "2024-12-31":
        assert count.withheld == money.withheld
        assert re.match(r"the data end on 2023-12-\d\d, 3\d\d days before", count.withheld)
    else:
        assert (count.value, round(money.value, 2)) == (
            len(seen),
            round(seen["net_revenue"].sum(), 2),
        )


def test_orders_after_as_of_are_counted_beside_the_last_of_all() -> None:
    orders = cx.clean_orders(
        cx.simulate.orders(100, start="2023-01-01", as_of="2023-12-31", seed=1), timezone="UTC"
    )
    (cell,) = (
        cell.source for cell in code_cells(nbformat.read(NOTEBOOKS[2], as_version=4))
        if "n_after_as_of" in cell.source
    )  # fmt: skip
    names = {"cx": cx, "orders": orders, "as_of": "2023-09-30"}
    exec(cell, names)
    when = orders.table["ordered_at"].execute()
    found = names["ends"].execute().iloc[0]  # type: ignore[attr-defined]
    assert found["n_after_as_of"] == (when >= "2023-10-01").sum() > 0
    assert (found["n_orders"], found["last_order"]) == (len(when), when.max())


def names_after(path: Path, without: str = "", **ours: Any) -> tuple[dict[str, Any], list[Any]]:
    """Run a notebook's cells, but for its pictures and what is left out: its names and cards."""
    skipped = re.compile("|".join(["cx.plot", *without.split()]))
    book, cards = nbformat.read(path, as_version=4), []
    names: dict[str, Any] = {"display": lambda *given: cards.extend(given)}
    for cell in code_cells(book):
        if not skipped.search(cell.source):
            exec(cell.source, names)
        if cell == parameters(book):
            names |= ours
    return names, cards


@pytest.fixture(scope="module")
def some_events(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    events = pd.read_parquet(FOLDER.parent / "data" / "sample" / "events.parquet")
    return events[events["user_id"].isin(events["user_id"].dropna().unique()[:400])]


ASIDE = r"time_to_convert trend groups dropped busiest moves flow paths credit whole\["
"""What no headline of the funnel page is made of."""
PLAIN: dict[str, Any] = {"by": None, "value": None, "channel": None}
LATE = "the data end on 2024-12-31, 365 days before as_of=2025-12-31: give the day the data end"


def test_the_funnel_page_needs_user_event_and_time_alone(
    some_events: pd.DataFrame, tmp_path: Path
) -> None:
    source = tmp_path / "events.parquet"
    some_events[["user_id", "event", "occurred_at"]].to_parquet(source)
    names, cards = names_after(FOLDER / "04_funnel.ipynb", source=str(source), **PLAIN)
    table = names["groups"]
    assert table["month"].is_monotonic_increasing
    together = cx.funnel(names["events"], steps=names["steps"], window="7 days", as_of="2024-12-31")
    assert table.loc[table["step"] == 1, "n"].sum() == together["n"].iloc[0]
    assert [card.value is None for card in cards] == [False, False, False, True, False]
    # the first week begins on a Monday, and the log on the Tuesday after it
    assert not names["trend"]["is_complete"].iloc[0]
    assert pd.isna(names["by_period"]["rate"].iloc[0])
    entered = names["by_period"].iloc[1]
    assert entered["rate"] == entered["n_converted"] / entered["n"]
    # the table and the words below the picture count the same users at risk
    ticks = {tick.get_text() for tick in cx.plot.time_to_convert(names["wait"]).get_xticklabels()}
    at_risk = names["by_then"].set_index("within")["n_at_risk"]
    for within, mark in {"10min": "10 min", "1h": "1 h"}.items():
        assert f"{mark}\n{at_risk[pd.Timedelta(within)]:,}" in ticks


def test_the_steps_of_the_funnel_page_do_not_grow_with_the_log(
    some_events: pd.DataFrame, tmp_path: Path
) -> None:
    """A log that begins later gives the same numbers; over the whole log it does not."""
    found = []
    for begin in ("2024-10-01", "2024-11-20"):
        source = tmp_path / f"{begin}.parquet"
        some_events[some_events["occurred_at"] >= begin].to_parquet(source)
        without = ASIDE.removesuffix(r" whole\[") + " carts touches"
        ours = PLAIN | {"source": str(source), "window": "1 week"}
        found.append(names_after(FOLDER / "04_funnel.ipynb", without, **ours)[0])
    long, short = found
    counts = ["n", "rate", "ci_low", "ci_high", "step_rate", "median_seconds"]
    pd.testing.assert_frame_equal(long["table"][counts], short["table"][counts])
    assert long["start"] == pd.Timestamp("2024-11-27")
    assert long["whole"]["rate"].iloc[1] > short["whole"]["rate"].iloc[1]


@pytest.mark.parametrize(
    ("ours", "why"),
    [
        ({"as_of": "2025-12-31"}, LATE),
        (
            {"as_of": "2024-11-03"},
            "the log begins on 2024-10-01, and entries count from 2024-09-30",
        ),
    ],
)
def test_a_funnel_that_the_log_does_not_cover_is_withheld(
    some_events: pd.DataFrame, tmp_path: Path, ours: dict[str, Any], why: str
) -> None:
    source = tmp_path / "events.parquet"
    some_events.to_parquet(source)
    ours = PLAIN | {"source": str(source)} | ours
    _, cards = names_after(FOLDER / "04_funnel.ipynb", ASIDE, **ours)
    assert [(card.value, card.withheld) for card in cards] == [(None, why)] * 5


def test_retention_past_the_end_of_the_data_is_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = {"source": str(FOLDER.parent / "data" / "sample" / "orders.csv"), "as_of": "2025-12-31"}
    without = "time_to_second_order cohort_by kept rfm"
    names, cards = names_after(FOLDER / "01_cohort_retention.ipynb", without, **ours)
    assert [(card.value, card.withheld) for card in cards] == [(None, LATE)] * 4
    assert names["newest"].groupby("age")["cohort"].nunique().to_dict() == {1: 6, 3: 6, 6: 6}
    monkeypatch.setenv("CX_MIN_GROUP", "10")
    for table in (names["table"], names["curve"]):
        assert repr(cx.show(table, name="cohorts")) == f"Withheld: {LATE}"


def test_every_page_that_counts_up_to_as_of_asks_whether_the_data_reach_it() -> None:
    """Before its first finding; the first page is there to show what is wrong with the data."""
    for path in NOTEBOOKS[1:]:
        sources = [cell.source for cell in code_cells(nbformat.read(path, as_version=4))]
        asks = next(place for place, source in enumerate(sources) if "cx.withhold(" in source)
        shows = [place for place, source in enumerate(sources) if "cx.plot." in source]
        assert asks < shows[0] or "sample_ratio" in sources[shows[0]] and asks < shows[1], path.name
