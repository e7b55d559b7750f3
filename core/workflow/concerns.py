"""Which steps a change of the document concerns, so that their votes are asked for again; pure."""

from collections.abc import Callable, Collection

from core.workflow.engine.tree import Node, Tree
from core.workflow.fieldrights import is_hidden


def unconcerned(
    tree: Tree, changed: Collection[str], reads: Callable[[str], Collection[str]]
) -> tuple[str, ...]:
    """Return the steps of a flow whose votes stand when some fields have changed.

    Args:
        tree: the flow's steps.
        changed: names of the fields.
        reads: gives the fields that a condition is about.
    """
    return tuple(one.id for one in tree.nodes.values() if not _concerns(tree, one, changed, reads))


def _concerns(
    tree: Tree, node: Node, changed: Collection[str], reads: Callable[[str], Collection[str]]
) -> bool:
    """Return whether a step shows a changed field to anybody, or depends on one."""
    if not node.is_human:
        return False
    seats = tuple(node.step.seats) or ("",)
    rights = node.step.fields
    if any(not is_hidden(rights, seat, name) for seat in seats for name in changed):
        return True
    conditions = (case.when for block in tree.around(node) for case in block.step.cases)
    return any(set(changed) & set(reads(text)) for text in conditions)
