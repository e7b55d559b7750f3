"""How automations hang on the worker."""

from datetime import timedelta

from core.automation import flowsteps, matching, running, scheduling, starting
from core.jobs.handlers import HANDLERS, Chore, Handler, Handlers
from core.workflow.timing.effects import TOPIC as EFFECT

#: How often the clock is looked at; a schedule is exact to the minute.
LOOK_EVERY = timedelta(seconds=5)


def register(handlers: Handlers = HANDLERS) -> None:
    """Have automations set going by changes and by the clock, and their runs done."""
    handlers.add(Handler("automations", "record", matching.on_change, concerns=matching.concerns))
    handlers.add(Handler("automations:run", starting.TOPIC, running.execute, in_transaction=False))
    handlers.add(Handler("automations:scan", scheduling.TOPIC, scheduling.scan))
    handlers.add(
        Handler(
            "flows:effect", EFFECT, flowsteps.carry_out, in_transaction=False,
            lease=flowsteps.LEASE,
        )
    )  # fmt: skip
    handlers.add_chore(Chore("automations", LOOK_EVERY, scheduling.tick))
