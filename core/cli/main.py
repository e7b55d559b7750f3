"""The `guanxi` command and its parts."""

import click

from core import __version__
from core.cli.installing import init
from core.cli.people import user
from core.cli.plugins import plugin
from core.cli.schema import schema
from core.cli.serving import serve, worker
from core.cli.transfer import export, import_
from core.cli.verify import verify


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="guanxi")
def main() -> None:
    """Guanxi: a self-hosted, low-code member CRM server."""


for command in (init, serve, worker, user, schema, plugin, import_, export, verify):
    main.add_command(command)
