"""Checks of a plugin's files: which there are, how long they are, what the YAML says."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from core.errors import Problem
from core.extension.discovery import Plugin
from core.extension.manifest import FILE
from core.i18n import N_
from core.schema.loader import load_documents

#: Everything a plugin's folder may hold.
FILES = frozenset(
    {
        FILE, "README.md", "__init__.py", "hooks.py", "rules.py", "operations.py",
        "fieldtypes.py", "models.py",
    }
)  # fmt: skip
FOLDERS = frozenset({"schemas", "templates", "static", "translations", "tests"})
#: Modules that become a package of modules by topic, once they are more than one.
PACKAGES = ("rules", "operations")
REQUIRED = (FILE, "README.md", "__init__.py")

#: Suffix -> most lines.
LONGEST = {".py": 500, ".yaml": 300, ".md": 200, ".html": 200}

#: Headings of every README, in this order.
HEADINGS = ("What it does", "Forms", "Workflow", "Settings", "Extend it")


def problem(plugin: Plugin, path: str, code: str, text: str, **params: object) -> Problem:
    """Return a problem with a file of the plugin; a `line` in `params` is its place."""
    line = params.pop("line", 1)
    return Problem(
        "", f"plugin.{code}", text, params, file=f"plugins/{plugin.name}/{path}",
        line=line if isinstance(line, int) else 1, column=1,
    )  # fmt: skip


def own_files(plugin: Plugin, pattern: str = "*") -> list[Path]:
    """Return the plugin's files that match, without what Python leaves behind."""
    return [
        path
        for path in sorted(plugin.folder.rglob(pattern))
        if path.is_file() and "__pycache__" not in path.parts and path.name[0] != "."
    ]


def relative(plugin: Plugin, path: Path) -> str:
    """Return a path from the plugin's folder on, with slashes."""
    return path.relative_to(plugin.folder).as_posix()


def check_manifest(plugin: Plugin) -> Iterable[Problem]:
    """The manifest can be read and says nothing wrong."""
    yield from plugin.problems


def check_layout(plugin: Plugin) -> Iterator[Problem]:
    """Only the known files and folders are there, so that every plugin reads alike."""
    for name in REQUIRED:
        if not (plugin.folder / name).is_file():
            yield problem(plugin, name, "missing", N_("This file is missing."))
    for path in own_files(plugin):
        name, _, rest = relative(plugin, path).partition("/")
        if name in PACKAGES and path.suffix == ".py":
            if (plugin.folder / f"{name}.py").is_file():
                text = N_("It stands beside {name}.py; one of them is enough.")
                yield problem(plugin, relative(plugin, path), "twice", text, name=name)
        elif name not in (FOLDERS if rest else FILES):
            text = N_("A plugin has no place for this file.")
            yield problem(plugin, relative(plugin, path), "misplaced", text)
        elif name in {"templates", "static"} and not rest.startswith(f"{plugin.name}/"):
            text = N_("Templates and static files lie in a folder named {name}.")
            yield problem(plugin, relative(plugin, path), "namespace", text, name=plugin.name)


def check_sizes(plugin: Plugin) -> Iterator[Problem]:
    """No file is longer than a person can hold in mind."""
    for path in own_files(plugin):
        most = LONGEST.get(path.suffix)
        if most is None:
            continue
        lines = path.read_bytes().count(b"\n")
        if lines > most:
            text = N_("At most {most} lines; this file has {lines}.")
            name = relative(plugin, path)
            yield problem(plugin, name, "too_long", text, most=most, lines=lines, line=most + 1)


def check_readme(plugin: Plugin) -> Iterator[Problem]:
    """The README has the fixed headings in their order."""
    path = plugin.folder / "README.md"
    if not path.is_file():
        return
    found = re.findall(r"^## (.+?)\s*$", path.read_text(encoding="utf-8"), re.MULTILINE)
    if tuple(found) != HEADINGS:
        text = N_("The headings must be: {headings}.")
        yield problem(plugin, "README.md", "headings", text, headings=", ".join(HEADINGS))


def check_schemas(plugin: Plugin) -> Iterator[Problem]:
    """The schema files are those the manifest lists, and each can be read."""
    if plugin.manifest is None:
        return
    there = {relative(plugin, path) for path in own_files(plugin) if path.parent.name == "schemas"}
    listed = {f"schemas/{name}" for name in plugin.manifest.schemas}
    for name in sorted(there - listed):
        yield problem(plugin, name, "schemas", N_("The manifest does not list this file."))
    for name in sorted(listed - there):
        text = N_("The manifest lists this file, but it is not there.")
        yield problem(plugin, name, "schemas", text)
    yield from load_documents(plugin.sources())[1]
