"""What a card's page offers to begin with it, against the rule that does it."""

import pytest

from core.errors import GuanxiError
from core.testing.shipped import *  # noqa: F403  its fixtures
from core.web.related import offers
from plugins.card_types.rules.life import LIFE
from plugins.card_types.rules.operating import OPERATIONS


@pytest.fixture
def place(shipped):
    return shipped.create("Admin", "store", code="01", name="Riverside")["id"]


def make_type(shipped, code, prefix, **changes):
    plain = {"code": code, "name": code, "type_prefix": prefix, "serial_length": 4}
    made = shipped.create("clerk", "card_type", **plain, **changes)["id"]
    assert shipped.approve("card_type", made)["status"] == "effective"
    return made


def offered(shipped, card, role="cashier"):
    """Return the kinds of operations that the page of a card offers."""
    ctx = shipped.context(role)
    found = offers(ctx, ctx.registry.record_type("card"), card)
    return {href.rpartition("kind=")[2] for one in found for _, href in one.options}


def test_a_card_offers_what_its_state_and_type_allow(shipped, place):
    member = shipped.create("clerk", "member", no="M1", name="Lin")["id"]
    coded = make_type(shipped, "T", "01", purpose="temporary_card", verification="printed_code")
    for status in LIFE:
        card = shipped.create("clerk", "card", card_type=coded, store=place, member=member)["id"]
        if status == "made":
            card = shipped.create("clerk", "card", card_type=coded, store=place)["id"]
        elif status in {"reissued", "changed"}:
            kind = {"reissued": "reissue", "changed": "change"}[status]
            shipped.create(
                "clerk", "card_operation", kind=kind, card=card, store=place, reason="-"
            )
        elif status != "issued":
            shipped.change("clerk", "card", card, status=status)
        allowed = {kind for kind, one in OPERATIONS.items() if status in one.allowed}
        assert (status, offered(shipped, card)) == (status, allowed)


def test_a_card_offers_no_upgrade_code_or_issue_that_its_type_never_has(shipped, place):
    plain = make_type(shipped, "P", "01", qualifying_amount="300.00")
    card = shipped.create("clerk", "card", card_type=plain, store=place)["id"]
    assert offered(shipped, card) == {"qualify", "cancel"}
    member = shipped.create("clerk", "member", no="M1", name="Lin")["id"]
    issued = shipped.create("clerk", "card", card_type=plain, store=place, member=member)["id"]
    assert not {"upgrade", "unlock_code"} & offered(shipped, issued)


def test_nobody_is_offered_what_they_may_not_do(shipped, place):
    plain = make_type(shipped, "P", "01")
    card = shipped.create("clerk", "card", card_type=plain, store=place)["id"]
    assert offered(shipped, card, "clerk") == {"issue", "qualify", "cancel"}
    assert offered(shipped, card, "auditor") == set()
    with pytest.raises(GuanxiError):
        shipped.create("auditor", "card_operation", kind="cancel", card=card, store=place)
