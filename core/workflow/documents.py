"""A flow's document as it is stored, whole, and as an approved proposal would make it."""

from typing import Any

from core.context import Context
from core.extension.hookspecs import Document
from core.policies.access import access
from core.records.proposals import VOID, Proposal
from core.records.stored import whole_record
from core.records.updating import lay_over
from core.records.validation import compile_validator

Record = dict[str, Any]


def load_document(ctx: Context, type_name: str, record_id: str, *, lock: bool = False) -> Record:
    """Return every stored value of a live record, whoever asks; locked if wanted.

    What of it is shown to people passes their own rights elsewhere.

    Raises:
        NotFound: there is no such record.
    """
    registry = ctx.registry
    name = registry.record_type(type_name).name
    with ctx.reading() as connection:
        return whole_record(connection, registry, name, record_id, lock=lock)


def with_proposal(ctx: Context, type_name: str, record: Record, found: Proposal | None) -> Record:
    """Return the values that a proposal changes, as Python values; none without one."""
    if found is None:
        return {}
    whole = lay_over(compile_validator(ctx.registry, type_name), record, found.values)
    return {
        name: whole[name]
        for name in found.values
        if name in whole and whole[name] != record.get(name)
    }


def as_it_would_be(
    ctx: Context, type_name: str, record: Record, found: Proposal | None
) -> Document:
    """Return a document as it would be in force, or void, with what it says now."""
    changes = with_proposal(ctx, type_name, record, found)
    status = VOID if found is not None and found.voids else "effective"
    return Document(
        record_type=ctx.registry.record_type(type_name).name,
        record_id=record["id"],
        before=record if found is not None else None,
        values={**record, **changes, "status": status},
    )


def shows_title(ctx: Context, type_name: str) -> bool:
    """Return whether the actor may see the title field in every record they see."""
    record_type = ctx.registry.release.type(type_name)
    return record_type is not None and record_type.title_field in access(ctx, type_name).certain
