"""Search: which records hold every word that is looked for, each in some searchable text.

The index gives candidates, and the texts themselves decide: a word is found anywhere in
a field, whatever its length, in any script, without regard to case. Only fields that
the actor may ask about are looked at, whatever the index holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import Forbidden, Invalid, Problem
from core.i18n import N_
from core.policies.access import Access
from core.schema.fieldtypes import FieldError, field_type
from core.schema.model import Field, RecordType
from core.schema.texttypes import check_characters
from core.tables.search import (
    candidates,
    content_of,
    index_key,
    indexed_ids,
    is_built,
    like_pattern,
    put,
    search_fields,
)

#: Longest text that is searched for, and how many words of it.
LONGEST = 100
MOST_WORDS = 8

#: With more candidates than this, matches are so frequent that the list is walked in its
#: order until the page is full, for a moment (`core.db.briefly`); with fewer, or where the
#: page is not full by then, each of them is looked at.
_MOST_CANDIDATES = 4_000


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for.

    Attributes:
        words: each must be in some field.
        ids: the records that may hold them; None where these are many or not known.
        key: what finds the records in the index; None where it knows nothing.
        by_index: all that the index finds are looked at; else the list is walked in its
            order until the page is full.
    """

    words: tuple[str, ...] = ()
    ids: tuple[str, ...] | None = None
    key: Any = None
    by_index: bool = False

    @property
    def shape(self) -> tuple[int, bool, bool]:
        """Return what the statement depends on: the number of words, and how they are found."""
        return len(self.words), self.ids is not None, self.by_index

    @property
    def values(self) -> dict[str, Any]:
        """Return the parameters of the conditions of `search_conditions`."""
        found: dict[str, Any] = {
            f"search{index}": like_pattern(word) for index, word in enumerate(self.words)
        }
        if self.ids is not None:
            found["search_ids"] = msgspec.json.encode(self.ids).decode()
        if self.by_index:
            found["search_key"] = self.key
        return found


def find_search(ctx: Context, rights: Access, text: str) -> Search:
    """Return the search for `text`, with candidates where the index narrows it down.

    Raises:
        Invalid: the text is too long or has characters that no text can hold.
    """
    words = _words(text)
    if not words:
        return Search()
    record_type = rights.record_type
    with ctx.reading() as connection:
        if not search_fields(record_type) or not _is_ready(ctx, connection, record_type):
            return Search(words)
        key = index_key(connection, record_type.name, words)
        found = candidates(connection, record_type.name, words, most=_MOST_CANDIDATES)
    return Search(words, None if found is None else tuple(found), key)


def _is_ready(ctx: Context, connection: Connection, record_type: RecordType) -> bool:
    """Return whether the index is complete; once it is, it stays so for the release's life."""
    ready: set[str] = ctx.registry.memo("records.searching.ready", set)
    if record_type.name not in ready and is_built(connection, record_type):
        ready.add(record_type.name)
    return record_type.name in ready


def _words(text: str) -> tuple[str, ...]:
    try:
        check_characters(text)
    except FieldError as error:
        wrong = Problem("search", error.code, error.text, error.params)
        raise Invalid(problems=[wrong]) from error
    words = tuple(dict.fromkeys(text.split()))
    if len(text) > LONGEST:
        long = N_("At most {limit} characters.")
        raise Invalid(problems=[Problem("search", "query.too_long", long, {"limit": LONGEST})])
    if len(words) > MOST_WORDS:
        many = N_("At most {limit} words.")
        raise Invalid(problems=[Problem("search", "query.too_long", many, {"limit": MOST_WORDS})])
    return words


def search_conditions(
    rights: Access, table: sa.Table, search: Search, dialect: str
) -> list[sa.ColumnElement[bool]]:
    """Return the conditions of a search, to be bound to the `values` of any of its shape.

    Raises:
        Invalid: the type has no searchable field.
        Forbidden: it has some, but none that the actor may ask about.
    """
    names = _searched(rights.record_type, table)
    if not names:
        text = N_("This form has no searchable field.")
        raise Invalid(problems=[Problem("search", "query.not_searchable", text)])
    allowed = [name for name in names if name in rights.certain]
    if not allowed:
        raise Forbidden
    found: list[sa.ColumnElement[bool]] = []
    if search.ids is not None:
        ids = sa.bindparam("search_ids", type_=sa.Text())
        of_ids = sa.func.json_each(ids) if dialect == "sqlite" else None
        rows = (
            of_ids.table_valued("value")
            if of_ids is not None
            else sa.func.json_array_elements_text(sa.cast(ids, sa.JSON)).table_valued("value")
        )
        found.append(table.c.id.in_(sa.select(rows.c.value)))
    words: list[sa.BindParameter[str]] = [
        sa.bindparam(f"search{index}", type_=sa.Text()) for index in range(len(search.words))
    ]
    if search.by_index:
        found.append(table.c.id.in_(indexed_ids(dialect, words)))
    found += (
        sa.or_(*(table.c[name].ilike(word, escape="\\") for name in allowed)) for word in words
    )
    return found


def _searched(record_type: RecordType, table: sa.Table) -> list[str]:
    """Return the fields that searches look at: the searchable ones, else the title."""
    names = [one.name for one in search_fields(record_type)]
    title = record_type.field(record_type.title_field) if record_type.title_field else None
    if not names and title is not None and title.name in table.c and _is_text(title):
        names = [title.name]
    return names


def _is_text(field: Field) -> bool:
    return field_type(field.result or field.type).storage(field).kind == "text"


def index_new(
    connection: Connection, record_type: RecordType, records: list[Mapping[str, Any]]
) -> None:
    """Index records that were just written for the first time."""
    fields = search_fields(record_type)
    if fields:
        contents = {one["id"]: content_of(fields, one) for one in records}
        put(connection, record_type.name, contents, are_new=True)


def index_change(
    ctx: Context,
    connection: Connection,
    record_type: RecordType,
    record: Mapping[str, Any],
    changed: Mapping[str, Any],
) -> None:
    """Index a record as it is now, if what `changed` is searched for."""
    fields = search_fields(record_type)
    if any(one.name in changed for one in fields) or (fields and "deleted_at" in changed):
        _index(ctx, connection, record_type, {record["id"]: content_of(fields, record)})


def index_removal(
    ctx: Context, connection: Connection, record_type: RecordType, record_id: str
) -> None:
    """Take a record that was deleted for good out of the index."""
    if search_fields(record_type):
        _index(ctx, connection, record_type, {record_id: ""})


def _index(
    ctx: Context, connection: Connection, record_type: RecordType, contents: dict[str, str]
) -> None:
    """Bring contents into the index, or have them wait for others."""
    if ctx.pending is None:
        put(connection, record_type.name, contents)
    else:
        ctx.pending.contents.setdefault(record_type.name, {}).update(contents)
