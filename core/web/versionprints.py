"""The print of an earlier version: what it held, in the words of the release of then."""

from collections.abc import Mapping
from typing import Any

from core.context import Context
from core.policies.access import Access, access
from core.records.past import Earlier, earlier, whole
from core.records.pastschema import names_today
from core.records.queries import get_record
from core.records.wire import to_wire
from core.schema.model import Field, RecordType
from core.schema.printchecks import DEFAULT_PRINT
from core.schema.prints import PrintPage
from core.web.display import NUMBERS, Reading, field_label, links_in, value_text
from core.web.navigation import type_label
from core.web.printing import Part, Printed, Shown, prints_of
from core.web.reading import read_titles
from core.web.titles import title_name


def seen_then(rights: Access, record_type: RecordType, found: Earlier) -> list[Field]:
    """Return the fields of an earlier version that the actor sees in every row.

    Who may see everything sees what is gone by now too; rights on that are nobody else's.
    """
    today = names_today(found.then, record_type)
    sees_all = rights.certain >= rights.names
    return [
        one
        for one in found.then.fields
        if (today[one.name] in rights.certain if one.name in today else sees_all)
        and one.sensitive != "secret"
        and one.type not in {"secret", "backlink"}
    ]


def print_version(ctx: Context, type_name: str, record_id: str, version: int) -> Printed:
    """Return the default print of a record as it was at `version`.

    Raises:
        NotFound: no such record for the actor, or it never had that version.
        Forbidden: the actor may not print records of the type, or not read their history.
    """
    record_type = ctx.registry.record_type(type_name)
    rights = access(ctx, type_name).through("history").through("print")
    with ctx.reading() as connection:
        current = to_wire(
            ctx.registry, type_name, get_record(ctx, type_name, record_id, via="print")
        )
        found = earlier(connection, ctx.registry, record_type, current, version)
        held = whole(connection, record_type, current, found)
    fields = seen_then(rights, record_type, found)
    reading = read_titles(ctx, links_in(fields, held))
    plain = [one for one in fields if one.type != "table"]
    facts = tuple(
        (field_label(one, ctx.locale), Shown(value_text(one, held.get(one.name), reading)))
        for one in plain
    )
    label = type_label(found.then, ctx.locale, plural=False)
    title = str(held.get(title_name(found.then)) or "")
    return Printed(
        name=DEFAULT_PRINT,
        label=label,
        title=title or label,
        type_label=label,
        page=PrintPage(),
        parts=(
            Part("heading", pieces=(Shown(f"{label} {title}".strip()),)),
            Part("fields", facts=facts),
            *(_table(one, held, reading) for one in fields if one.type == "table"),
        ),
        version=version,
        others=tuple(each for each in prints_of(ctx, type_name) if each[0] != DEFAULT_PRINT),
    )


def _table(table: Field, held: Mapping[str, Any], reading: Reading) -> Part:
    columns = [one for one in table.fields if not one.deprecated]
    return Part(
        "table",
        title=field_label(table, reading.locale),
        heads=tuple(
            (field_label(one, reading.locale), (one.result or one.type) in NUMBERS)
            for one in columns
        ),
        rows=tuple(
            tuple(Shown(value_text(one, row.get(one.name), reading)) for one in columns)
            for row in held.get(table.name) or ()
        ),
    )
