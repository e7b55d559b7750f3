"""`guanxi plugin`: what is installed, how it is, and what a partner needs to check."""

from pathlib import Path

import click

from core.cli.console import Refusal, open_services, refusing, system_context
from core.extension.contract import check_folder
from core.extension.state import read_states
from core.records.plugin_settings import set_plugin_enabled
from core.settings import Settings


@click.group()
def plugin() -> None:
    """List, make, check and switch plugins."""


@plugin.command("list")
@refusing
def list_() -> None:
    """Show every plugin and how it is."""
    services = open_services()
    with services.db.read() as connection:
        states = read_states(connection)
    for health in services.hooks.health(states):
        click.echo(f"{health.name:24} {health.status}")
        for reason in health.reasons:
            click.echo(f"{'':24} {reason}")
    services.db.dispose()


@plugin.command()
@click.argument("name")
@refusing
def new(name: str) -> None:
    """Make a plugin folder that passes the check."""
    from core.extension.scaffold import new_plugin  # noqa: PLC0415  slow

    folder = new_plugin(Settings.load().plugins, name)
    click.echo(f"Made {folder}. Next: guanxi plugin check {folder}")


@plugin.command()
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path))
@refusing
def check(path: Path) -> None:
    """Say everything that is wrong with the plugin in PATH, by file and line."""
    problems = check_folder(path)
    for problem in problems:
        click.echo(str(problem), err=True)
    if problems:
        raise Refusal(f"{path.name}: {len(problems)} problems.")
    click.echo(f"{path.name} is sound.")


@plugin.command()
@click.argument("name")
def enable(name: str) -> None:
    """Switch a plugin on and forget its last failure."""
    _switch(name, enabled=True)


@plugin.command()
@click.argument("name")
def disable(name: str) -> None:
    """Switch a plugin off; its records stay readable."""
    _switch(name, enabled=False)


@refusing
def _switch(name: str, *, enabled: bool) -> None:
    services = open_services()
    if name not in services.hooks.manifests:
        raise Refusal(f"There is no plugin {name}.")
    set_plugin_enabled(system_context(services), name, enabled=enabled)
    services.db.dispose()
    click.echo(f"{name} is {'on' if enabled else 'off'}.")
