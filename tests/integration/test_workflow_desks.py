"""People who leave, are away or come back, on stored instances: what waits follows them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from core.actor import SYSTEM
from core.errors import Forbidden, Invalid
from core.jobs.handlers import Event
from core.jobs.outbox import outbox
from core.records.operations import create_record
from core.records.people import PEOPLE
from core.workflow.deciding import decide
from core.workflow.desks import vacancies
from core.workflow.desks.handover import desk, hand_over
from core.workflow.errors import NotACandidate, OpinionRequired
from core.workflow.evidence.events import verify
from core.workflow.models import candidate, instance, vote
from core.workflow.operations import submit, suspend
from core.workflow.queue.inbox import list_tasks
from core.workflow.queue.pages import get_instance, get_task
from core.workflow.staff.away import Wanted, delegate, list_delegations, preview, revoke
from core.workflow.staff.people import STAFF, STAFF_CHANGED, note_staff
from core.workflow.staff.roster import Staff
from core.workflow.timing.sweeping import follow_windows
from tests.integration.flow_world import (
    ADMIN,
    APPROVER,
    EVERYBODY,
    FINANCE,
    LIN,
    MARKETING,
    SECOND,
    WANG,
    World,
)

DAY = timedelta(days=1)


class Office:
    """A world with a staff that a test may change, and what it does there."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.staff: Staff = EVERYBODY

    def load(self, *_about: object) -> Staff:
        return self.staff

    def disable(self, *gone: str) -> None:
        """Let people sign in no more, and have the worker see it."""
        people = {
            one.id: replace(one, is_active=one.is_active and one.id not in gone)
            for one in self.staff.people.values()
        }
        roles = {
            role: tuple(one for one in held if one not in gone)
            for role, held in self.staff.roles.items()
        }
        self.change(replace(self.staff, people=people, roles=roles))

    def change(self, staff: Staff) -> None:
        self.staff = staff
        STAFF.register(self.load)
        with self.world.db.write() as connection:
            note_staff(connection)
        self.world.deliver()

    def send(self, name: str, actor=LIN) -> str:
        """Submit a memo, which Chen decides and Fang beside them; return its task."""
        record = create_record(self.world.ctx(actor), "memo", {"name": name, "amount": len(name)})
        return submit(self.world.ctx(actor), "memo", record["id"])["task"]

    def sitting(self, task: str) -> set[tuple[str, str, str]]:
        """Return who may sit in a task: actor, why, for whom."""
        query = sa.select(candidate).where(
            candidate.c.task_id == task, candidate.c.gone.is_(False)
        )
        with self.world.db.read() as connection:
            rows = connection.execute(query).all()
        return {(row.actor, row.via, row.on_behalf_of) for row in rows}

    def attention(self) -> list[str]:
        with self.world.db.read() as connection:
            return list(connection.execute(sa.select(instance.c.attention)).scalars())

    def approve(self, actor, task: str, **rest):
        shown = get_task(self.world.ctx(actor), task)["subject_hash"]
        return decide(self.world.ctx(actor), task, "approve", subject_hash=shown, **rest)


@pytest.fixture
def office(world: World) -> Iterator[Office]:
    made = Office(world)
    vacancies.register(world.handlers)
    with STAFF.asking(made.load), PEOPLE.asking(None):
        yield made
    # Whatever people came and went, the events still rebuild every row.
    with world.db.read() as connection:
        assert verify(connection)[1] == []


def titles(office: Office, actor) -> list[str]:
    return [one["title"] for one in list_tasks(office.world.ctx(actor))["items"]]


def verbs(office: Office, task: str) -> list[str]:
    about = get_task(office.world.ctx(ADMIN), task)["instance"]
    return [one["verb"] for one in get_instance(office.world.ctx(ADMIN), about)["events"]]


CHEN, ZHAO, FANG = APPROVER.id, SECOND.id, FINANCE.id


def test_disabled_approver_is_replaced_or_administrators_are_told(office: Office) -> None:
    task = office.send("A")
    office.disable(CHEN)
    assert office.attention() == ["no_approver"]
    office.change(replace(office.staff, assigned={CHEN: ZHAO}))
    assert (ZHAO, "vacant", "") in office.sitting(task)
    assert office.attention() == [""]
    assert titles(office, SECOND) == ["A"]


