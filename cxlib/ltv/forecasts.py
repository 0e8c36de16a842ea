"""A fit and what it foretells, computed for unique histories and joined back in the engine."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib._bgnbd import MODELS
from cxlib._checks import ParameterError, check_number
from cxlib._published import doubted
from cxlib.ltv.ahead import Ahead
from cxlib.ltv.answers import (
    customers,
    deciles,
    grid,
    new_customer,
    refitted_segment_sums,
    segment_sums,
    total,
)
from cxlib.ltv.assumptions import assumptions
from cxlib.ltv.base import Base, Numbers
from cxlib.ltv.replicates import Replicates, resampled
from cxlib.ltv.silence import Silence
from cxlib.ltv.spread import segments
from cxlib.show import told


def check_valuation(horizon_days: float, discount_rate: float, margin: float) -> dict[str, Any]:
    """Return how far a forecast looks and what counts as value, each in its range."""
    return {
        "horizon_days": check_number("horizon_days", horizon_days, 0, 3653, open_low=True),
        "discount_rate": check_number("discount_rate", discount_rate, 0, 1),
        "margin": check_number("margin", margin, 0, 1, open_low=True),
    }


@dataclass(frozen=True, eq=False)
class LtvFit:
    """A model of buying and Gamma-Gamma, fitted to one table of orders.

    Intervals are of 95 %: see `fit_ltv`. They are computed when first asked for, a matter of
    seconds; ``intervals=False`` does without.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per parameter: ``parameter``, ``value``, ``standard_error`` (null where the
        parameter stands at the edge of its range) and ``meaning``. Time is in days.
    as_of : datetime.date
        The last observed day.
    model : str
        How customers buy and leave: ``"bgnbd"``, ``"mbgnbd"`` or ``"paretonbd"``.
    horizon_days : float
        How far the forecast looks.
    discount_rate, margin : float
        The yearly rate, and the share of revenue that counts as value.
    by : str or None
        The column that names segments.
    n_customers, n_repeat_customers : int
        Customers with a purchase by ``as_of``, and those of them who came again.
    n_without_purchase : int
        Customers left out: by ``as_of`` they have no day with positive net spend.
    log_likelihood, spend_log_likelihood : float
        Of the model (in days) and of Gamma-Gamma, at the optimum.
    status : str
        ``"converged"``, ``"boundary"`` or ``"too little data"``.
    verdict : str
        The status and its reason, in a sentence; and another one before it where ``as_of`` is
        later than the data.
    seed, n_boot : int
        Of the resamples behind intervals: their chance, and how many they are.
    guest_share : float
        Share of the export's revenue that cleaning lost to guests; null if it is not known.
    refund_share : float
        Refunds that cleaning found no order for, over the export's revenue; null if not known.
    currency : str or None
        Of the orders, where a column names it; None in the fit of a holdout.
    """

    table: pd.DataFrame
    as_of: dt.date
    model: str
    horizon_days: float
    discount_rate: float
    margin: float
    by: str | None
    n_customers: int
    n_repeat_customers: int
    n_without_purchase: int
    log_likelihood: float
    spend_log_likelihood: float
    status: str
    verdict: str
    seed: int
    n_boot: int
    guest_share: float
    refund_share: float = field(default=math.nan, kw_only=True)
    currency: str | None = field(default=None, kw_only=True)
    _values: dict[str, float] = field(repr=False)
    _spend: dict[str, float] = field(repr=False)
    _histories: ir.Table | None = field(repr=False)
    _base: Base | None = field(repr=False)
    _rows: Callable[[], ir.Table] | None = field(default=None, repr=False)
    _refits: Replicates | None = field(default=None, repr=False)
    _kept: Mapping[str, pd.DataFrame] = field(default_factory=dict, repr=False)

    def at(
        self,
        *,
        horizon_days: float | None = None,
        discount_rate: float | None = None,
        margin: float | None = None,
    ) -> LtvFit:
        """Return the same fit, looking as far ahead and valuing as asked; nothing is fitted again.

        Parameters
        ----------
        horizon_days, discount_rate, margin : float, optional
            As in `fit_ltv`; those of this fit where left out.

        Returns
        -------
        LtvFit
            With the parameters, and the refits behind intervals, of this one.

        Raises
        ------
        ParameterError
            A number is out of range, or the fit was saved without its customers.
        """
        own = {name: getattr(self, name) for name in ("horizon_days", "discount_rate", "margin")}
        asked = {"horizon_days": horizon_days, "discount_rate": discount_rate, "margin": margin}
        given = {name: value for name, value in asked.items() if value is not None}
        valued = check_valuation(**(own | given))
        return replace(self, **valued, _base=self.base, _refits=self.replicates_so_far)

    def customers(self, *, intervals: bool = True) -> ir.Table:
        """Return the forecast for each customer, lazily, in the engine of the orders.

        Parameters
        ----------
        intervals : bool, default True
            With ``_low`` and ``_high`` of p_alive, expected_orders and ltv.

        Returns
        -------
        ibis table
            One row per customer with a purchase by ``as_of``: ``customer_id``; the ``by``
            column, if any; ``n_orders`` (days with positive net spend, the first included);
            ``days_since_last``; ``p_alive`` (chance not to have left), ``p_alive_low``,
            ``p_alive_high``; ``expected_orders`` (such days within the horizon) with low and
            high; ``expected_spend`` (net revenue of one); ``ltv`` (see `fit_ltv`) with low and
            high. Write it with ``.to_parquet(path)``: rows stay in the engine.

        Notes
        -----
        Intervals are of the expectation: they tell how far the parameters are known, not what
        one customer may do. Those of p_alive and expected_orders are percentiles over the
        refits, exact for each history. That of ltv puts together the percentile intervals of
        discounted orders and of expected spend, as independent and on the log scale.
        """
        return customers(self, intervals)

    def total(self, *, intervals: bool = True) -> pd.DataFrame:
        """Return the value of the whole customer base.

        Returns
        -------
        pandas.DataFrame
            One row: ``n_customers``, ``expected_alive`` (customers who have not left),
            ``expected_orders`` and ``ltv`` (sums over customers), each of these with ``_low``
            and ``_high``: the interval of the expectation. ``realised_orders_low`` and
            ``realised_orders_high`` hold the orders, ``realised_low`` and ``realised_high`` the
            value that will be realised, of which the chance of individual futures is part.
        """
        return self._answer("total", total, intervals)

    def segments(self, *, intervals: bool = True) -> pd.DataFrame:
        """Return the value of each segment of ``by``, from the one fit to all customers.

        Returns
        -------
        pandas.DataFrame
            One row per segment, the most valuable first: the ``by`` column, ``n_customers``,
            ``expected_alive``, ``expected_orders``, ``ltv``, ``ltv_low``, ``ltv_high``,
            ``ltv_per_customer``, ``ltv_per_customer_low``, ``ltv_per_customer_high``; and how
            far its customers lie apart: ``ltv_p10``, ``ltv_median`` and ``ltv_p90``, below which
            a tenth, half and nine tenths of their ``ltv`` lie.

        Raises
        ------
        ParameterError
            The fit has no ``by``.
        """
        if self.by is None:
            raise ParameterError(
                "segments() needs a fit with by=, such as fit_ltv(..., by='country')"
            )
        return self._answer("segments", segments, intervals)

    def deciles(self) -> pd.DataFrame:
        """Return where the value sits: customers in tenths by ``ltv``, the best first.

        Returns
        -------
        pandas.DataFrame
            One row per tenth: ``decile`` (1 the best), ``n_customers``, ``expected_orders``,
            ``ltv`` (both summed) and ``ltv_share``, a fraction of the base's.
        """
        return self._answer("deciles", deciles)

    def grid(self) -> pd.DataFrame:
        """Return what the model says of a customer as old as the oldest, by orders and silence.

        Returns
        -------
        pandas.DataFrame
            One row per number of orders and of days since the last: ``n_orders``,
            ``days_since_last``, ``p_alive``, ``expected_orders``.

        Notes
        -----
        From two orders on the first is as old as the oldest customer's, and the last so many
        days ago; a customer with one order is as old as that order. So who placed the one order
        today is a newcomer, of whom more is expected than of who placed two in all that time,
        the second today.
        """
        return self._answer("grid", grid)

    def new_customer(self, *, intervals: bool = True) -> pd.DataFrame:
        """Return what an average new customer is worth from the day of the first order on.

        Returns
        -------
        pandas.DataFrame
            One row: ``expected_orders``, ``expected_spend`` and ``ltv`` over the horizon, each
            with ``_low`` and ``_high``. The first order itself is not counted.
        """
        return doubted(new_customer(self, intervals), self.doubt)

    @cached_property
    def checks(self) -> pd.DataFrame:
        """The models' assumptions, held against the data.

        One row per check: ``check``, ``passed`` (null where it cannot be told), ``value`` and
        ``detail``, a sentence.
        """
        return self._answer("checks", assumptions)

    @cached_property
    def doubt(self) -> str | None:
        """Why the fit is no basis for money: it did not settle, or the data end before ``as_of``.

        Its answers carry this along: `show` and the plots say it, and a published page withholds
        their numbers. None where there is no such reason.
        """
        if self._base is not None:
            is_late = Silence.of(self._base).is_long
        else:
            passed = self.checks.set_index("check")["passed"]
            is_late = not passed["orders reach as_of"]
        return self.verdict if is_late or self.status != "converged" else None

    def to_lifetimes(self) -> tuple[Any, Any]:
        """Return lifetimes' ``BetaGeoFitter`` and ``GammaGammaFitter`` with these parameters.

        Their predictions equal ours; they hold no data. Their time is in days.

        Raises
        ------
        ParameterError
            The model is not BG/NBD.
        """
        from cxlib.ltv.peers import lifetimes_fitters

        return lifetimes_fitters(self)

    def save(self, path: str | Path) -> None:
        """Write the fit as JSON; `load_ltv` reads it.

        It holds parameters, those of the refits, and the answers of ``total``, ``segments``,
        ``deciles``, ``grid`` and ``checks``; no customer.
        """
        from cxlib.ltv.store import save

        save(self, path)

    @cached_property
    def replicates(self) -> Replicates:
        """Parameters of the refits to resampled customers."""
        if self._refits is not None:
            return self._refits
        return resampled(
            MODELS[self.model], self._values, self._spend, self.base, self.seed, self.n_boot
        )

    @property
    def replicates_so_far(self) -> Replicates | None:
        """The refits, if they have been asked for."""
        return vars(self).get("replicates", self._refits)

    @property
    def base(self) -> Base:
        """The customers of the orders, unique ones with their number."""
        if self._base is None:
            raise ParameterError(
                "this fit was saved without its customers, for whom the orders are needed; "
                "give them: cx.load_ltv(path, orders=...)"
            )
        return self._base

    @cached_property
    def ahead(self) -> Ahead:
        """Orders to come of the base's histories."""
        return Ahead(MODELS[self.model], self.base.histories, self.horizon_days, self.discount_rate)

    @cached_property
    def _foretold(self) -> tuple[Numbers, Numbers]:
        """P(alive), and orders if alive (plain and discounted), of the base's histories."""
        return self.ahead.p_alive(self._values), self.ahead.if_alive(self._values)

    @cached_property
    def _sums(self) -> Numbers:
        """Alive, orders and ltv expected of each segment."""
        return segment_sums(self)

    @cached_property
    def _refitted_sums(self) -> Numbers:
        """`_sums` of each refit: refits, measures, segments."""
        return refitted_segment_sums(self)

    def _answer(
        self, name: str, compute: Callable[..., pd.DataFrame], *options: bool
    ) -> pd.DataFrame:
        """Compute an answer, or return the one that the fit was saved with."""
        if self._base is not None:
            table = compute(self, *options)
        else:
            table = self._kept[name].copy()
            if options == (False,):
                ends = [one for one in table.columns if one.endswith(("_low", "_high"))]
                table = table.drop(columns=ends)
        return table if name == "checks" else doubted(table, self.doubt)

    def __repr__(self) -> str:
        return f"LtvFit({self._said}: {self.verdict!r})"

    @property
    def _said(self) -> str:
        """What the answers stand for."""
        return (
            f"{MODELS[self.model].title}, as of {self.as_of}, {self.horizon_days:g} days ahead, "
            f"less {100 * self.discount_rate:.4g}% a year, value {100 * self.margin:.4g}% of net revenue"
        )

    def _repr_html_(self) -> str:
        beside = (
            f"{self._said}; intervals of the parameters by their standard errors, on the log scale."
        )
        far = np.exp(1.96 * self.table["standard_error"] / self.table["value"])
        ends = {"ci_low": self.table["value"] / far, "ci_high": self.table["value"] * far}
        shown = self.table[["parameter", "value"]].assign(**ends, meaning=self.table["meaning"])
        return told(self.verdict, shown, beside=beside)
