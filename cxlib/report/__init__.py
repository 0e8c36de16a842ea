"""Plans of notebooks become published pages: check, run, render, publish."""

import importlib
import sys

if "rfc3987_syntax" not in sys.modules:
    # nbformat imports jsonschema, and that a grammar of web addresses in all scripts, which it
    # compiles anew in every process: most of a second for a check that nobody here asks for
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
    importlib.import_module("jsonschema")
    del sys.modules["rfc3987_syntax"]
