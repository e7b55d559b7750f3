"""Makes the file that a plugin offers of a record, and writes down who took it."""

import csv
import io
from typing import Literal, cast

from core import audit
from core.context import Context
from core.errors import Forbidden, NotFound
from core.policies.access import access
from core.records.events import history_event
from core.records.exporting import BYTE_ORDER_MARK, escaped
from core.records.stored import lock_record
from core.schema.recordfiles import FileCall, RecordFile, Sheet, files_of

Form = Literal["csv", "xlsx"]

MEDIA_TYPES: dict[str, str] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def files_for(ctx: Context, type_name: str) -> list[RecordFile]:
    """Return the files that the actor may make of a type's records."""
    rights = access(ctx, type_name)
    return [
        one
        for one in files_of(type_name)
        if rights.may(one.action) and ctx.hooks.is_running(ctx, one.plugin)
    ]


def hand_out(
    ctx: Context, type_name: str, record_id: str, name: str, *, form: Form, again: bool
) -> bytes:
    """Return the bytes of a file made now; that it was taken stands in the record's history.

    Raises:
        NotFound: there is no such file, or the record is not there for this actor.
        Forbidden: the actor lacks the file's right.
        UserError: the plugin refuses, such as a second time.
    """
    found = next((one for one in files_of(type_name) if one.full_name == name), None)
    if found is None:
        raise NotFound
    rights = access(ctx, type_name)
    if not rights.may(found.action):
        raise Forbidden
    with ctx.writing(durable=True) as connection:
        record = lock_record(ctx, connection, rights, record_id, action=found.action).values
        call = FileCall(type_name, record_id, again)
        sheet = cast("Sheet", ctx.hooks.run_action(ctx, found, call))
        event = history_event(
            ctx, rights.record_type, record, action=found.action, changes={}, reason=name
        )
        audit.append(connection, [event])
        table = ctx.registry.tables[type_name].main
        connection.execute(
            table.update()
            .where(table.c.id == record_id)
            .values(chain=event["hash"], events=event["seq"])
        )
        return _csv(sheet) if form == "csv" else _xlsx(sheet)


def _csv(sheet: Sheet) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(sheet.columns)
    writer.writerows([escaped(cell) for cell in row] for row in sheet.rows)
    return (BYTE_ORDER_MARK + text.getvalue()).encode()


def _xlsx(sheet: Sheet) -> bytes:
    import xlsxwriter  # noqa: PLC0415  slow, seldom needed

    content = io.BytesIO()
    with xlsxwriter.Workbook(content, {"in_memory": True, "strings_to_formulas": False}) as book:
        page = book.add_worksheet()
        for at, row in enumerate((sheet.columns, *sheet.rows)):
            for column, cell in enumerate(row):
                page.write_string(at, column, cell)
    return content.getvalue()
