"""Checks the fields of a record type: names, properties, targets, defaults and conditions."""

import re
import unicodedata
from collections.abc import Iterable, Mapping

from core.expression.types import Scope
from core.i18n import N_
from core.schema.cascades import cascading_scope
from core.schema.choicechecks import TEXT_TYPES, check_choices, check_offers, check_options_when
from core.schema.draft import Draft
from core.schema.fieldtypes import FieldError, field_type, field_type_names
from core.schema.filetypes import FILE_TYPES, is_media_range, size_in_bytes
from core.schema.model import DOCUMENT_FIELDS, SYSTEM_FIELDS, Field, RecordType
from core.schema.peopletypes import DEPARTMENTS, SINGLE_LINKS
from core.schema.rowchecks import check_column
from core.schema.scopes import TILL_SCOPES, column_scope, named_scope, row_scope, tables_of
from core.schema.texttypes import compile_pattern
from core.schema.writtentypes import UNMASKED
from core.schema.yamlnodes import Node

MAX_NAME_BYTES = 56
#: Words that columns, rows, answers or expressions already use.
RESERVED = frozenset(
    {
        *(*SYSTEM_FIELDS, *DOCUMENT_FIELDS, "release", "deleted_at", "chain", "events"),
        *("no_access", "masked", "proposal", "current_user", "this", "record_id", "target_id"),
        *("and", "or", "not", "in", "is", "empty", "if", "else", "true", "false", "null", "none"),
    }
)
#: What further is taken inside a table field.
RESERVED_IN_ROWS = RESERVED | {"position", "row_id"}
#: Kinds of fields whose values can be told apart by an index.
NOT_INDEXED = FILE_TYPES | frozenset(
    {
        *("table", "links", "backlink", "json", "multi_select", "long_text", "rich_text"),
        *("users", "address", "location", "secret", "condition", "expression", "lookup"),
    }
)
_ALWAYS = frozenset(
    {"id", "was", "name", "type", "label", "help", "visible_when", "sensitive", "deprecated"}
)
_WRITTEN = frozenset(
    {
        *("required", "set_once", "copyable", "default", "default_expr", "when_hidden"),
        *("required_when", "read_only_when", "fetch_from", "fetch_mode"),
    }
)
_INDEXED = frozenset({"unique", "no_reuse", "index"})
_CONDITIONS = ("visible_when", "required_when", "read_only_when")
_CURRENCY = re.compile(r"[A-Z]{3}")
_COUNTER = re.compile(r"\{0+\}")
_DATE_PART = re.compile(r"\{(?!0+\})([^{}]*)\}")
_DATE_PARTS = frozenset({"yyyy", "yy", "mm", "dd"})
_NEEDED_PARTS = {"never": (), "yearly": ("y",), "monthly": ("y", "mm"), "daily": ("y", "mm", "dd")}


def check_fields(draft: Draft, record_type: RecordType) -> None:
    """Note every problem of the fields of a record type."""
    node = draft.nodes[record_type.name]
    if not node.listed("fields"):
        draft.add(node.at("fields"), "missing", N_("“{key}” is missing."), key="fields")
    _check_unique_names(draft, node.listed("fields"))
    scope = draft.scope(record_type.name)
    for field in record_type.fields:
        place = draft.field_nodes.get(field.id)
        if place is None:
            continue  # added by the product itself
        _check_field(draft, field, place, scope, reserved=RESERVED, siblings=record_type.fields)
        _check_conditions(draft, field, place, scope)
        if field.type == "table":
            _check_rows(draft, field, place, (record_type.name,))
        if field.name == "status" and record_type.document:
            _check_status(draft, field, place)


def _check_rows(draft: Draft, table: Field, node: Node, owner: tuple[str, ...]) -> None:
    """Note the problems of a table field's columns; `owner` leads to it from its record type."""
    nodes = {one.word("name"): one for one in node.listed("fields")}
    if not nodes:
        draft.add(node.at("fields"), "missing", N_("“{key}” is missing."), key="fields")
    if table.min_rows > table.max_rows:
        _contradiction(draft, node.at("min_rows"), "min_rows", "max_rows")
    _check_unique_names(draft, node.listed("fields"))
    place_name = ".".join(owner)
    scope = row_scope(draft.types, table, place_name)
    outward = column_scope(draft.types, table, place_name)
    for column in table.fields:
        place = nodes.get(column.name, node)
        if column.type == "table" and len(owner) > 1:
            text = N_("A table field stands in a record or in its rows, and no deeper.")
            draft.add(place.at("type"), "too_deep", text)
            continue
        check_column(draft, column, place, table)
        if column.mask:
            text = N_("A column has no mask of its own: its table is shown or hidden as a whole.")
            draft.add(place.at("mask"), "not_in_rows", text)
        _check_field(draft, column, place, scope, reserved=RESERVED_IN_ROWS, siblings=table.fields)
        _check_conditions(draft, column, place, outward)
        if column.type == "table":
            _check_rows(draft, column, place, (*owner, table.name))


