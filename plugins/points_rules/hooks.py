"""The hooks of points rules; what they do is in `operations` and `rules`."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.api import Change, Context, Document, Return, Sale, hookimpl
from plugins.points_rules.operations import documents, quoting, returning, selling
from plugins.points_rules.rules.terms import differences


@hookimpl
def guanxi_before_save(ctx: Context, change: Change) -> None:
    """Number a new document and warn of what cannot do what it seems to."""
    documents.complete_document(ctx, change)


@hookimpl
def guanxi_before_apply(ctx: Context, document: Document) -> None:
    """Refuse an approved document that can no longer take effect as it was shown."""
    documents.check_release(ctx, document)


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
