"""What a published schema is, as immutable values that travel as JSON.

The loader makes these from YAML, layers are merged into them, a release stores
them, and everything else reads them. Nothing here knows YAML, Flask or SQL.
Names of attributes are the keys of the schema language.
"""

from typing import Any, Literal

import msgspec

from core.schema.accountkinds import AccountKind
from core.schema.automations import Automation
from core.schema.calendars import BusinessCalendar
from core.schema.changemodel import FieldChange, OnFailure
from core.schema.dashboards import Dashboard
from core.schema.decisiontables import DecisionTable
from core.schema.flows import Flow
from core.schema.modelbase import Label as Label  # noqa: PLC0414  others import it from here
from core.schema.modelbase import Model as Model  # noqa: PLC0414  others import it from here
from core.schema.prints import Print
from core.schema.rights import Policy


class Option(Model, frozen=True, kw_only=True):
    """One choice of a select field; archived ones stay readable but cannot be chosen.

    `was` is the value it had before, which stored values and expressions then follow.
    """

    value: str
    was: str = ""
    label: Label = {}
    color: str = ""
    archived: bool = False


class OptionSource(Model, frozen=True, kw_only=True):
    """Choices taken from another record type's rows: `value` names the field that is stored."""

    type: str
    value: str
    when: str = ""
    filter: str = ""


class Field(Model, frozen=True, kw_only=True):
    """One field of a record type.

    Attributes:
        id: immutable; storage, diffs and layers go by it.
        name: the column and API key.
        layer: who declared it: `core`, a plugin's name, or `site`.
        default: a plain JSON value in wire form.
        precision: digits after the point of a decimal (default by type).
        min: lower bound in wire form, as text; so is `max`.
        target: record type of a `link` or `links`.
        fields: the columns of a `table` field.
        archived_fields: columns of a `table` field no longer shown whose values are kept.
        of: `TYPE.FIELD` of a backlink; the table or backlink field of a rollup.
        offers: the select field of the records that a backlink finds; a record's page offers
            one more of them for each option, where `options_when` says so.
        take: the field a rollup aggregates.
        how: sum, count, avg, min or max.
        scope: what a `condition` or `expression` is about: a record type, `TYPE.TABLE`, or
            a sale at the till: `till:sale`, `till:line`.
        gives: kind of value that an `expression` must have; empty is any.
        through: the link that a `lookup` reads through; `field` is what it reads there.
        fetch_from: `LINK.FIELD` whose value is taken over when the link is set.
        fetch_mode: `snapshot` copies and locks, `if_empty` copies what is not filled in,
            `live` keeps no copy and shows the linked record's value.
        formula: expression of a `formula` field.
        sensitive: whose values are masked for everybody to whom no policy shows them in clear;
            those of a `secret` stay out of the history too.
        mask: what of a masked value is still shown; a field with one is masked as a sensitive
            one is.
        result: value type of a formula or rollup, found at publish: a field type's name.
        stored: whether a formula or rollup has a column (it reads nothing but its own record).
        copyable: a duplicate of the record takes the value over.
        number: pattern of a `sequence`, such as `CP-{yyyy}{mm}-{0000}`.
        reset: when a sequence starts over.
        accept: media types that a file field takes, such as `image/*`; empty takes all.
        max_size: the largest file it takes, such as `5 MB`.
        max_count: how many files a `files` field takes.
    """

    id: str
    name: str
    type: str
    layer: str = ""
    label: Label = {}
    help: Label = {}
    placeholder: Label = {}
    unit: Label = {}
    required: bool = False
    unique: bool = False
    no_reuse: bool = False
    set_once: bool = False
    copyable: bool = True
    searchable: bool = False
    index: bool = False
    sensitive: Literal["none", "pii", "secret"] = "none"
    mask: Literal["", "all", "first", "last4", "phone", "email", "year"] = ""
    default: Any = None
    default_expr: str = ""
    min: str | None = None
    max: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str = ""
    precision: int | None = None
    currency: str = ""
    options: tuple[Option, ...] = ()
    options_from: tuple[OptionSource, ...] = ()
    target: str = ""
    filter: str = ""
    on_delete: Literal["restrict", "set_null", "cascade"] = "restrict"
    fields: tuple["Field", ...] = ()
    archived_fields: tuple["Field", ...] = ()
    min_rows: int = 0
    max_rows: int = 1000
    of: str = ""
    offers: str = ""
    take: str = ""
    how: Literal["", "sum", "count", "avg", "min", "max"] = ""
    through: str = ""
    field: str = ""
    fetch_from: str = ""
    fetch_mode: Literal["", "snapshot", "if_empty", "live"] = ""
    scope: str = ""
    gives: Literal["", "text", "number", "boolean", "date", "time", "datetime", "duration"] = ""
    formula: str = ""
    result: str = ""
    stored: bool = False
    number: str = ""
    reset: Literal["never", "yearly", "monthly", "daily"] = "never"
    accept: tuple[str, ...] = ()
    max_size: str = ""
    max_count: int | None = None
    visible_when: str = ""
    required_when: str = ""
    read_only_when: str = ""
    options_when: dict[str, str] = {}
    when_hidden: Literal["keep", "clear", "reject"] = "keep"
    deprecated: bool = False