def _check_unique_names(draft: Draft, nodes: list[Node]) -> None:
    seen: dict[str, Node] = {}
    for node in nodes:
        name = node.word("name")
        if name in seen:
            text = N_("The field {name} stands twice; first in line {line}.")
            place = node.at("name")
            draft.add(place, "duplicate_field", text, name=name[:80], line=seen[name].line)
        elif name:
            seen[name] = node


def _check_field(
    draft: Draft,
    field: Field,
    node: Node,
    scope: Scope,
    *,
    reserved: frozenset[str],
    siblings: Iterable[Field],
) -> None:
    _check_name(draft, field.name, node.at("name"), reserved)
    _check_fetch(draft, field, node, {one.name: one for one in siblings})
    _check_properties(draft, field, node)
    _check_relation(draft, field, node, scope)
    for check in _FIELD_CHECKS:
        check(draft, field, node)
    check_choices(draft, field, node, scope)
    _check_computed(draft, field, node, scope)


def is_field_name(name: str) -> bool:
    """Return whether a name has the form that fields' names have; Chinese ones do too."""
    return (
        name.isidentifier()
        and name == name.lower() == unicodedata.normalize("NFC", name)
        and not name.startswith("_")
        and "__" not in name
        and len(name.encode()) <= MAX_NAME_BYTES
    )


def _check_name(draft: Draft, name: str, place: Node, reserved: frozenset[str]) -> None:
    if name in reserved:
        draft.add(place, "reserved", N_("The name {name} is taken by the product."), name=name)
        return
    if not is_field_name(name):
        text = N_("A field's name is of small letters, digits and single _; not {name}.")
        draft.add(place, "bad_name", text, name=name[:80])


def allowed_properties(type_name: str) -> frozenset[str]:
    """Return the keys that mean something for a field of a type."""
    kind = field_type(type_name)
    allowed = _ALWAYS | kind.properties
    if not kind.computed:
        allowed |= _WRITTEN
    if type_name not in NOT_INDEXED:
        allowed |= _INDEXED
    if type_name not in UNMASKED:
        allowed |= {"mask"}
    return allowed


def _check_properties(draft: Draft, field: Field, node: Node) -> None:
    """Refuse properties that mean nothing for the field's type, which nobody would notice."""
    allowed = allowed_properties(field.type)
    declared = node.word("type")
    if field.fetch_mode == "live" and declared in field_type_names():
        # It is declared as what it shows, and stored nowhere.
        allowed |= field_type(declared).properties | {"fetch_from", "fetch_mode"}
    for key, place in node.keys.items():
        if key in Field.__struct_fields__ and key not in allowed:
            text = N_("“{key}” means nothing for a field of type {type}.")
            draft.add(place, "not_for_type", text, key=key, type=field.type)
    if (field.unique or field.index) and field.type in {"formula", "rollup"} and not field.stored:
        place = node.at("unique" if field.unique else "index")
        draft.add(place, "not_stored", N_("The value is not stored, so it has no index."))


def _contradiction(draft: Draft, node: Node, less: str, more: str) -> None:
    text = N_("{less} is greater than {more}.")
    draft.add(node, "contradiction", text, less=less, more=more)


def _check_bounds(draft: Draft, field: Field, node: Node) -> None:
    """Check min, max, lengths, pattern and currency, each with the field's own reader."""
    kind = field_type(field.type)
    bounds = {}
    for key in ("min", "max"):
        stated = getattr(field, key)
        if stated is None or key not in kind.properties:
            continue
        try:
            bare = Field(id="", name="", type=field.type, precision=field.precision)
            bounds[key] = kind.load(stated, bare)
        except FieldError as error:
            draft.add(node.at(key), "bad_bound", error.text, **error.params)
    if len(bounds) > 1 and bounds["min"] > bounds["max"]:
        _contradiction(draft, node.at("min"), "min", "max")
    if field.max_length is not None and (field.min_length or 0) > field.max_length:
        _contradiction(draft, node.at("min_length"), "min_length", "max_length")
    _check_forms(draft, field, node)


