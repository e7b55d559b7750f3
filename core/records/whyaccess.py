"""Answers "may Lin see this field of this record, and why": policy by policy.

Who asks reads the values of conditions under rights of their own; what they may not see
themselves is said to be out of reach.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from core.actor import Actor
from core.context import Context
from core.errors import Invalid, Problem
from core.i18n import N_
from core.policies.access import Access, access
from core.policies.grants import applying, field_sets
from core.records.environment import RecordEnv
from core.records.loading import printable
from core.records.queries import get_record
from core.records.why import Reader, stored_record
from core.schema.model import RecordType
from core.schema.placerows import rows_of
from core.schema.rights import ACTIONS, Policy

#: Actions by which the cells of a record are looked at.
LOOKING = ("view", "export", "print", "history")

#: What becomes of the question: a cell is shown, masked or hidden; something else allowed or
#: not; the record is outside all policies' rows; or no policy gives the action at all.
Outcome = Literal["clear", "masked", "hidden", "allowed", "refused", "outside", "no_policy"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one policy that is for the person says.

    Attributes:
        rows: its whole condition on rows, places included; empty is every row.
        holds: whether the record meets it.
        parts: what the condition read, with the values.
        shows: how it shows the field; empty when no field was asked about.
        edits: whether it lets the field be written.
        missing: why it gives nothing here: `action`, `rows` or `field`; empty if it gives.
    """

    policy: Policy
    rows: str
    holds: bool
    parts: list[dict[str, Any]]
    shows: Literal["clear", "masked", "hidden", ""]
    edits: bool
    missing: Literal["", "action", "rows", "field"]


@dataclass(frozen=True, slots=True)
class Explained:
    """The outcome, and the policies for the person, those that give it first.

    Attributes:
        others: how many policies on the record type are for other people.
    """

    outcome: Outcome
    verdicts: tuple[Verdict, ...]
    others: int


def explain_access(
    ctx: Context,
    person: Actor,
    record: tuple[str, str],
    *,
    field: str = "",
    action: str = "view",
) -> Explained:
    """Return whether `person` may do `action` with a record, (type, id), or a field of it.

    Raises:
        NotFound: the record is not there for whoever asks.
        Forbidden: they may see none of its type.
        Invalid: there is no such field or action.
    """
    type_name, record_id = record
    rights = access(ctx, type_name)
    record_type = rights.record_type
    _check(record_type, field, action)
    theirs = replace(ctx, actor=person, connection=None, is_writing=False, warnings=[])
    with ctx.reading() as connection:
        seen = get_record(ctx, type_name, record_id)
        hidden = frozenset((*seen["no_access"], *seen.get("masked", ())))
        theirs.connection = connection
        env = RecordEnv(theirs, connection)
        row = env.view(type_name, stored_record(ctx, type_name, record_id))
        reader = Reader(ctx, rights, env, hidden)
        positions = person.places.positions
        policies = applying(ctx.registry.release, record_type, person.roles, positions)
        verdicts = [_verdict(reader, one, row, field=field, action=action) for one in policies]
        outcome = _outcome(access(theirs, type_name), row, env, field=field, action=action)
    verdicts.sort(key=lambda one: (bool(one.missing), one.missing != "rows"))
    every = (*record_type.policies, *ctx.registry.release.policies)
    about = [
        one for one in every if not one.types or record_type.name in one.types or "*" in one.types
    ]
    return Explained(outcome, tuple(verdicts), len(about) - len(policies))


def _check(record_type: RecordType, field: str, action: str) -> None:
    if field and record_type.field(field) is None:
        text = N_("There is no field {name}.")
        params = {"name": printable(field)}
        raise Invalid(problems=[Problem("field", "field.unknown", text, params)])
    if action not in ACTIONS:
        raise Invalid(problems=[Problem("action", "query.choice", N_("There is no such action."))])


def _verdict(
    reader: Reader, policy: Policy, row: Mapping[str, Any], *, field: str, action: str
) -> Verdict:
    record_type = reader.record_type
    rows = rows_of(policy, record_type)
    holds, parts = True, []
    if rows:
        expression = reader.ctx.registry.expression(record_type.name, rows, "boolean")
        holds = expression.evaluate(row, reader.env) is True
        told = zip(expression.parts, reader.parts(expression, row), strict=True)
        parts = [found for part, found in told if part.is_value]
    sets = field_sets(policy.fields, record_type)
    shows: Literal["clear", "masked", "hidden", ""] = ""
    if field:
        shows = "clear" if field in sets.view else "masked" if field in sets.masked else "hidden"
    edits = field in sets.edit
    gives = edits if action in {"edit", "create"} else shows != "hidden"
    missing: Literal["", "action", "rows", "field"] = ""
    if action not in policy.actions and "*" not in policy.actions:
        missing = "action"
    elif not holds:
        missing = "rows"
    elif field and not gives:
        missing = "field"
    return Verdict(policy, rows, holds, parts, shows, edits, missing)


def _outcome(
    rights: Access, row: Mapping[str, Any], env: RecordEnv, *, field: str, action: str
) -> Outcome:
    if not rights.may("view") or not rights.may(action):
        return "no_policy"
    looking = action in LOOKING
    seen = rights.through(action if looking else "view").sight_when(row, env)
    if seen is None or rights.sight_when(row, env, action) is None:
        return "outside"
    if looking:
        if not field or field in seen.clear:
            return "clear"
        return "masked" if field in seen.masked else "hidden"
    return "allowed" if _is_given(rights, row, env, field=field, action=action) else "refused"


def _is_given(
    rights: Access, row: Mapping[str, Any], env: RecordEnv, *, field: str, action: str
) -> bool:
    """Return whether an action on a record that it is given for reaches a field."""
    if not field:
        return True
    if action in {"edit", "create"}:
        return field in (rights.editable_when(action, row, env) or ())
    given = rights.sight_when(row, env, action)
    return action != "unmask" or (given is not None and field in given.shown)
