"""Whether somebody is looking: progress and controls are for them, not for logs and pages."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")
QUIET_SECONDS = 1.0
"""Work that is done sooner shows no bar."""


def is_watched() -> bool:
    """Say whether a person sees what is shown: in JupyterLab or IPython, not in a run of papermill.

    A front end that could ask its user says so with every cell that it runs (``allow_stdin`` of
    Jupyter's messages); papermill, nbconvert, jupyter-scheduler and nbval say that they cannot.
    """
    if "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    if shell is None:
        return False
    kernel = getattr(shell, "kernel", None)
    return kernel is None or bool(getattr(kernel, "_allow_stdin", False))


def progress(steps: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
    """Return the steps of long work, with a bar that tells how far it is where one is watched."""
    if not is_watched():
        return steps
    from tqdm.auto import tqdm

    return tqdm(steps, desc=what, total=total, leave=False, delay=QUIET_SECONDS)
