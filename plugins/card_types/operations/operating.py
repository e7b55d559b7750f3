"""Does what a card operation says, in the transaction that creates its record."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from core.api import (
    N_,
    Change,
    Conflict,
    Context,
    Invalid,
    Problem,
    accounts_of,
    create_record,
    forget_codes,
    on_behalf,
    option_label,
    query,
    table,
    transfer,
    unlock_code,
    update_record,
)
from plugins.card_types.operations.receipts import check_receipt
from plugins.card_types.operations.showing import CODE
from plugins.card_types.rules.operating import HELD, OPERATIONS, state_after

Record = Mapping[str, Any]


class OperationDone(Conflict):
    """A card operation is a fact; another one can follow it."""

    code = "card_types.operation_done"
    text = N_("What was done with a card is not changed afterwards; do another operation.")


#: What is said of an operation that the card or the person asking stands against.
FAULTS = {
    "life": N_("A card that is {status} cannot be used for “{kind}”."),
    "not_given": N_("This is filled in by the operation itself."),
    "not_in_stock": N_("This card is not in stock."),
    "other_type": N_("This card is of another type."),
    "not_temporary": N_("Only a temporary card is upgraded, to a member card."),
    "same_type": N_("For the same type use “Reissue”, or change without naming a type."),
    "receipt_needed": N_("Cards of this type are issued for a receipt only."),
}


def do_operation(ctx: Context, change: Change) -> None:
    """Do what a new card operation says; nothing changes one that was done.

    Raises:
        OperationDone: it is there already.
        Invalid: the card is in another state, or something named does not fit.
        Conflict: the receipt does not earn a card, or no number is left.
    """
    if change.action != "create":
        raise OperationDone
    values = change.values
    if values.get("status_before"):
        _refuse("status_before", "not_given")
    if values.get("kind") not in OPERATIONS or not values.get("card"):
        return  # core refuses it: both are required
    with ctx.writing() as connection, connection.begin_nested():
        card = _locked(ctx, values["card"])
        status = state_after(values["kind"], card["status"], _former(ctx, card))
        if status is None:
            params = {
                "status": option_label(ctx, "card", "status", card["status"]),
                "kind": option_label(ctx, "card_operation", "kind", values["kind"]),
            }
            _refuse("card", "life", **params)
        values["status_before"] = card["status"]
        if OPERATIONS[values["kind"]].replaces:
            values["new_card"] = _replace(ctx, card, values)
        _put(ctx, card, {"status": status, **_more(ctx, card, values)})


def _more(ctx: Context, card: Record, values: Record) -> dict[str, Any]:
    """Do what one kind does besides changing the state; return what the card gets too."""
    kind = values["kind"]
    if kind in {"issue", "qualify"}:
        card_type = _type(ctx, card["card_type"])
        if kind == "qualify":
            check_receipt(ctx, values, card_type)
        elif card_type["qualifying_amount"]:
            _refuse("kind", "receipt_needed")
        return {"member": values["member"]} if values.get("member") else {}
    if kind == "unlock_code":
        unlock_code(ctx, CODE, card["id"])
    if kind in {"reissue", "change", "upgrade", "cancel"}:
        forget_codes(ctx, CODE, [card["id"]])
    return {}


def _replace(ctx: Context, card: Record, values: Record) -> str:
    """Issue another card in the place of one, move its accounts there and return its id.

    The member's points stay with the member.
    """
    type_id = _wanted_type(ctx, card, values)
    status = card["status"] if card["status"] in HELD else _former(ctx, card)
    given: dict[str, Any] = {
        "member": values.get("member") or card["member"],
        "status": status if status in HELD else "active",
        "issue_version": card["issue_version"] + 1,
        "replaces": card["id"],
    }
    if type_id == card["card_type"] and card["valid_until"] and values["kind"] == "reissue":
        given["valid_until"] = str(card["valid_until"])
    if values.get("new_card"):
        stock = _locked(ctx, values["new_card"])
        if stock["status"] != "made":
            _refuse("new_card", "not_in_stock")
        if stock["card_type"] != type_id:
            _refuse("new_card", "other_type")
        _put(ctx, stock, given)
        new_id = stock["id"]
    else:
        made = {"card_type": type_id, "store": values["store"], **given}
        new_id = create_record(on_behalf(ctx), "card", made)["id"]
    for account in accounts_of(ctx, card["id"]):
        if account.balance > account.held:
            transfer(
                ctx, account.kind, card["id"], new_id, unit=account.unit,
                key=f"card_operation:{new_id}:{account.kind}:{account.unit}",
                ref=("card", new_id), valid_at=ctx.now,
            )  # fmt: skip
    return str(new_id)


def _wanted_type(ctx: Context, card: Record, values: Record) -> str:
    wanted = values.get("new_card_type") or card["card_type"]
    if values["kind"] == "upgrade":
        purposes = (_type(ctx, card["card_type"])["purpose"], _type(ctx, wanted)["purpose"])
        if purposes != ("temporary_card", "member_card"):
            _refuse("new_card_type", "not_temporary")
    elif values.get("new_card_type") == card["card_type"]:
        _refuse("new_card_type", "same_type")
    return str(wanted)


def _former(ctx: Context, card: Record) -> str:
    """Return what a lost or frozen card was when it was in use, or "" when nobody knows."""
    done = table(ctx, "card_operation").c
    wanted = sa.select(done.status_before).where(
        done.card == card["id"],
        done.kind.in_(("loss", "freeze")),
        done.status_before.in_(sorted(HELD)),
    )
    found = query(ctx, wanted.order_by(done.created_at.desc(), done.id.desc()).limit(1))
    return found[0].status_before if found else ""


def _locked(ctx: Context, card_id: str) -> Record:
    """Return a card as it is now; nobody else changes it until the transaction ends."""
    columns = table(ctx, "card").c
    wanted = sa.select(*columns).where(columns.id == card_id).with_for_update(key_share=True)
    return query(ctx, wanted)[0]._asdict()


def _type(ctx: Context, type_id: str) -> Record:
    columns = table(ctx, "card_type").c
    return query(ctx, sa.select(*columns).where(columns.id == type_id))[0]._asdict()


def _put(ctx: Context, card: Record, values: dict[str, Any]) -> None:
    update_record(on_behalf(ctx), "card", card["id"], values, version=None)


def _refuse(field: str, why: str, **params: str) -> None:
    raise Invalid(problems=[Problem(field, f"card_types.{why}", FAULTS[why], params)])
