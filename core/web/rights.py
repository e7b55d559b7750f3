"""Rights as people read them: what a role may do, and why somebody sees a field or not."""

from collections.abc import Mapping
from typing import Any

from flask import render_template, request
from flask.typing import ResponseReturnValue

from core.actor import Actor
from core.context import Context
from core.errors import Invalid, Problem, UserError
from core.i18n import N_, pick, translate
from core.ids import is_id
from core.policies.overview import Overview, overview
from core.records.people import PEOPLE
from core.records.queries import Query, get_record, list_wire
from core.records.whyaccess import Explained, Verdict, explain_access
from core.schema.model import RecordType
from core.schema.rights import ACTIONS
from core.web.administration import require_builder
from core.web.display import field_label, value_text
from core.web.navigation import type_icon, type_label, visible_types
from core.web.page import page, pages, problem_body
from core.web.reading import field_of, label_of, make_reading
from core.web.titles import title_name

ACTION_LABELS = {
    "view": N_("See"),
    "create": N_("Create"),
    "edit": N_("Edit"),
    "delete": N_("Delete"),
    "submit": N_("Submit"),
    "import": N_("Import"),
    "export": N_("Export"),
    "print": N_("Print"),
    "share": N_("Share"),
    "history": N_("History"),
    "unmask": N_("Unmask"),
    "personalise": N_("Take codes for printing"),
    "till.override_price": N_("Change prices at the till"),
    "till.discount": N_("Give discounts at the till"),
    "till.backdate": N_("Backdate sales"),
    "till.offline": N_("Hand in offline sales"),
}

#: Outcome -> what is said, with its tone.
OUTCOMES = {
    "clear": (N_("{name} sees it."), "good"),
    "masked": (N_("{name} sees a mask."), "warn"),
    "hidden": (N_("{name} does not see this field."), "bad"),
    "allowed": (N_("{name} may do this."), "good"),
    "refused": (N_("{name} may not do this with this field."), "bad"),
    "outside": (N_("For {name} this record is not there: it is among no policy's rows."), "bad"),
    "no_policy": (N_("No policy gives {name} this right on such records."), "bad"),
}

SHOWS = {"clear": N_("shown"), "masked": N_("masked"), "hidden": N_("hidden")}
MISSING = {
    "action": N_("It does not give this right."),
    "rows": N_("The record is not among its rows."),
    "field": N_("It does not include the field."),
}

#: Sign-in names offered in a list.
_OFFERED = 200


@pages.get("/rights/")
@page
def show_rights(ctx: Context) -> ResponseReturnValue:
    """Show what a role or position may do with every form."""
    require_builder(ctx)
    who = _Who(ctx)
    found = [
        _grid_line(ctx, overview(ctx.registry.release, one, who.roles, who.positions))
        for one in visible_types(ctx)
    ]
    return render_template(
        "gx/rights.html", who=who, lines=found, actions=_action_labels(ctx.locale)
    )


@pages.get("/rights/types/<type_name>")
@page
def show_type_rights(ctx: Context, type_name: str) -> ResponseReturnValue:
    """Show what a role or position may do with one form, field by field."""
    require_builder(ctx)
    who, record_type = _Who(ctx), ctx.registry.record_type(type_name)
    found = overview(ctx.registry.release, record_type, who.roles, who.positions)
    labels = _action_labels(ctx.locale)
    return render_template(
        "gx/rightstype.html",
        who=who,
        type=record_type,
        label=type_label(record_type, ctx.locale, plural=False),
        given=[
            (labels[name], found.rows.get(name, ()))
            for name, reach in found.actions.items()
            if reach
        ],
        fields=[(field_label(one.field, ctx.locale), one) for one in found.fields],
    )


class _Who:
    """The role or position that a page is about, and those there are."""

    def __init__(self, ctx: Context) -> None:
        release, locale = ctx.registry.release, ctx.locale
        self.choices = [(f"role:{one.name}", pick(one.label, locale, one.name))
                        for one in release.roles]  # fmt: skip
        self.choices += [(f"position:{one.name}", pick(one.label, locale, one.name))
                         for one in release.positions]  # fmt: skip
        known = dict(self.choices)
        wanted = request.args.get("who", "")
        self.key = wanted if wanted in known else next(iter(known), "")
        kind, _, name = self.key.partition(":")
        self.label = known.get(self.key, "")
        self.roles = frozenset((name,)) if kind == "role" else frozenset[str]()
        self.positions = frozenset((name,)) if kind == "position" else frozenset[str]()


def _action_labels(locale: str) -> dict[str, str]:
    return {name: translate(ACTION_LABELS[name], locale) for name in ACTIONS}


def _grid_line(ctx: Context, found: Overview) -> dict[str, Any]:
    """Return a form's line of the grid."""
    counts = {"clear": 0, "masked": 0, "hidden": 0}
    for one in found.fields:
        counts["clear" if one.clear else "masked" if one.masked else "hidden"] += 1
    return {
        "name": found.record_type.name,
        "label": type_label(found.record_type, ctx.locale),
        "icon": type_icon(found.record_type),
        "actions": found.actions,
        "counts": counts,
    }


