"""The record types under which a record's history was written, and fields known by their ids.

Names change from release to release, ids do not: rows and changes are brought into a form
keyed by ids, and back into the names of whichever release they are shown under.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy.engine import Connection

from core.errors import NotFound
from core.schema.model import Field, RecordType, Release
from core.tables.registry import Registry
from core.tables.releases import load_release

Record = dict[str, Any]


class PastTypes:
    """A record type as it was in earlier releases; each release is read at most once.

    Attributes:
        record_type: as it is today.
    """

    def __init__(
        self, connection: Connection, registry: Registry, record_type: RecordType
    ) -> None:
        """Look for what `record_type` was, through `connection`."""
        self.connection, self.registry, self.record_type = connection, registry, record_type

    def at(self, number: int) -> RecordType:
        """Return the type as it was in release `number`; as it is where that is not known."""
        if number == self.registry.release.number:
            return self.record_type
        key = ("records.past", self.record_type.name, number)
        return self.registry.memo(key, lambda: self._find(number))

    def _find(self, number: int) -> RecordType:
        try:
            release = load_release(self.connection, number)
        except NotFound:
            return self.record_type  # written before this installation kept its releases
        return _same_type(release, self.record_type) or self.record_type


def _same_type(release: Release, wanted: RecordType) -> RecordType | None:
    by_id = (one for one in release.types.values() if wanted.id and one.id == wanted.id)
    return next(by_id, None) or next(
        (release.types[name] for name in wanted.names if name in release.types), None
    )


def names_today(then: RecordType, now: RecordType) -> dict[str, str]:
    """Return what each field of an earlier release is called now; those that are gone lack."""
    names = {one.id: one.name for one in now.fields}
    return {one.name: names[one.id] for one in then.fields if one.id in names}


def keyed(value: Any, field: Field | None) -> Any:
    """Return a field's wire value, or a change of it, with the ids of columns for their names."""
    if field is None or field.type != "table" or value is None:
        return value
    if isinstance(value, dict):
        return {
            kind: keyed(rows, field) if kind != "order" else rows for kind, rows in value.items()
        }
    columns = {one.name: one for one in field.fields}
    return [
        {
            columns[name].id if name in columns else name: keyed(cell, columns.get(name))
            for name, cell in row.items()
        }
        for row in value
    ]


def named(value: Any, field: Field) -> Any:
    """Return a value keyed by ids with the names of `field`; what is no column of it is left out.

    `id` and `position` of rows stay as they are.
    """
    if field.type != "table":
        return value
    columns = {one.id: one for one in field.fields}
    return [
        {
            columns[key].name if key in columns else key: (
                named(cell, columns[key]) if key in columns else cell
            )
            for key, cell in row.items()
            if key in columns or key in {"id", "position"}
        }
        for row in value or ()
    ]


def gone_columns(value: Any, then: Field, now: Field) -> list[tuple[Field, Any]]:
    """Return each cell of rows keyed by ids whose column is gone, with the column as it was."""
    if then.type != "table" or now.type != "table":
        return []
    here = {one.id: one for one in now.fields}
    found: list[tuple[Field, Any]] = []
    for row in value or ():
        for one in then.fields:
            cell = row.get(one.id)
            if cell in (None, "", []):
                continue
            if one.id in here:
                found += gone_columns(cell, one, here[one.id])
            else:
                found.append((one, cell))
    return found


def by_name(fields: Iterable[Field]) -> Mapping[str, Field]:
    """Return fields by their names."""
    return {one.name: one for one in fields}
