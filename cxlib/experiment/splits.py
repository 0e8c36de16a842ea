"""Random splits of history, from the sums of a few thousand random groups of units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt

from cxlib._intervals import Numbers
from cxlib.experiment.metrics import Metric, Quantile
from cxlib.experiment.orders import Key
from cxlib.experiment.samples import ORDER_Z, Cell, Order, Reduced, Sample
from cxlib.experiment.units import Units
from cxlib.sources import held

N_GROUPS, N_GROUPS_OF_STRATA = 8192, 1024
ARMS = ("A", "B")
WIDEST = 6.0  # errors to each side of a quantile: its limits lie at 2, and a split moves them

Split = npt.NDArray[np.bool_]
"""Which groups, or which of their cells, go to an arm."""


def in_groups(units: Units, who: str, seed: int) -> Units:
    """Return the units, each with its random group as ``stratum``, kept in the engine.

    The group is a hash of the text ``who`` and the seed, so that all rows of one ``who`` share
    it. Any split of the groups is then a random split of the units. Strata, the one column of
    ``by``, leave room for fewer groups.
    """
    n_groups = N_GROUPS_OF_STRATA if units.by else N_GROUPS
    group = group_of(units.table[who], seed, n_groups)
    table = units.table.mutate(stratum=group)
    return replace(units, table=held(table), stratify="random group")


def groups_of(reduced: Reduced) -> tuple[list[Any], npt.NDArray[np.int64]]:
    """Return the groups that hold units, and the place of each cell's among them."""
    groups, places = np.unique([cell.stratum for cell in reduced.cells], return_inverse=True)
    return groups.tolist(), places


def group_of(who: ir.Value, seed: int, n_groups: int) -> ir.Value:
    """Return the random group of ``who``, a number below ``n_groups``, a power of 2."""
    text = who.cast("string").fill_null("") + ibis.literal(f":{seed}")
    return (text.hash() & (n_groups - 1)).cast("int64")


class GroupSums(NamedTuple):
    """A metric's sums in each cell, about the mean of all units so that no digits are lost."""

    n: Numbers
    centre: Numbers
    first: Numbers
    second: Numbers

    def sample(self, chosen: Split) -> Sample:
        """Return the sample of all units of the chosen cells."""
        n, size = float(self.n[chosen].sum()), len(self.centre)
        if not n:
            return Sample(0.0, np.full(size, np.nan), np.zeros((size, size)))
        away = chosen @ self.first / n
        scatter = (chosen @ self.second).reshape(size, size) - n * np.outer(away, away)
        return Sample(n, self.centre + away, scatter / max(n - 1, 1))


def group_sums(reduced: Reduced, place: int) -> GroupSums:
    """Return the sums of one metric, cell by cell."""
    samples = [cell.samples[place] for cell in reduced.cells]
    n = np.array([sample.n for sample in samples])
    means = np.array([sample.mean for sample in samples])
    means[n == 0] = 0.0
    centre = n @ means / max(n.sum(), 1)
    away = means - centre
    within = np.nan_to_num(np.array([sample.covariance for sample in samples]))
    second = np.maximum(n - 1, 0)[:, None, None] * within
    second += n[:, None, None] * away[:, :, None] * away[:, None, :]
    return GroupSums(n, centre, n[:, None] * away, second.reshape(len(n), -1))


