"""Random policies on random records: every door shows what a slow, plain reading of them says."""

import dataclasses
from collections.abc import Mapping
from random import Random

import pytest
from msgspec import structs

from core.errors import Forbidden
from core.records.exporting import Exported
from core.records.grouping import group_records
from core.records.history import record_history
from core.records.operations import create_many
from core.records.queries import Query, get_record, list_wire
from core.schema.rights import FieldRights, Policy, Who
from core.tables.registry import Registry
from core.testing import campaigns
from tests.integration.records_world import world  # noqa: F401  a fixture

FIELDS = ("name", "phone", "email", "born", "pay", "note")
SENSITIVE = frozenset({"phone", "email", "born", "pay"})
ACTIONS = ("view", "export", "print", "history")

#: Conditions with what they mean, of a record in wire form and the person who asks.
ROWS = {
    "": lambda _record, _user: True,
    "note == 'kind'": lambda record, _user: record["note"] == "kind",
    "pay > 50": lambda record, _user: record["pay"] is not None and float(record["pay"]) > 50,
    "created_by == current_user": lambda record, user: record["created_by"] == user,
    "phone is empty": lambda record, _user: record["phone"] is None,
}


def draw_policy(random: Random, number: int) -> Policy:
    def some(share: float) -> tuple[str, ...]:
        return tuple(one for one in FIELDS if random.random() < share)

    view = ("*",) if random.random() < 0.3 else some(0.6)
    actions = [one for one in ACTIONS if random.random() < 0.6]
    return Policy(
        name=f"p{number}", who=Who(role="drawn"), types=("person",), actions=tuple(actions),
        rows=random.choice(list(ROWS)),
        fields=FieldRights(view=view, clear=some(0.4), mask=some(0.2)),
    )  # fmt: skip


def draw_people(random: Random, user: str) -> list[dict[str, object]]:
    return [
        {
            "name": f"{user} {number}",
            "phone": random.choice([None, f"138{number:08}"]),
            "email": random.choice([None, f"n{number}@example.com"]),
            "born": random.choice([None, "1990-02-03"]),
            "pay": random.choice([None, "10.00", "99.00"]),
            "note": random.choice([None, "kind", "x"]),
        }
        for number in range(8)
    ]


def cell(policies: list[Policy], record: Mapping[str, object], name: str, action: str) -> str:
    """Return how a field of a record is shown by way of an action: the slow reference."""
    best = "hidden"
    for policy in policies:
        if action in policy.actions and ROWS[policy.rows](record, "u1"):
            shown = policy.fields.view
            if name in shown or "*" in shown:
                veiled = name in policy.fields.mask or (
                    name in SENSITIVE and name not in policy.fields.clear
                )
                best = "clear" if not veiled or best == "clear" else "masked"
    return best


def both(policies, record, name, action):
    """Return how a cell is shown where viewing it and the action must both be allowed."""
    order = ("hidden", "masked", "clear")
    shown = cell(policies, record, name, "view"), cell(policies, record, name, action)
    return min(shown, key=order.index)


def in_sight(policies, record, action):
    return all(
        any(one in policy.actions and ROWS[policy.rows](record, "u1") for policy in policies)
        for one in {"view", action}
    )


def told(answer: Mapping[str, object], name: str) -> str:
    if name in answer.get("masked", ()):
        assert answer[name] is None or "•••" in str(answer[name])
        return "masked"
    if name in answer["no_access"]:
        assert name not in answer
        return "hidden"
    return "clear"


def expected(policies, records, action):
    return {
        record["id"]: {name: both(policies, record, name, action) for name in FIELDS}
        for record in records
        if in_sight(policies, record, action)
    }


def check_answers(policies, records, action, answers):
    by_id = {record["id"]: record for record in records}
    found = {one["id"]: {name: told(one, name) for name in FIELDS} for one in answers}
    assert found == expected(policies, records, action)
    for one in answers:
        for name in FIELDS:
            if found[one["id"]][name] == "clear":
                assert one[name] == by_id[one["id"]][name]


@pytest.mark.parametrize("seed", range(campaigns.examples(12)))
def test_every_door_shows_each_cell_as_its_own_policies_say(world, seed):
    random = Random(seed)
    clerk = world.context("clerk", user="u2")
    for user in ("u1", "u2"):
        create_many(world.context("clerk", user=user), "person", draw_people(random, user))
    records = list_wire(clerk, "person", Query(limit=100)).items
    policies = [draw_policy(random, number) for number in range(random.randint(1, 4))]
    ctx = drawn_context(world, clerk, policies)
    if not any("view" in one.actions for one in policies):
        with pytest.raises(Forbidden):
            list_wire(ctx, "person", Query())
        return
    answers = list_wire(ctx, "person", Query(limit=100)).items
    check_answers(policies, records, "view", answers)
    alone = [get_record(ctx, "person", one["id"], as_wire=True) for one in answers]
    check_answers(policies, records, "view", alone)
    for action in ("export", "print"):
        given = any(action in one.actions for one in policies)
        try:
            found = list_wire(ctx, "person", Query(limit=100, via=action)).items
        except Forbidden:
            assert not given
        else:
            check_answers(policies, records, action, found)
            if action == "export":
                assert {one["id"] for one in Exported(ctx, "person", Query())} <= {
                    one["id"] for one in found
                }
    check_questions(ctx, answers)
    check_history(ctx, policies, records)


def drawn_context(world, clerk, policies):
    """Return a context of somebody for whom exactly `policies` are on people."""
    known = clerk.registry
    release = known.release
    person = structs.replace(release.types["person"], policies=())
    release = structs.replace(
        release, types={**release.types, "person": person}, policies=tuple(policies)
    )
    ctx = world.context("drawn", user="u1")
    return dataclasses.replace(
        ctx, registry=Registry(release, known.revision, known.dialect, known)
    )


def check_questions(ctx, answers):
    """Check that only what is shown as it is in every row can be asked about."""
    for name in FIELDS:
        certain = all(told(one, name) == "clear" for one in answers)
        for ask in (
            lambda name=name: list_wire(ctx, "person", Query(filter=f"{name} is not empty")),
            lambda name=name: list_wire(ctx, "person", Query(sort=(name,))),
            lambda name=name: group_records(ctx, "person", Query(), name, {}),
        ):
            try:
                ask()
            except Forbidden:
                continue
            assert certain, name


def check_history(ctx, policies, records):
    for record in records:
        if not any("history" in one.actions for one in policies):
            return
        if not in_sight(policies, record, "history"):
            continue
        changes = record_history(ctx, "person", record["id"])[-1]["changes"]
        for name in set(changes) & set(FIELDS):
            shown = both(policies, record, name, "history")
            assert shown != "hidden"
            if shown == "masked":
                assert "•••" in changes[name][1]
