"""The hooks of discount rules; what they do is in `operations` and `rules`."""

from core.api import Change, Context, Document, hookimpl
from plugins.discount_rules.operations import documents


@hookimpl
def guanxi_before_save(ctx: Context, change: Change) -> None:
    """Number a new document and warn of lines that cannot do what they seem to."""
    documents.complete_document(ctx, change)


@hookimpl
def guanxi_before_apply(ctx: Context, document: Document) -> None:
    """Refuse an approved document that can no longer take effect as it was shown."""
    documents.check_release(ctx, document)
