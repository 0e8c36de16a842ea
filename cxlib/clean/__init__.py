"""Raw exports become tables that keep their contract, every loss counted."""

from cxlib.clean.health import activity, completeness
from cxlib.clean.losses import Cleaned
from cxlib.clean.orders import clean_orders
from cxlib.clean.others import clean_events, clean_exposures, clean_responses

__all__ = [
    "Cleaned",
    "activity",
    "completeness",
    "clean_events",
    "clean_exposures",
    "clean_orders",
    "clean_responses",
]
