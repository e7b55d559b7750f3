"""Serials that an approved batch has reserved and whose cards are not all made yet."""

import sqlalchemy as sa

from core.api import Context, query, table


def reserved_ranges(ctx: Context, type_id: str, *, besides: str = "") -> list[tuple[int, int]]:
    """Return the first and last serial of each batch of a card type that is under way."""
    batch, card = table(ctx, "card_batch").c, table(ctx, "card").c
    made = sa.select(sa.func.count()).where(card.batch == batch.id).scalar_subquery()
    wanted = sa.select(batch.serial_from, batch.serial_to).where(
        batch.card_type == type_id,
        batch.status == "effective",
        batch.deleted_at.is_(None),
        batch.id != besides,
        made < batch["count"],
    )
    return [(row.serial_from, row.serial_to) for row in query(ctx, wanted)]


def reserved_until(ctx: Context, type_id: str, serial: int) -> int | None:
    """Return the last serial of the batch that has reserved `serial`, or None."""
    return next(
        (last for first, last in reserved_ranges(ctx, type_id) if first <= serial <= last), None
    )
