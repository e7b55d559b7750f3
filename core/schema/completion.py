"""Fills in what nobody needs to write: precisions, a document's status, layout, a first view."""

import msgspec

from core.schema.fieldtypes import field_type, field_type_names
from core.schema.model import Field, Option, RecordType, Section, Tab, View
from core.schema.numbertypes import DecimalType
from core.schema.peopletypes import DEPARTMENTS, USERS

#: States of a document, in the order it passes through them.
DOCUMENT_STATES = ("draft", "submitted", "effective", "rejected", "void")

_STATE_LABELS = {
    "draft": ({"zh": "草稿", "en": "Draft"}, "gray"),
    "submitted": ({"zh": "审核中", "en": "Submitted"}, "blue"),
    "effective": ({"zh": "生效", "en": "Effective"}, "green"),
    "rejected": ({"zh": "已拒绝", "en": "Rejected"}, "red"),
    "void": ({"zh": "作废", "en": "Void"}, "gray"),
}
_BASICS = {"zh": "基本", "en": "Basics"}
_ALL = {"zh": "全部", "en": "All"}
_FIRST_VIEW_COLUMNS = 6
_NOT_IN_LISTS = frozenset(
    {"table", "links", "backlink", "long_text", "json", "rich_text", "secret"}
)


def complete_type(declared: RecordType) -> RecordType:
    """Return a declared record type with everything that can be left out filled in."""
    fields = tuple(_with_details(one) for one in declared.fields)
    if declared.document and all(one.name != "status" for one in fields):
        status = _status(declared)
        fields = (*fields, status)
        # The release before had it, no file declares it: it is not put away for that.
        away = tuple(one for one in declared.archived_fields if one.id != status.id)
        declared = msgspec.structs.replace(declared, archived_fields=away)
    made = msgspec.structs.replace(declared, fields=fields)
    return msgspec.structs.replace(made, layout=_layout(made), views=_views(made))


def _with_details(field: Field) -> Field:
    """Return a field with what its type settles stated, so that no reader needs to know it."""
    if field.fetch_from:
        field = _fetching(field)
    if field.fields:
        rows = tuple(_with_details(one) for one in field.fields)
        return msgspec.structs.replace(field, fields=rows)
    if field.type not in field_type_names():
        return field
    kind = field_type(field.type)
    if isinstance(kind, DecimalType) and field.precision is None:
        return msgspec.structs.replace(field, precision=kind.precision(field))
    if field.type in _TARGETS:
        return msgspec.structs.replace(field, target=_TARGETS[field.type])
    if field.type == "secret":
        return msgspec.structs.replace(field, sensitive="secret")
    return field


#: Field types that always point to the same.
_TARGETS = {"user": USERS, "users": USERS, "department": DEPARTMENTS}


def _fetching(field: Field) -> Field:
    """Return a field that takes its value from a link; a live one is a lookup."""
    if field.fetch_mode != "live":
        return msgspec.structs.replace(field, fetch_mode=field.fetch_mode or "snapshot")
    link, _, name = field.fetch_from.partition(".")
    return msgspec.structs.replace(field, type="lookup", through=link, field=name, required=False)


def _status(declared: RecordType) -> Field:
    """Return the field that says where a document stands; only its flow writes it."""
    options = tuple(
        Option(value=state, label=_STATE_LABELS[state][0], color=_STATE_LABELS[state][1])
        for state in DOCUMENT_STATES
    )
    return Field(
        id=f"{declared.layer}.{declared.name}.status",
        name="status",
        type="select",
        layer=declared.layer,
        label={"zh": "状态", "en": "Status"},
        default="draft",
        options=options,
        index=True,
        read_only_when="true",
    )


def _layout(declared: RecordType) -> tuple[Tab, ...]:
    """Return the layout with the fields that it does not place added to its first tab."""
    placed = {
        name for tab in declared.layout for section in tab.sections for name in section.fields
    }
    rest = [one for one in declared.fields if one.name not in placed]
    if declared.document:
        rest = [one for one in rest if one.name != "status"]
    plain = tuple(one.name for one in rest if one.type not in {"table", "backlink"})
    wide = [one for one in rest if one.type in {"table", "backlink"}]
    sections = (
        *((Section(fields=plain),) if plain else ()),
        *(Section(fields=(one.name,), title=one.label, columns=1) for one in wide),
    )
    if not sections:
        return declared.layout
    first = declared.layout[0] if declared.layout else Tab(tab=_BASICS, sections=())
    first = msgspec.structs.replace(first, sections=(*first.sections, *sections))
    return (first, *declared.layout[1:])


def _views(declared: RecordType) -> tuple[View, ...]:
    """Return the views; one of everything when none is declared.

    A field that another layer added is shown at the end of the first view, unless a
    view names it: who adds a field to a form wants to see it in the list.
    """
    if declared.views:
        named = {name for view in declared.views for name in view.columns}
        added = tuple(
            one.name
            for one in declared.fields
            if one.layer != declared.layer
            and one.name not in named
            and one.type not in _NOT_IN_LISTS
        )
        first = declared.views[0]
        first = msgspec.structs.replace(first, columns=(*first.columns, *added))
        return (first, *declared.views[1:])
    shown = (one.name for one in declared.fields if one.type not in _NOT_IN_LISTS)
    names = list(dict.fromkeys(shown))
    if not names:
        return ()
    title = declared.title_field if declared.title_field in names else names[0]
    columns = (title, *(name for name in names if name != title))[:_FIRST_VIEW_COLUMNS]
    return (View(name="all", label=_ALL, columns=columns, sort=(title,)),)
