"""kill -9 at every step of a release that converts values: all of it or nothing of it."""

import itertools
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from core.migration.drafts import rollback
from core.migration.run import resume
from tests.integration.release_world import world  # noqa: F401  a fixture

SCRIPT = Path(__file__).with_name("release_process.py")
ROOT = SCRIPT.parent.parent.parent

BEFORE = """\
record_type: thing
title_field: no
fields:
  - {name: no, type: text}
  - {name: age, type: text}
  - {name: first, type: text}
  - {name: last, type: text}
  - {name: tier, type: select, options: [{value: gold}, {value: silver}]}
  - {name: double, type: formula, formula: "LEN(age)"}
"""
AFTER = """\
record_type: thing
title_field: no
fields:
  - {name: no, type: integer, unique: true}
  - {name: years, was: age, type: integer}
  - {name: full, type: text}
  - {name: tier, type: select, options: [{value: vip, was: gold}, {value: silver}]}
  - {name: double, type: formula, formula: "years * 2"}
views:
  - {name: all, columns: [no], sort: [-years]}
changes:
  - {merge: {fields: [first, last], into: full}}
  - {retype: {field: years, to: integer, on_failure: quarantine}}
"""


@contextmanager
def dying(world, file):
    """Yield a function that publishes `file` in a process killed at a step."""
    url = world.db.url.render_as_string(hide_password=False)
    command = [sys.executable, str(SCRIPT), url, str(file)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env={"PYTHONPATH": str(ROOT)}, **pipes) as process:

        def kill_at(step):
            process.stdin.write(f"{step}\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield kill_at
        process.stdin.close()


def test_killed_at_any_step_values_are_all_converted_or_all_untouched(world, tmp_path):
    world.publish(BEFORE)
    rows = [
        {"no": f"{n}", "age": "x" if n == 7 else f"{n}", "first": "A", "last": f"L{n}",
         "tier": "gold" if n % 2 else "silver"}
        for n in range(12)
    ]  # fmt: skip
    world.add("thing", *rows)
    file = tmp_path / "after.yaml"
    file.write_text(AFTER, encoding="utf-8")
    killed = []
    with dying(world, file) as kill_at:
        for step in itertools.count():
            killed.append(kill_at(step))
            if world.release.number == 2:
                break
            for name in ("no", "age", "first", "tier"):
                assert world.values("thing", name) == [row[name] for row in rows]
            world.assert_sound()
    assert set(killed) <= {0, -9}
    assert len(killed) > 12  # every preparation, every step of the switch
    assert resume(world.db) == 0
    world.assert_sound()
    assert world.values("thing", "no") == list(range(12))
    ages = [None if n == 7 else n for n in range(12)]
    assert world.values("thing", "years") == ages
    assert world.values("thing", "full") == [f"A L{n}" for n in range(12)]
    assert world.values("thing", "tier") == ["vip" if n % 2 else "silver" for n in range(12)]
    assert world.values("thing", "double") == [None if n is None else 2 * n for n in ages]
    assert rollback(world, 1) == 3
    for name in ("no", "age", "first", "last", "tier"):
        assert world.values("thing", name) == [row[name] for row in rows]
    world.assert_sound()
