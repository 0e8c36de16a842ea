"""How far users get through steps, and the carts that they leave."""

from cxlib.funnel.abandonment import cart_abandonment
from cxlib.funnel.answers import funnel
from cxlib.funnel.busiest import busiest_users
from cxlib.funnel.converting import time_to_convert
from cxlib.funnel.difference import funnel_difference
from cxlib.funnel.dropped import funnel_dropped
from cxlib.funnel.steps import Exclude, Step
from cxlib.funnel.totals import funnel_totals
from cxlib.funnel.trend import funnel_trend

__all__ = [
    "Exclude",
    "Step",
    "busiest_users",
    "cart_abandonment",
    "funnel",
    "funnel_difference",
    "funnel_dropped",
    "funnel_totals",
    "funnel_trend",
    "time_to_convert",
]
