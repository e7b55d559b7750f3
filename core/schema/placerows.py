"""The condition that a policy for people at places puts on rows; pure."""

from core.expression.places import PLACE_LISTS
from core.schema.model import RecordType
from core.schema.rights import Policy

#: Record types whose records people work at or hold positions in.
PLACE_TYPES = ("store", "department")

#: What `scope` asks of the place that `at` names -> the end of the function that lists such.
_ENDS = {"own": "", "own_and_below": "_BELOW"}


def place_type(record_type: RecordType, at: str) -> str:
    """Return the record type of the place that a field of a record, or `id`, leads to."""
    if at == "id":
        return record_type.name
    found = record_type.field(at)
    return found.target if found is not None and found.type in {"link", "department"} else ""


def place_condition(policy: Policy, record_type: RecordType) -> str:
    """Return the condition that `at`, `scope` and the positions stand for; empty for none."""
    if not policy.at or policy.scope == "all":
        return ""
    name = f"MY_{place_type(record_type, policy.at).upper()}S{_ENDS[policy.scope]}"
    if name not in PLACE_LISTS:
        return "false"  # a policy for many types says nothing about one without the place
    held = sorted(policy.who.positions) or [""]
    told = [f"{policy.at} in {name}({repr(one) if one else ''})" for one in held]
    return " or ".join(told)


def rows_of(policy: Policy, record_type: RecordType) -> str:
    """Return the whole condition that a policy puts on the rows of a record type."""
    place = place_condition(policy, record_type)
    if not place or not policy.rows:
        return place or policy.rows
    return f"({policy.rows}) and ({place})"
