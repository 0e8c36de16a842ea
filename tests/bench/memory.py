"""The peak of a process's own memory."""

from __future__ import annotations

import re
from pathlib import Path


def peak_megabytes() -> float:
    """Return the peak of this process since it began (Linux).

    Not ``getrusage``: what that gives to a child starts with its parent's peak.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024
