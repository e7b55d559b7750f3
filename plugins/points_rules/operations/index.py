"""Every points rule and scene that ever took effect, kept ready in the process."""

from collections.abc import Sequence

from core.api import Context, Effect, Sale, in_force
from plugins.points_rules.rules.resolution import Moment, RuleIndex, SceneIndex, take_all


def rule_index(ctx: Context, audit_seq: int) -> RuleIndex:
    """Return the rules, with every document up to an audit at least."""
    return in_force(ctx, "points_rule", with_rules, seq=audit_seq)


def scene_index(ctx: Context, audit_seq: int) -> SceneIndex:
    """Return the scenes, with every document up to an audit at least."""
    return in_force(ctx, "points_scene", with_scenes, seq=audit_seq)


def moment_of(sale: Sale) -> Moment:
    """Return the moment by which it is decided what holds for a sale."""
    return Moment(sale.on, sale.at, sale.audit_seq)


def with_rules(index: RuleIndex | None, effects: Sequence[Effect]) -> RuleIndex:
    """Return the rules with more effects, in the order of their audits."""
    index = index or RuleIndex()
    take_all(index, effects)
    return index


def with_scenes(index: SceneIndex | None, effects: Sequence[Effect]) -> SceneIndex:
    """Return the scenes with more effects, in the order of their audits."""
    index = index or SceneIndex()
    take_all(index, effects)
    return index
