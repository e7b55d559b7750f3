"""Record ids: their form, and the order they sort in."""

import uuid

from core.ids import is_id, new_id, new_ids


def test_ids_made_one_after_another_sort_in_that_order():
    made = [new_id() for _ in range(2_000)]
    assert made == sorted(set(made))


def test_ids_are_of_version_7_and_told_from_other_texts():
    made = [new_id(), *new_ids(3)]
    assert {(uuid.UUID(one).version, uuid.UUID(one).variant) for one in made} == {
        (7, uuid.RFC_4122)
    }
    assert all(map(is_id, made))
    assert not any(map(is_id, (made[0].upper(), made[0][:-1], made[0] + "\n", 7)))


def test_ids_of_one_batch_sort_in_their_order_after_what_was_there():
    before = new_id()
    made = [before, *new_ids(500)]
    assert made == sorted(set(made))
