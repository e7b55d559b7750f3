"""Checks of a plugin's Python: what it imports, which hooks it has, what it tests."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pluggy

from core.errors import Problem
from core.extension import hookspecs
from core.extension.contract.files import PACKAGES, own_files, problem, relative
from core.extension.discovery import Plugin, implemented_hooks, import_hooks
from core.i18n import N_
from core.schema.fieldtypes import FieldType, field_type
from core.schema.model import Field

#: The one module of the product that a plugin imports; its tests may use the fixtures too.
FACADE = "core.api"
FOR_TESTS = ("core.testing",)
#: What pure rules may not import, beside the product.
IMPURE = frozenset({"flask", "flask_appbuilder", "sqlalchemy", "requests", "httpx", "os"})

HOOK_LINES = 10


def check_imports(plugin: Plugin) -> Iterator[Problem]:
    """Plugins import the facade only, never each other; rules import nothing impure."""
    for path in own_files(plugin, "*.py"):
        name = relative(plugin, path)
        tree = _tree(path)
        if tree is None:
            yield problem(plugin, name, "syntax", N_("This is not Python."))
            continue
        for node, module in _imports(tree):
            text = _objection(plugin, name, module)
            if text:
                yield problem(plugin, name, "import", text, module=module, line=node.lineno)


def check_init(plugin: Plugin) -> Iterator[Problem]:
    """Every `__init__.py` is one docstring, so that importing a package does nothing."""
    for folder in ("", *PACKAGES):
        path = plugin.folder / folder / "__init__.py"
        tree = _tree(path) if path.is_file() else None
        if tree is not None and (len(tree.body) != 1 or not ast.get_docstring(tree)):
            text = N_("This file holds one docstring and no code.")
            yield problem(plugin, relative(plugin, path), "init", text)


def check_hooks(plugin: Plugin) -> Iterator[Problem]:
    """The hooks exist, are declared, and are short: what they do is in rules and operations."""
    if plugin.manifest is None:
        return
    try:
        module = import_hooks(plugin)
    except Exception as error:  # noqa: BLE001  foreign code may raise anything
        text, reason = N_("It cannot be imported: {reason}"), f"{type(error).__name__}: {error}"
        yield problem(plugin, "hooks.py", "import", text, reason=reason)
        return
    declared = {each.name for each in plugin.manifest.hooks}
    implemented = implemented_hooks(module)
    if declared != implemented:
        text = N_("The manifest's hooks and hooks.py differ: {names}.")
        names = ", ".join(sorted(declared ^ implemented))
        yield problem(plugin, "hooks.py", "hooks", text, names=names)
    if module is None:
        return
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        text = N_("A hook is not right: {reason}")
        yield problem(plugin, "hooks.py", "hooks", text, reason=str(error))
    yield from _long_hooks(plugin)


def check_field_types(plugin: Plugin) -> Iterator[Problem]:
    """The field types are those declared, and store as the shipped type they name does."""
    declared = {new.name: new for new in plugin.manifest.field_types} if plugin.manifest else {}
    for kind in _brought(plugin):
        new = declared.pop(kind.name, None)
        if new is None:
            text = N_("The manifest does not list the field type {name}.")
            yield problem(plugin, "hooks.py", "field_types", text, name=kind.name)
            continue
        sample = Field(id="sample", name="sample", type=kind.name)
        if kind.storage(sample) != field_type(new.like).storage(sample):
            text = N_("The field type {name} does not store as {like} does.")
            yield problem(plugin, "hooks.py", "field_types", text, name=kind.name, like=new.like)
    for name in declared:
        text = N_("The manifest lists the field type {name}, but it does not come.")
        yield problem(plugin, "manifest.yaml", "field_types", text, name=name)


def check_settings(plugin: Plugin) -> Iterator[Problem]:
    """Every setting is read somewhere in the plugin's code."""
    words = set()
    for path in own_files(plugin, "*.py"):
        tree = _tree(path)
        if tree is not None and not relative(plugin, path).startswith("tests/"):
            words |= {
                node.value
                for node in ast.walk(tree)
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            }
    for setting in plugin.manifest.settings if plugin.manifest else ():
        if setting.name not in words:
            text = N_("Nothing reads the setting {name}.")
            yield problem(plugin, "manifest.yaml", "settings", text, name=setting.name)


