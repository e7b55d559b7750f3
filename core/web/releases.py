"""The history of the schema: what each release changed, export, promotion, upgrade, going back."""

from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

from flask import Response, flash, render_template, request
from flask.typing import ResponseReturnValue

from core.context import Context
from core.errors import GuanxiError, Malformed, NotFound, SchemaError, UserError
from core.i18n import N_, pick, translate
from core.schema.diff import Change, diff
from core.schema.model import Release
from core.security.services import services
from core.tables.releases import list_release_rows, load_release
from core.web.administration import require_builder
from core.web.display import field_label
from core.web.flows import shown_proof
from core.web.navigation import type_label
from core.web.page import page, pages, problem_body, went
from core.workflow.rehearsal.previews import prove_changes

#: Releases whose differences are worked out for one page.
_RELEASES = 20

#: Changes shown of one release.
_CHANGES = 40

KIND_TEXTS = {
    "add_type": N_("New form"),
    "archive_type": N_("Form archived"),
    "restore_type": N_("Form restored"),
    "retype_field": N_("Field type changed"),
    "rename_type": N_("Form renamed"),
    "change_type": N_("Form changed"),
    "add_field": N_("New field"),
    "rename_field": N_("Field renamed"),
    "archive_field": N_("Field archived"),
    "restore_field": N_("Field restored"),
    "change_field": N_("Field changed"),
    "add_unique": N_("Uniqueness added"),
    "drop_unique": N_("Uniqueness dropped"),
    "add_view": N_("New view"),
    "change_view": N_("View changed"),
    "drop_view": N_("View dropped"),
    "change_policy": N_("Rights changed"),
    "add_policy": N_("Rights added"),
    "drop_policy": N_("Rights dropped"),
    "change_flow": N_("Flow changed"),
    "add_flow": N_("New flow"),
    "drop_flow": N_("Flow dropped"),
    "change_print": N_("Print changed"),
    "add_print": N_("New print"),
    "drop_print": N_("Print dropped"),
    "change_dashboard": N_("Dashboard changed"),
    "add_dashboard": N_("New dashboard"),
    "drop_dashboard": N_("Dashboard dropped"),
    "change_decision_table": N_("Decision table changed"),
    "add_decision_table": N_("New decision table"),
    "drop_decision_table": N_("Decision table dropped"),
    "change_account_kind": N_("Account kind changed"),
    "add_account_kind": N_("New account kind"),
    "drop_account_kind": N_("Account kind dropped"),
    "add_role": N_("New role"),
    "drop_role": N_("Role dropped"),
    "add_position": N_("New position"),
    "drop_position": N_("Position dropped"),
    "change_position": N_("Position changed"),
    "add_calendar": N_("New calendar"),
    "drop_calendar": N_("Calendar dropped"),
    "change_calendar": N_("Calendar changed"),
    "change_role": N_("Role changed"),
    "change_automation": N_("Automation changed"),
    "add_automation": N_("New automation"),
    "drop_automation": N_("Automation dropped"),
}

#: What uses the things that change, as people read it.
USE_TEXTS = {
    "views": N_("Views"),
    "saved_views": N_("Saved views"),
    "rules": N_("Rules and stages"),
    "checks": N_("Checks"),
    "expressions": N_("Conditions and formulas"),
    "written": N_("Records with conditions"),
    "flows": N_("Flows"),
    "automations": N_("Automations"),
    "dashboards": N_("Dashboards"),
    "policies": N_("Rights"),
    "links": N_("Links and sums"),
    "api_fields": N_("Seen by programs"),
}
_GREATEST = 2**31 - 1
_LONGEST_NOTE = 500


@pages.get("/releases/")
@page
def show_releases(ctx: Context) -> ResponseReturnValue:
    """Show the newest releases, each with what it changed."""
    require_builder(ctx)
    with ctx.reading() as connection:
        rows = list_release_rows(connection)[: _RELEASES + 1]
        contents = {row.number: load_release(connection, row.number) for row in rows}
        aside = _drafts().count_quarantined(connection)
    shown = []
    for row in rows[:_RELEASES]:
        changes = told_changes(diff(contents.get(row.number - 1), contents[row.number]))
        shown.append(
            {
                "number": row.number,
                "note": row.note,
                "at": row.published_at,
                "by": _who(ctx, row.published_by, row.published_by_name),
                "is_current": row.number == ctx.registry.release.number,
                "changes": [
                    _shown(ctx, each, contents[row.number]) for each in changes[:_CHANGES]
                ],
                "quarantined": aside.get(row.number, 0),
                "more": max(0, len(changes) - _CHANGES),
            }
        )
    return render_template("gx/releases.html", releases=shown)


def told_changes(changes: Iterable[Change]) -> list[Change]:
    """Return the changes without the parts of forms that are new as a whole."""
    changes = list(changes)
    new = {each.type for each in changes if each.kind == "add_type"}
    return [each for each in changes if each.kind == "add_type" or each.type not in new]


