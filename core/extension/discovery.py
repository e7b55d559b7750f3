"""Finds plugins, puts them in order and loads them; a broken one is named and left out.

Folders of the plugin folder come first, then packages that installed distributions
announce in the entry point group `guanxi.plugins`. Order is `depends_on`, then name.
"""

import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import pluggy

from core.errors import ManifestError, Problem, SchemaError
from core.extension.deadline import run_within
from core.extension.hooks import Hooks
from core.extension.manifest import FILE, Manifest, load_manifest
from core.i18n import N_, add_catalogue_folder
from core.schema.actiontypes import register_actions
from core.schema.fieldtypes import FieldType, field_type, field_type_names, register
from core.schema.loader import load_documents
from core.schema.recordfiles import register_files
from core.schema.yamlnodes import Source

T = TypeVar("T")

GROUP = "guanxi.plugins"
IMPORT_SECONDS = 20.0


@dataclass(slots=True)
class Plugin:
    """One plugin as it was found.

    Attributes:
        package: the name its modules are imported under.
        origin: `folder`, or the distribution that announced it.
        problems: why it cannot run; empty for a sound one.
    """

    name: str
    folder: Path
    package: str
    origin: str = "folder"
    manifest: Manifest | None = None
    problems: list[Problem] = field(default_factory=list)

    def sources(self) -> list[Source]:
        """Return its schema files, by name."""
        return [
            Source(self.name, f"plugins/{self.name}/schemas/{path.name}", path.read_bytes())
            for path in sorted((self.folder / "schemas").glob("*.yaml"))
        ]

    def blame(self, code: str, text: str, **params: str) -> None:
        """Note why it cannot run."""
        self.problems.append(
            Problem("", f"plugin.{code}", text, params, file=f"plugins/{self.name}")
        )


def find_plugins(folder: Path) -> list[Plugin]:
    """Return every plugin there is, in load order, each with its manifest or its problems."""
    found = {path.name: open_plugin(path) for path in _plugin_folders(folder)}
    for entry in importlib.metadata.entry_points(group=GROUP):
        plugin = _announced(entry)
        if plugin.name in found:
            found[plugin.name].blame("twice", N_("There are two plugins of this name."))
        else:
            found[plugin.name] = plugin
    return _ordered(found)


def open_plugin(folder: Path, *, package: str = "", origin: str = "folder") -> Plugin:
    """Return the plugin in `folder` with its manifest or its problems; nothing is imported."""
    plugin = Plugin(folder.name, folder, package or f"plugins.{folder.name}", origin)
    try:
        plugin.manifest = load_manifest(folder, shown_as=f"plugins/{folder.name}")
    except ManifestError as error:
        plugin.problems += error.problems
    return plugin


def load_plugins(plugins: Iterable[Plugin], hooks: Hooks) -> None:
    """Import sound plugins and register what they bring; the others are noted as broken."""
    plugins = list(plugins)
    for plugin in plugins:
        if not plugin.problems:
            _load(plugin, hooks)
        add_catalogue_folder(plugin.folder / "translations")
        hooks.register_manifest(plugin.name, plugin.manifest)
        if plugin.problems:
            hooks.register_broken(plugin.name, map(str, plugin.problems))
    _register_field_types(plugins, hooks)
    _register_actions(hooks)
    _register_files(hooks)


def usable_sources(
    plugins: Sequence[Plugin],
    hooks: Hooks,
    *,
    running: Sequence[Source] = (),
    build: Callable[[list[Source]], T],
) -> tuple[list[Source], T]:
    """Return the plugins' schema files that `build` accepts, and what it made of them.

    A plugin whose files are refused is noted as broken; what the running release had
    of it takes their place, so that its tables stay.

    Args:
        plugins: those found, in order.
        hooks: told which are broken.
        running: the sources of the release in force.
        build: makes a release of the sources (core's and the site's are its own affair).

    Raises:
        SchemaError: the problems are in no plugin's files.
    """
    sources = {}
    for plugin in plugins:
        own = plugin.sources() if plugin.manifest else []
        problems = load_documents(own)[1]
        if problems or not plugin.manifest:
            _fall_back(plugin, hooks, problems)
            own = _of_layer(running, plugin.name)
        sources[plugin.name] = own
    while True:
        flat = [source for own in sources.values() for source in own]
        try:
            return flat, build(flat)
        except SchemaError as error:
            guilty = [
                plugin
                for plugin in plugins
                if any(_is_in(problem, plugin) for problem in error.problems)
                and sources[plugin.name] != _of_layer(running, plugin.name)
            ]
            if not guilty:
                raise
            for plugin in guilty:
                _fall_back(plugin, hooks, [it for it in error.problems if _is_in(it, plugin)])
                sources[plugin.name] = _of_layer(running, plugin.name)


def import_hooks(plugin: Plugin) -> ModuleType | None:
    """Return the plugin's `hooks` module, imported within a time budget; None without one."""
    if not (plugin.folder / "hooks.py").is_file():
        return None
    return run_within(IMPORT_SECONDS, lambda: _import(plugin, "hooks"))


def implemented_hooks(module: ModuleType | None) -> set[str]:
    """Return the names of the hooks that a module implements."""
    if module is None:
        return set()
    return {name for name, value in vars(module).items() if hasattr(value, "guanxi_impl")}


def _plugin_folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [
        path
        for path in sorted(folder.iterdir())
        if path.is_dir()
        and path.name[0] not in "._"
        and ((path / FILE).is_file() or any(path.glob("*.py")))
    ]


