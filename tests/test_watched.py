"""Controls and bars are for somebody who looks: never in pages, jobs and scripts."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import IPython
import pytest
from click.testing import CliRunner
from report_project import write_notebook, write_orders, write_plan

from cxlib import _watched, cli


@pytest.mark.parametrize(
    ("shell", "watched"),
    [
        (None, False),
        (SimpleNamespace(), True),
        (SimpleNamespace(kernel=SimpleNamespace(_allow_stdin=True)), True),
        (SimpleNamespace(kernel=SimpleNamespace(_allow_stdin=False)), False),
    ],
    ids=["a script", "IPython in a terminal", "JupyterLab", "papermill"],
)
def test_who_is_watching(shell: Any, watched: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    assert _watched.is_watched() is watched


def test_a_bar_gives_the_steps_and_is_there_for_who_watches(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(_watched.progress(range(3), "counting")) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(_watched, "is_watched", lambda: True)
    monkeypatch.setattr(_watched, "QUIET_SECONDS", 0)
    assert list(_watched.progress(range(3), "counting")) == [0, 1, 2]
    assert "counting" in "".join(capsys.readouterr()), "where the bar goes, the front end says"


def test_a_published_page_has_no_trace_of_controls_and_bars(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_orders(tmp_path)
    write_notebook(
        tmp_path,
        "01_explored",
        'source: str = "../data/orders.csv"\nas_of: str = "2024-12-31"',
        "# Explored?",
        "import cxlib as cx\nfrom cxlib import _watched",
        "_watched.QUIET_SECONDS = 0\nsteps = sum(_watched.progress(range(3), 'counting'))",
        "orders = cx.clean_orders(cx.read(source), timezone='UTC')",
        "cx.explore.retention(orders, as_of=as_of)",
        "panel = cx.explore.retention(orders, as_of=as_of, period='quarter')\npanel",
        "trial = cx.simulate.experiment(400, start='2024-03-01', as_of='2024-04-30', seed=1)\n"
        "within = [cx.Conversion('order', within='14 days')]\n"
        "many = cx.simulate.orders(400, start='2024-01-01', as_of=as_of, seed=1)",
        "events = orders.table.rename(user_id='customer_id', event='order_id', occurred_at='ordered_at')\n"
        "cx.explore.funnel(events, as_of=as_of)",
        "cx.explore.ltv(cx.fit_ltv(many, as_of=as_of))",
        "cx.explore.experiment(cx.experiment(trial.exposures, orders=trial.orders, metrics=within,"
        " control='control', as_of='2024-04-30'))",
        "cx.show(panel.table)",
    )
    write_plan(tmp_path, "reports:\n  - notebook: 01_explored\n")
    done = CliRunner().invoke(cli.main, ["run", "reports/plans/weekly.yml"])
    assert done.exit_code == 0, done.output
    folder = tmp_path / "reports" / "runs" / "weekly" / "2024-12-31"
    run = json.loads((folder / "notebooks" / "01_explored.ipynb").read_text())
    assert "widgets" not in run["metadata"]
    outputs = [cell.get("outputs", []) for cell in run["cells"]]
    assert [len(shown) for shown in outputs] == [*[0] * (len(outputs) - 1), 1], "the table alone"
    page = (folder / "01_explored.html").read_text()
    assert "cx-call" not in page
    assert "counting" not in page
