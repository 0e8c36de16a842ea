"""Rows that two exports share: of each line only the copies of one file count."""

from __future__ import annotations

import datetime as dt

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.sources import SOURCE_FILE

LINE_KEY = ("order_id", "item_id", "quantity", "unit_price", "ordered_at")
MOST_ALIKE, FEWEST = 0.9, 5


def one_file_each(lines: ir.Table, *, by_line: bool) -> ir.Table:
    """Give rows of orders that stand in several files, all but one of each, ``overlapping_file``.

    A line is told by its order, item, quantity, price and time (``by_line``), or by the whole
    row. Lines that one file holds twice stay two; an order that two files hold in parts is
    put together.
    """
    files = lines.group_by("order_id").aggregate(_files=lines[SOURCE_FILE].nunique())
    shared = files.filter(files["_files"] > 1, files["order_id"].notnull())
    rest = lines.anti_join(shared, "order_id")
    lines = lines.semi_join(shared, "order_id")
    inner = {SOURCE_FILE, "_rule", "_belongs_to", "_bits", "_copies"}
    columns = [name for name in lines.columns if name not in inner]
    key = [name for name in LINE_KEY if name in columns] if by_line else columns
    others = [name for name in columns if name not in key]
    in_file = ibis.window(group_by=[*key, SOURCE_FILE], order_by=others or key)
    lines = lines.mutate(_again=ibis.row_number().over(in_file))
    in_all = ibis.window(group_by=[*key, "_again"], order_by=ibis.desc(SOURCE_FILE))
    lines = lines.mutate(_place=ibis.row_number().over(in_all))
    rule = ibis.ifelse(
        lines["_rule"].isnull() & (lines["_place"] > 0), "overlapping_file", lines["_rule"]
    )
    return lines.mutate(_rule=rule).drop("_again", "_place").union(rest)


def days_exported_twice(lines: ir.Table) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Return the note on days whose rows nearly all stand twice, and the first and last as examples.

    Nobody orders the same things twice all day long: two exports were joined before they came.
    """
    day = lines["ordered_at"].date()
    counts = lines.group_by(day=day).aggregate(
        lines=lines.count(),
        twice=(lines["_copies"] > 1).sum(),
        rows=(lines["_copies"] - 1).sum(),
        revenue=(lines["_revenue"] * (lines["_copies"] - 1)).sum().fill_null(0.0),
    )
    found = counts.filter(
        counts["day"].notnull(),
        counts["twice"] >= FEWEST,
        counts["twice"] >= MOST_ALIKE * counts["lines"],
    ).execute()
    if found.empty:
        return pd.DataFrame({"note": [], "rows": [], "revenue": []}), {}
    days: list[dt.date] = sorted(pd.to_datetime(found["day"]).dt.date)
    note = {
        "note": "overlap_suspected",
        "rows": found["rows"].sum(),
        "revenue": found["revenue"].sum(),
    }
    return pd.DataFrame([note]), {"overlap_suspected": [str(days[0]), str(days[-1])]}
