"""How a run comes on: a line for each report and one for all, plain where there is no terminal."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Collection, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, TextIO, TypeVar

from tqdm import tqdm

if TYPE_CHECKING:
    from cxlib.report.runner import Result


@contextlib.contextmanager
def telling(stream: TextIO) -> Iterator[None]:
    """Go on where nobody can be told: who read the pipe has left, or the log's disk is full.

    What is published must not depend on who listens; the exit code and the record tell it too.
    """
    try:
        yield
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


T = TypeVar("T")


def one_by_one(sources: Collection[T], what: str) -> Iterable[T]:
    """Return each source; where a terminal waits for longer than a second, a bar tells how many."""
    return tqdm(sources, desc=what, unit="source", leave=False, delay=1, disable=None)


class Progress:
    """Tells how reports come on, on the error stream; use it as a context."""

    def __init__(self, n_reports: int) -> None:
        self._n, self._done, self._terminal = n_reports, 0, sys.stderr.isatty()
        self._bars: dict[str, tqdm] = {}
        self._all = tqdm(
            total=n_reports, unit="report", disable=not self._terminal, leave=False, position=0
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        for bar in [*self._bars.values(), self._all]:
            bar.close()

    def moved(self, name: str, cell: int, cells: int) -> None:
        """A report began a cell: move its own line."""
        if not self._terminal:
            return
        if name not in self._bars:
            self._bars[name] = tqdm(total=cells, desc=name, unit="cell", leave=False)
        bar = self._bars[name]
        with telling(sys.stderr):
            bar.update(cell - 1 - bar.n)

    def ended(self, result: Result) -> None:
        """A report ended: say how in a line that stays."""
        if result.name in self._bars:
            self._bars.pop(result.name).close()
        self._done += 1
        count = f"[{self._done:>{len(str(self._n))}}/{self._n}]"
        with telling(sys.stderr):
            self._all.write(f"{count} {told(result)}", file=sys.stderr)
            self._all.update()


def told(result: Result) -> str:
    """Return how a report ended, in one line."""
    line = f"{result.status:<11} {result.name}  {result.duration_seconds:.1f} s"
    if result.attempts > 1:
        line += f", attempt {result.attempts}"
    if result.notices:
        line += f"  ({'; '.join(result.notices)})"
    if result.error is None:
        return line
    cell = f" in cell [{result.error['cell']}]" if result.error["cell"] else ""
    return f"{line}  {result.error['name']}{cell}: {result.error['message']}"
