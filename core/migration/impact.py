"""Everything that uses a record type, a field or an option, and how much a change touches."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.db import metadata
from core.errors import NotFound
from core.expression import Scope
from core.migration.facts import count_open_instances
from core.schema.automationtexts import expressions_of, names_field
from core.schema.dashboards import Card, Dashboard
from core.schema.dashboardtexts import named_fields
from core.schema.diff import Change
from core.schema.flows import Flow
from core.schema.flowtexts import words_of
from core.schema.following import WRITTEN, text_names
from core.schema.model import Field, RecordType, Release, View
from core.schema.rights import Policy
from core.schema.scopes import named_scope, table_at, tables_of
from core.tables.build import build_tables

#: Kinds of users of a field, as answers name them.
KINDS = (
    "views", "saved_views", "rules", "checks", "expressions", "written", "flows", "automations",
    "dashboards", "policies", "links",
)  # fmt: skip

#: Records that are named for the conditions in them.
_MOST_WRITTEN = 200

_TOUCHING = frozenset(
    {"archive_field", "rename_field", "retype_field", "change_field", "archive_type"}
    | {"rename_type"}
)
_COSMETIC = frozenset({"label", "help", "placeholder", "unit"})
#: Changes after which programs that use the REST API see another shape.
_SEEN_OUTSIDE = frozenset(
    {"archive_field", "rename_field", "retype_field", "archive_type", "rename_type"}
)
#: (kind, place)
Use = tuple[str, str]


def impact(
    connection: Connection, running: Release, changes: Iterable[Change], rows: Mapping[str, int]
) -> dict[str, Any]:
    """Return how much a change touches.

    `rows` and `instances` count records and approvals under way per record type; the
    others list what uses the fields and types that change, `written` the records with
    conditions over them, `api_fields` what programs see otherwise.
    """
    used: dict[str, set[str]] = {kind: set() for kind in (*KINDS, "api_fields")}
    touched = set()
    saved = _saved_uses(connection, running)
    for change in changes:
        touched.add(str(change.old) if change.kind == "rename_type" else change.type)
        if change.kind not in _TOUCHING or not set(change.properties or "x") - _COSMETIC:
            continue
        type_name = str(change.old) if change.kind == "rename_type" else change.type
        record_type = running.types.get(type_name)
        if record_type is None:
            continue
        name = _former_name(record_type, change)
        for kind, place in (*uses(running, record_type, name), *saved(type_name, name)):
            used[kind].add(place)
        if change.kind in _SEEN_OUTSIDE:
            used["api_fields"].add(f"{type_name}.{name}" if name else type_name)
    return {
        "rows": dict(sorted(rows.items())),
        "instances": count_open_instances(connection, touched),
        **{kind: sorted(places) for kind, places in used.items()},
    }


def list_uses(
    connection: Connection, release: Release, type_name: str, *, field: str = "", option: str = ""
) -> dict[str, list[str]]:
    """Return everything that uses a type, a field (`lines.rate` is a row's) or an option.

    Raises:
        NotFound: there is no such type, field or option.
    """
    record_type = release.type(type_name)
    if record_type is None:
        raise NotFound
    if field:
        _require(record_type, field, option)
    found: dict[str, set[str]] = {kind: set() for kind in KINDS}
    word = option or field
    for kind, place in (
        *uses(release, record_type, word),
        *_saved_uses(connection, release)(type_name, word),
    ):
        found[kind].add(place)
    return {kind: sorted(places) for kind, places in found.items()}


def _require(record_type: RecordType, field: str, option: str) -> None:
    path, _, name = field.rpartition(".")
    holder = table_at(record_type, path) if path else record_type
    fields = holder.fields if holder else ()
    found = next((one for one in fields if one.name == name), None)
    if found is None or (option and all(one.value != option for one in found.options)):
        raise NotFound


def _former_name(record_type: RecordType, change: Change) -> str:
    """Return what the field that changes is called now; empty where the type does."""
    if change.kind in {"archive_type", "rename_type"}:
        return ""
    before = next((one for one in record_type.fields if one.id == change.id), None)
    return before.name if before else str(change.field)


def uses(release: Release, record_type: RecordType, name: str) -> Iterator[Use]:
    """Yield everything in a release that names a field, or with `""` the type itself."""
    if not name:
        yield from _type_uses(release, record_type.name)
        return
    word = name.rpartition(".")[2]
    yield from _own_uses(release, record_type, word)
    for other in release.types.values():
        if not other.archived:
            yield from _mentioned(other, record_type, word)
            yield from _links_to(other, record_type, word)


def _own_uses(release: Release, record_type: RecordType, word: str) -> Iterator[Use]:
    """Yield the views, policies and flows of a type that use a field."""
    for view in record_type.views:
        if _view_uses(view, word):
            yield "views", f"{record_type.name}.{view.name}"
    for policy in (*record_type.policies, *release.policies):
        applies = not policy.types or {"*", record_type.name} & set(policy.types)
        if applies and _policy_uses(policy, word):
            yield "policies", policy.name
    for flow in release.flows.values():
        if flow.document == record_type.name and _flow_uses(flow, word):
            yield "flows", flow.flow
    yield from _automations(release, record_type.name, word)
    for dashboard in release.dashboards.values():
        if any(_card_uses(card, record_type.name, word) for card in dashboard.cards):
            yield "dashboards", dashboard.dashboard


def _automations(release: Release, type_name: str, name: str) -> Iterator[Use]:
    for one in release.automations.values():
        texts = (text for _, text in expressions_of(one))
        if names_field(one, type_name, name) or _mentions(name, *texts):
            yield "automations", one.automation


def _mentioned(other: RecordType, record_type: RecordType, word: str) -> Iterator[Use]:
    """Yield the expressions and rules of a type that name a field, of their own or linked."""
    wanted = word if other.name == record_type.name else f".{word}"
    for kind, place, text in (*_field_texts(other), *_rule_texts(other)):
        if wanted in text and _mentions(word, text):
            yield kind, f"{other.name}.{place}"


def _type_uses(release: Release, name: str) -> Iterator[Use]:
    for other in release.types.values():
        for one in _every_field(other) if not other.archived else ():
            if name in (one.target, one.of.partition(".")[0], one.scope.partition(".")[0]) or any(
                it.type == name for it in one.options_from
            ):
                yield "links", f"{other.name}.{one.name}"
    yield from (("flows", one.flow) for one in release.flows.values() if one.document == name)
    for automation in release.automations.values():
        if name in {automation.type, *(action.type for action in automation.actions)}:
            yield "automations", automation.automation
    for dashboard in release.dashboards.values():
        if any(card.type == name for card in dashboard.cards):
            yield "dashboards", dashboard.dashboard
    yield from (("policies", one.name) for one in release.policies if name in one.types)


def _every_field(record_type: RecordType) -> Iterator[Field]:
    yield from record_type.fields
    for _, table in tables_of(record_type):
        yield from table.fields


def _mentions(name: str, *texts: str) -> bool:
    pattern = rf"(?<!\w){re.escape(name)}(?!\w)"
    return any(re.search(pattern, text) for text in texts if text)


def _view_uses(view: View, name: str) -> bool:
    named = {*view.columns, *(one.removeprefix("-") for one in view.sort), *view.totals}
    named |= {view.group_by.partition(".")[0], view.date_field}
    colors = (rule.when for rule in view.color_when)
    return name in named or _mentions(name, view.filter, *colors)


def _card_uses(card: Card, type_name: str, name: str) -> bool:
    if card.type != type_name:
        return _mentions(name, card.filter) if f".{name}" in card.filter else False
    return _mentions(name, card.filter, *named_fields(card))


def _policy_uses(policy: Policy, name: str) -> bool:
    fields = policy.fields
    named = (*fields.view, *fields.edit, *fields.mask, *fields.clear, policy.at)
    return name in named or _mentions(name, policy.rows)


def _flow_uses(flow: Flow, name: str) -> bool:
    return _mentions(name, *words_of(flow))


def _field_texts(record_type: RecordType) -> Iterator[tuple[str, str, str]]:
    """Yield (kind, place, text) of the expressions of a type's fields."""
    for one in _every_field(record_type):
        for key in _EXPRESSION_KEYS:
            if getattr(one, key):
                yield "expressions", f"{one.name}.{key}", getattr(one, key)
        for option, text in one.options_when.items():
            yield "expressions", f"{one.name}.options_when.{option}", text


def _rule_texts(record_type: RecordType) -> Iterator[tuple[str, str, str]]:
    """Yield (kind, place, text) of what a type says of its records as a whole."""
    for number, check in enumerate(record_type.checks):
        yield "checks", f"checks.{number}", " ".join((check.check, *check.fields))
    for number, together in enumerate(record_type.unique_together):
        yield "checks", f"unique_together.{number}", " ".join(together.fields)
    for number, alike in enumerate(record_type.duplicates):
        yield "checks", f"duplicates.{number}", " ".join(alike.fields)
    for part in ("rules", "stages"):
        for number, rule in enumerate(getattr(record_type, part)):
            plain = msgspec.json.encode(rule).decode()
            yield "rules", f"{part}.{getattr(rule, 'name', number)}", plain
    if record_type.delete:
        yield "expressions", "delete", record_type.delete.allow_when


_EXPRESSION_KEYS = (
    "formula", "take", "fetch_from", "default_expr", "filter", "visible_when", "required_when",
    "read_only_when",
)  # fmt: skip


def _links_to(other: RecordType, record_type: RecordType, name: str) -> Iterator[Use]:
    """Yield backlinks, rollups and options that are taken from a field."""
    own = {one.name: one.target for one in _every_field(other) if one.target}
    for one in _every_field(other):
        of = f"{record_type.name}.{name}"
        taken = any(it.type == record_type.name and it.value == name for it in one.options_from)
        reads = one.through in own and one.field == name and own[one.through] == record_type.name
        reads = reads or (other.name == record_type.name and one.through == name)
        offered = one.offers == name and one.of.partition(".")[0] == record_type.name
        reads = reads or offered
        if one.of == of or taken or reads or (other.name == record_type.name and one.of == name):
            yield "links", f"{other.name}.{one.name}"


def _saved_uses(connection: Connection, release: Release) -> Callable[[str, str], Iterator[Use]]:
    """Return what tells which of the things that people saved use a type, or a field of it."""
    views, dashboards = _saved_views(connection), _saved_dashboards(connection)
    written = _written(connection, release)

    def found(type_name: str, name: str) -> Iterator[Use]:
        yield from _saved(views, type_name, name)
        for label, cards in dashboards:
            if any(
                _card_uses(card, type_name, name) if name else card.type == type_name
                for card in cards
            ):
                yield "dashboards", label
        path, _, word = name.rpartition(".")
        owner = f"{type_name}.{path}" if path else type_name
        naming = (
            ("written", place)
            for place, scope, text in written
            if word and text_names(text, scope, owner, word)
        )
        yield from islice(naming, _MOST_WRITTEN)

    return found


def _written(connection: Connection, release: Release) -> list[tuple[str, Scope, str]]:
    """Return (record, scope, text) of every condition that stands in a living record."""
    found = []
    for record_type in release.types.values():
        tables = None if record_type.archived else build_tables(record_type)
        holders = [("", record_type.fields), *((p, t.fields) for p, t in tables_of(record_type))]
        for path, fields in holders if tables is not None else ():
            for one in fields:
                scope = named_scope(release.types, one.scope) if one.type in WRITTEN else None
                if scope is None or tables is None:
                    continue
                main = tables.main
                rows = tables.rows_of(path) if path else main
                title = main.c.get(record_type.title_field, main.c.id)
                query = sa.select(title, main.c.id, rows.c[one.name]).where(
                    rows.c[one.name].is_not(None), main.c.deleted_at.is_(None)
                )
                if path:
                    query = query.join_from(main, rows, rows.c.record_id == main.c.id)
                found += [
                    (f"{record_type.name}: {row[0] or row[1]}", scope, row[2])
                    for row in connection.execute(query)
                ]
    return found


def _saved_dashboards(connection: Connection) -> list[tuple[str, tuple[Card, ...]]]:
    table = metadata.tables.get("gx_dashboard")
    if table is None or not sa.inspect(connection).has_table(table.name):
        return []
    rows = connection.execute(sa.select(table.c.label, table.c.content))
    return [(label, msgspec.convert(content, Dashboard).cards) for label, content in rows]


def _saved_views(connection: Connection) -> list[tuple[str, str, Any]]:
    """Return (record type, label, content) of the views that people saved."""
    table = metadata.tables.get("gx_view")
    if table is None or not sa.inspect(connection).has_table(table.name):
        return []
    query = sa.select(table.c.record_type, table.c.label, table.c.content)
    return [(row[0], row[1], row[2]) for row in connection.execute(query)]


def _saved(views: Iterable[tuple[str, str, Any]], type_name: str, name: str) -> Iterator[Use]:
    for of, label, content in views:
        if of == type_name and (
            not name or _mentions(name, msgspec.json.encode(content).decode())
        ):
            yield "saved_views", f"{of}: {label}"
