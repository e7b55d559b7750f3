"""What linked records are called, and finding records to link to, under the reader's rights."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Context
from core.files.models import file_table
from core.i18n import pick
from core.ids import is_id
from core.policies.access import access
from core.records.binding import bound
from core.records.people import PEOPLE
from core.schema.model import RecordType
from core.schema.namedtypes import calendar_names, role_names
from core.schema.peopletypes import USERS
from core.web.display import FILES

#: Records offered by a link picker at once.
OFFERED = 20

#: Ids in one statement.
_CHUNK = 500


def title_name(record_type: RecordType) -> str:
    """Return the field that names a record: `title_field`, else the first text field."""
    if record_type.title_field:
        return record_type.title_field
    texts = (field.name for field in record_type.fields if field.type == "text")
    return next(texts, "id")


def find_titles(ctx: Context, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return the titles of those records among `wanted` that the actor may see."""
    by_type: dict[str, set[str]] = defaultdict(set)
    for type_name, record_id in wanted:
        if type_name == USERS or is_id(record_id):  # a form may hold any text in an id's place
            by_type[type_name].add(record_id)
    found: dict[tuple[str, str], str] = {}
    if by_type:
        with ctx.reading() as connection:
            names = PEOPLE.names(connection, by_type.pop(USERS, set()))
            found |= {(USERS, user_id): name for user_id, name in names.items()}
            found.update(_file_names(connection, sorted(by_type.pop(FILES, ()))))
            for type_name, ids in by_type.items():
                if ctx.registry.release.type(type_name) is not None:
                    for record_id, title in _titles_of(ctx, connection, type_name, sorted(ids)):
                        found[type_name, record_id] = title
    return found


def role_labels(ctx: Context) -> dict[str, str]:
    """Return the roles that a field may name, with their labels in the reader's language."""
    release = ctx.registry.release
    labels = {one.name: pick(one.label, ctx.locale, one.name) for one in release.roles}
    return {name: labels.get(name, name) for name in sorted(role_names(release))}


def calendar_labels(ctx: Context) -> dict[str, str]:
    """Return the business calendars that a field may name, with their labels."""
    known = ctx.registry.release.calendars
    names = sorted(calendar_names(ctx.registry.release))
    return {name: pick(known[name].label, ctx.locale, name) for name in names}


def named_labels(ctx: Context) -> dict[str, dict[str, str]]:
    """Return what values of each field type that names something are called."""
    return {"role": role_labels(ctx), "calendar": calendar_labels(ctx)}


def _file_names(connection: Connection, ids: list[str]) -> Iterable[Any]:
    """Yield the names of files that shown fields hold; who sees the field sees the name."""
    for start in range(0, len(ids), _CHUNK):
        query = sa.select(file_table.c.id, file_table.c.name).where(
            file_table.c.id.in_(ids[start : start + _CHUNK])
        )
        for file_id, name in connection.execute(query):
            yield (FILES, file_id), name


def _titles_of(ctx: Context, connection: Any, type_name: str, ids: list[str]) -> Iterable[Any]:
    rights = access(ctx, type_name)
    name = title_name(ctx.registry.record_type(type_name))
    if not rights.may("view") or name not in rights.certain:
        return
    table = ctx.registry.tables[type_name].main
    for start in range(0, len(ids), _CHUNK):
        query = sa.select(table.c.id, table.c[name]).where(
            table.c.id.in_(ids[start : start + _CHUNK])
        )
        clause = rights.row_clause("view")
        if clause is not None:
            query = query.where(clause)
        for record_id, title in connection.execute(query, bound(ctx)):
            yield record_id, str(title) if title not in (None, "") else record_id
