"""What plugins offer automations to do, beside what the product does itself."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from core.expression.types import Kind
from core.schema.modelbase import Label


@dataclass(frozen=True, slots=True)
class PluginAction:
    """One thing that automations can have a plugin do; returned by `guanxi_register_actions`.

    Attributes:
        name: its own name; automations write `PLUGIN.NAME`.
        run: called as `run(ctx, call)` in the automation's transaction, as the actor that
            the automation acts as; what it raises undoes the whole run.
        arguments: argument name -> kind of value, such as `text`, `number` or `date`.
        label: what people call it.
        plugin: whose it is; the product fills it in.
    """

    name: str
    run: Callable[[Any, "ActionCall"], object]
    arguments: Mapping[str, Kind] = field(default_factory=dict)
    label: Label = field(default_factory=dict)
    plugin: str = ""

    @property
    def full_name(self) -> str:
        """Return the name that automations write."""
        return f"{self.plugin}.{self.name}"


@dataclass(frozen=True, slots=True)
class ActionCall:
    """One call of a plugin's action.

    Attributes:
        automation: the automation's name.
        run: the run's id, the same when the run is tried again: an idempotency key.
        record_type: what the automation is about; empty without a record.
        record_id: the record; empty without one.
        values: argument name -> Python value; what was not given is missing.
    """

    automation: str
    run: str
    record_type: str
    record_id: str
    values: Mapping[str, Any]


_ACTIONS: dict[str, PluginAction] = {}


def register_actions(plugin: str, actions: Iterable[PluginAction]) -> None:
    """Let automations use the actions of a plugin.

    Raises:
        TypeError: one of them is no `PluginAction`.
    """
    for action in actions:
        if not isinstance(action, PluginAction) or not callable(action.run):
            raise TypeError(f"{action!r} is no PluginAction")
        made = replace(action, plugin=plugin)
        _ACTIONS[made.full_name] = made


def plugin_action(full_name: str) -> PluginAction | None:
    """Return the action called `PLUGIN.NAME`, or None."""
    return _ACTIONS.get(full_name)


def plugin_action_names() -> tuple[str, ...]:
    """Return the names of all registered actions."""
    return tuple(sorted(_ACTIONS))
