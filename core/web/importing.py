"""Importing a file in the browser: upload, dry run, what was refused and why, undoing."""

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, cast

from flask import Response, render_template, request, send_file
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import FileStorage

from core.context import Context
from core.errors import Conflict, Malformed, NotFound, UserError
from core.i18n import N_, translate
from core.ids import is_id, new_id
from core.policies.access import access
from core.records.duplicates import rules_for
from core.records.importalike import Alike
from core.records.importing import Report, run_import
from core.records.importjournal import Undone, list_imports, undo_import
from core.records.mapping import ImportMapping, load_mapping
from core.schema.model import RecordType
from core.security.services import services
from core.web.display import field_label
from core.web.forms import COMPUTED
from core.web.navigation import type_label
from core.web.page import page, pages, problem_body
from core.web.reading import label_of
from core.web.titles import find_titles

#: Bytes of a mapping file.
_MAPPING_BYTES = 65_536

#: Records that an undone import left, as many as are shown.
_SHOWN = 50

_SUFFIX = re.compile(r"\.(csv(\.gz|\.xz)?|xlsx)\Z", re.IGNORECASE)


@pages.get("/import/<type_name>")
@page
def show_import(ctx: Context, type_name: str) -> ResponseReturnValue:
    """Show the upload form."""
    access(ctx, type_name).require("import")
    return _render(ctx, ctx.registry.record_type(type_name), dry_run=True)


@pages.post("/import/<type_name>")
@page
def import_file(ctx: Context, type_name: str) -> ResponseReturnValue:
    """Import the uploaded file, or only say what it would do."""
    record_type = ctx.registry.record_type(type_name)
    access(ctx, type_name).require("import")
    dry_run = request.form.get("dry_run") == "true"
    ctx.door = "import"
    key = new_id()
    try:
        report = _run(ctx, type_name, report_path(ctx, key), dry_run=dry_run)
    except UserError as error:
        body = _render(ctx, record_type, dry_run=dry_run, error=problem_body(error))
        return body, error.status
    finally:
        forget_old_reports()
    shown = shown_report(ctx, record_type, report, key)
    return _render(ctx, record_type, dry_run=dry_run, report=shown)


def uploaded_rows() -> tuple[FileStorage, str]:
    """Return the uploaded file of rows and the ending of its name.

    Raises:
        Malformed: there is none, or it is neither CSV nor a workbook.
    """
    upload = request.files.get("file")
    if upload is None or not upload.filename:
        raise Malformed(N_("Choose a CSV file or a workbook."))
    suffix = _SUFFIX.search(upload.filename)
    if suffix is None:
        raise Malformed(N_("The file's name must end in .xlsx, .csv, .csv.gz or .csv.xz."))
    return upload, suffix.group(0).lower()


def _run(ctx: Context, type_name: str, target: Path, *, dry_run: bool) -> Report:
    upload, suffix = uploaded_rows()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"upload{suffix}"
        with path.open("wb") as file:
            shutil.copyfileobj(upload.stream, file)
        return run_import(
            ctx,
            type_name,
            path,
            mapping=_mapping(request.files.get("mapping")),
            update=request.form.get("existing") == "update",
            alike=_alike(),
            dry_run=dry_run,
            report_path=target,
            name=upload.filename or "",
        )


def _alike() -> Alike:
    choice = request.form.get("alike", "")
    return cast("Alike", choice if choice in {"report", "skip", "update"} else "")


@pages.post("/import/<type_name>/<import_id>/undo")
@page
def undo(ctx: Context, type_name: str, import_id: str) -> ResponseReturnValue:
    """Take back what an import wrote, and say what could not be."""
    record_type = ctx.registry.record_type(type_name)
    access(ctx, type_name).require("import")
    try:
        undone = undo_import(ctx, type_name, import_id)
    except Conflict as error:
        return _render(ctx, record_type, dry_run=True, error=problem_body(error)), error.status
    return _render(ctx, record_type, dry_run=True, undone=_undone(ctx, type_name, undone))


