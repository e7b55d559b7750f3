"""What people and other systems ask of automations: press a button, send a webhook."""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.automation.administration import may_administer
from core.automation.calling import signature
from core.automation.inputs import input_values, load_input
from core.automation.models import run
from core.automation.starting import Start, begin, holds
from core.automation.subject import Subject, present
from core.automation.switches import find_automation, secret_of, secret_round, switches
from core.clock import to_wire
from core.context import Context
from core.errors import Conflict, Forbidden, NotFound, RateLimited
from core.i18n import N_, pick
from core.ids import new_id
from core.policies.access import access
from core.records.environment import RecordEnv
from core.records.idempotency import body_hash
from core.records.queries import get_record
from core.schema.automations import Automation

#: Calls of one webhook that are taken in a minute.
CALLS_A_MINUTE = 120
#: Bytes of a webhook's body.
MAX_BODY = 64 * 1024
#: How far the clock of the caller of a signed webhook may be off.
TOLERANCE = timedelta(minutes=5)

_SIGNATURE = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")
_MINUTE = timedelta(minutes=1)

Read = Callable[[], Mapping[str, Any]]


class NotNow(Conflict):
    """An automation's condition does not hold for the record."""

    code = "automation.not_now"
    text = N_("This cannot be done with the record as it is now.")


# -- buttons --------------------------------------------------------------------------------


def buttons(ctx: Context, type_name: str, record_id: str) -> list[dict[str, str]]:
    """Return the automations that the actor may start from a record now: name and label."""
    manual = [
        one
        for one in ctx.registry.release.automations.values()
        if one.trigger.on == "manual" and one.type == type_name
    ]
    if not manual:
        return []
    with ctx.reading() as connection:
        known = switches(connection, manual)
        record = present(ctx, connection, type_name, record_id)
        if record is None or record["deleted_at"] is not None:
            return []
        start = Start("", record_id, Subject(record, None), {"by": ctx.actor.id})
        return [
            {"name": one.automation, "label": pick(one.label, ctx.locale, one.automation)}
            for one in manual
            if known[one.automation].is_on
            and _may_press(ctx, connection, one, record)
            and ctx.hooks.is_running(ctx, one.layer)
            and holds(ctx, connection, one, start)
        ]


def press(
    ctx: Context, type_name: str, record_id: str, name: str, *, key: str | None = None
) -> str:
    """Start a manual automation on a record and return its run's id.

    With a `key` that was used before the run of that time is answered.

    Raises:
        NotFound: there is no such record or button for this actor.
        Forbidden: the actor may not press it.
        NotNow: its condition does not hold.
    """
    automation = find_automation(ctx, name)
    if automation.trigger.on != "manual" or automation.type != type_name:
        raise NotFound
    get_record(ctx, type_name, record_id, fields=("id",))
    with ctx.writing() as connection:
        _require_on(ctx, connection, automation)
        record = present(ctx, connection, type_name, record_id)
        if record is None:
            raise NotFound
        if not _may_press(ctx, connection, automation, record):
            raise Forbidden
        start = Start(
            key=f"{name}!{_hashed(ctx.actor.id, record_id, key)}",
            record_id=record_id,
            subject=Subject(record, None),
            input={
                "trigger": "manual", "by": ctx.actor.id, "by_name": ctx.actor.name,
                "door": ctx.door, "at": to_wire(ctx.now),
            },
        )  # fmt: skip
        return _begun(ctx, connection, automation, start)


def _may_press(
    ctx: Context, connection: Connection, automation: Automation, record: Mapping[str, Any]
) -> bool:
    if automation.trigger.roles:
        return bool(automation.trigger.roles & ctx.actor.roles)
    rights = access(ctx, automation.type)
    if not rights.may("edit"):
        return False
    env = RecordEnv(ctx, connection)
    return rights.editable_when("edit", env.view(automation.type, record), env) is not None


def _require_on(ctx: Context, connection: Connection, automation: Automation) -> None:
    """Refuse an automation that is switched off, as if it were not there.

    Raises:
        NotFound: it is off, or its plugin does not run.
    """
    is_on = switches(connection, [automation])[automation.automation].is_on
    if not is_on or not ctx.hooks.is_running(ctx, automation.layer):
        raise NotFound


def _begun(ctx: Context, connection: Connection, automation: Automation, start: Start) -> str:
    """Return the id of a start's run, which begins now unless it has begun before.

    Raises:
        NotNow: the automation's condition does not hold.
    """
    known = _known(connection, start.key)
    if known:
        return known
    if not holds(ctx, connection, automation, start):
        raise NotNow
    return begin(ctx, connection, automation, start) or _known(connection, start.key)


def _known(connection: Connection, key: str) -> str:
    return str(connection.execute(sa.select(run.c.id).where(run.c.key == key)).scalar() or "")


