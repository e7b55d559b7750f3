"""What events say became of the rows of an instance, and whether the rows agree.

Every operation puts onto its last event the rows it wrote (`told`). Applied one after the
other (`Fold`) they give the rows as they must stand in the tables now.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from core.errors import Problem
from core.i18n import N_
from core.workflow import models
from core.workflow.models import Row

#: What became of the rows of an instance: table -> id -> columns after, all of a new row.
#: The id of a row whose key begins with the instance's is the rest of that key.
Changes = Mapping[str, Mapping[str, Mapping[str, Any]]]

#: The tables that are folded, by name.
FOLDED: Mapping[str, sa.Table] = {
    table.name: table
    for table in (
        models.instance, models.visit, models.task, models.seat, models.candidate, models.vote,
        models.timer,
    )
}  # fmt: skip

#: Columns of an instance that the chain and its roots move along by themselves.
_UNTOLD = frozenset({"chain", "events", "rooted"})
#: Too long, or too much of the business, to stand in an event; their hash does.
_BY_HASH = frozenset({"definition", "subflows", "values"})
#: What people wrote, which may be erased with them.
_BY_COMMITMENT = frozenset({"opinion"})

#: Columns that repeat the name of the person in the column beside them: table -> name -> person.
NAMES: Mapping[str, Mapping[str, str]] = {
    name: {
        column.name: column.name.removesuffix("_name")
        for column in table.columns
        if column.name.endswith("_name") and column.name.removesuffix("_name") in table.columns
    }
    for name, table in FOLDED.items()
}


def composed(text: str) -> str:
    """Return a text in Unicode's form C, in which evidence is kept and compared."""
    if text.isascii() or unicodedata.is_normalized("NFC", text):
        return text
    return unicodedata.normalize("NFC", text)


def commitment(salt: str, value: str) -> str:
    """Return what stands for a value that may be erased."""
    return hashlib.sha256(f"{salt}{value}".encode()).hexdigest()


def told(changes: Changes, salt: str) -> dict[str, Any]:
    """Return what became of the rows as an event keeps it.

    Names are left out, since the events say what everybody was called. Opinions are covered
    by commitments with the event's `salt`, long texts by their hashes.
    """
    return {
        table: {
            key: {
                name: _told_value(name, value, salt)
                for name, value in columns.items()
                if name not in _UNTOLD and name not in NAMES[table]
            }
            for key, columns in rows.items()
        }
        for table, rows in changes.items()
    }


def _told_value(name: str, value: Any, salt: str) -> Any:
    if name in _BY_HASH:
        return {"sha256": _sha256(value)}
    if name in _BY_COMMITMENT:
        return {"committed": commitment(salt, composed(value))}
    return value


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def broken(text: str, instance_id: str = "", **params: str | int) -> Problem:
    """Return a break that a proof found; its path is the approval's id, if it is one's."""
    return Problem(instance_id, "evidence.broken", text, params)


@dataclass(slots=True)
class Fold:
    """The rows of one instance as its events say they are.

    Attributes:
        rows: table -> id -> columns.
        names: person -> what they were called in any event.
        erased: people whose names and opinions were erased.
    """

    rows: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    names: dict[str, set[str]] = field(default_factory=dict)
    erased: AbstractSet[str] = frozenset()

    def apply(self, changes: Mapping[str, Any], actor: str, salt: str) -> None:
        """Apply what became of the rows by one operation, whose event has an actor and a salt."""
        for table, rows in changes.items():
            known = self.rows.setdefault(table, {})
            for key, columns in rows.items():
                row = known.setdefault(key, {})
                for name, value in columns.items():
                    row[name] = (
                        value | {"by": actor, "salt": salt} if isinstance(value, dict) else value
                    )

    def disagreements(self, stored: Mapping[str, Iterable[Row]]) -> Iterator[Problem]:
        """Yield what is different in the stored rows, given by table."""
        for table in FOLDED:
            expected = dict(self.rows.get(table, {}))
            for row in stored.get(table, ()):
                known = expected.pop(row["id"], None)
                if known is None:
                    yield broken(N_("{table} {row} was put in"), table=table, row=row["id"])
                    continue
                wrong = [name for name in row if not self._is_right(table, name, row, known)]
                if wrong:
                    text = N_("{table} {row} was altered: {columns}")
                    names = ", ".join(wrong)
                    yield broken(text, table=table, row=row["id"], columns=names)
            for key in expected:
                yield broken(N_("{table} {row} is missing"), table=table, row=key)

    def _is_right(self, table: str, name: str, row: Row, known: Mapping[str, Any]) -> bool:
        if name in _UNTOLD:
            return True
        value = row[name]
        person_column = NAMES[table].get(name)
        if person_column is not None:
            return self._is_named(row[person_column] or "", value or "")
        expected = known.get(name, self)
        if isinstance(expected, dict):
            return self._is_covered(expected, value, row)
        if isinstance(value, str) and isinstance(expected, str):
            return composed(value) == composed(expected)
        return bool(value == expected)

    def _is_named(self, person: str, name: str) -> bool:
        if not person or not name:
            return not name and (not person or person in self.erased)
        return composed(name) in self.names.get(person, ())

    def _is_covered(self, expected: Mapping[str, str], value: str, row: Row) -> bool:
        if "sha256" in expected:
            return _sha256(value) == expected["sha256"]
        salt = expected["salt"]
        if expected["by"] != row["actor"]:
            # A vote that the product cast for somebody else, on an event of who acted then.
            if not value and row["actor"] in self.erased:
                return True
            # Without its salt a commitment proves nothing; who erased that is on the chain.
            if not salt:
                return True
        elif not salt:
            return not value
        return commitment(salt, composed(value)) == expected["committed"]
