"""Orders to come of each unique history, for the fit and for each of its refits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from numpy.polynomial.chebyshev import chebvander

from cxlib._bgnbd import Model, told_apart
from cxlib.ltv.base import Numbers

DAYS_PER_YEAR = 365.25
NODES, CLOSE = 20, 1e-10


@dataclass(frozen=True, eq=False)
class Ahead:
    """Expected orders within a horizon, plain and discounted, of unique histories.

    ``histories`` holds frequency, recency and T, a column for each history.
    """

    model: Model
    histories: Numbers
    horizon_days: float
    discount_rate: float

    @property
    def discounts(self) -> tuple[float, float]:
        """Daily rates: none, and the yearly one."""
        return 0.0, float(np.log1p(self.discount_rate)) / DAYS_PER_YEAR

    def p_alive(self, values: Mapping[str, float]) -> Numbers:
        """Return the chance that the customer will buy again, one for each history."""
        return self.model.p_alive(values, *self.histories)

    def if_alive(self, values: Mapping[str, float]) -> Numbers:
        """Return expected orders, plain and discounted, given that the customer has not left."""
        return self.of_pairs(values)[:, self.pair]

    def of_pairs(self, values: Mapping[str, float]) -> Numbers:
        """Return `if_alive` of each of `pairs`, read off series over T where these are exact.

        They are computed one by one where a frequency has few ages, or its series is vague.
        """
        frequency, age = self.pairs
        counts = told_apart(frequency)[1]
        read_off = np.bincount(counts)[counts] > NODES
        found = np.empty((len(self.discounts), len(age)))
        if read_off.any():
            found[:, read_off], is_close = self._series(values, frequency[read_off], age[read_off])
            read_off[read_off] = is_close
        found[:, ~read_off] = self._orders(values, frequency[~read_off], age[~read_off])
        return found

    def _series(
        self, values: Mapping[str, float], frequency: Numbers, age: Numbers
    ) -> tuple[Numbers, npt.NDArray[np.bool_]]:
        """Return orders read off series over T, and whether these are close enough to the truth.

        For each frequency ``NODES`` ages are computed: those of Chebyshev in the log of alpha + T
        (beta + T, where that is less). The last terms of their series tell how far it is from the
        truth: more than ``CLOSE`` where customers leave within days.
        """
        counts, count = told_apart(frequency)
        first = np.searchsorted(count, np.arange(len(counts)))
        shift = min(values["alpha"], values.get("beta", np.inf))
        log_age = np.log(shift + age)
        low, high = np.minimum.reduceat(log_age, first), np.maximum.reduceat(log_age, first)
        middle, half = (low + high) / 2, np.maximum((high - low) / 2, 1e-9)

        angles = (2 * np.arange(NODES) + 1) * np.pi / (2 * NODES)
        ages = np.exp(middle[:, None] + half[:, None] * np.cos(angles)) - shift
        known = self._orders(values, counts.repeat(NODES), np.maximum(ages, 0).ravel())
        known = known.reshape(-1, len(counts), NODES)
        waves = np.cos(np.outer(np.arange(NODES), angles)) * 2 / NODES
        waves[0] /= 2
        series = known @ waves.T
        place = np.clip((log_age - middle[count]) / half[count], -1, 1)
        bases = np.split(chebvander(place, NODES - 1), first[1:])
        found = [series[:, number] @ basis.T for number, basis in enumerate(bases)]
        error = np.abs(series[..., -3:]).max(axis=-1)
        return np.hstack(found), (error <= CLOSE * known.min(axis=-1)).all(axis=0)[count]

    def _orders(self, values: Mapping[str, float], frequency: Numbers, age: Numbers) -> Numbers:
        return self.model.orders_if_alive(
            values, frequency, age, self.horizon_days, discounts=self.discounts
        )

    @property
    def pairs(self) -> Numbers:
        """Unique frequencies with T: all that `if_alive` depends on."""
        return self._coded[0]

    @property
    def pair(self) -> npt.NDArray[np.intp]:
        """Number of each history's pair."""
        return self._coded[1]

    @cached_property
    def _coded(self) -> tuple[Numbers, npt.NDArray[np.intp]]:
        frequency, _, age = self.histories
        scale = age.max() + 1
        keys, code = told_apart(frequency * scale + age)
        return np.array([keys // scale, keys % scale]), code
