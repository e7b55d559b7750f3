"""Checks of a plugin's texts: every one that a person sees is there in every language."""

import ast
import string
from collections.abc import Iterator

from core.errors import Problem
from core.extension.contract.files import own_files, problem, relative
from core.extension.discovery import Plugin
from core.extension.manifest import FILE
from core.i18n import LOCALES, N_
from core.schema.binding import LABEL_KEYS
from core.schema.yamlnodes import Node, Source, read_node

SOURCE_LOCALE = "en"


def check_labels(plugin: Plugin) -> Iterator[Problem]:
    """Every label in the manifest and the schemas is written in every language."""
    sources = plugin.sources()
    manifest = plugin.folder / FILE
    if manifest.is_file():
        path = f"plugins/{plugin.name}/{FILE}"
        sources.append(Source(plugin.name, path, manifest.read_bytes()))
    for source in sources:
        node, _ = read_node(source)
        if node is not None:
            yield from _labels(node)


def check_translations(plugin: Plugin) -> Iterator[Problem]:
    """Every text marked with `N_` is in the catalogues, with the same placeholders."""
    texts = list(_marked(plugin))
    for locale in LOCALES:
        if locale == SOURCE_LOCALE or not texts:
            continue
        catalogue = _catalogue(plugin, locale)
        for path, line, text in texts:
            found = catalogue.get(text)
            if not found:
                missing = N_("There is no {locale} text for “{source}”.")
                yield problem(
                    plugin, path, "translation", missing, locale=locale, source=text, line=line
                )
            elif _placeholders(found) != _placeholders(text):
                differ = N_("The {locale} text for “{source}” has other placeholders.")
                yield problem(
                    plugin, path, "placeholders", differ, locale=locale, source=text, line=line
                )


def _labels(node: Node) -> Iterator[Problem]:
    for below in node.items:
        yield from _labels(below)
    for key, below in node.entries.items():
        if key not in LABEL_KEYS or below.kind != "map":
            yield from _labels(below)
            continue
        for locale in LOCALES:
            if not below.word(locale).strip():
                text = N_("The {locale} text is missing.")
                yield below.problem("label", text, key, locale=locale)


def _marked(plugin: Plugin) -> Iterator[tuple[str, int, str]]:
    for path in own_files(plugin, "*.py"):
        name = relative(plugin, path)
        if name.startswith("tests/"):
            continue
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            continue  # said by the check of the imports
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "N_"
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                yield name, node.lineno, str(node.args[0].value)


def _catalogue(plugin: Plugin, locale: str) -> dict[str, str]:
    from babel.messages.pofile import read_po  # noqa: PLC0415  slow

    path = plugin.folder / "translations" / f"{locale}.po"
    if not path.is_file():
        return {}
    with path.open("rb") as source:
        return {str(each.id): str(each.string) for each in read_po(source, locale=locale)}


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}
