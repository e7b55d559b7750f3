"""What the record page draws: the form, its state, its timeline and what refers to it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from functools import partial
from typing import Any

import sqlalchemy as sa

from core.clock import to_wire as to_text
from core.context import Context
from core.policies.access import Access, access
from core.records.comments import list_comments
from core.records.environment import RecordEnv
from core.records.following import follows
from core.records.history import record_history
from core.records.queries import get_record
from core.records.validation import compile_validator
from core.records.wire import to_wire
from core.schema.model import RecordType
from core.web.collision import Collision
from core.web.display import option_tone, value_text
from core.web.flowprogress import Progress, draw_progress
from core.web.forms import Control, FormRights, TabView, form_tabs
from core.web.liveconditions import live_conditions, stored_links
from core.web.navigation import BUILDERS, type_label
from core.web.reading import UNTOLD, Difference, Event, differences, make_reading, timeline
from core.web.related import Offer, Related, offers, related_lists
from core.web.titles import title_name
from core.workflow.course import latest_course
from core.workflow.evidence.events import list_events
from core.workflow.models import instance
from core.workflow.run import open_instance


@dataclass(slots=True)
class RecordPage:
    """One record, or a new one, as its page shows it.

    Attributes:
        related: gives the lists of what links to it; a form that is saved needs none of them.
        offers: gives what may be begun with it.
    """

    record_type: RecordType
    label: str
    title: str
    tabs: list[TabView]
    conditions: dict[str, Any]
    environment: dict[str, Any]
    id: str = ""
    version: int = 0
    status: str = ""
    status_label: str = ""
    status_tone: str = ""
    form_values: dict[str, Any] = dataclass_field(default_factory=dict)
    is_editable: bool = True
    may: dict[str, bool] = dataclass_field(default_factory=dict)
    facts: dict[str, Any] = dataclass_field(default_factory=dict)
    events: list[Event] = dataclass_field(default_factory=list)
    is_followed: bool = False
    proposal: list[Difference] = dataclass_field(default_factory=list)
    proposal_status: str = ""
    progress: Progress | None = None
    related: Callable[[], list[Related]] = list
    offers: Callable[[], list[Offer]] = list
    error: dict[str, Any] | None = None
    collisions: list[Collision] = dataclass_field(default_factory=list)
    unsaved: list[dict[str, Any]] = dataclass_field(default_factory=list)
    unsaved_id: str = ""
    form_version: int = 0

    @property
    def is_new(self) -> bool:
        """Return whether the record does not exist yet."""
        return not self.id

    def _controls(self) -> Any:
        for tab in self.tabs:
            for section in tab.sections:
                for control in section.controls:
                    yield control
                    yield from _cells_of(control)

    def label_at(self, path: str) -> str:
        """Return the label of the field at a problem's path, with its row's number."""
        for control in self._controls():
            if control.path == path:
                rows = [str(int(part) + 1) for part in path.split(".") if part.isdecimal()]
                return f"{control.label} ({'.'.join(rows)})" if rows else control.label
        return self.label_at(path.rpartition(".")[0]) if "." in path else ""

    def anchor_at(self, path: str) -> str:
        """Return the element id of the field at a problem's path."""
        for control in self._controls():
            if control.path == path:
                return str(control.id)
        return self.anchor_at(path.rpartition(".")[0]) if "." in path else ""


def _cells_of(control: Control) -> Iterator[Control]:
    """Yield the cells of a table field, and those of the rows inside its rows."""
    for row in control.rows:
        for cell in row.cells:
            yield cell
            yield from _cells_of(cell)


def new_page(
    ctx: Context,
    record_type: RecordType,
    typed: Mapping[str, Any],
    problems: Mapping[str, list[str]] | None = None,
) -> RecordPage:
    """Return the page of a record that does not exist yet, with defaults filled in."""
    rights = access(ctx, record_type.name)
    with ctx.reading() as connection:
        validator = compile_validator(ctx.registry, record_type.name)
        values = validator.first_values(RecordEnv(ctx, connection))
    values |= typed
    everything = rights.editable("create") or frozenset()
    editable = everything - {"status"} if record_type.document else everything
    form_rights = FormRights(everything, editable)
    shown = _page(ctx, record_type, values, rights=form_rights, problems=problems)
    may_submit = record_type.document and rights.may("submit")
    shown.may = {"submit": may_submit, "share": rights.may("share")}
    return shown


