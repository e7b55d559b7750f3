"""Record types as the caller may see them: the schema behind forms, lists and clients."""

from typing import Any

from core.context import Context
from core.errors import NotFound
from core.policies.access import access
from core.records.views import schema_views
from core.schema.model import DOCUMENT_FIELDS, SYSTEM_FIELDS, RecordType
from core.schema.rights import ACTIONS


def list_types(ctx: Context) -> list[dict[str, Any]]:
    """Return the record types on which the caller may do anything at all."""
    found = []
    for name in sorted(ctx.registry.release.types):
        record_type = ctx.registry.release.type(name)
        if record_type is not None:
            actions = allowed_actions(ctx, name)
            if actions:
                found.append(_summary(record_type, actions))
    return found


def describe_type(ctx: Context, name: str) -> dict[str, Any]:
    """Return one record type with the fields the caller may see.

    Raises:
        NotFound: there is none, or the caller may do nothing with it.
    """
    record_type = ctx.registry.record_type(name)
    actions = allowed_actions(ctx, name)
    if not actions:
        raise NotFound
    seen = access(ctx, name).names
    hidden = [field.name for field in record_type.fields if field.name not in seen]
    return {
        **_summary(record_type, actions),
        "description": record_type.description,
        "fields": [field for field in record_type.fields if field.name not in hidden],
        "system_fields": [*SYSTEM_FIELDS, *(DOCUMENT_FIELDS if record_type.document else ())],
        "no_access": hidden,
        "masked": sorted(access(ctx, name).masked),
        "checks": record_type.checks,
        "rules": record_type.rules,
        "stages": record_type.stages,
        "layout": record_type.layout,
        "views": schema_views(ctx, record_type),
        "release": ctx.registry.release.number,
    }


def allowed_actions(ctx: Context, name: str) -> list[str]:
    """Return what the caller may do with some records of a type."""
    rights = access(ctx, name)
    return [action for action in ACTIONS if rights.may(action)]


def _summary(record_type: RecordType, actions: list[str]) -> dict[str, Any]:
    return {
        "name": record_type.name,
        "label": record_type.label,
        "label_plural": record_type.label_plural,
        "icon": record_type.icon,
        "menu": record_type.menu,
        "document": record_type.document,
        "title_field": record_type.title_field,
        "may": actions,
    }
