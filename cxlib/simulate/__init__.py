"""Customers, orders, events, experiments and answers with known truth.

What each simulation makes is a clean table that keeps its contract; `sample` turns such
tables into the raw exports of ``data/sample``, faults and all.
"""

from cxlib.simulate._sample import Sample, sample
from cxlib.simulate.clickstream import events
from cxlib.simulate.purchases import orders
from cxlib.simulate.surveys import responses
from cxlib.simulate.trial import SimulatedExperiment, experiment

__all__ = [
    "Sample",
    "SimulatedExperiment",
    "events",
    "experiment",
    "orders",
    "responses",
    "sample",
]


def __dir__() -> list[str]:
    return __all__
