"""Is the end of a table quiet by chance, or do the data end before ``as_of``?"""

from __future__ import annotations

import datetime as dt
import math
from typing import NamedTuple, Self

LEAST_CHANCE = 0.001
CLOSED_DAYS = 7


class Quiet(NamedTuple):
    """Days since the last row of anybody, and how many rows there are a day.

    Its chance is that of no event of a Poisson process, ``exp(-rate * days)``. Up to a week
    may be weekends and holidays, on which a shop is closed however much it sells.
    """

    days: int
    rate: float

    @classmethod
    def between(cls, first: dt.date, last: dt.date, as_of: dt.date, n_rows: int) -> Self:
        """Say it of so many rows, whose first and last days are known."""
        return cls((as_of - last).days, n_rows / ((as_of - first).days + 1))

    @property
    def chance(self) -> float:
        """Chance of no row for so long, if they come as before."""
        return math.exp(-self.rate * self.days)

    @property
    def is_long(self) -> bool:
        """Longer than closed days, and than chance explains."""
        return self.days > CLOSED_DAYS and self.chance < LEAST_CHANCE
