"""`guanxi init`: database, roles, administrator, the shipped schema, the demo."""

import os
import secrets

import click

from core.cli.console import Refusal, refusing
from core.cli.installation import Installation
from core.settings import Settings, write_private_file


@click.command()
@click.option("--demo", is_flag=True, help="Make demo users and load the demo's data.")
@refusing
def init(*, demo: bool) -> None:
    """Create or upgrade the database; safe to call again, and twice at once."""
    settings = Settings.load()
    if demo and settings.is_production:
        raise Refusal("The demo is not for production: its users have simple rights and data.")
    installation = Installation(settings)
    installation.prepare()
    _make_administrator(installation)
    number = installation.publish_shipped()
    if demo:
        _make_demo_users(installation)
        installation.load_demo(say=_say)
    for plugin in installation.broken_plugins():
        _say(f"Plugin {plugin.name} does not run:")
        for reason in plugin.reasons:
            _say(f"  {reason}")
    installation.close()
    _say(f"Ready: release {number}, {settings.home}")


def _say(text: str) -> None:
    click.echo(text, err=True)


def _make_administrator(installation: Installation) -> None:
    if installation.has_user("admin"):
        return
    given = os.environ.get("GUANXI_ADMIN_PASSWORD")
    password = given or new_password()
    made = installation.add_user(
        "admin", password, roles=["Admin"], is_trusted=_may_be_weak(given)
    )
    if made and not given:
        click.echo(f"Administrator: admin / {password}   (shown once, write it down)")


def _make_demo_users(installation: Installation) -> None:
    given = os.environ.get("GUANXI_DEMO_PASSWORD")
    lines = []
    for name in ("clerk", "approver", "cashier"):
        password = given or new_password()
        made = not installation.has_user(name) and installation.add_user(
            name, password, roles=[name], is_trusted=_may_be_weak(given)
        )
        if made and not given:
            lines.append(f"{name} {password}\n")
    path = installation.settings.home / "demo-users.txt"
    if lines and not write_private_file(path, "".join(lines)):
        # Users were removed since: what the file says of the others still holds.
        with path.open("a", encoding="utf-8") as file:
            file.writelines(lines)
    if not given:
        _say(f"Demo users and their passwords: {path}")


def _may_be_weak(given: str | None) -> bool:
    """Return whether a password that somebody chose may be weak, saying so: in a trial only."""
    return bool(given) and os.environ.get("GUANXI_ENV") != "production"


def new_password() -> str:
    """Return a password that a person can type."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(alphabet) for _ in range(4)) for _ in range(4))
