"""The same reports, made by the workers of a dask cluster that sees the same folders."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from typing import Any

from cxlib._checks import ParameterError
from cxlib.report import pool
from cxlib.report.runner import Result, Task, ended_badly, told

SCHEME = "dask://"
PATIENCE_SECONDS = 10


def run(tasks: Sequence[Task], listener: pool.Listener, address: str) -> Iterator[Result]:
    """Yield the result of each task as it ends, as `cxlib.report.pool.run` does.

    Each task is one job of the cluster, which sees to it that it has a worker; timeouts and
    retries are kept on the worker, in the same way as here.

    Parameters
    ----------
    tasks : list of Task
        What to run. Their folders must be the same on the cluster as here.
    listener : Listener
        Hears of reports that ended; not of their cells, which are on other machines.
    address : str
        ``dask://host:port`` of the scheduler.

    Raises
    ------
    ParameterError
        The address is no such one, dask is not installed, or nobody answers there.
    """
    if not tasks:
        return
    client = _client(address)
    try:
        futures = {client.submit(_on_worker, task, pure=False): task for task in tasks}
        for future in _as_completed(futures):
            error = future.exception()
            yield ended_badly(futures[future], 0.0, told(error)) if error else future.result()
    except BaseException:
        client.cancel(list(futures), force=True)
        raise
    finally:
        client.close()


def _client(address: str) -> Any:
    if not address.startswith(SCHEME) or not address.removeprefix(SCHEME):
        raise ParameterError(f"--executor {address!r}: write dask://host:port")
    try:
        from distributed import Client
    except ImportError:
        raise ParameterError(
            f"--executor {address!r} needs dask: pip install 'cxlib[dask]'"
        ) from None
    try:
        return Client(address.removeprefix(SCHEME), timeout=PATIENCE_SECONDS)
    except (OSError, ValueError) as error:
        raise ParameterError(f"--executor {address!r}: no scheduler answers: {error}") from None


def _as_completed(futures: Any) -> Any:
    from distributed import as_completed

    return as_completed(list(futures))


def _on_worker(task: Task) -> Result:
    """Make one report in a process that this worker starts for it."""
    # a worker of dask's is a daemon, which Python forbids children: it would leave them behind,
    # but ours end themselves when the worker does
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
    (result,) = pool.run([task], pool.Deaf(), workers=1)
    return result
