"""What can be done with records, for every door; each call is one transaction.

Values come in as they stand on the wire and go out as Python values; `to_wire` makes
JSON of them. A call inside a transaction that is under way joins it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import Invalid, Problem
from core.i18n import N_, pick, translate
from core.policies.access import Access, Sight, access
from core.records.children import attach
from core.records.creating import Batch, Outcome, insert_many, new_candidate
from core.records.deleting import remove_record
from core.records.environment import RecordEnv, has_computed
from core.records.past import Lost, earlier, writable
from core.records.projection import veil_of
from core.records.queries import read_back
from core.records.updating import Update, change_record
from core.records.validation import compile_validator
from core.records.wire import wire_of

Record = dict[str, Any]

#: Columns of a record's row that are the product's own.
_INTERNAL = ("release", "deleted_at", "chain", "events")

#: Longest reason that is told in a history.
MAX_REASON = 2_000


def create_record(ctx: Context, type_name: str, values: Any, *, reason: str = "") -> Record:
    """Create a record and return it as its creator sees it.

    Raises:
        Forbidden: the actor may not create it, or not with these fields.
        Invalid: it breaks rules; `problems` names them all.
        Taken: another record has one of its unique values.
    """
    with ctx.writing() as connection:
        outcome = insert_many(ctx, type_name, [values], reason=reason)[0]
        if not isinstance(outcome, dict):
            raise outcome
        return _seen(ctx, connection, type_name, outcome)


def create_many(
    ctx: Context, type_name: str, items: Sequence[Any], *, reason: str = ""
) -> list[Outcome]:
    """Create many records at once; return each, as its creator sees it, or its refusal.

    Raises:
        Forbidden: the actor may create none.
    """
    rights = access(ctx, type_name)
    outcomes = insert_many(ctx, type_name, items, reason=reason)
    return [
        _stripped(ctx, rights, one, _surest(rights)) if isinstance(one, dict) else one
        for one in outcomes
    ]


def update_record(
    ctx: Context,
    type_name: str,
    record_id: str,
    changes: Any,
    *,
    version: int | None,
    reason: str = "",
) -> Record:
    """Change a record and return it; an effective document gets or changes its proposal.

    `version` is the one the caller has seen; None takes any, for callers inside the product.

    Raises:
        NotFound: it is not there for this actor.
        Forbidden: the actor may not edit it, or not these fields.
        StaleVersion: somebody saved in between.
        Invalid: it would break rules; `problems` names them all.
        Conflict: it waits for approval, or another record has a unique value.
    """
    with ctx.writing() as connection:
        row = change_record(ctx, type_name, record_id, changes, version=version, reason=reason)
        tables = ctx.registry.tables[type_name]
        if row is None or tables.children or tables.links:
            return read_back(ctx, type_name, record_id)
        return _seen(ctx, connection, type_name, row)


def delete_record(
    ctx: Context, type_name: str, record_id: str, *, version: int | None, reason: str = ""
) -> None:
    """Delete a record, softly where its type says so.

    Raises:
        NotFound: it is not there for this actor.
        Forbidden: the actor may not delete it.
        StaleVersion: somebody saved in between.
        InUse: others point to it, or the type's rule forbids it.
    """
    remove_record(ctx, type_name, record_id, version=version, reason=reason)


def restore_record(
    ctx: Context,
    type_name: str,
    record_id: str,
    *,
    to_version: int,
    version: int | None = None,
    reason: str = "",
) -> Record:
    """Take a record back to the values of an earlier version; a deleted one lives again.

    Going back is a change like any other: the same rights and rules, a new version;
    an effective document gets a proposal. Values follow their fields through the releases
    since; what has no place any more is told among the context's warnings.

    Args:
        ctx: the context.
        type_name: the record's type.
        record_id: the record.
        to_version: the version to go back to.
        version: the version the caller has seen; None takes any.
        reason: told in the history.

    Raises:
        NotFound: it is not there for this actor, or never had that version.
        Invalid: the reason is over `MAX_REASON`, or the values break a rule of today.
        Taken: another record has taken one of its unique values meanwhile.
    """
    if len(reason) > MAX_REASON:
        text = N_("At most {limit} characters; this has {length}.")
        params = {"limit": MAX_REASON, "length": len(reason)}
        raise Invalid(problems=[Problem("reason", "field.too_long", text, params)])
    rights = access(ctx, type_name)
    with ctx.writing() as connection:
        update = Update(ctx, connection, rights)
        stored = dict(update.lock(record_id, version, deleted=True))
        if stored["deleted_at"] is not None:
            rights.require("delete")
        tables = ctx.registry.tables[type_name]
        attach(connection, ctx.registry, type_name, [stored], (*tables.children, *tables.links))
        wire = wire_of(ctx.registry, type_name)
        current = wire.record(stored)
        then = earlier(connection, ctx.registry, rights.record_type, current, to_version)
        changes = writable(rights.record_type, then.values)
        for name in tables.children:
            if name in changes:
                inner = wire.inner.get(name, ())
                changes[name] = _known_rows(changes[name], stored[name], inner)
        update.apply(changes, "restore", reason)
        ctx.warnings.extend(_told_lost(ctx, one) for one in then.lost)
        return read_back(ctx, type_name, record_id)


def _told_lost(ctx: Context, lost: Lost) -> Problem:
    """Return what is said of a value that does not come back."""
    label = pick(lost.field.label, ctx.locale, lost.field.name)
    params = {"label": label, "why": translate(lost.why, ctx.locale)}
    return Problem(lost.field.name, "restore.lost", N_("{label} is not restored: {why}"), params)


def _known_rows(
    rows: Iterable[Record], stored: Iterable[Record], inner: Iterable[str]
) -> list[Record]:
    """Let rows that are gone come back as new ones; computed cells are computed again.

    `inner` are the columns that hold rows themselves.
    """
    known = {row["id"]: row for row in stored}
    made = []
    for row in rows:
        before = known.get(row["id"])
        kept = {name: cell for name, cell in row.items() if before or name != "id"}
        for name in inner:
            if name in kept:
                held = before[name] if before else ()
                kept[name] = _known_rows(kept[name] or (), held, ())
        made.append(kept)
    return made


def check_record(
    ctx: Context, type_name: str, values: Any, *, record_id: str = ""
) -> list[Problem]:
    """Return everything that saving would complain about; nothing is written.

    Raises:
        NotFound: the record is not there for this actor.
        Forbidden: the actor may not create or edit it.
    """
    rights = access(ctx, type_name)
    with ctx.reading() as connection:
        if record_id:
            return _check_change(ctx, connection, type_name, record_id, values)
        rights.require("create")
        validator = compile_validator(ctx.registry, type_name)
        candidate = new_candidate(ctx, validator, values)
        Batch(ctx, connection, validator, rights).check([candidate])
    return list(candidate.problems)


def _check_change(
    ctx: Context, connection: Connection, type_name: str, record_id: str, values: Any
) -> list[Problem]:
    update = Update(ctx, connection, access(ctx, type_name))
    update.lock(record_id, None)
    try:
        update.preview(values)
    except Invalid as error:
        return list(error.problems)
    return []


def _seen(ctx: Context, connection: Connection, type_name: str, values: Record) -> Record:
    """Return a record just written, of which every column is known, as its writer sees it."""
    rights = access(ctx, type_name)
    if not rights.may("view"):
        return {"id": values["id"], "version": values["version"], "no_access": ["*"]}
    if rights.record_type.document or has_computed(rights.record_type):
        return read_back(ctx, type_name, values["id"])
    if rights.views_by_columns():
        # The policies look at the record alone, which is at hand: no need to ask again.
        sight = rights.sight_when(values, RecordEnv(ctx, connection))
        if sight is not None:
            return _stripped(ctx, rights, values, sight)
    return read_back(ctx, type_name, values["id"])


def _surest(rights: Access) -> Sight:
    """Return what the actor sees of any record of the type, whichever it is."""
    return Sight(rights.certain, rights.surely - rights.certain)


def _stripped(ctx: Context, rights: Access, values: Record, sight: Sight) -> Record:
    """Return a written record without the product's own columns and what is not shown."""
    record = {name: value for name, value in values.items() if name not in _INTERNAL}
    veil = veil_of(rights, sight, rights.names, frozenset())
    veil.lay([record], wire_of(ctx.registry, rights.record_type.name), as_wire=False)
    if rights.record_type.document:
        record["proposal"] = None
    return record
