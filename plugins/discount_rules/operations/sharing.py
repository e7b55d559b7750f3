"""Who bears members' discounts: stamped on a sale, booked with it, given back by returns."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from core.api import (
    N_,
    Change,
    Conflict,
    Context,
    Effect,
    Invalid,
    Problem,
    Return,
    ReturnLine,
    Sale,
    SaleLine,
    UserError,
    create_many,
    in_force,
    on_behalf,
)
from plugins.discount_rules.operations.documents import next_no
from plugins.discount_rules.rules import sharing as rules
from plugins.discount_rules.rules.resolution import Moment
from plugins.discount_rules.rules.sharing import ALL_GOODS, Party, Sharing, SharingIndex

PLUGIN = "discount_rules"


class ShareKept(Conflict):
    """Somebody wants to write what the till books."""

    code = "discount_rules.share_kept"
    text = N_("Shares of discounts are written by sales and returns alone.")


#: Sharing document and party -> amount in the currency's smallest unit.
Booked = dict[tuple[str, str], int]


def complete_sharing(ctx: Context, change: Change) -> None:
    """Number a new sharing document and refuse one that names a bearer twice.

    Raises:
        Invalid: a bearer stands in two rows.
    """
    if change.action == "delete":
        return
    if change.action == "create" and not change.values.get("no"):
        change.values["no"] = next_no(ctx, "discount_sharing", "FT")
    seen: set[str] = set()
    problems = []
    for row, each in enumerate(change.after.get("parties") or ()):
        if each.get("party") in seen:
            text = N_("This bearer stands in an earlier row already.")
            problems.append(Problem(f"parties.{row}.party", "discount_rules.party_twice", text))
        seen.add(each.get("party"))
    if problems:
        raise Invalid(problems=problems)


def keep_share(ctx: Context, change: Change) -> None:
    """Keep what was booked as it is.

    Raises:
        ShareKept: it is not a sale or return that writes.
    """
    if change.action != "create" or not ctx.actor.is_system:
        raise ShareKept


def stamp_shares(ctx: Context, sale: Sale) -> None:
    """Note on each line who bears which part of its member discount.

    What other promotions took off is not shared, and nothing is where no document is for
    the card type's group and the product.
    """
    group = sale.card.card_type.get("sharing_group") if sale.card and sale.card.is_good else None
    if not group:
        return
    index = in_force(ctx, "discount_sharing", sharing_index, seq=sale.audit_seq)
    moment = Moment(sale.on, sale.at, sale.audit_seq)
    for line in sale.lines:
        found = index.find(line.goods.scopes, group, moment)
        if found is not None:
            _stamp(line, found, sale.store.digits)


def _stamp(line: SaleLine, sharing: Sharing, digits: int) -> None:
    discount = rules.member_discount(line.list_amount, line.other_rate, line.amount_due, digits)
    if discount <= 0:
        return
    parts = rules.split(discount, [each.share for each in sharing.parties])
    line.terms.setdefault(PLUGIN, {})["sharing"] = {
        "id": sharing.id,
        "no": sharing.no,
        "audit_seq": sharing.audit_seq,
        "discount": discount,
        "parties": [
            {"party": each.party, "share": str(each.share), "amount": amount}
            for each, amount in zip(sharing.parties, parts, strict=True)
        ],
    }


def book_shares(ctx: Context, sale: Sale, order_id: str) -> None:
    """Write what each bearer takes of a sale that is being committed."""
    booked: Booked = defaultdict(int)
    for line in sale.lines:
        found = line.terms.get(PLUGIN, {}).get("sharing")
        if found:
            for each in found["parties"]:
                booked[found["id"], each["party"]] += each["amount"]
    common = {"order": order_id, "kind": "sale", "store": sale.store.id}
    _write(ctx, booked, common | {"booked_on": sale.on.isoformat()}, sale.store.digits)


def give_shares_back(ctx: Context, giving_back: Return) -> None:
    """Write what a return takes back from each bearer, and tell it in the return's notes."""
    booked: Booked = defaultdict(int)
    for line in giving_back.lines:
        for key, amount in _given_back(line).items():
            booked[key] -= amount
    common = {"order": giving_back.sale_id, "kind": "return", "store": giving_back.store.id}
    digits = giving_back.store.digits
    _write(ctx, booked, common | {"booked_on": giving_back.on.isoformat()}, digits)
    told = {party: _text(amount, digits) for (_, party), amount in booked.items() if amount}
    if told:
        giving_back.notes.setdefault(PLUGIN, {})["shares"] = told


def _given_back(line: ReturnLine) -> Booked:
    found = (line.sold.get("terms") or {}).get(PLUGIN, {}).get("sharing")
    if not found:
        return {}
    sold = Decimal(str(line.sold["quantity"]))
    parts = [each["amount"] for each in found["parties"]]
    earlier, by_now = (
        rules.parts_returned(parts, rules.discount_returned(found["discount"], returned, sold))
        for returned in (line.before, line.before + line.quantity)
    )
    return {
        (found["id"], each["party"]): after - before
        for each, before, after in zip(found["parties"], earlier, by_now, strict=True)
    }


def _write(ctx: Context, booked: Booked, common: Mapping[str, Any], digits: int) -> None:
    rows = [
        {**common, "sharing": sharing, "party": party, "amount": _text(amount, digits)}
        for (sharing, party), amount in booked.items()
        if amount
    ]
    # The till's seller has no right to write shares; the sale itself does.
    for made in create_many(on_behalf(ctx), "discount_share", rows) if rows else ():
        if isinstance(made, UserError):
            raise made


def _text(amount: int, digits: int) -> str:
    return f"{Decimal(amount).scaleb(-digits):f}"


# -- documents in force ------------------------------------------------------------------------


def sharing_index(previous: SharingIndex | None, effects: Sequence[Effect]) -> SharingIndex:
    """Return the index of all sharing documents, in force and past, with new effects on top."""
    sharings = list(previous.sharings) if previous else []
    for effect in effects:
        sharings = [
            replace(each, voided_at=effect.at, void_seq=effect.seq)
            if each.id == effect.record_id and each.void_seq is None
            else each
            for each in sharings
        ]
        if effect.action == "effective":
            sharings.append(_sharing(effect))
    return SharingIndex(sharings)


def _sharing(effect: Effect) -> Sharing:
    values = effect.values
    return Sharing(
        id=effect.record_id,
        no=values["no"],
        group=values["sharing_group"],
        level=ALL_GOODS if values["scope"] == "all_goods" else values["scope"],
        targets=frozenset(values.get("targets") or ()),
        parties=tuple(
            Party(row["party"], Fraction(row["share"])) for row in values.get("parties") or ()
        ),
        effective_from=values["effective_from"],
        effective_to=values.get("effective_to"),
        audited_at=effect.at,
        audit_seq=effect.seq,
    )
