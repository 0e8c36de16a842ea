"""Pages that load nothing and run nothing, published in one move, nothing good lost."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from report_project import write_notebook, write_plan

import cxlib as cx
from cxlib.clean.losses import LOSSES_MIME
from cxlib.headline import HEADLINE_MIME
from cxlib.report import beside, folders, history, page, printed, publish, runner, work
from cxlib.report.check import prepare
from cxlib.report.jobs import Job
from cxlib.report.markup import safe

PNG = base64.b64encode(b"\x89PNG not really").decode()
RUN = {
    "title": "Weekly <b>report</b>",
    "as_of": "2024-12-31",
    "started": "2025-01-01T03:00:00Z",
    "versions": {"python": "3.13"},
}
INPUT = {"source": "data/<i>.csv", "method": "sha256", "value": "abc", "bytes": 1234}
LOSSES = {
    "table": "orders",
    "raw_rows": 2000,
    "kept_rows": 1500,
    "rules": [
        {"rule": "unpaid", "meaning": "never paid", "rows": 100},
        {"rule": "no_customer", "meaning": "a <i>guest</i>", "rows": 400},
    ],
}


def shown(**data: Any) -> NotebookNode:
    metadata = data.pop("metadata", {})
    bundle = {name.replace("__", "/"): value for name, value in data.items()}
    return new_output("display_data", data=bundle, metadata=metadata)


def cell(*outputs: NotebookNode) -> NotebookNode:
    return new_code_cell("secret_code()", outputs=list(outputs), execution_count=1)


def card(name: str, value: float) -> NotebookNode:
    return shown(**{HEADLINE_MIME: cx.headline(name, value)._repr_mimebundle_()[HEADLINE_MIME]})


def rendered(*cells: NotebookNode, **words: Any) -> BeautifulSoup:
    notebook = new_notebook(cells=list(cells))
    job = Job("x", Path("notebooks/x.ipynb"), {}, {"as_of": "2024-12-31"}, words.pop("sweep", {}))
    task = runner.Task(job, Path(), Path(), RUN, words.pop("inputs", ()))
    result = runner.Result("x", page.title_of(notebook, "x"), "succeeded", 95.0, **words)
    return BeautifulSoup(page.render(notebook, result=result, task=task), "html.parser")


def assert_harmless(soup: BeautifulSoup) -> None:
    """Nothing runs, nothing loads, nothing leads away."""
    assert not soup.find_all(["script", "iframe", "object", "embed", "base", "link", "form"])
    assert all(svg["class"][0] in ("trend", "bar") for svg in soup.find_all("svg"))
    for element in soup.find_all(True):
        for name, value in element.attrs.items():
            assert not name.startswith("on"), element
            if name in ("src", "href", "srcset", "action", "data", "poster"):
                here = value.startswith("data:image/") if name == "src" else ":" not in value
                assert here, element
    styles = " ".join(style.text for style in soup.find_all("style"))
    assert not re.search(r"url\(|@import", styles)
    (policy,) = soup.select('meta[http-equiv="Content-Security-Policy"]')
    assert "default-src 'none'" in policy["content"]
    assert "script-src" not in policy["content"]


# Reading


def test_a_page_has_its_title_cards_words_tables_and_provenance_and_no_code() -> None:
    soup = rendered(
        new_markdown_cell("# Do they come back?\n\nFor the CRM team."),
        new_code_cell('as_of: str = "2024-12-31"', metadata={"tags": ["parameters"]}),
        new_markdown_cell("## Headlines"),
        cell(card("kept", 0.5), card("lost", 3)),
        new_markdown_cell("## Month by month"),
        cell(shown(text__html="<table><tr><td>1</td></tr></table>", text__plain="1")),
        headlines=[{"name": "kept", "value": 0.5, "low": 0.4, "high": 0.6, "unit": "share"}],
        losses=[LOSSES],
        inputs=[INPUT],
        sweep={"first_country": "<GB>"},
    )
    assert [h.text for h in soup.find_all("h1")] == ["Do they come back?"]
    assert "Month by month" in soup.text
    assert "Headlines" not in soup.main.text, "a heading left with nothing under it goes"
    assert "secret_code" not in soup.text
    assert "parameters" not in soup.main.text
    (one,) = soup.select(".card")
    assert one.get_text(" ", strip=True) == "kept 50.0% 95% interval 40.0% to 60.0%"
    assert "Orders 1,500 of 2,000 raw rows used (75.0%)" in " ".join(
        soup.select_one(".health").text.split()
    )
    assert "a <i>guest</i> (400 rows); never paid (100 rows)" in soup.select_one(".health").text
    footer = " ".join(soup.footer.text.split())
    assert "x.ipynb, run 1 January 2025, 03:00 UTC in 1 min 35 s" in footer
    assert "data/<i>.csv, 1,234 bytes, sha256 abc" in footer
    assert "first country: <GB>" in soup.header.text
    assert soup.title.text == "Do they come back? · Weekly <b>report</b>, 31 December 2024"
    assert_harmless(soup)


def test_nothing_lost_is_said_too() -> None:
    soup = rendered(losses=[{"raw_rows": 3, "kept_rows": 3, "rules": []}])
    assert "3 of 3 raw rows used (100.0%) No row was lost." in " ".join(soup.text.split())


def test_tables_have_header_cells_with_scope_and_aligned_numbers() -> None:
    import pandas as pd

    frame = pd.DataFrame(
        {"month": ["Jan", "Feb"], "rate": [0.5, float("nan")], "name": ["a", "כוס"]}
    )
    soup = BeautifulSoup(safe(frame.to_html(), "Month by month"), "html.parser")
    assert [th.text for th in soup.select('thead th[scope="col"]')] == ["month", "rate", "name"]
    assert [[td.text for td in row.select("td")] for row in soup.select("tbody tr")] == [
        ["Jan", "0.5", "a"],
        ["Feb", "–", "כוס"],
    ], "row numbers say nothing and go; a missing value is a dash"
    assert soup.select("thead th")[1]["class"] == ["num"], "a heading over numbers stands over them"
    box = soup.select_one("div.scroll")
    assert box["aria-label"] == "Table 1: Month by month"
    assert box["tabindex"] == "0"
    assert all(cell["dir"] == "auto" for cell in soup.select("td, th"))


@pytest.mark.parametrize(
    "text",
    ["12", "-1,204.50", "£98.50", "-£3", "12.3%", "+80.7%", "2.6e-05", "< 0.001", "4.5m", "–"]
    + ["38.4% to 39.8%", "1,165 vs 1,223", "£1.20 to £3.40"],
)
def test_numbers_and_their_intervals_align(text: str) -> None:
    cell = BeautifulSoup(
        safe(f"<table><tr><td>{html.escape(text)}</td></tr></table>"), "html.parser"
    ).td
    assert cell["class"] == ["num"]


@pytest.mark.parametrize("text", ["", "2024-12-31", "a 12", "12 a", "1 to many", "A-1", "12:30"])
def test_words_stand_where_words_stand(text: str) -> None:
    cell = BeautifulSoup(safe(f"<table><tr><td>{text}</td></tr></table>"), "html.parser").td
    assert "num" not in cell.get("class", [])


def test_an_index_is_a_column_of_row_headers_under_its_name() -> None:
    import pandas as pd

    frame = pd.DataFrame({"month": ["Jan", "Feb"], "rate": [0.5, 0.4]}).set_index("month")
    soup = BeautifulSoup(safe(frame.to_html()), "html.parser")
    assert [[c.text for c in row.select("th, td")] for row in soup.select("thead tr")] == [
        ["month", "rate"]
    ]
    assert [th.text for th in soup.select('tbody th[scope="row"]')] == ["Jan", "Feb"]
    wide = frame.assign(kind=["a", "b"]).set_index("kind", append=True).unstack()
    soup = BeautifulSoup(safe(wide.to_html()), "html.parser")
    assert soup.select_one('thead th[colspan="2"]')["scope"] == "colgroup"
    assert len(soup.select("thead tr")) == 3, "two levels of columns stay two"


@pytest.mark.parametrize(
    ("metadata", "alt"),
    [
        ({"image/png": {"alt": "A line that falls."}}, "A line that falls."),
        ({"alt": "A line."}, "A line."),
        ({"image/png": {"width": 3}, "needs": "x"}, "Figure: Over <time>"),
    ],
)
def test_figures_carry_alt_text(metadata: dict[str, Any], alt: str) -> None:
    soup = rendered(
        new_markdown_cell("## Over &lt;time>"),
        cell(shown(image__png=PNG, text__plain="<Figure>", metadata=metadata)),
    )
    (image,) = soup.select("figure img")
    assert image["alt"] == alt
    assert image["src"] == f"data:image/png;base64,{PNG}"
    assert "<Figure>" not in soup.text


def test_vector_figures_are_pictures_not_markup() -> None:
    hostile = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    soup = rendered(cell(shown(**{"image/svg+xml": hostile})))
    (image,) = soup.select("figure img")
    assert image["src"].startswith("data:image/svg+xml;base64,")
    assert image["alt"] == "Figure"
    assert_harmless(soup)


def test_what_was_printed_stays_and_what_plotting_leaves_behind_goes() -> None:
    soup = rendered(
        cell(
            new_output("stream", name="stdout", text="\x1b[31mmedian 34\x1b[0m <days>\n"),
            new_output("stream", name="stderr", text="UserWarning: few"),
            shown(text__plain="<Axes: title='x'>"),
            shown(text__plain="Fit(n=3)"),
            shown(text__markdown="**strong**<script>x</script>"),
            shown(text__latex="$x$"),
        )
    )
    assert [pre.text for pre in soup.main.select("pre")] == [
        "median 34 <days>",
        "UserWarning: few",
        "Fit(n=3)",
    ]
    assert soup.details.summary.text == "Messages from the run"
    assert soup.select_one(".made strong").text == "strong"
    assert_harmless(soup)


def test_a_warning_is_told_without_the_place_on_this_machine() -> None:
    text = (
        "/srv/env/lib/python3.12/site-packages/lib/session.py:384: UserWarning: Out of range\n"
        "  warnings.warn(\n"
        "something said\n"
        "C:\\env\\lib\\one.py:7: FutureWarning: soon gone\n"
    )
    soup = rendered(cell(new_output("stream", name="stderr", text=text)))
    (said,) = soup.main.select("pre")
    assert said.text == "UserWarning: Out of range\nsomething said\nFutureWarning: soon gone"


def test_later_h1_step_down_and_only_bare_headings_go() -> None:
    soup = rendered(
        new_markdown_cell("# One"),
        new_markdown_cell("# Two"),
        new_markdown_cell("### Kept: a level below"),
        new_markdown_cell("words"),
        new_markdown_cell("## Gone: bare"),
        new_markdown_cell("## Kept: with words\nthese"),
        new_markdown_cell("## Gone: last"),
        cell(),
    )
    assert [h.text for h in soup.find_all("h1")] == ["One"]
    assert [h.text for h in soup.select(".text h2, .text h3")] == [
        "Two",
        "Kept: a level below",
        "Kept: with words",
    ]


def test_a_notebook_without_title_goes_by_its_name() -> None:
    book = new_notebook(cells=[new_code_cell("# no title"), new_markdown_cell("## Not one")])
    assert page.title_of(book, "05_mine") == "05_mine"


@pytest.mark.parametrize(("seconds", "said"), [(0.46, "0.5 s"), (12.3, "12 s"), (95, "1 min 35 s")])
def test_durations_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert page.duration(seconds) == said


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<img src='https://example.com/pixel.gif' alt='a pixel'>",
    "<svg onload=alert(1)><a xlink:href='javascript:alert(1)'>x</a></svg>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='https://example.com/'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<table onmouseover=alert(1)><tr><td style='background:url(https://example.com)'>x</td></table>",
    "<style>@import 'https://example.com/x.css'; body{background:url(//example.com)}</style>",
    "<meta http-equiv=refresh content='0;url=https://example.com'>",
    "<base href='https://example.com/'><form action=//example.com><button>x</button></form>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<details open ontoggle=alert(1)>x</details>",
    "<link rel=stylesheet href=//example.com><object data=//example.com></object>",
    "<template><img src=x onerror=alert(1)></template><video poster=//example.com></video>",
    "--><!--><img src=x onerror=alert(1)>",
    "</style></title></pre></main><script>alert(1)</script>",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_never_becomes_markup_that_runs_or_loads(text: str) -> None:
    soup = rendered(
        new_markdown_cell(f"# {text}"),
        new_markdown_cell(f"## {text}\n\nwords {text}\n\n```mermaid\n{text}\n```\n\n$${text}$$"),
        cell(
            shown(text__html=text),
            shown(text__html=f"<table><thead><tr><th>{text}</th></tr></thead></table>"),
            shown(text__plain=text),
            shown(text__markdown=text),
            shown(text__latex=text),
            shown(**{"application/javascript": "alert(1)"}),
            shown(image__png=PNG, metadata={"alt": text}),
            new_output("stream", name="stdout", text=text),
        ),
        headlines=[cx.headline(text, 1)._repr_mimebundle_()[HEADLINE_MIME]],
        losses=[{**LOSSES, "rules": [{"meaning": text, "rows": 1}]}],
        inputs=[{**INPUT, "source": text}],
        sweep={"product": text},
    )
    assert_harmless(soup)
    assert soup.select_one(".card .name").text == text, "as text it is all there"
    assert soup.select_one(".sweep b").text == text


def test_safe_markup_survives() -> None:
    kept = safe(
        "<h1>Big</h1><p style='text-align:right;color:red'>a<b>b</b></p><a href='#big'>up</a>"
        f"<img src='data:image/png;base64,{PNG}' alt='drawn'>"
    )
    assert '<p style="text-align:right;">a<b>b</b></p>' in kept
    assert "<p><strong>Big</strong></p>" in kept, "only a page's own words have headings"
    assert '<a href="#big">up</a>' in kept
    assert 'alt="drawn"' in kept


# Publishing


STATES: dict[str, str] = {}
"""How notebooks end: fine unless said."""
MADE: list[str] = []
"""Names of the reports that were begun."""


def book_of(task: runner.Task) -> NotebookNode:
    """An executed notebook, as a kernel would leave it; a failing one raises."""
    MADE.append(task.job.name)
    state = STATES.get(task.job.notebook.stem, "fine")
    if state == "fails":
        raise ZeroDivisionError("division by zero")
    if state == "refuses":
        raise cx.DataError("orders: no rows")
    if state == "is interrupted":
        raise KeyboardInterrupt
    return new_notebook(
        cells=[
            new_markdown_cell(f"# Report {task.job.name}"),
            cell(card("kept", 0.5), shown(**{LOSSES_MIME: {**LOSSES, "revenue": float("nan")}})),
        ]
    )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two notebooks that need no kernel."""

    def run_notebook(task: runner.Task, executed: Path, moved: object) -> NotebookNode:
        executed.parent.mkdir(exist_ok=True)
        nbformat.write(new_notebook(), executed)
        return book_of(task)

    monkeypatch.setattr(runner, "_run_notebook", run_notebook)
    for name in ("01_one", "02_two"):
        cell = f'as_of: str = "2024-12-31"\nown_{name}: str = "x"\nshop: str = "ours"'
        write_notebook(tmp_path, name, cell, f"# Source of {name}")
    return tmp_path


