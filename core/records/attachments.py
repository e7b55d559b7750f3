"""Files that records take in: may the actor use them, do they fit, and noting where they are.

A record may take in what its writer uploaded and nobody used yet, what the writer can
read elsewhere, and what the same field of the same record held before: so that a version
can be restored and an approved proposal applied.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import Problem
from core.files.fitting import misfit
from core.files.models import file_table, use_table
from core.i18n import N_
from core.jobs import outbox
from core.records.downloads import held_at, held_ids, holding_fields, is_readable
from core.records.subject import Subject
from core.schema.model import Field, RecordType

#: The event of a file that no record holds; its handler looks whether that is still so.
UNUSED = "file.unused"

_PART = 500
_keep_use = {
    "sqlite": sqlite.insert(use_table).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(use_table).on_conflict_do_nothing(),
}


@dataclass(frozen=True, slots=True)
class _Wanted:
    file_id: str
    field: Field
    place: tuple[str, str, str]
    path: str
    problems: list[Problem]


@dataclass(slots=True)
class Attachments:
    """Collects the files that a batch of records takes in anew and asks for them at once."""

    ctx: Context
    connection: Connection
    wanted: list[_Wanted] = attribute(default_factory=list)

    def collect(self, record_type: RecordType, subject: Subject, problems: list[Problem]) -> None:
        """Note the files of a record that its stored fields do not hold; problems go there."""
        before = subject.before or {}
        for one in holding_fields(self.ctx.registry, record_type):
            place = record_type.name, subject.values["id"], one.name
            known = set(held_ids(one, before.get(one.name)))
            for field, file_id, path in held_at(one, subject.values.get(one.name), one.name):
                if file_id not in known:
                    self.wanted.append(_Wanted(file_id, field, place, path, problems))

    def check(self) -> None:
        """Ask for every file noted; what is wrong goes to each one's problems."""
        if not self.wanted:
            return
        wanted, self.wanted = self.wanted, []
        rows = self._rows(sorted({one.file_id for one in wanted}))
        for one in wanted:
            row = rows.get(one.file_id)
            if row is None or not self._may_use(row, one.place):
                text = N_("There is no such file that you may use.")
                problem: Problem | None = Problem(one.path, "file.not_found", text)
            else:
                problem = misfit(one.field, row, one.path)
            if problem is not None:
                one.problems.append(problem)

    def _rows(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(ids), _PART):
            # A clean-up that is about to delete one of them waits for us, or we for it.
            statement = (
                sa.select(file_table)
                .where(file_table.c.id.in_(ids[start : start + _PART]))
                .with_for_update(read=True, key_share=True)
            )
            found.update(
                (row["id"], dict(row)) for row in self.connection.execute(statement).mappings()
            )
        return found

    def _may_use(self, row: Mapping[str, Any], place: tuple[str, str, str]) -> bool:
        if is_readable(self.ctx, self.connection, row):
            return True
        use = use_table.c
        held = sa.select(use.file_id).where(
            use.file_id == row["id"],
            use.record_type == place[0],
            use.record_id == place[1],
            use.field == place[2],
        )
        return self.connection.execute(held).first() is not None


def bind_files(
    ctx: Context, connection: Connection, record_type: RecordType, records: Iterable[Any]
) -> None:
    """Note which files the given records hold, so that they are kept and can be found.

    `records` are Python values with an `id`; fields that one lacks are left alone.
    """
    fields = holding_fields(ctx.registry, record_type)
    if not fields:
        return
    uses = {
        (file_id, record["id"], one.name)
        for record in records
        for one in fields
        for file_id in held_ids(one, record.get(one.name))
    }
    if not uses:
        return
    connection.execute(
        _keep_use[connection.dialect.name],
        [
            {
                "file_id": file_id,
                "record_type": record_type.name,
                "record_id": record_id,
                "field": name,
            }
            for file_id, record_id, name in sorted(uses)
        ],
    )
    ids = sorted({file_id for file_id, _, _ in uses})
    for start in range(0, len(ids), _PART):
        part = file_table.c.id.in_(ids[start : start + _PART])
        connection.execute(
            file_table.update().where(part, file_table.c.bound_at.is_(None)),
            {"bound_at": ctx.now},
        )


def release_files(
    ctx: Context, connection: Connection, record_type: RecordType, record_id: str
) -> None:
    """Forget what a record that is erased for good held; files that nobody else has go too."""
    if not holding_fields(ctx.registry, record_type):
        return
    use = use_table.c
    mine = (use.record_type == record_type.name, use.record_id == record_id)
    ids = connection.execute(sa.select(use.file_id).where(*mine).distinct()).scalars().all()
    connection.execute(use_table.delete().where(*mine))
    for file_id in ids:
        if connection.execute(sa.select(use.file_id).where(use.file_id == file_id)).first():
            continue
        connection.execute(
            file_table.update().where(file_table.c.id == file_id), {"bound_at": None}
        )
        outbox.emit(connection, UNUSED, {"file": file_id, "released": True}, at=ctx.now)
