"""What of a running process is needed where there is no request: upkeep, commands, the demo."""

from typing import Protocol

from core.clock import Clock
from core.db import Database
from core.extension.hooks import Hooks
from core.settings import Settings
from core.tables.registry import Registries


class Running(Protocol):
    """The long-lived parts of one process that every operation needs."""

    @property
    def db(self) -> Database:
        """Return the database."""

    @property
    def registries(self) -> Registries:
        """Return the process's registries."""

    @property
    def hooks(self) -> Hooks:
        """Return the plugins' hooks."""

    @property
    def clock(self) -> Clock:
        """Return the clock."""


class Parts(Running, Protocol):
    """The same with the settings it runs under."""

    @property
    def settings(self) -> Settings:
        """Return what the environment says."""