def here(tasks: Sequence[runner.Task], listener: object) -> Iterator[runner.Result]:
    return (runner.execute(task) for task in tasks)


PLAN = """
title: A & B <script>
reports: [{notebook: 01_one}, {notebook: 02_two}]
"""


def published(
    project: Path,
    one: str = "fine",
    two: str = "fine",
    only: Sequence[str] = (),
    force: bool = True,
    pdf: bool = False,
    **sets: str,
) -> tuple[Path, dict[str, Any]]:
    STATES.update({"01_one": one, "02_two": two})
    MADE.clear()
    ready = replace(prepare(write_plan(project, PLAN), sets, only), pdf=pdf)
    index, record = publish.publish(ready, project / "runs", here, force=force)
    told = json.loads((index.parent / "run.json").read_text())
    assert told["reports"][0]["name"] == record["reports"][0]["name"]
    return index.parent, {report["name"]: report for report in told["reports"]} | {"run": told}


def names_in(folder: Path) -> list[str]:
    """What stands in a plan's folder, the index of its runs aside."""
    return sorted(file.name for file in folder.iterdir() if file.name != "index.html")


def soup_of(file: Path) -> BeautifulSoup:
    soup = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")
    assert_harmless(soup)
    return soup


def test_a_run_publishes_pages_index_notebooks_and_record(project: Path) -> None:
    folder, record = published(project)
    assert folder == project / "runs" / "weekly" / "2024-12-31"
    assert sorted(str(file.relative_to(folder)) for file in folder.rglob("*.*")) == [
        "01_one.html", "02_two.html", "index.html",
        "notebooks/01_one.ipynb", "notebooks/02_two.ipynb", "run.json",
    ]  # fmt: skip
    assert names_in(folder.parent) == ["2024-12-31", "latest"], "no staging is left"
    run, one = record["run"], record["01_one"]
    assert (run["plan"], run["title"], run["as_of"]) == ("weekly", "A & B <script>", "2024-12-31")
    assert run["status"] == "succeeded"
    assert run["started"].endswith("Z")
    assert run["versions"]["pandas"].startswith("3.")
    assert (one["status"], one["title"], one["page"]) == (
        "succeeded",
        "Report 01_one",
        "01_one.html",
    )
    assert one["headlines"][0]["value"] == 0.5
    assert one["losses"][0]["kept_rows"] == 1500
    assert one["losses"][0]["revenue"] is None, "JSON has no word for NaN"
    assert one["executed_notebook"] == "notebooks/01_one.ipynb"
    index = soup_of(folder / "index.html")
    assert index.h1.text == "A & B <script>"
    assert "All 2 reports are here." in index.header.text
    assert [a["href"] for a in index.select("article h2 a")] == ["01_one.html", "02_two.html"]
    assert index.select_one(".numbers dt").text == "kept"
    assert soup_of(folder / "01_one.html").select_one(".over a")["href"] == "index.html"


