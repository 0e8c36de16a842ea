"""Winsorising: caps are quantiles of all units of all arms, asked for once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import ibis

from cxlib._checks import DataError
from cxlib.experiment.metrics import Metric
from cxlib.experiment.odd import not_finite
from cxlib.experiment.units import Units


def with_caps(units: Units, metrics: Sequence[Metric]) -> Units:
    """Return the units with capped values, by one query for the quantiles of all units."""
    table, caps = units.table, {}
    for place, metric in enumerate(metrics):
        if metric.ceiling is not None:
            layout = units.layouts[place]
            for k in (0, layout.after) if layout.before else (0,):
                caps[f"m{place}_{k}"] = (metric, metric.ceiling)
    if not caps:
        return units
    pooled = table.filter(table["variant"] == table["last_variant"]) if units.folded else table
    asked = {f"cap_{name}": pooled[name].quantile(level) for name, (_, level) in caps.items()}
    tops = {f"top_{name}": pooled[name].max() for name in caps}
    found = pooled.aggregate(**asked, **tops).to_pyarrow().to_pylist()[0]
    capped = {}
    for name, (metric, _) in caps.items():
        cap, top = found[f"cap_{name}"], found[f"top_{name}"]
        if cap is None:
            continue
        if not math.isfinite(top):
            raise DataError(not_finite(table, metric, [name]))
        limit = ibis.literal(cap, "float64")
        capped[name] = ibis.ifelse(table[name] > limit, limit, table[name])
    return replace(units, table=table.mutate(**capped))
