"""Experiments beside a bare DuckDB query of the sums, tea-tasting and statsmodels.

Run as ``python tests/bench/experiment.py [units]``; tea-tasting comes with ``pip install -e
'.[bench]'``. All sides read the same Parquet file. Time: in one process, after each side has worked
through a small file so that none pays for its imports, they run in turn, `ROUNDS` times; the ratio
to the bare query is the median over rounds, in which a disturbed machine disturbs both. Memory: the
peak of each side in a process of its own, once.
"""

from __future__ import annotations

import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
from memory import peak_megabytes

UNITS, WIDE_UNITS, WIDE_METRICS, ROUNDS = 10_000_000, 2_000_000, 20, 9
MOST = {"one": 1.2, "twenty": 1.3}  # times a bare query
MOST_MEGABYTES = 600
PAIRS = {
    "one": [("revenue", "revenue_before")],
    "twenty": [(f"y{k}", f"x{k}") for k in range(WIDE_METRICS)],
}


def bare(path: str, task: str) -> float:
    """Ask DuckDB for the sums and counts alone."""
    sums = ["count(*)", *(["count(converted)", "sum(converted)"] if task == "one" else [])]
    for y, x in PAIRS[task]:
        sums += [f"count({y})", f"count({x})", f"sum({y})", f"sum({x})"]
        sums += [f"sum({y} * {y})", f"sum({y} * {x})", f"sum({x} * {x})"]
    query = f"select variant, {', '.join(sums)} from '{path}' group by variant order by variant"
    (_, n_control, *control), (_, n, *new) = duckdb.connect().execute(query).fetchall()
    return float(new[-5] / n - control[-5] / n_control)  # of plain means


def ours(path: str, task: str) -> float:
    import cxlib as cx

    metrics: list[Any] = [cx.Mean(y, before=x) for y, x in PAIRS[task]]
    if task == "one":
        metrics = [cx.Conversion("converted"), *metrics]
    result = cx.experiment(path, variant="variant", control="control", metrics=metrics)
    return float(result.table["difference"].iloc[-1])


def tea_tasting(path: str, task: str) -> float:
    import ibis
    import tea_tasting as tt

    metrics: dict[str, Any] = {y: tt.Mean(y, x) for y, x in PAIRS[task]}
    if task == "one":
        metrics = {"converted": tt.Mean("converted"), **metrics}
    table = ibis.duckdb.connect().read_parquet(path)
    result = tt.Experiment(metrics, variant="variant").analyze(table, control="control")
    return float(result[PAIRS[task][-1][0]].effect_size)


def statsmodels(path: str, task: str) -> float:
    import pandas as pd
    from statsmodels.api import OLS, add_constant
    from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

    columns = [name for pair in PAIRS[task] for name in pair]
    frame = pd.read_parquet(path, columns=["variant", *columns, *["converted"] * (task == "one")])
    new = (frame["variant"] == "new").astype(float)
    if task == "one":
        counts, sizes = frame.groupby("variant")["converted"].agg(["sum", "count"]).to_numpy().T
        proportions_ztest(counts, sizes)
        confint_proportions_2indep(counts[1], sizes[1], counts[0], sizes[0], method="score")
    for y, x in PAIRS[task]:
        design = add_constant(pd.DataFrame({"new": new, "before": frame[x]}))
        fit = OLS(frame[y], design).fit()
        fit.conf_int()
    return float(fit.params["new"])


SIDES: dict[str, Callable[[str, str], float]] = {
    "bare": bare,
    "ours": ours,
    "tea-tasting": tea_tasting,
    "statsmodels": statsmodels,
}


def race(sides: list[str], small: str, path: str, task: str) -> dict[str, list[float]]:
    """Return each side's seconds, in turn; statsmodels runs once, for it takes its time."""
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for side in sides:
        SIDES[side](small, task)
    for turn in range(ROUNDS):
        for side in sides:
            if side != "statsmodels" or not turn:
                start = time.perf_counter()
                SIDES[side](path, task)
                seconds[side].append(time.perf_counter() - start)
    return seconds


def work(side: str, path: str, task: str) -> None:
    """Print the answer and the peak megabytes of this process."""
    answer = SIDES[side](path, task)
    print(json.dumps({"megabytes": peak_megabytes(), "answer": answer}))


def alone(side: str, path: str, task: str) -> dict[str, float]:
    """Return what `work` prints, in a process of its own."""
    command = [sys.executable, "-W", "ignore", __file__, "--side", side, path, task]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def write(path: Path, task: str, n: int) -> str:
    """Write a trial whose covariates explain half of their metrics."""
    columns = "".join(
        f", {x} + 10 * random() + (variant = 'new')::int * 0.01 as {y}, {x}" for y, x in PAIRS[task]
    )
    covariates = ", ".join(f"10 * random() as {x}" for _, x in PAIRS[task])
    duckdb.execute(
        f"copy (select variant, (random() < 0.1)::int as converted{columns} from (select "
        "case when random() < 0.5 then 'control' else 'new' end as variant, "
        f"{covariates} from range({n}))) to '{path}' (format parquet)"
    )
    return str(path)


def compare(task: str, n: int, sides: list[str], folder: Path) -> None:
    """Print one line for each side, and whether ours keeps its bounds."""
    small, path = (write(folder / f"{task}-{size}.parquet", task, size) for size in (20_000, n))
    what = "a conversion and a CUPED mean" if task == "one" else f"{WIDE_METRICS} CUPED means"
    print(f"{what} on {n:,} units in Parquet, {ROUNDS} rounds")
    peaks = {side: alone(side, path, task) for side in sides}  # first: a child counts its parent's
    seconds = race(sides, small, path, task)
    for side, found in peaks.items():
        pairs = zip(seconds[side], seconds["bare"], strict=False)
        ratio = statistics.median(own / least for own, least in pairs)
        print(
            f"  {side:12} {min(seconds[side]):7.3f} s at best, {ratio:6.2f} x bare, peak "
            f"{found['megabytes']:6,.0f} MB, last difference {found['answer']:.6f}"
        )
    print(f"  ours: at most {MOST[task]} x bare, {MOST_MEGABYTES} MB")


def main(n: int = UNITS) -> None:
    sides = [side for side in SIDES if side != "tea-tasting" or has_tea_tasting()]
    with tempfile.TemporaryDirectory() as folder:
        compare("one", n, sides, Path(folder))
        compare("twenty", min(n, WIDE_UNITS), sides[:-1], Path(folder))


def has_tea_tasting() -> bool:
    found = importlib.util.find_spec("tea_tasting") is not None
    if not found:
        print("tea-tasting is not here; pip install -e '.[bench]' puts it beside")
    return found


if __name__ == "__main__":
    if sys.argv[1:2] == ["--side"]:
        work(*sys.argv[2:])
    else:
        main(*(int(size) for size in sys.argv[1:2]))