def test_withheld_numbers_are_a_line_of_the_record_for_each_report() -> None:
    shown = [{"withheld": "the data are stale"}, {"withheld": "the data are stale"}]
    assert runner._withheld(shown) == ["its numbers are withheld: the data are stale"]
    few = [*shown[:1], {"withheld": None}]
    assert runner._withheld(few) == ["1 of its 2 numbers are withheld: the data are stale"]
    assert runner._withheld(few[1:]) == []


def test_a_failed_report_is_named_and_the_others_are_published(project: Path) -> None:
    folder, record = published(project, two="fails")
    assert record["run"]["status"] == "failed"
    assert record["02_two"]["status"] == "failed"
    assert record["02_two"]["error"]["name"] == "ZeroDivisionError"
    assert record["02_two"]["page"] is None
    assert record["02_two"]["title"] == "Source of 02_two", "the title is the notebook's own"
    assert (folder / "notebooks" / "02_two.ipynb").is_file()
    index = soup_of(folder / "index.html")
    assert "1 of 2 reports are here; 1 failed." in index.header.text
    failed = index.select_one("article.failed")
    assert "division by zero" in failed.text
    assert [a["href"] for a in failed.select("a")] == ["notebooks/02_two.ipynb"]


def test_pages_of_other_days_are_never_touched(project: Path) -> None:
    before, _ = published(project)
    kept = {file: file.read_bytes() for file in before.rglob("*.*")}
    for name in ("01_one", "02_two"):
        path = project / "notebooks" / f"{name}.ipynb"
        path.write_text(path.read_text().replace("2024-12-31", "2025-01-01"))
    after, _ = published(project, "fails", "fails")
    assert after.name == "2025-01-01"
    assert {file: file.read_bytes() for file in before.rglob("*.*")} == kept


