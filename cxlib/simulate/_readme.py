"""The README beside the sample, its numbers filled in by what was planted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from cxlib.simulate._shop import (
    BGNBD,
    CART_VALUE,
    GAMMA_GAMMA,
    N_CUSTOMERS,
    SESSIONS_PER_USER,
    STEP_PROBABILITIES,
    TRIAL,
    Shop,
)
from cxlib.simulate.clickstream import FIRST_CHANNELS, LATER_CHANNELS

TEXT = """# The sample shop
Made, not measured: `cxlib/simulate` drew these files, so the truth behind them is known. No
row speaks of a real person; every address lies in a domain that RFC 2606 keeps for examples.

Make them again with `python -m cxlib.simulate data/sample` (seed {seed}); `tests/test_sample.py`
does so and compares. This page is made with them.

The shop stands in London (`timezone="Europe/London"`), sells in GBP, and is observed from
2023-01-01 to 2024-12-31, both included (`as_of="2024-12-31"`).

| file | grain | rows |
|---|---|---|
| `orders.csv` | one row per line item of an order, newest first, as Shopify exports it (`preset="shopify"`). Name, Email, Created at and the line's own columns stand on every row, all others on an order's first row only. Street, phone and other personal columns are blank. | {orders} |
| `events.parquet` | one row per delivered event of the web shop, 2024-10-01 to 2024-12-31; `occurred_at` in UTC, `value` in pounds: of the session's cart, on cart, checkout and purchase | {events} |
| `exposures.csv` | one row per exposure of a customer (`user_id` is the e-mail in small letters, as in the cleaned orders) to a variant of the checkout, first in November 2024, some once more in December; stamps in UTC | {exposures} |
| `responses.csv` | one row per survey answer, one to eight days after an order; stamps with London's offset | {responses} |

## The truth
- **Orders**: {n_customers:,} customers. BG/NBD with r = {r}, alpha = {alpha} days, a = {a}, b = {b};
  Gamma-Gamma with p = {p}, q = {q}, v = {v}, so {mean_order:.2f} pounds an order in the mean. On top of that
  the experiment added {n_trial} orders (November and December 2024). No trend and no season but the hours of the day.
- **Funnel** (view, cart, checkout, purchase): within a session the later steps follow with
  probability {passes}; users have {sessions} sessions in the mean, so that {deepest} of them
  reach cart, checkout and purchase in their deepest session. Search, view_list and help are no
  step. About 1 % of the users begin with a lone purchase, which counts in no funnel.
- **Carts**: {cart_value:.2f} pounds in the mean, whatever becomes of them, so that {left:.1%} of the carts and of
  their value are left behind in their session.
- **Channels** of a user's first session: {first_channels}; of the later ones:
  {later_channels}. They bring buyers and others alike: no channel causes a purchase.
- **Experiment**: half and half. Whatever they were shown, {organic:.1%} of the users ordered within 14 days
  of their first exposure. On top of that {control:.0%} of the control and {treated:.0%} of the treatment placed one
  more order: the true effect on 14-day conversion is {effect:.1f} percentage points, and on 14-day revenue
  {money:.2f} pounds a user.
- **Answers**: 50 % promoters, 30 % passives, 20 % detractors (NPS +30); 80 % satisfied (csat 4 or
  5); ces 5.2 in the mean.

## What is wrong in them
Rows are raw rows, counted before exact repeats; revenue is pounds, Total less Refunded Amount.
Where a rule is named, cleaning drops the rows and counts them under it in `.losses`; the others
are kept. An order has a row for each of its lines: the rows refunded in part are of {part} orders, as
`refund_netted` in `.notes` counts them.

| file | fault | rule | rows | revenue |
|---|---|---|---|---|
{faults}

What cleaning does about those that it keeps: further lines are grouped into their order; a part
refund is netted; e-mails lose capitals, spaces and direction marks; a stamp is moved to
London's clock by its own offset, so that a summer order stamped 23:30 +0000 falls on the next day; the
word test must stand alone in Tags; repeated exposures and users in both variants stay for the
experiment's own checks to count.
"""


def readme(faults: pd.DataFrame, raw_rows: Mapping[str, int], seed: int, shop: Shop) -> str:
    """Return the README's text."""
    control = TRIAL["baseline"]
    treated = control * (1 + TRIAL["lift"])
    return TEXT.format(
        seed=seed,
        **{name.partition(".")[0]: f"{rows:,}" for name, rows in raw_rows.items()},
        n_customers=N_CUSTOMERS,
        **BGNBD,
        **GAMMA_GAMMA,
        mean_order=GAMMA_GAMMA["p"] * GAMMA_GAMMA["v"] / (GAMMA_GAMMA["q"] - 1),
        n_trial=len(shop.trial.orders),
        passes=", ".join(f"{share:.2f}" for share in STEP_PROBABILITIES),
        sessions=SESSIONS_PER_USER,
        deepest=", ".join(f"{share:.1%}" for share in _deepest()),
        cart_value=CART_VALUE,
        left=1 - STEP_PROBABILITIES[1] * STEP_PROBABILITIES[2],
        first_channels=_shares(FIRST_CHANNELS),
        later_channels=_shares(LATER_CHANNELS),
        control=control,
        treated=treated,
        effect=(treated - control) * (1 - shop.organic_share) * 100,
        money=(treated - control) * TRIAL["order_value"],
        organic=shop.organic_share,
        part=int(((shop.books["rule"] == "") & (shop.books["refunded"] > 0)).sum()),
        faults="\n".join(map(_row, faults.itertuples())),
    )


def _deepest() -> list[float]:
    """Return the share of users whose deepest session reaches each later step."""
    reach = np.cumprod(STEP_PROBABILITIES)
    return list(1 - (1 - reach) * np.exp(-(SESSIONS_PER_USER - 1) * reach))


def _shares(names: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {share:.0%}" for name, share in names.items())


def _row(fault: Any) -> str:
    money = "" if np.isnan(fault.revenue) else f"{fault.revenue:,.2f}"
    rule = f"`{fault.rule}`" if fault.rule else "kept"
    return f"| `{fault.file}` | {fault.fault} | {rule} | {fault.rows:,} | {money} |"
