"""What is asked of the ledger, and what it answers; plain values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Final, Literal

#: No amount and no balance reaches this, so that sums stay exact everywhere.
BOUND: Final = 10**15


class Default(Enum):
    """What stands for "as the account kind says"."""

    DEFAULT = "default"


DEFAULT: Final = Default.DEFAULT


@dataclass(frozen=True, slots=True)
class Move:
    """One credit or debit of an owner's account; the ledger adds the counter-entry.

    Attributes:
        kind: name of the account kind, such as `points`.
        owner: id of the record that owns the account.
        category: one of the kind's categories.
        amount: smallest units, + credits, - debits.
        against: why, which is the category on the programme's account: issued, spent,
            expired, sold, moved, settled.
        unit: the currency's code for kinds of money; empty for points.
        lot: debit or credit exactly this lot, even a pending one; a credit goes back to it.
        first: lots to take from before others, pending ones too; then what expires soonest.
        expires_on: the last store day, or the instant from which on it is of no use; None
            is never.
        available_at: pending until then.
        cap: the most that may lie on the account afterwards, in the place of the kind's.
        ends_on: the last store day that people are told, where `expires_on` is an instant; that
            of the posting's zone without it.
    """

    kind: str
    owner: str
    category: str
    amount: int
    against: str = "issued"
    unit: str = ""
    lot: str | None = None
    first: tuple[str, ...] = ()
    expires_on: date | datetime | Literal[Default.DEFAULT] | None = DEFAULT
    available_at: datetime | None = None
    cap: int | None = None
    ends_on: date | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """What a debit took from which lot, a positive amount; `category` is the lot's own."""

    lot: str
    category: str
    amount: int


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of a move.

    Attributes:
        account_id: the owner's account.
        lot: the lot that a credit made or went back to; None for debits.
        taken: what a debit took, in order.
        owed: the part of a debit that no lot covered: a debt.
        settled: the part of debts that was settled after it out of lots.
        expired: the part of a credit that expired at once, since its lot had.
    """

    account_id: str
    lot: str | None = None
    taken: tuple[Taken, ...] = ()
    owed: int = 0
    settled: int = 0
    expired: int = 0


@dataclass(frozen=True, slots=True)
class Posted:
    """A posting as it was answered.

    Attributes:
        id: of the posting.
        moves: one for each move asked, in order.
        balances: account id -> balance after the posting.
        replayed: it was posted under this key before, and this is what was answered then.
    """

    id: str
    moves: tuple[Moved, ...]
    balances: Mapping[str, int]
    replayed: bool = False
