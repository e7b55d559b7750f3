"""Why a card that is shown gives no benefit, and which of these refuse a sale (domain §2.5)."""

from collections.abc import Mapping
from datetime import date
from typing import Any

#: State of a card -> what is wrong with it; a card in another state may be good.
FAULTS = {
    "made": "not_issued",
    "lost": "lost",
    "frozen": "frozen",
    "reissued": "replaced",
    "changed": "replaced",
    "expired": "expired",
    "cancelled": "cancelled",
}

#: Outcome of trying a verification code -> what is wrong then.
CODE_FAULTS = {
    "right": "",
    "wrong": "wrong_code",
    "locked": "code_locked",
    "none": "not_verified",
    "": "not_verified",
}

#: Faults that refuse a sale; with the others it is priced without the card's benefits.
REFUSING = (
    "lost", "frozen", "replaced", "cancelled", "expired", "not_issued", "wrong_code",
    "code_locked",
)  # fmt: skip

#: Faults with which a card may still take small change, for that only adds to what is its
#: holder's.
HARMLESS = frozenset({"rebate_card", "not_verified", "not_active", "type_not_in_force"})


def card_faults(
    card: Mapping[str, Any],
    card_type: Mapping[str, Any],
    *,
    on: date,
    code: str,
    needs_activation: bool = False,
) -> tuple[str, ...]:
    """Return why a card gives no benefit at a sale; nothing when it is good.

    Args:
        card: its stored values.
        card_type: values of its type at the moment of the sale, empty when none held.
        on: the store day.
        code: what trying the verification code came to; "" when none was given.
        needs_activation: a card that was issued is good only once it was activated.
    """
    faults = []
    if card["status"] in FAULTS:
        faults.append(FAULTS[card["status"]])
    elif card["valid_until"] is not None and card["valid_until"] < on:
        faults.append("expired")
    elif needs_activation and card["status"] == "issued":
        faults.append("not_active")
    if not card_type:
        faults.append("type_not_in_force")
    elif card_type["purpose"] == "rebate_card":
        faults.append("rebate_card")
    if card_type.get("verification") == "printed_code" and CODE_FAULTS[code]:
        faults.append(CODE_FAULTS[code])
    return tuple(faults)


def refusing(faults: tuple[str, ...]) -> str:
    """Return the fault that refuses a sale, the gravest first, or ""."""
    return next((fault for fault in REFUSING if fault in faults), "")
