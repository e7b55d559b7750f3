"""Why the ledger refuses; the codes are part of the contract."""

from core.errors import Conflict, Invalid
from core.i18n import N_


class Insufficient(Conflict):
    """Less is available than is to be taken."""

    code = "ledger.insufficient"
    text = N_("{available} are available, {asked} are needed.")


class OverCap(Conflict):
    """More would lie on the account than may."""

    code = "ledger.over_cap"
    text = N_("At most {cap} may lie on this account; {room} more fit.")


class OverLot(Conflict):
    """More would go back to a lot than was taken from it."""

    code = "ledger.over_lot"
    text = N_("Only {room} can go back to this lot.")


class NegativeCategory(Conflict):
    """The total of a category would fall below zero."""

    code = "ledger.category_negative"
    text = N_("Category {category} would fall to {total}.")


class LedgerKeyReused(Conflict):
    """A key came back with another posting or hold."""

    code = "ledger.key_reused"
    text = N_("The key {key} was already used to post something else.")


class AlreadyReversed(Conflict):
    """A posting is taken back once."""

    code = "ledger.already_reversed"
    text = N_("This posting was taken back already.")


class HoldEnded(Conflict):
    """A hold ends once."""

    code = "ledger.hold_ended"
    text = N_("This hold has ended already ({how}).")


class UnknownKind(Invalid):
    """There is no such account kind, or it has no such unit."""

    code = "ledger.unknown_kind"
    text = N_("There is no account of kind {kind} in {unit}.")


class UnknownCategory(Invalid):
    """The account kind has no such category."""

    code = "ledger.unknown_category"
    text = N_("Accounts of kind {kind} have no category {category}.")


class UnknownLot(Invalid):
    """The account has no such lot."""

    code = "ledger.unknown_lot"
    text = N_("The account has no such lot.")


class NotPositive(Invalid):
    """An amount of nothing, or a negative one where that has no meaning."""

    code = "ledger.not_positive"
    text = N_("The amount must be a whole number above zero.")


class TooMuch(Invalid):
    """An amount or a balance is over the bound that sums are safe under."""

    code = "ledger.too_much"
    text = N_("Amounts and balances stay below {bound}.")


class OwnerHasBalance(Conflict):
    """Who owns a balance cannot be put away: nobody would own it any more."""

    code = "ledger.owner_has_balance"
    text = N_("Its account {kind} is not empty ({balance}). Transfer or write it off first.")
