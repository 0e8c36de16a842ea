"""The command: one clear message, an honest exit code, the path of the index."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from report_project import ORDERS, write_notebook, write_orders, write_plan

import cxlib.report.publish
from cxlib import cli
from cxlib.report import forked, pool
from cxlib.report.jobs import ReadyPlan

READS = "import cxlib as cx\norders = cx.clean_orders(cx.read(source), timezone='UTC')"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_orders(tmp_path)
    cell = 'as_of: str = "2024-12-31"\ncountry: str = "GB"'
    write_notebook(tmp_path, "01_fine", cell, "# Fine?", "print(country, as_of)")
    write_notebook(tmp_path, "02_fails", cell, "# Fails?", "x = 1", "raise ValueError('no <luck>')")
    cell = 'as_of: str = "2024-12-31"\nsource: str = "../data/orders.csv"'
    write_notebook(tmp_path, "03_reads", cell, "# Reads?", READS)
    return tmp_path


def cx(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["run", *arguments])


PLAN = """
title: Weekly
reports:
  - notebook: 01_fine
    for_each: {country: [012]}
  - notebook: 02_fails
"""


def test_reports_run_at_once_and_one_that_fails_stops_no_other(project: Path) -> None:
    write_plan(project, PLAN)
    done = cx("reports/plans/weekly.yml", "--jobs", "2", "--as-of", "2024-06-30")
    assert done.exit_code == cli.FAILED == 1
    assert done.stdout == "reports/runs/weekly/2024-06-30/index.html\n"
    said = [line.split()[:3] for line in done.stderr.splitlines()]
    assert [count for count, *_ in said] == ["[1/2]", "[2/2]"]
    assert sorted(rest for _, *rest in said) == [
        ["failed", "02_fails"],
        ["succeeded", "01_fine-012"],
    ]
    assert "ValueError in cell [4]: no <luck>" in done.stderr, "two parameter cells, x, and this"
    folder = project / "reports" / "runs" / "weekly" / "2024-06-30"
    assert "012 2024-06-30" in (folder / "01_fine-012.html").read_text()
    assert not (folder / "02_fails.html").exists()
    assert "no &lt;luck&gt;" in (folder / "index.html").read_text()
    kept = json.loads((folder / "notebooks" / "02_fails.ipynb").read_text())
    assert "no <luck>" in json.dumps(kept["cells"])
    record = json.loads((folder / "run.json").read_text())
    assert [report["status"] for report in record["reports"]] == ["succeeded", "failed"]
    assert str(project) not in (folder / "run.json").read_text()


def test_reports_know_the_environment_of_now_not_of_the_first_run(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forked.warm_up()  # begins the process that reports are forked from
    monkeypatch.setenv("SHOP_OF_NOW", "the second")
    write_notebook(
        project, "04_says", "x: int = 1", "# Says", "import os", "os.environ['SHOP_OF_NOW']"
    )
    write_plan(project, "defaults: {as_of: 2024-12-31}\nreports: [{notebook: 04_says}]")
    done = cx("reports/plans/weekly.yml")
    assert done.exit_code == 0, done.output
    page = project / "reports" / "runs" / "weekly" / "2024-12-31" / "04_says.html"
    assert "the second" in page.read_text()


def test_a_wrong_plan_is_told_in_one_list_and_publishes_nothing(project: Path) -> None:
    write_plan(project, "defaults: {contry: x}\nreports: [{notebook: 1_fine}]")
    done = cx("reports/plans/weekly.yml")
    assert done.exit_code == cli.REFUSED == 2
    assert done.stdout == ""
    assert done.stderr.startswith(
        "cx: reports/plans/weekly.yml: 2 mistakes, nothing was run:\n  - "
    )
    assert "Traceback" not in done.stderr
    assert not (project / "reports" / "runs").exists()


@pytest.mark.parametrize("more", [(), ("--dry-run",), ("--output", "out")])
def test_a_folder_is_no_plan(project: Path, more: tuple[str, ...]) -> None:
    write_plan(project, PLAN)
    done = cx("reports/plans", *more)
    assert done.exit_code == 2
    assert done.stderr == "cx: reports/plans is a folder; name a .yml file\n"


def test_bad_input_ends_in_one_message_without_traceback(project: Path) -> None:
    write_orders(project, ORDERS.replace("2024-01-05", "soon"))
    write_plan(project, "reports: [{notebook: 03_reads}]")
    done = subprocess.run(
        [sys.executable, "-m", "cxlib.cli", "run", "reports/plans/weekly.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    head, *mistakes = done.stderr.splitlines()
    assert head == "cx: reports/plans/weekly.yml: 1 mistake, nothing was run:"
    assert len(mistakes) == 1, "nothing else is printed, by no library"
    assert "soon" in mistakes[0]
    assert not (project / "reports" / "runs").exists()


def test_a_source_that_does_not_answer_is_tried_again_and_is_no_mistake_of_the_plan(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAREHOUSE_URL", "postgresql://shop:s3cret@127.0.0.1:1/shop")
    source = "{source: '${WAREHOUSE_URL}::orders'}"
    write_plan(
        project,
        "retries: 1\nreports:\n  - notebook: 01_fine\n"
        f"  - notebook: 03_reads\n    parameters: {source}\n",
    )
    asked = cx("reports/plans/weekly.yml", "--dry-run")
    assert asked.exit_code == 0
    assert "would run 2 of 2 reports" in asked.stdout
    assert asked.stderr.startswith(
        "cx: no answer yet, so its reports will ask again: source '${WAREHOUSE_URL}': cannot connect"
    )
    done = cx("reports/plans/weekly.yml")
    assert done.exit_code == cli.FAILED
    assert "failed      03_reads" in done.stderr
    assert ", attempt 2  UnreachableError in cell [3]: source '${WAREHOUSE_URL}': " in done.stderr
    record = json.loads(
        (project / "reports" / "runs" / "weekly" / "2024-12-31" / "run.json").read_text()
    )
    assert [report["status"] for report in record["reports"]] == ["succeeded", "failed"]
    assert "s3cret" not in done.output + json.dumps(record)


@pytest.mark.parametrize("text", ["period", "=week", "two words=1", "2=3"])
def test_set_needs_a_name_and_a_value(project: Path, text: str) -> None:
    write_plan(project, PLAN)
    done = cx("reports/plans/weekly.yml", "--set", text)
    assert done.exit_code == 2
    assert "write a name, = and a value" in done.stderr


def test_a_dry_run_says_what_would_run_and_runs_nothing(project: Path) -> None:
    write_plan(project, PLAN)
    done = cx(
        "reports/plans/weekly.yml",
        "--dry-run",
        "--only",
        "01_fine-012",
        "--set",
        "as_of=2024-01-31",
    )
    assert done.exit_code == 0
    assert done.stdout == (
        "Weekly, as of 2024-01-31: would run 1 of 2 reports "
        "(those that did not change are skipped)\n"
        "  01_fine-012: 01_fine.ipynb(as_of='2024-01-31', country='012')\n"
    )
    assert not (project / "reports" / "runs").exists()


def test_a_fault_of_the_workbench_says_so_and_shows_itself_when_asked(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the roof leaks\nsecond line")

    monkeypatch.setattr(cxlib.report.publish, "publish", broken)
    write_plan(project, PLAN)
    done = cx("reports/plans/weekly.yml")
    assert done.exit_code == cli.FAULT == 70
    assert "cx: RuntimeError: the roof leaks\n" in done.stderr
    assert "run again with --debug" in done.stderr
    assert "Traceback" not in done.stderr
    asked = cx("reports/plans/weekly.yml", "--debug")
    assert isinstance(asked.exception, RuntimeError)
    write_plan(project, "reports: []")
    assert isinstance(cx("reports/plans/weekly.yml", "--debug").exception, cli.CxError)


@pytest.mark.parametrize("told", [KeyboardInterrupt(), RuntimeError("Query interrupted")])
def test_an_interrupted_run_says_that_nothing_was_published(
    project: Path, monkeypatch: pytest.MonkeyPatch, told: BaseException
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise told

    monkeypatch.setattr(cxlib.report.publish, "publish", interrupted)
    write_plan(project, PLAN)
    done = cx("reports/plans/weekly.yml")
    assert done.exit_code == cli.INTERRUPTED == 130
    assert done.stderr == "cx: interrupted; nothing was published\n"
    assert not (project / "reports" / "runs").exists()


def test_pages_may_go_elsewhere(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []

    def publish(
        ready: ReadyPlan, output: Path, make: partial[Any], listener: object, force: bool
    ) -> tuple[Path, dict[str, Any]]:
        said.append((output, make.keywords["workers"], force, ready.jobs[0].limits))
        return output / "index.html", {"status": "succeeded", "left_out": [], "reports": []}

    monkeypatch.setattr(cxlib.report.publish, "publish", publish)
    write_plan(project, PLAN)
    outside = project.parent / "pages"
    asked = ("--output", str(outside), "--jobs", "7", "--force", "--cell-timeout", "2 hours")
    done = cx("reports/plans/weekly.yml", *asked)
    assert (done.exit_code, done.stdout) == (0, f"{outside}/index.html\n")
    assert said[0][:3] == (outside, 7, True)
    assert said[0][3].cell_seconds == 7200
    assert said[0][3].memory_bytes > 10**9, "one kernel never has all of the machine's memory"
    assert cx("reports/plans/weekly.yml").stdout == "reports/runs/index.html\n"
    assert said[1][1:3] == (pool.cores(), False)
    assert pool.cores() >= 1


def test_the_command_explains_itself() -> None:
    assert "cx, version " in CliRunner().invoke(cli.main, ["--version"]).stdout
    told = CliRunner().invoke(cli.main, ["run", "-h"]).stdout
    assert "Exit code 0" in told
    assert CliRunner().invoke(cli.main, ["runn"]).exit_code == 2


def test_the_plans_of_this_project_name_its_notebooks() -> None:
    from cxlib.report.plan import read_plan

    folder = Path(__file__).parents[1]
    for plan in sorted((folder / "reports" / "plans").glob("*.yml")):
        for report in read_plan(plan)[0].reports:
            assert (folder / "notebooks" / f"{report.notebook}.ipynb").is_file(), plan


@pytest.mark.skipif(os.name != "posix", reason="pipes of a shell")
@pytest.mark.parametrize(
    "asked", ["run reports/plans/weekly.yml --dry-run", "preset list", "preset show ga4"]
)
def test_who_stops_reading_is_no_fault(project: Path, asked: str) -> None:
    write_plan(project, PLAN)
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "cxlib.cli", *asked.split()]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, cwd=project, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")
