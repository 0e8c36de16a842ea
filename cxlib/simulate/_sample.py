"""The raw exports of ``data/sample``: a shop in London, its truth, and the faults of real exports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cxlib.simulate import _words as words
from cxlib.simulate._draws import check_count, generator
from cxlib.simulate._export import export_orders, shop_clock, written
from cxlib.simulate._readme import readme
from cxlib.simulate._shop import (
    AS_OF,
    CART_VALUE,
    EVENTS_START,
    N_STRANGERS,
    N_USERS,
    SESSIONS_PER_USER,
    START,
    STEP_PROBABILITIES,
    Shop,
    open_shop,
)
from cxlib.simulate.clickstream import events as simulate_events
from cxlib.simulate.surveys import responses as simulate_responses

SEED = 2025
REPEATED_EVENTS, RETRIED_EVENTS = 250, 180
IN_BOTH_VARIANTS, EXPOSED_STRANGERS = 12, 15
RESPONSE_RATE = 0.12
SCORE_FAULTS = {"no_customer": 20, "no_score": 25, "unknown_kind": 10, "out_of_range": 18}
REPEATED_ANSWERS = 30

PARQUET: dict[str, Any] = {  # half the size of the defaults
    "compression": "zstd",
    "use_dictionary": ["user_id", "event", "session_id", "country", "device", "channel", "value"],
    "column_encoding": {"event_id": "DELTA_BYTE_ARRAY", "occurred_at": "DELTA_BINARY_PACKED"},
}


@dataclass(frozen=True, eq=False)
class Sample:
    """What `sample` wrote: the truth behind the files, and the faults planted in them.

    Attributes
    ----------
    orders, events, exposures, responses : pandas.DataFrame
        The tables that cleaning must give back, at their contracts' grain, on the shop's clock.
    faults : pandas.DataFrame
        One row per fault: ``file``, ``fault``, ``rule`` (the loss that counts it; empty where
        cleaning repairs or keeps it), ``rows`` (raw rows), ``revenue`` (of lost order rows, in
        pounds; else null).
    """

    orders: pd.DataFrame
    events: pd.DataFrame
    exposures: pd.DataFrame
    responses: pd.DataFrame
    faults: pd.DataFrame


def sample(folder: str | Path, *, seed: int = SEED) -> Sample:
    """Write the sample exports, and the README that accounts for them, into a folder.

    Parameters
    ----------
    folder : path
        Made if it is not there; ``orders.csv``, ``events.parquet``, ``exposures.csv``,
        ``responses.csv`` and ``README.md`` in it are written over.
    seed : int, default 2025
        The same seed makes the same files (Parquet: the same rows).

    Returns
    -------
    Sample
        The truth, and the planted faults.

    Raises
    ------
    ParameterError
        ``seed`` is not a whole number from 0.

    Examples
    --------
    >>> import cxlib as cx, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = cx.simulate.sample(folder)
    >>> made.faults.columns.tolist()
    ['file', 'fault', 'rule', 'rows', 'revenue']
    """
    shop = open_shop(check_count("seed", seed, 0))
    orders_raw, orders_faults = export_orders(shop, seed + 10)
    events_raw, events_true, events_faults = _events(seed + 20)
    exposures_raw, exposures_true, exposures_faults = _exposures(shop, seed + 30)
    responses_raw, responses_true, responses_faults = _responses(shop, seed + 40)
    faults = {
        "orders.csv": orders_faults,
        "events.parquet": events_faults,
        "exposures.csv": exposures_faults,
        "responses.csv": responses_faults,
    }
    made = Sample(
        orders=_true_orders(shop),
        events=events_true,
        exposures=exposures_true,
        responses=responses_true,
        faults=pd.concat([frame.assign(file=file) for file, frame in faults.items()]).reindex(
            columns=["file", "fault", "rule", "rows", "revenue"]
        ),
    )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _write_csv(orders_raw, folder / "orders.csv")
    events_raw.to_parquet(folder / "events.parquet", index=False, **PARQUET)
    _write_csv(exposures_raw, folder / "exposures.csv")
    _write_csv(responses_raw, folder / "responses.csv")
    raw_rows = {"orders.csv": len(orders_raw), "events.parquet": len(events_raw)}
    raw_rows |= {"exposures.csv": len(exposures_raw), "responses.csv": len(responses_raw)}
    text = readme(made.faults, raw_rows, seed, shop)
    (folder / "README.md").write_text(text, encoding="utf-8", newline="\n")
    return made


def _write_csv(frame: pd.DataFrame, path: Path) -> None:
    frame.to_csv(path, index=False, encoding="utf-8", lineterminator="\n")


def _fault_frame(faults: list[tuple[str, str, int]]) -> pd.DataFrame:
    return pd.DataFrame(faults, columns=["fault", "rule", "rows"])


def _true_orders(shop: Shop) -> pd.DataFrame:
    kept = shop.books[shop.books["rule"] == ""]
    return pd.DataFrame(
        {
            "order_id": kept["order_id"],
            "customer_id": kept["customer_id"],
            "ordered_at": shop_clock(kept["utc"]),
            "net_revenue": (kept["total"] - kept["refunded"]) / 100,
        }
    ).reset_index(drop=True)


def _events(seed: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return the raw log, the true one, and the faults between them."""
    rng = generator(seed)
    countries = {name: country.share for name, country in words.COUNTRIES.items()}
    true, strangers = (
        simulate_events(
            n,
            start=EVENTS_START,
            as_of=AS_OF,
            seed=seed + extra,
            step_probabilities=STEP_PROBABILITIES,
            sessions_per_user=SESSIONS_PER_USER,
            noise_per_session=0.7,
            cart_value=CART_VALUE,
            countries=countries,
        )
        for extra, n in enumerate([N_USERS, N_STRANGERS], start=1)
    )
    strangers = strangers.assign(
        user_id=None,
        event_id="n" + strangers["event_id"],
        session_id="n" + strangers["session_id"],
    )
    twice = rng.permutation(len(true))[: REPEATED_EVENTS + RETRIED_EVENTS]
    repeated, retried = true.take(twice[:REPEATED_EVENTS]), true.take(twice[REPEATED_EVENTS:])
    later = pd.Series(rng.integers(1, 6, size=RETRIED_EVENTS), index=retried.index)
    retried = retried.assign(occurred_at=retried["occurred_at"] + later * pd.Timedelta(seconds=1))
    raw = pd.concat([true, strangers, repeated, retried], ignore_index=True)
    raw = raw.sort_values(["occurred_at", "event_id"], kind="stable", ignore_index=True)
    faults = [
        ("visitor who never signed in", "no_user", len(strangers)),
        ("row repeated exactly", "duplicate_row", REPEATED_EVENTS),
        ("delivery retried: same event id, some seconds later", "duplicate_event", RETRIED_EVENTS),
    ]
    return (
        raw.assign(occurred_at=raw["occurred_at"].dt.tz_localize("UTC")),
        true.assign(occurred_at=shop_clock(true["occurred_at"])),
        _fault_frame(faults),
    )


