"""What units come down to: the sums of each arm, its strata and segments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from cxlib._intervals import Numbers
from cxlib.experiment.units import Layout

Segment = tuple[str, str]
"""A column of ``by`` and one of its values."""

ORDER_Z = 1.959963984540054


class Sample(NamedTuple):
    """What a metric's columns come down to over the units that carry all of them.

    ``mean`` has one number for each column, ``covariance`` (of single units, divisor n - 1) one
    for each pair.
    """

    n: float
    mean: Numbers
    covariance: Numbers


def merge(samples: Iterable[Sample], size: int) -> Sample:
    """Return the sample of all units together.

    Chan, T. F., Golub, G. H. & LeVeque, R. J. (1979), Updating formulae and a pairwise algorithm
    for computing sample variances.
    """
    filled = [sample for sample in samples if sample.n]
    n = sum(sample.n for sample in filled)
    if not n:
        return Sample(0.0, np.full(size, np.nan), np.full((size, size), np.nan))
    if len(filled) == 1:
        return filled[0]
    mean = sum((sample.n / n * sample.mean for sample in filled), np.zeros(size))
    scatter = np.zeros((size, size))
    for sample in filled:
        away = sample.mean - mean
        scatter += (sample.n - 1) * sample.covariance + sample.n * np.outer(away, away)
    return Sample(n, mean, scatter / max(n - 1, 1))


class Order(NamedTuple):
    """A quantile of ``n`` units, and the order statistics `ORDER_Z` errors of rank around it."""

    n: float
    value: float
    low: float
    high: float


class Cell(NamedTuple):
    """All units of one variant, stratum and combination of segments."""

    variant: str
    stratum: str | None
    segments: tuple[str, ...]
    samples: list[Sample]


@dataclass(frozen=True, eq=False)
class Reduced:
    """What all later arithmetic starts from.

    Attributes
    ----------
    units : dict
        Units analysed, by variant (those seen in several variants left out).
    cells : list of Cell
        One for each variant, stratum and combination of segments.
    layouts : list of Layout
        Each metric's columns.
    by : tuple of str
        The columns of the segments.
    stratify : str or None
        The column of the strata.
    mixed : int
        Units seen in several variants.
    rows : int
        Exposures (or rows) of all units, those seen in several variants included.
    folded : bool
        Whether each unit was made of rows.
    earlier : dict
        Units that did something before their first exposure, by variant; empty without times.
    orders : dict
        Order statistics of quantile metrics, by (place, segment or None, variant).
    """

    units: dict[str, int]
    cells: list[Cell]
    layouts: list[Layout]
    by: tuple[str, ...] = ()
    stratify: str | None = None
    mixed: int = 0
    rows: int = 0
    folded: bool = False
    earlier: dict[str, int] = field(default_factory=dict)
    orders: dict[tuple[int, Segment | None, str], Order] = field(default_factory=dict)

    def sample(self, place: int, variant: str, segment: Segment | None = None) -> Sample:
        """Return a metric's sample of one arm, which may be empty."""
        own = [cell.samples[place] for cell in self._of(segment) if cell.variant == variant]
        return merge(own, sum(self.layouts[place]))

    def samples(self, place: int, segment: Segment | None = None) -> dict[str, Sample]:
        """Return a metric's sample of each arm."""
        return {variant: self.sample(place, variant, segment) for variant in self.units}

    def strata(self, place: int, segment: Segment | None = None) -> dict[str, dict[str, Sample]]:
        """Return a metric's sample of each arm, for each stratum."""
        size, cells = sum(self.layouts[place]), self._of(segment)
        found: dict[str, dict[str, list[Sample]]] = {}
        for cell in cells:
            arms = found.setdefault(cell.stratum or "", {variant: [] for variant in self.units})
            arms[cell.variant].append(cell.samples[place])
        return {
            stratum: {variant: merge(own, size) for variant, own in arms.items()}
            for stratum, arms in sorted(found.items())
        }

    def segments(self, column: str) -> list[Segment]:
        """Return the segments of a column of ``by``."""
        return sorted(segment for segment in self._cells_of if segment[0] == column)

    def _of(self, segment: Segment | None) -> list[Cell]:
        return self.cells if segment is None else self._cells_of[segment]

    @cached_property
    def _cells_of(self) -> dict[Segment, list[Cell]]:
        found: dict[Segment, list[Cell]] = {}
        for cell in self.cells:
            for segment in zip(self.by, cell.segments, strict=True):
                found.setdefault(segment, []).append(cell)
        return found
