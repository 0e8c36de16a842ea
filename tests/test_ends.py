"""However a report ends, the record says so, nothing of it is left, and the others are published."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from report_project import alive, record_of, start, write_notebook, write_plan

from cxlib.report import kernel, record, runner

ASKS = 'as_of: str = "2024-12-31"'
SLEEP = "98765.4321"
"""Seconds that no other process sleeps for."""

NOTEBOOKS = {
    "children": (
        "import subprocess, time",
        f"a = subprocess.Popen(['sleep', '{SLEEP}'])\n"
        f"b = subprocess.Popen(['sleep', '{SLEEP}'], start_new_session=True)\n"
        f"c = subprocess.run('(setsid sleep {SLEEP} &) &', shell=True)\ntime.sleep(3600)",
    ),
    "good": ("import cxlib as cx\ncx.headline('kept', 0.5, 0.4, 0.6, unit='share')",),
    "fails": ("x = 1", "int('twelve')"),
    "endless": ("import time\ntime.sleep(3600)",),
    "dies": ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",),
    "eats": ("x = bytearray(20 * 10**9)",),
    "prints": ("import os\nfor _ in range(200): print('x' * 10**6)", "print('and then')"),
    "spouts": (
        "import subprocess\n_ = subprocess.run('yes | head -c 200000000', shell=True)\n_ = 1",
    ),
    "flaky": (
        "import pathlib\nseen = pathlib.Path('seen')\nfirst = not seen.exists()\nseen.touch()\n"
        "if first: raise ConnectionResetError('try again')",
    ),
    "refuses": (
        "open('refused', 'a').write('once ')\nimport cxlib as cx\nraise cx.DataError('no rows')",
    ),
    "fresh": (
        "import cxlib, numpy\nassert not hasattr(cxlib, 'stain'), 'not the first here'\n"
        "cxlib.stain = globals().get('stain', 1)\nprint(numpy.random.random())",
    ),
}
PLAN = """
cell_timeout: 60
memory_limit: 2 GB
reports:
  - {notebook: children, report_timeout: 20}
  - {notebook: endless, cell_timeout: 2}
  - {notebook: flaky, retries: 1}
  - {notebook: refuses, retries: 3}
  - {notebook: fresh, for_each: {n: [1, 2]}}
"""


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], Any]:
    """One run of a notebook for each way to end: its folder, its reports, and the command."""
    project = tmp_path_factory.mktemp("ends")
    for name, cells in NOTEBOOKS.items():
        write_notebook(project, name, f"{ASKS}\nn: int = 0", f"# Does it {name}?", *cells)
    rest = [name for name in NOTEBOOKS if f"notebook: {name}" not in PLAN]
    write_plan(project, PLAN + "".join(f"  - {{notebook: {name}}}\n" for name in rest))
    process = start(project, "--jobs", "3")
    out, err = process.communicate(timeout=300)
    run = record_of(project)
    return project, {one["name"]: one for one in run["reports"]} | {"run": run}, (process, out, err)


def test_the_statuses_say_how_each_report_ended(ended: Any) -> None:
    _, reports, (process, out, err) = ended
    assert {name: one["status"] for name, one in reports.items() if name != "run"} == {
        "children": "timed out",
        "endless": "timed out",
        "flaky": "succeeded",
        "refuses": "failed",
        "fresh-1": "succeeded",
        "fresh-2": "succeeded",
        "good": "succeeded",
        "fails": "failed",
        "dies": "kernel died",
        "eats": "failed",
        "prints": "succeeded",
        "spouts": "succeeded",
    }, err
    assert reports["run"]["status"] == "failed"
    assert process.returncode == 1
    assert out == "reports/runs/weekly/2024-12-31/index.html\n"
    assert len(err.splitlines()) == 12, "a line for each report, and nothing that a library says"
    assert "[12/12] " in err


@pytest.mark.parametrize(
    ("name", "error", "message", "cell"),
    [
        ("children", "ReportTimeout", "not done after 20 s", 3),
        ("endless", "CellTimeoutError", "timed out", 2),
        ("fails", "ValueError", "invalid literal for int() with base 10: 'twelve'", 3),
        ("dies", "DeadKernelError", "died", 2),
        ("eats", "MemoryError", "", 2),
        ("refuses", "DataError", "no rows", 2),
    ],
)
def test_errors_are_told_with_their_cell(
    ended: Any, name: str, error: str, message: str, cell: int
) -> None:
    _, reports, _ = ended
    told = reports[name]["error"]
    assert (told["name"], told["cell"]) == (error, cell)
    assert message in told["message"]
    assert reports[name]["page"] is None
    assert reports[name]["executed_notebook"] == f"notebooks/{name}.ipynb"


def test_no_process_is_left_of_any_report(ended: Any) -> None:
    project, _, _ = ended
    time.sleep(0.2)
    assert alive(SLEEP) == []
    assert alive(str(project)) == []


def test_what_is_printed_without_end_is_cut_and_said(ended: Any) -> None:
    project, reports, (_, _, err) = ended
    folder = project / "reports" / "runs" / "weekly" / "2024-12-31"
    for name in ("prints", "spouts"):
        assert (folder / f"{name}.html").stat().st_size < 2 * kernel.MOST_PRINTED
        assert kernel.CUT in (folder / "notebooks" / f"{name}.ipynb").read_text()
        assert reports[name]["notices"] == ["cell [2] printed more than is kept"]
    assert "and then" in (folder / "prints.html").read_text(), "the next cell is heard again"
    assert "printed more than is kept" in err


def test_what_can_pass_is_tried_again_and_bad_input_is_not(ended: Any) -> None:
    project, reports, _ = ended
    assert reports["flaky"]["attempts"] == 2
    assert reports["refuses"]["attempts"] == 1
    assert (project / "refused").read_text() == "once "


def test_reports_share_neither_names_nor_chance(ended: Any) -> None:
    project, _, _ = ended
    folder = project / "reports" / "runs" / "weekly" / "2024-12-31" / "notebooks"
    books = [json.loads((folder / f"fresh-{n}.ipynb").read_text()) for n in (1, 2)]
    drawn = [cell["outputs"][0]["text"] for book in books for cell in book["cells"][-1:]]
    assert len(drawn) == len(set(map(str, drawn))) == 2


def test_the_record_is_what_its_schema_says(ended: Any) -> None:
    _, reports, _ = ended
    written = (Path(__file__).parents[1] / "docs" / "run.schema.json").read_text()
    assert written == record.schema(), "make it again: python -m cxlib.report.record"
    known = json.loads(written)
    jsonschema.Draft202012Validator.check_schema(known)
    jsonschema.validate(reports["run"], known)
    assert tuple(known["$defs"]["Report"]["properties"]["status"]["enum"]) == runner.STATUSES
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(reports["run"] | {"more": 1}, known)
