"""The models' assumptions, held against the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from cxlib.ltv.forecasts import LtvFit


def assumptions(fit: LtvFit) -> pd.DataFrame:
    """Return `LtvFit.checks`."""
    return pd.DataFrame()
