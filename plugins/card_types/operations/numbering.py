"""What the rules need from the database, and what they write into a change."""

import logging
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from core.api import (
    N_,
    Change,
    Conflict,
    Context,
    Document,
    Invalid,
    Problem,
    next_number,
    option_label,
    plugin_settings,
    query,
    table,
)
from plugins.card_types.operations.reserving import reserved_until
from plugins.card_types.rules import life, numbers
from plugins.card_types.rules.numbers import Numbering
from plugins.card_types.rules.operating import BY_OPERATION

log = logging.getLogger(__name__)

NUMBERING_FIELDS = (
    "type_prefix", "serial_length", "serial_from", "serial_to", "check_digits", "suffix",
)  # fmt: skip

#: Held while a card type takes effect, so that two cannot pass each other's check.
RANGES = "card_types.ranges"

#: Printed numbers taken by something else that are skipped before giving up.
MOST_SKIPPED = 1000

#: What is said of a field that the rules refuse.
FAULTS = {
    "too_long": N_("This serial has more digits than the card type's serials."),
    "format": N_("Cards of this type exist, so this can no longer be changed like this."),
    "range": N_("Serials of cards that exist must stay in the range."),
}


class Exhausted(Conflict):
    """Every serial of the card type is used."""

    code = "card_types.exhausted"
    text = N_("The card type {name} has no serial left.")


class Overlap(Conflict):
    """The card type could print the same number as another in force."""

    code = "card_types.overlap"
    text = N_("The numbers of this card type overlap with those of {names}.")


def numbering_of(values: Mapping[str, Any]) -> Numbering | None:
    """Return how a card type numbers, or None while something it needs is missing."""
    if any(values.get(name) is None for name in ("serial_length", "serial_from", "check_digits")):
        return None
    return Numbering(
        prefix=values.get("type_prefix") or "",
        length=values["serial_length"],
        first=values["serial_from"],
        last=values.get("serial_to"),
        check_digits=values["check_digits"],
        suffix=values.get("suffix") or "",
    )


def check_card_type(ctx: Context, change: Change) -> None:
    """Refuse a card type that contradicts itself or its cards; warn of an overlap.

    Raises:
        Invalid: what is wrong, field by field.
    """
    numbering = numbering_of(change.after)
    if change.action == "delete" or numbering is None:
        return
    _refuse_faults(ctx, change.record_id, change.before, numbering)
    names = _overlapping(ctx, change.record_id, numbering)
    if names:
        change.warnings.append(Problem("", Overlap.code, Overlap.text, {"names": names}))


def check_release(ctx: Context, document: Document) -> None:
    """Refuse an approved card type that no longer fits what is in force.

    Raises:
        Overlap: another card type in force could print the same numbers.
        Invalid: it contradicts cards made in the meantime.
    """
    numbering = numbering_of(document.values)
    if numbering is None:
        return
    _lock(ctx, RANGES)
    _lock(ctx, counter_of(document.record_id))
    _refuse_faults(ctx, document.record_id, document.before, numbering)
    names = _overlapping(ctx, document.record_id, numbering)
    if names:
        raise Overlap(names=names)


def check_card(ctx: Context, change: Change) -> None:
    """Give a new card its number and an issued card its dates; keep its life in order.

    Raises:
        Invalid: the number does not follow from the card type, or the status cannot follow.
        Exhausted: the card type has no serial left.
    """
    if ctx.door != "plugin":
        _leave_to_operations(change)
    if change.action == "create":
        _number_card(ctx, change)
    elif change.action == "update":
        _check_life(ctx, change)
        if change.values.get("status") in {"issued", "active"}:
            _date_card(ctx, change, live_type(ctx, change.after)["validity_months"])


def report_low_stock(ctx: Context, card_id: str) -> None:
    """Write to the server's log when the type of a card just made has few serials left."""
    card = table(ctx, "card").c
    wanted = sa.select(card.card_type, card.store, card.serial).where(
        card.id == card_id, card.batch.is_(None)
    )
    found = query(ctx, wanted)
    if not found:
        return
    card_type = live_type(ctx, found[0]._asdict())
    numbering = numbering_of(card_type)
    hundredths = plugin_settings(ctx, "card_types")["low_hundredths"]
    if numbering is None:
        return
    left = max(0, numbering.end - found[0].serial)
    if numbers.is_low(left, numbering.size, hundredths):
        log.warning(
            "card type %s has %d of %d serials left", card_type["name"], left, numbering.size
        )


