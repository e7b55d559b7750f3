"""Drafts and releases, as the designer, the REST API and the command line use them.

A draft keeps what was asked for, not what it would give: it is worked out against
the release in force each time it is looked at, so a draft never goes stale because
somebody else published first.
"""

import base64
import io
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from core.clock import to_wire
from core.db import metadata
from core.errors import Conflict, Malformed, NotFound, Problem, SchemaError, TooLarge
from core.i18n import N_
from core.ids import new_id
from core.migration.conversion import count_quarantined, quarantined
from core.migration.impact import list_uses
from core.migration.promotion import propose_promotion, read_archive, require_seal, seal_of
from core.migration.proposal import (
    Author,
    Proposal,
    Running,
    propose,
    publish_proposal,
    read_running,
)
from core.migration.run import Overtaken
from core.migration.sources import Stored, put_sources, read_stored, split_documents
from core.schema.conversions import undone_type
from core.schema.drafts import apply_changes
from core.schema.model import Field, RecordType, Release, encode
from core.tables.columns import ID, JSON, TEXT, Instant
from core.tables.releases import list_release_rows, load_release, load_sources

__all__ = [
    "count_quarantined", "create_draft", "draft_release", "export_release", "get_draft",
    "list_quarantined", "list_releases", "list_uses", "packed", "propose_draft",
    "propose_rollback", "publish_draft", "restored", "rollback", "rollback_json",
]  # fmt: skip

#: What else is told of a draft, given the release in force and the one it would give.
Told = Callable[[Release, Release], dict[str, Any]]
#: Longest YAML of one draft: eight files of the largest size.
MAX_YAML = 8 * 64 * 1024
#: How often a publish is worked out anew when others publish at the same time.
_TRIES = 3

draft_table = sa.Table(
    "gx_draft",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("content", JSON, nullable=False, doc='{"yaml": text} or {"changes": [...]}'),
    sa.Column("state", sa.String(10), nullable=False, doc="open or published"),
    sa.Column("release", sa.Integer, doc="the release it became"),
    sa.Column("created_at", Instant(), nullable=False),
    sa.Column("created_by", ID, nullable=False),
    sa.Column("created_by_name", TEXT, nullable=False),
)


def create_draft(
    author: Author,
    *,
    yaml: str | None = None,
    changes: Sequence[Mapping[str, Any]] | None = None,
    archive: str | None = None,
    layer: str = "",
) -> str:
    """Keep a wish for another schema and return its id; nothing is checked but its shape.

    Args:
        author: who wishes it.
        yaml: documents of the schema language.
        changes: small changes, as the designer sends them.
        archive: an exported release of another server, in base64.
        layer: `site` puts `yaml` into the site's layer whatever it is about; without it a
            document takes the place of the one of the same name, in its layer.

    Raises:
        Malformed: it is not exactly one of the three, or not readable as that.
        TooLarge: it is over `MAX_YAML`, or over what an archive may be.
    """
    if sum(one is not None for one in (yaml, changes, archive)) != 1:
        raise Malformed(N_("Send one of “yaml”, “changes” and “archive”."))
    content: dict[str, Any]
    if archive is not None:
        read_archive(_decoded(archive))
        content = {"archive": archive}
    elif yaml is not None:
        if not isinstance(yaml, str) or "\0" in yaml or not _is_unicode(yaml):
            raise Malformed(N_("“yaml” must be text."))
        if len(yaml.encode()) > MAX_YAML:
            raise TooLarge
        content = {"yaml": yaml} | ({"layer": layer} if layer else {})
    else:
        if not isinstance(changes, list | tuple) or not changes:
            raise Malformed(N_("“changes” must be a list of changes."))
        content = {"changes": list(changes)}
    row = {
        "id": new_id(),
        "content": content,
        "state": "open",
        "created_at": author.clock.now(),
        "created_by": author.actor.id,
        "created_by_name": author.actor.name,
    }
    with author.db.write() as connection:
        connection.execute(draft_table.insert().values(row))
    return str(row["id"])


def packed(data: bytes) -> str:
    """Return an archive's bytes as a draft keeps them."""
    return base64.b64encode(data).decode()


