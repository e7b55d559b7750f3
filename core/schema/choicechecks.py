"""Checks the options of fields: what can be chosen, when, and what backlinks offer by it."""

from collections.abc import Iterable

from core.expression.types import Scope
from core.i18n import N_
from core.schema.cascades import cascading_scope
from core.schema.draft import Draft
from core.schema.fieldtypes import FieldError
from core.schema.model import Field, Option
from core.schema.texttypes import check_characters
from core.schema.yamlnodes import Node

#: Types whose values can be the options of another form's field.
TEXT_TYPES = frozenset({"text", "sequence", "barcode", "select", "email", "phone"})
MAX_OPTIONS = 1_000
MAX_OPTION = 100


def check_choices(draft: Draft, field: Field, node: Node, scope: Scope) -> None:
    """Check the options of a field, or where they are taken from."""
    if field.type not in {"select", "multi_select"}:
        return
    if field.options_from:
        _check_sources(draft, field, node, scope)
    elif not field.options:
        draft.add(node, "missing", N_("“{key}” is missing."), key="options")
    if len(field.options) > MAX_OPTIONS:
        draft.add(
            node.at("options"), "too_many", N_("At most {limit} entries."), limit=MAX_OPTIONS
        )
    seen: set[str] = set()
    for at, option in enumerate(field.options):
        place = node.at("options", at, "value")
        if option.value in seen:
            draft.add(place, "duplicate", N_("{name} stands twice."), name=option.value[:80])
        seen.add(option.value)
        _check_option(draft, option.value, place)


def check_options_when(
    draft: Draft, field: Field, node: Node, scope: Scope, options: Iterable[Option]
) -> None:
    """Check when each of `options` may be chosen, or is offered."""
    values = {option.value for option in options}
    for value, text in field.options_when.items():
        place = node.at("options_when", value)
        if value not in values:
            draft.add_unknown(place, "option", value, values)
        draft.expression(place, text, scope)


def _check_sources(draft: Draft, field: Field, node: Node, scope: Scope) -> None:
    """Check the record types that choices are taken from."""
    if field.options:
        text = N_("Either options or options_from.")
        draft.add(node.keys["options_from"], "contradiction", text)
    for at, source in enumerate(field.options_from):
        place = node.at("options_from", at)
        if source.when:
            draft.expression(place.at("when"), source.when, scope)
        target = draft.types.get(source.type)
        if target is None:
            draft.add_unknown(place.at("type"), "type", source.type, draft.types)
            continue
        if source.filter:
            over = cascading_scope(draft.scope(source.type), scope)
            draft.expression(place.at("filter"), source.filter, over)
        found = target.field(source.value)
        if found is None:
            names = [one.name for one in target.fields]
            draft.add_unknown(place.at("value"), "field", source.value, names)
        elif found.type not in TEXT_TYPES:
            text = N_("Choices are taken from a text field; {name} is of type {type}.")
            draft.add(place.at("value"), "not_text", text, name=found.name, type=found.type)


def _check_option(draft: Draft, value: str, place: Node) -> None:
    try:
        check_characters(value)
    except FieldError as error:
        draft.add(place, "bad_option", error.text, **error.params)
    if not value or value != value.strip() or ";" in value or len(value) > MAX_OPTION:
        text = N_("An option's value has 1 to {limit} characters, no ; and no blanks around it.")
        draft.add(place, "bad_option", text, limit=MAX_OPTION)


def check_offers(draft: Draft, field: Field, node: Node, scope: Scope) -> None:
    """Check by which choice of the linking records a page offers new ones, and when."""
    target = draft.types.get(field.of.partition(".")[0])
    if target is None:
        return  # which was said
    chosen = target.field(field.offers) if field.offers else None
    if field.offers and chosen is None:
        names = [one.name for one in target.fields]
        draft.add_unknown(node.at("offers"), "field", field.offers, names)
    elif chosen is not None and (chosen.type != "select" or chosen.options_from):
        text = N_("{name} is not a select field with options of its own.")
        draft.add(node.at("offers"), "not_a_choice", text, name=field.offers)
    elif field.options_when and chosen is None:
        draft.add(node, "missing", N_("“{key}” is missing."), key="offers")
    elif chosen is not None:
        check_options_when(draft, field, node, scope, chosen.options)
