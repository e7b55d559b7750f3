"""The rules of every discount document that ever took effect, kept ready in the process."""

from collections.abc import Sequence

from core.api import Context, Effect, in_force
from plugins.discount_rules.rules.resolution import RuleIndex

RECORD_TYPE = "discount_rule"


def rule_index(ctx: Context, audit_seq: int | None = None) -> RuleIndex:
    """Return the index, which knows every document up to an audit, or up to the last one.

    One more document costs one more document; the rest was read before.
    """
    return in_force(ctx, RECORD_TYPE, extended, seq=audit_seq)


def extended(index: RuleIndex | None, effects: Sequence[Effect]) -> RuleIndex:
    """Return the index with more effects, in the order of their audits."""
    if index is None:
        index = RuleIndex()
    for each in effects:
        if each.action == "void":
            index.end(each.record_id, each.seq, each.at, is_replaced=False)
        else:
            index.take_effect(each.record_id, each.seq, each.at, each.values)
    return index
