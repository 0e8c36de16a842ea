"""A funnel beside chdb's ``windowFunnel``, nested windows in DuckDB, and polars: the same Parquet file.

Run as ``python tests/bench/funnel.py [events]``. Time: in one process with two threads, after a
turn that pays for imports and reads the file, all run in turn, `ROUNDS` times; ratios to chdb are
medians over rounds, of wall time and of CPU time, which other work disturbs less. Memory: the peak
of each side in a process of its own, once.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from memory import peak_megabytes

os.environ.setdefault("POLARS_MAX_THREADS", "2")  # read when polars is imported

EVENTS, ROUNDS = 10_000_000, 5
MOST, MOST_MEGABYTES = 1.0, 800
STEPS = ("view", "add_to_cart", "checkout", "purchase")
DAYS, AS_OF = 7, "2024-12-31"
WANTED = ", ".join(map(repr, STEPS))
STRAY = """
    'u' || lpad((hash(i) % {users})::varchar, 8, '0') as user_id,
    case when drawn < 0.5 then 'view' when drawn < 0.7 then 'search' when drawn < 0.85
        then 'add_to_cart' when drawn < 0.93 then 'checkout' else 'purchase' end as event,
    timestamp '2024-01-01' + to_microseconds((random() * 7776e9)::bigint) as occurred_at
"""
VISITS = """
    'u' || lpad((i % {users})::varchar, 8, '0') as user_id,
    case when n % 5 < 1 + hash(visit) % 5 and n % 5 < 1 + hash(visit + 7) % 5
        then ['view', 'add_to_cart', 'checkout', 'purchase', 'search'][1 + n % 5]
        else ['view', 'search'][1 + n % 2] end as event,
    timestamp '2024-01-01' + to_microseconds(
        (hash(visit + 3) % 7776000 * 1e6 + (n % 5 + random()) * 120e6)::bigint) as occurred_at
"""
KINDS = {"events at random": STRAY, "visits": VISITS}


def write_events(path: Path, n_events: int, columns: str = STRAY, bot: int = 0) -> str:
    """Write events of a quarter, seven users to every hundred; one more may have ``bot`` of his own."""
    import duckdb

    users = n_events * 7 // 100
    columns = columns.format(users=users)
    alike = f"union all select * replace ('bot' as user_id) from made limit {n_events + bot}"
    duckdb.sql("select setseed(0.5)")
    duckdb.sql(
        f"""
        copy (
            with drawn as (
                select i, i // {users} as n, i % {users} * 8 + i // {users} // 5 as visit,
                    random() as drawn from range({n_events}) as t(i)
            ), made as materialized (select {columns} from drawn)
            select * from made {alike if bot else ""}
        ) to '{path}' (format parquet)
        """
    )
    return str(path)


def in_chdb(path: str) -> list[int]:
    """Count in seconds, as its users do: microseconds take it longer."""
    import chdb

    steps = ", ".join(f"event = {step!r}" for step in STEPS)
    answer = chdb.query(
        f"select level, count() from (select windowFunnel({DAYS * 86400})(toDateTime(occurred_at), "
        f"{steps}) as level from file('{path}', Parquet) where event in ({WANTED}) "
        "group by user_id) group by level settings max_threads = 2"
    )
    at = dict(tuple(map(int, line.split(","))) for line in str(answer).split())
    return [sum(n for level, n in at.items() if level >= k) for k in range(1, len(STEPS) + 1)]


def in_duckdb(path: str) -> list[int]:
    """Carry each attempt's entry over all events, one window within another."""
    import duckdb

    table = (
        "(select user_id, event, occurred_at, case event when 'view' then occurred_at end as entry_1 "
        f"from '{path}' where event in ({WANTED}))"
    )
    for k, step in enumerate(STEPS[1:], start=2):
        table = (
            f"(select * exclude (claimed), case when event = {step!r} and occurred_at <= claimed + "
            f"interval {DAYS} day then claimed end as entry_{k} from (select *, max(entry_{k - 1}) "
            f"over (partition by user_id order by occurred_at) as claimed from {table}))"
        )
    counts = (f"count(distinct user_id) filter (entry_{k} is not null)" for k in range(1, 5))
    duckdb.execute("set threads = 2")
    return list(duckdb.execute(f"select {', '.join(counts)} from {table}").fetchone() or ())


def in_polars(path: str) -> list[int]:
    """The same, sorted once."""
    import polars as pl

    at, user = pl.col("occurred_at"), pl.col("user_id")
    table = (
        pl.scan_parquet(path).filter(pl.col("event").is_in(STEPS)).sort("user_id", "occurred_at")
    )
    table = table.with_columns(pl.when(pl.col("event") == "view").then(at).alias("entry_1"))
    for k, step in enumerate(STEPS[1:], start=2):
        claimed = pl.col(f"entry_{k - 1}").forward_fill().over("user_id")
        in_time = (pl.col("event") == step) & (at <= claimed + pl.duration(days=DAYS))
        table = table.with_columns(pl.when(in_time).then(claimed).alias(f"entry_{k}"))
    reached = (pl.col(f"entry_{k}").is_not_null() for k in range(1, 5))
    counts = (user.filter(one).n_unique().alias(f"n_{k}") for k, one in enumerate(reached, start=1))
    return list(table.select(*counts).collect().row(0))


def checked(path: str) -> list[int]:
    import ibis

    import cxlib as cx

    ibis.get_backend().raw_sql("set threads = 2")
    table = cx.funnel(path, steps=STEPS, window=f"{DAYS} days", as_of=AS_OF)
    return [int(n) for n in table["n"]]


