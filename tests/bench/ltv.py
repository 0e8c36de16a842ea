"""Lifetime value beside lifetimes: the same Parquet file, the same steps, time and peak memory.

Run as ``python tests/bench/ltv.py [customers ...]``; each side works in a process of its own,
in turn, three times. Before the clock starts each has worked through a shop of 500 customers, so
that neither pays for its imports; memory is told with these and without.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from memory import peak_megabytes

SIZES = (10_000, 100_000, 1_000_000)
AS_OF, MONTHS = "2024-12-31", 12
ROUNDS, MOST = 3, 300
"""Rounds of each row, and the seconds after which a side is ended."""


def ours(path: str, model: str) -> dict[str, float]:
    import cxlib as cx

    fit = cx.fit_ltv(path, as_of=AS_OF, horizon_days=30 * MONTHS, discount_rate=0, model=model)
    ltv = float(fit.customers(intervals=False)["ltv"].sum().to_pyarrow().as_py())
    return {**dict(zip(fit.table["parameter"], fit.table["value"], strict=True)), "ltv": ltv}


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


SIDES = {"ours": ours, "theirs": theirs}


def measured(side: str, *rest: str) -> dict[str, Any] | None:
    """Return what `work` prints, in a process of its own; None where it did not end in time."""
    command = [sys.executable, "-W", "ignore", __file__, "--side", side, *rest]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=MOST)
    except subprocess.TimeoutExpired:
        return None
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def work(side: str, small: str, path: str, model: str) -> None:
    """Print seconds, peak megabytes (in all, and over those of the small shop) and answers."""
    SIDES[side](small, "bgnbd")
    before = peak_megabytes()
    start = time.perf_counter()
    answers = SIDES[side](path, model)
    found = {"seconds": time.perf_counter() - start, "megabytes": peak_megabytes()}
    print(json.dumps({**found, "more": found["megabytes"] - before, "answers": answers}))


def shop(n_customers: int, folder: Path) -> str:
    """Simulate orders, in a process of its own so that its memory is given back."""
    path = folder / f"orders_{n_customers}.parquet"
    if not path.exists():
        code = (
            f"import cxlib as cx; cx.simulate.orders({n_customers}, start='2023-01-01', "
            f"as_of='{AS_OF}', seed=1).to_parquet({str(path)!r})"
        )
        subprocess.run([sys.executable, "-c", code], check=True)
    return str(path)


def row(n_customers: int, folder: Path, model: str = "bgnbd") -> str:
    rest = (shop(500, folder), shop(n_customers, folder), model)
    rounds = [[measured(side, *rest) for side in SIDES] for _ in range(ROUNDS)]
    runs = [(mine, peer) for mine, peer in rounds if mine is not None and peer is not None]
    cells = [model, f"{n_customers:,}"]
    if late := [
        side for place, side in enumerate(SIDES) if any(one[place] is None for one in rounds)
    ]:
        cells[0] += (
            f" ({' and '.join(late)} not done in {MOST} s in {ROUNDS - len(runs)} of {ROUNDS})"
        )
    if not runs:
        return f"| {' | '.join(cells)} |"
    for what, form in (("seconds", ".3f"), ("megabytes", ".0f"), ("more", ".0f")):
        mine, peer = (statistics.median(run[place][what] for run in runs) for place in (0, 1))
        ratio = f"{peer / mine:.1f}x" if what == "seconds" else f"{mine / peer:.2f}"
        cells += [f"{mine:{form}}", f"{peer:{form}}", ratio]
    mine, peer = (one["answers"] for one in runs[0])
    cells.append(f"{max(abs(mine[name] / peer[name] - 1) for name in peer):.1e}")
    return f"| {' | '.join(cells)} |"


def main(sizes: tuple[int, ...] = SIZES) -> None:
    print(
        "| model | customers | ours, s | lifetimes, s | faster | ours, MB | lifetimes, MB | ratio "
        "| ours, MB more | lifetimes, MB more | ratio | apart at most |"
    )
    print("|---" * 12 + "|")
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
