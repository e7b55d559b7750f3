"""What an automation's expressions see: the record, `old`, the input, and no more than it may.

Conditions are the product's own rules and see everything, as checks do. What an action
writes or sends is read with the rights of the actor that the automation acts as: a field
that it may not see ends the run, instead of leaving the product by a side door.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import Forbidden
from core.expression import Expression, compile_expression
from core.expression.types import Kind, Scope
from core.i18n import N_
from core.policies.access import access
from core.records.environment import RecordEnv, Wrapped
from core.schema.automations import Automation
from core.schema.automationtexts import automation_scope

Record = Mapping[str, Any]

#: Stands for the record's past where expressions name a record by its id.
_OLD = "gx-old"


class AutomationEnv(RecordEnv):
    """The environment of one run; implements `core.expression.Env`."""

    __slots__ = ("_guards", "_may", "_type_name")

    def __init__(
        self,
        ctx: Context,
        connection: Connection,
        type_name: str,
        *,
        old: Record | None = None,
        values: Mapping[str, Any] | None = None,
        user: str = "",
        guards: bool = False,
    ) -> None:
        """See through `connection`.

        Args:
            ctx: who acts; with `guards` their rights decide what is seen.
            connection: the transaction.
            type_name: the record's type; empty without a record.
            old: the record before the event.
            values: the input, by name without `input_`.
            user: `current_user`: who set it going.
            guards: refuse what the actor may not see.
        """
        super().__init__(ctx, connection)
        self._type_name, self._guards = type_name, guards and not ctx.actor.is_system
        self.user = user
        variables = {f"input_{name}": value for name, value in (values or {}).items()}
        if old is not None:
            variables["old"] = _OLD
            self._records[type_name, _OLD] = self.view(type_name, old)
        self.variables = variables

    def seen(self, type_name: str, record: Record) -> Record:
        """Return a record as expressions see it; hidden fields raise when they are read.

        Raises:
            Forbidden: the actor may not see the record.
        """
        shown = self.view(type_name, record)
        if not self._guards:
            return shown
        rights = access(self._ctx, type_name)
        names = rights.viewable_when(shown, RecordEnv(self._ctx, self.connection))
        if names is None:
            raise Forbidden(N_("It may not see this record of {type}."), type=type_name)
        return _Guarded(shown, rights.names - names, type_name)

    def follow(self, type_name: str, record_id: str) -> Record | None:
        """Return the record that a link leads to, as far as the actor may see it."""
        if record_id == _OLD and (type_name, _OLD) not in self._records:
            return None
        found = super().follow(type_name, record_id)
        return None if found is None else self.seen(type_name, found)

    def rows(self, type_name: str, row: Record, name: str) -> Sequence[Record]:
        """Return the rows of a table field, or the linked records that the actor may see."""
        if isinstance(row, _Guarded):
            row.require(name)
        found = super().rows(type_name, row, name)
        if "." in type_name:
            return found
        field = self._ctx.registry.record_type(type_name).field(name)
        if not self._guards or field is None or field.type == "table":
            return found
        target = field.target or field.of.partition(".")[0]
        rights, env = access(self._ctx, target), RecordEnv(self._ctx, self.connection)
        visible = [one for one in found if rights.viewable_when(one, env) is not None]
        return [self.seen(target, one) for one in visible]


class _Guarded(Wrapped):
    """A record whose hidden fields cannot be read."""

    __slots__ = ("_hidden", "_type_name")

    def __init__(self, values: Record, hidden: frozenset[str], type_name: str) -> None:
        self._values, self._hidden, self._type_name = values, hidden, type_name

    def require(self, name: str) -> None:
        """Refuse a hidden field.

        Raises:
            Forbidden: the actor may not see it.
        """
        if name in self._hidden:
            text = N_("It may not see {field} of {type}.")
            raise Forbidden(text, field=name, type=self._type_name)

    def __getitem__(self, name: str) -> Any:
        self.require(name)
        return self._values[name]

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value; refuses a hidden one."""
        self.require(name)
        return self._values.get(name, default)


def compiled_text(
    ctx: Context, automation: Automation, text: str, expect: Kind | None
) -> Expression:
    """Return an expression of an automation, compiled once per release."""

    def scope() -> Scope:
        types = ctx.registry.release.types
        return automation_scope(types, automation.type, automation.trigger)

    def make() -> Expression:
        key = ("automation.scope", automation.automation)
        return compile_expression(text, ctx.registry.memo(key, scope), expect=expect)

    return ctx.registry.memo(("automation.text", automation.automation, text, expect), make)