def _exposures(shop: Shop, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return the raw exposures, the true ones, and the faults between them."""
    rng = generator(seed)
    shown = shop.trial.exposures
    first = shown.drop_duplicates("user_id")
    both = first.take(rng.permutation(len(first))[:IN_BOTH_VARIANTS])
    other = {"control": "treatment", "treatment": "control"}
    both = both.assign(
        variant=both["variant"].map(other), exposed_at=both["exposed_at"] + pd.Timedelta(hours=2)
    )
    strangers = shown.take(rng.permutation(len(shown))[:EXPOSED_STRANGERS]).assign(user_id="")
    true = pd.concat([shown, both], ignore_index=True)
    raw = pd.concat([true, strangers], ignore_index=True)
    raw = raw.sort_values(["exposed_at", "user_id"], kind="stable", ignore_index=True)
    faults = [
        ("exposure without a user", "no_user", EXPOSED_STRANGERS),
        ("exposure of a user seen before", "", len(shown) - len(first)),
        ("user shown the other variant two hours later", "", IN_BOTH_VARIANTS),
    ]
    moment = written(raw["exposed_at"], "%Y-%m-%dT%H:%M:%SZ", zone="UTC")
    true = true.assign(exposed_at=shop_clock(true["exposed_at"]))
    return raw.assign(exposed_at=moment), true, _fault_frame(faults)


def _responses(shop: Shop, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return the raw answers, the true ones, and the faults between them."""
    rng = generator(seed)
    kept = shop.books[shop.books["rule"] == ""].reset_index(drop=True)
    true = simulate_responses(
        len(kept), start=START, as_of=AS_OF, seed=seed + 1, response_rate=RESPONSE_RATE
    )
    place = true["customer_id"].str[1:].astype("int64").to_numpy() - 1
    order = kept.take(place).reset_index(drop=True)
    wait = pd.Series(rng.integers(86_400, 8 * 86_400, size=len(true))) * pd.Timedelta(seconds=1)
    true = true.assign(customer_id=order["customer_id"], responded_at=order["utc"] + wait)
    true = true[true["responded_at"] < pd.Timestamp(AS_OF) + pd.Timedelta(days=1)]
    true = true.sort_values(["responded_at", "customer_id", "kind"], ignore_index=True)

    parts = [true.assign(score=true["score"].astype("int64").astype("str"))]
    spoilt = {
        "no_customer": {"customer_id": ""},
        "no_score": {"score": ""},
        "unknown_kind": {"kind": "stars"},
        "out_of_range": {"score": "11"},
    }
    for rule, n in SCORE_FAULTS.items():
        some = parts[0].take(rng.permutation(len(true))[:n])
        parts.append(some.assign(**spoilt[rule]))
    parts.append(parts[0].take(rng.permutation(len(true))[:REPEATED_ANSWERS]))
    raw = pd.concat(parts, ignore_index=True)
    raw = raw.sort_values(["responded_at", "customer_id", "kind"], kind="stable", ignore_index=True)
    text = written(raw["responded_at"], "%Y-%m-%dT%H:%M:%S%z")
    texts = {
        "no_customer": "answer without a customer",
        "no_score": "answer left blank",
        "unknown_kind": "a kind that is none of ours (stars)",
        "out_of_range": "a score of 11",
    }
    faults = [(texts[rule], rule, n) for rule, n in SCORE_FAULTS.items()]
    faults.append(("row repeated exactly", "duplicate_row", REPEATED_ANSWERS))
    return (
        raw.assign(responded_at=text.str[:-2] + ":" + text.str[-2:]),
        true.assign(responded_at=shop_clock(true["responded_at"])),
        _fault_frame(faults),
    )
