"""What the tests and the examples in docstrings share: each leaves no picture and no doubt."""

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _nothing_stays_behind() -> Iterator[None]:
    yield
    if "cxlib._published" in sys.modules:
        sys.modules["cxlib._published"].stand_in_doubt(None)
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
