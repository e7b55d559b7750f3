"""What a task offers its people beyond the names of its verbs.

Where it may go back to, who was added and may be removed, which fields may be changed
with the decision, which sentences are offered, how a vote is signed, how it is claimed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import NotFound
from core.schema.flows import Comment, FieldRights, Flow, Queue, Return, Signing
from core.schema.modelbase import Label
from core.workflow.engine.tree import Tree, compile_flow
from core.workflow.models import instance, task
from core.workflow.run import decode_flow

#: The target of a return that is no step.
INITIATOR = "initiator"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a document may be sent back to; the initiator has no title."""

    id: str
    title: Label


@dataclass(frozen=True, slots=True)
class Offer:
    """What a task's step says to its people.

    Attributes:
        targets: where it may be sent back to, the nearest step first.
        then: `resume`, `rewalk`, or `ask` where the person says.
        sign: how a vote is signed, by seat; the empty key is every other seat.
        verbs: what its people may do at all.
    """

    targets: tuple[Target, ...]
    then: str
    fields: FieldRights
    comment: Comment
    queue: Queue
    sign: Mapping[str, Signing]
    verbs: tuple[str, ...]

    def signing(self, seat: str) -> Signing:
        """Return how the vote of a seat is signed."""
        return self.sign.get(seat) or self.sign.get("", "click")


def find_offer(ctx: Context, task_id: str) -> Offer:
    """Return what a task's step offers; the caller has shown the task to the actor.

    Raises:
        NotFound: there is no such task.
    """
    with ctx.reading() as connection:
        row = connection.execute(
            sa.select(instance, task.c.step.label("at"))
            .join(task, task.c.instance_id == instance.c.id)
            .where(task.c.id == task_id)
        ).mappings().first()  # fmt: skip
        if row is None:
            raise NotFound
        tree = _tree(row)
        node = tree.nodes[row["at"]]
        step = node.step
        walked = _walked(connection, row["id"])
    found = step.return_ or Return()
    sign: Mapping[str, Signing] = {"": step.sign} if isinstance(step.sign, str) else step.sign
    return Offer(
        targets=tuple(
            Target(each, tree.nodes[each].step.title if each in tree.nodes else {})
            for each in targets(tree, row["at"], found, walked)
        ),
        then=found.then,
        fields=step.fields,
        comment=step.comment,
        queue=step.queue,
        sign=sign,
        verbs=step.verbs,
    )


def _tree(row: sa.RowMapping) -> Tree:
    subflows = msgspec.json.decode(row["subflows"], type=dict[str, Flow])
    return compile_flow(decode_flow(row["definition"]), subflows)


def _walked(connection: Connection, instance_id: str) -> frozenset[str]:
    query = sa.select(task.c.step).where(task.c.instance_id == instance_id).distinct()
    return frozenset(connection.execute(query).scalars())


def targets(tree: Tree, step: str, rule: Return, walked: frozenset[str]) -> list[str]:
    """Return where a step may send back to, out of the steps that were walked.

    >>> from core.schema.flows import Flow, Step
    >>> flow = Flow(flow="f", version=1, document="d", steps=(Step(id="a"), Step(id="b")))
    >>> rule = Return(to=("previous", "initiator"))
    >>> targets(compile_flow(flow, {}), "b", rule, frozenset({"a", "b"}))
    ['a', 'initiator']
    """
    before = [each for each in tree.earlier(step) if each in walked]
    found: list[str] = []
    for named in rule.to:
        if named == "previous":
            found += before[:1]
        elif named == "chosen":
            found += before
        elif named == INITIATOR or named in before:
            found.append(named)
        else:  # a step of a subflow is named as its own flow names it
            inside = f"{step.rpartition('/')[0]}/{named}"
            found += [inside] if inside in before else []
    return list(dict.fromkeys(found))
