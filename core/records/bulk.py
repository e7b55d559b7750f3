"""Many creations, changes and deletions in one call, with a result for each."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import (
    Invalid,
    Malformed,
    Problem,
    Taken,
    TooLarge,
    UserError,
    VersionRequired,
    problem_body,
    told,
)
from core.i18n import N_
from core.records.loading import printable, unknown_field
from core.records.operations import (
    create_many,
    create_record,
    delete_record,
    update_record,
)
from core.records.together import try_each, written_together
from core.records.wire import to_wire

Record = dict[str, Any]

#: Items of one call.
MOST = 1_000


def bulk(
    ctx: Context,
    type_name: str,
    *,
    create: Sequence[Any] = (),
    update: Sequence[Any] = (),
    delete: Sequence[Any] = (),
    atomic: bool = False,
) -> Record:
    """Do everything asked and return `{"results": […]}`, one per item, ready for JSON.

    Items to update are the changes with `id` and `version`; items to delete are
    `{"id", "version"}`. Without `atomic` the items that are refused do not stop the others.

    Raises:
        NotFound: there is no such record type.
        TooLarge: there are more than `MOST` items.
        UserError: with `atomic`, what the first refused item was refused with; its
            problems name all refused items, and nothing is written.
    """
    ctx.registry.record_type(type_name)
    if len(create) + len(update) + len(delete) > MOST:
        raise TooLarge(N_("At most {most} items."), most=MOST)
    with ctx.writing() as connection, written_together(ctx, connection):
        outcomes: list[tuple[str, int, Record | UserError]] = []
        if create:
            made = _created(ctx, connection, type_name, create)
            outcomes += [("create", index, one) for index, one in enumerate(made)]
        for action, act, items in (("update", _update, update), ("delete", _delete, delete)):
            done = try_each(ctx, connection, [partial(act, ctx, type_name, one) for one in items])
            outcomes += [(action, index, one) for index, one in enumerate(done)]
        if atomic:
            _refuse_together(outcomes)
    return {"results": [_result(ctx, type_name, *one) for one in outcomes]}


def _created(
    ctx: Context, connection: Connection, type_name: str, items: Sequence[Any]
) -> Sequence[Record | UserError]:
    """Return what became of each item; one that is taken stops no other, and no change."""
    (made,) = try_each(ctx, connection, [partial(create_many, ctx, type_name, items)])
    if isinstance(made, Taken):
        # It was alone, so that its write was the look-up; or somebody else wrote meanwhile.
        alone = [partial(create_record, ctx, type_name, one) for one in items]
        return try_each(ctx, connection, alone)
    if isinstance(made, UserError):
        raise made
    return made


def _update(ctx: Context, type_name: str, item: Any) -> Record:
    record_id, version = _key(item)
    changes = {name: value for name, value in item.items() if name not in {"id", "version"}}
    return update_record(ctx, type_name, record_id, changes, version=version)


def _delete(ctx: Context, type_name: str, item: Any) -> Record:
    record_id, version = _key(item)
    known = ("id", "version")
    problems = [unknown_field(printable(key), key, known) for key in item if key not in known]
    if problems:
        raise Invalid(problems=problems)
    delete_record(ctx, type_name, record_id, version=version)
    return {"id": record_id}


def _key(item: Any) -> tuple[str, int]:
    """Return the id and version of an item.

    Raises:
        Malformed: it is no object, or its id is no text.
        VersionRequired: it has no version.
    """
    if not isinstance(item, dict) or not isinstance(item.get("id"), str):
        raise Malformed
    version = item.get("version")
    if type(version) is not int:
        raise VersionRequired(N_("Each item needs the version you have seen."))
    return item["id"], version


def _refuse_together(outcomes: Sequence[tuple[str, int, Record | UserError]]) -> None:
    refused = [one for one in outcomes if isinstance(one[2], UserError)]
    if not refused:
        return
    problems: list[Problem] = []
    for action, index, error in refused:
        place = f"{action}.{index}"
        assert isinstance(error, UserError)  # noqa: S101  chosen above
        own = error.problems or (Problem("", error.code, error.text, error.params),)
        problems += [
            Problem(f"{place}.{one.path}" if one.path else place, one.code, one.text, one.params)
            for one in own
        ]
    first = refused[0][2]
    if isinstance(first, Invalid) or not isinstance(first, UserError):
        raise Invalid(problems=problems)
    raise type(first)(first.text, problems=problems, **first.params)


def _result(
    ctx: Context, type_name: str, action: str, index: int, outcome: Record | UserError
) -> Record:
    if isinstance(outcome, UserError):
        error = {
            "code": outcome.code,
            "message": told(outcome.text, ctx.locale, outcome.params),
            "problems": [problem_body(one, ctx.locale) for one in outcome.problems],
        }
        return {"action": action, "index": index, "status": outcome.status, "error": error}
    status = {"create": 201, "update": 200, "delete": 204}[action]
    result = {"action": action, "index": index, "status": status, "id": outcome["id"]}
    if action != "delete":
        result["version"] = outcome["version"]
        result["record"] = to_wire(ctx.registry, type_name, outcome)
    return result
