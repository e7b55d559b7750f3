"""What moves do to accounts and lots: the ledger's arithmetic, without a database.

Debits of an owner take from lots: those named first, then what expires soonest, then what
was issued first; never from what has ended, from what is held, or, unless it is named, from
what is pending (domain §2.4, §6 I5). What no lot covers is a debt, where that is allowed,
and the next credit settles it. Every entry has its counter-entry on the programme's account.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from core.clock import to_wire
from core.ids import new_id
from core.ledger import errors
from core.ledger.expiring import day_ending, end_of, last_day
from core.ledger.moves import BOUND, DEFAULT, Move, Moved, Taken
from core.schema.accountkinds import AccountKind

#: The category of the programme's account for what ended unused.
EXPIRED = "expired"

#: Why a debt is paid out of a lot: two entries of one owner that cancel out.
SETTLED = "settled"

#: After every instant; where lots that never end stand in the order of spending.
_NEVER = "~"


@dataclass(slots=True)
class Lot:
    """A part of a balance that came at once and ends at once; instants in wire form.

    Attributes:
        available_at: pending until then.
        expires_at: of no use from then on; None is never.
        ends_on: the last store day where it came, such as 2026-12-31.
        held: what open holds keep of `remaining`.
    """

    id: str
    account_id: str
    category: str
    posting_id: str
    issued: int
    issued_at: str
    available_at: str
    expires_at: str | None
    ends_on: str | None
    remaining: int
    held: int = 0

    @property
    def last_day(self) -> date | None:
        """Return the last store day where it came; None is never."""
        return None if self.ends_on is None else date.fromisoformat(self.ends_on)

    @property
    def free(self) -> int:
        """Return what no hold keeps."""
        return self.remaining - self.held

    def has_ended(self, at: str) -> bool:
        """Return whether it is of no use at an instant any more."""
        return self.expires_at is not None and self.expires_at <= at

    def is_usable(self, at: str) -> bool:
        """Return whether it can be spent at an instant."""
        return self.available_at <= at and not self.has_ended(at)


def known_after(now: str, known_at: str) -> str:
    """Return when an event is known: now, but later than the event before it.

    A clock that stands or is set back does not bring it into what was known already.

    >>> known_after("2026-03-10T04:00:00.000000Z", "2026-03-10T05:00:00.000000Z")
    '2026-03-10T05:00:00.000001Z'
    """
    if now > known_at:
        return now
    return to_wire(datetime.fromisoformat(known_at) + timedelta(microseconds=1))


def spend_order(one: Lot) -> tuple[str, str, str, str]:
    """Return what sorts lots as they are spent: what ends soonest, then what came first.

    Of what came in one posting the category decides, so that it is the same on every run.
    """
    return (one.expires_at or _NEVER, one.issued_at, one.category, one.id)


@dataclass(slots=True)
class Account:
    """An owner's account as the transaction has it locked.

    Attributes:
        totals: category -> sum of its entries; negative for categories of use.
        lots: id -> lot, those that a posting may touch.
    """

    id: str
    kind: AccountKind
    unit: str
    owner: str
    balance: int = 0
    held: int = 0
    owed: int = 0
    totals: dict[str, int] = field(default_factory=dict)
    seq: int = 0
    chain: str = ""
    known_at: str = ""
    lots: dict[str, Lot] = field(default_factory=dict)

    @property
    def programme(self) -> tuple[str, str]:
        """Return kind and unit, by which its counter-account is known."""
        return (self.kind.name, self.unit)

    def available(self, at: str) -> int:
        """Return what can be spent at an instant; below zero after a debt."""
        return sum(one.free for one in self.lots.values() if one.is_usable(at)) - self.owed


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an owner's account; `why` is the category of its counter-entry."""

    account_id: str
    category: str
    lot: str | None
    amount: int
    why: str


