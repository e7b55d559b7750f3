"""How a request reads records: titles of what they link to, history as sentences."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.context import Context
from core.i18n import N_, translate
from core.policies.masks import is_masked
from core.records.pastschema import PastTypes
from core.schema import model
from core.schema.model import Field, RecordType
from core.web.display import Reading, field_label, links_in, value_text
from core.web.titles import find_titles, named_labels

#: What the history calls each action.
ACTION_TEXTS = {
    "create": N_("created it"),
    "update": N_("changed it"),
    "delete": N_("deleted it"),
    "merge": N_("merged others into it"),
    "merged": N_("merged it into another"),
    "unmerge": N_("undid a merge"),
    "restore": N_("restored it"),
    "import": N_("imported it"),
    "submit": N_("submitted it"),
    "withdraw": N_("withdrew it"),
    "approve": N_("approved it"),
    "reject": N_("rejected it"),
    "propose": N_("proposed a change"),
    "effect": N_("put it into effect"),
    "apply": N_("put it into effect"),
    "approved": N_("put it into effect"),
    "rejected": N_("closed it as rejected"),
    "withdrawn": N_("closed it as withdrawn"),
    "opened": N_("opened a task"),
    "task": N_("opened a task"),
    "abstain": N_("abstained"),
    "submitted": N_("submitted it"),
    "proposal": N_("proposed a change"),
    "drop": N_("dropped the proposal"),
    "moot": N_("closed a task"),
    "flow": N_("moved it on"),
    "open": N_("opened a task"),
    "block": N_("could not put it into effect"),
    "supersede": N_("began a new round"),
    "suspend": N_("suspended it"),
    "resume": N_("resumed it"),
    "remind": N_("reminded the approvers"),
    "terminate": N_("ended the approval"),
    "effective": N_("put it into effect"),
    "void": N_("voided it"),
    "finish": N_("ended the approval"),
    "comment": N_("wrote"),
    "unmask": N_("had a masked value shown"),
    "complete": N_("completed it"),
    "return": N_("sent it back"),
    "transfer": N_("passed it on to {names}"),
    "delegate": N_("asked {names} for advice"),
    "advised": N_("got the advice asked for"),
    "add_before": N_("had {names} asked before"),
    "add_after": N_("approved it, and had {names} asked after that"),
    "add_beside": N_("added the voice of {names}"),
    "remove_added": N_("removed an added voice"),
    "take_back": N_("took a decision back"),
    "copy": N_("sent copies"),
    "escalate": N_("asked others too, since it waited long"),
    "reckon": N_("moved a deadline, since the business calendar changed"),
    "hand_over": N_("handed a seat over"),
    "reseat": N_("changed who may decide"),
    "attention": N_("asked administrators for help"),
    "skip": N_("passed over a voice"),
    "revise": N_("began again on changed content"),
    "migrate": N_("moved it to a newer version of the flow"),
    "apply_retry": N_("tried again to put it into effect"),
}

#: Colour of a timeline's dot; the words beside it say the same.
ACTION_TONES = {
    "create": "info",
    "submit": "info",
    "submitted": "info",
    "approve": "good",
    "effect": "good",
    "apply": "good",
    "approved": "good",
    "reject": "bad",
    "rejected": "bad",
    "delete": "bad",
    "return": "warn",
    "attention": "warn",
    "complete": "good",
    "add_after": "good",
    "merge": "info",
    "merged": "bad",
    "import": "info",
}

#: Which door a change came through.
DOOR_TEXTS = {
    "form": N_("by form"),
    "api": N_("over the API"),
    "import": N_("by import"),
    "bulk": N_("in bulk"),
    "flow": N_("by the flow"),
    "automation": N_("automatically"),
    "plugin": N_("by a plugin"),
    "cli": N_("from the command line"),
}

_SYSTEM_LABELS = {
    "id": N_("Id"),
    "version": N_("Version"),
    "created_at": N_("Created at"),
    "created_by": N_("Created by"),
    "updated_at": N_("Changed at"),
    "updated_by": N_("Changed by"),
    "audited_at": N_("Audited at"),
    "audit_seq": N_("Audit number"),
}

#: System fields written by the product itself; a reader of history learns nothing from them.
_OWN_COLUMNS = frozenset({*model.SYSTEM_FIELDS, "chain", "events", "release", "deleted_at"})

#: System fields as fields, so that they are shown like any other.
SYSTEM_FIELDS = {
    "created_at": Field(id="created_at", name="created_at", type="datetime"),
    "updated_at": Field(id="updated_at", name="updated_at", type="datetime"),
    "audited_at": Field(id="audited_at", name="audited_at", type="datetime"),
    "audit_seq": Field(id="audit_seq", name="audit_seq", type="integer"),
    "version": Field(id="version", name="version", type="integer"),
}


#: Steps of a flow that tell a reader nothing beyond the events around them.
UNTOLD = frozenset({
    "open", "moot", "close", "branch", "keep", "cancel", "wait", "waited", "claim", "release",
    "effect",
})  # fmt: skip

#: Changes of one event that are shown at once; the others unfold.
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Difference:
    """One field before and after, as people read it."""

    name: str
    label: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a timeline."""

    who: str
    what: str
    at: str
    tone: str
    door: str
    text: str
    changes: list[Difference]
    rest: list[Difference]
    version: int = 0
    comment: Mapping[str, Any] | None = None


