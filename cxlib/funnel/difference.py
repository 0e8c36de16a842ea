"""How far the funnel of one group or period lies above that of another, step by step."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from cxlib._checks import (
    DataError,
    ParameterError,
    check_choice,
    check_columns,
    check_number,
    listed,
)
from cxlib._intervals import rates_compared, rates_ratio

NEEDED = ("step", "event", "n", "n_dropped")
DIFFERENCE = (
    "step",
    "event",
    "n",
    "n_reached",
    "rate",
    "n_baseline",
    "n_reached_baseline",
    "rate_baseline",
    "difference",
    "ci_low",
    "ci_high",
    "ratio",
    "ratio_low",
    "ratio_high",
    "p_value",
    "p_adjusted",
)


def funnel_difference(
    table: pd.DataFrame,
    *,
    of: object = None,
    baseline: object,
    column: str | None = None,
    rate: str = "rate",
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Return how far one group's (or period's) funnel lies above another's, step by step.

    Parameters
    ----------
    table : pandas.DataFrame
        What `funnel` returned with ``by``, or `funnel_trend`.
    of, baseline : value of ``column``
        Which two: groups by name, periods as dates (``"2024-03-01"``); ``of`` may be a list, and
        is all other groups if left out.
    column : str, optional
        The column that `funnel` was given as ``by``, or ``"period"``; the table's first column
        if left out. Users of one value are added up.
    rate : {"rate", "step_rate"}
        Whether rates are of the users at step one, or of those at the step before that is not
        optional.
    alpha : float, default 0.05
        One minus the confidence of the intervals, each by itself.

    Returns
    -------
    pandas.DataFrame
        Grain: one row per compared value and step from the second on; none where there is no other
        value to compare.

        - ``column`` (its own name, first): the value that is compared with the baseline
        - ``step`` (int), ``event`` (text)
        - ``n``, ``n_reached``, ``rate``: users that the rate is of, those who took the step, and
          their share, in fractions
        - ``n_baseline``, ``n_reached_baseline``, ``rate_baseline``: of the baseline
        - ``difference``, ``ci_low``, ``ci_high``: of the rates, in fractions
        - ``ratio``, ``ratio_low``, ``ratio_high``: of the rates; without an upper bound (``inf``)
          where nobody of the baseline took the step
        - ``p_value``, and ``p_adjusted`` by Holm over all rows

    Raises
    ------
    ColumnError
        The table lacks a column that `funnel` gives, or ``column``.
    DataError
        A period is not complete.
    ParameterError
        The table has no groups, ``of`` or ``baseline`` is no value of ``column``, or they are
        the same.

    See Also
    --------
    cxlib.plot.funnel_difference

    Notes
    -----
    Intervals are the score intervals of a difference (Mee 1984, Biometrics 40, 1175-1176) and of
    a ratio (Koopman 1984, Biometrics 40, 513-517) of rates: they leave out 0 and 1 exactly where
    Pearson's chi-square has p < ``alpha``. Adjusted p values are Holm's (1979, Scand. J. Statist.
    6, 65-70), which allows that the steps count the same users. The users of the two must differ:
    groups do, while who enters in two periods counts in both and makes the intervals a little too
    wide or too narrow. A difference says that the groups differ, not why: only an experiment
    tells what a change would do.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> table = pd.DataFrame({"device": ["app"] * 2 + ["web"] * 2, "step": [1, 2] * 2,
    ...     "event": ["view", "cart"] * 2, "n": [200, 60, 400, 80], "n_dropped": [None, 140, None, 320]})
    >>> pair = cx.funnel_difference(table, of="app", baseline="web")
    >>> pair[["device", "step", "rate", "rate_baseline", "difference", "ratio"]].round(3)
      device  step  rate  rate_baseline  difference  ratio
    0    app     2   0.3            0.2         0.1    1.5
    """
    column = str(table.columns[0]) if column is None else column
    if column == "step":
        raise ParameterError("funnel table: it has no groups; give by= to cx.funnel")
    check_columns("funnel table", list(table.columns), [column, *NEEDED], optional="")
    check_choice("rate", rate, ["rate", "step_rate"])
    check_number("alpha", alpha, 0, 1, open_low=True)
    base = _counts(table, column, "baseline", _value(table, column, baseline), rate)
    parts = [
        _counts(table, column, "of", value, rate).assign(**{column: value})
        for value in _compared(table, column, of, baseline)
    ]
    parts = parts or [base[:0].assign(**{column: table[column][:0]})]
    pairs = pd.concat(parts).merge(base, on=["step", "event"], suffixes=("", "_baseline"))
    ends = ["n_reached", "n", "n_reached_baseline", "n_baseline"]
    counts = pairs[ends].to_numpy(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = counts[:, [0, 2]] / counts[:, [1, 3]]
        ratio = rates[:, 0] / rates[:, 1]
    bounds = [
        rates_ratio(x, n, x0, n0, alpha) if n and n0 else (np.nan, np.nan)
        for x, n, x0, n0 in counts.tolist()
    ]
    pairs = pairs.assign(
        rate=rates[:, 0],
        rate_baseline=rates[:, 1],
        **rates_compared(counts, alpha),
        ratio=ratio,
        ratio_low=[low for low, _ in bounds],
        ratio_high=[high for _, high in bounds],
    )
    return pairs[[column, *DIFFERENCE]]


def _value(table: pd.DataFrame, column: str, value: object) -> object:
    """Return a value as the column holds it: periods are days."""
    if not pd.api.types.is_datetime64_any_dtype(table[column]):
        return value
    return pd.to_datetime(str(value), errors="coerce")


def _text(value: object) -> str:
    return f"{value:%Y-%m-%d}" if isinstance(value, dt.date) else str(value)


def _compared(table: pd.DataFrame, column: str, of: object, baseline: object) -> list:
    """Return the values that are held against the baseline."""
    base = _value(table, column, baseline)
    if of is None:
        unknown = set(table.loc[table["n"].isna(), column])  # periods that are not complete
        known = table[column].drop_duplicates()
        return [value for value in known if value != base and value not in unknown]
    values = [_value(table, column, one) for one in (of if isinstance(of, list) else [of])]
    if base in values:
        raise ParameterError(f"of={of!r} and baseline={baseline!r} are the same")
    return values


def _counts(table: pd.DataFrame, column: str, name: str, value: object, rate: str) -> pd.DataFrame:
    """Return for each later step of one value the users that the rate is of, and who took it."""
    rows = table[table[column] == value]
    if rows.empty:
        known = map(_text, table[column].drop_duplicates())
        raise ParameterError(f"{name}={_text(value)!r} is no {column}; there are {listed(known)}")
    if rows["n"].isna().any():
        raise DataError(
            f"funnel table: {column} {_text(value)} is not complete, so its rates are not known; take an "
            "earlier one, or a later as_of"
        )
    is_optional = (
        rows[rows["step"] > 1].groupby("step")["n_dropped"].apply(lambda n: n.isna().all())
    )
    taken = rows.groupby(["step", "event"])[["n"]].sum().reset_index().astype({"n": "int64"})
    optional = taken["step"].map(is_optional).fillna(False).astype(bool)
    before = taken["n"].where(~optional).ffill().shift()
    base = taken["n"].iloc[0] if rate == "rate" else before
    later: pd.DataFrame = taken.rename(columns={"n": "n_reached"}).assign(n=base)[1:]
    return later.astype({"n": "int64"})
