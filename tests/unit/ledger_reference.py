"""The ledger once more, as simply as it can be said, for tests to compare with.

It keeps no entries and no database: a list of lots, what is owed, category totals, holds.
A refused operation returns the refusal's code and changes nothing.
"""

from collections import defaultdict
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime

#: Categories whose total may fall below zero; R counts the other way.
MAY_BE_NEGATIVE = {"D"}


@dataclass
class RefLot:
    id: str
    category: str
    issued: int
    left: int
    came: datetime
    opens: datetime
    ends: datetime | None
    held: int = 0

    def ended(self, at):
        return self.ends is not None and self.ends <= at

    def open(self, at):
        return self.opens <= at and not self.ended(at)

    @property
    def shape(self):
        return (self.category, self.issued, self.left, self.opens, self.ends)


@dataclass
class RefOwner:
    lots: dict[str, RefLot] = field(default_factory=dict)
    owed: int = 0
    totals: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def balance(self):
        return sum(lot.left for lot in self.lots.values()) - self.owed

    @property
    def held(self):
        return sum(lot.held for lot in self.lots.values())

    def available(self, at):
        return sum(lot.left - lot.held for lot in self.lots.values() if lot.open(at)) - self.owed

    def in_order(self):
        def key(lot):
            ends = lot.ends.timestamp() if lot.ends else 0
            return (lot.ends is None, ends, lot.came, lot.category, lot.id)

        return sorted(self.lots.values(), key=key)


class Refused(Exception):
    """What the ledger would refuse, by its code."""


class Reference:
    """All owners; `new_lot` gives the ids of lots that credits make, in order."""

    def __init__(self):
        self.owners = defaultdict(RefOwner)
        self.holds = {}

    def post(self, moves, at, new_lots, may_owe=False):
        """Take moves (owner, category, amount, options); return what each took or made, or a code.

        Options: lot, first, opens, ends.
        """
        before = deepcopy(self.owners)
        effects = []
        try:
            for owner, category, amount, options in moves:
                do = self._credit if amount > 0 else self._debit
                effects.append(
                    do(self.owners[owner], category, abs(amount), options, at, new_lots, may_owe)
                )
            if not may_owe:
                self._refuse_negative({owner for owner, *_ in moves}, before)
        except Refused as refused:
            self.owners = before
            return str(refused)
        return effects

    def _refuse_negative(self, names, before):
        for name in names:
            for category, total in self.owners[name].totals.items():
                fell = name not in before or total < before[name].totals[category]
                if fell and total < 0 and category not in MAY_BE_NEGATIVE:
                    raise Refused("ledger.category_negative")

    def _count(self, one, category, amount):
        one.totals[category] += -amount if category == "R" else amount

    def _credit(self, one, category, amount, options, at, new_lots, may_owe):
        if "lot" in options:
            lot = one.lots[options["lot"]]
            if lot.left + amount > lot.issued:
                raise Refused("ledger.over_lot")
        else:
            opens = max(at, options.get("opens") or at)
            lot = RefLot(next(new_lots), category, amount, 0, at, opens, options.get("ends"))
            one.lots[lot.id] = lot
        lot.left += amount
        self._count(one, category, amount)
        if lot.ended(at):
            lot.left -= amount
            self._count(one, "R", -amount)
        for other in one.in_order():
            paid = min(one.owed, other.left - other.held) if other.open(at) else 0
            other.left -= paid
            one.owed -= paid
        return lot.id

    def _debit(self, one, category, amount, options, at, new_lots, may_owe):
        before, left, taken = one.available(at), amount, []
        named = [
            one.lots[name] for name in [options.get("lot"), *options.get("first", ())] if name
        ]
        sources = [lot for lot in named if not lot.ended(at)]
        if "lot" not in options:
            sources += [lot for lot in one.in_order() if lot.open(at)]
        for lot in sources:
            part = min(left, lot.left - lot.held)
            if part:
                lot.left -= part
                left -= part
                taken.append((lot.id, part))
        if left and "lot" in options:
            raise Refused("ledger.insufficient")
        one.owed += left
        self._count(one, category, -amount)
        after = one.available(at)
        if after < 0 and after < before and not may_owe:
            raise Refused("ledger.insufficient")
        return taken

    def transfer(self, source, target, amount, at):
        """Return (lot, amount) of what is to move, in order, or a code; nothing is moved."""
        one = self.owners[source]
        if amount is None:
            if one.owed:
                return "ledger.insufficient"
            return [
                (lot.id, lot.left - lot.held)
                for lot in one.in_order()
                if lot.left > lot.held and not lot.ended(at)
            ]
        if amount > one.available(at):
            return "ledger.insufficient"
        parts = []
        for lot in one.in_order():
            part = min(amount, lot.left - lot.held) if lot.open(at) else 0
            if part:
                parts.append((lot.id, part))
                amount -= part
        return parts

    def expire(self, until):
        """Write off what ended; return how many lots were."""
        count = 0
        for one in self.owners.values():
            for lot in one.lots.values():
                if lot.ended(until) and lot.left > lot.held:
                    self._count(one, "R", -(lot.left - lot.held))
                    lot.left = lot.held
                    count += 1
        return count

    def hold(self, name, owner, amount, at, until):
        one = self.owners[owner]
        if amount > one.available(at):
            return "ledger.insufficient"
        parts = []
        for lot in one.in_order():
            part = min(amount, lot.left - lot.held) if lot.open(at) else 0
            if part:
                lot.held += part
                amount -= part
                parts.append((lot.id, part))
        self.holds[name] = [owner, parts, until, "open"]
        return parts

    def end_hold(self, name, how, at, amount=0):
        """End a hold; return "" or the code that refuses."""
        owner, parts, until, state = self.holds[name]
        if how == "voided" and state == "voided":
            return ""
        if state != "open" or (how == "posted" and until <= at):
            return "ledger.hold_ended"
        one = self.owners[owner]
        for lot_id, part in parts:
            lot, now = one.lots[lot_id], min(part, amount)
            lot.held -= part
            lot.left -= now
            amount -= now
            self._count(one, "R", -now)
        self.holds[name][3] = how
        return ""
