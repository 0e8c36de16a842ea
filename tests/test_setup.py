"""The two ways to install name the same things, and the lock is fit for all three Pythons."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
ASKED_FOR = {
    "jupyterlab", "pandas", "seaborn", "lifetimes", "statsmodels", "papermill", "nbval",
    "ibis-framework[duckdb]", "pandera", "pydantic", "click", "tqdm",
}  # fmt: skip


def project_dependencies() -> list[str]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]


def name_of(requirement: str) -> str:
    return re.split(r"[<>=!~ ]", requirement)[0]


def test_environment_and_project_name_the_same_dependencies() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    pip = next(item["pip"] for item in environment if isinstance(item, dict))
    assert pip[-1] == "-e ."
    assert sorted(pip[:-1]) == sorted(project_dependencies())
    assert {re.split(r"[<>= ]", item)[0] for item in environment if isinstance(item, str)} == {
        "python",
        "make",
        "pip",
    }


def test_the_workbench_depends_on_what_was_asked_for() -> None:
    assert {name_of(requirement) for requirement in project_dependencies()} >= ASKED_FOR


def test_every_extra_dependency_has_its_sentence() -> None:
    extra = {name_of(requirement) for requirement in project_dependencies()} - ASKED_FOR
    text = (ROOT / "ARCHITECTURE.md").read_text()
    assert not [name for name in extra if f"`{name}`" not in text]


def test_the_lock_holds_every_dependency_with_hashes_and_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    pinned = re.findall(r"^([a-z0-9._-]+)==", lock, re.M)
    wanted = {name_of(requirement).split("[")[0] for requirement in project_dependencies()}
    assert wanted <= set(pinned)
    entries = re.split(r"^(?=[a-z0-9._-]+==)", lock, flags=re.M)[1:]
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in lock
    assert "index" not in {
        line.split()[0].lstrip("-") for line in lock.splitlines() if line.strip()
    }


def test_the_lock_serves_each_python_that_the_project_promises() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    numpy_lines = re.findall(r"^numpy==(\S+) ; (.*?) \\$", lock, re.M)
    markers = " ".join(marker for _, marker in numpy_lines)
    assert "< '3.12'" in markers
    assert ">= '3.12'" in markers
