"""Forms that somebody has begun to fill in and not saved, kept for them on the server.

They hold what was typed, right or wrong, and belong to one person: nobody else reads them.
Secrets are never kept. What is typed is dropped when the form is saved or thrown away, and
by nothing else.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import to_wire
from core.context import Context
from core.db import metadata
from core.errors import Conflict, Invalid, NotFound, Problem, TooLarge
from core.i18n import N_
from core.ids import is_id, new_id
from core.policies.access import access
from core.records.queries import get_record
from core.schema.model import Field, RecordType

#: Unsaved forms of one person at most.
MOST = 100
MAX_BYTES = 256 * 1024

#: What was typed: names of controls with their texts, in the form's order.
Typed = Sequence[tuple[str, str]]

unsaved_form = sa.Table(
    "gx_unsaved_form",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("user", sa.String(36), nullable=False),
    sa.Column("record_type", sa.String(80), nullable=False),
    sa.Column("record_id", sa.String(36), nullable=True, doc="null for a record to be made"),
    sa.Column("version", sa.Integer, nullable=False, doc="of the record that it was begun on"),
    sa.Column("typed", sa.Text, nullable=False, doc="JSON: [[name, text]]"),
    sa.Column("created_at", sa.String(27), nullable=False),
    sa.Column("updated_at", sa.String(27), nullable=False),
    sa.UniqueConstraint("user", "record_type", "record_id", name="ux_gx_unsaved_form__record"),
)


class TooManyForms(Conflict):
    """A person has as many unsaved forms as they can have; nothing was thrown away."""

    code = "conflict.unsaved_forms"
    text = N_("You have {limit} unsaved forms. Save some of them or throw them away.")


@dataclass(frozen=True, slots=True)
class UnsavedForm:
    """What somebody typed into a form.

    Attributes:
        record_id: the record it changes; empty for a new one.
        version: the record's version when it was begun; 0 for a new one.
    """

    id: str
    type_name: str
    record_id: str
    version: int
    typed: tuple[tuple[str, str], ...]
    updated_at: str


def keep_form(
    ctx: Context, type_name: str, typed: Typed, *, record_id: str = "", version: int = 0,
    form_id: str = "",
) -> UnsavedForm:  # fmt: skip
    """Keep what the actor has typed, in place of what was kept of this form before.

    Args:
        ctx: who types.
        type_name: the record's type.
        typed: the form's controls; what is no field of the type, or secret, is left out.
        record_id: the record that the form changes; empty for a new one.
        version: the version of it that the form was begun on.
        form_id: the form, when it was kept before; one that is gone is kept as a new one.

    Raises:
        NotFound: the record is not there for this actor.
        Forbidden: the actor may create none.
        TooLarge: it is over the bound.
        TooManyForms: the actor has as many as they can have.
    """
    rights = access(ctx, type_name)
    encoded = msgspec.json.encode(_kept(rights.record_type, typed)).decode()
    if len(encoded) > MAX_BYTES:
        raise TooLarge
    with ctx.writing() as connection:
        if record_id:
            get_record(ctx, type_name, record_id, fields=("id",))
        else:
            rights.require("create")
        known = _known(ctx, connection, (type_name, record_id), form_id)
        now = to_wire(ctx.now)
        values = {"typed": encoded, "version": version, "updated_at": now}
        if known is None:
            _refuse_too_many(ctx, connection)
            known = new_id()
            row = {
                "id": known,
                "user": ctx.actor.id,
                "record_type": type_name,
                "record_id": record_id or None,
                "created_at": now,
            }
            connection.execute(unsaved_form.insert().values(row | values))
        else:
            changed = unsaved_form.update().where(unsaved_form.c.id == known)
            connection.execute(changed.values(values))
        return _one(ctx, connection, unsaved_form.c.id == known)


def find_form(ctx: Context, form_id: str) -> UnsavedForm:
    """Return one of the actor's unsaved forms.

    Raises:
        NotFound: the actor has none with this id.
    """
    if not is_id(form_id):
        raise NotFound
    with ctx.reading() as connection:
        return _one(ctx, connection, unsaved_form.c.id == form_id)


def list_forms(
    ctx: Context, type_name: str = "", record_id: str | None = None
) -> list[UnsavedForm]:
    """Return the actor's unsaved forms, newest first: all, of a type, or of a record of it.

    An empty `record_id` is for records to be made.
    """
    query = _mine(ctx)
    if type_name:
        query = query.where(unsaved_form.c.record_type == type_name)
    if record_id is not None:
        query = query.where(unsaved_form.c.record_id == record_id if record_id
                            else unsaved_form.c.record_id.is_(None))  # fmt: skip
    with ctx.reading() as connection:
        rows = connection.execute(query.order_by(unsaved_form.c.updated_at.desc())).mappings()
        return [_form(dict(row)) for row in rows if ctx.registry.release.type(row["record_type"])]


def drop_form(ctx: Context, form_id: str = "", *, record: tuple[str, str] | None = None) -> None:
    """Throw away one of the actor's unsaved forms, by its id or by (type, id) of its record."""
    columns = unsaved_form.c
    chosen = [columns.id == form_id] if is_id(form_id) else []
    if record is not None and record[1]:
        chosen.append(sa.and_(columns.record_type == record[0], columns.record_id == record[1]))
    if not chosen:
        return
    mine = columns.user == ctx.actor.id
    with ctx.writing() as connection:
        connection.execute(unsaved_form.delete().where(mine, sa.or_(*chosen)))


