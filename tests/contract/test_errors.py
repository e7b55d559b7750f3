"""Errors have stable, unique codes and texts that exist in every language."""

import importlib
import pkgutil
from collections import defaultdict

import core
from core.errors import GuanxiError, UserError


def subclasses(root: type[GuanxiError]) -> list[type[GuanxiError]]:
    """Return every subclass of `root` once all of core is imported."""
    for module in pkgutil.walk_packages(core.__path__, "core."):
        if ".static" not in module.name and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found, queue = [], [root]
    while queue:
        children = [
            kind for kind in queue.pop().__subclasses__() if kind.__module__.startswith("core.")
        ]
        found += children
        queue += children
    return list(dict.fromkeys(found))


def test_error_codes_are_unique() -> None:
    """Two classes never answer with the same code."""
    by_code = defaultdict(set)
    for kind in subclasses(GuanxiError):
        if "code" in vars(kind):
            by_code[kind.code].add(kind.__name__)
    assert {code: names for code, names in by_code.items() if len(names) > 1} == {}


def test_user_errors_are_4xx() -> None:
    """What the caller can mend is never the server's fault."""
    wrong = {
        kind.__name__: kind.status
        for kind in subclasses(UserError)
        if not 400 <= kind.status < 500
    }
    assert wrong == {}
