"""A world of plain values whose document links to what is stored, for previews."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from sqlalchemy.engine import Connection

from core.actor import SYSTEM
from core.businesstime import Calendar
from core.context import Context
from core.expression.types import Env
from core.records.environment import RecordEnv
from core.schema.placerows import PLACE_TYPES
from core.workflow.clocks import calendar_for
from core.workflow.rehearsal.plainworld import PlainWorld


@dataclass
class StoredWorld(PlainWorld):
    """A document with the values of a record; links lead to what is stored now."""

    ctx: Context | None = None
    connection: Connection | None = None

    def seen(self, variables: Mapping[str, Any]) -> tuple[Mapping[str, Any], Env]:
        """Return the document as expressions see it, with the database behind its links."""
        if self.ctx is None or self.connection is None:
            return super().seen(variables)
        found = RecordEnv(replace(self.ctx, actor=SYSTEM), self.connection)
        found.user, found.variables = self.initiator, variables
        return self.plain.row(self.values, found), found

    @cached_property
    def calendar(self) -> Calendar:
        """Return the calendar of the document's store or department."""
        if self.ctx is None:
            return super().calendar
        return calendar_for(self.ctx, self.plain.flow.calendar, self._place())

    def _place(self) -> str:
        for kind in PLACE_TYPES:
            for field in self.plain.record_type.fields:
                if field.type in {"link", "department"} and field.target == kind:
                    found = self.values.get(field.name)
                    if found:
                        return str(found)
        return ""