def test_staff_is_looked_at_twice_for_what_was_committed_late(office: Office) -> None:
    with office.world.db.write() as connection:
        note_staff(connection)
    office.world.deliver()
    with office.world.db.read() as connection:
        query = sa.select(outbox.c.key).where(outbox.c.topic == STAFF_CHANGED)
        keys = connection.execute(query).scalars().all()
    assert len([key for key in keys if key]) == 1
    office.send("A")
    # As if it had been committed after the first look: nobody notes the change again.
    gone = replace(office.staff.people[CHEN], is_active=False)
    office.staff = replace(office.staff, people={**office.staff.people, CHEN: gone})
    STAFF.register(office.load)
    again = Event(1, "1", STAFF_CHANGED, {"again": True}, 1)
    vacancies.follow_staff(office.world.ctx(SYSTEM), again)
    assert office.attention() == ["no_approver"]


def test_past_names_stay_when_people_are_disabled_or_gone(office: Office) -> None:
    task = office.send("A")
    office.approve(APPROVER, task)
    before = get_task(office.world.ctx(ADMIN), task)["timeline"]
    assert {one["actor_name"] for one in before} >= {"Chen", "Lin"}
    office.disable(CHEN)
    people = {key: one for key, one in office.staff.people.items() if key != CHEN}
    office.change(replace(office.staff, people=people))
    after = get_task(office.world.ctx(ADMIN), task)["timeline"]
    assert after[: len(before)] == before


def test_delegation_moves_what_waits_and_its_end_takes_it_back(office: Office) -> None:
    first = office.send("A")
    ctx = office.world.ctx(APPROVER)
    made = delegate(ctx, Wanted(deputy=ZHAO, end=ctx.now + DAY, types=("memo",)))
    office.world.deliver()
    second = office.send("B")
    for task in (first, second):
        assert (ZHAO, "away", CHEN) in office.sitting(task)
    assert titles(office, SECOND) == ["A", "B"]
    office.approve(SECOND, first)
    with office.world.db.read() as connection:
        cast = connection.execute(sa.select(vote.c.actor_name, vote.c.on_behalf_of)).one()
    assert tuple(cast) == ("Zhao", CHEN)
    revoke(office.world.ctx(APPROVER), made["id"])
    office.world.deliver()
    assert (ZHAO, "away", CHEN) not in office.sitting(second)
    with pytest.raises(NotACandidate):
        office.approve(SECOND, second)


def test_deputy_comes_when_the_window_opens_and_goes_when_it_closes(office: Office) -> None:
    task, clock = office.send("A"), office.world.clock
    follow_windows(office.world.ctx(SYSTEM))
    ctx = office.world.ctx(APPROVER)
    delegate(ctx, Wanted(deputy=ZHAO, start=ctx.now + DAY, end=ctx.now + 2 * DAY))
    seen = []
    for _ in range(3):
        follow_windows(office.world.ctx(SYSTEM))
        office.world.deliver()
        seen.append((ZHAO, "away", CHEN) in office.sitting(task))
        clock.move(DAY)
    assert seen == [False, True, False]


def test_ceiling_lets_only_smaller_documents_move(office: Office) -> None:
    small, large = office.send("A"), office.send("AAAA")
    ctx = office.world.ctx(APPROVER)
    wanted = Wanted(
        deputy=ZHAO, end=ctx.now + DAY, types=("memo",), amount_field="amount",
        amount_max=Decimal(2),
    )  # fmt: skip
    shown = preview(ctx, wanted)
    assert (shown["count"], [one["title"] for one in shown["items"]]) == (1, ["A"])
    delegate(ctx, wanted)
    office.world.deliver()
    assert (ZHAO, "away", CHEN) in office.sitting(small)
    assert (ZHAO, "away", CHEN) not in office.sitting(large)


def test_deputy_gets_what_waits_for_roles_only_where_the_delegation_says_so(
    office: Office,
) -> None:
    record = create_record(office.world.ctx(LIN), "rule", {"name": "A"})["id"]
    task = submit(office.world.ctx(LIN), "rule", record)["task"]
    ctx = office.world.ctx(APPROVER)
    plain = delegate(ctx, Wanted(deputy=FANG, end=ctx.now + DAY))
    office.world.deliver()
    assert office.sitting(task) == {("approver", "", "")}
    revoke(office.world.ctx(APPROVER), plain["id"])
    wanted = Wanted(deputy=FANG, end=ctx.now + DAY, include_roles=True)
    assert preview(office.world.ctx(APPROVER), wanted)["count"] == 1
    made = delegate(office.world.ctx(APPROVER), wanted)
    office.world.deliver()
    assert office.sitting(task) == {("approver", "", ""), (FANG, "away", CHEN)}
    revoke(office.world.ctx(APPROVER), made["id"])
    office.world.deliver()
    assert office.sitting(task) == {("approver", "", "")}


