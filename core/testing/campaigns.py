"""How long property tests search: shortly in every run, for long in `make nightly`."""

import os

from hypothesis import HealthCheck, settings

#: How many times as many examples the nightly campaign draws.
_NIGHTLY = 20

#: Whether this is the nightly campaign.
IS_NIGHTLY = os.environ.get("GUANXI_CAMPAIGN") == "nightly"


def examples(count: int) -> int:
    """Return how many examples to draw where a normal run draws `count`."""
    return count * _NIGHTLY if IS_NIGHTLY else count


def use_campaign() -> None:
    """Set what Hypothesis does unless a test says otherwise.

    A normal run draws the same examples each time, so that it fails because of a change
    and not by chance; the nightly campaign draws new ones.
    """
    settings.register_profile(
        "guanxi",
        max_examples=examples(100),
        deadline=None,
        derandomize=not IS_NIGHTLY,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("guanxi")