def _check_forms(draft: Draft, field: Field, node: Node) -> None:
    """Check that the pattern is one and that the currency has the form of one."""
    if field.pattern:
        try:
            compile_pattern(field.pattern)
        except ValueError as error:
            text = N_("This pattern cannot be read: {reason}.")
            draft.add(node.at("pattern"), "bad_pattern", text, reason=str(error))
    if field.currency and not _CURRENCY.fullmatch(field.currency):
        text = N_("A currency has three capital letters, such as CNY.")
        draft.add(node.at("currency"), "bad_currency", text)


def _check_files(draft: Draft, field: Field, node: Node) -> None:
    """Check which files a field takes."""
    if field.max_size:
        try:
            size_in_bytes(field.max_size)
        except ValueError:
            text = N_("A size is a whole number with KB or MB, at most 50 MB.")
            draft.add(node.at("max_size"), "bad_size", text)
    for at, media in enumerate(field.accept):
        if not is_media_range(media):
            text = N_("“{type}” is not a media type such as application/pdf or image/*.")
            draft.add(node.at("accept", at), "bad_media_type", text, type=media[:80])
    if field.type in FILE_TYPES and field.default is not None:
        text = N_("A file cannot be a default.")
        draft.add(node.at("default"), "not_for_type", text)


def _check_relation(draft: Draft, field: Field, node: Node, scope: Scope) -> None:
    if field.type in {"link", "links", "department"}:
        if not field.target:
            draft.add(node, "missing", N_("“{key}” is missing."), key="target")
        elif field.target not in draft.types:
            place = node.at("type" if field.type == DEPARTMENTS else "target")
            draft.add_unknown(place, "type", field.target, draft.types)
        elif field.filter:
            over = cascading_scope(draft.scope(field.target), scope)
            draft.expression(node.at("filter"), field.filter, over)
        if field.required and field.on_delete == "set_null":
            text = N_("A required link cannot be emptied when its target is deleted.")
            draft.add(node.at("on_delete"), "contradiction", text)
    elif field.type == "backlink":
        _check_backlink(draft, field, node)
        check_offers(draft, field, node, scope)


def _check_scope(draft: Draft, field: Field, node: Node) -> None:
    """Check that what a condition or expression is about exists."""
    if "scope" not in field_type(field.type).properties:
        return
    if not field.scope:
        draft.add(node, "missing", N_("“{key}” is missing."), key="scope")
    elif named_scope(draft.types, field.scope) is None:
        names = [*TILL_SCOPES, *draft.types, *_table_scopes(draft)]
        draft.add_unknown(node.at("scope"), "type", field.scope, names)


def _table_scopes(draft: Draft) -> list[str]:
    return [f"{name}.{path}" for name, one in draft.types.items() for path, _ in tables_of(one)]


def _check_backlink(draft: Draft, field: Field, node: Node) -> None:
    name, _, link = field.of.partition(".")
    place = node.at("of")
    if not link:
        text = N_("A backlink says TYPE.FIELD, such as order.member.")
        draft.add(place, "bad_backlink", text)
    elif name not in draft.types:
        draft.add_unknown(place, "type", name, draft.types)
    else:
        found = draft.types[name].field(link)
        if found is None:
            names = [one.name for one in draft.types[name].fields]
            draft.add_unknown(place, "field", link, names)
        elif found.type not in {"link", "links"} or not _points_to(draft, found, field):
            text = N_("{of} is not a link to this record type.")
            draft.add(place, "bad_backlink", text, of=field.of)


def _points_to(draft: Draft, link: Field, backlink: Field) -> bool:
    target = draft.types.get(link.target)
    return target is not None and any(one.id == backlink.id for one in target.fields)


def _check_sequence(draft: Draft, field: Field, node: Node) -> None:
    if field.type != "sequence":
        return
    place = node.at("number")
    parts = _DATE_PART.findall(field.number)
    wrong = [part for part in parts if part not in _DATE_PARTS]
    if len(_COUNTER.findall(field.number)) != 1 or wrong:
        text = N_("A number has one counter {example} and otherwise {parts}.")
        draft.add(place, "bad_number", text, example="{0000}", parts="{yyyy} {yy} {mm} {dd}")
    elif not all(any(part.startswith(it) for part in parts) for it in _NEEDED_PARTS[field.reset]):
        text = N_("A number that starts over {reset} must show when, or it comes twice.")
        draft.add(place, "bad_number", text, reset=field.reset)


