"""What one actor may do on one record type: actions, rows as SQL, fields cell by cell.

Rights are evaluated per policy and never multiplied out: a policy that shows the
phone of members in one's own store does not show it elsewhere because another
policy shows the other members' names. Where policies with different fields apply,
each selects one boolean per row, and the row's fields are those of the policies
whose boolean is true.
"""

from collections.abc import Hashable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import sqlalchemy as sa

from core.context import Context
from core.errors import Forbidden
from core.expression import Env
from core.expression.sql import Columns, sql_clause
from core.i18n import N_
from core.policies.bounded import Bounded
from core.policies.grants import (
    Grant,
    certain_names,
    everything,
    grants_by_action,
    grants_of_scope,
    meeting,
    readable_names,
    surely_shown,
)
from core.schema.model import RecordType
from core.tables.registry import Registry

#: Sets of roles times record types whose rights are kept per release.
_KEPT = 2000


class Sight(NamedTuple):
    """Which fields of one row are shown as they are, and which as masks."""

    clear: frozenset[str]
    masked: frozenset[str]

    @property
    def shown(self) -> frozenset[str]:
        """Return the names of the fields shown, as they are or as masks."""
        return self.clear | self.masked


def _sight_of(grants: Sequence[Grant]) -> Sight:
    """Return the cells that grants give together: one that any shows in clear is clear."""
    clear = frozenset[str]().union(*(one.view for one in grants))
    return Sight(clear, frozenset[str]().union(*(one.masked for one in grants)) - clear)


