"""DuckDB takes no more of the machine than it is told to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cxlib as cx


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = cx.set_engine()
    yield
    cx.set_engine(threads=int(before["threads"]), memory_limit=before["memory_limit"])


def test_threads_memory_and_the_folder_for_the_rest(tmp_path: Path) -> None:
    found = cx.set_engine(threads=1, memory_limit="512MiB", spill_to=tmp_path)
    assert found == {
        "threads": "1",
        "memory_limit": "512.0 MiB",
        "temp_directory": str(tmp_path.resolve()),
    }
    assert cx.set_engine() == found


GIVEN_BACK = """
import re
from pathlib import Path
import ibis
from cxlib.sources.engine import engine, give_back

def megabytes():
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmRSS:\\s+(\\d+)", status)[1]) / 1024

numbers = ibis.range(3_000_000).unnest().name("n").as_table()
grouped = numbers.group_by("n").aggregate(total=numbers["n"].sum())
engine().raw_sql("set allocator_background_threads = false")
engine().raw_sql("set memory_limit = '3GiB'")
assert grouped.count().execute() == 3_000_000
before = megabytes()
give_back(grouped)
assert before - megabytes() > 50, (before, megabytes())
assert engine().raw_sql("select current_setting('memory_limit')").fetchone()[0] == "3.0 GiB"
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of a process from /proc")
def test_what_a_large_query_leaves_held_ready_is_given_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", GIVEN_BACK], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_sort_that_does_not_fit_goes_on_on_disk(tmp_path: Path) -> None:
    """A million rows of text take more than 60 MB; the answer is known by arithmetic."""
    import ibis

    cx.set_engine(threads=1, memory_limit="60MB", spill_to=tmp_path)
    rows = ibis.range(1_000_000).unnest().name("x").as_table()
    text = rows.mutate(t=(rows["x"] * 7919 % 1_000_003).cast("string").lpad(60, "-"))
    first = ibis.window(order_by="t")
    numbered = text.mutate(place=ibis.row_number().over(first))
    assert numbered["place"].max().execute() == 999_999


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"threads": 0}, "threads=0 is not a number of threads from 1 to 1024"),
        ({"threads": "many"}, "threads='many' is not a number of threads"),
        ({"memory_limit": "lots"}, "memory_limit='lots' is not a size"),
        ({"memory_limit": "4'; drop"}, "is not a size"),
        ({"memory_limit": 4}, "memory_limit=4 is not a size"),
    ],
)
def test_what_is_no_setting_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(cx.ParameterError, match=message):
        cx.set_engine(**given)


def test_the_environment_says_it_for_reports() -> None:
    code = "import cxlib as cx; print(cx.set_engine())"
    settings = {"CX_THREADS": "1", "CX_MEMORY_LIMIT": "300MiB"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "'threads': '1', 'memory_limit': '300.0 MiB'" in done.stdout
