"""What an automation is: on an event, when a condition holds, do actions.

Names of attributes are the keys of the schema language.
"""

from typing import Literal

from core.schema.modelbase import Label, Model

#: Doors through which a change can come in that automations listen to.
DOORS = ("form", "api", "import", "bulk", "flow", "automation", "plugin", "cli")

#: Triggers that follow a change of a record.
CHANGES = frozenset({"created", "updated", "deleted", "state_changed"})
#: Triggers that the clock pulls.
CLOCKED = frozenset({"schedule", "date_field"})


class Input(Model, frozen=True, kw_only=True):
    """One value that a webhook's caller sends; expressions name it `input_NAME`.

    Attributes:
        name: the key of the JSON object.
        type: `text`, `integer`, `decimal`, `boolean`, `date` or `datetime`.
        label: what people call it.
        required: a call without it is refused.
        max_length: characters that a text may have.
    """

    name: str
    type: Literal["text", "integer", "decimal", "boolean", "date", "datetime"] = "text"
    label: Label = {}
    required: bool = False
    max_length: int | None = None


class Trigger(Model, frozen=True, kw_only=True):
    """What sets an automation going.

    Attributes:
        on: `created`, `updated`, `deleted`, `state_changed`, `schedule`, `date_field`,
            `webhook` or `manual`.
        fields: with `updated`: only when one of these changed.
        field: with `state_changed`: the select field, `status` unless it is said; with
            `date_field`: the date or datetime field.
        leaves: with `state_changed`: the states it comes from; empty is any.
        enters: with `state_changed`: the states it goes to; empty is any.
        days: with `date_field`: days after the date, negative before it.
        yearly: with `date_field`: every year on that day, as birthdays are.
        at: with `date_field`: the time of day, 09:00 unless it is said.
        cron: with `schedule`: minute, hour, day of month, month, day of week.
        time_zone: with `schedule` and `date_field`: another zone than the store day's.
        auth: with `webhook`: `token` (in the address) or `signature` (of the body).
        input: with `webhook`: the values that the caller may send.
        match: with `webhook`: the unique field whose value is the input of the same name;
            it finds the record.
        role: with `manual`: who may press the button; without it who may edit the record.
    """

    on: Literal[
        "created",
        "updated",
        "deleted",
        "state_changed",
        "schedule",
        "date_field",
        "webhook",
        "manual",
    ]
    fields: tuple[str, ...] = ()
    field: str = ""
    leaves: tuple[str, ...] = ()
    enters: tuple[str, ...] = ()
    days: int = 0
    yearly: bool = False
    at: str = "09:00"
    cron: str = ""
    time_zone: str = ""
    auth: Literal["", "token", "signature"] = ""
    input: tuple[Input, ...] = ()
    match: str = ""
    role: str | tuple[str, ...] = ()

    @property
    def state_field(self) -> str:
        """Return the field whose states are watched."""
        return self.field or "status"

    @property
    def roles(self) -> frozenset[str]:
        """Return who may press the button, by role."""
        return frozenset((self.role,) if isinstance(self.role, str) else self.role)


class Recipients(Model, frozen=True, kw_only=True):
    """Whom a notice or an e-mail is for.

    Attributes:
        role: everyone who holds one of these roles; for notices.
        user: expressions that give people's ids, such as `created_by`; for notices.
        address: expressions that give e-mail addresses, such as `member.email`.
    """

    role: str | tuple[str, ...] = ()
    user: tuple[str, ...] = ()
    address: tuple[str, ...] = ()

    @property
    def roles(self) -> tuple[str, ...]:
        """Return the role names."""
        return (self.role,) if isinstance(self.role, str) else self.role


class AutomationAction(Model, frozen=True, kw_only=True):
    """One thing that is done.

    Attributes:
        do: `set` (fields of a record), `create` (a record), `notify` (in the product),
            `email`, `webhook` (send JSON to another system), `submit` (a document to its
            approvers) or `plugin` (what a plugin offers).
        when: a further condition for this action alone.
        record: with `set` and `submit`: the link to the record that is meant; without it
            the record itself.
        type: with `create`: the record type.
        values: field, JSON key or argument -> expression.
        to: with `notify` and `email`: whom it is for.
        title: with `notify` and `email`: one line; `{…}` holds an expression.
        body: with `email`: the text; `{…}` holds an expression.
        url: with `webhook`: the address, https unless its host is allowed by the site.
        name: with `plugin`: the action's name.
    """

    do: Literal["set", "create", "notify", "email", "webhook", "submit", "plugin"]
    when: str = ""
    record: str = ""
    type: str = ""
    values: dict[str, str] = {}
    to: Recipients | None = None
    title: Label = {}
    body: Label = {}
    url: str = ""
    name: str = ""


class Retry(Model, frozen=True, kw_only=True):
    """How often a failed run is tried again before it is given up.

    Attributes:
        times: tries after the first one.
        wait: seconds before the second try; each further wait is twice as long, an hour
            at the most.
    """

    times: int = 4
    wait: int = 30


class RunAs(Model, frozen=True, kw_only=True):
    """As whom an automation acts; policies and validation hold for it as for anybody.

    Attributes:
        role: it has the rights of these roles.
        system: it is the product itself, which no policy restricts; rules still hold.
    """

    role: str | tuple[str, ...] = ()
    system: bool = False

    @property
    def roles(self) -> frozenset[str]:
        """Return the role names as a set."""
        return frozenset((self.role,) if isinstance(self.role, str) else self.role)


class Automation(Model, frozen=True, kw_only=True):
    """On an event, when a condition holds, do actions.

    Attributes:
        automation: its name, at most 30 characters.
        label: what people call it.
        description: what it is for.
        type: the record type that it is about; schedules and webhooks may do without.
        trigger: what sets it going.
        when: the condition, over the record and, after a change, over `old`.
        applies_to: doors whose changes count (`form`, `api`, `import`, `bulk`, `flow`,
            `automation`, `plugin`, `cli`); empty is all.
        run_as: as whom it acts.
        actions: what is done, in this order: all writes together or none, then what is sent.
        retry: how often a failed run is tried again.
        concurrency_key: an expression; of runs with the same value one is at work at a
            time, the earliest first.
        off: it starts switched off; an administrator switches it on.
        since: the release that first had it; what was changed before is not its business.
    """

    automation: str
    layer: str = ""
    label: Label = {}
    description: Label = {}
    type: str = ""
    trigger: Trigger
    when: str = ""
    applies_to: tuple[str, ...] = ()
    run_as: RunAs
    actions: tuple[AutomationAction, ...]
    retry: Retry = Retry()
    concurrency_key: str = ""
    off: bool = False
    since: int = 0