def check_tests(plugin: Plugin) -> Iterator[Problem]:
    """Rules and hooks have tests, and every test asserts something."""
    for name in ("rules", "hooks"):
        is_package = (plugin.folder / name / "__init__.py").is_file()
        if not is_package and not (plugin.folder / f"{name}.py").is_file():
            continue
        wanted = f"test_{name}*.py" if is_package else f"test_{name}.py"
        if not any((plugin.folder / "tests").glob(wanted)):
            text = N_("{name} needs tests in this file.")
            named = name if is_package else f"{name}.py"
            yield problem(plugin, f"tests/test_{name}.py", "tests", text, name=named)
    for path in own_files(plugin, "test_*.py"):
        tree = _tree(path)
        for node in tree.body if tree else ():
            if (
                isinstance(node, ast.FunctionDef)
                and node.name.startswith("test_")
                and not any(map(_asserts, ast.walk(node)))
            ):
                text = N_("This test asserts nothing.")
                name = relative(plugin, path)
                yield problem(plugin, name, "tests", text, line=node.lineno)


def _tree(path: Path) -> ast.Module | None:
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return None


def _imports(tree: ast.Module) -> Iterator[tuple[ast.stmt, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom):
            yield node, "." * node.level + (node.module or "")


def _objection(plugin: Plugin, name: str, module: str) -> str:
    """Return why a file may not import a module, or an empty text."""
    top, is_test = module.partition(".")[0], name.startswith("tests/")
    if module.startswith("."):
        return N_("Relative imports are not used; write {module} in full.")
    if top == "core" and module != FACADE and not (is_test and module.startswith(FOR_TESTS)):
        return N_("A plugin imports core.api only, not {module}.")
    own = module == plugin.package or module.startswith(f"{plugin.package}.")
    if top == "plugins" and not own and module != "plugins":
        return N_("A plugin never imports another one, as {module} is.")
    is_rule = name == "rules.py" or name.startswith("rules/")
    if is_rule and not _is_pure(plugin, module):
        return N_("Rules are pure; they do not import {module}.")
    return ""


def _is_pure(plugin: Plugin, module: str) -> bool:
    """Return whether rules may import a module: other rules, and Python's own that do no I/O."""
    if f"{module}.".startswith(f"{plugin.package}.rules."):
        return True
    top = module.partition(".")[0]
    return top in sys.stdlib_module_names and top not in IMPURE


def _long_hooks(plugin: Plugin) -> Iterator[Problem]:
    tree = _tree(plugin.folder / "hooks.py")
    for node in tree.body if tree else ():
        if isinstance(node, ast.FunctionDef) and node.name.startswith("guanxi_"):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > HOOK_LINES:
                text = N_("A hook has at most {most} lines; {name} has {lines}.")
                yield problem(
                    plugin, "hooks.py", "hook_size", text,
                    most=HOOK_LINES, name=node.name, lines=lines, line=node.lineno,
                )  # fmt: skip


def _brought(plugin: Plugin) -> list[FieldType]:
    """Return the field types the plugin brings; an import that fails is another check's."""
    try:
        module = import_hooks(plugin)
        return list(module.guanxi_register_field_types()) if module else []
    except Exception:  # noqa: BLE001  foreign code may raise anything
        return []


def _asserts(node: ast.AST) -> bool:
    return isinstance(node, ast.Assert) or (
        isinstance(node, ast.Attribute) and node.attr in {"raises", "warns", "fail"}
    )
