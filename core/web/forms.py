"""A record type's form: what a template draws.

Names of controls are paths, `lines.0.rate`; what is parsed from them is exactly
what REST takes, so that both doors end in the same operation with the same texts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

from markupsafe import Markup

from core.i18n import pick, translate
from core.policies.masks import is_masked
from core.schema.fieldtypes import field_type, is_switched_on, is_written
from core.schema.model import Field, RecordType, Section
from core.schema.richtext import cleaned
from core.schema.structuretypes import StructureType
from core.web.display import (
    NUMBERS,
    WIDE,
    Reading,
    field_label,
    is_badge,
    local_input,
    option_tone,
    rate_text,
    value_text,
)
from core.web.filefields import FileLimits, file_limits, named_files

#: Field types nobody writes.
COMPUTED = frozenset({"formula", "lookup", "rollup", "backlink", "sequence"})

#: Field types with one `input` element -> its type attribute.
INPUTS = {
    "text": "text",
    "email": "email",
    "phone": "tel",
    "url": "url",
    "date": "date",
    "time": "time",
    "datetime": "datetime-local",
    "color": "color",
    "barcode": "text",
    "duration": "text",
}


#: Controls that can be written over without showing what they hold.
_BLIND = frozenset(
    {"text", "long_text", "email", "phone", "url", "date", "datetime", "time", "integer"}
    | {"decimal", "money", "rate", "percent", "duration", "barcode"}
)


@dataclass(slots=True)
class Control:
    """One field as a form draws it."""

    field: Field
    path: str
    label: str
    kind: str
    value: Any
    text: str
    is_editable: bool
    hint: str = ""
    help: str = ""
    unit: str = ""
    placeholder: str = ""
    href: str = ""
    is_wide: bool = False
    is_number: bool = False
    is_badge: bool = False
    is_masked: bool = False
    is_revealable: bool = False
    parts: list["Part"] = dataclass_field(default_factory=list)
    choices: list[tuple[str, str]] = dataclass_field(default_factory=list)
    picked: list[tuple[str, str]] = dataclass_field(default_factory=list)
    problems: list[str] = dataclass_field(default_factory=list)
    columns: list["Control"] = dataclass_field(default_factory=list)
    rows: list["Row"] = dataclass_field(default_factory=list)
    limits: FileLimits | None = None

    @property
    def is_open(self) -> bool:
        """Return whether the rows inside of a row are shown at once: something is wrong there."""
        return bool(_broken(self))

    @property
    def id(self) -> str:
        """Return the element id that labels and problem links point to."""
        return "f-" + self.path.replace(".", "-")

    @property
    def is_picker(self) -> bool:
        """Return whether its values are found by typing, among other records."""
        return bool(field_type(self.field.type).points or self.field.options_from)

    @property
    def takes_many(self) -> bool:
        """Return whether it holds a list of values."""
        return (
            self.kind in {"multi_select", "files"} or field_type(self.field.type).points == "many"
        )

    @property
    def markup(self) -> Markup:
        """Return formatted text as a page shows it: cleaned again, whatever the row holds."""
        return Markup(cleaned(str(self.value or "")))  # noqa: S704  nh3 cleaned it

    @property
    def tone(self) -> str:
        """Return the badge's tone of a chosen option."""
        return option_tone(self.field, self.value)

    @property
    def input_type(self) -> str:
        """Return the type attribute of the control's input element."""
        return INPUTS.get(self.kind, "text")


@dataclass(slots=True)
class Part:
    """One part of a structured value, with a control of its own."""

    name: str
    label: str
    value: str
    problems: list[str]


@dataclass(slots=True)
class Row:
    """One row of an editable child table."""

    id: str
    path: str
    cells: list[Control]
    problems: list[str]


@dataclass(slots=True)
class SectionView:
    """One section: a title and its controls in columns."""

    title: str
    columns: int
    controls: list[Control]
    key: str = ""


@dataclass(slots=True)
class TabView:
    """One tab of the form."""

    label: str
    key: str
    sections: list[SectionView]
    problems: int = 0


@dataclass(frozen=True, slots=True)
class FormRights:
    """Which fields a person sees and writes in this form.

    Attributes:
        viewable: fields shown as they are, or empty for a new record.
        masked: fields whose values are masks here; `revealable` are those that may be lifted.
    """

    viewable: frozenset[str]
    editable: frozenset[str]
    masked: frozenset[str] = frozenset()
    revealable: frozenset[str] = frozenset()


def form_tabs(
    record_type: RecordType,
    values: Mapping[str, Any],
    rights: FormRights,
    reading: Reading,
    *,
    problems: Mapping[str, list[str]] | None = None,
) -> list[TabView]:
    """Return the form of a record type filled with wire `values`."""
    by_name = {each.name: each for each in record_type.fields if each.type != "backlink"}
    drawing = Drawing(rights, reading, problems or {})
    tabs: list[TabView] = []
    for number, tab in enumerate(form_layout(record_type)):
        sections = [
            SectionView(
                title=pick(section.title, reading.locale),
                columns=section.columns,
                controls=[
                    drawing.control(by_name[name], name, values.get(name))
                    for name in section.fields
                    if name in by_name and name in rights.viewable | rights.masked
                ],
                key=f"{number}.{index}",
            )
            for index, section in enumerate(tab[1])
        ]
        sections = [section for section in sections if section.controls]
        if sections:
            view = TabView(tab[0](reading.locale), str(number), sections)
            view.problems = sum(_broken(c) for s in sections for c in s.controls)
            tabs.append(view)
    return tabs


