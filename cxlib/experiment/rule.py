"""How sure one must be: the level, many metrics, and looking before the planned end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cxlib._checks import ParameterError, check_choice, check_date, check_number
from cxlib.experiment.adjust import METHODS
from cxlib.experiment.effects import Look
from cxlib.experiment.sequential import AlwaysValid, GroupSequential

SEQUENTIAL = ("group", "always")
SPENDING = ("obrien-fleming", "pocock")


@dataclass(frozen=True)
class Rule:
    """The options of `cxlib.experiment` that say when a difference counts."""

    alpha: float = 0.05
    adjust: str | None = "holm"
    sequential: str | None = None
    looks: tuple[float, ...] = ()
    spending: str = "obrien-fleming"
    planned_units: float | None = None
    planned_end: dt.date | None = None

    def look(self, n_pair: float, n_all: float) -> Look | None:
        """Return the test's current look at so many units of two arms, and of all arms."""
        if self.sequential is None or not n_pair:
            return None
        assert self.planned_units is not None  # `check_rule` saw to it
        if self.sequential == "always":
            return AlwaysValid(n_pair, self.planned_units * n_pair / n_all, self.alpha)
        # a metric whose windows are not all over brings no more than the look before
        now = max(n_all / self.planned_units, *self.looks, 0)
        return GroupSequential((*self.looks, now), self.spending)

    def check_looks(self, n_units: float) -> None:
        """Raise `ParameterError` where an earlier look had as many units as there are now."""
        if not self.looks or self.planned_units is None:
            return
        now = n_units / self.planned_units
        if late := [share for share in self.looks if share >= now]:
            raise ParameterError(
                f"looks: {late[0]:g} of the planned units is not before this look, which has "
                f"{n_units:,.0f} of {self.planned_units:,.0f} ({now:.3g}); give the earlier looks only"
            )

    @property
    def is_planned(self) -> bool:
        """Whether a planned end was given."""
        return self.planned_units is not None or self.planned_end is not None

    def is_early(self, n_units: float, as_of: dt.date | None) -> bool:
        """Whether the planned end, if one was given, is not reached."""
        short = self.planned_units is not None and n_units < self.planned_units
        return short or (
            self.planned_end is not None and as_of is not None and as_of < self.planned_end
        )


def check_rule(
    alpha: float,
    adjust: str | None,
    sequential: str | None,
    looks: Sequence[float] | None,
    spending: str,
    planned_units: float | None,
    planned_end: str | dt.date | None,
) -> Rule:
    """Return the rule, if its options go together.

    Earlier looks are shares of the planned units, or numbers of units.
    """
    check_number("alpha", alpha, 0, 0.5, open_low=True)
    if adjust is not None:
        check_choice("adjust", adjust, METHODS)
    if planned_units is not None:
        check_number("planned_units", planned_units, 1)
    check_choice("spending", spending, SPENDING)
    if looks is not None and sequential is None:
        sequential = "group"
    if sequential is not None:
        check_choice("sequential", sequential, SEQUENTIAL)
        if planned_units is None:
            raise ParameterError(
                f"sequential={sequential!r} needs planned_units=, the units of all variants that were "
                "planned before the first look"
            )
    if looks is not None and sequential == "always":
        raise ParameterError(
            "looks= goes with sequential='group'; 'always' allows any number of looks"
        )
    given = () if looks is None else looks
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ParameterError(
            f"looks={looks!r}: give a list of the earlier looks, such as [0.25, 0.5]"
        )
    shares = []
    for look in given:
        check_number("looks", look, 0, open_low=True)
        shares.append(look / planned_units if look > 1 and planned_units else look)
    if sorted(shares) != shares:
        raise ParameterError(f"looks={list(given)!r}: give them in order of time")
    end = None if planned_end is None else check_date("planned_end", planned_end)
    return Rule(alpha, adjust, sequential, tuple(shares), spending, planned_units, end)
