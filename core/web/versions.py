"""Going back to an earlier version of a record, after looking at what that would change."""

from flask import render_template
from flask.typing import ResponseReturnValue

from core.context import Context
from core.i18n import N_
from core.policies.access import access
from core.records.operations import restore_record
from core.records.past import values_at
from core.schema.model import RecordType
from core.web.page import page, pages
from core.web.reading import Difference, differences, make_reading
from core.web.records import done_to, posted_version
from core.web.recordview import load_page


@pages.get("/records/<type_name>/<record_id>/versions/<int:version>")
@page
def preview_version(
    ctx: Context, type_name: str, record_id: str, version: int
) -> ResponseReturnValue:
    """Show what going back to a version would change."""
    access(ctx, type_name).require("history")
    record_type = ctx.registry.record_type(type_name)
    with ctx.reading():
        shown = load_page(ctx, record_type, record_id)
        changes = _changes(ctx, record_type, shown.form_values, version)
    return render_template(
        "gx/version.html", page=shown, type=record_type, version=version, changes=changes
    )


def _changes(
    ctx: Context, record_type: RecordType, record: dict[str, object], version: int
) -> list[Difference]:
    certain = access(ctx, record_type.name).certain
    with ctx.reading() as connection:
        earlier = values_at(connection, record_type, record, version)
    then = {name: value for name, value in earlier.items() if name in certain}
    pairs = {name: [record.get(name), value] for name, value in then.items()}
    return differences(record_type, pairs, make_reading(ctx, record_type.fields, [record, then]))


@pages.post("/records/<type_name>/<record_id>/versions/<int:version>")
@page
def restore_version(
    ctx: Context, type_name: str, record_id: str, version: int
) -> ResponseReturnValue:
    """Take the record back to a version; that is a change like any other."""
    record = ctx, type_name, record_id
    return done_to(
        record,
        lambda: restore_record(*record, to_version=version, version=posted_version()),
        N_("Version {version} is back."),
        version=version,
    )
