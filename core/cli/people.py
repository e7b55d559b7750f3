"""`guanxi user`: people who sign in."""

import os
import sys

import click

from core.cli.console import Refusal, refusing
from core.cli.installation import Installation
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
