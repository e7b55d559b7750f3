"""What actions do: writes happen here and now, messages are written down to be sent later."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from decimal import Context as Arithmetic
from typing import Any

import msgspec
from sqlalchemy.engine import Connection

from core.automation.environment import AutomationEnv, compiled_text
from core.automation.models import READY, message
from core.automation.rendering import Renderer
from core.clock import to_wire
from core.context import Context
from core.errors import Invalid, NotFound, PluginDisabled, Problem
from core.i18n import N_
from core.ids import new_id
from core.records.operations import create_record, update_record
from core.records.wire import instant_text, wire_of
from core.schema.actiontypes import ActionCall, plugin_action
from core.schema.automations import Automation, AutomationAction
from core.schema.automationtexts import written_type
from core.schema.fieldtypes import field_type
from core.schema.model import Field
from core.schema.texttypes import EmailType
from core.workflow.operations import submit
from core.workflow.queue.notices import post_notice

Record = dict[str, Any]

#: Addresses of one e-mail.
MAX_ADDRESSES = 50
#: Bytes of the JSON that a webhook sends.
MAX_BODY = 256 * 1024

_EXACT = Arithmetic(prec=80)


@dataclass(slots=True)
class Doing:
    """One run's actions, in one transaction, as the actor that the automation acts as.

    Attributes:
        ctx: acts as that actor, through the door `automation`.
        run_id: the run; the same when it is tried again.
        record_id: the record that it is about; empty without one.
        row: the record as its expressions see it.
        env: what they see beside it.
        event: what set the run going, in one word and one id.
    """

    ctx: Context
    connection: Connection
    automation: Automation
    run_id: str
    record_id: str
    row: Mapping[str, Any]
    env: AutomationEnv
    event: str = ""

    def do(self, at: int, action: AutomationAction) -> Record:
        """Do one action and return what became of it, as plain JSON."""
        if action.when and self._value(action.when, "boolean") is not True:
            return {"state": "skipped"}
        return _DOING[action.do](self, at, action)

    def _value(self, text: str, expect: Any) -> Any:
        return compiled_text(self.ctx, self.automation, text, expect).evaluate(self.row, self.env)

    @property
    def _texts(self) -> Renderer:
        return Renderer(self.ctx, self.automation, self.row, self.env)

    def _target(self, action: AutomationAction) -> tuple[str, str]:
        """Return the type and id of the record that an action means."""
        type_name = written_type(self.ctx.registry.release, self.automation, action.record)
        if not action.record:
            return type_name, self.record_id
        found = self.row.get(action.record)
        if found is None:
            raise NotFound(N_("The link {name} is empty."), name=action.record)
        return type_name, str(found)

    def _fields(self, action: AutomationAction, type_name: str) -> Record:
        """Return the values of an action in wire form."""
        record_type = self.ctx.registry.record_type(type_name)
        wire = wire_of(self.ctx.registry, type_name)
        values: Record = {}
        for name, text in action.values.items():
            field = record_type.field(name)
            if field is None:
                raise NotFound(N_("There is no field {name}."), name=name)
            kind = field_type(field.type).expression_type(field).kind
            values[name] = wire.value(name, _fitting(field, self._value(text, kind)))
        return values

    def set(self, _at: int, action: AutomationAction) -> Record:
        """Set fields of a record."""
        type_name, record_id = self._target(action)
        values = self._fields(action, type_name)
        update_record(self.ctx, type_name, record_id, values, version=None, reason=self._reason)
        return {"state": "done", "record": {"type": type_name, "id": record_id}}

    def create(self, _at: int, action: AutomationAction) -> Record:
        """Create a record."""
        values = self._fields(action, action.type)
        made = create_record(self.ctx, action.type, values, reason=self._reason)
        return {"state": "done", "record": {"type": action.type, "id": made["id"]}}

    @property
    def _reason(self) -> str:
        return f"automation {self.automation.automation}"

    def submit(self, _at: int, action: AutomationAction) -> Record:
        """Send a document to its approvers."""
        type_name, record_id = self._target(action)
        answer = submit(self.ctx, type_name, record_id)
        return {
            "state": "done",
            "record": {"type": type_name, "id": record_id},
            "instance": answer["instance"],
        }

    def plugin(self, _at: int, action: AutomationAction) -> Record:
        """Have a plugin do something."""
        offered = plugin_action(action.name)
        if offered is None:
            raise PluginDisabled(plugin=action.name.partition(".")[0])
        values = {
            name: self._value(text, offered.arguments[name])
            for name, text in action.values.items()
        }
        call = ActionCall(
            self.automation.automation, self.run_id, self.automation.type, self.record_id, values
        )
        self.ctx.hooks.run_action(self.ctx, offered, call)
        return {"state": "done"}

    def notify(self, _at: int, action: AutomationAction) -> Record:
        """Tell people in the product."""
        to = action.to
        assert to is not None  # noqa: S101  checked when it was published
        people = {str(one) for one in (self._value(text, "text") for text in to.user) if one}
        recipients = [("role", role) for role in to.roles]
        recipients += [("user", person) for person in sorted(people)]
        post_notice(
            self.ctx,
            recipients=recipients,
            message=self._texts.labels(action.title),
            record=(self.automation.type, self.record_id) if self.record_id else None,
        )
        return {"state": "done", "to": [name for _, name in recipients]}

    def email(self, at: int, action: AutomationAction) -> Record:
        """Write an e-mail down to be sent."""
        to = action.to
        assert to is not None  # noqa: S101  checked when it was published
        addresses: list[str] = []
        for text in to.address:
            given = self._value(text, "text")
            addresses += [one.strip() for one in str(given or "").split(",") if one.strip()]
        addresses = list(dict.fromkeys(addresses))
        _check_addresses(addresses)
        # A line break in a subject would begin another header.
        subject = " ".join(self._texts.label(action.title).split())
        content = {"to": addresses, "subject": subject, "body": self._texts.label(action.body)}
        return self._send(at, action, ", ".join(addresses), content)

    def webhook(self, at: int, action: AutomationAction) -> Record:
        """Write a call of another system down to be sent."""
        texts = self._texts
        body = {
            "automation": self.automation.automation,
            "event": self.event,
            "run": self.run_id,
            "at": to_wire(self.ctx.now),
            "record": {"type": self.automation.type, "id": self.record_id}
            if self.record_id
            else None,
            "values": {name: plain(texts.value(text)) for name, text in action.values.items()},
        }
        if len(msgspec.json.encode(body)) > MAX_BODY:
            text = N_("At most {limit} bytes can be sent.")
            raise Invalid(problems=[Problem("values", "too_large", text, {"limit": MAX_BODY})])
        return self._send(at, action, action.url, {"url": action.url, "body": body})

    def _send(self, at: int, action: AutomationAction, target: str, content: Record) -> Record:
        message_id = new_id()
        self.connection.execute(
            message.insert(),
            {
                "id": message_id,
                "run_id": self.run_id,
                "automation": self.automation.automation,
                "action": at,
                "kind": action.do,
                "target": target[:2000],
                "content": msgspec.json.encode(content).decode(),
                "state": READY,
                "attempts": 0,
                "visible_at": "",
                "error": "",
                "created_at": to_wire(self.ctx.now),
                "ended_at": "",
            },
        )
        return {"state": "queued", "message": message_id}


_DOING: Mapping[str, Callable[[Doing, int, AutomationAction], Record]] = {
    "set": Doing.set,
    "create": Doing.create,
    "notify": Doing.notify,
    "email": Doing.email,
    "webhook": Doing.webhook,
    "submit": Doing.submit,
    "plugin": Doing.plugin,
}


def _fitting(field: Field, value: Any) -> Any:
    """Return a number rounded half up to what the field holds, as formulas are."""
    if not isinstance(value, Decimal):
        return value
    storage = field_type(field.type).storage(field)
    if storage.kind == "integer":
        return int(value.to_integral_value(ROUND_HALF_UP))
    return value.quantize(Decimal(1).scaleb(-storage.scale), ROUND_HALF_UP, _EXACT)


def _check_addresses(addresses: list[str]) -> None:
    if not addresses:
        raise Invalid(problems=[Problem("to", "no_address", N_("There is no address."))])
    if len(addresses) > MAX_ADDRESSES:
        text = N_("At most {limit} addresses.")
        raise Invalid(problems=[Problem("to", "too_many", text, {"limit": MAX_ADDRESSES})])
    field = Field(id="", name="to", type="email")
    for address in addresses:
        EmailType().load(address, field)


def plain(value: Any) -> Any:
    """Return a value of an expression as JSON: exact numbers and days as text."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, list | tuple | frozenset | set):
        return [plain(one) for one in value]
    return value