@pages.get("/rights/why")
@page
def show_why(ctx: Context) -> ResponseReturnValue:
    """Show whether somebody may see or do something with a record, policy by policy."""
    require_builder(ctx)
    asked = {key: request.args.get(key, "").strip() for key in ("user", "type", "record")}
    asked |= {"field": request.args.get("field", ""), "action": request.args.get("action", "view")}
    shown: dict[str, Any] = {}
    error = None
    record_type = ctx.registry.release.type(asked["type"])
    if record_type is not None and asked["record"] and asked["user"]:
        try:
            shown = _told(ctx, record_type, asked)
        except UserError as found:
            error = problem_body(found)
    return render_template(
        "gx/rightswhy.html",
        asked=asked,
        error=error,
        users=user_names(ctx),
        types=[(one.name, type_label(one, ctx.locale)) for one in visible_types(ctx)],
        fields=[(one.name, field_label(one, ctx.locale)) for one in record_type.fields]
        if record_type
        else [],
        actions=_action_labels(ctx.locale),
        told=shown,
    ), (error and 422) or 200


def user_names(ctx: Context) -> list[tuple[str, str]]:
    """Return sign-in names and names of people, to be offered where one is typed."""
    with ctx.reading() as connection:
        return [(one.login, one.name) for one in PEOPLE.search(connection, "", _OFFERED)]


def find_person(ctx: Context, login: str) -> Actor:
    """Return the active user with a sign-in name, with their present rights.

    Raises:
        Invalid: there is none.
    """
    with ctx.reading() as connection:
        found = PEOPLE.ids(connection, [login]).values()
        actors = PEOPLE.actors(connection, ctx.registry, list(found))
    if not actors:
        text = N_("There is no active user {name}.")
        raise Invalid(problems=[Problem("user", "user.unknown", text, {"name": login[:80]})])
    return next(iter(actors.values()))


def _told(ctx: Context, record_type: RecordType, asked: Mapping[str, str]) -> dict[str, Any]:
    person = find_person(ctx, asked["user"])
    record_id, title = _find_record(ctx, record_type, asked["record"])
    found = explain_access(
        ctx, person, (record_type.name, record_id), field=asked["field"], action=asked["action"]
    )
    text, tone = OUTCOMES[found.outcome]
    labels = {
        f"role:{one.name}": pick(one.label, ctx.locale, one.name)
        for one in ctx.registry.release.roles
    } | {
        f"position:{one.name}": pick(one.label, ctx.locale, one.name)
        for one in ctx.registry.release.positions
    }
    return {
        "text": translate(text, ctx.locale, name=person.name),
        "tone": tone,
        "person": person,
        "held": [labels.get(f"role:{one}", one) for one in sorted(person.roles)]
        + [labels.get(f"position:{one}", one) for one in sorted(person.places.positions)],
        "record": (record_id, title),
        "verdicts": [_verdict_line(ctx, record_type, one, labels) for one in found.verdicts],
        "others": _others(ctx, found),
    }


def _find_record(ctx: Context, record_type: RecordType, text: str) -> tuple[str, str]:
    """Return id and title of the record that somebody named, by id or by what search finds.

    Raises:
        Invalid: not exactly one record is meant.
        NotFound: there is none with this id.
    """
    name = title_name(record_type)
    if is_id(text):
        found = [get_record(ctx, record_type.name, text, fields=(name,), as_wire=True)]
    else:
        query = Query(search=text, fields=(name,), limit=2)
        found = list_wire(ctx, record_type.name, query).items
    if len(found) != 1:
        told = N_("Not exactly one record is found by {text}.")
        raise Invalid(problems=[Problem("record", "query.ambiguous", told, {"text": text[:80]})])
    return found[0]["id"], str(found[0].get(name) or found[0]["id"])


def _verdict_line(
    ctx: Context, record_type: RecordType, one: Verdict, labels: Mapping[str, str]
) -> dict[str, Any]:
    who = one.policy.who
    held = [labels.get(f"role:{name}", name) for name in sorted(who.roles)]
    held += [labels.get(f"position:{name}", name) for name in sorted(who.positions)]
    missing = MISSING.get(one.missing)
    return {
        "name": one.policy.name,
        "for": held,
        "gives": not one.missing,
        "missing": translate(missing, ctx.locale) if missing else "",
        "shows": translate(SHOWS[one.shows], ctx.locale) if one.shows else "",
        "edits": one.edits,
        "rows": one.rows,
        "holds": one.holds,
        "parts": [_part(ctx, record_type, part) for part in one.parts],
    }


def _part(ctx: Context, record_type: RecordType, part: Mapping[str, Any]) -> tuple[str, str]:
    """Return what a condition read, by the label of the field, and its value as text."""
    name = part["text"]
    field = field_of(record_type, name)
    if field is None or "no_access" in part or part["value"] is None:
        return label_of(record_type, name, ctx.locale), _part_text(ctx, part)
    value = part["value"]
    reading = make_reading(ctx, (field,), [{name: value}])
    return label_of(record_type, name, ctx.locale), value_text(field, value, reading)


def _part_text(ctx: Context, part: Mapping[str, Any]) -> str:
    if "no_access" in part:
        return translate(N_("out of your own sight"), ctx.locale)
    value = part["value"]
    if value is None:
        return translate(N_("(empty)"), ctx.locale)
    if isinstance(value, bool):
        return translate(N_("Yes") if value else N_("No"), ctx.locale)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _others(ctx: Context, found: Explained) -> str:
    if not found.others:
        return ""
    text = N_("{count} more policies on this form are for other people.")
    return translate(text, ctx.locale, count=found.others)
