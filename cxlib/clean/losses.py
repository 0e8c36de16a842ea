"""What cleaning returns: the table, and an account of every row that it lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import ibis.expr.types as ir
import pandas as pd

from cxlib._checks import DataError, ParameterError, listed
from cxlib._published import fit_to_show
from cxlib.clean.rules import BY_CHOICE, LOSSES, NOTES, Rule
from cxlib.show import told
from cxlib.sources import Raw
from cxlib.tables import Contract, check_types

LOSSES_MIME = "application/vnd.cx.losses+json"
"""Carries the account in a notebook's output, from where a report's record collects it."""

ACCOUNT = ("raw_rows", "kept_rows", "raw_revenue", "kept_revenue")


@dataclass(frozen=True, eq=False)
class Cleaned:
    """A table that keeps its contract, and what cleaning lost on the way.

    Attributes
    ----------
    table : ibis table
        The kept rows at the contract's grain, materialised in their engine.
    losses : pandas.DataFrame
        One row for each rule that dropped something: ``rule``, ``meaning``, ``rows`` (raw
        rows), ``rows_share``; for orders also ``revenue`` and ``revenue_share`` (of the revenue of all
        raw orders, each by its size: what is negative does not take from the whole). Money of
        another currency than the chosen one is null, and part of no sum.
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
    notes : pandas.DataFrame
        What cleaning did to rows that it kept, or found odd: ``note``, ``meaning``, ``rows``,
        ``rows_share``; for orders also ``revenue`` and ``revenue_share``.
    examples : dict
        A few ids for each rule: the numbers of orders, the ids of events. They may be personal;
        no page shows them.
    dropped : ibis table or None
        The orders that were lost as a whole: ``order_id``, ``customer_id``, ``ordered_at``,
        ``net_revenue``, ``refunds``, ``refunded_at`` and the ``rule``.
    """

    table: ir.Table
    losses: pd.DataFrame
    raw_rows: int
    kept_rows: int
    raw_revenue: float | None = None
    kept_revenue: float | None = None
    contract: Contract | None = None
    origin: str = ""
    notes: pd.DataFrame = field(default_factory=pd.DataFrame)
    examples: Mapping[str, list[str]] = field(default_factory=dict)
    dropped: ir.Table | None = None

    def __repr__(self) -> str:
        return (
            f"Cleaned(raw rows {self.raw_rows:,}, kept {self.kept_rows:,}, lost {self.lost_rows:,})"
        )

    def _repr_html_(self) -> str:
        origin = f"{self.origin}. " if self.origin else ""
        kept = f"{origin}{self.kept_rows:,} of {self.raw_rows:,} raw rows kept ({self.kept_rows / self.raw_rows:.1%})"
        lost = told(f"{kept}; nothing was lost.")
        if not self.losses.empty:
            lost = told(f"{kept}; what was lost, and why:", self.losses)
        if self.notes.empty:
            return lost
        return lost + told("What was put right, or is worth a look:", self.notes)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        account = {name: getattr(self, name) for name in ACCOUNT}
        told = {**account, "last_day": self.last_day, "currency": self.currency}
        shown = fit_to_show(self.losses).table.astype(object)
        rules = shown.where(shown.notna(), None).to_dict("records")  # JSON has no NaN
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
    def advice(self) -> dict[str, str]:
        """What to do about each rule that dropped rows, and about each note."""
        found = [*self.losses.get("rule", []), *self.notes.get("note", [])]
        return {name: ({**LOSSES, **NOTES})[name].advice for name in found}

    @property
    def refunds(self) -> pd.DataFrame:
        """Net revenue with and without the refunds that match no order, which cleaning leaves out.

        ``what``, ``rows``, ``revenue``: gross, refunds netted, net (as kept), refunds that match
        nothing, and net if those count too. Empty for tables without money.
        """
        if self.kept_revenue is None:
            return pd.DataFrame({"what": [], "rows": [], "revenue": []})
        netted = self._sums(self.notes, "note", "refund_netted")
        unmatched = self._sums(self.losses, "rule", "refund_unmatched")
        lines = [
            ("gross revenue", self.kept_rows, self.kept_revenue - netted[1]),
            ("refunds netted", *netted),
            ("net revenue", self.kept_rows, self.kept_revenue),
            ("refunds that match no order", *unmatched),
            (
                "net revenue with those",
                self.kept_rows + unmatched[0],
                self.kept_revenue + unmatched[1],
            ),
        ]
        return pd.DataFrame(lines, columns=["what", "rows", "revenue"])

    @staticmethod
    def _sums(table: pd.DataFrame, key: str, name: str) -> tuple[int, float]:
        rows = table[table[key] == name] if key in table else table
        return (int(rows["rows"].sum()), float(rows["revenue"].sum())) if len(rows) else (0, 0.0)

    @property
    def lost_rows(self) -> int:
        """Raw rows that were dropped."""
        return self.raw_rows - self.kept_rows


def settle(
    cleaned: Cleaned,
    lost: pd.DataFrame,
    notes: pd.DataFrame | None = None,
    *,
    max_loss: float,
    moved: float = 0.0,
) -> Cleaned:
    """Return ``cleaned`` with its losses and notes, once they balance and are bearable.

    ``lost`` has one row for each rule: ``rule``, ``rows`` and, with money, ``revenue``; ``notes``
    likewise with ``note``. ``moved`` is what shares of revenue are of: the sizes of all orders.
    """
    contract = cleaned.contract
    assert contract is not None
    losses = _shares(lost, "rule", LOSSES, cleaned, moved)
    if cleaned.kept_rows + losses["rows"].sum() != cleaned.raw_rows:
        raise AssertionError(
            f"{contract.name}: {cleaned.raw_rows} raw rows, but {cleaned.kept_rows} kept and "
            f"{losses['rows'].sum()} lost"
        )
    seen = cleaned.examples.get("duplicate_event", [])
    check_budget(losses, contract, cleaned.raw_rows, cleaned.kept_rows, max_loss, seen)
    noted = pd.DataFrame() if notes is None else _shares(notes, "note", NOTES, cleaned, moved)
    return replace(cleaned, table=check_types(cleaned.table, contract), losses=losses, notes=noted)


def _shares(
    counts: pd.DataFrame, key: str, words: Mapping[str, Rule], cleaned: Cleaned, moved: float
) -> pd.DataFrame:
    """Return counts by rule in the order of the rules, with meanings and shares of the raw sums."""
    order = {name: place for place, name in enumerate(words)}
    counts = counts[counts["rows"] > 0].groupby(key, as_index=False).sum(min_count=1)
    counts = counts.sort_values(key, key=lambda names: names.map(order), ignore_index=True)
    counts["rows"] = counts["rows"].astype(int)
    counts.insert(
        1, "meaning", counts[key].map({name: rule.meaning for name, rule in words.items()})
    )
    counts.insert(3, "rows_share", counts["rows"] / cleaned.raw_rows)
    if cleaned.raw_revenue is not None:
        counts["revenue_share"] = counts["revenue"] / moved if moved else 0.0
    return counts


def lost_shares(lost: pd.DataFrame) -> pd.Series:
    """Return the shares of rows and revenue lost, of all but what the caller chose to leave out."""
    shares = lost[[name for name in ("rows_share", "revenue_share") if name in lost]].abs()
    chosen = lost["rule"].isin(BY_CHOICE)
    whole = 1 - shares[chosen].sum()
    lost_of_whole = (shares[~chosen].sum() / whole.where(whole > 0)).fillna(0.0)
    return lost_of_whole.round(12).clip(upper=1)


def check_budget(
    lost: pd.DataFrame,
    contract: Contract,
    raw_rows: int,
    kept_rows: int,
    max_loss: float,
    event_ids: Sequence[str] = (),
) -> None:
    """Refuse a loss of more than ``max_loss`` of the rows or of the revenue, or of everything.

    ``event_ids`` are some that are there more than once.
    """
    total = lost_shares(lost)
    if kept_rows and (total <= max_loss).all():
        return
    chosen = lost["rule"].isin(BY_CHOICE)
    if kept_rows:
        raw_rows, lost = raw_rows - int(lost.loc[chosen, "rows"].sum()), lost[~chosen]
    elif chosen.any():
        total = pd.Series(1.0, total.index)
    size = lost.filter(like="_share").abs().max(axis=1)
    worst = lost.loc[size.sort_values(ascending=False, kind="stable").index[:4]]
    ids = {"duplicate_event": f"; among them {listed(map(repr, event_ids))}"} if event_ids else {}
    rules = "; ".join(
        f"{row.rule} {row.rows:,} ({row.meaning}{ids.get(str(row.rule), '')})"
        for row in worst.itertuples()
    )
    money = f" and {total['revenue_share']:.1%} of the revenue" if "revenue" in lost else ""
    advice = (
        f"mend the export, or allow more with max_loss (now {max_loss:g})"
        if kept_rows
        else "nothing is left to analyse"
    )
    raise DataError(
        f"{contract.name}: cleaning drops {total['rows_share']:.1%} of {raw_rows:,} rows{money}: {rules}; {advice}"
    )


def waterfall(cleaned: Cleaned) -> pd.DataFrame:
    """Lay out the way from the raw rows to the kept ones, one step for each rule.

    Parameters
    ----------
    cleaned : Cleaned
        What one of the ``clean_…`` functions returned.

    Returns
    -------
    pandas.DataFrame
        ``step`` (``raw``, the rules in their order, ``kept``), ``rows`` (of the step; what a rule
        takes away is negative), ``rows_left`` after it, and with money ``revenue`` and
        ``revenue_left``. The last ``rows_left`` is what was kept.

    See Also
    --------
    cxlib.plot.waterfall

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> raw = pd.DataFrame({"order_id": ["1", "2"], "customer_id": ["ann", None],
    ...                     "ordered_at": "2024-05-01", "net_revenue": [20.0, 35.0]})
    >>> table = cx.waterfall(cx.clean_orders(raw, timezone="UTC", max_loss=1))
    >>> table[["step", "rows", "rows_left", "revenue_left"]].values.tolist()
    [['raw', 2, 2, 55.0], ['no_customer', -1, 1, 20.0], ['kept', 1, 1, 20.0]]
    """
    if not isinstance(cleaned, Cleaned):
        raise ParameterError("waterfall takes what cx.clean_orders and the like return")
    losses = cleaned.losses
    table = pd.DataFrame(
        {
            "step": ["raw", *losses["rule"], "kept"],
            "rows": [cleaned.raw_rows, *-losses["rows"], cleaned.kept_rows],
        }
    )
    table["rows_left"] = [*table["rows"].iloc[:-1].cumsum(), cleaned.kept_rows]
    if cleaned.raw_revenue is not None:
        table["revenue"] = [cleaned.raw_revenue, *-losses["revenue"], cleaned.kept_revenue]
        left = table["revenue"].fillna(0.0).iloc[:-1].cumsum()
        table["revenue_left"] = [*left, cleaned.kept_revenue]
    return table
