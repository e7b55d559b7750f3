"""What a plugin says of itself in `manifest.yaml`, read as strictly as the schema."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

import core
from core.errors import ManifestError, Problem
from core.i18n import N_
from core.schema.binding import Binder
from core.schema.fieldtypes import FieldError, field_type, field_type_names
from core.schema.model import Field, Label, Model, Option
from core.schema.yamlnodes import Node, Source, read_node

FILE = "manifest.yaml"

#: Plugin and setting names; short enough for the history's record ids.
_NAME = re.compile(r"[a-z][a-z0-9_]{1,35}")
_VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?")
_BOUND = re.compile(r"(>=|<=|==|<|>)\s*(\d{1,6}(?:\.\d{1,6}){0,2})")


class HookUse(Model, frozen=True, kw_only=True):
    """A hook that the plugin implements; `types` are the record types it wants, none means all."""

    name: str
    types: tuple[str, ...] = ()


class Setting(Model, frozen=True, kw_only=True):
    """A value an administrator may change.

    Attributes:
        type: a field type of the schema language, which also reads the values.
        default: in wire form; what holds until somebody changes it.
        precision: digits after the point, where the type has any.
        since: the plugin's version that brought it.
    """

    name: str
    type: str
    default: Any
    since: str
    label: Label
    help: Label
    min: str | None = None
    max: str | None = None
    precision: int | None = None
    options: tuple[Option, ...] = ()

    def as_field(self) -> Field:
        """Return the setting as a required field, whose loader reads its values."""
        return Field(
            id=self.name,
            name=self.name,
            type=self.type,
            label=self.label,
            help=self.help,
            required=True,
            min=self.min,
            max=self.max,
            precision=self.precision,
            options=self.options,
        )

    def load(self, value: Any) -> Any:
        """Return the Python value of a wire value.

        Raises:
            FieldError: the value is not one this setting can have.
        """
        found = field_type(self.type).load(value, self.as_field())
        if found is None:
            raise FieldError("field.required", N_("A value is needed."))
        return found


class MenuGroup(Model, frozen=True, kw_only=True):
    """A group of the navigation; record types join it with their `menu` key."""

    key: str
    label: Label
    icon: str = ""


class NewFieldType(Model, frozen=True, kw_only=True):
    """A field type that the plugin brings.

    Attributes:
        like: the shipped type that stores alike and reads the values while the plugin is away.
    """

    name: str
    like: str


class Manifest(Model, frozen=True, kw_only=True):
    """Everything a plugin declares; `id` is its folder's name.

    Attributes:
        requires_core: versions of the product it runs with, such as `>=0.1, <1`.
        depends_on: plugins whose types or hooks it needs; they are loaded first.
        schemas: files in `schemas/`, all of them.
    """

    id: str
    title: Label
    description: Label
    version: str
    requires_core: str
    depends_on: tuple[str, ...] = ()
    hooks: tuple[HookUse, ...] = ()
    field_types: tuple[NewFieldType, ...] = ()
    settings: tuple[Setting, ...] = ()
    menu: tuple[MenuGroup, ...] = ()
    schemas: tuple[str, ...] = ()

    def setting(self, name: str) -> Setting | None:
        """Return the setting called `name`, or None."""
        return next((each for each in self.settings if each.name == name), None)

    def hook_types(self) -> dict[str, tuple[str, ...]]:
        """Return hook -> record types, only for hooks that do not want every type."""
        return {each.name: each.types for each in self.hooks if each.types}


def load_manifest(folder: Path, *, shown_as: str = "") -> Manifest:
    """Return the manifest of a plugin's folder; `shown_as` names the folder in problems.

    Raises:
        ManifestError: it is missing or wrong; every problem with its place.
    """
    path = f"{shown_as or folder.name}/{FILE}"
    try:
        text = (folder / FILE).read_bytes()
    except OSError as error:
        missing = Problem("", "manifest.missing", N_("The manifest cannot be read."), file=path)
        raise ManifestError(problems=[missing]) from error
    node, problems = read_node(Source(folder.name, path, text))
    if node is None:
        raise ManifestError(problems=problems)
    binder = Binder(problems)
    values = binder.struct(node, Manifest)
    if problems:
        raise ManifestError(problems=problems)
    manifest = msgspec.convert(values, Manifest)
    problems = [*_identity(manifest, node, folder.name), *_settings(manifest, node)]
    if problems:
        raise ManifestError(problems=problems)
    return manifest


def _identity(manifest: Manifest, node: Node, folder: str) -> Iterable[Problem]:
    if manifest.id != folder:
        text = N_("The id must be the folder's name, {folder}.")
        yield node.at("id").problem("plugin_id", text, "id", folder=folder)
    if not _NAME.fullmatch(manifest.id):
        text = N_("A name has 2 to 36 small letters, digits and underscores.")
        yield node.at("id").problem("plugin_name", text, "id")
    if not _VERSION.fullmatch(manifest.version):
        text = N_("A version is written like 1.0.0.")
        yield node.at("version").problem("plugin_version", text, "version")
    place = node.at("requires_core")
    bounds = _bounds(manifest.requires_core)
    if bounds is None:
        text = N_("Versions are written like >=0.1, <1.")
        yield place.problem("requires_core", text, "requires_core")
    elif not _within(core.__version__, bounds):
        text = N_("It needs {wanted} of the product; this is {version}.")
        yield place.problem(
            "requires_core", text, wanted=manifest.requires_core, version=core.__version__
        )
    for at, new in enumerate(manifest.field_types):
        if new.like not in field_type_names():
            text = N_("There is no field type {name}.")
            yield node.at("field_types", at, "like").problem("field_type", text, name=new.like)


def _settings(manifest: Manifest, node: Node) -> Iterable[Problem]:
    seen: set[str] = set()
    for at, setting in enumerate(manifest.settings):
        place = node.at("settings", at)
        if setting.name in seen or not _NAME.fullmatch(setting.name):
            text = N_("A setting needs a name of its own, in small letters.")
            yield place.at("name").problem("setting_name", text, name=setting.name)
        seen.add(setting.name)
        if not _VERSION.fullmatch(setting.since):
            text = N_("A version is written like 1.0.0.")
            yield place.at("since").problem("setting_since", text)
        if setting.type not in field_type_names() or field_type(setting.type).computed:
            text = N_("There is no field type {name}.")
            yield place.at("type").problem("setting_type", text, name=setting.type)
            continue
        try:
            setting.load(setting.default)
        except FieldError as error:
            for problem in error.problems:
                yield place.at("default").problem(
                    "setting_default", problem.text, **dict(problem.params)
                )


def _bounds(text: str) -> list[tuple[str, tuple[int, ...]]] | None:
    """Return the bounds that `text` spells, or None when it spells something else."""
    found = []
    for part in text.split(","):
        match = _BOUND.fullmatch(part.strip())
        if match is None:
            return None
        found.append((match[1], _numbers(match[2])))
    return found


def _numbers(version: str) -> tuple[int, ...]:
    numbers = tuple(map(int, re.findall(r"\d+", version)))[:3]
    return numbers + (0,) * (3 - len(numbers))


def _within(version: str, bounds: Iterable[tuple[str, tuple[int, ...]]]) -> bool:
    here = _numbers(version)
    holds: Mapping[str, Any] = {
        ">=": here.__ge__, "<=": here.__le__, "==": here.__eq__, "<": here.__lt__,
        ">": here.__gt__,
    }  # fmt: skip
    return all(holds[sign](bound) for sign, bound in bounds)
