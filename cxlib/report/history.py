"""What a plan's reports said before, and where their new numbers stand among the old.

A run's record is the ``run.json`` of its folder. A later run of the same day replaces that
folder; what the record said of its headlines is added to `REPLACED` first. So every run is
kept once, or for a moment twice, and never lost.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

REPLACED = "replaced.jsonl"
KEPT = ("schema", "plan", "title", "as_of", "started", "finished", "status")
KEPT_OF_REPORT = ("name", "title", "status", "parameters", "page_from", "headlines")
GOOD = ("succeeded", "skipped")

FEWEST_RUNS = 10
"""Runs before the new one without which no limits are drawn."""
MOVING_RANGE = 3 / 1.128
"""Usually told as 2.66: three sigma from a mean moving range of two (Wheeler and Chambers, 1992)."""
SIGMAS = 3
FLOOR, CEILING = {"share": 0.0, "count": 0.0, "days": 0.0, "seconds": 0.0}, {"share": 1.0}
"""Where a unit ends, and limits with it."""

Record = dict[str, Any]
Point = dict[str, Any]


def runs(folder: Path) -> list[Record]:
    """Return the record of every run of a plan that was published, the oldest first.

    Parameters
    ----------
    folder : Path
        The plan's folder: ``reports/runs/<plan>``.

    Returns
    -------
    list of dict
        ``as_of``, ``started``, ``finished``, ``status`` and ``reports`` of each run; of each
        report ``name``, ``status``, ``parameters`` and ``headlines``. In order of ``as_of``,
        and of ``started`` where a day was run again.
    """
    known = {(run["as_of"], run["started"]): run for run in _read(folder)}
    return [known[key] for key in sorted(known)]


def _read(folder: Path) -> Iterator[Record]:
    files = [folder / REPLACED, *sorted(folder.glob("[0-9]*/run.json"))]
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
        except OSError:
            continue
        for line in text.splitlines() if file.name == REPLACED else [text]:
            try:
                yield _brief(json.loads(line))
            except (ValueError, KeyError, TypeError):
                continue  # torn by a crash, or no record


def _brief(run: Record) -> Record:
    reports = [{name: one.get(name) for name in KEPT_OF_REPORT} for one in run["reports"]]
    return {name: run[name] for name in KEPT} | {"reports": reports}


def keep(day: Path) -> None:
    """Add what a published folder says of its run to the plan's `REPLACED`, for it will go."""
    try:
        run = _brief(json.loads((day / "run.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return
    with (day.parent / REPLACED).open("a", encoding="utf-8") as stream:
        torn = stream.tell() and not _ends_a_line(day.parent / REPLACED)
        stream.write("\n" * bool(torn) + json.dumps(run, ensure_ascii=False) + "\n")
        stream.flush()
        os.fsync(stream.fileno())


def _ends_a_line(file: Path) -> bool:
    with file.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) == b"\n"


def past(
    known: Sequence[Record], name: str, parameters: Mapping[str, Any], as_of: str
) -> dict[str, list[Point]]:
    """Return what a report's headlines were on the days before, by the headline's name.

    Only what was made with the same parameters (``as_of`` aside) can be compared, and of a day
    that was run again only the last run: the same day twice would look like two that agree.
    """
    alike = {key: value for key, value in parameters.items() if key != "as_of"}
    found: dict[str, dict[str, Point]] = {}
    for run in known:
        for report in run["reports"]:
            theirs = {k: v for k, v in (report["parameters"] or {}).items() if k != "as_of"}
            if report["name"] != name or theirs != alike or run["as_of"] >= as_of:
                continue
            for headline in report["headlines"] if report["status"] in GOOD else ():
                if headline["value"] is not None:
                    point = _point(headline, run["as_of"], report["page_from"] or run["started"])
                    found.setdefault(headline["name"], {})[run["as_of"]] = point
    return {name: list(points.values()) for name, points in found.items()}


def _point(headline: Mapping[str, Any], as_of: str, started: str) -> Point:
    ends = {end: headline.get(end) for end in ("value", "low", "high", "unit", "currency")}
    return {"as_of": as_of, "started": started, **ends}


def placed(
    headlines: Sequence[Mapping[str, Any]],
    before: Mapping[str, Sequence[Point]],
    as_of: str,
    started: str,
) -> list[Record]:
    """Return the series of each headline, its change, and its control limits.

    Parameters
    ----------
    headlines : list of dict
        A report's headlines, as `cxlib.headline` records them.
    before : dict
        What `past` returns.
    as_of, started : str
        Of the run that made the headlines.

    Returns
    -------
    list of dict
        One for each headline that is not withheld: ``name``, ``unit``, ``currency``;
        ``points`` (``as_of``, ``started``, ``value``, ``low``, ``high``), the new one last;
        ``change`` against the point before, in the headline's unit, and ``change_share``, the
        same as a fraction of it; ``mean``, ``lower_limit``, ``upper_limit`` and ``n_runs``, of
        the points before the new one; ``left`` ("above", "below" or None): whether the new
        number left the limits. What is not known is None.

    Notes
    -----
    The limits are those of an individuals and moving range chart (XmR): the mean of the runs
    before ± 2.66 times their mean moving range, none for fewer than `FEWEST_RUNS`. Where the
    headline has an interval they are at least ± 3 of its standard errors, as in a p chart. A number that
    rose in every run before, or fell in every one, is a total that runs on: its limits are those
    of its moves, laid on the last value. With ten
    runs a number from the same process leaves them by chance about once in forty, with many
    once in 370. Numbers that share most of their data with the run before move little, so
    limits drawn from their moves alone would be narrow: hence the three errors. Leaving them is a
    reason to look, not a proof.

    W. A. Shewhart, *Economic Control of Quality of Manufactured Product* (1931); D. J. Wheeler
    and D. S. Chambers, *Understanding Statistical Process Control* (1992), chapter 3.
    """
    found = []
    for headline in headlines:
        if headline["value"] is None:
            continue
        new = _point(headline, as_of, started)
        kind = (new["unit"], new["currency"])
        old = [
            point
            for point in before.get(headline["name"], ())
            if (point["unit"], point["currency"]) == kind
        ]
        points = [
            {key: value for key, value in point.items() if key not in ("unit", "currency")}
            for point in [*old, new]
        ]
        known = {"name": headline["name"], "unit": kind[0], "currency": kind[1], "points": points}
        values = [point["value"] for point in old]
        chance = SIGMAS * _error([*old, new])
        limits = _limits(values, new["value"], kind[0], chance)
        found.append(known | _change(values, new["value"]) | limits)
    return found


def _change(values: Sequence[float], new: float) -> Record:
    if not values:
        return {"change": None, "change_share": None}
    change = new - values[-1]
    return {"change": change, "change_share": change / abs(values[-1]) if values[-1] else None}


def _error(points: Sequence[Point]) -> float:
    """Return the mean standard error of the points, as their 95 % intervals tell it."""
    ends = [(one["low"], one["high"]) for one in points if None not in (one["low"], one["high"])]
    return fmean((high - low) / (2 * 1.96) for low, high in ends) if ends else 0.0


def _limits(values: Sequence[float], new: float, unit: str, chance: float = 0.0) -> Record:
    known: Record = dict.fromkeys(("mean", "lower_limit", "upper_limit", "left"))
    known["n_runs"] = len(values)
    if len(values) < FEWEST_RUNS:
        return known
    moves = [later - earlier for earlier, later in pairwise(values)]
    if min(moves) > 0 or max(moves) < 0:  # a running total: what is steady is how fast it grows
        mean, reach = values[-1] + fmean(moves), _reach(moves)
    else:
        mean, reach = fmean(values), max(_reach(values), chance)
    low = max(mean - reach, FLOOR.get(unit, -math.inf))
    high = min(mean + reach, CEILING.get(unit, math.inf))
    slack = 1e-9 * max(1.0, abs(mean))  # rounding is no change
    left = "above" if new > high + slack else "below" if new < low - slack else None
    return known | {"mean": mean, "lower_limit": low, "upper_limit": high, "left": left}


def _reach(values: Sequence[float]) -> float:
    return MOVING_RANGE * fmean(abs(later - earlier) for earlier, later in pairwise(values))
