"""What an import does with records that look like ones that are there, by declared keys."""

from collections.abc import Sequence
from typing import Literal

import sqlalchemy as sa

from core.context import Context
from core.errors import Problem
from core.i18n import N_
from core.policies.access import access
from core.records.duplicates import KeyStore, Rule, python_values, rules_for, scan
from core.records.gathering import Gathered

#: `""` does not look; `report` names them and imports them; `skip` and `update` as for keys.
Alike = Literal["", "report", "skip", "update"]


class AlikeRecords:
    """The records that an import compares its own with: those stored, and those it made."""

    def __init__(self, ctx: Context, type_name: str, mode: Alike, key: str) -> None:
        """Read the keys of what the actor sees; `key` is the field that is not changed."""
        self._ctx, self._type, self._mode, self._key = ctx, type_name, mode, key
        self._rights = access(ctx, type_name)
        self._store = KeyStore(rules_for(ctx, type_name))
        scan(ctx, self._rights, self._store)

    def settle(
        self, records: Sequence[Gathered]
    ) -> tuple[list[Gathered], list[tuple[Gathered, Problem, bool]]]:
        """Return the records to be written, and (record, what is told, whether it is refused).

        With `update` the record found is what is changed then.
        """
        wanted, told = [], []
        for one in records:
            if one.stored is not None:
                wanted.append(one)
                continue
            values = python_values(self._rights, one.values)
            found = self._store.find(values)
            if found and self._mode == "update" and self._takes(one, found):
                wanted.append(one)
                continue
            if found:
                told.append((one, self._problem(found), self._mode == "update"))
            if not found or self._mode == "report":
                wanted.append(one)
                # Later rows are compared with this one too.
                self._store.add([(f"#{one.rows[0].line}", values)])
        return wanted, told

    def _takes(self, one: Gathered, found: Sequence[tuple[str, Rule]]) -> bool:
        """Have the one record found be what is changed; return False where it cannot be."""
        table = self._ctx.registry.tables[self._type].main
        query = sa.select(table.c.version).where(
            table.c.id == found[0][0], table.c.deleted_at.is_(None)
        )
        if len(found) > 1:
            return False
        with self._ctx.reading() as connection:
            version = connection.execute(query).scalar()
        if version is None:
            return False
        one.stored = (found[0][0], version)
        one.values.pop(self._key, None)
        return True

    def _problem(self, found: Sequence[tuple[str, Rule]]) -> Problem:
        record_id, rule = found[0]
        names = ", ".join(rule.names)
        if len(found) > 1 and self._mode == "update":
            text = N_("It looks like {count} records, so none of them is changed.")
            return Problem(rule.names[0], "import.ambiguous", text, {"count": len(found)})
        if record_id.startswith("#"):
            text = N_("It looks like line {line}, by {fields}.")
            params = {"line": record_id[1:], "fields": names}
        else:
            text = N_("It looks like the record {id}, by {fields}.")
            params = {"id": record_id, "fields": names}
        return Problem(rule.names[0], "duplicate.found", text, params)

    def close(self) -> None:
        """Forget all keys."""
        self._store.__exit__(None, None, None)


def compare(ctx: Context, type_name: str, mode: Alike, key: str) -> AlikeRecords | None:
    """Return what to compare an import's records with; None where nothing is to be compared.

    Raises:
        Forbidden: they shall be changed, which the actor may not.
    """
    if not mode or not rules_for(ctx, type_name):
        return None
    if mode == "update":
        access(ctx, type_name).require("edit")
    return AlikeRecords(ctx, type_name, mode, key)
