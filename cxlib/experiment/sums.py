"""The engine's part: units come down to the sums of each arm, by one query."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np

from cxlib._checks import DataError
from cxlib.experiment.metrics import Metric
from cxlib.experiment.odd import not_finite, not_rate
from cxlib.experiment.samples import Cell, Reduced, Sample
from cxlib.experiment.units import Units

Row = dict[str, Any]

MOST_CELLS = 10_000
LOST_DIGITS = 1e4  # squares past this many variances: their sums lose 4 digits of 16 and more


def reduce_units(units: Units, metrics: Sequence[Metric], as_of: dt.date | None = None) -> Reduced:
    """Run the one query, and check what only the rows can show.

    Plain sums are the quickest scan; a metric that they lose digits of, or whose columns are not
    null together, is asked again, as the engine's own centred moments.
    """
    rows = _rows(query(units, metrics), units)
    kept = _check_rows(rows, units.table, as_of)
    samples = _samples(units, metrics, kept)
    counts = dict.fromkeys(sorted({str(row["variant"]) for row in rows}), 0)
    for row in kept:
        counts[row["variant"]] += row["units"]
    return Reduced(
        units=counts,
        cells=[
            Cell(
                row["variant"],
                row.get("stratum"),
                tuple(row[f"by{k}"] for k in range(len(units.by))),
                samples[at],
            )
            for at, row in enumerate(kept)
        ],
        layouts=units.layouts,
        by=units.by,
        stratify=units.stratify,
        mixed=sum(int(row["units"]) for row in rows) - sum(counts.values()),
        rows=sum(int(row.get("rows") or row["units"]) for row in rows),
        folded=units.folded,
        earlier=_earlier(kept),
    )


def _earlier(rows: list[Row]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        if "earlier" in row:
            found[row["variant"]] = found.get(row["variant"], 0) + int(row["earlier"])
    return found


def _samples(units: Units, metrics: Sequence[Metric], rows: list[Row]) -> list[list[Sample]]:
    """Return the sample of each metric, for each row."""
    found = [_plain(units, metric, place, rows) for place, metric in enumerate(metrics)]
    again = [place for place, samples in enumerate(found) if samples is None]
    if again:
        keys = _keys(units)
        centred = {
            tuple(row[key] for key in keys): row for row in _rows(_centred(units, again), units)
        }
        same = [centred[tuple(row[key] for key in keys)] for row in rows]
        for place in again:
            found[place] = [_centred_sample(row, units.names(place)) for row in same]
    return [list(own) for own in zip(*filter(None, found), strict=True)]


def query(units: Units, metrics: Sequence[Metric]) -> ir.Table:
    """Return the one query: numbers of units, and each metric's plain sums, by cell."""
    table = _with_mixed(units)
    columns: dict[str, ir.Value] = {"units": table.count()}
    for name in ("rows", "late", "earlier"):
        if name in table.columns:
            columns[name] = table[name].sum()
    for place, metric in enumerate(metrics):
        names = units.names(place)
        for name in names:
            columns |= {f"n_{name}": table[name].count(), f"s_{name}": table[name].sum()}
        for a, b in _pairs(names):
            if a == b == names[0] and _is_rate(metric, place, units):
                columns |= _of_rate(table, place, units)
            else:
                columns[f"q_{a}_{b}"] = (table[a] * table[b]).sum()
    return table.group_by(_keys(units)).aggregate(**columns)


def _with_mixed(units: Units) -> ir.Table:
    table = units.table
    if units.folded:
        table = table.mutate(is_mixed=table["variant"] != table["last_variant"])
    return table


def _keys(units: Units) -> list[str]:
    return [
        "variant",
        *(["is_mixed"] if units.folded else []),
        *(["stratum"] if units.stratify is not None else []),
        *(f"by{k}" for k in range(len(units.by))),
    ]


def _pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    return list(combinations_with_replacement(names, 2))


def _is_rate(metric: Metric, place: int, units: Units) -> bool:
    """Whether the first column is 0 and 1 alone, so that its squares sum to what it sums to."""
    return metric.kind == "proportion" and units.layouts[place].after == 1


def _of_rate(table: ir.Table, place: int, units: Units) -> dict[str, ir.Value]:
    """Return what shows whether values are 0 and 1 alone, where a user's own table has them."""
    name, what = f"m{place}_0", units.unsure.get(place)
    if what == "integer":
        return {f"bits{place}": table[f"bits{place}"].bit_or()}
    if what is None:
        return {}
    value = table[name]
    squares = (value * value).sum()
    return {f"low{place}": value.min(), f"high{place}": value.max(), f"squares{place}": squares}


def _rows(table: ir.Table, units: Units) -> list[Row]:
    if units.by or units.stratify is not None:
        table = table.limit(MOST_CELLS + 1)
    rows: list[Row] = table.to_pyarrow().to_pylist()
    if len(rows) > MOST_CELLS:
        raise DataError(
            f"by, stratify: more than {MOST_CELLS:,} combinations of their values and the variants; "
            "name columns with few values"
        )
    return rows


def _check_rows(rows: list[Row], table: ir.Table, as_of: dt.date | None) -> list[Row]:
    """Return the rows of units that saw one variant, if all rows may be used."""
    if not rows:
        raise DataError("units: no rows; there is nothing to compare")
    if unnamed := sum(row["units"] for row in rows if row["variant"] is None):
        raise DataError(f"units: {unnamed:,} rows name no variant; fill them in, or leave them out")
    if (late := sum(row.get("late", 0) for row in rows)) > 0:
        raise DataError(_too_late(late, sum(row["rows"] for row in rows), table, as_of))
    kept = [row for row in rows if not row.get("is_mixed")]
    if not kept:
        raise DataError("exposures: no user saw one variant only; there is nothing to compare")
    return kept


