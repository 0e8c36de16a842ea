"""Raw events, exposures and survey answers, cleaned by the same account of losses."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib._checks import check_choice, check_columns, check_number, check_timezone
from cxlib.clean.losses import Cleaned, settle
from cxlib.clean.parse import check_readable, number, text, when
from cxlib.sources import Raw, Source, read
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

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> raw = pd.DataFrame({"user_id": ["u1", "u1"], "event": ["view", "cart"],
    ...                     "occurred_at": ["2024-05-01T10:00:00+02:00", "2024-05-01T10:05:00+02:00"]})
    >>> cx.clean_events(raw, timezone="Europe/Paris").table.execute()["occurred_at"].dt.hour.tolist()
    [10, 10]
    """
    typed = _typed(raw, EVENTS, timezone, date_format, naive)
    cases = [
        (typed["user_id"].isnull(), "no_user"),
        (typed["event"].isnull(), "no_event"),
        (typed["occurred_at"].isnull(), "no_time"),
    ]
    return _settle(_distinct(typed, cases), EVENTS, max_loss)


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

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> raw = pd.DataFrame({"user_id": [1, 2, 3], "variant": ["A", "B", None],
    ...                     "exposed_at": ["2024-05-01", "2024-05-01", "2024-05-02"]})
    >>> cx.clean_exposures(raw, timezone="UTC", max_loss=0.5).losses["rule"].tolist()
    ['no_variant']
    """
    typed = _typed(raw, EXPOSURES, timezone, date_format, naive)
    cases = [
        (typed["user_id"].isnull(), "no_user"),
        (typed["variant"].isnull(), "no_variant"),
        (typed["exposed_at"].isnull(), "no_time"),
    ]
    ruled = typed.mutate(rule=ibis.cases(*cases, else_=ibis.null("string")))
    return _settle(ruled, EXPOSURES, max_loss)


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

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> raw = pd.DataFrame({"customer_id": ["ann", "bob"], "responded_at": ["2024-05-01", "2024-05-02"],
    ...                     "kind": ["nps", "csat"], "score": [9, 8]})
    >>> cx.clean_responses(raw, timezone="UTC", max_loss=0.5).losses["rule"].tolist()
    ['out_of_range']
    """
    typed = _typed(raw, RESPONSES, timezone, date_format, naive).mutate(kind=ibis._["kind"].lower())
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
        (typed["score"].isnull(), "no_score"),
        (~typed["kind"].isin(list(SCALES)).fill_null(False), "unknown_kind"),
        (~typed["score"].between(low, high).fill_null(False), "out_of_range"),
    ]
    return _settle(_distinct(typed, cases), RESPONSES, max_loss)


def _typed(
    raw: Source, contract: Contract, timezone: str, date_format: str | None, naive: str | None
) -> ir.Table:
    check_timezone("timezone", timezone)
    raw = raw if isinstance(raw, Raw) else read(raw)
    table = raw.table
    check_columns(contract.name, table.columns, contract.required)
    rules = raw.preset.rules if raw.preset else {}
    naive = check_choice(
        "naive", naive or ("utc" if rules.get("timestamps") == "utc" else "local"), ["local", "utc"]
    )
    kinds = {column.name: column.kind for column in contract.columns}
    times = {
        name: when(table[name], timezone, naive=naive, date_format=date_format)
        for name, kind in kinds.items()
        if kind == "time"
    }
    numbers = {name: number(table[name]) for name, kind in kinds.items() if kind == "number"}
    check_readable(table, contract.name, times, numbers)
    texts = {name: text(table[name]) for name, kind in kinds.items() if kind == "text"}
    return table.mutate(**times, **numbers, **texts)


def _distinct(typed: ir.Table, cases: list[tuple[ir.Value, str]]) -> ir.Table:
    """Add ``rule``: the first case that holds, or that the row or its event id came before."""
    copy = ibis.row_number().over(ibis.window(group_by=typed.columns))
    cases = [*cases, (copy > 0, "duplicate_row")]
    ruled = typed.mutate(rule=ibis.cases(*cases, else_=ibis.null("string")))
    if "event_id" not in typed.columns:
        return ruled
    kept_first = ibis.window(
        group_by=["event_id", ruled["rule"].isnull()],
        order_by=[ruled["occurred_at"], ruled["user_id"], ruled["event"]],
    )
    repeat = (
        ruled["rule"].isnull()
        & ruled["event_id"].notnull()
        & (ibis.row_number().over(kept_first) > 0)
    )
    return ruled.mutate(rule=ibis.ifelse(repeat, "duplicate_event", ruled["rule"]))


def _settle(ruled: ir.Table, contract: Contract, max_loss: float) -> Cleaned:
    check_number("max_loss", max_loss, 0, 1)
    ruled = ruled.cache()
    counts: pd.DataFrame = ruled.group_by("rule").aggregate(rows=ruled.count()).execute()
    raw_rows, kept_rows = (
        int(counts["rows"].sum()),
        int(counts.loc[counts["rule"].isna(), "rows"].sum()),
    )
    return settle(
        ruled.filter(ruled["rule"].isnull()).drop("rule"),
        counts[counts["rule"].notna()],
        contract,
        raw=(raw_rows, None),
        kept=(kept_rows, None),
        max_loss=max_loss,
    )