def _who(ctx: Context, actor: str, name: str) -> str:
    return translate(N_("The system"), ctx.locale) if actor == "system" else name


def change_text(ctx: Context, change: Change, release: Release) -> str:
    """Return where a change is and, for short values, what became what."""
    record_type = release.types.get(change.type)
    place = (
        type_label(record_type, ctx.locale, plural=False)
        if record_type
        else _name(ctx, change, release)
    )
    field = record_type.field(change.field) if record_type else None
    if field is not None:
        place += f" · {field_label(field, ctx.locale)}"
    elif change.field:
        place = change.field if change.type == "*" else f"{place} · {change.field}"
    if change.properties:
        place += f" ({', '.join(change.properties)})"
    short = [each for each in (change.old, change.new) if isinstance(each, str | int | bool)]
    return f"{place}: {short[0]} → {short[1]}" if len(short) == 2 else place  # noqa: PLR2004


def _name(ctx: Context, change: Change, release: Release) -> str:
    """Return a flow's or role's name as people read it."""
    flow = release.flows.get(change.type)
    if flow is not None:
        return pick(flow.title, ctx.locale, flow.flow)
    automation = release.automations.get(change.type)
    if automation is not None:
        return pick(automation.label, ctx.locale, automation.automation)
    calendar = release.calendars.get(change.type)
    if calendar is not None:
        return pick(calendar.label, ctx.locale, calendar.calendar)
    account = release.account_kinds.get(change.type)
    if account is not None:
        return pick(account.label, ctx.locale, account.name)
    labels = {role.name: role.label for role in release.roles}
    return pick(labels.get(change.type), ctx.locale, change.type)


@pages.get("/releases/<int:number>/export")
@page
def download_release(ctx: Context, number: int) -> ResponseReturnValue:
    """Hand out a release's files as an archive, which another server takes."""
    require_builder(ctx)
    archive = _drafts().export_release(ctx, _known(number))
    name = f"attachment; filename=guanxi-release-{number}.zip"
    return Response(archive, mimetype="application/zip", headers={"Content-Disposition": name})


@pages.get("/releases/<int:number>/rollback")
@page
def preview_release(ctx: Context, number: int) -> ResponseReturnValue:
    """Show what going back to a release would do."""
    require_builder(ctx)
    plan = _drafts().rollback_json(ctx, _known(number), locale=ctx.locale)
    title = translate(N_("Back to release {number}"), ctx.locale, number=number)
    return _plan_page(ctx, plan, title, button=N_("Go back"))


@pages.post("/releases/<int:number>/rollback")
@page
def go_back(ctx: Context, number: int) -> ResponseReturnValue:
    """Publish an earlier release again, with the values of then."""
    require_builder(ctx)
    try:
        made = _drafts().rollback(ctx, _known(number), _note(), seal=_seal())
    except (UserError, SchemaError) as error:
        plan = _drafts().rollback_json(ctx, number, locale=ctx.locale)
        title = translate(N_("Back to release {number}"), ctx.locale, number=number)
        return _plan_page(ctx, plan, title, button=N_("Go back"), error=error), error.status
    return _published(ctx, made)


@pages.get("/releases/promote")
@page
def show_promotion(ctx: Context) -> ResponseReturnValue:
    """Ask for another server's exported release, or for files of forms."""
    require_builder(ctx)
    return render_template("gx/promote.html", error=None)


@pages.post("/releases/promote")
@page
def begin_promotion(ctx: Context) -> ResponseReturnValue:
    """Make a draft of an uploaded file and go on to its plan."""
    require_builder(ctx)
    try:
        draft = _drafts().create_draft(ctx, **_uploaded())
    except (UserError, SchemaError) as error:
        return render_template("gx/promote.html", error=problem_body(error)), error.status
    return went(f"/releases/drafts/{draft}")


def _uploaded() -> dict[str, str]:
    """Return the content of a draft: an archive in base64, or YAML.

    Raises:
        Malformed: nothing was uploaded, or what was is neither.
    """
    file = request.files.get("file")
    data = file.read() if file else b""
    if not data:
        raise Malformed(N_("Choose a file."))
    if data.startswith(b"PK"):
        return {"archive": _drafts().packed(data)}
    try:
        return {"yaml": data.decode("utf-8-sig")}
    except UnicodeDecodeError as error:
        raise Malformed(N_("This is neither an exported release nor YAML.")) from error


@pages.get("/releases/drafts/<draft_id>")
@page
def show_draft(ctx: Context, draft_id: str) -> ResponseReturnValue:
    """Show what a draft would do."""
    require_builder(ctx)
    return _draft_page(ctx, draft_id)


@pages.post("/releases/drafts/<draft_id>")
@page
def publish_draft(ctx: Context, draft_id: str) -> ResponseReturnValue:
    """Put a draft in force."""
    require_builder(ctx)
    try:
        made = _drafts().publish_draft(ctx, draft_id, _note(), seal=_seal())
    except (UserError, SchemaError) as error:
        return _draft_page(ctx, draft_id, error), error.status
    return _published(ctx, made)