def _undone(ctx: Context, type_name: str, undone: Undone) -> dict[str, Any]:
    shown = undone.kept[:_SHOWN]
    titles = find_titles(ctx, [(type_name, record_id) for record_id, _error in shown])
    return {
        "taken_back": undone.taken_back,
        "kept": len(undone.kept),
        "rows": [
            {
                "url": f"/records/{type_name}/{record_id}",
                "title": titles.get((type_name, record_id), record_id),
                "message": translate(error.text, ctx.locale, **error.params),
            }
            for record_id, error in shown
        ],
    }


def _mapping(upload: FileStorage | None) -> ImportMapping | None:
    if upload is None or not upload.filename:
        return None
    return load_mapping(upload.stream.read(_MAPPING_BYTES + 1), upload.filename[:100])


def _reports() -> Path:
    folder = services().settings.home / "import-reports"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def report_path(ctx: Context, key: str) -> Path:
    """Return where the report of an import of the actor lies that goes by `key`."""
    return _reports() / f"{ctx.actor.id}-{key}.csv"


#: Reports of the last imports that can still be downloaded.
_KEPT = 200


def forget_old_reports() -> None:
    """Delete all reports but those of the last imports."""
    # Names begin with the user and end with a time-ordered id, so the id sorts by age.
    files = sorted(_reports().glob("*.csv"), key=lambda file: file.name.partition("-")[2])
    for file in files[:-_KEPT]:
        file.unlink(missing_ok=True)


@pages.get("/import/<type_name>/report/<key>")
@page
def download_report(ctx: Context, type_name: str, key: str) -> Response:
    """Send the report of one's own import.

    Raises:
        NotFound: there is none under this key, or it is somebody else's.
    """
    path = report_path(ctx, key)
    if not is_id(key) or not path.is_file():
        raise NotFound
    return send_file(
        path, mimetype="text/csv", as_attachment=True, download_name=f"{type_name}-import.csv"
    )


def shown_report(
    ctx: Context, record_type: RecordType, report: Report, key: str
) -> dict[str, Any]:
    """Return what an import did, as its page shows it; `key` is that of the report's file."""

    def text(source: str, **params: Any) -> str:
        return translate(source, ctx.locale, **params)

    created = N_("would be created") if report.dry_run else N_("created")
    figures = [
        (report.rows, text(N_("rows read"))),
        (report.created, text(created)),
        (report.skipped, text(N_("known already, skipped"))),
        (report.refused, text(N_("refused"))),
    ]
    if report.updated or report.unchanged:
        changed = N_("would be changed") if report.dry_run else N_("changed")
        figures.insert(2, (report.updated, text(changed)))
        figures.insert(3, (report.unchanged, text(N_("were like that already"))))
    if report.alike:
        figures.append((report.alike, text(N_("look like others"))))
    if report.left_out:
        figures.append((report.left_out, text(N_("left out by the mapping"))))
    problems = [
        {
            "line": each.line,
            "path": label_of(record_type, each.problem.path.partition(".")[0], ctx.locale),
            "message": text(each.problem.text, **each.problem.params),
        }
        for each in report.problems
    ]
    stopped = report.stopped
    if stopped is not None:
        problems.append({"line": "", "path": "", "message": text(stopped.text, **stopped.params)})
    return {
        "dry_run": report.dry_run,
        "figures": figures,
        "problems": problems,
        "key": key,
        "has_alike": bool(report.alike),
    }


def _render(ctx: Context, record_type: RecordType, **values: Any) -> str:
    columns = [
        {
            "name": field.name,
            "label": field_label(field, ctx.locale),
            "required": field.required and field.default is None and not field.default_expr,
        }
        for field in record_type.fields
        if field.type not in COMPUTED and field.type != "table"
    ]
    return render_template(
        "gx/import.html",
        type=record_type,
        label_plural=type_label(record_type, ctx.locale),
        columns=columns,
        error=values.get("error"),
        report=values.get("report"),
        undone=values.get("undone"),
        dry_run=values["dry_run"],
        imports=list_imports(ctx, record_type.name),
        existing=request.form.get("existing", "skip"),
        alike=request.form.get("alike", ""),
        compares=bool(rules_for(ctx, record_type.name)),
    )
