"""Finds which stored values must move when one release follows another.

Nothing is lost by it: a field whose values change keeps the old ones under an
archived field `ID@RELEASE`, which is also how a rollback brings them back.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from core.expression import ExpressionError, compile_expression
from core.i18n import N_
from core.schema.changemodel import FieldChange, OnFailure, Retype
from core.schema.converting import base_id, conversion_scope
from core.schema.draft import Draft, placed, unknown
from core.schema.fieldtypes import field_type
from core.schema.model import Conversion, ConversionKind, Field, RecordType, Release
from core.schema.yamlnodes import Node

#: Changes of a field's type that keep every value readable as it stands.
WIDENINGS = {
    "text": {"email", "phone", "url", "color", "barcode", "select", "sequence"},
    "long_text": {"text", "email", "phone", "url", "color", "barcode", "select", "sequence"},
    "integer": {"rating"},
    "decimal": {"money", "rate", "percent"},
    "money": {"decimal"},
}
#: Kinds of columns that values can move between.
_PLAIN = frozenset({"text", "integer", "decimal", "boolean", "date", "time", "instant", "json"})


_Fields = tuple[Field, ...]


def plan_conversions(draft: Draft, running: Release) -> None:
    """Note in every type of a draft which values move, and what is wrong with it."""
    number = running.number + 1
    before = {one.id or one.name: one for one in running.types.values()}
    for name, made in list(draft.types.items()):
        old = before.get(made.id or name)
        if old is not None:
            asked = _Asked(draft, draft.nodes[name])
            draft.types[name] = converted_type(old, made, number, asked=asked)


def undone_type(old: RecordType, running: RecordType, number: int) -> RecordType:
    """Return `old`, restored over `running`, with the conversions since then taken back."""
    return converted_type(running, old, number, undo=True)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a type's files say about conversions, and where problems go."""

    draft: Draft
    node: Node

    def refuse(self, at: int | None, text: str, **params: str) -> None:
        place = self.node.at("fields") if at is None else self.node.at("changes", at)
        self.draft.add(place, "bad_conversion", text, **params)

    def refuse_name(self, at: int, name: str, names: Iterable[str]) -> None:
        self.draft.problems.append(
            unknown(self.node.at("changes", at), "field", name, sorted(set(names)))
        )


def converted_type(
    old: RecordType,
    new: RecordType,
    number: int,
    *,
    asked: _Asked | None = None,
    undo: bool = False,
) -> RecordType:
    """Return `new` with what is kept of `old`, and the conversions that lead to it."""
    past = old.conversions
    undone = _to_undo(past[len(new.conversions) :]) if undo else ()
    wishes = tuple(enumerate(new.changes))
    main = _Place(old, new, number, "", "", asked, wishes, undone).found()
    conversions = list(main.conversions)

    def inside(before: RecordType | Field, now: RecordType | Field, prefix: str) -> _Fields:
        """Return the fields of `now`, its table fields with what is kept of their columns."""
        every = (*before.fields, *before.archived_fields)
        tables = {one.id: one for one in every if one.type == "table"}
        fields = []
        for one in now.fields:
            made = one
            if one.type == "table" and one.id in tables:
                had, below = tables[one.id], f"{prefix}{one.name}."
                rows = _Place(had, one, number, one.id, below, asked, wishes, undone).found()
                conversions.extend(rows.conversions)
                archived = (*one.archived_fields, *rows.kept)
                columns = inside(had, one, below)
                made = msgspec.structs.replace(one, fields=columns, archived_fields=archived)
            fields.append(made)
        return tuple(fields)

    return msgspec.structs.replace(
        new,
        fields=inside(old, new, ""),
        archived_fields=(*new.archived_fields, *main.kept),
        conversions=(*past, *conversions),
    )


def _to_undo(since: Sequence[Conversion]) -> tuple[Conversion, ...]:
    """Return the conversions to take back, the latest first; those taken back already are none."""
    left: list[Conversion] = []
    for one in since:
        if one.undoes and tuple(reversed(left[-len(one.undoes) :])) == one.undoes:
            del left[-len(one.undoes) :]
        else:
            left.append(one)
    return tuple(reversed(left))


