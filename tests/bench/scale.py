"""How time, memory and what reaches Python grow with the data: the slopes of docs/scale.md.

Run as ``python tests/bench/scale.py [sizes …]``. Each analysis at each size runs in a process of
its own with two threads, `ROUNDS` times; the slope is that of log seconds on log rows between the
two largest sizes, where fixed costs weigh least.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from funnel import STEPS, VISITS, write_events
from memory import peak_megabytes
from retention import write_orders

SIZES = (1_000_000, 3_000_000, 10_000_000, 30_000_000)
TINY, ROUNDS = 1_000, 3
EVENTS_UNTIL, ORDERS_UNTIL = "2024-12-31", "2023-12-31"
Analysis = Callable[[Any, str], object]


def cleaned_events(cx: Any, path: str) -> object:
    return cx.clean_events(cx.read(path), timezone="UTC").losses


def cleaned_orders(cx: Any, path: str) -> object:
    return cx.clean_orders(cx.read(path), timezone="UTC").losses


def funnel(cx: Any, path: str) -> object:
    return cx.funnel(path, steps=STEPS, window="7 days", as_of=EVENTS_UNTIL)


def transitions(cx: Any, path: str) -> object:
    return cx.transitions(path, as_of=EVENTS_UNTIL, gap="30 minutes")


def retention(cx: Any, path: str) -> object:
    return cx.retention(path, as_of=ORDERS_UNTIL)


def lifetime_value(cx: Any, path: str) -> object:
    return cx.fit_ltv(path, as_of=ORDERS_UNTIL)


def rfm(cx: Any, path: str) -> object:
    return cx.segment_sizes(cx.rfm(path, as_of=ORDERS_UNTIL))


ON_EVENTS: dict[str, Analysis] = {
    "clean_events": cleaned_events,
    "funnel": funnel,
    "transitions": transitions,
}
ON_ORDERS: dict[str, Analysis] = {
    "clean_orders": cleaned_orders,
    "retention": retention,
    "fit_ltv": lifetime_value,
    "rfm": rfm,
}


def rows_that_move() -> list[int]:
    """Note how many rows each answer brings from the engine to Python, from now on."""
    from ibis.backends.duckdb import Backend

    moved: list[int] = []
    for method in ("execute", "to_pyarrow"):
        own = getattr(Backend, method)

        def noting(self: Any, expr: Any, *rest: Any, own: Any = own, **named: Any) -> Any:
            answer = own(self, expr, *rest, **named)
            moved.append(len(answer) if hasattr(answer, "__len__") else 1)
            return answer

        setattr(Backend, method, noting)
    return moved


def alone(name: str, path: str) -> dict[str, float]:
    """Return seconds, peak megabytes and rows moved of an analysis in a process of its own."""
    command = [sys.executable, "-W", "ignore", __file__, "--alone", name, path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(name: str, path: str, tiny: str) -> None:
    """Print what `alone` reads: the analysis is first asked for a tiny file, for its imports."""
    import ibis

    import cxlib as cx

    ibis.get_backend().raw_sql("set threads = 2")
    analysis = (ON_EVENTS | ON_ORDERS)[name]
    analysis(cx, tiny)
    moved = rows_that_move()
    start = time.perf_counter()
    analysis(cx, path)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "megabytes": peak_megabytes(), "rows": sum(moved)}))


def grown(name: str, files: dict[int, str]) -> None:
    """Print one analysis at every size, and the slope of log seconds on log rows at the end."""
    told, seconds = [], []
    for path in files.values():
        runs = [alone(name, path) for _ in range(ROUNDS)]
        at = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        told.append(f"{at['seconds']:.2f} s, {at['megabytes']:,.0f} MB, {at['rows']:,.0f} rows")
        seconds.append(at["seconds"])
    *_, less, more = files
    slope = math.log(seconds[-1] / seconds[-2]) / math.log(more / less)
    print(f"| {name} | {' | '.join(told)} | {slope:.2f} |", flush=True)


def main(sizes: tuple[int, ...] = SIZES) -> None:
    """Print a row for each analysis: seconds, peak memory, rows moved at each size, and the slope."""
    print(f"| analysis | {' | '.join(f'{size:,}' for size in sizes)} | slope |")
    print(f"| --- | {'--- | ' * (len(sizes) + 1)}")
    with tempfile.TemporaryDirectory() as folder:
        events = {
            n: write_events(Path(folder) / f"events_{n}.parquet", n, VISITS) for n in (TINY, *sizes)
        }
        orders = {n: str(Path(folder) / f"orders_{n}.parquet") for n in (TINY, *sizes)}
        for n, path in orders.items():
            write_orders(Path(path), n)
        for analyses, files in ((ON_EVENTS, events), (ON_ORDERS, orders)):
            for name in analyses:
                grown(name, {n: files[n] for n in sizes})


if __name__ == "__main__":
    if sys.argv[1:2] == ["--alone"]:
        name, path = sys.argv[2:]
        kind = "events" if name in ON_EVENTS else "orders"
        measure(name, path, str(Path(path).with_name(f"{kind}_{TINY}.parquet")))
    else:
        main(tuple(map(int, sys.argv[1:])) or SIZES)