class Check(Model, frozen=True, kw_only=True):
    """A condition that every saved record meets; `message` says what is wrong when it does not.

    With the severity `warn` it is said and the record is saved.
    """

    check: str
    message: Label
    severity: Literal["error", "warn"] = "error"
    fields: tuple[str, ...] = ()


#: Doors that a rule can be for, in the words of the history.
DOORS = ("form", "api", "import", "bulk", "flow", "automation", "plugin", "cli")

Door = Literal["form", "api", "import", "bulk", "flow", "automation", "plugin", "cli"]


class Action(Model, frozen=True, kw_only=True):
    """One thing that a rule does while its condition holds; exactly one key besides its details.

    Attributes:
        set: the field that gets the value of the expression `to`.
        clear: fields that are emptied.
        require: fields that must be filled in.
        lock: fields that cannot be changed.
        show: fields that are hidden unless a rule shows them.
        limit_options: the select field that takes `options` only.
        error: why the record cannot be saved, told at `fields`.
        warn: what is told at `fields`; the record is saved.
    """

    set: str = ""
    to: str = ""
    clear: tuple[str, ...] = ()
    require: tuple[str, ...] = ()
    lock: tuple[str, ...] = ()
    show: tuple[str, ...] = ()
    limit_options: str = ""
    options: tuple[str, ...] = ()
    error: Label = {}
    warn: Label = {}
    fields: tuple[str, ...] = ()


#: What an action can do; each has one of these keys.
ACTION_KINDS = ("set", "clear", "require", "lock", "show", "limit_options", "error", "warn")


class Rule(Model, frozen=True, kw_only=True):
    """What holds while a condition does, beyond what single fields say.

    Attributes:
        on: `save` holds at every save; `change` sets and clears only when something that the
            rule reads was changed, so that people may overwrite it; `submit` is looked at when
            a document is sent into approval.
        when: the condition; empty is always.
        applies_to: doors for which the rule is; empty is every door.
    """

    name: str
    on: Literal["change", "save", "submit"] = "save"
    when: str = ""
    then: tuple[Action, ...]
    applies_to: tuple[Door, ...] = ()


class Stage(Model, frozen=True, kw_only=True):
    """What a record needs in one state of its life.

    Attributes:
        state: the option of `field` that it is about.
        require: fields that must be filled in while the record is in that state.
        lock: fields that cannot be changed any more in that state.
    """

    state: str
    field: str = "status"
    require: tuple[str, ...] = ()
    lock: tuple[str, ...] = ()


class UniqueTogether(Model, frozen=True, kw_only=True):
    """Fields whose combination is unique among live records (all records with `no_reuse`)."""

    fields: tuple[str, ...]
    no_reuse: bool = False


class DuplicateRule(Model, frozen=True, kw_only=True):
    """Fields by which two records are probably one: all are filled in, and mean the same.

    Case, width, blanks, punctuation and the ways to write a telephone number do not matter.
    Nothing is refused because of it: it is told.

    Attributes:
        fuzzy: those of the fields that need only be alike, as names with a letter wrong are.
    """

    fields: tuple[str, ...]
    fuzzy: tuple[str, ...] = ()


class DeleteRule(Model, frozen=True, kw_only=True):
    """When a record may be deleted, and what is said when it may not."""

    allow_when: str
    message: Label


class Section(Model, frozen=True, kw_only=True):
    """Fields shown together, in `columns` columns."""

    fields: tuple[str, ...]
    title: Label = {}
    columns: Literal[1, 2, 3, 4] = 2
    visible_when: str = ""


class Tab(Model, frozen=True, kw_only=True):
    """One tab of a form."""

    tab: Label
    sections: tuple[Section, ...]
    visible_when: str = ""


class ColorRule(Model, frozen=True, kw_only=True):
    """A colour for the records of a view for which `when` holds; the first that holds counts."""

    when: str
    color: str


