"""What the database's own constraints refuse, said in the words of the record type."""

from sqlalchemy.exc import IntegrityError

from core.context import Context
from core.errors import Problem, Taken
from core.i18n import N_
from core.records.references import unique_sets
from core.schema.model import RecordType
from core.tables.build import identifier


def taken(fields: tuple[str, ...]) -> Taken:
    """Return the refusal of values that another record has; it names the fields."""
    text = N_("This value is already used.")
    params = {"fields": list(fields)}
    return Taken(problems=[Problem(name, "conflict.taken", text, params) for name in fields])


def taken_by(ctx: Context, record_type: RecordType, error: IntegrityError) -> Taken:
    """Return the refusal for a unique index that was hit.

    Raises:
        IntegrityError: it was another constraint, which is a fault of the product.
    """
    table = ctx.registry.tables[record_type.name].main.name
    diagnosis = getattr(error.orig, "diag", None)
    index = getattr(diagnosis, "constraint_name", None)
    text = str(error.orig)
    for fields, for_ever in unique_sets(record_type):
        columns = ", ".join(f"{table}.{name}" for name in fields)
        name = identifier(f"ux_{table}", *fields, *(("ever",) if for_ever else ()))
        if index == name or text.endswith((f"failed: {columns}", f"index '{name}'")):
            return taken(fields)
    raise error
