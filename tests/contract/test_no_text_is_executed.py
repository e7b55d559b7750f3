"""No text that somebody wrote ever becomes code: what could do that is nowhere in the product."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: Functions that make code, templates or objects of a text or of bytes.
CALLS = frozenset(
    {"eval", "exec", "compile", "__import__", "from_string", "render_template_string", "Template"}
)
MODULES = frozenset({"pickle", "marshal", "shelve", "dill", "jsonpickle", "cloudpickle", "yaml"})

FILES = sorted(
    path
    for folder in ("core", "plugins")
    for path in (ROOT / folder).rglob("*.py")
    if "static" not in path.parts
)


def executing(tree: ast.AST) -> Iterator[str]:
    """Yield each place in `tree` where text could become code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [(node.module or "").partition(".")[0]]
        else:
            names = []
        yield from (f"line {node.lineno}: import {name}" for name in names if name in MODULES)
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in CALLS:
                yield f"line {node.lineno}: {called.id}()"
            if isinstance(called, ast.Attribute) and called.attr in CALLS - {"compile"}:
                yield f"line {node.lineno}: .{called.attr}()"
            yield from (
                f"line {node.lineno}: shell=True"
                for keyword in node.keywords
                if keyword.arg == "shell"
            )


def test_no_module_makes_code_of_text() -> None:
    """Expressions are interpreted, templates are files, and nothing is unpickled."""
    found = {
        str(path.relative_to(ROOT)): list(executing(ast.parse(path.read_text("utf-8"))))
        for path in FILES
    }
    assert len(found) > 100
    assert {path: places for path, places in found.items() if places} == {}


def test_what_makes_code_of_text_would_be_found() -> None:
    """The rule itself works."""
    bad = "import pickle\nfrom yaml import load\neval(a)\nb.from_string(c)\nrun(d, shell=True)\n"
    assert len(list(executing(ast.parse(bad)))) == 5
