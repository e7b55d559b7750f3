"""Production batches: serials reserved at approval, cards made in slices, exactly once."""

import pytest

from core.api import Conflict, Document, Event, Invalid, new_id, query, table
from plugins.card_types.operations import batches
from plugins.card_types.tests.card_world import coded, make_type


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch):
    monkeypatch.setattr(batches, "SLICE", 4)


def make_batch(shipped, store, card_type, count):
    return shipped.create("clerk", "card_batch", card_type=card_type, store=store, count=count)


def approved(shipped, store, card_type, count):
    batch = make_batch(shipped, store, card_type, count)
    made = shipped.approve("card_batch", batch["id"])
    assert made["status"] == "effective"
    return made


def tell(shipped, batch, topic="document.effective"):
    """Have the plugins hear that the batch was approved, or is to go on."""
    ctx = shipped.context()
    payload = {"type": "card_batch", "id": batch["id"]}
    ctx.hooks.after_event(ctx, Event(new_id(), topic, payload))


def serials(shipped, batch):
    ctx = shipped.context()
    card = table(ctx, "card").c
    wanted = card.id.table.select().where(card.batch == batch["id"]).order_by(card.serial)
    return [row.serial for row in query(ctx, wanted)]


def test_approved_batch_is_made_in_slices_however_often_it_is_told(shipped, store):
    card_type = make_type(shipped)
    batch = approved(shipped, store, card_type, 10)
    assert (batch["serial_from"], batch["serial_to"], batch["made"]) == (1, 10, 0)
    tell(shipped, batch)
    assert serials(shipped, batch) == [1, 2, 3, 4]
    assert (shipped.get("card_batch", batch["id"])["progress"]) == 40
    for _ in range(5):
        tell(shipped, batch, batches.NEXT)
    assert serials(shipped, batch) == list(range(1, 11))
    card = shipped.create("clerk", "card", card_type=card_type, store=store)
    assert card["serial"] == 11


def test_slice_that_was_killed_is_made_whole_the_next_time(shipped, store, monkeypatch):
    batch = approved(shipped, store, make_type(shipped), 6)

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as killing:
        killing.setattr(batches, "emit_event", die)
        with pytest.raises(KeyboardInterrupt):
            batches.make_slice(shipped.context(), batch["id"])
    assert serials(shipped, batch) == []
    made = [batches.make_slice(shipped.context(), batch["id"]) for _ in range(3)]
    assert (made, serials(shipped, batch)) == ([4, 2, 0], [1, 2, 3, 4, 5, 6])


def test_reserved_serials_are_nobody_elses_until_the_batch_is_made(shipped, store):
    card_type = make_type(shipped, serial_to=9)
    shipped.create("clerk", "card", card_type=card_type, store=store, serial=3)
    batch = approved(shipped, store, card_type, 4)
    # The used one in between is stepped over.
    assert (batch["serial_from"], batch["serial_to"]) == (1, 5)
    with pytest.raises(Invalid) as caught:
        shipped.create("clerk", "card", card_type=card_type, store=store, serial=2)
    assert caught.value.problems[0].code == "card_types.reserved"
    singles = [
        shipped.create("clerk", "card", card_type=card_type, store=store)["serial"]
        for _ in range(4)
    ]
    assert singles == [6, 7, 8, 9]
    with pytest.raises(Conflict, check=coded("card_types.exhausted")):
        shipped.create("clerk", "card", card_type=card_type, store=store)
    tell(shipped, batch)
    assert serials(shipped, batch) == [1, 2, 4, 5]


def test_batch_over_what_is_left_does_not_take_effect(shipped, store):
    card_type = make_type(shipped, serial_to=9)
    batch = make_batch(shipped, store, card_type, 10)
    with pytest.raises(Conflict, check=coded("card_types.exhausted")):
        shipped.submit("card_batch", batch["id"])
    approved(shipped, store, card_type, 9)


def test_batch_that_others_overtook_is_blocked_at_approval(shipped, store):
    card_type = make_type(shipped, serial_to=9)
    batch = make_batch(shipped, store, card_type, 9)
    shipped.submit("card_batch", batch["id"])
    shipped.create("clerk", "card", card_type=card_type, store=store)
    assert shipped.decide("card_batch", batch["id"], waits=True) == "apply_blocked"
    stored = shipped.get("card_batch", batch["id"])
    assert (stored["status"], stored["serial_from"]) == ("draft", None)


def test_batch_has_a_limit_and_keeps_what_was_approved(shipped, store):
    card_type = make_type(shipped)
    shipped.set("card_types", batch_most=5)
    batch = make_batch(shipped, store, card_type, 6)
    with pytest.raises(Conflict, check=coded("card_types.batch_too_large")):
        shipped.submit("card_batch", batch["id"])
    with pytest.raises(Invalid):
        shipped.change("clerk", "card_batch", batch["id"], serial_from=3)
    shipped.change("clerk", "card_batch", batch["id"], count=5)
    assert shipped.approve("card_batch", batch["id"])["serial_to"] == 5
    with pytest.raises(Conflict, check=coded("card_types.batch_approved")):
        shipped.change("clerk", "card_batch", batch["id"], count=3)


@pytest.mark.parametrize(("count", "left"), [(94, []), (95, [5]), (100, [0])])
def test_batch_that_leaves_few_serials_says_so(shipped, store, count, left):
    card_type = make_type(shipped, serial_to=100)
    batch = make_batch(shipped, store, card_type, count)
    ctx = shipped.context("clerk")
    with ctx.writing():
        batches.check_batch(ctx, Document("card_batch", batch["id"], None, batch))
    assert [(it.code, it.params["left"]) for it in ctx.warnings] == [
        ("card_types.low", each) for each in left
    ]


def test_batch_of_which_nothing_was_made_is_voided_and_frees_its_serials(shipped, store):
    card_type = make_type(shipped, serial_to=9)
    batch = approved(shipped, store, card_type, 9)
    assert shipped.void("card_batch", batch["id"])["state"] == "approved"
    voided = shipped.get("card_batch", batch["id"])
    assert (voided["status"], voided["serial_from"], voided["serial_to"]) == ("void", 1, 9)
    tell(shipped, batch)
    assert serials(shipped, batch) == []
    assert shipped.create("clerk", "card", card_type=card_type, store=store)["serial"] == 1


def test_batch_whose_cards_exist_is_not_voided(shipped, store):
    card_type = make_type(shipped)
    batch = approved(shipped, store, card_type, 6)
    tell(shipped, batch)
    assert shipped.void("card_batch", batch["id"])["state"] == "apply_blocked"
    assert shipped.get("card_batch", batch["id"])["status"] == "effective"
    tell(shipped, batch, batches.NEXT)
    assert serials(shipped, batch) == [1, 2, 3, 4, 5, 6]


def test_batch_of_a_type_no_longer_in_force_can_be_voided(shipped, store):
    card_type = make_type(shipped)
    batch = approved(shipped, store, card_type, 9)
    assert shipped.void("card_type", card_type)["state"] == "approved"
    assert shipped.void("card_batch", batch["id"])["state"] == "approved"
