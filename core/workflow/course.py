"""The course of an approval over the steps of its flow: what was passed, what waits, for whom."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import NotFound
from core.policies.access import access
from core.records.people import PEOPLE
from core.schema.flows import Flow, Step
from core.schema.modelbase import Label
from core.workflow.engine.tree import Node, Tree, compile_flow
from core.workflow.models import OPEN_STATES, candidate, instance, visit, vote
from core.workflow.run import decode_flow

#: A name in an expression.
_NAME = re.compile(r"[A-Za-z_]\w*")


@dataclass(slots=True)
class Passage:
    """One pass through a step.

    Attributes:
        voted: (name, verb) of who decided, in order.
        asked: as whom it waits: (kind, actor, name); the name is empty but for users.
        item: what a run of a subflow is about; None where the actor may not see it.
    """

    visit: str
    number: int
    state: str
    result: str
    opened_at: str
    closed_at: str
    item: Any = None
    voted: list[tuple[str, str]] = field(default_factory=list)
    asked: list[tuple[str, str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CourseStep:
    """One step with the passes through it.

    Attributes:
        depth: how many blocks are around it.
        lane: title of the case or strand that begins with it; None within one.
    """

    id: str
    type: str
    title: Label
    depth: int
    lane: Label | None
    passages: Sequence[Passage]

    @property
    def state(self) -> str:
        """Return where it stands: ahead, waiting, open, suspended, done, cancelled."""
        return self.passages[-1].state if self.passages else "ahead"


@dataclass(frozen=True, slots=True)
class Course:
    """One approval over the steps of its flow.

    Attributes:
        is_over: whether nothing can be reached any more.
    """

    instance: str
    title: Label
    state: str
    round: int
    initiator: str
    opened_at: str
    ended_at: str
    is_over: bool
    steps: Sequence[CourseStep]


def find_course(ctx: Context, instance_id: str) -> Course:
    """Return an approval's course; the caller has shown its document to the actor.

    Raises:
        NotFound: there is no such approval.
    """
    with ctx.reading() as connection:
        query = sa.select(instance).where(instance.c.id == instance_id)
        row = connection.execute(query).mappings().first()
        if row is None:
            raise NotFound
        return _course(ctx, connection, row)


def latest_course(ctx: Context, type_name: str, record_id: str) -> Course | None:
    """Return the course of a record's latest approval; None when it never had one."""
    with ctx.reading() as connection:
        row = connection.execute(
            sa.select(instance)
            .where(instance.c.record_type == type_name, instance.c.record_id == record_id)
            .order_by(instance.c.round.desc())
            .limit(1)
        ).mappings().first()  # fmt: skip
        return None if row is None else _course(ctx, connection, row)


def _course(ctx: Context, connection: Connection, row: Mapping[Any, Any]) -> Course:
    flow = decode_flow(row["definition"])
    subflows = msgspec.json.decode(row["subflows"], type=dict[str, Flow])
    tree = compile_flow(flow, subflows)
    passages = _passages(connection, row["id"])
    for name in passages.keys() - _told(ctx, row["record_type"], tree):
        for each in passages[name]:
            each.item = None
    return Course(
        instance=row["id"],
        title=flow.title,
        state=row["state"],
        round=row["round"],
        initiator=row["initiator_name"],
        opened_at=row["opened_at"],
        ended_at=row["ended_at"] or "",
        is_over=row["state"] not in OPEN_STATES,
        steps=list(_steps(tree, passages)),
    )


def _told(ctx: Context, type_name: str, tree: Tree) -> frozenset[str]:
    """Return the steps whose runs may say what they are about: values of what `each` names.

    Those of fields that the actor does not see in every document are left out.
    """
    record_type = ctx.registry.release.type(type_name)
    if record_type is None:
        return frozenset()
    hidden = {one.name for one in record_type.fields} - access(ctx, type_name).certain
    return frozenset(
        node.id
        for node in tree.nodes.values()
        if hidden.isdisjoint(
            name
            for around in (node, *tree.around(node))
            for name in _NAME.findall(around.step.each)
        )
    )


def _steps(tree: Tree, passages: Mapping[str, list[Passage]]) -> Iterator[CourseStep]:
    for node in tree.nodes.values():
        parent = tree.nodes.get(node.parent)
        lane = None if parent is None else _lane_title(parent.step, node, tree)
        yield CourseStep(
            id=node.id,
            type=node.step.type,
            title=node.step.title,
            depth=sum(1 for _ in tree.around(node)),
            lane=lane,
            passages=passages.get(node.id, []),
        )


def _lane_title(block: Step, node: Node, tree: Tree) -> Label | None:
    """Return the title of the lane that begins with a step; None for a later step of one."""
    if tree.lane(node)[0] != node.id or block.type == "subflow":
        return None
    if block.type == "parallel":
        return block.lanes[node.lane].title
    is_else = node.lane >= len(block.cases)
    return {} if is_else else block.cases[node.lane].title


def _passages(connection: Connection, instance_id: str) -> dict[str, list[Passage]]:
    """Return the passes through each step, in their order."""
    by_visit: dict[str, Passage] = {}
    by_step: dict[str, list[Passage]] = defaultdict(list)
    rows = connection.execute(
        sa.select(visit)
        .where(visit.c.instance_id == instance_id)
        .order_by(visit.c.opened_at, visit.c.id)
    )
    for row in rows.mappings():
        made = Passage(
            row["id"], row["number"], row["state"], row["result"], row["opened_at"],
            row["closed_at"], msgspec.json.decode(row["item"] or "null"),
        )  # fmt: skip
        by_visit[made.visit] = made
        by_step[row["step"]].append(made)
    votes = connection.execute(
        sa.select(vote.c.task_id, vote.c.actor_name, vote.c.verb)
        .where(vote.c.instance_id == instance_id)
        .order_by(vote.c.at, vote.c.id)
    )
    for one in votes:
        if one.task_id in by_visit:
            by_visit[one.task_id].voted.append((one.actor_name, one.verb))
    _ask(connection, instance_id, by_visit)
    return by_step


def _ask(connection: Connection, instance_id: str, by_visit: Mapping[str, Passage]) -> None:
    """Note as whom each open task waits."""
    rows = connection.execute(
        sa.select(candidate.c.task_id, candidate.c.kind, candidate.c.actor)
        .where(candidate.c.instance_id == instance_id, candidate.c.is_open)
        .distinct()
    ).all()
    names = PEOPLE.names(connection, {one.actor for one in rows if one.kind == "user"})
    for one in rows:
        if one.task_id in by_visit:
            by_visit[one.task_id].asked.append(
                (one.kind, one.actor, names.get(one.actor, "") if one.kind == "user" else "")
            )
