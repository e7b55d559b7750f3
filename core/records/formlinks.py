"""Links by which somebody without an account makes one kind of record, or changes one record.

A link is a random token that is kept as its hash only. It opens the fields that its owner
chose, and of these only what the owner may write at the moment it is used; it ends when it
is used up, expires or is revoked, or when its owner goes.
"""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.actor import Actor, Scope
from core.clock import to_wire
from core.context import Context
from core.db import metadata
from core.errors import Conflict, Forbidden, Invalid, NotFound, Problem
from core.i18n import N_
from core.ids import is_id, new_id
from core.policies.access import access
from core.records.environment import RecordEnv
from core.records.operations import create_record, update_record
from core.records.queries import get_record
from core.records.readers import actors_of
from core.schema.fieldtypes import field_type
from core.schema.model import Field, RecordType

Record = dict[str, Any]

#: Days that a link can last at most.
MAX_DAYS = 365
#: Links of one person that are good at a time.
MOST = 200
MAX_LABEL = 100

#: Field types that a page without sign-in can offer: they show nothing of other records.
OFFERED = frozenset(
    {
        *("text", "long_text", "integer", "decimal", "money", "percent", "rate", "rating"),
        *("boolean", "date", "time", "datetime", "duration", "email", "phone", "url", "color"),
        *("select", "multi_select", "address"),
    }
)

form_link = sa.Table(
    "gx_form_link",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("record_type", sa.String(80), nullable=False),
    sa.Column("record_id", sa.String(36), nullable=True, doc="null makes new records"),
    sa.Column("fields", sa.Text, nullable=False, doc="JSON: names"),
    sa.Column("label", sa.String(MAX_LABEL), nullable=False),
    sa.Column("owner", sa.String(36), nullable=False),
    sa.Column("single_use", sa.Boolean, nullable=False),
    sa.Column("uses", sa.Integer, nullable=False),
    sa.Column("created_at", sa.String(27), nullable=False),
    sa.Column("expires_at", sa.String(27), nullable=False),
    sa.Column("used_at", sa.String(27), nullable=True),
    sa.Column("revoked_at", sa.String(27), nullable=True),
    sa.Index("ix_gx_form_link__owner", "owner", "id"),
)


class TooManyLinks(Conflict):
    """A person has as many good links as they can have."""

    code = "conflict.form_links"
    text = N_("You have {limit} links. Revoke some of them first.")


@dataclass(frozen=True, slots=True)
class Opened:
    """A good link in somebody's hands.

    Attributes:
        ctx: a context in which it acts: as nobody, on these fields alone.
        fields: the fields that can be filled in now.
    """

    ctx: Context
    id: str
    type_name: str
    record_id: str
    label: str
    fields: frozenset[str]


def make_link(
    ctx: Context,
    type_name: str,
    *,
    record_id: str = "",
    fields: Sequence[str],
    label: str = "",
    days: int = 7,
    single_use: bool = True,
) -> Record:
    """Make a link and return it as `list_links` does, with its `token`, which is told once.

    Raises:
        NotFound: the record is not there for this actor.
        Forbidden: the actor may not make or change such a record, or not with these fields.
        Invalid: a field cannot be offered, or one that is required is missing.
        TooManyLinks: the actor has as many as they can have.
    """
    with ctx.writing() as connection:
        writable = _writable(ctx, connection, type_name, record_id)
        record_type = ctx.registry.record_type(type_name)
        problems = _problems(record_type, fields, is_new=not record_id)
        if not 1 <= days <= MAX_DAYS:
            text = N_("This must be a whole number from {min} to {max}.")
            problems.append(Problem("days", "field.range", text, {"min": 1, "max": MAX_DAYS}))
        if len(label) > MAX_LABEL or not (label or "-").isprintable():
            text = N_("At most {limit} characters.")
            problems.append(Problem("label", "field.too_long", text, {"limit": MAX_LABEL}))
        if problems:
            raise Invalid(problems=problems)
        if not set(fields) <= writable:
            raise Forbidden
        _refuse_too_many(ctx, connection)
        token = secrets.token_urlsafe(32)
        row = {
            "id": new_id(),
            "token_hash": _hash(token),
            "record_type": type_name,
            "record_id": record_id or None,
            "fields": msgspec.json.encode(sorted(set(fields))).decode(),
            "label": label,
            "owner": ctx.actor.id,
            "single_use": single_use,
            "uses": 0,
            "created_at": to_wire(ctx.now),
            "expires_at": to_wire(ctx.now + timedelta(days=days)),
            "used_at": None,
            "revoked_at": None,
        }
        connection.execute(form_link.insert().values(row))
    return _shown(ctx, row) | {"token": token}


