"""Conditions over a sale at the till: what people write on documents, asked of one sale.

The sale and its lines are in memory; what the till knows of the goods, the member, the card
and the store is taken as it is, and other links are followed through the database, each
record once. A condition sees everything, whoever sells: rules must hold for all.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Connection

from core.clock import zone
from core.context import Context
from core.errors import UserError
from core.extension.sales import Sale, SaleLine
from core.records.environment import RecordEnv, RecordView, Wrapped
from core.schema.scopes import table_at
from core.tables.computed import COMPUTED, computed_text

#: The type of the sale and of its lines, and the id of the one sale that there is.
_ORDER, _LINE, _SALE = "order", "order.lines", "sale"


class SaleConditions:
    """The conditions of one sale, with or without one of its lines; for one transaction.

    Amounts are those of the moment it was made: `line.amount` is the list amount and
    `line.amount_due` what is to be paid by then, of `sale.total` and `sale.total_due` alike.
    """

    __slots__ = ("_ctx", "_env", "_row")

    def __init__(self, ctx: Context, connection: Connection, sale: Sale) -> None:
        """Ask about `sale`, following links on `connection`."""
        self._ctx = ctx
        self._env = _SaleEnv(ctx, connection, sale)
        self._row: dict[str, Any] = {
            "sale": _SALE,
            "member": sale.member["id"] if sale.member else None,
            "card": sale.card.record["id"] if sale.card else None,
            "store": sale.store.id,
        }

    def holds(self, text: str, line: SaleLine | None = None) -> bool:
        """Return whether a condition is true; what it misses, such as a card, is null.

        Args:
            text: a condition of the scope `till:line`, or of `till:sale` without `line`.
            line: the line that it is about.

        Raises:
            ExpressionError: the forms changed since it was written, so that it is no longer
                right.
            BudgetExceeded: it would visit too many rows.
        """
        name, row = "till:sale", self._row
        if line is not None:
            name, row = "till:line", {**row, "line": str(line.position)}
        expression = self._ctx.registry.expression(name, text, "boolean")
        return expression.run(row, self._env) is True

    def why_not(self, text: str, line: SaleLine | None = None) -> str | None:
        """Return None where a condition holds, else `condition_not_met` or `condition_failed`.

        A condition that cannot be computed never holds.
        """
        try:
            return None if self.holds(text, line) else "condition_not_met"
        except UserError:
            return "condition_failed"


class _SaleEnv(RecordEnv):
    """The environment of a sale: its instant and day, and its records in memory."""

    __slots__ = ("_lines",)

    def __init__(self, ctx: Context, connection: Connection, sale: Sale) -> None:
        super().__init__(ctx, connection)
        self.now, self.today, self.zone = sale.at, sale.on, zone(sale.store.time_zone)
        self._lines = [
            _Line(_line_values(line, number), self, ctx) for number, line in enumerate(sale.lines)
        ]
        self._records[_ORDER, _SALE] = RecordView(
            {
                "id": _SALE,
                "kind": "sale",
                "store": sale.store.id,
                "member": sale.member["id"] if sale.member else None,
                "card": sale.card.record["id"] if sale.card else None,
                "ordered_at": sale.at,
                "created_by": ctx.actor.id,
                "lines": self._lines,
            },
            _ORDER,
            self,
        )
        for line, row in zip(sale.lines, self._lines, strict=True):
            self._records[_LINE, str(line.position)] = row
            self._give("product", line.goods.record)
        self._give("store", sale.store.record)
        if sale.member:
            self._give("member", sale.member)
        if sale.card:
            self._give("card", sale.card.record)
            self._give("card_type", sale.card.card_type)

    def _give(self, type_name: str, values: Mapping[str, Any]) -> None:
        if "id" in values:
            self._records[type_name, values["id"]] = self.view(type_name, values)

    def rows(
        self, type_name: str, row: Mapping[str, Any], name: str
    ) -> Sequence[Mapping[str, Any]]:
        """Return the rows of a table field or backlink; a sale under way has none stored."""
        if row.get("id") == _SALE and type_name == _ORDER:
            return ()
        return super().rows(type_name, row, name)


class _Line(Wrapped):
    """A line for expressions, which computes the columns that are formulas when asked."""

    __slots__ = ("_ctx", "_env")

    def __init__(self, values: Mapping[str, Any], env: _SaleEnv, ctx: Context) -> None:
        self._values, self._env, self._ctx = values, env, ctx

    def __getitem__(self, name: str) -> Any:
        """Return a value; one that is neither there nor computed is null."""
        try:
            return self._values[name]
        except KeyError:
            return self._computed(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value, `default` when it is null."""
        value = self[name]
        return default if value is None else value

    def _computed(self, name: str) -> Any:
        registry = self._ctx.registry
        table = table_at(registry.record_type(_ORDER), "lines")
        field = next((one for one in table.fields if one.name == name), None) if table else None
        if field is None or field.type not in COMPUTED:
            return None
        return registry.expression(_LINE, computed_text(field), None).evaluate(self, self._env)


def _line_values(line: SaleLine, position: int) -> dict[str, Any]:
    return {
        "position": position,
        "product": line.goods.id,
        "quantity": line.quantity,
        "unit_price": line.unit_price,
        "amount": line.list_amount,
        "amount_due": line.amount_due,
    }
