"""The books of the sample shop: true orders, and those that cleaning must lose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cxlib.simulate import _words as words
from cxlib.simulate._draws import DAY_SECONDS, generator, pick
from cxlib.simulate.purchases import orders as simulate_orders
from cxlib.simulate.trial import SimulatedExperiment
from cxlib.simulate.trial import experiment as simulate_experiment

ZONE = "Europe/London"
START, AS_OF = "2023-01-01", "2024-12-31"
N_CUSTOMERS, N_EXPOSED = 3_000, 2_400
BGNBD: dict[str, Any] = {"r": 0.5, "alpha": 56.0, "a": 0.9, "b": 2.6}
GAMMA_GAMMA: dict[str, Any] = {"p": 6.25, "q": 3.74, "v": 21.0}
TRIAL: dict[str, Any] = {
    "baseline": 0.02,
    "lift": 3.0,
    "order_value": 48.0,
    "repeats_per_user": 0.5,
}
TRIAL_START, TRIAL_END, WINDOW_DAYS = "2024-11-01", "2024-12-14", 14
EVENTS_START, N_USERS, N_STRANGERS = "2024-10-01", 20_000, 400
STEP_PROBABILITIES, SESSIONS_PER_USER, CART_VALUE = (0.30, 0.55, 0.70), 1.5, 48.0

PARTIAL_REFUNDS = 240
LOST = {  # rule: kind of order, how many
    "test_order": {"tagged test": 12, "paid by the bogus gateway": 12},
    "cancelled": {"cancelled, money back": 70, "cancelled, never paid": 70},
    "unpaid": {"pending": 40, "authorized": 20, "voided": 25, "expired": 25},
    "no_customer": {"guest": 420},
    "refunded_in_full": {"refunded in full": 130},
}


@dataclass(frozen=True, eq=False)
class Shop:
    """The shop as it truly is, before the export spoils it.

    ``customers`` has one row per customer; ``books`` one row per order, ``kind`` and ``rule`` empty
    where cleaning must keep it, money in pence, ``utc`` its moment; ``trial`` the experiment
    among the customers, ``organic_share`` the share of its users who order within its window
    whatever they are shown.
    """

    customers: pd.DataFrame
    books: pd.DataFrame
    trial: SimulatedExperiment
    organic_share: float


def open_shop(seed: int) -> Shop:
    """Return the shop of that seed."""
    rng = generator(seed)
    people = _customers(rng)
    bought = simulate_orders(
        N_CUSTOMERS, start=START, as_of=AS_OF, seed=seed + 1, daily_wave=0.8, **BGNBD, **GAMMA_GAMMA
    )
    bought["customer_id"] = _place(bought["customer_id"], people)
    trial = _trial(rng, bought, seed + 2)
    true = pd.concat([bought, trial.orders], ignore_index=True)
    kept = pd.DataFrame(
        {
            "customer_id": true["customer_id"],
            "utc": true["ordered_at"].astype("datetime64[us]"),
            "total": (true["net_revenue"] * 100).round().astype("int64"),
        }
    )
    books = _books(rng, _with_refunds(rng, kept))
    return Shop(people, books, trial, _organic_share(bought, trial))


def _customers(rng: np.random.Generator) -> pd.DataFrame:
    """Return one row per customer: ``email``, ``name``, ``country``, ``city``, ``zip``."""
    names = list(words.COUNTRIES)
    country = pick(rng, [each.share for each in words.COUNTRIES.values()], N_CUSTOMERS)
    turn, domain = rng.random(N_CUSTOMERS), pick(rng, [6, 2, 1, 1], N_CUSTOMERS)
    rows = []
    for number in range(N_CUSTOMERS):
        home = words.COUNTRIES[names[country[number]]]
        given, name = home.people[int(turn[number] * len(home.people))]
        email = f"{given}.{number + 1:04d}@{words.DOMAINS[domain[number]]}"
        zip_code = home.zips[number % len(home.zips)]
        rows.append((email, name, names[country[number]], home.city, zip_code))
    return pd.DataFrame(rows, columns=["email", "name", "country", "city", "zip"])


def _place(labels: pd.Series, people: pd.DataFrame) -> pd.Series:
    """Return the e-mail of each simulated customer c0001, c0002, …"""
    place = labels.str[1:].astype("int64").to_numpy() - 1
    return people["email"].take(place).reset_index(drop=True)


def _trial(rng: np.random.Generator, bought: pd.DataFrame, seed: int) -> SimulatedExperiment:
    """Return the experiment among customers who had ordered before it began."""
    made = simulate_experiment(
        N_EXPOSED,
        start=TRIAL_START,
        as_of=TRIAL_END,
        seed=seed,
        window_days=WINDOW_DAYS,
        prior_share=0.0,
        **TRIAL,
    )
    known = bought.loc[bought["ordered_at"] < TRIAL_START, "customer_id"].unique()
    exposed = pd.DataFrame({"email": known[rng.permutation(len(known))[:N_EXPOSED]]})
    return SimulatedExperiment(
        made.exposures.assign(user_id=_place(made.exposures["user_id"], exposed)),
        made.orders.assign(customer_id=_place(made.orders["customer_id"], exposed)),
        made.truth,
    )


def _organic_share(bought: pd.DataFrame, trial: SimulatedExperiment) -> float:
    first = trial.exposures.groupby("user_id")["exposed_at"].min()
    wait = bought["ordered_at"] - bought["customer_id"].map(first)
    inside = wait.between(pd.Timedelta(0), pd.Timedelta(days=WINDOW_DAYS))
    return bought.loc[inside, "customer_id"].nunique() / len(first)


def _with_refunds(rng: np.random.Generator, kept: pd.DataFrame) -> pd.DataFrame:
    """Return ``kept`` with its unspoilt columns; some orders cost more, and the rest came back."""
    back = rng.permutation(len(kept))[:PARTIAL_REFUNDS]
    refunded = np.zeros(len(kept), np.int64)
    refunded[back] = 1 + np.floor(kept["total"].to_numpy()[back] * rng.random(len(back)))
    return kept.assign(
        total=kept["total"] + refunded,
        refunded=refunded,
        status=np.where(refunded > 0, "partially_refunded", "paid"),
        tags="",
        gateway=_among(rng, words.GATEWAYS, len(kept)),
        is_cancelled=False,
        rule="",
        kind="",
    )


def _among(rng: np.random.Generator, shares: dict[str, float], size: int) -> pd.Series:
    names = pd.Series(list(shares), dtype="str")
    return names.take(pick(rng, [*shares.values()], size)).reset_index(drop=True)


def _books(rng: np.random.Generator, kept: pd.DataFrame) -> pd.DataFrame:
    """Return all orders by time, numbered: what cleaning keeps, and what it must lose."""
    spoilt = [
        _spoil(_some(rng, kept, n), rule, kind)
        for rule, kinds in LOST.items()
        for kind, n in kinds.items()
    ]
    books = pd.concat([kept, *spoilt], ignore_index=True)
    books = books.sort_values(["utc", "customer_id", "total"], kind="stable", ignore_index=True)
    return books.assign(order_id="#" + pd.Series(np.arange(1001, 1001 + len(books))).astype("str"))


def _some(rng: np.random.Generator, kept: pd.DataFrame, n: int) -> pd.DataFrame:
    """Return ``n`` orders like the kept ones, up to twenty days apart from them."""
    some = kept.take(rng.integers(len(kept), size=n))
    apart = pd.Series(rng.integers(-20 * DAY_SECONDS, 20 * DAY_SECONDS, size=n), index=some.index)
    moved = some["utc"] + apart * pd.Timedelta(seconds=1)
    outside = (moved < START) | (moved >= pd.Timestamp(AS_OF) + pd.Timedelta(days=1))
    return some.assign(utc=moved.where(~outside, some["utc"]), refunded=0, status="paid")


def _spoil(some: pd.DataFrame, rule: str, kind: str) -> pd.DataFrame:
    """Return the orders as that kind of fault leaves them in the shop's books."""
    some = some.assign(rule=rule, kind=kind)
    if kind == "tagged test":
        return some.assign(customer_id="qa@example.com", tags="internal, Test")
    if kind == "paid by the bogus gateway":
        return some.assign(customer_id="qa@example.com", gateway="bogus")
    if kind == "cancelled, money back":
        return some.assign(status="refunded", refunded=some["total"], is_cancelled=True)
    if kind == "cancelled, never paid":
        return some.assign(status="voided", is_cancelled=True)
    if rule == "unpaid":
        return some.assign(status=kind)
    if rule == "no_customer":
        return some.assign(customer_id="")
    return some.assign(status="refunded", refunded=some["total"])