def test_a_former_good_page_of_the_same_day_outlives_a_failure(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter(f"2025-01-0{day}T03:00:00Z" for day in range(1, 9))
    monkeypatch.setattr(publish, "_now", lambda: next(times))
    published(project)  # started 1 January, finished 2 January
    for failure in ("3 January 2025", "5 January 2025"):
        folder, record = published(project, two="fails")
        assert record["02_two"]["page"] == "02_two.html"
        assert record["02_two"]["page_from"] == "2025-01-01T03:00:00Z"
        (note,) = soup_of(folder / "02_two.html").select("main > .former")
        assert "This page is from the run of 1 January 2025, 03:00 UTC." in note.text
        assert f"The run of {failure}, 03:00 UTC failed; the index says why." in note.text
        index = soup_of(folder / "index.html")
        assert "The page of the run before, 1 January 2025" in index.select_one(".failed").text
        assert "1 of 2 reports are here; 1 failed." in index.header.text
    folder, record = published(project)
    assert record["02_two"]["page_from"] is None
    assert not soup_of(folder / "02_two.html").select(".former")


@pytest.mark.parametrize("end", ["fails", "is interrupted"])
def test_what_belongs_to_a_page_stays_with_it(
    project: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    def write_tables(notebook: NotebookNode, folder: Path, name: str) -> list[dict[str, Any]]:
        (folder / "tables").mkdir(exist_ok=True)
        (folder / "tables" / f"{name}-t.csv").write_text("a\n1\n")
        return [{"name": "t", "rows": 1, "file": f"tables/{name}-t.csv"}]

    def print_pages(folder: Path, pages: Sequence[str]) -> dict[str, str]:
        made = {name: name.replace("html", "pdf") for name in pages}
        for name in made.values():
            (folder / name).write_text("printed")
        return made

    monkeypatch.setattr(beside, "write_tables", write_tables)
    monkeypatch.setattr(printed, "print_pages", print_pages)
    folder, first = published(project, pdf=True)
    whole = (folder / "notebooks" / "02_two.ipynb").stat().st_ino
    for _ in range(2):
        folder, record = published(project, two=end)
        two = record["02_two"]
        assert {key: two[key] for key in ("page", "tables")} == {
            key: first["02_two"][key] for key in ("page", "tables")
        }
        assert (folder / two["tables"][0]["file"]).is_file()
        assert two["pdf"] is None, "the page says of which run it is; the PDF would not"
        assert not (folder / "02_two.pdf").exists()
        assert "02_two.pdf" not in (folder / "index.html").read_text()
        assert (folder / "notebooks" / "02_two.ipynb").stat().st_ino == whole
        assert two["executed_notebook"] == "notebooks/02_two.failed.ipynb"
        assert (folder / two["executed_notebook"]).stat().st_ino != whole
        links = [a["href"] for a in soup_of(folder / "index.html").select(".bad a")]
        assert {two["executed_notebook"], "02_two.html"} <= set(links)
    published(project, pdf=True)
    folder, record = published(project, force=False)
    assert [record[name]["status"] for name in ("01_one", "02_two")] == ["skipped"] * 2
    assert [file.name for file in sorted(folder.glob("*.pdf"))] == ["01_one.pdf", "02_two.pdf"]
    assert record["01_one"]["pdf"] == "01_one.pdf"
    assert "02_two.failed.ipynb" not in {file.name for file in folder.rglob("*.ipynb")}


def test_the_record_says_what_headlines_were_the_day_before(project: Path) -> None:
    published(project, as_of="2024-12-30")
    published(project, as_of="2024-12-30")
    folder, record = published(project)
    (kept,) = record["01_one"]["history"]
    assert (kept["name"], kept["change"], kept["n_runs"]) == ("kept", 0.0, 1)
    assert [point["as_of"] for point in kept["points"]] == ["2024-12-30", "2024-12-31"]
    assert len((folder.parent / history.REPLACED).read_text().splitlines()) == 1


def test_running_one_report_keeps_the_others_as_they_stand(project: Path) -> None:
    _, first = published(project)
    folder, record = published(project, only=["02_two"])
    assert record["01_one"]["page_from"] == first["run"]["started"]
    assert record["01_one"]["headlines"] == first["01_one"]["headlines"]
    assert (folder / "01_one.html").is_file()
    assert (folder / "notebooks" / "01_one.ipynb").is_file()
    assert "Not part of the last run" in soup_of(folder / "index.html").article.text


def test_running_one_report_where_nothing_stands_publishes_it_alone(project: Path) -> None:
    folder, record = published(project, only=["02_two"])
    assert set(record) == {"02_two", "run"}
    assert not (folder / "01_one.html").exists()


def test_nothing_is_published_when_every_report_refuses_its_input(project: Path) -> None:
    before, _ = published(project)
    kept = {file: file.read_bytes() for file in before.rglob("*.*")}
    with pytest.raises(cx.DataError, match=r"nothing was published:\n  - 01_one: orders: no rows"):
        published(project, "refuses", "refuses")
    assert {file: file.read_bytes() for file in before.rglob("*.*")} == kept
    assert names_in(before.parent) == ["2024-12-31", "latest"]
    assert published(project, "fine", "refuses")[1]["run"]["status"] == "failed"


def test_a_torn_record_of_a_former_run_is_passed_over(project: Path) -> None:
    folder, _ = published(project)
    (folder / "run.json").write_text("{")
    assert published(project, two="fails")[1]["02_two"]["page"] is None


def test_a_folder_that_cannot_be_written_is_said(project: Path) -> None:
    (project / "runs").write_text("a file")
    with pytest.raises(cx.CxError, match="cannot write to .* name another folder with --output"):
        published(project)


def test_a_crash_while_publishing_leaves_what_stood(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, _ = published(project)
    kept = {file: file.read_bytes() for file in before.rglob("*.*")}

    def crash(*_: object, **__: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(page, "fill", crash)
    with pytest.raises(cx.CxError, match="cannot write to .*: No space left on device"):
        published(project, two="fails")
    assert {file: file.read_bytes() for file in before.rglob("*.*")} == kept
    assert names_in(before.parent) == [".work", "2024-12-31", "latest"], "no staging is left"


def test_what_was_finished_before_a_crash_is_not_made_again(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr(page, "fill", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            published(project, two="fails")
    assert MADE == ["01_one", "02_two"]
    folder, record = published(project, force=False)
    assert MADE == ["02_two"]
    assert [record[name]["status"] for name in ("01_one", "02_two")] == ["succeeded"] * 2
    assert (folder / "01_one.html").is_file()
    assert names_in(folder.parent) == ["2024-12-31", "latest"], "nothing is left to take up"


def test_what_did_not_change_is_not_run_again_unless_forced(project: Path) -> None:
    _, first = published(project)
    folder, record = published(project, force=False)
    assert MADE == []
    one = record["01_one"]
    assert (one["status"], record["run"]["status"]) == ("skipped", "succeeded")
    assert one["page_from"] == first["run"]["started"]
    assert one["headlines"] == first["01_one"]["headlines"]
    assert one["executed_notebook"] == "notebooks/01_one.ipynb"
    assert (folder / "01_one.html").is_file()
    index = soup_of(folder / "index.html")
    assert "All 2 reports are here." in index.header.text
    status = index.select_one(".status").text
    assert status == f"✓ unchanged, from the run of {page.moment(one['page_from'])}"
    published(project, force=True)
    assert MADE == ["01_one", "02_two"]


def test_whatever_a_report_is_made_from_makes_it_anew(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "notes.txt").write_text("first")
    write_notebook(project, "01_one", 'as_of: str = "2024-12-31"', "# One", "open('notes.txt')")
    published(project)
    (project / "notes.txt").write_text("second")
    published(project, force=False)
    assert MADE == ["01_one"], "a file that its text names"
    published(project, force=False, own_02_two="y")
    assert MADE == ["02_two"], "its parameters"
    write_notebook(project, "01_one", 'as_of: str = "2024-12-31"', "# One", "open('notes.txt') #")
    published(project, force=False, own_02_two="y")
    assert MADE == ["01_one"], "its notebook"
    monkeypatch.setattr(work, "package", lambda: "another version")
    published(project, force=False, own_02_two="y")
    assert MADE == ["01_one", "02_two"], "the package"


def test_a_report_from_what_has_no_fingerprint_is_always_run(project: Path) -> None:
    job = Job("x", project / "notebooks" / "01_one.ipynb", {}, {})
    known, unknown = {"value": "abc"}, {"value": None}
    assert len(work.key_of(job, project, [known], "")) == 64
    assert work.key_of(job, project, [known, unknown], "") == ""


def test_an_interrupted_run_publishes_what_was_done(project: Path) -> None:
    folder, record = published(project, two="is interrupted")
    assert record["run"]["status"] == record["02_two"]["status"] == "interrupted"
    assert record["01_one"]["status"] == "succeeded"
    assert record["02_two"]["page"] is None
    assert "1 of 2 reports are here" in soup_of(folder / "index.html").header.text
    published(project, force=False)
    assert MADE == ["02_two"], "what was done is not made again"
    folder, _ = published(project, two="is interrupted")
    (note,) = soup_of(folder / "02_two.html").select("main > .former")
    assert note.text.endswith("UTC was interrupted before it made a new one.")


def test_an_interrupted_run_without_any_page_publishes_nothing(project: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        published(project, one="is interrupted")
    assert names_in(project / "runs" / "weekly") == []


def test_running_one_report_on_another_source_leaves_the_others_out(project: Path) -> None:
    published(project)
    folder, record = published(project, only=["02_two"], shop="theirs")
    assert set(record) == {"02_two", "run"}, "01_one is a page of ours"
    assert record["run"]["left_out"] == ["01_one"]
    index = soup_of(folder / "index.html")
    assert "1 of 2 reports are here. " in " ".join(index.header.text.split())
    assert "Not here, for this run was asked for others" in index.text


def test_running_one_report_keeps_the_others_marked_where_the_data_changed(project: Path) -> None:
    (project / "shop.csv").write_text("a\n1")
    write_notebook(
        project, "01_one", 'as_of: str = "2024-12-31"\nsource: str = "../shop.csv"', "# A"
    )
    _, first = published(project)
    for text in ("a\n2", "a\n3"):
        (project / "shop.csv").write_text(text)
        folder, record = published(project, only=["02_two"])
        one = record["01_one"]
        assert (one["status"], one["page"], one["notices"]) == (
            "succeeded",
            "01_one.html",
            [page.OLDER],
        )
        assert one["page_from"] == first["run"]["started"]
        (note,) = soup_of(folder / "01_one.html").select("main > .former")
        assert "made only other reports, and the data had changed by then." in note.text
        assert "its data have changed since" in soup_of(folder / "index.html").article.text
        assert record["run"]["left_out"] == []
    (project / "shop.csv").write_text("a\n1")
    folder, record = published(project, force=False)
    assert MADE == ["01_one"], "else the mark would stay, though all is as it was"
    assert not soup_of(folder / "01_one.html").select(".former")


def test_a_page_of_other_inputs_does_not_outlive_a_failure(project: Path) -> None:
    published(project)
    folder, record = published(project, two="fails", shop="theirs")
    assert record["02_two"]["page"] is None
    assert not (folder / "02_two.html").exists()


def test_what_a_killed_run_left_is_cleared_away(project: Path) -> None:
    folder, _ = published(project)
    plan = folder.parent
    (plan / ".2024-12-31-new" / "notebooks").mkdir(parents=True)
    (plan / ".2024-11-30-new-former").mkdir()  # killed between two renames
    published(project)
    assert names_in(plan) == ["2024-11-30", "2024-12-31", "latest", history.REPLACED]


def test_what_took_long_the_last_time_begins_first(project: Path) -> None:
    folder, _ = published(project)
    text = (folder / "run.json").read_text()
    name = '"name": "02_two",\n      "title": "Report 02_two",\n      "status": "succeeded",\n      "duration_seconds": '
    assert name in text
    (folder / "run.json").write_text(text.replace(name, name + "9"))
    published(project)
    assert MADE == ["02_two", "01_one"]


def test_latest_names_the_last_day(project: Path) -> None:
    folder, _ = published(project)
    assert (folder.parent / "latest" / "index.html").is_file()
    published(project, as_of="2024-11-30")
    assert (folder.parent / "latest").resolve() == folder
    published(project, as_of="2025-01-31")
    assert (folder.parent / "latest").resolve().name == "2025-01-31"


@pytest.mark.parametrize("in_one_step", [True, False])
def test_a_folder_takes_the_place_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_one_step: bool
) -> None:
    if not in_one_step:
        monkeypatch.setattr(folders, "_exchange", lambda one, other: False)
    new, target = tmp_path / ".new", tmp_path / "target"
    for folder in (new, target):
        folder.mkdir()
        (folder / folder.name.strip(".")).touch()
    folders.swap(new, target)
    assert [file.name for file in target.iterdir()] == ["new"]
    assert [file.name for file in new.iterdir()] == ["target"]
    assert len(list(tmp_path.iterdir())) == 2
