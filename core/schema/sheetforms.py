"""A form made from a spreadsheet: what a person decides about it, and its YAML."""

import json
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from core.errors import Problem
from core.i18n import N_
from core.schema.checks import MAX_FIELDS, MAX_TYPE_NAME
from core.schema.choicechecks import MAX_OPTIONS
from core.schema.fieldchecks import RESERVED, is_field_name
from core.schema.inference import LINK, OFFERED, Guess
from core.schema.model import Model, Release
from core.schema.names import TYPE_NAME

#: Columns of the list that comes with the form, and fields side by side on a page.
_LISTED = 7
_MOST_LABEL = 100
_NOT_LISTED = frozenset({"long_text", "multi_select"})
#: Fields that an import can tell records apart by, and whose values can be unique.
_KEYS = frozenset({"text", "phone", "email"})
_UNIQUE = _KEYS | {"integer", "decimal", "date", "url"}


class SheetForm(Model, frozen=True, kw_only=True):
    """What becomes of one file.

    Attributes:
        file: what people call it.
        name: the record type's name.
        roles: who may do everything with the records.
        title: the field that records are called by.
    """

    file: str
    name: str
    label: str
    roles: tuple[str, ...]
    title: str = ""
    fields: tuple[Guess, ...]

    @property
    def chosen(self) -> tuple[Guess, ...]:
        """Return the columns that become fields."""
        return tuple(one for one in self.fields if one.include)

    @property
    def key(self) -> str:
        """Return the field by which a repeated import knows its records, or `""`."""
        found = (one.name for one in self.chosen if one.unique and one.type in _KEYS)
        return next(found, "")


def form_name(file: str, taken: Collection[str]) -> tuple[str, str]:
    """Return a name and a label for the form of a file, the name different from `taken`."""
    stem = file.replace("\\", "/").rpartition("/")[2].partition(".")[0].strip()
    label = "".join(char for char in stem if char.isprintable())[:_MOST_LABEL] or "Sheet"
    words = "".join(char if char.isascii() and char.isalnum() else " " for char in stem.lower())
    name = "_".join(words.split())[: MAX_TYPE_NAME - 4].strip("_")
    if not TYPE_NAME.fullmatch(name):
        name = "sheet"
    number, base = 1, name
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    return name, label


def form_problems(form: SheetForm, release: Release) -> Iterator[Problem]:
    """Yield what stands against the form, at the paths of its inputs.

    Publishing checks everything again; this is what a person can put right on the page.
    """
    if not TYPE_NAME.fullmatch(form.name) or len(form.name) > MAX_TYPE_NAME:
        text = N_("A record type's name is of small letters, digits and single _; not {name}.")
        yield Problem("name", "schema.bad_name", text, {"name": form.name[:80]})
    elif form.name in _names(release):
        text = N_("There is already a form called {name}.")
        yield Problem("name", "schema.name_taken", text, {"name": form.name})
    if not form.label:
        yield Problem("label", "field.required", N_("This is required."))
    yield from _choice_problems(form, release)
    seen: set[str] = set()
    for place, one in enumerate(form.fields):
        if one.include:
            yield from _field_problems(place, one, seen, release)
            seen.add(one.name)


def _choice_problems(form: SheetForm, release: Release) -> Iterator[Problem]:
    """Yield what is wrong with the chosen columns as a whole, the roles and the title."""
    if not form.chosen:
        text = N_("Choose at least one column.")
        yield Problem("fields", "schema.missing", text)
    if len(form.chosen) > MAX_FIELDS:
        text = N_("A record type has at most {limit} fields.")
        yield Problem("fields", "schema.too_many", text, {"limit": MAX_FIELDS})
    known = {role.name for role in release.roles} | {"Admin"}
    for role in form.roles:
        if role not in known:
            text = N_("There is no role {name}.")
            yield Problem("roles", "schema.unknown_role", text, {"name": role[:80]})
    if form.title and form.title not in {one.name for one in form.chosen}:
        text = N_("There is no field {name}.")
        yield Problem("title", "field.unknown", text, {"name": form.title[:80]})


