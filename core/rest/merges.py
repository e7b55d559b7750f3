"""`/records/{type}/{id}/merge` and `/merges`: several records made one, and taken apart again."""

from typing import Any

from core.context import Context
from core.errors import Invalid, Problem
from core.i18n import N_
from core.records.merging import merge_records
from core.records.unmerging import list_merges, undo_merge
from core.records.wire import wire_of
from core.rest.exchange import body_keys, expected_version, needing, query_keys, route
from core.rest.records import once


@route("/records/<type_name>/<record_id>/merge", "POST", guard=needing("edit"))
def merge(ctx: Context, type_name: str, record_id: str) -> Any:
    """Merge other records into this one: `{"records": [{"id", "version"}], "take": {}}`."""
    query_keys()
    version = expected_version()
    body = body_keys({"records": list, "take": dict, "reason": str}, required=["records"])
    others, take = _others(body["records"]), _taken(body.get("take", {}))

    def act() -> tuple[int, Any]:
        merged = merge_records(
            ctx,
            type_name,
            record_id,
            others,
            version=version,
            take=take,
            reason=body.get("reason", ""),
        )
        record = wire_of(ctx.registry, type_name).record(merged.record)
        return 200, {"merge": merged.id, "moved": merged.moved, "record": record}

    return once(ctx, act)


def _others(listed: list[Any]) -> dict[str, int]:
    """Return the records that are merged, with the versions seen.

    Raises:
        Invalid: one is not `{"id": text, "version": number}`, or stands twice.
    """
    found: dict[str, int] = {}
    for place, one in enumerate(listed):
        is_good = (
            isinstance(one, dict)
            and one.keys() == {"id", "version"}
            and isinstance(one["id"], str)
            and type(one["version"]) is int
            and one["id"] not in found
        )
        if not is_good:
            text = N_("This must be an object with the id and the version of a record.")
            raise Invalid(problems=[Problem(f"records.{place}", "merge.record", text)])
        found[one["id"]] = one["version"]
    return found


def _taken(take: dict[str, Any]) -> dict[str, str]:
    wrong = [name for name, source in take.items() if not isinstance(source, str)]
    if wrong:
        text = N_("This is none of the records that are merged.")
        raise Invalid(problems=[Problem(f"take.{wrong[0][:80]}", "merge.source", text)])
    return take


@route(
    "/records/<type_name>/<record_id>/merges", "GET", guard=needing("history"), in_one_read=True
)
def list_(ctx: Context, type_name: str, record_id: str) -> Any:
    """Answer with the merges in which a record lived on, or was put away, newest first."""
    query_keys()
    return {"items": list_merges(ctx, type_name, record_id)}


@route("/records/<type_name>/merges/<merge_id>/undo", "POST", guard=needing("edit"))
def undo(ctx: Context, type_name: str, merge_id: str) -> Any:
    """Take a merge back; `kept` names what was changed since and so stays."""
    query_keys()
    body = body_keys({"reason": str})

    def act() -> tuple[int, Any]:
        done = undo_merge(ctx, type_name, merge_id, reason=body.get("reason", ""))
        kept = [{"type": one[0], "id": one[1], "field": one[2]} for one in done.kept]
        return 200, {"restored": done.restored, "moved_back": done.moved_back, "kept": kept}

    return once(ctx, act)
