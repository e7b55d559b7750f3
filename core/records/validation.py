"""One validator per record type for every door: form, API, import, bulk, automation, flow.

Loading gives values, rules complete and check them, references are asked for in one
batch. All problems of a record are found before anybody is told.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import Any

from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import Invalid, Problem
from core.expression import Env, Expression, compile_expression
from core.expression.types import Kind
from core.records.attachments import Attachments
from core.records.conditions import Compile, Conditions, Moment, Situation
from core.records.counters import row_sequences, rows_at
from core.records.environment import RecordEnv
from core.records.loading import Loading
from core.records.references import References
from core.records.rules import Rules
from core.records.subject import Subject
from core.records.wire import Wire, instant_text, wire_of
from core.schema.fieldtypes import field_type
from core.schema.model import Field, RecordType
from core.schema.peopletypes import SINGLE_LINKS
from core.schema.scopes import column_scope, row_scope, tables_of
from core.tables.computed import COMPUTED
from core.tables.registry import Registry

Values = dict[str, Any]

#: System fields as answers show them, so that what was read can be sent back.
_SYSTEM = {"created_at": instant_text, "updated_at": instant_text, "audited_at": instant_text}


@dataclass(slots=True)
class Candidate:
    """One record on its way in.

    Attributes:
        record_id: its id, which a new one has already too.
        subject: its values, completed, with what is stored.
        problems: everything that is wrong with it.
    """

    record_id: str
    subject: Subject
    problems: list[Problem] = attribute(default_factory=list)

    @property
    def values(self) -> Values:
        """Return the record as it will be."""
        return self.subject.values


class Validator:
    """The checks of one record type, compiled from one release.

    Attributes:
        needs: table and links fields that must be loaded before the rules run; the rest is
            read by the rules themselves where they ask for it.
        computed: fields whose values are computed for whoever reads them.
        numbered: sequences among the columns of table fields, with their tables' paths.
        columns: what is said about the columns of each table field, by its path.
    """

    __slots__ = (
        "_conditions",
        "_followed",
        "_loading",
        "_rules",
        "columns",
        "computed",
        "needs",
        "numbered",
        "record_type",
        "wire",
    )

    def __init__(self, registry: Registry, record_type: RecordType) -> None:
        """Compile the checks of `record_type`."""
        self.record_type = record_type
        self.wire: Wire = wire_of(registry, record_type.name)
        self._loading = Loading(record_type, _SYSTEM)
        compile_text = _record_compile(registry, record_type)
        inside = {
            path: _row_compile(registry, f"{record_type.name}.{path}", one)
            for path, one in tables_of(record_type)
        }
        rows = {
            one.name: Rules(
                one.fields,
                (),
                inside[one.name],
                _inner_rules(registry, record_type.name, one, inside),
                compile_condition=_column_compile(registry, record_type.name, one),
            )
            for one in record_type.fields
            if one.type == "table"
        }
        self._rules = Rules(
            record_type.fields,
            record_type.checks,
            compile_text,
            rows,
            rules=record_type.rules,
            stages=record_type.stages,
        )
        self._conditions = _conditions(record_type, compile_text, inside)
        self.needs = frozenset(
            one.name
            for one in record_type.fields
            if one.type in {"table", "links"}
            and (one.name in self._looked_at() or _looks_out(rows.get(one.name)))
        )
        self.columns = {name: it.conditions for name, it in rows.items()} | {
            f"{name}.{below}": inside.conditions
            for name, it in rows.items()
            for below, inside in it.inner.items()
        }
        self.computed = frozenset(
            one.name for one in record_type.fields if one.type in COMPUTED and not one.stored
        )
        self.numbered = row_sequences(record_type)
        self._followed = _followed(record_type, self._rules.paths)

    def first_values(self, env: Env) -> dict[str, Any]:
        """Return what a form of a new record begins with, in wire form.

        A default that asks for other fields of the record is worked out when it is saved.
        """
        fixed = {
            one.name: one.default for one in self.record_type.fields if one.default is not None
        }
        return fixed | self.wire.record(self._rules.first_values(env))

    @property
    def conditions(self) -> Conditions:
        """Return why fields are shown, required, locked or limited."""
        return self._rules.conditions

    def _looked_at(self) -> frozenset[str]:
        """Return the fields whose conditions or rules need their present value.

        A field that is always required is checked when it changes, as nothing else can
        take its value away.
        """
        always = {one.name for one in self.record_type.fields if one.required}
        told = self.conditions.fields
        alone = {
            name
            for name in always
            if name in told
            and not (told[name].visible or told[name].shown or told[name].required[1:])
        }
        return self.conditions.touched() - alone

    def load_new(self, record_id: str, values: Any) -> Candidate:
        """Return a new record from wire values, with the problems of single values."""
        problems: list[Problem] = []
        loaded = self._loading.load(values, problems)
        return Candidate(record_id, Subject(loaded, None, frozenset(loaded)), problems)

    def load_change(
        self, stored: Mapping[str, Any], values: Any, shown: Mapping[str, Any]
    ) -> Candidate:
        """Return a stored record with changes in wire form laid over it.

        Args:
            stored: the record's Python values, with every table field that changes.
            values: the changes.
            shown: keys of an answer that are no fields (`no_access`, `masked`, `proposal`).
        """
        problems: list[Problem] = []
        loaded = self._loading.load(values, problems, {**stored, **shown})
        values = {**copied(self.wire, stored), **loaded}
        subject = Subject(values, stored, frozenset(loaded))
        return Candidate(stored["id"], subject, problems)

    def trusted(self, before: Mapping[str, Any], values: Mapping[str, Any]) -> Values:
        """Return stored values with wire values of our own over them, rows keeping their ids.

        Computed values among them are left out; checking computes them again.

        Raises:
            Invalid: the fields changed since, so that a value no longer loads.
        """
        problems: list[Problem] = []
        given, known = {}, dict(before)
        kept: Values = {}
        for one in self.record_type.fields:
            if one.name not in values or field_type(one.type).computed:
                continue
            if one.type == "secret" or (one.name == "status" and self.record_type.document):
                # The hash of a secret and the status of a document, which no loader takes.
                kept[one.name] = values[one.name]
                continue
            given[one.name] = value = values[one.name]
            if one.type == "table" and value:
                known[one.name] = _known_rows(one, value)
                given[one.name] = _given_rows(one, value)
        loaded = self._loading.load(given, problems, known)
        if problems:
            raise Invalid(problems=problems)
        return {**before, **loaded, **kept}

    def reload(self, candidate: Candidate, names: Iterable[str]) -> None:
        """Load values that a hook put in, as if they had come in from outside."""
        values, writable = candidate.values, self._loading
        changed = {
            # A hook sets a secret itself: its mask is nobody's.
            name: values[name] if name in self.wire.masked else self.wire.value(name, values[name])
            for name in names
        }
        loaded = writable.load(changed, candidate.problems, candidate.subject.before)
        values.update(loaded)
        candidate.subject.given |= frozenset(loaded)

    def check(
        self,
        ctx: Context,
        connection: Connection,
        candidates: Sequence[Candidate],
        *,
        moment: Moment = "save",
    ) -> None:
        """Complete the candidates and check every rule; problems go to each candidate.

        What rules have to say without refusing goes to the context's warnings.
        """
        situation = Situation(ctx.door, moment, ctx.locale, ctx.warnings)
        env = RecordEnv(ctx, connection)
        self._prefetch(candidates, env)
        references = References(ctx, connection, self.record_type.name, self._conditions)
        attachments = Attachments(ctx, connection)
        for candidate in candidates:
            subject, problems = candidate.subject, candidate.problems
            broken = {problem.path for problem in problems}
            subject.row = env.view(self.record_type.name, subject.values)
            if subject.before is not None:
                subject.stored = env.view(self.record_type.name, subject.before)
            found: list[Problem] = []
            self._rules.complete(subject, env, found)
            self._rules.check(subject, env, found, situation)
            references.collect(self.record_type.fields, subject, env, problems)
            attachments.collect(self.record_type, subject, problems)
            problems += [one for one in found if not _is_echo(one, broken)]
        references.check()
        attachments.check()

    def recompute(self, candidate: Candidate, env: RecordEnv) -> None:
        """Compute formulas again after a number was drawn."""
        self._rules.compute(candidate.subject, env, candidate.problems)

    def _prefetch(self, candidates: Sequence[Candidate], env: RecordEnv) -> None:
        """Ask at once for the records that the rules follow links to."""
        for (table, name), target in self._followed.items():
            ids: set[Any] = set()
            for candidate in candidates:
                values = candidate.values
                ids.update(row.get(name) for row in rows_at(values, table))
            env.prefetch(target, ids - {None})


def _is_echo(problem: Problem, broken: set[str]) -> bool:
    """Return whether a rule only says again that a value could not be read."""
    parts = problem.path.split(".")
    if any(".".join(parts[:end]) in broken for end in range(1, len(parts) + 1)):
        return True
    return not broken.isdisjoint(problem.params.get("fields", ()))


def copied(wire: Wire, record: Mapping[str, Any]) -> Values:
    """Return a copy of a record whose rows can be changed without changing it."""
    values = dict(record)
    for name in wire.rows:
        if name in values:
            values[name] = copied_rows(values[name], wire.inner.get(name, ()))
    return values


def copied_rows(rows: Iterable[Mapping[str, Any]], inner: Iterable[str]) -> list[Values]:
    """Return copies of rows, and of those that their columns `inner` hold."""
    made = [dict(row) for row in rows]
    for name in inner:
        for row in made:
            row[name] = [dict(one) for one in row.get(name) or ()]
    return made


def _known_rows(table: Field, rows: Iterable[Mapping[str, Any]]) -> list[Values]:
    """Return rows of our own as if they were stored, which is to say with their ids."""
    inner = [one for one in table.fields if one.type == "table"]
    numbers = [one.name for one in table.fields if one.type == "sequence"]
    return [
        {"id": row["id"]}
        | {name: row.get(name) for name in numbers}
        | {one.name: _known_rows(one, row.get(one.name) or ()) for one in inner}
        for row in rows
    ]


def _given_rows(table: Field, rows: Iterable[Mapping[str, Any]]) -> list[Values]:
    """Return rows of our own without what is computed."""
    computed = {one.name for one in table.fields if field_type(one.type).computed}
    inner = {one.name: one for one in table.fields if one.type == "table"}
    return [
        {
            name: _given_rows(inner[name], cell or ()) if name in inner else cell
            for name, cell in row.items()
            if name not in computed
        }
        for row in rows
    ]


def _inner_rules(
    registry: Registry, type_name: str, table: Field, inside: Mapping[str, Compile]
) -> dict[str, Rules]:
    """Return the rules of the rows inside a table field's rows."""
    owner = f"{type_name}.{table.name}"
    return {
        one.name: Rules(
            one.fields,
            (),
            inside[f"{table.name}.{one.name}"],
            compile_condition=_column_compile(registry, owner, one),
        )
        for one in table.fields
        if one.type == "table"
    }


