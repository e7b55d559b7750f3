"""Links in files: there a linked record stands as the key that people know it by."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from core.context import Context
from core.ids import is_id
from core.policies.access import access
from core.records.binding import bound
from core.records.people import PEOPLE
from core.schema.model import RecordType
from core.schema.peopletypes import USERS

#: Keys of linked records kept in memory, and how many are asked for in one statement.
CACHE = 50_000
_PART = 500


def key_field(record_type: RecordType) -> str:
    """Return the field that people know a record by: the first unique text, or `""`."""
    kinds = {"text", "sequence"}
    return next((one.name for one in record_type.fields if one.unique and one.type in kinds), "")


class LinkKeys:
    """Finds linked records by their keys and keys by records, remembering the latest.

    A text that is nobody's key may be a title, where just one record is called so.

    What the actor may not see is not found.
    """

    def __init__(self, ctx: Context) -> None:
        """Look up with the rights of `ctx`."""
        self._ctx = ctx
        self._ids: dict[str, dict[str, str]] = {}
        #: Texts that are no title of one record alone; asking again would read whole tables.
        self._untitled: dict[str, set[str]] = {}
        self._statements: dict[tuple[str, str], sa.Select[Any] | None] = {}

    def ids(self, target: str, keys: set[str]) -> Callable[[str], str | None]:
        """Look up the keys that are not known yet; return what finds the id of any of them."""
        known = self._ids.setdefault(target, {})
        if target == USERS:
            with self._ctx.reading() as connection:
                known.update(PEOPLE.ids(connection, keys))
            # A file may also say a user's id; whether there is one is checked on saving.
            return lambda key: known.get(key, key)
        if len(known) + len(keys) > CACHE:
            known.clear()
        missing = [key for key in keys if key not in known]
        known.update((key, key) for key in missing if is_id(key))
        wanted = [key for key in missing if key not in known]
        known.update((str(key), found) for found, key in self._rows(target, "key", wanted))
        untitled = self._untitled.setdefault(target, set())
        titles = [key for key in wanted if key not in known and key not in untitled]
        known.update((str(title), found) for found, title in self._rows(target, "title", titles))
        untitled.update(key for key in titles[:CACHE] if key not in known)
        return known.get

    def keys(self, target: str, ids: Iterable[str]) -> dict[str, str]:
        """Return the keys of records by id; without those that have none to show."""
        if target == USERS:
            with self._ctx.reading() as connection:
                return dict(PEOPLE.logins(connection, set(ids)))
        rows = self._rows(target, "id", sorted(set(ids)))
        return {found: str(key) for found, key in rows if key is not None}

    def _rows(self, target: str, by: str, wanted: Sequence[str]) -> Iterator[Sequence[Any]]:
        """Yield (id, key or title) of the live records whose id, key or title is wanted."""
        if (target, by) not in self._statements:
            self._statements[target, by] = self._statement(target, by)
        statement = self._statements[target, by]
        if statement is None:
            return
        for start in range(0, len(wanted), _PART):
            part = wanted[start : start + _PART]
            with self._ctx.reading() as connection:
                yield from connection.execute(statement, bound(self._ctx, wanted=part)).all()

    def _statement(self, target: str, by: str) -> sa.Select[Any] | None:
        record_type = self._ctx.registry.record_type(target)
        name = key_field(record_type)
        if by == "title":
            title = record_type.field(record_type.title_field)
            is_other = title is not None and title.type == "text" and title.name != name
            name = record_type.title_field if is_other else ""
        rights = access(self._ctx, target)
        if not name or not rights.may("view") or name not in rights.certain:
            return None
        table = self._ctx.registry.tables[target].main
        column = table.c.id if by == "id" else table.c[name]
        found = sa.func.min(table.c.id) if by == "title" else table.c.id
        statement = sa.select(found, table.c[name]).where(
            column.in_(sa.bindparam("wanted", expanding=True)), table.c.deleted_at.is_(None)
        )
        clause = rights.row_clause("view")
        if clause is not None:
            statement = statement.where(clause)
        if by == "title":
            statement = statement.group_by(column).having(sa.func.count() == 1)
        return statement
