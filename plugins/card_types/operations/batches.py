"""Production batches (制卡单): serials reserved at approval, cards made by the worker in slices.

A slice is one transaction that looks at what is there: whatever was killed goes on where it
stopped, and a slice that is asked for twice makes nothing twice.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from core.api import (
    N_,
    Change,
    Conflict,
    Context,
    Document,
    Event,
    Invalid,
    Problem,
    create_many,
    emit_event,
    next_number,
    on_behalf,
    plugin_settings,
    query,
    table,
)
from plugins.card_types.operations.numbering import (
    Exhausted,
    counter_of,
    live_type,
    low_warnings,
    numbering_of,
)
from plugins.card_types.operations.reserving import reserved_ranges
from plugins.card_types.rules import numbers
from plugins.card_types.rules.numbers import Numbering

#: Cards of one transaction.
SLICE = 200

#: What asks the worker for the next slice.
NEXT = "card_types.slice"

Record = Mapping[str, Any]


class TooMany(Conflict):
    """The batch is larger than the setting `batch_most` allows."""

    code = "card_types.batch_too_large"
    text = N_("A batch has at most {most} cards.")


class BatchApproved(Conflict):
    """An approved batch is made as it is."""

    code = "card_types.batch_approved"
    text = N_("An approved batch is not changed; make another one.")


class BatchMade(Conflict):
    """Cards of the batch exist, so it cannot be as if it had never been."""

    code = "card_types.batch_made"
    text = N_("{made} cards of this batch are made; cancel the cards instead.")


def check_draft(ctx: Context, change: Change) -> None:
    """Keep the serials of a batch out of people's hands, and what is approved as it is.

    Raises:
        Invalid: serials were given.
        BatchApproved: it would change after its approval.
    """
    if change.before and change.before.get("status") == "effective" and ctx.door != "flow":
        raise BatchApproved
    given = [name for name in ("serial_from", "serial_to") if change.values.get(name) is not None]
    if given and ctx.door != "flow":
        text = N_("This is filled in at approval.")
        raise Invalid(problems=[Problem(name, "card_types.not_given", text) for name in given])


def check_batch(ctx: Context, document: Document) -> None:
    """Refuse a batch that is too large, or for which too few serials are left by now.

    That few would be left after it is only said.

    Raises:
        TooMany: it is larger than a batch may be.
        Exhausted: fewer serials are left.
        Invalid: the card type is not in force.
    """
    values = document.values
    if values.get("status") == "void":
        return
    most = plugin_settings(ctx, "card_types")["batch_most"]
    if values["count"] > most:
        raise TooMany(most=most)
    _, last = _free_run(ctx, values)
    numbering = _numbering(ctx, values)[1]
    ctx.warnings += low_warnings(ctx, numbering.end - last, numbering.size)


def reserve_serials(ctx: Context, document: Document) -> None:
    """Reserve the serials of an approved batch, under the counter's lock.

    A voided batch gives back what it reserved, as long as none of its cards was made.

    Raises:
        BatchMade: it is voided, and cards of it exist.
        Exhausted: fewer serials are left than cards are to be made.
        Conflict: what `check_batch` raises.
    """
    if document.values.get("status") == "void":
        _refuse_made(ctx, document.record_id)
        return
    key = counter_of(document.values["card_type"])
    with ctx.writing() as connection:
        next_number(connection, key, count=0)  # from here on nobody else takes one
        check_batch(ctx, document)
        first, last = _free_run(ctx, document.values)
        numbering = _numbering(ctx, document.values)[1]
        turn = next_number(connection, key, count=0)
        behind = last - numbering.first + 1 - (turn - 1)
        if behind > 0:
            next_number(connection, key, count=behind)
    document.sets.update(serial_from=first, serial_to=last)


def go_on(ctx: Context, event: Event) -> None:
    """Make the next slice of an approved batch, and ask for the one after it."""
    if event.topic in {"document.effective", NEXT}:
        make_slice(ctx, event.payload["id"])


def make_slice(ctx: Context, batch_id: str) -> int:
    """Make at most `SLICE` cards of a batch that is in force; return how many."""
    batch = table(ctx, "card_batch").c
    locked = sa.select(*batch).where(batch.id == batch_id).with_for_update(key_share=True)
    with ctx.writing() as connection:
        found = [row._asdict() for row in query(ctx, locked)]
        if not found or found[0]["status"] != "effective":
            return 0
        mine = found[0]
        left = mine["count"] - _made(ctx, batch_id)
        _, numbering, store_code = _numbering(ctx, mine)
        serials = _free(ctx, mine, numbering, store_code, mine["serial_from"], mine["serial_to"])
        same = {name: mine[name] for name in ("card_type", "store")}
        items = [
            {**same, "batch": batch_id, "serial": serial}
            for serial, _ in zip(serials, range(min(left, SLICE)), strict=False)
        ]
        outcomes = create_many(on_behalf(ctx), "card", items)
        made = sum(1 for one in outcomes if isinstance(one, dict))
        if made and left > made:
            emit_event(connection, NEXT, {"type": "card_batch", "id": batch_id})
    return made


def _refuse_made(ctx: Context, batch_id: str) -> None:
    """Refuse when cards of a batch exist; no slice of it is made until the transaction ends."""
    batch = table(ctx, "card_batch").c
    query(ctx, sa.select(batch.id).where(batch.id == batch_id).with_for_update(key_share=True))
    made = _made(ctx, batch_id)
    if made:
        raise BatchMade(made=made)


def _made(ctx: Context, batch_id: str) -> int:
    """Return how many cards of a batch exist, deleted ones too."""
    counted = sa.select(sa.func.count().label("many"))
    return int(query(ctx, counted.where(table(ctx, "card").c.batch == batch_id))[0].many)


def _free_run(ctx: Context, values: Record) -> tuple[int, int]:
    """Return the first and last serial of the run in which the batch finds its cards.

    It begins where single cards go on, else at the first gap, and holds as many free serials
    as there are cards; others in it are used already.
    """
    card_type, numbering, store_code = _numbering(ctx, values)
    with ctx.writing() as connection:
        turn = next_number(connection, counter_of(values["card_type"]), count=0)
    for start in dict.fromkeys((numbering.first + turn - 1, numbering.first)):
        found = [
            serial
            for serial, _ in zip(
                _free(ctx, values, numbering, store_code, start, numbering.end),
                range(values["count"]),
                strict=False,
            )
        ]
        if len(found) == values["count"]:
            return found[0], found[-1]
    raise Exhausted(name=card_type["name"])


def _free(
    ctx: Context, values: Record, numbering: Numbering, store_code: str, first: int, last: int
) -> Iterator[int]:
    """Yield the serials between two that no card has, whose number nobody has, in order."""
    card = table(ctx, "card").c
    others = reserved_ranges(ctx, values["card_type"], besides=values.get("id", ""))
    for start in range(first, last + 1, SLICE):
        window = {
            serial: numbers.printed_number(store_code, numbering, serial)
            for serial in range(start, min(start + SLICE, last + 1))
        }
        used = sa.select(card.serial).where(
            card.card_type == values["card_type"],
            card.serial.between(start, start + SLICE - 1),
        )
        taken = sa.select(card.number).where(card.number.in_(window.values()))
        serials = {row.serial for row in query(ctx, used)}
        printed = {row.number for row in query(ctx, taken)}
        for serial, number in window.items():
            is_reserved = any(low <= serial <= high for low, high in others)
            if serial not in serials and number not in printed and not is_reserved:
                yield serial


def _numbering(ctx: Context, values: Record) -> tuple[Record, Numbering, str]:
    card_type = live_type(ctx, values)
    numbering = numbering_of(card_type)
    if card_type.get("status") != "effective" or numbering is None:
        text = N_("Cards can be made from an effective card type only.")
        raise Invalid(problems=[Problem("card_type", "card_types.not_effective", text)])
    return card_type, numbering, card_type["store_code"]
