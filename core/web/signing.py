"""How a panel has a decision signed, and what comes back from it."""

from collections.abc import Iterable, Mapping

from core.context import Context
from core.workflow.evidence.meaning import meaning_of

_PREFIX = "signature."


def meanings(ctx: Context, verbs: Iterable[str], title: str) -> dict[str, str]:
    """Return what each verb says in the reader's language, for `gx/signing.html`."""
    said = {verb: meaning_of(verb, title, ctx.locale) for verb in verbs}
    return {verb: text for verb, text in said.items() if text}


def posted_signature(form: Mapping[str, str]) -> dict[str, str]:
    """Return the signature in a posted decision, empty where none was asked for."""
    return {
        name.removeprefix(_PREFIX): value
        for name, value in form.items()
        if name.startswith(_PREFIX) and value
    }
