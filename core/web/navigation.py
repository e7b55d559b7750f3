"""The menu: record types grouped as the schema says, and fixed screens, by right.

What a set of roles sees of a release is worked out once; only counts are per request.
"""

from dataclasses import dataclass, replace
from typing import Any

from flask import g

from core.context import Context
from core.i18n import N_, pick, translate
from core.ledger.reports import may_read
from core.policies.access import access
from core.records.plugin_settings import ADMINISTRATORS
from core.workflow.evidence.pack import is_auditor
from core.workflow.queue.inbox import count_todo

#: Titles of the menu groups that ship; other groups show their own name.
GROUP_TITLES = {
    "members": N_("Members"),
    "cards": N_("Cards"),
    "discounts": N_("Discounts"),
    "points": N_("Points"),
    "sales": N_("Sales"),
    "service": N_("Service"),
    "reservations": N_("Reservations"),
    "goods": N_("Products"),
    "organization": N_("Stores"),
}

#: Icons of shipped record types that name none.
_ICONS = {
    "member": "users",
    "store": "building-store",
    "product": "package",
    "order": "receipt",
    "brand": "tag",
    "category": "category",
    "counter": "layout-list",
    "department": "building",
    "card": "credit-card",
    "card_type": "id",
    "discount_rule": "discount",
}

_ADMINS = frozenset({"Admin"})

#: Roles that see how the product is configured.
BUILDERS = frozenset({"Admin", "configurator", "auditor"})


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the menu; `count` None shows no number."""

    key: str
    label: str
    href: str
    icon: str
    count: int | None = None

    def is_current(self, path: str) -> bool:
        """Return whether the page at `path` belongs to this item."""
        return path == self.href or (self.href != "/" and path.startswith(self.href))


@dataclass(frozen=True, slots=True)
class Group:
    """Menu items under one title; the first group has none."""

    title: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Menu:
    """Everything the shell shows about the signed-in person."""

    groups: tuple[Group, ...]
    user_name: str
    roles: tuple[str, ...]
    profile_href: str


def menu(ctx: Context) -> Menu:
    """Return the navigation of the context's actor."""
    groups = ctx.registry.memo(
        ("web.menu", ctx.actor.rights_key, ctx.locale), lambda: tuple(_groups(ctx))
    )
    waiting = _waiting(ctx)
    first = tuple(
        replace(item, count=waiting) if item.key == "tasks" else item for item in groups[0].items
    )
    labels = {role.name: role.label for role in ctx.registry.release.roles}
    roles = tuple(sorted(pick(labels.get(name), ctx.locale, name) for name in ctx.actor.roles))
    shown = (replace(groups[0], items=first), *groups[1:])
    return Menu(shown, ctx.actor.name, roles, "/users/userinfo/")


def _waiting(ctx: Context) -> int:
    known = g.get("gx_waiting")
    return count_todo(ctx) if known is None else int(known)


def visible_types(ctx: Context, action: str = "view") -> list[Any]:
    """Return the record types on which the actor may do `action`."""
    return [
        record_type
        for record_type in ctx.registry.release.types.values()
        if not record_type.archived and access(ctx, record_type.name).may(action)
    ]


def type_icon(record_type: Any) -> str:
    """Return the icon of a record type."""
    return record_type.icon or _ICONS.get(record_type.name, "table")


def type_label(record_type: Any, locale: str, *, plural: bool = True) -> str:
    """Return a record type's name as people read it."""
    one = pick(record_type.label, locale, record_type.name)
    return pick(record_type.label_plural, locale, one) if plural else one


def _groups(ctx: Context) -> list[Group]:
    def text(source: str) -> str:
        return translate(source, ctx.locale)

    first = [
        Item("home", text(N_("Workbench")), "/", "home"),
        Item("tasks", text(N_("Audit queue")), "/tasks/", "inbox"),
        Item("dashboards", text(N_("Dashboards")), "/dashboards/", "chart-bar"),
    ]
    if may_sell(ctx):  # who sells is there all day
        first.insert(1, Item("till", text(N_("Till")), "/till/", "cash-register"))
    groups = [Group("", tuple(first))]
    by_menu: dict[str, list[Item]] = {}
    for record_type in visible_types(ctx):
        item = Item(
            record_type.name,
            type_label(record_type, ctx.locale),
            f"/records/{record_type.name}/",
            type_icon(record_type),
        )
        by_menu.setdefault(record_type.menu, []).append(item)
    for name, items in sorted(by_menu.items(), key=lambda pair: menu_place(pair[0])):
        title = text(GROUP_TITLES.get(name, name)) if name else text(N_("Records"))
        groups.append(Group(title, tuple(items)))
    admin = _administration(ctx, text)
    if admin:
        groups.append(Group(text(N_("Administration")), tuple(admin)))
    return groups


def may_sell(ctx: Context) -> bool:
    """Return whether the actor may sell."""
    has_orders = ctx.registry.release.type("order") is not None
    return has_orders and access(ctx, "order").may("create")


def menu_place(name: str) -> tuple[int, str]:
    """Return where a menu group stands: shipped ones in their order, then others by name."""
    known = list(GROUP_TITLES)
    return (known.index(name) if name in known else len(known), name)


def _administration(ctx: Context, text: Any) -> list[Item]:
    items = []
    if ctx.actor.roles & BUILDERS:
        items += [
            Item("releases", text(N_("Releases")), "/releases/", "versions"),
            Item("rights", text(N_("Rights")), "/rights/", "shield"),
            Item("flows", text(N_("Approval flows")), "/flows/", "git-branch"),
            Item("calendars", text(N_("Business calendars")), "/calendars/", "calendar"),
            Item("plugins", text(N_("Plugins")), "/plugins/", "plug"),
            Item("automations", text(N_("Automations")), "/automations/", "rocket"),
        ]
    if may_read(ctx) and ctx.registry.release.account_kinds:
        items.append(Item("ledger", text(N_("Balances and liability")), "/ledger/", "coin"))
    if is_auditor(ctx):
        items.append(Item("evidence", text(N_("Evidence of approvals")), "/evidence/", "lock"))
    if ctx.actor.roles & ADMINISTRATORS:
        items.insert(1, Item("sheets", text(N_("Form from a spreadsheet")), "/sheets/", "upload"))
    if ctx.actor.roles & _ADMINS:
        items += [
            Item("needs", text(N_("Approvals that need help")), "/instances/", "help-circle"),
            Item("users", text(N_("Users")), "/users/list/", "user"),
            Item("roles", text(N_("Roles")), "/roles/list/", "shield"),
        ]
    return items