def _number_card(ctx: Context, change: Change) -> None:
    values = change.values
    if not values.get("card_type") or not values.get("store"):
        return  # core refuses it: both are required
    _lock(ctx, counter_of(values["card_type"]))
    card_type = live_type(ctx, values)
    numbering = numbering_of(card_type)
    if card_type.get("status") != "effective" or numbering is None:
        text = N_("Cards can be made from an effective card type only.")
        raise Invalid(problems=[Problem("card_type", "card_types.not_effective", text)])
    if values.get("number") or values.get("serial") is not None:
        serial = _given_serial(values, card_type["store_code"], numbering)
        if not values.get("batch") and reserved_until(ctx, values["card_type"], serial):
            text = N_("This serial is reserved by a card batch.")
            raise Invalid(problems=[Problem("serial", "card_types.reserved", text)])
    else:
        serial = _next_serial(ctx, values["card_type"], card_type, numbering)
        change.warnings += low_warnings(ctx, numbering.end - serial, numbering.size)
    values["serial"] = serial
    values["number"] = numbers.printed_number(card_type["store_code"], numbering, serial)
    if values.get("status") in {"issued", "active"}:
        _date_card(ctx, change, card_type["validity_months"])


def _given_serial(values: Mapping[str, Any], store: str, numbering: Numbering) -> int:
    """Return the serial of a card whose number or serial was given, if it is right.

    Raises:
        Invalid: it is not.
    """
    number, serial = values.get("number"), values.get("serial")
    found = numbers.serial_in(number, store, numbering) if number else serial
    if found is None:
        text = N_("This number does not follow from the card type and the store.")
        raise Invalid(problems=[Problem("number", "card_types.bad_number", text)])
    if serial is not None and serial != found:
        text = N_("This serial is not the one in the number.")
        raise Invalid(problems=[Problem("serial", "card_types.bad_serial", text)])
    if not numbering.has(found):
        text = N_("This serial lies outside the range of the card type.")
        field = "number" if number else "serial"
        raise Invalid(problems=[Problem(field, "card_types.out_of_range", text)])
    return found


def _next_serial(
    ctx: Context, type_id: str, card_type: Mapping[str, Any], numbering: Numbering
) -> int:
    """Return the next serial that is free and whose number nobody has; the counter is locked.

    Raises:
        Exhausted: there is none.
    """
    turn = _take(ctx, counter_of(type_id), 1)
    hint = numbering.first + turn - 1
    serial = hint if hint <= numbering.end else numbering.first
    for _ in range(MOST_SKIPPED):
        number = numbers.printed_number(card_type["store_code"], numbering, serial)
        batch_end = reserved_until(ctx, type_id, serial)
        is_free = numbering.has(serial) and batch_end is None
        if is_free and not _is_taken(ctx, type_id, serial, number):
            if serial > hint:
                _take(ctx, counter_of(type_id), serial - hint)
            return serial
        free = _free_serial(ctx, type_id, (batch_end or serial) + 1, numbering.end)
        if free is None and serial >= hint:
            # Behind the counter are gaps that a changed range or given numbers left.
            free = _free_serial(ctx, type_id, numbering.first, hint - 1)
        if free is None:
            raise Exhausted(name=card_type["name"])
        serial = free
    raise Exhausted(name=card_type["name"])


def _is_taken(ctx: Context, type_id: str, serial: int, number: str) -> bool:
    card = table(ctx, "card").c
    same = sa.or_(sa.and_(card.card_type == type_id, card.serial == serial), card.number == number)
    return bool(query(ctx, sa.select(card.id).where(same).limit(1)))


def _free_serial(ctx: Context, type_id: str, first: int, last: int) -> int | None:
    """Return the lowest serial between two that no card has ever had, or None."""
    card, other = table(ctx, "card"), table(ctx, "card").alias()
    if first > last:
        return None
    used = sa.select(card.c.serial).where(card.c.card_type == type_id)
    if not query(ctx, used.where(card.c.serial == first).limit(1)):
        return first
    follows = sa.select(other.c.id).where(
        other.c.card_type == type_id, other.c.serial == card.c.serial + 1
    )
    gap = (
        used.where(card.c.serial >= first, card.c.serial < last, ~follows.exists())
        .order_by(card.c.serial)
        .limit(1)
    )
    rows = query(ctx, gap)
    return rows[0].serial + 1 if rows else None


def low_warnings(ctx: Context, left: int, size: int) -> list[Problem]:
    """Return what is to be said of a card type of whose serials so many are left."""
    hundredths = plugin_settings(ctx, "card_types")["low_hundredths"]
    if not numbers.is_low(left, size, hundredths):
        return []
    text = N_("The card type has few serials left: {left} of {size}.")
    return [Problem("card_type", "card_types.low", text, {"left": left, "size": size})]


