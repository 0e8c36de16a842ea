"""Raw events, exposures and survey answers, cleaned by the same account of losses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib._checks import check_number
from cxlib.clean.clock import is_odd_hour
from cxlib.clean.facts import Bits, Facts, bits_of, check_read, copies_counted, on_the_clock
from cxlib.clean.lines import first_rule, is_like
from cxlib.clean.losses import Cleaned, settle
from cxlib.clean.parse import Clock, check_clock, is_odd, number, person, text, when
from cxlib.clean.prepared import recalled
from cxlib.clean.rules import check_skipped
from cxlib.sources import SOURCE_FILE, Raw, Rules, Source, check_needed, read, reading
from cxlib.tables import EVENTS, EXPOSURES, RESPONSES, Contract

N_EXAMPLES = 5
SCALES = {"nps": (0, 10), "csat": (1, 5), "ces": (1, 7)}


def clean_events(
    raw: Source,
    *,
    timezone: str,
    max_loss: float = 0.3,
    date_format: str | None = None,
    naive: str | None = None,
    exclude: Iterable[str] = (),
    skip_rules: Iterable[str] = (),
) -> Cleaned:
    """Clean an event log: one row per event, every loss counted.

    Parameters
    ----------
    raw : Raw or any source that `read` takes
        Must have ``user_id``, ``event`` and ``occurred_at``; ``event_id`` removes repeats.
    timezone, max_loss, date_format, naive, exclude, skip_rules
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
    given: dict[str, object] = {"timezone": timezone, "date_format": date_format, "naive": naive}
    given |= {"exclude": list(exclude), "skip_rules": list(skip_rules)}
    kept = recalled(raw, EVENTS, given, max_loss)
    if kept is not None:
        return kept
    log = _read(raw, EVENTS, timezone, date_format, naive, skip_rules, distinct=True)
    rows = log.rows
    cases = [
        (rows["user_id"].isnull(), "no_user"),
        (rows["event"].isnull(), "no_event"),
        (rows["occurred_at"].isnull(), "no_time"),
        (is_odd(rows["occurred_at"]), "odd_time"),
        (_named(rows["user_id"], exclude), "excluded"),
    ]
    ruled = log.ruled(cases)
    if "event_id" in ruled.columns and "duplicate_event" not in log.skipped:
        ruled = _first_of_each_id(ruled)
    return _settle(log, ruled, max_loss)


def clean_exposures(
    raw: Source,
    *,
    timezone: str,
    max_loss: float = 0.3,
    date_format: str | None = None,
    naive: str | None = None,
    exclude: Iterable[str] = (),
) -> Cleaned:
    """Clean an experiment's exposure log; repeated exposures are kept, for the checks need them.

    Parameters
    ----------
    raw : Raw or any source that `read` takes
        Must have ``user_id``, ``variant`` and ``exposed_at``.
    timezone, max_loss, date_format, naive, exclude
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
    given: dict[str, object] = {"timezone": timezone, "date_format": date_format, "naive": naive}
    given |= {"exclude": list(exclude)}
    kept = recalled(raw, EXPOSURES, given, max_loss)
    if kept is not None:
        return kept
    log = _read(raw, EXPOSURES, timezone, date_format, naive, (), distinct=False)
    rows = log.rows
    cases = [
        (rows["user_id"].isnull(), "no_user"),
        (rows["variant"].isnull(), "no_variant"),
        (rows["exposed_at"].isnull(), "no_time"),
        (is_odd(rows["exposed_at"]), "odd_time"),
        (_named(rows["user_id"], exclude), "excluded"),
    ]
    return _settle(log, log.ruled(cases), max_loss)


def clean_responses(
    raw: Source,
    *,
    timezone: str,
    max_loss: float = 0.3,
    date_format: str | None = None,
    naive: str | None = None,
    skip_rules: Iterable[str] = (),
) -> Cleaned:
    """Clean survey answers: one row per answer, every loss counted.

    Parameters
    ----------
    raw : Raw or any source that `read` takes
        Must have ``customer_id``, ``responded_at``, ``kind`` (nps 0 to 10, csat 1 to 5, ces 1 to 7)
        and ``score``.
    timezone, max_loss, date_format, naive, skip_rules
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
    given: dict[str, object] = {"timezone": timezone, "date_format": date_format, "naive": naive}
    given |= {"skip_rules": list(skip_rules)}
    kept = recalled(raw, RESPONSES, given, max_loss)
    if kept is not None:
        return kept
    log = _read(raw, RESPONSES, timezone, date_format, naive, skip_rules, distinct=True)
    typed = log.rows
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
    return _settle(log, log.ruled(cases), max_loss)


@dataclass(frozen=True)
class Log:
    """The rows of a log as read, and what was found out while reading them."""

    raw: Raw
    rows: ir.Table
    contract: Contract
    clock: Clock
    bits: Bits
    facts: Facts
    skipped: frozenset[str]

    def ruled(self, cases: list[tuple[ir.Value, str]]) -> ir.Table:
        """Add ``_rule``, the first that holds; null where the row is kept."""
        return self.rows.mutate(_rule=first_rule(cases, self.skipped))


