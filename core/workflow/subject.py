"""What a vote is for: the document as it would be, its hash, and its difference from now."""

import hashlib
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy.engine import Connection

from core.context import Context
from core.records.proposals import Proposal, find_proposal
from core.records.wire import to_wire
from core.schema.fieldtypes import field_type
from core.schema.flows import Flow
from core.schema.model import Field, RecordType

Wire = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Subject:
    """A document before a vote.

    Attributes:
        live: its values in force, or as stored when it never was in force; wire form.
        proposed: its values as they would be; wire form.
        proposal: the proposed change of an effective document, else None.
        hash: of what is voted on.
    """

    live: Wire
    proposed: Wire
    proposal: Proposal | None
    hash: str


def data_fields(record_type: RecordType) -> list[Field]:
    """Return the fields that people fill in, which are what an approval is about."""
    return [
        field
        for field in record_type.fields
        if field.name != "status"
        and field.sensitive != "secret"
        and not field_type(field.type).computed
    ]


def make_subject(
    record_type: RecordType, flow: Flow, live: Mapping[str, Any], found: Proposal | None
) -> Subject:
    """Return the subject of a flow on a document whose stored wire values are `live`."""
    names = [field.name for field in data_fields(record_type)]
    if found is not None and found.voids:
        names.append("status")
    stored = {name: live.get(name) for name in names}
    changes = {} if found is None else found.values
    proposed = {name: changes.get(name, value) for name, value in stored.items()}
    voted = {*flow.subject, "status"} if flow.subject else set(names)
    # A change is voted on as a change: fields it does not touch may move meanwhile.
    asked = proposed if found is None else changes
    body = {
        "type": record_type.name,
        "id": live["id"],
        "values": {
            name: asked[name]
            for name in names
            if name in voted
            and name in asked
            # A field that a release adds is empty, and changes nothing of what was shown.
            and (found is not None or asked[name] not in (None, []))
        },
        "base": {} if found is None else found.base,
    }
    encoded = msgspec.json.encode(body, order="sorted")
    return Subject(stored, proposed, found, hashlib.sha256(b"subj1" + encoded).hexdigest())


def read_subject(
    ctx: Context,
    connection: Connection,
    type_name: str,
    *,
    flow: Flow,
    record: Mapping[str, Any],
) -> Subject:
    """Return the subject as it is stored now; `record` is the whole record."""
    registry = ctx.registry
    return make_subject(
        registry.record_type(type_name),
        flow,
        to_wire(registry, type_name, record),
        find_proposal(connection, type_name, record["id"]),
    )


def moved(subject: Subject) -> list[str]:
    """Return the fields whose live value changed since the proposal was made, to another one.

    Fields that the proposal does not touch may have moved; they keep their live value.
    """
    found = subject.proposal
    if found is None:
        return []
    return [
        name
        for name, value in found.values.items()
        if subject.live.get(name) not in (found.base.get(name), value)
    ]


def difference(
    record_type: RecordType,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any],
    *,
    visible: Container[str],
) -> tuple[list[Wire], list[Wire]]:
    """Return what changes and what stays, field by field, in the order of the form.

    Args:
        record_type: whose fields they are.
        before: the values in force; None for a document that never was.
        after: the values as they would be.
        visible: names of the fields that the reader may see.
    """
    changes: list[Wire] = []
    same: list[Wire] = []
    for field in _compared(record_type, before, after):
        if field.name not in visible:
            continue
        old = None if before is None else before.get(field.name)
        new = after.get(field.name)
        entry: Wire = {"field": field.name, "label": dict(field.label), "type": field.type}
        if is_same(field, old, new):
            if new not in (None, []):
                same.append(entry | {"value": new})
            continue
        entry |= {"before": old, "after": new}
        if field.type == "table":
            entry["rows"] = _row_changes(old or [], new or [])
            entry["columns"] = [
                {"field": column.name, "label": dict(column.label), "type": column.type}
                for column in field.fields
            ]
        changes.append(entry)
    return changes, same


def _compared(
    record_type: RecordType, before: Mapping[str, Any] | None, after: Mapping[str, Any]
) -> list[Field]:
    """Return the fields that are compared: the status too where it is what changes."""
    fields = data_fields(record_type)
    status = record_type.field("status")
    if status is not None and "status" in after and "status" in (before or {}):
        fields.insert(0, status)
    return fields


def changed_cells(change: Mapping[str, Any]) -> Iterator[tuple[str, object, object]]:
    """Yield what differs in an entry of `difference`: path, before and after.

    Of a row that stays each cell that changed, under `FIELD.ROW.COLUMN`; a row that comes
    or goes is told whole, by what it holds.
    """
    name = change["field"]
    if change["type"] != "table":
        yield name, change["before"], change["after"]
        return
    for row in change["rows"]:
        before, after = row["before"], row["after"]
        at = f"{name}.{(after or before).get('id')}"
        if row["change"] == "changed":
            for column in after:
                if before.get(column) != after[column]:
                    yield f"{at}.{column}", before.get(column), after[column]
        elif row["change"] != "same":
            yield at, _held(before), _held(after)


def _held(row: Mapping[str, Any] | None) -> str | None:
    """Return what a row holds as one text."""
    if row is None:
        return None
    return ", ".join(
        str(value) for name, value in row.items() if name != "id" and value not in (None, "", [])
    )


def is_same(field: Field, old: object, new: object) -> bool:
    """Return whether two wire values of a field are the same; rows by what they hold."""
    if field.type == "table":
        return _plain_rows(old) == _plain_rows(new)
    return bool(old == new or (old in (None, []) and new in (None, [])))


def _plain_rows(value: object) -> list[Wire]:
    return [_plain(row) for row in value] if isinstance(value, list) else []


def _plain(row: Mapping[str, Any]) -> Wire:
    return {
        # Only the rows of a table field inside this one are objects in a list.
        name: _plain_rows(value) if _is_rows(value) else value
        for name, value in row.items()
        if name != "position"
    }


def _is_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _row_changes(old: Iterable[Mapping[str, Any]], new: Iterable[Mapping[str, Any]]) -> list[Wire]:
    """Return each row with what becomes of it; removed ones come last."""
    before = {row.get("id"): _plain(row) for row in old}
    rows: list[Wire] = []
    for row in new:
        after, known = _plain(row), before.pop(row.get("id"), None)
        if known is None:
            rows.append({"change": "added", "before": None, "after": after})
        else:
            change = "same" if known == after else "changed"
            rows.append({"change": change, "before": known, "after": after})
    return rows + [{"change": "removed", "before": row, "after": None} for row in before.values()]
