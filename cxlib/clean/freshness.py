"""Is the history whole to its end? Freshness, and days without rows against what chance gives."""

from __future__ import annotations

import datetime as dt
import math

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib._checks import DataError, ParameterError, check_date, listed
from cxlib.clean.silence import Quiet
from cxlib.sources import Source, as_table
from cxlib.tables import CONTRACTS, Contract, midnight_after

NEAR = 4
"""So many weeks before and after a day say what is usual on its day of the week."""
UNLIKELY = 0.001


def contract_of(columns: tuple[str, ...]) -> Contract:
    """Return the contract whose time column a table has.

    Raises
    ------
    ParameterError
        It has none of them.
    """
    known = [contract for contract in CONTRACTS.values() if contract.when in columns]
    if not known:
        times = listed(contract.when for contract in CONTRACTS.values())
        raise ParameterError(
            f"data has none of the time columns {times}; clean it first, or name the column in cx.read"
        )
    return known[0]


def up_to(table: ir.Table, as_of: str | dt.date | None) -> ir.Table:
    """Return the rows up to the end of ``as_of``; all of them where it is None."""
    if as_of is None:
        return table
    when = table[contract_of(table.columns).when]
    return table.filter(when < midnight_after(check_date("as_of", as_of)))


def freshness(data: Source, *, as_of: str | dt.date) -> pd.DataFrame:
    """Say how far a table reaches, and whether its last days are whole.

    Parameters
    ----------
    data : Cleaned or any table source
        Orders, events, exposures or responses: the table is known by its time column.
    as_of : date or str
        The last observed day, included; later rows are left out.

    Returns
    -------
    pandas.DataFrame
        One row: ``first_at`` and ``last_at`` (the shop's clock), ``as_of``, ``hours_since_last``
        (from the last row to the end of ``as_of``), ``n_days`` (first to last day),
        ``n_days_without_rows`` (up to ``as_of``), ``expected_days_without_rows`` (what chance
        would give), ``last_day_rows``, ``last_day_usual_rows``, ``expected_rows_since`` (usual on the days
        after ``last_at``, of which there is no row), ``last_whole_day``: the last day
        with as many rows as chance allows. An ``as_of`` after it counts days as quiet that are
        only missing. ``doubt`` (text): why no number should be read of these data by ``as_of``,
        null where nothing speaks against it.

    Raises
    ------
    DataError
        There are no rows by ``as_of``.
    ParameterError
        The table has no known time column.

    Notes
    -----
    What is usual on a day is the mean of the same day of the week, four weeks to either side,
    days after ``last_at`` aside. A day is short where a Poisson count of that mean would be as
    low in fewer than one case in a thousand. Real counts vary more than Poisson's, so a day
    must also hold less than half of what is usual.

    There is doubt where no row came in more than seven days up to ``as_of`` (up to seven a shop
    may be closed), though a Poisson process of as many rows a day would be quiet for so long in
    fewer than one case in a thousand: as `LtvFit.checks` judges "orders reach as_of".

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> orders = pd.DataFrame({"order_id": ["1", "2"], "customer_id": ["ann", "bob"],
    ...     "ordered_at": pd.to_datetime(["2024-01-01 09:00", "2024-01-03 18:00"]),
    ...     "net_revenue": [20.0, 35.0]})
    >>> cx.freshness(orders, as_of="2024-01-03")["hours_since_last"].tolist()
    [6.0]
    """
    last = check_date("as_of", as_of)
    daily, first_at, last_at = _daily(data, last)
    usual = _usual(daily["n_rows"].to_numpy())
    counts = daily["n_rows"].to_numpy()
    is_short = (counts < usual / 2) & (_poisson_at_most(counts, usual) < UNLIKELY)
    whole = daily.index[(~is_short) & (counts > 0)]
    end = pd.Timestamp(last) + pd.Timedelta(days=1)
    return pd.DataFrame(
        {
            "first_at": [first_at],
            "last_at": [last_at],
            "as_of": [pd.Timestamp(last)],
            "hours_since_last": [(end - last_at) / pd.Timedelta(hours=1)],
            "n_days": [(last_at.normalize() - first_at.normalize()).days + 1],
            "n_days_without_rows": [int((counts == 0).sum())],
            "expected_days_without_rows": [float(np.exp(-usual).sum())],
            "last_day_rows": [int(counts[-1])],
            "last_day_usual_rows": [float(usual[-1])],
            "expected_rows_since": [float(usual[daily.index > last_at].sum())],
            "last_whole_day": [whole[-1] if len(whole) else pd.NaT],
            "doubt": [_doubt(first_at.date(), last_at.date(), last, int(counts.sum()))],
        }
    )


