"""The fit as objects of lifetimes, for people who have code on them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pandas as pd

from cxlib._checks import ParameterError

if TYPE_CHECKING:
    from cxlib.ltv.forecasts import LtvFit


def lifetimes_fitters(fit: LtvFit) -> tuple[Any, Any]:
    """Return `LtvFit.to_lifetimes`."""
    if fit.model != "bgnbd":
        raise ParameterError(
            f"to_lifetimes() gives a BetaGeoFitter, which is BG/NBD; this fit is of {fit.model!r}: "
            "fit with model='bgnbd'"
        )
    lifetimes = _imported()
    orders, spend = lifetimes.BetaGeoFitter(), lifetimes.GammaGammaFitter()
    orders.params_, spend.params_ = pd.Series(fit._values), pd.Series(fit._spend)
    orders.predict = orders.conditional_expected_number_of_purchases_up_to_time
    return orders, spend


def _imported() -> Any:
    """Import lifetimes, and take back what that does to everybody.

    It ignores all FutureWarnings from then on, and silences pandas' warning of chained assignment.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chained = pd.get_option("mode.chained_assignment")
        import lifetimes

        pd.set_option("mode.chained_assignment", chained)
    return lifetimes
