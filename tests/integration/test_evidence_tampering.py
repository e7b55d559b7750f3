"""Whatever is changed behind the product's back is found: random trials on both databases."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.actor import SYSTEM
from core.db import Database
from core.testing.campaigns import examples
from core.testing.databases import Prepared
from core.workflow.evidence.erasing import erase_person
from core.workflow.evidence.events import hash_of, verify
from core.workflow.evidence.folding import FOLDED
from core.workflow.evidence.rootfiles import export_roots, file_problems, root_files
from core.workflow.evidence.roots import leaf, make_roots, root, root_problems
from core.workflow.models import event, instance
from tests.integration.evidence_world import approved
from tests.integration.flow_steps import act, submitted
from tests.integration.flow_world import (
    ADMIN,
    SECOND,
    fresh_world,
    unguarded,
)

TRIALS = max(60, examples(25))

TABLES = (event, event, event, *FOLDED.values(), root, leaf)


@pytest.fixture(scope="module")
def evidence(flow_database: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Yield a database with several approvals and two roots of them, and the roots' folder."""
    folder = tmp_path_factory.mktemp("roots")
    with fresh_world(flow_database) as world:
        for number in range(3):
            approved(world, code=f"A{number}")
        _, refused = submitted(world, code="B1")
        make_roots(world.ctx(SYSTEM))
        act(world, SECOND, "reject", refused["task"])
        approved(world, code="C1")
        submitted(world, code="D1")
        erase_person(world.ctx(ADMIN), SECOND.id)
        make_roots(world.ctx(SYSTEM))
        with world.db.read() as connection:
            assert export_roots(connection, folder) == 2
            assert breaks(connection, folder) == []
        yield world.db, folder


def breaks(connection: Connection, folder: Path) -> list[str]:
    """Return everything that `guanxi verify --roots` would say."""
    found = [*verify(connection)[1], *map(str, root_problems(connection))]
    for path in root_files(folder):
        found += map(str, file_problems(connection, path))
    return found


def other(value: Any, chance: random.Random) -> Any:
    """Return a value that differs from a stored one, often by one character."""
    if value is None:
        return "x"
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + chance.choice([-1, 1, 1000])
    if not value:
        return "x"
    place = chance.randrange(len(value))
    changed = chance.choice("0123456789abcdefxyz")
    if changed == value[place]:
        changed = "-" if changed != "-" else "_"
    return chance.choice([value[:place] + changed + value[place + 1 :], value[:-1]])


def some_table(connection: Connection, chance: random.Random) -> sa.Table:
    """Return one of the tables that have rows, often that of events."""
    table = chance.choice(TABLES)
    while connection.execute(sa.select(table).limit(1)).first() is None:
        table = chance.choice(TABLES)
    return table


def one_row(connection: Connection, table: sa.Table, chance: random.Random) -> dict[str, Any]:
    rows = connection.execute(sa.select(table).order_by(*table.primary_key)).mappings().all()
    return dict(chance.choice(rows))


def key_of(table: sa.Table, row: dict[str, Any]) -> sa.ColumnElement[bool]:
    return sa.and_(*(column == row[column.name] for column in table.primary_key))


def edit(connection: Connection, chance: random.Random) -> str:
    table = some_table(connection, chance)
    row = one_row(connection, table, chance)
    column = chance.choice(list(table.columns))
    value = other(row[column.name], chance)
    changed = table.update().where(key_of(table, row)).values({column.name: value})
    connection.execute(changed)
    return f"{table.name}.{column.name}: {row[column.name]!r} -> {value!r}"


def delete(connection: Connection, chance: random.Random) -> str:
    table = some_table(connection, chance)
    row = one_row(connection, table, chance)
    connection.execute(table.delete().where(key_of(table, row)))
    return f"{table.name} {list(row.values())[:2]}"


def insert(connection: Connection, chance: random.Random) -> str:
    table = some_table(connection, chance)
    row = one_row(connection, table, chance)
    if "seq" in row:
        row["seq"] += chance.choice([100, -100])
    elif table is leaf:
        row["instance_id"] = "0" * 36
    else:
        name = "id" if "id" in row else "number"
        row[name] = row[name][:-1] + "_" if name == "id" else row[name] + 7
    row |= {"record_id": "other"} if table is instance else {}
    row |= {"rung": 77} if "rung" in row else {}
    connection.execute(table.insert(), row)
    return f"{table.name} {list(row.values())[:2]}"


