"""What plugins find in a document, asked so that none of them keeps the others from their say."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.extension.deadline import run_within
from core.extension.hookspecs import Document, Review
from core.i18n import N_, translate

if TYPE_CHECKING:
    from core.context import Context

log = logging.getLogger(__name__)

#: Proving a rule set replays receipts, which takes its time.
REVIEW_SECONDS = 30.0

#: Gives the plugins that run and review a record type, each with what to call.
Reviewers = Callable[["Context", str], Iterable[tuple[str, Callable[..., Any]]]]


class Reviews:
    """The plugins' `guanxi_review_document`; `ctx.hooks.reviews`."""

    def __init__(self, reviewers: Reviewers) -> None:
        """Ask those whom `reviewers` gives."""
        self._reviewers = reviewers

    def exist(self, ctx: "Context", record_type: str) -> bool:
        """Return whether a plugin that runs has something to say about such documents."""
        return any(True for _ in self._reviewers(ctx, record_type))

    def of(self, ctx: "Context", document: Document) -> tuple[list[tuple[str, Review]], bool]:
        """Return what plugins find in a document, with their names, and whether any failed.

        Each reads in a transaction of its own. One that fails, or needs longer than
        `REVIEW_SECONDS`, is named in a warning and stays switched on: nothing depends on it.
        """
        found: list[tuple[str, Review]] = []
        has_failed = False
        for plugin, call in self._reviewers(ctx, document.record_type):
            try:
                reviews = run_within(REVIEW_SECONDS, _asking(ctx, call, document))
            except Exception as error:
                log.exception("plugin %s failed to review %s", plugin, document.record_id)
                title = translate(
                    N_("The plugin {plugin} could not check this."), ctx.locale, plugin=plugin
                )
                reviews, has_failed = [Review("warning", title, str(error)[:500])], True
            found += [(plugin, one) for one in reviews]
        return found, has_failed


def _asking(
    ctx: "Context", call: Callable[..., Any], document: Document
) -> Callable[[], list[Review]]:
    def ask() -> list[Review]:
        # The thread that asks may be given up, so it has a connection of its own.
        own = replace(
            ctx, connection=None, is_writing=False, warnings=[], last=[], ended=[], pending=None
        )
        with own.reading():
            reviews = list(call(ctx=own, document=document))
        if not all(isinstance(one, Review) for one in reviews):
            msg = "guanxi_review_document returns Reviews"
            raise TypeError(msg)
        return reviews

    return ask
