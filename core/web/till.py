"""The cashier's page: one screen, worked by keyboard alone; prices come from `/till` over REST."""

from typing import Any

from flask import render_template
from flask.typing import ResponseReturnValue

from core.context import Context
from core.i18n import N_, pick, translate
from core.policies.access import access
from core.records.queries import Query, list_records
from core.web.page import page, pages

#: Stores offered to who works for none in particular.
_MOST_STORES = 200

#: Rights whose holders see more controls.
_RIGHTS = ("till.discount", "till.override_price")

#: What the island says.
TEXTS = (
    N_("Nothing is found for “{text}”."),
    N_("Choose one: {count} are found."),
    N_("Sold: {no}"),
    N_("Change: {amount}"),
    N_("Kept on the card: {amount}"),
    N_("Returned: {no}"),
    N_("Give back {amount}"),
    N_("The member pays {amount}"),
    N_("{amount} is still to be paid."),
    N_("no card"),
    N_("Points to spend: {points}"),
    N_("list price"),
    N_("member rate {rate}"),
    N_("rule {no}"),
    N_("other promotions {rate}"),
    N_("Remove the line"),
    N_("Why?"),
    N_("Discount"),
    N_("Quantity of {name}"),
    N_("sold {sold}"),
    N_("Takes back {total} points: {each}"),
    N_("The member buys {points} missing points for {price}"),
    N_("{points} points that were used go back"),
    N_("expires {date}"),
    N_("Nothing comes back yet."),
    N_("The card is lost"),
    N_("The card is frozen"),
    N_("The card has expired"),
    N_("The card is cancelled"),
    N_("The code is missing"),
    N_("The code is wrong"),
    N_("The code is locked"),
    N_("Another card took its place"),
    N_("The card was not issued yet"),
    N_("The card is not active yet"),
    N_("It is a rebate card"),
    N_("Its card type is not in force"),
    N_("It is not known whether this was booked. Press Enter to ask again."),
    N_("The card gives no benefits: {why}"),
    N_("There is no sale {no}."),
    N_("Total"),
    N_("Other discount"),
    N_("Member discount"),
    N_("Paid with points"),
    N_("Earns {total} points: {each}"),
    N_("Open the receipt"),
    N_("No card or member is found for “{text}”."),
)


@pages.get("/till/")
@page
def show_till(ctx: Context) -> ResponseReturnValue:
    """Show the till to whoever may sell."""
    rights = access(ctx, "order")
    rights.require("create")
    return render_template(
        "gx/till.html",
        stores=_stores(ctx),
        methods=_methods(ctx),
        rights=[name for name in _RIGHTS if rights.may(name)],
        categories=_categories(ctx),
        texts={source: translate(source, ctx.locale) for source in TEXTS},
    )


def _stores(ctx: Context) -> list[dict[str, Any]]:
    """Return the open stores that the actor works for; every one they see if for none."""
    query = Query(fields=("code", "name", "currency"), filter="closed != true", sort=("code",),
                  limit=_MOST_STORES)  # fmt: skip
    seen = list_records(ctx, "store", query).items if access(ctx, "store").may("view") else []
    mine = [one for one in seen if one["id"] in ctx.actor.stores]
    return mine or seen


def _categories(ctx: Context) -> dict[str, str]:
    """Return what the categories of points are called."""
    kind = ctx.registry.release.account_kinds.get("points")
    found = kind.categories if kind else ()
    return {one.name: pick(one.label, ctx.locale, one.name) for one in found}


def _methods(ctx: Context) -> list[tuple[str, str]]:
    """Return how one can pay, with labels."""
    payments = ctx.registry.record_type("order").field("payments")
    columns = payments.fields if payments else ()
    method = next((one for one in columns if one.name == "method"), None)
    options = method.options if method else ()
    return [(one.value, pick(one.label, ctx.locale, one.value)) for one in options]
