"""What cleaning returns: the table, and an account of every row that it lost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import ibis.expr.types as ir
import pandas as pd

from cxlib._checks import DataError
from cxlib._published import fit_to_show
from cxlib.show import told
from cxlib.sources import Raw
from cxlib.tables import Contract, check_types

LOSSES_MIME = "application/vnd.cx.losses+json"
"""Carries the account in a notebook's output, from where a report's record collects it."""

ACCOUNT = ("raw_rows", "kept_rows", "raw_revenue", "kept_revenue")

MEANINGS = {
    "duplicate_row": "the same row once more, in every column",
    "duplicate_order": "the same order once more, with other contents; the one refunded most is kept",
    "duplicate_event": "the same event id once more; the earliest is kept",
    "no_order_id": "no order number",
    "no_time": "no date",
    "odd_time": "a date before 1970 or after 2100, which stands for none",
    "no_customer": "a guest: no customer id or e-mail",
    "no_user": "no user id",
    "no_event": "no event name",
    "no_variant": "no variant name",
    "no_score": "no answer",
    "no_amount": "no amount of money",
    "not_a_product": "postage, fees, samples and other lines that are no product",
    "adjustment": "a correction of the books, not an order",
    "refund_unmatched": "a refund of something that this export does not hold",
    "test_order": "a test order, by tag or payment method",
    "cancelled": "cancelled by the shop or the customer",
    "unpaid": "never paid: pending, authorised, voided or expired",
    "other_currency": "in another currency than the chosen one",
    "refunded_in_full": "refunded to nothing, or to less",
    "negative_total": "a negative total without a refund to explain it",
    "out_of_range": "a score off the scale of its kind",
    "unknown_kind": "a kind of survey other than nps, csat and ces",
}


@dataclass(frozen=True, eq=False)
class Cleaned:
    """A table that keeps its contract, and what cleaning lost on the way.

    Attributes
    ----------
    table : ibis table
        The kept rows at the contract's grain, materialised in their engine.
    losses : pandas.DataFrame
        One row for each rule that dropped something: ``rule``, ``meaning``, ``rows`` (raw
        rows), ``rows_share``; for orders also ``revenue`` and ``revenue_share`` (of the raw sum).
    raw_rows : int
        Rows of the export; equals ``kept_rows`` plus the sum of the losses.
    kept_rows : int
        Raw rows behind ``table`` (an order may stand on several, its refunds included).
    raw_revenue, kept_revenue : float or None
        The same account in money; None where the table has none.
    contract : Contract or None
        What the table keeps; analyses that need it need not look again.
    origin : str
        Which export the rows were taken for and why, and what else reading had to say.
    """

    table: ir.Table
    losses: pd.DataFrame
    raw_rows: int
    kept_rows: int
    raw_revenue: float | None = None
    kept_revenue: float | None = None
    contract: Contract | None = None
    origin: str = ""

    def __repr__(self) -> str:
        return (
            f"Cleaned(raw rows {self.raw_rows:,}, kept {self.kept_rows:,}, lost {self.lost_rows:,})"
        )

    def _repr_html_(self) -> str:
        origin = f"{self.origin}. " if self.origin else ""
        kept = f"{origin}{self.kept_rows:,} of {self.raw_rows:,} raw rows kept ({self.kept_rows / self.raw_rows:.1%})"
        if self.losses.empty:
            return told(f"{kept}; nothing was lost.")
        return told(f"{kept}; what was lost, and why:", self.losses)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        account = {name: getattr(self, name) for name in ACCOUNT}
        told = {**account, "last_day": self.last_day}
        rules = fit_to_show(self.losses).table.to_dict("records")
        table = self.contract.name if self.contract else "table"
        origin = {"origin": self.origin} if self.origin else {}
        return {LOSSES_MIME: {"table": table, **origin, **told, "rules": rules}}

    def of(self, raw: Raw) -> Cleaned:
        """Return the same, with what reading had to say of ``raw``."""
        said = "; ".join(one for one in (raw.origin, *raw.notes) if one)
        return replace(self, origin=f"{raw.name} {said}" if said else "")

    @cached_property
    def last_day(self) -> str | None:
        """The day of the last kept row, where the table has times."""
        if self.contract is None or self.contract.when not in self.table.columns:
            return None
        found = self.table[self.contract.when].max().execute()
        return None if pd.isna(found) else pd.Timestamp(found).date().isoformat()

    @cached_property
    def currency(self) -> str | None:
        """The one currency of the money, where the export names it."""
        if "currency" not in self.table.columns:
            return None
        found = self.table["currency"].max().execute()
        return None if pd.isna(found) else str(found)

    @property
    def lost_rows(self) -> int:
        """Raw rows that were dropped."""
        return self.raw_rows - self.kept_rows


def settle(
    table: ir.Table,
    lost: pd.DataFrame,
    contract: Contract,
    *,
    raw: tuple[int, float | None],
    kept: tuple[int, float | None],
    max_loss: float,
) -> Cleaned:
    """Return the `Cleaned` result once the account balances and the loss is bearable.

    ``lost`` has one row for each rule: ``rule``, ``rows`` and, with money, ``revenue``.
    """
    raw_rows, raw_revenue = raw
    kept_rows, kept_revenue = kept
    order = {rule: place for place, rule in enumerate(MEANINGS)}
    lost = lost[lost["rows"] > 0].groupby("rule", as_index=False).sum()
    lost = lost.sort_values("rule", key=lambda rules: rules.map(order), ignore_index=True)
    lost["rows"] = lost["rows"].astype(int)
    lost.insert(1, "meaning", lost["rule"].map(MEANINGS))
    lost.insert(3, "rows_share", lost["rows"] / raw_rows)
    if raw_revenue is not None:
        lost["revenue_share"] = lost["revenue"] / abs(raw_revenue) if raw_revenue else 0.0
    if kept_rows + lost["rows"].sum() != raw_rows:
        raise AssertionError(
            f"{contract.name}: {raw_rows} raw rows, but {kept_rows} kept and {lost['rows'].sum()} lost"
        )
    check_budget(lost, contract, raw_rows, kept_rows, max_loss)
    return Cleaned(
        check_types(table, contract), lost, raw_rows, kept_rows, raw_revenue, kept_revenue, contract
    )


def check_budget(
    lost: pd.DataFrame, contract: Contract, raw_rows: int, kept_rows: int, max_loss: float
) -> None:
    """Refuse a loss of more than ``max_loss`` of the rows or of the revenue, or of everything."""
    shares = lost[[name for name in ("rows_share", "revenue_share") if name in lost]].abs()
    total = shares.sum().clip(upper=1)
    if kept_rows and (total <= max_loss).all():
        return
    worst = lost.loc[shares.max(axis=1).sort_values(ascending=False, kind="stable").index[:4]]
    rules = "; ".join(f"{row.rule} {row.rows:,} ({row.meaning})" for row in worst.itertuples())
    money = f" and {total['revenue_share']:.1%} of the revenue" if "revenue" in lost else ""
    advice = (
        f"mend the export, or allow more with max_loss (now {max_loss:g})"
        if kept_rows
        else "nothing is left to analyse"
    )
    raise DataError(
        f"{contract.name}: cleaning drops {total['rows_share']:.1%} of {raw_rows:,} rows{money}: {rules}; {advice}"
    )