def _draft_page(ctx: Context, draft_id: str, error: GuanxiError | None = None) -> str:
    def proof(running: Release, release: Release) -> dict[str, Any]:
        return {"proof": prove_changes(ctx, running, release)}

    plan = _drafts().get_draft(ctx, draft_id, locale=ctx.locale, also=proof)
    if plan["state"] != "open":
        raise NotFound
    title = translate(N_("Draft"), ctx.locale)
    plan["replay"] = f"/flows/replay/{draft_id}"
    return _plan_page(ctx, plan, title, button=N_("Publish"), error=error)


@pages.get("/releases/upgrade")
@page
def show_upgrade(ctx: Context) -> ResponseReturnValue:
    """Show what the files on the server would change, and where they meet the site's changes."""
    require_builder(ctx)
    return _upgrade_page(ctx)


@pages.post("/releases/upgrade")
@page
def publish_upgrade(ctx: Context) -> ResponseReturnValue:
    """Take in the files on the server, as a person settled what both changed."""
    require_builder(ctx)
    settle = _settlement()
    try:
        made = _files().apply_paths(
            services(), note=_note(), actor=ctx.actor, settle=settle, seal=_seal()
        )
    except (UserError, SchemaError) as error:
        return _upgrade_page(ctx, error, settle), error.status
    return went("/releases/") if made is None else _published(ctx, made)


def _settlement() -> dict[str, Any]:
    """Return what the form decides, by key: `mine`, `theirs`, or a value."""
    found: dict[str, Any] = {}
    for name, choice in request.form.items():
        kind, _, key = name.partition(":")
        if kind == "settle" and choice == "value":
            found[key] = {"value": request.form.get(f"value:{key}", "")}
        elif kind == "settle":
            found[key] = choice
    return found


def _upgrade_page(
    ctx: Context, error: GuanxiError | None = None, settle: Mapping[str, Any] | None = None
) -> str:
    plan = _files().upgrade_json(services(), ctx.locale)
    # What is to be settled is asked, not reproached.
    plan["checks"] = [one for one in plan["checks"] if one["code"] != "schema.conflict"]
    title = translate(N_("Files on this server"), ctx.locale)
    return _plan_page(
        ctx, plan, title, button=N_("Publish"), error=error, settle=dict(settle or {})
    )


@pages.get("/releases/<int:number>/quarantine")
@page
def show_quarantine(ctx: Context, number: int) -> ResponseReturnValue:
    """Show the values that a release could not convert, each with its record."""
    require_builder(ctx)
    rows = _drafts().list_quarantined(ctx, _known(number))
    return render_template("gx/quarantine.html", number=number, rows=rows)


def _plan_page(
    ctx: Context,
    plan: dict[str, Any],
    title: str,
    *,
    button: str,
    error: GuanxiError | None = None,
    settle: dict[str, Any] | None = None,
) -> str:
    release = ctx.registry.release
    changes = told_changes(_change(one) for one in plan["diff"])
    impact = plan["impact"]
    uses = [
        (translate(text, ctx.locale), impact[kind])
        for kind, text in USE_TEXTS.items()
        if impact.get(kind)
    ]
    return render_template(
        "gx/plan.html",
        proofs=[shown_proof(ctx, one) for one in plan.get("proof", ())],
        title=title,
        plan=plan,
        button=translate(button, ctx.locale),
        error=problem_body(error) if error else None,
        settle=settle or {},
        uses=uses,
        rows=impact.get("rows") or {},
        instances=impact.get("instances") or {},
        changes=[_shown(ctx, one, release) for one in changes],
        is_empty=not (plan["diff"] or plan["plan"]["steps"] or plan["checks"]),
        action=request.path,
        labels={
            name: type_label(one, ctx.locale, plural=False) for name, one in release.types.items()
        },
    )


def _change(plain: Mapping[str, Any]) -> Change:
    return Change(**{name: plain[name] for name in Change.__slots__})


def _shown(ctx: Context, change: Change, release: Release) -> dict[str, str]:
    return {
        "kind": translate(KIND_TEXTS.get(change.kind, change.kind), ctx.locale),
        "text": change_text(ctx, change, release),
    }


def _published(ctx: Context, number: int) -> ResponseReturnValue:
    text = N_("Release {number} is in force.")
    flash(translate(text, ctx.locale, number=number), "good")
    return went("/releases/")


def _note() -> str:
    return request.form.get("note", "").strip()[:_LONGEST_NOTE]


def _seal() -> str:
    return request.form.get("seal", "")


def _known(number: int) -> int:
    if not 0 < number <= _GREATEST:
        raise NotFound
    return number


def _drafts() -> ModuleType:
    """Return the draft operations; they bring Alembic along, which few processes ever need."""
    from core.migration import drafts  # noqa: PLC0415  slow

    return drafts


def _files() -> ModuleType:
    """Return the operations on the files on the server."""
    from core.migration import files  # noqa: PLC0415  slow

    return files
