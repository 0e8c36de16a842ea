"""What other samples of customers would have said: refits to resampled histories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from cxlib._bgnbd import Model, fit_gamma_gamma, spend_line
from cxlib._checks import FitError
from cxlib._watched import progress
from cxlib.ltv.ahead import Ahead
from cxlib.ltv.base import Base, Numbers

SPEND = ("p", "q", "v")
AT_A_TIME = 10_000


@dataclass(frozen=True, eq=False)
class Replicates:
    """Parameters of the refits, one row each: of the model, in its order, and of the spend."""

    names: tuple[str, ...]
    model: Numbers
    spend: Numbers

    def pairs(self) -> Iterator[tuple[dict[str, float], dict[str, float]]]:
        """Give the parameters of each refit by name."""
        for orders, money in zip(self.model.tolist(), self.spend.tolist(), strict=True):
            yield dict(zip(self.names, orders, strict=True)), dict(zip(SPEND, money, strict=True))


def resampled(
    model: Model,
    values: Mapping[str, float],
    spend: Mapping[str, float],
    base: Base,
    seed: int,
    n_boot: int,
) -> Replicates:
    """Refit both models to ``n_boot`` resamples of the customers.

    Each customer weighs Poisson(1), so that a row of the base weighs Poisson(n); a customer's
    history and spend are resampled together. A resample in which nobody came again is drawn
    anew, as is one whose likelihood has no optimum that can be found; where that happens for
    more than a fifth of them there are no intervals to be had.
    """
    rng = np.random.default_rng(seed)
    again = base.frequency > 0
    refit = model.prepare(*base.histories)
    failed = 0

    def drawn(place: int) -> tuple[list[float], list[float]]:
        """Return the parameters of the next resample that has a fit, after ``place`` others."""
        nonlocal failed
        while True:
            weight = rng.poisson(base.n).astype(float)
            if not weight[again].any():
                continue
            try:
                orders = refit(np.bincount(base.history, weight), start=values)
                money = fit_gamma_gamma(
                    base.frequency[again], base.spend[again], weight[again], start=spend
                )
            except FitError:
                failed += 1
                if failed > n_boot / 5:
                    raise FitError(
                        f"intervals: {failed} of {failed + place} resamples of the customers have "
                        "no fit; ask without intervals (intervals=False), or give a longer history"
                    ) from None
                continue
            return [orders.values[name] for name in values], [money.values[name] for name in SPEND]

    found = [drawn(place) for place in progress(range(n_boot), "refits to resampled customers")]
    return Replicates(tuple(values), *(np.array(part) for part in zip(*found, strict=True)))


def quantiles(values: Numbers) -> tuple[Numbers, Numbers]:
    """Return the 2.5 % and 97.5 % points over the refits, the first axis.

    The k-th smallest of B stands at k / (B + 1): between the outer of few refits lies as much
    as should, on average (type 6 of Hyndman and Fan 1996, American Statistician 50, 361-365).
    """
    low, high = np.quantile(values, (0.025, 0.975), axis=0, method="weibull")
    return low, high


def around(point: Numbers, values: Numbers) -> tuple[Numbers, Numbers]:
    """Return the percentile interval over the refits, wide enough to hold the fit's own answer."""
    low, high = quantiles(values)
    return np.minimum(low, point), np.maximum(high, point)


def sums(
    ahead: Ahead, base: Base, alive: Numbers, if_alive: Numbers, spend: Mapping[str, float]
) -> Numbers:
    """Return for each segment the customers alive, orders and discounted spend expected."""
    cells = base.cells
    history, segment = cells["history"].to_numpy(), cells["segment"].to_numpy()
    n, money = cells["n"].to_numpy(), cells["spend"].to_numpy()
    level, slope = spend_line(spend, ahead.histories[0, history])
    alive = alive[history]
    orders, discounted = alive * if_alive[:, history]
    each = (n * alive, n * orders, discounted * (level * n + slope * money))
    return np.array([np.bincount(segment, part, len(base.segments)) for part in each])


def sums_over(ahead: Ahead, base: Base, replicates: Replicates) -> Numbers:
    """Return `sums` of every refit: refits, then measures, then segments."""
    return np.array(
        [
            sums(ahead, base, ahead.p_alive(v), ahead.if_alive(v), spend)
            for v, spend in progress(
                replicates.pairs(), "sums of the refits", len(replicates.model)
            )
        ]
    )


def bounds(
    ahead: Ahead, replicates: Replicates, points: Mapping[str, Numbers]
) -> dict[str, tuple[Numbers, Numbers]]:
    """Return the percentile interval around each of ``points``, one for each unique history.

    ``points`` are what the fit says: p_alive, expected and discounted orders, in this order.
    Histories are worked through some thousand at a time.
    """
    values = [values for values, _ in replicates.pairs()]
    if_alive = np.stack(
        [ahead.of_pairs(each) for each in progress(values, "forecasts of the refits")],
        axis=1,
    )
    found = {name: (np.empty_like(point), np.empty_like(point)) for name, point in points.items()}
    for start in range(0, ahead.histories.shape[1], AT_A_TIME):
        part = slice(start, start + AT_A_TIME)
        few = ahead.histories[:, part]
        alive = np.stack([ahead.model.p_alive(each, *few) for each in values])
        answers = (alive, *(alive * if_alive[:, :, ahead.pair[part]]))
        for (name, point), refits in zip(points.items(), answers, strict=True):
            low, high = found[name]
            low[part], high[part] = around(point[part], refits)
    return found