def make_reading(
    ctx: Context, fields: Iterable[Field], records: Iterable[Mapping[str, Any]]
) -> Reading:
    """Return how to read `records`: their links' titles are fetched together."""
    fields = tuple(fields)
    wanted: set[tuple[str, str]] = set()
    for record in records:
        wanted |= links_in(fields, record)
    return read_titles(ctx, wanted)


def read_titles(ctx: Context, wanted: set[tuple[str, str]]) -> Reading:
    """Return how to read values that link to the records `wanted`: (record type, id)."""
    return Reading(ctx.locale, ctx.time_zone, find_titles(ctx, wanted), named_labels(ctx))


def label_of(record_type: RecordType, name: str, locale: str) -> str:
    """Return the label of a field or system field."""
    field = record_type.field(name)
    if field is not None:
        return field_label(field, locale)
    if name in _SYSTEM_LABELS:
        return translate(_SYSTEM_LABELS[name], locale)
    archived = next((each for each in record_type.archived_fields if each.name == name), None)
    return field_label(archived, locale) if archived else name


def field_of(record_type: RecordType, name: str) -> Field | None:
    """Return a field, a system field, or one archived since."""
    found = record_type.field(name) or SYSTEM_FIELDS.get(name)
    return found or next((each for each in record_type.archived_fields if each.name == name), None)


def differences(
    record_type: RecordType, changes: Mapping[str, Any], reading: Reading
) -> list[Difference]:
    """Return `changes` (name -> [before, after], wire form) as people read them."""
    found = []
    for name, change in changes.items():
        pair = None if name in _OWN_COLUMNS else _sides(change)
        if pair is None:
            continue
        field = field_of(record_type, name)
        before, after = (
            (value_text(field, value, reading) if field else ("" if value is None else str(value)))
            for value in pair
        )
        if before != after or is_masked(before):
            label = label_of(record_type, name, reading.locale)
            found.append(Difference(name, label, before, after))
    return found


def changed_sides(changes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the values before and the values after, as two records."""
    pairs = {name: _sides(change) for name, change in changes.items()}
    return [{name: pair[side] for name, pair in pairs.items() if pair} for side in (0, 1)]


def _sides(change: Any) -> tuple[Any, Any] | None:
    """Return what a change took away and what it put there; None for what is no change.

    Of rows these are the removed and the added ones, and of changed ones the cells that
    changed; in the same way of rows inside of rows.
    """
    if isinstance(change, list | tuple):
        return (change[0], change[1]) if len(change) == 2 else None  # noqa: PLR2004
    if not isinstance(change, Mapping) or "changed" not in change:
        return None
    before, after = list(change.get("removed") or ()), list(change.get("added") or ())
    for row in change["changed"]:
        cells = {name: _sides(cell) for name, cell in row.items() if name != "id"}
        before.append({name: pair[0] for name, pair in cells.items() if pair})
        after.append({name: pair[1] for name, pair in cells.items() if pair})
    return before, after


def timeline(
    ctx: Context, record_type: RecordType, events: Iterable[Mapping[str, Any]]
) -> list[Event]:
    """Return history and flow events as the lines of a timeline."""
    events = list(events)
    with ctx.reading() as connection:
        past = PastTypes(connection, ctx.registry, record_type)
        # Each event is told in the words of the release under which it happened.
        then = [past.at(one["release"]) if "release" in one else record_type for one in events]
    wanted: set[tuple[str, str]] = set()
    for event, kind in zip(events, then, strict=True):
        for side in changed_sides(event.get("changes") or {}):
            wanted |= links_in((*kind.fields, *kind.archived_fields), side)
    reading = read_titles(ctx, wanted)
    return [_line(kind, event, reading) for event, kind in zip(events, then, strict=True)]


def _text(record_type: RecordType, event: Mapping[str, Any], action: str, reading: Reading) -> str:
    """Return what was said with an event; of a mask that was lifted, the field's label."""
    text = str(event.get("opinion") or event.get("reason") or "")
    return label_of(record_type, text, reading.locale) if action == "unmask" else text


def _what(action: str, detail: Mapping[str, Any], locale: str) -> str:
    """Return what was done, with whom it concerned and for whom it was done."""
    comma = "、" if locale == "zh" else ", "
    names = detail.get("names")
    told = comma.join(map(str, names)) if isinstance(names, list) else ""
    text = translate(ACTION_TEXTS.get(action, action), locale, names=told)
    if isinstance(detail.get("for"), str):
        text += translate(N_(" for {name}"), locale, name=detail["for"])
    return text


def _line(record_type: RecordType, event: Mapping[str, Any], reading: Reading) -> Event:
    action = str(event.get("action") or event.get("verb") or "")
    door = str(event.get("door") or "")
    changes = differences(record_type, event.get("changes") or {}, reading)
    who = str(event.get("actor_name") or event.get("actor") or "")
    if who == "system":
        who = translate(N_("The system"), reading.locale)
    return Event(
        who=who,
        what=_what(action, event.get("detail") or {}, reading.locale),
        at=str(event.get("at") or ""),
        tone=ACTION_TONES.get(action, ""),
        door=translate(DOOR_TEXTS[door], reading.locale) if door in DOOR_TEXTS else "",
        text=_text(record_type, event, action, reading),
        changes=changes[:_SHOWN],
        rest=changes[_SHOWN:],
        version=int(event.get("version") or 0),
        comment=event.get("comment"),
    )