def test_preview_counts_what_the_deputy_submitted_and_cannot_decide(office: Office) -> None:
    office.send("A", LIN)
    office.send("B", WANG)
    ctx = office.world.ctx(APPROVER)
    shown = preview(ctx, Wanted(deputy=LIN.id, end=ctx.now + DAY))
    assert (shown["count"], shown["own"]) == (2, 1)
    with pytest.raises(Forbidden):
        preview(office.world.ctx(LIN), Wanted(deputy=ZHAO, end=ctx.now + DAY, giver=CHEN))


def test_whole_desk_goes_over_with_a_result_for_each_task(office: Office) -> None:
    tasks = [office.send(name) for name in ("A", "B")]
    own = office.send("C", WANG)
    done = office.send("D")
    office.approve(APPROVER, done)
    held = desk(office.world.ctx(ADMIN), CHEN)
    assert (held["count"], [one["title"] for one in held["tasks"]]) == (3, ["A", "B", "C"])
    made = hand_over(office.world.ctx(ADMIN), CHEN, WANG.id, reason="left us")
    outcomes = {one["title"]: one["outcome"] for one in made["items"]}
    assert outcomes == {"A": "transferred", "B": "transferred", "C": "refused"}
    (refused,) = [one for one in made["items"] if one["outcome"] == "refused"]
    assert refused["code"] == "flow.sod_violation"
    assert made["left"] == 0
    assert titles(office, WANG) == ["A", "B"]
    assert "hand_over" in verbs(office, tasks[0])
    assert "hand_over" not in verbs(office, own)
    assert desk(office.world.ctx(ADMIN), CHEN)["count"] == 1
    with pytest.raises(NotACandidate):
        office.approve(APPROVER, tasks[0])


def test_desk_of_somebody_disabled_goes_over_and_suspended_tasks_with_it(office: Office) -> None:
    first, second = office.send("A"), office.send("B")
    about = get_task(office.world.ctx(ADMIN), second)["instance"]
    suspend(office.world.ctx(ADMIN), about, reason="wait")
    office.disable(CHEN)
    made = hand_over(office.world.ctx(ADMIN), CHEN, ZHAO, reason="left us")
    assert [one["outcome"] for one in made["items"]] == ["transferred", "transferred"]
    for task in (first, second):
        assert (ZHAO, "transfer", "") in office.sitting(task)
    assert office.attention() == ["", ""]


def test_delegations_go_over_with_the_desk_of_the_deputy(office: Office) -> None:
    task = office.send("A")
    ctx = office.world.ctx(FINANCE)
    delegate(ctx, Wanted(deputy=CHEN, end=ctx.now + DAY, types=("memo",), reason="leave"))
    made = hand_over(office.world.ctx(ADMIN), CHEN, MARKETING.id, reason="left us")
    assert [(one["kind"], one["outcome"]) for one in made["items"]] == [
        ("task", "transferred"), ("delegation", "transferred"),
    ]  # fmt: skip
    (said,) = list_delegations(office.world.ctx(FINANCE))
    assert (said["to"]["id"], said["types"], said["reason"]) == (MARKETING.id, ["memo"], "leave")
    office.world.deliver()
    assert {who for who, via, _ in office.sitting(task) if via == "transfer"} == {MARKETING.id}


def test_only_administrators_hand_desks_over_and_say_why(office: Office) -> None:
    task = office.send("A")
    before = office.sitting(task)
    with pytest.raises(Forbidden):
        hand_over(office.world.ctx(APPROVER), CHEN, ZHAO, reason="mine")
    with pytest.raises(Forbidden):
        desk(office.world.ctx(APPROVER), CHEN)
    with pytest.raises(OpinionRequired):
        hand_over(office.world.ctx(ADMIN), CHEN, ZHAO, reason=" ")
    for nobody in (CHEN, "", "nobody"):
        with pytest.raises(Invalid):
            hand_over(office.world.ctx(ADMIN), CHEN, nobody, reason="left us")
    assert office.sitting(task) == before
