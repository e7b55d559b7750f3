"""The end of every operation: outcomes, copies, what is told, and the rows with their evidence."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite

from core.clock import to_wire
from core.i18n import pick
from core.prebuilt import together
from core.workflow import outcome
from core.workflow.documents import shows_title
from core.workflow.engine.state import TERMINAL, Candidate, Event, Visit
from core.workflow.evidence.events import Evidence
from core.workflow.evidence.meaning import SPOKEN, meaning_of
from core.workflow.models import copy
from core.workflow.queuerow import Facts, deadline
from core.workflow.run import Run, keep_content
from core.workflow.staff.people import joined
from core.workflow.store import Rows, instance_changes, instance_columns, save, write_instance

#: Event -> what carries out what follows from it.
Consequence = Callable[[Run, Event], None]


def settle(run: Run) -> None:
    """Carry out what an operation led to and write all of it; nothing is changed afterwards."""
    status = run.state.status
    if status != run.former:
        _ENDINGS.get(status, _nothing_ends)(run)
    for event in list(run.events):
        consequence = _CONSEQUENCES.get(event.verb)
        if consequence is not None:
            consequence(run, event)
    _write(run)


def _write(run: Run) -> None:
    row, state = run.row, run.state
    now = to_wire(run.ctx.now)
    row |= instance_columns(state)
    row["makers"] = joined(state.makers)
    latest = _latest_task(run)
    if latest is not None:
        row |= {"step": latest.step, "task_id": latest.id}
    if state.status in TERMINAL and not row["ended_at"]:
        actor = run.ctx.actor
        row |= {"ended_at": now, "ended_by": actor.id, "ended_by_name": actor.name}
    before = run.stored.before
    if run.stored.row_before.get("subject_hash") != row["subject_hash"]:
        keep_content(run)
    changes = save(
        run.connection,
        run.stored,
        run.tree,
        name_of=_namer(run),
        facts=lambda one: _facts(run, one),
    )
    _announce_open(run, before)
    own = instance_changes(run.stored)
    if own:
        changes = {"gx_instance": {row["id"]: own}, **changes}
    if changes and not run.events:
        run.note("renew")  # a sign of life of whoever has claimed a task
    with together(run.connection):
        _keep_evidence(run, changes)
        write_instance(run.connection, run.stored)
        run.tell()
    run.events = []
    run.former = state.status


def _keep_evidence(run: Run, changes: Mapping[str, Any]) -> None:
    """Append the operation's events, the last one with what became of the rows; note the head."""
    evidence = Evidence(run.ctx, run.connection, run.row)
    evidence.via_override = run.via_override
    evidence.auth = run.signed.auth or evidence.auth
    spoken = _spoken(run)
    for place, event in enumerate(run.events):
        is_first, is_last = place == 0, place == len(run.events) - 1
        is_spoken = event is spoken
        evidence.add(
            event.verb, step=event.step, task_id=event.visit, seat=event.seat,
            opinion=event.opinion,
            detail=event.detail | run.signed.detail if is_spoken else event.detail,
            on_behalf_of=event.on_behalf_of,
            meaning=_meaning(run, event.verb) if is_spoken else "",
            diff=run.diff if is_first else None, changes=changes if is_last else None,
        )  # fmt: skip
    run.row.update(evidence.head)


def _spoken(run: Run) -> Event | None:
    """Return the event of what the person said by pressing a button; what follows comes after."""
    if run.ctx.actor.is_system:
        return None
    return next((event for event in run.events if event.verb in SPOKEN), None)


def _meaning(run: Run, verb: str) -> str:
    """Return what the person said, in the words that they were shown."""
    type_name, title = run.row["record_type"], run.row["title"]
    if not title or not shows_title(run.ctx, type_name):
        title = pick(run.ctx.registry.record_type(type_name).label, run.ctx.locale, type_name)
    return meaning_of(verb, title, run.ctx.locale)


def _latest_task(run: Run) -> Visit | None:
    """Return the latest task that waits, else the latest of all."""
    tasks = [one for one in run.state.visits.values() if run.tree.nodes[one.step].is_human]
    waiting = [one for one in tasks if one.state in {"open", "suspended"}]
    return next(reversed(waiting or tasks), None)


def _namer(run: Run) -> Callable[[str], str]:
    actor = run.ctx.actor

    def name_of(person: str) -> str:
        return actor.name if person == actor.id else run.world.name(person)

    return name_of


