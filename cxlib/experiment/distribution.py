"""How a metric is spread over units, in each variant: binned in the engine."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib._checks import ParameterError, check_choice, check_number
from cxlib.experiment.question import Question

COLUMNS = ["metric", "variant", "low", "high", "n_units", "share"]


def distribution(question: Question, metric: str | None, n_bins: int) -> pd.DataFrame:
    """Return `ExperimentResult.distribution`."""
    n_bins = int(check_number("n_bins", n_bins, 2, 200))
    spread = {
        one.label: place for place, one in enumerate(question.metrics) if len(one.quantities) == 1
    }
    if not spread:
        raise ParameterError("distribution() needs a metric of one quantity; a ratio has none")
    label = next(iter(spread)) if metric is None else check_choice("metric", metric, spread)
    units = question.units()
    table = units.table
    if units.folded:
        table = table.filter(table["variant"] == table["last_variant"])
    value = table[f"m{spread[label]}_0"]
    table = table.select("variant", value=value).filter(value.notnull())
    edges = _edges(table, n_bins)
    counts = _counts(table, edges)
    counts["low"], counts["high"] = edges[counts["bin"]], edges[counts["bin"] + 1]
    total = counts.groupby("variant")["n_units"].transform("sum")
    return counts.assign(metric=label, share=counts["n_units"] / total)[COLUMNS]


def _edges(table: ir.Table, n_bins: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the edges of equal bins; the last bin is open, and holds the largest hundredth."""
    value = table["value"]
    facts = table.aggregate(least=value.min(), far=value.quantile(0.99), most=value.max())
    least, far, most = (float(number) for number in facts.execute().iloc[0])
    far = far if far > least else most
    if far == least:
        return np.array([least, least])
    edges = np.linspace(least, far, n_bins + 1)
    edges[-1] = most
    return edges


def _counts(table: ir.Table, edges: np.ndarray[tuple[int], np.dtype[np.float64]]) -> pd.DataFrame:
    """Return how many units each bin of each variant holds, empty ones too."""
    n_bins = len(edges) - 1
    place = ibis.literal(0)
    if edges[-1] > edges[0]:
        width = ibis.literal(float(edges[1] - edges[0]), "float64")
        least = ibis.literal(float(edges[0]), "float64")
        inner = ((table["value"] - least) / width).floor().cast("int64")
        place = ibis.least(inner, ibis.literal(n_bins - 1, "int64"))
    found = table.group_by("variant", bin=place).aggregate(n_units=table.count()).execute()
    every = pd.MultiIndex.from_product(
        [sorted(found["variant"].unique()), range(n_bins)], names=["variant", "bin"]
    )
    counted = found.set_index(["variant", "bin"])["n_units"].reindex(every, fill_value=0)
    return counted.reset_index()
