"""What holds for all tests."""

from hypothesis import HealthCheck, settings

settings.register_profile("weft", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("weft")
"""How busy the machine is says nothing about the code."""
