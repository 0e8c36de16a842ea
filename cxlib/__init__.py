"""Customer-experience analysis for e-commerce: ``import cxlib as cx``."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from types import ModuleType
from typing import Any

_HOMES = {
    "_checks": ("CxError", "ColumnError", "DataError", "ParameterError", "FitError", "PlanError"),
    "sources": ("read", "presets", "set_engine"),
    "clean": (
        "Cleaned",
        "activity",
        "completeness",
        "waterfall",
        "freshness",
        "gaps",
        "busiest",
        "orphans",
        "outliers",
        "clean_orders",
        "clean_events",
        "clean_exposures",
        "clean_responses",
    ),
    "retention": (
        "retention",
        "retention_curve",
        "retention_difference",
        "net_revenue_retention",
        "repeat_rate",
        "time_to_second_order",
    ),
    "funnel": (
        "funnel",
        "funnel_trend",
        "funnel_totals",
        "funnel_difference",
        "funnel_dropped",
        "time_to_convert",
        "busiest_users",
        "cart_abandonment",
        "Step",
        "Exclude",
    ),
    "journeys": (
        "transitions",
        "step_matrix",
        "flow",
        "top_paths",
        "touches",
        "touch_credit",
    ),
    "segments": ("rfm", "segment_sizes", "rfm_movement"),
    "experiment": (
        "experiment",
        "plan_experiment",
        "aa_test",
        "Conversion",
        "Mean",
        "Ratio",
        "Quantile",
    ),
    "ltv": ("fit_ltv", "compare_ltv", "holdout_ltv", "load_ltv", "ltv_summary"),
    "headline": ("headline",),
    "show": ("show", "withhold"),
}
_MODULES = ("explore", "plot", "simulate")
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted([*_HOME, *_MODULES])


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``import cxlib`` stays light."""
    if name in _MODULES:
        return _imported(name)
    if name in _HOME:
        return getattr(_imported(_HOME[name]), name)
    from cxlib._checks import suggest

    raise AttributeError(f"module 'cxlib' has no attribute {name!r}.{suggest(name, __all__)}")


def _imported(module: str) -> ModuleType:
    """Import a module, and let the garbage collector pass over what it brought.

    The half million objects of pandas, ibis, scipy and matplotlib stay as long as the process;
    to look through them again and again is a seventh of what the first cells of a notebook cost.
    """
    known, collects = len(sys.modules), gc.isenabled()
    gc.disable()
    try:
        return importlib.import_module(f"cxlib.{module}")
    finally:
        if len(sys.modules) > known:
            gc.freeze()
        if collects:
            gc.enable()


def __dir__() -> list[str]:
    return __all__


class _Package(ModuleType):
    """`cx.retention` is the function, also after Python has imported the module of that name."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _HOME and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package

if "CX_MIN_GROUP" in os.environ:  # a kernel whose output is published: see cxlib/_guard.py
    importlib.import_module("cxlib._guard").guard()
