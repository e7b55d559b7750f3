"""Running approvals under another version of their flow: by explicit wish, after a look ahead.

A published flow changes nothing for what runs; it stays on the version it was submitted
under. An administrator may have one go on under the version in force, where every step that
it has walked or waits in is still there with the same id, kind and place; otherwise it is
refused with the reasons. Voices and votes stay; clocks keep the time that they have used.
"""

from datetime import datetime
from typing import Any

from core.context import Context
from core.errors import Forbidden, Problem
from core.i18n import N_
from core.workflow import errors
from core.workflow.engine.state import Visit
from core.workflow.engine.tree import Tree
from core.workflow.engine.work import add_timer, timers_of
from core.workflow.operations import answer_of, pin, transaction
from core.workflow.opinion import read_opinion
from core.workflow.outcome import is_locking
from core.workflow.run import Answer, Run, lock_instance, once, pinned, read_instance
from core.workflow.settling import settle
from core.workflow.staff.people import may_administer


def migrate(
    ctx: Context, instance_id: str, *, reason: str = "", dry_run: bool = False,
    key: str | None = None,
) -> Answer:  # fmt: skip
    """Have a running approval go on under the version of its flow that is in force.

    With `dry_run` nothing is written; the answer says of each step whether it maps.

    Raises:
        NotFound: there is no such instance.
        Forbidden: the actor does not administer approvals.
        NotMigratable: steps do not map, or there is no newer version; names each reason.
        OpinionRequired: no reason is given.
    """
    if not may_administer(ctx):
        raise Forbidden
    if dry_run:
        return _look(ctx, instance_id)

    def act() -> Answer:
        run = lock_instance(ctx, transaction(ctx), instance_id)
        said = read_opinion(reason)
        if not said:
            raise errors.OpinionRequired
        columns, tree = _newer(run)
        problems = _problems(run, tree)
        if problems:
            raise errors.NotMigratable(problems=problems)
        _move(run, columns, said)
        settle(run)
        return answer_of(run)

    return once(ctx, key, ("migrate", instance_id, reason), act)


def _look(ctx: Context, instance_id: str) -> Answer:
    """Return what a migration would do with each step, without doing it."""
    with ctx.reading() as connection:
        run = read_instance(ctx, connection, instance_id)
        columns, tree = _newer(run)
        problems = _problems(run, tree)
        wrong = {one.path: one for one in problems}
        return {
            "instance": instance_id,
            "from": run.row["flow_version"],
            "to": columns["flow_version"],
            "possible": not problems,
            "steps": [
                {
                    "step": visit.step,
                    "state": visit.state,
                    "maps": visit.step not in wrong,
                    "reason": wrong[visit.step].code if visit.step in wrong else "",
                }
                for visit in _latest(run)
            ],
        }


def _newer(run: Run) -> tuple[dict[str, Any], Tree]:
    """Return the columns that pin the version in force, and its tree.

    Raises:
        NotPossible: the approval is over, or could not take effect.
        NotMigratable: it runs under that version already, or the flow is gone.
    """
    status = run.state.status
    if not is_locking(status, run.state.former) and status not in {"returned", "suspended"}:
        errors.refuse(errors.NotPossible, state=status)
    flow = run.ctx.registry.release.flows.get(run.flow.flow)
    if flow is None or flow.document != run.row["record_type"]:
        text = N_("The flow {flow} is not published any more.")
        problem = Problem("", "flow.no_flow", text, {"flow": run.flow.flow})
        raise errors.NotMigratable(problems=[problem])
    columns = pin(run.ctx, flow)
    if columns["definition_hash"] == run.row["definition_hash"]:
        text = N_("It runs under version {version}, which is the one in force.")
        problem = Problem("", "flow.same_version", text, {"version": flow.version})
        raise errors.NotMigratable(problems=[problem])
    return columns, pinned(columns["definition"], columns["subflows"])[2]


def _latest(run: Run) -> list[Visit]:
    """Return the latest pass through each step that was walked."""
    return list({visit.step: visit for visit in run.state.visits.values()}.values())


def _problems(run: Run, tree: Tree) -> list[Problem]:
    """Return why steps do not map, one reason for each."""
    problems = []
    for visit in _latest(run):
        old, new = run.tree.nodes[visit.step], tree.nodes.get(visit.step)
        if new is None:
            code, text = "flow.step_gone", N_("The step {step} is not there any more.")
        elif new.step.type != old.step.type:
            code, text = "flow.step_other", N_("The step {step} is of another kind.")
        elif (new.parent, new.lane) != (old.parent, old.lane):
            code, text = "flow.step_moved", N_("The step {step} stands elsewhere.")
        elif set(new.step.seats) != set(old.step.seats):
            code, text = "flow.step_seats", N_("The step {step} has other named seats.")
        else:
            continue
        problems.append(Problem(visit.step, code, text, {"step": visit.step}))
    return problems


def _move(run: Run, columns: dict[str, Any], said: str) -> None:
    """Put the instance under the other version."""
    before, used = run.row["flow_version"], {}
    for visit in run.state.live_visits():
        if run.tree.nodes[visit.step].is_human:
            used[visit.id] = _used(run, visit)
    run.row.update(columns)
    run.flow, run.subflows, run.tree = pinned(columns["definition"], columns["subflows"])
    run.forget()
    for visit_id, seconds in used.items():
        _restart(run, run.state.visits[visit_id], seconds)
    run.via_override = True
    run.note(
        "migrate", opinion=said,
        detail={"from": before, "to": columns["flow_version"], "flow": run.flow.flow},
    )  # fmt: skip


def _used(run: Run, visit: Visit) -> dict[bool, int]:
    """Return the seconds that a task's clocks have used: business time, and any time."""
    due, world = run.tree.nodes[visit.step].step.due, run.world
    opened = datetime.fromisoformat(visit.opened_at)
    found = {
        business: world.spent(opened, business=business, item=visit.item)
        for business in (True, False)
    }
    for timer in timers_of(run.state, visit.id):
        if 0 <= timer.rung < len(due):
            _business, whole = world.clock(due[timer.rung].at, opened, visit.item)
            since = datetime.fromisoformat(timer.since) if timer.since else None
            run_on = world.spent(since, business=timer.business, item=visit.item) if since else 0
            found[timer.business] = max(0, whole - timer.left + run_on)
    return found


def _restart(run: Run, visit: Visit, used: dict[bool, int]) -> None:
    """Start the clocks that the other version has, with what its tasks have used already."""
    machine = run.machine()
    fired = {
        one.rung for one in run.state.timers.values()
        if one.visit == visit.id and one.state == "fired"
    }  # fmt: skip
    stands = visit.state == "suspended"
    for timer in timers_of(run.state, visit.id):
        timer.state, timer.since, timer.fire_at = "cancelled", "", ""
    opened = datetime.fromisoformat(visit.opened_at)
    for place, rung in enumerate(run.tree.nodes[visit.step].step.due):
        if place in fired:
            continue
        business, whole = run.world.clock(rung.at, opened, visit.item)
        add_timer(machine, visit, place, rung.at, left=max(0, whole - used[business]))
    if stands:
        for timer in timers_of(run.state, visit.id):
            timer.since = timer.fire_at = ""
