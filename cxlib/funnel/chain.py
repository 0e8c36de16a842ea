"""The backward chain: each user's deepest attempt, found in the engine without a self-join."""

from __future__ import annotations

import datetime as dt

import ibis
import ibis.expr.types as ir


def deepest(rows: ir.Table, steps: list[str], length: dt.timedelta, end: ir.Value) -> ir.Table:
    """Return one row per user who did step one: ``depth``, and ``at_1`` to ``at_K`` of that attempt.

    Depth 0 means that the windows of all entries are still open.
    """
    window = ibis.interval(microseconds=length // dt.timedelta(microseconds=1))
    repeats = len(set(steps)) < len(steps)
    moments = _moments(rows, steps) if repeats else rows
    entries = _at_step(moments, steps, 0)
    over = entries["at"] + window < end
    level = entries.filter(over).mutate(at_1=entries["at"])
    attempts = [
        _first(entries.filter(~over).mutate(at_1=entries["at"]), 0, len(steps)),
        _first(level, 1, len(steps)),
    ]
    if repeats:
        level = level.mutate(start=ibis.literal(0))
    for k in range(1, len(steps)):
        reached = _claim(level, _at_step(moments, steps, k), k, window, strictly=repeats)
        if repeats:
            reached = ibis.union(reached.mutate(start=ibis.literal(k)), _stay(level, steps, k))
        level = reached
        attempts.append(_first(level, k + 1, len(steps)))
    every = ibis.union(*attempts)
    deepest_first = ibis.window(group_by="user_id", order_by=ibis.desc("depth"))
    return every.mutate(place=ibis.row_number().over(deepest_first)).filter(ibis._["place"] == 0)


def _moments(rows: ir.Table, steps: list[str]) -> ir.Table:
    """Return one row per user and moment, with the number of events of each name at it.

    Where a name repeats among the steps, events of one moment must be told apart: one event
    never serves two steps.
    """
    counts = {
        f"n_{steps.index(name)}": (rows["event"] == name).sum() for name in dict.fromkeys(steps)
    }
    return rows.group_by(["user_id", "at"]).aggregate(**counts)


def _at_step(moments: ir.Table, steps: list[str], k: int) -> ir.Table:
    """Return the rows at which step ``k`` (from 0) may be taken."""
    if "event" in moments.columns:
        return moments.filter(moments["event"] == steps[k]).select("user_id", "at")
    return moments.filter(moments[f"n_{steps.index(steps[k])}"] > 0)


def _claim(
    level: ir.Table, candidates: ir.Table, k: int, window: ir.Value, *, strictly: bool
) -> ir.Table:
    """Return the candidates that carry on an attempt of the level before, in time.

    The entry that an attempt can claim never falls with time, and neither do the times of its
    later steps. So the latest survivor before a candidate is its best, a running maximum finds
    it, and whom the best does not bring into the window nobody does. Each level sorts the
    survivors of one step with the events of the next, and needs no join.
    """
    times = [f"at_{j}" for j in range(1, k + 1)]
    extra = [name for name in candidates.columns if name not in ("user_id", "at")]
    unknown = {name: ibis.null("timestamp(6)") for name in times}
    both = ibis.union(
        level.select("user_id", "at", *extra, *times, is_candidate=ibis.literal(0)),
        candidates.select("user_id", "at", *extra, **unknown, is_candidate=ibis.literal(1)),
    )
    of_one_moment = both["is_candidate"].desc() if strictly else both["is_candidate"].asc()
    so_far = ibis.window(
        group_by="user_id", order_by=[both["at"], of_one_moment], preceding=None, following=0
    )
    claimed = both.mutate(**{name: both[name].max().over(so_far) for name in times})
    reached = claimed.filter(
        (claimed["is_candidate"] == 1) & (claimed["at"] <= claimed["at_1"] + window)
    )
    return reached.select("user_id", "at", *extra, *times, **{f"at_{k + 1}": reached["at"]})


def _stay(level: ir.Table, steps: list[str], k: int) -> ir.Table:
    """Return the attempts that take step ``k`` at the same moment as the step before.

    An attempt has taken the steps from ``start`` on at this moment, so it needs that many
    events of a name that stands among them several times.
    """
    needed = ibis.literal(1)
    for j in range(k):
        if steps[j] == steps[k]:
            needed = needed + (level["start"] <= j).cast("int8")
    return level.filter(level[f"n_{steps.index(steps[k])}"] >= needed).mutate(
        **{f"at_{k + 1}": level["at"]}
    )


def _first(level: ir.Table, depth: int, n_steps: int) -> ir.Table:
    """Return the earliest attempt of each user at this depth, unknown times null."""
    known = [f"at_{j}" for j in range(1, max(depth, 1) + 1)]
    if "start" in level.columns:
        level = level.group_by(["user_id", "at"]).aggregate(
            **{name: level[name].max() for name in known}
        )
    first = level.group_by("user_id").aggregate(**{name: level[name].min() for name in known})
    later = {f"at_{j}": ibis.null("timestamp(6)") for j in range(max(depth, 1) + 1, n_steps + 1)}
    return first.select("user_id", *known, **later, depth=ibis.literal(depth))