def list_links(ctx: Context, type_name: str = "", record_id: str = "") -> list[Record]:
    """Return the actor's own links, newest first, dead ones too; none shows its token."""
    query = sa.select(form_link).where(form_link.c.owner == ctx.actor.id)
    if type_name:
        query = query.where(form_link.c.record_type == type_name)
        query = query.where(
            form_link.c.record_id == record_id if record_id else form_link.c.record_id.is_(None)
        )
    with ctx.reading() as connection:
        rows = connection.execute(query.order_by(form_link.c.id.desc()).limit(500)).mappings()
        return [_shown(ctx, dict(row)) for row in rows]


def revoke_link(ctx: Context, link_id: str) -> None:
    """End a link at once; whoever administers the product can end anybody's.

    Raises:
        NotFound: the actor has no such link.
    """
    if not is_id(link_id):
        raise NotFound
    which = [form_link.c.id == link_id]
    if "Admin" not in ctx.actor.roles:
        which.append(form_link.c.owner == ctx.actor.id)
    with ctx.writing() as connection:
        changed = form_link.update().where(*which, form_link.c.revoked_at.is_(None))
        connection.execute(changed.values(revoked_at=to_wire(ctx.now)))
        if connection.execute(sa.select(form_link.c.id).where(*which)).first() is None:
            raise NotFound


def open_link(ctx: Context, token: str) -> Opened:
    """Return what a token opens at this moment.

    Raises:
        NotFound: there is no such link, or it is used up, expired or revoked, or its owner may
            not do it any more; nobody is told which.
    """
    with ctx.reading() as connection:
        return _opened(ctx, connection, token)


def use_link(ctx: Context, token: str, values: Mapping[str, Any], *, version: int | None) -> None:
    """Make or change a record by a link; a link that is refused is not used up.

    Raises:
        NotFound: as for `open_link`.
        Invalid: the record would break rules; `problems` names them all.
        StaleVersion: somebody changed the record meanwhile.
    """
    with ctx.writing() as connection:
        opened = _opened(ctx, connection, token, lock=True)
        inner = opened.ctx
        inner.connection, inner.is_writing = connection, True
        if opened.record_id:
            changes = dict(values)
            update_record(inner, opened.type_name, opened.record_id, changes, version=version)
        else:
            create_record(inner, opened.type_name, dict(values))
        used = {"uses": form_link.c.uses + 1, "used_at": to_wire(ctx.now)}
        connection.execute(form_link.update().where(form_link.c.id == opened.id).values(used))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _opened(ctx: Context, connection: Connection, token: str, *, lock: bool = False) -> Opened:
    query = sa.select(form_link).where(form_link.c.token_hash == _hash(token))
    found = connection.execute(query.with_for_update() if lock else query).mappings().first()
    row = None if found is None else dict(found)
    if row is None or _state(ctx, row) != "good":
        raise NotFound
    owner = actors_of(ctx, [row["owner"]]).get(row["owner"])
    if owner is None:
        raise NotFound
    type_name, record_id = row["record_type"], row["record_id"] or ""
    try:
        owners = replace(ctx, actor=owner)
        writable = _writable(owners, connection, type_name, record_id)
    except Forbidden as error:
        raise NotFound from error
    record_type = ctx.registry.record_type(type_name)
    known = {one.name for one in record_type.fields if _is_offered(one)}
    fields = frozenset(msgspec.json.decode(row["fields"])) & writable & known
    if not fields:
        raise NotFound
    actor = Actor(
        id="public",
        name=f"link {row['label']}".strip()[:200],
        # No policy names this role: it only keeps apart what is remembered by roles.
        roles=frozenset({f"link {row['id']}"}),
        scope=Scope(type_name, record_id, fields),
    )
    inner = replace(ctx, actor=actor, door="form", connection=None, is_writing=False, warnings=[])
    return Opened(inner, row["id"], type_name, record_id, row["label"], fields)


