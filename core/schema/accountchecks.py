"""Checks account kinds: owners that exist, categories told apart, bounds that can be met."""

import re

from core.i18n import N_
from core.schema.accountkinds import AccountKind
from core.schema.draft import Draft
from core.schema.names import TYPE_NAME
from core.schema.yamlnodes import Node

MAX_NAME = 40
MAX_CATEGORIES = 30
#: What a category is stored as with every entry.
CATEGORY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,19}")
#: Most years that `end_of_year` may lie ahead; months have the range of their key.
MAX_YEARS = 100


def check_account_kinds(draft: Draft) -> None:
    """Note every problem of every account kind."""
    for name, kind in draft.account_kinds.items():
        node = draft.nodes[f"account_kind {name}"]
        if not TYPE_NAME.fullmatch(name) or len(name) > MAX_NAME:
            text = N_("A name is of small letters, digits and single _; not {name}.")
            draft.add(node.at("account_kind"), "bad_name", text, name=name[:80])
        if kind.owner not in draft.types:
            draft.add_unknown(node.at("owner"), "type", kind.owner, draft.types)
        _check_categories(draft, kind, node)
        _check_bounds(draft, kind, node)
        _check_lots(draft, kind, node)


def _check_categories(draft: Draft, kind: AccountKind, node: Node) -> None:
    place = node.at("categories")
    if not 0 < len(kind.categories) <= MAX_CATEGORIES:
        text = N_("There must be 1 to {most} of them.")
        draft.add(place, "bad_count", text, most=MAX_CATEGORIES)
        return
    seen: set[str] = set()
    for at, one in enumerate(kind.categories):
        named = node.at("categories", at, "name")
        if not CATEGORY.fullmatch(one.name):
            text = N_("A category's name is a letter and at most 19 letters, digits or _ more.")
            draft.add(named, "bad_name", text)
        elif one.name.lower() in seen:
            draft.add(named, "duplicate", N_("{name} stands twice."), name=one.name)
        seen.add(one.name.lower())
    if all(one.uses for one in kind.categories):
        text = N_("Nothing could ever come in: one category at least is without “uses”.")
        draft.add(place, "only_uses", text)


def _check_bounds(draft: Draft, kind: AccountKind, node: Node) -> None:
    if kind.floor is not None and kind.floor > 0:
        text = N_("An account begins empty, so the floor is 0 or less.")
        draft.add(node.at("floor"), "bad_floor", text)
    if kind.cap is not None and kind.cap <= 0:
        draft.add(node.at("cap"), "bad_cap", N_("The cap is more than 0."))


def _check_lots(draft: Draft, kind: AccountKind, node: Node) -> None:
    lots, place = kind.lots, node.at("lots")
    if lots.expiry == "never" and lots.after:
        draft.add(place.at("after"), "bad_lots", N_("What never ends has no “after”."))
    elif lots.expiry == "months" and place.word("after") in {"", "0"}:
        draft.add(place, "bad_lots", N_("Say after how many months: after: 12."))
    elif lots.expiry == "end_of_year" and lots.after > MAX_YEARS:
        text = N_("At most {most} years.")
        draft.add(place.at("after"), "bad_lots", text, most=MAX_YEARS)
