"""What a run tells its kernels about whom the pages may speak of."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from cxlib._published import MIN_GROUP, SHOW_IDS


@contextmanager
def for_readers(parameters: Mapping[str, Any], min_group: int) -> Iterator[None]:
    """Let the kernels that start meanwhile show only what readers may see.

    A notebook that declares ``min_group: int`` or ``show_ids: bool`` decides for itself; else
    the plan's ``min_group`` holds and no ids are shown.
    """
    before = {name: os.environ.get(name) for name in (MIN_GROUP, SHOW_IDS)}
    os.environ[MIN_GROUP] = str(parameters.get("min_group", min_group))
    os.environ[SHOW_IDS] = "1" if parameters.get("show_ids") is True else ""
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ.update({name: value} if value is not None else {})
