"""The engine's part: exposures, orders and events come down to one row per variant."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib._checks import DataError, check_columns
from cxlib._intervals import Moments
from cxlib.experiment.metrics import Metric, window
from cxlib.tables import Contract

Log = tuple[ir.Table, Contract]
"""A table of dated rows, and the contract that names its columns."""

_NOTHING = Moments(0.0, float("nan"), float("nan"))


@dataclass(frozen=True, eq=False)
class Reduced:
    """What all later arithmetic starts from.

    Attributes
    ----------
    units : dict
        Units analysed, by variant (those seen in several variants left out).
    moments : dict
        Moments of each metric, by (metric's place, variant).
    mixed : int
        Units seen in several variants.
    exposures : int
        Exposures of all units, those seen in several variants included.
    """

    units: dict[str, int]
    moments: dict[tuple[int, str], Moments]
    mixed: int
    exposures: int

    def of(self, place: int, variant: str) -> Moments:
        """Return the moments of a metric in an arm, which may be empty."""
        return self.moments.get((place, variant), _NOTHING)


def units_of_exposures(
    exposures: ir.Table, logs: Mapping[str, Log], metrics: Sequence[Metric], as_of: dt.date
) -> ir.Table:
    """Return one row per exposed user: variants, first exposure, and each metric as ``m0``, ``m1``, …

    A metric is null where its window is not over by the end of ``as_of``, else what the user
    did from first exposure on; users who did nothing have 0.
    """
    end = ibis.literal(dt.datetime.combine(as_of + dt.timedelta(days=1), dt.time()))
    users = exposures.group_by("user_id").aggregate(
        variant=exposures["variant"].min(),
        last_variant=exposures["variant"].max(),
        exposed_at=exposures["exposed_at"].min(),
        exposures=exposures.count(),
        late=(exposures["exposed_at"] >= end).cast("int64").sum(),
    )
    units = users
    for source, log in logs.items():
        read = {
            place: metric for place, metric in enumerate(metrics) if metric.source(logs) == source
        }
        if read:
            did = _did(users, source, log, read, end)
            units = units.left_join(did, units["user_id"] == did["_user"]).drop("_user")
    return units.mutate(
        **{
            f"m{place}": _when_over(units, metric, units[f"m{place}"].fill_null(0.0), end)
            for place, metric in enumerate(metrics)
        }
    )


def _did(
    users: ir.Table, source: str, log: Log, metrics: Mapping[int, Metric], end: ir.Value
) -> ir.Table:
    """Return one row per user who did anything from first exposure to ``end``."""
    rows, contract = log
    names = [f"m{place}" for place in metrics]
    rows = rows.select(
        _user=rows[contract.who],
        _at=rows[contract.when],
        **{f"m{place}": metric.row_value(rows, source) for place, metric in metrics.items()},
    )
    rows = rows.filter(rows["_at"] < end, ibis.or_(*[rows[name].notnull() for name in names]))
    first = users.select("user_id", "exposed_at")
    rows = rows.inner_join(first, rows["_user"] == first["user_id"])
    rows = rows.filter(rows["_at"] >= rows["exposed_at"])
    folded = {}
    for name, metric in zip(names, metrics.values(), strict=True):
        value = rows[name]
        if metric.within is not None:
            value = ibis.ifelse(rows["_at"] < _closes(rows, metric), value, ibis.null("float64"))
        folded[name] = value.max() if metric.fold == "max" else value.sum()
    return rows.group_by("_user").aggregate(**folded)


def _closes(rows: ir.Table, metric: Metric) -> ir.Value:
    length = window(metric)
    assert length is not None
    return rows["exposed_at"] + ibis.interval(seconds=int(length.total_seconds()))


def _when_over(units: ir.Table, metric: Metric, value: ir.Value, end: ir.Value) -> ir.Value:
    if metric.within is None:
        return value
    return ibis.ifelse(_closes(units, metric) <= end, value, ibis.null("float64"))


def units_of_table(table: ir.Table, variant: str, metrics: Sequence[Metric]) -> ir.Table:
    """Return a table that has one row per unit already in the shape of `units_of_exposures`."""
    check_columns("units", table.columns, [variant])
    arm = table[variant].cast("string")
    return table.select(
        variant=arm,
        last_variant=arm,
        exposures=ibis.literal(1),
        late=ibis.literal(0),
        **{f"m{place}": metric.unit_value(table) for place, metric in enumerate(metrics)},
    )


def reduce_units(units: ir.Table, metrics: Sequence[Metric], as_of: dt.date | None) -> Reduced:
    """Run the one query, and check what only the rows can show.

    The engine's own sample variance is a centred moment (Welford's, or a merge of such), so
    that a mean of 1e9 keeps its variance.
    """
    rows = _query(units, metrics).execute()
    if rows.empty:
        raise DataError("units: no rows; there is nothing to compare")
    if rows["variant"].isna().any():
        unnamed = int(rows.loc[rows["variant"].isna(), "units"].sum())
        raise DataError(f"units: {unnamed:,} rows name no variant; fill them in, or leave them out")
    if (late := int(rows["late"].sum())) > 0:
        raise DataError(
            f"exposures: {late:,} lie after as_of={as_of}; give a later as_of, or filter them"
        )
    for place, metric in enumerate(metrics):
        if (odd := int(rows[f"odd{place}"].sum())) > 0:
            raise DataError(f"metric {metric.label!r}: {odd:,} values are {metric.odd_means}")
    kept = rows[~rows["is_mixed"].astype(bool)].set_index("variant")
    if kept.empty:
        raise DataError("exposures: no user saw one variant only; there is nothing to compare")
    return Reduced(
        units=dict.fromkeys(sorted(set(rows["variant"])), 0) | kept["units"].astype(int).to_dict(),
        moments={
            (place, variant): _moments(row, place)
            for variant, row in kept.iterrows()
            for place in range(len(metrics))
        },
        mixed=int(rows["units"].sum() - kept["units"].sum()),
        exposures=int(rows["exposures"].sum()),
    )


def _query(units: ir.Table, metrics: Sequence[Metric]) -> ir.Table:
    units = units.mutate(is_mixed=units["variant"] != units["last_variant"])
    columns: dict[str, ir.Value] = {
        "units": units.count(),
        "exposures": units["exposures"].sum(),
        "late": units["late"].sum(),
    }
    for place, metric in enumerate(metrics):
        value = units[f"m{place}"]
        odd = metric.odd(value)
        value = ibis.ifelse(odd, ibis.null("float64"), value)
        columns |= {
            f"odd{place}": odd.cast("int64").sum(),
            f"n{place}": value.count(),
            f"mean{place}": value.mean(),
            f"variance{place}": value.var(how="sample"),
        }
    return units.group_by("variant", "is_mixed").aggregate(**columns)


def _moments(row: pd.Series, place: int) -> Moments:
    n, mean, variance = (float(row[f"{name}{place}"]) for name in ("n", "mean", "variance"))
    rounding = (4 * 2.0**-52 * abs(mean)) ** 2 if mean == mean else 0.0
    return Moments(n, mean, 0.0 if variance <= rounding else variance)
