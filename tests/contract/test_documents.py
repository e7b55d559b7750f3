"""What the pages say is there, is there."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.expression import FUNCTIONS
from core.expression.functions import SPECIAL
from core.expression.guide import SENTENCES
from core.migration.sources import disk_sources
from core.schema import guide
from core.schema.binding import Binder, keys_of
from core.schema.fieldtypes import field_type, field_type_names
from core.schema.layers import effective
from core.schema.yamlnodes import Source, read_node
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


def test_every_key_of_the_language_says_what_it_means_and_shows_an_example() -> None:
    keys = {kind: keys_of(kind) for kind in documents.models()}
    untold = [
        f'{kind.__name__}.{key}: write "{key}": ("What it means.", "an example") under '
        f"{kind.__name__} in KEYS of core/schema/guide.py, then `make docs`"
        for kind in keys
        for key in keys[kind]
        if not (guide.sentence(kind, key) and guide.example(kind, key))
    ]
    assert untold == []
    unplaced = [kind.__name__ for kind in keys if kind not in guide.PLACES]
    assert unplaced == [], "PLACES in core/schema/guide.py says where a model stands in a file"
    gone = [(kind.__name__, key) for kind in guide.KEYS for key in guide.KEYS[kind]
            if key not in keys.get(kind, ())]  # fmt: skip
    assert gone == [], "these keys of KEYS in core/schema/guide.py are no more"


def test_examples_of_keys_are_read_without_a_problem() -> None:
    wrong = []
    for kind, keys in guide.KEYS.items():
        for key, (_, example) in keys.items():
            text = f"{key}: {example}"
            node, problems = read_node(Source("site", "example.yaml", text.encode()))
            binder = Binder(list(problems), frozenset({kind}))
            values = binder.struct(node, kind) if node else {}
            if binder.problems or key not in values:
                wrong.append((kind.__name__, text, binder.problems))
    assert wrong == []


def test_every_field_type_has_an_example_that_can_be_published() -> None:
    own = {
        name
        for name in field_type_names()
        if type(field_type(name)).__module__.startswith("core.")
    }
    assert own == guide.TYPES.keys(), "TYPES in core/schema/guide.py has a field of each type"
    fields = [
        f"  - {{name: a_{name}, type: {name}, {rest}}}" for name, rest in guide.TYPES.items()
    ]
    fields.append("  - {name: a_self, type: link, target: every_type}")
    text = "\n".join(["record_type: every_type", "title_field: a_text", "fields:", *fields])
    text = text.replace("of: order.member", "of: every_type.a_self")
    sources = [one.source() for one in disk_sources(ROOT / "schemas", [], ROOT / "nowhere")]
    release = effective([*sources, Source("site", "every_type.yaml", text.encode())], None, 1)
    assert len(release.types["every_type"].fields) == len(fields)


def test_every_reference_table_is_shown() -> None:
    shown = {
        match[2]
        for page in documents.pages()
        for match in documents.MARKERS.finditer(page.read_text(encoding="utf-8"))
    }
    assert shown == set(documents.TABLES)
