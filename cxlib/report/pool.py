"""Reports run at once, each in a process of its own that can be ended with all it started.

The processes are forked from one that has imported everything (`cxlib.report.preload`), so
that imports are paid once for a run and no report meets what another left behind.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from cxlib.clean import prepared
from cxlib.report.forked import CONTEXT, warm_up
from cxlib.report.kernel import end_family, fork_ahead
from cxlib.report.runner import (
    FAILED,
    KERNEL_DIED,
    TIMED_OUT,
    Result,
    Task,
    ended_badly,
    execute,
    settle_in,
    told,
)
from cxlib.sources.engine import MEMORY, THREADS

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 2.0, 60.0
"""Before the first retry; each later pause is twice as long."""


ENGINE_SHARE = 0.6
"""Of what a kernel may allocate, for DuckDB: past it the engine goes to the disk, not under."""


def cores() -> int:
    """Return how many cores this process may use."""
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable else os.cpu_count() or 1


class Listener(Protocol):
    """Hears how the reports of a run come on."""

    def moved(self, name: str, cell: int, cells: int) -> None:
        """A report began a cell."""

    def ended(self, result: Result) -> None:
        """A report ended."""


class Deaf:
    """A listener that needs to know nothing."""

    def moved(self, name: str, cell: int, cells: int) -> None:
        """Ignore it."""

    def ended(self, result: Result) -> None:
        """Ignore it."""


def run(tasks: Sequence[Task], listener: Listener, workers: int) -> Iterator[Result]:
    """Yield the result of each task as it ends, ``workers`` of them running at once.

    Whatever interrupts the caller ends what is running, kernels and their children too.
    """
    warm_up()
    threads = max(1, cores() // max(1, workers))
    waiting = [_Turn(task, 1, 0.0) for task in tasks]
    running: dict[Connection, _Attempt] = {}
    with tempfile.TemporaryDirectory(prefix="cx-", ignore_cleanup_errors=True) as home:
        try:
            while waiting or running:
                for turn in _due(waiting)[: _room(running.values(), max(1, workers))]:
                    waiting.remove(turn)
                    attempt = _Attempt(turn, home, threads)
                    running[attempt.answers] = attempt
                for result, turn in _ended(running, waiting, listener):
                    if turn.number <= turn.task.job.limits.retries and can_pass(result):
                        waiting.append(turn.again())
                    else:
                        yield replace(result, attempts=turn.number)
        finally:
            for attempt in running.values():
                attempt.end()


@dataclass(frozen=True)
class _Turn:
    """A task that waits for its turn, for the first time or once more."""

    task: Task
    number: int
    not_before: float

    def again(self) -> _Turn:
        pause = min(FIRST_PAUSE_SECONDS * 2 ** (self.number - 1), LONGEST_PAUSE_SECONDS)
        return _Turn(self.task, self.number + 1, time.monotonic() + pause)


def _room(running: Collection[_Attempt], workers: int) -> int:
    """Return how many reports may begin: one that only writes its page holds up no other."""
    finishing = sum(attempt.finishing for attempt in running)
    return max(0, workers - len(running) + min(finishing, workers))


def _due(waiting: Sequence[_Turn]) -> list[_Turn]:
    return [turn for turn in waiting if turn.not_before <= time.monotonic()]


def _ended(
    running: dict[Connection, _Attempt], waiting: Sequence[_Turn], listener: Listener
) -> list[tuple[Result, _Turn]]:
    """Wait until something happens, and return what ended."""
    moments = [attempt.deadline for attempt in running.values()]
    moments += [turn.not_before for turn in waiting if turn.not_before]
    pause = max(0.0, min(moments) - time.monotonic())
    ready = wait(list(running), pause)
    found = []
    for answers, attempt in list(running.items()):
        result = None
        if answers in ready:
            result = attempt.heard(listener)
        elif attempt.deadline <= time.monotonic():
            result = attempt.timed_out()
        if result is not None:
            attempt.end()
            del running[answers]
            found.append((result, attempt.turn))
    return found


class _Attempt:
    """A report being made in a process of its own."""

    def __init__(self, turn: _Turn, home: str, threads: int) -> None:
        self.turn, self.cell, self.finishing = turn, 0, False
        self.answers, answering = CONTEXT.Pipe(duplex=False)
        self.process = CONTEXT.Process(
            target=_apart,
            args=(turn.task, answering, home, threads, dict(os.environ)),
            name=turn.task.job.name,
        )
        self.process.start()  # for the first one, when everything is imported
        answering.close()
        self.started = time.monotonic()
        self.deadline = self.started + turn.task.job.limits.report_seconds

    def heard(self, listener: Listener) -> Result | None:
        """Take what the process has to say; its result, if it is that."""
        try:
            said = self.answers.recv()
        except (EOFError, OSError):
            return self._lost("WorkerDied", "the report's process was killed", KERNEL_DIED)
        if isinstance(said, Result):
            return said
        place, cells, self.cell = said
        self.finishing = place > cells
        listener.moved(self.turn.task.job.name, place, cells)
        return None

    def timed_out(self) -> Result:
        """Return the result of a report whose time is over."""
        seconds = self.turn.task.job.limits.report_seconds
        return self._lost("ReportTimeout", f"not done after {seconds:,} s", TIMED_OUT)

    def _lost(self, name: str, message: str, status: str) -> Result:
        task, cell = self.turn.task, self.cell or None
        error: dict[str, Any] = {"name": name, "message": message, "cell": cell, "last_lines": []}
        seconds = round(time.monotonic() - self.started, 3)
        return replace(ended_badly(task, seconds, error), status=status)

    def end(self) -> None:
        """End the process and all that it started."""
        end_family(self.process.pid)
        self.process.join()
        self.process.close()
        self.answers.close()


def _apart(
    task: Task, answers: Connection, home: str, threads: int, environment: dict[str, str]
) -> None:
    """Make a report; this is all that its process does."""
    os.setsid()
    os.environ.clear()  # what it was forked from knows only the environment of its own beginning
    os.environ.update(environment)
    settle_in(home)
    os.environ.setdefault(THREADS, str(threads))
    if task.job.limits.memory_bytes is not None:
        room = int(ENGINE_SHARE * task.job.limits.memory_bytes) // 10**6
        os.environ.setdefault(MEMORY, f"{room} MB")
    if task.cleaned is not None:
        os.environ[prepared.FOLDER] = str(task.cleaned.resolve())
    fork_ahead(task.job.limits.memory_bytes, answers)
    threading.Thread(target=_end_with_the_run, daemon=True).start()
    tempfile.tempdir = home  # so that sockets of kernels that were ended go with the run
    try:
        result = execute(task, lambda *moved: answers.send(moved))
    except BaseException as error:
        result = ended_badly(task, 0.0, told(error))
    answers.send(result)
    signal.pause()  # until the run has ended this process with whatever is left of its kernel


def _end_with_the_run() -> None:
    run = multiprocessing.parent_process()
    if run is not None:
        run.join()
        end_family(os.getpid())


PASSING = {"IOException", "HTTPException", "URLError", "OperationalError", "IncompleteRead"}
PASSING |= {"UnreachableError"}
"""Beside the errors of Python's own input and output: those of DuckDB, urllib, databases, and ours."""
LASTING = {"FileNotFoundError", "FileExistsError", "PermissionError", "IsADirectoryError"}
LASTING |= {"NotADirectoryError", "UnsupportedOperation"}


def can_pass(result: Result) -> bool:
    """Say whether a report that failed might succeed if it were run once more."""
    if result.status in (TIMED_OUT, KERNEL_DIED):
        return True
    if result.status != FAILED or result.error is None:
        return False
    return result.error["name"] in (_io_errors(OSError) | PASSING) - LASTING


def _io_errors(kind: type[BaseException]) -> set[str]:
    own = {kind.__name__} if kind.__module__ == "builtins" else set()
    return own.union(*(_io_errors(one) for one in kind.__subclasses__()))
