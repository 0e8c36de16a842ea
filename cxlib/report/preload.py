"""Imported once by the process that reports are forked from: all that most of them need.

It imports and runs nothing, so that no thread and no connection is there to be forked.
"""

import gc
import importlib

import cxlib
import cxlib.report.page
import cxlib.report.pool
import cxlib.report.runner

for name in cxlib.__all__:
    getattr(cxlib, name)

for module in (
    "papermill",
    "ibis.backends.duckdb",
    "pyarrow.dataset",
    "statsmodels.duration.survfunc",
    "statsmodels.stats.proportion",
):
    importlib.import_module(module)

cxlib.report.page.exporter()

gc.collect()
gc.freeze()  # what is imported never goes: no report need look through it, or copy it by looking
