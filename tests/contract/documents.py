"""Reference tables made from the code, between markers in the folders' README files.

`python -m tests.contract.documents` writes them; with `--check` it only says what is behind
and exits 1.
"""

import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path

import click

from core import errors
from core.cli import main as command_line
from core.expression import FUNCTIONS
from core.expression.functions import SPECIAL
from core.expression.guide import SENTENCES
from core.extension import hookspecs
from core.schema import automations
from core.schema.binding import keys_of
from core.schema.fieldtypes import field_type, field_type_names

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
        ]
        for kind in map(field_type, sorted(field_type_names()))
        # Plugins that were loaded in this process have theirs in their own pages.
        if type(kind).__module__.startswith("core.")
    ]
    return as_table(["type", "holds", "further properties", "filter operators"], rows)


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


def error_table() -> str:
    """Return the errors' codes and statuses."""
    kinds, queue = [], [errors.GuanxiError]
    while queue:
        children = [k for k in queue.pop(0).__subclasses__() if k.__module__ == "core.errors"]
        kinds += [kind for kind in children if "code" in vars(kind)]
        queue += children
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
    """Return the keys of automations, model by model, from what their docstrings say."""
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
        said = described_keys(kind)
        rows += [
            [f"{_PLACES[kind.__name__]}`{key}`", said[key].replace("|", "\\|")]
            for key in keys_of(kind)
        ]
    return as_table(["key", ""], rows)


#: Where the keys of each model stand.
_PLACES = {
    "Automation": "",
    "Trigger": "trigger · ",
    "Input": "trigger · input · ",
    "AutomationAction": "actions · ",
    "Recipients": "actions · to · ",
    "RunAs": "run_as · ",
    "Retry": "retry · ",
}


def described_keys(kind: type) -> dict[str, str]:
    """Return what a model's docstring says of each of its attributes, on one line."""
    text = (inspect.getdoc(kind) or "").partition("Attributes:\n")[2]
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        starts = re.fullmatch(r"    (\w+): (.*)", line)
        if starts:
            name = starts[1]
            found[name] = starts[2]
        elif name and line.strip():
            found[name] += f" {line.strip()}"
    return found


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
    "hooks": hook_table,
    "commands": command_table,
    "automation_keys": automation_table,
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
            "core/automation/README.md",
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
