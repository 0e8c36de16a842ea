"""What all tests share: hypothesis without a clock, for the machines that run them differ."""

from collections.abc import Iterator
from typing import Any

import engines
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "cx", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("cx")


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """A local Spark, through ibis."""
    with engines.spark() as connection:
        yield connection
