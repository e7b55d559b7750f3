"""What a plugin must pass: one list of small checks, run by `guanxi plugin check` and the tests.

Each check takes a plugin and yields problems with file and line. The cheap ones,
manifest and hooks, are part of loading and run at every start.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from core.errors import Problem
from core.extension.contract import code, files, texts
from core.extension.discovery import Plugin, open_plugin

Check = Callable[[Plugin], Iterable[Problem]]

CHECKS: tuple[Check, ...] = (
    files.check_manifest,
    files.check_layout,
    files.check_sizes,
    files.check_readme,
    files.check_schemas,
    code.check_imports,
    code.check_init,
    code.check_hooks,
    code.check_field_types,
    code.check_settings,
    code.check_tests,
    texts.check_labels,
    texts.check_translations,
)


def check_plugin(plugin: Plugin) -> list[Problem]:
    """Return everything that is wrong with a plugin, by file and line."""
    problems = [problem for check in CHECKS for problem in check(plugin)]
    return sorted(problems, key=lambda it: (it.file, it.line, it.column))


def check_folder(folder: Path) -> list[Problem]:
    """Return everything that is wrong with the plugin in `folder`, wherever that lies."""
    return check_plugin(open_plugin(folder.resolve()))
