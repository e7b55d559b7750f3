"""What has to happen to the tables to get from one release to another; nothing is done here.

Everything is matched by id: a name that moved is a rename, an id that went is
kept under its archived field, an id that came is a new column. What cannot be
done without risk to values is a problem, never a step.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import msgspec

from core.errors import Problem
from core.i18n import N_
from core.migration.steps import Phase, Step, create_index
from core.schema.model import Field, Model, RecordType, Release
from core.tables.build import identifier, main_name, stored_names, sub_name
from core.tables.computed import COMPUTED, computed_text
from core.tables.indexes import IndexSpec, indexes_of
from core.tables.search import fingerprint, search_fields, search_table
from core.tables.storage import Storage, has_column, storage_of

#: Changes of a field's type that keep every value readable as it stands.
_WIDENINGS = {
    "text": {"email", "phone", "url", "color", "barcode", "select", "sequence"},
    "long_text": {"text", "email", "phone", "url", "color", "barcode", "select", "sequence"},
    "integer": {"rating"},
    "decimal": {"money", "rate", "percent"},
    "money": {"decimal"},
}


class Plan(Model, frozen=True, kw_only=True):
    """The steps from release `base` to release `number`."""

    number: int
    base: int
    steps: tuple[Step, ...] = ()

    def of_phase(self, phase: Phase) -> tuple[Step, ...]:
        """Return the steps of one phase, in order."""
        return tuple(step for step in self.steps if step.phase == phase)


@dataclass
class _Planner:
    """Collects steps and problems type by type."""

    number: int
    steps: list[Step] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add_type(self, new: RecordType) -> None:
        aside = _aside(new)
        self.steps += [
            Step(op="create_table", phase="switch", table=name, name=identifier(name, aside))
            for name in _table_names(new)
        ]
        self.steps += [create_index(spec, "switch") for spec in indexes_of(new)]
        self.steps += _searching(None, new)

    def set_type_aside(self, old: RecordType) -> None:
        """Free the names of a type whose successor has another id."""
        aside = _aside(old)
        for spec in indexes_of(old):
            self.steps.append(
                Step(op="drop_index", phase="switch", table=spec.table, name=spec.name)
            )
        for name in _table_names(old):
            to = identifier(name, aside)
            self.steps.append(Step(op="rename_table", phase="switch", table=name, to=to))

    def change_type(self, old: RecordType, new: RecordType) -> None:
        refused = len(self.problems)
        had = {one.id: one for one in (*old.fields, *old.archived_fields)}
        for one in (*new.fields, *new.archived_fields):
            if one.id in had:
                self._check_type_change(new.name, had[one.id], one)
        if len(self.problems) > refused:
            return
        moved = _Moved.between(old, new, self.number)
        self.steps += moved.renames()
        self.steps += self._additions(old, new)
        self._indexes(old, new, moved)
        self.steps += _backfills(old, new)
        self.steps += _searching(old, new)

    # -- fields -------------------------------------------------------------------------

    def _check_type_change(self, place: str, old: Field, new: Field) -> None:
        path = f"{place}.{new.name}"
        if old.type in COMPUTED and new.type in COMPUTED:
            return
        if old.type == new.type == "table":
            inner = {one.id: one for one in (*old.fields, *old.archived_fields)}
            for one in (*new.fields, *new.archived_fields):
                if one.id in inner:
                    self._check_type_change(path, inner[one.id], one)
            return
        if old.type != new.type and old.type not in _WIDENINGS.get(new.type, ()):
            self._refuse(
                path,
                "schema.type_change",
                N_(
                    "{field}: a {old} field cannot become a {new} field; archive it and add "
                    "a new one."
                ),
                field=new.name,
                old=old.type,
                new=new.type,
            )
        elif storage_of(old) != storage_of(new):
            self._refuse(
                path,
                "schema.precision_change",
                N_(
                    "{field}: the digits after the point cannot change from {old} to {new} "
                    "once the field is published."
                ),
                field=new.name,
                old=str(storage_of(old).scale),
                new=str(storage_of(new).scale),
            )
        elif old.target != new.target:
            self._refuse(
                path,
                "schema.target_change",
                N_(
                    "{field}: a link to {old} cannot become a link to {new}; archive it and add "
                    "a new one."
                ),
                field=new.name,
                old=old.target,
                new=new.target,
            )

    def _refuse(self, path: str, code: str, text: str, **params: str) -> None:
        self.problems.append(Problem(path, code, text, params))

    def _additions(self, old: RecordType, new: RecordType) -> Iterator[Step]:
        before = _stored(old)
        if new.document and not old.document:
            table = main_name(new.name)
            for name, kind in (("audited_at", "instant"), ("audit_seq", "integer")):
                yield Step(op="add_column", phase="switch", table=table, name=name, kind=kind)
        created = set()
        for key, place in _stored(new).items():
            had = before.get(key)
            if had is not None and had.storage == place.storage:
                continue
            if place.storage is None:
                created.add(key[0])
                yield Step(op="create_table", phase="switch", table=place.table)
            elif key[0] not in created:
                yield Step(
                    op="add_column",
                    phase="switch",
                    table=place.table,
                    name=place.name,
                    kind=place.storage.kind,
                    scale=place.storage.scale,
                )

    # -- indexes ------------------------------------------------------------------------

    def _indexes(self, old: RecordType, new: RecordType, moved: "_Moved") -> None:
        had = {moved.renamed(spec).shape: spec for spec in indexes_of(old)}
        wanted = {spec.shape: spec for spec in indexes_of(new)}
        created = {step.table for step in self.steps if step.op == "create_table"}
        for shape, spec in had.items():
            if shape not in wanted:
                self.steps.append(
                    Step(op="drop_index", phase="after", table=spec.table, name=spec.name)
                )
        renamed: dict[str, IndexSpec] = {}
        for shape, spec in wanted.items():
            before = had.get(shape)
            if before is None:
                self.steps.append(self._new_index(spec, moved, created))
            elif before.name != spec.name:
                renamed[before.name] = spec
        self._rename_indexes(renamed)

    def _rename_indexes(self, renamed: dict[str, IndexSpec]) -> None:
        """Add the renames, through names in between where two swap theirs."""
        taken = {spec.name for spec in renamed.values()} & set(renamed)
        for name in sorted(taken):
            self.steps.append(_index_rename(renamed[name], name, identifier(name, "moving")))
        for name, spec in renamed.items():
            start = identifier(name, "moving") if name in taken else name
            self.steps.append(_index_rename(spec, start, spec.name))

    def _new_index(self, spec: IndexSpec, moved: "_Moved", created: set[str]) -> Step:
        if spec.table in created:
            return create_index(spec, "switch")
        if not spec.unique:
            return create_index(spec, "after")
        # Uniqueness must hold when the release comes into force, so it is made before,
        # under the names that columns have then, with the columns it needs.
        names = [name for name, _ in spec.columns]
        if spec.table in moved.tables.values() or moved.is_reused(spec.table, names):
            return create_index(spec, "after")
        for number, step in enumerate(self.steps):
            if step.op == "add_column" and step.table == spec.table and step.name in names:
                self.steps[number] = msgspec.structs.replace(step, phase="prepare")
        back = {to: name for (table, name), to in moved.columns.items() if table == spec.table}
        columns = tuple((back.get(name, name), down) for name, down in spec.columns)
        return create_index(replace(spec, columns=columns), "prepare")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where something is stored; `storage` is None for a table of its own."""

    table: str
    name: str = ""
    storage: Storage | None = None


