"""Cleaning an export of invoice lines, beside plain DuckDB SQL and pandas that do the same.

Run as ``python tests/bench/clean.py [lines]``: the lines as CSV and as Parquet become one row per
order and the account of what was lost. All sides must give the same answer. Each works in a
process of its own, in turn, `ROUNDS` times, and has first cleaned a small export, so that nobody
pays for imports; pandas works on a tenth of the lines, once. DuckDB has two threads and the memory
limit of `LIMIT` on both sides.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memory import peak_megabytes

LINES, SMALL, ROUNDS = 10_000_000, 1_000, 3
MOST, MOST_MEGABYTES, LIMIT = 1.5, 2_000, "1500MB"
KINDS = ("csv", "parquet")
POSTAGE = (
    *("POST", "DOT", "M", "m", "C2", "D", "S", "B", "AMAZONFEE", "BANK CHARGES", "CRUK", "PADS"),
)
GIFTS = "gift_"
EXPORT = """
    with bought as (
        select i, i // 20 as n, hash(i // 20) as who, hash(i) as what from range({lines}) as t(i)
    ), line as (
        select i, (536365 + n)::varchar as invoice,
            case when what % 100 = 0 then 'POST' else (10000 + what % 4000)::varchar end as item,
            (1 + what % 12)::int as quantity,
            timestamp '2023-01-01' + to_minutes((n * 1051200 / ({lines} / 20.0))::bigint) as placed,
            0.25 + (what % 4000 % 1999) / 100 as price,
            case when who % 4 > 0 then (12000 + who % ({lines} // 200 + 7))::varchar end as customer,
            ['United Kingdom', 'Germany', 'France'][(1 + who % 3)::int] as country
        from bought
    ), given_back as (
        select * replace ('C' || invoice as invoice, -quantity as quantity, placed + interval 3 day as placed)
        from line where hash(i + 1) % 40 = 0
    ), of_others as (
        select * replace ('C9' || invoice as invoice, -quantity as quantity, placed - interval 900 day as placed)
        from line where hash(i + 2) % 500 = 0
    ), books as (
        select * replace ('A' || invoice as invoice, 'B' as item, -price as price)
        from line where hash(i + 3) % 100000 = 0
    ), again as (select * from line where hash(i + 4) % 100 = 0)
    select invoice as "InvoiceNo", item as "StockCode", 'WHITE HANGING HEART No. ' || item as "Description",
        quantity as "Quantity", placed as "InvoiceDate", round(price, 2) as "UnitPrice",
        customer as "CustomerID", country as "Country"
    from (from line union all from given_back union all from of_others union all from books
        union all from again)
"""


def write_export(folder: Path, lines: int) -> dict[str, str]:
    """Write an export with guests, postage, refunds of both kinds, corrections and copies."""
    import duckdb

    paths = {kind: str(folder / f"{lines}.{kind}") for kind in KINDS}
    duckdb.sql(f"copy ({EXPORT.format(lines=lines)}) to '{paths['parquet']}' (format parquet)")
    duckdb.sql(f"copy (from '{paths['parquet']}') to '{paths['csv']}' (format csv)")
    return paths


def ours(path: str) -> dict[str, Any]:
    import cxlib as cx

    cx.set_engine(threads=2, memory_limit=LIMIT)
    cleaned = cx.clean_orders(cx.read(path), timezone="Europe/London", max_loss=1)
    table = cleaned.table
    orders = table.aggregate(n=table.count(), net=table["net_revenue"].sum()).execute().iloc[0]
    losses = {one.rule: [one.rows, one.revenue] for one in cleaned.losses.itertuples()}
    return {"orders": [*map(float, orders)], "rows": cleaned.raw_rows, **losses}


UNSEEN = "\\s\u00a0\u202f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff"


def _text(name: str) -> str:
    """Trim what is not seen, where there is any; blank is null."""
    seen = f"regexp_replace({name}, '^[{UNSEEN}]+|[{UNSEEN}]+$', '', 'g')"
    is_odd = f"regexp_matches({name}, '^\\s|\\s$|[^ -~]')"
    return f"nullif(case when {is_odd} then {seen} else {name} end, '')"


def _id(name: str) -> str:
    return f"regexp_replace({_text(name)}, '^(\\d+)\\.0$', '\\1')"


TYPED = f"""
    create or replace temp table typed as
    select order_id, customer_id, item_id, country, placed, quantity, price, unread, odd, other,
        count(*) as copies
    from (
        select {_id('"InvoiceNo"')} as order_id, {_id('"CustomerID"')} as customer_id,
            {_text('"StockCode"')} as item_id, {_text('"Country"')} as country,
            try_cast("InvoiceDate" as timestamp) as placed,
            try_cast("Quantity" as double) as quantity,
            try_cast("UnitPrice" as double) as price,
            (placed is null and trim("InvoiceDate"::varchar) <> '')
                or (quantity is null and trim("Quantity"::varchar) <> '')
                or (price is null and trim("UnitPrice"::varchar) <> '') as unread,
            regexp_matches(concat("InvoiceNo", "CustomerID", "StockCode", "Country"), '[^ -~]') as odd,
            hash("Description") as other
        from SOURCE
    ) group by all
"""
CHECKED = "select sum(copies), count(*) filter (unread), count(*) filter (odd) from typed"
LINED = f"""
    create or replace temp view lines as
    select * exclude (quantity, price), quantity * price as revenue,
        coalesce(quantity < 0 or order_id like 'C%', false) as is_refund,
        case when order_id is null then 'no_order_id' when order_id like 'A%' then 'adjustment'
            when item_id in {POSTAGE} or item_id like '{GIFTS}%' then 'not_a_product'
            when quantity * price is null then 'no_amount' end as rule
    from typed
"""
ORDERED = """
    create or replace temp table orders as
    with bought as (
        select customer_id, item_id, placed, max(order_id) as order_id from lines
        where not is_refund and rule is null and customer_id is not null group by all
    ), refunds as (
        select r.* replace (coalesce(b.order_id, r.order_id) as order_id,
            case when b.order_id is null then 'refund_unmatched' end as rule)
        from (from lines where is_refund and rule is null and customer_id is not null) as r
        asof left join bought as b using (customer_id, item_id, placed)
    ), all_lines as (
        from lines where not is_refund or rule is not null or customer_id is null
        union all by name from refunds
    ), grouped as (
        select order_id, rule, count(*) as n_rows,
            coalesce(max(customer_id) filter (not is_refund), max(customer_id)) as customer_id,
            coalesce(min(placed) filter (not is_refund), min(placed)) as placed,
            max(country) filter (not is_refund) as country,
            sum(revenue) as net, coalesce(sum(revenue) filter (is_refund), 0) as refunds,
            count(*) filter (not is_refund) as n_lines, count(*) filter (is_refund) as n_refunds,
            sum(copies - 1) as again, sum(revenue * (copies - 1)) as again_revenue
        from all_lines group by order_id, rule
    )
    select * replace (coalesce(rule, case when customer_id is null then 'no_customer'
        when n_lines = 0 and refunds < 0 then 'refund_unmatched' when n_lines = 0 then 'no_amount'
        when placed is null then 'no_time'
        when year(placed) not between 1970 and 2100 then 'odd_time'
        when refunds < 0 and net < 1e-6 then 'refunded_in_full'
        when refunds = 0 and net < -1e-6 then 'negative_total' end) as rule)
    from grouped
"""
ACCOUNT = """
    select rule, sum(n_rows), sum(net), sum(again), sum(again_revenue), count(*),
        sum(n_refunds), sum(refunds) from orders group by rule
"""


def sql(path: str) -> dict[str, Any]:
    """As an engineer writes it who knows the engine and the export."""
    import duckdb

    duckdb.execute(f"set threads = 2; set memory_limit = '{LIMIT}'")
    source = f"read_csv('{path}', all_varchar = true)" if path.endswith("csv") else f"'{path}'"
    duckdb.execute(TYPED.replace("SOURCE", source))
    rows, unread, _ = duckdb.execute(CHECKED).fetchone() or (0, 0, 0)
    assert not unread
    duckdb.execute(LINED)
    duckdb.execute(ORDERED)
    found = duckdb.execute(ACCOUNT).fetchall()
    kept = next(one for one in found if one[0] is None)
    again = [sum(one[3] for one in found), sum(one[4] for one in found)]
    losses = {one[0]: [one[1], one[2]] for one in found if one[0] is not None}
    return {"orders": [kept[5], kept[2]], "rows": int(rows), "duplicate_row": again, **losses}


def in_pandas(path: str) -> dict[str, Any]:
    """The same on frames; ids are trimmed, and nothing is said of what may be odd in them."""
    import numpy as np
    import pandas as pd

    ids = {"InvoiceNo": str, "StockCode": str, "CustomerID": str}
    is_csv = path.endswith("csv")
    raw = (
        pd.read_csv(path, dtype=ids, parse_dates=["InvoiceDate"])
        if is_csv
        else pd.read_parquet(path)
    )
    names = ["order_id", "item_id", "name", "quantity", "placed", "price", "customer_id", "country"]
    raw.columns = pd.Index(names)
    for name in ("order_id", "item_id", "customer_id", "country"):
        raw[name] = raw[name].str.strip().replace("", None)
    raw["revenue"] = raw["quantity"] * raw["price"]
    again = raw.duplicated()
    copies = [int(again.sum()), raw.loc[again, "revenue"].sum()]
    lines = raw.loc[~again].drop(columns=["name", "quantity", "price"])
    is_refund = (raw.loc[~again, "quantity"] < 0) | lines["order_id"].str.startswith("C")
    lines["is_refund"], item = is_refund.fillna(False), lines["item_id"]
    lines["rule"] = np.select(
        [
            lines["order_id"].isna(),
            lines["order_id"].str.startswith("A").fillna(False),
            item.isin(POSTAGE) | item.str.startswith(GIFTS).fillna(False),
            lines["revenue"].isna(),
        ],
        ["no_order_id", "adjustment", "not_a_product", "no_amount"],
        "",
    )
    open_ = (lines["rule"] == "") & lines["customer_id"].notna()
    who = ["customer_id", "item_id"]
    bought = lines[open_ & ~lines["is_refund"]].groupby([*who, "placed"])["order_id"].max()
    refunds = lines[open_ & lines["is_refund"]].sort_values("placed")
    found = pd.merge_asof(
        refunds.drop(columns="order_id"),
        bought.reset_index().sort_values("placed"),
        on="placed",
        by=who,
        direction="backward",
    )
    found.loc[found["order_id"].isna(), "rule"] = "refund_unmatched"
    found["order_id"] = found["order_id"].fillna(refunds["order_id"].reset_index(drop=True))
    lines = pd.concat([lines.drop(refunds.index), found])
    lines["refund"] = lines["revenue"].where(lines["is_refund"], 0.0)
    lines["of_order"] = ~lines["is_refund"]
    orders = lines.groupby(["order_id", "rule"], as_index=False, dropna=False).agg(
        n_rows=("of_order", "size"), customer_id=("customer_id", "max"), placed=("placed", "min"),
        net=("revenue", "sum"), refunds=("refund", "sum"), n_lines=("of_order", "sum"),
        country=("country", "max"),
    )  # fmt: skip
    has_refund, has_line = orders["refunds"] < 0, orders["n_lines"] > 0
    orders["rule"] = np.select(
        [
            orders["rule"] != "",
            orders["customer_id"].isna(),
            ~has_line & has_refund,
            ~has_line,
            orders["placed"].isna(),
            ~orders["placed"].dt.year.between(1970, 2100),
            has_refund & (orders["net"] < 1e-6),
            ~has_refund & (orders["net"] < -1e-6),
        ],
        [
            orders["rule"], "no_customer", "refund_unmatched", "no_amount", "no_time", "odd_time",
            "refunded_in_full", "negative_total",
        ],
        "",
    )  # fmt: skip
    sums = orders.groupby("rule").agg(rows=("n_rows", "sum"), net=("net", "sum"), n=("net", "size"))
    kept = sums.loc[""]
    losses = {str(one.Index): [one.rows, one.net] for one in sums.drop("").itertuples()}
    return {
        "orders": [kept["n"], kept["net"]], "rows": len(raw), "duplicate_row": copies, **losses,
    }  # fmt: skip


SIDES: dict[str, Callable[[str], dict[str, Any]]] = {"ours": ours, "sql": sql, "pandas": in_pandas}


def measured(side: str, small: str, path: str) -> dict[str, Any]:
    """Return seconds, peak megabytes and answers of one side, in a process of its own."""
    command = [sys.executable, "-W", "ignore", __file__, "--side", side, small, path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def work(side: str, small: str, path: str) -> None:
    SIDES[side](small)
    wall, cpu = time.perf_counter(), time.process_time()
    answers = SIDES[side](path)
    found = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    print(json.dumps({**found, "megabytes": peak_megabytes(), "answers": answers}, default=float))


def alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Say whether two sides tell the same rows, and the same money but for the order of sums."""
    if one.keys() != other.keys():
        return False
    pairs = [
        (a, b) for name in one for a, b in zip(*map(_listed, (one[name], other[name])), strict=True)
    ]
    return all(abs(a - b) <= 1e-9 * max(abs(a), abs(b), 1) for a, b in pairs)


def _listed(value: Any) -> list[float]:
    return value if isinstance(value, list) else [value]


def against_sql(small: str, path: str, kind: str) -> None:
    runs = [{side: measured(side, small, path) for side in ("sql", "ours")} for _ in range(ROUNDS)]
    assert all(alike(run["ours"]["answers"], run["sql"]["answers"]) for run in runs), runs[0]

    def middle(side: str, what: str) -> float:
        return statistics.median(run[side][what] for run in runs)

    def ratio(what: str) -> float:
        return statistics.median(run["ours"][what] / run["sql"][what] for run in runs)

    n_orders, rows = runs[0]["ours"]["answers"]["orders"][0], runs[0]["ours"]["answers"]["rows"]
    print(f"{rows:,} lines of {kind} to {n_orders:,.0f} orders and the account of losses")
    for side in ("sql", "ours"):
        said = f"{middle(side, 'seconds'):.1f} s, CPU {middle(side, 'cpu'):.1f} s"
        print(f"  {side:6} {said}, peak {middle(side, 'megabytes'):,.0f} MB")
    print(
        f"  ours: {ratio('seconds'):.2f}x SQL (CPU {ratio('cpu'):.2f}x); at most {MOST}x, "
        f"{MOST_MEGABYTES:,} MB",
        flush=True,
    )


def against_pandas(small: str, path: str, kind: str) -> None:
    runs = {side: measured(side, small, path) for side in ("pandas", "ours")}
    assert alike(runs["ours"]["answers"], runs["pandas"]["answers"]), runs
    rows = runs["ours"]["answers"]["rows"]
    cells = (
        f"{side} {one['seconds']:.1f} s, peak {one['megabytes']:,.0f} MB"
        for side, one in runs.items()
    )
    print(f"  {rows:,} lines of {kind}: {'; '.join(cells)}", flush=True)


def main(lines: int = LINES) -> None:
    with tempfile.TemporaryDirectory() as folder:
        small, tenth, whole = (write_export(Path(folder), n) for n in (SMALL, lines // 10, lines))
        for kind in KINDS:
            against_sql(small[kind], whole[kind], kind)
            against_pandas(small[kind], tenth[kind], kind)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--side"]:
        work(*sys.argv[2:])
    else:
        main(*map(int, sys.argv[1:]))
