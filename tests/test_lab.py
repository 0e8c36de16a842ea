"""The analyst's side: JupyterLab in real Chromium, the start page, Run All, saving, jobs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import nbformat
import pytest
from lab_in_chromium import (
    CHROMIUM,
    IN_VIEW,
    PATIENCE_SECONDS,
    Lab,
    choose,
    page_of,
    run_all,
    served,
)
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Page

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
        assert not page.locator(".jp-Dialog, .Toastify__toast").count(), "nothing is asked"
    for path, before in stored.items():
        assert path.read_bytes() == before, path.name


EXPLORE = [
    "import cxlib as cx\n"
    'orders = cx.clean_orders(cx.read("../data/sample/orders.csv", preset="shopify"), timezone="Europe/London")\n'
    'events = cx.clean_events(cx.read("../data/sample/events.parquet"), timezone="Europe/London")\n'
    'fit = cx.fit_ltv(orders, as_of="2024-12-31", by="country", n_boot=40)\n'
    'trial = cx.clean_exposures(cx.read("../data/sample/exposures.csv"), timezone="Europe/London")\n'
    'metrics = [cx.Conversion("order", within="14 days"), cx.Mean("net_revenue", within="14 days")]\n'
    'result = cx.experiment(trial, orders=orders, metrics=metrics, control="control", as_of="2024-12-31")',
    "cx.explore.retention(orders)",
    "cx.explore.funnel(events)",
    "cx.explore.ltv(fit)",
    "cx.explore.experiment(result)",
]
"""Every panel, in one notebook."""


class Shown:
    """One panel in the notebook in view, as a hand finds it."""

    def __init__(self, page: Page, cell: int) -> None:
        self.at = page.locator(f"{IN_VIEW} .jp-CodeCell").nth(cell)
        self.at.scroll_into_view_if_needed()
        self.picture = self.at.locator(".cx-picture img")
        self.picture.wait_for()
        self.seen: set[str | None] = set()

    def enter(self, option: str, text: str) -> None:
        self.at.locator(f".cx-{option} input").fill(text)
        self.at.locator(f".cx-{option} input").press("Enter")

    def select(self, option: str, value: str) -> None:
        self.at.locator(f".cx-{option} select").select_option(value)

    def turn_to(self, picture: str) -> None:
        self.at.locator(f'.widget-toggle-buttons button:text-is("{picture}")').click()

    def expect(self, said: str) -> list[str]:
        """Wait until the call says so; its picture is another than each before."""
        self.at.locator(f".cx-call:has-text({json.dumps(said)})").wait_for()
        drawn = self.picture.get_attribute("src")
        assert drawn not in self.seen
        self.seen.add(drawn)
        return self.at.locator(".cx-call").inner_text().splitlines()


def written(lab: Lab, name: str, cells: list[str]) -> str:
    """Write a notebook into the project, and return its address."""
    book = new_notebook(cells=[new_code_cell(text) for text in cells], metadata=METADATA)
    nbformat.write(book, lab.project / "notebooks" / f"{name}.ipynb")
    return f"lab/tree/notebooks/{name}.ipynb"


@pytest.fixture(scope="module")
def panels(lab: Lab) -> Iterator[Page]:
    with page_of(lab, written(lab, "trying", EXPLORE)) as page:
        run_all(page)
        yield page
        assert not page.locator('[data-mime-type="application/vnd.jupyter.error"]').count()


@in_chromium
def test_retention_can_be_explored(panels: Page) -> None:
    panel = Shown(panels, 1)
    panel.expect("table = cx.retention(orders, as_of='2024-12-31')")
    panel.enter("period", "quarter")
    panel.expect("period='quarter'")
    panel.select("by", "country")
    assert panel.expect("by='country'")[-1] == "cx.plot.retention_curve(table);"
    panel.enter("period", "fortnight")
    said = panel.at.locator(".cx-mistake").inner_text()
    assert said.startswith("period='fortnight' is not one of month, week, day, quarter, year")


@in_chromium
def test_funnels_can_be_explored(panels: Page) -> None:
    panel = Shown(panels, 2)
    panel.expect("window='7 days'")
    panel.enter("window", "1 hour")
    panel.expect("window='1 hour'")
    panel.select("by", "device")
    assert panel.expect("by='device'")[-1] == "cx.plot.funnel(table);"
    close = panel.at.locator(".cx-steps .jupyter-widget-tag-close").last
    left_out = close.locator("..").inner_text().strip()
    close.click()
    panel.at.locator(f".cx-call:not(:has-text({json.dumps(repr(left_out))}))").wait_for()
    panel.select("order", "any")
    panel.expect("order='any'")
    panel.enter("window", "soon")
    assert "window='soon'" in panel.at.locator(".cx-mistake").inner_text()


@in_chromium
def test_a_fit_can_be_explored(panels: Page) -> None:
    panel = Shown(panels, 3)
    panel.expect("table = fit.at().deciles()")
    panel.enter("horizon_days", "90")
    panel.expect("fit.at(horizon_days=90).deciles()")
    panel.turn_to("orders to come")
    assert panel.expect("fit.at(horizon_days=90).grid()")[-1].startswith("cx.plot.ltv_grid(table")
    panel.turn_to("segments")
    panel.enter("margin", "0.4")
    panel.expect("fit.at(horizon_days=90, margin=0.4).segments()")
    panel.enter("margin", "4")
    assert "margin=4 is out of range" in panel.at.locator(".cx-mistake").inner_text()


@in_chromium
def test_an_experiment_can_be_explored(panels: Page) -> None:
    panel = Shown(panels, 4)
    panel.expect("table = result.table")
    panel.turn_to("split")
    panel.expect("table = result.split")
    panel.turn_to("novelty")
    panel.enter("n_days", "5")
    panel.expect("result.novelty(n_days=5)")
    panel.turn_to("distribution")
    panel.select("metric", "net_revenue")
    assert panel.expect("metric='net_revenue'")[-1] == "cx.plot.experiment_distribution(table);"


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
