"""Reference tables made from the code, between markers in the folders' README files.

`python -m tests.contract.documents` writes them; with `--check` it only says what is behind
and exits 1.
"""

import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import msgspec
from msgspec import inspect as inspected

from core import errors
from core.cli import main as command_line
from core.expression import FUNCTIONS
from core.expression.functions import SPECIAL
from core.expression.guide import SENTENCES
from core.extension import hookspecs
from core.schema import automations, guide
from core.schema.binding import LABEL_KEYS, RANGES, keys_of, required_keys
from core.schema.fieldtypes import field_type, field_type_names
from core.schema.loader import KINDS
from core.workflow import errors as refusals

ROOT = Path(__file__).parents[2]
MARKERS = re.compile(r"(<!-- made by `make docs`: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def first_sentence(thing: object) -> str:
    """Return the first line of a docstring, as one table cell."""
    return (inspect.getdoc(thing) or "").split("\n")[0].replace("|", "\\|")


def as_table(heads: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows]) + "\n"


def field_type_table() -> str:
    """Return the field types with their properties and filter operators."""
    rows = [
        [
            f"`{kind.name}`",
            first_sentence(kind),
            " ".join(f"`{name}`" for name in sorted(kind.properties)),
            " ".join(f"`{operator}`" for operator in kind.operators),
            cell(f"`{{name: a_{kind.name}, type: {kind.name}, {guide.TYPES[kind.name]}}}`")
            if kind.name in guide.TYPES
            else "",
        ]
        for kind in map(field_type, sorted(field_type_names()))
        # Plugins that were loaded in this process have theirs in their own pages.
        if type(kind).__module__.startswith("core.")
    ]
    return as_table(["type", "holds", "further properties", "filter operators", "such as"], rows)


def function_table() -> str:
    """Return the functions of expressions."""
    calls = dict(SPECIAL)
    for name, function in FUNCTIONS.items():
        required = len(function.parameters) - function.optional
        written = ", ".join(function.parameters[:required])
        optional = "".join(f"[, {kind}]" for kind in function.parameters[required:])
        calls[name] = f"{name}({written}{optional})"
    return as_table(
        ["function", ""], [[f"`{calls[name]}`", SENTENCES[name]] for name in sorted(calls)]
    )


def error_table(module: ModuleType = errors) -> str:
    """Return the codes and statuses of a module's errors."""
    kinds = [
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if kind.__module__ == module.__name__
        and issubclass(kind, errors.GuanxiError)
        and "code" in vars(kind)
    ]
    rows = [
        [f"`{kind.code}`", str(kind.status), first_sentence(kind)]
        for kind in sorted(kinds, key=lambda kind: (kind.status, kind.code))
    ]
    return as_table(["code", "status", ""], rows)


def hook_table() -> str:
    """Return the hooks with their arguments."""
    rows = [
        [f"`{name}({', '.join(inspect.signature(hook).parameters)})`", first_sentence(hook)]
        for name, hook in inspect.getmembers(hookspecs, inspect.isfunction)
        if name.startswith("guanxi_")
    ]
    return as_table(["hook", "what it is for"], rows)


def automation_table() -> str:
    """Return the keys of automations, model by model."""
    rows = []
    for kind in (
        automations.Automation,
        automations.Trigger,
        automations.Input,
        automations.AutomationAction,
        automations.Recipients,
        automations.RunAs,
        automations.Retry,
    ):
        place = guide.PLACES[kind].removeprefix("automation").removeprefix(" · ")
        start = f"{place} · " if place else ""
        rows += [[f"{start}`{key}`", cell(guide.sentence(kind, key))] for key in keys_of(kind)]
    return as_table(["key", ""], rows)


def key_tables() -> str:
    """Return every key of every kind of file, a table for each place where keys stand."""
    parts = []
    for kind in models():
        rows = []
        kinds, needed = keys_of(kind), required_keys(kind)
        defaults = {one.name: one.default for one in msgspec.structs.fields(kind)}
        told = [key for key in guide.KEYS.get(kind, ()) if key in kinds]
        for key in [*told, *sorted(kinds.keys() - set(told))]:
            example = guide.example(kind, key)
            said = guide.sentence(kind, key)
            rows.append(
                [
                    f"`{key}`",
                    cell(said[:1].upper() + said[1:]),
                    cell(shape(kinds[key], key)),
                    "**needed**" if key in needed else default_text(defaults.get(key)),
                    cell(f"`{key}: {example}`") if example else "",
                ]
            )
        heads = ["key", "means", "holds", "default", "such as"]
        parts.append(f"\n## {guide.PLACES.get(kind, kind.__name__)}\n\n{as_table(heads, rows)}")
    return "".join(parts) + "\n"


