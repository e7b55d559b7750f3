"""The hooks of points rules; what they do is in `operations` and `rules`."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.api import Change, Context, Document, Event, Return, Review, Sale, hookimpl
from plugins.points_rules.operations import (
    adjusting,
    documents,
    quoting,
    rebates,
    redeeming,
    returning,
    selling,
)
from plugins.points_rules.rules.terms import differences

#: Record type -> what is done before one of its records is saved.
BEFORE_SAVE = {
    "points_rule": documents.complete_document,
    "points_scene": documents.complete_document,
    "points_manual": adjusting.keep_posted,
    "points_transfer": adjusting.keep_posted,
    "rebate_run": adjusting.keep_posted,
    "rebate_slice": rebates.keep_slices,
    "redemption": redeeming.redeem,
}

#: Record type -> what is done when one of its documents takes effect or is voided.
BEFORE_APPLY = {
    "points_rule": documents.check_release,
    "points_scene": documents.check_release,
    "points_manual": adjusting.post_manual,
    "points_transfer": adjusting.post_transfer,
    "rebate_run": rebates.check_run,
}

#: Record type -> what people are told of one of its documents before they decide.
REVIEWS = {
    "points_manual": adjusting.review_document,
    "points_transfer": adjusting.review_document,
    "rebate_run": rebates.review_run,
}


@hookimpl
def guanxi_before_save(ctx: Context, change: Change) -> None:
    """Number and check documents, keep what was posted as it is, hand out gifts."""
    BEFORE_SAVE[change.record_type](ctx, change)


@hookimpl
def guanxi_before_apply(ctx: Context, document: Document) -> None:
    """Refuse a document that can no longer take effect as it was shown; post what others say."""
    BEFORE_APPLY[document.record_type](ctx, document)


@hookimpl
def guanxi_review_document(ctx: Context, document: Document) -> Sequence[Review]:
    """Show what a document would leave members with."""
    return REVIEWS[document.record_type](ctx, document)


@hookimpl
def guanxi_before_quote(ctx: Context, sale: Sale) -> None:
    """Say what points pay of a sale and what it earns."""
    quoting.quote_points(ctx, sale)


@hookimpl
def guanxi_before_sale(ctx: Context, sale: Sale, order_id: str) -> None:
    """Post what a sale spends and earns."""
    selling.book_sale(ctx, sale, order_id)


@hookimpl
def guanxi_before_return(ctx: Context, giving_back: Return) -> None:
    """Post what a return gives back, what the member buys and what is taken back."""
    returning.book_return(ctx, giving_back)


@hookimpl
def guanxi_review_certificate(priced: Mapping[str, Any]) -> Sequence[str]:
    """Say which of a sale's points do not follow from what was stamped on it."""
    return differences(priced)


@hookimpl
def guanxi_after_event(ctx: Context, event: Event) -> None:
    """Pay the next slice of an approved rebate run."""
    rebates.go_on(ctx, event)
