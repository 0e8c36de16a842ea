"""Lifetime value: who is alive, how often they will buy, and what that is worth."""

from cxlib.ltv.compare import LtvComparison, compare_ltv
from cxlib.ltv.fit import fit_ltv
from cxlib.ltv.forecasts import LtvFit
from cxlib.ltv.histories import ltv_summary
from cxlib.ltv.holdout import LtvHoldout, holdout_ltv
from cxlib.ltv.store import load_ltv

__all__ = [
    "LtvComparison",
    "LtvFit",
    "LtvHoldout",
    "compare_ltv",
    "fit_ltv",
    "holdout_ltv",
    "load_ltv",
    "ltv_summary",
]