class View(Model, frozen=True, kw_only=True):
    """A way to look at the records of a type.

    Attributes:
        sort: field names, descending with a leading `-`.
        group_by: field whose values make the groups of a list or the columns of a board;
            `FIELD.day`, `.week`, `.month`, `.quarter` and `.year` group a list by parts of a date.
        totals: field -> what is told of it for each group and for all.
        date_field: the date that a calendar shows records by.
        shared_with: roles that get the view; empty is everybody who sees the type.
    """

    name: str
    type: Literal["list", "kanban", "calendar"] = "list"
    label: Label = {}
    columns: tuple[str, ...]
    filter: str = ""
    sort: tuple[str, ...] = ()
    group_by: str = ""
    totals: dict[str, Literal["sum", "avg", "min", "max"]] = {}
    date_field: str = ""
    color_when: tuple[ColorRule, ...] = ()
    shared_with: tuple[str, ...] = ()


ConversionKind = Literal["retype", "merge", "split", "undo"]


class Conversion(Model, frozen=True, kw_only=True):
    """Values that moved between fields when a release was published.

    Attributes:
        release: the number of that release.
        table: id of the table field whose rows it is about; empty for the record itself.
        sources: the fields read, as they were; `ID@RELEASE` is where old values are kept.
        targets: the fields filled, as they became.
        options: old option -> new option.
        undoes: what a rollback takes back, the latest first.
    """

    release: int
    kind: ConversionKind
    table: str = ""
    sources: tuple[Field, ...]
    targets: tuple[Field, ...]
    separator: str = " "
    convert: dict[str, str] = {}
    options: dict[str, str] = {}
    on_failure: OnFailure = "reject"
    undoes: tuple["Conversion", ...] = ()


class RecordType(Model, frozen=True, kw_only=True):
    """A form and its table.

    Attributes:
        layer: who declared it: `core`, a plugin's name, or `site`.
        document: it takes effect only through an approved flow.
        soft_delete: delete keeps the row and sets `deleted_at`.
        archived_fields: fields no longer shown whose columns and values are kept.
        archived: the whole type is hidden; its table is kept.
        former: names it had before, by which its history knows it.
        changes: how stored values follow changes of the fields.
        conversions: what releases so far did to stored values, in order.
    """

    name: str
    id: str = ""
    layer: str = ""
    label: Label = {}
    label_plural: Label = {}
    icon: str = ""
    description: Label = {}
    title_field: str = ""
    menu: str = ""
    document: bool = False
    soft_delete: bool = True
    fields: tuple[Field, ...]
    checks: tuple[Check, ...] = ()
    rules: tuple[Rule, ...] = ()
    stages: tuple[Stage, ...] = ()
    unique_together: tuple[UniqueTogether, ...] = ()
    duplicates: tuple[DuplicateRule, ...] = ()
    delete: DeleteRule | None = None
    layout: tuple[Tab, ...] = ()
    views: tuple[View, ...] = ()
    policies: tuple[Policy, ...] = ()
    archived_fields: tuple[Field, ...] = ()
    archived: bool = False
    former: tuple[str, ...] = ()
    changes: tuple[FieldChange, ...] = ()
    conversions: tuple[Conversion, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names by which the history knows its records."""
        return (self.name, *self.former)

    def field(self, name: str) -> Field | None:
        """Return the field called `name`, or None."""
        return next((field for field in self.fields if field.name == name), None)


class Role(Model, frozen=True, kw_only=True):
    """A role that ships with the schema, which the security manager creates."""

    name: str
    label: Label = {}


class Position(Role, frozen=True, kw_only=True):
    """What people are at a store or in a department.

    Attributes:
        manages: whoever holds it leads those who work at that place and below it.
    """

    manages: bool = False


class Release(Model, frozen=True, kw_only=True):
    """The whole schema as one numbered, published, immutable state."""

    number: int
    types: dict[str, RecordType] = {}
    flows: dict[str, Flow] = {}
    policies: tuple[Policy, ...] = ()
    roles: tuple[Role, ...] = ()
    positions: tuple[Position, ...] = ()
    automations: dict[str, Automation] = {}
    prints: dict[str, Print] = {}
    dashboards: dict[str, Dashboard] = {}
    calendars: dict[str, BusinessCalendar] = {}
    decision_tables: dict[str, DecisionTable] = {}
    account_kinds: dict[str, AccountKind] = {}

    def type(self, name: str) -> RecordType | None:
        """Return the live (not archived) record type called `name`, or None."""
        found = self.types.get(name)
        return found if found and not found.archived else None


#: System columns that every record has; nobody writes them from outside.
SYSTEM_FIELDS = (
    "id",
    "version",
    "created_at",
    "created_by",
    "updated_at",
    "updated_by",
)

#: Further system columns of documents.
DOCUMENT_FIELDS = ("audited_at", "audit_seq")


def encode(model: Model) -> bytes:
    """Return a model as JSON bytes, keys in a fixed order."""
    return msgspec.json.encode(model, order="deterministic")


def decode_release(data: bytes | str) -> Release:
    """Return the release that `encode` wrote."""
    return msgspec.json.decode(data, type=Release)
