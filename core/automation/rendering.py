"""Values of expressions as people read them, for notices and mails."""

from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from core.automation.environment import AutomationEnv, compiled_text
from core.context import Context
from core.expression import Expression
from core.expression.holes import split_text
from core.expression.nodes import Field as FieldNode
from core.expression.nodes import Linked
from core.i18n import N_, pick, translate
from core.schema.automations import Automation
from core.schema.model import Field
from core.schema.modelbase import Label

#: Characters of a rendered text.
MAX_TEXT = 20_000


class Renderer:
    """Fills the holes of an automation's texts."""

    def __init__(
        self, ctx: Context, automation: Automation, row: Mapping[str, Any], env: AutomationEnv
    ) -> None:
        """Render for one run: `row` is the record as expressions see it in `env`."""
        self._ctx, self._automation, self._row, self._env = ctx, automation, row, env

    def labels(self, label: Label) -> Label:
        """Return a text in every language that it has."""
        return {language: self.text(text, language) for language, text in label.items()}

    def label(self, label: Label) -> str:
        """Return a text in the language of the site."""
        language = self._ctx.locale if self._ctx.locale in label else ""
        return self.text(pick(label, self._ctx.locale), language or self._ctx.locale)

    def text(self, text: str, language: str) -> str:
        """Return one text with its holes filled; what fills them is never read again."""
        parts = [
            part if isinstance(part, str) else self._said(part.text, language)
            for part in split_text(text)
        ]
        return "".join(parts)[:MAX_TEXT]

    def value(self, text: str) -> Any:
        """Return the value of an expression."""
        expression = compiled_text(self._ctx, self._automation, text, None)
        return expression.evaluate(self._row, self._env)

    def _said(self, text: str, language: str) -> str:
        expression = compiled_text(self._ctx, self._automation, text, None)
        value = expression.evaluate(self._row, self._env)
        field = self._field(expression)
        if field is not None and value is not None:
            if field.options:
                return _option_label(field, value, language)
            if field.type == "link":
                return self._title(field.target, value)
        return self._plain(value, language)

    def _field(self, expression: Expression) -> Field | None:
        """Return the field that an expression names, when it is nothing but its name."""
        if not isinstance(expression.node, FieldNode | Linked):
            return None
        use = next((one for one in reversed(expression.uses) if one.option is None), None)
        record_type = self._ctx.registry.release.type(use.owner) if use else None
        return record_type.field(use.name) if record_type and use else None

    def _title(self, type_name: str, record_id: str) -> str:
        found = self._env.follow(type_name, record_id)
        title = self._ctx.registry.record_type(type_name).title_field
        return "" if found is None or not title else str(found.get(title) or "")

    def _plain(self, value: Any, language: str) -> str:
        if value is None:
            return ""
        if isinstance(value, bool):
            return translate(N_("yes") if value else N_("no"), language)
        if isinstance(value, Decimal):
            return f"{value:f}"
        if isinstance(value, datetime):
            return value.astimezone(self._ctx.time_zone).strftime("%Y-%m-%d %H:%M")
        if isinstance(value, date | time):
            return value.isoformat()
        if isinstance(value, list | tuple):
            return ", ".join(self._plain(one, language) for one in value)
        return str(value)


def _option_label(field: Field, value: Any, language: str) -> str:
    labels = {one.value: pick(one.label, language, one.value) for one in field.options}
    values = value if isinstance(value, list | tuple) else [value]
    return ", ".join(labels.get(one, str(one)) for one in values)
