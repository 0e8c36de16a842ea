"""Who stands out in a table, and who stands in one table but not in another."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib._checks import ParameterError, check_columns, check_number
from cxlib._published import of_single_persons
from cxlib.clean.freshness import contract_of, up_to
from cxlib.sources import Source, as_table


def busiest(data: Source, *, as_of: str | dt.date | None = None, n: int = 10) -> pd.DataFrame:
    """List who has most rows: bots, staff, resellers and shared accounts show here first.

    Parameters
    ----------
    data : Cleaned or any table source
        Orders, events, exposures or responses: the table is known by its time column.
    as_of : date or str, optional
        The last observed day, included.
    n : int, default 10
        How many to list.

    Returns
    -------
    pandas.DataFrame
        One row each, the busiest first: the id (``customer_id`` or ``user_id``), ``n_rows``,
        ``rows_share`` (of the table), ``times_median`` (against the median person), ``n_days``
        (days with rows), ``most_rows_in_a_day``, and for orders ``net_revenue`` and
        ``revenue_share``. Nobody is dropped; ``exclude=`` in cleaning does that.

    Raises
    ------
    ParameterError
        ``n`` is no whole number above 0, or the table has no known time column.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> events = pd.DataFrame({"user_id": ["bot"] * 8 + ["u1", "u2"], "event": "view",
    ...                        "occurred_at": pd.Timestamp("2024-05-01")})
    >>> cx.busiest(events, n=1)[["user_id", "n_rows", "rows_share", "times_median"]].values.tolist()
    [['bot', 8, 0.8, 8.0]]
    """
    check_number("n", n, 1)
    table = as_table(data)
    contract = contract_of(table.columns)
    check_columns(contract.name, table.columns, [contract.who])
    table = up_to(table, as_of)
    has_money = "net_revenue" in table.columns
    money = {"net_revenue": table["net_revenue"].sum()} if has_money else {}
    days = table.group_by([contract.who, table[contract.when].date().name("day")]).aggregate(
        rows=table.count(), **money
    )
    sums = {"net_revenue": days["net_revenue"].sum()} if has_money else {}
    people = days.group_by(contract.who).aggregate(
        n_rows=days["rows"].sum(),
        n_days=days.count(),
        most_rows_in_a_day=days["rows"].max(),
        **sums,
    )
    people = people.filter(people[contract.who].notnull()).cache()
    asked = {"rows": people["n_rows"].sum(), "median": people["n_rows"].median()}
    if has_money:
        asked["revenue"] = people["net_revenue"].sum()
    whole = people.aggregate(**asked).execute().iloc[0]
    top = people.order_by(ibis.desc("n_rows"), contract.who).limit(int(n)).execute()
    top.insert(2, "rows_share", top["n_rows"] / whole["rows"] if len(top) else 0.0)
    top.insert(3, "times_median", top["n_rows"] / whole["median"] if len(top) else 0.0)
    if has_money:
        top["revenue_share"] = top["net_revenue"] / whole["revenue"] if whole["revenue"] else 0.0
    return of_single_persons(top)


def orphans(a: Source, b: Source, *, on: str | Mapping[str, str]) -> pd.DataFrame:
    """Count ids that stand in one of two tables and not in the other.

    Parameters
    ----------
    a, b : Cleaned or any table source
        Orders and events, exposures and orders, …; both in one engine.
    on : str or dict
        The column of ids, or ``{"customer_id": "user_id"}`` where ``a`` and ``b`` name it
        differently.

    Returns
    -------
    pandas.DataFrame
        Two rows, ``a`` and ``b``: ``table``, ``column``, ``n_ids`` (distinct), ``n_orphans`` (not
        in the other), ``orphans_share``, ``n_rows``, ``n_orphan_rows``, ``orphan_rows_share``, and
        ``n_nearly``: orphans that the other table holds in another spelling (capitals, blanks,
        leading zeros, a ``.0``). Rows without an id are left out.

    Raises
    ------
    ColumnError
        A table has no such column.
    ParameterError
        ``on`` names more or less than one pair.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> orders = pd.DataFrame({"customer_id": ["007", "12", "12"]})
    >>> events = pd.DataFrame({"user_id": ["7", "12"]})
    >>> table = cx.orphans(orders, events, on={"customer_id": "user_id"})
    >>> table[["table", "n_ids", "n_orphans", "n_orphan_rows", "n_nearly"]].values.tolist()
    [['a', 2, 1, 1, 1], ['b', 2, 1, 1, 1]]
    """
    pair = [(on, on)] if isinstance(on, str) else list(on.items())
    if len(pair) != 1:
        raise ParameterError(f"on={on!r} names {len(pair)} pairs of columns; give one")
    left, right = pair[0]
    one, two = (_ids(as_table(table), name) for table, name in ((a, left), (b, right)))
    answers = [
        {"table": "a", "column": left, **_orphans_of(one, two)},
        {"table": "b", "column": right, **_orphans_of(two, one)},
    ]
    found = pd.DataFrame(answers)
    found.insert(4, "orphans_share", found["n_orphans"] / found["n_ids"])
    found.insert(7, "orphan_rows_share", found["n_orphan_rows"] / found["n_rows"])
    return found


def _ids(table: ir.Table, name: str) -> ir.Table:
    """Return the distinct ids, how many rows each has, and how it is spelled at its plainest."""
    check_columns("orphans", table.columns, [name], optional="")
    rows = table.select(id=table[name].cast("string"))
    rows = rows.filter(rows["id"].notnull())
    ids = rows.group_by("id").aggregate(rows=rows.count())
    plain = ids["id"].strip().lower().re_replace(r"\.0$", "").re_replace("^0+", "")
    return ids.mutate(plain=plain)


def _orphans_of(ids: ir.Table, others: ir.Table) -> dict[str, int]:
    spelled = others.select("plain").distinct()
    there = ids.left_join(others.select(other="id"), ids["id"] == others["id"])
    there = there.mutate(alone=there["other"].isnull())
    near = there.left_join(spelled, "plain")
    alone = near["alone"]
    found = near.aggregate(
        n_ids=near.count(),
        n_orphans=alone.sum().fill_null(0),
        n_rows=near["rows"].sum().fill_null(0),
        n_orphan_rows=near["rows"].sum(where=alone).fill_null(0),
        n_nearly=(alone & near["plain_right"].notnull()).sum().fill_null(0),
    )
    return {name: int(value) for name, value in found.execute().iloc[0].items()}
