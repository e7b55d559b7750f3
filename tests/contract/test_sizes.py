"""No file grows past what a reader can hold."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SKIPPED = {"node_modules", ".venv", "vendor", "__pycache__", "build"}


def files(pattern: str) -> list[Path]:
    """Return the project's own files that match `pattern`."""
    found = []
    for folder in ("core", "plugins", "schemas", "tests"):
        found += [path for path in (ROOT / folder).rglob(pattern) if not SKIPPED & set(path.parts)]
    assert found, f"no {pattern} found: the test looks in the wrong place"
    return found


@pytest.mark.parametrize(
    ("pattern", "limit"),
    [("*.py", 500), ("*.js", 500), ("*.html", 200), ("*.yaml", 300), ("README.md", 300)],
)
def test_files_stay_within_their_limit(pattern: str, limit: int) -> None:
    """Count lines; tests may be a fifth longer."""
    too_long = {}
    for path in files(pattern):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        allowed = limit + 100 if "tests" in path.parts else limit
        if lines > allowed:
            too_long[str(path.relative_to(ROOT))] = lines
    assert too_long == {}


def test_classes_stay_readable() -> None:
    """Count public methods of every class."""
    too_wide = {}
    for path in files("*.py"):
        if "tests" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                methods = [
                    item.name
                    for item in node.body
                    if isinstance(item, ast.FunctionDef) and not item.name.startswith("_")
                ]
                if len(methods) > 25:
                    too_wide[f"{path.name}:{node.name}"] = len(methods)
    assert too_wide == {}


def test_packages_explain_themselves() -> None:
    """Every package and module opens with a docstring."""
    silent = [
        str(path.relative_to(ROOT))
        for path in files("*.py")
        if path.name != "conftest.py"
        and path.read_text(encoding="utf-8").strip()
        and ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) is None
    ]
    assert silent == []
