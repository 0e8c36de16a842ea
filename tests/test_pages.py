"""What a page tells beside its cells: how headlines moved, what words mean, within its size."""

from __future__ import annotations

import base64
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

import cxlib as cx
from cxlib.headline import HEADLINE_MIME
from cxlib.report import glossary, history, overview, page, runner, trend
from cxlib.report.jobs import Job

RUN = {"title": "Weekly", "as_of": "2024-12-31", "started": "2025-01-01T03:00:00Z", "versions": {}}


def rendered(*cells: NotebookNode, code: bool = False, **words: Any) -> str:
    job = Job("x", Path("notebooks/x.ipynb"), {}, {"as_of": "2024-12-31"})
    task = runner.Task(job, Path(), Path(), RUN | {"code": code})
    result = runner.Result("x", "Title", "succeeded", 1.0, **words)
    return page.render(new_notebook(cells=list(cells)), result=result, task=task)


def shown(**data: Any) -> NotebookNode:
    return new_output("display_data", data={k.replace("__", "/"): v for k, v in data.items()})


def series(values: list[float], **headline: Any) -> tuple[Any, dict[str, Any]]:
    """A headline and its history, the last value the new one."""
    card = cx.headline("kept", values[-1], **headline)
    record = card._repr_mimebundle_()[HEADLINE_MIME]
    points = [
        {**record, "as_of": f"2024-{at + 1:02}-28", "started": "x", "value": value}
        for at, value in enumerate(values[:-1])
    ]
    (placed,) = history.placed([record], {"kept": points}, "2024-12-31", "x")
    return card, placed


# How headlines moved


@pytest.mark.parametrize(
    ("before", "after", "headline", "said"),
    [
        (0.30, 0.325, {"unit": "share"}, "▲ up 2.5 points since 28 January 2024"),
        (0.30, 0.30001, {"unit": "share"}, "unchanged since 28 January 2024"),
        (1200, 1100, {"unit": "count"}, "▼ down 100 since 28 January 2024"),
        (90.5, 98.0, {"unit": "money", "currency": "GBP"}, "▲ up £7.50 since 28 January 2024"),
        (34, 33, {"unit": "days"}, "▼ down 1 day since 28 January 2024"),
        (1.22, 1.2272, {}, "▲ up 0.01 since 28 January 2024"),
        (1.22, 1.2203, {}, "unchanged since 28 January 2024"),
        (-0.1, 0.1, {"unit": "change"}, "▲ up 20.0 points since 28 January 2024"),
    ],
)
def test_a_change_is_said_in_the_headlines_own_unit(
    before: float, after: float, headline: dict[str, Any], said: str
) -> None:
    card, placed = series([before, after], **headline)
    assert trend.move(card, placed, page.day).change == said


def test_a_first_run_has_no_trend_and_a_withheld_number_neither() -> None:
    card, placed = series([0.3], unit="share")
    assert trend.move(card, placed, page.day) == trend.Move()
    assert trend.move(card, None, page.day) == trend.Move()
    assert trend.move(cx.headline("kept", 1, withheld="no"), placed, page.day) == trend.Move()


def test_a_number_that_left_its_limits_is_told_in_words_and_by_shape() -> None:
    calm = [0.30, 0.31, 0.30, 0.29, 0.30, 0.31, 0.30, 0.29, 0.30, 0.31, 0.30]
    card, placed = series([*calm, 0.305], unit="share")
    fine = trend.move(card, placed, page.day)
    assert fine.alarm == ""
    assert "<circle" in fine.picture
    assert fine.picture.count('class="limit"') == 2
    card, placed = series([*calm, 0.5], unit="share")
    far = trend.move(card, placed, page.day)
    # by hand: mean 3.31 / 11, mean moving range 0.01, so 0.3009 ± 2.66 × 0.01
    assert far.alarm.startswith(
        "Outside its control limits: above 27.4% to 32.8%, where the 11 runs"
    )
    assert "<rect" in far.picture
    assert "12 runs from 28 January 2024 to 31 December 2024" in far.picture
    soup = BeautifulSoup(far.picture, "html.parser")
    ys = [float(point.split(",")[1]) for point in soup.polyline["points"].split()]
    assert ys[-1] == min(ys), "the largest number stands highest"
    assert 0 <= min(ys) <= max(ys) <= trend.HEIGHT


def test_what_is_hardly_a_change_does_not_look_like_one() -> None:
    def rise(values: list[float], *ends: float, **unit: str) -> float:
        card = cx.headline("kept", values[-1], *ends, **unit)
        _, placed = series(values, **unit)
        drawn = BeautifulSoup(trend.move(card, placed, page.day).picture, "html.parser")
        ys = [float(point.split(",")[1]) for point in drawn.polyline["points"].split()]
        return (ys[0] - ys[-1]) / trend.HEIGHT

    assert abs(rise([382062.05, 382062.06], unit="money")) < 0.01
    assert rise([0.19, 0.20], 0.15, 0.25, unit="share") < 0.1, "its interval says how little"
    assert rise([0.19, 0.30], unit="share") > 0.5


def test_a_page_shows_cards_with_their_trend() -> None:
    card, placed = series([0.30, 0.325], unit="share")
    text = rendered(headlines=[card._repr_mimebundle_()[HEADLINE_MIME]], history=[placed])
    soup = BeautifulSoup(text, "html.parser")
    assert "▲ up 2.5 points since 28 January 2024" in soup.select_one(".card").text
    assert soup.select_one(".card svg")["role"] == "img"


