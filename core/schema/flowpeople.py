"""Who decides in an approval flow: where people come from, and what holds for them.

Names of attributes are the keys of the schema language, as in `flows`.
"""

from typing import Any, Literal

from core.schema.modelbase import Model


class Upto(Model, frozen=True, kw_only=True):
    """How far up a chain of managers goes; where both are said, the first that is reached.

    Attributes:
        level: so many managers.
        role: up to and with the first who holds this role.
    """

    level: int = 0
    role: str = ""


class Source(Model, frozen=True, kw_only=True, rename={"in_": "in"}):
    """Where approvers come from; exactly one kind of source is named.

    Attributes:
        user: sign-in names.
        role: everyone who holds one of these roles is one pool.
        position: everyone who holds this position at the place `at` is one pool.
        at: an expression that gives a store or department, or `initiator`, theirs; with
            `role` it keeps those of the role who work there.
        manager_of: the manager of `initiator`, of the people of this `seat`, of whoever
            decided a step, or of the person that an expression gives.
        level: of `manager_of`: 1 is the manager, 2 the manager's manager.
        chain_of: the managers of that person one after the other.
        upto: where the chain ends.
        field: a field of the document that holds a person, people, a role or a department.
        chosen_by: `initiator` or a step: that person names them, out of `among`.
        among: whom `chosen_by` may name; without it anybody active.
        of_step: whoever decided that step.
        table: a decision table whose answer names them.
        in_: expressions that are the table's inputs, in its order.
        matrix: that table as it was when the document was submitted; nobody writes it.
        expr: an expression that gives the id of a person or a list of them.
    """

    user: str | tuple[str, ...] = ()
    role: str | tuple[str, ...] = ()
    position: str = ""
    at: str = ""
    manager_of: str = ""
    level: int = 1
    chain_of: str = ""
    upto: Upto | None = None
    field: str = ""
    chosen_by: str = ""
    among: "Source | None" = None
    of_step: str = ""
    table: str = ""
    in_: tuple[str, ...] = ()
    matrix: dict[str, Any] | None = None
    expr: str = ""

    @property
    def roles(self) -> tuple[str, ...]:
        """Return the role names."""
        return (self.role,) if isinstance(self.role, str) else self.role

    @property
    def users(self) -> tuple[str, ...]:
        """Return the sign-in names."""
        return (self.user,) if isinstance(self.user, str) else self.user


#: One source, or several whose people are united.
Approvers = Source | tuple[Source, ...]


def sources_of(approvers: Approvers) -> tuple[Source, ...]:
    """Return the sources, in order."""
    return (approvers,) if isinstance(approvers, Source) else approvers


class Empty(Model, frozen=True, kw_only=True):
    """What happens where nobody can decide.

    Attributes:
        to: whom the seat goes to.
        pause: whether the clock stands and administrators are told meanwhile.
    """

    to: Approvers | None = None
    pause: bool = True


class Vacant(Model, frozen=True, kw_only=True):
    """Who takes the seat of somebody who was disabled meanwhile.

    Attributes:
        to: `manager`, or a source.
    """

    to: Literal["manager"] | Source = "manager"


class People(Model, frozen=True, kw_only=True):
    """Who may decide what others did, and what happens when nobody may.

    Attributes:
        self_approval: a seat whose only people made the document: `forbid` treats it as
            empty, `to_manager` gives it to the initiator's manager, `skip` passes over it.
        same_person: somebody who approved the same content in an earlier step need not do
            so again: `none`, `consecutive` (the step before), `any_prior`, or
            `skip_if_same_subject`, which is `any_prior`.
        empty: nobody can decide: `pause` (wait, and tell administrators), `fail` (refuse
            the submit), `auto_pass`, or whom it goes to.
        i_accept_auto_pass: must be true beside `empty: auto_pass`.
        vacant: who takes the seat of somebody disabled meanwhile.
        away: whether a standing delegation adds the deputy.
        distinct: steps that nobody may decide two of.
        exclude: whose voice never counts; the initiator's and the editors' never does.
    """

    self_approval: Literal["forbid", "to_manager", "skip"] = "forbid"
    same_person: Literal["none", "consecutive", "any_prior", "skip_if_same_subject"] = "none"
    empty: Literal["pause", "fail", "auto_pass"] | Empty = "pause"
    i_accept_auto_pass: bool = False
    vacant: Vacant = Vacant()
    away: Literal["standing_delegation", "none"] = "standing_delegation"
    distinct: tuple[str, ...] = ()
    exclude: tuple[Literal["initiator", "editor_of_subject"], ...] = (
        "initiator", "editor_of_subject",
    )  # fmt: skip
