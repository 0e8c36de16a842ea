"""Events of users who come back, in sessions, through a funnel of known step probabilities."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from cxlib._checks import ParameterError, check_number, lasting
from cxlib.simulate._draws import (
    Floats,
    Ints,
    Period,
    check_count,
    check_positive,
    generator,
    labels,
    pick,
)

STEPS = ("view", "cart", "checkout", "purchase")
NOISE = ("search", "view_list", "help")
COUNTRIES = {"GB": 0.55, "DE": 0.18, "IL": 0.12, "FR": 0.08, "US": 0.07}
DEVICES = {"mobile": 0.6, "desktop": 0.35, "tablet": 0.05}
FIRST_CHANNELS = {"search": 0.4, "social": 0.25, "affiliate": 0.15, "direct": 0.15, "email": 0.05}
LATER_CHANNELS = {"search": 0.15, "social": 0.05, "affiliate": 0.05, "direct": 0.4, "email": 0.35}
CART_SPREAD = 0.6  # of the logarithm of a cart's value
STEP_SECONDS = 120.0  # mean pause between two steps
LONGEST_STEP = 1_800  # a session ends after half an hour of silence
LEAD_SECONDS = 3_600  # a stray last step comes this long before the first session


def events(
    n_users: int,
    *,
    start: str | dt.date,
    as_of: str | dt.date,
    seed: int,
    steps: Sequence[str] = STEPS,
    step_probabilities: Sequence[float] = (0.30, 0.55, 0.70),
    sessions_per_user: float = 1.6,
    noise_per_session: float = 1.0,
    stray_share: float = 0.01,
    countries: Mapping[str, float] = COUNTRIES,
    devices: Mapping[str, float] = DEVICES,
    first_channels: Mapping[str, float] = FIRST_CHANNELS,
    later_channels: Mapping[str, float] = LATER_CHANNELS,
    cart_value: float = 48.0,
) -> pd.DataFrame:
    """Simulate an event log with a known funnel.

    Parameters
    ----------
    n_users : int
        Users; each has at least one session, and each session starts at the first step.
    start, as_of : str or date
        First and last observed day, both included; no session is cut off by either.
    seed : int
        The same seed makes the same events.
    steps : sequence of str, default view, cart, checkout, purchase
        Names of the funnel's steps, in order.
    step_probabilities : sequence of float, default 0.30, 0.55, 0.70
        Within a session, the probability of each later step, given the step before it.
    sessions_per_user : float, default 1.6
        Mean number of sessions: one, and a Poisson number of further ones.
    noise_per_session : float, default 1.0
        Mean number of events that belong to no step: search, view_list, help.
    stray_share : float in [0, 1], default 0.01
        Share of users whose log opens with the last step, an hour before their first session,
        as an e-mailed receipt does. It begins no funnel and must count in none.
    countries, devices : dict of str to float
        Names and their shares, of users and of sessions.
    first_channels, later_channels : dict of str to float
        Where the first session of a user comes from, and where the later ones do.
    cart_value : float, default 48.0
        Mean value of what a session puts into its cart (log-normal, and independent of what
        becomes of it).

    Returns
    -------
    pandas.DataFrame
        One row per event, in order of time: ``user_id``, ``event``, ``occurred_at`` (shop's clock,
        to the second), ``session_id``, ``event_id``, ``country`` (one for each user), ``device`` and
        ``channel`` (one for each session), ``value`` (of the session's cart, to the hundredth; null
        at the first step and where the event is no step). The pause between two steps is 2
        minutes in the mean and half an hour at most.

    Raises
    ------
    ParameterError
        A number is out of range, there is not one probability for each later step, or the
        period is shorter than a session can be.

    Notes
    -----
    With Q_k the product of the first k - 1 probabilities and m further sessions in the
    mean, a user's deepest session reaches step k with probability
    1 - (1 - Q_k) exp(-m Q_k): the Poisson mixture of independent attempts. This is the funnel's
    truth within any window that is as long as a session. Whatever is left in carts, in number
    and in value, is 1 less the product of all probabilities after the second step.

    Examples
    --------
    >>> import cxlib as cx
    >>> frame = cx.simulate.events(50, start="2024-05-01", as_of="2024-05-31", seed=1)
    >>> frame.columns.tolist()
    ['user_id', 'event', 'occurred_at', 'session_id', 'event_id', 'country', 'device', 'channel', 'value']
    """
    n = check_count("n_users", n_users)
    period = Period.check(start, as_of)
    passes = _check_steps(steps, step_probabilities)
    check_number("sessions_per_user", sessions_per_user, 1)
    check_number("noise_per_session", noise_per_session, 0)
    check_number("stray_share", stray_share, 0, 1)
    _check_shares(countries=countries, devices=devices)
    _check_shares(first_channels=first_channels, later_channels=later_channels)
    check_positive(cart_value=cart_value)
    longest = _check_is_long_enough(period, steps)

    rng = generator(seed)
    user = np.repeat(np.arange(n, dtype=np.int64), 1 + rng.poisson(sessions_per_user - 1, n))
    opened = rng.integers(LEAD_SECONDS, period.seconds - longest, size=len(user))
    session, event, seconds = _log(rng, user, opened, passes, noise_per_session, stray_share)
    country = pick(rng, [*countries.values()], n)
    device = pick(rng, [*devices.values()], len(user))
    first = _first_sessions(user, opened, n)
    channel = _channels(rng, len(user), first, first_channels, later_channels)
    value = _cart_values(rng, len(user), cart_value)[session]
    value[(event == 0) | (event >= len(steps))] = np.nan
    return pd.DataFrame(
        {
            "user_id": labels("u", n).take(user[session]).array,
            "event": _text([*steps, *NOISE]).take(event).array,
            "occurred_at": period.stamps(seconds),
            "session_id": labels("s", len(user)).take(session).array,
            "event_id": labels("e", len(event)),
            "country": _text(countries).take(country[user[session]]).array,
            "device": _text(devices).take(device[session]).array,
            "channel": channel.take(session).array,
            "value": value,
        }
    )


def _check_steps(steps: Sequence[str], probabilities: Sequence[float]) -> Floats:
    if len(steps) < 2 or len(set(steps)) < len(steps) or set(steps) & set(NOISE):
        raise ParameterError(
            f"steps={list(steps)!r} must be two or more different names, none of {', '.join(NOISE)}"
        )
    if len(probabilities) != len(steps) - 1:
        raise ParameterError(
            f"step_probabilities has {len(probabilities)} values for {len(steps)} steps; give one for "
            "each step after the first"
        )
    for place, value in enumerate(probabilities):
        check_number(f"step_probabilities[{place}]", value, 0, 1)
    return np.asarray(probabilities, float)


def _check_shares(**shares: Mapping[str, float]) -> None:
    for what, names in shares.items():
        check_positive(**{f"{what}[{name!r}]": share for name, share in names.items()})


def _check_is_long_enough(period: Period, steps: Sequence[str]) -> int:
    """Return how many seconds a session may take."""
    longest = LONGEST_STEP * len(steps)
    if period.seconds <= longest + LEAD_SECONDS:
        raise ParameterError(
            f"the period of {lasting(period.days * 86_400)} is too short for {len(steps)} steps"
        )
    return longest


def _text(names: Iterable[str]) -> pd.Series:
    return pd.Series(list(names), dtype="str")


def _log(
    rng: np.random.Generator,
    user: Ints,
    opened: Ints,
    passes: Floats,
    noise_per_session: float,
    stray_share: float,
) -> tuple[Ints, Ints, Ints]:
    """Return session, event and second of all that happens, in order of time, then of session."""
    n_steps, n_users = len(passes) + 1, int(user[-1]) + 1
    parts = [
        _funnel(rng, opened, passes),
        _noise(rng, opened, noise_per_session, n_steps),
        _strays(rng, user, opened, stray_share, n_users, n_steps),
    ]
    session, event, seconds = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(seconds * len(user) + session, kind="stable")
    return session[order], event[order], seconds[order]


def _funnel(rng: np.random.Generator, opened: Ints, passes: Floats) -> tuple[Ints, Ints, Ints]:
    """Return session, step and second of each session's way down."""
    size = (len(opened), len(passes))
    reached = np.logical_and.accumulate(rng.random(size) < passes, axis=1)
    pauses = 1 + rng.standard_exponential(size) * STEP_SECONDS
    pauses = np.minimum(pauses, LONGEST_STEP).astype(np.int64)
    reached = np.column_stack([np.ones(len(opened), bool), reached])
    seconds = opened[:, None] + np.column_stack([np.zeros_like(opened), pauses.cumsum(axis=1)])
    session, step = np.nonzero(reached)
    return session, step, seconds[reached]


