"""Which flow a document is sent on: the first of its type whose condition holds."""

from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import Forbidden
from core.i18n import N_
from core.schema.flows import Flow, sources_of
from core.schema.flowtexts import flows_in_order, subflows_of
from core.workflow import errors
from core.workflow.documents import Record
from core.workflow.engine.tree import compile_flow
from core.workflow.engine.world import Asking
from core.workflow.liveworld import LiveWorld, Matter
from core.workflow.staff.people import voice_of
from core.workflow.subject import read_subject


class SubmitDenied(Forbidden):
    """The flow says who may submit."""

    code = "flow.submit_denied"
    text = N_("This flow lets other people submit.")


def choose_flow(ctx: Context, connection: Connection, type_name: str, record: Record) -> Flow:
    """Return the flow for a document as proposed.

    Raises:
        NoFlow: none is published for its type, or none that is for this document.
    """
    release = ctx.registry.release
    for flow in flows_in_order(release.flows, ctx.registry.record_type(type_name).name):
        if not flow.when:
            return flow
        world = _world(ctx, connection, flow, type_name, record)
        if world.holds(flow.when):
            return flow
    raise errors.NoFlow(type=type_name)


def _world(
    ctx: Context, connection: Connection, flow: Flow, type_name: str, record: Record
) -> LiveWorld:
    subflows = subflows_of(ctx.registry.release.flows, flow)
    subject = read_subject(ctx, connection, type_name, flow=flow, record=record)
    tree = compile_flow(flow, subflows)
    return LiveWorld(
        ctx, connection, Matter(tree, subflows, type_name, ctx.actor.id, record, subject)
    )


def require_start(ctx: Context, world: LiveWorld, flow: Flow, *, is_void: bool = False) -> None:
    """Refuse whoever may not start a flow, and what does not meet its condition.

    What shall be void need not meet it.

    Raises:
        SubmitDenied: the flow lets others submit.
        RequireFailed: its condition does not hold.
    """
    start = flow.start
    if start.by is not None:
        mine = voice_of(ctx.actor).identities
        pools = [
            pool for source in sources_of(start.by) for pool in world.resolve(source, Asking(""))
        ]
        if not any(one in mine for pool in pools for one in pool.members):
            raise SubmitDenied
    if start.require and not is_void and not world.holds(start.require):
        errors.refuse(errors.RequireFailed, require=start.require)
