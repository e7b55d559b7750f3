"""The YAML that releases are made of: what the database keeps and what lies on disk.

Each stored source remembers in `disk` the hash of the file it was last compared
with. That tells the three cases apart that an upgrade meets: only the file changed
(take it), only the stored text changed (keep it), both changed (a person settles).
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from core.errors import Problem
from core.extension.discovery import Plugin
from core.i18n import N_
from core.schema.model import Model
from core.schema.yamlnodes import Source

#: The layer of what people at this site change.
SITE = "site"
#: The layer of the shipped base schema.
CORE = "core"

_FIRST_KEY = re.compile(r"^([a-z_]+)[ \t]*:[ \t]*[\"']?([^\"'#\s]*)", re.MULTILINE)
_SEPARATOR = re.compile(r"^---[ \t]*$", re.MULTILINE)


class Stored(Model, frozen=True, kw_only=True):
    """One source as a release keeps it; `disk` is `""` where no file on disk stands behind it."""

    layer: str
    path: str
    text: str
    disk: str = ""

    def source(self) -> Source:
        """Return it as the loader takes it."""
        return Source(self.layer, self.path, self.text)

    @property
    def key(self) -> tuple[str, str]:
        """Return what the file defines, as (first key, name)."""
        found = _FIRST_KEY.search(self.text)
        return (found[1], found[2]) if found else ("", self.path)


def read_stored(values: Iterable[dict[str, Any]]) -> list[Stored]:
    """Return the sources that a release's row holds."""
    return [msgspec.convert(value, Stored) for value in values]


def text_hash(text: str) -> str:
    """Return the hash by which a text is compared."""
    return hashlib.sha256(text.encode()).hexdigest()


def on_disk(source: Source) -> Stored:
    """Return a file's source; undecodable bytes stay visible to the loader as U+FFFD."""
    text = source.text
    plain = text.decode(errors="replace") if isinstance(text, bytes) else text
    return Stored(layer=source.layer, path=source.path, text=plain, disk=text_hash(plain))


def folder_sources(folder: Path, layer: str, shown_as: str) -> list[Stored]:
    """Return the YAML files of a folder, by name; none when there is no folder."""
    return [
        on_disk(Source(layer, f"{shown_as}/{path.name}", path.read_bytes()))
        for path in sorted(folder.glob("*.yaml"))
    ]


def disk_sources(schemas: Path, plugins: Sequence[Plugin], site: Path) -> list[Stored]:
    """Return every file of the base, of the plugins given and of the site."""
    return [
        *folder_sources(schemas, CORE, "schemas"),
        *(on_disk(source) for plugin in plugins for source in plugin.sources()),
        *folder_sources(site, SITE, "instance/schemas"),
    ]


def merge_disk(
    stored: Sequence[Stored], disk: Sequence[Stored], *, keep: Collection[str] = ()
) -> tuple[list[Stored], list[Problem]]:
    """Return the sources in force once files on disk are taken in, and what collides.

    Where file and stored text both changed since they last agreed, the stored one stays.
    Layers to `keep` stay as they are stored: their plugins are there but do not run.
    """
    before = {(one.layer, one.path): one for one in stored}
    merged: list[Stored] = []
    problems: list[Problem] = []
    for file in disk:
        kept = before.pop((file.layer, file.path), None)
        if kept is None or kept.text == file.text:
            merged.append(file)
        elif kept.disk == file.disk:
            merged.append(kept)
        elif text_hash(kept.text) == kept.disk:
            merged.append(file)
        else:
            merged.append(kept)
            problems.append(_collision(file))
    # What has no file behind it was made here; what had one went with its file.
    merged += [one for one in before.values() if not one.disk or one.layer in keep]
    return merged, problems


def _collision(file: Stored) -> Problem:
    text = N_(
        "The file and what was published here both changed since they last agreed; the "
        "published one stays. Apply the file by name to take it."
    )
    return Problem("", "schema.both_changed", text, {}, file=file.path, line=1, column=1)


def put_sources(stored: Sequence[Stored], given: Iterable[Stored]) -> list[Stored]:
    """Return the sources with each of `given` in the place of the one that defines the same.

    A given one whose layer is `""` takes the layer of the one it replaces, else the site's.
    """
    sources = list(stored)
    for one in given:
        place = next((n for n, it in enumerate(sources) if _is_same(it, one)), None)
        if place is None:
            layer = one.layer or SITE
            sources.append(msgspec.structs.replace(one, layer=layer, path=_free(sources, one)))
            continue
        old = sources[place]
        disk = one.disk or old.disk
        sources[place] = msgspec.structs.replace(old, text=one.text, disk=disk)
    return sources


def _is_same(stored: Stored, given: Stored) -> bool:
    return stored.key == given.key and given.layer in {"", stored.layer}


def _free(sources: Sequence[Stored], given: Stored) -> str:
    """Return a path that no other source of the site has."""
    if given.disk:
        return given.path
    kind, name = given.key
    path = given.path or (f"site/{kind}-{name}.yaml" if name else f"site/{kind or 'draft'}.yaml")
    taken = {one.path for one in sources}
    return path if path not in taken else f"site/{kind}-{name}-{len(sources)}.yaml"


def split_documents(text: str, layer: str = "") -> list[Stored]:
    """Return the documents of one text, separated by lines of `---`, without a path."""
    parts = [part for part in _SEPARATOR.split(text) if part.strip()]
    return [Stored(layer=layer, path="", text=part.lstrip("\n")) for part in parts or [text]]
