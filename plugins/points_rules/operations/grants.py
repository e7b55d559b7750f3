"""Scenes that a member has once only: who had one, and who may have it again.

Each time is a record of its own that nobody changes. A return of the whole sale adds another,
and the next time has the next turn, so two tills that give one scene at the same moment meet
on a unique row and the later is refused.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from core.api import N_, Conflict, Context, UserError, create_record, on_behalf, query, table
from plugins.points_rules.rules.terms import SceneTerm

RECORD_TYPE = "points_scene_use"


class SceneHad(Conflict):
    """The member had a scene meanwhile that is given once only."""

    code = "points_rules.scene_had"
    text = N_("The member had {no} meanwhile. Please ask for the points again.")


def had_already(ctx: Context, marks: Sequence[str]) -> set[str]:
    """Return those of some marks that were had and not given back."""
    counts = _counts(ctx, marks)
    return {mark for mark, (had, returned) in counts.items() if had > returned}


def note_had(ctx: Context, scenes: Iterable[SceneTerm], *, member: str, order: str) -> None:
    """Note that a member has the scenes of a sale that are given once only.

    Raises:
        SceneHad: the member had one of them meanwhile.
    """
    limited = [each for each in scenes if each.key]
    counts = _counts(ctx, [each.key for each in limited])
    for scene in limited:
        had, returned = counts.get(scene.key, (0, 0))
        if had > returned:
            raise SceneHad(no=scene.no)
        try:
            _note(ctx, scene, "had", turn=returned, member=member, order=order)
        except UserError as error:
            raise SceneHad(no=scene.no) from error


def note_returned(ctx: Context, scenes: Iterable[SceneTerm], *, member: str, order: str) -> None:
    """Note that the scenes of a sale were given back with it, so that they may be had again."""
    limited = [each for each in scenes if each.key]
    counts = _counts(ctx, [each.key for each in limited])
    for scene in limited:
        had, returned = counts.get(scene.key, (0, 0))
        if had > returned:
            _note(ctx, scene, "returned", turn=returned, member=member, order=order)


def _note(
    ctx: Context, scene: SceneTerm, state: str, *, turn: int, member: str, order: str
) -> None:
    values: Mapping[str, Any] = {
        "mark": scene.key,
        "turn": turn,
        "state": state,
        "scene": scene.scene,
        "member": member,
        "order": order,
    }
    create_record(on_behalf(ctx), RECORD_TYPE, values)


def _counts(ctx: Context, marks: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return mark -> how often it was had and how often it was given back."""
    if not marks:
        return {}
    columns = table(ctx, RECORD_TYPE).c
    times = (
        sa.select(columns.mark, columns.state, sa.func.count().label("times"))
        .where(columns.mark.in_(marks), columns.deleted_at.is_(None))
        .group_by(columns.mark, columns.state)
    )
    found: dict[str, tuple[int, int]] = {}
    for row in query(ctx, times):
        had, returned = found.get(row.mark, (0, 0))
        found[row.mark] = (row.times, returned) if row.state == "had" else (had, row.times)
    return found