class NearQuantile(NamedTuple):
    """The values around a quantile in ascending order, and how many lie below all of them.

    ``values`` has a null at each end, for ranks that lie outside.
    """

    below: Numbers
    values: Numbers
    groups: npt.NDArray[np.int64]
    counts: Numbers

    def order(self, chosen: Split, q: float, n: float) -> Order:
        """Return the order statistics that `cxlib.experiment` would ask of the chosen groups."""
        inside = np.where(chosen[self.groups], self.counts, 0.0)
        upto = np.cumsum([self.below[chosen].sum(), *inside])
        half = ORDER_Z * math.sqrt(q * (1 - q) / n)
        limits = (q - half, q + half)
        if limits[0] < 0 or limits[1] > 1:
            limits = (math.nan, math.nan)
        return Order(n, *(self._at(upto, level * (n - 1)) for level in (q, *limits)))

    def _at(self, upto: Numbers, rank: float) -> float:
        """Return the value at a rank from 0 on, between two ranks the line between their values."""
        if math.isnan(rank):
            return math.nan
        low, high = np.searchsorted(upto, [math.floor(rank), math.ceil(rank)], side="right")
        part = rank - math.floor(rank)
        return float((1 - part) * self.values[low] + part * self.values[high])


def near_quantile(
    units: Units, reduced: Reduced, place: int, q: float, share: float
) -> NearQuantile:
    """Return what splits can make of a quantile: of N units only some 20 sqrt(N) are fetched."""
    groups, _ = groups_of(reduced)
    table = units.table.mutate(value=units.table[f"m{place}_0"])
    table = table.filter(table["value"].notnull())
    fewest = sum(cell.samples[place].n for cell in reduced.cells) * min(share, 1 - share)
    reach = WIDEST * math.sqrt(q * (1 - q) / max(fewest, 1))
    levels = [max(q - reach, 0.0), min(q + reach, 1.0)]
    ends = table.aggregate(ends=table["value"].quantile(levels)).to_pyarrow().to_pylist()[0]["ends"]
    low, high = (ibis.literal(end, "float64") for end in ends)
    under = table.filter(table["value"] < low)
    below = under.group_by("stratum").aggregate(count=under.count()).to_pyarrow().to_pydict()
    inside = table.filter(table["value"] >= low, table["value"] <= high)
    near = inside.group_by("stratum", "value").aggregate(count=inside.count())
    rows = near.order_by("value").to_pyarrow().to_pydict()
    number = {group: at for at, group in enumerate(groups)}
    lower = np.zeros(len(groups))
    lower[[number[group] for group in below["stratum"]]] = below["count"]
    return NearQuantile(
        below=lower,
        values=np.array([math.nan, *rows["value"], math.nan]),
        groups=np.array([number[group] for group in rows["stratum"]], np.int64),
        counts=np.array(rows["count"], float),
    )


class Splitter:
    """Makes random splits, and of each what `cxlib.experiment` would have found of its arms."""

    def __init__(
        self, units: Units, reduced: Reduced, metrics: Sequence[Metric], share: float
    ) -> None:
        groups, self._places = groups_of(reduced)
        self._n_groups, self._share, self._layouts = len(groups), share, reduced.layouts
        self._stratify = units.by[0] if units.by else None
        strata = np.array([cell.segments[0] if units.by else "" for cell in reduced.cells])
        self._strata = {str(stratum): strata == stratum for stratum in np.unique(strata)}
        self._sums = [group_sums(reduced, place) for place in range(len(metrics))]
        self._near = {
            place: (metric.q, near_quantile(units, reduced, place, metric.q, share))
            for place, metric in enumerate(metrics)
            if isinstance(metric, Quantile)
        }

    def reduced(self, rng: np.random.Generator) -> Reduced:
        """Return the sums of both arms of a new split."""
        split = rng.random(self._n_groups) < self._share
        arms = dict(zip(ARMS, (split, ~split), strict=True))
        cells = [
            Cell(arm, stratum, (), [sums.sample(chosen[self._places] & own) for sums in self._sums])
            for arm, chosen in arms.items()
            for stratum, own in self._strata.items()
        ]
        found = Reduced(dict.fromkeys(ARMS, 0), cells, self._layouts, stratify=self._stratify)
        orders: dict[Key, Order] = {
            (place, None, arm): near.order(chosen, q, found.sample(place, arm).n)
            for place, (q, near) in self._near.items()
            for arm, chosen in arms.items()
            if found.sample(place, arm).n
        }
        return replace(found, orders=orders)
