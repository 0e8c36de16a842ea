"""What all tests share: hypothesis without a clock, for the machines that run them differ."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "cx", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("cx")
