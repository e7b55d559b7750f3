"""What an approval's events keep, prove and forget, on both databases."""

import re
from dataclasses import replace

import pytest
import sqlalchemy as sa

from core.actor import SYSTEM
from core.appendonly import unguarded as without_triggers
from core.errors import Forbidden
from core.workflow.evidence.erasing import erase_person
from core.workflow.evidence.events import Evidence, list_events, prove, verify
from core.workflow.models import event, instance, seat, task, vote
from tests.integration.evidence_world import (
    DESK,
    approved,
    problems_after,
    rows_of,
)
from tests.integration.flow_steps import act, sound, submitted
from tests.integration.flow_world import ADMIN, APPROVER, LIN, World


def test_event_says_who_acted_from_where_and_how_surely(world: World) -> None:
    _, sent = submitted(world)
    ctx = world.ctx(APPROVER, client=DESK, request_id="request-1", door="form")
    with ctx.writing() as connection:
        row = connection.execute(sa.select(instance)).mappings().one()
        evidence = Evidence(ctx, connection, row)
        evidence.auth, evidence.via_override = "password", True
        evidence.add(
            "approve", step="review", seat="approver", opinion="e\u0301", on_behalf_of="22",
            meaning="I approve the rule.", diff=[{"field": "rate", "after": "0.9"}],
        )  # fmt: skip
        evidence.close()
        kept = list_events(connection, sent["instance"])[-1]
    assert kept | {
        "actor": "21", "actor_name": "Chen", "roles": ["approver"], "on_behalf_of": "22",
        "ip": DESK.ip, "user_agent": DESK.user_agent, "auth": "password", "door": "form",
        "request_id": "request-1", "via_override": True, "meaning": "I approve the rule.",
        "opinion": "\u00e9", "diff": '[{"after":"0.9","field":"rate"}]',
    } == kept  # fmt: skip
    sound(world)


def test_database_refuses_to_change_events_and_votes(world: World) -> None:
    approved(world)
    for table, column in ((event, "verb"), (vote, "verb"), (event, "hash"), (event, "opinion")):
        for statement in (table.update().values({column: "x"}), table.delete()):
            refused = pytest.raises(sa.exc.DBAPIError, match="keeps what was written")
            with refused, world.db.write() as connection:
                connection.execute(statement)
    with world.db.read() as connection:
        assert without_triggers(connection) == []
    sound(world)


def test_erased_person_leaves_no_word_and_a_chain_that_proves(world: World) -> None:
    first, second = approved(world), approved(world, code="A2")
    assert erase_person(world.ctx(ADMIN), APPROVER.id) == 4
    with world.db.read() as connection:
        assert [(one.problems, one.erased) for one in prove(connection)] == [([], 2), ([], 2)]
        own = event.c.actor == APPROVER.id, event.c.instance_id == first
        columns = event.c.actor_name, event.c.opinion, event.c.ip, event.c.salt
        assert set(connection.execute(sa.select(*columns).where(*own))) == {("", "", "", "")}
        ballots = connection.execute(sa.select(vote.c.actor_name, vote.c.opinion)).all()
        assert ballots == [("", "")] * 2
        closed = connection.execute(sa.select(task.c.closed_by_name, task.c.initiator_name))
        assert set(closed) == {("", "Lin")}
        last = list_events(connection, second)[-1]
        assert (last["verb"], last["detail"]) == ("erase", {"person": APPROVER.id})
    assert erase_person(world.ctx(ADMIN), APPROVER.id) == 0, "there is nothing left to erase"


def test_blanks_without_an_erasure_on_the_chain_are_found(world: World) -> None:
    approved(world)
    mine = event.c.actor == APPROVER.id
    blank = {"actor_name": "", "opinion": "", "ip": "", "user_agent": "", "salt": ""}
    with world.db.write() as connection:
        # The database itself lets an erasure pass, so the chain must not.
        connection.execute(event.update().where(mine).values(blank))
        found = verify(connection)[1]
        assert len(found) >= 2
        assert all("what it says of a person" in one or "gx_" in one for one in found)


def test_half_an_erasure_is_found(world: World) -> None:
    instance_id = approved(world)
    erase_person(world.ctx(ADMIN), APPROVER.id)
    mine = event.c.actor == APPROVER.id
    for statement in (
        event.update().where(mine).values(opinion="Agreed."),
        event.update().where(mine).values(salt="ab"),
        vote.update().values(opinion="Agreed."),
        vote.update().values(actor_name="Chen"),
        task.update().where(task.c.instance_id == instance_id).values(closed_by_name="Chen"),
    ):
        assert problems_after(world, statement), statement


def test_only_who_administers_approvals_may_erase(world: World) -> None:
    approved(world)
    with pytest.raises(Forbidden):
        erase_person(world.ctx(LIN), APPROVER.id)
    assert erase_person(world.ctx(SYSTEM), APPROVER.id) == 2


def test_rows_that_differ_from_what_events_say_are_found(world: World) -> None:
    instance_id = approved(world)
    sound(world)
    with world.db.read() as connection:
        told = rows_of(connection, instance_id)
    (seat_id,), (task_id,) = told["gx_seat"], told["gx_task"]
    for statement, words in (
        (seat.update().values(weight=2), "gx_seat .* altered: weight"),
        (seat.delete(), f"gx_seat {seat_id} is missing"),
        (task.update().values(title="e\u0301"), "altered: title"),
        (task.update().values(claimed_by_name="Somebody"), "altered: claimed_by_name"),
        (vote.update().values(opinion="同意"), "altered: opinion"),
        (instance.update().values(values="{}"), "altered: values"),
        (instance.update().values(initiator_name="Wang"), "altered: initiator_name"),
        (
            seat.insert().values(
                id="s", instance_id=instance_id, task_id=task_id, position=9, key="x",
                state="open",
            ),
            "gx_seat s was put in",
        ),
    ):  # fmt: skip
        (found,) = problems_after(world, statement)
        assert re.search(words, found), found


def test_rows_of_an_approval_that_is_gone_are_found(world: World) -> None:
    instance_id = approved(world)
    found = problems_after(world, instance.delete())
    assert f"{instance_id}: the approval is missing; gx_flow_event has rows of it" in found


def test_name_of_a_renamed_person_stays_as_it_was(world: World) -> None:
    _, sent = submitted(world)
    act(world, replace(APPROVER, name="Chen Mei"), "approve", sent["task"])
    sound(world)
    assert problems_after(world, vote.update().values(actor_name="Chen"))
