"""`/types` and `/records`: every record type through one set of routes."""

from collections.abc import Callable
from typing import Any, Literal, cast

from flask import Response, request

from core.context import Context
from core.errors import Invalid, Malformed, Problem
from core.i18n import N_
from core.records import idempotency
from core.records.bulk import bulk
from core.records.duplicating import duplicate_record
from core.records.history import record_history
from core.records.operations import (
    create_record,
    delete_record,
    restore_record,
    update_record,
)
from core.records.queries import Query, get_record, list_wire
from core.records.unmasking import unmask_value
from core.records.why import explain_field
from core.records.wire import wire_of
from core.rest import described
from core.rest.errors import problems_body
from core.rest.exchange import (
    body_keys,
    body_object,
    etag,
    expected_version,
    integer_of,
    needing,
    query_keys,
    respond,
    route,
    words_of,
)

MAX_LIMIT = 200
DEFAULT_LIMIT = 50
MAX_VERSION = 2**31 - 1

_LIST_KEYS = ("filter", "sort", "fields", "limit", "after", "search", "count", "expand")


@route("/types", "GET")
def list_types(ctx: Context) -> Any:
    """Answer with every record type the caller may see."""
    query_keys()
    return {"items": described.list_types(ctx), "release": ctx.registry.release.number}


@route("/types/<name>", "GET")
def get_type(ctx: Context, name: str) -> Any:
    """Answer with one record type: fields, layout, views, and what the caller may do."""
    query_keys()
    return described.describe_type(ctx, name)


@route("/records/<type_name>", "GET", guard=needing("view"), in_one_read=True)
def list_(ctx: Context, type_name: str) -> Any:
    """Answer with one page of records."""
    query = query_keys(*_LIST_KEYS)
    count = query.get("count", "")
    if count not in {"", "exact", "capped"}:
        text = N_("Use exact or capped.")
        raise Invalid(problems=[Problem("count", "query.choice", text)])
    page = list_wire(
        ctx,
        type_name,
        Query(
            filter=query.get("filter", ""),
            sort=words_of(query, "sort"),
            fields=words_of(query, "fields") or None,
            limit=integer_of(query, "limit", default=DEFAULT_LIMIT, least=1, most=MAX_LIMIT),
            after=query.get("after", ""),
            search=query.get("search", ""),
            count=cast("Literal['', 'exact', 'capped']", count),
            expand=words_of(query, "expand"),
        ),
    )
    answer: dict[str, Any] = {"items": page.items, "next": page.next}
    if page.count is not None:
        answer["count"] = page.count
    return answer


@route("/records/<type_name>", "POST", guard=needing("create"), in_one_write=True)
def create(ctx: Context, type_name: str) -> Any:
    """Create one record."""
    query_keys()
    values = body_object()
    return once(ctx, lambda: (201, _wire(ctx, type_name, create_record(ctx, type_name, values))))


@route("/records/<type_name>/<record_id>", "GET", guard=needing("view"), in_one_read=True)
def get(ctx: Context, type_name: str, record_id: str) -> Any:
    """Answer with one record and its version as ETag."""
    query = query_keys("fields", "expand")
    wire = get_record(
        ctx,
        type_name,
        record_id,
        fields=words_of(query, "fields") or None,
        expand=words_of(query, "expand"),
        as_wire=True,
    )
    version = wire.get("version")
    if version is None:
        return wire
    tag = etag(version)
    if request.headers.get("If-None-Match") == tag["ETag"]:
        return Response(status=304, headers=tag)
    return wire, 200, tag


@route("/records/<type_name>/<record_id>", "PATCH", guard=needing("edit"), in_one_write=True)
def update(ctx: Context, type_name: str, record_id: str) -> Any:
    """Change the named fields of the version that the caller has seen."""
    query_keys()
    version = expected_version()
    changes = body_object()
    return once(
        ctx,
        lambda: (
            200,
            _wire(
                ctx, type_name, update_record(ctx, type_name, record_id, changes, version=version)
            ),
        ),
    )


@route("/records/<type_name>/<record_id>", "DELETE", guard=needing("delete"), in_one_write=True)
def delete(ctx: Context, type_name: str, record_id: str) -> Any:
    """Delete the version that the caller has seen."""
    query_keys()
    version = expected_version()

    def act() -> tuple[int, Any]:
        delete_record(ctx, type_name, record_id, version=version)
        return 204, None

    return once(ctx, act)


