"""The line of the README, run by Debian's cron for real; it takes until the next minute."""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from report_project import record_of, write_notebook, write_plan

README = Path(__file__).parents[1] / "README.md"

pytestmark = [
    pytest.mark.skipif(not shutil.which("cron"), reason="cron is not installed"),
    pytest.mark.skipif(os.getuid() != 0, reason="only root may start cron"),
]


@pytest.fixture
def crontab() -> Iterator[None]:
    """Keep the crontab that is there, and put it back."""
    former = subprocess.run(["crontab", "-l"], capture_output=True, text=True, check=False)
    yield
    if former.returncode == 0:
        subprocess.run(["crontab", "-"], input=former.stdout, text=True, check=True)
    else:
        subprocess.run(["crontab", "-r"], check=True)


def test_the_line_of_the_readme_makes_a_run(tmp_path: Path, crontab: None) -> None:
    write_notebook(tmp_path, "01_fine", 'as_of: str = "2024-12-31"', "# Fine?", "print(as_of)")
    write_plan(tmp_path, "reports: [{notebook: 01_fine}]", name="my_shop")
    home = tmp_path / ".venv" / "bin"
    home.mkdir(parents=True)
    (home / "cx").symlink_to(Path(sys.executable).parent / "cx")
    (line,) = re.findall(r"^0 3 \* \* \* .*$", README.read_text(encoding="utf-8"), re.MULTILINE)
    line = line.replace("0 3 * * *", "* * * * *").replace("/srv/cx", str(tmp_path))
    subprocess.run(["crontab", "-"], input=f"{line}\n", text=True, check=True)
    daemon = subprocess.Popen(["cron", "-f"], stderr=subprocess.DEVNULL)  # ends if one runs already
    yesterday = (dt.date.today() - dt.timedelta(days=1)).isoformat()
    published = tmp_path / "reports" / "runs" / "my_shop" / "latest" / "run.json"
    try:
        for _ in range(150):
            if published.exists():
                break
            time.sleep(1)
    finally:
        daemon.kill()
        daemon.wait(60)
    log = (tmp_path / "cx.log").read_text()
    assert published.exists(), log
    record = record_of(tmp_path, yesterday, "my_shop")
    assert record["status"] == "succeeded"
    assert f"reports/runs/my_shop/{yesterday}/index.html\n" in log