def _facts(run: Run, visit: Visit) -> Facts:
    """Return what the document says of a task that is opened now."""
    step = run.tree.nodes[visit.step].step
    value = run.world.value(step.queue.risk, visit.item) if step.queue.risk else None
    clock = deadline(run.state, visit, step)
    return Facts(
        risk="" if value is None else str(value),
        business=clock is not None and clock.business,
        calendar=run.flow.calendar,
        place=run.world.place(visit.item),
    )


# -- how it ended -------------------------------------------------------------------------------


def _nothing_ends(_run: Run) -> None:
    """Do nothing: it goes on, or stands still."""


def _rejected(run: Run) -> None:
    outcome.hand_back(run, "rejected")
    outcome.emit_own(run, "rejected")
    run.announce("document.rejected")


def _returned(run: Run) -> None:
    outcome.hand_back(run, "returned")
    run.announce("document.returned", opinion=_said(run, "return"))


def _ended_undecided(run: Run) -> None:
    if outcome.is_locking(run.former, run.stored.row_before.get("former_state", "")):
        outcome.hand_back(run, "withdrawn")
    elif run.former == "apply_blocked":
        outcome.drop_void(run)
    if run.state.status == "withdrawn":
        outcome.emit_own(run, "withdrawn")
    run.announce(f"document.{run.state.status}")


def _said(run: Run, verb: str) -> str:
    return next((one.opinion for one in run.events if one.verb == verb), "")


_ENDINGS: Mapping[str, Callable[[Run], None]] = {
    "approved": outcome.apply,
    "rejected": _rejected,
    "returned": _returned,
    "withdrawn": _ended_undecided,
    "terminated": _ended_undecided,
}


# -- what follows besides ------------------------------------------------------------------------


def _copy(run: Run, event: Event) -> None:
    """Give people a copy to read, once each per instance."""
    make = sqlite.insert if run.connection.dialect.name == "sqlite" else postgresql.insert
    people = event.detail["people"]
    for person in people:
        run.connection.execute(
            make(copy)
            .values(
                instance_id=run.row["id"], person=person, step=event.step,
                record_type=run.row["record_type"], at=to_wire(run.ctx.now),
            )
            .on_conflict_do_nothing()
        )  # fmt: skip
    if people:
        run.announce("document.copied", step=event.step, users=list(people))


def _effect(run: Run, event: Event) -> None:
    """Have a step's actions done once this is committed."""
    item = run.state.visits[event.visit].item
    run.announce("flow.effect", step=event.step, visit=event.visit, item=item)


def _remind(run: Run, event: Event) -> None:
    """Tell those whose voice a task lacks that it waits."""
    run.announce("task.reminded", **waiting_for(run, event.visit))


def _attention(run: Run, event: Event) -> None:
    run.announce("flow.attention", task=event.visit, step=event.step, why=event.detail["why"])


def _claim(run: Run, event: Event) -> None:
    taken_from = event.detail.get("from")
    if taken_from:
        run.announce("task.claim_taken", task=event.visit, step=event.step, users=[taken_from])


_CONSEQUENCES: Mapping[str, Consequence] = {
    "copy": _copy,
    "effect": _effect,
    "remind": _remind,
    "attention": _attention,
    "claim": _claim,
}


def waiting_for(run: Run, visit_id: str) -> dict[str, Any]:
    """Return a task and whose voice it still lacks, as events name them."""
    state = run.state
    found = [
        one
        for seat in state.seats_of(visit_id)
        if seat.state == "open"
        for one in state.candidates_of(seat.id)
    ]
    return _told(run, visit_id, found)


def _announce_open(run: Run, before: Rows) -> None:
    """Tell everybody for whom something new waits: opened, passed on, or escalated to them."""
    was_open = {key for key, row in before["gx_candidate"].items() if row["is_open"]}
    new: dict[str, list[Candidate]] = {}
    rows = run.stored.before["gx_candidate"]
    for row, one in zip(rows.values(), run.state.candidates, strict=True):
        if row["is_open"] and row["id"] not in was_open:
            new.setdefault(row["task_id"], []).append(one)
    for visit_id, found in new.items():
        run.announce("task.opened", **_told(run, visit_id, found))


def _told(run: Run, visit_id: str, found: list[Candidate]) -> dict[str, Any]:
    def named(kind: str) -> list[str]:
        return sorted({one.actor for one in found if one.kind == kind})

    return {
        "task": visit_id,
        "step": run.state.visits[visit_id].step,
        "makers": run.row["makers"],
        "roles": named("role"),
        "users": named("user"),
        "posts": named("post"),
    }
