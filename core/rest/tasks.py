"""`/tasks` and `/instances`, and the verbs of a document's initiator."""

from typing import Any

from flask import request

from core.context import Context
from core.errors import Invalid, NotFound, Problem
from core.i18n import N_
from core.records.queries import get_record
from core.rest.exchange import (
    body_keys,
    boolean_of,
    etag,
    integer_of,
    needing,
    only,
    query_keys,
    route,
)
from core.workflow import deciding, migrating, operations, reviewing, voiding
from core.workflow.queue import holding, inbox, pages
from core.workflow.staff.people import may_administer
from core.workflow.timing import reminding

#: What an administrator may do with somebody's approval.
_ADMINISTERING = {
    "suspend": operations.suspend,
    "resume": operations.resume,
    "terminate": operations.terminate,
    "retry": operations.retry,
}

#: People or steps that one request names, and the longest name.
_MOST_NAMED, _LONGEST_NAME = 200, 320


#: What a held decision carries besides its verb, content, seat and opinion.
_HELD = ("to", "then", "fields", "chosen")


@route("/tasks", "GET")
def list_(ctx: Context) -> Any:
    """Answer with a page of one of the caller's boxes, and how many are in each."""
    query = query_keys(
        "box", "type", "sort", "after", "limit", "step", "initiator", "text", "overdue",
        "attention", "snoozed", "counts",
    )  # fmt: skip
    return inbox.list_tasks(
        ctx,
        box=query.get("box", "todo"),
        narrowing=inbox.Narrowing(
            type_name=query.get("type", ""),
            step=query.get("step", ""),
            initiator=query.get("initiator", ""),
            text=query.get("text", ""),
            overdue=boolean_of(query, "overdue"),
            attention=boolean_of(query, "attention"),
            snoozed=boolean_of(query, "snoozed"),
        ),
        sort=query.get("sort", ""),
        after=query.get("after", ""),
        limit=integer_of(query, "limit", default=inbox.PAGE, least=1, most=inbox.MAX_PAGE),
        with_counts=boolean_of(query, "counts", default=True),
    )


@route("/tasks/<task_id>", "GET")
def get(ctx: Context, task_id: str) -> Any:
    """Answer with a task: the difference to the live record, the hash, the timeline."""
    query_keys()
    return pages.get_task(ctx, task_id)


@route("/tasks/<task_id>/review", "GET")
def review_task(ctx: Context, task_id: str) -> Any:
    """Answer with what plugins find in a task's document, for those who decide or submit."""
    query_keys()
    return {"reviews": reviewing.review_task(ctx, task_id)}


@route("/tasks/<task_id>/<verb>", "POST", in_one_write=True)
def decide(ctx: Context, task_id: str, verb: str) -> Any:
    """Decide a task on the content that the caller was shown; `hold` keeps it for seconds."""
    query_keys()
    body = body_keys({
        "subject_hash": str, "opinion": str, "seat": str, "to": (str, list), "then": str,
        "rule": str, "fields": dict, "signature": dict, "chosen": dict, "hold": int,
    })  # fmt: skip
    decision = deciding.Decision(
        task_id,
        verb,
        subject_hash=body.get("subject_hash", ""),
        opinion=body.get("opinion", ""),
        seat=body.get("seat", ""),
        to=_texts("to", body.get("to", [])),
        then=_one_of("then", body.get("then", ""), ("", "resume", "rewalk", "steal")),
        rule=_one_of("rule", body.get("rule", "any"), ("any", "all", "sequence")),
        fields=body.get("fields", {}),
        signature=body.get("signature", {}),
        chosen=_chosen(body),
    )
    if "hold" in body:
        more = {name: getattr(decision, name) for name in _HELD if body.get(name)}
        return holding.hold(ctx, decision, body["hold"], **more), 202
    return deciding.decide_once(ctx, decision, key=request.headers.get("Idempotency-Key"))


def _texts(path: str, value: Any) -> tuple[str, ...]:
    """Return one text or a list of texts as a tuple of them.

    Raises:
        Invalid: it is neither, or far too long.
    """
    found = tuple(value) if isinstance(value, list) else (value,)
    if len(found) > _MOST_NAMED or not all(
        isinstance(one, str) and len(one) <= _LONGEST_NAME and one.isprintable() for one in found
    ):
        text = N_("This must be a text or a list of at most {limit} texts.")
        raise Invalid(problems=[Problem(path, "field.wrong_type", text, {"limit": _MOST_NAMED})])
    return found


