"""Which automations are on: as their documents say, unless somebody switched them."""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from core.automation.models import switch
from core.clock import to_wire
from core.context import Context
from core.errors import NotFound
from core.schema.automations import Automation

_insert = {
    "sqlite": sqlite.insert(switch).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(switch).on_conflict_do_nothing(),
}


@dataclass(frozen=True, slots=True)
class Switch:
    """How one automation is switched.

    Attributes:
        last_due: when the clock last called it; empty before the first look.
        secret_round: counts the secrets that were made for it.
    """

    is_on: bool
    last_due: str = ""
    secret_round: int = 0
    changed_at: str = ""
    changed_by: str = ""


def find_automation(ctx: Context, name: str) -> Automation:
    """Return the automation called `name`.

    Raises:
        NotFound: there is none in the release in force.
    """
    found = ctx.registry.release.automations.get(name)
    if found is None:
        raise NotFound
    return found


def switches(connection: Connection, automations: Iterable[Automation]) -> dict[str, Switch]:
    """Return how automations are switched, by name."""
    named = {one.automation: one for one in automations}
    rows = connection.execute(sa.select(switch).where(switch.c.name.in_(list(named))))
    stored = {row["name"]: row for row in rows.mappings()}
    found = {}
    for name, automation in named.items():
        row = stored.get(name)
        if row is None:
            found[name] = Switch(not automation.off)
            continue
        is_off = automation.off if row["is_off"] is None else row["is_off"]
        found[name] = Switch(
            not is_off, row["last_due"], row["secret_round"], row["changed_at"], row["changed_by"]
        )
    return found


def secret_round(connection: Connection, name: str) -> int:
    """Return how many secrets were made for an automation before the present one."""
    query = sa.select(switch.c.secret_round).where(switch.c.name == name)
    return int(connection.execute(query).scalar() or 0)


def ensure_row(connection: Connection, name: str, *, last_due: datetime) -> None:
    """Make the row of an automation, unless it is there."""
    connection.execute(
        _insert[connection.dialect.name],
        {
            "name": name, "is_off": None, "last_due": to_wire(last_due), "secret_round": 0,
            "changed_at": "", "changed_by": "",
        },
    )  # fmt: skip


def secret_of(key: str, purpose: str, name: str, number: int) -> str:
    """Return a secret that is the same in every process and that nobody can compute.

    It is made from the installation's key, so nothing secret is stored; a new round gives
    another one.
    """
    text = f"guanxi automation\0{purpose}\0{name}\0{number}".encode()
    return hmac.new(key.encode(), text, hashlib.sha256).hexdigest()
