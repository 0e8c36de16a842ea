"""What a run tells its kernels about whom the pages may speak of."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from nbformat import NotebookNode

from cxlib._published import MIN_GROUP, SHOW_IDS, masked_addresses

NAMED_ID = re.compile(
    r"((?:customer|user|client|order|session|visitor)_?id['\"]?\s*[=:]+\s*['\"]?)[\w.+-]+",
    re.IGNORECASE,
)
"""An id that a message names: ``customer_id='C-17'``."""


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


def masked(value: Any) -> Any:
    """Return what a run said, text or lists of it, without addresses and named ids."""
    if isinstance(value, str):
        return NAMED_ID.sub(r"\1…", masked_addresses(value))
    if isinstance(value, Mapping):
        return {key: masked(inner) for key, inner in value.items()}
    return [masked(inner) for inner in value] if isinstance(value, list) else value


def hide_in(notebook: NotebookNode, parameters: Mapping[str, Any]) -> None:
    """Take addresses and named ids out of what the cells said, unless ``show_ids`` asks for them."""
    if parameters.get("show_ids") is True:
        return
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            for name in ("text", "ename", "evalue", "traceback"):
                if name in output:
                    output[name] = masked(output[name])
            for mime, value in output.get("data", {}).items():
                if mime.startswith("text/") or mime.endswith("json"):
                    output.data[mime] = masked(value)