def gaps(data: Source, *, as_of: str | dt.date) -> pd.DataFrame:
    """Find days without rows, and say how likely each run of them is by chance.

    Parameters
    ----------
    data : Cleaned or any table source
        Orders, events, exposures or responses: the table is known by its time column.
    as_of : date or str
        The last observed day, included.

    Returns
    -------
    pandas.DataFrame
        One row for each run of days without rows, the least likely first: ``first_day``,
        ``last_day``, ``n_days``, ``expected_rows`` (usual on such days), ``p_chance`` (that a run
        of such days is empty by chance, were rows Poisson). A day of the week on which the shop
        is shut is usual at 0 and never unlikely.

    Raises
    ------
    DataError, ParameterError
        As in `freshness`.

    Notes
    -----
    The chance is exp(−expected rows). With many runs some are unlikely by chance: hold
    ``p_chance`` against 1 / the number of days.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> days = pd.date_range("2024-01-01", "2024-03-31").drop(["2024-02-14", "2024-02-15"])
    >>> orders = pd.DataFrame({"order_id": range(89), "customer_id": "ann",
    ...     "ordered_at": days, "net_revenue": 20.0})
    >>> cx.gaps(orders, as_of="2024-03-31")[["n_days", "expected_rows"]].values.tolist()
    [[2.0, 2.0]]
    """
    daily, _, _ = _daily(data, check_date("as_of", as_of))
    counts = daily["n_rows"].to_numpy()
    usual = _usual(counts)
    is_empty = counts == 0
    run = np.cumsum(np.diff(is_empty, prepend=False) & is_empty)
    days = pd.DataFrame({"run": run, "day": daily.index, "usual": usual})[is_empty]
    found = days.groupby("run").agg(
        first_day=("day", "min"),
        last_day=("day", "max"),
        n_days=("day", "size"),
        expected_rows=("usual", "sum"),
    )
    found["p_chance"] = np.exp(-found["expected_rows"])
    return found.sort_values(["p_chance", "first_day"], ignore_index=True)


def _doubt(first: dt.date, last: dt.date, as_of: dt.date, n_rows: int) -> str | None:
    quiet = Quiet.between(first, last, as_of, n_rows)
    if not quiet.is_long:
        return None
    return f"the data end on {last}, {quiet.days:,} days before as_of={as_of}: give the day the data end"


def _daily(data: Source, last: dt.date) -> tuple[pd.DataFrame, pd.Timestamp, pd.Timestamp]:
    """Return the rows of each day up to ``last``, empty days too, and the first and last stamps."""
    table = as_table(data)
    contract = contract_of(table.columns)
    seen = up_to(table, last)
    at = seen[contract.when]
    counts = seen.group_by(day=at.truncate("D")).aggregate(
        n_rows=seen.count(), first_at=at.min(), last_at=at.max()
    )
    found = counts.execute().set_index("day").sort_index()
    if found.empty:
        raise DataError(f"{contract.name}: no rows by as_of={last}; give a later as_of")
    days = pd.date_range(found.index[0], last, freq="D", name="day")
    daily = found[["n_rows"]].reindex(days, fill_value=0)
    return daily, found["first_at"].min(), found["last_at"].max()


def _usual(counts: np.ndarray) -> np.ndarray:
    """Return the mean of the same day of the week nearby, runs of empty days around a day aside.

    Weeks that are empty as a whole say nothing of what is usual, and neither do days past the
    last row.
    """
    n = len(counts)
    weeks_empty = pd.Series(counts).rolling(7, center=True, min_periods=1).sum().to_numpy() == 0
    past_the_end = np.arange(n) > np.flatnonzero(counts)[-1]
    says = ~(weeks_empty | past_the_end)
    total, seen = np.zeros(n), np.zeros(n)
    for week in (*range(-NEAR, 0), *range(1, NEAR + 1)):
        other = np.arange(n) + 7 * week
        inside = (other >= 0) & (other < n)
        there = np.where(inside, other, 0)
        counted = inside & says[there]
        total += np.where(counted, counts[there], 0)
        seen += counted
    whole = counts[says].mean() if says.any() else 0.0
    return np.where(seen > 0, total / np.maximum(seen, 1), whole)


def _poisson_at_most(counts: np.ndarray, means: np.ndarray) -> np.ndarray:
    from scipy import stats

    return np.asarray(stats.poisson.cdf(counts, np.maximum(means, math.ulp(0.0))))
