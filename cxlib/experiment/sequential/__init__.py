"""Looking before the planned end without inflating the error.

`GroupSequential` and `AlwaysValid` are the two ways: both turn a level into a factor on the
standard error (`critical`) and a standardised effect into a p value (`p_value`).
"""

from cxlib.experiment.sequential.always import (
    AlwaysValid,
    log_mixture_ratio,
    msprt_p_value,
    sequential_sample_ratio,
)
from cxlib.experiment.sequential.designs import (
    classic_boundaries,
    conversion_race,
    drift_for_power,
    futility_boundaries,
)
from cxlib.experiment.sequential.group import (
    GroupSequential,
    adjusted_interval,
    boundaries,
    spent,
)
from cxlib.experiment.sequential.paths import crossings

__all__ = [
    "AlwaysValid",
    "GroupSequential",
    "adjusted_interval",
    "boundaries",
    "classic_boundaries",
    "conversion_race",
    "crossings",
    "drift_for_power",
    "futility_boundaries",
    "log_mixture_ratio",
    "msprt_p_value",
    "sequential_sample_ratio",
    "spent",
]
