"""The hooks of card types; what they do is in `operations` and `rules`."""

from collections.abc import Sequence

from core.api import (
    Change,
    Context,
    Document,
    Event,
    FieldType,
    RecordFile,
    Return,
    Sale,
    hookimpl,
)
from plugins.card_types.fieldtypes import CardNumberType
from plugins.card_types.operations import (
    batches,
    numbering,
    operating,
    personalising,
    receipts,
    showing,
    smallchange,
)

#: Record type -> what is done before one of its records is saved.
BEFORE_SAVE = {
    "card": numbering.check_card,
    "card_batch": batches.check_draft,
    "card_operation": operating.do_operation,
    "card_type": numbering.check_card_type,
}

#: Record type -> what is done when one of its documents takes effect or is voided.
BEFORE_APPLY = {"card_batch": batches.reserve_serials, "card_type": numbering.check_release}


@hookimpl
def guanxi_register_field_types() -> Sequence[FieldType]:
    """Bring the field type of card numbers."""
    return [CardNumberType()]


@hookimpl
def guanxi_register_files() -> Sequence[RecordFile]:
    """Bring the files for the card printer."""
    return personalising.FILES


@hookimpl
def guanxi_before_save(ctx: Context, change: Change) -> None:
    """Number and date cards; keep card types fit for the cards they have."""
    BEFORE_SAVE[change.record_type](ctx, change)


@hookimpl
def guanxi_before_apply(ctx: Context, document: Document) -> None:
    """Refuse a card type that collides with one in force by now; reserve a batch's serials."""
    BEFORE_APPLY[document.record_type](ctx, document)


@hookimpl
def guanxi_before_submit(ctx: Context, document: Document) -> None:
    """Refuse a batch for which too few serials are left."""
    batches.check_batch(ctx, document)


@hookimpl
def guanxi_before_quote(ctx: Context, sale: Sale) -> None:
    """Find the card that is shown and whether it is good."""
    showing.show_card(ctx, sale)


@hookimpl
def guanxi_before_sale(ctx: Context, sale: Sale, order_id: str) -> None:
    """Look at the card under lock; take and keep small change."""
    smallchange.book_change(ctx, sale, order_id)


@hookimpl
def guanxi_before_return(ctx: Context, giving_back: Return) -> None:
    """Look whether a refund may go onto the card; mark a card whose receipt comes back."""
    smallchange.refunded_card(ctx, giving_back)
    receipts.flag_card(ctx, giving_back)


@hookimpl
def guanxi_before_refund(ctx: Context, giving_back: Return) -> None:
    """Put what goes back onto the card."""
    smallchange.refund_change(ctx, giving_back)


@hookimpl
def guanxi_after_event(ctx: Context, event: Event) -> None:
    """Make the cards of an approved batch; tell when a card type runs out of serials."""
    if event.payload["type"] == "card_batch":
        batches.go_on(ctx, event)
    elif event.topic == "record.created":
        numbering.report_low_stock(ctx, event.payload["id"])
