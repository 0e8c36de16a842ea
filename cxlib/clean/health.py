"""Is this data fit to be analysed? Volume over time, and how full each column is."""

from __future__ import annotations

import datetime as dt

import ibis
import pandas as pd

from cxlib._checks import DataError, check_choice, check_date
from cxlib.clean.freshness import contract_of, up_to
from cxlib.sources import Raw, Source, as_table, reading

STEPS = {"day": "D", "week": "W-MON", "month": "MS"}


def activity(data: Source, *, as_of: str | dt.date, period: str = "week") -> pd.DataFrame:
    """Count rows and people per period: gaps, breaks and a missing end show here first.

    Parameters
    ----------
    data : Cleaned or any table source
        Orders, events, exposures or responses: the table is known by its time column.
    as_of : date or str
        The last observed day, included; later rows are left out.
    period : {"week", "day", "month"}, default "week"
        Weeks start on Monday.

    Returns
    -------
    pandas.DataFrame
        One row per period from the first row's to that of ``as_of``, empty periods with zeros:
        ``period`` (its first day), ``n_rows``, ``n_people``, ``net_revenue`` (orders only), and
        ``is_complete`` (False while ``as_of`` lies inside the period).

    Raises
    ------
    DataError
        There are no rows by ``as_of``.
    ParameterError
        The period is unknown, or the table has no known time column.

    See Also
    --------
    cxlib.plot.activity

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> orders = pd.DataFrame({"order_id": ["1", "2"], "customer_id": ["ann", "bob"],
    ...     "ordered_at": pd.to_datetime(["2024-01-01", "2024-01-16"]), "net_revenue": [20.0, 35.0]})
    >>> cx.activity(orders, as_of="2024-01-21")["n_rows"].tolist()
    [1, 0, 1]
    """
    check_choice("period", period, STEPS)
    last = check_date("as_of", as_of)
    table = as_table(data)
    contract = contract_of(table.columns)
    rows = table.filter(table[contract.when].date() <= ibis.literal(last))
    rows = rows.mutate(period=rows[contract.when].truncate(period[0].upper()))
    money = {"net_revenue": rows["net_revenue"].sum()} if "net_revenue" in rows.columns else {}
    counts = rows.group_by("period").aggregate(
        n_rows=rows.count(), n_people=rows[contract.who].nunique(), **money
    )
    with reading(data.name if isinstance(data, Raw) else "table"):
        found = counts.execute().set_index("period").sort_index()
    if found.empty:
        raise DataError(f"{contract.name}: no rows by as_of={last}; give a later as_of")
    index = pd.date_range(found.index[0], last, freq=STEPS[period], name="period")
    filled = found.reindex(index, fill_value=0).reset_index()
    following = pd.DatetimeIndex(filled["period"]) + pd.tseries.frequencies.to_offset(STEPS[period])
    return filled.assign(is_complete=following <= pd.Timestamp(last) + pd.Timedelta(days=1))


def completeness(data: Source, *, as_of: str | dt.date | None = None) -> pd.DataFrame:
    """Say how full each column is, and how many different values it holds.

    Parameters
    ----------
    data : Raw, Cleaned or any table source
        Any table; it is counted in its engine, in one pass.
    as_of : date or str, optional
        The last observed day, included; later rows are left out. Needs a known time column.

    Returns
    -------
    pandas.DataFrame
        One row per column: ``column``, ``filled`` (share of rows that are not null or blank),
        ``n_distinct``. Without rows ``filled`` is null.

    Raises
    ------
    ParameterError
        ``as_of`` is given, and the table has no known time column.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> cx.completeness(pd.DataFrame({"a": ["x", None], "b": ["y", ""]}))["filled"].tolist()
    [0.5, 0.5]
    """
    table = up_to(as_table(data), as_of)
    columns = [table[name] for name in table.columns]
    asked = {}
    for place, column in enumerate(columns):
        filled = column.notnull()
        if column.type().is_string():
            filled = filled & (column.strip() != "")
        asked[f"filled_{place}"] = filled.mean()
        asked[f"distinct_{place}"] = column.nunique()
    with reading(data.name if isinstance(data, Raw) else "table"):
        counted = table.aggregate(**asked).execute().iloc[0]
    return pd.DataFrame(
        {
            "column": list(table.columns),
            "filled": [float(counted[f"filled_{place}"]) for place in range(len(columns))],
            "n_distinct": [int(counted[f"distinct_{place}"]) for place in range(len(columns))],
        }
    )
