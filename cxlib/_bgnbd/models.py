"""The models of buying and leaving, each behind the same few functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cxlib._bgnbd import forecast, likelihood
from cxlib._bgnbd.newton import Fit, Numbers

_RATES = {
    "r": "shape of the gamma of purchase rates: the larger, the more alike customers buy",
    "alpha": "rate of that gamma, in days: the mean rate is r / alpha purchases a day",
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
    fit : (frequency, recency, age, n, start=None) -> Fit
        Maximum likelihood over unique histories held by ``n`` customers each (weights may be 0);
        ``start`` holds parameter values to climb from.
    p_alive : (values, frequency, recency, age) -> (n,) array
        The probability that the customer has not left, in [0, 1].
    orders_if_alive : (values, frequency, age, horizon, discounts=(0.0,)) -> (n_discounts, n) array
        Expected purchases within ``horizon`` (a number, or one for each history) given that the
        customer has not left; a purchase s from now counts ``exp(-discount * s)``.
    expected_orders : (values, days) -> array like ``days``
        Expected repeat purchases of a new customer within ``days`` of the first, E[X(t)].
    draw_future : (values, frequency, recency, age, horizon, rng, discounts=(0.0,)) -> (n_discounts, n) array
        One simulated future for each history: its purchases within ``horizon``, counted as in
        ``orders_if_alive``; with a discount of 0 they are whole numbers.
    """

    name: str
    title: str
    meanings: Mapping[str, str]
    fit: Callable[..., Fit]
    p_alive: Callable[..., Numbers]
    orders_if_alive: Callable[..., Numbers]
    expected_orders: Callable[..., Numbers]
    draw_future: Callable[..., Numbers]


_BGNBD = Model(
    name="bgnbd",
    title="BG/NBD",
    meanings=_RATES
    | {
        "a": "beta of the chance to leave after a repeat purchase: its mean is a / (a + b)",
        "b": "beta of the chance to leave after a repeat purchase: its mean is a / (a + b)",
    },
    fit=likelihood.fit_bgnbd,
    p_alive=forecast.p_alive,
    orders_if_alive=forecast.orders_if_alive,
    expected_orders=forecast.expected_orders,
    draw_future=forecast.draw_future,
)
MODELS: Mapping[str, Model] = {model.name: model for model in (_BGNBD,)}
