"""One row per unit, in the one shape that all sums are taken from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import ibis.expr.types as ir

from cxlib._checks import check_columns

UNKNOWN = "unknown"


class Layout(NamedTuple):
    """How many columns a metric has: a value and perhaps its denominator, then those before."""

    after: int
    before: int = 0


@dataclass(frozen=True, eq=False)
class Units:
    """Units as a lazy table.

    Attributes
    ----------
    table : ibis table
        One row per unit: ``variant``; each metric's columns ``m0_0``, ``m0_1``, … by its place,
        all null where the unit does not count; ``stratum`` and ``by0``, ``by1``, … if asked for;
        and where units were folded from rows, ``last_variant`` (another one where the unit saw
        several), ``rows`` and, of exposures, ``late`` (rows after the last day) and ``earlier`` (1
        where the unit did something before its first exposure).
    layouts : list of Layout
        One for each metric.
    by : tuple of str
        The source's name of each segment column.
    stratify : str or None
        The source's name of the strata.
    unsure : dict
        Conversions that a user's own table carries and that may hold other than 0 and 1, by place:
        ``"integer"``, whose column ``bits`` and place repeats as whole numbers, or ``"number"``.
    """

    table: ir.Table
    layouts: list[Layout]
    by: tuple[str, ...] = ()
    stratify: str | None = None
    unsure: dict[int, str] = field(default_factory=dict)

    def names(self, place: int) -> list[str]:
        """Return the columns of the metric in that place."""
        return [f"m{place}_{k}" for k in range(sum(self.layouts[place]))]

    @property
    def folded(self) -> bool:
        """Whether each unit was made of rows."""
        return "last_variant" in self.table.columns


def attributes(
    name: str, table: ir.Table, by: Sequence[str], stratify: str | None
) -> dict[str, ir.Value]:
    """Return strata and segments as text under the names that `Units` gives them."""
    wanted = _names(by, stratify)
    check_columns(name, table.columns, wanted.values(), optional="")
    return {
        ours: table[column].cast("string").fill_null(UNKNOWN) for ours, column in wanted.items()
    }


def _names(by: Sequence[str], stratify: str | None) -> dict[str, str]:
    wanted = {f"by{place}": column for place, column in enumerate(by)}
    return wanted if stratify is None else wanted | {"stratum": stratify}