def must_convert(old: Field, new: Field) -> bool:
    """Return whether a field's stored values mean something else after a change of it."""
    kinds = field_type(old.type), field_type(new.type)
    storages = kinds[0].storage(old), kinds[1].storage(new)
    if (
        not {storages[0].kind, storages[1].kind} <= _PLAIN
        or kinds[0].computed
        or kinds[1].computed
    ):
        return False
    if renamed_options(old, new):
        return True
    if old.type == new.type or old.type in WIDENINGS.get(new.type, ()):
        return storages[0] != storages[1]
    return True


def renamed_options(old: Field, new: Field) -> dict[str, str]:
    """Return old option -> new option, for those that say what they were."""
    had, has = {one.value for one in old.options}, {one.value for one in new.options}
    return {
        one.was: one.value
        for one in new.options
        if one.was and one.was in had and one.was not in has
    }


@dataclass(frozen=True, slots=True)
class _Wish:
    """One conversion as it was asked for; `at` is its place among the type's `changes`."""

    kind: ConversionKind
    read: Sequence[Field]
    made: Sequence[Field]
    at: int | None = None
    separator: str = " "
    convert: dict[str, str] = field(default_factory=dict)
    on_failure: OnFailure = "quarantine"
    undoes: tuple[Conversion, ...] = ()


