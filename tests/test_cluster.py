"""The same reports made by a dask cluster: two workers, and what happens when nobody answers."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from report_project import alive, record_of, start, write_notebook, write_plan

from cxlib import cli

distributed = pytest.importorskip("distributed", reason="dask is not installed")

ASKS = 'as_of: str = "2024-12-31"\nn: int = 0'
WHO = """import psutil, time
time.sleep(2)
print([one.pid for one in psutil.Process().parents()])"""
PLAN = """
reports:
  - {notebook: who, for_each: {n: [1, 2, 3]}}
  - {notebook: fails}
  - {notebook: endless, report_timeout: 15}
"""


def test_a_cluster_of_two_workers_makes_the_same_reports(tmp_path: Path) -> None:
    write_notebook(tmp_path, "who", ASKS, "# Who?", WHO)
    write_notebook(tmp_path, "fails", ASKS, "# Fails?", "int('twelve')")
    write_notebook(tmp_path, "endless", ASKS, "# Ends?", "import time\ntime.sleep(3600)")
    write_plan(tmp_path, PLAN)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, protocol="tcp"
    ) as cluster:
        workers = {worker.pid for worker in cluster.workers.values()}
        address = cluster.scheduler_address.replace("tcp://", "dask://")
        process = start(tmp_path, "--executor", address)
        out, err = process.communicate(timeout=300)
    assert process.returncode == 1, err
    assert "Traceback" not in err
    record = record_of(tmp_path)
    assert [report["status"] for report in record["reports"]] == [
        "succeeded", "succeeded", "succeeded", "failed", "timed out"
    ]  # fmt: skip
    assert record["reports"][3]["error"]["name"] == "ValueError"
    folder = tmp_path / "reports" / "runs" / "weekly" / "2024-12-31" / "notebooks"
    books = [json.loads((folder / f"who-{n}.ipynb").read_text()) for n in (1, 2, 3)]
    parents = [json.loads(book["cells"][-1]["outputs"][0]["text"][0]) for book in books]
    assert all(workers & set(one) for one in parents), "made by a worker of the cluster"
    assert os.getpid() not in workers
    assert alive(str(tmp_path)) == []


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:8786", "write dask://host:port"),
        ("dask://127.0.0.1:9", "no scheduler answers"),
    ],
)
def test_a_cluster_that_is_not_there_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cxlib.report.cluster.PATIENCE_SECONDS", 1)
    write_notebook(tmp_path, "who", ASKS, "# Who?", "n")
    write_plan(tmp_path, "reports: [{notebook: who}]")
    done = CliRunner().invoke(cli.main, ["run", "reports/plans/weekly.yml", "--executor", address])
    assert done.exit_code == cli.REFUSED, done.stderr
    assert message in done.stderr
    assert not (tmp_path / "reports" / "runs").exists()
