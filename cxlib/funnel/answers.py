"""How far users get through ordered steps, within a window that opens at step one."""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib._checks import (
    DataError,
    ParameterError,
    check_date,
    check_duration,
    check_number,
    listed,
)
from cxlib._intervals import wilson
from cxlib.funnel.chain import deepest
from cxlib.sources import Source, load
from cxlib.tables import EVENTS, NO_GROUP, group_label, midnight_after, observed

STEPS = (
    "step",
    "event",
    "n",
    "rate",
    "ci_low",
    "ci_high",
    "step_rate",
    "step_ci_low",
    "step_ci_high",
    "n_dropped",
    "median_seconds",
    "n_open",
)


def funnel(
    events: Source,
    *,
    steps: Sequence[str],
    window: str | dt.timedelta,
    as_of: str | dt.date,
    by: str | None = None,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Return how many users reached each step, in order, within a window from step one.

    Parameters
    ----------
    events : Cleaned, or any table that holds events
        ``user_id``, ``event``, ``occurred_at``; one row per event.
    steps : list of str
        Event names in order, two or more; a name may repeat.
    window : str or timedelta
        Longest time from step one to the last step, included: ``"7 days"``.
    as_of : date or "YYYY-MM-DD"
        The last observed day, included; later events are ignored.
    by : str, optional
        A column of ``events``; each user belongs to its value at the step-one event of the
        deepest attempt. Users without a value form the group ``(none)``.
    alpha : float, default 0.05
        One minus the confidence of the intervals.

    Returns
    -------
    pandas.DataFrame
        Grain: one row per step (and group).

        - ``by`` (text; its own name, first column), where asked for
        - ``step`` (int, from 1), ``event`` (text)
        - ``n`` (int): users who reached the step
        - ``rate``, ``ci_low``, ``ci_high`` (fractions): of the users at step one
        - ``step_rate``, ``step_ci_low``, ``step_ci_high`` (fractions): of the users at the step
          before; null at step one
        - ``n_dropped`` (Int64): users at the step before who did not get here; null at step one
        - ``median_seconds`` (float): from the step before, in each user's deepest attempt
        - ``n_open`` (int, the same on each row of a group): users left out of all counts,
          because the window of every entry of theirs is not over at the end of ``as_of``;
          ``n`` of step one and ``n_open`` add up to all users who did step one

    Raises
    ------
    ColumnError
        A required column or ``by`` is missing.
    DataError
        A step is not among the events (the nearest names are listed), or nobody did step one
        by ``as_of``.
    ParameterError
        Fewer than two steps, a window that is not longer than zero, or a bad ``as_of`` or ``alpha``.

    Notes
    -----
    A user's depth is the largest *k* with distinct events t1 <= ... <= tk of steps 1 to *k* and
    tk - t1 <= window, over any entry (step-one event): re-entry is on and the deepest attempt
    counts. This is what ClickHouse's ``windowFunnel`` and PostHog's ordered funnel count, except
    that here one event never serves two steps. Other events in between do not matter; events of
    one moment count in step order. Of several attempts of that depth, the times are those of the
    first to be complete, from its latest entry on.

    Entries whose window is not over at the end of ``as_of`` are excluded, converted or not: to
    keep only those that converted early would flatter the rate. Intervals are Wilson's (1927,
    JASA 22, 209-212).

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> events = pd.DataFrame({"user_id": ["ann", "ann", "bob"], "event": ["view", "cart", "view"],
    ...     "occurred_at": pd.to_datetime(["2024-01-01 10:00", "2024-01-01 10:05", "2024-01-02 09:00"])})
    >>> table = cx.funnel(events, steps=["view", "cart"], window="1 day", as_of="2024-01-31")
    >>> table[["step", "event", "n", "rate", "median_seconds", "n_open"]]
       step event  n  rate  median_seconds  n_open
    0     1  view  2   1.0             NaN       0
    1     2  cart  1   0.5           300.0       0
    """
    steps = _checked_steps(steps)
    length = check_duration("window", window)
    last_day = check_date("as_of", as_of)
    check_number("alpha", alpha, 0, 1, open_low=True)
    table = load(events, EVENTS)
    label = ibis.null("string") if by is None else group_label(table, by, EVENTS, STEPS)
    _check_events(table, steps, last_day)
    seen = observed(table.mutate(label=label), EVENTS, last_day)
    rows = seen.filter(seen["event"].isin(steps)).select(
        "user_id", "event", "label", at=seen["occurred_at"].cast("timestamp(6)")
    )
    users = deepest(rows, steps, length, midnight_after(last_day))
    counts = _counts(users, rows.filter(rows["event"] == steps[0]), len(steps), by)
    return _answer(counts, steps, by, alpha)


def _checked_steps(steps: Sequence[str]) -> list[str]:
    if isinstance(steps, str) or not all(isinstance(step, str) for step in steps):
        raise ParameterError(f"steps={steps!r} must be a list of event names")
    if len(steps) < 2:
        raise ParameterError(f"steps={list(steps)!r} needs two event names or more")
    return list(steps)


def _check_events(table: ir.Table, steps: list[str], last_day: dt.date) -> None:
    """Raise `DataError` where a step never occurs, or step one not by the last day."""
    found = table.aggregate(
        **{f"n_{k}": (table["event"] == step).sum() for k, step in enumerate(steps)},
        entries=(
            (table["event"] == steps[0]) & (table["occurred_at"] < midnight_after(last_day))
        ).sum(),
    ).execute()
    unknown = [step for k, step in enumerate(steps) if not found[f"n_{k}"][0]]
    if unknown:
        names = table.select("event").distinct().order_by("event").execute()["event"].tolist()
        near = difflib.get_close_matches(unknown[0], names, n=3, cutoff=0.5)
        raise DataError(
            f"events: no event is named {', '.join(map(repr, dict.fromkeys(unknown)))}; "
            + (f"the nearest names are {listed(map(repr, near))}; " if near else "")
            + f"there are {listed(names)}"
        )
    if not found["entries"][0]:
        observed(table, EVENTS, last_day)
        raise DataError(
            f"events: nobody did step one, {steps[0]!r}, by as_of={last_day}; there is no funnel to count"
        )


def _counts(users: ir.Table, entries: ir.Table, n_steps: int, by: str | None) -> pd.DataFrame:
    """Return one row (per group): users and median seconds at each step, and users left open."""
    if by is not None:
        labels = entries.group_by(["user_id", "at"]).aggregate(label=entries["label"].min())
        labels = labels.rename(at_1="at")
        users = users.left_join(labels, ["user_id", "at_1"]).select(users, labels["label"])
        users = users.mutate(label=users["label"].fill_null(NO_GROUP))
    answers = {"n_open": (users["depth"] == 0).sum()}
    for k in range(1, n_steps + 1):
        answers[f"n_{k}"] = (users["depth"] >= k).sum()
    for k in range(2, n_steps + 1):
        passed = users[f"at_{k}"].delta(users[f"at_{k - 1}"], unit="microsecond")
        answers[f"seconds_{k}"] = (passed / 1e6).median()
    grouped = users.group_by("label") if by is not None else users
    counts: pd.DataFrame = grouped.aggregate(**answers).execute()
    return counts.sort_values("label", ignore_index=True) if by is not None else counts


def _answer(counts: pd.DataFrame, steps: list[str], by: str | None, alpha: float) -> pd.DataFrame:
    """Turn one wide row per group into one row per step, with rates and intervals."""
    parts = []
    for k, event in enumerate(steps, start=1):
        n, before = counts[f"n_{k}"], counts[f"n_{k - 1}"] if k > 1 else None
        part = pd.DataFrame({"step": k, "event": event, "n": n})
        part["rate"], part["ci_low"], part["ci_high"] = wilson(n, counts["n_1"], alpha)
        part["step_rate"], part["step_ci_low"], part["step_ci_high"] = wilson(
            n, 0 if before is None else before, alpha
        )
        part["n_dropped"] = pd.array([pd.NA] * len(n), "Int64") if before is None else before - n
        part["median_seconds"] = float("nan") if before is None else counts[f"seconds_{k}"]
        part["n_open"] = counts["n_open"]
        if by is not None:
            part.insert(0, by, counts["label"])
        parts.append(part)
    table = pd.concat(parts).sort_index(kind="stable").reset_index(drop=True)
    return table.astype({"n": "int64", "n_open": "int64"})


def cart_abandonment(
    events: Source,
    *,
    cart: str = "add_to_cart",
    purchase: str = "purchase",
    window: str | dt.timedelta = "1 day",
    as_of: str | dt.date,
    by: str | None = None,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Return the share of users with a cart who did not buy within the window.

    Parameters
    ----------
    events : Cleaned, or any table that holds events
        ``user_id``, ``event``, ``occurred_at``; one row per event.
    cart, purchase : str
        Names of the events that fill a cart and that buy.
    window : str or timedelta, default "1 day"
        Time within which a cart becomes a purchase, included.
    as_of, by, alpha
        As in `funnel`.

    Returns
    -------
    pandas.DataFrame
        One row (per group): the ``by`` column where asked for, ``n`` (users with a cart),
        ``n_abandoned`` (of those, users who did not buy within the window of any cart of
        theirs), ``abandonment_rate``, ``ci_low``, ``ci_high`` (fractions; Wilson), ``n_open``
        (users left out, because none of their windows is over).

    Raises
    ------
    ColumnError, DataError, ParameterError
        As in `funnel`.

    Notes
    -----
    The count is of users, not of carts: who leaves one cart and buys another has bought.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> events = pd.DataFrame({"user_id": ["ann", "ann", "bob"],
    ...     "event": ["add_to_cart", "purchase", "add_to_cart"],
    ...     "occurred_at": pd.to_datetime(["2024-01-01 10:00", "2024-01-01 10:05", "2024-01-02 09:00"])})
    >>> cx.cart_abandonment(events, as_of="2024-01-31")[["n", "n_abandoned", "abandonment_rate"]]
       n  n_abandoned  abandonment_rate
    0  2            1               0.5
    """
    table = funnel(events, steps=[cart, purchase], window=window, as_of=as_of, by=by, alpha=alpha)
    carts, bought = (table[table["step"] == step].reset_index(drop=True) for step in (1, 2))
    abandoned = carts["n"] - bought["n"]
    rate, low, high = wilson(abandoned, carts["n"], alpha)
    answer = carts[[name for name in [by, "n"] if name is not None]]
    return answer.assign(
        n_abandoned=abandoned,
        abandonment_rate=rate,
        ci_low=low,
        ci_high=high,
        n_open=carts["n_open"],
    )
