"""Records that link to a record: lists of them on its page, and new ones begun from there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec
from flask import render_template
from flask.typing import ResponseReturnValue
from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import Forbidden, NotFound
from core.i18n import pick
from core.policies.access import Access, access
from core.records.conditions import FieldConditions, Situation, first_holding
from core.records.environment import RecordEnv
from core.records.queries import get_record
from core.records.validation import compile_validator
from core.records.views import schema_views
from core.records.why import stored_record
from core.schema.model import Field, RecordType, View
from core.web.listing import ListPage, list_page
from core.web.look import Asked, Look, asked, default_view
from core.web.navigation import type_icon, type_label
from core.web.page import page, pages
from core.web.titles import find_titles

#: Rows of one page; the list itself shows more at once.
_ROWS = 10


@dataclass(frozen=True, slots=True)
class Related:
    """Records of another type that link to this one.

    Attributes:
        name: the backlink field.
        type_name: the type of the records.
        address: of this list alone, which takes `sort` and `after`.
        href: the whole list of these records.
        new_href: a form for one more, linked already; empty where the reader may write none,
            or the record takes none.
    """

    name: str
    label: str
    icon: str
    type_name: str
    listed: ListPage
    asked: Asked
    address: str
    href: str
    new_href: str


@dataclass(frozen=True, slots=True)
class Offer:
    """What may be begun with a record: new ones of another type that link to it.

    Attributes:
        options: (label, address of a form that is linked and chosen already) of each kind.
    """

    name: str
    label: str
    icon: str
    options: list[tuple[str, str]]


def offers(ctx: Context, record_type: RecordType, record_id: str) -> list[Offer]:
    """Return what the actor may begin with a record now, as its backlinks offer it."""
    fields = [one for one in record_type.fields if one.type == "backlink" and one.offers]
    if not fields:
        return []
    with ctx.reading() as connection:
        row, env = _judged(ctx, connection, record_type, record_id)
        said = compile_validator(ctx.registry, record_type.name).conditions.fields
        found = []
        for one in fields:
            told = said.get(one.name) or FieldConditions()
            options = [
                (label, f"{address}&{one.offers}={quote(value)}")
                for address, value, label in _begun(ctx, one, record_id)
                if told.is_offered(value, row, env, Situation(ctx.door, locale=ctx.locale))
            ]
            if options:
                target = ctx.registry.record_type(one.of.partition(".")[0])
                label = pick(one.label, ctx.locale) or type_label(target, ctx.locale)
                found.append(Offer(one.name, label, type_icon(target), options))
        return found


def _begun(ctx: Context, field: Field, record_id: str) -> list[tuple[str, str, str]]:
    """Return (address, option, label) of every new record that a backlink offers its reader."""
    type_name, _, link = field.of.partition(".")
    target = ctx.registry.release.type(type_name)
    if target is None or target.archived:
        return []
    rights = access(ctx, type_name)
    chosen = target.field(field.offers)
    editable = rights.editable("create") if rights.may("create") else None
    if chosen is None or editable is None or not {link, field.offers} <= editable:
        return []
    return [
        (_new_href(type_name, link, record_id), one.value, pick(one.label, ctx.locale, one.value))
        for one in chosen.options
        if not one.archived
    ]


def _new_href(type_name: str, link: str, record_id: str) -> str:
    return f"/records/{type_name}/new?{link}={record_id}"


def related_lists(ctx: Context, record_type: RecordType, record_id: str) -> list[Related]:
    """Return the first page of each list of records that link to a record, as its reader sees."""
    fields = [one for one in record_type.fields if one.type == "backlink"]
    if not fields:
        return []
    with ctx.reading():
        found = [_related(ctx, record_type, record_id, one, Asked()) for one in fields]
    return [one for one in found if one is not None]


@pages.get("/records/<type_name>/<record_id>/related/<name>")
@page
def show_related(ctx: Context, type_name: str, record_id: str, name: str) -> ResponseReturnValue:
    """Show one list of the records that link to a record."""
    record_type = ctx.registry.record_type(type_name)
    field = record_type.field(name)
    if field is None or field.type != "backlink":
        raise NotFound
    with ctx.reading():
        get_record(ctx, type_name, record_id, fields=("id",))
        shown = _related(ctx, record_type, record_id, field, asked())
        if shown is None:
            raise NotFound
        title = find_titles(ctx, [(type_name, record_id)]).get((type_name, record_id))
    body = render_template(
        "gx/related.html",
        type=record_type,
        label_plural=type_label(record_type, ctx.locale),
        home=f"/records/{type_name}/{record_id}",
        title_of_record=title or type_label(record_type, ctx.locale, plural=False),
        related=shown,
    )
    return body, 422 if shown.listed.problem else 200


def _related(
    ctx: Context, record_type: RecordType, record_id: str, field: Field, wanted: Asked
) -> Related | None:
    """Return what links to a record through one field; None where its reader sees none of it."""
    type_name, _, link = field.of.partition(".")
    target = ctx.registry.release.type(type_name)
    if target is None or target.archived or "." in link:
        return None
    rights = access(ctx, type_name)
    if not rights.may("view") or link not in rights.certain:
        return None
    through = target.field(link)
    several = through is not None and through.type == "links"
    clause = f"'{record_id}' in {link}" if several else f"{link} == '{record_id}'"
    # The address may choose the order and the page, and nothing else.
    plain = Asked(sort=wanted.sort, after=wanted.after, trail=wanted.trail)
    view = _view(ctx, rights, clause, link)
    if plain.sort:
        view = msgspec.structs.replace(view, sort=(plain.sort,))
    try:
        listed = list_page(ctx, rights, Look(plain, view, None, ()), limit=_ROWS, may_edit=False)
    except Forbidden:
        return None
    takes_more = rights.may("create") and not _is_closed(ctx, record_type, record_id, field)
    return Related(
        name=field.name,
        label=pick(field.label, ctx.locale) or type_label(target, ctx.locale),
        icon=type_icon(target),
        type_name=type_name,
        listed=listed,
        asked=plain,
        address=f"/records/{record_type.name}/{record_id}/related/{field.name}",
        href=f"/records/{type_name}/{Asked(filter=clause).link()}",
        new_href=_new_href(type_name, link, record_id) if takes_more else "",
    )


def _judged(
    ctx: Context, connection: Connection, record_type: RecordType, record_id: str
) -> tuple[Mapping[str, Any], RecordEnv]:
    """Return what the conditions of a record's backlinks are asked of."""
    env = RecordEnv(ctx, connection)
    return env.view(record_type.name, stored_record(ctx, record_type.name, record_id)), env


def _is_closed(ctx: Context, record_type: RecordType, record_id: str, field: Field) -> bool:
    """Return whether a record takes no more of those that a backlink finds."""
    told = compile_validator(ctx.registry, record_type.name).conditions.fields.get(field.name)
    if told is None or not told.locked:
        return False
    with ctx.reading() as connection:
        row, env = _judged(ctx, connection, record_type, record_id)
        situation = Situation(ctx.door, locale=ctx.locale)
        return first_holding(told.locked, row, env, situation) is not None


def _view(ctx: Context, rights: Access, clause: str, link: str) -> View:
    """Return the first list of a type, of these records alone and without what all share."""
    target = rights.record_type
    lists = (one for one in schema_views(ctx, target) if one.type == "list")
    view = next(lists, None) or default_view(target)
    columns = tuple(name for name in view.columns if name != link) or view.columns
    return msgspec.structs.replace(view, columns=columns, filter=clause, group_by="", totals={})
