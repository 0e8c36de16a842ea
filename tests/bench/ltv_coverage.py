"""Do 95 % intervals of lifetime value hold the truth in 95 % of shops? Prints a Markdown table.

Shops are simulated with known parameters over a year, and a year beyond. The truth of an
expectation is what the true parameters say of the very customers of the shop; the truth of
realised value is what they did spend in the year beyond, discounted to the day.

    python tests/bench/ltv_coverage.py [shops]
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import numpy as np
import pandas as pd

import cxlib as cx

START, AS_OF, END = "2023-01-01", "2023-12-31", "2024-12-30"
RATE = 0.10
TRUTHS = {
    "CDNOW": {
        "r": 0.243,
        "alpha": 30.898,
        "a": 0.793,
        "b": 2.426,
        "p": 6.25,
        "q": 3.74,
        "v": 15.44,
    },
    "loyal": {"r": 0.8, "alpha": 60.0, "a": 0.6, "b": 5.0, "p": 4.0, "q": 6.0, "v": 40.0},
}
SIZES = (300, 1000, 3000)


def one_shop(truth: dict[str, float], n_customers: int, seed: int) -> dict[str, bool]:
    """Return for each answer whether its interval holds the truth."""
    orders = cx.simulate.orders(
        n_customers, start=START, as_of=END, seed=seed, acquisition_days=330, **truth
    )
    fit = cx.fit_ltv(orders, as_of=AS_OF, discount_rate=RATE, seed=seed)
    right = replace(
        fit,
        _values={name: truth[name] for name in ("r", "alpha", "a", "b")},
        _spend={name: truth[name] for name in ("p", "q", "v")},
    )
    later = orders[orders["ordered_at"] >= pd.Timestamp(AS_OF) + pd.Timedelta(days=1)]
    days = (later["ordered_at"] - pd.Timestamp(AS_OF)).dt.total_seconds() / 86400 - 1
    spent = float((later["net_revenue"] * (1 + RATE) ** (-days / 365.25)).sum())
    total, true_total = fit.total().iloc[0], right.total(intervals=False).iloc[0]
    new, true_new = fit.new_customer().iloc[0], right.new_customer(intervals=False).iloc[0]

    def holds(row: pd.Series, name: str, truth: float) -> bool:
        return bool(row[f"{name}_low"] <= truth <= row[f"{name}_high"])

    return {
        "orders of the base": holds(total, "expected_orders", true_total["expected_orders"]),
        "value of the base": holds(total, "ltv", true_total["ltv"]),
        "realised value of the base": holds(total, "realised", spent),
        "value of a new customer": holds(new, "ltv", true_new["ltv"]),
    }


def main(shops: int) -> None:
    """Print one row for each truth and size."""
    answers: list[str] = []
    for name, truth in TRUTHS.items():
        for n_customers in SIZES:
            start = time.perf_counter()
            found = pd.DataFrame(
                [one_shop(truth, n_customers, 1_000_000 * n_customers + s) for s in range(shops)]
            )
            if not answers:
                answers = list(found.columns)
                print(f"| shop | customers | shops | {' | '.join(answers)} | seconds a shop |")
                print("|---|---:|---:|" + "---:|" * (len(answers) + 1))
            seconds = (time.perf_counter() - start) / shops
            cells = " | ".join(f"{found[answer].mean():.1%}" for answer in answers)
            print(f"| {name} | {n_customers:,} | {shops} | {cells} | {seconds:.1f} |", flush=True)
    error = 1.96 * np.sqrt(0.95 * 0.05 / shops)
    print(
        f"\nWith {shops} shops, a coverage of 95 % is seen as {0.95 - error:.1%} to {0.95 + error:.1%}."
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
