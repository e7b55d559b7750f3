"""Tries to sign in, counted in the database, so that every process counts the same ones.

A try is written down before the password is looked at and taken back when it was
right, so that many tries at once cannot slip through between count and check.
"""

import hashlib
import hmac
from datetime import timedelta

import sqlalchemy as sa

from core.clock import Clock
from core.db import Database, metadata
from core.errors import RateLimited
from core.ids import new_id

#: How long a failure counts.
WINDOW = timedelta(minutes=15)
#: Failures in the window after which an account, or an address, has to wait.
MAX_PER_ACCOUNT = 10
MAX_PER_ADDRESS = 100

login_try = sa.Table(
    "gx_login_try",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("account", sa.String(64), nullable=False, doc="keyed hash of the name typed in"),
    sa.Column("address", sa.String(64), nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False, doc="seconds since 1970"),
    sa.Index("ix_gx_login_try__account", "account", "at"),
    sa.Index("ix_gx_login_try__address", "address", "at"),
)


class Throttle:
    """Counts failed tries per account and per address."""

    def __init__(self, db: Database, clock: Clock, key: str) -> None:
        """Count in `db`; `key` hides typed names, among which are misplaced passwords."""
        self._db = db
        self._clock = clock
        self._key = key.encode()

    def enter(self, username: str, address: str, *, most: tuple[int, int] | None = None) -> str:
        """Write a try down and return its id.

        `most` are the tries allowed per name and per address, if not those of a sign-in.

        Raises:
            RateLimited: too many failed within the window; nothing was written down.
        """
        now = int(self._clock.now().timestamp())
        since = now - int(WINDOW.total_seconds())
        account, address = self._hidden(username), address[:64]
        columns = login_try.c
        per_account, per_address = most or (MAX_PER_ACCOUNT, MAX_PER_ADDRESS)
        with self._db.write() as connection:
            connection.execute(login_try.delete().where(columns.at <= since))
            for column, value, limit in (
                (columns.account, account, per_account),
                (columns.address, address, per_address),
            ):
                query = sa.select(sa.func.count(), sa.func.min(columns.at)).where(column == value)
                count, first = connection.execute(query).one()
                if count >= limit:
                    raise RateLimited(retry_after=max(1, first - since))
            entry = {"id": new_id(), "account": account, "address": address, "at": now}
            connection.execute(login_try.insert().values(entry))
        return str(entry["id"])

    def forgive(self, username: str, try_id: str) -> None:
        """Forget the tries of an account whose password was right now."""
        columns = login_try.c
        with self._db.write() as connection:
            connection.execute(
                login_try.delete().where(
                    sa.or_(columns.id == try_id, columns.account == self._hidden(username))
                )
            )

    def _hidden(self, username: str) -> str:
        name = username.strip().lower().encode("utf-8", "surrogatepass")
        return hmac.new(self._key, name, hashlib.sha256).hexdigest()
