"""What is looked at again when an approved document takes effect (`at_apply`).

What was checked when it was submitted may not hold any more: the base moved, the condition
fails by now, another document of the same scope came into force. Documents with the same
conflict key take effect one after the other, so that each sees what the one before did.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from core.errors import Conflict, Problem
from core.i18n import N_
from core.records.children import attach
from core.schema.flows import NoOverlap
from core.schema.model import Field
from core.workflow import errors
from core.workflow.models import conflict
from core.workflow.run import Run
from core.workflow.subject import data_fields, is_same, moved

#: Longest conflict key that is kept as it is.
_KEY = 300
#: Overlapping documents that are named.
_MOST_TOLD = 10


class BaseMoved(Conflict):
    """What was approved would overwrite a value that changed in the meantime."""

    code = "flow.base_moved"
    text = N_("The document changed after this was proposed.")


class Overlaps(Conflict):
    """Another document in force shares its scope at the same time."""

    code = "flow.overlaps"
    text = N_("Another document in force is for the same at the same time.")


def serialise(run: Run) -> None:
    """Wait for other documents with the same conflict key to take effect or not."""
    at_apply = run.flow.at_apply
    key = at_apply.conflict_key
    if not key and at_apply.no_overlap is None:
        return
    value = run.world.value(key) if key else ""
    text = msgspec.json.encode([run.row["record_type"], value]).decode()[:_KEY]
    is_sqlite = run.connection.dialect.name == "sqlite"
    insert = (sqlite.insert if is_sqlite else postgresql.insert)(conflict)
    run.connection.execute(insert.values(key=text).on_conflict_do_nothing())
    run.connection.execute(
        sa.select(conflict.c.key).where(conflict.c.key == text).with_for_update()
    )


def recheck(run: Run) -> None:
    """Look at the base, the condition and the others again.

    Raises:
        SubjectChanged: what is stored is not what was voted on.
        BaseMoved: the live record has other values than when this was proposed.
        RequireFailed: the flow's condition does not hold any more.
        Overlaps: others in force share its scope.
    """
    if run.subject.hash != run.state.subject_hash:
        raise errors.SubjectChanged
    _check_base(run)
    if run.subject.proposal is not None and run.subject.proposal.voids:
        return  # what must hold in force keeps nothing from being taken out of it
    at_apply, require = run.flow.at_apply, run.flow.start.require
    if require and at_apply.recheck == "require" and not run.world.holds(require):
        errors.refuse(errors.RequireFailed, require=require)
    if at_apply.no_overlap is not None:
        _check_overlap(run, at_apply.no_overlap)


def _check_base(run: Run) -> None:
    found = run.subject.proposal
    if found is None:
        return
    live = run.subject.live
    collisions = [(name, found.base.get(name), live.get(name)) for name in moved(run.subject)]
    elsewhere = _moved_elsewhere(run)
    if run.flow.at_apply.base_moved == "block":
        collisions += elsewhere
    if collisions:
        text = N_("It was {base} when this was proposed and is {live} now.")
        raise BaseMoved(
            problems=[
                Problem(name, BaseMoved.code, text, {"base": _short(base), "live": _short(now)})
                for name, base, now in collisions
            ]
        )
    if elsewhere:
        run.note("rebase", detail={"fields": [name for name, _, _ in elsewhere]})


def _moved_elsewhere(run: Run) -> list[tuple[str, Any, Any]]:
    """Return (name, value when it was submitted, value now) of moved fields it does not touch."""
    found, live = run.subject.proposal, run.subject.live
    submitted = msgspec.json.decode(run.row["values"])
    touched = found.values if found is not None else {}
    return [
        (field.name, submitted.get(field.name), live.get(field.name))
        for field in data_fields(run.ctx.registry.record_type(run.record[0]))
        if field.name not in touched
        and field.name in submitted
        and not is_same(field, submitted.get(field.name), live.get(field.name))
    ]


def _short(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()[:200]


def _check_overlap(run: Run, rule: NoOverlap) -> None:
    """Refuse when others in force share the field at the same time.

    The others are told by their id alone: what they say is for those who may read them.
    """
    record_type = run.ctx.registry.record_type(run.record[0])
    of = record_type.field(rule.of)
    own = run.world.proposed
    mine = _parts(of, own.get(rule.of))
    if of is None or not mine:
        return
    hits = [
        other["id"]
        for other in _others(run, rule, own)
        if mine & _parts(of, other.get(rule.of))
    ]  # fmt: skip
    if not hits:
        return
    text = N_("It overlaps with another document in force.")
    raise Overlaps(
        problems=[
            Problem(
                rule.of, Overlaps.code, text,
                {"record": one, "link": f"/records/{record_type.name}/{one}"},
            )
            for one in hits[:_MOST_TOLD]
        ]
    )  # fmt: skip


def _others(run: Run, rule: NoOverlap, own: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """Return the other documents that the rule is about, in force at the same time."""
    type_name, record_id = run.record
    tables = run.ctx.registry.tables[run.ctx.registry.record_type(type_name).name]
    main = tables.main
    conditions = [main.c.id != record_id, main.c.deleted_at.is_(None)]
    conditions += [main.c[name] == value for name, value in rule.among.items()]
    if len(rule.during) == 2:  # noqa: PLR2004  from and to
        first, last = (main.c[name] for name in rule.during)
        begin, end = (own.get(name) for name in rule.during)
        # Days are inclusive; an instant that one ends at is free for the next.
        if end is not None:
            meets = first < end if isinstance(end, datetime) else first <= end
            conditions.append(sa.or_(first.is_(None), meets))
        if begin is not None:
            meets = last > begin if isinstance(begin, datetime) else last >= begin
            conditions.append(sa.or_(last.is_(None), meets))
    rows = [
        dict(row)
        for row in run.connection.execute(sa.select(main).where(*conditions)).mappings()
    ]  # fmt: skip
    if rule.of in tables.children or rule.of in tables.links:
        attach(run.connection, run.ctx.registry, type_name, rows, [rule.of])
    return rows


def _parts(field: Field | None, value: Any) -> frozenset[str]:
    """Return what a value names, part by part; an empty one names nothing."""
    if value is None or value == "" or field is None:
        return frozenset()
    if field.type == "table":
        return frozenset(
            str(sorted((name, str(it)) for name, it in row.items() if name not in _OWN))
            for row in value
        )
    if isinstance(value, list | tuple | set | frozenset):
        return frozenset(map(str, value))
    return frozenset({str(value)})


#: What two rows of a table field never share.
_OWN = frozenset({"id", "position", "record_id", "row_id"})
