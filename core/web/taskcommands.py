"""What the panel of a task sends: the verb, what it needs, the fields that change with it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.context import Context
from core.schema.model import Field
from core.web.formvalues import changed_values
from core.web.posted import MultiValues, parse_form
from core.web.signing import posted_signature
from core.web.tasktexts import VERBS

#: What the names of a document's own fields begin with in the panel.
FIELDS = "fields."


class PostedBelow:
    """The part of a posted form whose names begin alike, without that beginning."""

    def __init__(self, form: MultiValues, prefix: str) -> None:
        """Look at the names of `form` that begin with `prefix`."""
        self._form, self._prefix = form, prefix

    def getlist(self, key: str) -> list[str]:
        """Return every value posted under `key`."""
        return self._form.getlist(self._prefix + key)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return (
            name.removeprefix(self._prefix) for name in self._form if name.startswith(self._prefix)
        )

    def __contains__(self, key: object) -> bool:
        """Return whether something was posted under `key`."""
        return self._prefix + str(key) in self._form


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks for with the panel of a task.

    Attributes:
        more: what `decide` is called with besides the verb and the opinion.
    """

    verb: str
    opinion: str
    more: dict[str, Any]

    @property
    def is_plain(self) -> bool:
        """Return whether it says nothing but the verb, the content, the opinion and a target."""
        return not (self.more["fields"] or self.more["signature"])

    def extras(self, *names: str) -> dict[str, Any]:
        """Return those of its further parts that say something."""
        return {name: self.more[name] for name in names if self.more[name]}


def read_asked(
    ctx: Context, form: Any, fields: Sequence[Field] = (), stored: Mapping[str, Any] | None = None
) -> Asked:
    """Return what a posted panel asks for.

    Args:
        ctx: who asks.
        form: what was posted.
        fields: those of the document that the step lets its people change.
        stored: the document as it is proposed, in wire form.
    """
    verb = form.get("verb", "")
    look = VERBS.get(verb)
    to = [each for each in form.getlist(f"{verb}.to") if each] if look and look.asks else []
    then = form.get(f"{verb}.then", "")
    if verb == "claim" and form.get("steal"):
        then = "steal"
    posted = parse_form(PostedBelow(form, FIELDS), fields, ctx.time_zone).values
    return Asked(
        verb,
        form.get("opinion", "").replace("\r\n", "\n").strip(),
        {
            "subject_hash": form.get("subject_hash", ""),
            "seat": form.get("seat", ""),
            "to": to,
            "then": then,
            "rule": form.get(f"{verb}.rule", ""),
            "fields": changed_values(posted, stored or {}, fields),
            "signature": posted_signature(form),
        },
    )