def _noise(
    rng: np.random.Generator, opened: Ints, per_session: float, n_steps: int
) -> tuple[Ints, Ints, Ints]:
    session = np.repeat(np.arange(len(opened)), rng.poisson(per_session, len(opened)))
    seconds = opened[session] + rng.integers(LONGEST_STEP, size=len(session))
    return session, n_steps + rng.integers(len(NOISE), size=len(session)), seconds


def _strays(
    rng: np.random.Generator, user: Ints, opened: Ints, share: float, n: int, n_steps: int
) -> tuple[Ints, Ints, Ints]:
    """Return a lone last step, an hour before the first session, of a share of the users."""
    first = _first_sessions(user, opened, n)
    first = first[rng.random(n) < share]
    return first, np.full(len(first), n_steps - 1), opened[first] - LEAD_SECONDS


def _first_sessions(user: Ints, opened: Ints, n: int) -> Ints:
    """Return the earliest session of each user."""
    return np.lexsort((opened, user))[np.searchsorted(user, np.arange(n))]


def _channels(
    rng: np.random.Generator,
    n_sessions: int,
    first: Ints,
    firsts: Mapping[str, float],
    laters: Mapping[str, float],
) -> pd.Series:
    """Return where each session comes from."""
    channel = pick(rng, [*laters.values()], n_sessions)
    channel[first] = len(laters) + pick(rng, [*firsts.values()], len(first))
    return _text([*laters, *firsts]).take(channel).reset_index(drop=True)


def _cart_values(rng: np.random.Generator, n_sessions: int, mean: float) -> Floats:
    """Return log-normal values of that mean."""
    normal = rng.standard_normal(n_sessions)
    return np.round(mean * np.exp(CART_SPREAD * normal - CART_SPREAD**2 / 2), 2)
