"""Imported once by the process that reports are forked from: all that most of them need.

It imports, and writes one page with nothing in it: no thread, no connection and no open file is
there to be forked.
"""

import gc
import importlib
import os
import signal

interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the run's to answer
gc.disable()  # nothing of what follows is garbage
runner = importlib.import_module("cxlib.report.runner")
os.environ.update(runner.KERNEL_SETTINGS)  # read as the debugger is imported

for module in (
    "cxlib.report.engine",
    "cxlib.report.pool",
    "debugpy.server.api",
    "ibis.backends.duckdb",
    "ipykernel.debugger",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.magics.execution",
    "IPython.extensions.storemagic",
    "matplotlib_inline.backend_inline",
    "pyarrow.dataset",
    "sqlite3",
    "statsmodels.duration.survfunc",
    "statsmodels.stats.proportion",
    "tornado.platform.asyncio",
):
    importlib.import_module(module)

cxlib = importlib.import_module("cxlib")
for name in cxlib.__all__:
    getattr(cxlib, name)

# compiles the template, and the patterns and selectors that pages are read and cleaned with
v4, page = importlib.import_module("nbformat.v4"), importlib.import_module("cxlib.report.page")
table = v4.new_output("display_data", {"text/html": "<table><td>1</td></table>"})
cells = [v4.new_markdown_cell("# 1\n\n## 2\n\n3"), v4.new_code_cell(outputs=[table])]
page.rehearse(v4.new_notebook(cells=cells))

gc.enable()
gc.collect()
signal.signal(signal.SIGINT, interrupted)
gc.freeze()  # what is imported never goes: no report need look through it, or copy it by looking
