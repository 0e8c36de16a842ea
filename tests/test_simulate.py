"""Simulations give back the truth that they were told, by closed forms and by counting."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

import cxlib as cx
from cxlib import sources, tables
from cxlib.simulate._draws import labels
from cxlib.simulate.clickstream import FIRST_CHANNELS, LATER_CHANNELS

YEAR = {"start": "2023-01-01", "as_of": "2023-12-31"}
BGNBD = {"r": 0.6, "alpha": 45.0, "a": 0.9, "b": 2.6}
GAMMA_GAMMA = {"p": 6.25, "q": 5.0, "v": 40.0}
SIGMAS = 4.0


@pytest.fixture(scope="module")
def orders() -> pd.DataFrame:
    return cx.simulate.orders(60_000, **YEAR, **BGNBD, **GAMMA_GAMMA, seed=11)


@pytest.fixture(scope="module")
def repeats(orders: pd.DataFrame) -> pd.DataFrame:
    """One row per customer: repeat purchases ``x`` within ``t`` days of the first."""
    by = orders.groupby("customer_id")["ordered_at"].agg(["size", "min"])
    end = pd.Timestamp("2024-01-01")
    return pd.DataFrame({"x": by["size"] - 1, "t": (end - by["min"]) / pd.Timedelta(days=1)})


# --- orders --------------------------------------------------------------------------------


def test_mean_repeats_are_those_of_fader_hardie_lee_2005_equation_9(repeats: pd.DataFrame) -> None:
    r, alpha, a, b = BGNBD.values()
    t = repeats["t"].to_numpy()
    decay = (alpha / (alpha + t)) ** r * special.hyp2f1(r, b, a + b - 1, t / (alpha + t))
    expected = (a + b - 1) / (a - 1) * (1 - decay)
    error = repeats["x"].std() / np.sqrt(len(t))
    assert abs(repeats["x"].mean() - expected.mean()) < SIGMAS * error


@pytest.mark.parametrize("x", [0, 1, 2, 5])
def test_share_with_x_repeats_is_fader_hardie_lee_2005_equation_8(
    repeats: pd.DataFrame, x: int
) -> None:
    r, alpha, a, b = BGNBD.values()
    t = repeats["t"].to_numpy()

    def count(j: int) -> np.ndarray:
        weight = special.gamma(r + j) / special.gamma(r) / special.factorial(j)
        return weight * (alpha / (alpha + t)) ** r * (t / (alpha + t)) ** j

    share = special.beta(a, b + x) / special.beta(a, b) * count(x)
    if x:
        left = special.beta(a + 1, b + x - 1) / special.beta(a, b)
        share = share + left * (1 - sum(count(j) for j in range(x)))
    error = np.sqrt(share.mean() * (1 - share.mean()) / len(t))
    assert abs((repeats["x"] == x).mean() - share.mean()) < SIGMAS * error


def test_mean_spend_is_fader_hardie_2013_pv_over_q_minus_1(orders: pd.DataFrame) -> None:
    first = orders.drop_duplicates("customer_id")["net_revenue"]
    expected = GAMMA_GAMMA["p"] * GAMMA_GAMMA["v"] / (GAMMA_GAMMA["q"] - 1)
    assert abs(first.mean() - expected) < SIGMAS * first.std() / np.sqrt(len(first))


def test_spend_is_beta_prime_as_gamma_gamma_implies(orders: pd.DataFrame) -> None:
    # z ~ Gamma(p, nu), nu ~ Gamma(q, v) gives z / (z + v) ~ Beta(p, q): Fader and Hardie 2013.
    first = orders.drop_duplicates("customer_id")["net_revenue"].to_numpy()
    share = first / (first + GAMMA_GAMMA["v"])
    assert stats.kstest(share, stats.beta(GAMMA_GAMMA["p"], GAMMA_GAMMA["q"]).cdf).pvalue > 0.001


def test_spend_within_a_customer_varies_as_gamma_of_shape_p(orders: pd.DataFrame) -> None:
    # Two orders of one customer share nu, so that x / (x + y) ~ Beta(p, p).
    place = orders.groupby("customer_id").cumcount()
    by_place = orders.assign(place=place).pivot(
        index="customer_id", columns="place", values="net_revenue"
    )
    x, y = by_place[[0, 1]].dropna().to_numpy().T
    p = GAMMA_GAMMA["p"]
    assert stats.kstest(x / (x + y), stats.beta(p, p).cdf).pvalue > 0.001


def test_first_purchases_spread_evenly_over_the_acquisition_days() -> None:
    frame = cx.simulate.orders(20_000, **YEAR, seed=3, acquisition_days=30)
    first = frame.groupby("customer_id")["ordered_at"].min()
    share = (first - pd.Timestamp("2023-01-01")) / pd.Timedelta(days=30)
    assert share.max() < 1
    assert stats.kstest(share, "uniform").pvalue > 0.001


def test_daily_wave_moves_the_share_that_the_cosine_implies() -> None:
    # Between noon and 20:00 lie 1/3 + w * sin(60°) / pi of all purchases: the integral of 1 + w cos.
    frame = cx.simulate.orders(40_000, **YEAR, seed=4, r=1e-6, daily_wave=0.8)
    share, expected = frame["ordered_at"].dt.hour.between(12, 19).mean(), 1 / 3 + 0.8 * 0.27566
    assert abs(share - expected) < SIGMAS * np.sqrt(expected * (1 - expected) / len(frame))


def test_yearly_wave_moves_the_share_that_the_cosine_implies() -> None:
    frame = cx.simulate.orders(40_000, **YEAR, seed=4, r=1e-6, yearly_wave=0.5)
    day = np.arange(365) + 0.5
    pace = 1 + 0.5 * np.cos(2 * np.pi * (day - 334) / 365.25)
    for month in (6, 12):
        in_month = pd.date_range("2023-01-01", "2023-12-31").month == month
        expected = pace[in_month].sum() / pace.sum()
        share = (frame["ordered_at"].dt.month == month).mean()
        assert abs(share - expected) < SIGMAS * np.sqrt(expected * (1 - expected) / len(frame))


def test_waves_keep_the_number_of_orders() -> None:
    still, waving = (
        cx.simulate.orders(2_000, **YEAR, seed=5, yearly_wave=wave, daily_wave=wave)
        for wave in (0.0, 0.7)
    )
    assert len(still) == len(waving)


@settings(deadline=None, max_examples=30)
@given(
    n=st.integers(1, 300),
    r=st.floats(0.01, 20),
    alpha=st.floats(0.5, 500),
    a=st.floats(0.01, 10),
    b=st.floats(0.01, 10),
    q=st.floats(0.1, 10),
    wave=st.floats(0, 0.99),
    seed=st.integers(0, 2**32),
)
def test_orders_keep_their_contract_for_any_truth(
    n: int, r: float, alpha: float, a: float, b: float, q: float, wave: float, seed: int
) -> None:
    frame = cx.simulate.orders(
        n, start="2024-02-28", as_of="2024-03-10", seed=seed, r=r, alpha=alpha, a=a, b=b, q=q,
        yearly_wave=wave, daily_wave=wave,
    )  # fmt: skip
    assert frame["customer_id"].nunique() == n
    assert frame["order_id"].is_unique
    assert frame["ordered_at"].is_monotonic_increasing
    assert frame["ordered_at"].between("2024-02-28", "2024-03-10 23:59:59").all()
    assert (frame["net_revenue"] >= 0.01).all()
    assert np.isfinite(frame["net_revenue"]).all()
    assert not frame.isna().any().any()


# --- events --------------------------------------------------------------------------------

STEPS = ("view", "cart", "checkout", "purchase")
PASSES = (0.4, 0.5, 0.8)


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    return cx.simulate.events(
        20_000,
        start="2024-05-01",
        as_of="2024-05-31",
        seed=21,
        steps=STEPS,
        step_probabilities=PASSES,
        sessions_per_user=1.8,
        stray_share=0.03,
    )


@pytest.fixture(scope="module")
def funnel(events: pd.DataFrame) -> pd.DataFrame:
    """The step events that belong to a session's own way down, strays left out."""
    steps = events[events["event"].isin(STEPS)]
    return steps[steps["occurred_at"] >= steps["session_id"].map(_opened(events))]


