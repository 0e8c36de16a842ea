"""What an experiment measures: each metric is declared once, and says what it needs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace

from cxlib._checks import (
    ParameterError,
    check_choice,
    check_duration,
    check_number,
    listed,
)
from cxlib.experiment.quantities import Quantity

ROLES = ("primary", "secondary", "guardrail")


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What all metrics may say of themselves; `Conversion` documents it."""

    within: str | dt.timedelta | None = None
    name: str | None = None
    role: str | None = None
    margin: float | None = None
    equivalence: float | None = None
    better: str | None = None

    def __post_init__(self) -> None:
        for quantity in self.quantities:
            if not isinstance(quantity.of, str) or not quantity.of:
                raise ParameterError(
                    f"cx.{type(self).__name__}({quantity.of!r}): give the name of an event or a column"
                )
        window(self)
        if self.role is not None:
            check_choice("role", self.role, ROLES)
        if self.margin is not None and not check_number("margin", self.margin, -1, 1):
            raise ParameterError(
                "margin=0 allows nothing; give one such as -0.02, or leave it away"
            )
        if self.equivalence is not None:
            check_number("equivalence", self.equivalence, 0, 1, open_low=True)
        if self.better is not None:
            check_choice("better", self.better, ("higher", "lower"))
            if self.margin is not None and (self.better == "lower") != (self.margin > 0):
                raise ParameterError(
                    f"margin={self.margin!r} bounds the lift on the wrong side of better="
                    f"{self.better!r}; give {-self.margin!r}"
                )

    @property
    def kind(self) -> str:
        """Return proportion, mean, count, ratio or quantile."""
        raise AttributeError("kind")

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """Return what is measured of each unit: a value, and for a ratio its denominator."""
        raise AttributeError("quantities")

    @property
    def label(self) -> str:
        """What the result calls the metric."""
        return self.name or self.quantities[0].of

    @property
    def lower_is_better(self) -> bool:
        """Whether it was said so, or its margin bounds it from above."""
        return self.better == "lower" or (self.margin is not None and self.margin > 0)

    @property
    def covariate(self) -> str | dt.timedelta | tuple[str, str] | None:
        """Return ``before``, where the metric has one."""
        return getattr(self, "before", None)

    @property
    def ceiling(self) -> float | None:
        """Return ``cap``, where the metric has one."""
        return getattr(self, "cap", None)


@dataclass(frozen=True)
class Conversion(Metric):
    """The share of units that did something at least once.

    Parameters
    ----------
    event : str
        Name of an event in ``events``; ``"order"`` means a row of ``orders`` (where orders are
        given). On a table with one row per unit: a column of 0 and 1, or of true and false.
    within : str or timedelta, optional
        How long after first exposure it counts, such as ``"7 days"``: from the exposure on, up
        to but without the end. Through ``as_of`` if not given.
    before : str or timedelta, optional
        CUPED: how long before first exposure the same quantity is taken, to explain away what
        units differed in already. On a table with one row per unit: the column that holds it.
    name : str, optional
        What the result calls it; ``event`` if not given.
    role : {"primary", "secondary", "guardrail"}, optional
        The first metric is primary, the others are secondary, if not given.
    margin : float, optional
        The lift that may not be passed, such as -0.02 (may not fall by 2 %) or, where less is
        better, 0.02: a non-inferiority test, mostly of guardrails.
    equivalence : float, optional
        A test that the lift lies within plus and minus this.
    better : {"higher", "lower"}, optional
        Which way is good: "lower" of returns or complaints. Higher, or what the margin's sign says,
        if not given.

    Notes
    -----
    With ``unit=`` rows are finer than units, and this is the share of rows.

    Examples
    --------
    >>> import cxlib as cx
    >>> cx.Conversion("purchase", within="7 days").label
    'purchase'
    """

    event: str
    _: KW_ONLY
    before: str | dt.timedelta | None = None

    @property
    def kind(self) -> str:
        """Return "proportion"."""
        return "proportion"

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """Return whether a unit did it."""
        return (Quantity(self.event, "max"),)


