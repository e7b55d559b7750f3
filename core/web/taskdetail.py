"""One task as its panel shows it: the difference first, then who decides, why, and how."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

from core.businesstime import parse_duration
from core.context import Context
from core.i18n import N_, pick, translate
from core.ids import new_id
from core.schema.model import RecordType
from core.web.display import local_text, value_text
from core.web.forms import Control, Drawing, FormRights
from core.web.reading import UNTOLD, Difference, Event, field_of, label_of, make_reading, timeline
from core.web.signing import meanings
from core.web.taskcommands import FIELDS
from core.web.taskrows import post_labels, task_line, voice_name
from core.web.tasktexts import BALLOT_TEXTS, KIND_TEXTS, SEAT_TEXTS, VERBS, VIA_TEXTS, VerbLook
from core.workflow.queue.insight import last_approved
from core.workflow.queue.notes import list_notes
from core.workflow.queue.offers import Offer, find_offer
from core.workflow.queue.pages import get_task
from core.workflow.seen import seen_record
from core.workflow.subject import difference

#: Offered where a step names no sentences of its own.
PHRASES = (
    N_("Agreed."),
    N_("Please check the figures."),
    N_("Please explain the reason."),
    N_("Not in line with the rules."),
)


@dataclass(slots=True)
class VerbForm:
    """One verb as the panel offers it.

    Attributes:
        opinion: required, optional or hidden.
        causes: what a click leads to, as a sentence.
    """

    verb: str
    look: VerbLook
    opinion: str
    causes: str = ""


@dataclass(slots=True)
class SeatLine:
    """One voice of the task and what it said."""

    name: str
    state: str
    ballot: str
    by: str
    at: str
    is_mine: bool


@dataclass(slots=True)
class Detail:
    """One task as its panel shows it."""

    id: str
    line: dict[str, Any]
    subject_hash: str
    is_new: bool
    changes: list[Difference]
    since: list[Difference]
    unchanged: list[Difference]
    events: list[Event]
    verbs: list[VerbForm]
    offer: Offer
    seats: list[SeatLine]
    why: list[str]
    why_not: str
    phrases: list[str]
    controls: list[Control]
    notes: list[dict[str, Any]] | None
    lease: int = 0
    impact: list[tuple[str, str]] = dataclass_field(default_factory=list)
    added: list[tuple[str, str]] = dataclass_field(default_factory=list)
    since_label: str = ""
    rule: str = ""
    opinion_rule: str = ""
    way: str = "click"
    meanings: dict[str, str] = dataclass_field(default_factory=dict)
    takes_back: bool = False
    has_reviews: bool = False
    key: str = dataclass_field(default_factory=new_id)
    opinion: str = ""
    message: str = ""
    armed: str = ""

    @property
    def main_verbs(self) -> list[VerbForm]:
        """Return the verbs that are a button of their own."""
        return [each for each in self.verbs if not each.look.asks]

    @property
    def asking_verbs(self) -> list[VerbForm]:
        """Return the verbs that need to know more before they are sent."""
        return [each for each in self.verbs if each.look.asks]

    @property
    def needed(self) -> list[str]:
        """Return the verbs that are refused without an opinion."""
        return [each.verb for each in self.verbs if each.opinion == "required"]


def load_detail(ctx: Context, task_id: str) -> Detail:
    """Return a task with everything its panel shows."""
    with ctx.reading():
        found = get_task(ctx, task_id)
        offer = find_offer(ctx, task_id)
        line = task_line(ctx, found)
        record_type = ctx.registry.record_type(found["record"]["type"])
        changes = found["diff"]
        before = {each["field"]: each["before"] for each in changes}
        same = {each["field"]: each["value"] for each in found["unchanged"]}
        since, since_label = _since(ctx, record_type, found)
        why_not = found["why_not"] or {}
        blocked = found["blocked"] or {}
        verbs = [] if why_not else _verbs(ctx, found, offer)
        mine = next((each for each in found["seats"] if _is_open_to_me(each)), None)
        way = offer.signing((mine["group"] or mine["key"]) if mine else "")
        return Detail(
            id=task_id,
            line=line,
            subject_hash=found["subject_hash"],
            is_new=all(value is None for value in before.values()),
            changes=_told(ctx, record_type, before, _side(changes, "after"))
            + _reason(ctx, found["void_reason"]),
            since=since,
            since_label=since_label,
            unchanged=_told(ctx, record_type, {}, same),
            events=timeline(
                ctx,
                record_type,
                [each for each in reversed(found["timeline"]) if each["verb"] not in UNTOLD],
            ),
            verbs=verbs,
            offer=offer,
            seats=_seats(ctx, found),
            why=_why(ctx, found),
            why_not=str(why_not.get("message") or translate(blocked.get("text", ""), ctx.locale)),
            phrases=list(offer.comment.phrases)
            or [translate(text, ctx.locale) for text in PHRASES],
            controls=_controls(ctx, record_type, found) if verbs else [],
            notes=list_notes(ctx, task_id),
            lease=_seconds(offer.queue.lease),
            opinion_rule=_opinion_rule(ctx, verbs),
            way=way,
            meanings=meanings(ctx, [each.verb for each in verbs], line["title"]),
            added=[
                (each["id"], _seat_name(ctx, each)) for each in found["seats"] if each["removable"]
            ],
            has_reviews=found["state"] == "open"
            and ctx.hooks.reviews.exist(ctx, record_type.name),
            takes_back=not verbs and _may_take_back(ctx, found, offer),
        )


def _is_open_to_me(seat: Mapping[str, Any]) -> bool:
    return bool(seat["mine"]) and seat["state"] == "open"


def _may_take_back(ctx: Context, found: Mapping[str, Any], offer: Offer) -> bool:
    """Return whether the reader voted here and the step lets votes be taken back."""
    return "take_back" in offer.verbs and any(
        each["actor"] == ctx.actor.id
        and each["task_id"] == found["id"]
        and each["verb"] in BALLOT_TEXTS
        for each in found["timeline"]
    )


def _since(
    ctx: Context, record_type: RecordType, found: Mapping[str, Any]
) -> tuple[list[Difference], str]:
    """Return what changed since the reader approved it, else since the round before."""
    approved = last_approved(ctx, found["id"])
    if approved is None:
        since = found["since_last_round"]
        label = translate(N_("Since the round before"), ctx.locale)
        return _told(ctx, record_type, _side(since, "before"), _side(since, "after")), label
    record = found["record"]
    seen = seen_record(ctx, record["type"], record["id"]) or {}
    shown = seen.keys() - {*found["no_access"], *seen.get("masked", ())}
    proposed = {**approved.values, **dict.fromkeys(shown), **proposed_values(found)}
    changes, _ = difference(record_type, approved.values, proposed, visible=shown)
    label = translate(
        N_("Since you approved it on {at}"), ctx.locale, at=local_text(approved.at, ctx.time_zone)
    )
    return _told(ctx, record_type, _side(changes, "before"), _side(changes, "after")), label


def _opinion_rule(ctx: Context, verbs: Iterable[VerbForm]) -> str:
    """Return for which verbs an opinion is needed, in words."""
    needed = [
        translate(each.look.label, ctx.locale) for each in verbs if each.opinion == "required"
    ]
    if not needed:
        return translate(N_("(optional)"), ctx.locale)
    comma = "、" if ctx.locale == "zh" else ", "
    return translate(N_("(needed to: {verbs})"), ctx.locale, verbs=comma.join(needed))


def _seconds(lease: str) -> int:
    """Return how long a claim holds without a sign of life; it is wall time."""
    found = parse_duration(lease)
    return found.amount * (60 if found.unit == "m" else 3600)


def _side(changes: Iterable[Mapping[str, Any]], side: str) -> dict[str, Any]:
    return {each["field"]: each[side] for each in changes}


def _verbs(ctx: Context, found: Mapping[str, Any], offer: Offer) -> list[VerbForm]:
    """Return the verbs that the reader has, in the order of their buttons."""
    may = set(found["may"])
    mine = [each for each in found["seats"] if _is_open_to_me(each)]
    if may and mine and all(each["kind"] == "advice" for each in mine):
        may = {"complete"}  # who is asked for advice says what they think, and that is all
    if not offer.targets:
        may.discard("return")
    if not any(each["removable"] for each in found["seats"]):
        may.discard("remove_added")
    may.discard("take_back")
    return [
        VerbForm(
            verb, look, offer.comment.rule(verb), _causes(ctx, found["effects"].get(verb) or {})
        )
        for verb, look in VERBS.items()
        if verb in may
    ]


_ENDS = {
    "approved": N_("Then it takes effect."),
    "rejected": N_("Then it ends as rejected."),
}


def _causes(ctx: Context, effect: Mapping[str, Any]) -> str:
    """Return what a click leads to, as a sentence."""
    if effect.get("ends") in _ENDS:
        return translate(_ENDS[effect["ends"]], ctx.locale)
    steps = effect.get("next_steps") or ([effect["next_step"]] if effect.get("next_step") else [])
    if steps:
        comma = "、" if ctx.locale == "zh" else ", "
        names = comma.join(pick(each, ctx.locale, "") for each in steps)
        return translate(N_("Then it goes to: {names}."), ctx.locale, names=names)
    if effect.get("verdict") == "undecided":
        return translate(N_("Then others still have to decide."), ctx.locale)
    return ""


def _seats(ctx: Context, found: Mapping[str, Any]) -> list[SeatLine]:
    return [
        SeatLine(
            name=_seat_name(ctx, each),
            state=translate(SEAT_TEXTS.get(each["state"], each["state"]), ctx.locale),
            ballot=translate(BALLOT_TEXTS.get(each["vote"] or "", ""), ctx.locale),
            by=each["by"] or "",
            at=each["at"] or "",
            is_mine=bool(each["mine"]),
        )
        for each in found["seats"]
    ]


def _seat_name(ctx: Context, seat: Mapping[str, Any]) -> str:
    """Return what people call a seat: its title, a role, a position, or a person."""
    title = pick(seat["title"], ctx.locale, "")
    return title or voice_name(ctx, seat["key"])


def _why(ctx: Context, found: Mapping[str, Any]) -> list[str]:
    """Return why the reader sees this task: as whom they may decide it, and for whom."""
    names = post_labels(ctx)
    told = []
    for each in found["because"]:
        key = each["actor"].partition("@")[0]
        text = translate(KIND_TEXTS[each["kind"]], ctx.locale, name=names.get(key, key))
        via = VIA_TEXTS.get(each["via"])
        if via:
            text += " · " + translate(via, ctx.locale, name=each["for_name"])
        told.append(text)
    return told


def editable_fields(ctx: Context, found: Mapping[str, Any]) -> frozenset[str]:
    """Return the fields that the step of a task lets the reader change with the decision."""
    rights = find_offer(ctx, found["id"]).fields
    wanted = frozenset(name.partition("@")[0] for name in (*rights.edit, *rights.require))
    if not wanted:
        return frozenset()
    record = found["record"]
    seen = seen_record(ctx, record["type"], record["id"]) or {}
    return wanted & seen.keys() - set(seen.get("masked", ()))


def proposed_values(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a task as it is proposed, as far as the reader sees it."""
    same = {each["field"]: each["value"] for each in found["unchanged"]}
    return _side(found["diff"], "after") | same


def _controls(ctx: Context, record_type: RecordType, found: Mapping[str, Any]) -> list[Control]:
    """Return the fields that the step lets its people change, as form controls."""
    editable = editable_fields(ctx, found)
    if not editable:
        return []
    values = dict.fromkeys(editable) | proposed_values(found)
    reading = make_reading(ctx, record_type.fields, [values])
    drawing = Drawing(FormRights(editable, editable), reading, {}, FIELDS)
    return [
        drawing.control(each, FIELDS + each.name, values.get(each.name))
        for each in record_type.fields
        if each.name in editable
    ]


def _reason(ctx: Context, text: str) -> list[Difference]:
    """Return why a document shall be void as a line below what changes."""
    return [Difference("", translate(N_("Reason"), ctx.locale), "", text)] if text else []


def _told(
    ctx: Context, record_type: RecordType, before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[Difference]:
    """Return wire values before and after as people read them."""
    reading = make_reading(ctx, record_type.fields, [before, after])
    told = []
    for name in after:
        field = field_of(record_type, name)
        texts = [
            value_text(field, side.get(name), reading) if field else str(side.get(name) or "")
            for side in (before, after)
        ]
        told.append(Difference(name, label_of(record_type, name, ctx.locale), *texts))
    return told
