"""The customer base as the models need it: unique customers, and unique histories among them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pandas as pd

from cxlib._bgnbd import told_apart
from cxlib.ltv.histories import (
    ANSWER,
    counted,
    in_words,
    load_orders,
    nobody,
    seen_histories,
    seen_orders,
)
from cxlib.sources import Source
from cxlib.tables import ORDERS, group_label

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Base:
    """Unique customers: one row per history, mean spend and segment, shared by ``n`` customers.

    A reduction of the whole base: those who came once, most of a shop, share few rows.
    """

    rows: Mapping[str, npt.NDArray[Any]]
    n_without_purchase: int

    @classmethod
    def of(cls, customers: ir.Table) -> Base:
        """Reduce a table of `histories` in its engine."""
        key = [
            name for name in ("history", "monetary_value", "segment") if name in customers.columns
        ]
        rows = counted(customers, *key)
        n_others = int((rows["history"] < 0).sum())  # they come first
        purchasers = {name: column[n_others:] for name, column in rows.items()}
        return cls(purchasers, int(rows["n"][:n_others].sum()))

    @cached_property
    def n(self) -> Numbers:
        """Customers behind each row."""
        return self.rows["n"].astype(float)

    @cached_property
    def frequency(self) -> Numbers:
        """Repeat purchases of each row."""
        return self.histories[0, self.history]

    @cached_property
    def spend(self) -> Numbers:
        """Mean spend of a repeat purchase of each row."""
        found: Numbers = self.rows["monetary_value"]
        return found

    @property
    def history(self) -> npt.NDArray[np.intp]:
        """Number of each row's history in `histories`."""
        return self._numbered[1]

    @property
    def told(self) -> npt.NDArray[np.int64]:
        """Unique histories in one number each, in rising order."""
        return self._numbered[0]

    @cached_property
    def histories(self) -> Numbers:
        """Unique frequency, recency and T, in rising order: three rows of numbers."""
        return in_words(self.told).astype(float)

    @cached_property
    def _numbered(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.intp]]:
        return told_apart(self.rows["history"])

    @cached_property
    def n_by_history(self) -> Numbers:
        """Customers behind each of `histories`."""
        return np.bincount(self.history, self.n).astype(float)

    @property
    def segments(self) -> list[str]:
        """Names of the segments, in order; one without a name where there are none."""
        return self._by_segment[1]

    @property
    def segment(self) -> npt.NDArray[np.intp]:
        """Number of each row's segment in `segments`."""
        return self._by_segment[0]

    @cached_property
    def _by_segment(self) -> tuple[npt.NDArray[np.intp], list[str]]:
        if "segment" not in self.rows:
            return np.zeros(len(self.n), np.intp), [""]
        code, names = pd.factorize(self.rows["segment"], sort=True)
        return code, list(names)

    @cached_property
    def cells(self) -> pd.DataFrame:
        """One row per segment (its number) and history (likewise): ``n``, and their summed ``spend``."""
        rows = pd.DataFrame(
            {
                "segment": self.segment,
                "history": self.history,
                "n": self.n,
                "spend": self.n * self.spend,
            }
        )
        return rows.groupby(["segment", "history"], as_index=False).sum()


@dataclass(frozen=True, eq=False)
class Seen:
    """What was seen by ``as_of``: a way to the orders, a table of histories made of them, its base."""

    rows: Callable[[], ir.Table]
    customers: ir.Table
    base: Base
    currency: str | None

    @classmethod
    def of(cls, orders: Source, as_of: dt.date, by: str | None) -> Seen:
        """Reduce orders, of which at least one customer must have bought."""
        loaded, currency = load_orders(orders, as_of)
        if by is not None:  # what is no name of a column is no key of a query either
            group_label(loaded.table, by, ORDERS, ANSWER)
        customers = loaded.hold(seen_histories, as_of, by)
        base = Base.of(customers)
        if not len(base.n):
            raise nobody(orders, as_of)
        return cls(partial(seen_orders, loaded.table, as_of, by), customers, base, currency)