def _decoded(archive: Any) -> bytes:
    try:
        return base64.b64decode(archive, validate=True)
    except (TypeError, ValueError) as error:
        raise Malformed(N_("“archive” must be base64.")) from error


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def get_draft(
    author: Author, draft_id: str, *, locale: str = "en", also: Told | None = None
) -> dict[str, Any]:
    """Return a draft with its problems, differences, impact and plan.

    Args:
        author: whose database it is.
        draft_id: which one.
        locale: of the texts.
        also: what parts above tell of the release that it would give.
    """
    with author.db.read() as connection:
        row = _row(connection, draft_id)
        head = {
            "id": row["id"],
            "state": row["state"],
            "release": row["release"],
            "created_at": to_wire(row["created_at"]),
            "created_by": row["created_by_name"],
            **{key: value for key, value in row["content"].items() if key != "archive"},
        }
        if row["state"] != "open":
            return head
        proposal = propose_draft(connection, row["content"])
        seal = seal_of(connection, proposal.running.release.number)
        told = proposal.to_json(locale)
    if also is not None and proposal.release is not None:
        told |= also(proposal.running.release, proposal.release)
    return head | {"seal": seal} | told


def draft_release(author: Author, draft_id: str) -> Release:
    """Return the release that a draft would give.

    Raises:
        NotFound: there is no such draft.
        SchemaError: its problems prevent one.
        Conflict: it has been published.
    """
    with author.db.read() as connection:
        row = _row(connection, draft_id)
        if row["state"] != "open":
            raise Conflict(_PUBLISHED)
        proposal = propose_draft(connection, row["content"])
    if proposal.release is None:
        raise SchemaError(problems=proposal.problems)
    return proposal.release


