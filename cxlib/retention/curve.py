"""The average over cohorts, and the difference between two of them."""

from __future__ import annotations

import pandas as pd

from cxlib._checks import DataError, ParameterError, check_columns, check_number, listed
from cxlib._intervals import rates_compared, wilson
from cxlib.retention.cells import CELLS


def retention_curve(table: pd.DataFrame, *, alpha: float = 0.05) -> pd.DataFrame:
    """Return the average retention at each age, over the cohorts whose period is over.

    Parameters
    ----------
    table : pandas.DataFrame
        What `retention` returned.
    alpha : float, default 0.05
        One minus the confidence of the intervals.

    Returns
    -------
    pandas.DataFrame
        Grain: one row per age (and group) that at least one cohort has completed.

        - the ``by`` column, where the table has one
        - ``age`` (int): periods since the period of the first order; with brackets also ``ages``
        - ``n``, ``n_active`` (int): customers of those cohorts, and those active
        - ``retention_rate``, ``ci_low``, ``ci_high`` (fractions): ``n_active / n``, so larger
          cohorts weigh more
        - ``n_cohorts`` (int): cohorts behind the row
        - ``net_revenue_per_customer`` (float): of that age alone
        - ``cumulative_net_revenue_per_customer`` (float): from age 0 to this age, over the same
          cohorts; it may fall where a better cohort is too young for the next age. With its
          interval, over fixed windows: `repeat_rate`

    Raises
    ------
    ColumnError
        The table lacks a column that `retention` gives.

    See Also
    --------
    cxlib.plot.retention_curve

    Notes
    -----
    The interval is Wilson's on the pooled counts: it takes customers as independent and the
    cohorts as alike, so it is too narrow where cohorts differ much, and where cohorts are
    recurring, since one customer then stands in several. With ``kind="on_or_after"`` older cohorts
    have had more time to come back, so the curve mixes longer and shorter looks.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> orders = pd.DataFrame({"order_id": ["1", "2", "3"], "customer_id": ["ann", "ann", "bob"],
    ...     "ordered_at": pd.to_datetime(["2024-01-05", "2024-02-07", "2024-02-20"]),
    ...     "net_revenue": [20.0, 35.0, 10.0]})
    >>> table = cx.retention(orders, period="month", as_of="2024-03-15")
    >>> cx.retention_curve(table)[["age", "n", "n_active", "n_cohorts"]]
       age  n  n_active  n_cohorts
    0    0  2         2          2
    1    1  1         1          1
    """
    check_columns("retention table", list(table.columns), CELLS, optional="")
    check_number("alpha", alpha, 0, 1, open_low=True)
    by = [] if table.columns[0] == "cohort" else [table.columns[0]]
    age = ["age", "ages"] if "ages" in table.columns else ["age"]
    cells = table.sort_values([*by, "cohort", "age"])
    cells = cells.assign(so_far=cells.groupby([*by, "cohort"])["net_revenue"].cumsum())
    curve = (
        cells[cells["is_complete"]]
        .groupby([*by, *age], as_index=False, sort=False)
        .agg(
            n=("n", "sum"),
            n_active=("n_active", "sum"),
            n_cohorts=("cohort", "size"),
            net_revenue=("net_revenue", "sum"),
            so_far=("so_far", "sum"),
        )
        .astype({"n_active": "int64"})
        .sort_values([*by, "age"], ignore_index=True)
    )
    rate, low, high = wilson(curve["n_active"], curve["n"], alpha)
    return curve[[*by, *age, "n", "n_active"]].assign(
        retention_rate=rate,
        ci_low=low,
        ci_high=high,
        n_cohorts=curve["n_cohorts"],
        net_revenue_per_customer=curve["net_revenue"] / curve["n"],
        cumulative_net_revenue_per_customer=curve["so_far"] / curve["n"],
    )


