"""Card types as they were in force at the moment of a sale."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.api import Context, Effect, Sale, in_force
from plugins.card_types.rules.versions import Version, Versions, version_at, with_versions

Record = Mapping[str, Any]


def card_type_at(ctx: Context, sale: Sale, type_id: str) -> Record:
    """Return the values of a card type that held and were known at a sale; empty without."""
    versions = in_force(ctx, "card_type", _versions, seq=sale.audit_seq)
    found = version_at(versions.get(type_id, ()), sale.at, sale.audit_seq)
    return found.values if found else {}


def _versions(before: Versions | None, effects: Sequence[Effect]) -> Versions:
    return with_versions(before or {}, ((each.record_id, _version(each)) for each in effects))


def _version(effect: Effect) -> Version:
    is_void = effect.action == "void"
    values = {} if is_void else {**effect.values, "id": effect.record_id}
    return Version(effect.seq, effect.at, values)
