"""Going back to an earlier version of a record, after looking at what that would change."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import render_template
from flask.typing import ResponseReturnValue

from core.context import Context
from core.i18n import N_, translate
from core.policies.access import access
from core.records.operations import restore_record
from core.records.past import earlier, whole, writable
from core.schema.model import RecordType
from core.web.display import field_label, links_in, value_text
from core.web.page import page, pages
from core.web.reading import Difference, differences, read_titles
from core.web.records import done_to, posted_version
from core.web.recordview import load_page
from core.web.versionprints import seen_then


@dataclass(frozen=True, slots=True)
class VersionView:
    """A version of a record as its page shows it.

    Attributes:
        changes: what going back to it would change.
        lost: (label, text, why) of what would not come back.
        facts: (label, text) of everything it held, in the words of its release.
    """

    changes: list[Difference]
    lost: list[tuple[str, str, str]]
    facts: list[tuple[str, str]]


@pages.get("/records/<type_name>/<record_id>/versions/<int:version>")
@page
def preview_version(
    ctx: Context, type_name: str, record_id: str, version: int
) -> ResponseReturnValue:
    """Show a version as it was, and what going back to it would change."""
    access(ctx, type_name).require("history")
    record_type = ctx.registry.record_type(type_name)
    with ctx.reading():
        shown = load_page(ctx, record_type, record_id)
        view = view_version(ctx, record_type, shown.form_values, version)
    return render_template(
        "gx/version.html", page=shown, type=record_type, version=version, view=view
    )


def view_version(
    ctx: Context, record_type: RecordType, record: Mapping[str, Any], version: int
) -> VersionView:
    """Return what a version held, as far as the actor sees it in every row.

    Raises:
        NotFound: the record never had that version.
    """
    rights = access(ctx, record_type.name).through("history")
    with ctx.reading() as connection:
        found = earlier(connection, ctx.registry, record_type, record, version)
        held = whole(connection, record_type, record, found)
    then = {
        name: value
        for name, value in writable(record_type, found.values).items()
        if name in rights.certain
    }
    pairs = {name: [record.get(name), value] for name, value in then.items()}
    shown = seen_then(rights, record_type, found)
    lost = found.lost if rights.certain >= rights.names else []
    wanted = links_in(record_type.fields, record) | links_in(record_type.fields, then)
    reading = read_titles(ctx, wanted | links_in(shown, held))
    return VersionView(
        differences(record_type, pairs, reading),
        [
            (
                field_label(one.field, ctx.locale),
                value_text(one.field, one.value, reading),
                translate(one.why, ctx.locale),
            )
            for one in lost
        ],
        [
            (field_label(one, ctx.locale), text)
            for one in shown
            if (text := value_text(one, held.get(one.name), reading))
        ],
    )


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
