"""The fixtures of every plugin's tests."""

from core.testing.campaigns import use_campaign
from core.testing.fixtures import *  # noqa: F403
from core.testing.shipped import *  # noqa: F403

use_campaign()
