"""Daily roots: when they are made, what they cover, and how they leave the database."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from core.actor import SYSTEM
from core.testing.databases import Prepared
from core.testing.processes import ran
from core.workflow.evidence import roots
from core.workflow.evidence.folding import FOLDED
from core.workflow.evidence.rootfiles import (
    export_roots,
    file_problems,
    make_daily,
    register,
    root_files,
)
from core.workflow.evidence.roots import Root, list_leaves, list_roots, make_roots, root_problems
from core.workflow.models import event, instance
from tests.integration.evidence_world import approved
from tests.integration.flow_steps import act, submitted
from tests.integration.flow_world import (
    APPROVER,
    World,
    unguarded,
)


def stored(world: World) -> list[Root]:
    with world.db.read() as connection:
        assert list(root_problems(connection)) == []
        return list(list_roots(connection))


def leaves(world: World, number: int) -> dict[str, int]:
    with world.db.read() as connection:
        return {row["instance_id"]: row["events"] for row in list_leaves(connection, number)}


def test_root_covers_what_grew_since_the_one_before(world: World) -> None:
    assert make_roots(world.ctx(SYSTEM)) == [], "before the first approval there is nothing"
    first = approved(world)
    _, second = submitted(world, code="A2")
    (one,) = make_roots(world.ctx(SYSTEM))
    assert leaves(world, 1) == {first: 4, second["instance"]: 2}
    assert (one.number, one.leaves, one.instances, one.events, one.prev) == (1, 2, 2, 6, "")
    act(world, APPROVER, "approve", second["task"])
    (two,) = make_roots(world.ctx(SYSTEM))
    assert leaves(world, 2) == {second["instance"]: 4}
    assert (two.instances, two.events, two.prev) == (2, 8, one.hash)
    assert make_roots(world.ctx(SYSTEM)) == []
    assert stored(world) == [one, two]


def test_every_day_has_a_root_even_a_quiet_one(world: World) -> None:
    submitted(world)
    for _ in range(3):
        make_daily(world.ctx(SYSTEM))
        make_daily(world.ctx(SYSTEM))
        world.clock.move(timedelta(days=1))
    assert [(one.day, one.leaves) for one in stored(world)] == [
        ("2026-01-05", 1),
        ("2026-01-06", 0),
        ("2026-01-07", 0),
    ]


def test_many_approvals_are_covered_by_several_roots(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roots, "MOST_LEAVES", 2)
    for number in range(5):
        submitted(world, code=f"A{number}")
    made = make_roots(world.ctx(SYSTEM))
    assert [one.leaves for one in made] == [2, 2, 1]
    assert stored(world) == made


def test_worker_makes_the_root_and_carries_it_out(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "roots"
    register(world.handlers, folder)
    instance_id = approved(world)
    world.deliver()
    world.deliver()
    (file,) = root_files(folder)
    first, *rest = map(json.loads, file.read_text().splitlines())
    assert file.name == f"000001-{first['day']}.jsonl"
    assert Root(**first) == stored(world)[0]
    assert [each["instance_id"] for each in rest] == [instance_id]
    with world.db.read() as connection:
        assert export_roots(connection, folder) == 0, "what is there is not written again"
        assert list(file_problems(connection, file)) == []


def test_root_that_was_made_anew_does_not_match_its_file(world: World, tmp_path: Path) -> None:
    approved(world)
    make_roots(world.ctx(SYSTEM))
    with world.db.write() as connection:
        export_roots(connection, tmp_path)
        with unguarded(connection):
            connection.execute(roots.root.delete())
            connection.execute(roots.leaf.delete())
            connection.execute(instance.update().values(rooted=0))
    make_roots(world.ctx(SYSTEM))
    with world.db.read() as connection:
        assert list(root_problems(connection)) == []
        found = list(map(str, file_problems(connection, root_files(tmp_path)[0])))
    assert found == ["root 1 is missing or was made anew"]


def test_database_that_was_replaced_misses_every_approval(
    world: World, flow_database: Prepared, tmp_path: Path
) -> None:
    instance_id = approved(world)
    make_roots(world.ctx(SYSTEM))
    with world.db.read() as connection:
        export_roots(connection, tmp_path)
    world.db.dispose()
    with flow_database.fresh() as replaced, replaced.read() as connection:
        found = list(map(str, file_problems(connection, root_files(tmp_path)[0])))
    assert found[0] == "root 1 is missing or was made anew"
    assert found[1].startswith(f"{instance_id}: the 4 events that root 1 saw")


def test_command_brings_a_folder_up_to_date_and_finds_what_was_cut_off(
    world: World, tmp_path: Path
) -> None:
    approved(world)
    environ = {"GUANXI_DATABASE_URL": world.db.url.render_as_string(hide_password=False)}
    environ |= {"GUANXI_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"}
    folder = tmp_path / "vault"
    folder.mkdir()
    code, out, err = ran("verify", "--roots", str(folder), environ=environ)
    assert code == 0, err
    assert "4 events prove the rows of 1 approvals" in out
    assert "1 roots written" in out
    (file,) = root_files(folder)
    with world.db.write() as connection, unguarded(connection):
        for table in (roots.root, roots.leaf):
            connection.execute(table.delete())
        for table in (event, *FOLDED.values()):
            connection.execute(table.delete())
    assert ran("verify", environ=environ)[0] == 0, "the database alone shows nothing"
    code, out, err = ran("verify", "--roots", str(file), environ=environ)
    assert (code, "FAILED   approvals reach what" in out) == (1, True)
    assert "are not there any more" in err
    code, _, err = ran("verify", "--roots", str(tmp_path / "nowhere"), environ=environ)
    assert code == 2, err