def _read(
    raw: Source,
    contract: Contract,
    timezone: str,
    date_format: str | None,
    naive: str | None,
    skip_rules: Iterable[str],
    *,
    distinct: bool,
) -> Log:
    """Return the raw rows with typed columns, held in their engine, once all could be read."""
    raw = read(raw)
    table, rules = raw.table, raw.preset.rules if raw.preset else Rules()
    if SOURCE_FILE in table.columns:  # a row is the same in whatever file it stands
        table = table.drop(SOURCE_FILE)
    check_needed(table, contract.name, contract.required, raw.preset)
    skipped = check_skipped(skip_rules, rules)
    clock = check_clock(raw, timezone, naive, date_format)
    times = {contract.when: when(table[contract.when], clock)}
    parse: dict[str, Callable[[ir.Value], ir.Value]] = {
        "time": lambda value: times[value.get_name()].value,
        "number": number,
        "text": lambda value: text(value, skipped),
    }
    typed = {one.name: parse[one.kind](table[one.name]) for one in contract.columns}
    typed[contract.who] = person(table[contract.who], skipped)
    if "kind" in typed:
        typed["kind"] = typed["kind"].lower()
    of = {
        kind: {c.name: typed[c.name] for c in contract.columns if c.kind == kind} for kind in parse
    }
    names = [name for name in of["text"] if name != contract.who]
    bits = bits_of(table, clock, times, of["number"], [contract.who], names, skipped)
    rows = table.mutate(**typed, _bits=bits.packed())
    with reading(raw.name):
        rows = copies_counted(rows, repeats=not distinct or "duplicate_row" in skipped)
        rows = rows.cache()
        facts = check_read(rows, table, contract.name, clock, bits, None, contract.when)
    rows = on_the_clock(rows, clock, bits, facts, times)
    return Log(raw, rows, contract, clock, bits, facts, skipped)


def _named(who: ir.Value, exclude: Iterable[str]) -> ir.Value:
    patterns = list(exclude)
    return is_like(who, patterns) if patterns else ibis.literal(False)


def _first_of_each_id(ruled: ir.Table) -> ir.Table:
    """Give all kept rows of an ``event_id`` but the earliest the rule ``duplicate_event``."""
    ruled = ruled.mutate(_id=text(ruled["event_id"]))
    with_id = ruled.filter(ruled["_rule"].isnull(), ruled["_id"].notnull())
    repeated = with_id.group_by("_id").having(with_id.count() > 1).aggregate()
    rest, ruled = ruled.anti_join(repeated, "_id"), ruled.semi_join(repeated, "_id")
    is_kept = ruled["_rule"].isnull()
    others = [name for name in ruled.columns if name != "occurred_at"]
    of_id = ibis.window(group_by=[ruled["_id"], is_kept], order_by=["occurred_at", *others])
    is_later = is_kept & (ibis.row_number().over(of_id) > 0)
    rule = ibis.ifelse(is_later, "duplicate_event", ruled["_rule"])
    return ruled.mutate(_rule=rule).union(rest).drop("_id")


def _settle(log: Log, ruled: ir.Table, max_loss: float) -> Cleaned:
    """Count the rules and notes of ``ruled``; the copies of a row are exact duplicates."""
    ruled = ruled.cache()
    when = ruled[log.contract.when]
    notes = log.facts.notes(ruled, log.bits)
    for note, gap in (("clock_gap", True), ("clock_fold", False)):
        notes[note] = is_odd_hour(when, log.clock.timezone, log.facts.years, gap=gap)
    counts: pd.DataFrame = (
        ruled.group_by(rule=ruled["_rule"])
        .aggregate(
            rows=ruled.count(),
            again=(ruled["_copies"] - 1).sum(),
            **{f"note {name}": flag.sum() for name, flag in notes.items()},
        )
        .execute()
    )
    kept, again = counts[counts["rule"].isna()], int(counts["again"].sum())
    duplicates = pd.DataFrame({"rule": ["duplicate_row"], "rows": [again]})
    lost = pd.concat([duplicates, counts.loc[counts["rule"].notna(), ["rule", "rows"]]])
    noted = pd.DataFrame(
        {"note": list(notes), "rows": [int(kept[f"note {name}"].sum()) for name in notes]}
    )
    cleaned = Cleaned(
        ruled.filter(ruled["_rule"].isnull()).drop("_rule", "_bits", "_copies"),
        lost,
        int(counts["rows"].sum()) + again,
        int(kept["rows"].sum()),
        contract=log.contract,
        examples=_examples(ruled, lost, log.contract),
    )
    return settle(cleaned, lost, noted, max_loss=max_loss).of(log.raw)


def _examples(ruled: ir.Table, lost: pd.DataFrame, contract: Contract) -> dict[str, list[str]]:
    """Return a few ids of rows for each rule: of the event where there is one, or who and when."""
    key = "event_id" if "event_id" in ruled.columns else None
    shown = ruled[key] if key else ruled[contract.who]
    at = ruled[contract.when].cast("string")
    if key is None:
        shown = ibis.coalesce(shown, "?") + " at " + ibis.coalesce(at, "?")
    rows = ruled.select(shown=shown.cast("string"), rule="_rule", again=ruled["_copies"] > 1)
    found = {}
    for rule in lost.loc[lost["rows"] > 0, "rule"]:
        of_rule = rows["again"] if rule == "duplicate_row" else rows["rule"] == rule
        few = rows.filter(of_rule, rows["shown"].notnull()).order_by("shown").limit(N_EXAMPLES)
        found[str(rule)] = few["shown"].execute().tolist()
    return found
