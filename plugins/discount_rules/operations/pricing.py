"""The parameters that prices depend on, from card types and settings."""

import sqlalchemy as sa

from core.api import Context, NotFound, plugin_settings, query, table
from plugins.discount_rules.rules.pricing import Stacking


def stacking_of(ctx: Context, card_type_id: str) -> Stacking:
    """Return how the rates of a card type stack, by the settings and its live values.

    Raises:
        NotFound: there is no such card type.
    """
    columns, settings = table(ctx, "card_type").c, plugin_settings(ctx, "discount_rules")
    wanted = sa.select(columns.stack_start, columns.stack_rate).where(
        columns.id == card_type_id, columns.deleted_at.is_(None)
    )
    found = query(ctx, wanted)
    if not found:
        raise NotFound
    return Stacking(
        settings["stacking_mode"],
        found[0].stack_start,
        found[0].stack_rate,
        settings["stack_needs_other"],
    )
