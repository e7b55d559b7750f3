"""A dashboard as a file of the schema language, one line per card."""

from collections.abc import Sequence
from typing import Any

from ruamel.yaml.comments import CommentedSeq

from core.schema.dashboards import Dashboard
from core.schema.dashboardtexts import written_card
from core.schema.roundtrip import edited_text, flowing


def dashboard_yaml(
    content: Dashboard,
    name: str,
    label: str,
    locale: str,
    shared_with: Sequence[str] = (),
) -> str:
    """Return a dashboard as a file of the schema language.

    Args:
        content: its cards and time range.
        name: its name; empty keeps the one it has, unless that is an id.
        label: the heading of one that has none of its own.
        locale: the language of `label`.
        shared_with: roles that get it; `*` is everybody.
    """
    kept = content.dashboard if "-" not in content.dashboard else "my_dashboard"
    text = f"dashboard: {name or kept}\n"
    roles = [one for one in (*shared_with, *content.shared_with) if one != "*"]

    def fill(tree: Any) -> None:
        tree["label"] = flowing(dict(content.label) or {locale: label})
        if roles:
            tree["shared_with"] = flowing(list(dict.fromkeys(roles)))
        if content.time:
            tree["time"] = content.time
        tree["cards"] = CommentedSeq(flowing(written_card(card)) for card in content.cards)

    return edited_text(text, fill)