def _opened(events: pd.DataFrame) -> pd.Series:
    return events[events["event"] == "view"].groupby("session_id")["occurred_at"].min()


def test_each_step_follows_with_its_probability(funnel: pd.DataFrame) -> None:
    reached = funnel.groupby("event")["session_id"].nunique()
    for before, after, expected in zip(STEPS, STEPS[1:], PASSES, strict=False):
        error = np.sqrt(expected * (1 - expected) / reached[before])
        assert abs(reached[after] / reached[before] - expected) < SIGMAS * error


def _deepest(log: list[tuple[pd.Timestamp, str]], window: pd.Timedelta) -> int:
    """Largest k with t1 <= … <= tk and tk - t1 <= window, trying every entry."""
    best = 0
    for start, name in log:
        if name != STEPS[0]:
            continue
        depth, now = 1, start
        while depth < len(STEPS):
            later = [t for t, e in log if e == STEPS[depth] and now <= t <= start + window]
            if not later:
                break
            now, depth = min(later), depth + 1
        best = max(best, depth)
    return best


@pytest.mark.parametrize("window", ["3 hours", "7 days"])
def test_users_reach_as_deep_as_the_docstring_says_by_brute_force(
    events: pd.DataFrame, window: str
) -> None:
    # 1 - (1 - Q_k) exp(-m Q_k): independent attempts, 1 + Poisson(m) of them.
    some = events[events["user_id"] <= "u02000"]
    logs = [
        list(zip(log["occurred_at"], log["event"], strict=True))
        for _, log in some.groupby("user_id")
    ]
    depth = np.array([_deepest(log, pd.Timedelta(window)) for log in logs])
    for k, reach in enumerate(np.cumprod(PASSES), start=2):
        expected = 1 - (1 - reach) * np.exp(-0.8 * reach)
        error = np.sqrt(expected * (1 - expected) / len(depth))
        assert abs((depth >= k).mean() - expected) < SIGMAS * error