#: (id of the table or links field, or "" for the main table; id of the field, or "").
_Key = tuple[str, str]


def _stored(record_type: RecordType) -> dict[_Key, _Place]:
    """Return where every field of a type is stored, archived ones too."""
    found: dict[_Key, _Place] = {}
    names = stored_names(record_type.fields, record_type.archived_fields)
    for one in (*record_type.fields, *record_type.archived_fields):
        if has_column(one):
            table = main_name(record_type.name)
            found["", one.id] = _Place(table, names[one.id], storage_of(one))
        elif one.type in {"table", "links"}:
            table = sub_name(record_type.name, names[one.id])
            found[one.id, ""] = _Place(table)
            inner = stored_names(one.fields, one.archived_fields)
            for column in (*one.fields, *one.archived_fields):
                if has_column(column):
                    place = _Place(table, inner[column.id], storage_of(column))
                    found[one.id, column.id] = place
    return found


def _table_names(record_type: RecordType) -> list[str]:
    places = _stored(record_type).values()
    subs = [place.table for place in places if place.storage is None]
    return [main_name(record_type.name), *subs]


def _aside(record_type: RecordType) -> str:
    """Return the end of the names under which a replaced type's tables are kept."""
    key = record_type.id or record_type.name
    return "x" + hashlib.sha256(key.encode()).hexdigest()[:8]


