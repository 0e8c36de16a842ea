"""Which ways visits take: moves, steps, paths, and the touches before a purchase."""

from cxlib.journeys.paths import top_paths
from cxlib.journeys.steps import flow, step_matrix
from cxlib.journeys.touches import touch_credit, touches
from cxlib.journeys.transitions import transitions

__all__ = ["flow", "step_matrix", "top_paths", "touch_credit", "touches", "transitions"]
