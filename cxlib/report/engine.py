"""papermill, with kernels of our own and a notebook that is written now and then.

papermill writes the whole notebook twice for each cell, with all its pictures so far: a fifth of
what a report costs beside its cells.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import papermill
from nbformat import NotebookNode
from papermill.engines import NBClientEngine, NotebookExecutionManager, papermill_engines
from papermill.iorw import write_ipynb

from cxlib.report.kernel import OwnKernelManager, is_run

WRITE_SECONDS = 5.0
"""A report that is killed leaves a notebook this old at most."""
OUTPUT_SECONDS = 120
"""How long the last output of a cell may take to arrive; nbclient's 4 s are few on a busy machine."""

Moved = Callable[[int, int, int], None]
"""Hears of each cell that begins: its place, how many there are, and its number in brackets.

When all have run and the notebook is written, the place is past the last one.
"""


class RareWrites(NBClientEngine):
    """papermill's own engine, but for when it writes."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: NotebookExecutionManager, kernel_name: str, *, moved: Moved, **given: Any
    ) -> None:
        """Run the cells; papermill writes the notebook when they have ended, however they did."""
        path, nb_man.output_path = nb_man.output_path, None
        written, begun, cells = time.monotonic(), 0, len(nb_man.nb.cells)

        def started(cell: NotebookNode, cell_index: int) -> None:
            nonlocal written, begun
            begun += is_run(cell)
            moved(cell_index + 1, cells, begun)
            if time.monotonic() - written > WRITE_SECONDS:
                write_ipynb(nb_man.nb, path)
                written = time.monotonic()

        try:
            super().execute_managed_notebook(nb_man, kernel_name, on_cell_start=started, **given)
        except BaseException:
            nb_man.output_path = path  # else papermill writes it once more by itself
            raise


papermill_engines.register("cx", RareWrites)


def run(
    notebook: NotebookNode,
    executed: Path,
    given: Mapping[str, Any],
    *,
    root: Path,
    cell_seconds: int | None,
    moved: Moved,
) -> NotebookNode:
    """Run a notebook with the parameters ``given`` and write it as ``executed``."""
    done = papermill.execute_notebook(
        notebook,
        str(executed).replace("{", "{{").replace("}", "}}"),
        given,
        engine_name="cx",
        cwd=str(root),
        kernel_name="python3",
        language="python",
        kernel_manager_class=OwnKernelManager,
        execution_timeout=cell_seconds,
        iopub_timeout=OUTPUT_SECONDS,
        progress_bar=False,
        moved=moved,
    )
    moved(len(done.cells) + 1, len(done.cells), sum(map(is_run, done.cells)))
    return done
