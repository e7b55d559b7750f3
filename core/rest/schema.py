"""`/schema`: drafts of the forms, what they would do, publishing, going back."""

from types import ModuleType
from typing import Any

from flask import Response

from core.context import Context
from core.errors import Conflict, Forbidden, Invalid, NotFound, Problem
from core.i18n import N_
from core.records.plugin_settings import ADMINISTRATORS
from core.rest.exchange import body_keys, query_keys, route
from core.security.services import services
from core.workflow.rehearsal import previews

_MAX_RELEASE = 2**31 - 1
_MAX_DIGITS = 10


@route("/schema/drafts", "POST")
def create_draft(ctx: Context) -> Any:
    """Begin a draft from YAML or from small changes."""
    _begin(ctx)
    body = body_keys({"yaml": str, "changes": list, "archive": str})
    if len(body) != 1:
        text = N_("Send one of yaml, changes and archive.")
        raise Invalid(problems=[Problem("", "schema.draft_kind", text)])
    draft_id = _drafts().create_draft(ctx, **body)
    return {"id": draft_id}, 201


@route("/schema/drafts/<draft_id>", "GET")
def get_draft(ctx: Context, draft_id: str) -> Any:
    """Answer with a draft's problems, differences, impact, proof of approvers and plan."""
    _begin(ctx)
    return _drafts().get_draft(
        ctx,
        draft_id,
        locale=ctx.locale,
        also=lambda running, release: {"proof": previews.prove_changes(ctx, running, release)},
    )


@route("/schema/drafts/<draft_id>/publish", "POST")
def publish_draft(ctx: Context, draft_id: str) -> Any:
    """Put a draft in force."""
    _begin(ctx)
    body = body_keys({"note": str, "seal": str})
    note, seal = body.get("note", ""), body.get("seal", "")
    return {"release": _drafts().publish_draft(ctx, draft_id, note, seal=seal)}


@route("/schema/upgrade", "GET")
def show_upgrade(ctx: Context) -> Any:
    """Answer with what the files on the server would change, and where they meet the site's."""
    _begin(ctx)
    return _files().upgrade_json(services(), ctx.locale)


@route("/schema/upgrade", "POST")
def publish_upgrade(ctx: Context) -> Any:
    """Take in the files on the server, with what a person decided where both changed."""
    _begin(ctx)
    body = body_keys({"settle": dict, "note": str, "seal": str})
    release = _files().apply_paths(
        services(),
        note=body.get("note", ""),
        actor=ctx.actor,
        settle=body.get("settle", {}),
        seal=body.get("seal", ""),
    )
    if release is None:
        raise Conflict(N_("The files change nothing."))
    return {"release": release}


@route("/schema/uses/<type_name>", "GET")
def show_uses(ctx: Context, type_name: str) -> Any:
    """Answer with everything that uses a record type, a field or an option of it."""
    asked = _begin(ctx, "field", "option")
    with ctx.reading() as connection:
        return _drafts().list_uses(connection, ctx.registry.release, type_name, **asked)


@route("/schema/releases/<number>/quarantine", "GET")
def list_quarantine(ctx: Context, number: str) -> Any:
    """Answer with the values that a release could not convert and has set aside."""
    _begin(ctx)
    return {"items": _drafts().list_quarantined(ctx, _release(number))}


@route("/schema/releases/<number>/rollback", "GET")
def preview_rollback(ctx: Context, number: str) -> Any:
    """Answer with what going back to a release would do."""
    _begin(ctx)
    return _drafts().rollback_json(ctx, _release(number), locale=ctx.locale)


@route("/schema/releases", "GET")
def list_releases(ctx: Context) -> Any:
    """Answer with every release, newest first."""
    _begin(ctx)
    return {"items": _drafts().list_releases(ctx)}


@route("/schema/releases/<number>/rollback", "POST")
def rollback(ctx: Context, number: str) -> Any:
    """Publish what an earlier release said, keeping all data."""
    _begin(ctx)
    body_keys({})
    return {"release": _drafts().rollback(ctx, _release(number))}


@route("/schema/releases/<number>/export", "GET")
def export_release(ctx: Context, number: str) -> Any:
    """Answer with a release's YAML files as an archive."""
    _begin(ctx)
    archive = _drafts().export_release(ctx, _release(number))
    name = f"attachment; filename=guanxi-release-{_release(number)}.zip"
    return Response(archive, mimetype="application/zip", headers={"Content-Disposition": name})


def _drafts() -> ModuleType:
    """Return the draft operations; they bring Alembic along, which few processes ever need."""
    from core.migration import drafts  # noqa: PLC0415  slow

    return drafts


def _files() -> ModuleType:
    """Return the operations on the files on the server."""
    from core.migration import files  # noqa: PLC0415  slow

    return files


def _begin(ctx: Context, *allowed: str) -> dict[str, str]:
    """Let only those pass who may change the forms, and return the query's parameters."""
    if not ctx.actor.roles & ADMINISTRATORS:
        raise Forbidden
    return {name: text for name, text in query_keys(*allowed).items() if name in allowed}


def _release(text: str) -> int:
    is_number = text.isascii() and text.isdecimal() and 0 < len(text) <= _MAX_DIGITS
    if not is_number or int(text) > _MAX_RELEASE:
        raise NotFound
    return int(text)
