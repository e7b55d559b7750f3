"""`/schema`: drafts of the forms, what they would do, publishing, going back."""

from types import ModuleType
from typing import Any

from flask import Response

from core.context import Context
from core.errors import Forbidden, Invalid, NotFound, Problem
from core.i18n import N_
from core.records.plugin_settings import ADMINISTRATORS
from core.rest.exchange import body_keys, query_keys, route

_MAX_RELEASE = 2**31 - 1
_MAX_DIGITS = 10


@route("/schema/drafts", "POST")
def create_draft(ctx: Context) -> Any:
    """Begin a draft from YAML or from small changes."""
    _begin(ctx)
    body = body_keys({"yaml": str, "changes": list})
    if len(body) != 1:
        text = N_("Send either yaml or changes.")
        raise Invalid(problems=[Problem("", "schema.draft_kind", text)])
    draft_id = _drafts().create_draft(ctx, yaml=body.get("yaml"), changes=body.get("changes"))
    return {"id": draft_id}, 201


@route("/schema/drafts/<draft_id>", "GET")
def get_draft(ctx: Context, draft_id: str) -> Any:
    """Answer with a draft's problems, differences, impact and plan."""
    _begin(ctx)
    return _drafts().get_draft(ctx, draft_id, locale=ctx.locale)


@route("/schema/drafts/<draft_id>/publish", "POST")
def publish_draft(ctx: Context, draft_id: str) -> Any:
    """Put a draft in force."""
    _begin(ctx)
    body = body_keys({"note": str})
    return {"release": _drafts().publish_draft(ctx, draft_id, body.get("note", ""))}


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


def _begin(ctx: Context) -> None:
    """Let only those pass who may change the forms."""
    if not ctx.actor.roles & ADMINISTRATORS:
        raise Forbidden
    query_keys()


def _release(text: str) -> int:
    is_number = text.isascii() and text.isdecimal() and 0 < len(text) <= _MAX_DIGITS
    if not is_number or int(text) > _MAX_RELEASE:
        raise NotFound
    return int(text)