class Reckoning:
    """The moves of one posting, taken in order.

    Attributes:
        posting_id: of the posting.
        at: the business instant, in wire form.
        entries: of the owners' accounts, in order.
        counter: (kind, unit) -> category of the programme's account -> amount.
        lots: those that were made.
        touched: those that have another remainder now, new ones left out.
        accounts: those that got entries.
    """

    def __init__(
        self, posting_id: str, valid_at: datetime, zone: ZoneInfo, *, may_owe: bool = False
    ) -> None:
        """Begin a posting that happened at `valid_at`; `zone` is where its store days are."""
        self.posting_id = posting_id
        self._day = valid_at.astimezone(zone).date()
        self._zone = zone
        self._may_owe = may_owe
        self.at = to_wire(valid_at)
        self.entries: list[Entry] = []
        self.counter: dict[tuple[str, str], dict[str, int]] = {}
        self.lots: list[Lot] = []
        self.touched: dict[str, Lot] = {}
        self.accounts: dict[str, Account] = {}
        self._before: dict[str, dict[str, int]] = {}

    def move(self, account: Account, move: Move) -> Moved:
        """Take one move; raises the ledger's errors."""
        if account.kind.category(move.category) is None:
            raise errors.UnknownCategory(kind=account.kind.name, category=move.category)
        if not 0 < abs(move.amount) < BOUND:
            raise errors.NotPositive if not move.amount else errors.TooMuch(bound=BOUND)
        self._touch(account)
        moved = (self._credit if move.amount > 0 else self._debit)(account, move)
        if abs(account.balance) >= BOUND:
            raise errors.TooMuch(bound=BOUND)
        return moved

    def finish(self) -> None:
        """Look at what only the whole posting shows.

        Raises:
            NegativeCategory: a category's total falls below zero.
        """
        if self._may_owe:
            return
        for account in self.accounts.values():
            for category in account.kind.categories:
                total = account.totals.get(category.name, 0)
                before = self._before[account.id].get(category.name, 0)
                fell = total > before if category.uses else total < before
                shown = -total if category.uses else total
                if fell and shown < 0 and not category.negative:
                    raise errors.NegativeCategory(category=category.name, total=shown)

    def spend_held(self, account: Account, kept: Iterable[tuple[str, int]], move: Move) -> Moved:
        """Take a debit from what a hold keeps, of lots that ended since too; free the rest."""
        left = -move.amount
        taken: list[Taken] = []
        self._touch(account)
        for lot_id, amount in kept:
            lot = account.lots[lot_id]
            lot.held -= amount
            part = min(left, amount)
            if part:
                self._book(account, move.category, lot, -part, move.against)
                taken.append(Taken(lot.id, lot.category, part))
                left -= part
        return Moved(account.id, taken=tuple(taken))

    def forgive(self, account: Account, move: Move) -> Moved:
        """Take back a debt that a credit is for; what of it was settled since comes as any credit.

        A lot of its own would end later than those the debt was never taken from.
        """
        part = min(move.amount, account.owed)
        if part:
            self._touch(account)
            self._book(account, move.category, None, part, move.against)
        if part == move.amount:
            return Moved(account.id, settled=part)
        moved = self.move(account, replace(move, amount=move.amount - part))
        return replace(moved, settled=moved.settled + part)

    def expire(self, account: Account, lots: Iterable[Lot]) -> int:
        """Take what is left of lots that have ended, holds left alone; return how much."""
        taken = 0
        self._touch(account)
        for one in lots:
            if one.has_ended(self.at) and one.free:
                taken += self._lapse(account, one, one.free)
        return taken

    def _touch(self, account: Account) -> None:
        if account.id not in self.accounts:
            self.accounts[account.id] = account
            self._before[account.id] = dict(account.totals)

    def _credit(self, account: Account, move: Move) -> Moved:
        amount = move.amount
        cap = account.kind.cap if move.cap is None else move.cap
        if cap is not None and account.balance + amount > cap:
            raise errors.OverCap(cap=cap, room=max(0, cap - account.balance))
        if move.lot is None:
            lot = self._new_lot(account, move)
        else:
            lot = _lot_of(account, move.lot)
            if lot.remaining + amount > lot.issued:
                raise errors.OverLot(room=lot.issued - lot.remaining)
        self._book(account, move.category, lot, amount, move.against)
        expired = self._lapse(account, lot, amount) if lot.has_ended(self.at) else 0
        settled = self._settle(account, move.category) if account.owed else 0
        return Moved(account.id, lot.id, settled=settled, expired=expired)

    def _new_lot(self, account: Account, move: Move) -> Lot:
        until = move.expires_on
        if until is DEFAULT:
            until = last_day(account.kind.lots, self._day)
        expires_at: str | None
        ends_on: date | None
        if isinstance(until, datetime):
            expires_at = to_wire(until)
            ends_on = move.ends_on or day_ending(until, self._zone)
        else:
            expires_at = None if until is None else end_of(until, self._zone)
            ends_on = until
        pending = "" if move.available_at is None else to_wire(move.available_at)
        lot = Lot(
            new_id(),
            account.id,
            move.category,
            self.posting_id,
            move.amount,
            self.at,
            max(pending, self.at),
            expires_at,
            ends_on.isoformat() if ends_on and expires_at else None,
            0,
        )
        account.lots[lot.id] = lot
        self.lots.append(lot)
        return lot

    def _debit(self, account: Account, move: Move) -> Moved:
        asked = left = -move.amount
        before = account.available(self.at)
        reach = 0  # what was taken of what was available
        taken: list[Taken] = []
        for lot in self._sources(account, move):
            part = min(left, lot.free)
            if part <= 0:
                continue
            if lot.is_usable(self.at):
                reach += part
            self._book(account, move.category, lot, -part, move.against)
            taken.append(Taken(lot.id, lot.category, part))
            left -= part
            if not left:
                break
        after = before - reach - left
        floor = account.kind.floor
        is_short = floor is not None and after < min(floor, before) and not self._may_owe
        if is_short or (left and move.lot is not None):
            raise errors.Insufficient(available=max(0, before - (floor or 0)), asked=asked)
        if left:
            self._book(account, move.category, None, -left, move.against)
        return Moved(account.id, taken=tuple(taken), owed=left)

    def _sources(self, account: Account, move: Move) -> Iterator[Lot]:
        """Yield the lots that a debit may take from, in order."""
        named = move.first if move.lot is None else (move.lot,)
        for lot_id in named:
            lot = _lot_of(account, lot_id)
            if not lot.has_ended(self.at):
                yield lot
        if move.lot is None:
            for lot in sorted(account.lots.values(), key=spend_order):
                if lot.is_usable(self.at):
                    yield lot

    def _settle(self, account: Account, category: str) -> int:
        """Pay debts out of lots that can be spent; return how much."""
        settled = 0
        for lot in sorted(account.lots.values(), key=spend_order):
            part = min(account.owed, lot.free) if lot.is_usable(self.at) else 0
            if part > 0:
                self._enter(account, category, lot, -part, SETTLED)
                self._enter(account, category, None, part, SETTLED)
                settled += part
        return settled

    def _lapse(self, account: Account, lot: Lot, amount: int) -> int:
        """Take what ended from its lot, as used where the kind has a category for that.

        No category's total stands against it: time is not refused.
        """
        uses = next((one.name for one in account.kind.categories if one.uses), "")
        parts = [(uses, amount)] if uses else list(stands_for(account, lot, amount))
        before = self._before[account.id]
        for category, part in parts:
            self._book(account, category, lot, -part, EXPIRED)
            before[category] = before.get(category, 0) - part
        return amount

    def _book(
        self, account: Account, category: str, lot: Lot | None, amount: int, against: str
    ) -> None:
        """Enter an amount on the account and its counter-entry on the programme's."""
        self._enter(account, category, lot, amount, against)
        sums = self.counter.setdefault(account.programme, {})
        sums[against] = sums.get(against, 0) - amount

    def _enter(
        self, account: Account, category: str, lot: Lot | None, amount: int, why: str
    ) -> None:
        self.entries.append(Entry(account.id, category, lot.id if lot else None, amount, why))
        account.balance += amount
        account.totals[category] = account.totals.get(category, 0) + amount
        if lot is None:
            account.owed -= amount
            return
        lot.remaining += amount
        if lot.posting_id != self.posting_id:
            self.touched[lot.id] = lot


def stands_for(account: Account, lot: Lot, amount: int) -> Iterator[tuple[str, int]]:
    """Yield the categories that a part of a lot stands for, the lot's own first.

    What was taken of one category can have come out of a lot of another, so a lot may have
    more left than its category's total.
    """
    names = [each.name for each in account.kind.categories if not each.uses]
    names.sort(key=lambda name: name != lot.category)
    for name in names:
        part = min(amount, max(0, account.totals.get(name, 0)))
        if part:
            amount -= part
            yield name, part
    if amount:
        yield lot.category, amount


def _lot_of(account: Account, lot_id: str) -> Lot:
    found = account.lots.get(lot_id)
    if found is None:
        raise errors.UnknownLot
    return found
