"""`/automations`, `/hooks` and the buttons of records."""

from typing import Any

from flask import Response, request

from core.actor import PUBLIC
from core.automation import administration, requests
from core.automation.models import DEAD, DONE, RETRYING, SENDING, STOPPED, WAITING
from core.context import Context
from core.errors import Invalid, Malformed, Problem, ReleaseChanged, TooLarge
from core.i18n import N_
from core.records.queries import get_record
from core.rest.exchange import (
    body_keys,
    body_object,
    integer_of,
    needing,
    only,
    query_keys,
    respond,
    rest,
    route,
)
from core.security.actors import context_of
from core.security.services import services

_STATES = (WAITING, RETRYING, SENDING, DONE, DEAD, STOPPED)
_ADMINISTRATORS = only(administration.may_administer)
_ONLOOKERS = only(administration.may_look)


@route("/automations", "GET", guard=_ONLOOKERS)
def list_(ctx: Context) -> Any:
    """Answer with every automation, how it is switched and how its runs went."""
    query_keys()
    return {"items": administration.list_automations(ctx)}


@route("/automations/<name>", "GET", guard=_ONLOOKERS)
def get(ctx: Context, name: str) -> Any:
    """Answer with one automation and what its document says."""
    query_keys()
    return administration.get_automation(ctx, name)


@route("/automations/<name>", "PATCH", guard=_ADMINISTRATORS)
def switch(ctx: Context, name: str) -> Any:
    """Switch an automation on or off."""
    query_keys()
    body = body_keys({"is_on": bool}, required=["is_on"])
    return administration.set_on(ctx, name, is_on=body["is_on"])


@route("/automations/<name>/secret", "GET", guard=_ADMINISTRATORS)
def get_secret(ctx: Context, name: str) -> Any:
    """Answer with the address of a webhook, or with the key that bodies are signed with."""
    query_keys()
    return _secret(ctx, name)


@route("/automations/<name>/secret", "POST", guard=_ADMINISTRATORS)
def renew_secret(ctx: Context, name: str) -> Any:
    """Make a new secret; the one before is worth nothing from now on."""
    query_keys()
    body_keys({})
    administration.renew_secret(ctx, name)
    return _secret(ctx, name)


def _secret(ctx: Context, name: str) -> dict[str, str]:
    settings = services().settings
    base_url = settings.base_url or request.url_root.rstrip("/")
    return requests.partner_secret(ctx, name, settings.secret_key, base_url)


@route("/automations/runs", "GET", guard=_ONLOOKERS)
def list_runs(ctx: Context) -> Any:
    """Answer with a page of runs, newest first."""
    query = query_keys("automation", "state", "record", "before", "limit")
    state = query.get("state", "")
    if state and state not in _STATES:
        text = N_("This must be one of: {expected}.")
        params = {"expected": ", ".join(_STATES)}
        raise Invalid(problems=[Problem("state", "query.unknown", text, params)])
    return administration.list_runs(
        ctx,
        automation=query.get("automation", ""),
        state=state,
        record_id=query.get("record", ""),
        before=query.get("before", ""),
        limit=integer_of(
            query,
            "limit",
            default=administration.PAGE,
            least=1,
            most=administration.MAX_PAGE,
        ),
    )


@route("/automations/runs/<run_id>", "GET", guard=_ONLOOKERS)
def get_run(ctx: Context, run_id: str) -> Any:
    """Answer with a run: its input, each action's result, what was sent, errors, durations."""
    query_keys()
    return administration.get_run(ctx, run_id)


@route("/automations/runs/<run_id>/replay", "POST", guard=_ADMINISTRATORS)
def replay(ctx: Context, run_id: str) -> Any:
    """Do a run again."""
    query_keys()
    body_keys({})
    return {"run": administration.replay(ctx, run_id)}, 202


@route("/records/<type_name>/<record_id>/automations", "GET", guard=needing("view"))
def list_buttons(ctx: Context, type_name: str, record_id: str) -> Any:
    """Answer with the automations that the caller may start from a record now."""
    query_keys()
    get_record(ctx, type_name, record_id, fields=("id",))
    return {"items": requests.buttons(ctx, type_name, record_id)}


@route("/records/<type_name>/<record_id>/automations/<name>", "POST", guard=needing("view"))
def press(ctx: Context, type_name: str, record_id: str, name: str) -> Any:
    """Start an automation on a record."""
    query_keys()
    body_keys({})
    key = request.headers.get("Idempotency-Key")
    return {"run": requests.press(ctx, type_name, record_id, name, key=key)}, 202


def take_webhook(name: str, token: str = "") -> Response:
    """Take a call of another system, which knows the address or signs the body."""
    request.max_content_length = requests.MAX_BODY
    if (request.content_length or 0) > requests.MAX_BODY:
        raise TooLarge
    query_keys()
    if request.mimetype != "application/json":
        raise Malformed(N_("Send application/json."))
    try:
        return _take(name, token)
    except ReleaseChanged:
        # Published between reading the release and writing: the same again, once.
        return _take(name, token)


def _take(name: str, token: str) -> Response:
    own = services()
    ctx = context_of(own, own.registries.current(), PUBLIC, door="api")
    run_id = requests.receive(
        ctx,
        name,
        body=request.get_data(cache=True),
        read=body_object,
        secret_key=own.settings.secret_key,
        token=token,
        signed=request.headers.get("X-Guanxi-Signature", ""),
        key=request.headers.get("X-Guanxi-Delivery") or request.headers.get("Idempotency-Key"),
    )
    return respond(({"run": run_id}, 202))


rest.add_url_rule("/hooks/<name>", "automations_hook", take_webhook, methods=["POST"])
rest.add_url_rule("/hooks/<name>/<token>", "automations_token", take_webhook, methods=["POST"])
