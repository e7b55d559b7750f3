"""A database with nothing but the product's own tables, and account kinds made by hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from core.actor import SYSTEM, Actor
from core.clock import FixedClock
from core.context import Context
from core.db import Database
from core.extension.hooks import Hooks
from core.ledger.moves import Move, Posted
from core.ledger.posting import post
from core.migration.run import bootstrap
from core.schema.model import Release
from core.tables.registry import Registries, Registry
from core.testing.databases import Prepared
from tests.unit.ledger_world import KINDS, START


@dataclass(slots=True)
class Ledger:
    """A ledger and short ways to use it."""

    db: Database
    registries: Registries
    registry: Registry
    clock: FixedClock
    hooks: Hooks = field(default_factory=Hooks)
    posts: int = 0

    def context(self) -> Context:
        return Context.of(self, Actor("u1", "Ann"), registry=self.registry)

    def system(self) -> Context:
        return Context.of(self, SYSTEM, registry=self.registry)

    def post(self, *moves: Move, **rest: Any) -> Posted:
        """Post moves now under a key of their own, unless something else is said."""
        self.posts += 1
        said: dict[str, Any] = {
            "what": "test",
            "key": f"test:{self.posts}",
            "ref": ("sales_order", f"o{self.posts}"),
            "valid_at": self.clock.now(),
        }
        return post(self.context(), moves, **(said | rest))


def points(category: str, amount: int, owner: str = "m1", **rest: Any) -> Move:
    return Move("points", owner, category, amount, **rest)


@contextmanager
def opened(prepared: Prepared) -> Iterator[Ledger]:
    with prepared.fresh() as db:
        registries = prepared.registries()
        current = registries.current()
        release = Release(number=0, account_kinds=KINDS)
        registry = Registry(release, current.revision, current.dialect)
        yield Ledger(db, registries, registry, FixedClock(START))


def install(db: Database) -> None:
    bootstrap(db)
