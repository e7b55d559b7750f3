"""What may be done with a card in which state, and what it becomes (卡操作)."""

from collections.abc import Mapping
from dataclasses import dataclass

#: States in which somebody holds the card.
HELD = frozenset({"issued", "active"})


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of operation.

    Attributes:
        allowed: the states of a card that it may be done to.
        becomes: the card's state afterwards; "" leaves it, `former` is the one before the
            loss or the freeze.
        replaces: another card is issued in the card's place.
    """

    allowed: frozenset[str]
    becomes: str = ""
    replaces: bool = False


OPERATIONS: Mapping[str, Operation] = {
    "issue": Operation(frozenset({"made"}), "issued"),
    "qualify": Operation(frozenset({"made"}), "issued"),
    "activate": Operation(frozenset({"issued"}), "active"),
    "loss": Operation(HELD | {"frozen"}, "lost"),
    "found": Operation(frozenset({"lost"}), "former"),
    "freeze": Operation(HELD, "frozen"),
    "unfreeze": Operation(frozenset({"frozen"}), "former"),
    "reissue": Operation(HELD | {"lost"}, "reissued", replaces=True),
    "change": Operation(HELD | {"expired"}, "changed", replaces=True),
    "upgrade": Operation(HELD, "changed", replaces=True),
    "unlock_code": Operation(HELD | {"lost", "frozen"}),
    "cancel": Operation(
        frozenset({"made", "issued", "active", "lost", "frozen", "expired"}), "cancelled"
    ),
}

#: States that only an operation brings a card into, for more follows than the state.
BY_OPERATION = frozenset({"reissued", "changed"})


def state_after(kind: str, status: str, former: str) -> str | None:
    """Return what a card in `status` becomes, or None when the operation is not allowed.

    Args:
        kind: one of `OPERATIONS`.
        status: what the card is now.
        former: what it was before the loss or freeze that holds it; "" when nobody knows.
    """
    operation = OPERATIONS[kind]
    if status not in operation.allowed:
        return None
    if operation.becomes == "former":
        # Whoever was in use without anything said of before was in use.
        return former if former in HELD else "active"
    return operation.becomes or status