def _page(
    ctx: Context,
    record_type: RecordType,
    values: Mapping[str, Any],
    *,
    rights: FormRights,
    problems: Mapping[str, list[str]] | None,
) -> RecordPage:
    reading = make_reading(ctx, record_type.fields, [values])
    label = type_label(record_type, ctx.locale, plural=False)
    return RecordPage(
        record_type=record_type,
        label=label,
        title=label,
        tabs=form_tabs(record_type, values, rights, reading, problems=problems),
        conditions=live_conditions(ctx, record_type, rights, values),
        form_values=dict(values),
        environment={
            "today": ctx.today.isoformat(),
            "now": to_text(ctx.now),
            "user": ctx.actor.id,
            "zone": str(ctx.time_zone),
        },
    )


def load_page(
    ctx: Context,
    record_type: RecordType,
    record_id: str,
    *,
    typed: Mapping[str, Any] | None = None,
    problems: Mapping[str, list[str]] | None = None,
) -> RecordPage:
    """Return the page of a stored record, with what was `typed` over what is stored."""
    rights = access(ctx, record_type.name)
    with ctx.reading():
        found = get_record(ctx, record_type.name, record_id)
        record = to_wire(ctx.registry, record_type.name, found)
        proposal = record.get("proposal") or None
        live = record
        form_rights = _form_rights(rights, record_type, live, proposal)
        # Who goes on writing a proposal sees it; everybody else sees what is in force.
        if proposal and form_rights.editable:
            record = {**record, **proposal["values"]}
        shown = _page(
            ctx, record_type, {**record, **(typed or {})}, rights=form_rights, problems=problems
        )
        if typed:
            shown.conditions["stored"] = stored_links(record_type, form_rights, record)
        shown.form_values = record
        _identify(ctx, shown, live, proposal)
        shown.may = _may(rights, record_type, live, proposal)
        shown.may["review"] = (
            shown.may["submit"] or shown.may["withdraw"]
        ) and ctx.hooks.reviews.exist(ctx, record_type.name)
        shown.may["explain"] = bool(ctx.actor.roles & BUILDERS)
        if shown.may["withdraw"]:
            shown.may |= _flow_rights(ctx, record_type.name, record_id)
        shown.is_editable = bool(form_rights.editable)
        shown.events = load_timeline(ctx, record_type, record_id)
        course = latest_course(ctx, record_type.name, record_id) if record_type.document else None
        shown.progress = draw_progress(ctx, course) if course else None
        shown.is_followed = follows(ctx, record_type.name, record_id)
        shown.related = partial(related_lists, ctx, record_type, record_id)
        shown.offers = partial(offers, ctx, record_type, record_id)
    return shown


def _form_rights(
    rights: Access, record_type: RecordType, live: Mapping[str, Any], proposal: Any
) -> FormRights:
    masked = frozenset(live.get("masked") or ())
    viewable = frozenset(live) - frozenset(live.get("no_access") or ()) - masked
    editable = frozenset(live.get("_editable") or rights.editable("edit") or frozenset())
    state = proposal["status"] if proposal else live.get("status")
    if record_type.document:
        editable -= {"status"}
        voids = proposal is not None and proposal["values"].get("status") == "void"
        if state == "submitted" or live.get("status") == "void" or voids:
            editable = frozenset()
    if live.get("audited_at"):
        editable -= {field.name for field in record_type.fields if field.set_once}
    set_once = {f.name for f in record_type.fields if f.set_once and live.get(f.name) is not None}
    return FormRights(viewable, editable - set_once, masked, rights.revealable)


