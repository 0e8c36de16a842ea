"""Who comes back, and what they bring: cohorts, fixed windows, and the time to the second order."""

from cxlib.retention.cells import retention
from cxlib.retention.curve import retention_curve, retention_difference
from cxlib.retention.repeat import repeat_rate
from cxlib.retention.revenue import net_revenue_retention
from cxlib.retention.second import time_to_second_order

__all__ = [
    "net_revenue_retention",
    "repeat_rate",
    "retention",
    "retention_curve",
    "retention_difference",
    "time_to_second_order",
]
