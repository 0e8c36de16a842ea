"""Pages as PDF, printed by the Chromium or Chrome of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cxlib._checks import CxError, ParameterError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
NAMED = "CX_CHROMIUM"
SECONDS = 120


def browser() -> str:
    """Return the path of a browser that prints.

    Raises
    ------
    ParameterError
        None is installed.
    """
    wanted = os.environ.get(NAMED)
    found = next(
        (path for name in ([wanted] if wanted else BROWSERS) if (path := shutil.which(name))), None
    )
    if found is None:
        looked = wanted or ", ".join(BROWSERS)
        raise ParameterError(
            f"--pdf needs Chromium or Chrome, and none is installed here (looked for {looked}); "
            f"install it (Debian: apt install chromium), name its path in {NAMED}, or run without --pdf"
        )
    return found


def print_pages(folder: Path, pages: Sequence[str]) -> dict[str, str]:
    """Print pages of a folder, each beside itself as PDF, and return page → PDF.

    Raises
    ------
    CxError
        The browser failed.
    """
    path, made = browser(), {}
    with tempfile.TemporaryDirectory(prefix="cx-print-", ignore_cleanup_errors=True) as profile:
        for page in pages:
            target = (folder / page).with_suffix(".pdf")
            _print(path, profile, folder / page, target)
            made[page] = target.name
    return made


def _print(path: str, profile: str, page: Path, target: Path) -> None:
    command = [
        path,
        "--headless",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--no-pdf-header-footer",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={profile}",
        f"--print-to-pdf={target}",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--no-sandbox")  # Chromium refuses to run for root otherwise
    target.unlink(missing_ok=True)  # it may be part of a published folder
    try:
        done = subprocess.run(
            [*command, page.as_uri()], capture_output=True, text=True, timeout=SECONDS, check=False
        )
        said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    except subprocess.TimeoutExpired:
        said = f"no answer in {SECONDS} seconds"
    if not target.is_file() or not target.stat().st_size:
        raise CxError(f"{page.name} could not be printed by {Path(path).name}: {said}")
