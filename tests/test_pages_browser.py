"""Published pages in real Chromium: nothing in any data runs, and everybody can read them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from browser import Visit, launched, needs_chromium
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import cxlib as cx
from cxlib.headline import HEADLINE_MIME
from cxlib.report import beside, finish, history, overview, page, printed, runner
from cxlib.report.jobs import Job, ReadyPlan

pytestmark = needs_chromium

ELSEWHERE = "https://elsewhere.example"
RUNS = "window.hit=1;alert(1)"
ATTACKS = {
    "script": f"<script>{RUNS}</script>",
    "script from elsewhere": f"<script src={ELSEWHERE}/x.js></script>",
    "module": f"<script type=module>import '{ELSEWHERE}/x.js'</script>",
    "broken image": f'<img src=x onerror="{RUNS}">',
    "pixel": f"<img src={ELSEWHERE}/pixel.gif>",
    "srcset": f"<img srcset='{ELSEWHERE}/a.png 1x, {ELSEWHERE}/b.png 2x'>",
    "picture": f"<picture><source srcset={ELSEWHERE}/a.png><img src=x onerror={RUNS}></picture>",
    "svg": f'<svg onload="{RUNS}"><script>{RUNS}</script></svg>',
    "svg link": f"<svg><a xlink:href='javascript:{RUNS}'><text>x</text></a></svg>",
    "svg animation": f"<svg><a><animate attributeName=href values='javascript:{RUNS}'/><set attributeName=onmouseover to='{RUNS}'/></a></svg>",
    "svg use": f"<svg><use href='{ELSEWHERE}/x.svg#a'/><image href='{ELSEWHERE}/y.png'/></svg>",
    "foreign object": f"<svg><foreignObject><iframe src='javascript:{RUNS}'></iframe></foreignObject></svg>",
    "math": f"<math><mtext><table><mglyph><style><img src=x onerror={RUNS}>",
    "frame": f"<iframe src={ELSEWHERE}></iframe>",
    "frame of its own": f"<iframe srcdoc='<script>parent.{RUNS}</script>'></iframe>",
    "script address": f"<a href='javascript:{RUNS}' id=go>go</a>",
    "script address in disguise": f"<a href=' java\tscript:{RUNS}'>go</a>",
    "data address": f"<a href='data:text/html,<script>{RUNS}</script>'>go</a>",
    "data frame": f"<object data='data:text/html,<script>{RUNS}</script>'></object>",
    "embed": f"<embed src={ELSEWHERE}/x.swf><object data={ELSEWHERE}/x></object>",
    "style": f"<style>@import '{ELSEWHERE}/x.css'; body{{background:url({ELSEWHERE}/b.png)}}</style>",
    "style of a cell": f"<table><tr><td style='background:url({ELSEWHERE}/c.png);width:expression({RUNS})'>x</td></tr></table>",
    "style sheet": f"<link rel=stylesheet href={ELSEWHERE}/x.css><link rel=prefetch href={ELSEWHERE}/p>",
    "refresh": f"<meta http-equiv=refresh content='0;url={ELSEWHERE}'>",
    "base": f"<base href={ELSEWHERE}/><img src=pixel.gif>",
    "form": f"<form action={ELSEWHERE}><input autofocus onfocus={RUNS}><button formaction='javascript:{RUNS}'>x</button></form>",
    "media": f"<video autoplay poster={ELSEWHERE}/p.png onerror={RUNS}><source src={ELSEWHERE}/v></video><audio src={ELSEWHERE}/a autoplay></audio>",
    "details": f"<details open ontoggle={RUNS}>x</details>",
    "handlers": f"<table onmouseover={RUNS} onfocus={RUNS} tabindex=0 autofocus><tr><td>x</td></tr></table>",
    "template": f"<template><img src=x onerror={RUNS}></template>",
    "noscript": f"<noscript><p title='</noscript><img src=x onerror={RUNS}>'>",
    "comment": f"--><!--><img src=x onerror={RUNS}>",
    "closing tags": f"</style></title></textarea></pre></main><script>{RUNS}</script>",
    "attribute": f'" onmouseover="{RUNS}" autofocus onfocus="{RUNS}" x="',
    "jinja": "{{ ''.__class__.__mro__ }}{% include '/etc/passwd' %}",
    "latex": "$$\\href{javascript:alert(1)}{x}\\unicode{<img src=x onerror=alert(1)>}$$",
    "markdown link": f"[go](javascript:{RUNS}) ![p]({ELSEWHERE}/p.png)",
    "clobbering": "<a id=main name=body href=#x>x</a><img name=getElementById>",
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as found:
        yield found


def shown(**data: Any) -> NotebookNode:
    metadata = data.pop("metadata", {})
    bundle = {name.replace("__", "/"): value for name, value in data.items()}
    return new_output("display_data", data=bundle, metadata=metadata)


def attacked(text: str) -> list[NotebookNode]:
    """One text from outside, in every place that a notebook can bring it to."""
    frame = pd.DataFrame({"product": [text], "n": [12]})
    styled = f"<style>{text}</style><table><caption>{text}</caption><thead><tr><th>{text}</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table>"
    return [
        new_markdown_cell(f"# {text}\n\nlead {text}"),
        new_markdown_cell(f"## {text}\n\nwords {text}\n\n```mermaid\n{text}\n```\n\n$${text}$$"),
        new_code_cell(
            text,
            outputs=[
                shown(text__html=text),
                shown(text__html=styled),
                shown(text__html=frame.to_html()),
                shown(text__html=frame.to_html(escape=False)),
                shown(**cx.show(frame)._repr_mimebundle_()),
                shown(text__plain=text),
                shown(text__markdown=text),
                shown(text__latex=text),
                shown(**{"application/javascript": RUNS, "text/plain": text}),
                shown(**{"application/vnd.jupyter.widget-view+json": {"model_id": text}}),
                shown(**{"text/vnd.mermaid": text}),
                shown(**{"image/svg+xml": f"<svg xmlns='http://www.w3.org/2000/svg'>{text}</svg>"}),
                shown(
                    image__png="iVBORw0KGgo=",
                    metadata={"image/png": {"alt": text, "reading": text}},
                ),
                new_output("stream", name="stdout", text=text),
                new_output("stream", name="stderr", text=text),
            ],
        ),
    ]


def published(folder: Path, name: str, cells: list[NotebookNode], text: str = "") -> Path:
    """A page and its index as a run would leave them, ``text`` in every word that is not ours."""
    folder.mkdir(parents=True, exist_ok=True)
    headlines = [cx.headline(text or "kept", 0.5, 0.4, 0.6, unit="share")]
    headlines += [cx.headline("lost", 3, withheld=text or None)]
    records = [one._repr_mimebundle_()[HEADLINE_MIME] for one in headlines]
    past = {
        one["name"]: [
            {**one, "as_of": f"2024-{month:02}-28", "started": "x", "value": 0.3 + month / 1000}
            for month in range(1, 13)
        ]
        for one in records
        if one["value"] is not None
    }
    moved = history.placed(records, past, "2024-12-31", "2025-01-01T03:00:00Z")
    losses = [{"table": text or "orders", "raw_rows": 9, "kept_rows": 7, "last_day": "2024-12-30",
               "rules": [{"rule": "x", "meaning": text or "unpaid", "rows": 2}]}]  # fmt: skip
    job = Job(
        name,
        Path(f"notebooks/{name}.ipynb"),
        {},
        {"as_of": "2024-12-31", "label": text},
        {"product": text},
    )
    run = {"title": text or "Weekly", "as_of": "2024-12-31", "started": "2025-01-01T03:00:00Z",
           "versions": {"python": text or "3.13"}, "code": True, "min_group": 10,
           "plan": "weekly", "schema": 1, "finished": "2025-01-01T03:01:00Z", "status": "failed"}  # fmt: skip
    inputs = [{"source": text or "orders.csv", "method": "sha256", "value": "abc", "bytes": 12}]
    task = runner.Task(job, folder, folder, run, inputs)
    book = new_notebook(cells=cells)
    tables = beside.write_tables(book, folder, name)
    result = runner.Result(name, page.title_of(book, name), "succeeded", 2.0, headlines=records,
                           losses=losses, history=moved, tables=tables)  # fmt: skip
    file = folder / f"{name}.html"
    file.write_text(page.render(book, result=result, task=task), encoding="utf-8")
    good = {**dataclasses.asdict(result), "notebook": f"{name}.ipynb", "page": file.name,
            "page_from": None, "sweep": job.sweep, "executed_notebook": None}  # fmt: skip
    error = {
        "name": text or "ValueError",
        "message": text or "no rows",
        "cell": 3,
        "last_lines": [text],
    }
    bad = {
        **good,
        "status": "failed",
        "error": error,
        "executed_notebook": "notebooks/x.ipynb",
        "page_from": "2025-01-01T02:00:00Z",
    }
    plan = ReadyPlan("weekly", text, pd.Timestamp("2024-12-31").date(), folder, (), ())
    finish.write(plan, run | {"reports": [good, bad]}, folder)
    return file


BATCHES = [list(ATTACKS)[at : at + 10] for at in range(0, len(ATTACKS), 10)]


@pytest.mark.parametrize("names", BATCHES, ids=lambda names: f"{names[0]} to {names[-1]}")
def test_nothing_in_any_data_runs_or_asks_for_anything(
    tmp_path: Path, browser: Any, names: list[str]
) -> None:
    folder = tmp_path / "runs" / "weekly" / "2024-12-31"
    texts = [ATTACKS[name] for name in names]
    cells = [cell for text in texts for cell in attacked(text)]
    file = published(folder, "01_one", cells, " ".join(texts))
    overview.write(tmp_path / "runs")
    for opened in (file, folder / "index.html", tmp_path / "runs" / "index.html"):
        visit = Visit(browser, opened)
        visit.page.mouse.move(300, 300)
        for _ in range(4):
            visit.page.keyboard.press("Tab")
        assert visit.foreign() == [], opened.name
        assert visit.dialogs == [], opened.name
        assert visit.page.evaluate("window.hit === undefined"), opened.name
        assert visit.page.url == visit.address, "it went elsewhere"
        assert visit.page.evaluate(NOTHING_LIVE) == [], opened.name
        visit.close()


NOTHING_LIVE = """[...document.querySelectorAll('*')].filter(element =>
    ['SCRIPT', 'IFRAME', 'OBJECT', 'EMBED', 'FORM', 'BASE', 'LINK'].includes(element.tagName)
    || [...element.attributes].some(one => one.name.startsWith('on')
        || (['href', 'src', 'action'].includes(one.name) && /^\\s*(javascript|https?|\\/\\/|data:text)/i.test(one.value)))
).map(element => element.outerHTML.slice(0, 80))"""


def test_the_way_of_looking_sees_what_it_looks_for(tmp_path: Path, browser: Any) -> None:
    """A page without our care does run and does ask: else the tests above would prove nothing."""
    file = tmp_path / "bare.html"
    file.write_text(f"<body>{ATTACKS['broken image']}{ATTACKS['pixel']}<script>{RUNS}</script>")
    visit = Visit(browser, file)
    visit.page.wait_for_timeout(200)
    assert visit.dialogs
    assert any(url.startswith(ELSEWHERE) for url in visit.foreign())
    assert visit.page.evaluate(NOTHING_LIVE)
    visit.close()


# Everybody can read them


LONG_WORDS = {
    "Hebrew": "כוס קפה אדומה (גדולה), 12 יח'",
    "Arabic": "كوب قهوة أحمر كبير",
    "Persian": "فنجان قهوه قرمز بزرگ",
    "Russian": "Красная кофейная чашка",
}


@pytest.fixture(scope="module")
def readable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with all that pages have, its index, and the indexes above it."""
    import matplotlib.pyplot as plt

    table = pd.DataFrame(
        {"product": LONG_WORDS.values(), "n": [40, 30, 20, 5], "rate": [0.5, 0.4, 0.3, 0.2]}
        | {f"a rather long heading {number}": range(4) for number in range(9)}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CX_MIN_GROUP", "10")
        axes = cx.plot.losses(
            pd.DataFrame({"rule": LONG_WORDS.values(), "rows": [40, 30, 20, 15], "rows_share": 0.1})
        )
        data, metadata = axes.figure._repr_mimebundle_()
        carried = cx.show(table, name="products")._repr_mimebundle_()
    plt.close("all")
    import base64

    data = {**data, "image/png": base64.b64encode(data["image/png"]).decode()}
    cells = [
        new_markdown_cell("# Do they come back?\n\nFor the CRM team."),
        new_markdown_cell("## What was read\n\nSome words."),
        new_code_cell("x = 1", outputs=[shown(text__html=2 * carried["text/html"]), shown(**carried), new_output("stream", name="stdout", text="said " * 60)]),
        new_markdown_cell("#### A level too deep\n\nWords."),
        new_code_cell("y", outputs=[shown(metadata=metadata, **{k.replace("/", "__"): v for k, v in data.items()}),
                                    new_output("stream", name="stderr", text="a warning")]),
        new_markdown_cell("## What would change this answer\n\n- **The window.** The retention rate."),
    ]  # fmt: skip
    folder = tmp_path_factory.mktemp("readable") / "runs" / "weekly" / "2024-12-31"
    published(folder, "01_one", cells)
    overview.write(folder.parents[1])
    return folder


WIDE, PHONE = {"width": 1400, "height": 900}, {"width": 390, "height": 844}
PAGES = ("01_one.html", "index.html", "../index.html", "../../index.html")


@pytest.mark.parametrize(
    ("name", "viewport", "scheme"),
    [(name, WIDE, scheme) for name in PAGES for scheme in ("light", "dark")]
    + [("01_one.html", PHONE, "light"), ("index.html", PHONE, "light")],
)
def test_pages_pass_axe_by_wcag_2_2_aa(
    readable: Path, browser: Any, name: str, viewport: dict[str, int], scheme: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    visit = Visit(browser, readable / name, viewport=viewport, color_scheme=scheme, bypass_csp=True)
    found = Axe().run(visit.page, options={"runOnly": {"type": "tag", "values": tags}})
    told = [
        (one["id"], [node["html"][:200] for node in one["nodes"]])
        for one in found.response["violations"]
    ]
    assert told == []
    visit.close()


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("name", PAGES)
def test_pages_fit_their_window_and_only_tables_and_text_scroll_sideways(
    readable: Path, browser: Any, name: str, viewport: dict[str, int]
) -> None:
    visit = Visit(browser, readable / name, viewport=viewport)
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    scrolling = visit.page.evaluate("""[...document.querySelectorAll('main *')].filter(element =>
        element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).overflowX === 'auto'
        && element.tabIndex < 0).map(element => element.outerHTML.slice(0, 60))""")
    assert scrolling == [], "what scrolls can be reached by the keyboard"
    visit.close()


def test_a_phone_gets_a_picture_of_its_own_whose_letters_can_be_read(
    readable: Path, browser: Any
) -> None:
    visit = Visit(browser, readable / "01_one.html", viewport=PHONE)
    drawn = visit.page.evaluate("""(() => { const image = document.querySelector('figure img');
        return [image.currentSrc === image.src, image.naturalWidth, image.clientWidth] })()""")
    assert drawn[0] is False, "the narrow picture is the one that shows"
    # letters are drawn at 10 points and 144 dots per inch: 20 dots high
    assert 20 * drawn[2] / drawn[1] >= 8
    visit.close()
    visit = Visit(browser, readable / "01_one.html", viewport=WIDE)
    assert visit.page.evaluate(
        "(i => i.currentSrc === i.src)(document.querySelector('figure img'))"
    )
    visit.close()


def test_headings_are_in_order_and_the_contents_lead_to_them(readable: Path, browser: Any) -> None:
    visit = Visit(browser, readable / "01_one.html")
    levels = visit.page.evaluate(
        "[...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1])"
    )
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))
    assert visit.page.evaluate(
        "[...document.querySelectorAll('.contents a')].every(a => document.querySelector(decodeURI(a.hash)))"
    )
    visit.close()


def test_words_of_each_language_run_their_own_way(readable: Path, browser: Any) -> None:
    visit = Visit(browser, readable / "01_one.html")
    ways = visit.page.evaluate("""[...document.querySelectorAll('tbody tr')].map(row =>
        getComputedStyle(row.cells[0]).direction)""")
    assert ways[:4] == ["rtl", "rtl", "rtl", "ltr"]
    visit.close()


def test_pages_are_printed_with_their_words(readable: Path) -> None:
    import subprocess

    made = printed.print_pages(readable, ["01_one.html"])
    file = readable / made["01_one.html"]
    assert file.read_bytes().startswith(b"%PDF")
    text = subprocess.run(
        ["pdftotext", file, "-"], capture_output=True, text=True, check=True
    ).stdout
    assert "Do they come back?" in text
    assert "What would change this answer" in text
    assert "Красная" in text
    assert "Take this table along" not in text, "nobody clicks on paper"


def test_where_no_browser_is_a_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(
        cx.ParameterError, match="--pdf needs Chromium or Chrome, .* apt install chromium"
    ):
        printed.browser()
