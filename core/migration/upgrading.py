"""Upgrades that meet this site's own changes: what collides, and what a person decides."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import sqlalchemy as sa

from core.errors import Problem
from core.i18n import N_
from core.migration.proposal import Proposal, Running, followed, propose
from core.migration.sources import SITE, Stored
from core.schema.threeway import Conflict, Settlement, both_added, find_conflicts, settled
from core.schema.yamlnodes import Source

_DECISIONS = ("mine", "theirs")


def propose_upgrade(
    connection: sa.Connection,
    sources: Sequence[Stored],
    running: Running,
    settle: Settlement,
    problems: Sequence[Problem] = (),
) -> Proposal:
    """Return what publishing files would do, with a problem for each open comparison."""
    before = _texts(running.sources)
    sources = followed(sources, running)
    conflicts = find_conflicts(before, _texts(sources)) if running.release.number else []
    against = [*problems, *_misplaced(settle, conflicts)]
    if running.release.number:
        against += both_added(before, _texts(sources))
    against += [_open(one) for one in conflicts if not _is_decision(settle.get(one.key))]
    decided = {key: value for key, value in settle.items() if _is_decision(value)}
    written = settled(_texts(sources), conflicts, decided)
    made = [
        one if one.text == it.text else msgspec.structs.replace(one, text=str(it.text))
        for one, it in zip(sources, written, strict=True)
    ]
    proposal = propose(connection, made, running, problems=against)
    return replace(proposal, conflicts=tuple(conflicts))


def without_conflicts(sources: Sequence[Stored], running: Running) -> list[Stored]:
    """Return the sources with those layers as they were that collide with the site's."""
    if not running.release.number:
        return list(sources)
    left = list(sources)
    for layer in dict.fromkeys(one.layer for one in sources if one.layer != SITE):
        mine = [one for one in running.sources if one.layer == layer]
        alone = [one for one in running.sources if one.layer != layer]
        alone += [one for one in sources if one.layer == layer]
        if mine and collides(running, followed(alone, running)):
            left = [one for one in left if one.layer != layer] + mine
    return left


def collides(running: Running, sources: Sequence[Stored]) -> bool:
    """Return whether files change what the site has changed too."""
    before, after = _texts(running.sources), _texts(sources)
    return bool(find_conflicts(before, after) or both_added(before, after))


def conflict_json(conflict: Conflict) -> dict[str, Any]:
    """Return a comparison for the REST API."""
    return {name: getattr(conflict, name) for name in ("key", "base", "mine", "theirs")}


def _texts(sources: Sequence[Stored]) -> list[Source]:
    return [one.source() for one in sources]


def _is_decision(value: Any) -> bool:
    if isinstance(value, dict):
        return set(value) == {"value"} and value["value"] is not None
    return value in _DECISIONS


def _open(conflict: Conflict) -> Problem:
    text = N_(
        "{key} was {base}; this site says {mine}, the upgrade says {theirs}. Keep mine, take "
        "theirs, or write another value."
    )
    params = {
        "key": conflict.key,
        "base": _shown(conflict.base),
        "mine": _shown(conflict.mine),
        "theirs": _shown(conflict.theirs),
    }
    return Problem(conflict.key, "schema.conflict", text, params, file=conflict.file)


def _shown(value: Any) -> str:
    if value is None:
        return "—"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _misplaced(settle: Settlement, conflicts: Sequence[Conflict]) -> list[Problem]:
    known = {one.key for one in conflicts}
    text = N_("Nothing collides at {key}.")
    wrong = N_("Write mine, theirs or a value for {key}.")
    return [
        Problem(
            str(key)[:200],
            "schema.bad_settlement",
            text if key not in known else wrong,
            {"key": str(key)[:200]},
        )
        for key, value in settle.items()
        if key not in known or not _is_decision(value)
    ]
