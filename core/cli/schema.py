"""`guanxi schema`: YAML files against the release in force."""

import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from core.cli.console import NOT_INSTALLED, Refusal, console_locale, open_services, refusing
from core.cli.promoting import Target, told
from core.db import Database
from core.errors import SchemaError
from core.i18n import N_, translate
from core.migration.drafts import export_release
from core.migration.files import apply_paths, plan_paths, read_yaml
from core.migration.promotion import seal_of
from core.migration.proposal import Proposal
from core.migration.run import bootstrap, is_installed
from core.schema.ids import add_ids
from core.schema.jsonschema import json_schema
from core.security.services import Services

_paths = click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))


_F = TypeVar("_F", bound=Callable[..., Any])


def _settling(command: _F) -> _F:
    """Add the options by which a person settles what an upgrade and this site both changed."""
    for option, what in (
        ("--value", "Write KEY=VALUE where both changed."),
        ("--theirs", "Take the upgrade's at KEY."),
        ("--mine", "Keep this site's at KEY."),
    ):
        command = click.option(option, multiple=True, metavar="KEY", help=what)(command)
    return command


def _settlement(
    mine: Sequence[str], theirs: Sequence[str], value: Sequence[str]
) -> dict[str, Any]:
    """Return what the options decide, by key."""
    written = {}
    for one in value:
        key, equals, text = one.partition("=")
        if not equals or not text:
            raise click.BadParameter("KEY=VALUE", param_hint="--value")
        written[key] = {"value": text}
    return dict.fromkeys(mine, "mine") | dict.fromkeys(theirs, "theirs") | written


@click.group()
def schema() -> None:
    """Check, plan, publish and export the forms."""


@schema.command()
@_paths
@refusing
def check(paths: tuple[Path, ...]) -> None:
    """Say everything that is wrong with the files, with file, line and column."""
    services = open_services()
    with tempfile.TemporaryDirectory() as folder:
        if not is_installed(services.db):
            # Files can be checked before there is anything that they could be applied to.
            services.db = Database(f"sqlite:///{folder}/check.db")
            bootstrap(services.db)
        proposal = plan_paths(services, paths)
        services.db.dispose()
    _sound(proposal)
    click.echo("The schema is sound.")


@schema.command()
@_paths
@_settling
@refusing
def plan(paths: tuple[Path, ...], **decisions: Sequence[str]) -> None:
    """Show what publishing the files, or another server's export, would do.

    Nothing is changed. The seal names the state that the plan was made for.
    """
    services = _installed()
    proposal = plan_paths(services, paths, _settlement(**decisions))
    with services.db.read() as connection:
        seal = seal_of(connection, proposal.running.release.number)
    services.db.dispose()
    click.echo(proposal.to_text(console_locale()))
    click.echo(translate(N_("Seal: {seal}"), console_locale(), seal=seal))
    _sound(proposal)


@schema.command()
@_paths
@_settling
@click.option("--note", default="", help="What the release is for; people read it in the list.")
@click.option("--seal", default="", help="Fail unless the schema is still what the plan saw.")
@refusing
def apply(paths: tuple[Path, ...], note: str, seal: str, **decisions: Sequence[str]) -> None:
    """Publish the files, or another server's export, while the server runs."""
    services = _installed()
    begin = time.perf_counter()
    settle = _settlement(**decisions)
    number = apply_paths(services, paths, note=note, settle=settle, seal=seal)
    seconds = time.perf_counter() - begin
    services.db.dispose()
    done = f"Published release {number} in {seconds:.2f} s."
    click.echo("Nothing to publish." if number is None else done)


@schema.command()
@refusing
def language() -> None:
    """Write the JSON Schema of the files, by which editors complete and check them."""
    open_services().db.dispose()  # the plugins' field types belong to it
    click.echo(json.dumps(json_schema(), ensure_ascii=False, indent=2))


@schema.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--release", type=click.IntRange(1), help="Default: the one in force.")
@refusing
def export(path: Path | None, release: int | None) -> None:
    """Write a release's YAML files as an archive to PATH, or to standard output."""
    services = _installed()
    number = release or services.registries.current().release.number
    archive = _exported(services, number)
    services.db.dispose()
    if path is None:
        sys.stdout.buffer.write(archive)
        return
    path.write_bytes(archive)
    click.echo(f"Release {number}: {path}")


@schema.command()
@click.argument("url")
@click.option("--release", type=click.IntRange(1), help="Default: the one in force.")
@click.option("--seal", default="", help="Publish there, if it is still what the plan saw.")
@click.option("--note", default="", help="What the release is for; people read it in the list.")
@refusing
def promote(url: str, release: int | None, seal: str, note: str) -> None:
    """Carry this site's forms to the server at URL; without --seal only show the plan.

    GUANXI_TOKEN holds a token of somebody there who may change forms.
    """
    services = _installed()
    number = release or services.registries.current().release.number
    archive = _exported(services, number)
    services.db.dispose()
    target = Target(url, os.environ.get("GUANXI_TOKEN", ""))
    draft = target.draft(archive)
    for line in told(draft):
        click.echo(line)
    if draft["checks"]:
        raise Refusal(f"{len(draft['checks'])} problems.")
    if not seal:
        click.echo(translate(N_("Seal: {seal}"), console_locale(), seal=draft["seal"]))
        return
    published = target.publish(draft["id"], seal, note or f"release {number}")
    click.echo(f"Published release {published}.")


@schema.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@refusing
def fmt(files: tuple[Path, ...]) -> None:
    """Give every field without one its own `id`, which then never changes."""
    for folder_or_file in files:
        found = (
            sorted(folder_or_file.glob("*.yaml")) if folder_or_file.is_dir() else [folder_or_file]
        )
        for file in found:
            text = read_yaml(file)
            completed = add_ids(text)
            if completed != text:
                _replace(file, completed)
                click.echo(f"Completed {file}.")


def _installed() -> Services:
    services = open_services()
    if not is_installed(services.db):
        raise Refusal(NOT_INSTALLED)
    return services


def _exported(services: Services, number: int) -> bytes:
    from core.cli.console import system_context  # noqa: PLC0415  slow

    return export_release(system_context(services), number)


def _sound(proposal: Proposal) -> None:
    if proposal.problems:
        raise SchemaError(problems=proposal.problems)


def _replace(file: Path, text: str) -> None:
    """Write a file's new text so that it is never seen half written."""
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    draft.write_text(text, encoding="utf-8")
    Path(draft).replace(file)
