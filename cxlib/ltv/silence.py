"""Did anybody buy of late? A long silence up to as_of means that the data end before it."""

from __future__ import annotations

import datetime as dt

from cxlib.clean.silence import CLOSED_DAYS, LEAST_CHANCE, Quiet
from cxlib.ltv.base import Base


class Silence(Quiet):
    """Days since anybody's last purchase, and how many purchases there are a day."""

    @classmethod
    def of(cls, base: Base) -> Silence:
        """Read it from histories: (T - recency) at its least is the silence of all."""
        _, recency, age = base.histories
        n_purchases = float(base.n @ (base.frequency + 1))
        return cls(int((age - recency).min()), n_purchases / (float(age.max()) + 1))

    def before(self, verdict: str, as_of: dt.date) -> str:
        """Return ``verdict`` with a sentence about the silence before it, if that is long."""
        sentence = (
            f"Nobody bought in the last {self.days:,} days up to as_of={as_of}: give the day the "
            "data end."
        )
        if not self.is_long or sentence in verdict:
            return verdict
        return f"{sentence} {verdict[0].upper()}{verdict[1:]}"

    @property
    def detail(self) -> str:
        """The silence and its chance, in words."""
        if self.days == 0:
            return "somebody bought on as_of itself"
        chance = "under 0.1%" if self.chance < LEAST_CHANCE else f"{self.chance:.1%}"
        span = "last day" if self.days == 1 else f"last {self.days:,} days"
        words = (
            f"nobody bought in the {span} up to as_of; at {self.rate:,.2g} purchases a day the chance "
            f"of that is {chance}"
        )
        if self.is_long:
            return f"{words}: the data end before as_of, and all customers are taken for silent"
        if self.chance < LEAST_CHANCE:
            return f"{words}, but a shop may be closed for {CLOSED_DAYS} days"
        return words
