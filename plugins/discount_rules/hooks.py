"""The hooks of discount rules; what they do is in `operations` and `rules`."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.api import Change, Context, Document, Return, Review, Sale, hookimpl
from plugins.discount_rules.operations import (
    documents,
    pricetests,
    pricing,
    review,
    sharing,
    tracing,
)
from plugins.discount_rules.rules import certificate
from plugins.discount_rules.rules.sharing import differences

#: Record type -> what is done before one of its records is saved.
BEFORE_SAVE = {
    "discount_rule": documents.complete_document,
    "discount_sharing": sharing.complete_sharing,
    "discount_share": sharing.keep_share,
}


@hookimpl
def guanxi_before_save(ctx: Context, change: Change) -> None:
    """Number new documents, warn of lines that cannot do what they seem to, keep shares."""
    BEFORE_SAVE[change.record_type](ctx, change)


@hookimpl
def guanxi_before_apply(ctx: Context, document: Document) -> None:
    """Refuse an approved document that can no longer take effect as it was shown."""
    documents.check_release(ctx, document)
    pricetests.check_tests(ctx, document)


@hookimpl
def guanxi_before_submit(ctx: Context, document: Document) -> None:
    """Refuse a document one of whose price tests fails."""
    pricetests.check_tests(ctx, document)


@hookimpl
def guanxi_review_document(ctx: Context, document: Document) -> Sequence[Review]:
    """Prove the rule set, run price tests and replay the last days' receipts."""
    return review.review_document(ctx, document)


@hookimpl
def guanxi_before_quote(ctx: Context, sale: Sale) -> None:
    """Give every line its member rate and price, with trace and terms, and say who bears it."""
    pricing.price_sale(ctx, sale)
    sharing.stamp_shares(ctx, sale)


@hookimpl
def guanxi_before_sale(ctx: Context, sale: Sale, order_id: str) -> None:
    """Book who bears the member discount of a sale."""
    sharing.book_shares(ctx, sale, order_id)


@hookimpl
def guanxi_before_return(ctx: Context, giving_back: Return) -> None:
    """Take back from each bearer what a return gives back of the discount."""
    sharing.give_shares_back(ctx, giving_back)


@hookimpl
def guanxi_review_certificate(priced: Mapping[str, Any]) -> Sequence[str]:
    """Recompute the price of each line, and who bears its discount, from its terms alone."""
    lines = priced["lines"]
    return certificate.differences(lines, tracing.PLUGIN) + differences(lines, tracing.PLUGIN)