def _hashed(*parts: str | None) -> str:
    """Return a short key of some texts; a new one when the last of them is None."""
    if parts[-1] is None:
        return new_id()
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()


# -- webhooks -------------------------------------------------------------------------------


def receive(
    ctx: Context,
    name: str,
    *,
    body: bytes,
    read: Read,
    secret_key: str,
    token: str = "",
    signed: str = "",
    key: str | None = None,
) -> str:
    """Take a webhook's call and return its run's id; a repeated call has one run.

    Args:
        ctx: the context of nobody in particular.
        name: the automation.
        body: the bytes that came.
        read: reads them as a JSON object; called once they are known to be the sender's.
        secret_key: the installation's key.
        token: what the address ended with.
        signed: the header with the signature.
        key: the caller's own key for this call; without it a signed body is its own key.

    Raises:
        NotFound: there is no such webhook, or the token or signature is not right.
        RateLimited: too many calls came within a minute.
        Invalid: the values are not what they should be.
    """
    automation = find_automation(ctx, name)
    if automation.trigger.on != "webhook":
        raise NotFound
    with ctx.writing() as connection:
        _require_on(ctx, connection, automation)
        number = switches(connection, [automation])[name].secret_round
        secret = webhook_secret(secret_key, automation, number)
        _authenticate(ctx, automation, secret, body=body, token=token, signed=signed)
        _limit(ctx, connection, name)
        values = load_input(automation, read())
        if key is None and automation.trigger.auth == "signature":
            key = signed
        record_id = _matched(ctx, connection, automation, values)
        record = present(ctx, connection, automation.type, record_id) if record_id else None
        start = Start(
            key=f"{name}?{_hashed(body_hash('webhook', body), key)}",
            record_id=record_id,
            subject=Subject(record, None),
            input={"trigger": "webhook", "values": values, "at": to_wire(ctx.now)},
            values=input_values(automation, values),
        )
        return _begun(ctx, connection, automation, start)


def webhook_secret(secret_key: str, automation: Automation, number: int) -> str:
    """Return what a webhook's caller has to know: the token, or the key of the signature."""
    return secret_of(secret_key, automation.trigger.auth or "send", automation.automation, number)


def partner_secret(ctx: Context, name: str, secret_key: str, base_url: str) -> dict[str, str]:
    """Return what the other side of a webhook has to know.

    That is the `address` that calls go to, and the `key` of signatures: of the calls that
    come in, or of those that the automation's own actions send.

    Raises:
        NotFound: there is no such automation.
        Forbidden: the actor administers nothing.
    """
    if not may_administer(ctx):
        raise Forbidden
    automation = find_automation(ctx, name)
    with ctx.reading() as connection:
        number = secret_round(connection, name)
    secret = webhook_secret(secret_key, automation, number)
    address = f"{base_url}/api/v1/hooks/{name}"
    if automation.trigger.auth == "token":
        return {"address": f"{address}/{secret}"}
    return {"address": address, "key": secret} if automation.trigger.auth else {"key": secret}


def _authenticate(
    ctx: Context, automation: Automation, secret: str, *, body: bytes, token: str, signed: str
) -> None:
    """Refuse a caller who does not know the secret, as if there were no such webhook.

    Raises:
        NotFound: the token or the signature is not right.
    """
    if automation.trigger.auth == "token":
        if not hmac.compare_digest(token.encode(), secret.encode()):
            raise NotFound
        return
    match = _SIGNATURE.fullmatch(signed)
    if match is None or token:
        raise NotFound
    at = int(match[1])
    expected = signature(secret, at, body)
    is_fresh = abs(ctx.now.timestamp() - at) <= TOLERANCE.total_seconds()
    if not hmac.compare_digest(signed.encode(), expected.encode()) or not is_fresh:
        raise NotFound


def _limit(ctx: Context, connection: Connection, name: str) -> None:
    since = to_wire(ctx.now - _MINUTE)
    query = (
        sa.select(run.c.id)
        .where(run.c.automation == name, run.c.created_at > since)
        .limit(CALLS_A_MINUTE)
    )
    if len(connection.execute(query).all()) >= CALLS_A_MINUTE:
        raise RateLimited(retry_after=int(_MINUTE.total_seconds()))


def _matched(
    ctx: Context, connection: Connection, automation: Automation, values: Mapping[str, Any]
) -> str:
    """Return the id of the record that the caller means.

    Raises:
        NotFound: there is none.
    """
    name = automation.trigger.match
    if not name:
        return ""
    table = ctx.registry.tables[automation.type].main
    value = input_values(automation, values)[name]
    query = sa.select(table.c.id).where(table.c[name] == value, table.c.deleted_at.is_(None))
    found = None if value is None else connection.execute(query).scalar()
    if found is None:
        raise NotFound(N_("No record has this {name}."), name=name)
    return str(found)