def test_strays_are_last_steps_before_any_session(events: pd.DataFrame) -> None:
    first = events.drop_duplicates("user_id")
    strays = first[first["event"] == "purchase"]
    assert abs(len(strays) / 20_000 - 0.03) < SIGMAS * np.sqrt(0.03 * 0.97 / 20_000)
    entry = events[events["event"] == "view"].groupby("user_id")["occurred_at"].min()
    wait = strays["user_id"].map(entry) - strays["occurred_at"]
    assert (wait == pd.Timedelta(hours=1)).all()


def test_sessions_hold_one_user_one_device_and_end_by_half_hours(funnel: pd.DataFrame) -> None:
    by = funnel.groupby("session_id")
    assert (by[["user_id", "device", "country"]].nunique() == 1).all().all()
    pause = by["occurred_at"].diff().dropna()
    assert pause.between(pd.Timedelta(seconds=1), pd.Timedelta(minutes=30)).all()
    assert abs(pause.dt.total_seconds().mean() - 120) < 5


def test_sessions_noise_and_shares_are_as_told(events: pd.DataFrame) -> None:
    per_user = events.groupby("user_id")["session_id"].nunique()
    assert abs(per_user.mean() - 1.8) < SIGMAS * np.sqrt(0.8 / len(per_user))
    noise = events[~events["event"].isin(STEPS)]
    assert set(noise["event"]) == {"search", "view_list", "help"}
    assert abs(len(noise) / per_user.sum() - 1) < SIGMAS / np.sqrt(per_user.sum())
    assert (events.groupby("user_id")["country"].nunique() == 1).all()
    share = (events.drop_duplicates("user_id")["country"] == "DE").mean()
    assert abs(share - 0.18) < SIGMAS * np.sqrt(0.18 * 0.82 / 20_000)
    assert events["event_id"].is_unique


def test_carts_and_channels_are_as_told(events: pd.DataFrame) -> None:
    sessions = events.sort_values("occurred_at", kind="stable").groupby("session_id")
    assert (sessions[["channel", "value"]].nunique() <= 1).all().all()
    assert events["value"].notna().eq(events["event"].isin(STEPS[1:])).all()
    carts = events[events["event"] == "cart"]["value"]
    assert abs(carts.mean() - 48) < SIGMAS * carts.std() / np.sqrt(len(carts))
    assert abs(np.log(carts).std() - 0.6) < 0.02
    # no session is cut off, so the earliest view tells the first session of a user
    first = sessions.agg(user=("user_id", "first"), at=("occurred_at", "first"),
                         channel=("channel", "first"), event=("event", "first"))  # fmt: skip
    first = first[first["event"] == "view"].sort_values("at", kind="stable")
    again = first.duplicated("user")
    for part, shares in ((first[~again], FIRST_CHANNELS), (first[again], LATER_CHANNELS)):
        found = part["channel"].value_counts(normalize=True)
        for name, share in shares.items():
            error = np.sqrt(share * (1 - share) / len(part))
            assert abs(found[name] - share) < SIGMAS * error + 0.005  # strays hide some sessions


def test_certain_and_impossible_steps() -> None:
    frame = cx.simulate.events(
        50,
        start="2024-05-01",
        as_of="2024-05-02",
        seed=1,
        steps=("a", "b", "c"),
        step_probabilities=(1, 0),
        noise_per_session=0,
        stray_share=0,
    )
    assert frame["event"].value_counts().to_dict() == {
        "a": frame["session_id"].nunique(),
        "b": frame["session_id"].nunique(),
    }


