"""The visits that came before a purchase: how many, how long before, and from which channels."""

from __future__ import annotations

import datetime as dt

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib._calendar import interval
from cxlib._checks import DataError, check_duration, check_number
from cxlib._intervals import Moments, mean_interval, wilson
from cxlib.journeys.visits import VISIT, check_name, seconds_between, visits_of
from cxlib.sources import Source

LEFT_OUT = ("n_early", "n_ignored", "n_duplicates")
TOUCHES = ("measure", "n", "mean", "ci_low", "ci_high", "q25", "median", "q75", "most", *LEFT_OUT)
CREDIT = ("model", "channel", "n", "credit", "share", "ci_low", "ci_high", *LEFT_OUT)
MODELS = ("first touch", "last touch", "linear")


def touches(
    events: Source,
    *,
    as_of: str | dt.date,
    purchase: str = "purchase",
    lookback: str | dt.timedelta = "30 days",
    session: str | None = None,
    gap: str | dt.timedelta = "30 minutes",
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Return how many visits lead to a purchase, and how many days pass from the first of them.

    Parameters
    ----------
    events : Cleaned, or any table that holds events
        As in `transitions`.
    as_of : date or "YYYY-MM-DD"
        The last observed day, included; later events are ignored.
    purchase : str, default "purchase"
        Name of the event that buys.
    lookback : str or timedelta, default "30 days"
        How long before the purchase a visit may begin to count as a touch, included.
    session, gap
        How visits are cut, as in `transitions`.
    alpha : float, default 0.05
        One minus the confidence of the intervals.

    Returns
    -------
    pandas.DataFrame
        Grain: one row per measure: ``touches`` (visits), then ``days`` (from the beginning of the
        first touch to the purchase).

        - ``measure`` (text)
        - ``n`` (int): purchases
        - ``mean``, ``ci_low``, ``ci_high`` (float): and Student's interval
        - ``q25``, ``median``, ``q75``, ``most`` (float): quartiles, and the largest
        - ``n_early`` (int): purchases left out, because the lookback reaches before the first event
        - ``n_ignored``, ``n_duplicates`` (int): as in `transitions`

    Raises
    ------
    ColumnError, DataError, ParameterError
        As in `transitions`; nobody bought, or the lookback of every purchase reaches before the
        data.

    Notes
    -----
    A touch is a visit, so ten pages of one visit are one touch. The touches of a purchase are the
    visits of the same user since the one in which they bought before, in the order in which they
    began, the buying visit included: each visit leads to one purchase at most, and each purchase
    has one touch at least. Several purchases of one visit count as one, at the first of them.
    People who never bought do not appear at all: that buyers visit often does not say that visits
    make buyers.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> events = pd.DataFrame({"user_id": "ann", "event": ["open", "view", "view", "purchase"],
    ...     "occurred_at": pd.to_datetime(["2024-01-01 00:00", "2024-03-01 00:00",
    ...                                    "2024-03-03 00:00", "2024-03-03 00:05"])})
    >>> cx.touches(events, as_of="2024-03-31")[["measure", "n", "mean", "median"]]
       measure  n      mean    median
    0  touches  1  2.000000  2.000000
    1     days  1  2.003472  2.003472
    """
    check_number("alpha", alpha, 0, 1, open_low=True)
    found, left_out = _touches(events, as_of, purchase, lookback, session, gap, None)
    each = found.group_by(["user_id", "purchase"]).aggregate(
        touches=found.count().cast("float64"),
        days=seconds_between(found["began"].min(), found["bought_at"].max()) / 86_400,
    )
    rows = []
    for measure in ("touches", "days"):
        column = each[measure]
        facts = each.aggregate(
            n=column.count(),
            mean=column.mean(),
            variance=column.var(how="sample"),
            **{f"q{share}": column.quantile(share / 100) for share in (25, 50, 75)},
            most=column.max(),
        )
        rows.append(facts.execute().iloc[0].to_dict() | {"measure": measure})
    table = pd.DataFrame(rows).rename(columns={"q50": "median"})
    samples = zip(table["n"], table["mean"], table["variance"], strict=True)
    ends = np.array([mean_interval(Moments(*sample), alpha) for sample in samples])
    table = table.assign(ci_low=ends[:, 0], ci_high=ends[:, 1], **left_out)
    return table[list(TOUCHES)].astype({"n": "int64"})


def touch_credit(
    events: Source,
    *,
    channel: str | None,
    as_of: str | dt.date,
    purchase: str = "purchase",
    lookback: str | dt.timedelta = "30 days",
    session: str | None = None,
    gap: str | dt.timedelta = "30 minutes",
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Return which channels the touches before purchases came from, by three ways of counting.

    Parameters
    ----------
    events : Cleaned, or any table that holds events
        As in `transitions`.
    channel : str or None
        The column that says where a visit came from: its value at the visit's first event that
        has one, ``(none)`` if there is none. None puts all visits there.
    as_of, purchase, lookback, session, gap, alpha
        As in `touches`.

    Returns
    -------
    pandas.DataFrame
        Grain: one row per model and channel, by name; a model's shares add up to 1.

        - ``model`` (text): ``first touch`` and ``last touch`` give a purchase to one visit, ``linear``
          shares it out evenly among its touches
        - ``channel`` (text)
        - ``n`` (int): purchases, the same on every row
        - ``credit`` (float): purchases given to the channel
        - ``share``, ``ci_low``, ``ci_high`` (fractions): ``credit / n``; Wilson's interval for first
          and last touch, Student's on the mean share of a purchase for linear, cut at 0 and 1
        - ``n_early``, ``n_ignored``, ``n_duplicates`` (int): as in `touches`

    Raises
    ------
    ColumnError, DataError, ParameterError
        As in `touches`; ``channel`` is missing.

    See Also
    --------
    cxlib.plot.touch_credit

    Notes
    -----
    Credit is not effect. These are ways to share out purchases that happened anyway: a channel
    that meets people who had made up their minds, such as a search for the shop's name, gets
    credit for purchases that it did not cause. What a channel brings is seen by an experiment
    that takes it away from some. Touches are those of `touches`; purchases are taken as
    independent.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> events = pd.DataFrame({"user_id": "ann", "event": ["open", "view", "view", "purchase"],
    ...     "occurred_at": pd.to_datetime(["2024-01-01 00:00", "2024-03-01 00:00",
    ...                                    "2024-03-03 00:00", "2024-03-03 00:05"]),
    ...     "channel": ["email", "social", "search", "search"]})
    >>> table = cx.touch_credit(events, channel="channel", as_of="2024-03-31")
    >>> table.pivot(index="channel", columns="model", values="credit").to_dict("index")["search"]
    {'first touch': 0.0, 'last touch': 1.0, 'linear': 0.5}
    """
    check_number("alpha", alpha, 0, 1, open_low=True)
    found, left_out = _touches(events, as_of, purchase, lookback, session, gap, channel)
    counts = _credits(found)
    n = int(counts["first touch"].sum())
    parts = []
    for model in MODELS:
        credit = counts[model]
        share, low, high = wilson(credit, n, alpha)
        if model == "linear":
            low, high = _linear_ends(credit, counts["squares"], n, alpha)
        part = pd.DataFrame({"channel": counts["label"], "credit": credit, "share": share})
        parts.append(part.assign(model=model, ci_low=low, ci_high=high))
    table = pd.concat(parts, ignore_index=True).assign(n=n, **left_out)
    return table[list(CREDIT)].astype({"credit": "float64"})


def _touches(
    events: Source,
    as_of: str | dt.date,
    purchase: str,
    lookback: str | dt.timedelta,
    session: str | None,
    gap: str | dt.timedelta,
    channel: str | None,
) -> tuple[ir.Table, dict[str, int]]:
    """Return one row per touch, and what was left out.

    The rows: ``user_id``, ``purchase`` (which of the user's, counted from the last), ``bought_at``,
    ``began``, ``place`` (from 0), ``label`` (the channel), ``own_at`` (null but at the buying visit).
    """
    length = check_duration("lookback", lookback)
    visits = visits_of(
        events,
        as_of=as_of,
        session=session,
        gap=gap,
        by=channel,
        argument="channel",
        named=[check_name("purchase", purchase)],
    )
    each = _visits_before(visits.rows, purchase)
    seen_since, n_early = _seen_since(each, purchase, lookback, length)
    is_near = each["own_at"].notnull() | (each["began"] + interval(length) >= each["bought_at"])
    found = each.filter((each["bought_at"] >= seen_since) & is_near)
    in_order = ibis.window(group_by=["user_id", "purchase"], order_by=["began", "visit"])
    found = found.mutate(place=ibis.row_number().over(in_order))
    account = {"n_ignored": visits.account.n_ignored, "n_duplicates": visits.account.n_duplicates}
    return found, {"n_early": n_early, **account}


def _visits_before(rows: ir.Table, purchase: str) -> ir.Table:
    """Return one row per visit, with the purchase that it leads to; 0 where none follows."""
    each = rows.group_by([*VISIT, "label"]).aggregate(
        began=rows["at"].min(), own_at=rows["at"].min(where=rows["event"] == purchase)
    )
    ahead = ibis.window(
        group_by="user_id", order_by=["began", "visit"], preceding=0, following=None
    )
    each = each.mutate(purchase=each["own_at"].count().over(ahead))
    together = ibis.window(group_by=["user_id", "purchase"])
    return each.mutate(bought_at=each["own_at"].max().over(together))


def _seen_since(
    each: ir.Table, purchase: str, lookback: str | dt.timedelta, length: dt.timedelta
) -> tuple[ir.Value, int]:
    """Return the moment from which a whole lookback is in the data, and the purchases before."""
    first, n = each.aggregate(first=each["began"].min(), n=each["own_at"].count()).execute().iloc[0]
    if not n:
        raise DataError(f"events: nobody did {purchase!r} by as_of; there is nothing to lead to")
    seen_since = ibis.timestamp(first.isoformat()) + interval(length)
    n_early = int(each.filter(each["own_at"] < seen_since).count().execute())
    if n_early == n:
        raise DataError(
            f"events: before each of the {n:,} purchases the lookback of {lookback} reaches further "
            f"than the first event ({first}); give a shorter lookback="
        )
    return seen_since, n_early


def _credits(found: ir.Table) -> pd.DataFrame:
    """Return one row per channel: purchases given to it, and the sum of squares of its linear parts."""
    of_one = ibis.window(group_by=["user_id", "purchase"])
    parts = found.mutate(part=1 / found.count().over(of_one))
    each = parts.group_by(["user_id", "purchase", "label"]).aggregate(
        first=(parts["place"] == 0).sum(), last=parts["own_at"].count(), linear=parts["part"].sum()
    )
    counts = each.group_by("label").aggregate(
        **{
            "first touch": each["first"].sum(),
            "last touch": each["last"].sum(),
            "linear": each["linear"].sum(),
            "squares": (each["linear"] * each["linear"]).sum(),
        }
    )
    table: pd.DataFrame = counts.execute().sort_values("label", ignore_index=True)
    return table


def _linear_ends(
    credit: pd.Series, squares: pd.Series, n: int, alpha: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return Student's interval of each channel's mean part of a purchase."""
    ends = []
    for total, square in zip(credit, squares, strict=True):
        spread = max(square - total**2 / n, 0) / (n - 1) if n > 1 else float("nan")
        ends.append(mean_interval(Moments(n, total / n, spread), alpha))
    low, high = np.clip(np.array(ends), 0, 1).T
    return low, high
