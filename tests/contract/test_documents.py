"""What the pages say is there, is there."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.expression import FUNCTIONS
from core.expression.functions import SPECIAL
from core.expression.guide import SENTENCES
from tests.contract import documents

ROOT = Path(__file__).parents[2]
SKIPPED = {".git", ".venv", ".venv-node", "node_modules", "vendor", "__pycache__"}


def files(folder: Path) -> Iterator[Path]:
    """Yield the project's own files below `folder`."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in SKIPPED]
        yield from (Path(place, name) for name in names)


PAGES = [path for path in files(ROOT) if path.name == "README.md"]
NAMED = re.compile(r"`([\w./]+\.(?:py|js|yaml|md|html))`|\]\(([\w./-]+)\)")


def missing(page: Path) -> list[str]:
    """Return the files that a page names and that are not there."""
    known = {
        str(path.relative_to(folder))
        for folder in (ROOT, ROOT / "core", page.parent)
        for path in files(folder)
    }
    names = {path.rpartition("/")[2] for path in known}
    found = []
    for match in NAMED.finditer(page.read_text(encoding="utf-8")):
        name = match[1] or match[2]
        is_there = name in known or ("/" not in name and name in names)
        if not is_there and not name.startswith("instance/"):
            found.append(name)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_names_files_that_exist(page: Path) -> None:
    assert missing(page) == []


@pytest.mark.parametrize("page", documents.pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_reference_tables_are_in_step_with_the_code(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert documents.renewed(text) == text


def test_every_function_has_its_sentence() -> None:
    assert SENTENCES.keys() == {*FUNCTIONS, *SPECIAL}


def test_every_reference_table_is_shown() -> None:
    shown = {
        match[2]
        for page in documents.pages()
        for match in documents.MARKERS.finditer(page.read_text(encoding="utf-8"))
    }
    assert shown == set(documents.TABLES)
