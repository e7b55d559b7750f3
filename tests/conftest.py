"""The fixtures of every test."""

from core.testing.campaigns import use_campaign
from core.testing.fixtures import *  # noqa: F403

use_campaign()
