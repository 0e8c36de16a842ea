"""An experiment as it was declared: tables, metrics and options, ready to be asked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import ibis.expr.types as ir
from ibis.common.exceptions import IbisError

from cxlib._checks import DataError, ParameterError
from cxlib.experiment.caps import with_caps
from cxlib.experiment.carried import units_of_table
from cxlib.experiment.exposed import Log, logs_of, units_of_exposures
from cxlib.experiment.metrics import Metric, Quantile
from cxlib.experiment.orders import order_statistics
from cxlib.experiment.rule import Rule
from cxlib.experiment.samples import Reduced
from cxlib.experiment.sums import reduce_units
from cxlib.experiment.units import Units
from cxlib.sources import Source, as_table, held, load
from cxlib.tables import EXPOSURES


@dataclass(frozen=True, eq=False)
class Question:
    """What `cxlib.experiment` was given, checked; ``logs`` is None where rows carry the metrics."""

    rows: ir.Table
    logs: Mapping[str, Log] | None
    metrics: list[Metric]
    control: str
    rule: Rule
    as_of: dt.date | None
    variant: str | None = None
    unit: str | None = None
    by: tuple[str, ...] = ()
    stratify: str | None = None

    def units(self) -> Units:
        """Return one row per unit, lazily."""
        if self.logs is None:
            assert self.variant is not None
            units = units_of_table(
                self.rows, self.variant, self.metrics, self.unit, self.by, self.stratify
            )
        else:
            assert self.as_of is not None
            units = units_of_exposures(
                self.rows, self.logs, self.metrics, self.as_of, self.by, self.stratify
            )
        return units

    def reduced(self) -> Reduced:
        """Return what the engine makes of the units."""
        return reduce(self.units(), self.metrics, self.as_of)


def reduce(units: Units, metrics: Sequence[Metric], as_of: dt.date | None) -> Reduced:
    """Return sums and order statistics of the units, which the engine takes.

    Units of exposures that are asked more than once are kept, so that logs are read once.
    """
    try:
        units.table.get_backend()
    except IbisError as error:
        raise DataError(
            f"exposures, orders and events lie in different engines ({error}); read them through one"
        ) from None
    asked_again = any(metric.ceiling or isinstance(metric, Quantile) for metric in metrics)
    if units.folded and asked_again:
        units = replace(units, table=held(units.table))
    units = with_caps(units, metrics)
    reduced = reduce_units(units, metrics, as_of)
    return replace(reduced, orders=order_statistics(units, reduced, metrics))


def of_exposures(
    exposures: Source,
    orders: Source | None,
    events: Source | None,
    metrics: list[Metric],
    control: str,
    rule: Rule,
    as_of: dt.date | None,
) -> Question:
    """Return the question to exposures and logs."""
    _check_primary(metrics)
    if as_of is None:
        raise ParameterError("as_of is missing; give the last observed day, such as '2024-12-31'")
    logs = logs_of(orders, events)
    for metric in metrics:
        for quantity in metric.quantities:
            quantity.source(metric.label, logs)
    return Question(load(exposures, EXPOSURES), logs, metrics, control, rule, as_of)


def of_units(
    units: Source,
    variant: str,
    unit: str | None,
    metrics: list[Metric],
    control: str,
    rule: Rule,
    as_of: dt.date | None,
) -> Question:
    """Return the question to a table whose rows carry variant and metrics."""
    _check_primary(metrics)
    return Question(as_table(units), None, metrics, control, rule, as_of, variant, unit)


def _check_primary(metrics: Sequence[Metric]) -> None:
    if all(metric.role != "primary" for metric in metrics):
        raise ParameterError(
            "metrics: none is primary, and the verdict follows one; give one of them role='primary'"
        )


def columns_of(by: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the names that ``by`` gives, one or several."""
    return (by,) if isinstance(by, str) else tuple(dict.fromkeys(by or ()))
