"""YAML files against the release in force: `guanxi init` and `guanxi schema plan|apply`."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from core.actor import SYSTEM, Actor
from core.errors import Malformed, Problem
from core.extension.discovery import Plugin, find_plugins
from core.extension.hooks import Hooks
from core.extension.state import PluginState, read_states
from core.i18n import N_
from core.migration.parts import Parts
from core.migration.promotion import (
    Archive,
    propose_promotion,
    read_archive,
    require_seal,
    seal_of,
)
from core.migration.proposal import Proposal, propose, publish_proposal, read_running
from core.migration.run import Overtaken
from core.migration.sources import (
    CORE,
    SITE,
    Stored,
    disk_sources,
    merge_disk,
    put_sources,
    split_documents,
    text_hash,
)
from core.migration.upgrading import conflict_json, propose_upgrade, without_conflicts
from core.schema.threeway import Settlement
from core.settings import Settings

_TRIES = 3


def _archive(paths: Sequence[Path]) -> Archive | None:
    """Return the exported release that is named instead of YAML files, if one is.

    Raises:
        Malformed: it cannot be read, or is named beside other files.
    """
    if not any(path.suffix == ".zip" for path in paths):
        return None
    if len(paths) > 1:
        raise Malformed(N_("Name an exported release alone."))
    try:
        return read_archive(paths[0].read_bytes())
    except OSError as error:
        raise Malformed(N_("{file} cannot be read."), file=str(paths[0])) from error


class _Publisher:
    """Publishes in somebody's name; see `Author`."""

    def __init__(self, parts: Parts, actor: Actor) -> None:
        self.db, self.registries, self.clock = parts.db, parts.registries, parts.clock
        self.actor = actor


def plan_paths(
    parts: Parts, paths: Sequence[Path] = (), settle: Settlement | None = None
) -> Proposal:
    """Return what taking in YAML files would do.

    Without `paths` these are all files of the base, of the enabled plugins and of
    the instance's `schemas` folder. Files named replace what defines the same; what
    nothing defines yet becomes part of the site's layer. Where they change what the
    site has changed too, `settle` says which stays; what it leaves out is a problem.
    """
    with parts.db.read() as connection:
        running = read_running(connection)
        problems: list[Problem] = []
        archive = _archive(paths)
        if archive is not None:
            return propose_promotion(connection, archive, running)
        if paths:
            sources = put_sources(running.sources, _named(parts.settings, paths))
        else:
            plugins = find_plugins(parts.settings.plugins)
            usable = enabled_plugins(parts, read_states(connection))
            disk = _disk(parts.settings, usable)
            resting = {one.name for one in plugins} - {one.name for one in usable}
            sources, problems = merge_disk(running.sources, disk, keep=resting)
        return propose_upgrade(connection, sources, running, settle or {}, problems)


def apply_paths(
    parts: Parts,
    paths: Sequence[Path] = (),
    *,
    note: str = "",
    actor: Actor = SYSTEM,
    settle: Settlement | None = None,
    seal: str = "",
) -> int | None:
    """Take in YAML files and return the new release's number, None when nothing changes.

    Raises:
        Moved: the schema is not any more what `seal`, told with the plan, says.
    """
    proposal = plan_paths(parts, paths, settle)
    with parts.db.read() as connection:
        require_seal(connection, proposal.running.release.number, seal)
    if proposal.is_empty and not proposal.problems:
        return None
    return publish_proposal(_Publisher(parts, actor), proposal, note or "schema apply")


def upgrade_json(parts: Parts, locale: str = "en") -> dict[str, Any]:
    """Return what taking in the files on the server would do, with the open comparisons."""
    proposal = plan_paths(parts)
    with parts.db.read() as connection:
        seal = seal_of(connection, proposal.running.release.number)
    conflicts = [conflict_json(one) for one in proposal.conflicts]
    return {"seal": seal, "conflicts": conflicts} | proposal.to_json(locale)