def _record_compile(registry: Registry, record_type: RecordType) -> Compile:
    def compile_text(text: str, expect: Kind | None) -> Expression:
        return registry.expression(record_type.name, text, expect)

    return compile_text


def _row_compile(registry: Registry, place: str, table: Field) -> Compile:
    scope = row_scope(registry.release.types, table, place.rpartition(".")[0])

    def compile_text(text: str, expect: Kind | None) -> Expression:
        return compile_expression(text, scope, expect=expect)

    return compile_text


def _column_compile(registry: Registry, owner: str, table: Field) -> Compile:
    scope = column_scope(registry.release.types, table, owner)

    def compile_text(text: str, expect: Kind | None) -> Expression:
        return compile_expression(text, scope, expect=expect)

    return compile_text


def _looks_out(rows: Rules | None) -> bool:
    """Return whether columns have conditions that their record may change."""
    if rows is None:
        return False
    looking = any(one.reach.own for one in rows.conditions.expressions)
    return looking or any(map(_looks_out, rows.inner.values()))


def _conditions(
    record_type: RecordType, compile_text: Compile, inside: Mapping[str, Compile]
) -> dict[tuple[str, str], Expression]:
    """Return when each source of choices is the one, by field id and text."""
    found = {}
    places = [(one, compile_text) for one in record_type.fields]
    places += [
        (column, inside[path]) for path, one in tables_of(record_type) for column in one.fields
    ]
    for one, compiler in places:
        for source in one.options_from:
            if source.when:
                found[one.id, source.when] = compiler(source.when, "boolean")
    return found


def _followed(record_type: RecordType, paths: Iterable[str]) -> dict[tuple[str, str], str]:
    """Return the links that rules follow: (path of the table field or "", link) -> target."""
    found = {}
    for path in paths:
        holder: RecordType | Field = record_type
        parts = path.split(".")
        for at, name in enumerate(parts[:-1]):
            field = next((one for one in holder.fields if one.name == name), None)
            if field is not None and field.type in SINGLE_LINKS:
                found[".".join(parts[:at]), name] = field.target
            if field is None or field.type != "table":
                break
            holder = field
    return found


def compile_validator(registry: Registry, type_name: str) -> Validator:
    """Return the validator of a record type, compiled once per release."""
    return registry.memo(
        ("records.validator", type_name),
        lambda: Validator(registry, registry.record_type(type_name)),
    )
