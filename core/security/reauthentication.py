"""Showing again who one is, for decisions that are signed."""

import sqlalchemy as sa

from core.context import Context
from core.files.store import FileStore
from core.security.passwords import is_password
from core.security.services import services
from core.security.users import user_table


class PasswordDesk:
    """Knows the passwords of users and where files lie; asked within a request."""

    def is_password(self, ctx: Context, password: str) -> bool:
        """Return whether a password is the actor's own.

        Raises:
            RateLimited: too many were wrong lately, here or at the sign-in.
        """
        users = user_table.c
        if not ctx.actor.id.isdecimal():
            return False
        with ctx.db.read() as connection:
            query = sa.select(users.username, users.password).where(
                users.id == int(ctx.actor.id), users.active.is_(True)
            )
            found = connection.execute(query).first()
        if found is None:
            return False
        throttle = services().throttle
        try_id = throttle.enter(found.username, ctx.client.ip)
        if not is_password(found.password, password):
            return False
        throttle.forgive(found.username, try_id)
        return True

    def files(self) -> FileStore:
        """Return where contents of files lie."""
        return services().files
