"""Why a card is refused, by code."""

from core.api import N_, Conflict


class UnknownCard(Conflict):
    """No card has this number."""

    code = "card_types.unknown_card"
    text = N_("There is no card with this number.")


class WrongTrack(Conflict):
    """The track was not made for this card, or for one that was replaced since."""

    code = "card_types.wrong_track"
    text = N_("This is not the track of this card as it was last issued.")


class OtherMember(Conflict):
    """The card belongs to another member than the one who buys."""

    code = "card_types.other_member"
    text = N_("This card belongs to another member.")


class NotIssued(Conflict):
    """The card is in stock."""

    code = "card_types.not_issued"
    text = N_("This card was not issued yet.")


class Lost(Conflict):
    """The card was reported lost."""

    code = "card_types.lost"
    text = N_("This card was reported lost.")


class Frozen(Conflict):
    """The card is frozen."""

    code = "card_types.frozen"
    text = N_("This card is frozen.")


class Replaced(Conflict):
    """Another card was issued in the place of this one."""

    code = "card_types.replaced"
    text = N_("Another card was issued in the place of this one.")


class Cancelled(Conflict):
    """The card is cancelled."""

    code = "card_types.cancelled"
    text = N_("This card is cancelled.")


class Expired(Conflict):
    """The card is no longer valid."""

    code = "card_types.expired"
    text = N_("This card has expired.")


class NotVerified(Conflict):
    """The verification code is missing."""

    code = "card_types.not_verified"
    text = N_("The verification code of this card is needed.")


class WrongCode(Conflict):
    """The verification code is wrong."""

    code = "card_types.wrong_code"
    text = N_("This is not the verification code of this card.")


class CodeLocked(Conflict):
    """The verification code was tried wrongly too often."""

    code = "card_types.code_locked"
    text = N_("The verification code was wrong too often; staff must unlock the card.")


#: Fault of a card -> how it is refused.
REFUSALS: dict[str, type[Conflict]] = {
    "not_issued": NotIssued,
    "lost": Lost,
    "frozen": Frozen,
    "replaced": Replaced,
    "cancelled": Cancelled,
    "expired": Expired,
    "not_verified": NotVerified,
    "wrong_code": WrongCode,
    "code_locked": CodeLocked,
}
