"""Edits YAML texts so that comments, order and every scalar stay as they were written."""

import io
from collections.abc import Callable, Collection, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.resolver import VersionedResolver
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

_WIDTH = 4_096


class _TextResolver(VersionedResolver):
    """Takes every scalar as text, so that `1.10`, `True` and `12:00` are written as they were."""

    @property
    def versioned_resolver(self) -> dict[Any, Any]:
        """Return no rules at all."""
        return {}


def edited_text(text: str | bytes, edit: Callable[[CommentedMap], None]) -> str:
    """Return a YAML text after `edit` changed its tree; comments and order stay."""
    yaml = YAML(typ="rt", pure=True)
    yaml.Resolver = _TextResolver
    yaml.preserve_quotes = True
    yaml.width = _WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    tree = yaml.load(text)
    before = _dumped(yaml, tree)
    edit(tree)
    after = _dumped(yaml, tree)
    if after == before:
        return text if isinstance(text, str) else text.decode()
    return after


def _dumped(yaml: YAML, tree: CommentedMap) -> str:
    written = io.StringIO()
    yaml.dump(tree, written)
    return written.getvalue()


#: Texts that would be read as nothing without quotes.
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


def flowing(value: Any) -> Any:
    """Return a plain value as the round-trip tree writes it, on one line."""
    if isinstance(value, dict):
        mapping = CommentedMap({name: flowing(one) for name, one in value.items()})
        mapping.fa.set_flow_style()
        return mapping
    if isinstance(value, list):
        sequence = CommentedSeq(flowing(one) for one in value)
        sequence.fa.set_flow_style()
        return sequence
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    text = str(value)
    return DoubleQuotedScalarString(text) if text in _NULLS else text


def written_text(tree: Mapping[str, Any], deep: Collection[str]) -> str:
    """Return a plain tree as a YAML file; what stands under the keys in `deep` gets own lines."""
    yaml = YAML(typ="rt", pure=True)
    yaml.Resolver = _TextResolver
    yaml.width = _WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)

    def laid_out(value: Any, key: str) -> Any:
        if key not in deep:
            return flowing(value)
        if isinstance(value, list):
            return CommentedSeq(laid_out(one, key) for one in value) if value else flowing(value)
        return CommentedMap({name: laid_out(one, name) for name, one in value.items()})

    return _dumped(yaml, CommentedMap({key: laid_out(one, key) for key, one in tree.items()}))
