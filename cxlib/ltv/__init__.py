"""Lifetime value: who is alive, how often they will buy, and what that is worth."""

from cxlib.ltv.fit import fit_ltv
from cxlib.ltv.forecasts import LtvFit
from cxlib.ltv.histories import ltv_summary

__all__ = ["LtvFit", "fit_ltv", "ltv_summary"]
