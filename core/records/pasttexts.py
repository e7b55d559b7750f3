"""Conditions that people wrote under earlier releases, by the names of today.

What took effect is kept as it was, for good. Its conditions mean the fields that had these names
when they were written, whatever these fields are called by now.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from core.errors import NotFound
from core.records.pastschema import PastTypes
from core.schema.following import WRITTEN, followed_text, gone_between, renames_between
from core.schema.model import Field
from core.schema.renaming import Renames
from core.tables.releases import load_release


class PastTexts:
    """The texts of one record type's kept records.

    What a text reads like today is found once for a release; so the release that it was written
    under, which is large, is read only while there are texts that nobody met before.
    """

    def __init__(self, past: PastTypes, *, is_judged: bool = False) -> None:
        """Follow texts of the type that `past` knows.

        `is_judged` says that they are going to be computed: then a text that names a field which
        is gone names nothing, instead of a later field that is called alike.
        """
        self._past = past
        self._is_judged = is_judged
        self._holds_any = _holds_any(past.record_type.fields)
        self._renames: dict[int, Renames | None] = {}

    def follow(self, record: dict[str, Any], release: int) -> None:
        """Put today's names into the texts of a record that was kept under `release`.

        `record` has its values by today's names of its own fields.
        """
        if self._holds_any and release != self._past.registry.release.number:
            then = self._past.at(release).fields
            _follow(record, self._past.record_type.fields, then, partial(self._followed, release))

    def _followed(self, release: int, text: str, scope: str) -> str:
        key = ("records.texts", release, self._is_judged)
        known: dict[tuple[str, str], str] = self._past.registry.memo(key, dict)
        found = known.get((scope, text))
        if found is None:
            if release not in self._renames:
                self._renames[release] = self._read(release)
            renames = self._renames[release]
            found = text if renames is None else followed_text(text, scope, renames)
            known[scope, text] = found
        return found

    def _read(self, number: int) -> Renames | None:
        """Return what changed its name since a release; None where nothing did."""
        try:
            then = load_release(self._past.connection, number)
        except NotFound:
            return None  # written before this installation kept its releases
        now = self._past.registry.release
        renames = renames_between(then, now)
        if self._is_judged:
            fields = {**gone_between(then, now), **renames.fields}
            renames = replace(renames, fields=fields)
        return renames or None


def _holds_any(fields: Sequence[Field]) -> bool:
    return any(one.type in WRITTEN or _holds_any(one.fields) for one in fields)


def _follow(
    values: dict[str, Any],
    now: Sequence[Field],
    then: Sequence[Field],
    followed: Callable[[str, str], str],
) -> None:
    before = {one.id: one for one in then}
    for field in now:
        value, was = values.get(field.name), before.get(field.id)
        if was is None or not value:
            continue
        if field.type == was.type == "table":
            for row in value:
                _follow(row, field.fields, was.fields, followed)
        elif field.type in WRITTEN and was.type in WRITTEN and was.scope:
            values[field.name] = followed(value, was.scope)
