"""What `cx check` says of an export: how it is read, what cleaning loses, and what to mend."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from cxlib import clean, sources
from cxlib._checks import CxError, listed
from cxlib.clean.losses import lost_shares
from cxlib.clean.rules import BY_CHOICE
from cxlib.tables import CONTRACTS, Contract

FORMS = {"revenue": "{:,.2f}", "rows": "{:,}"}
ADVICE = {
    "duplicate_row": "export again without overlap, if these rows came from two files",
    "duplicate_order": "export one state of each order, the latest",
    "no_customer": "export e-mails or customer ids; guests cannot be followed",
    "no_user": "export the user ids",
    "no_time": "export the dates",
    "no_amount": "export the totals",
    "refund_unmatched": "export further back, so that what was refunded is there",
    "negative_total": "look at these orders: nothing explains the sign",
    "refunded_in_full": "look at these orders, if more is refunded than was paid",
}
SIGNS = ("refund_unmatched", "refunded_in_full", "negative_total")
"""Rules of which a single order may be worth a look."""
BIG = 0.05
"""Share of the rows or of the revenue from which a loss is worth mending."""


@dataclass(frozen=True)
class Told:
    """The lines to print, and whether the export can be used."""

    lines: tuple[str, ...]
    is_usable: bool


def check_export(
    source: str,
    *,
    preset: str | None,
    columns: Mapping[str, str],
    encoding: str | None,
    table: str | None,
    max_loss: float,
    cleaning: Mapping[str, Any],
) -> Told:
    """Read and clean an export as a notebook would, and say what came of it.

    Raises
    ------
    CxError
        It cannot be opened at all.
    """
    try:
        raw = sources.read(source, preset, columns or None, encoding=encoding)
    except CxError as error:
        raise CxError(_for_the_shell(str(error))) from error
    lines = list(_how_read(raw))
    contract = _contract(raw, table)
    cleaner = getattr(clean, f"clean_{contract.name}")
    known = {name: value for name, value in cleaning.items() if value is not None}
    if contract.name != "orders":
        known = {name: known[name] for name in known if name not in ("currency", "decimal")}
    try:
        cleaned = cleaner(raw, max_loss=1.0, **known)
    except CxError as error:
        return Told((*lines, f"to fix: {_for_the_shell(str(error))}"), is_usable=False)
    lines += _what_is_in_it(cleaned, contract)
    lines += _what_is_lost(cleaned)
    if not cleaned.notes.empty:
        names = ["note", *[name for name in _ACCOUNT if name in cleaned.notes]]
        lines += ["put right, or worth a look:", *_written(cleaned.notes[names])]
    too_much = _lost_share(cleaned) > max_loss
    if too_much:
        lines.append(
            f"to fix: {_lost_share(cleaned):.1%} is lost, most of it as {_worst(cleaned)}, and cleaning "
            f"stops above {max_loss:.0%}; mend the export, or allow more with --max-loss"
        )
    return Told((*lines, *_what_to_mend(cleaned)), is_usable=not too_much)


OPTIONS = "columns|currency|date_format|decimal|encoding|naive|preset|timezone"
QUOTED = r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\""""
ARGUMENT = re.compile(
    rf"""\b({OPTIONS})=({QUOTED}|\{{(?:{QUOTED}|[^'"}}])*\}})?(?P<advised> in cx\.read)?"""
)
"""One of Python's arguments in a message, its value where it has one, and whether it is advice."""


def _for_the_shell(said: str) -> str:
    """Return a message with what to type at the command line in place of what to write in Python."""
    return ARGUMENT.sub(_option, said)


def _option(argument: re.Match[str]) -> str:
    name, written = argument[1], argument[2]
    option = f"--{name.replace('_', '-')}"
    if written is None:
        return option
    given = ast.literal_eval(written)
    if not isinstance(given, dict):
        return f"{option} {shlex.quote(given)}"
    pairs = " ".join(
        f"{option} {shlex.quote(f'{ours}={theirs}')}" for ours, theirs in given.items()
    )
    if not argument["advised"]:
        return pairs
    return f"{pairs} here, and for reports a preset with the same under [columns] (cx preset new my_shop.toml)"