def _check_default(draft: Draft, field: Field, node: Node) -> None:
    kind = field_type(field.type)
    if field.default is None or kind.computed:
        return
    place = node.at("default")
    if field.default_expr:
        text = N_("Either a default or a default_expr.")
        draft.add(place, "contradiction", text)
    try:
        kind.load(field.default, field)
    except FieldError as error:
        draft.add(place, "bad_default", error.text, **error.params)


def _check_fetch(draft: Draft, field: Field, node: Node, siblings: Mapping[str, Field]) -> None:
    """Check that what a field takes over from a link exists and fits."""
    place = node.at("fetch_from")
    if field.fetch_mode and not field.fetch_from:
        draft.add(node, "missing", N_("“{key}” is missing."), key="fetch_from")
        return
    link_name, _, name = field.fetch_from.partition(".")
    link = siblings.get(link_name)
    if not field.fetch_from or (field.type == "lookup" and not field.result):
        return  # nothing to take over, or said already where lookups are
    if link is None or link.type not in SINGLE_LINKS or not name:
        text = N_("fetch_from says LINK.FIELD, such as member.phone.")
        draft.add(place, "bad_fetch", text)
        return
    target = draft.types.get(link.target)
    taken = target.field(name) if target else None
    if target is not None and taken is None:
        draft.add_unknown(place, "field", name, [one.name for one in target.fields])
    elif taken is not None and not _takes(field, node.word("type"), taken):
        text = N_("A field of type {type} cannot take over {name}.")
        draft.add(place, "fetch_type", text, type=node.word("type"), name=name)


def _takes(field: Field, declared: str, taken: Field) -> bool:
    """Return whether values of one field fit into another."""
    kind = taken.result or taken.type
    if declared == kind:
        return kind not in {"secret", "table", "links"} and field.target == taken.target
    is_text = declared in {"text", "long_text"} and kind in TEXT_TYPES | {"long_text", "url"}
    is_number = {declared, kind} <= {"integer", "decimal", "money", "rate", "percent", "rating"}
    return field.type != "lookup" and (is_text or is_number)


_FIELD_CHECKS = (
    _check_bounds,
    _check_files,
    _check_scope,
    _check_sequence,
    _check_default,
)


def _check_conditions(draft: Draft, field: Field, node: Node, scope: Scope) -> None:
    for key in _CONDITIONS:
        text = getattr(field, key)
        if text and key in node.entries:
            draft.expression(node.at(key), text, scope)
    if field.type in {"select", "multi_select"}:
        check_options_when(draft, field, node, scope, field.options)


def _check_computed(draft: Draft, field: Field, node: Node, scope: Scope) -> None:
    """Compile what gives a field its value, from its own record or row alone."""
    if field.default_expr:
        expected = field_type(field.type).expression_type(field).kind
        draft.expression(node.at("default_expr"), field.default_expr, scope, expected)
    if field.type == "rollup" and field.filter:
        _check_rollup_filter(draft, field, node)


def _check_rollup_filter(draft: Draft, field: Field, node: Node) -> None:
    """Compile a rollup's filter over what it rolls up."""
    owner, siblings = _place_of(draft, field)
    over = next((one for one in siblings if one.name == field.of), None)
    if over is None:
        return
    if over.type == "table":
        scope = row_scope(draft.types, over, owner)
    else:
        scope = draft.scope(over.target or over.of.partition(".")[0])
    draft.expression(node.at("filter"), field.filter, scope)


def _place_of(draft: Draft, field: Field) -> tuple[str, tuple[Field, ...]]:
    """Return the scope's name in which a field stands, `TYPE` or `TYPE.TABLE`, and its fields."""
    for name, record_type in draft.types.items():
        if field in record_type.fields:
            return name, record_type.fields
        for path, table in tables_of(record_type):
            if field in table.fields:
                return f"{name}.{path}", table.fields
    return "", ()


def _check_status(draft: Draft, field: Field, node: Node) -> None:
    """A document that declares its own status must have every state that flows use."""
    values = {option.value for option in field.options}
    for state in ("draft", "submitted", "effective", "rejected", "void"):
        if field.type != "select" or state not in values:
            text = N_("The status of a document is a select with the option {state}.")
            draft.add(node, "bad_status", text, state=state)
            return
