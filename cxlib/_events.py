"""The events that an analysis sees, and the account of those that it does not."""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib._checks import DataError, check_columns, listed
from cxlib.sources import Source, is_cleaned, load, reading
from cxlib.tables import EVENTS, is_empty, midnight_after, observed


@dataclass(frozen=True)
class Account:
    """How many rows were left out: with an empty value that counts, and repeats of an ``event_id``.

    ``n_chosen`` are the rows kept that the caller asked to count.
    """

    n_ignored: int
    n_duplicates: int
    n_chosen: int


def observed_events(
    events: Source,
    *,
    as_of: dt.date,
    names: Sequence[str] = (),
    needed: Iterable[str] = (),
    chosen: Callable[[ir.Table], ir.BooleanValue] | None = None,
) -> tuple[ir.Table, Account]:
    """Return the events up to the end of ``as_of``, each once, none without user, event or time.

    Parameters
    ----------
    events : Source
        What the user gave.
    names : sequence of str
        Events that must be among them.
    needed : iterable of str
        Further columns in which a row must have a value.
    chosen : function of the table, optional
        Rows to count, in the same look.

    Raises
    ------
    ColumnError
        A required column is missing or of another kind, or one that is ``needed``.
    DataError
        There is no row that can be used, none by ``as_of``, or a name is not among the events
        (the nearest names are listed).
    """
    table = load(events, EVENTS, rows=False)
    needed = list(needed)
    check_columns(EVENTS.name, table.columns, needed, optional="")
    is_clean = is_cleaned(events, EVENTS)
    empty = [] if is_clean else [table[name] for name in EVENTS.required]
    empty += [table[name].cast("string") for name in needed]
    table = table.mutate(_empty=ibis.or_(ibis.literal(False), *map(is_empty, empty)))
    has_id = "event_id" in table.columns and not is_clean
    with reading("events"):
        facts = table.aggregate(**_facts(table, as_of, names, has_id, chosen)).execute().iloc[0]
    _check(facts, table, names)
    if not facts["seen"]:
        observed(table.filter(~table["_empty"]), EVENTS, as_of)
    seen = table.filter(table["occurred_at"] < midnight_after(as_of))
    if facts["usable"] < facts["rows"]:
        seen = seen.filter(~seen["_empty"])
    seen = seen.drop("_empty")
    n_duplicates = int(facts["ids"] - facts["different_ids"]) if has_id else 0
    if n_duplicates:
        seen = _first_of_each_id(seen)
    n_chosen = int(facts["chosen"]) if facts["chosen"] > 0 else 0
    return seen, Account(int(facts["n_ignored"]), n_duplicates, n_chosen)


def _facts(
    table: ir.Table,
    as_of: dt.date,
    names: Sequence[str],
    has_id: bool,
    chosen: Callable[[ir.Table], ir.BooleanValue] | None,
) -> dict[str, ir.Value]:
    """Return what one look at the rows must tell before anything is counted."""
    empty = table["_empty"]
    by_then = (table["occurred_at"] < midnight_after(as_of)).fill_null(True)
    usable = ~empty & by_then
    facts = {
        "rows": table.count(),
        "n_ignored": (empty & by_then).sum(),
        "usable": (~empty).sum(),
        "seen": usable.sum(),
        "chosen": (usable if chosen is None else usable & chosen(table)).sum(),
        **{f"n_{k}": (table["event"] == name).sum() for k, name in enumerate(names)},
    }
    if has_id:
        ids = table["event_id"].cast("string").nullif("")
        facts["ids"] = ids.count(where=usable)
        facts["different_ids"] = ids.nunique(where=usable)
    return facts


def _check(facts: pd.Series, table: ir.Table, names: Sequence[str]) -> None:
    """Raise `DataError` for what the facts forbid."""
    if not facts["rows"]:
        raise DataError("events: no rows; there is nothing to analyse")
    if not facts["usable"]:
        raise DataError(
            f"events: none of the {int(facts['rows']):,} rows has user, event and time; "
            "there is nothing to analyse"
        )
    unknown = [name for k, name in enumerate(names) if not facts[f"n_{k}"] > 0]
    if unknown:
        known = table.filter(~table["_empty"]).select("event").distinct().order_by("event")
        found = known.execute()["event"].tolist()
        near = difflib.get_close_matches(unknown[0], found, n=3, cutoff=0.5)
        raise DataError(
            f"events: no event is named {', '.join(map(repr, unknown))}; "
            + (f"the nearest names are {listed(map(repr, near))}; " if near else "")
            + f"there are {listed(found)}"
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