def retention_difference(
    table: pd.DataFrame,
    *,
    of: object,
    baseline: object,
    column: str = "cohort",
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Return how far one cohort's (or group's) retention lies above another's, age by age.

    Parameters
    ----------
    table : pandas.DataFrame
        What `retention` returned.
    of, baseline : value of ``column``
        Which two: cohorts as dates (``"2024-03-01"``), groups by name.
    column : str, default "cohort"
        ``"cohort"``, or the column that `retention` was given as ``by``; cells of one value are
        added up.
    alpha : float, default 0.05
        One minus the confidence of the intervals, each by itself.

    Returns
    -------
    pandas.DataFrame
        Grain: one row per age above 0 that both have completed.

        - ``age`` (int); with brackets also ``ages``
        - ``n``, ``n_active``, ``retention_rate``: of the first
        - ``n_baseline``, ``n_active_baseline``, ``retention_rate_baseline``: of the other
        - ``difference``, ``ci_low``, ``ci_high``: of the rates, in fractions
        - ``p_value``, and ``p_adjusted`` by Holm over the ages shown

    Raises
    ------
    ColumnError
        The table lacks a column that `retention` gives, or ``column``.
    DataError
        The two have no completed age above 0 in common.
    ParameterError
        ``of`` or ``baseline`` is no value of ``column``, or they are the same.

    Notes
    -----
    The interval is the score interval of a difference of rates (Mee 1984, Biometrics 40,
    1175-1176); it leaves out 0 exactly where Pearson's chi-square has p < ``alpha``. Adjusted
    p values are Holm's (1979, Scand. J. Statist. 6, 65-70). Ages of one cohort hold the same
    customers, which Holm allows. Customers of the two must differ: recurring cohorts share some.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> table = cx.retention(cx.simulate.orders(800, start="2024-01-01", as_of="2024-12-31", seed=1),
    ...     as_of="2024-12-31")
    >>> pair = cx.retention_difference(table, of="2024-10-01", baseline="2024-01-01")
    >>> pair["age"].tolist()
    [1, 2]
    """
    check_columns("retention table", list(table.columns), [*CELLS, column], optional="")
    check_number("alpha", alpha, 0, 1, open_low=True)
    one, other = (
        _pooled(table, column, name, value) for name, value in (("of", of), ("baseline", baseline))
    )
    key = [name for name in ("age", "ages") if name in table.columns]
    pair = one.merge(other, on=key, suffixes=("", "_baseline"))
    pair = pair[pair["age"] > 0].reset_index(drop=True)
    if of == baseline:
        raise ParameterError(f"of={of!r} and baseline={baseline!r} are the same")
    if pair.empty:
        raise DataError(
            f"retention table: {of} and {baseline} have no completed age above 0 in common; "
            "take an earlier cohort, or a later as_of"
        )
    counts = pair[["n_active", "n", "n_active_baseline", "n_baseline"]].to_numpy(float)
    return pair.assign(
        retention_rate=counts[:, 0] / counts[:, 1],
        retention_rate_baseline=counts[:, 2] / counts[:, 3],
        **rates_compared(counts, alpha),
    )[[*key, *DIFFERENCE]]


DIFFERENCE = (
    "n",
    "n_active",
    "retention_rate",
    "n_baseline",
    "n_active_baseline",
    "retention_rate_baseline",
    "difference",
    "ci_low",
    "ci_high",
    "p_value",
    "p_adjusted",
)


def _pooled(table: pd.DataFrame, column: str, name: str, value: object) -> pd.DataFrame:
    """Return the completed cells of one value, added up at each age."""
    wanted = pd.to_datetime(str(value), errors="coerce") if column == "cohort" else value
    cells = table[table[column] == wanted]
    if cells.empty:
        known = table[column].drop_duplicates()
        shown = known.dt.strftime("%Y-%m-%d") if column == "cohort" else known
        raise ParameterError(f"{name}={value!r} is no {column}; there are {listed(shown)}")
    key = [age for age in ("age", "ages") if age in cells.columns]
    over = cells[cells["is_complete"]]
    return over.groupby(key, as_index=False)[["n", "n_active"]].sum().astype({"n_active": "int64"})
