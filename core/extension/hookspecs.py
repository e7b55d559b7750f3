"""Every hook a plugin may implement, and the values that hooks are given.

A hook is named `guanxi_register_…` (its answer is collected at boot),
`guanxi_before_…` (it may refuse with a `UserError`, inside the transaction),
`guanxi_review_…` (what it finds is shown to people) or `guanxi_after_…` (it is told, after
the commit). An implementation takes only the
arguments it needs and is listed, with the record types it wants, in `manifest.yaml`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pluggy

from core.errors import Problem

if TYPE_CHECKING:
    from core.context import Context
    from core.extension.sales import Return, Sale
    from core.schema.actiontypes import PluginAction
    from core.schema.fieldtypes import FieldType
    from core.schema.recordfiles import RecordFile

PROJECT = "guanxi"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

Action = Literal["create", "update", "delete"]


@dataclass(slots=True)
class Change:
    """One record about to be written, as Python values; `values` may be changed.

    Attributes:
        record_id: the record's id, which a new one has already too.
        before: the stored record, or None on create.
        values: the whole record as it will be on create, what changes on update, empty on
            delete. What a hook puts here is validated like everything else.
        warnings: told to the person; they do not stop the save.
    """

    record_type: str
    action: Action
    record_id: str
    before: Mapping[str, Any] | None
    values: dict[str, Any]
    warnings: list[Problem] = field(default_factory=list)

    @property
    def after(self) -> dict[str, Any]:
        """Return the record as it will be: what is stored, with the change on top."""
        return {**(self.before or {}), **self.values}


@dataclass(frozen=True, slots=True)
class Document:
    """A document whose approved values are about to take effect.

    Attributes:
        before: its values in force until now; None when it never was effective.
        values: the whole document as it will be in force.
        sets: what a plugin has to say in the document when it takes effect, as Python values.
    """

    record_type: str
    record_id: str
    before: Mapping[str, Any] | None
    values: Mapping[str, Any]
    sets: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was committed, such as `record.created`; delivered at least once."""

    id: str
    topic: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Review:
    """What a plugin finds in a document before people decide on it.

    Attributes:
        level: `ok`, `note`, `warning`, or `refusal`, which keeps it from being submitted.
        title: one sentence in the reader's language; `detail` a paragraph below it.
        columns: heads of a table; `rows` its cells as text, none for no table.
        records: for each row the (record type, id) that it is about, where rows are about
            records; a page leads there, by the rights of whoever follows.
    """

    level: Literal["ok", "note", "warning", "refusal"]
    title: str
    detail: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    records: tuple[tuple[str, str], ...] = ()


@hookspec
def guanxi_register_field_types() -> "Sequence[FieldType]":  # type: ignore[empty-body]
    """Return field types that record types may then use."""


@hookspec
def guanxi_register_actions() -> "Sequence[PluginAction]":  # type: ignore[empty-body]
    """Return what automations may have the plugin do."""


@hookspec
def guanxi_register_files() -> "Sequence[RecordFile]":  # type: ignore[empty-body]
    """Return files that people may have made of records, such as those for a printer."""


@hookspec
def guanxi_before_save(ctx: "Context", change: Change) -> None:
    """Complete or refuse a record that is about to be created, changed or deleted."""


@hookspec
def guanxi_before_apply(ctx: "Context", document: Document) -> None:
    """Refuse an approved document that collides with what is in force by now."""


@hookspec
def guanxi_before_submit(ctx: "Context", document: Document) -> None:
    """Refuse a document that is about to be submitted for approval."""


@hookspec
def guanxi_review_document(ctx: "Context", document: Document) -> "Sequence[Review]":  # type: ignore[empty-body]
    """Return what people should know before they submit or decide on a document."""


@hookspec
def guanxi_before_quote(ctx: "Context", sale: "Sale") -> None:
    """Complete a sale at the till: who pays, what each line costs, which points it earns."""


@hookspec
def guanxi_before_sale(ctx: "Context", sale: "Sale", order_id: str) -> None:
    """Book what follows from a sale whose order was just written, or refuse it."""


@hookspec
def guanxi_before_return(ctx: "Context", giving_back: "Return") -> None:
    """Book what follows from a return before it is written, or refuse it."""


@hookspec
def guanxi_before_refund(ctx: "Context", giving_back: "Return") -> None:
    """Pay back what every plugin left of a return's refund, or refuse it."""


@hookspec
def guanxi_review_certificate(ctx: "Context", priced: Mapping[str, Any]) -> Sequence[str]:  # type: ignore[empty-body]
    """Recompute a plugin's part of a sale from the terms it noted; return what differs."""


@hookspec
def guanxi_after_event(ctx: "Context", event: Event) -> None:
    """Do what follows from a committed event; it may be told twice."""
