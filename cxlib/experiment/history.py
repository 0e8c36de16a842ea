"""History read as if an experiment with one variant had run on it: for planning and self-checks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import ibis
import ibis.expr.types as ir
from ibis.common.exceptions import IbisError

from cxlib._checks import (
    DataError,
    ParameterError,
    check_columns,
    check_date,
    check_duration,
    listed,
)
from cxlib.experiment.carried import units_of_table
from cxlib.experiment.exposed import logs_of, units_of_exposures
from cxlib.experiment.metrics import Metric
from cxlib.experiment.units import Units
from cxlib.sources import Source, as_table, load
from cxlib.tables import EVENTS, EXPOSURES, ORDERS, Contract, midnight_after

EVERYONE = "history"
"""The one variant that everybody in history has seen."""


class History(NamedTuple):
    """Units of history, the column that tells apart what is randomised, and the days of entering.

    Without dates ``n_days`` and ``as_of``, the last of them, are None.
    """

    units: Units
    who: str
    n_days: int | None = None
    as_of: dt.date | None = None


def read_history(
    data: Source,
    metrics: Sequence[Metric],
    *,
    orders: Source | None = None,
    events: Source | None = None,
    start: str | dt.date | None = None,
    as_of: str | dt.date | None = None,
    unit: str | None = None,
    stratify: str | None = None,
    split_by: str | None = None,
    apart: bool = False,
) -> History:
    """Return the units of history with their metrics, as `cxlib.experiment` would count them.

    Orders, events and exposures are known by their time stamps: a unit enters with its first
    row from ``start`` on. Anything else has one row per unit (or, with ``unit``, finer ones), which
    get a number where they have to be told ``apart``.
    """
    table = as_table(data)
    contract = _contract(table)
    if contract is None:
        dated = {"orders": orders, "events": events, "start": start, "as_of": as_of}
        if given := [f"{name}=" for name, value in dated.items() if value is not None]:
            raise ParameterError(
                f"{listed(given)} need dated history, and the table has no column "
                f"{listed(known.when for known in (EXPOSURES, ORDERS, EVENTS))}: it has one row per "
                "unit, and carries the metrics"
            )
        return _of_table(table, metrics, unit, stratify, split_by, apart)
    if (given_by := unit or split_by) is not None:
        name = "unit" if unit else "split_by"
        raise ParameterError(
            f"{name}={given_by!r} is for a table that carries its metrics; units of {contract.name} are "
            f"its {contract.who!r}"
        )
    return _of_rows(data, contract, logs_of(orders, events), metrics, start, as_of, stratify)


def _contract(table: ir.Table) -> Contract | None:
    known = [log for log in (EXPOSURES, ORDERS, EVENTS) if log.when in table.columns]
    return known[0] if known else None


def _of_table(
    table: ir.Table,
    metrics: Sequence[Metric],
    unit: str | None,
    stratify: str | None,
    split_by: str | None,
    apart: bool,
) -> History:
    for metric in metrics:
        for quantity in metric.quantities:
            quantity.unit_value(table, metric.label)  # missing columns are told before ours join
    if unit is not None and split_by is not None:
        raise ParameterError("unit= is what is split already; leave split_by= away")
    by = () if stratify is None else (stratify,)
    table = table.mutate(_everyone=ibis.literal(EVERYONE))
    if unit is not None:
        return History(units_of_table(table, "_everyone", metrics, unit, by), "_unit")
    if split_by is None and apart:
        table, split_by = table.mutate(_row=ibis.row_number()), "_row"
    units = units_of_table(table, "_everyone", metrics, by=by, stratify=split_by)
    return History(units, "stratum")


def _of_rows(
    data: Source,
    contract: Contract,
    logs: dict[str, tuple[ir.Table, Contract]],
    metrics: Sequence[Metric],
    start: str | dt.date | None,
    as_of: str | dt.date | None,
    stratify: str | None,
) -> History:
    if as_of is None:
        raise ParameterError("as_of is missing; give the last observed day, such as '2024-12-31'")
    last = check_date("as_of", as_of)
    if contract is EXPOSURES:
        rows = load(as_table(data).mutate(variant=ibis.literal(EVERYONE)), EXPOSURES)
    else:
        rows = load(data, contract)
        logs.setdefault(contract.name, (rows, contract))
    first = _first_day(rows, contract, logs, metrics) if start is None else start
    first = check_date("start", first)
    n_days = (last - first).days + 1
    if n_days < 1:
        raise DataError(
            f"{contract.name}: no unit can enter from {first} to as_of={last}; give a later as_of, an "
            "earlier start, or a shorter before= of the metrics"
        )
    when = rows[contract.when]
    eve = first - dt.timedelta(days=1)
    seen = rows.filter(when >= midnight_after(eve), when < midnight_after(last))
    by = () if stratify is None else (stratify,)
    check_columns(contract.name, seen.columns, by, optional="stratify")
    exposures = seen.select(
        user_id=seen[contract.who],
        variant=ibis.literal(EVERYONE),
        exposed_at=seen[contract.when],
        **{column: seen[column] for column in by},
    )
    units = units_of_exposures(exposures, logs, metrics, last, by)
    try:
        units.table.get_backend()
    except IbisError as error:
        raise DataError(
            f"history, orders and events lie in different engines ({error}); read them through one"
        ) from None
    return History(units, "user_id", n_days, last)


def _first_day(
    rows: ir.Table,
    contract: Contract,
    logs: Mapping[str, tuple[ir.Table, Contract]],
    metrics: Sequence[Metric],
) -> dt.date:
    """Return the first day, or the first before which the longest ``before`` is full."""
    first = _earliest(rows, contract)
    lengths = [check_duration("before", length) for length in _befores(metrics)]
    if not lengths:
        return first.date()
    read = [_earliest(log, its) for log, its in logs.values()]
    full = max(read, default=first) + max(lengths)
    full_day = full.date() + dt.timedelta(days=full.time() > dt.time())
    return max(first.date(), full_day)


def _befores(metrics: Sequence[Metric]) -> list[Any]:
    return [
        metric.covariate
        for metric in metrics
        if metric.covariate is not None and not isinstance(metric.covariate, tuple)
    ]


def _earliest(rows: ir.Table, contract: Contract) -> dt.datetime:
    found = rows.aggregate(first=rows[contract.when].min()).to_pyarrow().to_pylist()[0]["first"]
    return dt.datetime.combine(found.date(), found.time())