class Access:
    """The rights of one set of roles on one record type; compiled once, bound per request.

    Attributes:
        names: every field name there is to see.
        possible: fields shown as they are in some row.
        masked: fields shown as masks in some row.
        certain: fields shown as they are in every row that is shown, which may be filtered
            and sorted by.
        surely: fields shown in every row that is shown, as they are or as masks.
        revealable: fields whose masks may be lifted in some rows, one value at a time.
        key: equal for equal rights, so that statements can be cached by it.
    """

    __slots__ = (
        "_by_bits",
        "_by_columns",
        "_clauses",
        "_grants",
        "_registry",
        "certain",
        "key",
        "masked",
        "names",
        "possible",
        "record_type",
        "revealable",
        "surely",
    )

    def __init__(
        self, registry: Registry, record_type: RecordType, grants: Mapping[str, tuple[Grant, ...]]
    ) -> None:
        """Hold `grants` (by action) on `record_type`."""
        self._registry = registry
        self._grants = grants
        self._clauses: dict[str, sa.ColumnElement[bool] | None] = {}
        self._by_columns: bool | None = None
        self._by_bits: dict[tuple[bool, ...], Sight] = {}
        self.record_type = record_type
        self.names = readable_names(record_type)
        views = grants.get("view", ())
        self.certain, self.surely = certain_names(views), surely_shown(views)
        self.possible = frozenset().union(*(one.view for one in views))
        self.masked = frozenset().union(*(one.masked for one in views))
        lifted = frozenset[str]().union(*(one.shown for one in grants.get("unmask", ())))
        self.revealable = self.masked & lifted
        equal = (record_type.name, tuple(sorted(grants.items(), key=itemgetter(0))))
        self.key: Hashable = registry.memo(("policies.key", equal), object)

    def may(self, action: str) -> bool:
        """Return whether any policy allows `action` on some rows."""
        return action in self._grants

    def require(self, action: str) -> None:
        """Refuse when no policy allows `action`.

        Raises:
            Forbidden: there is none.
        """
        if action not in self._grants:
            raise Forbidden

    def through(self, action: str) -> "Access":
        """Return the rights to look at records by way of another action, such as `export`.

        It shows the cells that some policy lets the actor view and some policy, perhaps
        another one, lets them export.

        Raises:
            Forbidden: no policy allows the action, or to view.
        """
        self.require("view")
        self.require(action)
        views, others = self._grants["view"], self._grants[action]
        if action == "view" or views == others:
            return self
        made = {**self._grants, "view": meeting(views, others)}
        return self._registry.memo(
            ("policies.through", self.key, action),
            lambda: Access(self._registry, self.record_type, made),
        )

    def require_certain(self, names: frozenset[str]) -> None:
        """Refuse a question about fields that are hidden in any row.

        Raises:
            Forbidden: one of `names` is not shown in every row that is shown.
        """
        hidden = names & self.names - self.certain
        if hidden:
            raise Forbidden(
                N_("You may not search, sort or count by {names}."),
                names=", ".join(sorted(hidden)),
            )

    def row_clause(self, action: str) -> sa.ColumnElement[bool] | None:
        """Return the condition on rows for `action`; None when it holds for every row."""
        if action not in self._clauses:
            columns = self._registry.columns(self.record_type.name)
            self._clauses[action] = self.clause_over(action, columns)
        return self._clauses[action]

    def clause_over(self, action: str, columns: Columns) -> sa.ColumnElement[bool] | None:
        """Return the condition on rows for `action`, over `columns` of an alias."""
        grants = self._grants.get(action, ())
        if not grants:
            return sa.false()
        if any(not grant.rows for grant in grants):
            return None
        return sa.or_(*(self._clause(grant, columns) for grant in grants))

    def mask_columns(self, action: str) -> list[sa.ColumnElement[bool]]:
        """Return one boolean per grant, to be selected with each row; none when all are alike."""
        grants = self._grants.get(action, ())
        alike = all(grant == grants[0] for grant in grants)
        if alike and (action == "view" or not self._rows(action)):
            # Rows that are not shown are not selected, so one grant is true in every row.
            return []
        columns = self._registry.columns(self.record_type.name)
        return [
            (sa.true() if not grant.rows else self._clause(grant, columns)).label(
                f"_{action}{index}"
            )
            for index, grant in enumerate(grants)
        ]

    def sight(self, mask: Sequence[Any] = ()) -> Sight:
        """Return what is shown of a row, from the values of its mask columns."""
        grants = self._grants.get("view", ())
        if not mask:
            return _sight_of(grants[:1])
        bits = tuple(map(bool, mask))
        known = self._by_bits.get(bits)
        if known is None:
            held = [grant for grant, bit in zip(grants, bits, strict=True) if bit]
            known = self._by_bits[bits] = _sight_of(held)
        return known

    def editable(self, action: str, mask: Sequence[Any] = ()) -> frozenset[str] | None:
        """Return the fields that may be written in a row; None when the row is outside."""
        grants = self._grants.get(action, ())
        bits = tuple(map(bool, mask)) if mask else (True,) * len(grants)
        sets = [grant.edit for grant, bit in zip(grants, bits, strict=True) if bit]
        return frozenset().union(*sets) if sets else None

    def editable_when(
        self, action: str, row: Mapping[str, Any], env: Env
    ) -> frozenset[str] | None:
        """Return what `editable` does, for a row that is not stored yet."""
        mask = [
            not grant.rows or any(self._holds(rows, row, env) for rows in grant.rows)
            for grant in self._grants.get(action, ())
        ]
        return self.editable(action, mask)

    def sight_when(self, row: Mapping[str, Any], env: Env, action: str = "view") -> Sight | None:
        """Return what is shown of a record at hand; None when it is outside."""
        held = [
            grant
            for grant in self._grants.get(action, ())
            if not grant.rows or any(self._holds(rows, row, env) for rows in grant.rows)
        ]
        return _sight_of(held) if held else None

    def viewable_when(self, row: Mapping[str, Any], env: Env) -> frozenset[str] | None:
        """Return the fields shown as they are in a record at hand; None when it is outside."""
        found = self.sight_when(row, env)
        return None if found is None else found.clear

    def views_by_columns(self) -> bool:
        """Return whether who sees a record depends on its own columns only, not on others."""
        if self._by_columns is None:
            name = self.record_type.name
            columns = set(self._registry.tables[name].main.c.keys())
            self._by_columns = all(
                columns.issuperset(self._registry.expression(name, rows, "boolean").paths)
                for grant in self._grants.get("view", ())
                for rows in grant.rows
            )
        return self._by_columns

    def _rows(self, action: str) -> bool:
        return any(grant.rows for grant in self._grants.get(action, ()))

    def _holds(self, rows: str, row: Mapping[str, Any], env: Env) -> bool:
        expression = self._registry.expression(self.record_type.name, rows, "boolean")
        return expression.evaluate(row, env) is True

    def _clause(self, grant: Grant, columns: Columns) -> sa.ColumnElement[bool]:
        name = self.record_type.name
        clauses = [
            sql_clause(self._registry.expression(name, rows, "boolean"), columns)
            for rows in grant.rows
        ]
        return sa.func.coalesce(sa.or_(*clauses), sa.false())


def access(ctx: Context, type_name: str) -> Access:
    """Return the context's actor's rights on a record type.

    The actor carries roles and positions as of the present rights revision, and policies
    belong to the release, so rights are kept per set of both in the release's registry.

    Raises:
        NotFound: there is no such record type.
    """
    registry, actor = ctx.registry, ctx.actor
    kept: Bounded[Access] = registry.memo("policies.access", lambda: Bounded(_KEPT))
    key = (type_name, actor.rights_key, actor.scope)

    def make() -> Access:
        record_type = registry.record_type(type_name)
        if actor.is_system:
            return Access(registry, record_type, everything(record_type))
        if actor.scope is not None:
            return Access(registry, record_type, grants_of_scope(record_type, actor.scope))
        positions = actor.places.positions
        grants = grants_by_action(registry.release, record_type, actor.roles, positions)
        return Access(registry, record_type, grants)

    return kept.get(key, make)
