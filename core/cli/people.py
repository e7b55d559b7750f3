"""`guanxi user`: people who sign in."""

import os
import sys

import click

from core.cli.console import Refusal, refusing, system_context
from core.cli.installation import Installation
from core.security.positions import set_position
from core.settings import Settings


@click.group()
def user() -> None:
    """Add people who sign in."""


@user.command("add")
@click.argument("name")
@click.option("--role", "roles", multiple=True, required=True, help="May be given several times.")
@click.option("--store", "stores", multiple=True, help="Code of a store the person works for.")
@refusing
def add(name: str, roles: tuple[str, ...], stores: tuple[str, ...]) -> None:
    """Add NAME; the password comes from GUANXI_USER_PASSWORD or standard input."""
    password = os.environ.get("GUANXI_USER_PASSWORD")
    if password is None:
        password = (
            click.prompt("Password", hide_input=True, confirmation_prompt=True)
            if sys.stdin.isatty()
            else sys.stdin.readline().rstrip("\r\n")
        )
    installation = Installation(Settings.load())
    if not installation.add_user(name, password, roles=roles, stores=stores):
        raise Refusal(f"There is a user called {name} already.")
    installation.close()
    click.echo(f"Added {name}.")


@user.command("place")
@click.argument("name")
@click.option("--position", default="", help="What NAME is there; without it they work there.")
@click.option("--store", default="", help="Code of the store.")
@click.option("--department", default="", help="Code of the department.")
@click.option("--remove", is_flag=True, help="Take it away instead.")
@refusing
def place(name: str, position: str, store: str, department: str, *, remove: bool) -> None:
    """Give NAME a position at a store or in a department."""
    if bool(store) == bool(department):
        raise click.UsageError("Name either a store or a department.")
    installation = Installation(Settings.load())
    place_type = "store" if store else "department"
    ctx = system_context(installation.services)
    set_position(ctx, name, (place_type, store or department), position, take=remove)
    installation.close()
    click.echo(f"Done: {name}, {position or 'works there'}, {place_type} {store or department}.")