def _names(release: Release) -> set[str]:
    former = {name for one in release.types.values() for name in one.former}
    return {*release.types, *former}


def _field_problems(
    place: int, one: Guess, seen: Collection[str], release: Release
) -> Iterator[Problem]:
    if not is_field_name(one.name):
        text = N_("A field's name is of small letters, digits and single _; not {name}.")
        yield Problem(f"{place}.name", "schema.bad_name", text, {"name": one.name[:80]})
    elif one.name in RESERVED:
        text = N_("The name {name} is taken by the product.")
        yield Problem(f"{place}.name", "schema.reserved", text, {"name": one.name})
    elif one.name in seen:
        text = N_("{name} stands twice.")
        yield Problem(f"{place}.name", "schema.duplicate", text, {"name": one.name})
    is_known = release.type(one.target) is not None if one.target else one.type in OFFERED
    if not is_known:
        text = N_("There is no type of field {name}.")
        yield Problem(f"{place}.type", "schema.unknown_type", text, {"name": one.type[:80]})
    if one.type in {"select", "multi_select"} and not 0 < len(one.options) <= MAX_OPTIONS:
        text = N_("A choice has 1 to {limit} options.")
        yield Problem(f"{place}.options", "schema.options", text, {"limit": MAX_OPTIONS})
    if one.unique and not (one.type in _UNIQUE or one.target):
        text = N_("Values of this type cannot be unique.")
        yield Problem(f"{place}.unique", "schema.not_unique", text)


def form_yaml(form: SheetForm) -> str:
    """Return the form in the schema language, with a list of its records and rights to them."""
    listed = [one.name for one in form.chosen if one.type not in _NOT_LISTED][:_LISTED]
    lines = [
        f"record_type: {_text(form.name)}",
        f"label: {{zh: {_text(form.label)}, en: {_text(form.label)}}}",
        *([f"title_field: {_text(form.title)}"] if form.title else []),
        "fields:",
        *(f"  - {_flow(_field(one))}" for one in form.chosen),
    ]
    if listed:
        view = {"name": "all", "type": "list", "columns": listed}
        lines += ["views:", f"  - {_flow(view)}"]
    if form.roles:
        policy = {"name": "users", "who": {"role": list(form.roles)}, "actions": ["*"]}
        lines += ["policies:", f"  - {_flow(policy)}"]
    return "\n".join(lines) + "\n"


def _field(one: Guess) -> dict[str, Any]:
    made: dict[str, Any] = {"name": one.name, "type": "link" if one.target else one.type}
    if one.target:
        made["target"] = one.type.removeprefix(LINK)
    if one.label:
        made["label"] = {"zh": one.label, "en": one.label}
    made |= {key: True for key in ("required", "unique") if getattr(one, key)}
    field = one.field()
    if field.precision is not None:
        made["precision"] = field.precision
    if field.currency:
        made["currency"] = field.currency
    if field.options:
        made["options"] = [{"value": option.value} for option in field.options]
    return made


def _flow(value: Any) -> str:
    """Return a value as one line of YAML, texts in quotes, so that none becomes anything else."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else _text(value)


def _text(value: Any) -> str:
    if isinstance(value, int):
        return str(value)
    is_word = value.isascii() and value.replace("_", "").isalpha() and value.lower() not in _WORDS
    return str(value) if is_word else json.dumps(value, ensure_ascii=False)


#: What YAML takes for something else than text.
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "none", "y", "n"})


def form_mapping(form: SheetForm) -> dict[str, Any]:
    """Return how an import reads the file's rows, in the words of a mapping file."""
    fields = {one.name: f"`{one.header}`" for one in form.chosen}
    return {"type": form.name, "key": form.key, "fields": fields}


def same_options(texts: Iterable[str]) -> tuple[str, ...]:
    """Return options that somebody typed, one a line, each once and without blanks around."""
    return tuple(dict.fromkeys(text.strip() for text in texts if text.strip()))
