"""Whose voice counts: candidates, and the makers whose does not."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.actor import Actor
from core.audit import history
from core.context import Context
from core.records.proposals import Proposal
from core.workflow.models import candidate, instance

#: Returns the ids of the active users who hold any of the roles.
Holders = Callable[[Connection, Collection[str]], frozenset[str]]


class Directory:
    """Knows which people hold a role; the security manager brings the answer."""

    def __init__(self) -> None:
        """Start without an answer; then nobody is reported as missing."""
        self._holders: Holders | None = None

    def register(self, holders: Holders) -> None:
        """Ask `holders` from now on."""
        self._holders = holders

    @contextmanager
    def asking(self, holders: Holders | None) -> Iterator[None]:
        """Ask `holders`, or nobody, for the length of a `with` block."""
        before, self._holders = self._holders, holders
        try:
            yield
        finally:
            self._holders = before

    def nobody_is_left(
        self, connection: Connection, pool: Iterable[tuple[str, str]], makers: str
    ) -> bool:
        """Return whether every candidate (kind, actor) in `pool` is a maker or nobody."""
        if self._holders is None:
            return False
        candidates = list(pool)
        roles = [actor for kind, actor in candidates if kind == "role"]
        people = {actor for kind, actor in candidates if kind == "user"}
        if roles:
            people |= self._holders(connection, roles)
        return all(is_maker(person, makers) for person in people)


#: The directory of this process.
DIRECTORY = Directory()


def register_directory(holders: Holders) -> None:
    """Tell flows who holds a role, so that a task nobody can decide says so."""
    DIRECTORY.register(holders)


def identities(actor: Actor) -> list[tuple[str, str]]:
    """Return as which candidates an actor may sit: themself, and each of their roles."""
    return [("user", actor.id), *(("role", role) for role in sorted(actor.roles))]


def joined(ids: Iterable[str]) -> str:
    """Return makers' ids in the form that rows keep: `|3|8|`."""
    return f"|{'|'.join(sorted(set(ids)))}|"


def is_maker(actor_id: str, makers: str) -> bool:
    """Return whether somebody wrote, edited or submitted what is decided."""
    return f"|{actor_id}|" in makers


def is_no_maker(actor_id: str) -> sa.ColumnElement[bool]:
    """Return the same question, negated, over candidate rows."""
    return ~candidate.c.makers.contains(f"|{actor_id}|", autoescape=True)


def makers_of(
    ctx: Context, connection: Connection, record: Mapping[str, Any], found: Proposal | None,
    *, type_name: str,
) -> str:  # fmt: skip
    """Return who made what is being submitted.

    That is everyone who changed it since it was last in force, and the initiator; the
    product itself and past approvers are no makers.
    """
    last = connection.execute(
        sa.select(sa.func.max(instance.c.ended_at)).where(
            instance.c.record_type == type_name,
            instance.c.record_id == record["id"],
            instance.c.state == "approved",
        )
    ).scalar()
    writers = connection.execute(
        sa.select(history.c.actor)
        .where(
            history.c.record_type.in_(ctx.registry.record_type(type_name).names),
            history.c.record_id == record["id"],
            history.c.door != "flow",
            history.c.at > (last or ""),
        )
        .distinct()
    ).scalars()
    makers = {ctx.actor.id, *writers}
    if found is not None:
        makers |= {found.created_by, found.updated_by}
    elif not last:
        makers.add(record["created_by"])
    return joined(makers - {"system", ""})
