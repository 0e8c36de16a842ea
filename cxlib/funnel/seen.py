"""The events that a funnel sees, and the account of those that it does not."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir

from cxlib._checks import DataError, listed, suggest
from cxlib._events import Account, observed_events
from cxlib.funnel.rule import Rule
from cxlib.funnel.steps import Exclude, Step, matches
from cxlib.sources import Source, is_cleaned, load
from cxlib.tables import EVENTS, midnight_after

__all__ = ["Account", "seen_events", "unlooked_events"]


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
    seen, account = observed_events(
        events,
        as_of=rule.as_of,
        names=_names(rule),
        needed=[] if rule.hold is None else [rule.hold],
        chosen=lambda table: _enters(table, rule) & rule.in_range(table["occurred_at"]),
    )
    if not account.n_chosen:
        since = "" if rule.start is None else f"from start={rule.start} "
        what = "any step" if rule.order == "any" else f"step one, {rule.steps[0].name!r},"
        raise DataError(
            f"events: nobody did {what} {since}by as_of={rule.as_of}; there is no funnel to count"
        )
    _check_values(seen, [*rule.steps, *rule.exclude])
    return seen, account


def unlooked_events(events: Source, rule: Rule) -> ir.Table | None:
    """Return the same of what cleaning made, without a look at the rows; None if it takes one.

    It takes none where each event asked for is all of a step: when every step is found to have
    been taken, the look would have told nothing more.
    """
    alone = all(len(one.events) == 1 and not one.where for one in rule.steps)
    if not alone or rule.exclude or rule.hold is not None or not is_cleaned(events, EVENTS):
        return None
    table = load(events, EVENTS, rows=False)
    return table.filter(table["occurred_at"] < midnight_after(rule.as_of))


def _check_values(seen: ir.Table, asked: Sequence[Step | Exclude]) -> None:
    """Raise `DataError` where a condition names text that no event has in that column."""
    named = {
        (column, value)
        for one in asked
        for column, values in (one.where or {}).items()
        for value in (values if isinstance(values, (list, tuple, set, frozenset)) else [values])
        if isinstance(value, str) and column in seen.columns and seen[column].type().is_string()
    }
    for column in sorted({column for column, _ in named}):
        has = {value: (seen[column] == value).any() for name, value in named if name == column}
        found = seen.aggregate(**has).to_pyarrow().to_pylist()[0]
        for value in sorted(value for value, is_there in found.items() if not is_there):
            values = seen.filter(seen[column].notnull())[column].value_counts(name="n")
            known = values.order_by(ibis.desc("n"), column).limit(20)[column].to_pyarrow()
            raise DataError(
                f"events: where={{{column!r}: {value!r}}}: no event has that value; there are "
                f"{listed(known.to_pylist())}.{suggest(value, known.to_pylist())}"
            )


def _names(rule: Rule) -> list[str]:
    asked = [one.events for one in rule.steps] + [one.events for one in rule.exclude]
    return list(dict.fromkeys(name for events in asked for name in events))


def _enters(table: ir.Table, rule: Rule) -> ir.BooleanValue:
    return ibis.or_(
        *(matches(table, step) for step in (rule.steps if rule.order == "any" else rule.steps[:1]))
    )