# --- experiment ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trial() -> cx.simulate.SimulatedExperiment:
    return cx.simulate.experiment(
        40_000,
        start="2024-11-01",
        as_of="2024-12-14",
        seed=31,
        baseline=0.10,
        lift=0.2,
        order_value=40.0,
        order_value_lift=0.1,
        treated_share=0.4,
        repeats_per_user=0.7,
    )


@pytest.fixture(scope="module")
def outcomes(trial: cx.simulate.SimulatedExperiment) -> pd.DataFrame:
    """One row per user: variant, whether converted, revenue within 14 days of first exposure."""
    first = trial.exposures.drop_duplicates("user_id").set_index("user_id")
    orders = trial.orders.join(first, on="customer_id")
    wait = orders["ordered_at"] - orders["exposed_at"]
    inside = orders[wait.between(pd.Timedelta(0), pd.Timedelta(days=14))]
    revenue = inside.groupby("customer_id")["net_revenue"].sum()
    return first.assign(revenue=revenue.reindex(first.index, fill_value=0.0))


def test_variants_convert_and_spend_as_told(
    trial: cx.simulate.SimulatedExperiment, outcomes: pd.DataFrame
) -> None:
    expected = {"control": (0.6, 0.10, 4.0), "treatment": (0.4, 0.12, 0.12 * 44)}
    assert [tuple(row) for row in trial.truth.to_numpy().tolist()] == [
        (name, *map(pytest.approx, values)) for name, values in expected.items()
    ]
    for variant, (users_share, rate, revenue) in expected.items():
        group = outcomes[outcomes["variant"] == variant]
        n = len(group)
        assert abs(n / 40_000 - users_share) < SIGMAS * np.sqrt(0.24 / 40_000)
        converted = (group["revenue"] > 0).mean()
        assert abs(converted - rate) < SIGMAS * np.sqrt(rate * (1 - rate) / n)
        assert abs(group["revenue"].mean() - revenue) < SIGMAS * group["revenue"].std() / np.sqrt(n)


def test_effect_lies_within_its_bounds(outcomes: pd.DataFrame) -> None:
    rate = (outcomes["revenue"] > 0).groupby(outcomes["variant"]).agg(["mean", "size"])
    error = np.sqrt((rate["mean"] * (1 - rate["mean"]) / rate["size"]).sum())
    assert abs(rate["mean"]["treatment"] - rate["mean"]["control"] - 0.02) < SIGMAS * error


def test_every_order_lies_in_the_window_or_before_exposure(
    trial: cx.simulate.SimulatedExperiment,
) -> None:
    first = trial.exposures.groupby("user_id")["exposed_at"].min()
    wait = trial.orders["ordered_at"] - trial.orders["customer_id"].map(first)
    assert (wait <= pd.Timedelta(days=14)).all()
    earlier = (wait < pd.Timedelta(0)).sum()
    assert abs(earlier - 4_000) < SIGMAS * np.sqrt(40_000 * 0.09)
    assert trial.orders["ordered_at"].between("2024-11-01", "2024-12-14 23:59:59").all()


def test_repeated_exposures_keep_their_variant(trial: cx.simulate.SimulatedExperiment) -> None:
    assert (trial.exposures.groupby("user_id")["variant"].nunique() == 1).all()
    assert abs(len(trial.exposures) - 40_000 * 1.7) < SIGMAS * np.sqrt(40_000 * 0.7)
    assert trial.exposures["exposed_at"].max() < pd.Timestamp("2024-12-15")


# --- responses -----------------------------------------------------------------------------


def test_answers_have_the_shares_and_the_mean_that_were_told() -> None:
    frame = cx.simulate.responses(20_000, **YEAR, seed=41, response_rate=0.5, ces_mean=4.0)
    scores = {kind: group["score"] for kind, group in frame.groupby("kind")}
    shares = [
        (len(frame) / 60_000, 0.5, 60_000),
        ((scores["nps"] >= 9).mean(), 0.5, len(scores["nps"])),
        ((scores["nps"] <= 6).mean(), 0.2, len(scores["nps"])),
        ((scores["csat"] >= 4).mean(), 0.8, len(scores["csat"])),
    ]
    for share, expected, n in shares:
        assert abs(share - expected) < SIGMAS * np.sqrt(expected * (1 - expected) / n)
    spread = np.sqrt(6 * 0.5 * 0.5 / len(scores["ces"]))
    assert abs(scores["ces"].mean() - 4.0) < SIGMAS * spread
    whole = {kind: sorted(score.unique()) for kind, score in scores.items()}
    assert whole == {
        "nps": list(range(11)),
        "csat": list(range(1, 6)),
        "ces": list(range(1, 8)),
    }