def cell(text: str) -> str:
    """Return a text as it can stand in a table."""
    return text.replace("|", "\\|")


def models() -> list[type]:
    """Return the models of every kind of file and of what stands in it, in reading order."""
    found: dict[type, None] = {}

    def add(holds: Any) -> None:
        if isinstance(holds, inspected.StructType) and holds.cls not in found:
            found[holds.cls] = None
            for below in keys_of(holds.cls).values():
                add(below)
        for part in ("item_type", "value_type"):
            if hasattr(holds, part):
                add(getattr(holds, part))
        for one in getattr(holds, "types", ()):
            add(one)

    for kind in KINDS.values():
        add(inspected.type_info(kind))
    return list(found)


def shape(holds: Any, key: str) -> str:
    """Return in words what a key holds."""
    said = SHAPES.get(type(holds), "text")
    return said if isinstance(said, str) else said(holds, key)


def _model(holds: inspected.StructType, _key: str) -> str:
    return f"[{guide.PLACES.get(holds.cls, holds.cls.__name__)}](#{anchor(holds.cls)})"


def _mapping(holds: inspected.DictType, key: str) -> str:
    if key in LABEL_KEYS:
        return "text by language"
    return f"{shape(holds.key_type, '')} → {shape(holds.value_type, '')}"


def _either(holds: inspected.UnionType, key: str) -> str:
    parts = [one for one in holds.types if not isinstance(one, inspected.NoneType)]
    return ", or ".join(shape(one, key) for one in parts)


def _number(_holds: inspected.IntType, key: str) -> str:
    return "whole number" + (", {} to {}".format(*RANGES[key]) if key in RANGES else "")


#: How each type of the models is said.
SHAPES: dict[type, str | Callable[[Any, str], str]] = {
    inspected.StructType: _model,
    inspected.LiteralType: lambda holds, _: " ".join(
        f"`{one}`" for one in holds.values if one != ""
    ),
    inspected.VarTupleType: lambda holds, _: f"list: {shape(holds.item_type, '')}",
    inspected.DictType: _mapping,
    inspected.UnionType: _either,
    inspected.BoolType: "`true` `false`",
    inspected.IntType: _number,
    inspected.AnyType: "value",
}


def anchor(kind: type) -> str:
    """Return the address of a model's heading within its page."""
    place = guide.PLACES.get(kind, kind.__name__).lower()
    return re.sub(r"[^\w -]", "", place).replace(" ", "-")


def default_text(default: Any) -> str:
    """Return a default as it would be written; a dash where there is none."""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, str | int) and default != "":
        return f"`{default}`"
    if isinstance(default, tuple) and default:
        return f"`[{', '.join(map(str, default))}]`"
    return "—"


def command_table() -> str:
    """Return the commands of the command line."""
    rows: list[list[str]] = []

    def add(prefix: str, command: click.Command) -> None:
        if isinstance(command, click.Group):
            for name in sorted(command.commands):
                add(f"{prefix} {name}", command.commands[name])
            return
        usage = " ".join(command.collect_usage_pieces(click.Context(command)))
        rows.append([f"`{prefix} {usage}`".replace("|", "\\|"), command.get_short_help_str(200)])

    add("guanxi", command_line)
    return as_table(["command", "does"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "field_types": field_type_table,
    "functions": function_table,
    "errors": error_table,
    "refusals": lambda: error_table(refusals),
    "hooks": hook_table,
    "commands": command_table,
    "automation_keys": automation_table,
    "keys": key_tables,
}


def renewed(text: str) -> str:
    """Return a page with its tables as the code has them now."""
    return MARKERS.sub(lambda match: match[1] + TABLES[match[2]]() + match[3], text)


def pages() -> list[Path]:
    """Return the pages that may hold such tables."""
    return [
        ROOT / name
        for name in (
            "README.md",
            "core/README.md",
            "schemas/README.md",
            "plugins/README.md",
            "schemas/KEYS.md",
            "core/automation/README.md",
            "core/workflow/README.md",
        )
    ]


def main() -> int:
    """Write the tables, or with `--check` return 1 when one is behind or missing."""
    check = "--check" in sys.argv
    behind, shown = [], set()
    for page in pages():
        text = page.read_text(encoding="utf-8")
        shown |= {match[2] for match in MARKERS.finditer(text)}
        new = renewed(text)
        if new != text:
            behind.append(str(page.relative_to(ROOT)))
            if not check:
                page.write_text(new, encoding="utf-8")
    behind += [f"no page shows the table {name}" for name in sorted(TABLES.keys() - shown)]
    if check and behind:
        print("behind the code (run `make docs`):", *behind, sep="\n  ", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