def _writable(
    ctx: Context, connection: Connection, type_name: str, record_id: str
) -> frozenset[str]:
    """Return the fields that the actor may write in a new record, or in this one."""
    rights = access(ctx, type_name)
    rights.require("share")
    if not record_id:
        rights.require("create")
        return rights.editable("create") or frozenset()
    get_record(ctx, type_name, record_id, fields=("id",))
    rights.require("edit")
    table = ctx.registry.tables[type_name].main
    row = connection.execute(sa.select(table).where(table.c.id == record_id)).mappings().one()
    env = RecordEnv(ctx, connection)
    view = env.view(type_name, dict(row))
    found = rights.editable_when("edit", view, env)
    seen = rights.viewable_when(view, env) or frozenset()
    if found is None or rights.sight_when(view, env, "share") is None:
        raise Forbidden
    return found & seen


def _problems(record_type: RecordType, fields: Sequence[str], *, is_new: bool) -> list[Problem]:
    """Return what keeps a link from offering these fields."""
    problems: list[Problem] = []
    for at, name in enumerate(fields):
        found = record_type.field(name) if isinstance(name, str) else None
        if found is None or not _is_offered(found):
            text = N_("This field cannot be filled in by a link.")
            problems.append(Problem(f"fields.{at}", "link.field", text))
    if not fields:
        problems.append(Problem("fields", "field.required", N_("This is required.")))
    missing = [
        one.name
        for one in record_type.fields
        if one.required
        and one.name not in fields
        and one.default is None
        and not one.default_expr
        and not field_type(one.type).computed
    ]
    if is_new and missing and not problems:
        text = N_("Without these fields no record can be made: {names}.")
        problems.append(Problem("fields", "link.missing", text, {"names": ", ".join(missing)}))
    return problems


def _is_offered(field: Field) -> bool:
    return field.type in OFFERED and field.sensitive != "secret" and not field.options_from


def _refuse_too_many(ctx: Context, connection: Connection) -> None:
    good = sa.and_(
        form_link.c.owner == ctx.actor.id,
        form_link.c.revoked_at.is_(None),
        form_link.c.expires_at > to_wire(ctx.now),
    )
    count = sa.select(sa.func.count()).select_from(form_link).where(good)
    if connection.execute(count).scalar_one() >= MOST:
        raise TooManyLinks(limit=MOST)


def _state(ctx: Context, row: Mapping[str, Any]) -> str:
    """Return how a link stands: good, revoked, used or expired."""
    if row["revoked_at"] is not None:
        return "revoked"
    if row["single_use"] and row["uses"]:
        return "used"
    return "good" if row["expires_at"] > to_wire(ctx.now) else "expired"


def _shown(ctx: Context, row: Mapping[str, Any]) -> Record:
    return {
        "id": row["id"],
        "type": row["record_type"],
        "record": row["record_id"],
        "fields": msgspec.json.decode(row["fields"]),
        "label": row["label"],
        "single_use": bool(row["single_use"]),
        "uses": row["uses"],
        "state": _state(ctx, row),
        "created_at": row["created_at"],
        "expires_at": row["expires_at"],
        "used_at": row["used_at"],
    }
