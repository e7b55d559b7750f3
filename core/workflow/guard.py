"""What people are voting on does not change: the flow's guard at every door.

It is core's own implementation of the plugins' hook, so records call it without
knowing that flows exist.
"""

from core.context import Context
from core.extension.hooks import Hooks
from core.extension.hookspecs import Change, hookimpl
from core.workflow import errors
from core.workflow.outcome import is_locking
from core.workflow.run import open_instance


class FlowGuard:
    """Refuses to change or delete a record that is waiting for a decision."""

    @hookimpl
    def guanxi_before_save(self, ctx: Context, change: Change) -> None:
        """Refuse the change when an approval of the record is under way."""
        if change.action == "create" or ctx.connection is None or ctx.door == "flow":
            return
        record_type = ctx.registry.release.type(change.record_type)
        if record_type is None or not record_type.document:
            return
        row = open_instance(ctx.connection, change.record_type, change.record_id)
        if row is None:
            return
        # A deleted record would leave its approval open for ever.
        if change.action == "delete" or is_locking(row["state"], row["former_state"]):
            errors.refuse(
                errors.SubjectLocked,
                by=row["initiator_name"], at=row["opened_at"], instance=row["id"],
                link=f"/tasks/{row['task_id']}",
            )  # fmt: skip


def register(hooks: Hooks) -> None:
    """Put the guard before every plugin."""
    hooks.register_core("workflow.guard", FlowGuard())