# What words mean


def test_only_the_words_of_a_page_are_explained() -> None:
    text = rendered(
        new_markdown_cell("# Q\n\nlead"), new_markdown_cell("## The lift\n\nIts power.")
    )
    soup = BeautifulSoup(text, "html.parser")
    told = [term.text for term in soup.select(".glossary dt")]
    assert told == ["as of", "lift", "power"]
    assert "lift = (variant − control) ÷ |control|" in soup.select_one(".glossary").text


def test_definitions_are_unique_and_none_hides_in_a_longer_word() -> None:
    names = [term.name for term in glossary.terms()]
    assert len(set(names)) == len(names)
    assert all(term.meaning.endswith(".") for term in glossary.terms())
    assert [term.name for term in glossary.used("uplifting powers, cohortes")] == []


# Within its size


def noise(side: int) -> str:
    pixels = np.random.default_rng(1).integers(0, 255, (side, side, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="png")
    return base64.b64encode(file.getvalue()).decode()


def test_a_page_never_passes_its_size_whatever_a_notebook_shows() -> None:
    wide = pd.DataFrame({"n": range(3000), "words": "some words in a cell"})
    cells = [
        new_code_cell("", outputs=[shown(image__png=noise(700))] * 3),
        new_code_cell("", outputs=[shown(text__html=wide.to_html())] * 3),
        new_code_cell(
            "", outputs=[new_output("stream", name="stdout", text="said\n" * 400_000)] * 3
        ),
    ]
    text = rendered(*cells)
    assert len(text.encode()) <= 1_500_000
    assert "more rows are not shown" in text
    assert "characters are left out here" in text


def test_pictures_shrink_before_they_go() -> None:
    text = rendered(new_code_cell("", outputs=[shown(image__png=noise(700))]))
    assert len(text.encode()) <= 1_500_000
    (image,) = BeautifulSoup(text, "html.parser").select("figure img")
    made = Image.open(io.BytesIO(base64.b64decode(image["src"].partition(",")[2])))
    assert made.size == (420, 420)


def test_code_is_shown_where_it_is_asked_for() -> None:
    cell = new_code_cell("rate = 1 < 2")
    assert "rate" not in BeautifulSoup(rendered(cell), "html.parser").main.text
    soup = BeautifulSoup(rendered(cell, code=True), "html.parser")
    assert soup.select_one("pre.code").text == "rate = 1 < 2"


def test_a_caption_is_the_reading_of_its_picture_and_stands_once() -> None:
    picture = shown(image__png=noise(8))
    picture.metadata = {"image/png": {"alt": "A line.", "reading": "It falls."}}
    below = shown(text__html="<p>It falls.</p>")
    below.metadata = {"cx_reading": True}
    text = rendered(new_code_cell("", outputs=[picture, below]))
    soup = BeautifulSoup(text, "html.parser")
    assert soup.figcaption.text == "Figure 1. It falls."
    assert soup.main.text.count("It falls.") == 1


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ("2024-12-31", "The last row is of 31 December 2024, the as-of day."),
        ("2024-12-30", "The last row is of 30 December 2024, 1 day before the as-of day."),
        ("2025-01-02", "Rows go on to 2 January 2025; those after the as-of day are not counted."),
        (None, ""),
    ],
)
def test_freshness_is_said_in_words(last: str | None, said: str) -> None:
    assert page.freshness({"last_day": last}, "2024-12-31") == said


# Scripts of the world in figures


WORDS = ["כוס קפה", "كوب قهوة", "گچ پژ", "Красная чашка"]


def test_figures_have_the_letters_of_our_readers_and_no_hole(tmp_path: Path) -> None:
    table = pd.DataFrame({"rule": WORDS, "rows": [4, 3, 2, 1], "rows_share": 0.1})
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a missing letter is a warning
        figure = cx.plot.losses(table).figure
        figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5_000


# The indexes


def test_indexes_list_plans_and_runs_and_pass_over_torn_records(tmp_path: Path) -> None:
    import json

    report = {
        "title": "A <b>",
        "page": "a.html",
        "status": "succeeded",
        "headlines": [],
        "history": [],
        "sweep": {},
    }
    for plan, day, status in (
        ("weekly", "2024-12-24", "failed"),
        ("weekly", "2024-12-31", "succeeded"),
        ("daily", "2024-12-30", "succeeded"),
    ):
        folder = tmp_path / plan / day
        folder.mkdir(parents=True)
        run = RUN | {"as_of": day, "title": plan.title(), "reports": [report | {"status": status}]}
        (folder / "run.json").write_text(json.dumps(run))
    torn = tmp_path / "torn" / "2024-01-01"
    torn.mkdir(parents=True)
    (torn / "run.json").write_text("{")
    overview.write(tmp_path)
    soup = BeautifulSoup((tmp_path / "index.html").read_text(), "html.parser")
    links = [link["href"] for link in soup.select("main a")]
    assert "weekly/2024-12-31/index.html" in links
    assert "weekly/2024-12-31/a.html" in links
    assert "weekly/index.html" in links
    assert not any("torn" in link for link in links)
    assert "A <b>" in soup.text
    rows = BeautifulSoup((tmp_path / "weekly" / "index.html").read_text(), "html.parser").select(
        "tbody tr"
    )
    assert [row.a["href"] for row in rows] == ["2024-12-31/index.html", "2024-12-24/index.html"]
    assert "✗ 0 of 1 reports" in rows[1].text
