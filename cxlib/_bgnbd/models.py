"""The models of buying and leaving, each behind the same few functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from cxlib._bgnbd import betageo, pareto
from cxlib._bgnbd.newton import Fit, Fitter, Numbers, in_units
from cxlib._bgnbd.unique import told_apart
from cxlib._checks import FitError

MANY = 20_000
_BUYING = {
    "r": "shape of the gamma of purchase rates: the larger, the more alike customers buy",
    "alpha": "rate of that gamma, in days: the mean rate is r / alpha purchases a day",
}
_LEAVING = {
    "s": "shape of the gamma of rates of leaving: the larger, the more alike customers leave",
    "beta": "rate of that gamma, in days: the mean rate of leaving is s / beta a day",
}
SPEND_MEANINGS: Mapping[str, str] = {
    "p": "shape of the gamma of one customer's spend per purchase",
    "q": "shape of the gamma of spend levels across customers",
    "v": "scale of that gamma, in the currency: the mean spend is p v / (q - 1)",
}


@dataclass(frozen=True, eq=False)
class Model:
    """A model of buying and leaving.

    Histories are arrays of ``frequency``, ``recency`` and ``age``; ``values`` are parameters by
    name, as in `Fit.values`. Any unit of time will do, the same throughout.

    Attributes
    ----------
    name, title : str
        As in code, ``"bgnbd"``, and as in print, ``"BG/NBD"``.
    meanings : Mapping
        Each parameter and what it means, with its unit.
    prepare : (frequency, recency, age) -> (n, start=None) -> Fit
        `fit` for histories that are fitted again and again with other weights.
    p_alive : (values, frequency, recency, age) -> (n,) array
        The probability that the customer has not left, in [0, 1].
    orders_if_alive : (values, frequency, age, horizon, discounts=(0.0,)) -> (n_discounts, n) array
        Expected purchases within ``horizon`` (a number, or one for each history) given that the
        customer has not left; a purchase s from now counts ``exp(-discount * s)``.
    draw_rates : (values, frequency, age, rng) -> two (n,) arrays
        Drawn for each history, given that the customer has not left: how often he or she buys
        and stays, and how often leaves.
    leaves_buying : bool
        Whether leaving is itself a purchase, the last one.
    """

    name: str
    title: str
    meanings: Mapping[str, str]
    prepare: Callable[..., Fitter]
    p_alive: Callable[..., Numbers]
    orders_if_alive: Callable[..., Numbers]
    draw_rates: Callable[..., tuple[Numbers, Numbers]]
    leaves_buying: bool

    def fit(
        self,
        frequency: Numbers,
        recency: Numbers,
        age: Numbers,
        n: Numbers,
        start: Mapping[str, float] | None = None,
    ) -> Fit:
        """Fit by maximum likelihood to unique histories of ``n`` customers each, which may be 0.

        ``start`` holds parameter values to climb from. Without them, very many histories are
        first fitted as the fewer that they are when told roughly.
        """
        if start is None and len(n) > MANY:
            start = self._first_guess(frequency, recency, age, n)
        return self.prepare(frequency, recency, age)(n, start)

    def _first_guess(
        self, frequency: Numbers, recency: Numbers, age: Numbers, n: Numbers
    ) -> Mapping[str, float] | None:
        """Return the fit to times in whole 64ths of the longest, if it is a clear top."""
        step = age.max() / 64
        times = [frequency, np.rint(recency / step), np.rint(age / step)]
        code, place = told_apart((times[0] * 65 + times[1]) * 65 + times[2])
        try:
            guess = self.prepare(code // 65**2, code // 65 % 65, code % 65)(np.bincount(place, n))
        except FitError:
            return None
        units = {name: float(step) for name in guess.values if name in ("alpha", "beta")}
        return in_units(guess, units, 0.0).values if guess.is_clear else None

    def expected_orders(self, values: Mapping[str, float], days: Any) -> Numbers:
        """Return a new customer's expected repeat purchases within ``days`` of the first, E[X(t)]."""
        days = np.asarray(days, float)
        new = np.zeros(days.size)
        alive = self.p_alive(values, new, new, new)
        return (alive * self.orders_if_alive(values, new, new, days)[0]).reshape(days.shape)

    def draw_future(
        self,
        values: Mapping[str, float],
        frequency: Numbers,
        recency: Numbers,
        age: Numbers,
        horizon: float | Numbers,
        rng: np.random.Generator,
        discounts: Sequence[float] = (0.0,),
    ) -> Numbers:
        """Return purchases within ``horizon`` in one simulated future of each history.

        One row for each discount, one column for each history: a purchase s from now counts
        ``exp(-discount * s)``, so that without discount they are whole numbers. Purchases after
        which the customer stays and the moment of leaving are independent, given their rates.
        """
        alive = rng.random(len(age)) < self.p_alive(values, frequency, recency, age)
        rate, leaving = self.draw_rates(values, frequency, age, rng)
        with np.errstate(divide="ignore", over="ignore"):
            leaves_at = rng.standard_exponential(len(age)) / leaving
        end = np.where(alive, np.minimum(leaves_at, horizon), 0.0)
        rows = np.repeat(np.arange(len(age)), rng.poisson(rate * end))
        times = rng.random(len(rows)) * end[rows]
        if self.leaves_buying:
            last = np.flatnonzero(alive & (leaves_at < horizon))
            rows, times = np.append(rows, last), np.append(times, leaves_at[last])
        return np.stack(
            [np.bincount(rows, np.exp(-discount * times), len(age)) for discount in discounts]
        )


def _beta_geometric(name: str, title: str, after: str, first: int) -> Model:
    chance = f"beta of the chance to leave after {after}: its mean is a / (a + b)"
    return Model(
        name=name,
        title=title,
        meanings=_BUYING | {"a": chance, "b": chance},
        prepare=partial(betageo.prepare, first=first),
        p_alive=partial(betageo.p_alive, first=first),
        orders_if_alive=partial(betageo.orders_if_alive, first=first),
        draw_rates=partial(betageo.draw_rates, first=first),
        leaves_buying=True,
    )


_ALL = (
    _beta_geometric("bgnbd", "BG/NBD", "a repeat purchase", first=0),
    _beta_geometric("mbgnbd", "MBG/NBD", "a purchase, the first included", first=1),
    Model(
        name="paretonbd",
        title="Pareto/NBD",
        meanings=_BUYING | _LEAVING,
        prepare=pareto.prepare,
        p_alive=pareto.p_alive,
        orders_if_alive=pareto.orders_if_alive,
        draw_rates=pareto.draw_rates,
        leaves_buying=False,
    ),
)
MODELS: Mapping[str, Model] = {model.name: model for model in _ALL}
