"""Shops whose true answers are known, many experiments at once, reduced as the engine would.

How often a customer orders is drawn from a gamma distribution and his orders are Poisson; the
value of an order is lognormal and depends on his taste; so do the orders of the period before.
Most customers buy nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy import stats
from scipy.optimize import brentq
from scipy.special import ndtr

import cxlib as cx
from cxlib._intervals import Numbers
from cxlib.experiment.metrics import Metric, check_metrics
from cxlib.experiment.samples import ORDER_Z, Cell, Order, Reduced, Sample
from cxlib.experiment.units import Layout

ARMS = ("control", "new")
CAP, STRATA = 0.99, 3
COLUMNS = (
    *("bought", "revenue", "n_orders", "capped"),
    *("revenue_before", "orders_before", "capped_before"),
)


@dataclass(frozen=True)
class Shop:
    """One arm's customers: orders a customer, their spread, log value of an order and its spread."""

    rate: float = 0.55
    shape: float = 0.9
    log_value: float = 3.5
    taste: float = 0.4
    noise: float = 0.8
    rate_before: float = 1.0

    def better(self, orders: float, value: float) -> Shop:
        """Return the shop with that many times the orders and the value of an order."""
        log_value = self.log_value + math.log(value)
        return replace(self, rate=self.rate * orders, log_value=log_value)

    @property
    def spread(self) -> float:
        """Standard deviation of the log value of an order."""
        return math.hypot(self.taste, self.noise)

    def _by_orders(self) -> tuple[Numbers, Numbers]:
        k = np.arange(1, 400)
        return k, stats.nbinom.pmf(k, self.shape, self.shape / (self.shape + self.rate))

    def below(self, x: float) -> float:
        """Return the share of customers whose revenue is below ``x``, above 0."""
        k, share = self._by_orders()
        above = ndtr(-(np.log(x / k) - self.log_value) / self.spread)
        return 1 - float(share @ above)

    def capped(self, cap: float) -> float:
        """Return the mean of revenue that counts as ``cap`` where it is above."""
        k, share = self._by_orders()
        score, s = (np.log(cap / k) - self.log_value) / self.spread, self.spread
        whole = k * math.exp(self.log_value + s**2 / 2) * ndtr(score - s)
        return float(share @ (whole + cap * ndtr(-score)))


def quantile_of(shops: Sequence[Shop], q: float) -> float:
    """Return the quantile of revenue of all shops' customers together, as many of each."""
    return float(
        brentq(lambda x: np.mean([shop.below(x) for shop in shops]) - q, 1e-9, 1e7, xtol=1e-9)
    )


def draw(rng: np.random.Generator, shop: Shop, shape: tuple[int, ...]) -> Numbers:
    """Return customers' `COLUMNS`, the last axis; what is capped is not yet."""
    activity = rng.gamma(shop.shape, 1 / shop.shape, shape)
    taste = shop.taste * rng.standard_normal(shape)
    orders, before = rng.poisson(shop.rate * activity), rng.poisson(shop.rate_before * activity)

    def revenue(orders: Numbers, log_value: float) -> Numbers:
        found: Numbers = orders * np.exp(
            log_value + taste + shop.noise * rng.standard_normal(shape)
        )
        return found

    now, then = revenue(orders, shop.log_value), revenue(before, Shop.log_value)
    return np.stack([orders > 0, now, orders, now, then, before, then], axis=-1).astype(float)


def cap_pooled(both: Sequence[Numbers]) -> Numbers:
    """Cap what counts capped at the quantile of all customers of both arms; return revenue's."""
    for at in (6, 3):
        pooled = np.concatenate([arm[..., at] for arm in both], axis=1)
        cap: Numbers = np.quantile(pooled, CAP, axis=1)
        for arm in both:
            np.minimum(arm[..., at], cap[:, None], out=arm[..., at])
    return cap


class Kind(NamedTuple):
    """A metric, and whether it is post-stratified."""

    metric: Metric
    stratified: bool = False

    @property
    def columns(self) -> list[int]:
        """Places of its columns among `COLUMNS`."""
        before = self.metric.covariate or ()
        names = [quantity.of for quantity in self.metric.quantities]
        names += [before] if isinstance(before, str) else before
        if self.metric.ceiling is not None:
            names = [name.replace("revenue", "capped") for name in names]
        return [COLUMNS.index(name) for name in names]

    @property
    def layout(self) -> Layout:
        """How many columns it has."""
        after = len(self.metric.quantities)
        return Layout(after, len(self.columns) - after)

    @property
    def plain(self) -> bool:
        """Whether nothing is adjusted."""
        return not (self.layout.before or self.stratified)

    def truth(self, shop: Shop, cap: float) -> float:
        """Return what the metric is in the shop."""
        value = math.exp(shop.log_value + shop.spread**2 / 2)
        if isinstance(self.metric, cx.Quantile):
            return quantile_of([shop], self.metric.q)
        if isinstance(self.metric, cx.Ratio):
            return value
        bought = 1 - (shop.shape / (shop.shape + shop.rate)) ** shop.shape
        return (bought, shop.rate * value, shop.rate, shop.capped(cap))[self.columns[0]]


