"""Account kinds: what may be owed to whom, in which unit, under which rules."""

from typing import Literal

import msgspec

from core.schema.modelbase import Label, Model

#: When lots end: never, so many months after they came, at the end of a month or year later.
Expiry = Literal["never", "months", "end_of_month", "end_of_year"]


class AccountCategory(Model, frozen=True, kw_only=True):
    """One part of a balance, such as points earned by purchases.

    Attributes:
        uses: entries take from the balance and people see them as a positive number, as R 回馈.
        negative: its total may fall below zero.
    """

    name: str
    label: Label = {}
    uses: bool = False
    negative: bool = False


class Lots(Model, frozen=True, kw_only=True):
    """When what was credited ends.

    Attributes:
        expiry: `months` counts from the day it came; `end_of_month` and `end_of_year` are the
            last day of the month or year, `after` months or years later.
    """

    expiry: Expiry = "never"
    after: int = 0


class AccountKind(Model, frozen=True, kw_only=True):
    """A kind of account, such as points.

    Attributes:
        name: `account_kind` in a file; stored with every account.
        layer: who declared it.
        owner: the record type whose records own such accounts.
        unit: `points` for whole numbers, `money` for an account per currency in its minor unit.
        floor: the least available balance in smallest units; None lets it fall without end.
        cap: the most that may lie on it, in smallest units; None without end.
        categories: what a balance is made of, in the order in which people see it.
    """

    name: str = msgspec.field(name="account_kind")
    layer: str = ""
    label: Label = {}
    description: Label = {}
    owner: str
    unit: Literal["points", "money"] = "points"
    floor: int | None = 0
    cap: int | None = None
    categories: tuple[AccountCategory, ...]
    lots: Lots = Lots()

    def category(self, name: str) -> AccountCategory | None:
        """Return the category called `name`, or None."""
        return next((one for one in self.categories if one.name == name), None)
