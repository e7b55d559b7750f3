"""Where two versions of a record type store the same fields, and what therefore moves."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from core.migration.steps import Step
from core.schema.model import Field, RecordType
from core.tables.build import identifier, main_name, stored_names, sub_name
from core.tables.indexes import IndexSpec
from core.tables.storage import Storage, has_column, storage_of


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is stored; `storage` is None for a table of its own."""

    table: str
    name: str = ""
    storage: Storage | None = None


#: (id of the table or links field, or "" for the main table; id of the field, or "").
Key = tuple[str, str]


def stored_places(record_type: RecordType) -> dict[Key, Place]:
    """Return where every field of a type is stored, archived ones too."""
    found: dict[Key, Place] = {}
    names = stored_names(record_type.fields, record_type.archived_fields)
    for one in (*record_type.fields, *record_type.archived_fields):
        if has_column(one):
            table = main_name(record_type.name)
            found["", one.id] = Place(table, names[one.id], storage_of(one))
        elif one.type in {"table", "links"}:
            table = sub_name(record_type.name, names[one.id])
            found[one.id, ""] = Place(table)
            found.update(_places_of_rows(one, (record_type.name, names[one.id])))
    return found


def _places_of_rows(table: Field, path: tuple[str, ...]) -> dict[Key, Place]:
    """Return where the columns of a table field are stored, and the rows inside its rows."""
    found: dict[Key, Place] = {}
    names = stored_names(table.fields, table.archived_fields)
    for one in (*table.fields, *table.archived_fields):
        if has_column(one):
            found[table.id, one.id] = Place(sub_name(*path), names[one.id], storage_of(one))
        elif one.type == "table":
            below = (*path, names[one.id])
            found[one.id, ""] = Place(sub_name(*below))
            found.update(_places_of_rows(one, below))
    return found


def table_names(record_type: RecordType) -> list[str]:
    """Return the names of all tables of a type, the main one first."""
    places = stored_places(record_type).values()
    subs = [place.table for place in places if place.storage is None]
    return [main_name(record_type.name), *subs]


def scratch_name(name: str, number: int) -> str:
    """Return the column that fills up before release `number`, to become `name` with it."""
    return identifier(name, f"n{number}")


def table_before(old: RecordType, table: str) -> str:
    """Return the name before the release of a type's main table, or of a table field's by id."""
    return stored_places(old)[table, ""].table if table else main_name(old.name)


def aside_suffix(record_type: RecordType) -> str:
    """Return the end of the names under which a replaced type's tables are kept."""
    key = record_type.id or record_type.name
    return "x" + hashlib.sha256(key.encode()).hexdigest()[:8]


@dataclass
class Moved:
    """What has another name afterwards.

    Attributes:
        tables: old name -> new name.
        columns: (table's new name, old column name) -> new column name.
        former: table's new name -> the column names it had.
    """

    tables: dict[str, str] = field(default_factory=dict)
    columns: dict[tuple[str, str], str] = field(default_factory=dict)
    former: dict[str, set[str]] = field(default_factory=dict)
    kept: dict[str, set[str]] = field(default_factory=dict)

    @classmethod
    def between(
        cls, old: RecordType, new: RecordType, number: int, converted: set[str]
    ) -> "Moved":
        """Compare where two versions of a type store the same ids."""
        moved, after = cls(), stored_places(new)
        moved.columns = {
            (place.table, scratch_name(place.name, number)): place.name
            for (_, identity), place in after.items()
            if identity in converted
        }
        if old.name != new.name:
            moved.tables[main_name(old.name)] = main_name(new.name)
        for key, before in stored_places(old).items():
            # Converted values are kept under the id of what was, beside the new ones.
            identity = f"{key[1]}@{number}" if key[1] in converted else key[1]
            now = after.get((key[0], identity))
            if now is None:
                continue
            if before.storage is None and before.table != now.table:
                moved.tables[before.table] = now.table
            moved.former.setdefault(now.table, set()).add(before.name)
            if before.storage != now.storage:
                # A computed column of another kind: the values are made anew.
                aside = identifier(before.name, f"x{number}")
                moved.columns[now.table, before.name] = aside
            elif before.name != now.name:
                moved.columns[now.table, before.name] = now.name
            else:
                moved.kept.setdefault(now.table, set()).add(now.name)
        return moved

    def is_reused(self, table: str, names: Iterable[str]) -> bool:
        """Return whether a name belonged to another column of the table before."""
        gone = self.former.get(table, set()) - self.kept.get(table, set())
        arrived = {to for (where, _), to in self.columns.items() if where == table}
        return any(name in gone and name not in arrived for name in names)

    def renamed(self, spec: IndexSpec) -> IndexSpec:
        """Return an index of the old release as it stands once everything is renamed."""
        table = self.tables.get(spec.table, spec.table)
        columns = tuple(
            (self.columns.get((table, name), name), down) for name, down in spec.columns
        )
        return replace(spec, table=table, columns=columns)

    def renames(self) -> Iterator[Step]:
        """Yield the renames, through names in between where two swap theirs."""
        for name, to in self.tables.items():
            yield Step(op="rename_table", phase="switch", table=name, to=to)
        taken = {(table, to) for (table, _), to in self.columns.items()} & set(self.columns)
        for table, name in taken:
            yield _rename(table, name, identifier(name, "moving"))
        for (table, name), to in self.columns.items():
            yield _rename(
                table, identifier(name, "moving") if (table, name) in taken else name, to
            )


def _rename(table: str, name: str, to: str) -> Step:
    return Step(op="rename_column", phase="switch", table=table, name=name, to=to)
