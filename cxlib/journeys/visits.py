"""The rows of journeys: each event with its visit, its place in it, and what came next."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib._calendar import interval
from cxlib._checks import DataError, ParameterError, check_date, check_duration
from cxlib._events import Account, observed_events
from cxlib.sources import Source
from cxlib.tables import EVENTS, NO_GROUP, group_label, midnight_after

START, EXIT, OTHER, ENDED = "(start)", "(exit)", "(other)", "(ended)"
VISIT = ["user_id", "visit"]
ACCOUNT = ("n_open", "n_ignored", "n_duplicates")


@dataclass(frozen=True, eq=False)
class Visits:
    """Events in their visits.

    ``rows`` has one row per event: ``user_id``, ``visit``, ``place`` (from 0), ``event``, ``at``,
    ``next_event`` and ``next_at`` (null at a visit's last), ``label`` (the group of the visit),
    ``is_open`` (whether the visit may go on after ``as_of``). ``names`` are the events that keep
    their name, most frequent first, and then ``(other)`` if others are pooled.
    """

    rows: ir.Table
    names: list[str]
    account: Account


def visits_of(
    events: Source,
    *,
    as_of: str | dt.date,
    session: str | None,
    gap: str | dt.timedelta,
    by: str | None = None,
    only: Sequence[str] | None = None,
    most: int | None = None,
    collapse: bool = False,
    named: Sequence[str] = (),
    answer: Iterable[str] = (),
    argument: str = "by",
) -> Visits:
    """Return the events in their visits; those that are ``named`` must be there, and keep their name.

    ``argument`` is what the analysis calls ``by``.
    """
    day, length = check_date("as_of", as_of), check_duration("gap", gap)
    chosen = None if only is None else [*dict.fromkeys([*check_names("only", only), *named])]
    if most is not None:
        check_whole("most", most)
    seen, account = observed_events(
        events,
        as_of=day,
        names=named if chosen is None else chosen,
        needed=[] if session is None else [session],
        chosen=lambda table: table["event"].isin([START, EXIT, OTHER, ENDED]),
    )
    if account.n_chosen:
        raise DataError(
            f"events: {account.n_chosen:,} rows are named {START}, {EXIT}, {OTHER} or {ENDED}, which "
            "are words of the answer; rename them"
        )
    label = (
        ibis.literal(NO_GROUP) if by is None else group_label(seen, by, EVENTS, answer, argument)
    )
    visit = ibis.null("string") if session is None else seen[session].cast("string")
    rows = seen.select(
        "user_id", "event", at=seen["occurred_at"].cast("timestamp(6)"), label=label, visit=visit
    )
    if session is None:
        rows = _cut_where_silent(rows, length)
    rows = _placed(rows, day, length)
    if chosen is not None or collapse:
        rows = _chosen(rows, chosen, collapse)
    rows = rows.mutate(
        next_event=rows["event"].lead().over(in_order()), next_at=rows["at"].lead().over(in_order())
    )
    names, n_more = _frequent(rows, most, named)
    if n_more:
        rows = rows.mutate(**{name: _pooled(rows[name], names) for name in ("event", "next_event")})
        names = [*names, OTHER]
    return Visits(rows, names, account)


def in_order() -> ibis.expr.builders.WindowBuilder:
    """Return the window of a visit's events, in order."""
    return ibis.window(group_by=VISIT, order_by="place")


def whole() -> ibis.expr.builders.WindowBuilder:
    """Return the window of a whole visit."""
    return ibis.window(group_by=VISIT)


def seconds_between(earlier: ir.Column, later: ir.Column) -> ir.FloatingColumn:
    """Return the time between two moments in seconds."""
    return later.delta(earlier, unit="microsecond") / 1e6


def check_whole(name: str, value: int, low: int = 1) -> int:
    """Return ``value`` if it is a whole number from ``low``."""
    if not isinstance(value, int) or isinstance(value, bool) or value < low:
        raise ParameterError(f"{name}={value!r} is not a whole number from {low}")
    return value


def check_names(name: str, value: Sequence[str]) -> list[str]:
    """Return ``value`` if it is a list of event names."""
    if not isinstance(value, (list, tuple)) or not value or not all(_is_name(one) for one in value):
        raise ParameterError(f"{name}={value!r} must be a list of event names")
    return list(value)


def check_name(name: str, value: str) -> str:
    """Return ``value`` if it can be the name of an event."""
    if not _is_name(value):
        raise ParameterError(f"{name}={value!r} must be the name of an event")
    return value


def with_account(
    table: pd.DataFrame, visits: Visits, n_open: pd.Series, by: str | None
) -> pd.DataFrame:
    """Add what was left out, and name the group: ``n_open`` is indexed by the group's label."""
    table = table.assign(
        n_open=table["label"].map(n_open).fillna(0).astype("int64"),
        n_ignored=visits.account.n_ignored,
        n_duplicates=visits.account.n_duplicates,
    )
    return table.drop(columns="label") if by is None else table.rename(columns={"label": by})


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _cut_where_silent(rows: ir.Table, length: dt.timedelta) -> ir.Table:
    """Number each user's visits: a new one starts after a silence longer than ``length``."""
    of_user = ibis.window(group_by="user_id", order_by=["at", "event"])
    rows = rows.mutate(before=rows["at"].lag().over(of_user))
    opens = rows["before"].isnull() | (rows["at"] > rows["before"] + interval(length))
    so_far = ibis.window(group_by="user_id", order_by=["at", "event"], preceding=None, following=0)
    return rows.mutate(visit=opens.cast("int64").sum().over(so_far)).drop("before")


def _placed(rows: ir.Table, day: dt.date, length: dt.timedelta) -> ir.Table:
    """Give each event its place, and each visit its group and whether it may still go on."""
    in_time = ibis.window(group_by=VISIT, order_by=["at", "event", "label"])
    rows = rows.mutate(place=ibis.row_number().over(in_time))
    named = rows["place"].min(where=rows["label"].notnull()).over(whole())
    rows = rows.mutate(named=named, ended=rows["at"].max().over(whole()))
    label = rows["label"].max(where=rows["place"] == rows["named"]).over(whole())
    is_open = rows["ended"] + interval(length) >= midnight_after(day)
    rows = rows.mutate(label=label.fill_null(NO_GROUP), is_open=is_open)
    return rows.drop("named", "ended")


def _chosen(rows: ir.Table, only: Sequence[str] | None, collapse: bool) -> ir.Table:
    """Keep the events asked for, and of one that repeats at once the first."""
    if only is not None:
        rows = rows.filter(rows["event"].isin(only))
    if collapse:
        rows = rows.mutate(before=rows["event"].lag().over(in_order()))
        is_new = rows["before"].isnull() | (rows["before"] != rows["event"])
        rows = rows.filter(is_new).drop("before")
    return rows.mutate(place=ibis.row_number().over(in_order()))


def _frequent(rows: ir.Table, most: int | None, named: Sequence[str]) -> tuple[list[str], int]:
    """Return the events that keep their name, most frequent first, and how many others there are."""
    counts = rows.group_by("event").aggregate(n=rows.count()).execute()
    counts = counts.sort_values(["n", "event"], ascending=[False, True])
    kept = counts["event"].head(len(counts) if most is None else most)
    kept = counts.loc[counts["event"].isin([*kept, *named]), "event"].tolist()
    return kept, len(counts) - len(kept)


def _pooled(event: ir.Column, names: Sequence[str]) -> ir.Value:
    return ibis.cases((event.isnull() | event.isin(names), event), else_=OTHER)
