"""Runs that are ended from outside: what is published is whole, and what was done is not done again."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from report_project import alive, record_of, start, write_notebook, write_plan

from cxlib.report import lock, work

ASKS = 'as_of: str = "2024-12-31"\nn: int = 0\nseconds: float = 0.3'
# a file that a notebook names is part of what its page is made from: this one is not named whole
LOGS = "with open('beg' + 'un', 'a') as log: print(n, file=log)\nimport time\ntime.sleep(seconds)"
PLAN = "reports: [{notebook: works, for_each: {n: [1, 2, 3, 4, 5, 6]}}]"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_notebook(tmp_path, "works", ASKS, "# Does it work?", LOGS)
    write_plan(tmp_path, PLAN)
    return tmp_path


def lines(process: subprocess.Popen[str], wanted: str) -> None:
    """Read what a run says until it says what is wanted."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if wanted in line:
            return
    raise AssertionError(f"ended without saying {wanted!r}: {said}")


def nothing_runs(project: Path) -> None:
    for _ in range(600):
        if not alive(str(project)):
            return
        time.sleep(0.1)
    raise AssertionError(f"still alive: {alive(str(project))}")


def ended(code: str, *arguments: str) -> int:
    """Return the exit code of a Python process."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], check=False, timeout=120
    ).returncode


def begun(project: Path) -> list[str]:
    return (project / "begun").read_text().split()


def done(project: Path) -> set[str]:
    """Reports whose results a later run will take up."""
    folder = project / "reports" / "runs" / "weekly" / work.WORK / "2024-12-31" / "results"
    return {file.stem.removeprefix("works-") for file in folder.glob("[!.]*.json")}


def test_killed_at_any_moment_a_run_is_taken_up_where_it_stood(project: Path) -> None:
    chance = random.Random(20261125)
    kept: set[str] = set()
    for reached in ("[1/", "[3/", "[5/"):
        process = start(project, "--jobs", "2")
        lines(process, reached)
        time.sleep(chance.uniform(0, 0.6))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=120)
        nothing_runs(project)
        assert kept <= done(project) or not done(project), "nothing that was done is lost"
        kept |= done(project)
    before = begun(project)
    left = start(project, "--jobs", "2")
    out, err = left.communicate(timeout=300)
    assert left.returncode == 0, err
    record = record_of(project)
    assert [one["status"] for one in record["reports"]] == ["succeeded"] * 6
    again = begun(project)[len(before) :]
    assert not kept & set(again), "what was done is not done again"
    assert sorted({*before, *again}) == list("123456")
    plan = project / "reports" / "runs" / "weekly"
    assert sorted(path.name for path in plan.iterdir()) == ["2024-12-31", "index.html", "latest"]
    assert (plan / "latest" / "works-6.html").is_file()


PUBLISHES = """
import os, sys
from pathlib import Path
from cxlib.report import folders, lock

target, made, step = Path(sys.argv[1]), *sys.argv[2:]
with lock.locked(target.parent), folders.staging(target) as staging:
    for name in ("index.html", "run.json"):
        (staging / name).write_text(made)
    if step:
        setattr(os if step == "replace" else folders, step, lambda *_: os.kill(os.getpid(), 9))
    folders.publish(staging, target)
