"""The few numbers a report is remembered by: cards on the page, lines in the run's record."""

from __future__ import annotations

import html
import math
import numbers
import re
from dataclasses import asdict, dataclass
from typing import Any

from cxlib._checks import ParameterError, check_choice
from cxlib._published import min_group, standing_doubt

HEADLINE_MIME = "application/vnd.cx.headline+json"
"""Carries a `Headline` in a notebook's output, from where the report collects it."""

UNITS = ("share", "change", "count", "money", "days", "seconds", "number")
SIGNS = {"GBP": "£", "EUR": "€", "USD": "$", "ILS": "₪", "JPY": "¥", "INR": "₹"}


@dataclass(frozen=True)
class Headline:
    """One number with its unit and, where there is one, its interval.

    Attributes
    ----------
    name : str
        What the number is, in words.
    value, low, high : float
        The number and the ends of its 95 % interval (None where it has none).
    unit : str
        How it is written: see `headline`.
    currency : str or None
        ISO code, for money.
    withheld : str or None
        Why the number is not shown; then it is not kept either.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    unit: str = "number"
    currency: str | None = None
    withheld: str | None = None

    @property
    def text(self) -> str:
        """The value as people read it: ``31.2%``, ``£12,345``, ``14 days``."""
        return "withheld" if self.value is None else self.write(self.value)

    @property
    def interval(self) -> str:
        """The interval as people read it, or nothing."""
        if self.low is None or self.high is None:
            return ""
        low, high = self.write(self.low), self.write(self.high)
        return f"{low.removesuffix(f' {self.unit}')} to {high}"

    def __repr__(self) -> str:
        return f"{self.name}: {self.text}" + (f" ({self.interval})" if self.interval else "")

    def _repr_html_(self) -> str:
        small = self.withheld or (f"95% interval {self.interval}" if self.interval else "")
        below = f'<div style="opacity:.75">{html.escape(small)}</div>' if small else ""
        return (
            '<div style="display:inline-block;min-width:11em;margin:4px 0;padding:10px 16px;'
            'border:1px solid rgba(128,128,128,.4);border-radius:8px">'
            f"<div>{html.escape(self.name)}</div>"
            f'<div style="font-size:1.7em;font-weight:600">{html.escape(self.text)}</div>'
            f"{below}</div>"
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {
            "text/plain": repr(self),
            "text/html": self._repr_html_(),
            HEADLINE_MIME: asdict(self),
        }

    def write(self, value: float) -> str:
        """Return a number as this headline writes its own, with as many digits."""
        like = value if self.value is None else self.value
        if self.unit in ("share", "change"):
            digits = 2 if 0 < abs(like) < 0.01 else 1
            sign = "+" if self.unit == "change" else ""
            return f"{100 * value:{sign},.{digits}f}%"
        if self.unit == "count":
            return f"{value:,.0f}"
        if self.unit == "money":
            amount = f"{abs(value):,.{0 if abs(like) >= 1000 else 2}f}"
            before = SIGNS.get(self.currency or "", f"{self.currency} " if self.currency else "")
            return f"{'-' if value < 0 else ''}{before}{amount}"
        plain = f"{value:,.{_decimals(like)}f}"
        if self.unit == "number":
            return plain
        return f"{plain} {self.unit.removesuffix('s') if plain == '1' else self.unit}"


def _decimals(value: float) -> int:
    """Return how many decimals three significant digits take; a whole number takes none."""
    if value == 0 or value == round(value):
        return 0
    return max(0, 2 - math.floor(math.log10(abs(value))))


def headline(
    name: str,
    value: float,
    low: float | None = None,
    high: float | None = None,
    *,
    unit: str = "number",
    currency: str | None = None,
    withheld: str | None = None,
    n: float | None = None,
) -> Headline:
    """Name a number that a report is remembered by.

    Shown in a notebook it is a card; a published report gathers its cards at the top, and
    ``run.json`` keeps the numbers. Jupyter shows a cell's last expression: to show several
    from one cell write ``display(cx.headline(...), cx.headline(...))``.

    Parameters
    ----------
    name : str
        What the number is, in a reader's words.
    value : float
        The number itself, finite and unrounded.
    low, high : float, optional
        The ends of its 95 % interval, both or neither.
    unit : {"share", "change", "count", "money", "days", "seconds", "number"}
        ``share`` is a fraction from 0 to 1 and ``change`` a signed fraction; both are written
        as percentages.
    currency : str, optional
        ISO code of ``money``, such as ``"GBP"``.
    withheld : str, optional
        A reason not to publish the number, such as the verdict of a fit that did not settle:
        the card then says so instead, and the number is nowhere in the report or its record.
    n : int, optional
        How many people the number speaks of. A published report withholds it where they are
        fewer than its ``min_group``.

    Returns
    -------
    Headline
        The number with its words; unrounded in ``.value``, rounded in ``.text``.

    Raises
    ------
    ParameterError
        A number is not finite, the interval does not hold the value, or the unit is unknown.

    Examples
    --------
    >>> import cxlib as cx
    >>> cx.headline("month-1 retention", 0.312, 0.299, 0.324, unit="share")
    month-1 retention: 31.2% (29.9% to 32.4%)
    """
    if not isinstance(name, str) or not name.strip():
        raise ParameterError(f"name={name!r}: a headline needs words that say what the number is")
    check_choice("unit", unit, UNITS)
    if n is not None and 0 < n < min_group():
        withheld = withheld or f"fewer than {min_group()} people"
    withheld = withheld or standing_doubt()
    if withheld:
        return Headline(name.strip(), None, unit=unit, withheld=withheld)
    value = _finite(name, "value", value)
    if (low is None) != (high is None):
        raise ParameterError(f"headline {name!r}: give both low and high, or neither")
    if low is not None and high is not None:
        low, high = _finite(name, "low", low), _finite(name, "high", high)
        slack = 1e-12 * max(1.0, abs(value))  # an interval may miss its own edge by rounding
        if not low - slack <= value <= high + slack:
            raise ParameterError(
                f"headline {name!r}: value {value:g} lies outside its interval {low:g} to {high:g}"
            )
    if unit == "share" and not 0 <= value <= 1:
        raise ParameterError(
            f"headline {name!r}: {value:g} is no share; give a fraction from 0 to 1, or "
            "unit='change' for a signed one"
        )
    if currency is not None and (unit != "money" or not re.fullmatch("[A-Z]{3}", currency)):
        raise ParameterError(
            f"headline {name!r}: currency={currency!r} must be an ISO code such as 'GBP', with unit='money'"
        )
    return Headline(name.strip(), value, low, high, unit, currency)


def _finite(name: str, what: str, value: Any) -> float:
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        raise ParameterError(f"headline {name!r}: {what}={value!r} is not a finite number")
    return float(value)
