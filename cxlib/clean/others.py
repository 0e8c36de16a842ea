"""Raw events, exposures and survey answers, cleaned by the same account of losses."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib._checks import check_number
from cxlib.clean.losses import Cleaned, settle
from cxlib.clean.parse import check_clock, check_readable, is_odd, number, text, when
from cxlib.clean.prepared import recalled
from cxlib.sources import Raw, Source, check_needed, read, reading
from cxlib.tables import EVENTS, EXPOSURES, RESPONSES, Contract

SCALES = {"nps": (0, 10), "csat": (1, 5), "ces": (1, 7)}


def clean_events(
    raw: Source,
    *,
    timezone: str,
    max_loss: float = 0.3,
    date_format: str | None = None,
    naive: str | None = None,
) -> Cleaned:
    """Clean an event log: one row per event, every loss counted.

    Parameters
    ----------
    raw : Raw or any source that `read` takes
        Must have ``user_id``, ``event`` and ``occurred_at``; ``event_id`` removes repeats.
    timezone, max_loss, date_format, naive
        As in `clean_orders`.

    Returns
    -------
    Cleaned
        ``.table`` has ``user_id``, ``event``, ``occurred_at`` (shop's clock) and the other columns
        as they were. Dropped: rows without user, event or time, exact duplicates, and repeats
        of an ``event_id``.

    Raises
    ------
    ColumnError, DataError
        As in `clean_orders`.

    See Also
    --------
    cxlib.plot.losses

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> raw = pd.DataFrame({"user_id": ["u1", "u1"], "event": ["view", "cart"],
    ...                     "occurred_at": ["2024-05-01T10:00:00+02:00", "2024-05-01T10:05:00+02:00"]})
    >>> cx.clean_events(raw, timezone="Europe/Paris").table.execute()["occurred_at"].dt.hour.tolist()
    [10, 10]
    """
    check_number("max_loss", max_loss, 0, 1)
    raw = read(raw)
    given = {"timezone": timezone, "date_format": date_format, "naive": naive}
    kept = recalled(raw, EVENTS, given, max_loss)
    if kept is not None:
        return kept
    typed, raw_rows = _typed(raw, EVENTS, timezone, date_format, naive)
    typed = typed.distinct()
    cases = [
        (typed["user_id"].isnull(), "no_user"),
        (typed["event"].isnull(), "no_event"),
        (typed["occurred_at"].isnull(), "no_time"),
        (is_odd(typed["occurred_at"]), "odd_time"),
    ]
    ruled = _with_rule(typed, cases)
    if "event_id" in ruled.columns:
        ruled = _first_of_each_id(ruled)
    return _settle(ruled, EVENTS, raw, raw_rows, max_loss)


def clean_exposures(
    raw: Source,
    *,
    timezone: str,
    max_loss: float = 0.3,
    date_format: str | None = None,
    naive: str | None = None,
) -> Cleaned:
    """Clean an experiment's exposure log; repeated exposures are kept, for the checks need them.

    Parameters
    ----------
    raw : Raw or any source that `read` takes
        Must have ``user_id``, ``variant`` and ``exposed_at``.
    timezone, max_loss, date_format, naive
        As in `clean_orders`.

    Returns
    -------
    Cleaned
        ``.table`` has ``user_id``, ``variant``, ``exposed_at`` (shop's clock) and the other columns.
        Dropped: rows without user, variant or time.

    Raises
    ------
    ColumnError, DataError
        As in `clean_orders`.

    See Also
    --------
    cxlib.plot.losses

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> raw = pd.DataFrame({"user_id": [1, 2, 3], "variant": ["A", "B", None],
    ...                     "exposed_at": ["2024-05-01", "2024-05-01", "2024-05-02"]})
    >>> cx.clean_exposures(raw, timezone="UTC", max_loss=0.5).losses["rule"].tolist()
    ['no_variant']
    """
    check_number("max_loss", max_loss, 0, 1)
    raw = read(raw)
    given = {"timezone": timezone, "date_format": date_format, "naive": naive}
    kept = recalled(raw, EXPOSURES, given, max_loss)
    if kept is not None:
        return kept
    typed, raw_rows = _typed(raw, EXPOSURES, timezone, date_format, naive)
    cases = [
        (typed["user_id"].isnull(), "no_user"),
        (typed["variant"].isnull(), "no_variant"),
        (typed["exposed_at"].isnull(), "no_time"),
        (is_odd(typed["exposed_at"]), "odd_time"),
    ]
    return _settle(_with_rule(typed, cases), EXPOSURES, raw, raw_rows, max_loss)


def clean_responses(
    raw: Source,
    *,
    timezone: str,
    max_loss: float = 0.3,
    date_format: str | None = None,
    naive: str | None = None,
) -> Cleaned:
    """Clean survey answers: one row per answer, every loss counted.

    Parameters
    ----------
    raw : Raw or any source that `read` takes
        Must have ``customer_id``, ``responded_at``, ``kind`` (nps 0 to 10, csat 1 to 5, ces 1 to 7)
        and ``score``.
    timezone, max_loss, date_format, naive
        As in `clean_orders`.

    Returns
    -------
    Cleaned
        ``.table`` has the four columns and the others. Dropped: exact duplicates, rows without
        customer, time or answer, unknown kinds, and scores off their scale.

    Raises
    ------
    ColumnError, DataError
        As in `clean_orders`.

    See Also
    --------
    cxlib.plot.losses

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> raw = pd.DataFrame({"customer_id": ["ann", "bob"], "responded_at": ["2024-05-01", "2024-05-02"],
    ...                     "kind": ["nps", "csat"], "score": [9, 8]})
    >>> cx.clean_responses(raw, timezone="UTC", max_loss=0.5).losses["rule"].tolist()
    ['out_of_range']
    """
    check_number("max_loss", max_loss, 0, 1)
    raw = read(raw)
    given = {"timezone": timezone, "date_format": date_format, "naive": naive}
    kept = recalled(raw, RESPONSES, given, max_loss)
    if kept is not None:
        return kept
    typed, raw_rows = _typed(raw, RESPONSES, timezone, date_format, naive)
    typed = typed.mutate(kind=typed["kind"].lower()).distinct()
    low, high = (
        ibis.cases(
            *[(typed["kind"] == kind, scale[end]) for kind, scale in SCALES.items()],
            else_=ibis.null("int64"),
        )
        for end in (0, 1)
    )
    cases = [
        (typed["customer_id"].isnull(), "no_customer"),
        (typed["responded_at"].isnull(), "no_time"),
        (is_odd(typed["responded_at"]), "odd_time"),
        (typed["score"].isnull(), "no_score"),
        (~typed["kind"].isin(list(SCALES)).fill_null(False), "unknown_kind"),
        (~typed["score"].between(low, high).fill_null(False), "out_of_range"),
    ]
    return _settle(_with_rule(typed, cases), RESPONSES, raw, raw_rows, max_loss)


def _typed(
    raw: Raw, contract: Contract, timezone: str, date_format: str | None, naive: str | None
) -> tuple[ir.Table, int]:
    """Return the raw rows with typed columns, and their count."""
    table = raw.table
    check_needed(table, contract.name, contract.required, raw.preset)
    clock = check_clock(raw, timezone, naive, date_format)
    of_kind = {
        kind: [column.name for column in contract.columns if column.kind == kind]
        for kind in ("time", "number", "text")
    }
    times = {name: when(table[name], clock) for name in of_kind["time"]}
    numbers = {name: number(table[name]) for name in of_kind["number"]}
    texts = {name: text(table[name]) for name in of_kind["text"]}
    with reading(raw.name):
        rows = check_readable(table, contract.name, clock, times, numbers)
        return table.mutate(**times, **numbers, **texts), rows


def _with_rule(typed: ir.Table, cases: list[tuple[ir.Value, str]]) -> ir.Table:
    """Add ``_rule``, the first that holds; null where the row is kept."""
    return typed.mutate(_rule=ibis.cases(*cases, else_=ibis.null("string")))


def _first_of_each_id(ruled: ir.Table) -> ir.Table:
    """Give all kept rows of an ``event_id`` but the earliest the rule ``duplicate_event``."""
    event_id = text(ruled["event_id"])
    has_id = ruled["_rule"].isnull() & event_id.notnull()
    rest = [name for name in ruled.columns if name != "occurred_at"]
    of_id = ibis.window(group_by=[event_id, has_id], order_by=["occurred_at", *rest])
    is_later = has_id & (ibis.row_number().over(of_id) > 0)
    return ruled.mutate(_rule=ibis.ifelse(is_later, "duplicate_event", ruled["_rule"]))


def _settle(
    ruled: ir.Table, contract: Contract, raw: Raw, raw_rows: int, max_loss: float
) -> Cleaned:
    """Count the rules of ``ruled``; rows that it no longer has were exact duplicates."""
    with reading(raw.name):
        ruled = ruled.cache()
    counts: pd.DataFrame = (
        ruled.group_by(rule=ruled["_rule"]).aggregate(rows=ruled.count()).execute()
    )
    again = raw_rows - int(counts["rows"].sum())
    duplicates = pd.DataFrame({"rule": ["duplicate_row"], "rows": [again]})
    return settle(
        ruled.filter(ruled["_rule"].isnull()).drop("_rule"),
        pd.concat([duplicates, counts[counts["rule"].notna()]]),
        contract,
        raw=(raw_rows, None),
        kept=(int(counts.loc[counts["rule"].isna(), "rows"].sum()), None),
        max_loss=max_loss,
    ).of(raw)