@dataclass(frozen=True)
class Mean(Metric):
    """The mean of a quantity or a count over all units, those without any counting as 0.

    Parameters
    ----------
    column : str
        A numeric column of ``orders``, summed for each unit; ``"n_orders"`` for their number; or
        ``"event:view"`` for the number of events called view. On a table with one row per unit:
        one of its numeric columns.
    cap : float, optional
        Winsorise: values above this quantile, such as 0.99, of all units of all arms together
        count as that quantile. What lies ``before`` is capped at its own.
    within, before, name, role, margin, equivalence, better
        As in `Conversion`.

    Examples
    --------
    >>> import cxlib as cx
    >>> cx.Mean("net_revenue", within="14 days", name="two-week revenue").label
    'two-week revenue'
    """

    column: str
    _: KW_ONLY
    before: str | dt.timedelta | None = None
    cap: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_quantile("cap", self.cap)

    @property
    def kind(self) -> str:
        """Return count for a number of rows, else mean."""
        return "count" if self.quantities[0].is_count else "mean"

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """Return the one quantity."""
        return (Quantity(self.column, "sum"),)


@dataclass(frozen=True)
class Ratio(Metric):
    """The ratio of two sums over all units, such as revenue per order; by the delta method.

    Parameters
    ----------
    numerator, denominator : str
        As ``column`` of `Mean`.
    before : str, timedelta or pair of str, optional
        As in `Conversion`; on a table with one row per unit the column of a covariate, or the
        columns of a numerator and a denominator.
    cap : float, optional
        As in `Mean`, of the units' numerators.
    within, name, role, margin, equivalence, better
        As in `Conversion`.

    Examples
    --------
    >>> import cxlib as cx
    >>> cx.Ratio("net_revenue", "n_orders").label
    'net_revenue / n_orders'
    """

    numerator: str
    denominator: str
    _: KW_ONLY
    before: str | dt.timedelta | tuple[str, str] | None = None
    cap: float | None = None

    @property
    def kind(self) -> str:
        """Return "ratio"."""
        return "ratio"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_quantile("cap", self.cap)

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """Return numerator and denominator."""
        return Quantity(self.numerator, "sum"), Quantity(self.denominator, "sum")

    @property
    def label(self) -> str:
        """What the result calls the metric."""
        return self.name or f"{self.numerator} / {self.denominator}"


@dataclass(frozen=True)
class Quantile(Metric):
    """A quantile of a quantity over all units, those without any counting as 0.

    Parameters
    ----------
    column : str
        As in `Mean`.
    q : float
        Which quantile, between 0 and 1: 0.5 is the median.
    within, name, role, margin, equivalence, better
        As in `Conversion`.

    Examples
    --------
    >>> import cxlib as cx
    >>> cx.Quantile("net_revenue", 0.9).label
    'net_revenue p90'
    """

    column: str
    q: float

    @property
    def kind(self) -> str:
        """Return "quantile"."""
        return "quantile"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_quantile("q", self.q)

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """Return the one quantity."""
        return (Quantity(self.column, "sum"),)

    @property
    def label(self) -> str:
        """What the result calls the metric."""
        return self.name or f"{self.column} p{100 * self.q:g}"


def window(metric: Metric) -> dt.timedelta | None:
    """Return how long after exposure the metric counts; None through ``as_of``."""
    return None if metric.within is None else check_duration("within", metric.within)


def check_metrics(metrics: Sequence[Metric]) -> list[Metric]:
    """Return the metrics as a list, each with its role, if no two of them share a name."""
    if isinstance(metrics, (Metric, str)) or not len(metrics):
        raise ParameterError(
            f"metrics={metrics!r}: give a list of at least one, such as [cx.Conversion('purchase')]"
        )
    for metric in metrics:
        if not isinstance(metric, Metric):
            raise ParameterError(
                f"metrics: {metric!r} is no metric; declare it with cx.Conversion, cx.Mean, cx.Ratio "
                "or cx.Quantile"
            )
    labels = [metric.label for metric in metrics]
    twice = {label for label in labels if labels.count(label) > 1}
    if twice:
        raise ParameterError(
            f"metrics: more than one is called {listed(sorted(map(repr, twice)))}; give one of them name="
        )
    return [
        replace(metric, role=metric.role or ("secondary" if place else "primary"))
        for place, metric in enumerate(metrics)
    ]


def _check_quantile(name: str, value: float | None) -> None:
    if value is not None and check_number(name, value, 0, 1, open_low=True) == 1:
        raise ParameterError(
            f"{name}=1 is the largest value itself; give one below 1, such as 0.99"
        )