def trusted(path: str) -> list[int]:
    """As after cleaning: the rows keep their contract, and are still read from the file."""
    import ibis
    import pandas as pd

    import cxlib as cx
    from cxlib.clean import Cleaned
    from cxlib.tables import EVENTS as CONTRACT

    ibis.get_backend().raw_sql("set threads = 2")
    events = Cleaned(ibis.read_parquet(path), pd.DataFrame(), 0, 0, contract=CONTRACT)
    table = cx.funnel(events, steps=STEPS, window=f"{DAYS} days", as_of=AS_OF)
    return [int(n) for n in table["n"]]


OURS = "cx.funnel, trusted"
SIDES: dict[str, Callable[[str], list[int]]] = {
    "chdb": in_chdb,
    OURS: trusted,
    "cx.funnel, checked": checked,
    "duckdb, nested": in_duckdb,
    "polars, nested": in_polars,
}


def race(
    work: dict[str, Callable[[], object]], times: int = ROUNDS
) -> dict[str, list[list[float]]]:
    """Return the wall and CPU seconds of each, all in turn."""
    taken: dict[str, list[list[float]]] = {name: [] for name in work}
    for one in work.values():
        one()
    for _ in range(times):
        for name, one in work.items():
            wall, cpu = time.perf_counter(), time.process_time()
            one()
            taken[name].append([time.perf_counter() - wall, time.process_time() - cpu])
    return taken


def against(taken: dict[str, list[list[float]]], name: str, base: str) -> str:
    """Say the median seconds of one, and how many times those of the base: wall and CPU."""
    pairs = zip(taken[name], taken[base], strict=True)
    wall, cpu = zip(*((a / b for a, b in zip(*pair, strict=True)) for pair in pairs), strict=True)
    seconds = statistics.median(wall for wall, _ in taken[name])
    return f"{seconds:.2f} s, {statistics.median(wall):.2f}x {base} (CPU {statistics.median(cpu):.2f}x)"


def alone(side: str, path: str) -> float:
    """Return the peak megabytes of a process that does nothing else."""
    command = [sys.executable, "-W", "ignore", __file__, "--side", side, path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def beside_others(n_events: int, folder: Path) -> None:
    for kind, columns in KINDS.items():
        path = write_events(folder / "events.parquet", n_events, columns)
        peaks = {side: alone(side, path) for side in SIDES}
        found = {side: work(path) for side, work in SIDES.items()}
        assert all(one == found[OURS] for side, one in found.items() if side != "chdb"), found
        assert all(  # it counts in seconds
            abs(a - b) <= 1e-4 * b for a, b in zip(found["chdb"], found[OURS], strict=True)
        ), found
        taken = race({side: partial(work, path) for side, work in SIDES.items()})
        print(f"four steps in {DAYS} days, {n_events:,} events in Parquet, {kind}: {found['chdb']}")
        for side in SIDES:
            print(f"  {side:18} {against(taken, side, 'chdb')}, peak {peaks[side]:,.0f} MB")
    print(f"  ours: at most {MOST}x chdb, {MOST_MEGABYTES} MB")


def growth(n_events: int, folder: Path) -> None:
    """Ours at a tenth, at this size, and at five times as many events."""
    for size in (n_events // 10, n_events, n_events * 5):
        path = write_events(folder / f"{size}.parquet", size)
        taken = race({"chdb": partial(in_chdb, path), OURS: partial(trusted, path)}, 3)
        print(
            f"  {size:,} events: {against(taken, OURS, 'chdb')}, peak {alone(OURS, path):,.0f} MB"
        )


def answers() -> dict[str, Callable[[str], object]]:
    """Name every other answer about events, by default settings."""
    import cxlib as cx

    given = {"steps": STEPS, "window": f"{DAYS} days", "as_of": AS_OF}
    return {
        "funnel": lambda path: cx.funnel(path, **given),
        "funnel_trend by day, 30 days": lambda path: cx.funnel_trend(
            path, **given | {"window": "30 days"}, period="day"
        ),
        "time_to_convert": lambda path: cx.time_to_convert(path, **given),
        "transitions": lambda path: cx.transitions(path, as_of=AS_OF),
        "step_matrix": lambda path: cx.step_matrix(path, as_of=AS_OF),
        "top_paths": lambda path: cx.top_paths(path, start="view", end="purchase", as_of=AS_OF),
        "touches": lambda path: cx.touches(path, purchase="purchase", as_of=AS_OF),
    }


def all_answers(n_events: int, folder: Path) -> None:
    """Each answer at a tenth and at this size: ten times is linear."""
    import ibis

    ibis.get_backend().raw_sql("set threads = 2")
    sizes = (n_events // 10, n_events)
    paths = [write_events(folder / f"all_{size}.parquet", size, VISITS) for size in sizes]
    for name, answer in answers().items():
        small, large = (
            statistics.median(wall for wall, _ in race({name: partial(answer, path)}, 3)[name])
            for path in paths
        )
        print(f"  {name:28} {large:.2f} s, {large / small:.1f}x those of a tenth")


def busy_user(n_events: int, folder: Path) -> None:
    """One user with 200,000 events, against none."""
    plain = write_events(folder / "plain.parquet", n_events)
    bot = write_events(folder / "bot.parquet", n_events, bot=200_000)
    taken = race({"none": partial(trusted, plain), "one busy user": partial(trusted, bot)})
    print(f"  one user with 200,000 events: {against(taken, 'one busy user', 'none')}")


def main(n_events: int = EVENTS) -> None:
    with tempfile.TemporaryDirectory() as folder:
        beside_others(n_events, Path(folder))
        busy_user(n_events // 10, Path(folder))
        growth(n_events, Path(folder))
        all_answers(n_events, Path(folder))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--side"]:
        SIDES[sys.argv[2]](sys.argv[3])
        print(json.dumps(peak_megabytes()))
    else:
        main(*map(int, sys.argv[1:]))
