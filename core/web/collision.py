"""Two people editing one record: merge what does not collide, show what does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.context import Context
from core.records.history import record_history
from core.records.past import values_at
from core.records.queries import get_record
from core.records.wire import to_wire
from core.schema.model import RecordType
from core.web.display import value_text
from core.web.formvalues import same_value
from core.web.reading import label_of, make_reading
from core.web.rowmerge import merge_rows


@dataclass(frozen=True, slots=True)
class Collision:
    """A field that this form and somebody else changed to different values."""

    path: str
    label: str
    theirs: str
    mine: str
    value: Any
    who: str
    at: str


@dataclass(frozen=True, slots=True)
class Merged:
    """What remains to be saved on the newer version.

    Attributes:
        version: the record's version now.
        changes: what this form changes and nobody else did.
        others: what somebody else changed and this form did not, as it is now.
    """

    version: int
    changes: dict[str, Any]
    others: dict[str, Any]
    collisions: list[Collision]

    def wire(self) -> list[dict[str, Any]]:
        """Return the collisions as JSON values."""
        return [
            {
                "path": each.path,
                "label": each.label,
                "theirs": each.theirs,
                "mine": each.mine,
                "value": each.value,
                "who": each.who,
                "at": each.at,
            }
            for each in self.collisions
        ]

    def others_wire(self, ctx: Context, record_type: RecordType) -> dict[str, Any]:
        """Return the others' plain values with their texts, for the open form."""
        reading = make_reading(ctx, record_type.fields, [self.others])
        return {
            name: {"value": value, "text": value_text(field, value, reading)}
            for name, value in self.others.items()
            if (field := record_type.field(name)) and field.type != "table"
        }


def merge(
    ctx: Context,
    record_type: RecordType,
    record_id: str,
    posted: Mapping[str, Any],
    *,
    version: int,
) -> Merged:
    """Return how `posted`, begun on `version`, stands to the record as it is now."""
    current = to_wire(ctx.registry, record_type.name, get_record(ctx, record_type.name, record_id))
    since = _changed_since(ctx, record_type.name, record_id, version)
    merged = Merged(current["version"], {}, {}, [])
    earlier = _tables_before(ctx, record_type, current, since, version=version)
    reading = make_reading(ctx, record_type.fields, [current, posted])
    for name, value in posted.items():
        field = record_type.field(name)
        if field is None or same_value(field, value, current.get(name)):
            continue
        if name not in since:
            merged.changes[name] = value
            continue
        rows = None
        if name in earlier:
            rows = merge_rows(field, earlier[name], current.get(name) or [], value or [])
        if rows is not None:
            merged.changes[name] = rows
        elif name not in earlier and same_value(field, value, since[name].before):
            merged.others[name] = current.get(name)
        else:
            merged.collisions.append(
                Collision(
                    path=name,
                    label=label_of(record_type, name, ctx.locale),
                    theirs=value_text(field, current.get(name), reading),
                    mine=value_text(field, value, reading),
                    value=current.get(name),
                    who=since[name].who,
                    at=since[name].at,
                )
            )
    return merged


@dataclass(frozen=True, slots=True)
class _Since:
    """One field that somebody changed: what it was, and who changed it last."""

    before: Any
    who: str
    at: str


def _changed_since(
    ctx: Context, type_name: str, record_id: str, version: int
) -> dict[str, _Since]:
    found: dict[str, _Since] = {}
    for event in record_history(ctx, type_name, record_id):  # newest first
        if event["version"] <= version:
            break
        for name, change in event["changes"].items():
            latest = found.get(name)
            who, at = (latest.who, latest.at) if latest else (event["actor_name"], event["at"])
            # The oldest "before" is what the form began with; that of rows is worked out.
            found[name] = _Since(None if isinstance(change, dict) else change[0], who, at)
    return found


def _tables_before(
    ctx: Context,
    record_type: RecordType,
    current: Mapping[str, Any],
    since: Mapping[str, _Since],
    *,
    version: int,
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows that the changed table fields had at `version`."""
    names = {one.name for one in record_type.fields if one.type == "table" and one.name in since}
    if not names:
        return {}
    with ctx.reading() as connection:
        earlier = values_at(connection, ctx.registry, record_type, current, version)
    return {name: earlier[name] or [] for name in names if name in earlier}
