"""Finished table to Axes: one function for each analysis, of the same name.

Nothing is computed here. Every figure is labelled in words, says its units, reads in
grey, and carries alt text (``ax.figure.alt``) that notebooks and reports pass on. Most
also say what they show, in one sentence that stands under the picture
(``ax.figure.reading``).
"""

from cxlib.plot._experiment import experiment, sample_ratio
from cxlib.plot._experiment_days import experiment_novelty, experiment_over_time
from cxlib.plot._experiment_shapes import experiment_distribution, power_curve
from cxlib.plot._funnel import funnel, funnel_difference
from cxlib.plot._funnel_time import funnel_trend, time_to_convert
from cxlib.plot._health import activity, losses, waterfall
from cxlib.plot._journeys import flow, step_matrix, transitions
from cxlib.plot._ltv import ltv, ltv_segments
from cxlib.plot._ltv_checks import ltv_calibration, ltv_grid, ltv_tracking
from cxlib.plot._paths import top_paths
from cxlib.plot._repeat import rfm_movement, segment_sizes, time_to_second_order
from cxlib.plot._retention import retention, retention_curve
from cxlib.plot._shares import cart_abandonment, touch_credit

__all__ = [
    "cart_abandonment",
    "activity",
    "experiment",
    "experiment_distribution",
    "experiment_novelty",
    "experiment_over_time",
    "flow",
    "funnel",
    "funnel_difference",
    "funnel_trend",
    "losses",
    "ltv",
    "ltv_calibration",
    "ltv_grid",
    "ltv_segments",
    "ltv_tracking",
    "power_curve",
    "retention",
    "retention_curve",
    "rfm_movement",
    "sample_ratio",
    "segment_sizes",
    "time_to_convert",
    "step_matrix",
    "time_to_second_order",
    "top_paths",
    "touch_credit",
    "transitions",
    "waterfall",
]


def __dir__() -> list[str]:
    return __all__
