"""The hooks of discount rules; what they do is in `operations` and `rules`."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.api import Change, Context, Document, Sale, hookimpl
from plugins.discount_rules.operations import documents, pricing, tracing
from plugins.discount_rules.rules import certificate


@hookimpl
def guanxi_before_save(ctx: Context, change: Change) -> None:
    """Number a new document and warn of lines that cannot do what they seem to."""
    documents.complete_document(ctx, change)


@hookimpl
def guanxi_before_apply(ctx: Context, document: Document) -> None:
    """Refuse an approved document that can no longer take effect as it was shown."""
    documents.check_release(ctx, document)


@hookimpl
def guanxi_before_quote(ctx: Context, sale: Sale) -> None:
    """Give every line its member rate and price, with the trace and the terms that prove it."""
    pricing.price_sale(ctx, sale)


@hookimpl
def guanxi_review_certificate(priced: Mapping[str, Any]) -> Sequence[str]:
    """Recompute the price of each line from its terms alone."""
    return certificate.differences(priced["lines"], tracing.PLUGIN)