def _identify(ctx: Context, shown: RecordPage, live: Mapping[str, Any], proposal: Any) -> None:
    record_type = shown.record_type
    reading = make_reading(ctx, record_type.fields, [live])
    title = record_type.field(title_name(record_type))
    shown.id, shown.version = live["id"], live["version"]
    shown.form_version = shown.version
    text = value_text(title, live.get(title.name), reading) if title else ""
    shown.title = text or shown.label
    shown.status = str(live.get("status") or "")
    status = record_type.field("status")
    if status is not None and shown.status:
        shown.status_label = value_text(status, shown.status, reading)
        shown.status_tone = option_tone(status, shown.status)
    shown.facts = {
        name: live[name]
        for name in ("created_at", "updated_at", "audited_at", "audit_seq")
        if live.get(name) is not None
    }
    if proposal:
        pairs = {
            name: [proposal["base"].get(name, live.get(name)), value]
            for name, value in proposal["values"].items()
        }
        sides = [proposal["base"], proposal["values"], live]
        reading = make_reading(ctx, record_type.fields, sides)
        shown.proposal = differences(record_type, pairs, reading)
        shown.proposal_status = str(proposal["status"])


def _may(
    rights: Access, record_type: RecordType, live: Mapping[str, Any], proposal: Any
) -> dict[str, bool]:
    state = live.get("status")
    submittable = proposal["status"] == "open" if proposal else state in {"draft", "rejected"}
    submitted = proposal["status"] == "submitted" if proposal else state == "submitted"
    return {
        "submit": record_type.document and rights.may("submit") and bool(submittable),
        "withdraw": record_type.document and rights.may("submit") and bool(submitted),
        "void": record_type.document
        and rights.may("submit")
        and state == "effective"
        and not proposal,
        "delete": rights.may("delete")
        and not submitted
        and not (record_type.document and state in {"effective", "void"}),
        "create": rights.may("create"),
        "history": rights.may("history"),
        "print": rights.may("print"),
        "share": rights.may("share"),
    }


def _flow_rights(ctx: Context, type_name: str, record_id: str) -> dict[str, bool]:
    """Return what only the person who submitted it may do while it is being decided."""
    with ctx.reading() as connection:
        running = open_instance(connection, type_name, record_id)
    is_mine = running is not None and running["initiator"] == ctx.actor.id
    return {
        "withdraw": is_mine,
        "remind": is_mine and running is not None and running["state"] == "running",
    }


def load_timeline(ctx: Context, record_type: RecordType, record_id: str) -> list[Event]:
    """Return what happened to a record and what was said about it, newest first.

    Raises:
        NotFound: it is not there for this actor.
    """
    events: list[Mapping[str, Any]] = [
        _comment_event(each) for each in list_comments(ctx, record_type.name, record_id)
    ]
    if access(ctx, record_type.name).may("history"):
        events += _events(ctx, record_type, record_id)
    events.sort(key=lambda event: (str(event["at"]), event["seq"]), reverse=True)
    return timeline(ctx, record_type, events)


def _comment_event(comment: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "action": "comment",
        "actor": comment["author"],
        "actor_name": comment["author_name"],
        "at": comment["at"],
        "seq": 0,
        "comment": comment,
    }


def _events(ctx: Context, record_type: RecordType, record_id: str) -> list[Mapping[str, Any]]:
    events: list[Mapping[str, Any]] = list(record_history(ctx, record_type.name, record_id))
    flow = _flow_events(ctx, record_type.name, record_id) if record_type.document else []
    if flow:
        # What the flow wrote into the record stands in its own events, with the opinion.
        events = [event for event in events if event["action"] != "flow"] + flow
    return events


def _flow_events(ctx: Context, type_name: str, record_id: str) -> list[Mapping[str, Any]]:
    """Return the events of every approval the record went through."""
    query = sa.select(instance.c.id).where(
        instance.c.record_type == type_name, instance.c.record_id == record_id
    )
    with ctx.reading() as connection:
        ids = list(connection.execute(query).scalars())
        found = [event for each in ids for event in list_events(connection, each)]
    # What became of the rows of the approval is evidence, and no reading.
    return [event | {"changes": {}} for event in found if event["verb"] not in UNTOLD]
