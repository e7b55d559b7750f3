"""`guanxi verify`: proves from the raw rows that nothing was changed behind the product's back."""

from collections.abc import Iterable
from itertools import islice

import click
import sqlalchemy as sa

from core.audit import history
from core.cli.console import NOT_INSTALLED, Refusal, open_services, refusing
from core.files.evidence import content_problems, count_contents
from core.migration.verify import table_problems
from core.records.history import history_problems
from core.security.events import user_problems
from core.security.services import Services
from core.workflow.evidence import verify as verify_approvals

#: So many breaks are named; more say no more.
_NAMED = 50


@click.command()
@refusing
def verify() -> None:
    """Prove the histories, approvals, tables and files; exit with 1 on any break."""
    services = open_services()
    registry = services.registries.current()
    if not registry.release.number:
        raise Refusal(NOT_INSTALLED)
    breaks = 0
    breaks += _report("tables agree with the schema", table_problems(services.db, registry))
    events = _count(services)
    proved = f"histories of {events:,} events are whole and unaltered"
    breaks += _report(proved, history_problems(services.db, registry))
    with services.db.read() as connection:
        told = "what was done with people's rights is whole and unaltered"
        breaks += _report(told, user_problems(connection))
        checked, problems = verify_approvals(connection)
    breaks += _report(f"evidence of {checked:,} approvals is whole and unaltered", problems)
    contents = count_contents(services.db)
    proved = f"contents of {contents:,} files are there, byte by byte"
    breaks += _report(proved, content_problems(services.db, services.files))
    services.db.dispose()
    if breaks:
        raise Refusal("The database does not prove.")
    click.echo("Proved.")


def _count(services: Services) -> int:
    with services.db.read() as connection:
        count = sa.select(sa.func.count()).select_from(history)
        return int(connection.execute(count).scalar_one())


def _report(what: str, problems: Iterable[str]) -> int:
    """Print what was proved, or its breaks; return how many breaks were found, up to a bound."""
    found = list(islice(problems, _NAMED + 1))
    click.echo(f"{'FAILED' if found else 'ok':8} {what}")
    for problem in found[:_NAMED]:
        click.echo(f"         {problem}", err=True)
    if len(found) > _NAMED:
        click.echo("         … and more", err=True)
    return len(found)
