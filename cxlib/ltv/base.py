"""The customer base as the models need it: unique customers, and unique histories among them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pandas as pd

from cxlib.ltv.histories import HISTORY, counted

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Base:
    """Unique customers: one row per segment, history and mean spend, shared by ``n`` customers.

    A reduction of the whole base: those who came once, most of a shop, share few rows.
    """

    rows: pd.DataFrame
    n_without_purchase: int

    @classmethod
    def of(cls, customers: ir.Table) -> Base:
        """Reduce a table of `histories` in its engine."""
        key = [
            name for name in ("segment", *HISTORY, "monetary_value") if name in customers.columns
        ]
        rows = counted(customers, key)
        bought = rows["frequency"] >= 0
        purchasers = rows[bought].reset_index(drop=True)  # numbered again: columns are put beside
        return cls(
            purchasers.astype(dict.fromkeys(HISTORY, "int64")), int(rows["n"][~bought].sum())
        )

    @cached_property
    def n(self) -> Numbers:
        """Customers behind each row."""
        return self.rows["n"].to_numpy(float)

    @cached_property
    def frequency(self) -> Numbers:
        """Repeat purchases of each row."""
        return self.rows["frequency"].to_numpy(float)

    @cached_property
    def spend(self) -> Numbers:
        """Mean spend of a repeat purchase of each row."""
        return self.rows["monetary_value"].to_numpy(float)

    @property
    def history(self) -> npt.NDArray[np.intp]:
        """Number of each row's history in `histories`."""
        return self._numbered[1]

    @property
    def histories(self) -> Numbers:
        """Unique frequency, recency and T, in rising order: three rows of numbers."""
        return self._numbered[0]

    @cached_property
    def _numbered(self) -> tuple[Numbers, npt.NDArray[np.intp]]:
        told = self.rows[HISTORY].to_numpy().T
        size = told[2].max() + 1  # no recency is larger than T
        code = (told[0] * size + told[1]) * size + told[2]
        _, first, number = np.unique(code, return_index=True, return_inverse=True)
        return told[:, first].astype(float), number

    @cached_property
    def n_by_history(self) -> Numbers:
        """Customers behind each of `histories`."""
        return np.bincount(self.history, self.n).astype(float)

    @cached_property
    def segments(self) -> list[str]:
        """Names of the segments; one without a name where there are none."""
        return sorted(self.rows["segment"].unique()) if "segment" in self.rows else [""]

    @cached_property
    def cells(self) -> pd.DataFrame:
        """One row per segment (its number) and history (likewise): ``n``, and their summed ``spend``."""
        number = {name: place for place, name in enumerate(self.segments)}
        segment = self.rows["segment"].map(number) if "segment" in self.rows else 0
        rows = pd.DataFrame({"n": self.n, "spend": self.n * self.spend, "history": self.history})
        return rows.assign(segment=segment).groupby(["segment", "history"], as_index=False).sum()
