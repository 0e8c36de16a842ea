"""Raw exports become tables that keep their contract, every loss counted."""

from cxlib.clean.freshness import freshness, gaps
from cxlib.clean.health import activity, completeness
from cxlib.clean.losses import Cleaned, waterfall
from cxlib.clean.orders import clean_orders
from cxlib.clean.others import clean_events, clean_exposures, clean_responses
from cxlib.clean.outliers import outliers
from cxlib.clean.people import busiest, orphans

__all__ = [
    "Cleaned",
    "activity",
    "busiest",
    "clean_events",
    "clean_exposures",
    "clean_orders",
    "clean_responses",
    "completeness",
    "freshness",
    "gaps",
    "orphans",
    "outliers",
    "waterfall",
]
