"""What the tables hold, as far as a plan depends on it."""

import re
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.db import metadata
from core.errors import Problem
from core.i18n import N_
from core.migration.plan import Plan
from core.migration.steps import Step
from core.schema.flows import Flow
from core.schema.flowtexts import words_of
from core.schema.model import RecordType, Release
from core.tables.build import main_name


def count_rows(connection: Connection, release: Release, names: set[str]) -> dict[str, int]:
    """Return record type name -> how many records it has, deleted ones too."""
    inspector = sa.inspect(connection)
    there = set(inspector.get_table_names())
    return {
        name: connection.execute(
            sa.select(sa.func.count()).select_from(sa.table(main_name(name)))
        ).scalar_one()
        for name in release.types
        if name in names and main_name(name) in there
    }


def count_open_instances(connection: Connection, names: set[str]) -> dict[str, int]:
    """Return record type name -> how many approvals of its records are under way."""
    table = metadata.tables.get("gx_instance")
    if table is None or not sa.inspect(connection).has_table(table.name):
        return {}
    query = (
        sa.select(table.c.record_type, sa.func.count())
        .where(table.c.record_type.in_(sorted(names)), table.c.ended_at.is_(None))
        .group_by(table.c.record_type)
    )
    return {str(name): int(count) for name, count in connection.execute(query)}


def running_problems(connection: Connection, plan: Plan) -> tuple[Problem, ...]:
    """Return a problem for each renamed type whose records wait for a decision.

    What people were shown, and vote on, goes by the type's name.
    """
    renamed = {step.name for step in plan.steps if step.op == "rename_records"}
    text = N_("{type} cannot be renamed while {count} approvals of it are under way.")
    return tuple(
        Problem(name, "schema.running", text, {"type": name, "count": count})
        for name, count in count_open_instances(connection, renamed).items()
    )


def running_field_problems(
    connection: Connection, old: Release, new: Release
) -> tuple[Problem, ...]:
    """Return a problem for each field that approvals under way vote or decide by, and lose.

    They run by the flow that they were submitted under, which names the field as it is now.
    """
    lost = {
        name: gone
        for name, record_type in old.types.items()
        if record_type.document and (gone := _lost_fields(record_type, new.type(name)))
    }
    open_ = count_open_instances(connection, set(lost))
    problems = []
    for name in open_:
        flows = _running_flows(connection, name)
        for field in lost[name]:
            count = sum(how_many for flow, how_many in flows if _decides_by(flow, field))
            if count:
                text = N_("{field} of {type} cannot go or change: {count} approvals depend on it.")
                params = {"field": field, "type": name, "count": count}
                problems.append(Problem(f"{name}.{field}", "schema.running_field", text, params))
    return tuple(problems)


def _lost_fields(old: RecordType, new: RecordType | None) -> list[str]:
    """Return the fields that a type has no more under their name, or of another type."""
    if new is None:
        return []
    kinds = {one.name: one.type for one in new.fields}
    return [one.name for one in old.fields if kinds.get(one.name) != one.type]


def _running_flows(connection: Connection, type_name: str) -> list[tuple[Flow, int]]:
    table = metadata.tables["gx_instance"]
    query = (
        sa.select(table.c.definition, sa.func.count())
        .where(table.c.record_type == type_name, table.c.ended_at.is_(None))
        .group_by(table.c.definition)
    )
    return [
        (msgspec.json.decode(definition, type=Flow), int(count))
        for definition, count in connection.execute(query)
    ]


def _decides_by(flow: Flow, field: str) -> bool:
    """Return whether a flow votes on a field or names it anywhere."""
    if not flow.subject:
        return True
    pattern = re.compile(rf"(?<!\w){re.escape(field)}(?!\w)")
    return any(pattern.search(text) for text in words_of(flow))


def duplicate_problems(connection: Connection, plan: Plan) -> tuple[Problem, ...]:
    """Return a problem for each new unique index that existing values stand against."""
    added = {(step.table, step.name) for step in plan.steps if step.op == "add_column"}
    created = {step.table for step in plan.steps if step.op == "create_table"}
    problems = []
    for step in plan.steps:
        if step.op != "create_index" or not step.unique or step.table in created:
            continue
        if any((step.table, name) in added for name, _ in step.columns):
            continue
        found = _duplicates(connection, step)
        if found is not None:
            problems.append(found)
    return tuple(problems)


def _duplicates(connection: Connection, step: Step) -> Problem | None:
    columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name, _ in step.columns]
    table = sa.table(step.table, *columns, sa.column("deleted_at"))
    terms = [column.is_not(None) for column in columns]
    if step.live_only:
        terms.append(table.c.deleted_at.is_(None))
    groups = (
        sa.select(*columns, sa.func.count().label("n"))
        .select_from(table)
        .where(*terms)
        .group_by(*columns)
        .having(sa.func.count() > 1)
        .cte()
    )
    totals = connection.execute(sa.select(sa.func.count(), sa.func.sum(groups.c.n))).one()
    values, records = int(totals[0]), int(totals[1] or 0)
    if not values:
        return None
    example = connection.execute(sa.select(groups).limit(1)).one()[:-1]
    fields = " + ".join(name for name, _ in step.columns)
    return Problem(
        f"{step.table.removeprefix('r_')}.{fields}",
        "schema.duplicates",
        N_(
            "{fields} cannot become unique: {values} values are used by {records} records, "
            "for example {example}."
        ),
        {
            "fields": fields,
            "values": values,
            "records": records,
            "example": " + ".join(map(str, example)),
        },
    )