def kinds() -> list[Kind]:
    """Return every kind of metric; those without any adjustment first."""
    past, both = "revenue_before", ("revenue_before", "orders_before")
    metrics = check_metrics(
        [
            cx.Conversion("bought", name="conversion"),
            cx.Mean("revenue", name="mean"),
            cx.Mean("revenue", cap=CAP, name="mean, capped"),
            cx.Mean("n_orders", name="count"),
            cx.Ratio("revenue", "n_orders", name="ratio"),
            cx.Quantile("revenue", 0.9, name="quantile (0.9)"),
            cx.Conversion("bought", before="orders_before", name="conversion, CUPED"),
            cx.Mean("revenue", before=past, name="mean, CUPED"),
            cx.Mean("revenue", before=past, cap=CAP, name="mean, capped, CUPED"),
            cx.Ratio("revenue", "n_orders", before=both, name="ratio, CUPED"),
        ]
    )
    strata = check_metrics(
        [
            cx.Mean("revenue", name="mean, post-stratified"),
            cx.Ratio("revenue", "n_orders", name="ratio, post-stratified"),
        ]
    )
    return [*map(Kind, metrics), *(Kind(metric, stratified=True) for metric in strata)]


def moments(values: Numbers, weight: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Return run by run how many customers weigh 1, their means and covariances."""
    n = weight.sum(axis=1)
    mean = np.einsum("rn,rnk->rk", weight, values) / n[:, None]
    away = (values - mean[:, None, :]) * weight[..., None]
    return n, mean, np.matmul(away.transpose(0, 2, 1), away) / (n - 1)[:, None, None]


def reduce(both: Sequence[Numbers], asked: Sequence[Kind]) -> Iterator[tuple[Reduced, Reduced]]:
    """Yield of each run what the engine would return, without and with strata."""
    layouts = [kind.layout for kind in asked]
    found: list[tuple[str, str | None, tuple[Numbers, Numbers, Numbers]]] = []
    orders: list[tuple[int, str, float, Numbers]] = []
    for name, arm in zip(ARMS, both, strict=True):
        found.append((name, None, moments(arm, np.ones(arm.shape[:2]))))
        stratum = np.minimum(arm[..., 5], STRATA - 1)
        if any(kind.stratified for kind in asked):
            found += [
                (name, str(at), moments(arm[..., :3], (stratum == at) * 1.0))
                for at in range(STRATA)
            ]
        for place, kind in enumerate(asked):
            if isinstance(kind.metric, cx.Quantile):
                q, n = kind.metric.q, float(arm.shape[1])
                half = ORDER_Z * math.sqrt(q * (1 - q) / n)
                levels = [q, q - half, q + half]
                orders.append((place, name, n, np.quantile(arm[..., 1], levels, axis=1).T))
    units = {name: arm.shape[1] for name, arm in zip(ARMS, both, strict=True)}
    for run in range(len(both[0])):
        whole, strata = (
            [
                Cell(name, stratum, (), samples(asked, [part[run] for part in parts], stratum))
                for name, stratum, parts in found
                if (stratum is not None) == in_strata
            ]
            for in_strata in (False, True)
        )
        quantiles = {(place, None, name): Order(n, *at[run]) for place, name, n, at in orders}
        yield (
            Reduced(units, whole, layouts, orders=quantiles),
            Reduced(units, strata, layouts, stratify="orders before"),
        )


def samples(
    asked: Sequence[Kind], parts: Sequence[Numbers], stratum: str | None = None
) -> list[Sample]:
    """Return the sample of each metric; of one that has no strata, an empty one in them."""
    n, mean, covariance = parts
    found = []
    for kind in asked:
        if stratum is not None and not kind.stratified:
            found.append(Sample(0.0, mean, covariance))
            continue
        own = kind.columns
        found.append(Sample(float(n), mean[own], covariance[np.ix_(own, own)]))
    return found
