"""A fit and what it foretells, computed for each unique history and joined back in the engine."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from functools import cached_property
from html import escape

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib import _bgnbd
from cxlib.ltv.histories import HISTORY

DAYS_PER_YEAR = 365.25


@dataclass(frozen=True, eq=False)
class LtvFit:
    """BG/NBD and Gamma-Gamma fitted to one table of orders.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per parameter: ``parameter``, ``value``, ``standard_error`` (null where the
        parameter stands at the edge of its range) and ``meaning``. Time is in days.
    as_of : datetime.date
        The last observed day.
    horizon_days : float
        How far the forecast looks.
    discount_rate, margin : float
        The yearly rate, and the share of revenue that counts as value.
    n_customers, n_repeat_customers : int
        Customers with a purchase by ``as_of``, and those of them who came again.
    n_without_purchase : int
        Customers left out: by ``as_of`` they have no day with positive net spend.
    log_likelihood, spend_log_likelihood : float
        Of BG/NBD (in days) and of Gamma-Gamma, at the optimum.
    status : str
        ``"converged"``, ``"boundary"`` or ``"too little data"``.
    verdict : str
        The status and its reason, in a sentence.
    """

    table: pd.DataFrame
    as_of: dt.date
    horizon_days: float
    discount_rate: float
    margin: float
    n_customers: int
    n_repeat_customers: int
    n_without_purchase: int
    log_likelihood: float
    spend_log_likelihood: float
    status: str
    verdict: str
    _bgnbd: dict[str, float] = field(repr=False)
    _gamma_gamma: dict[str, float] = field(repr=False)
    _summary: ir.Table = field(repr=False)
    _histories: pd.DataFrame = field(repr=False)

    def customers(self) -> ir.Table:
        """Return the forecast for each customer, lazily, in the engine of the orders.

        Returns
        -------
        ibis table
            One row per customer with a purchase by ``as_of``: ``customer_id``; ``n_orders``
            (days with positive net spend, the first included); ``days_since_last``;
            ``p_alive`` (will ever buy again); ``expected_orders`` (such days within the
            horizon); ``expected_spend`` (net revenue of one); and ``ltv``, see `fit_ltv`.
        """
        rows = self._summary.join(ibis.memtable(self._forecasts), HISTORY)
        spend = _bgnbd.expected_spend(self._gamma_gamma, rows["frequency"], rows["monetary_value"])
        return rows.select(
            customer_id=rows["customer_id"],
            n_orders=rows["frequency"] + 1,
            days_since_last=rows["T"] - rows["recency"],
            p_alive=rows["p_alive"],
            expected_orders=rows["expected_orders"],
            expected_spend=spend,
            ltv=self.margin * spend * rows["discounted_orders"],
        )

    def total(self) -> pd.DataFrame:
        """Return the value of the whole customer base.

        Returns
        -------
        pandas.DataFrame
            One row: ``n_customers``, ``expected_alive`` (customers who will buy again),
            ``expected_orders`` and ``ltv`` (the sums over customers).
        """
        rows = self.customers()
        return rows.aggregate(
            n_customers=rows.count(),
            expected_alive=rows["p_alive"].sum(),
            expected_orders=rows["expected_orders"].sum(),
            ltv=rows["ltv"].sum(),
        ).to_pandas()

    def deciles(self) -> pd.DataFrame:
        """Return where the value sits: customers in tenths by ``ltv``, the best first.

        Returns
        -------
        pandas.DataFrame
            One row per tenth: ``decile`` (1 the best), ``n_customers``, ``expected_orders``,
            ``ltv`` (both summed) and ``ltv_share``, a fraction of the base's.
        """
        rows = self.customers()
        best_first = ibis.window(order_by=[rows["ltv"].desc(), rows["customer_id"]])
        rows = rows.mutate(decile=ibis.ntile(10).over(best_first) + 1)
        tenths = rows.group_by("decile").aggregate(
            n_customers=rows.count(),
            expected_orders=rows["expected_orders"].sum(),
            ltv=rows["ltv"].sum(),
        )
        table = tenths.order_by("decile").to_pandas()
        return table.assign(ltv_share=table["ltv"] / table["ltv"].sum())

    def new_customer(self) -> pd.DataFrame:
        """Return what an average new customer is worth from the day of the first order on.

        Returns
        -------
        pandas.DataFrame
            One row: ``expected_orders``, ``expected_spend`` and ``ltv`` over the horizon. The
            first order itself is not counted.
        """
        nobody = np.zeros(1)
        expected, discounted = self._orders_if_alive(nobody, nobody)
        spend = _bgnbd.expected_spend(self._gamma_gamma, nobody, nobody)
        ltv = self.margin * spend * discounted
        return pd.DataFrame({"expected_orders": expected, "expected_spend": spend, "ltv": ltv})

    @cached_property
    def _forecasts(self) -> pd.DataFrame:
        """One row per unique history: what the models say of it."""
        pairs = self._histories[["frequency", "T"]].drop_duplicates(ignore_index=True)
        expected, discounted = self._orders_if_alive(*pairs.to_numpy(float).T)
        pairs = pairs.assign(expected_orders=expected, discounted_orders=discounted)
        alive = _bgnbd.p_alive(self._bgnbd, *self._histories[HISTORY].to_numpy(float).T)
        rows = self._histories[HISTORY].merge(pairs, on=["frequency", "T"], how="left")
        return rows.assign(
            p_alive=alive,
            expected_orders=alive * rows["expected_orders"],
            discounted_orders=alive * rows["discounted_orders"],
        )

    def _orders_if_alive(self, frequency: np.ndarray, age: np.ndarray) -> np.ndarray:
        daily = np.log1p(self.discount_rate) / DAYS_PER_YEAR
        return _bgnbd.orders_if_alive(
            self._bgnbd, frequency, age, self.horizon_days, discounts=(0.0, daily)
        )

    def _repr_html_(self) -> str:
        head = (
            f"<p>{escape(self.verdict)} As of {self.as_of}, "
            f"{self.horizon_days:g} days ahead, {self.discount_rate:.0%} a year.</p>"
        )
        return head + self.table.to_html(index=False, float_format="{:.4g}".format, na_rep="–")