def _one_of(path: str, value: str, allowed: tuple[str, ...]) -> str:
    """Return a word after checking it.

    Raises:
        Invalid: it is none of the allowed ones.
    """
    if value not in allowed:
        text = N_("This must be one of {values}.")
        words = ", ".join(filter(None, allowed))
        raise Invalid(problems=[Problem(path, "field.not_a_choice", text, {"values": words})])
    return value


def _chosen(body: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the people named for steps."""
    named = body.get("chosen", {})
    _texts("chosen", list(named))
    return {step: _texts(f"chosen.{step}", people) for step, people in named.items()}


@route("/instances/<instance_id>", "GET")
def get_instance(ctx: Context, instance_id: str) -> Any:
    """Answer with an approval's whole course."""
    query_keys()
    return pages.get_instance(ctx, instance_id)


@route("/instances/<instance_id>/<verb>", "POST", guard=only(may_administer))
def administer(ctx: Context, instance_id: str, verb: str) -> Any:
    """Suspend, resume or end an approval, or try again to put it in force."""
    query_keys()
    act = _ADMINISTERING.get(verb)
    if act is None:
        raise NotFound
    body = body_keys({"reason": str})
    if not body.get("reason", "").strip():
        raise Invalid(problems=[Problem("reason", "field.required", N_("Say why."))])
    return act(ctx, instance_id, reason=body["reason"], key=request.headers.get("Idempotency-Key"))


@route("/instances/<instance_id>/migrate", "POST", guard=only(may_administer))
def migrate(ctx: Context, instance_id: str) -> Any:
    """Have an approval go on under the version of its flow in force; `dry_run` only looks."""
    query_keys()
    body = body_keys({"reason": str, "dry_run": bool})
    return migrating.migrate(
        ctx,
        instance_id,
        reason=body.get("reason", ""),
        dry_run=body.get("dry_run", False),
        key=request.headers.get("Idempotency-Key"),
    )


@route("/records/<type_name>/<record_id>/submit", "POST", guard=needing("submit"))
def submit(ctx: Context, type_name: str, record_id: str) -> Any:
    """Send a document to its approvers; `chosen` names people where the flow lets one."""
    query_keys()
    chosen = _chosen(body_keys({"chosen": dict}))
    key = request.headers.get("Idempotency-Key")
    answer = operations.submit(ctx, type_name, record_id, chosen=chosen, key=key)
    return _flow_answer(ctx, answer)


@route("/records/<type_name>/<record_id>/review", "GET", guard=needing("submit"))
def review_record(ctx: Context, type_name: str, record_id: str) -> Any:
    """Answer with what plugins find in a draft or a proposed change, for those who submit."""
    query_keys()
    return {"reviews": reviewing.review_record(ctx, type_name, record_id)}


@route("/records/<type_name>/<record_id>/void", "POST", guard=needing("submit"))
def void(ctx: Context, type_name: str, record_id: str) -> Any:
    """Propose that a document in force be void, and send that to its approvers."""
    query_keys()
    body = body_keys({"reason": str, "chosen": dict}, required=["reason"])
    answer = voiding.void(
        ctx,
        type_name,
        record_id,
        reason=body["reason"],
        chosen=_chosen(body),
        key=request.headers.get("Idempotency-Key"),
    )
    return _flow_answer(ctx, answer)


@route("/records/<type_name>/<record_id>/withdraw", "POST", guard=needing("view"))
def withdraw(ctx: Context, type_name: str, record_id: str) -> Any:
    """Take a document back before it is decided."""
    query_keys()
    body = body_keys({"reason": str})
    key = request.headers.get("Idempotency-Key")
    answer = operations.withdraw(ctx, type_name, record_id, reason=body.get("reason", ""), key=key)
    return _flow_answer(ctx, answer)


@route("/records/<type_name>/<record_id>/remind", "POST", guard=needing("view"))
def remind(ctx: Context, type_name: str, record_id: str) -> Any:
    """Tell the approvers again that a document waits for them."""
    query_keys()
    body_keys({})
    key = request.headers.get("Idempotency-Key")
    return _flow_answer(ctx, reminding.remind(ctx, type_name, record_id, key=key))


def _flow_answer(ctx: Context, answer: dict[str, Any]) -> Any:
    """Add the document's new version, which the next change of it needs."""
    record = answer["record"]
    found = get_record(ctx, record["type"], record["id"], fields=("status",))
    return answer, 200, etag(found["version"])
