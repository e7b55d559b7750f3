"""Policies: who may do what on which rows and fields, as immutable values."""

from typing import Literal

from core.schema.modelbase import Model


class Who(Model, frozen=True, kw_only=True):
    """Whom a policy is for.

    Attributes:
        role: people with any of these roles.
        position: people who hold any of these positions somewhere; with a role, both.
    """

    role: str | tuple[str, ...] = ()
    position: str | tuple[str, ...] = ()

    @property
    def positions(self) -> frozenset[str]:
        """Return the names of the positions as a set."""
        return frozenset((self.position,) if isinstance(self.position, str) else self.position)

    @property
    def roles(self) -> frozenset[str]:
        """Return the role names as a set."""
        return frozenset((self.role,) if isinstance(self.role, str) else self.role)


class FieldRights(Model, frozen=True, kw_only=True):
    """Which fields a policy lets people view and edit; `*` is all of them.

    Attributes:
        view: fields that are shown; sensitive ones as masks.
        edit: fields that may be written; `*` is those that are shown, masked or not.
        mask: fields shown as masks though they are not sensitive.
        clear: sensitive fields shown as they are.
    """

    view: tuple[str, ...] = ("*",)
    edit: tuple[str, ...] = ("*",)
    mask: tuple[str, ...] = ()
    clear: tuple[str, ...] = ()


#: What a policy can allow on a record type.
ACTIONS = (
    "view",
    "create",
    "edit",
    "delete",
    "submit",
    "import",
    "export",
    "print",
    "share",
    "history",
    "unmask",
    "personalise",
    "till.override_price",
    "till.discount",
    "till.backdate",
    "till.offline",
)


class Policy(Model, frozen=True, kw_only=True):
    """Who may do what on which rows and fields of the record types it names.

    Attributes:
        types: record type names; a policy inside a record type has just that one; `*` is all.
        actions: names from `ACTIONS`; `*` is all of them.
        rows: expression over the record that must hold; empty means every row.
        at: the link to a store or department that says where a record belongs; `id` for
            stores and departments themselves.
        scope: which places count: those where the person works (or holds the position of
            `who`), those and all below them, or all.
    """

    name: str
    who: Who
    types: tuple[str, ...] = ()
    actions: tuple[str, ...]
    rows: str = ""
    at: str = ""
    scope: Literal["own", "own_and_below", "all"] = "own"
    fields: FieldRights = FieldRights()