def form_layout(record_type: RecordType) -> list[tuple[Any, list[Section]]]:
    """Return the layout with fields that no section names added to its last section."""
    named = {name for tab in record_type.layout for s in tab.sections for name in s.fields}
    rest = tuple(
        each.name
        for each in record_type.fields
        if each.name not in named
        and each.type != "backlink"
        and not each.deprecated
        and not (record_type.document and each.name == "status")
    )
    tabs = [
        (lambda locale, tab=tab: pick(tab.tab, locale), list(tab.sections))
        for tab in record_type.layout
    ]
    if not tabs:
        return [(lambda locale: pick(record_type.label, locale), [Section(fields=rest)])]
    if rest:
        tabs[0][1].append(Section(fields=rest))
    return tabs


def _broken(control_: Control) -> int:
    return len(control_.problems) + sum(
        len(row.problems) + sum(map(_broken, row.cells)) for row in control_.rows
    )


@dataclass(frozen=True, slots=True)
class Drawing:
    """What every control of one form depends on.

    Attributes:
        prefix: what the names of controls begin with, where a form holds others besides.
    """

    rights: FormRights
    reading: Reading
    problems: Mapping[str, list[str]]
    prefix: str = ""

    def control(self, field: Field, path: str, value: Any) -> Control:
        """Return one field of the form, or one cell of a child table."""
        reading, name = self.reading, path.removeprefix(self.prefix).partition(".")[0]
        made = Control(
            field=field,
            path=path,
            label=field_label(field, reading.locale),
            kind=field_type(field.type).widget or "text",
            value=value,
            text=value_text(field, value, reading),
            is_editable=name in self.rights.editable and is_written(field),
            help=pick(field.help, reading.locale),
            unit=field.currency if field.type == "money" else pick(field.unit, reading.locale),
            placeholder=pick(field.placeholder, reading.locale),
            is_wide=field.type in WIDE,
            is_number=(field.result or field.type) in NUMBERS,
            problems=self.problems.get(path, []),
            limits=file_limits(field),
        )
        if path in self.rights.masked and is_masked(value):
            # The mask stands beside the control, which is empty: so it changes nothing.
            made.is_masked, made.value = True, None
            made.is_revealable = path in self.rights.revealable
            made.is_editable = made.is_editable and made.kind in _BLIND
            made.limits = None
            return made
        _fill(made, reading)
        if made.limits:
            made.picked = named_files(_several(value), reading)
        if field.type == "table":
            self._fill_table(made)
        kind = field_type(field.type)
        if isinstance(kind, StructureType):
            held = value if isinstance(value, Mapping) else {}
            made.parts = [
                Part(
                    part,
                    translate(label, reading.locale),
                    str(held.get(part) or ""),
                    self.problems.get(f"{path}.{part}", []),
                )
                for part, label in kind.parts.items()
            ]
        return made

    def _fill_table(self, made: Control) -> None:
        columns = [column for column in made.field.fields if column.type != "backlink"]
        rows = made.value if isinstance(made.value, list) else []
        blank = Drawing(self.rights, self.reading, {})
        made.columns = [
            blank.control(
                column,
                f"{made.path}.0.{column.name}",
                # A switch always says something: a new row says what it says by default.
                True if is_switched_on(column) else None,
            )
            for column in columns
        ]
        for index, row in enumerate(rows):
            path = f"{made.path}.{index}"
            cells = [
                self.control(column, f"{path}.{column.name}", row.get(column.name))
                for column in columns
            ]
            found = self.problems.get(path, [])
            made.rows.append(Row(str(row.get("id") or ""), path, cells, found))


def _fill(made: Control, reading: Reading) -> None:
    """Add what a kind of control needs beyond its value."""
    field, value = made.field, made.value
    if made.kind == "rate":
        made.hint = rate_text(value, reading.locale)
    elif made.kind == "percent":
        made.unit = "%"
    elif made.kind == "datetime" and isinstance(value, str):
        made.value = local_input(value, reading.zone)
    elif field.options_from:
        made.picked = [(each, each) for each in _several(value)]
    elif made.kind in {"select", "multi_select"}:
        made.is_badge = made.kind == "select" and is_badge(field)
        chosen = value if isinstance(value, list) else [value]
        made.choices = [
            (option.value, pick(option.label, reading.locale, option.value))
            for option in field.options
            if not option.archived or option.value in chosen
        ]
    elif made.kind in {"role", "calendar"}:
        made.choices = list(reading.named.get(made.kind, {}).items())
    elif field.target:
        made.picked = [
            (each, reading.titles.get((field.target, each), each)) for each in _several(value)
        ]
        if made.kind == "link" and made.picked:
            made.href = f"/records/{field.target}/{made.picked[0][0]}"


def _several(value: Any) -> list[str]:
    """Return the keys that a picker holds, whether it takes one or many."""
    keys = value if isinstance(value, list) else [value]
    return [each for each in keys if isinstance(each, str) and each]
