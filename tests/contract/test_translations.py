"""Every text that a person can see exists in Chinese, with the same placeholders."""

import ast
import re
import string
from pathlib import Path

from babel.messages.pofile import read_po

ROOT = Path(__file__).parents[2]
MARKERS = {"N_", "_", "translate", "t"}
TEMPLATE_TEXT = re.compile(r"""\b(?:_|t)\(\s*(["'])(.+?)\1""", re.DOTALL)


def texts_of(folder: Path) -> dict[str, str]:
    """Return each marked text below `folder` with the file that it was found in."""
    found: dict[str, str] = {}
    for path in folder.rglob("*.py"):
        if {"tests", "vendor", "testing"} & set(path.parts):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in MARKERS
                and node.args
                and isinstance(node.args[0], ast.Constant)
                and isinstance(node.args[0].value, str)
            ):
                found.setdefault(node.args[0].value, str(path))
    for path in [*folder.rglob("*.html"), *folder.rglob("*.js")]:
        if {"vendor", "node_modules"} & set(path.parts):
            continue
        for match in TEMPLATE_TEXT.finditer(path.read_text(encoding="utf-8")):
            found.setdefault(match[2].replace("\\'", "'").replace('\\"', '"'), str(path))
    return found


def catalogue(path: Path) -> dict[str, str]:
    """Return a catalogue's messages."""
    with path.open("rb") as source:
        return {str(m.id): str(m.string) for m in read_po(source) if m.id}


def placeholders(text: str) -> set[str]:
    """Return the named placeholders of a text."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def missing(texts: dict[str, str], known: dict[str, str]) -> dict[str, str]:
    """Return texts without a translation, or whose placeholders differ."""
    wrong = {}
    for text, place in texts.items():
        chinese = known.get(text, "")
        if not chinese:
            wrong[text] = f"not translated ({place})"
        elif placeholders(text) != placeholders(chinese):
            wrong[text] = f"placeholders differ ({place})"
    return wrong


def test_core_texts_are_all_in_chinese() -> None:
    """Core's own texts are in core's own catalogue."""
    texts = texts_of(ROOT / "core")
    assert len(texts) > 100
    assert missing(texts, catalogue(ROOT / "core/translations/zh.po")) == {}


def test_plugin_texts_are_all_in_chinese() -> None:
    """A plugin's texts are in its own catalogue or in core's."""
    core_texts = catalogue(ROOT / "core/translations/zh.po")
    wrong = {}
    for folder in (ROOT / "plugins").iterdir():
        if (folder / "manifest.yaml").exists():
            known = catalogue(folder / "translations/zh.po")
            wrong |= missing(texts_of(folder), core_texts | known)
    assert wrong == {}
