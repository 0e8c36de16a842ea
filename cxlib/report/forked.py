"""The process that reports are forked from; it begins before this one imports anything heavy."""

from __future__ import annotations

import multiprocessing
import sys
from typing import Any

CONTEXT: Any = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")


def warm_up() -> None:
    """Let imports begin there, while the plan is still being checked here."""
    CONTEXT.set_forkserver_preload(["cxlib.report.preload"])
    if sys.platform == "linux":
        from multiprocessing import forkserver

        forkserver.ensure_running()
