"""What has to happen to the tables to get from one release to another; nothing is done here.

Everything is matched by id: a name that moved is a rename, an id that went is
kept under its archived field, an id that came is a new column. What cannot be
done without risk to values is a problem, never a step.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import msgspec

from core.errors import Problem
from core.i18n import N_
from core.migration.places import (
    Moved,
    aside_suffix,
    scratch_name,
    stored_places,
    table_before,
    table_names,
)
from core.migration.steps import Phase, Step, create_index
from core.schema.conversions import WIDENINGS
from core.schema.converting import Converter, base_id
from core.schema.model import Conversion, Field, Model, RecordType, Release
from core.tables.build import identifier, main_name, sub_name
from core.tables.computed import COMPUTED, computed_text
from core.tables.indexes import IndexSpec, indexes_of
from core.tables.search import fingerprint, search_fields, search_table
from core.tables.storage import storage_of


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
    converted: set[str] = field(default_factory=set)
    renamed: dict[str, str] = field(default_factory=dict)

    def add_type(self, new: RecordType) -> None:
        aside = aside_suffix(new)
        self.steps += [
            Step(op="create_table", phase="switch", table=name, name=identifier(name, aside))
            for name in table_names(new)
        ]
        self.steps += [create_index(spec, "switch") for spec in indexes_of(new)]
        self.steps += _searching(None, new)

    def set_type_aside(self, old: RecordType) -> None:
        """Free the names of a type whose successor has another id."""
        aside = aside_suffix(old)
        for spec in indexes_of(old):
            self.steps.append(
                Step(op="drop_index", phase="switch", table=spec.table, name=spec.name)
            )
        for name in table_names(old):
            to = identifier(name, aside)
            self.steps.append(Step(op="rename_table", phase="switch", table=name, to=to))

    def change_type(self, old: RecordType, new: RecordType) -> None:
        refused = len(self.problems)
        conversions = [one for one in new.conversions if one.release == self.number]
        self.converted = {it.id for one in conversions for it in one.targets}
        had = {one.id: one for one in (*old.fields, *old.archived_fields)}
        for one in (*new.fields, *new.archived_fields):
            if one.id in had:
                self._check_type_change(new.name, had[one.id], one)
        if len(self.problems) > refused:
            return
        moved = Moved.between(old, new, self.number, self.converted)
        if old.name != new.name:
            self.steps.append(
                Step(
                    op="rename_records", phase="switch", table=main_name(new.name),
                    name=old.name, to=new.name,
                )
            )  # fmt: skip
        self.steps += moved.renames()
        self.steps += self._additions(old, new)
        for conversion in conversions:
            self._convert(old, new, conversion)
        self._indexes(old, new, moved)
        self.steps += _backfills(old, new, self.converted)
        self.steps += _searching(old, new, self.converted)

    # -- fields -------------------------------------------------------------------------

    def _check_type_change(self, place: str, old: Field, new: Field) -> None:
        path = f"{place}.{new.name}"
        if new.id in self.converted:
            return
        if old.type in COMPUTED and new.type in COMPUTED:
            return
        if old.type == new.type == "table":
            inner = {one.id: one for one in (*old.fields, *old.archived_fields)}
            for one in (*new.fields, *new.archived_fields):
                if one.id in inner:
                    self._check_type_change(path, inner[one.id], one)
            return
        if old.type != new.type and old.type not in WIDENINGS.get(new.type, ()):
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
        elif self.renamed.get(old.target, old.target) != new.target:
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
        before = stored_places(old)
        if new.document and not old.document:
            table = main_name(new.name)
            for name, kind in (("audited_at", "instant"), ("audit_seq", "integer")):
                yield Step(op="add_column", phase="switch", table=table, name=name, kind=kind)
        created = set()
        for key, place in stored_places(new).items():
            had = before.get(key)
            if had is not None and had.storage == place.storage:
                continue
            # These columns come before the release, and what they replace is kept.
            if key[1] in self.converted or base_id(key[1]) in self.converted:
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

    def _convert(self, old: RecordType, new: RecordType, conversion: Conversion) -> None:
        """Fill new columns beforehand, then once more what was written in the meantime."""
        before, after = stored_places(old), stored_places(new)
        table = conversion.table
        place = table_before(old, table)
        writes = {}
        for one in conversion.targets:
            name = scratch_name(after[table, one.id].name, self.number)
            writes[one.id] = name
            storage = storage_of(one)
            self.steps.append(
                Step(
                    op="add_column", phase="prepare", table=place,
                    name=name, kind=storage.kind, scale=storage.scale, scratch=True,
                )
            )  # fmt: skip
        reads = {
            one: before[table, one if (table, one) in before else base_id(one)].name
            for one in sorted(Converter(conversion).reads)
        }
        for phase in ("prepare", "switch"):
            self.steps.append(
                Step(
                    op="convert", phase=phase, table=place,
                    name=new.name, conversion=conversion, reads=reads, writes=writes,
                    parent=main_name(old.name) if table else "",
                )
            )  # fmt: skip

    # -- indexes ------------------------------------------------------------------------

    def _indexes(self, old: RecordType, new: RecordType, moved: "Moved") -> None:
        had = {moved.renamed(spec).shape: spec for spec in indexes_of(old)}
        wanted = {spec.shape: spec for spec in indexes_of(new)}
        created = {step.table for step in self.steps if step.op == "create_table"}
        replaced = {
            spec.name for shape, spec in wanted.items() if spec.unique and shape not in had
        }
        for shape, spec in had.items():
            if shape not in wanted:
                phase: Phase = "switch" if spec.name in replaced else "after"
                self.steps.append(
                    Step(op="drop_index", phase=phase, table=spec.table, name=spec.name)
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

    def _new_index(self, spec: IndexSpec, moved: "Moved", created: set[str]) -> Step:
        if spec.table in created:
            return create_index(spec, "switch")
        if not spec.unique:
            return create_index(spec, "after")
        # Uniqueness must hold when the release comes into force, so it is made before,
        # under the names that columns have then, with the columns it needs.
        names = [name for name, _ in spec.columns]
        if any((spec.table, scratch_name(name, self.number)) in moved.columns for name in names):
            return create_index(spec, "switch")
        if spec.table in moved.tables.values() or moved.is_reused(spec.table, names):
            return create_index(spec, "after")
        for number, step in enumerate(self.steps):
            if step.op == "add_column" and step.table == spec.table and step.name in names:
                self.steps[number] = msgspec.structs.replace(step, phase="prepare")
        back = {to: name for (table, name), to in moved.columns.items() if table == spec.table}
        columns = tuple((back.get(name, name), down) for name, down in spec.columns)
        return create_index(replace(spec, columns=columns), "prepare")


def _index_rename(spec: IndexSpec, name: str, to: str) -> Step:
    step = create_index(spec, "switch")
    return msgspec.structs.replace(step, op="rename_index", name=name, to=to, why="", params={})


def _backfills(old: RecordType, new: RecordType, converted: set[str]) -> Iterator[Step]:
    """Yield the computing of stored values that are new or whose meaning changed."""
    if new.archived:
        return
    yield from _rows_backfills(old, new, (new.name,), converted)
    yield from _backfill(main_name(new.name), new.name, old.fields, new.fields, converted)


def _rows_backfills(
    old: RecordType | Field, new: RecordType | Field, path: tuple[str, ...], converted: set[str]
) -> Iterator[Step]:
    """Yield the same for the rows of table fields, the innermost first, as others add them up."""
    had = {one.id: one for one in old.fields}
    for one in new.fields:
        before = had.get(one.id)
        if one.type == "table" and before is not None:
            below = (*path, one.name)
            yield from _rows_backfills(before, one, below, converted)
            columns = before.fields, one.fields
            yield from _backfill(sub_name(*below), ".".join(below), *columns, converted)


def _searching(
    old: RecordType | None, new: RecordType, converted: Iterable[str] = ()
) -> Iterator[Step]:
    """Yield the indexing of searchable texts where fields or texts are others than before."""
    if old is not None and fingerprint(old) and old.name != new.name:
        table = str(search_table.name)
        yield Step(op="drop_search", phase="after", table=table, name=old.name)
    if not fingerprint(new):
        return
    texts = search_fields(new)
    is_stale = any(one.id in converted for one in texts)
    # A piece's number depends on the type's name.
    is_stale = is_stale or old is None or old.name != new.name
    if is_stale or old is None or fingerprint(old) != fingerprint(new):
        columns = tuple((one.name, False) for one in texts)
        table = str(search_table.name)
        yield Step(op="build_search", phase="after", table=table, name=new.name, columns=columns)


def _backfill(
    table: str, name: str, old: Iterable[Field], new: Iterable[Field], converted: set[str]
) -> Iterator[Step]:
    had = {one.id: one for one in old}
    # A rollup over a table field follows the computed and converted columns of its rows.
    stale = [
        one
        for one in new
        if one.id in converted
        or (one.type == "table" and _rows_changed(had.get(one.id), one, converted))
    ]
    computed: list[Field] = []
    for one in in_dependency_order(new):
        changed = _meaning(had.get(one.id)) != _meaning(one)
        if changed or any(_mentions(one, before.name) for before in stale):
            stale.append(one)
            computed.append(one)
    if computed:
        columns = tuple((one.name, False) for one in computed)
        yield Step(op="backfill", phase="after", table=table, name=name, columns=columns)


def _rows_changed(old: Field | None, new: Field, converted: set[str]) -> bool:
    if old is None:
        return False
    had = {one.id: one for one in old.fields}
    if any(
        one.id in converted
        or (one.type == "table" and _rows_changed(had.get(one.id), one, converted))
        for one in new.fields
    ):
        return True
    return any(_backfill("", "", old.fields, new.fields, converted))


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
    "rename_records",
    "rename_column",
    "rename_index",
    "create_table",
    "add_column",
    "convert",
    "create_index",
    "backfill",
    "build_search",
    "drop_search",
)


def _order(step: Step) -> tuple[int, int]:
    if step.op == "convert" and step.phase == "switch":
        # It reads and fills columns under the names that they have before.
        return _PHASES.index(step.phase), -1
    return _PHASES.index(step.phase), _OPERATIONS.index(step.op)


def make_plan(old: Release, new: Release) -> tuple[Plan, tuple[Problem, ...]]:
    """Return the plan from `old` to `new`, and what stands against it."""
    planner = _Planner(new.number)
    before = {one.id or one.name: one for one in old.types.values()}
    after = {one.id or one.name: one for one in new.types.values()}
    planner.renamed = {before[key].name: after[key].name for key in before.keys() & after.keys()}
    for key, record_type in after.items():
        taken = old.types.get(record_type.name)
        if taken is not None and (taken.id or taken.name) != key:
            planner.set_type_aside(taken)
        if key in before:
            planner.change_type(before[key], record_type)
        else:
            planner.add_type(record_type)
    steps = tuple(sorted(planner.steps, key=_order))
    return Plan(number=new.number, base=old.number, steps=steps), tuple(planner.problems)