def swap(connection: Connection, chance: random.Random) -> str:
    """Exchange what two events say, within an approval or between two."""
    first, second = one_row(connection, event, chance), one_row(connection, event, chance)
    while first == second:
        second = one_row(connection, event, chance)
    keys = {column.name for column in event.primary_key}
    for one, another in ((first, second), (second, first)):
        values = {name: value for name, value in another.items() if name not in keys}
        connection.execute(event.update().where(key_of(event, one)).values(values))
    return f"{first['instance_id']} {first['seq']} <-> {second['instance_id']} {second['seq']}"


def rewrite(connection: Connection, chance: random.Random) -> str:
    """Change an event and make all hashes after it anew, up to the head of the chain."""
    row = one_row(connection, event, chance)
    own = sa.select(event).where(event.c.instance_id == row["instance_id"]).order_by(event.c.seq)
    prev = ""
    for each in connection.execute(own).mappings().all():
        made = dict(each) | {"prev": prev}
        made |= {"verb": "reject"} if each["seq"] == row["seq"] else {}
        made |= {"door": "cli"} if row["verb"] == "reject" else {}
        made["hash"] = prev = hash_of(made)
        connection.execute(event.update().where(key_of(event, made)).values(made))
    head = instance.update().where(instance.c.id == row["instance_id"]).values(chain=prev)
    connection.execute(head)
    return f"{row['instance_id']} {row['seq']}"


def truncate(connection: Connection, chance: random.Random) -> str:
    """Cut the tail off a chain, or a whole approval away, and every root that saw it."""
    row = one_row(connection, instance, chance)
    left = chance.randrange(row["events"])
    own = event.c.instance_id == row["id"]
    connection.execute(event.delete().where(own, event.c.seq > left))
    if left == 0:
        for table in FOLDED.values():
            key = table.c.id if table is instance else table.c.instance_id
            connection.execute(table.delete().where(key == row["id"]))
    else:
        head = sa.select(event.c.hash).where(own, event.c.seq == left).scalar_subquery()
        values = {"chain": head, "events": left, "rooted": 0}
        connection.execute(instance.update().where(instance.c.id == row["id"]).values(values))
    for table in (root, leaf):
        connection.execute(table.delete())
    connection.execute(instance.update().values(rooted=0))
    return f"{row['id']}: {left} of {row['events']} are left"


Kind = Callable[[Connection, random.Random], str]

KINDS: tuple[Kind, ...] = (
    edit, edit, edit, delete, insert, swap, rewrite, truncate,
)  # fmt: skip


def tamper(connection: Connection, kind: Kind, chance: random.Random) -> str:
    """Tamper once in a way that the database takes, and return how."""
    while True:
        place = connection.begin_nested()
        try:
            what = kind(connection, chance)
        except (sa.exc.IntegrityError, sa.exc.DataError):
            place.rollback()
        else:
            return what


def test_tampering_is_found_every_time(evidence: tuple[Database, Path]) -> None:
    db, folder = evidence
    chance, missed = random.Random(20260105), []
    for number in range(TRIALS):
        kind = KINDS[number % len(KINDS)]
        with db.engine.connect() as connection:
            transaction = connection.begin()
            with unguarded(connection):
                what = tamper(connection, kind, chance)
            if not breaks(connection, folder):
                missed.append(f"{kind.__name__} {what}")
            transaction.rollback()
    assert missed == []
    with db.read() as connection:
        assert breaks(connection, folder) == [], "the trials were all taken back"


def test_tail_that_is_cut_off_is_found_by_the_exported_root_alone(
    evidence: tuple[Database, Path],
) -> None:
    db, folder = evidence
    chance = random.Random(7)
    for _ in range(10):
        with db.engine.connect() as connection:
            transaction = connection.begin()
            with unguarded(connection):
                truncate(connection, chance)
            last = root_files(folder)
            found = [str(one) for path in last for one in file_problems(connection, path)]
            transaction.rollback()
        assert any("are not there any more" in one for one in found)


def test_altered_byte_of_an_exported_file_is_found(
    evidence: tuple[Database, Path], tmp_path: Path
) -> None:
    db, folder = evidence
    whole = root_files(folder)[0].read_bytes()
    chance, path = random.Random(3), tmp_path / "root.jsonl"
    for _ in range(100):
        place = chance.randrange(len(whole))
        broken = bytearray(whole)
        broken[place] = (broken[place] + chance.randrange(1, 256)) % 256
        path.write_bytes(broken)
        with db.read() as connection:
            assert list(file_problems(connection, path)), (place, broken[place])
    for shorter in (b"", whole[: len(whole) // 2], whole.splitlines(keepends=True)[0]):
        path.write_bytes(shorter)
        with db.read() as connection:
            assert list(file_problems(connection, path))
