"""Pages opened in a real browser, where one is installed: what runs, what loads, who can read it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(
    (
        path
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (path := shutil.which(name))
    ),
    None,
)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium or Chrome is installed")


@contextmanager
def launched() -> Iterator[Any]:
    """One browser, for all the tests of a file."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visit:
    """A page that was opened: what it asked for, and what it said."""

    def __init__(self, browser: Any, file: Path, **look: Any) -> None:
        self.context = browser.new_context(**look)
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.dialogs: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("dialog", self._dialog)
        self.context.on("page", lambda page: self.requests.append(f"window {page.url}"))
        self.address = file.resolve().as_uri()
        self.page.goto(self.address)

    def _dialog(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def foreign(self) -> list[str]:
        """Whatever it asked for besides itself and the pictures within it."""
        return [
            url
            for url in self.requests
            if url != self.address and not url.startswith("data:image/")
        ]

    def close(self) -> None:
        self.context.close()
