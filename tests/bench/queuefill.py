"""A queue of a million open seats, written by SQL alone: what ten thousand people wait for.

Seven of ten seats are a role's, two a post's and one a person's. The rows are those of
running approvals as the engine writes them, so what reads them cannot tell the difference;
nobody decides them, because their documents do not exist.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from core.clock import Clock, to_wire
from core.db import Database
from core.schema.flows import Flow
from core.schema.model import encode
from core.security.users import user_table
from core.workflow.models import candidate, instance, seat, task, timer, vote
from tests.bench.site import POSTGRES_WORDS, SQLITE_WORDS

SEATS, PEOPLE, POOLS, PLACES, ENDED = 1_000_000, 10_000, 40, 500, 100_000

#: Rows of one statement, which a server ends when it takes too long.
_BATCH = 50_000
#: Added to every number, so that no id meets one of another filler.
_OFFSET = 20_000_000


def fill_people(db: Database) -> None:
    """Add ten thousand people who never sign in."""
    columns = {
        "first_name": "'Person'", "last_name": "n", "username": "'bench_person_' || n",
        "email": "'bench' || n || '@example.com'", "password": "''",
    }  # fmt: skip
    active = "1" if db.is_sqlite else "true"
    _insert(db, user_table, PEOPLE, columns | {"id": "1000000 + n", "active": active})


def fill_queue(db: Database, flow: Flow, seats: int = SEATS) -> None:
    """Add `seats` open seats, each the one voice of a running approval of `flow`."""
    now = to_wire(Clock().now())
    definition = _quoted(encode(flow).decode())
    step = flow.steps[0]
    title = _quoted(msgspec.json.encode(step.title).decode())
    opened = "{opened}"
    record = {"record_type": f"'{flow.document}'", "record_id": "{uuid}"}
    people = {"initiator": "'' || (1000000 + n % 997)", "initiator_name": "'Person ' || n % 997"}
    due = "CASE WHEN n % 3 = 0 THEN NULL ELSE {due} END"
    rank = "CASE WHEN n % 20 = 0 THEN '09989' ELSE '09999' END || {opened}"
    _insert(db, instance, seats, {
        **record, **people, "id": "{uuid}", "flow": f"'{flow.flow}'", "flow_version": "1",
        "definition": f"'{definition}'", "definition_hash": "'bench'", "release": "1",
        "record_version": "1", "round": "1", "state": "'running'", "former_state": "'running'",
        "step": f"'{step.id}'", "task_id": "{uuid}", "title": "'Request ' || n",
        "values": "'{{}}'", "subject_hash": "'bench'", "makers": "'|' || (1000000 + n % 997) || '|'",
        "opened_at": opened, "problems": "'[]'", "chain": "''", "events": "0",
    })  # fmt: skip
    _insert(db, task, seats, {
        **record, **people, "id": "{uuid}", "instance_id": "{uuid}", "step": f"'{step.id}'",
        "step_title": f"'{title}'", "title": "'Request ' || n", "round": "1",
        "may": "'approve reject'", "state": "'open'", "result": "''", "subject_hash": "'bench'",
        "seats": "1", "approved": "0", "opened_at": opened, "due_at": due,
        "pending": "'[\"{pool}\"]'", "priority": "CASE WHEN n % 20 = 0 THEN 10 ELSE 0 END",
    })  # fmt: skip
    _insert(db, seat, seats, {
        "id": "{uuid}", "instance_id": "{uuid}", "task_id": "{uuid}", "position": "0",
        "key": "'{pool}'", "state": "'open'", "opened_at": opened,
    })  # fmt: skip
    kind = "CASE WHEN n % 10 < 7 THEN 'role' WHEN n % 10 < 9 THEN 'post' ELSE 'user' END"
    actor = (
        "CASE WHEN n % 10 < 7 THEN {role} WHEN n % 10 < 9 THEN {post} "
        f"ELSE '' || (1000000 + n % {PEOPLE}) END"
    )
    _insert(db, candidate, seats, {
        "id": "{uuid} || '.0'", "instance_id": "{uuid}", "seat_id": "{uuid}", "task_id": "{uuid}",
        "position": "0", "kind": kind, "actor": actor, "is_open": "{yes}",
        "record_type": record["record_type"], "makers": "'|' || (1000000 + n % 997) || '|'",
        "opened_at": opened, "due_at": due, "rank": rank,
    })  # fmt: skip
    # A reminder for one in three, in the coming years; none of them is due.
    _insert(db, timer, seats // 3, {
        "id": "{uuid}", "instance_id": "{uuid}", "visit_id": "{uuid}", "rung": "0",
        "business": "{no}", "left": "86400", "since": f"'{now}'",
        "fire_at": "'2099-' || substr({opened}, 6)", "state": "'pending'",
    })  # fmt: skip
    with db.autocommit() as connection:
        for table in (instance, task, seat, candidate, timer):
            connection.exec_driver_sql(
                f"ANALYZE {table.name}" if db.is_sqlite else f"VACUUM ANALYZE {table.name}"
            )


def fill_past(db: Database, flow: Flow, ended: int = ENDED) -> None:
    """Add approvals that ended in the course of a year, each by one vote."""
    step = flow.steps[0]
    title = _quoted(msgspec.json.encode(step.title).decode())
    ids = {"id": "{past}", "record_type": f"'{flow.document}'"}
    opened, closed = "{before}", "{after}"
    person = {"initiator": "'' || (1000000 + n % 997)", "initiator_name": "'Person ' || n % 997"}
    _insert(db, instance, ended, {
        **ids, **person, "record_id": "{past}", "flow": f"'{flow.flow}'", "flow_version": "1",
        "definition": "'{{}}'", "definition_hash": "'bench'", "release": "1",
        "record_version": "1", "round": "1 + n % 5 / 4", "state": "'approved'",
        "former_state": "'running'", "step": f"'{step.id}'", "task_id": "{past}",
        "title": "'Request ' || n", "values": "'{{}}'", "subject_hash": "'bench'",
        "makers": "''", "opened_at": opened, "ended_at": closed, "problems": "'[]'",
        "chain": "''", "events": "0",
    })  # fmt: skip
    _insert(db, task, ended, {
        **ids, **person, "record_id": "{past}", "instance_id": "{past}",
        "step": f"'{step.id}' || n % 6", "step_title": f"'{title}'", "title": "'Request ' || n",
        "round": "1", "may": "'approve reject'", "state": "'done'", "result": "'pass'",
        "subject_hash": "'bench'", "seats": "1", "approved": "1", "opened_at": opened,
        "closed_at": closed,
    })  # fmt: skip
    _insert(db, vote, ended, {
        **ids, "seat_id": "{past}", "task_id": "{past}", "instance_id": "{past}",
        "actor": "'' || (1000000 + n % 200)", "actor_name": "'Person ' || n % 200",
        "verb": "'approve'", "opinion": "''", "subject_hash": "'bench'", "at": closed,
    })  # fmt: skip
    with db.autocommit() as connection:
        for table in (instance, task, vote):
            connection.exec_driver_sql(
                f"ANALYZE {table.name}" if db.is_sqlite else f"VACUUM ANALYZE {table.name}"
            )


def _insert(db: Database, table: sa.Table, rows: int, given: Mapping[str, str]) -> None:
    """Insert rows by expressions over `n`; a column without one gets its default."""
    words = _words(db)
    values = {name: text.format_map(words) for name, text in given.items()}
    for column in table.columns:
        default = getattr(column.default, "arg", None)
        if column.name not in values and isinstance(default, str | int):
            values[column.name] = _literal(db, default)
    names = ", ".join(f'"{name}"' for name in values)
    for start in range(0, rows, _BATCH):
        last = min(start + _BATCH, rows) - 1
        series = (
            f"WITH RECURSIVE s(n) AS (SELECT {start} UNION ALL SELECT n + 1 FROM s WHERE n < {last})"
            if db.is_sqlite
            else f"WITH s(n) AS (SELECT generate_series({start}, {last}))"
        )
        text = f"INSERT INTO {table.name} ({names}) {series} SELECT {', '.join(values.values())} FROM s"
        with db.write() as connection:
            connection.execute(sa.text(text.replace(":", "\\:")))


def _words(db: Database) -> dict[str, str]:
    words = SQLITE_WORDS if db.is_sqlite else POSTGRES_WORDS
    number = f"(n + {_OFFSET})"
    due = "1780000000 + (n % 700000) * 60"
    opened = "1700000000 + (n % 1000000) * 60"
    if db.is_sqlite:
        moment = "strftime('%Y-%m-%dT%H:%M:%S', {}, 'unixepoch') || '.000000Z'"
        pad = "printf('%02d', n / 10 % {})"
    else:
        moment = "to_char(to_timestamp({}) at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS') || '.000000Z'"
        pad = "lpad((n / 10 % {})::text, 2, '0')"
    uuid = words["uuid"].replace("n / 65536", f"{number} / 65536")
    uuid = uuid.replace("n % 65536", f"{number} % 65536").replace("n)", f"{number})")
    return {
        "uuid": f"({uuid})",
        "past": f"({uuid.replace(str(_OFFSET), str(_OFFSET + 5_000_000))})",
        "before": f"({moment.format('1740000000 + (n % 400000) * 60')})",
        "after": f"({moment.format('1740000000 + (n % 400000) * 60 + n % 97 * 1800')})",
        "opened": f"({moment.format(opened)})",
        "due": f"({moment.format(due)})",
        "role": f"'bench_pool_' || {pad.format(POOLS)}",
        "post": f"'manager@store' || {pad.format(PLACES)}",
        "pool": "bench_pool",
        "yes": "1" if db.is_sqlite else "true",
        "no": "0" if db.is_sqlite else "false",
    }


def _quoted(text: str) -> str:
    """Return a text for the inside of quotation marks in an expression over `n`."""
    return text.replace("'", "''").replace("{", "{{").replace("}", "}}")


def _literal(db: Database, value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value)) if db.is_sqlite else str(value).lower()
    return str(value) if isinstance(value, int) else f"'{value}'"
