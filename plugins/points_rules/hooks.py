"""The hooks of points rules; what they do is in `operations` and `rules`."""

from core.api import Change, Context, Document, Sale, hookimpl
from plugins.points_rules.operations import documents, quoting


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
