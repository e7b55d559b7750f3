"""Renames that files state, followed through every file of every layer.

A field is renamed by `was`, or by an id that had another name; an option and a
record type by `was`. Who renames it in one layer need not know the others'
expressions: they are rewritten before anything is checked.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from core.expression import ExpressionError, Scope, rename_names
from core.schema.converting import base_id
from core.schema.loader import Document, load_documents
from core.schema.model import Conversion, Field, RecordType, Release
from core.schema.renaming import Renames
from core.schema.roundtrip import edited_text
from core.schema.scopes import named_scope, tables_of
from core.schema.yamlnodes import Node, Source


def follow_renames(
    sources: Sequence[Source], running: Release, known: Iterable[Source]
) -> list[Source]:
    """Return the sources with every name that one of them changes changed in all.

    Args:
        sources: every file of every layer, as it would be.
        running: the release in force, in which everything has its old name.
        known: the files of that release; a file that is among them renames nothing new.
    """
    settled = {(one.layer, one.text) for one in known}
    changed = [one for one in sources if (one.layer, one.text) not in settled and _may(one)]
    renames = _stated(load_documents(changed)[0], running)
    if not renames:
        return list(sources)
    words = _old_words(renames)
    return [
        replace(one, text=_renamed(one, renames)) if _may_mention(one, words) else one
        for one in sources
    ]


def _may(source: Source) -> bool:
    """Return whether a file could rename anything, before it is read."""
    return _SAYS_SO.search(_text_of(source)) is not None


def _old_words(renames: Renames) -> frozenset[str]:
    """Return a word of each old name, as it stands in any file that mentions it.

    Only the first: YAML may break a text into lines where it has a space.
    """
    names = [*renames.types]
    names += [name for _, name in renames.fields]
    names += [option for _, _, option in renames.options]
    return frozenset(found[0] if (found := _WORD.search(name)) else "" for name in names)


def _may_mention(source: Source, words: Iterable[str]) -> bool:
    """Return whether a file could hold one of the words, before it is read.

    Reading and writing every file of every layer made a rename cost seconds.
    """
    text = _text_of(source)
    if "\\" in text:
        return True  # an escape may stand for any letter
    plain = unicodedata.normalize("NFKC", text)  # as expressions are read
    return any(word in text or unicodedata.normalize("NFKC", word) in plain for word in words)


def _text_of(source: Source) -> str:
    text = source.text
    return text if isinstance(text, str) else text.decode(errors="replace")


_SAYS_SO = re.compile(r"\b(was|id)[\"']?\s*:")
_WORD = re.compile(r"\w+")


#: Field types whose values are expressions over what `scope` names.
WRITTEN = frozenset({"condition", "expression"})


def renames_between(old: Release, new: Release) -> Renames:
    """Return what `new` calls otherwise than `old`, by id; releases may lie between."""
    fields: dict[tuple[str, str], str] = {}
    options: dict[tuple[str, str, str], str] = {}
    types: dict[str, str] = {}
    after = {one.id: one for one in new.types.values() if one.id}
    for name, before in old.types.items():
        now = after.get(before.id)
        if now is None or before.archived:
            continue
        if now.name != name:
            types[name] = now.name
        _compare(name, before, now, fields)
        for conversion in now.conversions:
            if old.number < conversion.release <= new.number:
                _options_of(name, before, conversion, options)
    return Renames(old, fields, options, types)


def gone_between(old: Release, new: Release) -> dict[tuple[str, str], str]:
    """Return (owner, name) -> a name that is nobody's, of each field of `old` that `new` lacks.

    Who writes it in the place of the old one never means another field that came to be called
    alike.
    """
    found: dict[tuple[str, str], str] = {}
    after = {one.id: one for one in new.types.values() if one.id and not one.archived}
    for name, before in old.types.items():
        if not before.archived:
            _gone(name, before, after.get(before.id), found)
    return found


def _gone(
    owner: str,
    before: RecordType | Field,
    now: RecordType | Field | None,
    found: dict[tuple[str, str], str],
) -> None:
    here = {one.id: one for one in now.fields} if now else {}
    for one in before.fields:
        if one.id not in here:
            found[owner, one.name] = f"{one.name} (removed)"
        if one.type == "table":
            _gone(f"{owner}.{one.name}", one, here.get(one.id), found)


def text_names(text: str, scope: Scope, owner: str, name: str) -> bool:
    """Return whether an expression over `scope` names a field of `owner`, a type or `TYPE.TABLE`.

    One that is not right names nothing.
    """
    try:
        return rename_names(text, scope, {(owner, name): f"{name} (removed)"}) != text
    except ExpressionError:
        return False


def followed_text(text: str, scope: str, renames: Renames) -> str:
    """Return an expression with the names of today; as it was where it is not right.

    Args:
        text: as somebody wrote it.
        scope: what it is over, by its old name.
        renames: what changed since.
    """
    known = named_scope(renames.release.types, scope)
    if known is None:
        return text
    try:
        return rename_names(text, known, renames.fields, options=renames.options)
    except ExpressionError:
        return text  # it did not hold before either


def _compare(
    owner: str,
    before: RecordType | Field,
    now: RecordType | Field,
    fields: dict[tuple[str, str], str],
) -> None:
    names = {one.id: one.name for one in now.fields}
    tables = {one.id: one for one in now.fields if one.type == "table"}
    for one in before.fields:
        if names.get(one.id, one.name) != one.name:
            fields[owner, one.name] = names[one.id]
        if one.type == "table" and one.id in tables:
            _compare(f"{owner}.{one.name}", one, tables[one.id], fields)


def _options_of(
    name: str,
    before: RecordType,
    conversion: Conversion,
    options: dict[tuple[str, str, str], str],
) -> None:
    """Note the options that a conversion renames, or that a rollback names as before."""
    made = [conversion] if conversion.options else list(conversion.undoes)
    back = not conversion.options
    for one in made:
        path, table = next(
            ((path, it) for path, it in tables_of(before) if it.id == one.table), ("", None)
        )
        owner = f"{name}.{path}" if table else name
        inside = table.fields if table else before.fields
        identity = base_id(one.sources[0].id)
        field = next((it for it in inside if it.id == identity), None)
        if field is None:
            continue
        place = owner, field.name
        steps = {
            old: new
            for was, value in one.options.items()
            for old, new in [(value, was) if back else (was, value)]
        }
        # What an earlier release renamed goes on from there; another may have its old name.
        for key, named in list(options.items()):
            if key[:2] == place:
                options[key] = steps.get(named, named)
        for old, new in steps.items():
            options.setdefault((*place, old), new)


def _renamed(source: Source, renames: Renames) -> str | bytes:
    documents, problems = load_documents([source])
    if problems or not documents:
        return source.text  # what cannot be read is told by the checks
    return edited_text(source.text, renames.apply)


def _stated(documents: Sequence[Document], running: Release) -> Renames:
    """Return the renames that documents state and the running release does not have yet."""
    fields: dict[tuple[str, str], str] = {}
    options: dict[tuple[str, str, str], str] = {}
    types = dict(_renamed_types(documents, running))
    for document in documents:
        was = next((old for old, new in types.items() if new == document.name), document.name)
        old = running.type(was)
        if old is None or document.kind not in {"record_type", "extend", "customize"}:
            continue
        for owner, node, siblings, known in _declared(document, old):
            before = _before(node, siblings, known, document.layer)
            if before is not None and before.name != node.word("name"):
                fields[owner, before.name] = node.word("name")
            found = before or _named(known, node.word("name"))
            if found is not None:
                for option, value in _renamed_options(node, found):
                    options[owner, found.name, option] = value
    return Renames(running, fields, options, types)


def _renamed_types(documents: Sequence[Document], running: Release) -> Iterator[tuple[str, str]]:
    declared = {one.name for one in documents if one.kind == "record_type"}
    for one in documents:
        was = one.node.word("was") if one.kind == "record_type" else ""
        old = running.types.get(was)
        if old is not None and not old.archived and was not in declared:
            yield was, one.name


def _declared(
    document: Document, old: RecordType
) -> Iterator[tuple[str, Node, set[str], tuple[Field, ...]]]:
    """Yield (owner, node, names beside it, fields before) of every field of a document."""
    yield from _declared_in(document.node, document.layer, old.name, old.fields)


def _declared_in(
    holder: Node, layer: str, owner: str, before: tuple[Field, ...]
) -> Iterator[tuple[str, Node, set[str], tuple[Field, ...]]]:
    nodes = holder.listed("fields")
    names = {one.word("name") for one in nodes}
    for node in nodes:
        yield owner, node, names, before
        known = _before(node, names, before, layer)
        table = known or _named(before, node.word("name"))
        if table is not None and table.type == "table":
            yield from _declared_in(node, layer, f"{owner}.{table.name}", table.fields)


def _named(fields: Iterable[Field], name: str) -> Field | None:
    return next((one for one in fields if one.name == name), None)


def _before(node: Node, siblings: set[str], known: Sequence[Field], layer: str) -> Field | None:
    """Return the field that a node declares as it was, if it says so."""
    stated, was = node.word("id"), node.word("was")
    for one in known:
        if one.layer != layer or one.name in siblings - {node.word("name")}:
            continue
        if (stated and one.id == stated) or (not stated and was and one.name == was):
            return one
    return None


def _renamed_options(node: Node, before: Field) -> Iterator[tuple[str, str]]:
    had = {one.value for one in before.options}
    has = {one.word("value") for one in node.listed("options")}
    for one in node.listed("options"):
        was = one.word("was")
        if was and was in had and was not in has:
            yield was, one.word("value")