def _announced(entry: importlib.metadata.EntryPoint) -> Plugin:
    """Return the plugin of an entry point, found without importing it."""
    origin = entry.dist.name if entry.dist else GROUP
    try:
        spec = importlib.util.find_spec(entry.module)
    except ImportError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        plugin = Plugin(entry.name, Path(), entry.module, origin)
        plugin.blame("package", N_("The package {package} is not there."), package=entry.module)
        return plugin
    return open_plugin(
        Path(spec.submodule_search_locations[0]), package=entry.module, origin=origin
    )


def _ordered(found: Mapping[str, Plugin]) -> list[Plugin]:
    """Return plugins after those they depend on; unmet and circular needs are problems."""
    ordered: dict[str, Plugin] = {}
    waiting = dict(sorted(found.items()))
    while waiting:
        ready = [
            plugin
            for plugin in waiting.values()
            if not any(need in waiting for need in _needs(plugin))
        ]
        for plugin in ready or list(waiting.values()):
            for need in _needs(plugin):
                if need not in ordered or ordered[need].problems:
                    text = N_("It needs the plugin {need}, which does not run.")
                    plugin.blame("needs", text, need=need)
        for plugin in ready or list(waiting.values()):
            ordered[plugin.name] = waiting.pop(plugin.name)
    return list(ordered.values())


def _needs(plugin: Plugin) -> tuple[str, ...]:
    return plugin.manifest.depends_on if plugin.manifest else ()


def _load(plugin: Plugin, hooks: Hooks) -> None:
    manifest = plugin.manifest
    if manifest is None:
        return
    try:
        module = import_hooks(plugin)
    except Exception as error:  # noqa: BLE001  foreign code may raise anything
        reason = f"{type(error).__name__}: {error}"
        plugin.blame("import", N_("It cannot be imported: {reason}"), reason=reason)
        return
    declared, implemented = {each.name for each in manifest.hooks}, implemented_hooks(module)
    if declared != implemented:
        text = N_("The manifest's hooks and hooks.py differ: {names}.")
        plugin.blame("hooks", text, names=", ".join(sorted(declared ^ implemented)))
        return
    if module is None:
        hooks.register_plugin(plugin.name, plugin, {})
        return
    try:
        hooks.register_plugin(plugin.name, module, manifest.hook_types())
    except pluggy.PluginValidationError as error:
        plugin.blame("hooks", N_("A hook is not right: {reason}"), reason=str(error))


def _import(plugin: Plugin, name: str) -> ModuleType:
    """Import a module of a plugin, which may lie outside the `plugins` package."""
    importlib.import_module(plugin.package.partition(".")[0])
    package = sys.modules.get(plugin.package)
    if package is None or [str(plugin.folder)] != list(getattr(package, "__path__", [])):
        _import_package(plugin)
    return importlib.import_module(f"{plugin.package}.{name}")


def _import_package(plugin: Plugin) -> None:
    init = plugin.folder / "__init__.py"
    spec = importlib.util.spec_from_file_location(
        plugin.package, init, submodule_search_locations=[str(plugin.folder)]
    ) or ModuleSpec(plugin.package, None)
    for name in [name for name in sys.modules if f"{name}.".startswith(f"{plugin.package}.")]:
        del sys.modules[name]
    module = importlib.util.module_from_spec(spec)
    sys.modules[plugin.package] = module
    if spec.loader is not None:
        spec.loader.exec_module(module)


def _register_field_types(plugins: Iterable[Plugin], hooks: Hooks) -> None:
    """Register the plugins' field types, and stand-ins for those that did not come."""
    for name, kinds in hooks.registered("guanxi_register_field_types"):
        try:
            for kind in kinds:
                register(kind)
        except TypeError as error:
            hooks.register_broken(name, [f"guanxi_register_field_types: {error}"])
    for plugin in plugins:
        for new in plugin.manifest.field_types if plugin.manifest else ():
            if new.name not in field_type_names():
                register(_stand_in(new.name, field_type(new.like)))
                if not plugin.problems:
                    hooks.register_broken(plugin.name, [f"no field type {new.name} came"])


def _register_actions(hooks: Hooks) -> None:
    """Let automations use what plugins offer; one that answers something else is broken."""
    for name, actions in hooks.registered("guanxi_register_actions"):
        try:
            register_actions(name, actions)
        except TypeError as error:
            hooks.register_broken(name, [f"guanxi_register_actions: {error}"])


def _register_files(hooks: Hooks) -> None:
    """Let people have files made by plugins; one that answers something else is broken."""
    for name, files in hooks.registered("guanxi_register_files"):
        try:
            register_files(name, files)
        except TypeError as error:
            hooks.register_broken(name, [f"guanxi_register_files: {error}"])


def _stand_in(name: str, like: FieldType) -> FieldType:
    """Return a field type that stores and shows as `like` does, under another name."""
    made: FieldType = type(f"StandIn{name.title()}", (type(like),), {"name": name})()
    return made


def _of_layer(running: Sequence[Source], layer: str) -> list[Source]:
    return [source for source in running if source.layer == layer]


def _fall_back(plugin: Plugin, hooks: Hooks, problems: Sequence[Problem]) -> None:
    plugin.problems += problems
    hooks.register_broken(plugin.name, map(str, plugin.problems))


def _is_in(problem: Problem, plugin: Plugin) -> bool:
    return problem.file.startswith(f"plugins/{plugin.name}/")


def load_hooks(folder: Path) -> tuple[Hooks, list[Plugin]]:
    """Return the hooks of every plugin in `folder` and of the installed ones, ready to call."""
    hooks, plugins = Hooks(), find_plugins(folder)
    load_plugins(plugins, hooks)
    return hooks, plugins
