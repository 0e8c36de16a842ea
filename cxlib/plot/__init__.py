"""Finished table to Axes: one function for each analysis, of the same name.

Nothing is computed here. Every figure is labelled in words, says its units, reads in
grey, and carries alt text (``ax.figure.alt``) that notebooks and reports pass on. Those of
lifetime value also say what they show, in one sentence that stands under the picture
(``ax.figure.reading``).
"""

from cxlib.plot._experiment import experiment
from cxlib.plot._funnel import funnel
from cxlib.plot._health import activity, losses
from cxlib.plot._ltv import ltv, ltv_segments
from cxlib.plot._ltv_checks import ltv_calibration, ltv_grid, ltv_tracking
from cxlib.plot._retention import retention, retention_curve

__all__ = [
    "activity",
    "experiment",
    "funnel",
    "losses",
    "ltv",
    "ltv_calibration",
    "ltv_grid",
    "ltv_segments",
    "ltv_tracking",
    "retention",
    "retention_curve",
]
