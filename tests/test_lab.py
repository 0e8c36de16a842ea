"""The analyst's side: JupyterLab in real Chromium, the start page, Run All, saving, jobs."""

from __future__ import annotations

import time
from collections.abc import Iterator

import nbformat
import pytest
from lab_in_chromium import (
    CHROMIUM,
    PATIENCE_SECONDS,
    Lab,
    choose,
    page_of,
    run_all,
    served,
)
from nbformat.v4 import new_code_cell, new_notebook

from cxlib.notebook import METADATA

NOTEBOOKS = ["00_data_health", "01_cohort_retention", "02_bgnbd_ltv", "03_ab_test", "04_funnel"]
in_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with served(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@in_chromium
def test_from_the_start_page_every_notebook_runs_and_is_saved_as_it_was(lab: Lab) -> None:
    stored = {path: path.read_bytes() for path in (lab.project / "notebooks").glob("*.ipynb")}
    with page_of(lab) as page:
        page.wait_for_selector(".jp-NotebookPanel .jp-CodeCell")
        assert page.url.endswith("/lab/tree/notebooks/start.ipynb")
        links = page.locator(".jp-RenderedMarkdown table a")
        links.last.wait_for()
        assert links.count() == len(NOTEBOOKS)
        listed = page.locator(".jp-DirListing-item").all_inner_texts()
        assert [name.split(".")[0] for name in listed] == [*NOTEBOOKS, "start"]
        for place, name in enumerate(["start", *NOTEBOOKS]):
            if place:
                page.click('.lm-TabBar-tab[title*="start.ipynb"]')
                links.nth(place - 1).click()
                page.wait_for_selector(f'.lm-mod-current[title*="{name}.ipynb"]')
            run_all(page)
            choose(page, "File", "Save Notebook")
            page.wait_for_selector(".lm-mod-current:not(.jp-mod-dirty)")
        assert not page.locator(".jp-Dialog").count(), "nothing stands in the way"
    for path, before in stored.items():
        assert path.read_bytes() == before, path.name


READ = 'import cxlib as cx\norders = cx.clean_orders(cx.read("../data/sample/orders.csv", preset="shopify"), timezone="Europe/London")'
EXPLORE = {
    "retention": [READ, "cx.explore.retention(orders)"],
}


def written(lab: Lab, name: str, cells: list[str]) -> str:
    """Write a notebook into the project, and return its address."""
    book = new_notebook(cells=[new_code_cell(text) for text in cells], metadata=METADATA)
    nbformat.write(book, lab.project / "notebooks" / f"{name}.ipynb")
    return f"lab/tree/notebooks/{name}.ipynb"


@in_chromium
def test_controls_change_the_picture_and_the_call(lab: Lab) -> None:
    with page_of(lab, written(lab, "trying", EXPLORE["retention"])) as page:
        run_all(page)
        picture = page.locator(".cx-picture img")
        first = picture.get_attribute("src")
        call = page.locator(".cx-call")
        assert call.inner_text().startswith("table = cx.retention(orders, as_of='2024-12-31')")
        page.locator(".cx-period input").fill("quarter")
        page.locator(".cx-period input").press("Enter")
        page.locator('.cx-call:has-text("quarter")').wait_for()
        assert picture.get_attribute("src") != first
        page.locator(".cx-by select").select_option("country")
        page.locator('.cx-call:has-text("country")').wait_for()
        assert call.inner_text().splitlines()[-1] == "cx.plot.retention_curve(table);"
        page.locator(".cx-period input").fill("fortnight")
        page.locator(".cx-period input").press("Enter")
        said = page.locator(".cx-mistake").inner_text()
        assert said.startswith("period='fortnight' is not one of month, week, day, quarter, year")
        assert not page.locator('[data-mime-type="application/vnd.jupyter.error"]').count()


def test_a_notebook_runs_as_a_job_of_jupyter_scheduler(lab: Lab) -> None:
    orders = lab.project / "data" / "sample" / "orders.csv"
    asked = {
        "name": "nightly",
        "input_uri": "notebooks/01_cohort_retention.ipynb",
        "runtime_environment_name": lab.ask("scheduler/runtime_environments")[0]["name"],
        "output_formats": ["ipynb"],
        "parameters": {"source": repr(str(orders)), "period": "'quarter'"},
    }
    job = lab.ask("scheduler/jobs", asked)["job_id"]
    end, told = time.monotonic() + PATIENCE_SECONDS, {"status": "not started"}
    while told["status"] not in ("COMPLETED", "FAILED") and time.monotonic() < end:
        time.sleep(0.5)
        told = lab.ask(f"scheduler/jobs/{job}")
    assert told["status"] == "COMPLETED", told
