"""How a metric is spread over units, in each variant: binned in the engine."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib._checks import ParameterError, check_choice, check_number
from cxlib._intervals import Numbers
from cxlib.experiment.question import Question

COLUMNS = ["metric", "variant", "low", "high", "n_units", "share"]


def distribution(question: Question, metric: str | None, n_bins: int) -> pd.DataFrame:
    """Return `ExperimentResult.distribution`."""
    n_bins = int(check_number("n_bins", n_bins, 2, 200))
    units = question.units()
    spread = {
        one.label: place
        for place, one in enumerate(question.metrics)
        if units.layouts[place].after == 1
    }
    if not spread:
        raise ParameterError(
            "distribution() needs a metric of one quantity for each unit; a ratio has two, and so has "
            "any metric of rows that are finer than units"
        )
    label = next(iter(spread)) if metric is None else check_choice("metric", metric, spread)
    table = units.table
    if units.folded:
        table = table.filter(table["variant"] == table["last_variant"])
    value = table[f"m{spread[label]}_0"]
    table = table.select("variant", value=value).filter(value.notnull())
    edges, width = _edges(table, n_bins)
    counts = _counts(table, edges, width)
    counts["low"], counts["high"] = edges[counts["bin"]], edges[counts["bin"] + 1]
    total = counts.groupby("variant")["n_units"].transform("sum")
    return counts.assign(metric=label, share=counts["n_units"] / total)[COLUMNS]


def _edges(table: ir.Table, n_bins: int) -> tuple[Numbers, float]:
    """Return the edges of equal bins, and their width; the last bin holds the largest hundredth."""
    value = table["value"]
    facts = table.aggregate(least=value.min(), far=value.quantile(0.99), most=value.max())
    least, far, most = (float(number) for number in facts.execute().iloc[0])
    far = far if far > least else most
    if far == least:
        return np.array([least, least]), 0.0
    edges, width = np.linspace(least, far, n_bins + 1, retstep=True)
    edges[-1] = most
    return edges, float(width)


def _counts(table: ir.Table, edges: Numbers, width: float) -> pd.DataFrame:
    """Return how many units each bin of each variant holds, empty ones too."""
    n_bins = len(edges) - 1
    bins = _bin(table["value"], edges, width) if width else ibis.literal(0, "int64")
    found = table.group_by("variant", bin=bins).aggregate(n_units=table.count()).execute()
    every = pd.MultiIndex.from_product(
        [sorted(found["variant"].unique()), range(n_bins)], names=["variant", "bin"]
    )
    counted = found.set_index(["variant", "bin"])["n_units"].reindex(every, fill_value=0)
    return counted.reset_index()


def _bin(value: ir.Value, edges: Numbers, width: float) -> ir.Value:
    """Return the bin by one division, mended where that rounds to the wrong side of an edge.

    Numbers go as text: engines read 0.1 as a decimal, whose products are not those of floats.
    """
    least, step, one = (
        ibis.literal(repr(x)).cast("float64") for x in (float(edges[0]), width, 1.0)
    )
    near = ((value - least) / step).floor().cast("float64")
    above = (value >= least + (near + one) * step).cast("int64")
    exact = near.cast("int64") + above - (value < least + near * step).cast("int64")
    return ibis.least(exact, ibis.literal(len(edges) - 2, "int64"))
