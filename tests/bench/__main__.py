"""Run every benchmark in this folder and print its table."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import clean
import experiment
import funnel
import fuzz
import ltv
import report
import retention
import scale


def median_seconds(work: Callable[[], object], times: int = 3) -> float:
    """Return the median wall time of ``work``."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def python(code: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def import_time() -> None:
    """`import cxlib` and the list of its names, against importing ibis and pandas."""
    ours = median_seconds(python("import cxlib as cx; sorted(cx.__all__)"), 5)
    theirs = median_seconds(python("import ibis, pandas"), 5)
    print(
        f"import cxlib {ours:.2f} s, import ibis and pandas {theirs:.2f} s: ratio {ours / theirs:.2f} (at most 1.5)"
    )


def million_customers() -> None:
    """Simulating, and each analysis on, orders of a million customers."""
    import cxlib as cx

    start = time.perf_counter()
    orders = cx.simulate.orders(1_000_000, start="2023-01-01", as_of="2024-12-31", seed=1)
    print(
        f"simulate {len(orders):,} orders of a million customers: {time.perf_counter() - start:.1f} s"
    )
    table = cx.clean_orders(orders, timezone="UTC")
    seconds = median_seconds(lambda: cx.retention(table, as_of="2024-12-31"))
    print(f"monthly retention: {seconds:.2f} s")
    seconds = median_seconds(lambda: cx.fit_ltv(table, as_of="2024-12-31"))
    print(f"BG/NBD and Gamma-Gamma fit: {seconds:.2f} s")


if __name__ == "__main__":
    import_time()
    million_customers()
    clean.main()
    ltv.main()
    retention.main()
    funnel.main()
    experiment.main()
    fuzz.main()
    report.main()
    scale.main()