def forget_forms(connection: Connection, type_name: str, record_id: str) -> None:
    """Delete the forms of a record that is deleted for good."""
    columns = unsaved_form.c
    connection.execute(
        unsaved_form.delete().where(
            columns.record_type == type_name, columns.record_id == record_id
        )
    )


def _mine(ctx: Context) -> sa.Select[Any]:
    return sa.select(unsaved_form).where(unsaved_form.c.user == ctx.actor.id)


def _known(
    ctx: Context, connection: Connection, record: tuple[str, str], form_id: str
) -> str | None:
    """Return the id of the form that is kept already, locked; None when there is none."""
    type_name, record_id = record
    columns = unsaved_form.c
    query = sa.select(columns.id).where(
        columns.user == ctx.actor.id, columns.record_type == type_name
    )
    if record_id:
        query = query.where(columns.record_id == record_id)
    elif is_id(form_id):
        query = query.where(columns.id == form_id, columns.record_id.is_(None))
    else:
        return None
    found: str | None = connection.execute(query.with_for_update()).scalar()
    return found


def _refuse_too_many(ctx: Context, connection: Connection) -> None:
    mine = unsaved_form.c.user == ctx.actor.id
    count = connection.execute(
        sa.select(sa.func.count()).select_from(unsaved_form).where(mine)
    ).scalar_one()
    if count >= MOST:
        raise TooManyForms(limit=MOST)


def _one(ctx: Context, connection: Connection, which: sa.ColumnElement[bool]) -> UnsavedForm:
    row = connection.execute(_mine(ctx).where(which)).mappings().one_or_none()
    if row is None:
        raise NotFound
    return _form(dict(row))


def _form(row: Mapping[str, Any]) -> UnsavedForm:
    return UnsavedForm(
        id=row["id"],
        type_name=row["record_type"],
        record_id=row["record_id"] or "",
        version=row["version"],
        typed=tuple((name, text) for name, text in msgspec.json.decode(row["typed"])),
        updated_at=row["updated_at"],
    )


def _kept(record_type: RecordType, typed: Typed) -> list[tuple[str, str]]:
    """Return those controls that are fields and no secrets.

    Raises:
        Invalid: a text cannot be kept.
    """
    names = {one.name: one for one in record_type.fields if not _is_secret(one)}
    kept = []
    for name, text in typed:
        field = names.get(name.partition(".")[0])
        if field is None or _is_secret_cell(field, name):
            continue
        if "\x00" in text or not _is_encodable(name + text):
            message = N_("The text holds characters that cannot be kept.")
            raise Invalid(problems=[Problem(name[:100], "field.bad_character", message)])
        kept.append((name, text))
    return kept


def _is_secret(field: Field) -> bool:
    return "secret" in {field.sensitive, field.type}


def _is_secret_cell(field: Field, path: str) -> bool:
    """Return whether a path leads to a secret column of a table field."""
    return _any_secret(field.fields, path.rpartition(".")[2])


def _any_secret(columns: Iterable[Field], name: str) -> bool:
    return any(
        (one.name == name and _is_secret(one)) or _any_secret(one.fields, name) for one in columns
    )


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
