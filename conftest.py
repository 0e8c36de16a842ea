"""What the tests and the examples in docstrings share: pictures are closed after each."""

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _no_picture_stays_open() -> Iterator[None]:
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
