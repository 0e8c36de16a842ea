"""The events that a funnel sees, and the account of those that it does not."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib._checks import DataError, check_columns, listed
from cxlib.funnel.rule import Rule
from cxlib.funnel.steps import matches
from cxlib.sources import Source, is_cleaned, load, reading
from cxlib.tables import EVENTS, is_empty, midnight_after, observed


@dataclass(frozen=True)
class Account:
    """How many rows were left out: with an empty value that counts, and repeats of an ``event_id``."""

    n_ignored: int
    n_duplicates: int


def seen_events(events: Source, rule: Rule) -> tuple[ir.Table, Account]:
    """Return the events up to the end of ``as_of``, each once, none without user, event or time.

    Raises
    ------
    ColumnError
        A required column is missing or of another kind, or one that ``hold`` or ``where`` names.
    DataError
        There is no row, a step or an exclusion is not among the events (the nearest names are
        listed), or nobody did step one in the date range.
    """
    table = load(events, EVENTS, rows=False)
    if rule.hold is not None:
        check_columns(EVENTS.name, table.columns, [rule.hold])
    table = table.mutate(_empty=_is_empty(table, rule))
    has_id = "event_id" in table.columns and not is_cleaned(events, EVENTS)
    with reading("events"):
        facts = table.aggregate(**_facts(table, rule, has_id)).execute().iloc[0]
    _check(facts, table, rule)
    seen = table.filter(table["occurred_at"] < midnight_after(rule.as_of))
    if facts["usable"] < facts["rows"]:
        seen = seen.filter(~seen["_empty"])
    seen = seen.drop("_empty")
    n_duplicates = int(facts["ids"] - facts["different_ids"]) if has_id else 0
    if n_duplicates:
        seen = _first_of_each_id(seen)
    return seen, Account(int(facts["n_ignored"]), n_duplicates)


def _is_empty(table: ir.Table, rule: Rule) -> ir.BooleanColumn:
    """Say which rows lack a user, an event or a time, or the value to be held."""
    needed = [table[name] for name in EVENTS.required]
    needed += [] if rule.hold is None else [table[rule.hold].cast("string")]
    return ibis.or_(*map(is_empty, needed))


def _names(rule: Rule) -> list[str]:
    asked = [one.events for one in rule.steps] + [one.events for one in rule.exclude]
    return list(dict.fromkeys(name for events in asked for name in events))


def _facts(table: ir.Table, rule: Rule, has_id: bool) -> dict[str, ir.Value]:
    """Return what one look at the rows must tell before anything is counted."""
    at, empty = table["occurred_at"], table["_empty"]
    by_then = (at < midnight_after(rule.as_of)).fill_null(True)
    usable = ~empty & by_then
    facts = {
        "rows": table.count(),
        "n_ignored": (empty & by_then).sum(),
        "usable": (~empty).sum(),
        "first": at.min(where=~empty),
        "entries": (_enters(table, rule) & usable & rule.in_range(at)).sum(),
        **{f"n_{k}": (table["event"] == name).sum() for k, name in enumerate(_names(rule))},
    }
    if has_id:
        ids = table["event_id"].cast("string").nullif("")
        facts["ids"] = ids.count(where=usable)
        facts["different_ids"] = ids.nunique(where=usable)
    return facts


def _enters(table: ir.Table, rule: Rule) -> ir.BooleanValue:
    entry = matches(table, rule.steps[0])
    for step in rule.steps[1:] if rule.order == "any" else ():
        entry = entry | matches(table, step)
    return entry


def _check(facts: pd.Series, table: ir.Table, rule: Rule) -> None:
    """Raise `DataError` for what the facts forbid."""
    if not facts["rows"]:
        raise DataError("events: no rows; there is nothing to analyse")
    if not facts["usable"]:
        raise DataError(
            f"events: none of the {int(facts['rows']):,} rows has user, event and time; "
            "there is nothing to analyse"
        )
    unknown = [name for k, name in enumerate(_names(rule)) if not facts[f"n_{k}"] > 0]
    if unknown:
        known = table.filter(~table["_empty"]).select("event").distinct().order_by("event")
        names = known.execute()["event"].tolist()
        near = difflib.get_close_matches(unknown[0], names, n=3, cutoff=0.5)
        raise DataError(
            f"events: no event is named {', '.join(map(repr, unknown))}; "
            + (f"the nearest names are {listed(map(repr, near))}; " if near else "")
            + f"there are {listed(names)}"
        )
    if not facts["entries"] > 0:
        observed(table, EVENTS, rule.as_of)
        since = "" if rule.start is None else f"from start={rule.start} "
        what = "any step" if rule.order == "any" else f"step one, {rule.steps[0].name!r},"
        raise DataError(
            f"events: nobody did {what} {since}by as_of={rule.as_of}; there is no funnel to count"
        )


def _first_of_each_id(seen: ir.Table) -> ir.Table:
    """Return the earliest row of each ``event_id``, and all rows without one."""
    ids = seen["event_id"].cast("string").nullif("")
    rest = [name for name in seen.columns if name not in ("occurred_at", "event_id")]
    of_id = ibis.window(group_by=ids, order_by=["occurred_at", *rest])
    numbered = seen.mutate(_place=ibis.row_number().over(of_id), _has_id=ids.notnull())
    return numbered.filter((numbered["_place"] == 0) | ~numbered["_has_id"]).drop(
        "_place", "_has_id"
    )