def publish_disk(parts: Parts, plugins: Sequence[Plugin], *, note: str = "init") -> int:
    """Publish what the files on disk changed, and return the number of the release in force.

    A plugin whose files are refused is reported broken and keeps what it last
    published; where file and published text both changed the published one stays. So
    does a layer that changes what the site has changed too, until a person settles it.
    """
    overtaken = Overtaken(release=0)
    for _ in range(_TRIES):
        with parts.db.read() as connection:
            running = read_running(connection)
            usable = [one for one in plugins if one.manifest]
            states = read_states(connection)
            usable = [one for one in usable if states.get(one.name, PluginState()).enabled]
            resting = {one.name for one in plugins} - {one.name for one in usable}
            disk = _disk(parts.settings, usable)
            sources, _kept = merge_disk(running.sources, disk, keep=resting)
            sources = without_conflicts(sources, running)
            proposal = propose(connection, sources, running)
            while proposal.release is None:
                remaining = _without_broken(parts.hooks, proposal)
                if remaining is None:
                    break
                proposal = propose(connection, remaining, running)
        if proposal.is_empty:
            return running.release.number
        try:
            return publish_proposal(_Publisher(parts, SYSTEM), proposal, note)
        except Overtaken as error:
            overtaken = error
    raise overtaken


def _without_broken(hooks: Hooks, proposal: Proposal) -> list[Stored] | None:
    """Return the sources with broken plugins' as they last were; None when none is to blame."""
    layers = {one.path: one.layer for one in proposal.sources}
    running = proposal.running.sources
    blamed: dict[str, list[str]] = {}
    for problem in proposal.problems:
        layer = layers.get(problem.file, CORE)
        if layer not in {CORE, SITE} and _of(proposal.sources, layer) != _of(running, layer):
            blamed.setdefault(layer, []).append(str(problem))
    if not blamed:
        return None
    for layer, problems in blamed.items():
        hooks.register_broken(layer, problems)
    return [one for one in proposal.sources if one.layer not in blamed] + [
        one for one in running if one.layer in blamed
    ]


def _of(sources: Iterable[Stored], layer: str) -> list[Stored]:
    return [one for one in sources if one.layer == layer]


def enabled_plugins(parts: Parts, states: dict[str, PluginState]) -> list[Plugin]:
    """Return the plugins on disk that have a sound manifest and are switched on."""
    return [
        plugin
        for plugin in find_plugins(parts.settings.plugins)
        if plugin.manifest and states.get(plugin.name, PluginState()).enabled
    ]


def _disk(settings: Settings, plugins: Sequence[Plugin]) -> list[Stored]:
    return disk_sources(settings.schemas, plugins, settings.home / "schemas")


def _named(settings: Settings, paths: Iterable[Path]) -> list[Stored]:
    """Return the documents of the files named, folders included.

    Raises:
        Malformed: a file is not there or not text.
    """
    found: list[Stored] = []
    for path in paths:
        files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
        for file in files:
            text = read_yaml(file)
            documents = split_documents(text)
            if len(documents) == 1:
                # Problems in it are told under its own name.
                documents = [msgspec.structs.replace(documents[0], path=f"site/{file.name}")]
            found += [_placed(settings, file, one, text_hash(text)) for one in documents]
    return found


def read_yaml(file: Path) -> str:
    """Return what a file holds.

    Raises:
        Malformed: it is not there or not text.
    """
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Malformed(N_("{file} cannot be read."), file=str(file)) from error


def _placed(settings: Settings, file: Path, one: Stored, disk: str) -> Stored:
    """Return a document with the layer and path that its folder gives it, if any."""
    folder = file.resolve().parent
    if folder == settings.schemas.resolve():
        return msgspec.structs.replace(one, layer=CORE, path=f"schemas/{file.name}", disk=disk)
    if folder == (settings.home / "schemas").resolve():
        path = f"instance/schemas/{file.name}"
        return msgspec.structs.replace(one, layer=SITE, path=path, disk=disk)
    plugins = settings.plugins.resolve()
    if folder.name == "schemas" and folder.parent.parent == plugins:
        name = folder.parent.name
        path = f"plugins/{name}/schemas/{file.name}"
        return msgspec.structs.replace(one, layer=name, path=path, disk=disk)
    return one
