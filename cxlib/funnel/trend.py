"""How conversion changes from one entry period to the next."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import Unpack

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib._calendar import UNITS, WEEKDAYS, Calendar, interval
from cxlib._checks import check_choice, check_number
from cxlib.funnel.attempts import attempts
from cxlib.funnel.attribution import check_attribution, with_label
from cxlib.funnel.entries import depths_of_entries, is_told_by_entry
from cxlib.funnel.layout import COUNTS, laid_out, numbers_of, users_at_steps
from cxlib.funnel.moments import with_short_ids
from cxlib.funnel.rule import Options, Rule, check_rule
from cxlib.funnel.seen import seen_events
from cxlib.funnel.steps import Step
from cxlib.funnel.stream import may_stream
from cxlib.sources import Source
from cxlib.tables import EVENTS, group_label

TREND = ("period", *COUNTS, "n_excluded", "is_complete")
SHORTEST = {
    unit: dt.timedelta(days=days)
    for unit, days in {"day": 1, "week": 7, "month": 28, "quarter": 90, "year": 365}.items()
}
OVERLAY = dt.date(2000, 1, 1)
"""The day at the end of which all periods are laid over one another."""


def funnel_trend(
    events: Source,
    *,
    steps: Sequence[str | Step],
    window: str | dt.timedelta,
    as_of: str | dt.date,
    period: str = "week",
    week_start: str = "monday",
    by: str | None = None,
    attribution: str | int = "first",
    alpha: float = 0.05,
    **options: Unpack[Options],
) -> pd.DataFrame:
    """Return the funnel of each day, week or month of entry.

    Parameters
    ----------
    events : Cleaned, or any table that holds events
        ``user_id``, ``event``, ``occurred_at``; one row per event.
    steps, window, as_of, by, attribution, alpha
        As in `funnel`.
    period : {"week", "day", "month", "quarter", "year"}
        Calendar periods in the shop's own clock.
    week_start : str, default "monday"
        The day on which weeks begin.
    **options
        ``start``, ``order``, ``reentry``, ``ties``, ``exclude``, ``exclude_scope``, ``hold`` as in
        `funnel`.

    Returns
    -------
    pandas.DataFrame
        Grain: one row per period and step (and group), without a gap from the first period with
        an entry to that of ``as_of``.

        - ``by`` (text; its own name, first column), where asked for
        - ``period`` (datetime64): its first day
        - ``step``, ``event``, ``n``, ``rate``, ``step_rate``, ``n_dropped`` and the intervals: as
          in `funnel`, of the users who did step one in the period; ``n`` and ``n_dropped``
          (Int64) and the rates are null where the period is not complete, but for ``n`` at step
          one, the users who entered so far
        - ``n_excluded`` (int): users of the period removed by ``exclude_scope="user"``
        - ``is_complete`` (bool): whether the log, and ``start``, begin on the first day of the
          period or before, and the windows of all entries in it are over at the end of ``as_of``

    Raises
    ------
    ColumnError, DataError, ParameterError
        As in `funnel`.

    See Also
    --------
    cxlib.plot.funnel_trend

    Notes
    -----
    A user counts once in each period in which they did step one, by the deepest attempt that
    entered in it (with ``reentry="first"`` by the first); the later steps may fall in later
    periods. So who enters in two periods counts in both, and the periods add up to more than
    `funnel` says of all of them together, where that user counts once. Each period is what
    `funnel` answers of it alone.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> events = pd.DataFrame({"user_id": ["ann", "ann", "bob"], "event": ["view", "cart", "view"],
    ...     "occurred_at": pd.to_datetime(["2024-01-01 10:00", "2024-01-02 10:00", "2024-01-15 09:00"])})
    >>> table = cx.funnel_trend(events, steps=["view", "cart"], window="2 days", as_of="2024-01-16")
    >>> table.loc[table["step"] == 2, ["period", "n", "rate", "is_complete"]]
          period     n  rate  is_complete
    1 2024-01-01     1   1.0         True
    3 2024-01-08     0   NaN         True
    5 2024-01-15  <NA>   NaN        False
    """
    calendar = Calendar(
        check_choice("period", period, UNITS), check_choice("week_start", week_start, WEEKDAYS)
    )
    rule = check_rule(steps=steps, window=window, as_of=as_of, **options)
    check_number("alpha", alpha, 0, 1, open_low=True)
    check_attribution(attribution, rule)
    seen, _ = seen_events(events, rule)
    label = None if by is None else group_label(seen, by, EVENTS, TREND)
    by_entry = with_short_ids(seen, rule)
    if label is None and is_told_by_entry(rule) and may_stream(by_entry):
        counts = _counted_by_entry(by_entry, rule, calendar)
    else:
        counts = _counted(seen, label, rule, calendar, attribution)
    key = [] if label is None else ["label"]
    counts = _every_period(counts, calendar, rule.as_of, key)
    table = laid_out(counts, rule, [*key, "number"], alpha)
    return _dated(table, rule, calendar, _begun(seen, rule)).rename(columns={"label": by})


def _begun(seen: ir.Table, rule: Rule) -> dt.date:
    """Return the first day on which an entry could be seen."""
    first = pd.Timestamp(seen["occurred_at"].min().execute()).date()
    return first if rule.start is None else max(first, rule.start)


def _counted_by_entry(seen: ir.Table, rule: Rule, calendar: Calendar) -> pd.DataFrame:
    """Return the users of each period that reach each step, by the depths of its entries."""
    entries = depths_of_entries(seen, rule)
    entries = entries.mutate(number=calendar.number(entries["at"]))
    users = entries.group_by("user_id", "number").aggregate(depth=entries["depth"].max())
    n = {name: (users["depth"] >= k).sum() for k, name in enumerate(numbers_of(rule), start=1)}
    return users.group_by("number").aggregate(**n).execute().assign(n_excluded=0)


def _counted(
    seen: ir.Table, label: ir.Value | None, rule: Rule, calendar: Calendar, attribution: str | int
) -> pd.DataFrame:
    """Return the same, of each group too, by one funnel of all periods laid over one another."""
    rows = seen.mutate(**({} if label is None else {"label": label}))
    rows, each = _overlaid(rows, rule, calendar)
    users = attempts(rows, each)
    if label is not None:
        users = with_label(users, rows, rows["label"], each, attribution)
    key = ["held"] if label is None else ["label", "held"]
    counts = users.aggregate(by=key, **users_at_steps(users, rule)).execute()
    return counts.assign(number=counts.pop("held").astype("int64"))


def _overlaid(seen: ir.Table, rule: Rule, calendar: Calendar) -> tuple[ir.Table, Rule]:
    """Return the events of each period of entry, its number as text being the value to hold.

    An event belongs to each period in which an entry may lie that can claim it. All periods are
    shifted so that they end together, one window before the end of the new ``as_of``: entries
    after a period then have open windows, and count in no attempt, whatever the rule.
    """
    if rule.start is not None:
        seen = seen.filter(rule.in_range(seen["occurred_at"]))
    if rule.hold is not None:
        both = seen["user_id"].concat("\x1f", seen[rule.hold].cast("string"))
        seen = seen.mutate(user_id=both)
    at = seen["occurred_at"]
    seen = seen.mutate(
        _first=calendar.number(at - interval(rule.window)), _last=calendar.number(at)
    )
    back = ibis.memtable({"_back": range(rule.window // SHORTEST[calendar.unit] + 2)})
    copies = seen.cross_join(back)
    copies = copies.mutate(_period=copies["_last"] - copies["_back"])
    copies = copies.filter(copies["_period"] >= copies["_first"])
    copies = copies.inner_join(_ends(at, calendar, rule), "_period")
    moved = copies["occurred_at"] + copies["_days"].as_interval("D") - interval(rule.window)
    copies = copies.mutate(occurred_at=moved)
    return copies, replace(rule, as_of=OVERLAY, start=None, hold="_period")


def _ends(at: ir.Column, calendar: Calendar, rule: Rule) -> ir.Table:
    """Return for each period the days from its end to the moment at which all end."""
    earliest = at.min().execute().date()
    numbers = np.arange(calendar.number_of(earliest), calendar.number_of(rule.as_of) + 1)
    together = np.datetime64(OVERLAY + dt.timedelta(days=1), "D")
    days = (together - calendar.start(numbers + 1)).astype("int64")
    return ibis.memtable({"_period": numbers, "_days": days})


def _every_period(
    counts: pd.DataFrame, calendar: Calendar, last_day: dt.date, key: list[str]
) -> pd.DataFrame:
    """Return the counts of every period from the first with an entry on; zero where none is."""
    counts = counts.assign(n_open=0)
    entered = counts[(counts["n_1"] > 0) | (counts["n_excluded"] > 0)]
    last = max(calendar.number_of(last_day), int(entered["number"].max()))
    numbers = pd.DataFrame({"number": range(int(entered["number"].min()), last + 1)})
    labels = entered[key].drop_duplicates().sort_values(key) if key else None
    grid = numbers if labels is None else labels.merge(numbers, how="cross")
    return grid.merge(entered, how="left", on=[*key, "number"]).fillna(0)


def _dated(table: pd.DataFrame, rule: Rule, calendar: Calendar, begun: dt.date) -> pd.DataFrame:
    """Put days in the place of numbers, and nulls where a period is not complete."""
    number = table["number"].to_numpy()
    over = calendar.start(number + 1).astype("datetime64[us]") + np.timedelta64(rule.window)
    # the last entry comes before the period ends, so its window may end just with the data
    is_over = over <= np.datetime64(rule.as_of + dt.timedelta(days=1))
    is_complete = pd.Series(is_over & (calendar.start(number) >= np.datetime64(begun)), table.index)
    table = table.astype({"n": "Int64", "n_dropped": "Int64"})
    table.loc[~is_complete, [name for name in COUNTS if name not in ("step", "event", "n")]] = None
    table.loc[~is_complete & (table["step"] > 1), "n"] = None
    table["period"] = calendar.start(number).astype("datetime64[us]")
    table["is_complete"] = is_complete
    return table[[*table.columns[: list(table.columns).index("number")], *TREND]]
