"""The monthly cohort matrix with revenue of ten million orders, as multiples of polars."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("POLARS_MAX_THREADS", "2")  # read when polars is imported

MOST = 1.3
AS_OF = "2023-12-31"


def write_orders(path: Path, n_orders: int) -> None:
    """Write ``n_orders`` of two years by a quarter as many customers, some far busier than others."""
    import duckdb

    duckdb.sql("select setseed(0.5)")
    duckdb.sql(
        f"""
        copy (
            select 'o' || lpad(i::varchar, 9, '0') as order_id,
                'c' || lpad(floor({n_orders // 4} * power(random(), 1.5))::int::varchar, 8, '0')
                    as customer_id,
                timestamp '2022-01-01' + to_seconds((random() * 730 * 86400)::bigint) as ordered_at,
                round(10 + random() * 200, 2) as net_revenue
            from range({n_orders}) as t(i)
        ) to '{path}' (format parquet)
        """
    )


def in_polars(path: Path) -> object:
    import polars as pl

    spent = (
        pl.scan_parquet(path)
        .group_by("customer_id", pl.col("ordered_at").dt.truncate("1mo").alias("month"))
        .agg(pl.col("net_revenue").sum())
    )
    first = spent.group_by("customer_id").agg(pl.col("month").min().alias("cohort"))
    both = spent.join(first, on="customer_id").group_by("cohort", "month")
    return both.agg(pl.len(), pl.col("net_revenue").sum()).collect()


def medians(work: dict[str, Callable[[], object]], times: int = 3) -> dict[str, float]:
    """Return the median wall time of each, taken in turns, so that a busy machine tires all alike."""
    taken: dict[str, list[float]] = {name: [] for name in work}
    for one in work.values():
        one()  # imports, and the file into memory
    for _ in range(times):
        for name, one in work.items():
            start = time.perf_counter()
            one()
            taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def main(n_orders: int = 10_000_000) -> None:
    """Print the seconds of polars, and ours as multiples of them, in one run with 2 threads."""
    import ibis
    import pandas as pd

    import cxlib as cx
    from cxlib.clean import Cleaned
    from cxlib.tables import ORDERS

    ibis.get_backend().raw_sql("set threads = 2")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "orders.parquet"
        write_orders(path, n_orders)
        rows = ibis.read_parquet(path)
        trusted = Cleaned(rows, pd.DataFrame(), n_orders, n_orders, contract=ORDERS)
        seconds = medians(
            {
                "polars": lambda: in_polars(path),
                "cx.retention, rows checked": lambda: cx.retention(path, as_of=AS_OF),
                "cx.retention, rows trusted": lambda: cx.retention(trusted, as_of=AS_OF),
            }
        )
    base = seconds.pop("polars")
    print(f"monthly cohorts with revenue, {n_orders:,} orders: polars {base:.2f} s")
    for name, taken in seconds.items():
        print(f"  {name}: {taken:.2f} s, ratio {taken / base:.2f} (at most {MOST})")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
