"""JupyterLab as `make lab` starts it, on a copy of the project, and Chromium before it."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parent.parent
CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
TOKEN = "of-the-tests"
PATIENCE_SECONDS = 240
OWN_FOLDERS = (
    "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "HOME",
)  # fmt: skip
IN_VIEW = ".jp-NotebookPanel:not(.lm-mod-hidden)"
FINISHED = """view => {
    const cells = [...document.querySelectorAll(view + ' .jp-CodeCell')]
    const numbers = cells.map(cell => cell.querySelector('.jp-InputPrompt').textContent)
    return cells.length > 0 && numbers.every(text => /\\[\\d+\\]/.test(text))
}"""
PROBLEMS = ", ".join(
    f'[data-mime-type="application/vnd.jupyter.{kind}"]' for kind in ("error", "stderr")
)


@dataclass(frozen=True)
class Lab:
    """A running server: its address, and the project that it serves."""

    url: str
    project: Path

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Send a request to the server's own interface, and return its answer."""
        request = urllib.request.Request(
            f"{self.url}/{path}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)


@contextlib.contextmanager
def served(folder: Path) -> Iterator[Lab]:
    """Run the recipe of `make lab` in a copy of the project, at a free port."""
    project = folder / "project"
    project.mkdir()
    for name in ("notebooks", "data", ".jupyter"):
        shutil.copytree(ROOT / name, project / name)
    recipe = [
        "make",
        "-n",
        "--no-print-directory",
        "-o",
        ".venv/.ready",
        "lab",
        f"BIN={Path(sys.executable).parent}",
    ]
    said = subprocess.run(recipe, cwd=ROOT, capture_output=True, text=True, check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = shlex.split(said.stdout.replace("\\\n", ""))
    own = [
        f"--port={port}",
        "--port-retries=0",
        "--no-browser",
        f"--IdentityProvider.token={TOKEN}",
    ]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [*command, *own],
            cwd=project,
            env=os.environ | {name: str(folder / name) for name in OWN_FOLDERS},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_for(port, server, folder / "log")
            yield Lab(f"http://127.0.0.1:{port}", project)
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:  # it waits for a kernel that is still starting
                server.kill()
                server.wait(60)


def _wait_for(port: int, server: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        assert server.poll() is None, log.read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.1)
    raise AssertionError(log.read_text())


@contextlib.contextmanager
def page_of(lab: Lab, path: str = "") -> Iterator[Page]:
    """Open a page of the server in Chromium; without a path, what `make lab` opens."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 1100})
        page.set_default_timeout(1000 * PATIENCE_SECONDS)
        page.goto(f"{lab.url}/{path}?token={TOKEN}")
        yield page
        browser.close()


def choose(page: Page, menu: str, *items: str) -> None:
    """Choose an item of JupyterLab's menus, as a hand would."""
    page.click(f'.lm-MenuBar-itemLabel:text-is("{menu}")')
    for item in items:
        page.click(f'.lm-Menu-itemLabel:text-is("{item}")')


def run_all(page: Page) -> None:
    """Run all cells of the notebook in view, and wait; fails where one ended in an error."""
    page.wait_for_selector(f"{IN_VIEW} .jp-CodeCell")
    for _ in range(2):  # a notebook opened by its address may change its kernel once at the start
        page.wait_for_selector(f'{IN_VIEW} .jp-Notebook-ExecutionIndicator[data-status="idle"]')
        page.wait_for_timeout(1500)
    choose(page, "Run", "Run All Cells")
    page.wait_for_function(FINISHED, arg=IN_VIEW, polling=500)
    assert page.locator(PROBLEMS).all_inner_texts() == []
