"""Moves stored values between columns: tried out, beforehand in batches, with the switch.

The new values fill columns of their own while the old release is in force, so that
the switch only renames and does once more what was written in the meantime. Like
stored formulas they are derived: neither a record's version nor its history changes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from core.db import Database, metadata
from core.errors import Problem, SchemaError
from core.i18n import N_, translate
from core.migration.steps import Step
from core.schema.converting import Converter, Failure, base_id
from core.schema.model import Conversion, Field, RecordType
from core.tables.columns import ID, TEXT, Instant, column_type
from core.tables.storage import storage_of

#: Rows of one transaction; others write between two of them.
BATCH = 2_000
#: Failures that are listed with record and value; all of them are counted.
LISTED = 100
#: How far the clocks of two servers may differ.
_SKEW = timedelta(minutes=10)
_LONGEST_VALUE = 200

quarantine = sa.Table(
    "gx_quarantine",
    metadata,
    sa.Column("release", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("field", sa.String(200), primary_key=True, doc="id of the field left empty"),
    sa.Column("row_id", ID, primary_key=True),
    sa.Column("record_type", sa.String(80), nullable=False),
    sa.Column("record_id", ID, nullable=False),
    sa.Column("value", TEXT, nullable=False, doc="what could not be converted, as text"),
    sa.Column("reason", TEXT, nullable=False, doc="in English"),
)


@dataclass(slots=True)
class Rehearsal:
    """What a conversion would do to the values there are.

    Attributes:
        rows: how many rows hold a value; `succeeded` and `failed` of them.
        failures: the first `LISTED`, each with record, title, value and reason.
        duplicates: values of a unique field that several records would have.
    """

    step: Step
    rows: int = 0
    succeeded: int = 0
    failed: int = 0
    failures: list[tuple[str, str, Failure]] = field(default_factory=list)
    duplicates: int = 0

    @property
    def conversion(self) -> Conversion:
        """Return the conversion that was tried out."""
        return _conversion(self.step)

    def to_json(self, locale: str) -> dict[str, Any]:
        """Return it for the REST API and pages."""
        one = self.conversion
        return {
            "type": self.step.name,
            "kind": one.kind,
            "from": [_told(it) for it in one.sources],
            "to": [_told(it) for it in one.targets],
            "on_failure": one.on_failure,
            "rows": self.rows,
            "succeeded": self.succeeded,
            "failed": self.failed,
            "duplicates": self.duplicates,
            "failures": [
                {
                    "record": record,
                    "title": title,
                    "field": failure.target.name,
                    "value": _shown(one, failure),
                    "reason": translate(failure.error.text, locale, **failure.error.params),
                }
                for record, title, failure in self.failures
            ],
        }

    def problems(self) -> Iterator[Problem]:
        """Yield what stands against publishing."""
        one = self.conversion
        names = ", ".join(it.name for it in one.targets)
        path = f"{self.step.name}.{names}"
        if self.failed and one.on_failure == "reject":
            record, _, failure = self.failures[0]
            yield Problem(
                path,
                "schema.conversion_failed",
                N_(
                    "{failed} of {rows} values cannot become {field}, for example “{value}” of "
                    "{record}; say on_failure: null or quarantine, or mend them first."
                ),
                {
                    "failed": self.failed,
                    "rows": self.rows,
                    "field": names,
                    "value": _shown(one, failure),
                    "record": record,
                },
            )
        if self.duplicates:
            text = N_("{field} is unique, but {count} converted values would stand twice.")
            params = {"field": names, "count": self.duplicates}
            yield Problem(path, "schema.duplicates", text, params)


def _told(one: Field) -> dict[str, str]:
    return {"name": one.name, "type": one.type, "id": base_id(one.id)}


def _shown(conversion: Conversion, failure: Failure) -> str:
    """Return a refused value for people; what is sensitive is not shown."""
    if any(one.sensitive != "none" or one.type == "secret" for one in conversion.sources):
        return "***"
    return failure.value[:_LONGEST_VALUE]


def _conversion(step: Step) -> Conversion:
    assert step.conversion is not None  # noqa: S101  for the type checker
    return step.conversion


class ValueMove:
    """One `convert` step over the rows of its table."""

    def __init__(self, step: Step, record_type: RecordType | None = None) -> None:
        """Compile the conversion; `record_type` as it is gives the titles of what fails."""
        self.step = step
        self._title = _title_column(record_type)
        self.conversion = _conversion(step)
        self._converter = Converter(self.conversion)

    def rehearse(self, connection: Connection) -> Rehearsal:
        """Convert every value without writing anything."""
        found = Rehearsal(self.step)
        unique = [one for one in self.conversion.targets if one.unique]
        seen: dict[str, set[int]] = {one.id: set() for one in unique}
        query = self._query().execution_options(stream_results=True, yield_per=BATCH)
        for row in connection.execute(query).mappings():
            state = self._state(row)
            if all(state[one] is None for one in self._read_ids):
                continue
            values, failures = self._converter.run(state, row["release"])
            found.rows += 1
            found.succeeded += not failures
            found.failed += bool(failures)
            if failures and len(found.failures) < LISTED:
                shown = str(row["gx_title"] or "")
                found.failures.append((row["gx_record"], shown, failures[0]))
            for one in unique:
                if values[one.id] is None or row["deleted_at"] is not None:
                    continue
                key = hash(values[one.id])
                found.duplicates += key in seen[one.id]
                seen[one.id].add(key)
        return found

    def prepare(self, db: Database) -> None:
        """Convert every row in batches, each in a transaction of its own.

        Raises:
            SchemaError: a value cannot be converted and the change says `reject`.
        """
        cursor = ""
        while True:
            with db.write() as connection:
                if not cursor:
                    self._forget(connection)
                query = self._query().where(self._table.c.id > cursor).limit(BATCH)
                rows = connection.execute(query).mappings().all()
                self._convert(connection, rows)
            if not rows:
                return
            cursor = rows[-1]["gx_row"]

    def catch_up(self, connection: Connection, since: datetime) -> None:
        """Convert what was written since `prepare` began, in the caller's transaction.

        Raises:
            SchemaError: a value cannot be converted and the change says `reject`.
        """
        main = self._main
        query = self._query().where(main.c.updated_at >= sa.bindparam("since", type_=Instant()))
        rows = connection.execute(query, {"since": since - _SKEW}).mappings().all()
        for at in range(0, len(rows), BATCH):
            batch = rows[at : at + BATCH]
            ids = [row["gx_row"] for row in batch]
            mine = self._mine & quarantine.c.row_id.in_(ids)
            connection.execute(quarantine.delete().where(mine))
            self._convert(connection, batch)

    # -- rows -----------------------------------------------------------------------------

    @cached_property
    def _main(self) -> sa.TableClause:
        columns: list[sa.ColumnClause[Any]] = [
            sa.column("id", ID),
            sa.column("release", sa.Integer()),
            sa.column("updated_at", Instant()),
            sa.column("deleted_at", Instant()),
        ]
        if not self.step.parent:
            columns += self._columns
        if self._title and all(one.name != self._title for one in columns):
            columns.append(sa.column(self._title))
        return sa.table(self.step.parent or self.step.table, *columns)

    @cached_property
    def _table(self) -> sa.TableClause:
        if not self.step.parent:
            return self._main
        columns = [sa.column("id", ID), sa.column("record_id", ID), *self._columns]
        return sa.table(self.step.table, *columns)

    @cached_property
    def _columns(self) -> list[sa.ColumnClause[Any]]:
        """Return the columns that are read and filled, typed."""
        fields: dict[str, Field] = {}
        for conversion in _chain(self.conversion):
            for one in (*conversion.sources, *conversion.targets):
                fields.setdefault(one.id, one)
        # One column may be read as a field and as what is kept of it; the latter is its type.
        typed = {name: fields[identity] for identity, name in self.step.reads.items()}
        found = [sa.column(name, _type(one)) for name, one in typed.items()]
        targets = {one.id: one for one in self.conversion.targets}
        return found + [
            sa.column(name, _type(targets[one])) for one, name in self.step.writes.items()
        ]

    def _query(self) -> sa.Select[Any]:
        table, main = self._table, self._main
        columns: list[Any] = [
            table.c.id.label("gx_row"),
            main.c.id.label("gx_record"),
            main.c.release,
            main.c.deleted_at,
        ]
        columns += [
            table.c[name].label(f"c{at}") for at, name in enumerate(self.step.reads.values())
        ]
        title = main.c[self._title] if self._title else sa.null()
        columns.append(title.label("gx_title"))
        query = sa.select(*columns).order_by(table.c.id)
        if not self.step.parent:
            return query.select_from(main)
        return query.select_from(table.join(main, main.c.id == table.c.record_id))

    @cached_property
    def _read_ids(self) -> list[str]:
        """Return the ids whose values decide whether a row has anything to convert."""
        if self.conversion.kind == "undo":
            return list(self.step.reads)
        return [one.id for one in self.conversion.sources]

    def _state(self, row: RowMapping) -> dict[str, Any]:
        return {one: row[f"c{at}"] for at, one in enumerate(self.step.reads)}

    def _convert(self, connection: Connection, rows: Sequence[RowMapping]) -> None:
        updates, refused = [], list[dict[str, Any]]()
        for row in rows:
            values, failures = self._converter.run(self._state(row), row["release"])
            if failures and self.conversion.on_failure == "reject":
                found = Rehearsal(self.step, rows=1, failed=1)
                found.failures.append((row["gx_record"], "", failures[0]))
                raise SchemaError(problems=tuple(found.problems()))
            updates.append(
                {"gx_row": row["gx_row"]} | {f"v_{at}": values[one] for at, one in self._filled}
            )
            refused += {
                base_id(one.target.id): self._refused(row, one) for one in failures
            }.values()
        if updates:
            connection.execute(self._update, updates)
        if refused and self.conversion.on_failure == "quarantine":
            connection.execute(quarantine.insert(), refused)

    @cached_property
    def _filled(self) -> list[tuple[int, str]]:
        return list(enumerate(self.step.writes))

    @cached_property
    def _update(self) -> sa.Update:
        columns = {
            self.step.writes[one]: sa.bindparam(f"v_{at}", type_=self._table.c[name].type)
            for (at, one), name in zip(self._filled, self.step.writes.values(), strict=True)
        }
        row = sa.bindparam("gx_row", type_=ID)
        return sa.update(self._table).where(self._table.c.id == row).values(columns)

    def _refused(self, row: RowMapping, failure: Failure) -> dict[str, Any]:
        return {
            "release": self.conversion.release,
            "field": base_id(failure.target.id)[:200],
            "row_id": row["gx_row"],
            "record_type": self.step.name,
            "record_id": row["gx_record"],
            "value": failure.value,
            "reason": translate(failure.error.text, "en", **failure.error.params),
        }

    @property
    def _mine(self) -> sa.ColumnElement[bool]:
        ids = [one.id[:200] for one in self.conversion.targets]
        return (quarantine.c.release == self.conversion.release) & quarantine.c.field.in_(ids)

    def _forget(self, connection: Connection) -> None:
        """Drop what an attempt that never came into force has listed."""
        connection.execute(quarantine.delete().where(self._mine))


def _chain(conversion: Conversion) -> Iterator[Conversion]:
    yield conversion
    for one in conversion.undoes:
        yield from _chain(one)


def _type(one: Field) -> Any:
    storage = storage_of(one)
    return column_type(storage.kind, storage.scale)


def _title_column(record_type: RecordType | None) -> str:
    """Return the column of a record's title, `""` where it has none that may be shown."""
    if record_type is None:
        return ""
    found = record_type.field(record_type.title_field)
    if found is None or found.sensitive != "none":
        return ""
    return found.name if storage_of(found).kind in {"text", "integer", "date"} else ""


def quarantined(
    connection: Connection, release: int, *, limit: int = 1_000
) -> list[dict[str, Any]]:
    """Return the values that a release could not convert, by record."""
    table = quarantine
    query = (
        sa.select(table)
        .where(table.c.release == release)
        .order_by(table.c.record_type, table.c.record_id, table.c.field)
        .limit(limit)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def count_quarantined(connection: Connection) -> dict[int, int]:
    """Return release -> how many values it could not convert."""
    column = quarantine.c.release
    query = sa.select(column, sa.func.count()).group_by(column)
    return {int(number): int(count) for number, count in connection.execute(query)}
