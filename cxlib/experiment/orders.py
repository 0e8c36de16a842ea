"""Quantiles and their errors by order statistics, which the engine picks: no row is drawn twice."""

from __future__ import annotations

import math
from collections.abc import Sequence

import ibis.expr.types as ir

from cxlib.experiment.metrics import Metric, Quantile
from cxlib.experiment.samples import ORDER_Z, Order, Reduced, Segment
from cxlib.experiment.units import Units

Key = tuple[int, Segment | None, str]


def order_statistics(units: Units, reduced: Reduced, metrics: Sequence[Metric]) -> dict[Key, Order]:
    """Return each quantile of each arm, one query over all units and one per column of ``by``.

    The number of units below the true quantile is binomial, so the order statistics at ranks
    q -+ z sqrt(q (1 - q) / n) bound it whatever the distribution: Woodruff, R. S. (1952), JASA 47,
    635-646. Where those ranks leave 0 to 1 there are too few units, and limits are null.
    """
    asked = {place: metric for place, metric in enumerate(metrics) if isinstance(metric, Quantile)}
    found: dict[Key, Order] = {}
    if asked:
        for at in (None, *range(len(units.by))):
            found |= _of_groups(units, reduced, asked, at)
    return found


def _of_groups(
    units: Units, reduced: Reduced, asked: dict[int, Quantile], at: int | None
) -> dict[Key, Order]:
    """Ask every group for the ranks of all groups: sorted once, each picks its own."""
    segments: list[Segment | None] = [None]
    if at is not None:
        segments = [*reduced.segments(units.by[at])]
    numbers = {
        (place, segment, variant): sample.n
        for place in asked
        for segment in segments
        for variant, sample in reduced.samples(place, segment).items()
        if sample.n
    }
    ranks = {key: _ranks(asked[key[0]].q, n) for key, n in numbers.items()}
    levels = {
        place: sorted({rank for key, own in ranks.items() if key[0] == place for rank in own})
        for place in asked
    }
    rows = {
        (None if at is None else (units.by[at], row["segment"]), row["variant"]): row
        for row in _query(units, levels, at).to_pyarrow().to_pylist()
    }
    found = {}
    for (place, segment, variant), n in numbers.items():
        values = dict(zip(levels[place], rows[segment, variant][f"m{place}"], strict=True))
        value, *limits = (values[rank] for rank in ranks[place, segment, variant])
        low, high = limits or (math.nan, math.nan)
        found[place, segment, variant] = Order(n, value, low, high)
    return found


def _ranks(q: float, n: float) -> list[float]:
    """Return the quantile's rank, and those of its limits where they exist."""
    half = ORDER_Z * math.sqrt(q * (1 - q) / n)
    return [q, q - half, q + half] if q - half >= 0 and q + half <= 1 else [q]


def _query(units: Units, levels: dict[int, list[float]], at: int | None) -> ir.Table:
    table = units.table
    if units.folded:
        table = table.filter(table["variant"] == table["last_variant"])
    keys = {"variant": table["variant"]}
    if at is not None:
        keys["segment"] = table[f"by{at}"]
    return table.group_by(**keys).aggregate(
        **{f"m{place}": table[f"m{place}_0"].quantile(ranks) for place, ranks in levels.items()}
    )