def _leave_to_operations(change: Change) -> None:
    """Refuse what only a card operation does, since more follows from it.

    Raises:
        Invalid: it was given.
    """
    plain = {"issue_version": 1, "replaces": None, "review_reason": None, "batch": None}
    before = {**plain, **(change.before or {})}
    named = [
        name
        for name in plain
        if name in change.values and change.values[name] not in {before[name], None}
    ]
    if change.values.get("status") in BY_OPERATION - {before.get("status")}:
        named.append("status")
    if named:
        text = N_("Only a card operation does this.")
        raise Invalid(
            problems=[Problem(name, "card_types.needs_operation", text) for name in named]
        )


def _check_life(ctx: Context, change: Change) -> None:
    wanted, status = change.values.get("status"), (change.before or {}).get("status")
    if wanted and status and not life.may_become(status, wanted):
        text = N_("A card that is {status} cannot become {wanted}.")
        shown = {
            "status": option_label(ctx, "card", "status", status),
            "wanted": option_label(ctx, "card", "status", wanted),
        }
        raise Invalid(problems=[Problem("status", "card_types.life", text, shown)])


def _date_card(ctx: Context, change: Change, months: int | None) -> None:
    """Fill in the day of issue and the last day, where nobody gave them.

    By the setting `validity_from` the last day counts from the issue or from the activation.
    """
    after = change.after
    issued_on = after.get("issued_on") or ctx.today
    if after.get("issued_on") is None:
        change.values["issued_on"] = issued_on
    counts_from = issued_on
    if plugin_settings(ctx, "card_types")["validity_from"] == "activation":
        if change.values["status"] != "active":
            return
        counts_from = ctx.today
    if after.get("valid_until") is None:
        change.values["valid_until"] = life.valid_until(counts_from, months)


def _refuse_faults(
    ctx: Context, type_id: str, before: Mapping[str, Any] | None, numbering: Numbering
) -> None:
    faults = numbers.numbering_faults(numbering)
    was = numbering_of(before) if before else None
    if was is not None:
        faults += _used_faults(ctx, type_id, was, numbering)
    if faults:
        raise Invalid(
            problems=[Problem(field, f"card_types.{why}", FAULTS[why]) for field, why in faults]
        )


def _used_faults(
    ctx: Context, type_id: str, was: Numbering, numbering: Numbering
) -> list[tuple[str, str]]:
    card = table(ctx, "card").c
    bounds = sa.select(
        sa.func.min(card.serial).label("lowest"), sa.func.max(card.serial).label("highest")
    )
    used = query(ctx, bounds.where(card.card_type == type_id))[0]
    if used.lowest is None:
        return []
    left_out = numbers.bounds_inside(numbering, used.lowest, used.highest)
    return [
        *((field, "format") for field in numbers.changed_format(was, numbering)),
        *((field, "range") for field in left_out),
    ]


def _overlapping(ctx: Context, type_id: str, numbering: Numbering) -> str:
    """Return the names of other card types in force that could print the same numbers."""
    columns = table(ctx, "card_type").c
    in_force = sa.select(columns.name, *(columns[name] for name in NUMBERING_FIELDS)).where(
        columns.status == "effective", columns.deleted_at.is_(None), columns.id != type_id
    )
    names = []
    for row in query(ctx, in_force.order_by(columns.code)):
        other = numbering_of(row._asdict())
        if other is not None and numbers.overlaps(numbering, other):
            names.append(row.name)
    return ", ".join(names)


def live_type(ctx: Context, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the live values of a card's type, with its store's code; empty if not there."""
    card_type, store = table(ctx, "card_type"), table(ctx, "store")
    columns = [card_type.c[name] for name in ("name", "status", "validity_months")]
    columns += [card_type.c[name] for name in NUMBERING_FIELDS]
    of_store = card_type.join(store, store.c.id == values["store"])
    wanted = sa.select(*columns, store.c.code.label("store_code")).select_from(of_store)
    found = query(
        ctx, wanted.where(card_type.c.id == values["card_type"], card_type.c.deleted_at.is_(None))
    )
    return found[0]._asdict() if found else {}


def counter_of(type_id: str) -> str:
    """Return the counter of a card type's serials."""
    return f"card_types.serial:{type_id}"


def _lock(ctx: Context, counter: str) -> None:
    _take(ctx, counter, 0)


def _take(ctx: Context, counter: str, count: int) -> int:
    with ctx.writing() as connection:
        return next_number(connection, counter, count=count)
