"""Receipts as sales in memory, for rules whose conditions ask about them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy.engine import Connection

from core.api import Context, Goods, Sale, SaleConditions, SaleLine, Shown, StoreFacts
from plugins.discount_rules.operations.goods import records_by_id
from plugins.discount_rules.rules.replay import Receipt
from plugins.discount_rules.rules.resolution import Rule

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Origin:
    """What conditions may ask of a receipt beside what it costs.

    Attributes:
        at: its instant; `store` its store's stored values.
        quantities: per line.
    """

    at: datetime
    store: Record
    card: str | None
    quantities: tuple[Decimal, ...]
    digits: int = 2


class ReceiptConditions:
    """Asks conditions of receipts, each as the sale that it would be some weeks later."""

    def __init__(
        self,
        ctx: Context,
        connection: Connection,
        card_types: Mapping[str, Record],
        shift: timedelta,
    ) -> None:
        """Ask with the values of `card_types` by id, `shift` after each receipt's instant."""
        self._ctx, self._connection = ctx, connection
        self._card_types, self._shift = card_types, shift
        self._known: dict[str, dict[str, dict[str, Any]]] = {}
        self._sale: tuple[str, Sale, SaleConditions] | None = None

    def read(self, receipts: Iterable[Receipt]) -> None:
        """Read the members, cards and products of receipts, a few statements for all of them."""
        found = list(receipts)
        wanted = {
            "member": [each.member for each in found if each.member],
            "card": [each.origin.card for each in found if each.origin.card],
            "product": [line.product for each in found for line in each.lines],
        }
        self._known = {name: records_by_id(self._ctx, name, ids) for name, ids in wanted.items()}

    def holds(self, rule: Rule, receipt: Receipt, index: int) -> bool:
        """Return whether a rule's condition holds for a line of a receipt."""
        if self._sale is None or self._sale[0] != receipt.id:
            sale = self._sale_of(receipt)
            self._sale = receipt.id, sale, SaleConditions(self._ctx, self._connection, sale)
        _, sale, conditions = self._sale
        return conditions.why_not(rule.condition, sale.lines[index]) is None

    def _sale_of(self, receipt: Receipt) -> Sale:
        origin: Origin = receipt.origin
        store = origin.store
        facts = StoreFacts(
            store["id"], store["code"], store["currency"], origin.digits, store["time_zone"], store
        )
        card_type = self._card_types.get(receipt.card_type or "")
        card = self._known["card"].get(origin.card or "", {})
        return Sale(
            store=facts,
            at=origin.at + self._shift,
            on=receipt.on + self._shift,
            audit_seq=0,
            lines=[self._line(receipt, index, origin) for index in range(len(receipt.lines))],
            member=self._known["member"].get(receipt.member or ""),
            card=None if card_type is None else Shown({"id": "", **card}, card_type),
        )

    def _line(self, receipt: Receipt, index: int, origin: Origin) -> SaleLine:
        line, quantity = receipt.lines[index], origin.quantities[index]
        record = self._known["product"].get(line.product, {})
        amount = Decimal(line.amount).scaleb(-origin.digits)
        code = line.scopes.get("product", "")
        goods = Goods(line.product, code, code, record.get("list_price"), line.scopes, record)
        price = amount / quantity if quantity else amount
        due = (amount * line.other.numerator / line.other.denominator).quantize(amount)
        return SaleLine(index + 1, goods, quantity, price, amount, line.other, due)
