"""Mails about tasks, to those who want them: what waits, where it is, and links that decide it.

They leave by the same outbox as the mails of automations, and never wait for a mail server.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.actor import Actor
from core.automation.models import READY, message
from core.clock import to_wire
from core.context import Context
from core.i18n import N_, pick, translate
from core.ids import new_id
from core.jobs.handlers import HANDLERS, Event, Handler, Handlers
from core.records.people import PEOPLE
from core.records.readers import actors_of, sees
from core.settings import Settings
from core.workflow.documents import shows_title
from core.workflow.engine.state import Identity
from core.workflow.models import task
from core.workflow.queue.maillinks import VERBS, make_links, wishing
from core.workflow.staff.people import STAFF, is_maker

#: What the mails are kept under beside those of automations.
SENDER = "flow.tasks"
#: People that one task is mailed to at most.
_MOST = 200

_LINES = {
    "approve": N_("Approve: {link}"),
    "reject": N_("Reject: {link}"),
}


class TaskMail:
    """Writes mails down for the tasks that are opened."""

    def __init__(self, settings: Settings) -> None:
        """Make links that begin with the address of this site."""
        self._base, self._locale = settings.base_url, settings.site_locale

    def write(self, ctx: Context, event: Event) -> None:
        """Write the mails of one event down; a second delivery writes none."""
        connection = ctx.connection
        assert connection is not None  # noqa: S101  the worker calls it in a transaction
        payload = event.payload
        row = connection.execute(
            sa.select(task).where(task.c.id == payload["task"], task.c.state == "open")
        ).mappings().first()  # fmt: skip
        wanted = wishing(connection)
        if row is None or not wanted:
            return
        people = [
            person
            for person in _people(ctx, connection, payload)
            if person in wanted and not is_maker(person, payload.get("makers", ""))
        ][:_MOST]
        addresses = PEOPLE.addresses(connection, people)
        record = (row["record_type"], row["record_id"])
        for person, actor in actors_of(ctx, people).items():
            # Who may not see the document cannot decide it, and learns nothing of it.
            if addresses.get(person) and sees(ctx, actor, record):
                links = make_links(ctx, connection, row["id"], person)
                content = self._content(ctx, row, actor, links)
                _post(ctx, connection, event, addresses[person], content)

    def _content(
        self, ctx: Context, row: sa.RowMapping, actor: Actor, links: dict[str, str]
    ) -> dict[str, str]:
        locale = actor.locale or self._locale
        record_type = ctx.registry.record_type(row["record_type"])
        label = pick(record_type.label, locale, record_type.name)
        shown = shows_title(replace(ctx, actor=actor), row["record_type"])
        title = row["title"] if shown else ""
        named = f"{label} {title}".strip()
        step = pick(msgspec.json.decode(row["step_title"]), locale, row["step"])
        lines = [
            translate(N_("{title} waits for your decision."), locale, title=named),
            translate(
                N_("Step: {step}. Submitted by {by}."), locale, step=step, by=row["initiator_name"]
            ),
            translate(N_("Look at it: {link}"), locale, link=f"{self._base}/tasks/{row['id']}"),
            "",
            *(
                translate(_LINES[verb], locale, link=f"{self._base}/mail/{links[verb]}")
                for verb in VERBS
                if verb in links
            ),
        ]
        if links:
            text = N_("A link shows the change and asks once more; it is good once, for 72 hours.")
            lines += ["", translate(text, locale)]
        return {"subject": " ".join(lines[0].split()), "body": "\n".join(lines)}


def register(settings: Settings, handlers: Handlers = HANDLERS) -> None:
    """Mail tasks where the site has a mail server and an address of its own."""
    if settings.mail is not None and settings.base_url:
        handlers.add(Handler("flows:mail", "task.opened", TaskMail(settings).write))


def _people(ctx: Context, connection: Connection, payload: dict[str, Any]) -> Iterable[str]:
    """Return everybody for whom a task is, each once."""
    staff = STAFF.staff(ctx, connection)
    found = dict.fromkeys(payload["users"])
    for kind in ("role", "post"):
        for actor in payload.get(f"{kind}s", ()):
            found |= dict.fromkeys(staff.behind(Identity(kind, actor)))
    return found


def _post(
    ctx: Context, connection: Connection, event: Event, address: str, content: dict[str, str]
) -> None:
    text = msgspec.json.encode({"to": [address], **content}).decode()
    connection.execute(
        message.insert().values(
            id=new_id(), run_id=event.id, automation=SENDER, action=0, kind="email",
            target=address[:2000], content=text, state=READY, attempts=0,
            visible_at="", error="", created_at=to_wire(ctx.now), ended_at="",
        )
    )  # fmt: skip
