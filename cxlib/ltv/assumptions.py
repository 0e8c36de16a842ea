"""The models' assumptions, held against the data."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from cxlib._bgnbd import spend_line
from cxlib.ltv.base import Base, Numbers
from cxlib.ltv.histories import purchase_days
from cxlib.ltv.silence import Silence
from cxlib.ltv.verdict import ENOUGH_REPEAT_CUSTOMERS

if TYPE_CHECKING:
    from cxlib.ltv.forecasts import LtvFit

MOST_CORRELATION = 0.2
MOST_OFF = 0.10
MOST_GUESTS = 0.10
MOST_REFUNDED = 0.01
Flags = npt.NDArray[np.bool_]


class Check(NamedTuple):
    """One row of `LtvFit.checks`."""

    check: str
    passed: bool | None
    value: float
    detail: str


class Share(NamedTuple):
    """What was counted over what was expected, with the standard error that chance gives it."""

    ratio: float
    error: float

    def is_off(self, among: int = 1) -> bool:
        """More than a tenth off, and more than chance explains of the furthest ``among`` several."""
        chance = NormalDist().inv_cdf(1 - 0.025 / among) * self.error
        return abs(self.ratio - 1) > max(MOST_OFF, chance)


def assumptions(fit: LtvFit) -> pd.DataFrame:
    """Return `LtvFit.checks`."""
    checks = [
        Check("the fit converged", fit.status == "converged", fit.n_repeat_customers, fit.verdict),
        _reaching(fit),
        _spend_and_frequency(fit),
        _cohorts(fit),
        *([_segments_buy(fit), _segments_spend(fit)] if fit.by is not None else []),
        _guests(fit.guest_share),
        _refunds(fit),
    ]
    table = pd.DataFrame(checks)
    return table.astype({"passed": "boolean", "value": float})


def _reaching(fit: LtvFit) -> Check:
    silence = Silence.of(fit.base)
    return Check("orders reach as_of", not silence.is_long, silence.days, silence.detail)


def _spend_and_frequency(fit: LtvFit) -> Check:
    base, name = fit.base, "spend does not go with frequency"
    again = base.frequency > 0
    x, spend, n = base.frequency[again], base.spend[again], base.n[again]
    off_x, off_spend = x - np.average(x, weights=n), spend - np.average(spend, weights=n)
    scale = math.sqrt((n @ off_x**2) * (n @ off_spend**2))
    if scale <= 1e-9 * n @ spend:
        return Check(name, None, math.nan, "repeat customers do not differ in orders or in spend")
    correlation = float(n @ (off_x * off_spend)) / scale
    level, slope = spend_line(fit._spend, x)
    expected = n * (level + slope * spend)
    groups = {"1 repeat order": x == 1, "2 or 3": (x == 2) | (x == 3), "4 or more": x > 3}
    off = [
        f"{expected[group].sum() / (n[group] @ spend[group]) - 1:+.0%} for {words}"
        for words, group in groups.items()
        if group.any()
    ]
    detail = (
        f"orders and spend per order of repeat customers correlate at {correlation:+.2f}; the model "
        f"puts spend per order off by {', '.join(off)}"
    )
    by_chance = 1.96 / math.sqrt(n.sum())
    if by_chance > MOST_CORRELATION:
        detail += f"; among {n.sum():,.0f} repeat customers chance alone reaches {by_chance:.2f}"
    limit = max(MOST_CORRELATION, by_chance)
    return Check(name, abs(correlation) <= limit, correlation, detail)


def _repeats(fit: LtvFit, rows: Flags) -> Share:
    """Return repeat orders made over those the model expects of new customers of that age."""
    base: Base = fit.base
    ages, place = np.unique(base.histories[2], return_inverse=True)
    model = fit.ahead.model.expected_orders(fit._values, ages)[place][base.history][rows]
    x, n = base.frequency[rows], base.n[rows]
    expected = float(n @ model)
    error = math.sqrt(n @ (x - model) ** 2)
    return Share(float(n @ x) / expected, error / expected) if expected else Share(1.0, math.inf)


def _cohorts(fit: LtvFit) -> Check:
    """Compare the later half of customers with the earlier, each against the model."""
    base, name = fit.base, "late customers buy as early ones did"
    age = base.histories[2][base.history]
    oldest_first = np.argsort(-age, kind="stable")
    so_far = base.n[oldest_first].cumsum()
    middle = age[oldest_first][np.searchsorted(so_far, so_far[-1] / 2)]
    late = age < middle
    if not late.any():
        return Check(name, None, math.nan, "most customers came on one day")
    was, now = _repeats(fit, ~late), _repeats(fit, late)
    if not was.ratio or not now.ratio:
        return Check(name, None, math.nan, "one half of the customers made no repeat order yet")
    ratio = now.ratio / was.ratio
    error = ratio * math.hypot(was.error / was.ratio, now.error / now.ratio)
    detail = (
        f"the later half of customers made {now.ratio:.2f} of the repeat orders that the model "
        f"expects at their age, the earlier half {was.ratio:.2f}"
    )
    return Check(name, not Share(ratio, error).is_off(), ratio, detail)


def _of_segments(fit: LtvFit) -> dict[str, Flags]:
    """Return the rows of each segment that has repeat customers enough to be judged."""
    base = fit.base
    again: Numbers = np.where(base.frequency > 0, base.n, 0.0)
    rows = {name: base.segment == number for number, name in enumerate(base.segments)}
    return {name: one for name, one in rows.items() if again[one].sum() >= ENOUGH_REPEAT_CUSTOMERS}


def _worst(name: str, shares: dict[str, Share], words: str) -> Check:
    if not shares:
        few = f"no segment has {ENOUGH_REPEAT_CUSTOMERS} repeat customers"
        return Check(name, None, math.nan, few)
    off = {one: share.is_off(among=len(shares)) for one, share in shares.items()}
    far = max(shares, key=lambda one: (off[one], abs(shares[one].ratio - 1)))
    detail = words.format(segment=far, ratio=shares[far].ratio)
    return Check(name, not any(off.values()), shares[far].ratio, detail)


def _segments_buy(fit: LtvFit) -> Check:
    shares = {name: _repeats(fit, rows) for name, rows in _of_segments(fit).items()}
    words = "furthest off is {segment}: {ratio:.2f} of the repeat orders that the one model expects"
    return _worst("segments buy alike", shares, words)


def _segments_spend(fit: LtvFit) -> Check:
    base = fit.base
    again = base.frequency > 0
    everybody = np.average(base.spend[again], weights=base.n[again])
    shares = {}
    for name, rows in _of_segments(fit).items():
        spend, n = base.spend[rows & again], base.n[rows & again]
        mean = np.average(spend, weights=n)
        error = math.sqrt(n @ (spend - mean) ** 2) / n.sum()
        shares[name] = Share(float(mean / everybody), float(error / everybody))
    words = (
        "furthest off is {segment}: repeat customers spend {ratio:.2f} times as much per order as "
        "everybody's, whose mean a customer with one order is given"
    )
    return _worst("segments spend alike", shares, words)


def _guests(share: float) -> Check:
    name = "guests are few"
    if math.isnan(share):
        return Check(name, None, share, "not known: the orders came without an account of cleaning")
    detail = f"orders without a customer, left out here, hold {share:.1%} of the revenue"
    return Check(name, share <= MOST_GUESTS, share, detail)


def _refunds(fit: LtvFit) -> Check:
    """Sum what stands on days that are no purchase: refunds that no order was netted with."""
    name = "refunds are netted"
    if fit._rows is None:
        return Check(name, None, math.nan, "not known: the orders are not at hand")
    days = purchase_days(fit._rows())
    spend, bought = days["spend"], days["bought"]
    sums = days.aggregate(
        back=spend.sum(where=~bought).fill_null(0.0), revenue=spend.sum(where=bought)
    )
    back, revenue = sums.to_pandas().iloc[0]
    share = max(0.0, -float(back / revenue))
    detail = f"days on which customers got back more than they paid hold {share:.1%} of the revenue"
    if fit.refund_share > 0:
        share += fit.refund_share
        detail += f", refunds that cleaning found no order for {fit.refund_share:.1%}"
    if share > MOST_REFUNDED:
        detail += (
            ", which no value here allows for; give refunds the order_id of their order, and "
            "cx.clean_orders nets them"
        )
    return Check(name, share <= MOST_REFUNDED, share, detail)
