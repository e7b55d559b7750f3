"""Dashboards as documents: what they name, renames in them, cards as they are written."""

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import msgspec

from core.schema.dashboards import Card
from core.schema.holetexts import Renaming
from core.schema.model import Release
from core.schema.scopes import record_scope

Tree = MutableMapping[str, Any]

#: The keys of a card that name fields.
FIELD_KEYS = ("take", "group_by", "series_by", "time_field")


def named_fields(card: Card) -> Iterator[str]:
    """Yield what a card names outside its filter, column by column: `lines.price`."""
    yield from (getattr(card, key) for key in FIELD_KEYS if getattr(card, key))


def rename_in_dashboard(
    tree: Tree, release: Release, types: Mapping[str, str], renames: Renaming
) -> None:
    """Change every mention of what is renamed in the document of a dashboard.

    Args:
        tree: the document, which may state only a part of its cards.
        release: the schema in which everything still has its old name.
        types: the record type of each card, by name, for cards that do not say it.
        renames: the names that change.
    """
    for card in tree.get("cards") or ():
        type_name = str(card.get("type") or types.get(str(card.get("name", "")), ""))
        if release.type(type_name) is None:
            continue
        if card.get("filter"):
            card["filter"] = renames.expression(card["filter"], record_scope(release, type_name))
        for key in FIELD_KEYS:
            if card.get(key):
                card[key] = _renamed(str(card[key]), release, type_name, renames)
        if card.get("type") in renames.types:
            card["type"] = renames.types[card["type"]]


def _renamed(text: str, release: Release, type_name: str, renames: Renaming) -> str:
    first, dot, rest = text.partition(".")
    record_type = release.type(type_name)
    owner = record_type.field(first) if record_type else None
    if owner is not None and owner.type == "table":
        column, second, bucket = rest.partition(".")
        column = renames.fields.get((f"{type_name}.{first}", column), column)
        rest = f"{column}{second}{bucket}"
    return f"{renames.fields.get((type_name, first), first)}{dot}{rest}"


def written_card(card: Card) -> dict[str, Any]:
    """Return a card as plain values, as a file would say it: what it leaves open is left away."""
    found: dict[str, Any] = msgspec.to_builtins(card)
    return found
