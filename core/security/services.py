"""The long-lived parts of one process, made once and reached from every request."""

from dataclasses import dataclass
from typing import cast

from flask import current_app

from core.clock import Clock
from core.db import Database
from core.extension.hooks import Hooks
from core.files.store import FileStore
from core.security.throttle import Throttle
from core.security.tokens import Tokens
from core.security.users import Actors
from core.settings import Settings
from core.tables.registry import Registries, Registry

#: Key of `Flask.extensions`.
EXTENSION = "guanxi"


@dataclass(slots=True)
class Services:
    """What operations need that outlives a request; one object per process."""

    settings: Settings
    db: Database
    registries: Registries
    hooks: Hooks
    clock: Clock
    actors: Actors
    tokens: Tokens
    throttle: Throttle
    files: FileStore

    @classmethod
    def build(cls, settings: Settings, hooks: Hooks, clock: Clock | None = None) -> "Services":
        """Return the services of an installation; nothing is connected yet."""
        db = Database(settings.database_url)
        clock = clock or Clock()
        key, registries = settings.secret_key, Registries(db)
        return cls(
            settings=settings,
            db=db,
            registries=registries,
            hooks=hooks,
            clock=clock,
            actors=Actors(db, key, registries),
            tokens=Tokens(key, clock),
            throttle=Throttle(db, clock, key),
            files=FileStore(settings.files),
        )

    def forget(self, built: Registry | None = None) -> None:
        """Drop everything read from the database, when it was replaced by another one.

        That one's release, where `built` has it, is not read and built again.
        """
        self.registries = Registries(self.db, built)
        self.actors = Actors(self.db, self.settings.secret_key, self.registries)


def services() -> Services:
    """Return the services of the application that handles this request."""
    return cast("Services", current_app.extensions[EXTENSION])