"""


@pytest.mark.parametrize("step", ["flush", "swap", "_exchange", "replace"])
def test_killed_while_publishing_the_pages_are_whole(tmp_path: Path, step: str) -> None:
    """A death at each step of the move, in a process that dies there for real."""
    target = tmp_path / "runs" / "weekly" / "2024-12-31"
    assert ended(PUBLISHES, str(target), "old", "") == 0
    ended(PUBLISHES, str(target), "new", step)
    found = {(target / name).read_text() for name in ("index.html", "run.json")}
    assert found in ({"old"}, {"new"})
    assert ended(PUBLISHES, str(target), "newest", "") == 0
    assert (target.parent / "latest" / "index.html").read_text() == "newest"
    assert sorted(path.name for path in target.parent.iterdir()) == ["2024-12-31", "latest"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_so_and_leaves_no_kernel(
    project: Path, number: signal.Signals
) -> None:
    write_plan(
        project,
        "reports: [{notebook: works}, {notebook: works, for_each: {seconds: [3600, 3601, 3602]}}]",
    )
    process = start(project, "--jobs", "2")
    lines(process, "succeeded")
    second = start(project)
    _, told = second.communicate(timeout=300)
    assert second.returncode == 3
    assert "plan 'weekly' is being run by " in told
    assert f"process {process.pid}, since 20" in told
    process.send_signal(number)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert "interrupted; what was done is published" in err
    nothing_runs(project)
    record = record_of(project)
    assert record["status"] == "interrupted"
    assert [one["status"] for one in record["reports"]] == ["succeeded"] + ["interrupted"] * 3


HOLDS = """
import os, sys
from pathlib import Path
from cxlib.report import lock

with lock.locked(Path(sys.argv[1])):
    print(os.getpid(), flush=True)
    os.kill(os.getpid(), 9)
"""


def test_a_dead_holder_holds_nothing(tmp_path: Path) -> None:
    plan = tmp_path / "runs" / "weekly"
    holder = subprocess.run(
        [sys.executable, "-c", HOLDS, str(plan)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert holder.returncode == -signal.SIGKILL, holder.stderr
    held = json.loads((plan / lock.NAME).read_text())
    assert held["pid"] == int(holder.stdout)
    with lock.locked(plan):
        assert json.loads((plan / lock.NAME).read_text())["pid"] == os.getpid()
        with pytest.raises(lock.BusyError, match=f"process {os.getpid()}, since 20"):  # noqa: SIM117
            with lock.locked(plan):
                pass
    assert not plan.exists(), "a run that made nothing leaves nothing"


def test_a_full_disk_stops_what_does_not_fit_and_no_more(project: Path) -> None:
    """On a file system of 3 MB where one may be mounted; else with a bound on each file."""
    write_notebook(project, "floods", ASKS, "# Too much?", FLOODS)
    write_plan(project, "reports: [{notebook: floods}, {notebook: works}]")
    runs = project / "reports" / "runs"
    runs.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "cx-test", str(runs)],
        capture_output=True,
        check=False,
    )
    prefix = [] if mounted.returncode == 0 else ["prlimit", "--fsize=3000000"]
    try:
        process = start(project, "--jobs", "1", prefix=prefix)
        _, err = process.communicate(timeout=300)
        assert process.returncode == 1, err
        floods, works = record_of(project)["reports"]
        assert (works["status"], floods["status"]) == ("succeeded", "failed")
        assert floods["error"]["name"] == "OSError"
        assert any(reason in floods["error"]["message"] for reason in ("space", "large"))
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", str(runs)], check=True)


FLOODS = """from IPython.display import HTML
HTML("<p>" + "words " * 700_000 + "</p>")"""


def test_a_folder_that_is_read_only_is_said(project: Path) -> None:
    runs = project / "reports" / "runs"
    runs.mkdir()
    runs.chmod(0o555)
    # root may write anywhere, unless it gives that right away
    root = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"]
    process = start(project, prefix=root if os.getuid() == 0 else [])
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("cx: cannot write to '")
    assert line.endswith("Permission denied; name another folder with --output")


@pytest.mark.parametrize("streams", ["2>/dev/full", ">/dev/full", ">&-", "<&- >&- 2>&-"])
def test_a_run_does_its_work_whoever_listens(project: Path, streams: str) -> None:
    """A scheduler's log may be on a disk that is full, and some schedulers close the streams."""
    write_plan(project, "reports: [{notebook: works}]")
    process = start(project, prefix=["sh", "-c", f'"$@" {streams}', "sh"])
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert record_of(project)["status"] == "succeeded"
