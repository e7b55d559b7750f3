"""The views of a record type: those of the schema, and those that people saved.

A saved view belongs to who made it. Only its owner sees it unless it is shared: with
roles that the owner holds, or by a configurator with any role or with everybody. It
holds a question, never rights: whoever opens it gets what they may see.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import to_wire
from core.context import Context
from core.db import metadata
from core.errors import Forbidden, Invalid, NotFound, Problem, StaleVersion, TooLarge
from core.expression.sql import sql_clause
from core.i18n import N_
from core.ids import is_id, new_id
from core.policies.access import Access, access
from core.policies.guarded import guarded_columns
from core.records.audience import (
    audience_problems,
    check_audience,
    gets,
    is_configurator,
    is_meant_for,
)
from core.records.grouping import group_records
from core.records.queries import Query, asked_query
from core.records.selection import read_filter
from core.schema.model import RecordType, View
from core.schema.viewchecks import view_flaws
from core.tables.columns import ID, JSON

_LONGEST_LABEL = 60
_LONGEST_COLOR = 20
_MOST_COLUMNS = 60
_MOST_RULES = 20
_MOST_VIEWS = 200

view_table = sa.Table(
    "gx_view",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("record_type", sa.String(80), nullable=False, index=True),
    sa.Column("owner", sa.String(36), nullable=False),
    sa.Column("label", sa.String(_LONGEST_LABEL), nullable=False),
    sa.Column("shared_with", JSON, nullable=False, doc='role names, or ["*"]'),
    sa.Column("content", JSON, nullable=False, doc="a view as in the schema language"),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("updated_at", sa.String(27), nullable=False),
)

#: The keys of a view that people write; all but `label` as in the schema language.
KEYS: Mapping[str, type | tuple[type, ...]] = {
    "label": str,
    "type": str,
    "columns": list,
    "filter": str,
    "sort": list,
    "group_by": str,
    "totals": dict,
    "date_field": str,
    "color_when": list,
    "shared_with": list,
}


@dataclass(frozen=True, slots=True)
class SavedView:
    """A view that somebody saved.

    Attributes:
        shared_with: names of roles, `*` for everybody; empty is the owner alone.
        view: what it shows; its `name` is the id.
        may_change: whether who asks may change and delete it.
    """

    id: str
    record_type: str
    label: str
    owner: str
    shared_with: tuple[str, ...]
    view: View
    version: int
    may_change: bool

    def wire(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        content = msgspec.to_builtins(self.view)
        for name in ("name", "label", "shared_with"):
            content.pop(name, None)
        return {
            "id": self.id,
            "version": self.version,
            "label": self.label,
            "owner": self.owner,
            "shared_with": list(self.shared_with),
            "may_change": self.may_change,
            "type": self.view.type,
            **content,
        }


def schema_views(ctx: Context, record_type: RecordType) -> tuple[View, ...]:
    """Return the schema's views of a type that are meant for the actor's roles."""
    return tuple(view for view in record_type.views if is_meant_for(ctx, view.shared_with))


def saved_views(ctx: Context, type_name: str) -> list[SavedView]:
    """Return the saved views of a type that the actor owns or that are shared with them.

    Raises:
        Forbidden: the actor may see none of the type.
    """
    access(ctx, type_name).require("view")
    query = sa.select(view_table).where(view_table.c.record_type == type_name)
    with ctx.reading() as connection:
        rows = connection.execute(query.order_by(view_table.c.label, view_table.c.id)).mappings()
        found = [_view(ctx, dict(row)) for row in rows]
    return [one for one in found if gets(ctx, one.owner, one.shared_with)]


def find_view(ctx: Context, type_name: str, view_id: str) -> SavedView:
    """Return one saved view.

    Raises:
        Forbidden: the actor may see none of the type.
        NotFound: it is not there for this actor.
    """
    access(ctx, type_name).require("view")
    with ctx.reading() as connection:
        return _find(ctx, connection, type_name, view_id)


def save_view(ctx: Context, type_name: str, values: Mapping[str, Any]) -> SavedView:
    """Save a new view of the actor's own and return it.

    Raises:
        Forbidden: the actor may see none of the type, may not share it so, or may not ask
            by a field.
        Invalid: something in it is wrong; all of it is named.
        TooLarge: the actor has very many views of the type already.
    """
    rights = access(ctx, type_name)
    rights.require("view")
    label, shared_with, view = _read(ctx, rights, values)
    with ctx.writing() as connection:
        own = sa.select(sa.func.count()).where(
            view_table.c.record_type == type_name, view_table.c.owner == ctx.actor.id
        )
        if connection.execute(own).scalar_one() >= _MOST_VIEWS:
            raise TooLarge(N_("At most {most} items."), most=_MOST_VIEWS)
        row = {
            "id": new_id(),
            "record_type": type_name,
            "owner": ctx.actor.id,
            "label": label,
            "shared_with": list(shared_with),
            "content": msgspec.to_builtins(view),
            "version": 1,
            "updated_at": to_wire(ctx.now),
        }
        connection.execute(view_table.insert(), row)
    return _view(ctx, row)


def change_view(
    ctx: Context, type_name: str, view_id: str, values: Mapping[str, Any], *, version: int
) -> SavedView:
    """Change the named parts of a saved view and return it.

    Raises:
        NotFound: it is not there for this actor.
        Forbidden: it is somebody else's, or may not be shared so.
        StaleVersion: somebody changed it in between.
        Invalid: something in it is wrong; all of it is named.
    """
    rights = access(ctx, type_name)
    rights.require("view")
    with ctx.writing() as connection:
        found = _changeable(ctx, connection, type_name, view_id, version)
        known = found.wire()
        whole = {name: values.get(name, known.get(name)) for name in KEYS}
        label, shared_with, view = _read(
            ctx, rights, {name: value for name, value in whole.items() if value is not None},
            shared_before=found.shared_with,
        )  # fmt: skip
        row = {
            "label": label,
            "shared_with": list(shared_with),
            "content": msgspec.to_builtins(view),
            "version": version + 1,
            "updated_at": to_wire(ctx.now),
        }
        connection.execute(view_table.update().where(view_table.c.id == view_id).values(row))
        return _find(ctx, connection, type_name, view_id)


def remove_view(ctx: Context, type_name: str, view_id: str, *, version: int) -> None:
    """Delete a saved view.

    Raises:
        NotFound: it is not there for this actor.
        Forbidden: it is somebody else's.
        StaleVersion: somebody changed it in between.
    """
    access(ctx, type_name).require("view")
    with ctx.writing() as connection:
        _changeable(ctx, connection, type_name, view_id, version)
        connection.execute(view_table.delete().where(view_table.c.id == view_id))


def _changeable(
    ctx: Context, connection: Connection, type_name: str, view_id: str, version: int
) -> SavedView:
    found = _find(ctx, connection, type_name, view_id)
    if not found.may_change:
        raise Forbidden
    if found.version != version:
        raise StaleVersion(version=found.version)
    return found


def _find(ctx: Context, connection: Connection, type_name: str, view_id: str) -> SavedView:
    query = sa.select(view_table).where(
        view_table.c.id == view_id, view_table.c.record_type == type_name
    )
    row = connection.execute(query).mappings().first() if is_id(view_id) else None
    if row is None:
        raise NotFound
    found = _view(ctx, dict(row))
    if not gets(ctx, found.owner, found.shared_with):
        raise NotFound
    return found


def _view(ctx: Context, row: Mapping[str, Any]) -> SavedView:
    content = {**row["content"], "name": row["id"]}
    return SavedView(
        id=row["id"],
        record_type=row["record_type"],
        label=row["label"],
        owner=row["owner"],
        shared_with=tuple(row["shared_with"]),
        view=msgspec.convert(content, View),
        version=row["version"],
        may_change=row["owner"] == ctx.actor.id or is_configurator(ctx),
    )


def _read(
    ctx: Context,
    rights: Access,
    values: Mapping[str, Any],
    *,
    shared_before: Iterable[str] = (),
) -> tuple[str, tuple[str, ...], View]:
    """Return label, audience and content of what a person wrote, checked.

    Raises:
        Invalid: something is wrong; all of it is named.
        Forbidden: it may not be shared so, or asks by a field that the actor may not ask by.
    """
    label = str(values.get("label", "")).strip()
    problems: list[Problem] = []
    if not 0 < len(label) <= _LONGEST_LABEL or not label.isprintable():
        text = N_("A name has 1 to {limit} characters.")
        problems.append(Problem("label", "view.label", text, {"limit": _LONGEST_LABEL}))
    content = {
        name: value for name, value in values.items() if name not in {"label", "shared_with"}
    }
    try:
        view = msgspec.convert({"columns": (), **content, "name": "saved"}, View)
        shared_with = msgspec.convert(values.get("shared_with", ()), tuple[str, ...])
    except msgspec.ValidationError as error:
        text = N_("This is of the wrong kind.")
        path = str(error).rpartition("`$.")[2].rstrip("`") if "`$." in str(error) else ""
        raise Invalid(problems=[*problems, Problem(path, "field.wrong_type", text)]) from error
    problems += _sizes(view)
    problems += [
        Problem(".".join(map(str, flaw.path)), f"view.{flaw.code}", flaw.text, flaw.params)
        for flaw in view_flaws(rights.record_type, view)
    ]
    problems += audience_problems(ctx, shared_with)
    if problems:
        raise Invalid(problems=problems)
    check_audience(ctx, set(shared_with) - set(shared_before))
    _try(ctx, rights, view)
    return label, shared_with, view


def _sizes(view: View) -> list[Problem]:
    many = N_("At most {limit} items.")
    limits = {
        "columns": (view.columns, _MOST_COLUMNS),
        "color_when": (view.color_when, _MOST_RULES),
    }
    found = [
        Problem(name, "view.too_many", many, {"limit": limit})
        for name, (listed, limit) in limits.items()
        if len(listed) > limit
    ]
    if not view.columns:
        found.append(Problem("columns", "field.required", N_("This is required.")))
    for at, rule in enumerate(view.color_when):
        if len(rule.color) > _LONGEST_COLOR or not rule.color.isprintable():
            path = f"color_when.{at}.color"
            found.append(Problem(path, "view.color", N_("This is not a colour.")))
    return found


def _try(ctx: Context, rights: Access, view: View) -> None:
    """Refuse a view whose question the actor could not ask."""
    name = rights.record_type.name
    query = Query(filter=view.filter, sort=view.sort)
    asked_query(ctx, rights, query, limit=1)
    if view.group_by or view.totals:
        group_records(ctx, name, query, view.group_by, view.totals)
    for rule in view.color_when:
        sql_clause(read_filter(ctx, name, rule.when), guarded_columns(ctx, rights))
