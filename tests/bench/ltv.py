"""Lifetime value beside lifetimes: the same Parquet file, the same steps, time and peak memory.

Run as ``python tests/bench/ltv.py [customers ...]``; each side works in a process of its own,
in turn, three times (once from a million customers on, where lifetimes takes minutes).
"""

from __future__ import annotations

import importlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIZES = (10_000, 100_000, 1_000_000)
AS_OF, MONTHS = "2024-12-31", 12


def ours(path: str, model: str) -> dict[str, float]:
    import cxlib as cx

    fit = cx.fit_ltv(path, as_of=AS_OF, horizon_days=30 * MONTHS, discount_rate=0, model=model)
    ltv = float(fit.customers(intervals=False)["ltv"].sum().execute())
    return {**fit.table.set_index("parameter")["value"].to_dict(), "ltv": ltv}


def theirs(path: str, model: str) -> dict[str, float]:
    import lifetimes
    import pandas as pd
    from lifetimes.utils import summary_data_from_transaction_data

    orders = pd.read_parquet(path)
    summary = summary_data_from_transaction_data(
        orders, "customer_id", "ordered_at", "net_revenue", observation_period_end=AS_OF
    )
    fitter = lifetimes.BetaGeoFitter() if model == "bgnbd" else lifetimes.ParetoNBDFitter()
    fitter.fit(summary["frequency"], summary["recency"], summary["T"])
    if model != "bgnbd":
        return dict(fitter.params_)
    again = summary[summary["frequency"] > 0]
    spend = lifetimes.GammaGammaFitter()
    spend.fit(again["frequency"], again["monetary_value"])
    value = spend.customer_lifetime_value(
        fitter, summary["frequency"], summary["recency"], summary["T"], summary["monetary_value"],
        time=MONTHS, discount_rate=0, freq="D",
    )  # fmt: skip
    return {**fitter.params_, **spend.params_, "ltv": float(value.sum())}


def measured(side: str, path: Path, model: str) -> tuple[float, float, dict[str, float]]:
    """Return seconds, peak megabytes and answers of one side, in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--side", side, str(path), model],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])
    return found["seconds"], found["megabytes"], found["answers"]


def work(side: str, path: str, model: str) -> None:
    """Do the work of one side, its imports done before the clock starts."""
    importlib.import_module("cxlib.ltv" if side == "ours" else "lifetimes.utils")
    start = time.perf_counter()
    answers = (ours if side == "ours" else theirs)(path, model)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps({"seconds": time.perf_counter() - start, "megabytes": peak, "answers": answers})
    )


def row(n_customers: int, folder: Path, model: str = "bgnbd") -> str:
    import cxlib as cx

    path = folder / f"orders_{n_customers}.parquet"
    if not path.exists():
        cx.simulate.orders(n_customers, start="2023-01-01", as_of=AS_OF, seed=1).to_parquet(path)
    times = 3 if n_customers < 1_000_000 else 1
    runs = [(measured("ours", path, model), measured("theirs", path, model)) for _ in range(times)]
    seconds = [statistics.median(run[side][0] for run in runs) for side in (0, 1)]
    megabytes = [statistics.median(run[side][1] for run in runs) for side in (0, 1)]
    mine, peer = runs[0][0][2], runs[0][1][2]
    apart = max(abs(mine[name] / peer[name] - 1) for name in peer)
    return (
        f"| {model} | {n_customers:,} | {seconds[0]:.2f} | {seconds[1]:.2f} | {seconds[1] / seconds[0]:.1f}x "
        f"| {megabytes[0]:.0f} | {megabytes[1]:.0f} | {megabytes[0] / megabytes[1]:.2f} | {apart:.1e} |"
    )


def main(sizes: tuple[int, ...] = SIZES) -> None:
    print(
        "| model | customers | ours, s | lifetimes, s | faster | ours, MB | lifetimes, MB | memory | apart at most |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for n_customers in sizes:
            print(row(n_customers, Path(folder)), flush=True)
        if 100_000 in sizes:
            print(row(100_000, Path(folder), "paretonbd"), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--side"]:
        work(*sys.argv[2:])
    else:
        main(tuple(map(int, sys.argv[1:])) or SIZES)
