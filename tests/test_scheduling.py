"""What the README says of schedulers, held against the schedulers' own readers where they are."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cxlib import cli

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
COMMAND = 'run reports/plans/my_shop.yml --as-of "$(date -d yesterday +%F)"'


def blocks(language: str, holding: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return [block for block in found if holding in block]


def test_cron_and_systemd_run_the_same_command() -> None:
    (line,) = re.findall(r"^0 3 \* \* \* .*$", README, re.MULTILINE)
    service, _ = blocks("ini", "[")
    assert COMMAND in line.replace("\\%", "%")
    assert COMMAND in service.replace("%%", "%")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_finds_no_fault_in_the_units(tmp_path: Path) -> None:
    files = []
    for name, text in zip(("cx.service", "cx.timer"), blocks("ini", "["), strict=True):
        files.append(tmp_path / name)
        files[-1].write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", *files], capture_output=True, text=True, check=False
    )
    assert (done.returncode, [line for line in done.stderr.splitlines() if "cx." in line]) == (
        0,
        [],
    )


def test_airflow_is_told_the_day_before_the_run() -> None:
    """With a cron line Airflow 3 begins and ends the interval at the run: `ds` is that day."""
    (dag,) = blocks("python", "DAG(")
    (operator,) = (
        node for node in ast.walk(ast.parse(dag))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "BashOperator"
    )  # fmt: skip
    given = {word.arg: ast.literal_eval(word.value) for word in operator.keywords}
    asked = COMMAND.partition(' "')[0]
    assert given["bash_command"] == f".venv/bin/cx {asked} {{{{ macros.ds_add(ds, -1) }}}}"


def test_the_workflow_keeps_the_pages_whatever_the_exit_code() -> None:
    (text,) = blocks("yaml", "runs-on")
    workflow: dict[Any, Any] = yaml.safe_load(text)
    assert workflow[True]["schedule"] == [{"cron": "0 3 * * *"}]  # YAML 1.1 reads `on` as true
    _, run, upload = workflow["jobs"]["reports"]["steps"]
    asked = COMMAND.replace('"', "").removeprefix("run ")
    assert run["run"] == f'make report PLAN="{asked}"'
    assert upload["if"] == "always()"
    assert upload["with"]["path"] == "reports/runs"


def test_exit_codes_are_those_of_the_command() -> None:
    table = re.findall(r"^\| (\d+) \|", README, re.MULTILINE)
    codes = (0, cli.FAILED, cli.REFUSED, cli.BUSY, cli.INTERRUPTED)
    assert tuple(map(int, table)) == codes