@route("/records/<type_name>/<record_id>/history", "GET", guard=needing("history"))
def history(ctx: Context, type_name: str, record_id: str) -> Any:
    """Answer with who changed what, newest first."""
    query_keys()
    return {"items": record_history(ctx, type_name, record_id)}


@route("/records/<type_name>/<record_id>/duplicate", "POST", guard=needing("create"))
def duplicate(ctx: Context, type_name: str, record_id: str) -> Any:
    """Create a record that begins with what another one holds; the body overrides values."""
    query_keys()
    changes = body_object() if request.get_data(cache=True) else {}
    return once(
        ctx,
        lambda: (
            201,
            _wire(ctx, type_name, duplicate_record(ctx, type_name, record_id, changes)),
        ),
    )


@route("/records/<type_name>/<record_id>/unmask", "POST", guard=needing("view"))
def unmask(ctx: Context, type_name: str, record_id: str) -> Any:
    """Answer with the value behind a mask; who saw it stands in the record's history."""
    query_keys()
    name = body_keys({"field": str}, required=["field"])["field"]
    return {"field": name, "value": unmask_value(ctx, type_name, record_id, name)}


@route("/records/<type_name>/<record_id>/why", "GET", guard=needing("view"), in_one_read=True)
def why(ctx: Context, type_name: str, record_id: str) -> Any:
    """Answer with why a field is shown, required or locked, value by value."""
    query = query_keys("field")
    return explain_field(ctx, type_name, record_id, query.get("field", ""))


@route("/records/<type_name>/<record_id>/restore", "POST", guard=needing("edit"))
def restore(ctx: Context, type_name: str, record_id: str) -> Any:
    """Bring a record back to an earlier version, as a new one."""
    query_keys()
    body = body_keys({"version": int, "reason": str}, required=["version"])
    if not 1 <= body["version"] <= MAX_VERSION:
        raise Malformed
    return once(
        ctx,
        lambda: (
            200,
            _wire(ctx, type_name, _restored(ctx, type_name, record_id, body)),
        ),
    )


def _restored(
    ctx: Context, type_name: str, record_id: str, body: dict[str, Any]
) -> dict[str, Any]:
    seen = expected_version() if "If-Match" in request.headers else None
    return restore_record(
        ctx,
        type_name,
        record_id,
        to_version=body["version"],
        version=seen,
        reason=body.get("reason", ""),
    )


@route("/records/<type_name>/bulk", "POST", guard=needing("edit", "create", "delete"))
def change_many(ctx: Context, type_name: str) -> Any:
    """Create, update and delete many records, with a result per item."""
    query_keys()
    body = body_keys({"create": list, "update": list, "delete": list, "atomic": bool})
    ctx.door = "bulk"
    return once(
        ctx,
        lambda: (
            200,
            bulk(
                ctx,
                type_name,
                create=body.get("create", []),
                update=body.get("update", []),
                delete=body.get("delete", []),
                atomic=body.get("atomic", False),
            ),
        ),
    )


@route("/requests/<path:key>", "GET")
def get_request(ctx: Context, key: str) -> Any:
    """Answer with what the request under an idempotency key was answered."""
    query_keys()
    answer = idempotency.find_answer(ctx, key)
    return {"state": "committed", "status": answer.status, "answer": answer.body}


def once(ctx: Context, act: Callable[[], tuple[int, Any]]) -> Response:
    """Answer with what `act` does, at most once for an `Idempotency-Key`."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        status, body = act()
        return _versioned(status, body)
    fingerprint = idempotency.body_hash(
        f"{request.method} {request.path} {request.headers.get('If-Match', '')}",
        request.get_data(cache=True),
    )
    answer = idempotency.run_once(ctx, key, fingerprint, act)
    response = _versioned(answer.status, answer.body)
    if answer.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


def _versioned(status: int, body: Any) -> Response:
    if status == 204:  # noqa: PLR2004  HTTP
        return Response(status=status)
    version = body.get("version") if isinstance(body, dict) else None
    headers = etag(version) if isinstance(version, int) else None
    return respond((body, status, headers))


def _wire(ctx: Context, type_name: str, record: dict[str, Any]) -> dict[str, Any]:
    """Return a written record as JSON, with what rules had to say without refusing."""
    wire = wire_of(ctx.registry, type_name).record(record)
    if ctx.warnings:
        wire["warnings"] = problems_body(ctx.warnings)
    return wire
