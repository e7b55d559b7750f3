"""New records: one, or many in one go.

Many are loaded, checked and written together: one query per linked type, one insert
per table, one history row each. A record that is refused does not stop the others.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from core import audit
from core.context import Context
from core.errors import Forbidden, Invalid, Problem, UserError
from core.extension.hookspecs import Change
from core.i18n import N_
from core.ids import new_id
from core.policies.access import Access, access
from core.prebuilt import at_once, inserting
from core.records.attachments import bind_files
from core.records.children import give_all_ids, insert_links, insert_rows
from core.records.conflicts import taken, taken_by
from core.records.counters import format_number, next_number, number_rows, sequence_key
from core.records.environment import RecordEnv
from core.records.events import announce, field_changes, history_event
from core.records.placetypes import note_move
from core.records.references import taken_fields
from core.records.searching import index_new
from core.records.validation import Candidate, Validator, compile_validator, copied
from core.tables.inserting import insert_all

Record = dict[str, Any]

#: One record of a batch: as it was written, or why it was not.
Outcome = Record | UserError


def insert_many(
    ctx: Context, type_name: str, items: Sequence[Any], *, reason: str = ""
) -> list[Outcome]:
    """Write new records from wire values; return each as it was written, or its refusal.

    The records come back with every stored field, whatever the actor may see of them.

    Raises:
        Forbidden: the actor may create none.
    """
    rights = access(ctx, type_name)
    rights.require("create")
    validator = compile_validator(ctx.registry, type_name)
    candidates = [new_candidate(ctx, validator, values) for values in items]
    with ctx.writing() as connection:
        batch = Batch(ctx, connection, validator, rights)
        batch.check(candidates)
        batch.write(candidates, reason)
    announced = batch.outcomes
    return [announced[candidate.record_id] for candidate in candidates]


def new_candidate(ctx: Context, validator: Validator, values: Any) -> Candidate:
    """Return a new record of wire values with its system values."""
    candidate = validator.load_new(new_id(), values)
    now, actor = ctx.now, ctx.actor.id
    candidate.values.update(
        id=candidate.record_id,
        version=1,
        release=ctx.registry.release.number,
        created_at=now,
        created_by=actor,
        updated_at=now,
        updated_by=actor,
        deleted_at=None,
        chain="",
        events=0,
    )
    if validator.record_type.document:
        candidate.values.update(audited_at=None, audit_seq=None)
    return candidate


class Batch:
    """New records of one type on their way into the database, in one transaction.

    Attributes:
        outcomes: record id -> what became of it.
    """

    def __init__(
        self, ctx: Context, connection: Connection, validator: Validator, rights: Access
    ) -> None:
        """Write through `connection`."""
        self._ctx, self._connection = ctx, connection
        self._validator, self._rights = validator, rights
        self._type = validator.record_type
        self.outcomes: dict[str, Outcome] = {}

    def check(self, candidates: Sequence[Candidate]) -> None:
        """Check every rule and right; note the refusals."""
        self._validator.check(self._ctx, self._connection, candidates)
        self._refuse_invalid(candidates)
        env = RecordEnv(self._ctx, self._connection)
        for candidate in self._living(candidates):
            refusal = self._forbidden(candidate, env)
            if refusal is not None:
                self.outcomes[candidate.record_id] = refusal
        if len(candidates) > 1:
            self._refuse_taken(self._living(candidates))

    def write(self, candidates: Sequence[Candidate], reason: str) -> None:
        """Call the hooks, draw numbers and write what was not refused."""
        for candidate in self._living(candidates):
            try:
                self._call_hooks(candidate)
            except UserError as error:
                self.outcomes[candidate.record_id] = error
        living = self._living(candidates)
        self._draw_numbers(living)
        living = self._living(living)
        if len(living) > 1:
            self._insert_together(living, reason)
        elif living:
            self._insert_one(living[0], reason)

    def _living(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        return [one for one in candidates if one.record_id not in self.outcomes]

    def _refuse_invalid(self, candidates: Iterable[Candidate]) -> None:
        for candidate in candidates:
            if candidate.problems:
                self.outcomes[candidate.record_id] = Invalid(problems=candidate.problems)

    def _forbidden(self, candidate: Candidate, env: RecordEnv) -> Forbidden | None:
        """Return the refusal when the record is outside what the actor may create."""
        editable = self._rights.editable_when("create", candidate.subject.row, env)
        if editable is None:
            return Forbidden()
        return forbidden_fields(candidate.subject.given - editable)

    def _refuse_taken(self, candidates: Sequence[Candidate]) -> None:
        pairs = [(one.record_id, one.values) for one in candidates]
        hits = taken_fields(self._ctx, self._connection, self._type, pairs)
        for candidate, fields in zip(candidates, hits, strict=True):
            if fields is not None:
                self.outcomes[candidate.record_id] = taken(fields)

    def _call_hooks(self, candidate: Candidate) -> None:
        values = candidate.values
        seen = copied(self._validator.wire, values)
        change = Change(self._type.name, "create", candidate.record_id, None, values)
        self._ctx.hooks.before_save(self._ctx, change)
        changed = [name for name in values if name not in seen or values[name] != seen[name]]
        if changed:
            self._validator.reload(candidate, changed)
            self._validator.check(self._ctx, self._connection, [candidate])
            self._refuse_invalid([candidate])

    def _draw_numbers(self, candidates: Sequence[Candidate]) -> None:
        sequences = [one for one in self._type.fields if one.type == "sequence"]
        numbered = self._validator.numbered
        if not (sequences or numbered) or not candidates:
            return
        env = RecordEnv(self._ctx, self._connection)
        pairs = [(None, one.values) for one in candidates]
        number_rows(self._connection, self._type.name, numbered, pairs, env.today)
        for field in sequences:
            key = sequence_key(self._type.name, field, env.today)
            first = next_number(self._connection, key, count=len(candidates))
            for number, candidate in enumerate(candidates, start=first):
                candidate.values[field.name] = format_number(field.number, number, env.today)
        for candidate in candidates:
            self._validator.recompute(candidate, env)
        self._refuse_invalid(candidates)

    def _insert_together(self, candidates: Sequence[Candidate], reason: str) -> None:
        try:
            with self._connection.begin_nested():
                self._insert(candidates, reason)
        except IntegrityError:
            # Another transaction took a value since it was looked up: find out whose it is.
            for candidate in candidates:
                self._insert_alone(candidate, reason)
        self._announce(
            [one for one in candidates if isinstance(self.outcomes[one.record_id], dict)]
        )

    def _insert_alone(self, candidate: Candidate, reason: str) -> None:
        candidate.values.update(chain="", events=0)
        try:
            with self._connection.begin_nested():
                self._insert([candidate], reason)
        except IntegrityError as error:
            self.outcomes[candidate.record_id] = taken_by(self._ctx, self._type, error)

    def _insert_one(self, candidate: Candidate, reason: str) -> None:
        try:
            with at_once(self._connection):
                self._insert_rows([candidate], reason)
                self._announce([candidate])
        except IntegrityError as error:
            raise taken_by(self._ctx, self._type, error) from error
        self._note([candidate])

    def _announce(self, candidates: Iterable[Candidate]) -> None:
        told = [(self._type.name, one.record_id, 1) for one in candidates]
        announce(self._ctx, self._connection, "record.created", told)

    def _insert(self, candidates: Sequence[Candidate], reason: str) -> None:
        self._insert_rows(candidates, reason)
        self._note(candidates)

    def _insert_rows(self, candidates: Sequence[Candidate], reason: str) -> None:
        """Insert the rows of records and all that belongs to them; none is read meanwhile."""
        tables = self._ctx.registry.tables[self._type.name]
        for name in tables.children:  # rows need their ids before the history names them
            for candidate in candidates:
                give_all_ids(candidate.values[name], tables.inner.get(name, ()))
        history = [self._event(candidate, reason) for candidate in candidates]
        if len(candidates) == 1:
            self._insert_row(tables.main, candidates[0].values, history)
        else:
            insert_all(self._connection, tables.main, [one.values for one in candidates])
            audit.append(self._connection, history)
        index_new(self._connection, self._type, [one.values for one in candidates])
        for name, table in tables.children.items():
            owned = _owned(candidates, name)
            insert_rows(self._connection, table, owned, tables.inner.get(name))
        for name, table in tables.links.items():
            insert_links(self._connection, table, _owned(candidates, name))

    def _note(self, candidates: Sequence[Candidate]) -> None:
        """Note what else follows from records that were inserted."""
        for one in candidates:
            note_move(self._connection, self._type, {}, one.values)
        bind_files(self._ctx, self._connection, self._type, [one.values for one in candidates])
        self.outcomes.update((one.record_id, one.values) for one in candidates)

    def _insert_row(self, table: sa.Table, values: Record, history: list[Record]) -> None:
        names = tuple(column.key for column in table.c)
        insert = inserting(table, self._connection.dialect, names)
        insert.run(self._connection, dict.fromkeys(names) | values)
        audit.append(self._connection, history)

    def _event(self, candidate: Candidate, reason: str) -> Record:
        values = candidate.values
        event = history_event(
            self._ctx,
            self._type,
            values,
            action="create",
            reason=reason,
            changes=field_changes(self._type, self._validator.wire, None, values),
        )
        values["chain"], values["events"] = event["hash"], 1
        return event


def _owned(candidates: Iterable[Candidate], name: str) -> list[tuple[str, list[Any]]]:
    return [(one.record_id, one.values[name]) for one in candidates if one.values[name]]


def forbidden_fields(names: Iterable[str]) -> Forbidden | None:
    """Return the refusal of fields that the actor may not write; None when there are none."""
    listed = sorted(names)
    if not listed:
        return None
    text = N_("You may not change this field.")
    return Forbidden(problems=[Problem(name, "field.no_access", text) for name in listed])
