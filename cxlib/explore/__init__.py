"""Controls beside a picture, for JupyterLab: try choices, then copy the call that they make.

Each function shows a panel whose controls are built from the signature of the analysis
itself. In a run without a reader, such as `cx run`, a panel shows nothing.
"""

from cxlib.explore.analyses import experiment, funnel, ltv, retention

__all__ = ["experiment", "funnel", "ltv", "retention"]


def __dir__() -> list[str]:
    return __all__