def _row(connection: sa.Connection, draft_id: str) -> Mapping[str, Any]:
    query = sa.select(draft_table).where(draft_table.c.id == draft_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound
    return dict(row)


def propose_draft(connection: sa.Connection, content: Mapping[str, Any]) -> Proposal:
    """Return what a draft's content would do to the release in force."""
    running = read_running(connection)
    if "archive" in content:
        return propose_promotion(connection, read_archive(_decoded(content["archive"])), running)
    if "yaml" in content:
        given = split_documents(content["yaml"], content.get("layer", ""))
        twice = _defined_twice(given)
        if twice:
            return Proposal(running, running.sources, problems=twice)
        sources = put_sources(running.sources, given)
        return propose(connection, sources, running)
    try:
        sources = _changed(running, content["changes"])
    except SchemaError as error:
        return Proposal(running, running.sources, problems=error.problems)
    return propose(connection, sources, running)


def _defined_twice(given: Sequence[Stored]) -> tuple[Problem, ...]:
    """Return a problem for each thing that one text defines more than once."""
    counted = Counter(one.key for one in given if one.key[1])
    text = N_("{kind} {name} is defined {count} times in this text.")
    return tuple(
        Problem("yaml", "schema.duplicate", text, {"kind": kind, "name": name, "count": count})
        for (kind, name), count in counted.items()
        if count > 1
    )


def _changed(running: Running, changes: Sequence[Mapping[str, Any]]) -> list[Stored]:
    release = running.release if running.release.number else None
    disk = {(one.layer, one.path): one.disk for one in running.sources}
    return [
        Stored(
            layer=one.layer,
            path=one.path,
            text=one.text if isinstance(one.text, str) else one.text.decode(),
            disk=disk.get((one.layer, one.path), ""),
        )
        for one in apply_changes([it.source() for it in running.sources], changes, release)
    ]


def publish_draft(author: Author, draft_id: str, note: str = "", *, seal: str = "") -> int:
    """Put a draft in force and return the release's number.

    Raises:
        Moved: the schema is not any more what `seal`, told with the draft, says.
    """
    overtaken = Overtaken(release=0)
    for _ in range(_TRIES):
        try:
            return _publish_once(author, draft_id, note, seal)
        except Overtaken as error:
            # Work it out again on top of what the other published.
            overtaken = error
    raise overtaken


def _publish_once(author: Author, draft_id: str, note: str, seal: str) -> int:
    with author.db.read() as connection:
        row = _row(connection, draft_id)
        proposal = propose_draft(connection, row["content"])
        require_seal(connection, proposal.running.release.number, seal)
    if row["state"] != "open":
        raise Conflict(_PUBLISHED)
    if proposal.is_empty:
        raise Conflict(N_("This draft changes nothing."))

    def close(connection: sa.Connection, number: int) -> None:
        mine = (draft_table.c.id == draft_id) & (draft_table.c.state == "open")
        closed = draft_table.update().where(mine).values(state="published", release=number)
        if connection.execute(closed).rowcount != 1:
            raise Conflict(_PUBLISHED)

    return publish_proposal(author, proposal, note, also=close)


_PUBLISHED = N_("This draft was already published.")


def list_releases(author: Author) -> list[dict[str, Any]]:
    """Return all releases, newest first."""
    with author.db.read() as connection:
        rows = list_release_rows(connection)
    return [
        {
            "number": row.number,
            "note": row.note,
            "published_at": to_wire(row.published_at),
            "published_by": row.published_by_name,
            "steps": len(row.plan.get("steps", ())),
        }
        for row in rows
    ]


def rollback(author: Author, number: int, note: str = "", *, seal: str = "") -> int:
    """Publish the schema of release `number` again as a new release; all values are kept.

    Raises:
        Conflict: that release is in force already.
        Moved: the schema is not any more what `seal` says.
    """
    with author.db.read() as connection:
        proposal = propose_rollback(connection, number)
        require_seal(connection, proposal.running.release.number, seal)
    if proposal.is_empty:
        raise Conflict(N_("This release is in force already."))
    return publish_proposal(author, proposal, note or f"rollback to {number}")


def rollback_json(author: Author, number: int, *, locale: str = "en") -> dict[str, Any]:
    """Return what going back to a release would do, as `get_draft` says it of a draft."""
    with author.db.read() as connection:
        proposal = propose_rollback(connection, number)
        seal = seal_of(connection, proposal.running.release.number)
    return {"seal": seal} | proposal.to_json(locale)


def list_quarantined(author: Author, number: int) -> list[dict[str, Any]]:
    """Return the values that release `number` could not convert, by record."""
    with author.db.read() as connection:
        load_release(connection, number)
        return quarantined(connection, number)


def propose_rollback(connection: sa.Connection, number: int) -> Proposal:
    """Return what going back to release `number` would do."""
    running = read_running(connection)
    old = load_release(connection, number)
    # The files on disk were seen at their newest: coming back must not look like an upgrade.
    seen = {(one.layer, one.path): one.disk for one in running.sources}
    sources = [
        msgspec.structs.replace(one, disk=seen.get((one.layer, one.path), one.disk))
        for one in read_stored(load_sources(connection, number))
    ]
    return propose(connection, sources, running, make=lambda: restored(old, running.release))


def restored(old: Release, running: Release) -> Release:
    """Return `old` as the release after `running`, with everything that came since put away."""
    number = running.number + 1
    now = {one.id or one.name: one for one in running.types.values()}
    types = {
        name: _restored_type(one, now.get(one.id or name), number)
        for name, one in old.types.items()
    }
    restored_ids = {one.id or one.name for one in types.values()}
    for name, one in running.types.items():
        if name not in types and (one.id or name) not in restored_ids:
            types[name] = msgspec.structs.replace(one, archived=True, policies=())
    return msgspec.structs.replace(old, number=number, types=dict(sorted(types.items())))


def _restored_type(old: RecordType, now: RecordType | None, number: int) -> RecordType:
    if now is None:
        return old
    names = dict.fromkeys((*now.former, now.name))
    made = msgspec.structs.replace(
        old,
        fields=_restored_rows(old, now),
        archived_fields=_with_later(old, now),
        former=tuple(one for one in names if one != old.name),
    )
    return undone_type(made, now, number)


def _restored_rows(old: RecordType | Field, now: RecordType | Field) -> tuple[Field, ...]:
    """Return the fields of `old`, table fields with the columns that came since put away."""
    inner = {one.id: one for one in (*now.fields, *now.archived_fields)}
    fields = []
    for one in old.fields:
        since = inner.get(one.id)
        made = one
        if one.type == "table" and since is not None:
            columns, archived = _restored_rows(one, since), _with_later(one, since)
            made = msgspec.structs.replace(one, fields=columns, archived_fields=archived)
        fields.append(made)
    return tuple(fields)


def _with_later(old: RecordType | Field, now: RecordType | Field) -> tuple[Field, ...]:
    """Return the archived fields of `old` and every field that came since."""
    kept = {one.id for one in (*old.fields, *old.archived_fields)}
    came = [one for one in (*now.archived_fields, *now.fields) if one.id not in kept]
    return (*old.archived_fields, *came)


def export_release(author: Author, number: int) -> bytes:
    """Return a release as a ZIP archive: every layer's YAML, and the compiled schema as JSON."""
    with author.db.read() as connection:
        release = load_release(connection, number)
        sources = read_stored(load_sources(connection, number))
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for one in sources:
            name = one.path.replace("\\", "/").lstrip("/").replace("..", "")
            archive.writestr(_entry(f"{one.layer}/{name}"), one.text)
        archive.writestr(_entry("release.json"), encode(release))
    return target.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    """Return an archive entry with a fixed date, so that equal releases give equal archives."""
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry
