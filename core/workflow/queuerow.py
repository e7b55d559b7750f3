"""The row of a task as queues list it: what follows from a state, kept so no list works it out."""

from dataclasses import dataclass
from typing import Any

import msgspec

from core.schema.flows import Signing, Step
from core.workflow.engine.state import Seat, State, Timer, Visit

#: Columns that a task is opened with and keeps.
OPENED = (
    "id", "instance_id", "step", "step_title", "type", "record_type", "record_id", "title",
    "round", "number", "initiator", "initiator_name", "sign", "bulk",
    "claim", "priority", "risk", "business", "calendar", "place", "opened_at",
)  # fmt: skip
#: Columns that change with its votes, its people and its clock.
MOVING = (
    "may", "state", "result", "subject_hash", "seats", "approved", "rejected", "abstained",
    "pending",
    "claimed_by", "claimed_until", "attention", "due_at", "paused", "closed_at", "closed_by",
)  # fmt: skip
#: Names of people, which are looked up when their id changes and kept from then on.
NAMES = {"claimed_by_name": "claimed_by", "closed_by_name": "closed_by"}

#: Keys of open seats that a row tells.
_MOST_PENDING = 20
_SIGNINGS: tuple[Signing, ...] = ("click", "password", "handwritten")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the document says of a task that is opened for it.

    Attributes:
        risk: what the step's expression gives.
        business: whether its deadline is reckoned in open hours.
        calendar: by which calendar the flow reckons them; empty for the default.
        place: the store or department whose own calendar goes before that.
    """

    risk: str
    business: bool
    calendar: str
    place: str


def opened(row: dict[str, Any], visit: Visit, step: Step, facts: Facts) -> dict[str, Any]:
    """Return the columns that the task of a visit keeps; `row` is its instance."""
    ways = (step.sign,) if isinstance(step.sign, str) else tuple(step.sign.values())
    return {
        "id": visit.id,
        "instance_id": row["id"],
        "step": visit.step,
        "step_title": msgspec.json.encode(step.title).decode(),
        "type": visit.type,
        "record_type": row["record_type"],
        "record_id": row["record_id"],
        "title": row["title"],
        "round": row["round"],
        "number": visit.number,
        "initiator": row["initiator"],
        "initiator_name": row["initiator_name"],
        "sign": max(ways or ("click",), key=_SIGNINGS.index),
        "bulk": step.queue.bulk,
        "claim": step.queue.claim,
        "priority": step.queue.priority,
        "risk": facts.risk[:80],
        "business": facts.business,
        "calendar": facts.calendar,
        "place": facts.place,
        "opened_at": visit.opened_at,
    }


def moving(state: State, visit: Visit, step: Step) -> dict[str, Any]:
    """Return the columns of a visit's task that change."""
    seats = state.seats_of(visit.id)
    voices = [
        one
        for one in seats
        if one.kind in {"main", "beside"} and one.state not in {"removed", "skipped"}
    ]
    claim = max(seats, key=lambda one: one.claimed_until, default=None)
    is_over = visit.state in {"done", "cancelled"}
    due = None if is_over else deadline(state, visit, step)
    is_claimed = claim is not None and bool(claim.claimed_by) and not is_over
    return {
        "may": " ".join(step.verbs),
        "state": visit.state,
        "result": visit.result,
        "subject_hash": visit.subject_hash,
        "seats": len(voices),
        "approved": _said(voices, "approve"),
        "rejected": _said(voices, "reject"),
        "abstained": _said(voices, "abstain"),
        "pending": msgspec.json.encode(_pending(seats)).decode(),
        "claimed_by": claim.claimed_by if claim and is_claimed else "",
        "claimed_until": claim.claimed_until if claim and is_claimed else "",
        "attention": "" if is_over else state.attention,
        "due_at": due.fire_at or None if due else None,
        "paused": due is not None and not due.fire_at,
        "closed_at": visit.closed_at or None,
        "closed_by": visit.closed_by or None,
    }


def _said(voices: list[Seat], ballot: str) -> int:
    return sum(1 for one in voices if one.ballot == ballot)


def _pending(seats: list[Seat]) -> list[str]:
    keys = dict.fromkeys(
        one.group or one.key for one in seats if one.state == "open" and one.kind != "advice"
    )
    return list(keys)[:_MOST_PENDING]


def deadline(state: State, visit: Visit, step: Step) -> Timer | None:
    """Return the clock of the rung that a task should not reach: the first beyond a reminder."""
    timers = {
        one.rung: one
        for one in state.timers.values()
        if one.visit == visit.id and one.rung >= 0 and one.state != "cancelled"
    }
    rungs = [place for place, rung in enumerate(step.due) if place in timers]
    beyond = [place for place in rungs if step.due[place].do != "remind"]
    place = next(iter(beyond or rungs), None)
    return None if place is None else timers[place]