# --- all of them ---------------------------------------------------------------------------


def test_every_table_keeps_its_contract(
    orders: pd.DataFrame, events: pd.DataFrame, trial: cx.simulate.SimulatedExperiment
) -> None:
    answers = cx.simulate.responses(100, **YEAR, seed=1)
    for frame, contract in (
        (orders.head(1_000), tables.ORDERS),
        (events.head(1_000), tables.EVENTS),
        (trial.exposures.head(1_000), tables.EXPOSURES),
        (trial.orders.head(1_000), tables.ORDERS),
        (answers, tables.RESPONSES),
    ):
        assert set(contract.required) <= set(sources.load(frame, contract).columns)


@pytest.mark.parametrize("name", ["orders", "events", "responses"])
def test_the_seed_decides_everything(name: str) -> None:
    make = getattr(cx.simulate, name)
    one, same, other = (make(200, **YEAR, seed=seed) for seed in (7, 7, 8))
    pd.testing.assert_frame_equal(one, same)
    assert not one.equals(other)


def test_the_seed_decides_the_experiment() -> None:
    one, same = (cx.simulate.experiment(200, **YEAR, seed=7) for _ in range(2))
    pd.testing.assert_frame_equal(one.exposures, same.exposures)
    pd.testing.assert_frame_equal(one.orders, same.orders)


def test_ids_sort_as_text() -> None:
    assert labels("c", 11).tolist()[::10] == ["c01", "c11"]
    assert labels("c", 11).is_monotonic_increasing


BAD = [
    ("orders", {"n": 0}, "n_customers=0 is not a whole number from 1"),
    ("orders", {"n": 2.5}, "n_customers=2.5 is not a whole number"),
    ("orders", {"seed": -1}, "seed=-1 is not a whole number from 0"),
    ("orders", {"seed": True}, "seed=True is not a whole number"),
    ("orders", {"alpha": 0}, "alpha=0 is out of range; give one above 0"),
    ("orders", {"yearly_wave": 1}, "yearly_wave=1 is out of range"),
    ("orders", {"acquisition_days": 366}, "acquisition_days=366 is out of range"),
    ("orders", {"start": "2024-01-01"}, "as_of=2023-12-31 lies before start=2024-01-01"),
    ("orders", {"as_of": "31/12/2023"}, "is not a date; write YYYY-MM-DD"),
    ("events", {"step_probabilities": (0.5,)}, "has 1 values for 4 steps"),
    ("events", {"step_probabilities": (0.5, 1.5, 0.5)}, r"step_probabilities\[1\]=1.5 is out"),
    ("events", {"steps": ("view", "view")}, "must be two or more different names"),
    ("events", {"steps": ("view", "help")}, "none of search, view_list, help"),
    ("events", {"sessions_per_user": 0.5}, "sessions_per_user=0.5 is out of range"),
    ("events", {"countries": {"GB": 0}}, r"countries\['GB'\]=0 is out of range"),
    ("events", {"later_channels": {"x": -1}}, r"later_channels\['x'\]=-1 is out of range"),
    ("events", {"cart_value": 0}, "cart_value=0 is out of range"),
    ("experiment", {"lift": 20}, r"baseline \* \(1 \+ lift\)=2.1 is out of range"),
    ("experiment", {"window_days": 365}, "leaves no day for exposures in a period of 365 days"),
    ("experiment", {"treated_share": 2}, "treated_share=2 is out of range"),
    ("responses", {"nps_shares": (0.5, 0.5)}, r"len\(nps_shares\)=2 is out of range"),
    ("responses", {"nps_shares": (0, 0, 0)}, r"sum\(nps_shares\)=0.0 is out of range"),
    ("responses", {"ces_mean": 8}, "ces_mean=8 is out of range"),
]


@pytest.mark.parametrize(("name", "given", "message"), BAD)
def test_bad_arguments_say_what_to_do(name: str, given: dict, message: str) -> None:
    arguments = {**YEAR, "seed": 1, **given}
    with pytest.raises(cx.ParameterError, match=message):
        getattr(cx.simulate, name)(arguments.pop("n", 10), **arguments)


def test_a_day_is_too_short_for_many_steps() -> None:
    steps = tuple(f"step {k}" for k in range(50))
    with pytest.raises(cx.ParameterError, match="the period of 1 day is too short for 50 steps"):
        cx.simulate.events(
            5, start="2024-01-01", as_of="2024-01-01", seed=1, steps=steps,
            step_probabilities=(0.5,) * 49,
        )  # fmt: skip