def _too_late(late: int, of: int, table: ir.Table, as_of: dt.date | None) -> str:
    """Return what to say of exposures after ``as_of``: how many, and when the experiment ran."""
    asked = table.aggregate(first=table["exposed_at"].min(), last=table["last_at"].max())
    first, last = asked.to_pandas().iloc[0]
    ran = f"the first is of {first:%Y-%m-%d}, the last of {last:%Y-%m-%d}"
    if late == of:
        return (
            f"exposures: all {late:,} lie after as_of={as_of}: the experiment had not begun ({ran}); "
            "give a later as_of"
        )
    return (
        f"exposures: {late:,} lie after as_of={as_of}, of {of:,} ({ran}); give a later as_of, or "
        "filter them"
    )


def _plain(units: Units, metric: Metric, place: int, rows: list[Row]) -> list[Sample] | None:
    """Return the samples of each row by its plain sums; None where those do not do."""
    names, pairs = units.names(place), _pairs(units.names(place))
    if _is_rate(metric, place, units):
        _check_rate(units, metric, place, rows)
        for row in rows:
            row[f"q_{names[0]}_{names[0]}"] = row[f"s_{names[0]}"]
    sums = [row[f"s_{name}"] or 0.0 for row in rows for name in names]
    squares = [row[f"q_{a}_{b}"] or 0.0 for row in rows for a, b in pairs]
    if not all(map(math.isfinite, [*sums, *squares])):
        raise DataError(not_finite(units.table, metric, names))
    if any(row[f"n_{name}"] != row[f"n_{names[0]}"] for row in rows for name in names):
        return None
    samples = [_plain_sample(row, names) for row in rows]
    for variant in {row["variant"] for row in rows}:
        own = [
            (row, sample)
            for row, sample in zip(rows, samples, strict=True)
            if row["variant"] == variant and sample.n
        ]
        for k, name in enumerate(names):
            total = sum(row[f"q_{name}_{name}"] for row, _ in own)
            scatter = sum((sample.n - 1) * sample.covariance[k, k] for _, sample in own)
            if total > LOST_DIGITS * scatter and not (metric.kind == "proportion" and k == 0):
                return None
    return samples


def _plain_sample(row: Row, names: Sequence[str]) -> Sample:
    n, size = float(row[f"n_{names[0]}"]), len(names)
    if not n:
        return Sample(0.0, np.full(size, np.nan), np.zeros((size, size)))
    sums = np.array([row[f"s_{name}"] for name in names], float)
    scatter = _matrix(row, "q", names) - np.outer(sums, sums) / n
    return Sample(n, sums / n, scatter / max(n - 1, 1))


def _matrix(row: Row, prefix: str, names: Sequence[str]) -> np.ndarray:
    matrix = np.zeros((len(names), len(names)))
    for (i, a), (j, b) in combinations_with_replacement(enumerate(names), 2):
        matrix[i, j] = matrix[j, i] = row[f"{prefix}_{a}_{b}"] or 0.0
    return matrix


def _centred(units: Units, places: Sequence[int]) -> ir.Table:
    """Return the engine's own centred moments (Welford's) of units that carry all columns.

    A mean of 1e9 keeps its variance so.
    """
    table = _with_mixed(units)
    columns: dict[str, ir.Value] = {}
    for place in places:
        names = units.names(place)
        known = ibis.and_(*[table[name].notnull() for name in names])
        own = {name: ibis.ifelse(known, table[name], ibis.null("float64")) for name in names}
        columns[f"n_{names[0]}"] = own[names[0]].count()
        for name in names:
            columns[f"mean_{name}"] = own[name].mean()
        for a, b in _pairs(names):
            columns[f"c_{a}_{b}"] = (
                own[a].var(how="sample") if a == b else own[a].cov(own[b], how="sample")
            )
    return table.group_by(_keys(units)).aggregate(**columns)


def _centred_sample(row: Row, names: Sequence[str]) -> Sample:
    n = float(row[f"n_{names[0]}"])
    mean = np.array([row[f"mean_{name}"] for name in names], float)
    covariance = _matrix(row, "c", names)
    flat = np.diag(covariance) <= (4 * 2.0**-52 * np.abs(mean)) ** 2  # nothing but rounding
    covariance[flat, :] = covariance[:, flat] = 0.0
    return Sample(n, mean, covariance)


def _check_rate(units: Units, metric: Metric, place: int, rows: list[Row]) -> None:
    """Whole numbers whose bits together are 0 or 1 are 0 and 1 alone.

    So are numbers from 0 to 1 whose squares sum to what they sum to.
    """
    what, name = units.unsure.get(place), f"m{place}_0"
    known = [row for row in rows if row[f"n_{name}"]]
    if what == "integer":
        fine = all(row[f"bits{place}"] in (0, 1) for row in known)
    elif what == "number":
        fine = all(
            row[f"low{place}"] >= 0
            and row[f"high{place}"] <= 1
            and row[f"squares{place}"] == row[f"s_{name}"]
            for row in known
        )
    else:
        fine = True
    if not fine:
        raise DataError(not_rate(units.table, metric, units.table[name]))
