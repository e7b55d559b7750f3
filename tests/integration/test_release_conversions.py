"""Random values through random changes of type: each is converted or set aside, and comes back."""

from random import Random

import pytest
import sqlalchemy as sa

from core.migration.conversion import quarantined
from core.migration.drafts import rollback
from core.schema.fieldtypes import field_type
from core.schema.model import Field, Option
from core.testing import campaigns
from tests.integration.release_world import world  # noqa: F401  a fixture

#: Type -> its further properties in YAML; the model's own are of no matter to the values.
KINDS = {
    "text": "max_length: 100", "long_text": "", "integer": "", "decimal": "precision: 3",
    "money": "", "rate": "", "percent": "", "rating": "", "boolean": "", "date": "",
    "datetime": "", "time": "", "duration": "", "email": "", "phone": "", "barcode": "",
    "select": "options: [{value: a}, {value: b}]",
    "multi_select": "options: [{value: a}, {value: b}]",
}  # fmt: skip
#: Texts that look like values of other types, or nearly so.
LIKELY = (
    "12", " 007 ", "-3.50", "1e3", "9" * 14, "0.333", "true", "yes", "否", "2026-02-30",
    "2026-03-01", "2026-03-01T08:00:00Z", "25:00", "08:30", "1h 30m", "a@b.example", "a", "a;b",
    "138 0000 1111", "", "NaN", "∞", "x" * 90,
)  # fmt: skip
FIELDS, ROWS = 10, 30


def sample(kind, random):
    """Return a random stored value of a field type, often none and often a likely text."""
    if random.random() < 0.15:
        return None
    if kind in {"text", "long_text"} and random.random() < 0.7:
        return random.choice(LIKELY) or None
    options = (Option(value="a"), Option(value="b")) if kind.endswith("select") else ()
    scale = {"precision": 3} if kind == "decimal" else {}
    value = field_type(kind).sample(
        Field(id="x", name="x", type=kind, options=options, **scale), random
    )
    return value[:100] if isinstance(value, str) else value


def yaml(kinds, changes=""):
    lines = [f"  - {{name: f{at}, type: {kind}, {KINDS[kind]}}}" for at, kind in enumerate(kinds)]
    fields = "\n".join(["  - {name: name, type: text}", *lines])
    return f"record_type: thing\ntitle_field: name\nfields:\n{fields}\n{changes}"


def quarantining(pairs):
    lines = [
        f"  - {{retype: {{field: f{at}, to: {new}, on_failure: quarantine}}}}"
        for at, (old, new) in enumerate(pairs)
        if old != new
    ]
    return "\n".join(["changes:", *lines, ""]) if lines else ""


def stored(world, names):
    table = world.table("thing")
    columns = [table.c[name] for name in names]
    with world.db.read() as connection:
        rows = connection.execute(sa.select(*columns).order_by(table.c.id)).all()
    return {name: [row[at] for row in rows] for at, name in enumerate(names)}


@pytest.mark.parametrize("seed", range(campaigns.examples(2)))
def test_converted_and_failed_values_add_up_and_all_come_back(world, seed):
    random = Random(seed)
    pairs = [(random.choice(list(KINDS)), random.choice(list(KINDS))) for _ in range(FIELDS)]
    names = [f"f{at}" for at in range(FIELDS)]
    world.publish(yaml([old for old, _ in pairs]))
    world.add(
        "thing",
        *(
            {name: sample(old, random) for name, (old, _) in zip(names, pairs, strict=True)}
            for _ in range(ROWS)
        ),
    )
    before = stored(world, names)
    text = yaml([new for _, new in pairs], quarantining(pairs))
    shown = world.draft(text)
    assert shown["checks"] == []
    assert world.publish(text) == 2
    after = stored(world, names)
    with world.db.read() as connection:
        aside = list(quarantined(connection, 2))
    for told in shown["conversions"]:
        assert told["succeeded"] + told["failed"] == told["rows"], told
    for name, pair in zip(names, pairs, strict=True):
        full = sum(value is not None for value in before[name])
        kept = sum(value is not None for value in after[name])
        failed = sum(one["field"] == f"site.thing.{name}" for one in aside)
        assert (kept + failed, pair) == (full, pair)
    world.assert_sound()
    assert rollback(world, 1) == 3
    assert stored(world, names) == before
    world.assert_sound()
    assert rollback(world, 2) == 4
    assert stored(world, names) == after