@dataclass
class _Moved:
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
    def between(cls, old: RecordType, new: RecordType, number: int) -> "_Moved":
        """Compare where two versions of a type store the same ids."""
        moved, after = cls(), _stored(new)
        for key, before in _stored(old).items():
            now = after.get(key)
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


def _index_rename(spec: IndexSpec, name: str, to: str) -> Step:
    step = create_index(spec, "switch")
    return msgspec.structs.replace(step, op="rename_index", name=name, to=to, why="", params={})


def _rename(table: str, name: str, to: str) -> Step:
    return Step(op="rename_column", phase="switch", table=table, name=name, to=to)


def _backfills(old: RecordType, new: RecordType) -> Iterator[Step]:
    """Yield the computing of stored values that are new or whose meaning changed."""
    if new.archived:
        return
    had = {one.id: one for one in old.fields}
    for one in new.fields:
        before = had.get(one.id)
        if one.type == "table" and before is not None:
            yield from _backfill(
                sub_name(new.name, one.name), f"{new.name}.{one.name}", before.fields, one.fields
            )
    yield from _backfill(main_name(new.name), new.name, old.fields, new.fields)


def _searching(old: RecordType | None, new: RecordType) -> Iterator[Step]:
    """Yield the indexing of searchable texts where other fields are searchable than before."""
    if fingerprint(new) and (old is None or fingerprint(old) != fingerprint(new)):
        columns = tuple((one.name, False) for one in search_fields(new))
        table = str(search_table.name)
        yield Step(op="build_search", phase="after", table=table, name=new.name, columns=columns)


def _backfill(table: str, name: str, old: Iterable[Field], new: Iterable[Field]) -> Iterator[Step]:
    had = {one.id: one for one in old}
    # A rollup over a table field follows the computed columns of its rows.
    stale = [one for one in new if one.type == "table" and _rows_changed(had.get(one.id), one)]
    computed: list[Field] = []
    for one in in_dependency_order(new):
        changed = _meaning(had.get(one.id)) != _meaning(one)
        if changed or any(_mentions(one, before.name) for before in stale):
            stale.append(one)
            computed.append(one)
    if computed:
        columns = tuple((one.name, False) for one in computed)
        yield Step(op="backfill", phase="after", table=table, name=name, columns=columns)


def _rows_changed(old: Field | None, new: Field) -> bool:
    return old is not None and any(_backfill("", "", old.fields, new.fields))


def in_dependency_order(fields: Iterable[Field]) -> tuple[Field, ...]:
    """Return the stored computed fields, each after those it reads."""
    left = [one for one in fields if one.type in COMPUTED and one.stored]
    ordered: list[Field] = []
    while left:
        free = [
            one for one in left if not any(_mentions(one, it.name) for it in left if it != one)
        ]
        # Fields that read each other are refused when the schema is checked.
        ordered += free or left
        left = [one for one in left if one not in ordered]
    return tuple(ordered)


def _mentions(one: Field, name: str) -> bool:
    return name in re.findall(r"\w+", computed_text(one))


def _meaning(one: Field | None) -> tuple[object, ...] | None:
    if one is None:
        return None
    return (computed_text(one) if one.type in COMPUTED else "", one.stored, storage_of(one))


_PHASES = ("prepare", "switch", "after")
_OPERATIONS = (
    "drop_index",
    "rename_table",
    "rename_column",
    "rename_index",
    "create_table",
    "add_column",
    "create_index",
    "backfill",
    "build_search",
)


def _order(step: Step) -> tuple[int, int]:
    return _PHASES.index(step.phase), _OPERATIONS.index(step.op)


def make_plan(old: Release, new: Release) -> tuple[Plan, tuple[Problem, ...]]:
    """Return the plan from `old` to `new`, and what stands against it."""
    planner = _Planner(new.number)
    ids = {one.id or one.name: one.name for one in old.types.values()}
    for name, record_type in new.types.items():
        before = old.types.get(name)
        key = record_type.id or name
        if before is None and key in ids:
            planner.problems.append(
                Problem(
                    name,
                    "schema.type_renamed",
                    N_("A record type cannot be renamed: {old} to {new}."),
                    {"old": ids[key], "new": name},
                )
            )
        elif before is None:
            planner.add_type(record_type)
        elif (before.id or name) != key:
            planner.set_type_aside(before)
            planner.add_type(record_type)
        else:
            planner.change_type(before, record_type)
    steps = tuple(sorted(planner.steps, key=_order))
    return Plan(number=new.number, base=old.number, steps=steps), tuple(planner.problems)
