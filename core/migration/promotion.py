"""Carrying a site's forms to another server: an exported release, sealed against the target.

What is carried is the site's layer. The layers below come with the software, so they
must be the same on both servers; where they are not, the plan names the file. What the
target calls otherwise is found by id and renamed, never archived and made anew.
"""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
import sqlalchemy as sa

from core.errors import Conflict, Malformed, Problem, TooLarge
from core.i18n import N_
from core.migration.proposal import Proposal, Running, propose
from core.migration.sources import SITE, Stored
from core.schema.loader import load_documents
from core.schema.model import Field, RecordType, Release, decode_release
from core.schema.roundtrip import edited_text
from core.tables.releases import chain_head

#: Bytes of an archive, of all its files together, and how many files it has.
MAX_ARCHIVE = 4 * 1024 * 1024
MAX_FILES = 2_000

_UNREADABLE = N_("This is not an exported release.")


class Moved(Conflict):
    """The target is not what it was when the plan was made."""

    code = "schema.moved"
    text = N_("This server is at {now} and the plan was made for {seal}; look at the plan again.")


@dataclass(frozen=True, slots=True)
class Archive:
    """An exported release: its compiled schema and the files it was made of."""

    release: Release
    sources: tuple[Stored, ...]


def seal_of(connection: sa.Connection, number: int) -> str:
    """Return the state of this server's schema: the release's number and its place in history."""
    return f"{number}-{chain_head(connection, number)[:16]}" if number else "0"


def require_seal(connection: sa.Connection, number: int, seal: str) -> None:
    """Raise Moved unless the schema is still what `seal` says; without a seal anything goes."""
    now = seal_of(connection, number)
    if seal and seal != now:
        raise Moved(now=now, seal=seal[:80])


def read_archive(data: bytes) -> Archive:
    """Return what an archive of `guanxi schema export` holds.

    Raises:
        Malformed: it is no such archive.
        TooLarge: it is over `MAX_ARCHIVE` or `MAX_FILES`.
    """
    if len(data) > MAX_ARCHIVE:
        raise TooLarge
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_FILES or sum(one.file_size for one in entries) > MAX_ARCHIVE:
                raise TooLarge
            texts = {one.filename: _read(archive, one) for one in entries if not one.is_dir()}
        release = decode_release(texts.pop("release.json"))
    except (zipfile.BadZipFile, KeyError, ValueError, RuntimeError, OSError, EOFError) as error:
        raise Malformed(_UNREADABLE) from error
    return Archive(release, tuple(_sources(texts)))


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> str:
    """Return an entry's text; never more of it than its size says."""
    with archive.open(entry) as file:
        data = file.read(entry.file_size + 1)
    if len(data) > entry.file_size:
        raise TooLarge
    return data.decode()


def _sources(texts: dict[str, str]) -> Iterator[Stored]:
    for name, text in texts.items():
        layer, slash, path = name.partition("/")
        if not slash or not path:
            raise Malformed(_UNREADABLE)
        yield Stored(layer=layer, path=path, text=text)


def propose_promotion(connection: sa.Connection, archive: Archive, running: Running) -> Proposal:
    """Return what taking in another server's site layer would do here."""
    problems = list(_other_bases(archive, running))
    known = {one.path: one.disk for one in running.sources if one.layer == SITE}
    sources = [one for one in running.sources if one.layer != SITE]
    for one in archive.sources:
        if one.layer == SITE:
            text = one.text
            if not load_documents([one.source()])[1]:  # else the checks tell what is wrong
                text = edited_text(text, partial(_name, archive=archive, running=running.release))
            disk = known.get(one.path, "")
            sources.append(msgspec.structs.replace(one, text=text, disk=disk))
    return propose(connection, sources, running, problems=problems)


def _other_bases(archive: Archive, running: Running) -> Iterator[Problem]:
    """Yield a problem for each file below the site's layer that is another one here."""
    theirs = {one.key: one for one in archive.sources if one.layer != SITE}
    ours = {one.key: one for one in running.sources if one.layer != SITE}
    text = N_("{kind} {name} is not the same on both servers; bring them to one version first.")
    for key in sorted(theirs.keys() | ours.keys()):
        mine, other = ours.get(key), theirs.get(key)
        if mine is None or other is None or mine.text != other.text:
            file = (mine or other or Stored(layer="", path="", text="")).path
            params = {"kind": key[0], "name": key[1]}
            yield Problem(key[1], "schema.other_base", text, params, file=file)


def _name(tree: Any, *, archive: Archive, running: Release) -> None:
    """Say in a file what this server calls otherwise, so that it is renamed."""
    first = next(iter(tree), "")
    made = archive.release.types.get(str(tree.get(first, "")))
    if first not in {"record_type", "customize"} or made is None:
        return
    here = next((one for one in running.types.values() if one.id == made.id), None)
    if here is None:
        return
    if first == "record_type" and here.name != made.name:
        tree["was"] = here.name
    _name_fields(tree, made, here)


def _name_fields(tree: Any, made: RecordType | Field, here: RecordType | Field) -> None:
    ids = {one.name: one for one in made.fields}
    names = {one.id: one for one in here.fields}
    for entry in tree.get("fields") or ():
        field = ids.get(str(entry.get("name", "")))
        before = names.get(field.id) if field else None
        if field is None or before is None:
            continue
        if entry.get("type") and not entry.get("id") and before.name != field.name:
            entry["was"] = before.name
        _name_fields(entry, field, before)
