"""CDNOW as lifetimes packages it, and lifetimes itself, imported without its side effects."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from pathlib import Path
from typing import Any

import pandas as pd

CALIBRATION_END = "1997-09-30"  # 39 weeks


def _folder() -> Path:
    spec = importlib.util.find_spec("lifetimes")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "datasets"


def customers() -> pd.DataFrame:
    """The 2,357 customers of the papers over 39 weeks: frequency, recency, T (weeks), spend."""
    frame = pd.read_csv(_folder() / "cdnow_customers_summary_with_transactions.csv")
    return frame.set_axis(["customer_id", "frequency", "recency", "T", "monetary_value"], axis=1)


def orders() -> pd.DataFrame:
    """The transactions of the same customers over 78 weeks, in the shape of our orders.

    Eight of them are free of charge and count as purchases in the papers: here they cost 0.1 cent.
    """
    frame = pd.read_csv(
        _folder() / "CDNOW_sample.txt",
        sep=r"\s+",
        names=["master_id", "customer_id", "ordered_at", "n_items", "net_revenue"],
        dtype={"customer_id": "str", "ordered_at": "str"},
    )
    frame["net_revenue"] = frame["net_revenue"].clip(lower=0.001)
    return frame.assign(
        order_id=[str(row) for row in range(len(frame))],
        ordered_at=pd.to_datetime(frame["ordered_at"], format="%Y%m%d"),
    )[["order_id", "customer_id", "ordered_at", "net_revenue"]]


def lifetimes(module: str = "lifetimes") -> Any:
    """Import lifetimes, which warns, and filters every FutureWarning from then on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(module)
