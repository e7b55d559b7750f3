"""What a reader of a task may see of its document."""

from typing import Any

from core.context import Context
from core.errors import Forbidden, NotFound
from core.records.queries import get_record


def seen_record(ctx: Context, type_name: str, record_id: str) -> dict[str, Any] | None:
    """Return the document under the actor's own rights; None when they see none of it."""
    try:
        return get_record(ctx, type_name, record_id)
    except (NotFound, Forbidden):
        return None