def _how_read(raw: sources.Raw) -> Iterator[str]:
    yield f"{raw.name}: {raw.origin or 'no known export; its columns are taken by our own names'}"
    for note in raw.notes:
        yield f"  {note}"
    if raw.preset is not None and raw.preset.note:
        yield f"  mind: {raw.preset.note}"
    taken = [f"{ours} = {theirs}" for ours, theirs in raw.taken.items() if ours != theirs]
    made = ("cancelled_at", "refunded") if raw.preset is not None else ()
    others = [name for name in raw.table.columns if name not in (*raw.taken, *made)]
    if taken:
        yield f"  columns    {listed(taken, 30)}"
    if others:
        yield f"  {'others' if taken else 'columns':<10} {listed(others)}"


def _contract(raw: sources.Raw, table: str | None) -> Contract:
    """Return what the rows are: as asked, as the preset says, or as most of the columns say."""
    if table is not None:
        return CONTRACTS[table]
    if raw.preset is not None:
        return CONTRACTS[raw.preset.table]
    have = set(raw.table.columns)
    return max(CONTRACTS.values(), key=lambda contract: len(have & set(contract.required)))


def _what_is_in_it(cleaned: clean.Cleaned, contract: Contract) -> Iterator[str]:
    rows = cleaned.table
    found = rows.aggregate(
        n=rows.count(),
        first=rows[contract.when].min(),
        last=rows[contract.when].max(),
        who=rows[contract.who].nunique(),
    )
    n, first, last, who = found.to_pyarrow().to_pylist()[0].values()
    yield f"  rows       {cleaned.raw_rows:,}, of which {cleaned.kept_rows:,} are kept"
    yield f"  {contract.name:<10} {n:,}"
    yield f"  {contract.who.removesuffix('_id') + 's':<10} {who:,}"
    yield f"  period     {first:%Y-%m-%d} to {last:%Y-%m-%d}"
    if cleaned.kept_revenue is not None:
        currency = cleaned.currency or "the export names no currency"
        yield f"  revenue    {cleaned.kept_revenue:,.2f} ({currency})"


def _what_is_lost(cleaned: clean.Cleaned) -> Iterator[str]:
    if cleaned.losses.empty:
        yield "losses: none"
        return
    yield f"losses: {cleaned.lost_rows:,} of {cleaned.raw_rows:,} rows"
    names = [name for name in _ACCOUNT if name in cleaned.losses]
    yield from _written(cleaned.losses[names])


_ACCOUNT = ("rule", "rows", "rows_share", "revenue", "revenue_share", "meaning")


def _written(losses: pd.DataFrame) -> Iterator[str]:
    """Yield the account as lines of text, numbers as people read them."""
    text = losses.copy()
    for name in map(str, text):
        form = "{:.1%}" if name.endswith("_share") else FORMS.get(name)
        if form is not None:
            text[name] = text[name].map(form.format, na_action="ignore").fillna("–")
    widths = {name: max(len(name), *text[name].str.len()) for name in map(str, text)}
    for row in (dict(zip(text, text, strict=True)), *text.to_dict("records")):
        cells = (
            row[name].ljust(widths[name])
            if name in ("rule", "note", "meaning")
            else row[name].rjust(widths[name])
            for name in map(str, text)
        )
        yield "  " + "  ".join(cells).rstrip()


def _lost_share(cleaned: clean.Cleaned) -> float:
    """Return the larger of the lost shares of rows and, by size, of revenue."""
    return float(lost_shares(cleaned.losses).max())


def _worst(cleaned: clean.Cleaned) -> str:
    shares = cleaned.losses.set_index("rule").filter(like="_share").abs().max(axis=1)
    return str(shares.drop(list(BY_CHOICE), errors="ignore").idxmax())


def _what_to_mend(cleaned: clean.Cleaned) -> Iterator[str]:
    for loss in cleaned.losses.to_dict("records"):
        rule, money = loss["rule"], abs(loss.get("revenue_share", 0.0))
        if rule in BY_CHOICE:
            continue
        share = money if rule == "refunded_in_full" else max(abs(loss["rows_share"]), money)
        if share >= BIG and rule in ADVICE:
            few = cleaned.examples.get(rule, []) if rule in SIGNS else []
            which = f" (such as {listed(few[:3])})" if few else ""
            yield f"worth mending: {rule} ({share:.1%}): {ADVICE[rule]}{which}"