@dataclass
class _Place:
    """The fields of a record type, or the columns of one of its table fields.

    Attributes:
        prefix: what stands before a column's name in a wish: `lines.`.
    """

    old: RecordType | Field
    new: RecordType | Field
    number: int
    table: str
    prefix: str
    asked: _Asked | None
    wishes: Sequence[tuple[int, FieldChange]]
    undone: tuple[Conversion, ...]
    conversions: list[Conversion] = field(default_factory=list)
    kept: list[Field] = field(default_factory=list)

    def found(self) -> "_Place":
        """Find everything and return itself."""
        if self.undone:
            self._undo()
        for at, wish in self.wishes:
            if wish.merge is not None:
                into, convert = wish.merge.into, wish.merge.convert
                self._move(at, wish.merge.fields, (into,), "merge", {into: convert}, wish)
            if wish.split is not None:
                split = wish.split
                self._move(at, (split.field,), split.into, "split", split.convert, wish)
        self._retypes()
        return self

    @property
    def _had(self) -> dict[str, Field]:
        return {one.id: one for one in (*self.old.archived_fields, *self.old.fields)}

    def _name(self, written: str) -> str:
        """Return the name here of a field as a wish writes it; empty when it is elsewhere."""
        name = written.removeprefix(self.prefix) if written.startswith(self.prefix) else "."
        return "" if "." in name else name

    def _move(
        self,
        at: int,
        sources: Sequence[str],
        targets: Sequence[str],
        kind: ConversionKind,
        convert: dict[str, str],
        wish: FieldChange,
    ) -> None:
        """Note a merge or a split, if it is made in this release."""
        names = [self._name(one) for one in (*sources, *targets)]
        if not all(names):
            if any(names) and self.asked:
                self.asked.refuse(at, N_("A merge or split stays within one table of fields."))
            return
        had = {one.name: one for one in self.old.fields}
        has = {one.name: one for one in self.new.fields}
        known = {one.name for one in (*self._had.values(), *has.values())}
        missing = [one for one in names if one not in known]
        if missing and self.asked:
            self.asked.refuse_name(at, missing[0], known)
            return
        read = [had[one] for one in names[: len(sources)] if one in had]
        made = [has[one] for one in names[len(sources) :] if one in has]
        if len(read) < len(sources) or len(made) < len(targets):
            return  # it was made by an earlier release
        live, source_ids = {one.id for one in self.old.fields}, {one.id for one in read}
        fresh = [one for one in made if one.id not in live]
        gone = source_ids - {one.id for one in self.new.fields}
        if not (gone if kind == "merge" else fresh):
            return
        taken = [one.name for one in made if one.id in live - source_ids]
        if taken:
            self._refuse(at, N_("{field} holds values of its own already."), field=taken[0])
        elif not all(_is_plain(one) for one in (*read, *made)):
            self._refuse(at, N_("Only fields with a value of their own merge and split."))
        else:
            moved = wish.merge or wish.split
            assert moved is not None  # noqa: S101  for the type checker
            given = {self._name(name) or name: text for name, text in convert.items() if text}
            self._add(_Wish(kind, read, made, at, moved.separator, given, moved.on_failure))

    def _retypes(self) -> None:
        filled = {one.id for it in self.conversions for one in it.targets}
        had = self._had
        for one in self.new.fields:
            before = had.get(one.id)
            if before is None or one.id in filled or not must_convert(before, one):
                continue
            at, wish = self._wish(before, one)
            convert = {one.name: wish.convert} if wish.convert else {}
            self._add(_Wish("retype", [before], [one], at, " ", convert, wish.on_failure))

    def _wish(self, before: Field, one: Field) -> tuple[int | None, Retype]:
        for at, wish in self.wishes:
            asked = wish.retype
            names = {before.name, one.name}
            if asked and asked.to == one.type and self._name(asked.field) in names:
                return at, asked
        # Going back must not fail on what was written since; it is listed instead.
        on_failure: OnFailure = "reject" if self.asked else "quarantine"
        return None, Retype(field=one.name, to=one.type, on_failure=on_failure)

    def _undo(self) -> None:
        """Note what a rollback takes back here."""
        mine = [one for one in self.undone if one.table == self.table]
        live = {one.id: one for one in self.new.fields}
        had = self._had
        ids = [base_id(it.id) for one in mine for it in one.sources]
        targets = [live[one] for one in dict.fromkeys(ids) if one in live]
        filled = [it.id for one in mine for it in one.targets]
        sources = [had[one] for one in dict.fromkeys(filled) if one in had]
        if mine and targets:
            self._add(_Wish("undo", sources, targets, undoes=tuple(mine)))

    def _add(self, wish: _Wish) -> None:
        """Note one conversion, and keep what its targets held."""
        had = self._had
        aside = {
            one.id: msgspec.structs.replace(
                had[one.id], id=f"{one.id}@{self.number}", fields=(), archived_fields=()
            )
            for one in wish.made
            if one.id in had
        }
        is_retype = wish.kind == "retype"
        conversion = Conversion(
            release=self.number,
            kind=wish.kind,
            table=self.table,
            sources=tuple(aside.get(one.id, one) for one in wish.read),
            targets=tuple(wish.made),
            separator=wish.separator,
            convert=wish.convert,
            options=renamed_options(wish.read[0], wish.made[0]) if is_retype else {},
            on_failure=wish.on_failure,
            undoes=wish.undoes,
        )
        if self._is_sound(conversion, wish.at):
            self.kept += aside.values()
            self.conversions.append(conversion)

    def _is_sound(self, conversion: Conversion, at: int | None) -> bool:
        if conversion.kind == "split" and not conversion.convert and not conversion.separator:
            self._refuse(at, N_("A split needs a separator or expressions."))
            return False
        scope, problems = conversion_scope(conversion.sources), 0
        for name, text in conversion.convert.items():
            if name not in {one.name for one in conversion.targets}:
                self._refuse(at, N_("{field} is not filled by this change."), field=name)
                problems += 1
            try:
                compile_expression(text, scope)
            except ExpressionError as error:
                problems += 1
                if self.asked and at is not None:
                    node = self.asked.node.at("changes", at)
                    self.asked.draft.problems.extend(placed(node, one) for one in error.problems)
        return not problems

    def _refuse(self, at: int | None, text: str, **params: str) -> None:
        if self.asked:
            self.asked.refuse(at, text, **params)


def _is_plain(one: Field) -> bool:
    kind = field_type(one.type)
    return kind.storage(one).kind in _PLAIN and not kind.computed
